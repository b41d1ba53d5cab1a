{{- /*
The manifests are those of kustomize, by links in manifests/. This puts in what a release has of its own: namespace, labels,
images, names of Secrets, and what its values say of a component. "warren.manifests" (list ROOT COMPONENT) prints all of a
component, manifests/COMPONENT*.yaml.
*/ -}}

{{- /* list ROOT VALUES TEMPLATE: the template of a pod, changed in place. */ -}}
{{- define "warren.pod" -}}
{{- $root := index . 0 }}
{{- $values := index . 1 }}
{{- $template := index . 2 }}
{{- $pod := $template.spec }}
{{- $v := $root.Values }}
{{- range $c := $pod.containers }}
{{- $_ := set $c "image" (printf "%s/%s:%s" $v.images.prefix ($c.image | base | splitList ":" | first) $v.images.tag) }}
{{- $_ := set $c "imagePullPolicy" $v.images.pullPolicy }}
{{- if $values.resources }}
{{- $_ := set $c "resources" (mergeOverwrite (deepCopy $c.resources) $values.resources) }}
{{- end }}
{{- $env := list }}
{{- range $c.env }}
{{- if not (hasKey ($values.env | default dict) .name) }}
{{- $env = append $env . }}
{{- end }}
{{- end }}
{{- range $name, $value := $values.env }}
{{- $env = append $env (dict "name" $name "value" (toString $value)) }}
{{- end }}
{{- if $env }}
{{- $_ := set $c "env" $env }}
{{- end }}
{{- end }}
{{- $secrets := dict "warren-token" $v.tokens.agent "warren-gateway-token" $v.tokens.gateway "warren-exporter-token" $v.tokens.exporter }}
{{- range $pod.volumes }}
{{- if .secret }}
{{- $_ := set .secret "secretName" (get $secrets .secret.secretName | default .secret.secretName) }}
{{- end }}
{{- end }}
{{- with $v.images.pullSecrets }}
{{- $_ := set $pod "imagePullSecrets" . }}
{{- end }}
{{- with $values.nodeSelector }}
{{- $_ := set $pod "nodeSelector" (mergeOverwrite (deepCopy ($pod.nodeSelector | default dict)) .) }}
{{- end }}
{{- with $values.tolerations }}
{{- $_ := set $pod "tolerations" (concat ($pod.tolerations | default list) .) }}
{{- end }}
{{- with $values.securityContext }}
{{- $_ := set $pod "securityContext" (mergeOverwrite (deepCopy $pod.securityContext) .) }}
{{- end }}
{{- with $values.podAnnotations }}
{{- $_ := set $template.metadata "annotations" . }}
{{- end }}
{{- end -}}

{{- define "warren.manifests" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $values := get $root.Values $component | default dict }}
{{- $labels := dict "app.kubernetes.io/part-of" "warren" "app.kubernetes.io/name" (printf "warren-%s" $component) "app.kubernetes.io/component" $component }}
{{- range $path, $_ := $root.Files.Glob (printf "manifests/%s*.yaml" $component) }}
{{- range splitList "\n---\n" ($root.Files.Get $path) }}
{{- $o := fromYaml (printf "%s\n" .) }}
{{- $m := $o.metadata }}
{{- $_ := set $m "labels" (merge (default dict $m.labels) $labels) }}
{{- $_ := set $m.labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) }}
{{- $_ := set $m.labels "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- if not (hasPrefix "Cluster" $o.kind) }}
{{- $_ := set $m "namespace" $root.Release.Namespace }}
{{- end }}
{{- range $o.subjects }}
{{- $_ := set . "namespace" $root.Release.Namespace }}
{{- end }}
{{- if eq $m.name "warren-dns-own" }}
{{- $_ := set $m "name" (printf "warren-dns-%s" $root.Values.network) }}
{{- else if eq $m.name "warren-dns-other" }}
{{- $_ := set $m "name" (printf "warren-dns-%s" $root.Values.other) }}
{{- end }}
{{- if has $o.kind (list "DaemonSet" "Deployment" "StatefulSet") }}
{{- include "warren.pod" (list $root $values $o.spec.template) }}
{{- if hasKey $values "replicas" }}
{{- $_ := set $o.spec "replicas" $values.replicas }}
{{- end }}
{{- end }}
{{- range ($o.spec | default dict).volumeClaimTemplates }}
{{- if $values.storage.size }}
{{- $_ := set .spec.resources.requests "storage" $values.storage.size }}
{{- end }}
{{- if $values.storage.class }}
{{- $_ := set .spec "storageClassName" $values.storage.class }}
{{- end }}
{{- end }}
{{- if and (eq $o.kind "Service") $values.service }}
{{- $_ := set $o.spec "type" $values.service.type }}
{{- $_ := set $m "annotations" (merge $m.annotations $values.service.annotations) }}
{{- if $values.service.nodePort }}
{{- $_ := set (index $o.spec.ports 0) "nodePort" $values.service.nodePort }}
{{- end }}
{{- end }}
---
{{ toYaml $o }}
{{- end }}
{{- end }}
{{- end -}}

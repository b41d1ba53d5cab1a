{{- /*
The manifests are those of kustomize, by links in manifests/. This puts in what a release has of its own: namespace, labels,
images, names of Secrets. "warren.manifests" (list ROOT COMPONENT) prints all of a component, manifests/COMPONENT*.yaml.
*/ -}}

{{- define "warren.pod" -}}
{{- $root := index . 0 }}
{{- $pod := index . 1 }}
{{- $v := $root.Values }}
{{- range $pod.containers }}
{{- $_ := set . "image" (printf "%s/%s:%s" $v.images.prefix (. | dig "image" "" | base | splitList ":" | first) $v.images.tag) }}
{{- $_ := set . "imagePullPolicy" $v.images.pullPolicy }}
{{- end }}
{{- $secrets := dict "warren-token" $v.tokens.agent "warren-gateway-token" $v.tokens.gateway "warren-exporter-token" $v.tokens.exporter }}
{{- range $pod.volumes }}
{{- if .secret }}
{{- $_ := set .secret "secretName" (get $secrets .secret.secretName | default .secret.secretName) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "warren.manifests" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $labels := dict "app.kubernetes.io/part-of" "warren" "app.kubernetes.io/name" (printf "warren-%s" $component) "app.kubernetes.io/component" $component }}
{{- range $path, $_ := $root.Files.Glob (printf "manifests/%s*.yaml" $component) }}
{{- range splitList "\n---\n" ($root.Files.Get $path) }}
{{- $o := fromYaml (printf "%s\n" .) }}
{{- $m := $o.metadata }}
{{- $_ := set $m "labels" (merge (default dict $m.labels) $labels) }}
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
{{- include "warren.pod" (list $root $o.spec.template.spec) }}
{{- end }}
---
{{ toYaml $o }}
{{- end }}
{{- end }}
{{- end -}}

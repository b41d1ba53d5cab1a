# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# helm.sh - part K26: dc1 by Helm in the place of kustomize, as k8s/README.md has it, and back (see walk).

# release WHAT ARGUMENT...: a step on the desk, helm for dc1
release() {
	step ok desk "$1" env HELM_CACHE_HOME=/tmp/helm HELM_CONFIG_HOME=/tmp/helm HELM_DATA_HOME=/tmp/helm \
		helm --kube-context dc1 -n warren "${@:2}"
}

# What is ours in dc1, but for what a pod made for itself.
_of_ours() {
	cluster_kubectl dc1 get -A -o json -l app.kubernetes.io/part-of=warren \
		"$(cluster_kubectl dc1 api-resources --verbs=list -o name | grep -v '^events' | paste -sd ,)" 2>/dev/null |
		jq -r '.items[] | "\(.kind)/\(.metadata.name)"' | sort -u
}

_nothing_of_ours() {
	[ -z "$(_of_ours)" ]
}

# The Services' addresses are others than before.
dns_anew() {
	rm -f "$LAB_DIR/desk/.lab/lib/desk/dc1-coredns/warren.server"
	stanza dc1 cloud &&
		step ok desk "CoreDNS reads it" kubectl --context dc1 -n kube-system rollout restart deployment/coredns &&
		step ok desk "there it is" kubectl --context dc1 -n kube-system rollout status deployment/coredns --timeout=60s
}

all_reached() {
	local what
	for what in daemonset/warren-agent deployment/warren-gateway deployment/warren-exporter; do
		rolled_out dc1 $what "it runs" || return 1
	done
	dns_anew || return 1
	curl_until cloud cloud-n2 "a pod of cloud reaches dc1" http://$DC1_SERVICE/
	curl_until cloud cloud-n2 "by name too" http://nginx-service.default.dc1-k3s/
	curl_until dc1 dc1-n2 "a pod of dc1 reaches cloud by name" http://web.default.cloud-k3s/
}

_replicas() {
	[ "$(cluster_kubectl dc1 -n warren get deployment warren-exporter -o 'jsonpath={.status.readyReplicas}')" = "$1" ]
}

by_helm() {
	local helm name overlay=k8s/overlays/dc1-k3s
	title "dc1 by Helm"
	helm=$("$CLUSTERS_SOURCE/helm/build" 2>"$LAB_DIR/helm.log") || { SKIPPED=$(tail -n 1 "$LAB_DIR/helm.log"); return 0; }
	[[ :$LAB_PATH: = *:$helm:* ]] || LAB_PATH=$LAB_PATH:$helm
	step ok desk "what kustomize made goes" kubectl --context dc1 delete -k $overlay --timeout=90s || return 1

	step ok desk "a namespace" kubectl --context dc1 create namespace warren &&
		step ok desk "for pods of the node's network" kubectl --context dc1 label namespace warren \
			pod-security.kubernetes.io/enforce=privileged || return 1
	for name in token gateway-token exporter-token; do
		step ok desk "Secret warren-$name" kubectl --context dc1 -n warren create secret generic warren-$name \
			--from-file=token=$overlay/$name || return 1
	done
	release "installed" install warren k8s/chart --set site=dc1,network=dc1-k3s,other=cloud-k3s || return 1
	all_reached || return 1

	release "one exporter is enough" upgrade warren k8s/chart --reuse-values --set exporter.replicas=1 || return 1
	rolled_out dc1 deployment/warren-exporter "it runs"
	verdict dc1 "alone" within 10 _replicas 1
	SAYS='deployed.*warren-' release "the release" list
	curl_until cloud cloud-n2 "dc1 is still reached by name" http://nginx-service.default.dc1-k3s/

	release "uninstalled" uninstall warren --wait --timeout 60s || return 1
	verdict dc1 "nothing of ours is left $(_of_ours | xargs)" within 20 _nothing_of_ours
	step ok desk "and the namespace" kubectl --context dc1 delete namespace warren --timeout=60s || return 1
	apply dc1 && all_reached
}

part K26-helm by_helm

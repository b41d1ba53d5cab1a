#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# k8s/, rendered by kustomize and by Helm, without a cluster: what each pod may, what is set, that what is named is there,
# that a broken one is found, what a real API server says, and that both render the same. kubectl and the API server are
# built by tests/kubernetes/build, Helm by helm/build, each once. Root. Prints PASS|FAIL|SKIP NAME SECONDS.
set -u
cd "$(dirname "$0")/../.." || exit 2

NAMES=(manifests-render manifests-security manifests-rbac manifests-settings manifests-references manifests-negative
	manifests-admitted manifests-priority manifests-account manifests-coredns
	manifests-helm-same manifests-helm-hub-same manifests-helm-lint manifests-helm-installed)
if [ "${1-}" = --list ]; then
	printf '%s\n' "${NAMES[@]}"
	exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

report() {
	local ms=$(($(date +%s%N) / 1000000 - from))
	printf '%s %s %d.%03d%s\n' "$1" "$2" $((ms / 1000)) $((ms % 1000)) "${3:+ $3}"
}

# run NAME COMMAND...
run() {
	[[ $1 =~ ${ONLY:-} ]] || return 0
	from=$(($(date +%s%N) / 1000000))
	if "${@:2}" >"$work/log" 2>&1; then
		report PASS "$1"
	else
		report FAIL "$1"
		failed=1
		head -n 30 "$work/log"
	fi
}

skip() {
	local name
	for name in "${NAMES[@]}"; do
		[[ ! $name =~ $1 || ! $name =~ ${ONLY:-} ]] || echo "SKIP $name 0.0 $2"
	done
}

tests/setup kubernetes || exit 2
kubectl=$(tests/kubernetes/build 2>"$work/build.log")/kubectl
case $? in
0) ;;
3)
	skip . "$(tail -n 1 "$work/build.log")"
	exit 0
	;;
*)
	cat "$work/build.log"
	echo "FAIL manifests-render 0.0 Kubernetes could not be built"
	exit 1
	;;
esac
check=tests/kubernetes/manifests.py

# The tokens that a user would put there.
cp -r k8s "$work/k8s"
for site in dc1-k3s cloud-k3s; do
	for file in token gateway-token exporter-token; do
		echo "warren1-$site-$file" >"$work/k8s/overlays/$site/$file"
	done
done

render() {
	local dir name
	for dir in "$work"/k8s/*/kustomization.yaml "$work"/k8s/overlays/*/kustomization.yaml; do
		dir=${dir%/kustomization.yaml}
		name=${dir##*/}
		"$kubectl" kustomize "$dir" >"$work/$name.yaml" || return 1
	done
}

# One thing wrong at a time: SED FILE CHECK.
negative() {
	local sed file what
	while IFS='|' read -r sed file what; do
		sed -E "$sed" "$work/$file.yaml" >"$work/wrong.yaml"
		! cmp -s "$work/$file.yaml" "$work/wrong.yaml" || { echo "changes nothing: $sed"; return 1; }
		! $check "$what" "$work/wrong.yaml" >/dev/null || { echo "not found: $sed in $file"; return 1; }
	done <<-'END'
		s/privileged: false/privileged: true/|dc1-k3s|security
		s/- NET_RAW/- SYS_ADMIN/|dc1-k3s|security
		s/runAsNonRoot: true/runAsNonRoot: false/|dc1-k3s|security
		s/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/|hub|security
		s/warren.agent:dev/warren\/agent:latest/|dc1-k3s|security
		s/path: .run.warren/path: \//|dc1-k3s|security
		s/- patch/- '*'/|exporter|rbac
		s/resourceNames:/names:/|exporter|rbac
		s/FallbackToLogsOnError/File/|hub|settings
		s/maxSurge: 0/maxSurge: 1/|gateway|settings
		s/maxUnavailable: 1$/minAvailable: 1/|gateway|settings
		s/AlwaysAllow/IfHealthyBudget/|exporter|settings
		s/- system-node-critical/- other/|agent|settings
		s/defaultMode: 256/defaultMode: 420/|dc1-k3s|settings
		s/^  name: warren-site$/  name: site/|dc1-k3s|references
		s/serviceAccountName: .*/serviceAccountName: other/|dc1-k3s|references
	END
}

helm_build() {
	helm=$(tests/kubernetes/helm/build 2>"$work/helm.log")/helm || { why=$(tail -n 1 "$work/helm.log"); return 1; }
}

# api CHECK...: see api-checks
api() {
	tests/kubernetes/with-api "${kubectl%/*}" tests/kubernetes/api-checks "$@"
}

# helm_same OVERLAY HELM_OPTION...
helm_same() {
	"$helm" template warren k8s/chart -n warren --kube-version 1.30.0 --set namespace.create=true "${@:2}" \
		>"$work/helm.yaml" 2>"$work/helm.err" || { grep -v 'symbolic link' "$work/helm.err"; return 1; }
	$check same "$work/$1.yaml" "$work/helm.yaml"
}

render >"$work/render.log" 2>&1 || cat "$work/render.log"
run manifests-render render
run manifests-security $check security "$work"/*.yaml
run manifests-rbac $check rbac "$work/dc1-k3s.yaml" "$work/exporter.yaml"
run manifests-settings $check settings "$work"/*.yaml
run manifests-references $check references "$work/dc1-k3s.yaml" "$work/cloud-k3s.yaml" "$work/hub.yaml"
run manifests-negative negative
run manifests-admitted api admitted "$work/exporter.yaml,$work/hub.yaml" \
	"$work/agent.yaml,$work/gateway.yaml,$work/wireguard.yaml,$work/dc1-k3s.yaml"
run manifests-priority api priority "$work/agent.yaml"
run manifests-account api account "$work/exporter.yaml"
run manifests-coredns api coredns "$work/dc1-k3s.yaml"
why=
if helm_build; then
	run manifests-helm-same helm_same cloud-k3s --set site=cloud,network=cloud-k3s,other=dc1-k3s
	run manifests-helm-hub-same helm_same hub --set agent.enabled=false,wireguard.enabled=false,gateway.enabled=false \
		--set exporter.enabled=false,broker.enabled=true,coordinator.enabled=true \
		--set coordinator.broker=mqtts://hub.example.net:8883
	run manifests-helm-lint "$helm" lint --strict k8s/chart --set site=dc1,network=dc1-k3s,other=cloud-k3s
	run manifests-helm-installed api helm "$helm"
else
	skip helm "$why"
fi
exit $failed

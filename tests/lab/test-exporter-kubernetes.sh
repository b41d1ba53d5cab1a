#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Exporters of a cluster that is only a real kube-apiserver with its etcd: what they publish, who of two
# leads and how fast the other takes over, what is missing in their rights, and which cluster it is.
# The servers are built by tests/kubernetes/build; without them all is skipped.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh
. ./apiserver.sh

DNS=203.0.113.11
API=203.0.113.30

have() {
	local why
	why=$(apiserver_have) && return
	test_skip "$why"
	return 1
}

kubectl() {
	apiserver_kubectl kube $API "$@"
}

exporter() {
	lab_spawn "$1" exporter warren-exporter --kubernetes --kubeconfig /var/lib/kubeconfig \
		--state secret:warren-exporter --health /run/health "${@:2}"
}

setup() {
	apiserver_have >/dev/null || return 0
	lab_wan && warren_hub hub && lab_host kube $API && lab_host e1 203.0.113.21 && lab_host e2 203.0.113.22 &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 &&
		lab_host n1 $DNS && warren_agent n1 --site dc1 --dns $DNS:5300 && warren_join n1 dc1 &&
		apiserver_keys kube $API && apiserver_start kube $API one &&
		warren_cli hub gateway create --network dc1 --node n1 --range 10.96.0.0/16 --range 10.42.0.0/16 &&
		TOKEN=$(warren_token dc1 --role exporter --site dc1)
}

says() {
	[ "$(lab_in n1 dig +short +time=1 +tries=1 -p 5300 @$DNS "$1" A | sort | xargs)" = "$2" ]
}

service() {
	kubectl create service clusterip "$1" --clusterip "$2" --tcp 80:80
}

ready() {
	lab_in "$1" warren-exporter --health /run/health --check ready
}

leader() {
	kubectl -n warren get lease warren-exporter -o jsonpath='{.spec.holderIdentity}' | sed 's/_.*//'
}

ask_start() {
	rm -f "$(lab_log n1 ask)"
	# shellcheck disable=SC2016
	lab_spawn n1 ask sh -c 'while sleep 0.02; do
		got=$(dig +time=1 +tries=1 -p 5300 "@$1" "$2" A | sed -n "s/.*status: \([A-Z]*\).*/\1/p")
		echo "$(date +%T.%3N) ${got:-silence}"
	done' ask $DNS "$1"
}

# Ends the asking. It was answered, always; else it prints what came instead, and when.
none_missed() {
	lab_stop n1 ask
	awk '$2 == "NOERROR" { n++; next } { print; missed = 1 } END { exit missed || !n }' "$(lab_log n1 ask)"
}

said() {
	grep -qF -- "$2" "$(lab_log "$1" exporter)"
}

no_rights() {
	have || return
	kubectl create namespace warren >/dev/null
	kubectl -n warren create serviceaccount warren-exporter >/dev/null
	apiserver_kubeconfig kube $API e1 e2 || return 1
	exporter e1 --token "$TOKEN"
	test_check "leases" lab_wait 10 said e1 "resources: [leases]"
	test_refuse "not ready" ready e1
	kubectl -n warren apply -f "$LAB_ROOT/k8s/exporter/rbac.yaml" >/dev/null
	kubectl delete clusterrolebinding warren-exporter >/dev/null
	kubectl -n warren create secret generic warren-exporter >/dev/null
	test_check "leads" lab_wait 400 said e1 leading
	test_check "services" lab_wait 10 said e1 resource=services
	test_refuse "not ready without the ClusterRole" ready e1
	lab_stop e1 exporter
	kubectl -n warren apply -f "$LAB_ROOT/k8s/exporter/rbac.yaml" >/dev/null
	kubectl -n warren get secret warren-exporter -o jsonpath='{.data.state}' | base64 -d >"$LAB_DIR/state.json"
	test_equal "joined, and kept in the Secret" "$(jq -r .mesh.site "$LAB_DIR/state.json")" dc1
}

publishes() {
	local ms
	have || return
	service web 10.96.0.80 >/dev/null
	exporter e1 --token "$TOKEN"
	test_check "ready" lab_wait 20 ready e1
	# n1 has asked for the journal since it was named, while there was none: that is no reason to wait now.
	test_check "listed" lab_wait 5 says web.default.dc1 10.96.0.80
	service late 10.96.0.81 >/dev/null
	ms=$(lab_wait 5 says late.default.dc1 10.96.0.81)
	test_most "new name, ms" "$ms" 1000
	test_value new_name_ms="$ms"
	kubectl delete service late >/dev/null
	test_check "deleted" lab_wait 5 says late.default.dc1 ''
	service hidden 10.96.0.82 >/dev/null
	test_check "exported" lab_wait 5 says hidden.default.dc1 10.96.0.82
	kubectl annotate service hidden warren/export=false >/dev/null
	test_check "not exported any more" lab_wait 5 says hidden.default.dc1 ''
	test_check "not the API's" says kubernetes.default.dc1 ''
	kubectl apply -f - >/dev/null <<-END
		{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, ports: [{port: 5432}]}}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: db-1, labels: {kubernetes.io/service-name: db, service.kubernetes.io/headless: ""}}
		addressType: IPv4
		endpoints: [{addresses: [10.42.0.7], hostname: db-0, conditions: {ready: true}}]
		ports: [{port: 5432}]
	END
	test_check "headless" lab_wait 5 says db-0.db.default.dc1 10.42.0.7
	test_check "ranges" lab_wait 10 offers
}

offers() {
	warren_cli hub exporter list --json | jq -e '.[0].offered | index("10.96.0.0/16")'
}

# One replica, with a folder for its state; only what is annotated, of one namespace.
folder() {
	local token
	have || return
	warren_cli hub network create dc2 --range 10.78.0.0/24 && warren_join n1 dc2 || return 1
	token=$(warren_token dc2 --role exporter --site dc1) || return 1
	kubectl create namespace shop >/dev/null
	kubectl -n shop create service clusterip cart --clusterip 10.96.0.70 --tcp 80:80 >/dev/null
	kubectl -n shop create service clusterip other --clusterip 10.96.0.71 --tcp 80:80 >/dev/null
	kubectl -n shop annotate service cart warren/export=true >/dev/null
	lab_spawn e2 exporter warren-exporter --kubernetes --kubeconfig /var/lib/kubeconfig --namespaces shop \
		--export annotated --state /var/lib/exporter --token "$token" --health /run/health
	test_check "ready" lab_wait 20 ready e2
	test_check "annotated" lab_wait 5 says cart.shop.dc2 10.96.0.70
	test_check "not annotated" says other.shop.dc2 ''
	test_check "another namespace" says web.default.dc2 ''
	kubectl annotate namespace shop warren/export=true >/dev/null
	test_check "by its namespace" lab_wait 5 says other.shop.dc2 10.96.0.71
	lab_kill e2 exporter KILL
	lab_wait_gone e2 exporter
	kubectl -n shop delete service other >/dev/null
	lab_spawn e2 exporter warren-exporter --kubernetes --kubeconfig /var/lib/kubeconfig --namespaces shop \
		--export annotated --state /var/lib/exporter --health /run/health
	test_check "deleted while it was away" lab_wait 10 says other.shop.dc2 ''
	test_check "the rest stays" says cart.shop.dc2 10.96.0.70
	lab_stop e2 exporter
}

# Both ways: told, and killed.
takes_over() {
	local from ms
	have || return
	exporter e2 --token "$TOKEN"
	test_check "the standby is ready" lab_wait 10 ready e2
	test_equal "e1 leads" "$(leader)" e1
	ask_start web.default.dc1
	lab_stop e1 exporter
	from=$(lab_now_ms)
	service told 10.96.0.90 >/dev/null
	test_check "take-over from one that ended" lab_wait 15 says told.default.dc1 10.96.0.90
	ms=$(($(lab_now_ms) - from))
	test_most "take-over from one that ended, ms" $ms 5000
	test_value told_ms=$ms
	exporter e1 --token "$TOKEN"
	test_check "e1 is ready" lab_wait 10 ready e1
	from=$(lab_now_ms)
	lab_kill e2 exporter KILL
	lab_wait_gone e2 exporter
	service killed 10.96.0.91 >/dev/null
	test_check "take-over from one that died" lab_wait 20 says killed.default.dc1 10.96.0.91
	ms=$(($(lab_now_ms) - from))
	test_most "take-over from one that died, ms" $ms 15000
	test_value killed_ms=$ms
	test_check "no name was missed" none_missed
	# The coordinator hears of it beside the names.
	test_check "one identity" lab_wait 5 is_one
}

is_one() {
	warren_cli hub exporter list --json | jq -e '.[0] | .generation == 1 and .online'
}

# The leader that cannot reach the API server ends before the other may begin.
cut_off() {
	have || return
	exporter e2 --token "$TOKEN"
	test_check "the standby is ready" lab_wait 10 ready e2
	ask_start web.default.dc1
	test_equal "e1 leads" "$(leader)" e1
	lab_in e1 nft -f - <<-END
		add table inet cut
		add chain inet cut out { type filter hook output priority 0; }
		add rule inet cut out ip daddr $API drop
	END
	test_check "e1 gave up" lab_wait 15 said e1 lead-lost
	test_equal "before e2 began" "$(leader)" e1
	test_check "e2 leads" lab_wait 15 leads e2
	service cut 10.96.0.92 >/dev/null
	test_check "e2 publishes" lab_wait 10 says cut.default.dc1 10.96.0.92
	lab_in e1 nft delete table inet cut
	test_check "e1 follows" lab_wait 60 ready e1
	test_check "no name was missed" none_missed
}

leads() {
	[ "$(leader)" = "$1" ]
}

api_away() {
	have || return
	ask_start web.default.dc1
	apiserver_stop kube
	sleep 12
	test_check "names stay" says web.default.dc1 10.96.0.80
	apiserver_start kube $API one
	service back 10.96.0.93 >/dev/null
	test_check "goes on" lab_wait 60 says back.default.dc1 10.96.0.93
	test_check "no name was missed" none_missed
}

# A second cluster, or a file, that claims the same site.
replaced() {
	local leader other
	have || return
	leader=$(leader)
	other=$([ "$leader" = e1 ] && echo e2 || echo e1)
	lab_stop "$other" exporter
	lab_host e3 203.0.113.23
	echo '{"services": [{"name": "web", "addresses": ["10.96.0.80"]}]}' >"$LAB_DIR/e3/.lab/lib/services.json"
	ask_start web.default.dc1
	lab_spawn e3 exporter warren-exporter --services /var/lib/services.json --token "$TOKEN"
	test_check "said" lab_wait 10 said "$leader" "two clusters need a site each"
	test_check "it ends" lab_wait_gone "$leader" exporter
	test_check "the names of the new one" lab_wait 10 says killed.default.dc1 ''
	test_check "no name was missed" none_missed
	test_equal "the lease was given away" "$(leader)" ''
}

# Same address, same keys; only what is in it is another's.
another_cluster() {
	local state
	have || return
	state=$(kubectl -n warren get secret warren-exporter -o jsonpath='{.data.state}')
	lab_stop e1 exporter
	lab_stop e2 exporter
	apiserver_stop kube
	apiserver_start kube $API two
	apiserver_exporter kube $API >/dev/null
	kubectl -n warren patch secret warren-exporter -p "{\"data\": {\"state\": \"$state\"}}" >/dev/null
	apiserver_kubeconfig kube $API e1
	exporter e1
	test_check "said" lab_wait 20 said e1 "another cluster"
	lab_wait_gone e1 exporter
	test_check "names stay" says web.default.dc1 10.96.0.80
	kubectl -n warren patch secret warren-exporter -p '{"data": {"state": "AAAA"}}' >/dev/null
	exporter e1
	test_check "a broken Secret" lab_wait 20 said e1 "is broken"
	lab_wait_gone e1 exporter
}

test_setup setup
test_add exporter-kubernetes-rights no_rights
test_add N01-exporter-kubernetes-publishes publishes
test_add exporter-kubernetes-folder folder
test_add N02-exporter-kubernetes-takes-over takes_over
test_add exporter-kubernetes-cut-off cut_off
test_add N02-exporter-kubernetes-api-away api_away
test_add exporter-kubernetes-replaced replaced
test_add exporter-kubernetes-another-cluster another_cluster
test_main "$@"

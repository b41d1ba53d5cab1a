# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# faults-api.sh - parts N02-api-server-slow and K52: something bad stands between the exporters of dc1 and their API server
# (see walk). What comes last is K53 and K59.
#
#	api_by PROGRAM [ARGUMENT...]	starts PROGRAM on host `between` of dc1's LAN, and leads the exporters there, as a user does:
#				by KUBERNETES_SERVICE_HOST, in an overlay
#	api_direct		as it was before

BETWEEN=192.168.1.8

_between() {
	lab_spawn between "$1" env -C /var/lib "$CLUSTERS_SOURCE/$1" 6443 192.168.1.11 6443 "${@:2}" &&
		within 5 _warren_listens between 6443
}

api_by() {
	local link=$LAB_DIR/between/.lab/lib/link
	[ -d "$LAB_DIR/between" ] || lab_host between $BETWEEN || return 1
	echo "0 100000000" >"$link"
	_between "$@" || return 1
	write k8s/overlays/dc1-between/kustomization.yaml <<-END
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [../dc1-k3s]
		patches:
		- patch: |
		    apiVersion: apps/v1
		    kind: Deployment
		    metadata: {name: warren-exporter, namespace: warren}
		    spec:
		      template:
		        spec:
		          hostAliases: [{ip: $BETWEEN, hostnames: [kubernetes.default.svc]}]
		          containers:
		          - name: exporter
		            env:
		            - {name: KUBERNETES_SERVICE_HOST, value: kubernetes.default.svc}
		            - {name: KUBERNETES_SERVICE_PORT, value: "6443"}
	END
	step ok desk "$1 between exporters and API server" kubectl --context dc1 apply -k k8s/overlays/dc1-between || return 1
	rolled_out dc1 deployment/warren-exporter "they run"
}

api_direct() {
	apply dc1 && rolled_out dc1 deployment/warren-exporter "the exporters ask the API server itself again"
	lab_stop between "$1"
	rm -f "$(lab_log between "$1")"
}

_lease_holder() {
	cluster_kubectl dc1 -n warren get lease warren-exporter -o 'jsonpath={.spec.holderIdentity}'
}

# What the exporters of dc1 said since they run.
exporters_said() {
	cluster_kubectl dc1 -n warren logs -l app.kubernetes.io/component=exporter --tail=-1 --prefix
}

exporters_restarts() {
	cluster_kubectl dc1 -n warren get pods -l app.kubernetes.io/component=exporter \
		-o 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'
}

# Both exporters ask through PORT 6443 of between, and nothing else.
# Each has a connection at least.
_asked_between() {
	[ "$(lab_in between ss -tnH state established 'sport = :6443' | wc -l)" -ge 2 ]
}

api_slow() {
	local link=$LAB_DIR/between/.lab/lib/link holder ms out
	title "The API server of dc1 is slow, stands still, and leaves connections half open"
	api_by slow-path || return 1
	verdict between "both exporters come this way" within 10 _asked_between || return 1
	watch_name cloud "$(gateway_node cloud)" nginx-service.default.dc1-k3s
	holder=$(_lease_holder)

	echo "500 20000" >"$link"
	ms=$(new_name dc1 while-slow 20)
	verdict hub "with 500 ms each way and 20 kB/s a service made then has its name after $ms ms" \
		agent_says cloud while-slow.default.dc1-k3s NOERROR
	verdict between "and not sooner than that link lets it" [ "$ms" -ge 500 ]
	sleep 6
	verdict dc1 "the same one leads" [ "$(_lease_holder)" = "$holder" ]
	echo "0 100000000" >"$link"
	VALUES="$VALUES slow_ms=$ms"

	# Longer than the lead lasts without a renewal.
	lab_kill between slow-path STOP
	cluster_kubectl dc1 create service clusterip while-still --tcp=80 >/dev/null
	sleep 9
	verdict hub "it stands still: a service made then has no name" agent_says cloud while-still.default.dc1-k3s NXDOMAIN
	lab_kill between slow-path CONT
	ms=$(lab_wait 30 agent_says cloud while-still.default.dc1-k3s NOERROR)
	verdict hub "it answers again: $ms ms later it has" agent_says cloud while-still.default.dc1-k3s NOERROR
	verdict dc1 "who led had stopped to" grep -q 'warn lead-lost' <(exporters_said)
	VALUES="$VALUES still_ms=$ms"

	# Nobody tells the exporters that their connections are no more.
	lab_in between nft 'add table inet silent; add chain inet silent out { type filter hook output priority 0; };
		add rule inet silent out tcp sport 6443 tcp flags & (fin|rst) != 0 drop'
	lab_kill between slow-path KILL && lab_wait_gone between slow-path
	_between slow-path
	ms=$(new_name dc1 while-half-open 30)
	verdict hub "half open: a service made then has its name after $ms ms" agent_says cloud while-half-open.default.dc1-k3s NOERROR
	lab_in between nft delete table inet silent
	VALUES="$VALUES half_open_ms=$ms"

	out=$(watch_name_stop "$(gateway_node cloud)" nginx-service.default.dc1-k3s)
	verdict cloud "the names of before were always there ($out)" none_lost "$out"
	verdict dc1 "no exporter started anew ($(exporters_restarts))" [ "$(exporters_restarts)" = "0 0" ]
	api_direct slow-path || return 1
	ms=$(new_name dc1 after-slow 20)
	verdict hub "afterwards a service made has its name after $ms ms" agent_says cloud after-slow.default.dc1-k3s NOERROR
	VALUES="$VALUES after_ms=$ms $out"
}

# put_garbage RESOURCE GARBAGE: false as long as no watch of it stands.
put_garbage() {
	echo "$1 $2" >"$LAB_DIR/between/.lab/lib/orders"
	lab_kill between garbage-proxy USR1 && sleep 0.1
	grep -q "^put $2 into $1," "$(lab_log between garbage-proxy)"
}

asked() {
	grep -c "^ask GET $1" "$(lab_log between garbage-proxy)"
}

# How often the exporters said this since they run.
said_times() {
	exporters_said | grep -c "$1"
}

# Both exporters watch the Leases, the one that leads all the rest.
watch_garbage() {
	local resource garbage puts=0 lists ms out
	title "Garbage in what the exporters of dc1 watch"
	api_by garbage-proxy "$(_cluster dc1)" || return 1
	verdict between "both exporters come this way" within 10 _asked_between || return 1
	watch_name cloud "$(gateway_node cloud)" nginx-service.default.dc1-k3s
	lists=$(asked '/api/v1/services?limit')
	while read -r resource garbage; do
		puts=$((puts + 1))
		verdict between "$garbage into the watch of $resource" within 20 put_garbage "$resource" "$garbage"
	done <<-END
		services half-event
		services cut-chunk
		endpointslices random-bytes
		leases broken-line
		services wrong-kind
		endpointslices huge-line
		namespaces wrong-deleted
		services wrong-deleted
		nodes random-bytes
		servicecidrs huge-line
		services broken-line
		endpointslices wrong-kind
	END
	verdict dc1 "they say that it is no answer of an API server" within 5 test_said \
		'watching services: the answer is not what the API server answers: is something between?'
	verdict dc1 "or that the line has no end" within 5 test_said 'watching endpointslices: an object is longer than 4 MiB'
	verdict dc1 "or that it was cut" within 5 test_said 'watching services: .* does not answer: '
	out=$(said_times cluster-trouble)
	verdict dc1 "once for each at most, $out times" [ "$out" -le "$((puts + 1))" ]
	ms=$(new_name dc1 after-garbage 30)
	verdict hub "a service made afterwards has its name after $ms ms" agent_says cloud after-garbage.default.dc1-k3s NOERROR
	lists=$(($(asked '/api/v1/services?limit') - lists))
	verdict dc1 "the services were listed again $lists times" [ $lists -ge 1 ] && verdict dc1 "not without a pause" [ $lists -le 5 ]
	out=$(watch_name_stop "$(gateway_node cloud)" nginx-service.default.dc1-k3s)
	verdict cloud "the names of before were always there ($out)" none_lost "$out"
	verdict dc1 "no exporter started anew ($(exporters_restarts))" [ "$(exporters_restarts)" = "0 0" ]
	api_direct garbage-proxy
	VALUES="$VALUES put=$puts listed=$lists name_ms=$ms $out"
}

test_said() {
	exporters_said | grep -q "$1"
}

part N02-api-server-slow api_slow
part K52-watch-garbage watch_garbage
part K53-token-expired token_expired
# Leaves the clusters in one network.
part K59-one-network one_network

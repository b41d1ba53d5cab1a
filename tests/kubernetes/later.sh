# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016 # scripts for others
#
# later.sh - parts K20 to K28 and G07: what happens to two joined clusters afterwards (see walk).

# Is anything of ours left on HOST for NETWORK's interface? Empty when not.
left_of() {
	lab_in "$1" 2>/dev/null sh -c '{ ip -o link; ip route show table all; ip -6 route show table all; } | grep -F "$1"' left "$2"
}

interface_of() {
	exec_agent "${1%-*}" "$1" warren status --json | jq -r --arg n "$2" '.networks[] | select(.name == $n).interface'
}

leave_and_rejoin() {
	local interface
	title "A node leaves, and joins again"
	interface=$(interface_of cloud-n2 cloud-k3s)
	verdict cloud-n2 "it has an interface for cloud-k3s ($interface)" [ -n "$interface" ] || return 1
	on_agent ok cloud-n2 "cloud-n2 leaves" warren leave cloud-k3s || return 1
	verdict cloud-n2 "nothing of it is left there" [ -z "$(left_of cloud-n2 "$interface")" ]
	curl_from fails cloud cloud-n2 "its pods do not reach dc1" http://$DC1_SERVICE/
	curl_from ok cloud cloud-n1 "those of the other node do" http://$DC1_SERVICE/
	on_agent ok cloud-n2 "it joins again" warren join @/etc/warren/token || return 1
	curl_until cloud cloud-n2 "its pods reach dc1 again" http://$DC1_SERVICE/
}

# gateway_node SITE: where its gateway's pod runs.
gateway_node() {
	cluster_kubectl "$1" -n warren get pods -l app.kubernetes.io/component=gateway -o json | jq -r '
		[.items[] | select(.metadata.deletionTimestamp == null and .status.phase == "Running")][0].spec.nodeName'
}

_gateway_is_on() {
	[ "$(gateway_node "$1")" = "$2" ]
}

gateway_moves() {
	local old new interface target out ms
	title "gateway=true moves to the other node of dc1"
	old=$(gateway_node dc1)
	[ "$old" = dc1-n1 ] && new=dc1-n2 || new=dc1-n1
	interface=$(interface_of "$old" cloud-k3s)
	verdict "$old" "the gateway has an interface for cloud-k3s ($interface)" [ -n "$interface" ] || return 1
	target=$(page_pod dc1 nginx-service $new)
	ping_pod cloud cloud-n2 "$target"
	sleep 1
	step ok desk "the label goes" kubectl --context dc1 label node "$old" gateway- || return 1
	step ok desk "and comes to $new" kubectl --context dc1 label node $new gateway=true || return 1
	step ok desk "a pod moves when it is made anew" kubectl --context dc1 -n warren rollout restart deployment/warren-gateway
	step ok desk "there it is" kubectl --context dc1 -n warren rollout status deployment/warren-gateway --timeout=60s
	verdict desk "on $new" within 20 _gateway_is_on dc1 $new
	ms=$(lab_wait 30 test_left "$old" "$interface")
	verdict "$old" "nothing of it is left on $old, after $ms ms" test_left "$old" "$interface"
	curl_until cloud cloud-n2 "pods of cloud reach dc1" http://$DC1_SERVICE/
	sleep 1
	out=$(ping_pod_stop cloud cloud-n2 "$target")
	verdict cloud "a pod of cloud pinged one of dc1 meanwhile: $out" answered_at_last "$LAB_DIR/pings"
	VALUES="$VALUES $out"
}

# The last ping of the second before the end came back.
answered_at_last() {
	awk '/ bytes from .*icmp_seq=/ { match($0, /icmp_seq=[0-9]+/); last = substr($0, RSTART + 9, RLENGTH - 9) + 0 }
		/packets transmitted/ { sent = $1 }
		END { exit !(sent && last >= sent - 10) }' "$1"
}

test_left() {
	[ -z "$(left_of "$1" "$2")" ]
}

quiet() {
	local node n
	node=$(gateway_node dc1)
	title "Agent and gateway on $node for $QUIET_SECONDS seconds"
	warren_kernel_watch "$node"
	sleep "$QUIET_SECONDS"
	warren_kernel_changes "$node" >/dev/null
	# ip says that it does not know the name of a pod's namespace.
	cat "$(lab_log "$node" watch-ip)" "$(lab_log "$node" watch-nft)" | grep -v 'Peer netns reference' >"$LAB_DIR/changes"
	n=$(wc -l <"$LAB_DIR/changes")
	verdict "$node" "the kernel's configuration changed $n times" [ "$n" = 0 ] || head -n 20 "$LAB_DIR/changes"
	VALUES="$VALUES seconds=$QUIET_SECONDS changes=$n"
}

# A machine without Kubernetes: its agent runs as on any host.
machine_joins() {
	local host=$1 network token
	daemon "$host" agent warren-agent "${@:3}"
	ready "$host" "the agent of $host answers" _warren_answers "$host" status || return 1
	for network in $2; do
		token=$(warren_token "$network") &&
			step ok "$host" "$host joins $network" warren join "$token" || return 1
	done
}

database() {
	local site node pod
	title "A database outside joins both networks"
	machine_joins db1 'dc1-k3s cloud-k3s' || return 1
	for site in dc1 cloud; do
		step ok hub "the name orders-db in $site-k3s" warren name add orders-db "$(warren_address db1 $site-k3s)" \
			--network $site-k3s || return 1
	done
	for site in dc1 cloud; do
		for node in $(cluster_nodes $site); do
			pod=$(client $site "$node")
			ready desk "the name is known on $node" _resolves $site "$pod" orders-db.$site-k3s
			SAYS='order 3' step ok desk "a pod of $node asks orders-db.$site-k3s" kubectl --context $site exec "$pod" -- \
				psql -h orders-db.$site-k3s -U postgres -At -c 'select what from orders'
		done
	done
	SAYS='page of nginx' step ok db1 "db1 reaches a service of dc1" curl -sS -m 3 http://$DC1_SERVICE/
	SAYS='page of web' step ok db1 "and one of cloud" curl -sS -m 3 http://$CLOUD_SERVICE/
}

_resolves() {
	cluster_kubectl "$1" exec "$2" -- dig +short +search "$3" | grep -q .
}

third_site() {
	local site node
	title "A third site: branch, without Kubernetes"
	lab_spawn branch-2 page lab_page branch-2 80
	machine_joins branch-1 'dc1-k3s cloud-k3s' --site branch || return 1
	for site in dc1 cloud; do
		step ok hub "its LAN, for $site-k3s" warren gateway create --network $site-k3s --node branch-1 \
			--range 192.168.3.0/24 || return 1
	done
	for site in dc1 cloud; do
		for node in $(cluster_nodes $site); do
			curl_until $site "$node" "a pod of $node reaches a machine of branch" http://192.168.3.12/
		done
	done
	SAYS='page of nginx' step ok branch-1 "branch reaches a service of dc1" curl -sS -m 3 http://$DC1_SERVICE/
	SAYS='page of web' step ok branch-1 "and one of cloud" curl -sS -m 3 http://$CLOUD_SERVICE/
}

dual_stack() {
	local site other node v6 name
	title "The same on IPv6"
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud name=web || other=dc1 name=nginx-service
		v6=$(cluster_kubectl $other get service $name -o 'jsonpath={.spec.clusterIPs[1]}')
		for node in $(cluster_nodes $site); do
			curl_until $site "$node" "a pod of $node reaches $name of $other" "http://[$v6]/"
			curl_until $site "$node" "and by name" http://$name.default.$other-k3s/ -6
		done
	done
}

# A headless service with 100 slices of 100 endpoints, in the range of services: the pods' is too small.
big_service() {
	jq -n '{apiVersion: "v1", kind: "List", items: ([{apiVersion: "v1", kind: "Service", metadata: {name: "big"},
		spec: {clusterIP: "None", ports: [{name: "http", port: 80}]}}] + [range(100) as $s |
		{apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4",
		metadata: {name: "big-\($s)", labels: {"kubernetes.io/service-name": "big", "service.kubernetes.io/headless": ""}},
		ports: [{name: "http", port: 80}],
		endpoints: [range(100) | {addresses: ["10.43.\(100 + $s).\(1 + .)"], conditions: {ready: true}}]}])}'
}

# dig_big OPTION...: how many addresses of it a pod of cloud gets from its CoreDNS, and the answer's flags.
dig_big() {
	cluster_kubectl cloud exec "$(client cloud cloud-n2)" -- \
		dig +time=3 +tries=1 "$@" big.default.dc1-k3s A | awk '
		/^;; flags:/ { sub(/.*flags: /, ""); sub(/;.*/, ""); flags = $0 }
		/\tIN\tA\t/ { n++ }
		END { print n + 0, flags }'
}

# In 64 KiB of DNS are about 4,090 addresses.
has_thousands() {
	local got
	got=$(dig_big +tcp)
	[ "${got%% *}" -ge 4000 ]
}

ten_thousand() {
	local ms
	title "10,000 endpoints in one headless service of dc1"
	big_service | cluster_kubectl dc1 create -f - >/dev/null || return 1
	ms=$(lab_wait 60 has_thousands)
	verdict cloud "a pod of cloud asks over TCP, $ms ms after it was made: $(dig_big +tcp)" has_thousands
	verdict cloud "and over UDP: $(dig_big +ignore)" is_truncated "$(dig_big +ignore)"
	verdict dc1 "the exporter left nothing out" none_left_out
	cluster_kubectl dc1 delete service big >/dev/null
	cluster_kubectl dc1 delete endpointslices -l kubernetes.io/service-name=big >/dev/null
	verdict hub "without the service it has no name" within 15 agent_says cloud big.default.dc1-k3s NXDOMAIN
	VALUES="$VALUES tcp_ms=$ms"
}

is_truncated() {
	[ "${1%% *}" -gt 20 ] && [ "${1%% *}" -lt 100 ] && [[ " $1 " == *" tc "* ]]
}

none_left_out() {
	! cluster_kubectl dc1 -n warren logs -l app.kubernetes.io/component=exporter --tail=-1 | grep -q 'rest is left out'
}

one_network() {
	local token site node
	title "All in one network instead"
	step ok hub "network all" warren network create all --range 10.99.0.0/24 --range fd99::/64 || return 1
	token=$(warren_token all --expires never) || return 1
	for site in dc1 cloud; do
		for node in $(cluster_nodes $site); do
			on_agent ok "$node" "$node joins it" warren join "$token" || return 1
		done
		step ok hub "what $site has, for all" warren gateway create --network all --node "$(gateway_node $site)" \
			--from-site $site || return 1
	done
	for site in dc1 cloud; do
		step ok hub "the gateway into the other network goes" warren gateway delete "$(gateway_id $site)" || return 1
	done
	for site in dc1 cloud; do
		for node in $(cluster_nodes $site); do
			if [ $site = dc1 ]; then
				curl_until $site "$node" "a pod of $node reaches web of cloud" http://$CLOUD_SERVICE/
			else
				curl_until $site "$node" "a pod of $node reaches nginx-service of dc1" http://$DC1_SERVICE/
			fi
		done
	done
	SAYS='all' step ok desk "and the way is the new one" kubectl --context cloud -n warren exec \
		"$(agent_pod cloud cloud-n2)" -- warren why $DC1_SERVICE
}

# The gateway of SITE that is not in network all.
gateway_id() {
	warren_cli hub gateway list --json | jq -r --arg s "$1" '.[] | select(.site == $s and .network != "all").id' | head -n 1
}

part K20-leave-rejoin leave_and_rejoin
part G07-gateway-moves gateway_moves
part G07-quiet quiet
part K23-database database
part K24-third-site third_site
part K25-dual-stack dual_stack
part K28-ten-thousand-endpoints ten_thousand

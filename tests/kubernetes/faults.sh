# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016 # scripts for others
#
# faults.sh - parts K42 to K50 and N02: what breaks, and what does not break then (see walk).

# watch_name SITE NODE NAME: asks the node's agent for NAME 20 times a second; watch_name_stop prints "asked=N wrong=N",
# wrong is all but an answer with an address.
watch_name() {
	lab_spawn "$2" "name-$3" sh -c 'while sleep 0.05; do
		dig +time=1 +tries=1 "@$1" -p 5300 "$2" A | grep -q "status: NOERROR" && echo ok || echo wrong; done' \
		name "$(node_address "$1" "$2")" "$3"
}

watch_name_stop() {
	lab_stop "$1" "name-$2"
	awk '/ok/ { n++ } /wrong/ { n++; w++ } END { printf "asked=%d wrong=%d\n", n, w }' "$(lab_log "$1" "name-$2")"
	rm -f "$(lab_log "$1" "name-$2")"
}

node_address() {
	awk -v node="$2" '$1 == node { print $3 }' "$(_cluster "$1")/nodes"
}

# none_lost "sent=N lost=M ..."
none_lost() {
	[[ $1 =~ (lost|wrong)=0( |$) && ! $1 =~ (sent|asked)=0 ]]
}

# A service made in SITE gets its name in the other cluster: prints the milliseconds.
new_name() {
	local site=$1 name=$2
	cluster_kubectl "$site" create service clusterip "$name" --tcp=80 >/dev/null &&
		lab_wait "${3:-15}" agent_says "${site/dc1/cloud}" "$name.default.$site-k3s" NOERROR
}

# agent_says SITE NAME STATUS: the agent on the gateway's node of the other cluster.
agent_says() {
	local at=$1 node
	[ "$2" = "${2%.dc1-k3s}" ] && at=dc1 || at=cloud
	node=$(gateway_node $at)
	lab_in "$node" dig +time=1 +tries=1 "@$(node_address $at "$node")" -p 5300 "$2" A | grep -q "status: $3"
}

api_server() {
	local ms out
	title "The API server of dc1 is killed"
	watch_name cloud "$(gateway_node cloud)" nginx-service.default.dc1-k3s
	cluster_stop_daemon dc1-n1 kube-apiserver
	curl_from ok cloud cloud-n2 "meanwhile pods of cloud reach dc1" http://$DC1_SERVICE/
	ms=$(lab_wait 30 cluster_kubectl dc1 get --raw /readyz)
	verdict dc1-n1 "it is back after $ms ms" within 1 cluster_kubectl dc1 get --raw /readyz
	ms=$(new_name dc1 after-restart 20)
	verdict hub "a service made then has its name after $ms ms" agent_says cloud after-restart.default.dc1-k3s NOERROR
	out=$(watch_name_stop "$(gateway_node cloud)" nginx-service.default.dc1-k3s)
	verdict cloud "the names of before were always there ($out)" none_lost "$out"
	VALUES="$VALUES name_ms=$ms"
}

# The exporters sleep while the API server starts anew, without the history from where they watched (410): they list.
compacted() {
	local node ms
	title "The API server of dc1 has forgotten what its exporters saw last"
	signal_exporters STOP
	cluster_kubectl dc1 delete service after-restart >/dev/null
	cluster_kubectl dc1 create service clusterip while-asleep --tcp=80 >/dev/null
	cluster_stop_daemon dc1-n1 kube-apiserver
	within 30 cluster_kubectl dc1 create service clusterip after-compaction --tcp=80
	signal_exporters CONT
	ms=$(lab_wait 40 agent_says cloud while-asleep.default.dc1-k3s NOERROR)
	verdict hub "what was made meanwhile has its name after $ms ms" agent_says cloud while-asleep.default.dc1-k3s NOERROR
	verdict hub "what was made after it too" within 5 agent_says cloud after-compaction.default.dc1-k3s NOERROR
	verdict hub "what was deleted meanwhile has none" within 5 agent_says cloud after-restart.default.dc1-k3s NXDOMAIN
}

# signal_exporters SIGNAL [POD]: to every exporter of dc1, or to that of one pod.
signal_exporters() {
	local node
	for node in $(cluster_nodes dc1); do
		cluster_enter "$node" sh -c 'for p in /proc/[0-9]*; do
			[ "$(cat $p/comm 2>/dev/null)" = warren-exporter ] || continue
			[ -z "$2" ] || tr "\\0" "\\n" <$p/environ | grep -qxF "HOSTNAME=$2" || continue
			kill -$1 ${p#/proc/}; done' signal "$1" "${2-}"
	done
}

# ping_pod SITE NODE ADDRESS: 20 pings a second from the client pod there, until ping_pod_stop.
ping_pod() {
	lab_spawn "$1-n1" "ping-$3" kubectl --kubeconfig "$(_cluster "$1")/admin.kubeconfig" exec "$(client "$1" "$2")" -- \
		sh -c 'echo $$ >/tmp/ping.pid; exec /bin/ping -n -D -i 0.044 "$1"' ping "$3"
}

ping_pod_stop() {
	cluster_kubectl "$1" exec "$(client "$1" "$2")" -- sh -c 'kill -INT $(cat /tmp/ping.pid)'
	lab_wait_gone "$1-n1" "ping-$3"
	mv "$(lab_log "$1-n1" "ping-$3")" "$LAB_DIR/pings" && lab_ping_result "$LAB_DIR/pings"
}

page_pod() {
	cluster_kubectl "$1" get pods -l "app=$2" --field-selector "spec.nodeName=$3" -o 'jsonpath={.items[0].status.podIP}'
}

gateway_pod() {
	local target out node
	title "The gateway's pod in dc1 is deleted"
	node=$(gateway_node dc1)
	target=$(page_pod dc1 nginx-service dc1-n2)
	ping_pod cloud cloud-n2 "$target"
	sleep 1
	step ok desk "away with it" kubectl --context dc1 -n warren delete pod -l app.kubernetes.io/component=gateway || return 1
	step ok desk "another one comes" kubectl --context dc1 -n warren rollout status deployment/warren-gateway --timeout=60s
	sleep 6
	out=$(ping_pod_stop cloud cloud-n2 "$target")
	verdict "$node" "a pod of cloud pinged one of dc1 meanwhile: $out" none_lost "$out"
	VALUES="$VALUES $out"
}

agents_rolled() {
	local site target out
	title "All agents of both clusters are rolled"
	target=$(page_pod dc1 nginx-service dc1-n2)
	ping_pod cloud cloud-n2 "$target"
	sleep 1
	for site in dc1 cloud; do
		step ok desk "$site" kubectl --context $site -n warren rollout restart daemonset/warren-agent || return 1
	done
	for site in dc1 cloud; do
		step ok desk "$site is through" kubectl --context $site -n warren rollout status daemonset/warren-agent --timeout=120s
	done
	sleep 2
	out=$(ping_pod_stop cloud cloud-n2 "$target")
	verdict cloud "a pod of cloud pinged one of dc1 meanwhile: $out" none_lost "$out"
	VALUES="$VALUES $out"
}

coredns() {
	title "CoreDNS of cloud starts anew"
	step ok desk "restart" kubectl --context cloud -n kube-system rollout restart deployment/coredns || return 1
	step ok desk "there it is" kubectl --context cloud -n kube-system rollout status deployment/coredns --timeout=60s
	curl_until cloud cloud-n2 "names of dc1 are known" http://nginx-service.default.dc1-k3s/
}

exporter_leader() {
	local leader ms out node
	title "The leading exporter of dc1 is killed"
	node=$(gateway_node cloud)
	leader=$(cluster_kubectl dc1 -n warren get lease warren-exporter -o 'jsonpath={.spec.holderIdentity}')
	verdict dc1 "it is $leader" [ -n "$leader" ] || return 1
	watch_name cloud "$node" nginx-service.default.dc1-k3s
	signal_exporters KILL "${leader%%_*}"
	ms=$(new_name dc1 after-leader 25)
	verdict hub "a service made then has its name after $ms ms" [ "$ms" -le 15000 ]
	sleep 3
	out=$(watch_name_stop "$node" nginx-service.default.dc1-k3s)
	verdict cloud "the names of before were always there ($out)" none_lost "$out"
	VALUES="$VALUES takeover_ms=$ms $out"
}

# hub_kills PROGRAM START: kills that of the hub, and starts it 3 seconds later by START. The exporters of dc1 are not asked to
# do anything then: what was made meanwhile has to be there, and what was there before all the time.
hub_kills() {
	local program=$1 name=while-no-$1 ms out
	watch_name cloud "$(gateway_node cloud)" nginx-service.default.dc1-k3s
	lab_kill hub "$program" KILL && lab_wait_gone hub "$program" || return 1
	cluster_kubectl dc1 create service clusterip "$name" --tcp=80 >/dev/null
	sleep 3
	curl_from ok cloud cloud-n2 "meanwhile pods of cloud reach dc1 by name" http://nginx-service.default.dc1-k3s/
	$2 hub || return 1
	ms=$(lab_wait 30 agent_says cloud "$name.default.dc1-k3s" NOERROR)
	verdict hub "back, and $ms ms later a service made meanwhile has its name" agent_says cloud "$name.default.dc1-k3s" NOERROR
	ms="back_ms=$ms name_ms=$(new_name dc1 "after-no-$program" 20)"
	verdict hub "so has one that is made now" agent_says cloud "after-no-$program.default.dc1-k3s" NOERROR
	out=$(watch_name_stop "$(gateway_node cloud)" nginx-service.default.dc1-k3s)
	verdict cloud "the names of before were always there ($out)" none_lost "$out"
	VALUES="$VALUES $ms $out"
}

broker_killed() {
	title "The broker is killed"
	hub_kills mosquitto warren_broker_start
}

coordinator_killed() {
	title "The coordinator is killed"
	hub_kills coordinator warren_coordinator_start
}

# stay_joined COMMAND...: that starts agents of dc1 anew, with a token that has ended. Who joined stays.
stay_joined() {
	local target out
	target=$(page_pod dc1 nginx-service dc1-n2)
	ping_pod cloud cloud-n2 "$target"
	sleep 1
	"$@" || return 1
	rolled_out dc1 daemonset/warren-agent "agents are there"
	sleep 1
	out=$(ping_pod_stop cloud cloud-n2 "$target")
	verdict cloud "a pod of cloud pinged one of dc1 meanwhile: $out" none_lost "$out"
	curl_until dc1 dc1-n2 "pods of dc1-n2 reach cloud" http://$CLOUD_SERVICE/
	VALUES="$VALUES $out"
}

token_revoked() {
	local id
	title "The token of dc1's nodes is revoked: who joined stays"
	id=$(warren_cli hub token list --network dc1-k3s --json |
		jq -r '[.[] | select(.role == "node" and .site == "dc1")][0].id')
	step ok hub "revoked" warren token revoke "$id" || return 1
	stay_joined step ok desk "a node's agent starts anew" kubectl --context dc1 -n warren delete pod "$(agent_pod dc1 dc1-n2)"
}

_agent_says() {
	cluster_kubectl dc1 -n warren logs "$(agent_pod dc1 "$1")" | grep -q "$2"
}

_agent_is_unready() {
	cluster_kubectl dc1 -n warren get events --field-selector "involvedObject.name=$(agent_pod dc1 "$1")" |
		grep -q "Readiness probe failed.*$2"
}

# Who joined stays, nodes and gateway. Who left does not come in again.
token_expired() {
	local node gateway file=$LAB_DIR/desk/.lab/lib/desk/k8s/overlays/dc1-k3s
	title "The tokens in the Secrets of dc1 have expired"
	gateway=$(gateway_node dc1)
	node=$(cluster_nodes dc1 | grep -vx "$gateway")
	cp "$file/gateway-token" "$LAB_DIR/token"
	EXPIRES=1s token dc1-k3s/token "for nodes, and not for long" --network dc1-k3s --site dc1 &&
		EXPIRES=1s token dc1-k3s/gateway-token "for the gateway, likewise" --network cloud-k3s --site dc1 --tag gateway \
			--at-most 1 || return 1
	sleep 1
	stay_joined apply dc1 || return 1
	rolled_out dc1 deployment/warren-gateway "so is the gateway"

	on_agent ok "$node" "$node leaves" warren leave dc1-k3s || return 1
	on_agent ok "$gateway" "the gateway leaves" warren leave cloud-k3s || return 1
	step ok desk "an agent starts anew" kubectl --context dc1 -n warren delete pod "$(agent_pod dc1 "$node")" || return 1
	verdict "$node" "it says that the token has expired" within 20 _agent_says "$node" 'join-failed.*expired at .*ask for a new one'
	verdict "$node" "so does the pod, which is not Ready" within 20 _agent_is_unready "$node" 'expired at'
	token dc1-k3s/token "one for nodes that does not" --network dc1-k3s --site dc1 || return 1
	gateway_refuses 'expired at' || return 1
	rolled_out dc1 daemonset/warren-agent "with a good one $node is in"
	curl_until dc1 "$node" "its pods reach cloud" http://$CLOUD_SERVICE/
}

_gateway_waits() {
	cluster_kubectl dc1 -n warren get pods -l app.kubernetes.io/component=gateway \
		-o 'jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}' | grep -q CrashLoopBackOff
}

# _gateway_says WORDS: the last words of the gateway's container in dc1.
_gateway_says() {
	cluster_kubectl dc1 -n warren get pods -l app.kubernetes.io/component=gateway \
		-o 'jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.message}' | grep -qi "$1"
}

# gateway_refuses WORDS: the token in its Secret; it says so with WORDS. $LAB_DIR/token is the one that it had.
gateway_refuses() {
	local file=$LAB_DIR/desk/.lab/lib/desk/k8s/overlays/dc1-k3s/gateway-token
	verdict dc1 "the gateway's pod says so in its termination message" within 40 _gateway_says "$1"
	verdict dc1 "its restarts back off" within 40 _gateway_waits
	cp "$LAB_DIR/token" "$file"
	apply dc1 && rolled_out dc1 deployment/warren-gateway "with the right one it is back" || return 1
	curl_until cloud cloud-n2 "pods of cloud reach dc1" http://$DC1_SERVICE/
}

token_broken() {
	local file=$LAB_DIR/desk/.lab/lib/desk/k8s/overlays/dc1-k3s/gateway-token
	title "A Secret with a broken token"
	cp "$file" "$LAB_DIR/token" && echo warren1-broken >"$file"
	apply dc1 && gateway_refuses token
}

drained() {
	local old new target out
	title "The gateway's node of dc1 is drained, the other one may be the gateway too"
	old=$(gateway_node dc1)
	[ "$old" = dc1-n1 ] && new=dc1-n2 || new=dc1-n1
	target=$(page_pod dc1 nginx-service $new)
	step ok desk "$new may be the gateway" kubectl --context dc1 label node $new gateway=true || return 1
	ping_pod cloud cloud-n2 "$target"
	sleep 1
	step ok desk "$old is drained" kubectl --context dc1 drain "$old" --ignore-daemonsets --delete-emptydir-data --timeout=60s ||
		return 1
	rolled_out dc1 deployment/warren-gateway "the gateway runs again"
	verdict desk "on $new" within 20 _gateway_is_on dc1 $new
	sleep 2
	out=$(ping_pod_stop cloud cloud-n2 "$target")
	verdict cloud "a pod of cloud pinged one of dc1 meanwhile: $out" answered_at_last "$LAB_DIR/pings"
	step ok desk "$old is back" kubectl --context dc1 uncordon "$old"
	step ok desk "and no gateway any more" kubectl --context dc1 label node "$old" gateway-
	rolled_out dc1 deployment/warren-exporter "both exporters run"
	step ok desk "and the application" kubectl --context dc1 rollout status deployment/nginx-service --timeout=60s
	VALUES="$VALUES $out"
}

# dc1 has one exporter, and not this one.
_exporter_is_other() {
	[ "$(warren_cli hub exporter list --json | jq -r --arg id "$1" '[.[] | select(.site == "dc1").id] | length == 1 and .[0] != $id')" = true ]
}

# The exporter's keys and membership are gone: with its token it joins anew.
state_lost() {
	local old ms out
	title "The exporter's Secret in dc1 is lost"
	watch_name cloud "$(gateway_node cloud)" nginx-service.default.dc1-k3s
	old=$(warren_cli hub exporter list --json | jq -r '.[] | select(.site == "dc1").id')
	step ok desk "away with it" kubectl --context dc1 -n warren delete secret warren-exporter || return 1
	apply dc1 || return 1
	step ok desk "the exporters start anew" kubectl --context dc1 -n warren rollout restart deployment/warren-exporter
	rolled_out dc1 deployment/warren-exporter "they run"
	verdict hub "the new one has taken the place of the old one" within 10 _exporter_is_other "$old"
	ms=$(new_name dc1 after-loss 20)
	verdict hub "a service made then has its name after $ms ms" agent_says cloud after-loss.default.dc1-k3s NOERROR
	out=$(watch_name_stop "$(gateway_node cloud)" nginx-service.default.dc1-k3s)
	verdict cloud "the names of before were always there ($out)" none_lost "$out"
	VALUES="$VALUES $out"
}

# 500 names that no cache knows, through CoreDNS on a node that is not the gateway.
lookups() {
	local site other node gateway pod counts
	title "500 look-ups from a pod of every node, CoreDNS not on the gateway's node"
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud || other=dc1
		gateway=$(gateway_node $site)
		node=$(cluster_nodes $site | grep -vx "$gateway")
		cluster_kubectl $site -n kube-system patch deployment coredns -p \
			"{\"spec\": {\"template\": {\"spec\": {\"nodeSelector\": {\"kubernetes.io/hostname\": \"$node\"}}}}}" >/dev/null &&
			cluster_kubectl $site -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null || return 1
		for node in $(cluster_nodes $site); do
			pod=$(client $site "$node")
			counts=$(cluster_kubectl $site exec "$pod" -- sh -c '
				i=0; while [ $i -lt 250 ]; do i=$((i + 1)); echo "$1-$i.default.$2-k3s A"; echo "$1-$i.default.$3-k3s A"; done >/tmp/names
				dig +time=2 +tries=1 +noall +comments -f /tmp/names | sed -n "s/.*status: \([A-Z]*\).*/\1/p" | sort | uniq -c' \
				names "q$RANDOM" $site $other | xargs)
			verdict "$node" "$counts" [ "$counts" = "500 NXDOMAIN" ]
		done
	done
}

part N02-api-server api_server
part N02-api-server-compacted compacted
part K42-gateway-pod gateway_pod
part K43-agents-rolled agents_rolled
part K44-coredns coredns
part N02-exporter exporter_leader
part N02-broker broker_killed
part N02-coordinator coordinator_killed
part K46-token-ended token_revoked
part K47-lookups lookups
part K48-token-broken token_broken
part K49-drained drained
part K50-state-lost state_lost

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What is different in a pod, without Kubernetes: wireguard-go of another program, /proc/sys that is
# read-only, being the first process, probes, broken tokens. LONG=1: also what takes a minute (make test-long).
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh
. ./sites.sh

WIREGUARD=/run/warren/wireguard

# The machine's other programs are not in the way of an agent with its own /proc/sys.
READ_ONLY='mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec warren-agent "$@"'

wireguard() {
	lab_spawn "$1" wireguard "$LAB_ROOT/k8s/wireguard/run" $WIREGUARD
}

# Without our own WireGuard in the agent's mount namespace it could not start one.
pod_agent() {
	warren_agent "$1" --wireguard-go $WIREGUARD --backend userspace
}

setup() {
	lab_wan && warren_hub hub && warren_cli hub network create dc1 --range 10.77.0.0/24 &&
		warren_node n1 dc1 203.0.113.11 && lab_host pod 203.0.113.12 &&
		wireguard pod && pod_agent pod && warren_join pod dc1
}

served() {
	[ -n "$(lab_in "$1" wg show wr-dc1 private-key 2>/dev/null)" ]
}

is_gone() {
	! lab_in "$1" ip link show wr-dc1 >/dev/null 2>&1 && ! lab_in "$1" test -e $WIREGUARD/wr-dc1 &&
		! lab_procs "$1" | grep -q 'wireguard-go$'
}

wireguard_pid() {
	lab_procs "$1" | awk '$2 ~ /wireguard-go$/ { print $1; exit }'
}

# The agent is killed and comes back; wireguard-go is not its child and is not touched.
agent_killed() {
	local address before out
	address=$(warren_address pod dc1)
	test_check "reached" lab_wait 10 warren_pings n1 "$address" || return
	test_check "asked for by a file" lab_in pod test -f $WIREGUARD/wr-dc1
	before=$(wireguard_pid pod)
	lab_ping_start n1 "$address"
	lab_kill pod agent KILL && lab_wait_gone pod agent
	sleep 1
	pod_agent pod
	sleep 2
	out=$(lab_ping_stop n1 "$address")
	test_value "$out"
	test_equal "lost" "$(sed 's/.* lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	test_equal "the same wireguard-go" "$(wireguard_pid pod)" "$before"
}

another_wireguard() {
	local pid
	pid=$(wireguard_pid pod)
	[ -n "$pid" ] && [ "$pid" != "$1" ]
}

# It comes back empty; the agent sees it and fills it.
wireguard_killed() {
	local address before from
	address=$(warren_address pod dc1)
	before=$(wireguard_pid pod)
	from=$(lab_now_ms)
	kill -KILL "$before"
	test_check "another one" lab_wait 5 another_wireguard "$before"
	test_check "reached" lab_wait 10 warren_pings n1 "$address"
	test_value "back_ms=$(($(lab_now_ms) - from))"
	test_most "back" $(($(lab_now_ms) - from)) 2000
	test_check "said" grep -q 'ended with' "$(lab_log pod wireguard)"
}

# A file that somebody else put there.
names_checked() {
	lab_in pod sh -c "touch '$WIREGUARD/eth0' '$WIREGUARD/wr-a b' '$WIREGUARD/wr-../x' '$WIREGUARD/wr-aaaaaaaaaaaaaaaaaaaa'" 2>/dev/null
	sleep 0.5
	test_equal "one interface" "$(lab_procs pod | grep -c 'wireguard-go$')" 1
	lab_in pod sh -c "rm -f $WIREGUARD/eth0 '$WIREGUARD/wr-a b' $WIREGUARD/wr-aaaa*"
}

# The pod of wireguard-go ends, and the tunnels with it; while it is away the network is left.
wireguard_pod() {
	local address
	address=$(warren_address pod dc1)
	lab_stop pod wireguard
	test_check "the tunnel is gone" lab_wait 3 bash -c "! ip netns exec wl$LAB_ID-pod ip link show wr-dc1" 2>/dev/null
	test_check "problem" lab_wait 15 status_says pod 'no program serves .*warren-wireguard running'
	test_exits "not ready" 1 warren_cli pod status --ready --network dc1
	wireguard pod
	test_check "back" lab_wait 30 warren_pings n1 "$address"
	test_exits "ready" 0 warren_cli pod status --ready --network dc1
}

all_up() {
	local network
	for network in dc1 w1 w2 w3 w4; do
		warren_cli "$1" status --ready --network $network >/dev/null 2>&1 || return 1
	done
}

# Five interfaces that nobody serves keep the agent from its work as long as one; whoever comes to serve
# them is seen at once.
not_waited_for() {
	local from network
	for network in w1 w2 w3 w4; do
		warren_cli hub network create $network --range 10.8${network#w}.0.0/24 >/dev/null
		test_check "join $network" warren_join pod $network >/dev/null
	done
	test_check "all are up" lab_wait 5 all_up pod
	lab_stop pod wireguard
	lab_kill pod agent KILL && lab_wait_gone pod agent
	from=$(lab_now_ms)
	pod_agent pod
	test_check "it answers" lab_wait 20 warren_cli pod status --ready
	test_value "answered_ms=$(($(lab_now_ms) - from))"
	test_most "answered" $(($(lab_now_ms) - from)) 5000
	test_check "said of the last one" lab_wait 5 status_says pod 'wireguard-go for wr-w4: no program serves'
	# By now it tries again every 16 s, the last time was a moment ago.
	sleep 17
	from=$(lab_now_ms)
	wireguard pod
	test_check "all are back" lab_wait 20 all_up pod
	test_value "back_ms=$(($(lab_now_ms) - from))"
	test_most "back" $(($(lab_now_ms) - from)) 3000
	for network in w1 w2 w3 w4; do
		test_check "leave $network" warren_cli pod leave $network >/dev/null
	done
}

asked() {
	lab_in "$1" test -e $WIREGUARD/"$2"
}

# As of an agent that was killed before it could mark what it had asked for.
swept() {
	lab_in pod touch $WIREGUARD/wr-old
	test_check "it is served" lab_wait 5 lab_in pod ip link show wr-old >/dev/null
	lab_kill pod agent KILL && lab_wait_gone pod agent
	pod_agent pod
	sleep 55
	test_check "not before the disk is known to be right" asked pod wr-old
	sleep 7
	# A reason to look.
	lab_in pod ip link set wr-dc1 down
	test_check "asked for no more" lab_wait 5 bash -c "! ip netns exec wl$LAB_ID-pod ip link show wr-old" 2>/dev/null
	test_refuse "no file" asked pod wr-old
	test_check "ours stays" asked pod wr-dc1
}

status_says() {
	warren_status "$1" '.networks[].problem, .problems[]' | grep -q "$2"
}

left() {
	test_check "leave" warren_cli pod leave dc1
	test_check "nothing stays" lab_wait 3 is_gone pod
	test_check "join again" warren_join pod dc1
	test_check "served" lab_wait 5 served pod
	lab_stop pod wireguard
	test_check "leave while nobody serves" warren_cli pod leave dc1
	wireguard pod
	sleep 1
	test_check "nobody is asked any more" is_gone pod
}

probes() {
	lab_host p1 203.0.113.15
	test_exits "no agent" 3 warren_cli p1 status --ready
	warren_agent p1
	test_exits "alive" 0 warren_cli p1 status --ready
	test_exits "not in it" 1 warren_cli p1 status --ready --network dc1
	test_said "why" 'network dc1 is not up: this machine is not in it'
	test_exits "usage" 2 warren_cli p1 status --network dc1
	warren_join p1 dc1 >/dev/null
	test_exits "in it" 0 warren_cli p1 status --ready --network dc1
}

# As the environment of a pod gives them: several, of both families, with brackets whatever it is.
dns_places() {
	local at
	lab_host d1 203.0.113.18 2001:db8:77::18
	lab_spawn d1 agent env WARREN_DNS='[203.0.113.18]:5300,[2001:db8:77::18]:5300,127.0.0.1:5301' \
		WARREN_DNS_ALLOW='203.0.113.0/24,2001:db8::/32' warren-agent
	lab_wait 5 warren_cli d1 status --ready >/dev/null
	warren_join d1 dc1 >/dev/null
	for at in "203.0.113.18 -p 5300" "2001:db8:77::18 -p 5300" "127.0.0.1 -p 5301"; do
		test_check "at $at" lab_wait 5 answers d1 "$at"
	done
	test_check "from another host" answers n1 "203.0.113.18 -p 5300"
	test_exits "no place" 2 lab_in d1 env WARREN_DNS='[203.0.113.18]:5300x' warren-agent
	test_said "why" '--dns: .*5300x is not ADDRESS:PORT'
}

answers() {
	# shellcheck disable=SC2086 # words
	lab_in "$1" dig +short +time=1 +tries=1 @$2 d1.dc1 A | grep -q '^10\.77\.'
}

# A broken token ends an agent that has nothing to lose, an expired one does not end one that has.
tokens() {
	local token
	lab_host t1 203.0.113.16
	test_exits "broken" 1 lab_in t1 timeout 10 warren-agent --token nonsense
	test_said "why" '^warren-agent: --token: '
	token=$(warren_token dc1)
	warren_agent t1 --token "$token"
	test_check "joined" lab_wait 10 warren_cli t1 status --ready --network dc1
	lab_stop t1 agent
	token=$(warren_token dc1 --expires 1s)
	warren_cli hub network create other --range 10.78.0.0/24 >/dev/null
	token=$(warren_token other --expires 1s)
	sleep 1.5
	warren_agent t1 --token "$token" --token nonsense
	test_check "goes on" lab_wait 10 warren_cli t1 status --ready --network dc1
	test_check "says it" lab_wait 10 status_says t1 'token'
	test_value "problem=$(warren_status t1 '.problems[]' | tr ' ' _ | head -1)"
}

# first HOST NAME COMMAND...: the first process of a PID namespace, as in a container.
first() {
	lab_spawn "$1" "$2" unshare --pid --fork --mount-proc --kill-child "${@:3}"
}

zombies() {
	ps -o pid=,stat= --ppid "$1" 2>/dev/null | grep -c ' Z' || :
}

first_process() {
	local pid
	lab_host f1 203.0.113.17
	first f1 agent warren-agent
	lab_wait 5 warren_cli f1 status --ready >/dev/null
	pid=$(pgrep -P "$(lab_pid f1 agent)")
	test_check "join" warren_join f1 dc1 >/dev/null
	test_check "up" warren_cli f1 status --ready --network dc1
	kill -KILL "$(wireguard_pid f1)"
	sleep 3
	test_equal "zombies" "$(zombies "$pid")" 0
	test_check "back" lab_wait 10 warren_cli f1 status --ready --network dc1
	first f1 holder warren join "$(warren_token dc1)" --hold
	sleep 1
	kill -TERM "$(pgrep -P "$(lab_pid f1 holder)")"
	test_check "the holder ends" lab_wait_gone f1 holder 1
	kill -TERM "$pid"
	test_check "the agent ends" lab_wait_gone f1 agent 3
}

# Two gateways whose /proc/sys cannot be written.
read_only() {
	local id
	lab_nat dc2 203.0.113.30 2 && lab_host gw 192.168.2.11 && lab_host lan 192.168.2.12 || return
	lab_in gw sysctl -qw net.ipv4.ip_forward=0
	lab_spawn gw agent unshare -m sh -c "$READ_ONLY" sh --site dc2
	lab_wait 5 warren_cli gw status --ready >/dev/null
	test_check "join" warren_join gw dc1 --site dc2
	warren_cli hub gateway create --network dc1 --site dc2 --range 192.168.2.0/24 --node gw >/dev/null ||
		warren_cli hub gateway create --help
	test_check "said" lab_wait 10 status_says gw 'does not forward IPv4, and it cannot be switched on'
	test_value "problem=$(warren_status gw '.problems[]' | tr ' ' _ | head -1)"
	test_refuse "nothing is remembered as ours" lab_in gw test -e /run/warren/forwarding
	lab_in gw sysctl -qw net.ipv4.ip_forward=1
	test_check "it carries" lab_wait 70 warren_pings n1 192.168.2.12
	test_equal "rp_filter by netlink" "$(lab_in gw cat /proc/sys/net/ipv4/conf/wr-dc1/rp_filter)" 2
}

test_setup setup
test_add pods-agent-killed agent_killed
test_add pods-wireguard-killed wireguard_killed
test_add pods-names-checked names_checked
test_add pods-wireguard-pod wireguard_pod
test_add pods-not-waited-for not_waited_for
[ -z "${LONG:-}" ] || test_add pods-swept swept
test_add pods-left left
test_add pods-probes probes
test_add pods-dns-places dns_places
test_add pods-tokens tokens
test_add pods-first-process first_process
test_add pods-read-only read_only
test_main "$@"

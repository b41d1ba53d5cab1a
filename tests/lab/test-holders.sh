#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Held memberships: agent and holder started and killed in every order lose
# nothing; a place moves when its holder is gone, and only then.
#
# HOLDERS_SECONDS=N	how long the settled kernel is watched (3; make test-long: 300)
set -u
settled=${HOLDERS_SECONDS:-3}
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

setup() {
	lab_wan && warren_hub hub && warren_cli hub network create dc1 --range 10.77.0.0/24 &&
		warren_node n1 dc1 203.0.113.11 &&
		lab_host a 203.0.113.12 && lab_host b 203.0.113.13 && warren_agent b &&
		TOKEN=$(warren_token dc1 --at-most 1)
}

hold() {
	lab_spawn "$1" holder warren join "$TOKEN" --hold
}

unhold() {
	lab_kill "$1" holder "$2" && lab_wait_gone "$1" holder
}

is_in() {
	[ "$(warren_status "$1" '.networks | length')" = 1 ] && warren_pings n1 "$(warren_address "$1" dc1)"
}

is_out() {
	[ "$(warren_status "$1" '.networks | length')" = 0 ] && [ -z "$(lab_in "$1" wg show interfaces)" ]
}

said() {
	grep -q "$2" "$(lab_log "$1" holder)"
}

# A gateway that is given the token of its own cluster's network.
other_network() {
	local said
	said=$(lab_in a timeout 5 warren join "$TOKEN" --hold --network cloud 2>&1)
	test_check "it says which: $said" [ "$said" = "warren: the token is of network dc1, not of cloud; make one with \`warren token create --network cloud\`" ]
}

# The holder first, then the agent; then each killed while the other goes on.
any_order() {
	local address out
	hold a
	test_check "it says that it waits" lab_wait 3 said a 'waiting for it'
	test_check "the agent comes" warren_agent a
	test_check "joined and reached" lab_wait 10 is_in a || return
	address=$(warren_address a dc1)
	lab_ping_start n1 "$address"
	warren_wireguard a >"$LAB_DIR/wireguard-a"
	sleep 0.5
	unhold a KILL
	sleep 0.5
	hold a
	sleep 1
	lab_kill a agent KILL && lab_wait_gone a agent && warren_agent a
	sleep 2
	unhold a TERM
	lab_kill a agent KILL && lab_wait_gone a agent
	hold a
	sleep 1
	warren_agent a
	sleep 2
	warren_kernel_watch a
	sleep "$settled"
	test_equal "kernel changes after settling" "$(warren_kernel_changes a)" 0
	test_equal "WireGuard" "$(warren_wireguard a)" "$(cat "$LAB_DIR/wireguard-a")"
	out=$(lab_ping_stop n1 "$address")
	test_equal "pings lost ($out)" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	test_check "the same address" test "$(warren_address a dc1)" = "$address"
	test_value "settled_seconds=$settled $out"
}

# b tries all the time, and a keeps what it has.
kept() {
	test_check "a has it still" is_in a
	test_check "b is out" is_out b
	test_equal "members of dc1" "$(warren_cli hub node list --network dc1 --json | jq -r '.[].name')" $'a\nn1'
}

# a's agent is away for a moment: its holder comes back to the next one. b tries every five seconds,
# until long after the grace of ten.
agent_again() {
	hold b
	test_check "b is told that the place is taken" lab_wait 7 said b 'admits at most 1'
	lab_kill a agent KILL && lab_wait_gone a agent
	sleep 4
	warren_agent a
	test_check "a is back" lab_wait 10 warren_connected a
	sleep 11
	kept
	unhold b TERM
}

# What it knew of holders it reads again, and before it has, nobody is put out.
coordinator_again() {
	hold b
	test_check "b is told that the place is taken" lab_wait 7 said b 'admits at most 1'
	lab_kill hub coordinator KILL && lab_wait_gone hub coordinator
	warren_coordinator_start hub
	sleep 6
	kept
	lab_stop hub coordinator
	lab_kill a agent KILL && lab_wait_gone a agent
	warren_coordinator_start hub
	sleep 11
	test_check "b is out" is_out b
	warren_agent a
	test_check "a is back" lab_wait 10 warren_connected a
	sleep 6
	kept
	unhold b TERM
}

moves() {
	local ms
	hold b
	test_check "b is told that the place is taken" lab_wait 5 said b 'admits at most 1'
	sleep 6
	test_check "a has it still" is_in a
	test_check "b is out" is_out b
	unhold a KILL
	# It tries every five seconds.
	ms=$(lab_wait 7 is_in b)
	test_check "b has it" is_in b
	test_check "a tears down" lab_wait 5 is_out a
	hold a
	test_check "a is told" lab_wait 8 said a 'admits at most 1'
	test_check "b keeps it" is_in b
	test_value "moved_ms=$ms"
}

# Leaving ends the holder, and gives the place.
left() {
	test_check "b leaves" warren_cli b leave dc1
	test_check "its holder ends" lab_wait_gone b holder
	test_check "a has the place" lab_wait 12 is_in a
}

in_both() {
	[ "$(warren_status "$1" '.networks | length')" = 2 ]
}

only_own() {
	[ "$(warren_status "$1" '.networks[].name')" = cloud ]
}

mtu_is() {
	lab_in "$1" ip link show dev wr-cloud | grep -q " mtu $2 "
}

# A gateway of before is in its own network still, and follows what is said there.
own_network() {
	test_check "a network of their own" warren_cli hub network create cloud --range 10.78.0.0/24 || return
	test_check "a and b join it" eval 'warren_join a cloud && warren_join b cloud' || return
	test_check "a is in both" lab_wait 12 in_both a || return
	unhold a KILL
	hold b
	test_check "b has the place" lab_wait 17 in_both b
	test_check "a keeps its own" lab_wait 3 only_own a
	test_check "another MTU" warren_cli hub network set cloud --mtu 1380
	test_check "a has it" lab_wait 3 mtu_is a 1380
	test_equal "documents that a refuses" "$(warren_status a '.refused | add')" 0
}

test_setup setup
test_add holders-other-network other_network
test_add holders-any-order any_order
test_add holders-agent-again agent_again
test_add holders-coordinator-again coordinator_again
test_add holders-place-moves moves
test_add holders-leave left
test_add holders-own-network own_network
test_main "$@"

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Leaving and being removed: gone everywhere within a second, the host as it was
# before, and no way back in with what one had.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

setup() {
	lab_wan && warren_hub hub &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64 &&
		warren_node n1 dc1 203.0.113.11 2001:db8:77::11 &&
		warren_node n2 dc1 203.0.113.12 2001:db8:77::12 &&
		lab_host n3 203.0.113.13 2001:db8:77::13 && warren_agent n3 &&
		lab_host n4 203.0.113.14 2001:db8:77::14 && warren_agent n4
}

# gone_from_peers NAME ADDRESS: neither n1 nor n2 nor the coordinator has it.
gone_from_peers() {
	local host
	for host in n1 n2; do
		! warren_peers $host dc1 | grep -qx "$1" || return 1
		! lab_in $host wg show all allowed-ips | grep -qwF "$2" || return 1
	done
	! warren_cli hub node list --json | jq -e --arg n "$1" 'any(.[]; .name == $n)'
}

no_tunnel() {
	[ -z "$(lab_in "$1" wg show interfaces)" ]
}

leave() {
	local token address id ms
	lab_snapshot n3 "$LAB_DIR/before"
	token=$(warren_token dc1)
	test_check "n3 joins" warren_cli n3 join "$token" || return
	address=$(warren_address n3 dc1)
	id=$(warren_status n3 .node.id)
	test_check "n1 reaches it" lab_wait 3 warren_pings n1 "$address"
	lab_snapshot n3 "$LAB_DIR/joined"
	test_refuse "the snapshot sees the membership" diff -q "$LAB_DIR/before" "$LAB_DIR/joined"
	test_check "n3 leaves" warren_cli n3 leave dc1 || return
	ms=$(lab_wait 5 gone_from_peers n3 "$address")
	test_most "gone everywhere, ms" "$ms" 1000
	test_refuse "n1 does not reach it" warren_pings n1 "$address"
	test_equal "networks of n3" "$(warren_status n3 '.networks | length')" 0
	test_equal "retained topics that name it" "$(warren_retained | grep -c "/$id\(/\|$\)")" 0
	lab_snapshot n3 "$LAB_DIR/after"
	test_check "the host is as before" diff "$LAB_DIR/before" "$LAB_DIR/after"
	test_value "gone_ms=$ms"
	test_check "the same token admits it again" warren_cli n3 join "$token"
	test_check "n1 reaches it again" lab_wait 3 warren_pings n1 "$(warren_address n3 dc1)"
	test_check "n3 leaves all" warren_cli n3 leave --all
}

removed() {
	local token address id ms
	token=$(warren_token dc1)
	test_check "n4 joins" warren_cli n4 join "$token" || return
	address=$(warren_address n4 dc1)
	id=$(warren_status n4 .node.id)
	test_check "n1 reaches it" lab_wait 3 warren_pings n1 "$address"
	test_check "n4 is removed" warren_cli hub node remove n4 || return
	ms=$(lab_wait 5 gone_from_peers n4 "$address")
	test_most "gone everywhere, ms" "$ms" 1000
	test_refuse "n1 does not reach it" warren_pings n1 "$address"
	test_check "n4 itself tears down" lab_wait 5 no_tunnel n4
	test_equal "retained topics that name it" "$(warren_retained | grep -c "/$id\(/\|$\)")" 0
	test_exits "a token made before the removal" 1 warren_cli n4 join "$token"
	lab_kill n4 agent KILL
	lab_wait_gone n4 agent
	test_check "its agent starts again" warren_agent n4
	sleep 1
	test_check "it stays out" gone_from_peers n4 "$address"
	test_refuse "n1 does not reach it" warren_pings n1 "$address"
	lab_stop n4 agent
	test_check "its agent starts with the old token" warren_agent n4 --token "$token"
	sleep 1
	test_check "it stays out" gone_from_peers n4 "$address"
	test_exits "the old token once more" 1 warren_cli n4 join "$token"
	test_check "a new token admits it" warren_join n4 dc1
	test_check "n1 reaches it" lab_wait 3 warren_pings n1 "$(warren_address n4 dc1)"
	test_value "gone_ms=$ms"
}

test_setup setup
test_add leave-host-as-before leave
test_add leave-removed-stays-out removed
test_main "$@"

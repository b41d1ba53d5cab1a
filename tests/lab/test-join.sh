#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Joining: two public nodes, then ten nodes one of which stands behind a
# masquerading NAT; one agent per network namespace.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

NODES="n1 n2 n3 n4 n5 n6 n7 n8 n9 pc"

setup() {
	local i
	lab_wan && lab_nat office 203.0.113.20 1 && warren_hub hub || return 1
	for i in 1 2 3 4 5 6 7 8 9; do
		lab_host n$i 203.0.113.$((10 + i)) 2001:db8:77::$((10 + i)) || return 1
	done
	lab_host pc 192.168.1.11 && lab_host n10 203.0.113.30 &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64
}

join() {
	lab_pid "$1" agent >/dev/null || warren_agent "$1" || return 1
	[ "$(warren_status "$1" '.networks | length')" != 0 ] || warren_join "$1" dc1
}

public() {
	local from join_ms ping_ms
	test_check "agent of n1" warren_agent n1 || return
	test_check "n1 joins" warren_join n1 dc1 || return
	test_check "agent of n2" warren_agent n2 || return
	# Whoever hears of n2 knocks at once: its port is open by then.
	lab_in n1 nft 'add table inet probe; add chain inet probe in { type filter hook input priority 0; }
		add rule inet probe in icmp type destination-unreachable counter
		add rule inet probe in icmpv6 type destination-unreachable counter'
	from=$(lab_now_ms)
	test_check "n2 joins" warren_join n2 dc1 || return
	join_ms=$(($(lab_now_ms) - from))
	ping_ms=$(lab_wait 5 warren_pings n2 "$(warren_address n1 dc1)")
	test_most "first ping after the join, ms" "$ping_ms" 999
	test_equal "closed ports met" "$(lab_in n1 nft list table inet probe | grep -c 'counter packets 0 ')" 2
	test_check "the other way" lab_wait 1 warren_pings n1 "$(warren_address n2 dc1)"
	test_check "IPv6" lab_wait 1 warren_pings n1 "$(warren_address n2 dc1 6)"
	test_equal "n1 sees" "$(warren_peers n1 dc1)" n2
	test_equal "n2 sees" "$(warren_peers n2 dc1)" n1
	test_equal "the coordinator lists" \
		"$(warren_cli hub node list --network dc1 --json | jq -r '.[].name' | xargs)" "n1 n2"
	test_check "warren ping" warren_cli n1 ping n2 --count 1
	test_value "join_ms=$join_ms ping_ms=$ping_ms"
}

# all_ping HOST: it reaches every other node of $ADDRESSES.
all_ping() {
	local node address
	while read -r node address; do
		[ "$node" = "$1" ] || lab_wait 3 warren_pings "$1" "$address" >/dev/null || {
			echo "$1 does not reach $node at $address"
			return 1
		}
	done <<<"$ADDRESSES"
}

ten() {
	local node waiting=() from ADDRESSES
	from=$(lab_now_ms)
	for node in $NODES; do
		test_check "$node joins" join "$node" || return
	done
	test_value "joins_ms=$(($(lab_now_ms) - from))"
	ADDRESSES=$(for node in $NODES; do echo "$node $(warren_address "$node" dc1)"; done)
	test_equal "addresses are unique" "$(cut -d ' ' -f 2 <<<"$ADDRESSES" | sort -u | grep -c '^10\.77\.0\.')" 10
	from=$(lab_now_ms)
	for node in $NODES; do
		all_ping "$node" >"$LAB_DIR/all-$node" 2>&1 &
		waiting+=("$node:$!")
	done
	for node in "${waiting[@]}"; do
		wait "${node#*:}"
		test_equal "pings from ${node%:*}" "$?:$(cat "$LAB_DIR/all-${node%:*}")" 0:
	done
	test_value "pairs=90 pings_ms=$(($(lab_now_ms) - from))"
	test_equal "peers of pc" "$(warren_peers pc dc1 | xargs)" "n1 n2 n3 n4 n5 n6 n7 n8 n9"
	test_equal "endpoint of pc is its NAT's" \
		"$(warren_status n1 '.networks[0].peers[] | select(.name == "pc") | .endpoint | split(":")[0]')" 203.0.113.20
}

again() {
	local address
	test_check "n1 is joined" join n1 || return
	address=$(warren_address n1 dc1)
	test_check "it joins again" warren_join n1 dc1
	test_equal "its address" "$(warren_address n1 dc1)" "$address"
	test_equal "its name" "$(warren_status n1 .node.name)" n1
}

second_agent() {
	test_check "agent of n1" join n1 || return
	test_exits "a second agent" 1 lab_in n1 timeout 5 warren-agent --control /run/warren/second.sock
	test_said "it names who has the lock" "\\b$(lab_pid n1 agent)\\b"
	# One that a supervisor starts again and again.
	for _ in 1 2 3 4; do
		test_exits "the next one" 1 lab_in n1 timeout 5 warren-agent --control /run/warren/second.sock
	done
	test_said "why" "already serves this network namespace"
	test_check "the first goes on" warren_cli n1 status
}

# --token while there is no broker: what hinders it is said as long as it does.
waiting_token() {
	local token
	token=$(warren_token dc1)
	test_check "the broker goes" lab_stop hub mosquitto || return
	warren_agent n10 --token "$token"
	test_check "it says what it waits for" lab_wait 35 warren_problem n10 'the join with token'
	warren_broker_start hub
	test_check "it joins" lab_wait 50 is_up n10
	test_equal "problems" "$(warren_status n10 '.problems | length')" 0
}

is_up() {
	[ "$(warren_status "$1" '.networks[0].up')" = true ]
}

# The interface is there before the answer: it goes when that is a no.
not_let_in() {
	local token id
	test_check "agent of n9" warren_agent n9 || return
	token=$(warren_cli hub token create --network dc1 --json)
	id=$(jq -r .id <<<"$token")
	test_check "the token is revoked" warren_cli hub token revoke "$id"
	test_refuse "n9 is not let in" warren_cli n9 join "$(jq -r .token <<<"$token")"
	test_check "nothing is left" lab_wait 2 nothing_left n9
	test_check "with another one it is" warren_join n9 dc1
	test_equal "interfaces" "$(lab_in n9 wg show interfaces)" wr-dc1
	test_check "it leaves" warren_cli n9 leave --all
	test_check "nothing is left" lab_wait 2 nothing_left n9
	test_check "its agent ends" lab_stop n9 agent
}

nothing_left() {
	[ -z "$(lab_in "$1" sh -c '{ ip -o link; nft list tables; ip route; } | grep -E "wr-|warren|proto 190"')" ]
}

test_setup setup
test_add P01-both-public public
test_add join-refused-leaves-nothing not_let_in
test_add join-ten-one-behind-nat ten
test_add join-again-keeps-name-and-address again
test_add join-second-agent-refused second_agent
test_add join-token-waits-for-the-broker waiting_token
test_main "$@"

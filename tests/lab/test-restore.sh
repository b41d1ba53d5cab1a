#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# B10: a coordinator that lost what it knew cuts nobody. Members that its
# database does not know are orphans: in force, shown, and gone when released.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

DB=

setup() {
	lab_wan && warren_hub hub &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64 &&
		warren_node n1 dc1 203.0.113.11 2001:db8:77::11 &&
		warren_node n2 dc1 203.0.113.12 2001:db8:77::12 || return 1
	DB=$LAB_DIR/hub/.lab/lib/${WARREN_DB#/var/lib/}
}

network_orphans() {
	warren_cli hub network show dc1 --json |
		jq -r 'if type == "array" then .[0] else . end | [.orphans[]? | .name? // .] | sort | .[]'
}

orphans_are() {
	[ "$(warren_orphans "$1")" = "$2" ]
}

# A ping that must come through from now to traffic_stop.
traffic_start() {
	lab_ping_start n1 "$1"
	sleep 0.2
}

traffic_stop() {
	local out
	out=$(lab_ping_stop n1 "$1")
	test_least "pings ($out)" "$(sed 's/sent=\([0-9]*\).*/\1/' <<<"$out")" 20
	test_equal "pings lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	# shellcheck disable=SC2086
	test_value ${out% gap*}
}

old_database() {
	local address
	test_check "the coordinator stops" lab_stop hub coordinator
	mkdir "$LAB_DIR/backup"
	test_check "its database is copied" cp -a "$DB" "$LAB_DIR/backup/"
	test_check "it starts" warren_coordinator_start hub
	test_check "n3 joins after the backup" warren_node n3 dc1 203.0.113.13 2001:db8:77::13 || return
	address=$(warren_address n3 dc1)
	test_check "n1 reaches n3" lab_wait 5 warren_pings n1 "$address" || return
	traffic_start "$address"
	test_check "the coordinator stops" lab_stop hub coordinator
	rm -f "$DB"*
	test_check "the old database comes back" cp -a "$LAB_DIR/backup/." "$(dirname "$DB")/"
	test_check "it starts with it" warren_coordinator_start hub
	test_check "n1 has an orphan" lab_wait 10 orphans_are n1 1
	test_equal "orphans in network show" "$(network_orphans)" n3
	sleep 1
	traffic_stop "$address"
	test_check "a new node gets another address" warren_node n4 dc1 203.0.113.14 2001:db8:77::14
	test_refuse "the orphan's" test "$(warren_address n4 dc1)" = "$address"
	test_check "release" warren_cli hub network release dc1
	test_check "n1 has no orphan" lab_wait 5 orphans_are n1 0
	test_equal "peers of n1" "$(warren_peers n1 dc1 | xargs)" "n2 n4"
	test_refuse "n1 does not reach n3" warren_pings n1 "$address"
	test_equal "orphans in network show" "$(network_orphans)" ""
	test_check "n2 is still reached" warren_pings n1 "$(warren_address n2 dc1)"
}

empty_database() {
	local address peers
	peers=$(warren_peers n1 dc1 | wc -l)
	address=$(warren_address n2 dc1)
	test_check "n1 reaches n2" lab_wait 5 warren_pings n1 "$address" || return
	traffic_start "$address"
	test_check "the coordinator stops" lab_stop hub coordinator
	rm -f "$DB"*
	test_check "it starts with an empty database" warren_coordinator_start hub
	test_check "n1 has orphans" lab_wait 10 orphans_are n1 $((peers + 1)) # itself too
	test_check "network show lists n1" grep -qx n1 <(network_orphans)
	test_check "network show lists n2" grep -qx n2 <(network_orphans)
	sleep 1
	traffic_stop "$address"
	test_equal "n1 has all its peers" "$(warren_peers n1 dc1 | wc -l)" "$peers"
	test_check "release" warren_cli hub network release dc1
	test_check "n1 has no orphan" lab_wait 5 orphans_are n1 0
	test_refuse "n1 does not reach n2" warren_pings n1 "$address"
}

test_setup setup
test_add B10-old-database-restored old_database
test_add B10-empty-database empty_database
test_main "$@"

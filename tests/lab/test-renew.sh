#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Certificates of nodes over days, under traffic: about to end while the
# coordinator is away, renewed when it is back, ended. Broker, coordinator and
# agents run under libfaketime with one clock, which clock_set moves; the
# machine's clock and the monotonic one stay.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

HOUR=3600
DAY=$((24 * HOUR))

# clock_set SECONDS: ahead of the machine's.
clock_set() {
	echo "+$1" >"$LAB_DIR/clock.new" && mv "$LAB_DIR/clock.new" "$LAB_DIR/clock"
}

# Programs of this name run with that clock.
clock_wrap() {
	local real
	real=$(PATH=$WARREN_BIN:$PATH:/usr/sbin command -v "$1") || return 1
	cat >"$LAB_DIR/bin/$1" <<-END
		#!/bin/sh
		export LD_PRELOAD=$FAKETIME_LIB FAKETIME_TIMESTAMP_FILE=$LAB_DIR/clock
		export FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1
		exec $real "\$@"
	END
	chmod +x "$LAB_DIR/bin/$1"
}

setup() {
	local program
	FAKETIME_LIB=$(find /usr/lib -name libfaketimeMT.so.1 | head -1)
	[ -n "$FAKETIME_LIB" ] && mkdir "$LAB_DIR/bin" && clock_set 0 || return 1
	chmod go+x "$LAB_DIR" # the broker is not root for long
	for program in mosquitto warren-coordinator warren-agent; do
		clock_wrap $program || return 1
	done
	# shellcheck disable=SC2034
	LAB_PATH=$LAB_DIR/bin:$WARREN_BIN
	lab_wan && warren_hub hub &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 &&
		warren_node n1 dc1 203.0.113.11 2001:db8:77::11 &&
		warren_node n2 dc1 203.0.113.12 2001:db8:77::12 &&
		A2=$(warren_address n2 dc1) &&
		lab_wait 5 warren_pings n1 "$A2"
}

no_problem() {
	[ -z "$(warren_status "$1" '.problems[]')" ]
}

connections() {
	grep -c broker-connected "$(lab_log "$1" agent)"
}

reconnected() {
	[ "$(connections "$1")" -gt "$2" ] && [ "$(warren_status "$1" .broker.connected)" = true ]
}

traffic_stop() {
	local out
	sleep 1
	out=$(lab_ping_stop n1 "$A2")
	test_least "pings ($out)" "$(sed 's/sent=\([0-9]*\).*/\1/' <<<"$out")" 20
	test_equal "pings lost ($out)" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
}

about_to_end() {
	local before ms host
	lab_ping_start n1 "$A2"
	before=$(connections n1)
	test_check "the coordinator stops" lab_stop hub coordinator || return
	clock_set $((3 * DAY + 20 * HOUR))
	test_check "no warning yet" no_problem n1
	clock_set $((4 * DAY + HOUR))
	test_check "a warning 3 days before" lab_wait 2 warren_problem n1 'certificate ends at .* in 7[01] hours'
	clock_set $((6 * DAY + HOUR))
	test_check "a warning 1 day before" lab_wait 2 warren_problem n1 'certificate ends at .* in 2[23] hours'
	test_equal "connections meanwhile" "$(connections n1)" "$before"
	test_check "the coordinator starts again" warren_coordinator_start hub
	ms=$(lab_wait 10 reconnected n1 "$before")
	test_most "reconnected with a new one, ms" "$ms" 10000
	for host in n1 n2; do
		test_check "no warning on $host any more" lab_wait 10 no_problem $host
	done
	traffic_stop
	clock_set $((10 * DAY))
	test_check "the new one is good for days" no_problem n1
	lab_kill n2 agent KILL
	lab_wait_gone n2 agent
	test_check "it is on the disk" warren_agent n2
	test_check "and the broker takes it" lab_wait 5 reconnected n2 0
	test_value "renewed_ms=$ms"
}

ended() {
	local before token
	lab_ping_start n1 "$A2"
	token=$(warren_token dc1 --expires 90d)
	test_check "the coordinator stops" lab_stop hub coordinator
	clock_set $((20 * DAY))
	test_check "it says so" lab_wait 2 warren_problem n1 'certificate ended at'
	lab_stop n2 agent
	test_check "n2 starts again" warren_agent n2
	before=$(connections n2)
	test_check "n2 says so" lab_wait 2 warren_problem n2 'certificate ended at'
	sleep 1
	test_equal "the broker lets n2 in no more" "$(connections n2)" "$before"
	before=$(connections n1)
	test_check "the coordinator starts again" warren_coordinator_start hub
	test_check "n1 had a connection, and is renewed" lab_wait 10 reconnected n1 "$before"
	test_check "no warning any more" lab_wait 5 no_problem n1
	test_check "n2 joins again" warren_cli n2 join "$token"
	test_equal "with the address that it had" "$(warren_address n2 dc1)" "$A2"
	test_check "no warning there either" lab_wait 5 no_problem n2
	traffic_stop
}

test_setup setup
test_add I06-certificate-about-to-end about_to_end
test_add renew-ended ended
test_main "$@"

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Programs that stop, are killed or lose what they had, under traffic: pings
# 20 times a second from n1 to a public node and to one behind a NAT.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

setup() {
	lab_wan && lab_nat office 203.0.113.20 1 && warren_hub hub &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64 &&
		warren_node n1 dc1 203.0.113.11 2001:db8:77::11 &&
		warren_node n2 dc1 203.0.113.12 2001:db8:77::12 &&
		warren_node pc dc1 192.168.1.11
}

# Everything runs and is connected, whatever the test before left.
mesh_up() {
	local host
	lab_pid hub mosquitto >/dev/null || warren_broker_start hub || return 1
	lab_pid hub coordinator >/dev/null || warren_coordinator_start hub || return 1
	for host in n1 n2 pc; do
		lab_pid $host agent >/dev/null || warren_agent $host || return 1
		lab_wait 15 warren_connected $host >/dev/null || return 1
	done
	A1=$(warren_address n1 dc1)
	A2=$(warren_address n2 dc1)
	APC=$(warren_address pc dc1)
	lab_wait 10 warren_pings n1 "$A2" && lab_wait 10 warren_pings n1 "$APC"
}

traffic_start() {
	lab_ping_start n1 "$A2"
	lab_ping_start n1 "$APC"
	TRAFFIC_FROM=$(lab_now_ms)
	sleep 0.2
}

# traffic_stop SECONDS: at least so long after its start; 0 may be lost.
traffic_stop() {
	local address out sent=0 lost=0
	until [ $(($(lab_now_ms) - TRAFFIC_FROM)) -ge $(($1 * 1000)) ]; do sleep 0.05; done
	for address in "$A2" "$APC"; do
		out=$(lab_ping_stop n1 "$address")
		test_least "pings to $address ($out)" "$(sed 's/sent=\([0-9]*\).*/\1/' <<<"$out")" $(($1 * 18))
		sent=$((sent + $(sed 's/sent=\([0-9]*\).*/\1/' <<<"$out")))
		lost=$((lost + $(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")))
	done
	test_equal "pings lost" $lost 0
	test_value "sent=$sent lost=$lost"
}

watch_start() {
	local host
	for host in n1 n2 pc; do
		warren_wireguard $host >"$LAB_DIR/wireguard-$host"
		warren_kernel_watch $host
	done
}

# No kernel was changed.
watch_stop() {
	local host changes sum=0
	for host in n1 n2 pc; do
		changes=$(warren_kernel_changes $host)
		test_equal "kernel changes on $host" "$changes" 0
		sum=$((sum + changes))
		test_equal "WireGuard on $host" "$(warren_wireguard $host)" "$(cat "$LAB_DIR/wireguard-$host")"
	done
	test_value "kernel_changes=$sum"
}

coordinator_restart() {
	local out
	test_check "the mesh is up" mesh_up || return
	test_check "publishes are watched" warren_publish_watch || return
	watch_start
	traffic_start
	lab_kill hub coordinator KILL
	lab_wait_gone hub coordinator
	test_check "it starts again" warren_coordinator_start hub
	test_check "the agents see it" lab_wait 5 warren_connected n1
	traffic_stop 6
	out=$(warren_publish_count)
	watch_stop
	test_equal "publishes of unchanged documents" "$(sed 's/.*repeats=//' <<<"$out")" 0
	# shellcheck disable=SC2086
	test_value $out
}

filled() {
	[ -z "$(comm -23 "$LAB_DIR/retained" <(warren_retained))" ]
}

broker_restart() {
	local ms
	test_check "the mesh is up" mesh_up || return
	warren_retained >"$LAB_DIR/retained"
	test_least "retained topics" "$(wc -l <"$LAB_DIR/retained")" 5
	watch_start
	traffic_start
	test_check "the broker is killed and its store lost" warren_broker_lose hub
	test_check "it starts again" warren_broker_start hub
	ms=$(lab_wait 15 filled) || test_check "filled again (first column: missing)" \
		diff "$LAB_DIR/retained" <(warren_retained)
	test_most "filled again, ms" "$ms" 10000
	test_check "n2 is connected" lab_wait 10 warren_connected n2
	traffic_stop 6
	watch_stop
	test_check "a new node is admitted and seen" warren_node late dc1 203.0.113.30
	test_check "n1 reaches it" lab_wait 3 warren_pings n1 "$(warren_address late dc1)"
	warren_cli late leave --all >/dev/null
	lab_stop late agent
	test_value "filled_ms=$ms"
}

wireguard_go() {
	lab_procs "$1" | awk '$2 == "wireguard-go" { print $1 }'
}

agent_killed() {
	local tunnel ppid
	test_check "the mesh is up" mesh_up || return
	tunnel=$(wireguard_go n2)
	if [ -n "$tunnel" ]; then
		ppid=$(awk '/^PPid:/ { print $2 }' "/proc/$tunnel/status")
		test_check "wireguard-go is no child of the agent" test "$ppid" != "$(lab_pid n2 agent)"
		test_refuse "it is in the agent's session" test "$(ps -o sid= -p "$tunnel" | xargs)" = "$(ps -o sid= -p "$(lab_pid n2 agent)" | xargs)"
	fi
	watch_start
	traffic_start
	lab_kill n2 agent KILL
	lab_wait_gone n2 agent
	sleep 1
	test_check "it starts again" warren_agent n2
	test_check "and connects" lab_wait 10 warren_connected n2
	traffic_stop 6
	watch_stop
	test_equal "wireguard-go is the same process" "$(wireguard_go n2)" "$tunnel"
}

coordinator_stopped() {
	test_check "the mesh is up" mesh_up || return
	watch_start
	traffic_start
	test_check "the coordinator stops" lab_stop hub coordinator
	traffic_stop 6
	test_equal "the agents say so" "$(warren_status n1 .coordinator.present)" false
	watch_stop
}

reboot_alone() {
	local ms nat_ms
	test_check "the mesh is up" mesh_up || return
	lab_kill hub coordinator KILL && lab_kill hub mosquitto KILL
	lab_wait_gone hub coordinator && lab_wait_gone hub mosquitto
	test_check "n2 reboots" lab_reboot n2
	test_refuse "its tunnel is gone" warren_pings n1 "$A2"
	lab_spawn n2 agent warren-agent
	ms=$(lab_wait 10 warren_pings n1 "$A2")
	test_most "n1 reaches it again, ms" "$ms" 5000
	test_check "it reaches n1" lab_wait 1 warren_pings n2 "$A1"
	nat_ms=$(lab_wait 25 warren_pings pc "$A2")
	test_most "the node behind the NAT reaches it, ms" "$nat_ms" 20000
	test_equal "broker of n2" "$(warren_status n2 .broker.connected)" false
	test_value "back_ms=$ms nat_back_ms=$nat_ms"
}

test_setup setup
test_add B04-coordinator-restarted coordinator_restart
test_add restart-broker-without-store broker_restart
test_add restart-agent-killed agent_killed
test_add B01-coordinator-stopped coordinator_stopped
test_add B02-reboot-without-coordinator reboot_alone
test_main "$@"

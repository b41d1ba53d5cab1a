#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Names on nodes without clusters: who is answered what and where, before the
# first reading ever, and after a reboot with broker and coordinator gone.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

DNS=203.0.113.11

agent_of_n1() {
	warren_agent n1 --dns $DNS:5300 --dns-allow 203.0.113.12/32
}

setup() {
	lab_wan && warren_hub hub && lab_host n1 $DNS && lab_host n2 203.0.113.12 &&
		lab_host out 203.0.113.13 &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64 &&
		warren_cli hub network create dc2 --range 10.78.0.0/24 &&
		agent_of_n1 && warren_agent n2 &&
		warren_join n1 dc1 && warren_join n2 dc1 && warren_join n1 dc2 &&
		warren_cli hub name add orders-db 192.0.2.9 2001:db8::9 --network dc1
}

# asked HOST SERVER[#PORT] NAME TYPE [OPTION...]: "NOERROR 10.77.0.1", records sorted.
asked() {
	local port=53
	[[ $2 != *#* ]] || port=${2#*#}
	lab_in "$1" dig +time=1 +tries=1 "${@:5}" -p $port "@${2%#*}" "$3" "$4" | awk '
		/status:/ { sub(/.*status: /, ""); sub(/,.*/, ""); print 0, $0; said = 1 }
		/^;; flags:.* tc[ ;]/ { print 1, "TC" }
		/^;; AUTHORITY/ { soa = 1 }
		soa && /\tSOA\t/ { print 3, "SOA" }
		/^;; ANSWER/ { answers = 1; next }
		/^$/ { answers = 0 }
		answers { print 2, $NF }
		END { if (!said) print 0, "SILENCE" }' | sort | cut -d " " -f 2 | xargs
}

says() {
	[ "$(asked "${@:2}")" = "$1" ]
}

is() {
	test_equal "$3 $4 at $2 from $1" "$(asked "$1" "$2" "$3" "$4" "${@:6}")" "$5"
}

# The name that is asked for the names of an address.
arpa() {
	python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).reverse_pointer)' "$1"
}

questions() {
	local one two at
	one=$(warren_address n1 dc1) two=$(warren_address n2 dc1) at=$one
	test_check "n1 knows n2" lab_wait 5 says "NOERROR $two" n1 "$at" n2.dc1 A || return
	test_check "n1 knows the added name" lab_wait 5 says "NOERROR 192.0.2.9" n1 "$at" orders-db.dc1 A
	is n1 "$at" n1.dc1 A "NOERROR $one"
	is n1 "$at" n2.dc1 AAAA "NOERROR $(warren_address n2 dc1 6)"
	is n1 "$at" n2.dc1 MX "NOERROR SOA"
	is n1 "$at" orders-db.dc1 AAAA "NOERROR 2001:db8::9"
	is n1 "$at" N2.DC1 A "NOERROR $two"
	is n1 "$at" none.dc1 A "NXDOMAIN SOA"
	is n1 "$at" dc1 SOA "NOERROR 1"
	is n1 "$at" dc1 NS "NOERROR n1.dc1."
	is n1 "$at" none.dc1 AAAA "NXDOMAIN SOA" +tcp
	is n1 "$at" n2.dc1 A "NOERROR $two" +tcp
	is n1 "$at" n1.dc2 A "NOERROR $(warren_address n1 dc2)"
	is n1 "$at" n1.dc2 AAAA "NOERROR SOA"
	is n1 "$at" example.com A REFUSED
	is n1 "$at" "$(arpa "$two")" PTR "NOERROR n2.dc1."
	is n1 "$at" "$(arpa "$(warren_address n2 dc1 6)")" PTR "NOERROR n2.dc1."
	is n1 "$at" 99.0.77.10.in-addr.arpa PTR "NXDOMAIN SOA"
	is n1 "$at" 1.0.99.10.in-addr.arpa PTR REFUSED
	is n2 "$two" "$(arpa "$(warren_address n1 dc2)")" PTR REFUSED
	is n1 "$at" clusterset.local SOA "NOERROR 1"
	is n1 "$at" web.shop.svc.clusterset.local A "NXDOMAIN SOA"
	test_equal "no transfers" "$(lab_in n1 dig "@$at" dc1 AXFR | grep -c 'Transfer failed')" 1
	is n1 "$at" n2.dc1 A "BADVERS" +edns=1 +noednsneg
	test_check "warren ping of an added node's name" warren_cli n1 ping n2.dc1 --count 1
}

# Members at the mesh address, about their network; --dns-allow at --dns; others are refused.
askers() {
	local at
	at=$(warren_address n1 dc1)
	test_check "n2 asks n1" lab_wait 5 says "NOERROR $(warren_address n2 dc1)" n2 "$at" n2.dc1 A
	is n2 "$at" n1.dc2 A REFUSED
	is n2 $DNS#5300 n1.dc2 A "NOERROR $(warren_address n1 dc2)"
	is out $DNS#5300 n1.dc1 A REFUSED
	is out $DNS#5300 n1.dc1 A REFUSED +tcp
	is out $DNS n1.dc1 A SILENCE
}

names_follow() {
	local ms
	warren_cli hub name add fresh 192.0.2.10 --network dc1 || return 1
	ms=$(lab_wait 5 says "NOERROR 192.0.2.10" n2 "$(warren_address n2 dc1)" fresh.dc1 A)
	test_most "added name, ms" "$ms" 1000
	warren_cli hub name delete fresh --network dc1
	ms=$(lab_wait 5 says "NXDOMAIN SOA" n2 "$(warren_address n2 dc1)" fresh.dc1 A)
	test_most "deleted name, ms" "$ms" 1000
}

reboot() {
	local at two ms from
	at=$(warren_address n1 dc1) two=$(warren_address n2 dc1)
	lab_kill hub coordinator KILL && lab_kill hub mosquitto KILL && lab_reboot n1
	from=$(lab_now_ms)
	agent_of_n1
	test_check "names again" lab_wait 10 says "NOERROR $two" n1 "$at" n2.dc1 A
	ms=$(($(lab_now_ms) - from))
	test_most "names after the reboot, ms" "$ms" 5000
	is n1 "$at" orders-db.dc1 A "NOERROR 192.0.2.9"
	is n1 "$at" none.dc1 A "NXDOMAIN SOA"
	is n2 $DNS#5300 orders-db.dc1 A "NOERROR 192.0.2.9"
	test_value "names_ms=$ms"
}

# Its journals were never read: what it does not know may exist all the same.
first_reading() {
	local at two
	at=$(warren_address n1 dc1) two=$(warren_address n2 dc1)
	lab_kill hub coordinator KILL
	lab_kill hub mosquitto KILL
	lab_stop n1 agent
	python3 - "$LAB_DIR/n1/.lab/lib/warren/state.db" <<-'PYTHON'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		for table in ("journals", "members", "joins"):
		    db.execute("DELETE FROM " + table)
		db.commit()
	PYTHON
	agent_of_n1
	is n1 "$at" n2.dc1 A SERVFAIL
	is n1 "$at" none.dc1 A SERVFAIL
	is n1 "$at" n1.dc1 A "NOERROR $at"
	is n1 "$at" example.com A REFUSED
	test_check "the broker" warren_broker_start hub
	test_check "the coordinator" warren_coordinator_start hub
	test_check "n2 again" lab_wait 15 says "NOERROR $two" n1 "$at" n2.dc1 A
	test_check "and what is not there" lab_wait 5 says "NXDOMAIN SOA" n1 "$at" none.dc1 A
}

left() {
	local at
	at=$(warren_address n1 dc1)
	test_check "n1 and n2 are connected" lab_wait 15 warren_connected n1 && lab_wait 15 warren_connected n2 >/dev/null || return
	test_check "n1 leaves" warren_cli n1 leave dc1
	is n1 $DNS#5300 n1.dc1 A REFUSED
	is n1 $DNS#5300 n1.dc2 A "NOERROR $(warren_address n1 dc2)"
	test_equal "nobody listens there" "$(lab_in n1 ss -lnutH | grep -cF "$at:53 ")" 0
	test_check "n2 forgets it" lab_wait 5 says "NXDOMAIN SOA" n2 "$(warren_address n2 dc1)" n1.dc1 A
}

test_setup setup
test_add names-questions questions
test_add names-askers askers
test_add names-follow-changes names_follow
test_add N04-names-after-reboot reboot
test_add names-servfail-before-first-reading first_reading
test_add names-of-a-network-left left
test_main "$@"

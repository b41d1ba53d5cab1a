#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sites joined: gateways and names, from pods. Three sites of two nodes, a behind
# a NAT, b and c dual stack on the internet.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh
. ./sites.sh

SITES="a b c"
A_WEB=10.43.0.80 B_WEB=10.45.0.80 C_WEB=10.47.0.80 B_WEB6=fd00:45::80

setup() {
	local s
	lab_wan && warren_hub hub && lab_nat a 203.0.113.20 1 &&
		site a 10.42 10.43 192.168.1.11 192.168.1.12 &&
		site b 10.44,fd00:44:0 10.45,fd00:45:0 203.0.113.21,2001:db8:77::21 203.0.113.22,2001:db8:77::22 &&
		site c 10.46,fd00:46:0 10.47,fd00:47:0 203.0.113.31,2001:db8:77::31 203.0.113.32,2001:db8:77::32 &&
		site_service a default/web-a $A_WEB a-p1 a-p2 &&
		site_service b default/web-b $B_WEB,$B_WEB6 b-p1 b-p2 &&
		site_service c default/web-c $C_WEB,fd00:47:0::80 c-p1 c-p2 || return 1
	for s in $SITES; do
		site_service $s default/web "$(_web $s)" $s-p2 && site_agents $s || return 1
	done
}

_web() {
	case $1 in
	a) echo 10.43.0.90 ;;
	b) echo 10.45.0.90,fd00:45:0::90 ;;
	c) echo 10.47.0.90,fd00:47:0::90 ;;
	esac
}

# reached FROM TO ZONE: pods of FROM get pages of TO by service address, pod address and name.
reached() {
	local pod number service pods
	case $2 in
	a) service=$A_WEB pods=10.42 ;;
	b) service=$B_WEB pods=10.44 ;;
	c) service=$C_WEB pods=10.46 ;;
	esac
	for pod in $(site_pods "$1"); do
		test_check "$pod: service of $2" lab_wait 5 site_served "$pod" http://$service/ "$2-p[12]"
		for number in 1 2; do
			test_check "$pod: pod $2-p$number" site_served "$pod" http://$pods.$number.10:8080/ "$2-p$number"
		done
		test_check "$pod: web-$2.default.$3" lab_wait 5 site_served "$pod" "http://web-$2.default.$3/" "$2-p[12]"
	done
}

# all_reached PREFIX: every site every other one, TO's names in the zone PREFIX + TO ("one": in zone one).
all_reached() {
	local from to
	for from in $SITES; do
		for to in $SITES; do
			[ $from = $to ] || reached $from $to "$1$([ "$1" = one ] || echo $to)"
		done
	done
}

forget() {
	local s node
	for s in $SITES; do
		lab_stop $s-p1 exporter
		rm -rf "$LAB_DIR/$s-p1/.lab/lib/warren-exporter"
		for node in $(site_nodes $s); do
			warren_cli "$node" leave --all || return 1
		done
		: >"$LAB_DIR/$s-dns/.lab/lib/servers"
		lab_kill $s-dns dnsmasq HUP
	done
}

one_network() {
	local s from
	test_check "network one" warren_cli hub network create one --range 10.99.0.0/24 --range fd99::/64 || return
	from=$(lab_now_ms)
	for s in $SITES; do
		test_check "$s joins" site_join one $s-n1 $s-n2 || return
		test_check "gateway of $s" site_gateway $s one || return
		test_check "exporter of $s" site_exporter $s one
		test_check "DNS of $s" site_names $s one
	done
	test_value "set_up_ms=$(($(lab_now_ms) - from))"
	all_reached one
	# A name that all three export: the asker's own site's.
	for s in $SITES; do
		test_check "web.default.one in $s" lab_wait 5 site_says $s-n1 web.default.one A "NOERROR $(_site_4 "$(_web $s)")"
	done
	test_check "all leave" forget
	test_refuse "a-p1 still reaches b" site_served a-p1 http://$B_WEB/ "b-*"
}

# Networks na, nb, nc: a site's nodes in their own, the first nodes in all three. What the next tests use.
three_networks() {
	local s t from
	for s in $SITES; do
		test_check "network n$s" warren_cli hub network create n$s \
			--range "10.9$(tr abc 123 <<<$s).0.0/24" --range "fd9$(tr abc 123 <<<$s)::/64" || return
	done
	from=$(lab_now_ms)
	for s in $SITES; do
		test_check "nodes of $s join n$s" site_join n$s $s-n1 $s-n2 || return
		for t in $SITES; do
			[ $s = $t ] || test_check "$t-n1 joins n$s" site_join n$s $t-n1 || return
		done
	done
	for s in $SITES; do
		for t in $SITES; do
			[ $s = $t ] || test_check "gateway of $t in n$s" site_gateway $t n$s || return
		done
		test_check "exporter of $s" site_exporter $s n$s
		test_check "DNS of $s" site_names $s na nb nc
	done
	test_value "set_up_ms=$(($(lab_now_ms) - from))"
	all_reached n
}

joined() {
	lab_pid b-p1 exporter >/dev/null || three_networks
}

dual_stack() {
	local pod
	test_check "the sites are joined" joined || return
	for pod in c-p1 c-p2; do
		test_check "$pod: service by IPv6" lab_wait 5 site_served $pod "http://[$B_WEB6]/" "b-p[12]"
		test_check "$pod: pod by IPv6" site_served $pod "http://[fd00:44:0:2::10]:8080/" b-p2
		test_check "$pod: service by IPv4" site_served $pod http://$B_WEB/ "b-p[12]"
	done
	test_equal "A" "$(site_dig c-n1 web-b.default.nb A)" "NOERROR $B_WEB"
	test_equal "AAAA" "$(site_dig c-n1 web-b.default.nb AAAA)" "NOERROR $B_WEB6"
	test_equal "AAAA of an IPv4-only name" "$(site_dig c-n1 web-a.default.na AAAA)" NOERROR
	test_equal "unknown name" "$(site_dig c-n1 nothing.default.na A)" NXDOMAIN
	test_equal "unknown zone" "$(site_dig c-n1 web.default.nowhere A)" REFUSED
	test_equal "node name" "$(site_dig c-n1 b-n2.nb A)" "NOERROR $(warren_address b-n2 nb)"
	test_equal "name of a service's address" "$(site_dig c-n1 80.0.45.10.in-addr.arpa PTR)" "NOERROR web-b.default.nb."
	test_equal "no name of an address" "$(site_dig c-n1 81.0.45.10.in-addr.arpa PTR)" NXDOMAIN
	test_equal "all networks" "$(site_dig c-n1 web-b.default.svc.clusterset.local AAAA)" "NOERROR $B_WEB6"
	test_equal "all networks, unknown" "$(site_dig c-n1 none.default.svc.clusterset.local A)" NXDOMAIN
}

headless() {
	local ms
	test_check "the sites are joined" joined || return
	site_headless b default/heads b-p1 b-p2 && site_export b
	ms=$(lab_wait 5 site_says c-n1 heads.default.nb A "NOERROR 10.44.1.10 10.44.2.10")
	test_equal "both endpoints" "$(site_dig c-n1 heads.default.nb A)" "NOERROR 10.44.1.10 10.44.2.10"
	test_equal "one by its host name" "$(site_dig c-n1 b-p2.heads.default.nb A)" "NOERROR 10.44.2.10"
	test_equal "SRV of its port" "$(site_dig c-n1 _http._tcp.web-b.default.nb SRV | cut -d ' ' -f 1,4)" "NOERROR 80"
	site_headless b default/heads b-p2 && site_export b
	test_check "one endpoint" lab_wait 5 site_says c-n1 heads.default.nb A "NOERROR 10.44.2.10"
	site_unservice b default/heads && site_export b
	test_check "deleted" lab_wait 5 site_says c-n1 heads.default.nb A NXDOMAIN
	test_value "answer_ms=$ms"
}

# asked: what site_ask_stop says; nothing may have been missed.
not_missed() {
	test_least "answers asked for ($2)" "$(sed 's/asked=\([0-9]*\).*/\1/' <<<"$2")" 20
	test_equal "$1 missed" "$(sed 's/.*missed=//' <<<"$2")" 0
	test_value "$2"
}

# dig_big OPTION...: how many addresses of the service, and the answer's flags: "N qr aa tc".
dig_big() {
	lab_in c-n1 dig +time=2 +tries=1 "$@" "@$(site_dns_address c-n1)" -p 5300 big.default.nb A | awk '
		/^;; flags:/ { sub(/.*flags: /, ""); sub(/;.*/, ""); flags = $0 }
		/\tIN\tA\t/ { n++ }
		END { print n + 0, flags }'
}

big_is_listed() {
	local out
	out=$(warren_cli hub dns list --network nb | grep '^big.default.nb ')
	[ "$(wc -l <<<"$out")" = 1 ] && [[ $out == *" and 9992 more "* ]]
}

ten_thousand() {
	local file=$LAB_DIR/b-p1/.lab/lib/services.json out ms
	test_check "the sites are joined" joined || return
	site_export b
	jq -c '.services += [{name: "big", endpoints: [range(10000) |
		{addresses: ["10.44.\(100 + . / 250 | floor).\(1 + . % 250)"]}]}]' "$file" >"$file.new" && mv "$file.new" "$file"
	ms=$(lab_wait 10 big_is_listed)
	test_check "one line of the list has them all" big_is_listed
	test_equal "TCP: what 64 KiB hold" "$(dig_big +tcp)" "4093 qr aa tc rd"
	test_equal "UDP: what fits, and that there are more" "$(dig_big +ignore)" "74 qr aa tc rd"
	test_check "one of them by its address" lab_wait 2 \
		site_says c-n1 250.139.44.10.in-addr.arpa PTR "NOERROR 10-44-139-250.big.default.nb."
	site_export b
	test_check "deleted" lab_wait 5 site_says c-n1 big.default.nb A NXDOMAIN
	test_value "listed_ms=$ms"
}

dead_exporter() {
	test_check "the sites are joined" joined || return
	site_ask_start c-n1 web-b.default.nb
	test_check "exporter of b is killed" lab_kill b-p1 exporter KILL
	lab_wait_gone b-p1 exporter
	sleep 2
	test_check "its names stay" site_says c-n1 web-b.default.nb A "NOERROR $B_WEB"
	test_check "services too" site_served c-p2 http://web-b.default.nb/ "b-p[12]"
	site_service b default/new 10.45.0.99 b-p1
	site_export b
	lab_spawn b-p1 exporter warren-exporter --services /var/lib/services.json
	test_check "it comes back: the new service" lab_wait 5 site_says c-n1 new.default.nb A "NOERROR 10.45.0.99"
	not_missed web-b "$(site_ask_stop c-n1 web-b.default.nb)"
}

state_deleted() {
	local ms
	test_check "the sites are joined" joined || return
	site_service b default/old 10.45.0.98 b-p1
	site_export b
	test_check "a service" lab_wait 5 site_says c-n1 old.default.nb A "NOERROR 10.45.0.98" || return
	site_ask_start c-n1 web-b.default.nb
	lab_stop b-p1 exporter
	rm -rf "$LAB_DIR/b-p1/.lab/lib/warren-exporter"
	site_unservice b default/old
	sleep 1
	test_check "still answered" site_says c-n1 old.default.nb A "NOERROR 10.45.0.98"
	test_check "the exporter returns" site_exporter b nb
	ms=$(lab_wait 8 site_says c-n1 old.default.nb A NXDOMAIN)
	test_most "deleted service is NXDOMAIN, ms" "$ms" 5000
	sleep 1
	not_missed web-b "$(site_ask_stop c-n1 web-b.default.nb)"
	test_equal "exporters of nb" "$(warren_cli hub exporter list --json | jq '[.[] | select(.network == "nb")] | length')" 1
	test_value "gone_ms=$ms"
}

two_exporters() {
	test_check "the sites are joined" joined || return
	site_ask_start c-n1 web-b.default.nb
	test_check "a second exporter of b" site_exporter b nb b-p2
	sleep 2
	site_service b default/second 10.45.0.97 b-p1
	site_export b b-p2
	test_check "the second is heard" lab_wait 5 site_says c-n1 second.default.nb A "NOERROR 10.45.0.97"
	site_unservice b default/web-b
	site_export b b-p1
	sleep 2
	test_check "the first is not" site_says c-n1 web-b.default.nb A "NOERROR $B_WEB"
	# The first one joins again, as who it was.
	site_service b default/web-b $B_WEB,$B_WEB6 b-p1 b-p2
	site_service b default/first 10.45.0.95 b-p1
	lab_stop b-p1 exporter
	test_check "the first joins again" site_exporter b nb
	test_check "now it is heard" lab_wait 5 site_says c-n1 first.default.nb A "NOERROR 10.45.0.95"
	not_missed web-b "$(site_ask_stop c-n1 web-b.default.nb)"
	lab_stop b-p1 exporter
	lab_stop b-p2 exporter
	rm -rf "$LAB_DIR"/b-p[12]/.lab/lib/warren-exporter
	test_check "the first again" site_exporter b nb
	site_unservice b default/first && site_export b
	test_check "all is as before" lab_wait 5 site_says c-n1 first.default.nb A NXDOMAIN
}

gateway_removed() {
	test_check "the sites are joined" joined || return
	test_check "b-p2 reaches c" lab_wait 5 site_served b-p2 http://$C_WEB/ "c-*" || return
	test_check "b-n2 is connected" lab_wait 10 warren_connected b-n2
	test_check "gateway node c-n1 is removed from nb" warren_cli hub node remove c-n1
	test_check "its ranges are gone" lab_wait 2 unrouted b-n2 10.46.0.0/16
	test_refuse "b-p2 still reaches c" site_served b-p2 http://$C_WEB/ "c-*"
	test_check "b-p2 reaches a" site_served b-p2 http://$A_WEB/ "a-*"
}

unrouted() {
	[ -z "$(lab_in "$1" ip route show proto 190 "$2")" ]
}

coordinator_stopped() {
	test_check "the sites are joined" joined || return
	site_ask_start c-n1 web-b.default.nb
	lab_kill hub coordinator KILL
	lab_wait_gone hub coordinator
	sleep 2
	test_check "pages by name" site_served c-p2 http://web-b.default.nb/ "b-*"
	site_service b default/alone 10.45.0.96 b-p1
	site_export b
	test_check "a new service is named without it" lab_wait 5 site_says c-n1 alone.default.nb A "NOERROR 10.45.0.96"
	not_missed web-b "$(site_ask_stop c-n1 web-b.default.nb)"
	test_check "it starts again" warren_coordinator_start hub
}

reboot_alone() {
	local ms
	test_check "the sites are joined" joined || return
	lab_kill hub coordinator KILL && lab_kill hub mosquitto KILL
	lab_wait_gone hub coordinator && lab_wait_gone hub mosquitto
	test_check "c-n1 reboots" site_reboot c-n1
	lab_spawn c-n1 agent warren-agent --site c --dns "$(site_dns_address c-n1):5300"
	ms=$(lab_wait 10 site_says c-n1 web-b.default.nb A "NOERROR $B_WEB")
	test_most "names after the reboot, ms" "$ms" 5000
	test_check "pages too" lab_wait 5 site_served c-p1 http://web-b.default.nb/ "b-*"
	test_check "the broker starts" warren_broker_start hub
	test_check "the coordinator starts" warren_coordinator_start hub
	test_value "names_ms=$ms"
}

# Sites, broker and networks without IPv4.
ipv6_only() {
	local s
	# shellcheck disable=SC2034 # of warren.sh
	local WARREN_HUB=hub6
	test_check "hub6" lab_host hub6 2001:db8:77::6 && test_check "broker and coordinator" warren_hub hub6 || return
	test_check "site x" site x fd00:50:0 fd00:51:0 2001:db8:78::11 2001:db8:78::12 || return
	test_check "site y" site y fd00:52:0 fd00:53:0 2001:db8:79::11 2001:db8:79::12 || return
	site_service x default/web-x fd00:51:0::80 x-p2
	site_service y default/web-y fd00:53:0::80 y-p2
	test_check "network six" warren_cli hub6 network create six --range fd66::/64 || return
	for s in x y; do
		test_check "agents of $s" site_agents $s || return
		test_check "$s joins" site_join six $s-n1 $s-n2 || return
		test_check "gateway of $s" site_gateway $s six || return
		test_check "exporter of $s" site_exporter $s six
		test_check "DNS of $s" site_names $s six
	done
	for s in x-p1 x-p2; do
		test_check "$s: service" lab_wait 5 site_served $s 'http://[fd00:53:0::80]/' y-p2
		test_check "$s: pod" site_served $s 'http://[fd00:52:0:2::10]:8080/' y-p2
		test_check "$s: by name" lab_wait 5 site_served $s http://web-y.default.six/ y-p2
	done
	test_check "the other way, by name" lab_wait 5 site_served y-p1 http://web-x.default.six/ x-p2
	test_equal "A of an IPv6-only name" "$(site_dig x-n1 web-y.default.six A)" NOERROR
}

test_setup setup
test_add sites-three-in-one-network one_network
test_add sites-three-networks-of-three three_networks
test_add N04-sites-dual-stack dual_stack
test_add N01-sites-headless-and-srv headless
test_add sites-ten-thousand-endpoints ten_thousand
test_add sites-dead-exporter dead_exporter
test_add sites-exporter-state-deleted state_deleted
test_add sites-two-exporters-for-one-site two_exporters
test_add B01-names-without-coordinator coordinator_stopped
test_add B02-names-after-reboot-alone reboot_alone
test_add sites-gateway-node-removed gateway_removed
test_add sites-ipv6-only ipv6_only
test_main "$@"

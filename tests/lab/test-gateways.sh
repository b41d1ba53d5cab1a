#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Two sites joined by gateways, by address: pods and services both ways, what is
# not published, ranges that go while they are used, reboots, --nat none.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh
. ./sites.sh

DC1_SERVICE=10.43.45.229
CLOUD_SERVICE=10.45.7.7

agents_up() {
	local node
	for node in $(site_nodes "$1"); do
		warren_agent "$node" --site "$1" || return 1
	done
}

setup() {
	lab_wan && lab_nat dc1 203.0.113.20 1 && warren_hub hub &&
		warren_cli hub network create dc1-k3s --range 10.65.24.0/24 --range fd65::/64 &&
		warren_cli hub network create cloud-k3s --range 10.36.50.0/24 --range fd36::/64 &&
		site dc1 10.42,fd00:42:0 10.43,fd00:43:0 192.168.1.11,2001:db8:79::11 192.168.1.12,2001:db8:79::12 &&
		site cloud 10.44,fd00:44:0 10.45,fd00:45:0 \
			203.0.113.11,2001:db8:77::11 203.0.113.12,2001:db8:77::12 &&
		site_service dc1 default/nginx $DC1_SERVICE,fd00:43:0::229 dc1-p2 &&
		site_service cloud default/web $CLOUD_SERVICE,fd00:45:0::77 cloud-p2 &&
		agents_up dc1 && agents_up cloud &&
		site_join dc1-k3s dc1-n1 dc1-n2 cloud-n1 &&
		site_join cloud-k3s cloud-n1 cloud-n2 dc1-n1 &&
		TO_DC1=$(site_gateway dc1 cloud-k3s) && TO_CLOUD=$(site_gateway cloud dc1-k3s)
}

# pages HOST: from there the pods and the service of the other site come, of both families.
dc1_pages() {
	site_page "$1" http://10.42.1.10:8080/ | grep -q dc1-p1 &&
		site_page "$1" http://10.42.2.10:8080/ | grep -q dc1-p2 &&
		site_page "$1" http://$DC1_SERVICE/ | grep -q dc1-p2
}

cloud_pages() {
	site_page "$1" http://10.44.1.10:8080/ | grep -q cloud-p1 &&
		site_page "$1" http://10.44.2.10:8080/ | grep -q cloud-p2 &&
		site_page "$1" http://$CLOUD_SERVICE/ | grep -q cloud-p2
}

dc1_pages_6() {
	site_page "$1" 'http://[fd00:42:0:2::10]:8080/' | grep -q dc1-p2 &&
		site_page "$1" 'http://[fd00:43:0::229]/' | grep -q dc1-p2
}

cloud_pages_6() {
	site_page "$1" 'http://[fd00:44:0:2::10]:8080/' | grep -q cloud-p2 &&
		site_page "$1" 'http://[fd00:45:0::77]/' | grep -q cloud-p2
}

both_ways() {
	local host ms
	ms=$(lab_wait 10 dc1_pages cloud-p2)
	test_value "first_ms=$ms"
	for host in cloud-p1 cloud-p2 cloud-n1 cloud-n2; do
		test_check "$host sees dc1" lab_wait 5 dc1_pages $host
		test_check "$host sees dc1 by IPv6" lab_wait 5 dc1_pages_6 $host
	done
	for host in dc1-p1 dc1-p2 dc1-n1 dc1-n2; do
		test_check "$host sees cloud" lab_wait 5 cloud_pages $host
		test_check "$host sees cloud by IPv6" lab_wait 5 cloud_pages_6 $host
	done
	test_check "the pod sees the gateway's address in its site" \
		test "$(site_page cloud-p2 http://10.42.2.10:8080/ | sed 's/.*asked by //; s/::ffff://')" != ""
	test_refuse "no range of the own site goes into a tunnel" \
		grep -E ' (10\.42|10\.43)\.' <(lab_in dc1-n1 ip route show proto 190)
	test_equal "ranges in status" "$(warren_status cloud-n2 '
		.networks[0].peers[] | select(.name == "dc1-n1") | [.ranges[] | select(contains(":") | not)] | join(" ")')" \
		"10.42.0.0/16 10.43.0.0/16"
}

# G02: the range is the LAN of another site's node.
own_lan() {
	local id
	lab_nat lan 203.0.113.30 3 && lab_host pc 192.168.3.11 && lab_host printer 192.168.3.12 &&
		warren_agent pc --site home && warren_join pc cloud-k3s >/dev/null || return
	test_check "the printer answers" warren_pings pc 192.168.3.12
	id=$(warren_cli hub gateway create --network cloud-k3s --node dc1-n1 --range 192.168.3.0/24)
	test_check "said in status" lab_wait 3 says_lan pc
	test_equal "routes into the tunnel" "$(lab_in pc ip route show 192.168.3.0/24 proto 190)" ""
	test_equal "AllowedIPs" "$(lab_in pc wg show all allowed-ips | grep -c '192\.168\.3\.')" 0
	test_check "the printer still answers" warren_pings pc 192.168.3.12
	test_check "a node without that LAN has the route" lab_wait 3 has_route cloud-n2 192.168.3.0/24
	test_check "the gateway goes" warren_cli hub gateway delete "$id"
	test_check "nothing is said any more" lab_wait 70 says_no_lan pc
}

says_lan() {
	warren_status "$1" '.networks[].problem, .networks[].standby[]?' | grep -q '192.168.3.0/24'
}

says_no_lan() {
	! says_lan "$1"
}

has_route() {
	[ -n "$(lab_in "$1" ip route show "$2" proto 190)" ]
}

has_no_route() {
	! has_route "$@"
}

# G03: withdrawn under traffic.
withdrawn() {
	local from ms id host
	id=$(warren_cli hub gateway create --network cloud-k3s --node dc1-n1 --range 192.168.1.0/24)
	test_check "the LAN is reached" lab_wait 5 warren_pings cloud-p2 192.168.1.12
	lab_ping_start cloud-p2 192.168.1.12
	sleep 1
	from=$(lab_now_ms)
	test_check "the gateway is deleted" warren_cli hub gateway delete "$id"
	test_check "gone everywhere" lab_wait 2 gone_lan
	ms=$(($(lab_now_ms) - from))
	test_most "gone everywhere, ms with the command" $ms 200
	sleep 0.5
	lab_ping_stop cloud-p2 192.168.1.12 >/dev/null
	test_value "withdrawn_ms=$ms last_ms=$(last_answer "$from")"
	test_most "last answer, ms after the command began" "$(last_answer "$from")" 200
	test_refuse "no ping comes" warren_pings cloud-p2 192.168.1.12
	test_check "the others are still there" dc1_pages cloud-p2
}

last_answer() {
	awk -v from="$1" '/bytes from/ { t = substr($1, 2) * 1000 - from } END { printf "%d\n", (t > 0) ? t : 0 }' \
		"$(lab_log cloud-p2 ping-192.168.1.12)"
}

gone_lan() {
	local host
	for host in cloud-n1 cloud-n2; do
		! lab_in $host ip route show proto 190 | grep -q '192\.168\.1\.' || return 1
		! lab_in $host wg show all allowed-ips | grep -q '192\.168\.1\.' || return 1
	done
	! lab_in dc1-n1 nft list table inet warren | grep -q '192\.168\.1\.'
}

# G06: AllowedIPs widened by hand at the member.
dropped() {
	lab_in dc1-n1 nft list table inet warren |
		awk '/iifname "wr-cloud-k3s" counter/ { n += $5 } END { print n + 0 }'
}

widened() {
	local key before id
	key=$(lab_in dc1-n1 wg show wr-cloud-k3s public-key)
	before=$(dropped)
	test_check "n2 widens" lab_in cloud-n2 sh -c "
		wg set wr-cloud-k3s peer $key allowed-ips \$(wg show wr-cloud-k3s allowed-ips | grep '$key' | cut -f 2 | tr ' ' ,),192.168.1.0/24,10.65.24.0/24 &&
		ip route add 192.168.1.0/24 dev wr-cloud-k3s && ip route add 10.65.24.0/24 dev wr-cloud-k3s"
	test_refuse "another host of the LAN" warren_pings cloud-n2 192.168.1.12
	test_refuse "the gateway's own address in the LAN" warren_pings cloud-n2 192.168.1.11
	test_refuse "the other network's member behind it" warren_pings cloud-n2 "$(warren_address dc1-n2 dc1-k3s)"
	test_refuse "the gateway's address in the other network" warren_pings cloud-n2 "$(warren_address dc1-n1 dc1-k3s)"
	test_refuse "from a pod neither" warren_pings cloud-p2 192.168.1.12
	test_least "counted" $(($(dropped) - before)) 4
	test_check "what is published is reached" dc1_pages cloud-n2
	lab_in cloud-n2 ip route del 192.168.1.0/24 dev wr-cloud-k3s
	lab_in cloud-n2 ip route del 10.65.24.0/24 dev wr-cloud-k3s
	test_value "dropped=$(($(dropped) - before))"
}

# The site's routers know the way back: the pod sees who asks.
nat_none() {
	local asked
	test_check "--nat none" warren_cli hub gateway set "$TO_DC1" --nat none
	lab_in dc1-n2 ip route add 10.36.50.0/24 via 192.168.1.11
	test_check "the page comes" lab_wait 3 asked_by cloud-p2 "$(warren_address cloud-n2 cloud-k3s)"
	test_check "and back" warren_cli hub gateway set "$TO_DC1" --nat masquerade
	test_check "from the gateway's address" lab_wait 3 asked_by cloud-p2 192.168.1.11
	lab_in dc1-n2 ip route del 10.36.50.0/24
}

asked_by() {
	site_page "$1" http://10.42.2.10:8080/ | grep -qF "asked by ${2}" ||
		site_page "$1" http://10.42.2.10:8080/ | grep -qF "asked by ::ffff:$2"
}

# A flow that was there before the way into the tunnel.
old_flow() {
	local id
	id=$(warren_cli hub gateway create --network cloud-k3s --node dc1-n1 --range 192.168.1.0/24)
	test_check "reached" lab_wait 5 warren_pings cloud-p2 192.168.1.12
	test_check "deleted" warren_cli hub gateway delete "$id"
	test_check "gone" lab_wait 2 gone_lan
	lab_in cloud-n2 ip route add 192.168.1.0/24 dev lo
	lab_ping_start cloud-p2 192.168.1.12
	sleep 0.5
	lab_in cloud-n2 ip route del 192.168.1.0/24 dev lo
	id=$(warren_cli hub gateway create --network cloud-k3s --node dc1-n1 --range 192.168.1.0/24)
	test_check "the flow comes through" lab_wait 5 answered cloud-p2 192.168.1.12
	test_value "$(lab_ping_stop cloud-p2 192.168.1.12)"
	test_check "deleted" warren_cli hub gateway delete "$id"
}

answered() {
	grep -q 'bytes from' "$(lab_log "$1" "ping-$2")"
}

# B01, B02: without broker and coordinator; the node starts anew.
from_disk() {
	local ms
	lab_stop hub coordinator && lab_kill hub mosquitto KILL && lab_wait_gone hub mosquitto || return
	test_check "pages go on" dc1_pages cloud-p2
	lab_stop cloud-n2 agent
	test_check "cloud-n2 starts anew" site_reboot cloud-n2
	test_check "its agent starts" warren_agent cloud-n2 --site cloud
	ms=$(lab_wait 5 dc1_pages cloud-p2)
	test_most "pages again from disk, ms" "$ms" 5000
	test_check "the gateway's node starts anew" site_reboot dc1-n1
	test_check "its agent starts" warren_agent dc1-n1 --site dc1
	test_check "pages again through it" lab_wait 8 dc1_pages cloud-p2
	test_value "from_disk_ms=$ms"
	warren_broker_start hub && warren_coordinator_start hub
	test_check "connected again" lab_wait 15 warren_connected cloud-n2
}

# B01: without the coordinator alone what goes on, goes on, and a node that starts anew finds its way.
without_coordinator() {
	local out ms
	test_check "reached" lab_wait 5 warren_pings cloud-p1 10.42.2.10
	test_check "pages" lab_wait 5 dc1_pages cloud-p2
	# An agent stores every minute, and at its start, where peers were heard; dc1-n1 is behind a NAT.
	lab_stop cloud-n2 agent && warren_agent cloud-n2 --site cloud && sleep 1
	lab_ping_start cloud-p1 10.42.2.10
	lab_kill hub coordinator KILL && lab_wait_gone hub coordinator
	sleep 1
	test_check "pages go on" dc1_pages cloud-p2
	lab_stop cloud-n2 agent
	test_check "cloud-n2 starts anew" site_reboot cloud-n2
	test_check "its agent starts" warren_agent cloud-n2 --site cloud
	ms=$(lab_wait 5 dc1_pages cloud-p2)
	test_most "pages again, ms" "$ms" 5000
	test_check "it has the broker" lab_wait 10 has_broker cloud-n2
	test_check "pages still" dc1_pages cloud-p2
	out=$(lab_ping_stop cloud-p1 10.42.2.10)
	test_equal "pings lost of the other node ($out)" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	warren_coordinator_start hub
	test_check "connected again" lab_wait 15 warren_connected cloud-n2
	test_value "again_ms=$ms $out"
}

has_broker() {
	[ "$(warren_status "$1" .broker.connected)" = true ]
}

# Two networks offer one range: it goes through the one joined first, and moves when that one is left.
standby() {
	local id ms
	test_check "network third" warren_cli hub network create third --range 10.66.0.0/24 --range fd67::/64 || return
	test_check "both join it" site_join third cloud-n2 dc1-n1 || return
	id=$(site_gateway dc1 third)
	test_check "its gateway" test -n "$id" || return
	test_check "shown as standby" lab_wait 5 stands_by 10.42.0.0/16
	test_equal "of the network joined first" "$(warren_status cloud-n2 '
		.networks[] | select(.name == "cloud-k3s") | .standby | length')" 0
	test_check "the range goes by the first" goes_by wr-cloud-k3s
	test_check "pages" dc1_pages cloud-p2
	test_check "the first is left" warren_cli cloud-n2 leave cloud-k3s
	ms=$(lab_wait 5 dc1_pages cloud-p2)
	test_most "pages again, ms" "$ms" 2000
	test_check "by the other one" goes_by wr-third
	test_refuse "standby no more" stands_by 10.42.0.0/16
	test_check "joined again" site_join cloud-k3s cloud-n2
	test_check "the other one keeps it" goes_by wr-third
	test_check "that one is left" warren_cli cloud-n2 leave third
	test_check "pages by the first" lab_wait 5 dc1_pages cloud-p2
	test_check "gateway deleted" warren_cli hub gateway delete "$id"
	test_check "dc1-n1 leaves it" warren_cli dc1-n1 leave third
	test_check "network deleted" warren_cli hub network delete third
	test_value "moved_ms=$ms"
}

stands_by() {
	warren_status cloud-n2 '.networks[] | select(.name == "third") | .standby[]' | grep -qF "$1"
}

goes_by() {
	lab_in cloud-n2 ip route show proto 190 10.42.0.0/16 | grep -q "dev $1 "
}

# A gateway restarted under traffic loses nothing.
restart() {
	local out
	test_check "reached" lab_wait 5 warren_pings cloud-p2 10.42.2.10
	lab_ping_start cloud-p2 10.42.2.10
	sleep 0.5
	lab_kill dc1-n1 agent KILL && lab_wait_gone dc1-n1 agent && warren_agent dc1-n1 --site dc1
	lab_kill cloud-n2 agent KILL && lab_wait_gone cloud-n2 agent && warren_agent cloud-n2 --site cloud
	sleep 2
	out=$(lab_ping_stop cloud-p2 10.42.2.10)
	test_equal "lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	test_value "$out"
}

# Who takes over, and what is left when the gateway's node is removed.
node_removed() {
	local id
	lab_snapshot dc1-n1 "$LAB_DIR/gateway"
	id=$(warren_cli hub gateway create --network cloud-k3s --node dc1-n1 --range 192.168.1.0/24)
	test_check "routed" lab_wait 3 has_route cloud-n2 192.168.1.0/24
	test_check "dc1-n1 is removed from the mesh" warren_cli hub node remove dc1-n1
	test_check "no range of it anywhere" lab_wait 3 nothing_routed cloud-n2
	test_check "it tears down" lab_wait 5 torn_down dc1-n1
	test_refuse "no page" site_page cloud-p2 http://10.42.2.10:8080/
}

nothing_routed() {
	[ -z "$(lab_in "$1" ip route show proto 190)" ] && ! lab_in "$1" wg show all allowed-ips | grep -q '10\.4[23]\.'
}

torn_down() {
	[ -z "$(lab_in "$1" wg show interfaces)" ] && ! lab_in "$1" nft list table inet warren
}

# A host that does not forward becomes a gateway, and leaves.
forwarding() {
	local id
	lab_host db 203.0.113.40 && warren_agent db --site office && warren_join db cloud-k3s >/dev/null || return
	test_equal "forwards before" "$(lab_in db cat /proc/sys/net/ipv4/ip_forward)" 0
	id=$(warren_cli hub gateway create --network cloud-k3s --node db --range 10.99.0.0/24)
	test_check "forwards" lab_wait 3 forwards db
	test_check "its gateway is deleted" warren_cli hub gateway delete "$id"
	test_check "no longer" lab_wait 3 forwards_not db
	id=$(warren_cli hub gateway create --network cloud-k3s --node db --range 10.99.0.0/24)
	test_check "forwards" lab_wait 3 forwards db
	test_check "it leaves" warren_cli db leave --all
	test_check "as before" forwards_not db
}

forwards() {
	[ "$(lab_in "$1" cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
}

forwards_not() {
	! forwards "$1"
}

# A host with two other interfaces becomes a gateway: between these nothing is forwarded because of us.
others() {
	local id
	lab_lan 8 && lab_host edge 203.0.113.41 && lab_nic edge eth1 192.168.8.1 && lab_host inside 192.168.8.11 &&
		lab_in hub ip route add 192.168.8.0/24 via 203.0.113.41 &&
		warren_agent edge --site edge && warren_join edge cloud-k3s >/dev/null || return
	test_equal "forwards before" "$(lab_in edge cat /proc/sys/net/ipv4/ip_forward)" 0
	test_refuse "nothing is forwarded" warren_pings inside 203.0.113.1
	id=$(warren_cli hub gateway create --network cloud-k3s --node edge --range 192.168.8.0/24)
	test_check "forwards" lab_wait 3 forwards edge
	test_check "what it published" lab_wait 5 warren_pings cloud-p2 192.168.8.11
	test_refuse "between the others nothing" warren_pings inside 203.0.113.1
	lab_kill edge agent KILL && lab_wait_gone edge agent
	test_refuse "without the agent neither" warren_pings inside 203.0.113.1
	without_rule edge
	test_check "without the rule it is" lab_wait 3 warren_pings inside 203.0.113.1
	test_check "the agent starts" warren_agent edge --site edge
	test_check "nothing again" lab_wait 3 pings_not inside 203.0.113.1
	# Whoever switches it on himself decides.
	lab_in edge sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/ip_forward'
	test_check "somebody else forwards" lab_wait 3 warren_pings inside 203.0.113.1
	test_check "what it published" warren_pings cloud-p2 192.168.8.11
	test_check "it leaves" warren_cli edge leave --all
	test_check "it is still on" forwards edge
	test_check "and forwards" warren_pings inside 203.0.113.1
}

# A host that is a switch, too: with br_netfilter what goes from port to port passes the rules.
bridge() {
	lab_lan 18 && lab_lan 19 && lab_host switch 203.0.113.45 && lab_nic switch eth1 192.168.18.2 &&
		lab_nic switch eth2 192.168.19.2 && lab_host left 192.168.18.11 && lab_host right 192.168.19.11 &&
		warren_agent switch --site switch && warren_join switch cloud-k3s >/dev/null || return
	lab_in right ip addr add 192.168.18.12/24 dev eth0
	warren_cli hub gateway create --network cloud-k3s --node switch --range 192.168.20.0/24 >/dev/null
	test_check "forwards" lab_wait 3 forwards switch
	lab_in switch sh -ec 'ip link add br0 type bridge; ip link set br0 up
		for i in eth1 eth2; do ip addr flush dev $i; ip link set $i master br0; done'
	test_check "from port to port" lab_wait 3 warren_pings left 192.168.18.12
	test_check "by a rule" lab_in switch sh -c 'nft list chain inet warren forward | grep "\"br0\" . \"br0\"" >/dev/null'
	test_check "it leaves" warren_cli switch leave --all
}

without_rule() {
	local handle
	handle=$(lab_in "$1" nft -a list chain inet warren forward | sed -n 's/.*meta nfproto ipv4 counter.*# handle //p')
	lab_in "$1" nft delete rule inet warren forward handle "$handle"
}

pings_not() {
	! warren_pings "$@"
}

# What is no gateway and does not forward needs no conntrack, until somebody switches forwarding on.
plain() {
	lab_host plain 203.0.113.42 && warren_agent plain && warren_join plain cloud-k3s >/dev/null || return
	test_check "pages come" lab_wait 5 dc1_pages plain
	warren_cli plain leave --all >/dev/null
	warren_cli hub network create quiet --range 10.99.9.0/24 --port 40000 >/dev/null
	test_check "joins a network without ranges" warren_join plain quiet
	test_equal "its port" "$(lab_in plain wg show wr-quiet listen-port)" 40000
	test_refuse "no rule asks for conntrack" grep -E 'ct |masquerade' <(lab_in plain nft list ruleset)
	lab_in plain sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	test_check "what its containers send is masqueraded" lab_wait 3 masquerades plain
	lab_in plain sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
	test_check "and no more" lab_wait 3 masquerades_not plain
}

masquerades() {
	lab_in "$1" nft list table inet warren | grep -q masquerade
}

masquerades_not() {
	! masquerades "$1"
}

test_setup setup
test_add gateways-both-ways both_ways
test_add G02-range-is-own-lan own_lan
test_add G03-range-withdrawn withdrawn
test_add G06-widened-by-hand widened
test_add gateways-nat-none nat_none
test_add gateways-old-flow old_flow
test_add gateways-restart restart
test_add B01-ranges-without-coordinator without_coordinator
test_add B02-ranges-from-disk from_disk
test_add gateways-standby standby
test_add gateways-forwarding forwarding
test_add gateways-others-are-not-forwarded others
test_add gateways-bridge bridge
test_add gateways-plain-node plain
test_add gateways-node-removed node_removed
test_main "$@"

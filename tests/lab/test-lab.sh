#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Tests of the lab itself: what it promises in lab.sh.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh

setup() {
	lab_wan &&
		lab_host n1 203.0.113.11 2001:db8:77::11 &&
		lab_host n2 203.0.113.12 2001:db8:77::12 &&
		lab_host far 198.51.100.11 2001:db8:78::11 &&
		lab_nat office 203.0.113.20 1 &&
		lab_host pc 192.168.1.11 &&
		lab_nat open 203.0.113.21 2 accept
}

pings() {
	lab_in "$1" ping -n -c 1 -W 1 "$2"
}

silent() {
	! lab_in "$1" ping -n -c 1 -W 0.3 "$2"
}

wan() {
	test_check "n1 to n2" pings n1 203.0.113.12
	test_check "n2 to hub" pings n2 203.0.113.1
	test_check "n1 to another segment" pings n1 198.51.100.11
}

ipv6() {
	test_check "n1 to n2" pings n1 2001:db8:77::12
	test_check "n1 to hub" pings n1 2001:db8:77::1
	test_check "n1 to another segment" pings n1 2001:db8:78::11
}

nat() {
	local seen
	test_check "out through the NAT" pings pc 203.0.113.11
	test_check "out to another segment" pings pc 198.51.100.11
	test_check "the router's WAN side drops what comes in" silent n1 203.0.113.20
	test_check "an accepting router answers" pings n1 203.0.113.21
	lab_in n1 ip route add 192.168.1.0/24 via 203.0.113.20
	test_check "the LAN is not reachable from outside" silent n1 192.168.1.11
	lab_in n1 ip route del 192.168.1.0/24
	lab_in n1 nft -f - <<-END
		table ip seen {
			set from { type ipv4_addr; flags dynamic; }
			chain in { type filter hook input priority 0; icmp type echo-request update @from { ip saddr }; }
		}
	END
	pings pc 203.0.113.11 >/dev/null
	seen=$(lab_in n1 nft list set ip seen from | grep -o '[0-9.]*203[0-9.]*\|192[0-9.]*' | xargs)
	lab_in n1 nft delete table ip seen
	test_equal "source address seen outside" "$seen" 203.0.113.20
}

hosts_apart() {
	lab_in n1 sh -c 'mkdir -p /run/warren /var/lib/warren; echo n1 >/run/warren/x; echo n1 >/var/lib/warren/x
		echo "nameserver 192.0.2.53" >/etc/resolv.conf; echo "192.0.2.1 only-n1" >>/etc/hosts'
	test_refuse "/run of another host" lab_in n2 test -e /run/warren/x
	test_refuse "/run of the machine" test -e /run/warren/x
	test_refuse "/var/lib of another host" lab_in n2 test -e /var/lib/warren/x
	test_refuse "/var/lib of the machine" test -e /var/lib/warren/x
	test_check "own resolv.conf" lab_in n1 grep -q 192.0.2.53 /etc/resolv.conf
	test_refuse "resolv.conf of another host" lab_in n2 grep -q 192.0.2.53 /etc/resolv.conf
	test_refuse "resolv.conf of the machine" grep -q 192.0.2.53 /etc/resolv.conf
	test_check "own hosts" lab_in n1 getent -s files hosts only-n1
	test_refuse "hosts of another host" lab_in n2 getent -s files hosts only-n1
	test_equal "own name" "$(lab_in n1 uname -n)" n1
	test_equal "own interfaces in /sys" "$(lab_in n1 ls /sys/class/net | xargs)" "eth0 lo"
	test_equal "no /run/netns inside" "$(lab_in n1 ls /run)" "$(printf 'lock\nwarren')"
	lab_in n1 rm -r /run/warren /var/lib/warren
}

daemons() {
	local pid
	lab_spawn n1 sleeper sh -c 'echo started; exec sleep 1000'
	pid=$(lab_pid n1 sleeper)
	lab_wait 2 grep -q started "$(lab_log n1 sleeper)" >/dev/null
	test_equal "pid is the daemon's own" "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "sleep 1000 "
	test_equal "it is listed" "$(lab_procs n1)" "$pid sleep"
	test_equal "its environment is clean" "$(HOME=/x FOO=1 lab_in n1 sh -c 'echo $HOME ${FOO-unset}')" "/root unset"
	lab_kill n1 sleeper KILL
	test_check "gone" lab_wait_gone n1 sleeper
	test_refuse "a dead daemon cannot be killed again" lab_kill n1 sleeper
	test_equal "nothing runs" "$(lab_procs n1)" ""
}

waiting() {
	local ms
	ms=$(lab_wait 1 false) && test_check "what is never true fails" false
	test_least "it waited, ms" "$ms" 1000
	test_most "it waited, ms" "$ms" 1500
	lab_spawn n1 sleeper sh -c 'sleep 0.3; touch /run/done; sleep 1000'
	ms=$(lab_wait 5 lab_in n1 test -e /run/done) || test_check "what becomes true" false
	test_least "true after, ms" "$ms" 200
	test_most "true after, ms" "$ms" 1500
	lab_stop n1 sleeper
	lab_in n1 rm -f /run/done
}

# wg_up HOST IF ADDRESS PORT: wireguard-go by hand, away from its parent.
wg_up() {
	lab_in "$1" env LOG_LEVEL=error wireguard-go "$2" >/dev/null 2>&1 &&
		lab_in "$1" sh -c "umask 077; mkdir -p /var/lib/wg; [ -e /var/lib/wg/key ] || wg genkey >/var/lib/wg/key
			wg set $2 private-key /var/lib/wg/key listen-port $4
			ip addr add $3/24 dev $2; ip link set $2 mtu 1420 up"
}

wg_key() {
	lab_in "$1" sh -c 'wg pubkey </var/lib/wg/key'
}

wg_pair() {
	local out
	wg_up n1 wr-lab 10.9.0.1 51830 && wg_up pc wr-lab 10.9.0.2 51830 || { test_check "wireguard-go" false; return; }
	lab_in n1 wg set wr-lab peer "$(wg_key pc)" allowed-ips 10.9.0.2/32
	lab_in pc wg set wr-lab peer "$(wg_key n1)" allowed-ips 10.9.0.1/32 endpoint 203.0.113.11:51830 \
		persistent-keepalive 20
	test_check "NATed host through the tunnel" pings pc 10.9.0.1
	test_check "and back" pings n1 10.9.0.2
	out=$(lab_in n1 wg show wr-lab endpoints)
	test_equal "endpoint learned" "${out##*$'\t'}" 203.0.113.20:51830
	lab_ping_start n1 10.9.0.2
	sleep 0.7
	out=$(lab_ping_stop n1 10.9.0.2)
	test_least "pings sent" "$(sed 's/.*sent=\([0-9]*\).*/\1/' <<<"$out")" 10
	test_equal "pings lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	# shellcheck disable=SC2086
	test_value $out
}

reboot() {
	local ms
	[ -n "$(lab_in pc ip link show wr-lab 2>/dev/null)" ] || wg_up pc wr-lab 10.9.0.2 51830
	lab_in pc sh -c 'mkdir -p /run/warren /var/lib/warren; touch /run/warren/x /var/lib/warren/x
		ip rule add pref 5000 lookup 100; nft add table ip left; ip route add 10.50.0.0/16 dev wr-lab'
	lab_spawn pc sleeper sleep 1000
	test_check "it reboots" lab_reboot pc
	test_equal "nothing runs" "$(lab_procs pc)" ""
	test_refuse "daemon is gone" lab_pid pc sleeper
	test_equal "interfaces" "$(lab_in pc ls /sys/class/net | xargs)" "eth0 lo"
	test_equal "rules and tables" "$(lab_in pc sh -c 'ip rule list pref 5000; nft list ruleset')" ""
	test_refuse "/run is empty" lab_in pc test -e /run/warren/x
	test_check "/var/lib is kept" lab_in pc test -e /var/lib/warren/x
	test_equal "its address is back" "$(lab_in pc ip -4 -o addr show eth0 | awk '{ print $4 }')" 192.168.1.11/24
	ms=$(lab_wait 5 pings pc 203.0.113.11)
	test_most "network after the boot, ms" "$ms" 2000
	test_check "the router reboots" lab_reboot office-nat
	test_check "NAT works again" pings pc 203.0.113.11
	test_check "and drops again" silent n1 203.0.113.20
	lab_in pc rm -r /var/lib/warren
	test_value "back_ms=$ms"
}

loss() {
	local out
	lab_ping_start n1 203.0.113.12
	sleep 0.5
	lab_in n2 ip link set eth0 down
	sleep 0.5
	lab_in n2 ip link set eth0 up
	sleep 0.5
	out=$(lab_ping_stop n1 203.0.113.12)
	lab_in n2 sh -c 'ip addr replace 2001:db8:77::12/64 dev eth0 nodad; ip route replace default via 203.0.113.254
		ip -6 route replace default via 2001:db8:77::fe'
	test_least "lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 5
	test_most "lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 20
	test_least "silence, ms" "$(sed 's/.*gap_ms=\([0-9]*\).*/\1/' <<<"$out")" 400
	# shellcheck disable=SC2086
	test_value $out
}

snapshot() {
	lab_snapshot n2 "$LAB_DIR/a"
	lab_snapshot n2 "$LAB_DIR/b"
	test_check "unchanged host" diff "$LAB_DIR/a" "$LAB_DIR/b"
	lab_in n2 sh -c 'touch /run/new; ip route add blackhole 10.99.0.0/16 proto 190; ip rule add pref 5000 lookup 100
		nft add table ip new; ip link add d0 type veth peer name d1; echo 1 >/proc/sys/net/ipv4/ip_forward'
	lab_spawn n2 sleeper sleep 1000
	lab_snapshot n2 "$LAB_DIR/b"
	diff "$LAB_DIR/a" "$LAB_DIR/b" >"$LAB_DIR/diff"
	for word in /run/new 10.99.0.0/16 'lookup 100' 'table ip new' d0 sleep ip_forward; do
		test_check "difference seen: $word" grep -q "^>.*$word" "$LAB_DIR/diff"
	done
	lab_stop n2 sleeper
	lab_in n2 sh -c 'rm /run/new; ip route del blackhole 10.99.0.0/16; ip rule del pref 5000; nft delete table ip new
		ip link del d0; echo 0 >/proc/sys/net/ipv4/ip_forward'
	lab_snapshot n2 "$LAB_DIR/b"
	test_check "as before" diff "$LAB_DIR/a" "$LAB_DIR/b"
}

# A whole small lab in a script of its own; $1 is run at its end.
small_lab() {
	exec bash -c '
		set -u
		cd "$1" && . ./lab.sh
		lab_begin && lab_wan && lab_nat s 203.0.113.20 1 && lab_host a 192.168.1.11 || exit 1
		lab_in a env LOG_LEVEL=error wireguard-go "wr-$LAB_ID" >/dev/null 2>&1 || exit 1
		lab_spawn a sleeper sleep 1000
		lab_in a sh -c "setsid sleep 1001 >/dev/null 2>&1 &"
		echo "$LAB_DIR"
		eval "$2"' small-lab "$LAB_SOURCE" "$1"
}

# All that lab $1 could have left on the machine.
traces() {
	find /run/netns "$LAB_TMP" -maxdepth 1 \( -name "wl$1-*" -o -name "warren-lab-$1.*" \)
	ip -o link | grep -F "wl$1"
	grep -F "warren-lab-$1." /proc/self/mountinfo
	grep -lF "warren-lab-$1." /proc/[0-9]*/mountinfo 2>/dev/null
	for id in /proc/[0-9]*; do
		[ "$(tr '\0' ' ' 2>/dev/null <"$id/cmdline")" = "wireguard-go wr-$1 " ] && echo "$id wireguard-go"
	done
}

cleanup() {
	local id=c$$ links out
	links=$(ip -o link | wc -l)
	out=$(LAB_ID=$id small_lab 'lab_in a ip link show "wr-$LAB_ID"; lab_procs a | cut -d " " -f 2 | sort | xargs')
	test_check "it was there" grep -q '^sleep sleep wireguard-go$' <<<"$out"
	test_equal "after its end" "$(traces $id)" ""
	out=$(LAB_ID=$id small_lab 'kill -TERM $$; sleep 1; echo not reached')
	test_equal "ended by SIGTERM" "$(grep -c reached <<<"$out")" 0
	test_equal "after SIGTERM" "$(traces $id)" ""
	test_equal "interfaces of the machine" "$(ip -o link | wc -l)" "$links"
}

# In a place of its own, where no other lab that begins meanwhile sweeps.
sweep() {
	local id=k$$ out LAB_TMP=$LAB_DIR/tmp
	mkdir "$LAB_TMP"
	out=$( (TMPDIR=$LAB_TMP LAB_ID=$id small_lab 'kill -KILL $$') 2>/dev/null)
	test_check "SIGKILL leaves it behind" test -d "$out"
	test_check "with its namespaces" test -e "/run/netns/wl$id-a"
	test_refuse "a second sweep at the same time does nothing" flock -n "$out" \
		bash -c "TMPDIR=$LAB_TMP; . ./lab.sh; lab_sweep; [ ! -e $out ]"
	lab_sweep
	test_equal "after the sweep" "$(traces $id)" ""
	(LAB_ID=$id TMPDIR=$LAB_TMP small_lab 'sleep 2') >"$LAB_DIR/living" &
	lab_wait 5 grep -q . "$LAB_DIR/living" >/dev/null
	lab_sweep
	test_check "a living lab is not swept" test -e "/run/netns/wl$id-a"
	wait $!
	test_equal "after its own end" "$(traces $id)" ""
}

side_by_side() {
	local a=x$$ b=y$$ out
	out=$(
		LAB_ID=$a small_lab 'lab_in a ping -n -c 1 -W 1 203.0.113.1; sleep 1' &
		LAB_ID=$b small_lab 'lab_in a ping -n -c 1 -W 1 203.0.113.1; sleep 1' &
		wait
	)
	test_equal "both ping their own hub" "$(grep -c '1 received' <<<"$out")" 2
	test_equal "after the first" "$(traces $a)" ""
	test_equal "after the second" "$(traces $b)" ""
	test_refuse "the same id twice" bash -c "LAB_ID=$LAB_ID; . ./lab.sh; lab_begin"
	test_check "and the first one lives" pings n1 203.0.113.12
}

kept() {
	local id=d$$
	(LAB_ID=$id small_lab 'lab_keep') >/dev/null
	lab_sweep
	test_check "at runs in it" env "LAB_ID=$id" ./at a ping -n -c 1 -W 1 203.0.113.1
	test_refuse "at refuses an unknown host" env "LAB_ID=$id" ./at nobody true
	test_said "and names those there are" 'a hub s-nat$'
	(lab_adopt $id && lab_end)
	test_equal "after its end" "$(traces $id)" ""
}

test_setup setup
test_add lab-wan wan
test_add lab-ipv6 ipv6
test_add lab-nat nat
test_add lab-hosts-apart hosts_apart
test_add lab-daemons daemons
test_add lab-wait waiting
test_add lab-wireguard-pair wg_pair
test_add lab-reboot reboot
test_add lab-loss-counted loss
test_add lab-snapshot snapshot
test_add lab-cleanup cleanup
test_add lab-sweep sweep
test_add lab-side-by-side side_by_side
test_add lab-kept kept
test_main "$@"

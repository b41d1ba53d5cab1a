# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lab.sh - machines and an internet made of Linux namespaces. Source it from
# bash, as root:
#
#	. tests/lab/lab.sh
#	lab_begin			# a lab of its own; ends with the script
#	lab_wan				# the internet, and the host hub on it
#	lab_host n1 203.0.113.11 2001:db8:77::11
#	lab_nat office 203.0.113.20 1	# router office-nat, LAN 192.168.1.0/24
#	lab_host pc 192.168.1.11	# a host behind it
#	lab_in pc ping -c 1 203.0.113.11
#
# A host is a network, a mount and a UTS namespace, kept by one sleeping
# process (the holder). It has its own host name, /run, /sys, /var/lib,
# /etc/hosts and /etc/resolv.conf; everything else is the machine's. /var/lib
# and /etc/* outlast lab_reboot, /run and all that is in the kernel does not.
#
# Addresses say where a host is plugged in. The internet is one router (.254
# and ::fe) with three segments: 203.0.113.0/24 and 2001:db8:77::/64,
# 198.51.100.0/24 and 2001:db8:78::/64, 192.0.2.0/24 and 2001:db8:79::/64. LAN
# N of a lab_nat is 192.168.N.0/24 with its router at .1.
#
# Any number of labs may run side by side: everything carries $LAB_ID (default:
# the pid of the script), as in the namespace wl4711-n1. What a lab made is
# removed when its script ends, by the next lab_begin if it was killed by
# SIGKILL. Nothing is ever made in the machine's own network namespace.
#
#	lab_begin, lab_end		make a lab; remove it (done by itself)
#	lab_keep, lab_adopt ID		leave it standing; take it up again (with LAB_PATH)
#	lab_sweep			remove labs whose script is dead
#	lab_wan				internet and hub (203.0.113.1, 2001:db8:77::1)
#	lab_host NAME ADDRESS...	a host with these addresses on eth0
#	lab_nic HOST IF ADDRESS...	one more interface
#	lab_nat SITE ADDRESS N [accept] [random]
#					router with masquerade; inbound dropped unless
#					accept; a new port per destination with random
#	lab_lan N			192.168.N.0/24 without a router, for a second interface
#	lab_reboot HOST			power cycle
#	lab_in HOST COMMAND...		run there
#	lab_spawn HOST NAME COMMAND...	daemon there, output to lab_log HOST NAME
#	lab_pid, lab_log HOST NAME	pid of the daemon itself; path of its output
#	lab_kill HOST NAME [SIGNAL]	default TERM
#	lab_wait_gone HOST NAME [SECONDS]	default 5
#	lab_stop HOST NAME		TERM, KILL after 5 s; returns when it is gone
#	lab_procs HOST			"PID COMMAND" of everything that runs there
#	lab_snapshot HOST FILE		state of the host as text, for diff
#	lab_ping_start, lab_ping_stop HOST ADDRESS	20 pings/s; the second prints
#					"sent=N lost=N gap_ms=N" (longest silence)
#	lab_ping_result FILE		the same of what ping -D printed there
#	lab_wait SECONDS COMMAND...	until it is true (1 if never); prints the milliseconds.
#					LAB_SLOW=N: N times as long, for an emulated machine
#	lab_now_ms			a clock
#
# LAB_PATH is put before PATH in every host. report.sh, sourced below, has the
# test_* functions.

LAB_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_ROOT=$(cd "$LAB_SOURCE/../.." && pwd)
LAB_TMP=${TMPDIR:-/tmp}
LAB_PATH=${LAB_PATH:-}
LAB_DIR=

lab_fail() {
	echo "lab: $*" >&2
	return 1
}

lab_now_ms() {
	local now=${EPOCHREALTIME/[.,]/}
	echo $((now / 1000))
}

_lab_ns() {
	echo "wl$LAB_ID-$1"
}

# Start time of a process: with its pid it names one process for good.
_lab_start() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	[ "$1" != Z ] && echo "${20}"
}

# Is the process that FILE names ("PID START") alive? Prints its pid.
_lab_alive() {
	local pid start
	read -r pid start 2>/dev/null <"$1" || return 1
	[ "$(_lab_start "$pid")" = "$start" ] && echo "$pid"
}

# Pids of all processes in one of these namespaces ("net:[4026532000]").
_lab_pids() {
	[ $# -gt 0 ] || return 0
	LC_ALL=C stat -c %N /proc/[0-9]*/ns/net /proc/[0-9]*/ns/mnt 2>/dev/null |
		awk -F "'" -v want="$*" '
			BEGIN { n = split(want, w, " "); for (i = 1; i <= n; i++) in_lab[w[i]] }
			$4 in in_lab { split($2, p, "/"); if (!seen[p[3]]++) print p[3] }'
}

# The namespaces of these hosts of lab $LAB_ID, as _lab_pids takes them. Only
# what exists is named: numbers of namespaces are used again.
_lab_inodes() {
	local host file ns pid
	for host; do
		file=/run/netns/$(_lab_ns "$host")
		[ -e "$file" ] && echo "net:[$(stat -L -c %i "$file")]"
		pid=$(_lab_alive "$LAB_DIR/$host/.lab/holder") || continue
		ns=$(readlink "/proc/$pid/ns/mnt")
		[ "$ns" != "$(readlink /proc/self/ns/mnt)" ] && echo "$ns"
	done
}

# Kill everything in these hosts, holders too, and take their namespaces away.
# They are held open meanwhile: another lab's new one must not get the number of
# one that we are still killing in.
_lab_down() {
	local inodes pids i host file fd held=()
	for host; do
		for file in "/run/netns/$(_lab_ns "$host")" \
			"/proc/$(_lab_alive "$LAB_DIR/$host/.lab/holder")/ns/mnt"; do
			[ -e "$file" ] && exec {fd}<"$file" && held+=("$fd")
		done
	done
	mapfile -t inodes < <(_lab_inodes "$@")
	for ((i = 0; i < 500; i++)); do
		mapfile -t pids < <(_lab_pids "${inodes[@]}")
		[ ${#pids[@]} -gt 0 ] || break
		kill -KILL "${pids[@]}" 2>/dev/null
		sleep 0.01
	done
	for host; do
		[ ! -e "/run/netns/$(_lab_ns "$host")" ] || ip netns del "$(_lab_ns "$host")"
	done
	for fd in "${held[@]}"; do
		exec {fd}<&-
	done
}

_lab_hosts() {
	local path
	for path in "/run/netns/wl$LAB_ID-"*; do
		[ -e "$path" ] && echo "${path#/run/netns/wl"$LAB_ID"-}"
	done
	for path in "$LAB_DIR"/*/.lab; do
		[ -e "$path" ] && basename "$(dirname "$path")"
	done
}

# By one process only: two may sweep at once.
_lab_destroy() {
	local hosts lock
	exec {lock}<"$LAB_DIR" && flock -n "$lock" || return
	mapfile -t hosts < <(_lab_hosts | sort -u)
	_lab_down "${hosts[@]}"
	rm -rf --one-file-system -- "$LAB_DIR"
	exec {lock}<&-
}

lab_end() {
	trap - EXIT INT TERM HUP
	[ -n "$LAB_DIR" ] || return 0
	_lab_destroy
	LAB_DIR=
}

lab_sweep() {
	local dir
	for dir in "$LAB_TMP"/warren-lab-*.????????; do
		[ -d "$dir" ] && [ ! -e "$dir/.kept" ] || continue
		if [ -e "$dir/.owner" ]; then
			_lab_alive "$dir/.owner" >/dev/null && continue
		else
			[ -n "$(find "$dir" -maxdepth 0 -mmin +1)" ] || continue
		fi
		(
			LAB_DIR=$dir
			LAB_ID=${dir##*/warren-lab-}
			LAB_ID=${LAB_ID%.*}
			_lab_destroy
		)
	done
}

lab_begin() {
	local path
	[ "$(id -u)" = 0 ] || { lab_fail "root is needed"; return 1; }
	LAB_ID=${LAB_ID:-$$}
	[[ $LAB_ID =~ ^[a-z0-9]{1,12}$ ]] || { lab_fail "LAB_ID must be a-z0-9"; return 1; }
	for path in "$LAB_ROOT/" "$LAB_TMP/"; do
		case $path in
		/run/* | /var/run/* | /var/lib/* | /sys/*)
			lab_fail "$path is hidden inside a host; use another place"
			return 1
			;;
		esac
	done
	lab_sweep
	for path in "$LAB_TMP/warren-lab-$LAB_ID".????????; do
		[ -e "$path" ] && { lab_fail "lab $LAB_ID is already there: $path"; return 1; }
	done
	LAB_DIR=$(mktemp -d "$LAB_TMP/warren-lab-$LAB_ID.XXXXXXXX") || return 1
	echo "$$ $(_lab_start $$)" >"$LAB_DIR/.owner"
	: >"$LAB_DIR/.segments"
	trap 'lab_end' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

lab_keep() {
	echo "$LAB_PATH" >"$LAB_DIR/.kept"
	trap - EXIT INT TERM HUP
}

lab_adopt() {
	LAB_ID=$1
	for LAB_DIR in "$LAB_TMP/warren-lab-$LAB_ID".????????; do
		[ -d "$LAB_DIR" ] || continue
		read -r LAB_PATH 2>/dev/null <"$LAB_DIR/.kept"
		return 0
	done
	LAB_DIR=
	lab_fail "no lab $LAB_ID"
}

# _lab_segment PREFIX BRIDGE LENGTH GATEWAY: where addresses of PREFIX belong.
_lab_segment() {
	echo "$*" >>"$LAB_DIR/.segments"
}

# Prints "BRIDGE LENGTH GATEWAY" for an address.
_lab_find_segment() {
	local prefix key rest
	case $1 in
	*:*) prefix=${1%::*} ;;
	*) prefix=${1%.*} ;;
	esac
	while read -r key rest; do
		[ "$key" = "$prefix" ] && { echo "$rest"; return 0; }
	done <"$LAB_DIR/.segments"
	lab_fail "no segment of this lab has the address $1"
}

lab_wan() {
	local ns k n4 n6
	ns=$(_lab_ns wan)
	ip netns add "$ns" || return 1
	# shellcheck disable=SC2016
	ip netns exec "$ns" sh -c '
		cd /proc/sys/net || exit 1
		echo 1 >ipv4/ip_forward
		for c in all default; do
			echo 1 >ipv6/conf/$c/forwarding
			echo 0 >ipv6/conf/$c/accept_dad
		done
		for f in bridge/bridge-nf-call-*; do [ -e $f ] && echo 0 >$f; done
		ip link set lo up' || return 1
	k=0
	for n4 in 203.0.113 198.51.100 192.0.2; do
		n6=2001:db8:$((77 + k))
		_lab_segment $n4 wan$k 24 $n4.254
		_lab_segment $n6 wan$k 64 $n6::fe
		echo "link add wan$k type bridge mcast_snooping 0"
		echo "addr add $n4.254/24 dev wan$k"
		echo "addr add $n6::fe/64 dev wan$k nodad"
		echo "link set wan$k up"
		k=$((k + 1))
	done | ip -n "$ns" -b - || return 1
	lab_host hub 203.0.113.1 2001:db8:77::1
}

# Start the holder of a host. It makes the mounts and then only sleeps.
_lab_hold() {
	local dir=$LAB_DIR/$1
	# shellcheck disable=SC2016
	setsid unshare --net --mount --uts --propagation private sh -c '
		set -e
		cd "$1"
		umount -R -l /run/netns 2>/dev/null || :
		mount -t tmpfs -o mode=755 tmpfs /run
		mkdir -m 1777 /run/lock
		mount --bind "$1/lib" /var/lib
		mount -t sysfs sysfs /sys
		for f in hosts resolv.conf; do
			t=$(readlink -m /etc/$f)
			case $t in /run/*) mkdir -p "${t%/*}"; : >"$t" ;; esac
			[ ! -e "$t" ] || mount --bind "$1/$f" "$t"
		done
		echo "$2" >/proc/sys/kernel/hostname
		for c in all default; do
			echo 0 >/proc/sys/net/ipv6/conf/$c/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/$c/router_solicitations
		done
		ip link set lo up
		rm -rf /run/mount
		cd /
		: >"$1/ready"
		exec sleep infinity' lab-holder "$dir/.lab" "$1" </dev/null >"$dir/.lab/holder.log" 2>&1 &
	echo "$! $(_lab_start $!)" >"$dir/.lab/holder"
	disown $!
	while [ ! -e "$dir/.lab/ready" ]; do
		_lab_alive "$dir/.lab/holder" >/dev/null || {
			lab_fail "host $1: $(cat "$dir/.lab/holder.log")"
			return 1
		}
		sleep 0.005
	done
	rm "$dir/.lab/ready"
	ip netns attach "$(_lab_ns "$1")" "$(_lab_alive "$dir/.lab/holder")"
}

# _lab_plug HOST IF MAC PORT ADDRESS...: the cable from the host to its segment.
_lab_plug() {
	local host=$1 nic=$2 mac=$3 port=$4 address segment bridge length gateway wan
	shift 4
	wan=$(_lab_ns wan)
	segment=$(_lab_find_segment "$1") || return 1
	read -r bridge length gateway <<<"$segment"
	ip -n "$wan" link del "$port" 2>/dev/null
	ip -n "$wan" link add "$port" type veth peer name "$nic" address "$mac" \
		netns "$(_lab_ns "$host")" || return 1
	ip -n "$wan" link set "$port" master "$bridge" up || return 1
	{
		for address; do
			read -r bridge length gateway < <(_lab_find_segment "$address")
			echo "addr add $address/$length dev $nic"
		done
		echo "link set $nic up"
		[ "$nic" = eth0 ] && for address; do
			read -r bridge length gateway < <(_lab_find_segment "$address")
			[ "$gateway" = "$address" ] || echo "route add default via $gateway dev $nic"
		done
	} | ip -n "$(_lab_ns "$host")" -b -
}

lab_nic() {
	local host=$1 nic=$2 mac port
	shift 2
	mac=$(printf '02:00:%02x:%02x:%02x:%02x' $((RANDOM % 256)) $((RANDOM % 256)) \
		$((RANDOM % 256)) $((RANDOM % 256)))
	echo . >>"$LAB_DIR/.ports"
	port=p$(wc -l <"$LAB_DIR/.ports")
	echo "$host $nic $mac $port $*" >>"$LAB_DIR/$host/.lab/nics"
	_lab_plug "$host" "$nic" "$mac" "$port" "$@"
}

lab_host() {
	local host=$1 dir=$LAB_DIR/$1/.lab
	shift
	[[ $host =~ ^[a-z0-9-]{1,20}$ ]] || { lab_fail "bad host name $host"; return 1; }
	mkdir "$LAB_DIR/$host" 2>/dev/null || { lab_fail "host $host is there"; return 1; }
	mkdir -p "$dir/lib"
	: >"$dir/nics"
	printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$host" >"$dir/hosts"
	echo "# no name server" >"$dir/resolv.conf"
	_lab_hold "$host" || return 1
	[ $# = 0 ] || lab_nic "$host" eth0 "$@"
}

lab_lan() {
	ip -n "$(_lab_ns wan)" link add "lan$1" type bridge mcast_snooping 0 || return 1
	ip netns exec "$(_lab_ns wan)" sh -c "echo 1 >/proc/sys/net/ipv6/conf/lan$1/disable_ipv6"
	ip -n "$(_lab_ns wan)" link set "lan$1" up || return 1
	_lab_segment "192.168.$1" "lan$1" 24 "192.168.$1.1"
}

lab_nat() {
	local site=$1 wan=$2 n=$3 option policy=drop flags=''
	shift 3
	for option; do
		case $option in
		accept) policy=accept ;;
		random) flags=fully-random ;;
		*) lab_fail "lab_nat: what is $option?"; return 1 ;;
		esac
	done
	lab_lan "$n" || return 1
	lab_host "$site-nat" "$wan" || return 1
	lab_nic "$site-nat" lan0 "192.168.$n.1" || return 1
	cat >"$LAB_DIR/$site-nat/.lab/boot" <<-END
		echo 1 >/proc/sys/net/ipv4/ip_forward
		exec nft -f - <<-RULES
			table ip lab_nat {
				chain post {
					type nat hook postrouting priority 100;
					oifname "eth0" masquerade $flags
				}
				chain forward {
					type filter hook forward priority 0; policy $policy;
					iifname != "eth0" accept
					ct state established,related accept
				}
				chain input {
					type filter hook input priority 0; policy $policy;
					iifname != "eth0" accept
					ct state established,related accept
				}
			}
		RULES
	END
	lab_in "$site-nat" sh "$LAB_DIR/$site-nat/.lab/boot"
}

lab_reboot() {
	local host=$1 dir=$LAB_DIR/$1/.lab nic
	_lab_down "$host"
	rm -f "$LAB_DIR/$host"/*.pid
	_lab_hold "$host" || return 1
	while read -r nic; do
		# shellcheck disable=SC2086
		_lab_plug $nic || return 1
	done <"$dir/nics"
	[ ! -e "$dir/boot" ] || lab_in "$host" sh "$dir/boot"
}

# Sets LAB_CMD to what runs "$@" in HOST with a clean environment.
_lab_enter() {
	local pid name
	pid=$(_lab_alive "$LAB_DIR/$1/.lab/holder") || { lab_fail "no host $1"; return 1; }
	shift
	LAB_CMD=(nsenter -t "$pid" -n -m -u -- env -i
		"PATH=$LAB_PATH${LAB_PATH:+:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		HOME=/root LANG=C.UTF-8 "TERM=${TERM:-dumb}")
	for name in ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS; do
		[ -z "${!name:-}" ] || LAB_CMD+=("$name=${!name}")
	done
	LAB_CMD+=("$@")
}

lab_in() {
	local LAB_CMD
	_lab_enter "$@" || return 1
	"${LAB_CMD[@]}"
}

lab_log() {
	echo "$LAB_DIR/$1/$2.log"
}

lab_pid() {
	_lab_alive "$LAB_DIR/$1/$2.pid"
}

lab_spawn() {
	local LAB_CMD host=$1 name=$2 pid
	shift 2
	_lab_enter "$host" "$@" || return 1
	(exec setsid "${LAB_CMD[@]}" </dev/null >>"$(lab_log "$host" "$name")" 2>&1) &
	pid=$!
	disown $pid
	echo "$pid $(_lab_start $pid)" >"$LAB_DIR/$host/$name.pid"
}

lab_kill() {
	local pid
	pid=$(lab_pid "$1" "$2") || { lab_fail "$2 does not run on $1"; return 1; }
	kill -"${3:-TERM}" "$pid"
}

lab_wait_gone() {
	local i
	for ((i = 0; i < ${3:-5} * 100; i++)); do
		lab_pid "$1" "$2" >/dev/null || return 0
		sleep 0.01
	done
	lab_fail "$2 on $1 does not end"
}

lab_stop() {
	lab_pid "$1" "$2" >/dev/null || return 0
	lab_kill "$1" "$2" && lab_wait_gone "$1" "$2" && return 0
	lab_kill "$1" "$2" KILL && lab_wait_gone "$1" "$2"
}

lab_procs() {
	local inodes pid holder comm
	mapfile -t inodes < <(_lab_inodes "$1")
	holder=$(_lab_alive "$LAB_DIR/$1/.lab/holder")
	for pid in $(_lab_pids "${inodes[@]}"); do
		[ "$pid" = "$holder" ] && continue
		read -r comm 2>/dev/null <"/proc/$pid/comm" && echo "$pid $comm"
	done
}

# Counters, interface numbers, pids and inodes are left out: two snapshots of an
# unchanged host are equal. Databases are listed, not hashed.
lab_snapshot() {
	{
		# shellcheck disable=SC2016
		lab_in "$1" bash -c '
			echo "== links"
			ip -d -o link | sed -E "s/^[0-9]+: //; s/@if[0-9]+//; s/ link-netns[a-z]* [^ ]+//; s/ +\\\\ */ /g"
			echo "== addresses"
			ip -o addr | sed -E "s/^[0-9]+: //" | sort
			for f in -4 -6; do
				echo "== routes $f"; ip $f route show table all | sort
				echo "== rules $f"; ip $f rule
			done
			echo "== nft"
			nft -s list ruleset
			echo "== sockets"
			ss -lntuxpH | awk "{ l = \$1 ~ /^u_/ ? \$1 \" \" \$5 : \$1 \" \" \$5 \" \" \$6
				if (match(\$0, /users:.*/)) { p = substr(\$0, RSTART); gsub(/,(pid|fd)=[0-9]+/, \"\", p); l = l \" \" p }
				print l }" | sort
			echo "== sysctl"
			cd /proc/sys/net && grep -H . ipv4/ip_forward ipv4/conf/{all,default,eth0}/{forwarding,rp_filter,src_valid_mark,accept_local} \
				ipv6/conf/{all,default}/{forwarding,accept_ra} 2>/dev/null
			echo "== files"
			find /run /var/lib /etc/hosts /etc/resolv.conf ! -name "*-wal" ! -name "*-shm" ! -name "*-journal" \
				-printf "%y %m %p %l\n" | sort -k 3
			find /run /var/lib /etc/hosts /etc/resolv.conf -type f ! -name "*.db*" -exec sha256sum {} + | sort -k 2'
		echo "== processes"
		lab_procs "$1" | cut -d ' ' -f 2- | sort
	} >"$2"
}

lab_ping_start() {
	local file=$LAB_DIR/$1/ping-$2.log
	rm -f "$file"
	lab_spawn "$1" "ping-$2" ping -n -D -i 0.044 "$2"
}

# An answer still on its way when we stop is not lost: the last ping counts
# only when it was answered.
lab_ping_result() {
	awk '
		/ bytes from .*icmp_seq=/ {
			match($0, /icmp_seq=[0-9]+/); seq = substr($0, RSTART + 9, RLENGTH - 9) + 0
			if (seq in seen) next
			seen[seq]; got++
			t = substr($1, 2) + 0
			if (last && t - last > gap) gap = t - last
			last = t
		}
		/packets transmitted/ { sent = $1 }
		END {
			if (sent && !(sent in seen)) sent--
			printf "sent=%d lost=%d gap_ms=%d\n", sent, sent - got, gap * 1000
		}' "$1"
}

lab_ping_stop() {
	local name=ping-$2
	lab_kill "$1" "$name" INT && lab_wait_gone "$1" "$name" || return 1
	lab_ping_result "$(lab_log "$1" "$name")"
}

lab_wait() {
	local from limit
	from=$(lab_now_ms)
	limit=$((from + $1 * 1000 * ${LAB_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$(lab_now_ms)" -ge "$limit" ]; then
			echo $(($(lab_now_ms) - from))
			return 1
		fi
		sleep 0.02
	done
	echo $(($(lab_now_ms) - from))
}

# shellcheck source=tests/lab/report.sh
. "$LAB_SOURCE/report.sh"

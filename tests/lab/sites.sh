# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sites.sh - clusters in the lab: nodes with pods, service addresses and a
# cluster DNS, without Kubernetes. Source it after lab.sh and warren.sh.
#
#	lab_wan
#	lab_nat dc1 203.0.113.20 1
#	site dc1 10.42 10.43 192.168.1.11 192.168.1.12	# behind the NAT
#	site cloud 10.44,fd00:44:0 10.45,fd00:45:0 \
#		203.0.113.11,2001:db8:77::11 203.0.113.12,2001:db8:77::12
#	site_service dc1 default/nginx-service 10.43.45.229 dc1-p1 dc1-p2
#	lab_in dc1-p1 curl http://nginx-service/
#
# A site NAME has nodes NAME-n1, NAME-n2... (hosts of the lab), on each of them
# one pod NAME-p1, NAME-p2..., and the cluster's DNS server NAME-dns, a pod on
# the first node. Prefixes are two numbers (IPv4, /16) or three groups (IPv6,
# /48), one of them or both with a comma. Pods of node N have 10.42.N.0/24 and
# fd00:42:0:N::/64, the node is .1, pod pN is .10, the DNS server .53. Services:
# 10.43.0.0/16 and fd00:43:0::/48, the DNS server's is .0.10 and ::a.
#
# As in a cluster: nodes route each other's pods; pods are masqueraded when they
# leave the cluster by eth0, and only then; a service address is DNAT in every
# node (nft table kube), those who ask from outside the cluster are masqueraded
# by mark; pods ask the DNS server by its service address, with the search list
# of Kubernetes. Every pod serves a page on port 8080 that names it, services
# are port 80.
#
#	site NAME PODS SERVICES NODE_ADDRESS[,ADDRESS6][+LAN_ADDRESS]...
#					with a LAN_ADDRESS (of a lab_lan) on eth1 the nodes
#					carry what is between their pods there
#	site_service SITE NAMESPACE/NAME ADDRESS[,ADDRESS6] POD...	make or change
#	site_headless SITE NAMESPACE/NAME POD...	make or change, no address of its own
#	site_unservice SITE NAMESPACE/NAME
#	site_forward SITE ZONE ADDRESS#PORT...	its DNS asks these for that zone
#	site_services_json SITE		what a Kubernetes API would list, as the
#					file of warren-exporter --services
#	site_ranges SITE		"10.42.0.0/16 10.43.0.0/16": what its gateway carries
#	site_nodes SITE, site_pods SITE	their names
#	site_reboot NODE		power cycle of a node; its pods start again
#	site_agents SITE		agents on its nodes, with --site and --dns on port 5300 of
#					the node's address to its pods (site_dns_address NODE)
#	site_join NETWORK NODE...	the nodes join it
#	site_gateway SITE NETWORK	its first node carries its ranges into the network
#	site_exporter SITE NETWORK [POD]	exports its services into the zone of the network;
#					runs in the first pod, or in POD
#	site_export SITE [POD]		the exporter's file says what the site has now
#	site_names SITE NETWORK...	its DNS asks its first node for these zones
#	site_dig NODE NAME [TYPE]	asks the node's agent; prints "NOERROR 10.43.45.229"
#	site_says NODE NAME TYPE WANTED...	... and is it that (sorted)?
#	site_ask_start, site_ask_stop NODE NAME	20 times a second; the second prints
#					"asked=N missed=N"
#	site_page HOST URL		one try (2 s); prints the page
#	site_served HOST URL POD	the page comes, and from POD (a pattern)

_site() {
	echo "$LAB_DIR/.site-$1"
}

# Parts of "4,6": _site_4 10.42,fd00:42:0 is 10.42. Empty when there is none.
_site_4() {
	local part
	for part in ${1//,/ }; do
		[[ $part == *:* ]] || echo "$part"
	done
}

_site_6() {
	local part
	for part in ${1//,/ }; do
		[[ $part != *:* ]] || echo "$part"
	done
}

site_nodes() {
	cut -d ' ' -f 1 "$(_site "$1")/nodes"
}

site_pods() {
	awk '$4 != 53 { print $1 }' "$(_site "$1")/pods"
}

site_ranges() {
	local pods services p4 p6 s4 s6
	read -r pods services <"$(_site "$1")/ranges"
	p4=$(_site_4 "$pods") p6=$(_site_6 "$pods") s4=$(_site_4 "$services") s6=$(_site_6 "$services")
	echo "${p4:+$p4.0.0/16} ${s4:+$s4.0.0/16} ${p6:+$p6::/48} ${s6:+$s6::/48}" | xargs
}

# _site_pod_address SITE POD: "10.42.1.10,fd00:42:0:1::10", as its prefixes allow.
_site_pod_address() {
	local name node number last pods services p4 p6
	read -r pods services <"$(_site "$1")/ranges"
	p4=$(_site_4 "$pods") p6=$(_site_6 "$pods")
	while read -r name node number last; do
		[ "$name" = "$2" ] || continue
		p4=${p4:+$p4.$number.$last} p6=${p6:+$p6:$number::$last}
		echo "$p4${p4:+${p6:+,}}$p6"
		return 0
	done <"$(_site "$1")/pods"
	lab_fail "site $1 has no pod $2"
}

# What the CNI does in a node: forwarding, routes to the others' pods.
_site_cni() {
	local site=$1 me=$2 name number addresses pods services p4 p6
	read -r pods services <"$(_site "$site")/ranges"
	p4=$(_site_4 "$pods") p6=$(_site_6 "$pods")
	lab_in "$me" sh -c 'cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding' || return 1
	while read -r name number addresses; do
		[ "$name" != "$me" ] || continue
		addresses=${addresses#*+}
		[ -z "$p4" ] || echo "route add $p4.$number.0/24 via $(_site_4 "$addresses")"
		[ -z "$p6" ] || echo "route add $p6:$number::/64 via $(_site_6 "$addresses")"
	done <"$(_site "$site")/nodes" | ip -n "$(_lab_ns "$me")" -b -
}

# One service port as kube-proxy makes it: a mark for who asks from outside or asks itself, then DNAT to one of
# the endpoints.
_site_port_rules() {
	local family=$1 cluster=$2 proto=$3 address=$4 port=$5 target=$6 endpoint left
	shift 6
	left=$#
	echo "$family daddr $address $proto dport $port $family saddr != $cluster meta mark set meta mark or 0x4000"
	for endpoint; do
		echo "$family daddr $address $proto dport $port $family saddr $endpoint meta mark set meta mark or 0x4000"
	done
	for endpoint; do
		[[ $endpoint == *:* ]] && endpoint="[$endpoint]"
		echo "$family daddr $address $proto dport $port numgen random mod $left 0 dnat to $endpoint:$target"
		left=$((left - 1))
	done
}

_site_family_rules() {
	local site=$1 family=$2 pick=_site_$3 cluster=$4 dns=$5 name address pods pod endpoints proto
	echo "table $family kube { }; delete table $family kube; table $family kube {"
	echo "chain services {"
	while read -r name address pods; do
		[ "$address" != - ] || continue
		address=$($pick "$address")
		[ -n "$address" ] || continue
		endpoints=$(for pod in $pods; do $pick "$(_site_pod_address "$site" "$pod")"; done)
		# shellcheck disable=SC2086
		_site_port_rules "$family" "$cluster" tcp "$address" 80 8080 $endpoints
	done <"$(_site "$site")/services"
	for proto in udp tcp; do
		_site_port_rules "$family" "$cluster" $proto "$dns" 53 53 \
			"$($pick "$(_site_pod_address "$site" "$site-dns")")"
	done
	cat <<-END
		}
		chain pre { type nat hook prerouting priority -100; jump services; }
		chain out { type nat hook output priority -100; jump services; }
		chain post {
			type nat hook postrouting priority 100;
			meta mark & 0x4000 == 0x4000 masquerade fully-random
			$family saddr $cluster $family daddr != $cluster oifname "eth0" masquerade
		}
		}
	END
}

# kube-proxy and the CNI's masquerade, in every node of the site or in one.
_site_proxy() {
	local site=$1 node nodes pods services p4 p6
	shift
	read -r pods services <"$(_site "$site")/ranges"
	p4=$(_site_4 "$pods") p6=$(_site_6 "$pods")
	{
		[ -z "$p4" ] || _site_family_rules "$site" ip 4 "$p4.0.0/16" "$(_site_4 "$services").0.10"
		[ -z "$p6" ] || _site_family_rules "$site" ip6 6 "$p6::/48" "$(_site_6 "$services")::a"
	} >"$(_site "$site")/rules"
	nodes=${*:-$(site_nodes "$site")}
	for node in $nodes; do
		lab_in "$node" nft -f "$(_site "$site")/rules" || return 1
	done
}

# Plug a pod into its node, and start what runs in it. Each has its own cable and is routed: where two pods share
# a bridge, answers from a service on the same bridge would miss the node's NAT.
_site_plug() {
	local site=$1 pod=$2 node=$3 number=$4 last=$5 pods services p4 p6 port=vp$5
	read -r pods services <"$(_site "$site")/ranges"
	p4=$(_site_4 "$pods") p6=$(_site_6 "$pods")
	ip -n "$(_lab_ns "$node")" link add "$port" type veth peer name eth0 netns "$(_lab_ns "$pod")" || return 1
	{
		echo "link set $port up"
		[ -z "$p4" ] || echo "addr add $p4.$number.1/32 dev $port
			route add $p4.$number.$last dev $port"
		[ -z "$p6" ] || echo "addr add $p6:$number::1/128 dev $port nodad
			route add $p6:$number::$last dev $port"
	} | ip -n "$(_lab_ns "$node")" -b - || return 1
	{
		echo "link set eth0 up"
		[ -z "$p4" ] || echo "addr add $p4.$number.$last/32 dev eth0
			route add $p4.$number.1 dev eth0
			route add default via $p4.$number.1"
		[ -z "$p6" ] || echo "addr add $p6:$number::$last/128 dev eth0 nodad
			route add $p6:$number::1 dev eth0
			route add default via $p6:$number::1"
	} | ip -n "$(_lab_ns "$pod")" -b - || return 1
	if [ "$last" = 53 ]; then
		_site_dns "$site"
	else
		lab_pid "$pod" page >/dev/null || lab_spawn "$pod" page lab_page "$pod" 8080
	fi
}

# The cluster's DNS server: own services, and in /var/lib/servers the forward rules of `warren dns stanza`.
_site_dns() {
	local site=$1 name address pods pod lib=$LAB_DIR/$1-dns/.lab/lib
	[ -e "$lib/servers" ] || : >"$lib/servers"
	{
		printf '%s\n' no-resolv no-hosts cache-size=0 keep-in-foreground user=root \
			pid-file=/run/dnsmasq.pid local=/cluster.local/ log-facility=- servers-file=/var/lib/servers
		while read -r name address pods; do
			name=${name#*/}.${name%/*}.svc.cluster.local
			if [ "$address" != - ]; then
				echo "host-record=$name,$address"
				continue
			fi
			for pod in $pods; do
				echo "host-record=$name,$(_site_pod_address "$site" "$pod")"
			done
		done <"$(_site "$site")/services"
	} >"$lib/dnsmasq.conf"
	lab_stop "$site-dns" dnsmasq && lab_spawn "$site-dns" dnsmasq dnsmasq -C /var/lib/dnsmasq.conf &&
		lab_wait 5 _warren_listens "$site-dns" 53 >/dev/null
}

_site_pod() {
	local site=$1 pod=$2 node=$3 number=$4 last=$5 pods services dns
	read -r pods services <"$(_site "$site")/ranges"
	dns=$(_site_4 "$services")
	dns=${dns:+$dns.0.10}
	lab_host "$pod" || return 1
	echo "$pod $node $number $last" >>"$(_site "$site")/pods"
	printf 'nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' \
		"${dns:-$(_site_6 "$services")::a}" >"$LAB_DIR/$pod/.lab/resolv.conf"
	_site_plug "$site" "$pod" "$node" "$number" "$last"
}

site() {
	local site=$1 dir number=0 addresses node lan
	dir=$(_site "$1")
	mkdir "$dir" || return 1
	echo "$2 $3" >"$dir/ranges"
	: >"$dir/services"
	: >"$dir/pods"
	shift 3
	for addresses; do
		number=$((number + 1))
		echo "$site-n$number $number $addresses" >>"$dir/nodes"
	done
	while read -r node number addresses; do
		lan=${addresses#*+}
		addresses=${addresses%+*}
		# shellcheck disable=SC2086
		lab_host "$node" ${addresses//,/ } || return 1
		[ "$lan" = "$addresses" ] || lab_nic "$node" eth1 "$lan" || return 1
	done <"$dir/nodes"
	while read -r node number addresses; do
		_site_cni "$site" "$node" && _site_pod "$site" "$site-p$number" "$node" "$number" 10 || return 1
	done <"$dir/nodes"
	_site_pod "$site" "$site-dns" "$site-n1" 1 53 && _site_proxy "$site"
}

site_unservice() {
	local dir
	dir=$(_site "$1")
	awk -v name="$2" '$1 != name' "$dir/services" >"$dir/services.new" &&
		mv "$dir/services.new" "$dir/services" && _site_proxy "$1" && _site_dns "$1"
}

site_service() {
	local dir
	dir=$(_site "$1")
	awk -v name="$2" '$1 != name' "$dir/services" >"$dir/services.new"
	echo "${*:2}" >>"$dir/services.new"
	mv "$dir/services.new" "$dir/services" && _site_proxy "$1" && _site_dns "$1"
}

site_headless() {
	site_service "$1" "$2" - "${@:3}"
}

site_forward() {
	local site=$1 zone=$2 server
	shift 2
	for server; do
		echo "server=/$zone/$server"
	done >>"$LAB_DIR/$site-dns/.lab/lib/servers"
	lab_kill "$site-dns" dnsmasq HUP
}

site_services_json() {
	local name address pods pod
	while read -r name address pods; do
		for pod in $pods; do
			echo "$name $address $pod $(_site_pod_address "$1" "$pod")"
		done
	done <"$(_site "$1")/services" | jq -Rn '
		[inputs | split(" ") | {name: .[0], address: .[1], pod: .[2], at: .[3] | split(",")}] | group_by(.name) |
		{services: map({name: .[0].name | split("/")[1], namespace: .[0].name | split("/")[0]} +
			if .[0].address == "-" then
				{endpoints: map({hostname: .pod, addresses: .at}), ports: [{name: "http", protocol: "TCP", port: 8080}]}
			else
				{addresses: .[0].address | split(","), ports: [{name: "http", protocol: "TCP", port: 80}]}
			end)}'
}

site_reboot() {
	local site=${1%-*} pod node number last
	lab_reboot "$1" && _site_cni "$site" "$1" || return 1
	while read -r pod node number last; do
		[ "$node" != "$1" ] || _site_plug "$site" "$pod" "$node" "$number" "$last" || return 1
	done <"$(_site "$site")/pods"
	_site_proxy "$site" "$1"
}

site_page() {
	lab_in "$1" curl -sS -f -m "${SITE_PATIENCE:-2}" "$2"
}

site_served() {
	local page
	page=$(site_page "$1" "$2") && echo "$page" && [[ $page == "page of "$3,\ asked* ]]
}

site_dns_address() {
	local name number rest pods services p4
	read -r pods services <"$(_site "${1%-*}")/ranges"
	read -r name number rest < <(grep "^$1 " "$(_site "${1%-*}")/nodes")
	p4=$(_site_4 "$pods")
	if [ -n "$p4" ]; then echo "$p4.$number.1"; else echo "$(_site_6 "$pods"):$number::1"; fi
}

site_agent() {
	local dns
	dns=$(site_dns_address "$1")
	[[ $dns != *:* ]] || dns="[$dns]"
	warren_agent "$1" --site "${1%-*}" --dns "$dns:5300"
}

site_agents() {
	local node
	for node in $(site_nodes "$1"); do
		site_agent "$node" || return 1
	done
}

site_join() {
	local network=$1 node token
	shift
	token=$(warren_token "$network") || return 1
	for node; do
		warren_cli "$node" join "$token" || return 1
	done
}

site_gateway() {
	local range options=()
	for range in $(site_ranges "$1"); do
		options+=(--range "$range")
	done
	warren_cli "$WARREN_HUB" gateway create --network "$2" --node "$1-n1" "${options[@]}"
}

# Written beside and renamed, as the exporter wants it.
site_export() {
	local file=$LAB_DIR/${2:-$1-p1}/.lab/lib/services.json
	site_services_json "$1" >"$file.new" && mv "$file.new" "$file"
}

site_exporter() {
	local pod=${3:-$1-p1} token
	token=$(warren_token "$2" --role exporter --site "$1") && site_export "$1" "$pod" &&
		lab_spawn "$pod" exporter warren-exporter --token "$token" --services /var/lib/services.json
}

site_names() {
	local site=$1 network
	shift
	for network; do
		site_forward "$site" "$network" "$(site_dns_address "$site-n1")#5300" || return 1
	done
}

site_dig() {
	lab_in "$1" dig +time=1 +tries=1 "@$(site_dns_address "$1")" -p 5300 "$2" "${3:-A}" | awk '
		/status:/ { sub(/.*status: /, ""); sub(/,.*/, ""); status = $0 }
		/^;; ANSWER/ { answers = 1; next }
		/^$/ { answers = 0 }
		answers { sub(/^.*[ \t]IN[ \t]+(A|AAAA|SRV|PTR)[ \t]+/, ""); print | "sort" }
		END { close("sort"); print "=" (status ? status : "TIMEOUT") }' | awk '
		/^=/ { print substr($0, 2) all; next } { all = all " " $0 }'
}

site_says() {
	[ "$(site_dig "$1" "$2" "$3")" = "${*:4}" ]
}

site_ask_start() {
	local dns
	dns=$(site_dns_address "$1")
	rm -f "$(lab_log "$1" "ask-$2")"
	# shellcheck disable=SC2016
	lab_spawn "$1" "ask-$2" sh -c 'while sleep 0.05; do
		dig +time=1 +tries=1 @$1 -p 5300 $2 A | grep -q "status: NOERROR.*" && echo ok || echo missed; done' ask "$dns" "$2"
}

site_ask_stop() {
	lab_stop "$1" "ask-$2"
	awk '{ n++ } /missed/ { m++ } END { printf "asked=%d missed=%d\n", n, m }' "$(lab_log "$1" "ask-$2")"
}

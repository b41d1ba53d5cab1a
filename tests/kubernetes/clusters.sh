# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# clusters.sh - Kubernetes clusters whose nodes are hosts of the lab. Source it after lab.sh and warren.sh:
#
#	clusters_begin				instead of lab_begin
#	lab_wan
#	lab_nat dc1 203.0.113.20 1
#	cluster dc1 10.42,fd00:42:0 10.43,fd00:43 192.168.1.11,fd00:1::11 192.168.1.12,fd00:1::12
#	clusters_ready dc1
#	cluster_kubectl dc1 get nodes
#
# Nodes are dc1-n1, dc1-n2, ...; the first has the control plane. Prefixes are as in sites.sh: two numbers (IPv4, /16)
# and groups of IPv6: three for pods (/48), two or more for services (/112). Pods of node N have 10.42.N.0/24 and fd00:42:0:N::/64, the
# cluster's DNS is 10.43.0.10 and fd00:43::a. A node's addresses: the first IPv4 is where it is plugged into the lab
# (lab_host), an IPv6 of the same segment too; any other IPv6 is added to eth0.
#
# A node is real: kubelet, kube-proxy, containerd, runc and CNI in the host's network, with a PID namespace of its own.
# Nodes of a cluster route each other's pods; what pods send anywhere else by eth0 is masqueraded there. The lab's
# routers know no address of a pod or a service. Programs are from tests/kubernetes/build, images from image.py and
# from $CLUSTER_IMAGES (a list of tar files that docker save wrote).
#
#	clusters_begin, clusters_end		make the lab; remove it and the nodes' control groups
#	cluster NAME PODS SERVICES NODE...	start one
#	clusters_ready NAME...			wait until their nodes are Ready and their DNS answers
#	cluster_kubectl NAME ARGUMENT...	kubectl for it, on its first node
#	cluster_nodes NAME			names of its nodes
#	cluster_enter NODE COMMAND...		in all of the node's namespaces: cluster_enter dc1-n1 ps ax
#	cluster_stop_daemon NODE PROGRAM	kill -9 of one daemon; it is back a second later
#	cluster_import NODE FILE		an image more
#	cluster_context HOST NAME...		kubectl --context NAME works on HOST (with cluster_environment)

CLUSTERS_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROXY_MODE=${PROXY_MODE:-nftables}

# Removes the control groups that match PATTERN.
_clusters_cgroups() {
	local cgroup i
	# shellcheck disable=SC2231
	for cgroup in /sys/fs/cgroup/$1 /sys/fs/cgroup/*/$1; do
		[ -d "$cgroup" ] || continue
		# Its processes are gone a moment later.
		for ((i = 0; i < 50; i++)); do
			find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
			[ -d "$cgroup" ] || break
			sleep 0.1
		done
	done
}

clusters_end() {
	local id=$LAB_ID
	lab_end
	_clusters_cgroups "warren-$id-*"
}

# Control groups of labs that are gone.
_clusters_sweep() {
	local cgroup id
	for cgroup in /sys/fs/cgroup/warren-*-n[0-9]* /sys/fs/cgroup/*/warren-*-n[0-9]*; do
		[ -d "$cgroup" ] || continue
		id=${cgroup##*/warren-}
		ls -d "$LAB_TMP/warren-lab-${id%%-*}".* >/dev/null 2>&1 || _clusters_cgroups "${cgroup##*/}"
	done
}

clusters_begin() {
	KUBE=$("$CLUSTERS_SOURCE/build" --where) || { lab_fail "tests/kubernetes/build has not run"; return 1; }
	LAB_PATH=$LAB_PATH:$KUBE
	lab_begin || return 1
	trap clusters_end EXIT
	_clusters_sweep
	mkdir "$LAB_DIR/.images" && _clusters_images
}

# The images of the rig itself. Nothing is pulled: their names have no registry.
# shellcheck disable=SC2086 # $links is a list
_clusters_images() {
	local links busybox
	busybox=$(command -v busybox)
	links=$(busybox --list | grep -vxE 'wget|nslookup|ping|ping6' | sed 's|.*|/bin/&->/bin/busybox|')
	_clusters_image pause "/bin/sleep 2147483647" "$busybox=/bin/busybox" '/bin/sleep->busybox' &&
		_clusters_image coredns /bin/coredns "$KUBE/coredns=/bin/coredns" &&
		_clusters_image page "/bin/lab_page page 8080" "$WARREN_BIN/lab_page=/bin/lab_page" "$busybox=/bin/busybox" \
			'/bin/sh->busybox' &&
		_clusters_image client "/bin/sleep 2147483647" "$busybox=/bin/busybox" $links /tmp/ /etc/ \
			"$(command -v curl)=/bin/curl" "$(command -v dig)=/bin/dig" "$(command -v nslookup)=/bin/nslookup" \
			"$(command -v ping)=/bin/ping" "$(_clusters_psql)=/bin/psql"
}

_clusters_psql() {
	printf "%s\n" /usr/lib/postgresql/*/bin/psql | tail -n 1
}

_clusters_image() {
	"$CLUSTERS_SOURCE/image.py" "$LAB_DIR/.images/$1.tar" "local/$1:1" "${@:2}"
}

_cluster() {
	echo "$LAB_DIR/.cluster-$1"
}

cluster_nodes() {
	cut -d ' ' -f 1 "$(_cluster "$1")/nodes"
}

# _cluster_user NAME FILE USER GROUP: a token, and a kubeconfig with it
_cluster_user() {
	local token dir
	dir=$(_cluster "$1")
	token=$(openssl rand -hex 16) || return 1
	echo "$token,$3,$3,$4" >>"$dir/tokens.csv"
	cat >"$dir/$2.kubeconfig" <<-END
		apiVersion: v1
		kind: Config
		clusters: [{name: $1, cluster: {server: "https://$API4:6443", certificate-authority: $dir/ca.crt}}]
		users: [{name: $1, user: {token: $token}}]
		contexts: [{name: $1, context: {cluster: $1, user: $1}}]
		current-context: $1
	END
}

# A CA, and one certificate for the API server: it serves with it and shows it to the kubelets.
_cluster_keys() {
	local name dir key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30'
	dir=$(_cluster "$1")
	# shellcheck disable=SC2086
	openssl req -x509 $key -subj "/CN=$1" -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null &&
		openssl req -x509 -CA "$dir/ca.crt" -CAkey "$dir/ca.key" $key -subj "/O=system:masters/CN=kube-apiserver" \
			-addext basicConstraints=CA:FALSE -addext extendedKeyUsage=serverAuth,clientAuth \
			-addext "subjectAltName=DNS:kubernetes.default.svc,DNS:kubernetes.default,DNS:kubernetes,DNS:localhost,IP:127.0.0.1,IP:$API4,IP:${DNS4%.10}.1,IP:${DNS6%::a}::1" \
			-keyout "$dir/api.key" -out "$dir/api.crt" 2>/dev/null || return 1
	_cluster_user "$1" admin admin system:masters || return 1
	for name in kube-controller-manager kube-scheduler kube-proxy; do
		_cluster_user "$1" $name system:$name system:authenticated || return 1
	done
}

# A node's host: forwarding, IPv6 that the lab's segment does not have, routes to the other nodes' pods, masquerade of
# what pods send out of eth0 to others.
_cluster_host() {
	local site=$1 me=$2 name number n4 n6
	lab_in "$me" sh -c 'cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding' || return 1
	while read -r name number n4 n6; do
		if [ "$name" = "$me" ]; then
			lab_in "$me" sh -c "ip -o -6 addr show dev eth0 | grep -qF ' $n6/' || ip addr add $n6/64 dev eth0 nodad"
		else
			echo "route add $P4.$number.0/24 via $n4"
			echo "route add $P6:$number::/64 via $n6"
		fi
	done <"$(_cluster "$site")/nodes" >"$LAB_DIR/$me/.lab/routes" || return 1
	ip -n "$(_lab_ns "$me")" -b - <"$LAB_DIR/$me/.lab/routes" || return 1
	lab_in "$me" nft -f - <<-END
		table inet pods {
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "eth0" ip saddr $PODS4 ip daddr != $PODS4 masquerade
				oifname "eth0" ip6 saddr $PODS6 ip6 daddr != $PODS6 masquerade
			}
		}
	END
}

# What the script `node` has to know.
_cluster_node_file() {
	local dir
	dir=$(_cluster "$1")
	_cluster_user "$1" "$2" "system:node:$2" system:nodes || return 1
	cat >"$dir/$2.env" <<-END
		NODE=$2 NODE4=$4 NODE6=$5 POD4=$P4.$3.0/24 POD6=$P6:$3::/64
		API4=$API4 PODS4=$PODS4 PODS6=$PODS6 SERVICES4=$SERVICES4 SERVICES6=$SERVICES6 DNS4=$DNS4 DNS6=$DNS6
		SHARED=$dir STATE=/var/lib/node CGROUP=warren-$LAB_ID-$2 MOUNTS=$dir/mounts PROXY_MODE=$PROXY_MODE
		IMAGES="$(echo "$LAB_DIR"/.images/*.tar) ${CLUSTER_IMAGES:-}"
	END
}

_cluster_node_start() {
	lab_spawn "$1" node unshare --mount --pid --ipc --fork --kill-child --mount-proc \
		"$CLUSTERS_SOURCE/node" "$(_cluster "${1%-*}")/$1.env"
}

cluster() {
	local site=$1 dir P4 P6 S4 S6 PODS4 PODS6 SERVICES4 SERVICES6 DNS4 DNS6 API4 addresses number=0 node n4 n6
	dir=$(_cluster "$site")
	mkdir "$dir" && grep ' cgroup2\? ' /proc/self/mounts >"$dir/mounts" || return 1
	P4=${2%,*} P6=${2#*,} S4=${3%,*} S6=${3#*,}
	PODS4=$P4.0.0/16 PODS6=$P6::/48 SERVICES4=$S4.0.0/16 SERVICES6=$S6::/112 DNS4=$S4.0.10 DNS6=$S6::a
	API4=${4%,*}
	shift 3
	for addresses; do
		number=$((number + 1))
		echo "$site-n$number $number ${addresses//,/ }" >>"$dir/nodes"
	done
	_cluster_keys "$site" || return 1
	while read -r node number n4 n6; do
		if _lab_find_segment "$n6" >/dev/null 2>&1; then lab_host "$node" "$n4" "$n6"; else lab_host "$node" "$n4"; fi &&
			_cluster_node_file "$site" "$node" "$number" "$n4" "$n6" || return 1
	done <"$dir/nodes"
	for node in $(cluster_nodes "$site"); do
		_cluster_host "$site" "$node" && _cluster_node_start "$node" || return 1
	done
	sed "s/DNS4/$DNS4/;s/DNS6/$DNS6/" "$CLUSTERS_SOURCE/coredns.yaml" >"$dir/coredns.yaml"
}

cluster_kubectl() {
	lab_in "$1-n1" kubectl --kubeconfig "$(_cluster "$1")/admin.kubeconfig" "${@:2}"
}

clusters_ready() {
	local site node
	for site; do
		for node in $(cluster_nodes "$site"); do
			lab_wait 120 cluster_kubectl "$site" wait --for=condition=Ready "node/$node" --timeout=5s >/dev/null || {
				lab_fail "node $node is not Ready: $(tail -n 3 "$(lab_log "$node" node)" "$LAB_DIR/$node/.lab/lib/node"/*.log)"
				return 1
			}
		done
		cluster_kubectl "$site" apply -f "$(_cluster "$site")/coredns.yaml" >/dev/null || return 1
	done
	for site; do
		cluster_kubectl "$site" -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null || return 1
	done
}

# Process 1 of the node's PID namespace.
_cluster_init() {
	local pid
	pid=$(lab_pid "$1" node) && cat "/proc/$pid/task/$pid/children"
}

cluster_enter() {
	local init
	init=$(_cluster_init "$1") && [ -n "$init" ] || { lab_fail "node $1 does not run"; return 1; }
	# shellcheck disable=SC2086
	nsenter --target $init --net --mount --pid --ipc --uts -- env "PATH=$LAB_PATH:$PATH" "${@:2}"
}

cluster_stop_daemon() {
	cluster_enter "$1" sh -c "kill -9 \$(cat /var/lib/node/$2.pid)"
}

cluster_import() {
	cluster_enter "$1" ctr -n k8s.io images import "$2"
}

# One kubeconfig for HOST, as a person has it.
cluster_context() {
	local site list=''
	for site in "${@:2}"; do
		list=$list:$(_cluster "$site")/admin.kubeconfig
	done
	KUBECONFIG=${list#:} "$KUBE/kubectl" config view --flatten >"$LAB_DIR/$1/.lab/lib/kubeconfig"
}

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# world.sh - what a company has before Warren. Source it after the lab's files and clusters.sh.
#
#	hub	on the internet, 203.0.113.1: broker and coordinator will run here
#	dc1	two nodes behind one masquerading NAT that lets nobody in; pods 10.42.0.0/16, services 10.43.0.0/16
#	cloud	two nodes with addresses of the internet; pods 10.44.0.0/16, services 10.45.0.0/16
#	desk	a machine in dc1's LAN with kubectl for both, the manifests in /var/lib/desk/k8s
#	db1	a machine on the internet with PostgreSQL
#	branch	a third site, without Kubernetes: branch-1 is its router, branch-2 a machine in its LAN, 192.168.3.0/24
#
# Both clusters are dual stack, with ranges fd00:42:: to fd00:45::. dc1 has nginx-service (10.43.45.229), cloud has web
# (10.45.12.80), both a pod named client-... on every node.
#
#	world			make it
#	world_images		sets CLUSTER_IMAGES, unless it is set, to what tests/images built from our Dockerfiles
#	desk COMMAND...		run it on the desk
#	client CLUSTER NODE	the name of the client pod on that node

DC1_SERVICE=10.43.45.229
CLOUD_SERVICE=10.45.12.80
DESK=/var/lib/desk

desk() {
	lab_in desk env -C $DESK KUBECONFIG=/var/lib/kubeconfig "$@"
}

client() {
	cluster_kubectl "$1" get pods -l app=client --field-selector "spec.nodeName=$2" \
		-o 'jsonpath={.items[*].metadata.name}'
}

world_images() {
	[ -n "${CLUSTER_IMAGES:-}" ] || CLUSTER_IMAGES=$("$LAB_ROOT/tests/images" agent exporter wireguard)
}

# PostgreSQL on db1, which lets in whoever comes from the two networks.
_world_database() {
	local bin lib=$LAB_DIR/db1/.lab/lib/postgresql data=/var/lib/postgresql/data
	bin=$(echo /usr/lib/postgresql/*/bin)
	mkdir "$lib" && chown postgres "$lib" &&
		lab_in db1 runuser -u postgres -- "$bin/initdb" -D $data -A trust --no-sync -E UTF8 >/dev/null &&
		printf 'host all all %s trust\n' 10.36.50.0/24 10.65.24.0/24 >>"$lib/data/pg_hba.conf" &&
		lab_spawn db1 postgres runuser -u postgres -- "$bin/postgres" -D $data -h '*' -k /var/lib/postgresql &&
		lab_wait 20 lab_in db1 psql -h /var/lib/postgresql -U postgres -c "create table orders as
			select n as id, 'order ' || n as what from generate_series(1, 3) n" >/dev/null
}

_world_desk() {
	lab_host desk 192.168.1.9 && mkdir "$LAB_DIR/desk/.lab/lib/desk" &&
		cp -r "$LAB_ROOT/k8s" "$LAB_DIR/desk/.lab/lib/desk/k8s" &&
		cluster_context desk dc1 cloud
}

_world_apps() {
	local site name address
	for site in dc1 cloud; do
		[ $site = dc1 ] && name=nginx-service address=$DC1_SERVICE || name=web address=$CLOUD_SERVICE
		sed "s/SERVICE_NAME/$name/; s/SERVICE_ADDRESS/$address/" "$CLUSTERS_SOURCE/apps.yaml" |
			cluster_kubectl $site apply -f - >/dev/null || return 1
	done
	for site in dc1 cloud; do
		[ $site = dc1 ] && name=nginx-service || name=web
		cluster_kubectl $site rollout status daemonset/client --timeout=60s >/dev/null &&
			cluster_kubectl $site rollout status deployment/$name --timeout=60s >/dev/null || return 1
	done
}

world() {
	lab_wan && lab_nat dc1 203.0.113.20 1 && lab_lan 3 &&
		cluster dc1 10.42,fd00:42:0 10.43,fd00:43 192.168.1.11,fd00:1::11 192.168.1.12,fd00:1::12 &&
		cluster cloud 10.44,fd00:44:0 10.45,fd00:45 \
			203.0.113.11,2001:db8:77::11 203.0.113.12,2001:db8:77::12 &&
		lab_host branch-1 198.51.100.31 && lab_nic branch-1 lan0 192.168.3.1 && lab_host branch-2 192.168.3.12 &&
		lab_host db1 198.51.100.30 && _world_database && _world_desk &&
		clusters_ready dc1 cloud && _world_apps
}

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# apiserver.sh - a cluster that is only a real kube-apiserver with its etcd, on a host of the lab; no node, no controller.
# Source it after lab.sh and warren.sh. Programs are those that tests/kubernetes/build made, or of the folder
# $WARREN_KUBERNETES.
#
#	apiserver_have			are there programs? if not it says why, and returns 1
#	apiserver_keys HOST ADDRESS	once: keys and certificates in /var/lib of HOST
#	apiserver_start HOST ADDRESS NAME [SERVICES]	with the data of this NAME: another name is another cluster.
#					SERVICES: their range, default 10.96.0.0/16
#	apiserver_stop HOST
#	apiserver_kubectl HOST ADDRESS ARGUMENT...	as admin
#	apiserver_kubeconfig HOST ADDRESS [OTHER...]	/var/lib/kubeconfig on these hosts: the exporter's service account
#	apiserver_exporter HOST ADDRESS	what k8s/exporter ships: namespace, rights, Secret

APISERVER_TOKEN=admintoken
APISERVER_BIN=${WARREN_KUBERNETES:-$("$LAB_ROOT/tests/kubernetes/build" --where)}

apiserver_have() {
	[ -x "$APISERVER_BIN/kube-apiserver" ] && return
	echo "there is no kube-apiserver; tests/kubernetes/build makes it"
	return 1
}

apiserver_kubectl() {
	lab_in "$1" "$APISERVER_BIN/kubectl" --server "https://$2:6443" --certificate-authority /var/lib/ca.crt \
		--token $APISERVER_TOKEN "${@:3}"
}

apiserver_keys() {
	local dir=$LAB_DIR/$1/.lab/lib
	(cd "$dir" && {
		openssl ecparam -name prime256v1 -genkey -noout -out ca.key
		openssl req -x509 -new -key ca.key -subj /CN=test-ca -days 30 -out ca.crt
		openssl ecparam -name prime256v1 -genkey -noout -out api.key
		openssl req -new -key api.key -subj /CN=kube-apiserver | openssl x509 -req -CA ca.crt -CAkey ca.key \
			-CAcreateserial -days 30 -extfile <(printf 'subjectAltName=IP:%s' "$2") -out api.crt
		openssl genrsa -out sa.key 2048
		openssl rsa -in sa.key -pubout -out sa.pub
		echo "$APISERVER_TOKEN,admin,1,\"system:masters\"" >tokens.csv
	}) >>"$(lab_log "$1" keys)" 2>&1
}

apiserver_start() {
	lab_spawn "$1" etcd "$APISERVER_BIN/etcd" --data-dir "/var/lib/etcd-$3" \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380 --unsafe-no-fsync
	lab_spawn "$1" apiserver "$APISERVER_BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
		--bind-address="$2" --secure-port=6443 --tls-cert-file=/var/lib/api.crt \
		--tls-private-key-file=/var/lib/api.key --client-ca-file=/var/lib/ca.crt \
		--service-cluster-ip-range="${4:-10.96.0.0/16}" \
		--service-account-issuer=https://kubernetes.default.svc --service-account-key-file=/var/lib/sa.pub \
		--service-account-signing-key-file=/var/lib/sa.key --authorization-mode=RBAC \
		--token-auth-file=/var/lib/tokens.csv --endpoint-reconciler-type=none
	lab_wait 60 apiserver_kubectl "$1" "$2" get --raw /readyz >/dev/null || lab_fail "the API server is not ready" || return
	lab_wait 20 apiserver_kubectl "$1" "$2" get namespace kube-system default >/dev/null
}

apiserver_stop() {
	lab_kill "$1" apiserver KILL && lab_wait_gone "$1" apiserver
	lab_kill "$1" etcd KILL && lab_wait_gone "$1" etcd
}

apiserver_exporter() {
	apiserver_kubectl "$1" "$2" create namespace warren &&
		apiserver_kubectl "$1" "$2" -n warren apply -f "$LAB_ROOT/k8s/exporter/rbac.yaml" &&
		apiserver_kubectl "$1" "$2" -n warren create secret generic warren-exporter
}

apiserver_kubeconfig() {
	local token host
	token=$(apiserver_kubectl "$1" "$2" -n warren create token warren-exporter) || return
	for host in "${@:3}"; do
		cp "$LAB_DIR/$1/.lab/lib/ca.crt" "$LAB_DIR/$host/.lab/lib/ca.crt"
		cat >"$LAB_DIR/$host/.lab/lib/kubeconfig" <<-END
			apiVersion: v1
			kind: Config
			current-context: c
			contexts: [{name: c, context: {cluster: c, user: u, namespace: warren}}]
			clusters: [{name: c, cluster: {server: "https://$2:6443", certificate-authority: /var/lib/ca.crt}}]
			users: [{name: u, user: {token: "$token"}}]
		END
	done
}

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# walk.sh - parts K01 to K19, the walk itself, and what all parts use (see walk).
#
#	write FILE			a file on the desk from standard input, shown as it is written
#	agent_pod CLUSTER NODE		the agent's pod there
#	on_agent WANTED NODE WHAT COMMAND...	step: kubectl exec into it
#	curl_from WANTED CLUSTER NODE WHAT URL [OPTION...]	step: curl from the client pod there
#	curl_until CLUSTER NODE WHAT URL [OPTION...]	the same, once it works (10 s)
#	within SECONDS COMMAND...	lab_wait that prints nothing

write() {
	local file=$LAB_DIR/desk/.lab/lib/desk/$1
	mkdir -p "$(dirname "$file")" && cat >"$file"
	printf '[desk] $ cat %s\n' "$1"
	sed 's/^/    /' "$file"
}

agent_pod() {
	cluster_kubectl "$1" -n warren get pods -l app.kubernetes.io/component=agent \
		--field-selector "spec.nodeName=$2" -o json | jq -r '
		[.items[] | select(.metadata.deletionTimestamp == null and .status.phase == "Running")][0].metadata.name'
}

exec_agent() {
	cluster_kubectl "$1" -n warren exec "$(agent_pod "$1" "$2")" -- "${@:3}"
}

on_agent() {
	local wanted=$1 node=$2 what=$3
	shift 3
	step "$wanted" desk "$what" kubectl --context "${node%-*}" -n warren exec "$(agent_pod "${node%-*}" "$node")" -- "$@"
}

curl_from() {
	local wanted=$1 site=$2 node=$3 what=$4 url=$5 patience=3
	[ "$wanted" = ok ] || patience=1
	SAYS=${SAYS-$([ "$wanted" = fails ] || echo 'page of')} step "$wanted" desk "$what" kubectl --context "$site" \
		exec "$(client "$site" "$node")" -- curl -sS -m $patience "${@:6}" "$url"
}

# within SECONDS COMMAND...: does it become true?
within() {
	lab_wait "$@" >/dev/null
}

_curl() {
	cluster_kubectl "$1" exec "$(client "$1" "$2")" -- curl -sS -m 1 "${@:4}" "$3"
}

curl_until() {
	lab_wait 10 _curl "$1" "$2" "${@:4}" >/dev/null
	curl_from ok "$@"
}

clusters() {
	local site
	title "Two clusters: dc1 behind a masquerading NAT, cloud on the internet"
	world || return 1
	for site in dc1 cloud; do
		step ok desk "$site" kubectl --context $site get nodes,pods -o wide || return 1
	done
}

# Every pod asks the other cluster: its service, and a pod.
addresses() {
	local wanted=$1 site other node service name pod
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud service=$CLOUD_SERVICE name=web || other=dc1 service=$DC1_SERVICE name=nginx-service
		for node in $(cluster_nodes $site); do
			curl_from "$wanted" $site "$node" "a pod of $node: $name of $other" http://$service/
			pod=$(page_pod $other $name $other-n2)
			curl_from "$wanted" $site "$node" "a pod of $node: a pod of $other" "http://$pod:8080/"
		done
	done
}

before() {
	title "Before"
	addresses fails
	curl_from ok dc1 dc1-n1 "inside dc1 its service works" http://nginx-service/
	curl_from ok cloud cloud-n1 "inside cloud its own" http://web/
}

hub() {
	title "Broker and coordinator, outside"
	step ok hub "keys, CA and the broker's configuration" warren-coordinator init \
		--broker mqtts://203.0.113.1:$WARREN_BROKER_PORT --data $WARREN_DATA --broker-dir $WARREN_BROKER_DIR || return 1
	daemon hub mosquitto mosquitto -c $WARREN_BROKER_DIR/mosquitto.conf
	ready hub "the broker listens" _warren_listens hub $WARREN_BROKER_PORT || return 1
	daemon hub coordinator warren-coordinator run --data $WARREN_DATA
	ready hub "the coordinator answers" _warren_answers hub network list || return 1
}

# token FILE WHAT OPTION...: made on the hub, carried to the desk; EXPIRES=DURATION: it does
token() {
	local file=$LAB_DIR/desk/.lab/lib/desk/k8s/overlays/$1
	step ok hub "$2" warren token create --expires "${EXPIRES:-never}" "${@:3}" || return 1
	cp "$LAB_DIR/out" "$file" && chmod 600 "$file"
}

networks() {
	local site other
	title "A network for each, and tokens"
	step ok hub "network cloud-k3s" warren network create cloud-k3s --range 10.36.50.0/24 --range fd00:36:50::/64 || return 1
	step ok hub "network dc1-k3s" warren network create dc1-k3s --range 10.65.24.0/24 --range fd00:65:24::/64 || return 1
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud || other=dc1
		token $site-k3s/token "for the nodes of $site" --network $site-k3s --site $site &&
			token $site-k3s/gateway-token "for the gateway of $site: it joins the other network" --network $other-k3s \
				--site $site --tag gateway --at-most 1 &&
			token $site-k3s/exporter-token "for the exporter of $site" --network $site-k3s --site $site --role exporter || return 1
	done
}

# apply CLUSTER: everything of ours is made like this, and only like this.
apply() {
	step ok desk "all of ours for $1" kubectl --context "$1" apply -k "k8s/overlays/$1-k3s"
}

rolled_out() {
	step ok desk "$3" kubectl --context "$1" -n warren rollout status "$2" --timeout=90s
}

agents() {
	local site node
	title "Agents on every node"
	for site in dc1 cloud; do
		apply $site || return 1
	done
	for site in dc1 cloud; do
		rolled_out $site daemonset/warren-agent "agents run" || return 1
	done
	step ok hub "the coordinator knows them" warren node list
	for site in dc1 cloud; do
		SAYS='interface: wr-' on_agent ok $site-n1 "WireGuard of $site-n1" wg show
		SAYS=$site-k3s on_agent ok $site-n1 "its status" warren status
		node=$(exec_agent $site $site-n2 warren status --json | jq -r '.networks[0].addresses[0] | split("/")[0]')
		on_agent ok $site-n1 "$site-n1 pings $site-n2" ping -n -c 1 -W 2 "$node"
	done
}

gateways() {
	local site
	title "Gateways: a node of each cluster is in the other's network too"
	for site in dc1 cloud; do
		step ok desk "$site-n1 may be the gateway" kubectl --context $site label node $site-n1 gateway=true || return 1
	done
	for site in dc1 cloud; do
		rolled_out $site deployment/warren-gateway "it is in the other network" || return 1
	done
}

exporters() {
	local site
	title "Exporters"
	for site in dc1 cloud; do
		rolled_out $site deployment/warren-exporter "it runs" || return 1
		step ok desk "it leads" kubectl --context $site -n warren get lease warren-exporter
	done
	step ok hub "the coordinator knows them" warren exporter list
}

# Who gets a range: the gateway's nodes, by tag, wherever they are.
ranges() {
	local site other
	title "What each site has is carried into the other's network"
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud || other=dc1
		step ok hub "pods and services of $site, as its exporter found them" warren gateway create \
			--network $other-k3s --tag gateway --site $site --from-site $site || return 1
	done
	SAYS='10\.43\.0\.0/16' step ok hub "there they are" warren gateway list
}

reached() {
	title "By address, from a pod of every node"
	addresses ok
}

# What the cluster's DNS is given: CoreDNS of K3s imports ConfigMap coredns-custom.
stanza() {
	local site=$1 network file=$LAB_DIR/desk/.lab/lib/desk/$1-coredns/warren.server
	mkdir -p "${file%/*}"
	for network in "$site-k3s" "$2-k3s"; do
		step ok desk "where agents of $network answer" kubectl --context "$site" -n warren get service "warren-dns-$network" \
			-o 'jsonpath={.spec.clusterIP}' || return 1
		step ok hub "what CoreDNS of $site needs for it" warren dns stanza --network "$network" \
			--forward "$(cat "$LAB_DIR/out")" || return 1
		cat "$LAB_DIR/out" >>"$file"
	done
	write "$site-coredns/kustomization.yaml" <<-END
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		namespace: kube-system
		configMapGenerator:
		- {name: coredns-custom, files: [warren.server], options: {disableNameSuffixHash: true}}
	END
	step ok desk "CoreDNS of $site gets it" kubectl --context "$site" apply -k "$site-coredns"
}

names() {
	local site other
	title "Names: each cluster's DNS asks for both networks"
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud || other=dc1
		stanza $site $other || return 1
	done
}

by_name() {
	local site other name node service
	title "By name"
	for site in dc1 cloud; do
		[ $site = dc1 ] && other=cloud service=$CLOUD_SERVICE name=web || other=dc1 service=$DC1_SERVICE name=nginx-service
		for node in $(cluster_nodes $site); do
			lab_wait 60 _resolves $site "$(client $site "$node")" $name.default.$other-k3s >/dev/null
			SAYS="Address: $service" step ok desk "a pod of $node: nslookup" kubectl --context $site exec \
				"$(client $site "$node")" -- nslookup $name.default.$other-k3s
			curl_from ok $site "$node" "a pod of $node: curl" http://$name.default.$other-k3s/
		done
	done
}

# What is in namespace warren, or ours outside of it, was made by `kubectl apply -k`: it bears the mark of that, or
# something that does owns it, or one of our programs or the cluster itself made it.
only_applied() {
	local site made
	title "Nothing of ours was made by another command"
	for site in dc1 cloud; do
		made=$({
			cluster_kubectl $site -n warren get --show-managed-fields -o json \
				"$(cluster_kubectl $site api-resources --namespaced --verbs=list -o name | grep -v '^events' | paste -sd ,)"
			cluster_kubectl $site get --show-managed-fields -o json -l app.kubernetes.io/part-of=warren \
				"$(cluster_kubectl $site api-resources --namespaced=false --verbs=list -o name | paste -sd ,)"
			cluster_kubectl $site -n kube-system get --show-managed-fields -o json configmaps --field-selector metadata.name=coredns-custom
		} 2>/dev/null | jq -r '.items[] | select(.metadata.ownerReferences == null)
			| select(any(.metadata.managedFields[]?; .manager == "kubectl-client-side-apply") | not)
			| "\(.kind)/\(.metadata.name)"' | sort -u |
			grep -vxE 'ConfigMap/kube-root-ca.crt|ServiceAccount/default|Lease/warren-exporter|(Endpoints|EndpointSlice)/.*')
		verdict desk "$site: ${made:-all of it}" [ -z "$made" ]
		verdict desk "$site: there are such objects" [ "$(cluster_kubectl $site -n warren get daemonsets,deployments -o name | wc -l)" -ge 3 ]
	done
}

look() {
	local site
	title "How it looks"
	for site in dc1 cloud; do
		step ok desk "$site" kubectl --context $site get nodes,pods,svc -A -o wide
	done
	step ok hub "nodes" warren node list
	step ok hub "names" warren dns list
	SAYS=dc1 on_agent ok cloud-n2 "why an address of dc1 is reached" warren why $DC1_SERVICE
}

# What a person would look at first when a part failed.
trouble() {
	local site pod
	title "What the pods say"
	for site in dc1 cloud; do
		cluster_kubectl $site get pods -A -o wide
		for pod in $(cluster_kubectl $site -n warren get pods -o name); do
			echo "--- $site $pod"
			cluster_kubectl $site -n warren logs --all-containers --tail=15 "$pod"
			cluster_kubectl $site -n warren logs --previous --tail=5 "$pod" 2>/dev/null
		done
		cluster_kubectl $site get events -A --field-selector type=Warning | tail -n 15
	done
	tail -n 15 "$(lab_log hub coordinator)"
}

part K01-clusters clusters
part K02-before before
part K03-hub hub
part K04-networks networks
part K05-agents agents
part K06-gateways gateways
part K07-exporters exporters
part K08-ranges ranges
part K09-by-address reached
part K10-names names
part K11-by-name by_name
part K12-only-applied only_applied
part K13-look look

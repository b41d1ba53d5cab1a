# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2016 # scripts for others
#
# policies.sh - parts K27 and K29: network policies in force, ours and a user's (see walk). The rig's network knows none;
# during these parts every node runs what policies/ has of kube-router.

policies_on() {
	local site node
	for site in dc1 cloud; do
		for node in $(cluster_nodes $site); do
			# shellcheck disable=SC1090
			lab_spawn "$node" policies policies --kubeconfig "$(_cluster $site)/admin.kubeconfig" \
				--hostname-override "$node" --enable-ipv4 --enable-ipv6 --service-cluster-ip-range \
				"$(. "$(_cluster $site)/$node.env" && echo "$SERVICES4,$SERVICES6")" || return 1
		done
	done
	for node in $(cluster_nodes dc1) $(cluster_nodes cloud); do
		ready "$node" "policies are in force on $node" _policies_hold "$node" || return 1
	done
}

# The rule that lets through what no policy forbids comes last.
_policies_hold() {
	lab_in "$1" iptables -S KUBE-ROUTER-FORWARD 2>/dev/null | grep -q 'ACCEPT' &&
		lab_in "$1" ip6tables -S KUBE-ROUTER-FORWARD 2>/dev/null | grep -q 'ACCEPT'
}

policies_off() {
	local node
	for node in $(cluster_nodes dc1) $(cluster_nodes cloud); do
		lab_stop "$node" policies
		verdict "$node" "nothing of them is left" [ -z "$(lab_in "$node" iptables -S | grep KUBE-ROUTER)" ]
	done
}

# cut_off CLUSTER NODE WHAT URL: from the client pod there it cannot be reached any more.
cut_off() {
	within 10 _is_cut "$1" "$2" "$4"
	curl_from fails "$@"
}

# Three times, for it may have failed for another reason.
_is_cut() {
	! _curl "$@" && ! _curl "$@" && ! _curl "$@"
}

# listen CLUSTER POD: in a pod of ours something listens on port 8080, for a minute.
listen() {
	cluster_kubectl "$1" -n warren exec "$2" -- perl -MIO::Socket::INET -e '
		my $l = IO::Socket::INET->new(Listen => 5, LocalPort => 8080, ReuseAddr => 1) or die "$!";
		fork and exit;
		open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null";
		alarm 60;
		while (my $c = $l->accept) { <$c>; print $c "HTTP/1.0 200 OK\r\n\r\npage of a listener\n"; close $c }'
}

pod_address() {
	cluster_kubectl "$1" -n "$2" get pod "$3" -o 'jsonpath={.status.podIP}'
}

# A page of a namespace of its own, before and after a policy that admits nobody.
control() {
	local node page
	step ok desk "a namespace" kubectl --context dc1 create namespace locked || return 1
	step ok desk "a page in it" kubectl --context dc1 -n locked run page --image local/page:1 --image-pull-policy Never \
		--overrides '{"spec": {"nodeName": "dc1-n2"}}' --command -- lab_page locked 8080 || return 1
	step ok desk "it runs" kubectl --context dc1 -n locked wait --for=condition=Ready pod/page --timeout=20s || return 1
	page=$(pod_address dc1 locked page)
	for node in $(cluster_nodes dc1); do
		curl_until dc1 "$node" "a pod of $node reaches it" "http://$page:8080/"
	done
	write locked.yaml <<-END
		apiVersion: networking.k8s.io/v1
		kind: NetworkPolicy
		metadata: {name: nobody, namespace: locked}
		spec: {podSelector: {}, policyTypes: [Ingress]}
	END
	step ok desk "a policy that admits nobody" kubectl --context dc1 apply -f locked.yaml || return 1
	for node in $(cluster_nodes dc1); do
		cut_off dc1 "$node" "a pod of $node does not any more" "http://$page:8080/"
	done
	cluster_kubectl dc1 delete namespace locked --wait=false >/dev/null
}

exporter_policy() {
	local site=$1 pod page node
	pod=$(cluster_kubectl "$site" -n warren get pods -l app.kubernetes.io/component=exporter \
		-o 'jsonpath={.items[0].metadata.name}')
	page=$(pod_address "$site" warren "$pod")
	listen "$site" "$pod" || return 1
	for node in $(cluster_nodes "$site"); do
		cut_off "$site" "$node" "no pod of $node reaches an exporter of $site" "http://$page:8080/"
	done
	step ok desk "without its policy" kubectl --context "$site" -n warren delete networkpolicy warren-exporter || return 1
	for node in $(cluster_nodes "$site"); do
		curl_until "$site" "$node" "one does" "http://$page:8080/"
	done
	apply "$site" || return 1
	cut_off "$site" "$site-n1" "with it none does" "http://$page:8080/"
}

# What the walk did works with the policies in force.
walk_goes_on() {
	local site ms
	addresses ok
	by_name
	for site in dc1 cloud; do
		step ok desk "its exporters start anew" kubectl --context $site -n warren rollout restart deployment/warren-exporter
	done
	for site in dc1 cloud; do
		rolled_out $site deployment/warren-exporter "they are ready"
		ms=$(new_name $site under-policies 25)
		verdict hub "a service made in $site has its name after $ms ms" [ "$ms" -le 20000 ]
		cluster_kubectl $site delete service under-policies >/dev/null
		VALUES="$VALUES ${site}_name_ms=$ms"
	done
}

# admit NAME RANGE...: a policy of dc1 that admits these to nginx-service. Not pods by their labels: kube-router cannot load such
# a rule for IPv6, where their set has another name, and leaves out all the rest then.
admit() {
	write "$1.yaml" <<-END
		apiVersion: networking.k8s.io/v1
		kind: NetworkPolicy
		metadata: {name: $1}
		spec:
		  podSelector: {matchLabels: {app: nginx-service}}
		  policyTypes: [Ingress]
		  ingress: [{from: [$(printf '{ipBlock: {cidr: %s}}, ' "${@:2}")]}]
	END
	step ok desk "policy $1" kubectl --context dc1 apply -f "$1.yaml"
}

# What a user's own policy does to the other cluster. Its packets come to pods of the gateway's node as from the other
# cluster's nodes in their network, and to pods of other nodes as from the gateway's node.
users_policy() {
	local node page
	admit own-pods 10.42.0.0/16 || return 1
	# Each node puts it in force by itself: pods first, and then their service.
	for node in $(cluster_nodes cloud); do
		for page in $(cluster_nodes dc1); do
			cut_off cloud "$node" "pods of $node are cut off from that of $page" \
				"http://$(page_pod dc1 nginx-service "$page"):8080/"
		done
		cut_off cloud "$node" "and from nginx-service" http://$DC1_SERVICE/
	done
	curl_from ok dc1 dc1-n1 "pods of dc1 are not" http://$DC1_SERVICE/
	admit cloud 10.36.50.0/24 "$(node_address dc1 "$(gateway_node dc1)")/32" || return 1
	for node in $(cluster_nodes cloud); do
		for page in $(cluster_nodes dc1); do
			curl_until cloud "$node" "pods of $node reach that of $page again" \
				"http://$(page_pod dc1 nginx-service "$page"):8080/"
		done
	done
	cluster_kubectl dc1 delete networkpolicy own-pods cloud >/dev/null
}

policies() {
	local site
	title "Network policies in force"
	policies_on || return 1
	control
	for site in dc1 cloud; do
		exporter_policy $site
	done
	walk_goes_on
	users_policy
	policies_off
}

# kustomization.yaml of the desk for a hub in cloud: cloud-n1's address is where everybody reaches the broker.
hub_overlay() {
	local volume
	write k8s/overlays/hub-here/kustomization.yaml <<-END
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		resources: [../hub, volumes.yaml]
		patches:
		- target: {kind: ConfigMap, name: warren-hub}
		  patch: |
		    - {op: replace, path: /data/broker, value: "mqtts://203.0.113.11:31883"}
		- target: {kind: Service, name: warren-broker}
		  patch: |
		    - {op: replace, path: /spec/type, value: NodePort}
		    - {op: add, path: /spec/ports/0/nodePort, value: 31883}
	END
	for volume in one two; do
		cat <<-END
			---
			apiVersion: v1
			kind: PersistentVolume
			metadata: {name: $volume}
			spec:
			  capacity: {storage: 1Gi}
			  accessModes: [ReadWriteOnce]
			  persistentVolumeReclaimPolicy: Retain
			  local: {path: /var/lib/volumes/$volume}
			  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [
			    {key: kubernetes.io/hostname, operator: In, values: [cloud-n2]}]}]}}
		END
	done | write k8s/overlays/hub-here/volumes.yaml
}

hub_inside() {
	local file
	cluster_enter cloud-n2 mkdir -p /var/lib/volumes/one /var/lib/volumes/two || return 1
	for file in $HUB_IMAGES; do
		cluster_import cloud-n2 "$file" >/dev/null || return 1
	done
	hub_overlay
	step ok desk "a hub in cloud" kubectl --context cloud apply -k k8s/overlays/hub-here || return 1
	rolled_out cloud statefulset/warren-coordinator "its coordinator has made a mesh" || return 1
	step ok desk "its keys for the broker" sh -c 'kubectl --context cloud -n warren exec warren-coordinator-0 -- warren-broker-secret |
		kubectl --context cloud -n warren apply -f -' || return 1
	step ok desk "which waited for them" kubectl --context cloud -n warren delete pod warren-broker-0
	rolled_out cloud statefulset/warren-broker "the broker runs" || return 1
}

hub_cli() {
	cluster_kubectl cloud -n warren exec warren-coordinator-0 -- warren "$@"
}

# A machine of dc1's LAN joins the mesh of that hub.
hub_joined() {
	local token
	hub_cli network create inside --range 10.77.0.0/24 >/dev/null && token=$(hub_cli token create --network inside) || return 1
	daemon desk agent warren-agent
	ready desk "the agent of the desk answers" _warren_answers desk status || return 1
	step ok desk "the desk joins by the broker in cloud" warren join "$token" || return 1
	SAYS='desk' step ok desk "and is known" kubectl --context cloud -n warren exec warren-coordinator-0 -- warren node list
	step ok desk "it leaves" warren leave inside
	lab_stop desk agent
}

hub_policies() {
	local name page=$(page_pod cloud web cloud-n1)
	for name in broker coordinator; do
		listen cloud warren-$name-0 || return 1
		cut_off cloud cloud-n1 "no pod reaches the $name" "http://$(pod_address cloud warren warren-$name-0):8080/"
	done
	step fails desk "the broker reaches nobody" kubectl --context cloud -n warren exec warren-broker-0 -- \
		timeout 2 bash -c "exec 3<>/dev/tcp/$page/8080"
	step ok desk "without their policies" kubectl --context cloud -n warren delete networkpolicy warren-broker warren-coordinator ||
		return 1
	for name in broker coordinator; do
		curl_until cloud cloud-n1 "one does reach the $name" "http://$(pod_address cloud warren warren-$name-0):8080/"
	done
	step ok desk "and the broker others" kubectl --context cloud -n warren exec warren-broker-0 -- \
		timeout 2 bash -c "exec 3<>/dev/tcp/$page/8080"
}

hub_removed() {
	local kinds=statefulsets,services,networkpolicies,configmaps,pods,persistentvolumeclaims
	cluster_kubectl cloud -n warren delete "$kinds" -l 'app.kubernetes.io/name in (warren-broker, warren-coordinator)' \
		>/dev/null
	cluster_kubectl cloud -n warren delete secret/warren-broker configmap/warren-hub >/dev/null
	cluster_kubectl cloud delete persistentvolume one two >/dev/null
}

hub_in_cluster() {
	title "Broker and coordinator in cloud, network policies in force"
	policies_on || return 1
	hub_inside && hub_joined && hub_policies
	hub_removed
	policies_off
}

part K27-network-policies policies
part K29-hub-inside hub_in_cluster

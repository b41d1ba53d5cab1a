#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Who is let in, and what is said to those who are not; and what an agent says
# on a host that lacks what it needs.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

setup() {
	lab_wan && warren_hub hub &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64 &&
		warren_node n1 dc1 203.0.113.11 2001:db8:77::11 &&
		lab_host n2 203.0.113.12 2001:db8:77::12 && warren_agent n2
}

# refused NAME REGEX TOKEN [HOST]: exit status 1, one sentence, and it says so.
refused() {
	test_exits "$1" 1 lab_in "${4:-n2}" timeout 20 warren join "$3" || return
	test_said "$1" "$2"
	test_equal "$1: lines" "$(grep -c . "$TEST_OUT")" 1
	grep . "$TEST_OUT" >>"$LAB_DIR/sentences"
}

bad_tokens() {
	local token other middle
	: >"$LAB_DIR/sentences"
	token=$(warren_token dc1)
	test_equal "token create prints the token alone" "$(grep -cE '^warren1-[A-Za-z0-9_-]+$' <<<"$token")" 1

	refused truncated 'truncat|incomplete|cut|not whole|damaged|not a token' "${token:0:$((${#token} / 2))}"

	# One character of the base64 in the middle becomes another.
	middle=$((${#token} * 3 / 5))
	other=A
	[ "${token:middle:1}" != A ] || other=B
	refused altered 'alter|damaged|check|changed|not a token|corrupt' \
		"${token:0:middle}$other${token:middle+1}"

	refused expired expired "$(warren_token dc1 --expires 1s | { cat; sleep 2; })"

	other=$(warren_cli hub token create --network dc1 --json)
	test_check "revoke" warren_cli hub token revoke "$(jq -r .id <<<"$other")"
	refused revoked revoked "$(jq -r .token <<<"$other")"

	other=$(warren_token dc1 --uses 1)
	test_check "single use, first" warren_cli n1 leave --all
	test_check "single use, first" warren_cli n1 join "$other"
	refused "used up" 'used|uses' "$other"

	other=$(
		WARREN_HUB=hub2
		{
			lab_host hub2 203.0.113.2 2001:db8:77::2 && warren_hub hub2 &&
				warren_cli hub2 network create dc1 --range 10.78.0.0/24
		} >"$LAB_DIR/hub2.out" 2>&1 && warren_token dc1
	)
	refused "of another mesh" mesh "$other" n1

	test_equal "different sentences" "$(sort -u "$LAB_DIR/sentences" | wc -l)" 6
	test_equal "networks of n2" "$(warren_status n2 '.networks | length')" 0
	test_check "a good token still admits n2" warren_cli n2 join "$token"
	test_value "sentences=$(sort -u "$LAB_DIR/sentences" | wc -l)"
}

# What the coordinator answers to a request published by hand: enrol HOST DIR prints
# the answer, or nothing.
enrol() {
	local dir=$2 topic
	topic=$(<"$dir/topic")
	lab_in "$1" timeout 6 mosquitto_sub -i lab-answer -h 203.0.113.1 -p "$WARREN_BROKER_PORT" --cafile "$dir/ca.pem" \
		--cert "$dir/token.pem" --key "$dir/token.key" -t "${topic%/req}/rsp" -C 1 -W 3 &
	sleep 0.5
	lab_in "$1" mosquitto_pub -h 203.0.113.1 -p "$WARREN_BROKER_PORT" --cafile "$dir/ca.pem" \
		--cert "$dir/token.pem" --key "$dir/token.key" -i "$(<"$dir/client")" -q 1 \
		-t "$topic" -f "$dir/request"
	wait $!
}

# The identity key that the network knows NAME by.
identity_of() {
	lab_in hub mosquitto_sub -i lab-identity -h 203.0.113.1 -p "$WARREN_BROKER_PORT" --cafile "$WARREN_WATCH_CA" \
		--cert "$WARREN_WATCH_CERT" --key "$WARREN_WATCH_KEY" -t 'warren/1/+/n/dc1/peers/log/+' -W 1 -F %p |
		sed -n '/^{/p' | jq -rs --arg n "$1" '[.[].ops[] | select(.body.name == $n)] | last | .body.identity_key'
}

claimed_identity() {
	local dir="$LAB_DIR/forge" token before victim
	mkdir -p "$dir/own" "$dir/claimed"
	token=$(warren_token dc1)
	victim=$(identity_of n1)
	test_check "the victim's public key is known to all" test "${#victim}" = 44 || return
	before=$(warren_cli hub node show n1 --json)

	test_check "an honest request" "$WARREN_BIN/lab_forge" "$dir/own" own <<<"$token"
	test_check "is admitted" grep -q '"certificate"' <<<"$(enrol n2 "$dir/own")"
	test_check "a forged request" "$WARREN_BIN/lab_forge" "$dir/claimed" "$victim" <<<"$token"
	test_refuse "is not admitted" grep -q '"certificate"' <<<"$(enrol n2 "$dir/claimed")"
	test_equal "the victim is as it was" \
		"$(warren_cli hub node show n1 --json | jq 'del(.[].last_seen)')" "$(jq 'del(.[].last_seen)' <<<"$before")"
}

replayed_request() {
	local dir="$LAB_DIR/replay" answer
	mkdir -p "$dir"
	test_check "a request" "$WARREN_BIN/lab_forge" "$dir" own <<<"$(warren_token dc1)"
	answer=$(enrol n2 "$dir")
	test_check "is admitted" grep -q '"certificate"' <<<"$answer" || return
	test_equal "the same again: the same answer" "$(enrol n2 "$dir")" "$answer"
	test_check "the node is removed" warren_cli hub node remove \
		"$(sed -n '/^{/p' <<<"$answer" | jq -r '.memberships[0].name')"
	answer=$(enrol n2 "$dir")
	test_check "played back: it has ended" grep -q '"code":"ended"' <<<"$answer"
	test_refuse "nothing is given" grep -q '"certificate"' <<<"$answer"
}

port_taken() {
	lab_host n3 203.0.113.13 2001:db8:77::13
	lab_in n3 env LOG_LEVEL=error wireguard-go foreign >/dev/null 2>&1
	lab_in n3 sh -c 'wg genkey | wg set foreign private-key /dev/stdin listen-port 51830; ip link set foreign up'
	test_check "agent" warren_agent n3 || return
	test_check "join" warren_join n3 dc1 || return
	test_equal "port" "$(warren_status n3 '.networks[0].port')" 51831
	test_check "n1 reaches it" lab_wait 5 warren_pings n1 "$(warren_address n3 dc1)"
	test_check "the other interface is untouched" lab_in n3 sh -c 'wg show foreign listen-port | grep -qx 51830'
}

no_tun() {
	lab_host n5 203.0.113.15 2001:db8:77::15
	lab_in n5 mount -n -t tmpfs tmpfs /dev/net
	lab_spawn n5 agent warren-agent
	lab_wait 2 _warren_answers n5 status >/dev/null
	lab_in n5 timeout 40 warren join "$(warren_token dc1)" >>"$(lab_log n5 join)" 2>&1
	test_check "it is said" grep -qE '/dev/net/tun' "$(lab_log n5 agent)" "$(lab_log n5 join)"
}

no_capability() {
	lab_host n6 203.0.113.16 2001:db8:77::16
	lab_spawn n6 agent setpriv --bounding-set -net_admin --inh-caps -net_admin warren-agent
	lab_wait 2 _warren_answers n6 status >/dev/null
	lab_in n6 timeout 40 warren join "$(warren_token dc1)" >>"$(lab_log n6 join)" 2>&1
	test_check "it is said" grep -qE 'CAP_NET_ADMIN' "$(lab_log n6 agent)" "$(lab_log n6 join)"
}

disk_full() {
	local out
	lab_host n7 203.0.113.17 2001:db8:77::17
	lab_in n7 sh -c 'mkdir -p /var/lib/warren; mount -n -t tmpfs -o size=4m tmpfs /var/lib/warren'
	test_check "agent" warren_agent n7 && test_check "join" warren_join n7 dc1 || return
	test_check "it reaches n1" lab_wait 5 warren_pings n7 "$(warren_address n1 dc1)" || return
	lab_ping_start n7 "$(warren_address n1 dc1)"
	test_refuse "the disk fills up" lab_in n7 dd if=/dev/zero of=/var/lib/warren/fill bs=4k
	test_check "a node joins" warren_node n8 dc1 203.0.113.18 || return
	sleep 1
	test_check "it is said" grep -qiE 'full|no space|ENOSPC' "$(lab_log n7 agent)"
	test_check "the agent goes on" warren_cli n7 status
	lab_in n7 rm /var/lib/warren/fill
	test_check "with space again it sees n8" lab_wait 15 sees n7 n8
	test_check "and reaches it" lab_wait 6 warren_pings n7 "$(warren_address n8 dc1)"
	out=$(lab_ping_stop n7 "$(warren_address n1 dc1)")
	test_equal "pings lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	# shellcheck disable=SC2086
	test_value $out
}

sees() {
	warren_peers "$1" dc1 | grep -qx "$2"
}

test_setup setup
test_add I02-bad-tokens bad_tokens
test_add I09-claimed-identity-key claimed_identity
test_add I10-request-played-back replayed_request
test_add identity-port-taken port_taken
test_add identity-no-tun no_tun
test_add identity-no-capability no_capability
test_add identity-disk-full disk_full
test_main "$@"

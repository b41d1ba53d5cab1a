#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A hostile broker, and strangers who may write everywhere: until the broker
# authorizes, anybody with a certificate of the mesh's CA can publish. Each
# message is dropped, counted by its cause, and changes nothing; each has a
# control beside it that differs in nothing else, and is applied.
#
# n1 is attacked in network dc1. The controls go to network ctl, where only n1
# is and the coordinator wins back later. Network snap has a snapshot.
# shellcheck disable=SC2016
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

HUB=203.0.113.1
CLIENT=(-h "$HUB" -p "$WARREN_BROKER_PORT" --cafile "$WARREN_WATCH_CA" --cert "$WARREN_WATCH_CERT"
	--key "$WARREN_WATCH_KEY" -V mqttv311)
GHOST=ghostghostghosta # a node id
BROKER_DIR=
N2=n2

# The broker's own limit would hide ours.
broker_without_limits() {
	BROKER_DIR=$LAB_DIR/hub/.lab/lib/${WARREN_BROKER_DIR#/var/lib/}
	sed -i 's/^message_size_limit .*/message_size_limit 0/; /^max_packet_size /d' "$BROKER_DIR/mosquitto.conf"
	lab_stop hub mosquitto && warren_broker_start hub && lab_wait 10 coordinator_connected 2
}

# coordinator_connected TIMES
coordinator_connected() {
	[ "$(grep -c '^info connected' "$(lab_log hub coordinator)")" -ge "$1" ]
}

# Enough deltas in snap's journal of gateways for a snapshot, half a minute later.
snapshot_wanted() {
	local i
	for ((i = 1; i <= 36; i++)); do
		warren_cli hub network set snap --keepalive "$i" >/dev/null || return 1
		sleep 0.12
	done
}

# ---- messages ----

# topic PATH
topic() {
	echo "warren/1/$MESH/$1"
}

# receive PATH FILE [SECONDS]: the next message, or the retained one
receive() {
	lab_in hub mosquitto_sub "${CLIENT[@]}" -i "lab-receive-$RANDOM" -t "$(topic "$1")" -C 1 -N -W "${3:-3}" >"$2"
}

# publish PATH FILE [OPTION...]
publish() {
	lab_in hub mosquitto_pub "${CLIENT[@]}" -i lab-stranger -q 1 -t "$(topic "$1")" -f "$2" "${@:3}"
}

body_of() {
	tail -n +2 "$1"
}

# sign BODY PLACE DOCUMENT [SEED_FILE]
sign() {
	lab_in hub lab_sign "${4:-$WARREN_DATA/signing.key}" "$(topic "$2")" <"$1" >"$3"
}

# What the next delta of NETWORK's peers could be: it adds the ghost.
# next_delta NETWORK BODY, and the ghost's key in $GHOST_KEY
next_delta() {
	local newest=$LAB_DIR/newest address
	receive "n/$1/peers" "$newest" || return 1
	GHOST_KEY=$(wg genkey | wg pubkey)
	address=$(warren_address n1 "$1")
	body_of "$newest" | jq -cj --arg prev "$(body_of "$newest" | sha256sum | cut -d ' ' -f 1)" \
		--arg id $GHOST --arg key "$GHOST_KEY" --arg address "${address%.*}.99" '
		{epoch, ver: (.ver + 1), prev: $prev, run,
		 ops: [{put: $id, body: {name: "ghost", role: "node", keys: [$key], addresses: [$address]}}]}' >"$2"
}

has_ghost() {
	lab_in n1 wg show "wr-$1" peers | grep -qxF "$GHOST_KEY"
}

# ---- checks ----

# All of n1 in dc1 that must not change.
state() {
	warren_wireguard n1 | grep '^wr-dc1'
	lab_in n1 ip -o addr show dev wr-dc1 | sed 's/^[0-9]*: //'
	warren_status n1 '(.networks[] | select(.name == "dc1") | .addresses, [.peers[] | [.name, .addresses]]),
		[.journals[] | select(.path | startswith("n/dc1/")) | [.path, .epoch, .ver, .orphans, .stale_since]] | tojson'
}

refused() {
	warren_status "$1" ".refused.$2 // 0"
}

# rises HOST CAUSE FROM
rises() {
	[ "$(refused "$1" "$2")" -gt "$3" ]
}

# attack WHAT CAUSE COMMAND...: what COMMAND publishes is counted once, as CAUSE only, and changes nothing.
attack() {
	local what=$1 cause=$2 before counts
	shift 2
	before=$(state)
	counts=$(warren_status n1 ".refused | tojson")
	test_check "$what: published" "$@" || return
	test_check "$what: counted as $cause" lab_wait 3 rises n1 "$cause" "$(jq ".$cause // 0" <<<"$counts")" || return
	sleep 0.3
	test_equal "$what: counts" "$(warren_status n1 ".refused | tojson")" "$(jq -c ".$cause += 1" <<<"$counts")"
	test_equal "$what: nothing changed" "$(state)" "$before"
	ATTACKS=$((ATTACKS + 1))
}

# The coordinator may begin a new epoch just then: once more.
control_once() {
	local body=$LAB_DIR/control.body
	next_delta ctl "$body" || return 1
	[ $# = 0 ] || "$@" "$body" 112 || return 1
	sign "$body" n/ctl/peers "$LAB_DIR/control" && publish n/ctl/peers "$LAB_DIR/control" -r || return 1
	lab_wait 3 has_ghost ctl
}

# control [CHANGE]: the same, rightly made, is applied.
control() {
	test_check "the control is applied" lab_wait 6 control_once "$@"
}

sees() {
	warren_peers "$1" dc1 | grep -qx "$2"
}

rename_n2() {
	local name=n2-$((++RENAMES))
	warren_cli hub node rename "$N2" "$name" >/dev/null && N2=$name
}

begin() {
	ATTACKS=0
	test_check "n1 is connected" lab_wait 15 warren_connected n1 || return
	test_least "peers in what is compared" "$(state | grep -c '^wr-dc1.*[0-9]/32')" 1
	lab_ping_start n1 "$A2"
	sleep 0.1
}

# A real change is still taken, and no ping was lost.
end() {
	local out
	test_check "a change" rename_n2
	test_check "is taken" lab_wait "${1:-3}" sees n1 "$N2"
	out=$(lab_ping_stop n1 "$A2")
	test_least "pings ($out)" "$(sed 's/sent=\([0-9]*\).*/\1/' <<<"$out")" 5
	test_equal "pings lost" "$(sed 's/.*lost=\([0-9]*\).*/\1/' <<<"$out")" 0
	[ "$ATTACKS" = 0 ] || test_value "attacks=$ATTACKS"
	# shellcheck disable=SC2086
	test_value ${out% gap*}
}
RENAMES=0

# ---- documents ----

# pad BODY BYTES OVERHEAD...: a field that nobody knows makes the document so long
pad() {
	local size
	size=$(stat -c %s "$1")
	jq -cj --argjson n $(($2 - $3 - size - 13)) '. + {padding: ("x" * $n)}' "$1" >"$1.padded" && mv "$1.padded" "$1"
}

pad_full() {
	pad "$1" 65536 "$2"
}

size() {
	local body=$LAB_DIR/body doc=$LAB_DIR/doc
	begin || return
	next_delta dc1 "$body"
	pad "$body" 65537 112
	sign "$body" n/dc1/peers "$doc"
	test_equal "bytes" "$(stat -c %s "$doc")" 65537
	attack "a delta of 65537 bytes" size publish n/dc1/peers "$doc"
	head -c 1000000 /dev/zero >"$doc"
	attack "a megabyte" size publish n/dc1/peers "$doc"
	control pad_full
	test_equal "bytes of the control" "$(stat -c %s "$LAB_DIR/control")" 65536
	end
}

not_json() {
	local body=$LAB_DIR/body doc=$LAB_DIR/doc
	begin || return
	next_delta dc1 "$body"
	attack "no envelope" json publish n/dc1/peers "$body"
	head -c 4000 /dev/urandom >"$doc"
	attack "random bytes" json publish n/dc1/peers "$doc"
	head -c -1 "$body" >"$body.cut"
	sign "$body.cut" n/dc1/peers "$doc"
	attack "a body that is cut" json publish n/dc1/peers "$doc"
	control
	end
}

# changed JQ_FILTER: the next delta, changed and rightly signed
changed() {
	next_delta dc1 "$LAB_DIR/body" && jq -cj "$1" "$LAB_DIR/body" >"$LAB_DIR/changed" &&
		sign "$LAB_DIR/changed" n/dc1/peers "$LAB_DIR/doc" && publish n/dc1/peers "$LAB_DIR/doc"
}

schema() {
	begin || return
	attack "no run" schema changed 'del(.run)'
	attack "a version that is a string" schema changed '.ver |= tostring'
	attack "operations that are none" schema changed '.ops = {}'
	attack "an operation that says two things" schema changed '.ops[0].del = .ops[0].put'
	attack "a body that is no object" schema changed '.ops[0].body = []'
	attack "an array" schema changed '[.]'
	control
	end
}

duplicate_key() {
	local body=$LAB_DIR/body doc=$LAB_DIR/doc
	begin || return
	next_delta dc1 "$body"
	sed -i 's/^{/{"ver":1,/' "$body"
	sign "$body" n/dc1/peers "$doc"
	attack "ver twice" duplicate_key publish n/dc1/peers "$doc"
	control
	end
}

other_key() {
	local body=$LAB_DIR/body doc=$LAB_DIR/doc
	begin || return
	next_delta dc1 "$body"
	od -An -v -tx1 -N 32 /dev/urandom | tr -d ' \n' >"$LAB_DIR/stranger.key"
	sign "$body" n/dc1/peers "$doc" "$LAB_DIR/stranger.key"
	attack "a key that nobody knows" key publish n/dc1/peers "$doc"
	sign "$body" n/dc1/peers "$doc" "$WARREN_DATA/root.key"
	attack "the root's key, which signs c/trust only" signer publish n/dc1/peers "$doc"
	control
	end
}

place() {
	local body=$LAB_DIR/body doc=$LAB_DIR/doc
	begin || return
	receive n/dc1/gateways "$doc"
	attack "the newest delta of gateways under peers" place publish n/dc1/peers "$doc"
	next_delta dc1 "$body"
	sign "$body" n/dc1/gateways "$doc"
	attack "the next delta of peers signed for gateways" place publish n/dc1/peers "$doc"
	sign "$body" n/ctl/peers "$doc"
	attack "signed for another network" place publish n/dc1/peers "$doc"
	sign "$body" n/dc1/peers "$doc"
	sed -i '2s/"name":"ghost"/"name":"ghosu"/' "$doc"
	attack "one bit flipped" place publish n/dc1/peers "$doc"
	control
	end
}

old() {
	local doc=$LAB_DIR/doc
	begin || return
	rename_n2
	test_check "a change" lab_wait 3 sees n1 "$N2"
	receive n/dc1/peers/log/2 "$doc"
	attack "a delta of the log again" old publish n/dc1/peers "$doc"
	attack "the same, retained" old publish n/dc1/peers "$doc" -r
	receive n/dc1/peers/log/1 "$doc"
	attack "the first delta" old publish n/dc1/peers "$doc"
	end
}

# The next beat of dc1's peers.
next_beat() {
	receive n/dc1/peers/beat "$1" 35 &
	sleep 0.3
	rename_n2
	wait $!
}

old_beat() {
	local doc=$LAB_DIR/doc
	begin || return
	test_check "a beat" next_beat "$doc" || return
	test_check "a newer one" next_beat "$LAB_DIR/doc-2" || return
	attack "the beat before" old publish n/dc1/peers/beat "$doc"
	body_of "$doc" | sed 's/"ver":[0-9]*/"ver":1000/' >"$LAB_DIR/body"
	sign "$LAB_DIR/body" n/dc1/peers/beat "$LAB_DIR/doc-2"
	attack "signed for the beat's topic" place publish n/dc1/peers/beat "$LAB_DIR/doc-2"
	end
}

cleared() {
	local before topics path
	begin || return
	before=$(state; warren_status n1 '.refused | tojson'; warren_cli hub node list --json | jq -c '[.[] | [.id, .online]]')
	topics=$(warren_retained)
	test_least "retained topics" "$(wc -l <<<"$topics")" 10
	for path in $topics; do
		lab_in hub mosquitto_pub "${CLIENT[@]}" -i lab-stranger -q 1 -t "$path" -r -n
	done
	test_most "retained topics afterwards" "$(warren_retained | wc -l)" 3
	sleep 1
	test_equal "nothing changed" \
		"$(state; warren_status n1 '.refused | tojson'; warren_cli hub node list --json | jq -c '[.[] | [.id, .online]]')" "$before"
	# It asks; the coordinator reads the broker back at most every 30 s, and did when it connected.
	until [ $(($(lab_now_ms) - CONNECTED_MS)) -ge 31000 ]; do sleep 0.2; done
	test_check "a node joins: it gets all that was cleared" warren_node n3 dc1 203.0.113.13
	test_check "it sees n1" lab_wait 5 sees n3 n1
	test_check "n1 reaches it" lab_wait 5 warren_pings n1 "$(warren_address n3 dc1)"
	test_value "cleared=$(wc -l <<<"$topics")"
	end
}

has_snapshot() {
	receive n/snap/gateways/snap "$LAB_DIR/manifest" 1 && body_of "$LAB_DIR/manifest" | jq -e '.count > 0' >/dev/null
}

journal_there() {
	[ "$(warren_status "$1" ".journals[] | select(.path == \"$2\") | .ver // 0")" -ge "$3" ]
}

chunk() {
	local slot ver
	begin || return
	test_check "there is a snapshot" lab_wait 60 has_snapshot || return
	slot=$(body_of "$LAB_DIR/manifest" | jq .slot)
	ver=$(body_of "$LAB_DIR/manifest" | jq .ver)
	receive "n/snap/gateways/snap/$slot/0" "$LAB_DIR/chunk"
	test_equal "the chunk's hash" "$(sha256sum <"$LAB_DIR/chunk" | cut -d ' ' -f 1)" \
		"$(body_of "$LAB_DIR/manifest" | jq -r '.chunks[0]')"
	head -c 300 /dev/urandom >"$LAB_DIR/doc"
	test_check "other bytes" publish "n/snap/gateways/snap/$slot/0" "$LAB_DIR/doc" -r
	lab_host n4 203.0.113.14 2001:db8:77::14
	test_check "agent" warren_agent n4 || return
	warren_join n4 snap >"$(lab_log n4 join)" 2>&1 &
	test_check "counted" lab_wait 10 rises n4 chunk 0
	test_refuse "nothing of it is taken" journal_there n4 n/snap/gateways 1
	test_check "it gets there" lab_wait 60 journal_there n4 n/snap/gateways "$ver"
	wait $!
	test_value "chunks=$(refused n4 chunk)"
	end
}

# ---- joining ----

# The answer that n2 got, changed by JQ_FILTER with $hash, signed by SEED_FILE, sent to TOPIC.
# answer TOPIC HASH JQ_FILTER [SEED_FILE]
answer() {
	local path=${1#warren/1/"$MESH"/}
	jq -cj --arg hash "$2" --rawfile trust "$LAB_DIR/other-trust" "$3" "$LAB_DIR/answer" >"$LAB_DIR/body" &&
		sign "$LAB_DIR/body" "$path" "$LAB_DIR/doc" "${4:-$WARREN_DATA/signing.key}" &&
		publish "$path" "$LAB_DIR/doc"
}

said() {
	[ "$(grep -c 'join-answer-refused' "$(lab_log n5 agent)")" -ge "$1" ] && grep -qi "$2" "$(lab_log n5 agent)"
}

hub2() {
	[ ! -d "$LAB_DIR/hub2" ] || return 0
	lab_host hub2 203.0.113.2 2001:db8:77::2 && WARREN_HUB=hub2 warren_hub hub2
}

# The coordinator is halted, so that ours come first; then it goes on, and its answer is taken.
join_answer() {
	local token to hash listener join
	begin || return
	test_check "another coordinator" hub2 || return
	lab_in hub2 cat "$WARREN_DATA/trust.doc" >"$LAB_DIR/other-trust"
	lab_in hub2 cat "$WARREN_DATA/signing.key" >"$LAB_DIR/other.key"
	tail -n 1 "$(lab_log hub answers)" >"$LAB_DIR/answer"
	test_check "an answer was heard" jq -e .certificate "$LAB_DIR/answer" || return
	lab_host n5 203.0.113.15 2001:db8:77::15
	test_check "agent" warren_agent n5 || return
	token=$(warren_token dc1)
	lab_kill hub coordinator STOP
	lab_in hub mosquitto_sub "${CLIENT[@]}" -i lab-requests -t 'warren/1/+/e/+/+/req' -C 1 -W 20 -F '%t\n%p' >"$LAB_DIR/request" &
	listener=$!
	sleep 0.3
	lab_in n5 warren join "$token" >"$(lab_log n5 join)" 2>&1 &
	join=$!
	wait $listener
	read -r to <"$LAB_DIR/request"
	to=${to%/req}/rsp
	hash=$(printf %s "$(tail -n +2 "$LAB_DIR/request")" | sha256sum | cut -d ' ' -f 1)
	test_check "answer to another request" answer "$to" "$(printf 0%.0s {1..64})" '.request = $hash'
	test_check "refused" lab_wait 3 said 1 "another request"
	test_check "signed by another coordinator" answer "$to" "$hash" '.request = $hash' "$LAB_DIR/other.key"
	test_check "refused" lab_wait 3 said 2 "not signed by the mesh's coordinator"
	test_check "with its own trust" answer "$to" "$hash" '.request = $hash | .trust = $trust' "$LAB_DIR/other.key"
	test_check "refused" lab_wait 3 said 3 "not signed by the mesh's root"
	test_check "a refusal by it" answer "$to" "$hash" \
		'{request: $hash, trust: $trust, refused: {code: "no", message: "go away"}}' "$LAB_DIR/other.key"
	test_check "refused" lab_wait 3 said 4 "not signed by the mesh's root"
	test_check "another node's certificate" answer "$to" "$hash" '.request = $hash'
	test_check "refused" lab_wait 3 said 5 "not this node's"
	test_equal "networks of n5" "$(warren_status n5 '.networks | length')" 0
	lab_kill hub coordinator CONT
	wait $join
	test_equal "with the coordinator's answer it joins ($(cat "$(lab_log n5 join)"))" $? 0
	test_check "it sees n1" lab_wait 5 sees n5 n1
	end
}

# ---- brokers ----

# with_broker URL TOKEN: the token with another broker in it
with_broker() {
	local text=${2#warren1-}
	while [ $((${#text} % 4)) != 0 ]; do text+='='; done
	echo "warren1-$(tr '_-' '/+' <<<"$text" | base64 -d | jq -cj --arg b "$1" '.brokers = [$b]' |
		base64 -w 0 | tr '/+' '_-' | tr -d =)"
}

# try_join HOST URL: its output, exit status and milliseconds to $LAB_DIR/HOST.{out,end}
try_join() {
	local token from rc
	[ -d "$LAB_DIR/$1" ] || { lab_host "$1" "203.0.113.1${1#n}" && warren_agent "$1"; } || return
	token=$(with_broker "$2" "$(warren_token dc1)")
	from=$(lab_now_ms)
	lab_in "$1" timeout 60 warren join "$token" >"$LAB_DIR/$1.out" 2>&1
	rc=$?
	echo "$rc $(($(lab_now_ms) - from))" >"$LAB_DIR/$1.end"
}

# could_not HOST REGEX: it failed within 30 s, and said so in one sentence
could_not() {
	local rc ms
	read -r rc ms <"$LAB_DIR/$1.end"
	test_check "its output" cat "$LAB_DIR/$1.out"
	test_said "what is wrong" "$2"
	test_equal "lines" "$(grep -c . "$LAB_DIR/$1.out")" 1
	[ "$rc" = 3 ] || test_equal "exit status" "$rc" 1
	test_most "ms" "$ms" 31000
	test_equal "networks of $1" "$(warren_status "$1" '.networks | length')" 0
	test_value "status=$rc ms=$ms"
}

# Takes half a minute: the setup begins it, so that others may go on meanwhile.
silent_begin() {
	lab_spawn hub silent "$LAB_SOURCE/relay.py" silent 9001
	lab_wait 5 _warren_listens hub 9001 >/dev/null || return 1
	try_join n7 "mqtts://$HUB:9001" &
	SILENT=$!
}

join_silent() {
	wait "$SILENT"
	could_not n7 "$HUB:9001.*(does not answer|no answer|tim(e|ed) ?out)"
}

join_other_ca() {
	test_check "another coordinator" hub2 || return
	try_join n6 mqtts://203.0.113.2:8883
	could_not n6 'certificate of the broker mqtts://203\.0\.113\.2:8883 is refused'
}

join_other_name() {
	lab_in hub ip addr add 203.0.113.9/24 dev eth0
	try_join n6 mqtts://203.0.113.9:8883
	could_not n6 'certificate of the broker .*is not for 203\.0\.113\.9'
	test_check "with the right name n6 joins" warren_join n6 dc1
	warren_cli n6 leave --all >/dev/null
}

broker_says() {
	[ "$(warren_status n1 .broker.connected)" = false ] && grep -qiE "$1" <<<"$(warren_status n1 .broker.error)"
}

under_agent() {
	local before
	begin || return
	before=$(warren_wireguard n1)
	lab_stop hub mosquitto
	lab_spawn hub silent "$LAB_SOURCE/relay.py" silent "$WARREN_BROKER_PORT"
	test_check "a silent broker: said" lab_wait 45 broker_says 'does not answer|no answer|tim(e|ed) ?out'
	lab_stop hub silent
	test_check "another coordinator" hub2 || return
	cp -a "$LAB_DIR/hub2/.lab/lib/${WARREN_BROKER_DIR#/var/lib/}" "$LAB_DIR/hub/.lab/lib/other-broker"
	sed -i "s|$WARREN_BROKER_DIR|/var/lib/other-broker|" "$LAB_DIR/hub/.lab/lib/other-broker/mosquitto.conf"
	lab_spawn hub other mosquitto -c /var/lib/other-broker/mosquitto.conf
	test_check "a broker of another CA: said" lab_wait 45 broker_says certificate
	test_equal "WireGuard" "$(warren_wireguard n1)" "$before"
	lab_stop hub other
	test_check "the right broker" warren_broker_start hub
	test_check "n1 connects" lab_wait 40 warren_connected n1
	test_check "so does n2" lab_wait 40 warren_connected n2
	end 10
}

# ---- between broker and agents ----

relay_there() {
	[ "$WARREN_BROKER_PORT" != 8885 ] || return 0
	lab_stop hub mosquitto || return 1
	sed -i "s/^listener $WARREN_BROKER_PORT/listener 8885/" "$BROKER_DIR/mosquitto.conf"
	lab_spawn hub relay "$LAB_SOURCE/relay.py" relay "$WARREN_BROKER_PORT" 8885 "$WARREN_BROKER_DIR" "$WARREN_DATA" 9002
	lab_wait 5 _warren_listens hub "$WARREN_BROKER_PORT" >/dev/null || return 1
	WARREN_BROKER_PORT=8885
	CLIENT[3]=8885
	warren_broker_start hub && lab_wait 40 warren_connected n1 && lab_wait 40 warren_connected n2
}

# relay COMMAND...: done when it says so
relay() {
	lab_in hub bash -c 'exec 3<>/dev/tcp/127.0.0.1/9002 && echo "$*" >&3 && read -t 3 -r answer <&3' relay "$@"
}

control_by_relay() {
	local body=$LAB_DIR/control.body
	next_delta ctl "$body" && sign "$body" n/ctl/peers "$LAB_DIR/control" || return 1
	relay inject "$(topic n/ctl/peers)" "$LAB_DIR/control" && lab_wait 3 has_ghost ctl
}

other_mesh() {
	local body=$LAB_DIR/body doc=$LAB_DIR/doc
	test_check "a relay" relay_there || return
	begin || return
	next_delta dc1 "$body"
	sign "$body" n/dc1/peers "$doc"
	attack "the next delta in another mesh" mesh relay inject warren/1/aaaaaaaaaa/n/dc1/peers "$doc"
	lab_in hub lab_sign "$WARREN_DATA/signing.key" warren/1/aaaaaaaaaa/n/dc1/peers <"$body" >"$doc"
	attack "signed for that" mesh relay inject warren/1/aaaaaaaaaa/n/dc1/peers "$doc"
	test_check "the control is applied" lab_wait 6 control_by_relay
	end
}

withheld() {
	local ms
	test_check "a relay" relay_there || return
	begin || return
	test_check "the next delta is lost" relay drop "$(topic n/dc1/peers)"
	test_check "a change" rename_n2
	sleep 0.3
	test_refuse "n1 does not see it" sees n1 "$N2"
	ms=$(lab_wait 6 sees n1 "$N2")
	test_most "repaired, ms" "$ms" 5000
	test_value "repaired_ms=$ms"
	end
}

setup() {
	lab_wan && warren_hub hub && broker_without_limits || return 1
	CONNECTED_MS=$(lab_now_ms)
	warren_cli hub network create dc1 --range 10.77.0.0/24 --range fd77::/64 &&
		warren_cli hub network create ctl --range 10.78.0.0/24 &&
		warren_cli hub network create snap --range 10.79.0.0/24 || return 1
	lab_spawn hub answers mosquitto_sub "${CLIENT[@]}" -i lab-answers -t 'warren/1/+/e/+/+/rsp' -F %p
	warren_node n1 dc1 203.0.113.11 2001:db8:77::11 &&
		warren_node n2 dc1 203.0.113.12 2001:db8:77::12 &&
		warren_join n1 ctl && lab_wait 10 warren_connected n1 || return 1
	silent_begin || return 1
	MESH=$(warren_status n1 .node.mesh)
	A2=$(warren_address n2 dc1)
	lab_wait 10 warren_pings n1 "$A2" && snapshot_wanted
}

test_setup setup
test_add hostile-size size
test_add hostile-json not_json
test_add hostile-schema schema
test_add hostile-duplicate-key duplicate_key
test_add hostile-key-and-signer other_key
test_add hostile-place place
test_add hostile-old old
test_add hostile-beat old_beat
test_add hostile-cleared cleared
test_add hostile-chunk chunk
test_add hostile-join-answer join_answer
test_add hostile-broker-silent join_silent
test_add hostile-broker-other-ca join_other_ca
test_add hostile-broker-other-name join_other_name
test_add hostile-broker-under-agent under_agent
test_add hostile-mesh other_mesh
test_add B07-withheld-delta withheld
test_main "$@"

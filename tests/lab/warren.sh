# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# warren.sh - Warren's programs in hosts of the lab. Source it after lab.sh.
# Programs come from $WARREN_BIN (default build/bin of this checkout) and are in
# the PATH of every host.
#
#	warren_hub HOST			init, broker and coordinator, ready to be asked
#	warren_broker_start, warren_coordinator_start HOST
#	warren_broker_lose HOST		kill it, and its store with it
#	warren_agent HOST [OPTION...]	agent there, ready to be asked
#	warren_cli HOST ARGUMENT...	warren there
#	warren_token NETWORK [OPTION...]	prints a token (asks $WARREN_HUB)
#	warren_join HOST NETWORK [OPTION...]	a token with these options, and join
#	warren_node HOST NETWORK ADDRESS...	host, agent and join in one
#	warren_status HOST FILTER	jq -r FILTER of status --json
#	warren_connected HOST		are broker and coordinator in reach of its agent?
#	warren_problem HOST REGEX	does its status name such a problem?
#	warren_address HOST NETWORK [4|6]	its address in the network
#	warren_peers HOST NETWORK	names of its peers there
#	warren_orphans HOST		sum of journals[].orphans
#	warren_pings HOST ADDRESS	one ping comes back (200 ms)
#	warren_kernel_watch HOST, warren_kernel_changes HOST
#					start; stop and print how many messages the
#					kernel sent about links, addresses, routes,
#					rules and nft (WireGuard sends none: see next)
#	warren_wireguard HOST		its WireGuard configuration, for diff
#	warren_publish_watch, warren_publish_count
#					start; stop and print "publishes=N repeats=N":
#					live messages without beats, and those of
#					them that repeat what was retained there
#	warren_retained			topics that hold a retained message

WARREN_BIN=$(realpath -m "${WARREN_BIN:-$LAB_ROOT/build/bin}")
# shellcheck disable=SC2034
LAB_PATH=$WARREN_BIN
WARREN_HUB=hub
WARREN_DATA=/var/lib/warren-coordinator
WARREN_BROKER_DIR=/var/lib/warren-broker
# shellcheck disable=SC2034
WARREN_DB=$WARREN_DATA/coordinator.db
WARREN_BROKER_PORT=8883
# A certificate of the CA with which the lab itself may subscribe.
WARREN_WATCH_CA=$WARREN_DATA/ca.crt
WARREN_WATCH_CERT=$WARREN_DATA/tls.crt
WARREN_WATCH_KEY=$WARREN_DATA/tls.key

_warren_first_address() {
	local host nic mac port address rest
	# shellcheck disable=SC2034
	read -r host nic mac port address rest <"$LAB_DIR/$1/.lab/nics"
	echo "$address"
}

_warren_listens() {
	[ -n "$(lab_in "$1" ss -lntH "sport = :$2")" ]
}

# The socket answers: anything but "cannot be reached".
_warren_answers() {
	local rc
	warren_cli "$@"
	rc=$?
	[ $rc = 0 ] || [ $rc = 1 ]
}

warren_cli() {
	lab_in "$1" warren "${@:2}"
}

warren_broker_start() {
	lab_spawn "$1" mosquitto mosquitto -c "$WARREN_BROKER_DIR/mosquitto.conf"
	lab_wait 5 _warren_listens "$1" $WARREN_BROKER_PORT >/dev/null ||
		lab_fail "the broker on $1 does not listen"
}

warren_broker_lose() {
	lab_kill "$1" mosquitto KILL && lab_wait_gone "$1" mosquitto || return 1
	find "$LAB_DIR/$1/.lab/lib" -name 'mosquitto.db*' -delete
}

warren_coordinator_start() {
	lab_spawn "$1" coordinator warren-coordinator run --data $WARREN_DATA
	lab_wait 5 _warren_answers "$1" network list >/dev/null ||
		lab_fail "the coordinator on $1 does not answer"
}

warren_hub() {
	local address
	address=$(_warren_first_address "$1")
	[[ $address != *:* ]] || address="[$address]"
	lab_in "$1" warren-coordinator init --data $WARREN_DATA --broker-dir $WARREN_BROKER_DIR \
		--broker "mqtts://$address:$WARREN_BROKER_PORT" \
		>>"$(lab_log "$1" init)" 2>&1 || return 1
	warren_broker_start "$1" && warren_coordinator_start "$1"
}

warren_agent() {
	lab_spawn "$1" agent warren-agent "${@:2}"
	lab_wait 5 _warren_answers "$1" status >/dev/null ||
		lab_fail "the agent on $1 does not answer"
}

warren_token() {
	warren_cli "$WARREN_HUB" token create --network "$@"
}

warren_join() {
	local token
	token=$(warren_token "${@:2}") || return 1
	warren_cli "$1" join "$token"
}

warren_node() {
	lab_host "$1" "${@:3}" && warren_agent "$1" && warren_join "$1" "$2"
}

warren_status() {
	warren_cli "$1" status --json | jq -r "$2"
}

warren_connected() {
	[ "$(warren_status "$1" '.broker.connected and .coordinator.present')" = true ]
}

warren_problem() {
	warren_status "$1" '.problems[]' | grep -q "$2"
}

warren_address() {
	local want='contains(":") | not'
	[ "${3:-4}" = 4 ] || want='contains(":")'
	warren_status "$1" "[.networks[] | select(.name == \"$2\") | .addresses[] | select($want)][0] |
		split(\"/\")[0]"
}

warren_peers() {
	warren_status "$1" "[.networks[] | select(.name == \"$2\") | .peers[].name] | sort | .[]"
}

warren_orphans() {
	warren_status "$1" '[.journals[].orphans | if type == "array" then length else . // 0 end] | add // 0'
}

warren_pings() {
	lab_in "$1" ping -n -c 1 -W 0.2 "$2"
}

warren_kernel_watch() {
	rm -f "$(lab_log "$1" watch-ip)" "$(lab_log "$1" watch-nft)"
	lab_spawn "$1" watch-ip stdbuf -oL ip monitor link address route rule
	lab_spawn "$1" watch-nft stdbuf -oL nft monitor
	sleep 0.1
}

warren_kernel_changes() {
	sleep 0.1
	lab_stop "$1" watch-ip && lab_stop "$1" watch-nft || return 1
	cat "$(lab_log "$1" watch-ip)" "$(lab_log "$1" watch-nft)" | wc -l
}

warren_wireguard() {
	lab_in "$1" wg show all dump | awk 'NF == 9 { print $1, $2, $3, $4, $5, $9; next } { print }' | sort
}

_warren_subscribe() {
	echo stdbuf -oL mosquitto_sub -h "$(_warren_first_address "$WARREN_HUB")" -p $WARREN_BROKER_PORT \
		--cafile $WARREN_WATCH_CA --cert $WARREN_WATCH_CERT --key $WARREN_WATCH_KEY \
		-V mqttv311 -t 'warren/1/#' "$@"
}

warren_publish_watch() {
	local log
	log=$(lab_log "$WARREN_HUB" watch-mqtt)
	rm -f "$log"
	# shellcheck disable=SC2046
	lab_spawn "$WARREN_HUB" watch-mqtt $(_warren_subscribe -i lab-watch -F '%r|%t|%x')
	lab_wait 5 grep -q '^1|' "$log" >/dev/null || { lab_fail "nothing retained"; return 1; }
	sleep 0.3
}

warren_publish_count() {
	lab_stop "$WARREN_HUB" watch-mqtt || return 1
	awk -F '|' '
		$1 == 1 { last[$2] = $3; next }
		$2 ~ /\/beat$/ { next }
		NF == 3 { n++; repeats += $2 in last && last[$2] == $3; last[$2] = $3 }
		END { printf "publishes=%d repeats=%d\n", n, repeats }' \
		"$(lab_log "$WARREN_HUB" watch-mqtt)"
}

warren_retained() {
	# shellcheck disable=SC2046
	lab_in "$WARREN_HUB" $(_warren_subscribe -i lab-retained --retained-only -W 1 -F %t) 2>/dev/null | sort
}

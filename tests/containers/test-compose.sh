#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# compose/compose.yaml, really started: a Docker engine of our own in a network namespace of its own, with its bridge and
# firewall rules, runs broker, coordinator, exporter and agent as compose/README.md says; an agent in another container
# joins, and the two ping each other. Root. Prints PASS|FAIL NAME SECONDS; ONLY=REGEX as in tests/run. By `docker compose`
# where the engine's client has that plugin (Compose v2), otherwise by docker-compose; COMPOSE=PROGRAM: by that one.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/containers/docker.sh

NAMES=(compose-hub compose-site compose-second-agent compose-name compose-kubernetes
	compose-restart compose-down)
if [ "${1-}" = --list ]; then
	printf '%s\n' "${NAMES[@]}"
	exit 0
fi
printf '%s\n' "${NAMES[@]}" | grep -qE -- "${ONLY:-}" || exit 0

if [ -z "${COMPOSE:-}" ]; then
	docker compose version >/dev/null 2>&1 && COMPOSE='docker compose' || COMPOSE=docker-compose
fi
HOST=192.0.2.10
NS=warren-compose-$$
work=$(mktemp -d)
failed=0

finish() {
	docker_end
	ip netns del $NS 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2086 # it may be two words
compose() {
	$COMPOSE --ansi never -p warren-test --env-file "$work/env" -f compose/compose.yaml "$@" </dev/null
}

# until_ok SECONDS COMMAND...
until_ok() {
	local i
	for ((i = 0; i < $1 * 5; i++)); do
		"${@:2}" >/dev/null 2>&1 && return
		sleep 0.2
	done
	"${@:2}"
}

# Container of a service: v2 names them otherwise than 1.29.
container() {
	compose ps -q "$1"
}

healthy() {
	[ "$(docker inspect -f '{{.State.Health.Status}}' "$(container "$1")")" = healthy ]
}

check() {
	"$@" >>"$work/log" 2>&1 || { echo "failed: $*" >>"$work/log"; return 1; }
}

# run NAME FUNCTION: each needs the one before.
run() {
	local from status=PASS
	from=$(date +%s%N)
	: >"$work/log"
	if [ $failed = 1 ]; then
		echo "FAIL $1 0.0 what it needs failed"
		return
	fi
	"$2" || status=FAIL failed=1
	from=$((($(date +%s%N) - from) / 1000000))
	printf '%s %s %d.%03d\n' $status "$1" $((from / 1000)) $((from % 1000))
	[ $status = PASS ] || { tail -n 25 "$work/log"; compose logs --tail 15 2>&1 | tail -n 60; }
}

on_hub() {
	compose exec -T coordinator warren "$@"
}

address() {
	docker exec "$1" warren status --json | jq -r '.networks[0].addresses[0] | split("/")[0]'
}

# It comes up before the broker, and may try again only half a minute after that is there.
connected() {
	compose logs coordinator | grep -F 'info connected'
}

hub() {
	check compose up -d broker && check until_ok 30 healthy coordinator && check until_ok 30 healthy broker &&
		check until_ok 60 connected && check on_hub network create office --range 10.36.50.0/24
}

site() {
	local agent exporter
	agent=$(on_hub token create --network office --site here) &&
		exporter=$(on_hub token create --network office --site here --role exporter --range 192.168.1.0/24) || return 1
	sed -i "s/^WARREN_AGENT_TOKEN=.*/&$agent/; s/^WARREN_EXPORTER_TOKEN=.*/&$exporter/" "$work/env"
	check compose --profile site up -d && check until_ok 30 healthy agent && check until_ok 30 healthy exporter
}

second_agent() {
	local token agent a b
	token=$(on_hub token create --network office --site there) || return 1
	check docker run -d --name second --hostname second --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_BIND_SERVICE \
		--cap-add NET_RAW --device /dev/net/tun -e "WARREN_TOKEN=$token" warren/agent:dev &&
		check until_ok 20 docker exec second warren status --ready --network office || return 1
	agent=$(container agent) && a=$(address "$agent") && b=$(address second) && [ "$a" != "$b" ] &&
		check until_ok 15 docker exec second ping -n -c 1 -W 1 "$a" &&
		check until_ok 15 docker exec "$agent" ping -n -c 1 -W 1 "$b"
}

# The exporter's service has its name at the second agent, which is in another site.
names_it() {
	docker exec second warren why web.default.office | grep -F 192.168.1.80
}

name() {
	check until_ok 15 names_it
}

# What k8s/broker has is what init wrote, with the paths of that pod; and the Secret has the broker's own files.
kubernetes() {
	compose exec -T broker cat /var/lib/warren-broker/mosquitto.conf >"$work/init.conf" &&
		compose exec -T coordinator warren-broker-secret >"$work/secret.yaml" &&
		compose exec -T broker cat /var/lib/warren-broker/server.key >"$work/server.key" &&
		check python3 - "$work" k8s/broker/statefulset.yaml <<-'END'
			import base64, re, sys, yaml
			work, manifest = sys.argv[1:]
			ours = next(yaml.safe_load_all(open(manifest)))['data']['mosquitto.conf']
			init = open(f'{work}/init.conf').read()
			init = init.replace('/var/lib/warren-broker/data/', '/var/lib/mosquitto/').replace('/var/lib/warren-', '/etc/warren-')
			plain = lambda text: [line for line in text.splitlines() if line and line[0] != '#']
			assert plain(ours) == plain(init), (plain(ours), plain(init))
			data = yaml.safe_load(open(f'{work}/secret.yaml'))['data']
			assert set(data) == {'ca.crt', 'server.crt', 'server.key'}, set(data)
			assert base64.b64decode(data['server.key']).strip() == open(f'{work}/server.key', 'rb').read().strip()
		END
}

restart() {
	check compose restart broker coordinator agent && check until_ok 30 healthy coordinator &&
		check until_ok 30 healthy broker && check until_ok 30 healthy agent &&
		check until_ok 30 docker exec second ping -n -c 1 -W 1 "$(address "$(container agent)")"
}

down() {
	check docker rm -f second && check compose --profile site down -v && [ -z "$(docker ps -aq)" ] &&
		[ -z "$(docker volume ls -q)" ] && ! docker network ls | grep warren-test
}

tests/setup images >&2 || exit 1
images=$(tests/images agent exporter coordinator broker) || { echo "FAIL compose-images 0.0"; exit 1; }
sed "s/^WARREN_HOST=.*/WARREN_HOST=$HOST/; s/^WARREN_SITE=.*/&here/" compose/env.example >"$work/env"
ip netns add $NS && ip -n $NS link set lo up && ip -n $NS link add eth0 type bridge &&
	ip -n $NS addr add $HOST/24 dev eth0 && ip -n $NS link set eth0 up && docker_begin $NS || exit 1
for file in $images; do
	docker load -q -i "$file" >/dev/null || exit 1
done

run compose-hub hub
run compose-site site
run compose-second-agent second_agent
run compose-name name
run compose-kubernetes kubernetes
run compose-restart restart
run compose-down down
exit $failed

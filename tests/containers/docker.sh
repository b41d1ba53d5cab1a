# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# docker.sh - a Docker engine of our own, for as long as a script runs. Source it.
#
#	docker_begin		starts it; `docker` in this shell talks to it. No bridge: containers use --network host
#	docker_begin NS		in that network namespace, with Docker's bridge and firewall rules
#	docker_end		ends it, its containers too, and removes what it left
#
# It has namespaces of its own for mounts and processes and shares nothing with an engine of the machine. Its images are
# in $DOCKER_DATA, which stays; by default in a folder that goes with it.

export DOCKER_BUILDKIT=0

docker_begin() {
	local i enter=() bridge=(--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false)
	DOCKER_DIR=$(mktemp -d "${TMPDIR:-/tmp}/warren-docker-XXXXXX") || return 1
	DOCKER_DATA=${DOCKER_DATA:-$DOCKER_DIR/data}
	[ $# = 0 ] || enter=(nsenter "--net=/run/netns/$1") bridge=()
	mkdir -p "$DOCKER_DATA"
	# A /run of its own: so is its containerd, and nothing of it stays.
	"${enter[@]}" unshare --mount --pid --fork --kill-child --mount-proc sh -c '
		mount --make-rprivate / && mount -t tmpfs tmpfs /run && exec dockerd "$@"' dockerd \
		--data-root "$DOCKER_DATA" --exec-root "$DOCKER_DIR/exec" -p "$DOCKER_DIR/pid" \
		-H "unix://$DOCKER_DIR/docker.sock" --storage-driver overlay2 --cgroup-parent "/${DOCKER_DIR##*/}" \
		--exec-opt native.cgroupdriver=cgroupfs "${bridge[@]}" >"$DOCKER_DIR/log" 2>&1 </dev/null &
	DOCKER_PID=$!
	export DOCKER_HOST=unix://$DOCKER_DIR/docker.sock
	for ((i = 0; i < 300; i++)); do
		docker version >/dev/null 2>&1 && return
		kill -0 $DOCKER_PID 2>/dev/null || break
		sleep 0.1
	done
	echo "the Docker engine did not start:" >&2
	tail -n 5 "$DOCKER_DIR/log" >&2
	return 1
}

docker_end() {
	local child cgroup
	[ -n "${DOCKER_PID:-}" ] || return 0
	# Process 1 of its namespace is the engine: it ends its containers, and what it forgets goes with it.
	child=$(cat "/proc/$DOCKER_PID/task/$DOCKER_PID/children" 2>/dev/null)
	# shellcheck disable=SC2086
	[ -z "$child" ] || kill $child 2>/dev/null
	wait "$DOCKER_PID" 2>/dev/null
	DOCKER_PID=
	for cgroup in /sys/fs/cgroup/"${DOCKER_DIR##*/}" /sys/fs/cgroup/*/"${DOCKER_DIR##*/}"; do
		[ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
	done
	rm -rf "$DOCKER_DIR"
}

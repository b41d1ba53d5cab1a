# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# kubernetes.sh - what the benches with Kubernetes share. Source it after lab.sh.
#
#	kubernetes_or_skip NAME		builds Kubernetes, unless it is built; without Go prints SKIP and why, and ends
#	bench_python HOST ARGUMENT...	a program for Python from standard input, on HOST, that may import kubernetes.py

kubernetes_or_skip() {
	local why
	why=$("$LAB_ROOT/tests/kubernetes/build" 2>&1 >/dev/null)
	case $? in
	0) return ;;
	3)
		echo "SKIP $1 $why"
		exit 0
		;;
	*)
		echo "$why" >&2
		exit 1
		;;
	esac
}

bench_python() {
	lab_in "$1" env PYTHONDONTWRITEBYTECODE=1 "PYTHONPATH=$LAB_ROOT/tests/bench" python3 - "${@:2}"
}

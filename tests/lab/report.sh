# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# report.sh - how tests written in bash report. A test file adds its tests and
# ends with test_main "$@":
#
#	test_add lab-ping ping_works	# NAME FUNCTION
#	test_main "$@"
#
# It prints `PASS|FAIL|SKIP NAME SECONDS key=value...` per test in that order,
# runs only those whose name matches $ONLY (a regular expression), lists names
# with --list, and ends with 1 if one failed. Tests need root and /dev/net/tun,
# else they are skipped. When a test fails, what failed and the last lines of
# every daemon's output go to standard error.
#
#	test_check WHAT COMMAND...	the command must succeed
#	test_refuse WHAT COMMAND...	it must fail
#	test_exits WHAT STATUS COMMAND...	it must end with this exit status
#	test_equal WHAT GOT WANTED	strings
#	test_most WHAT GOT LIMIT	numbers: GOT <= LIMIT
#	test_least WHAT GOT LIMIT	numbers: GOT >= LIMIT
#	test_value KEY=VALUE...		shown in the test's line
#	test_said WHAT REGEX		the last checked command printed this (grep -Ei)
#	test_skip WHY			ends as skipped; return after it
#	test_setup FUNCTION		run once before the first test that is selected
#	test_begin NAME, test_end	used by test_main
#
# A check that fails returns 1: `test_check ... || return` where going on makes
# no sense.

TEST_NAMES=()
TEST_FUNCTIONS=()
TEST_SETUP=:
TEST_NAME=
TEST_OUT=
TEST_CHECKS=0

test_add() {
	TEST_NAMES+=("$1")
	TEST_FUNCTIONS+=("$2")
}

test_setup() {
	TEST_SETUP=$1
}

test_begin() {
	TEST_NAME=$1
	TEST_FAILED=0
	TEST_SKIP=
	TEST_VALUES=
	TEST_FROM=$(lab_now_ms)
}

_test_logs() {
	local log
	for log in "$LAB_DIR"/*/*.log; do
		[[ -s $log && $log != */ping-* && $log != */watch-* ]] || continue
		echo "#   --- ${log#"$LAB_DIR"/}"
		tail -n "${TEST_LOG_LINES:-15}" "$log" | cut -c 1-300 | sed 's/^/#   | /'
	done
}

test_end() {
	local ms verdict=PASS
	ms=$(($(lab_now_ms) - TEST_FROM))
	[ -z "$TEST_SKIP" ] || verdict=SKIP
	if [ "$TEST_FAILED" = 1 ]; then
		verdict=FAIL
		TEST_STATUS=1
		[ -z "$LAB_DIR" ] || _test_logs >&2
	fi
	printf '%s %s %d.%03d%s\n' $verdict "$TEST_NAME" $((ms / 1000)) $((ms % 1000)) \
		"${TEST_SKIP:+ $TEST_SKIP}$TEST_VALUES"
	TEST_NAME=
}

_test_failed() {
	TEST_FAILED=1
	echo "# $TEST_NAME: $1" >&2
	return 1
}

_test_failed_saying() {
	_test_failed "$1: $2"
	head -n 20 "$TEST_OUT" | sed 's/^/#   | /' >&2
	return 1
}

test_said() {
	TEST_CHECKS=$((TEST_CHECKS + 1))
	grep -qEi -e "$2" "$TEST_OUT" || _test_failed_saying "$1" "not said: $2"
}

test_check() {
	local what=$1 rc
	TEST_CHECKS=$((TEST_CHECKS + 1))
	shift
	"$@" >"$TEST_OUT" 2>&1
	rc=$?
	[ $rc = 0 ] || _test_failed_saying "$what" "ended with $rc: $*"
}

test_refuse() {
	local what=$1
	TEST_CHECKS=$((TEST_CHECKS + 1))
	shift
	! "$@" >"$TEST_OUT" 2>&1 || _test_failed_saying "$what" "should have failed: $*"
}

test_exits() {
	local what=$1 wanted=$2 rc
	TEST_CHECKS=$((TEST_CHECKS + 1))
	shift 2
	"$@" >"$TEST_OUT" 2>&1
	rc=$?
	[ $rc = "$wanted" ] || _test_failed_saying "$what" "ended with $rc, should be $wanted: $*"
}

test_equal() {
	TEST_CHECKS=$((TEST_CHECKS + 1))
	[ "$2" = "$3" ] || _test_failed "$1: is '$2', should be '$3'"
}

test_most() {
	TEST_CHECKS=$((TEST_CHECKS + 1))
	awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 <= b + 0) }' ||
		_test_failed "$1: is '$2', should be at most $3"
}

test_least() {
	TEST_CHECKS=$((TEST_CHECKS + 1))
	awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 >= b + 0) }' ||
		_test_failed "$1: is '$2', should be at least $3"
}

test_value() {
	TEST_VALUES="$TEST_VALUES $*"
}

test_skip() {
	TEST_SKIP=$1
}

# The script's end, also an early one in the middle of a test.
_test_exit() {
	local rc=$?
	if [ -n "$TEST_NAME" ]; then
		_test_failed "the test did not come to its end"
		test_end
		rc=1
	fi
	lab_end
	rm -f "$TEST_OUT"
	exit $rc
}

test_main() {
	local i why='' ready=0
	if [ "${1:-}" = --list ]; then
		printf '%s\n' "${TEST_NAMES[@]}"
		exit 0
	fi
	[ -c /dev/net/tun ] || [ -d /sys/module/wireguard ] || why="/dev/net/tun is not there"
	[ "$(id -u)" = 0 ] || why="needs root"
	TEST_STATUS=0
	TEST_OUT=$(mktemp) || exit 1
	for i in "${!TEST_NAMES[@]}"; do
		[[ ${TEST_NAMES[i]} =~ ${ONLY:-} ]] || continue
		test_begin "${TEST_NAMES[i]}"
		if [ -n "$why" ]; then
			test_skip "$why"
		elif [ $ready = 0 ]; then
			ready=1
			[ -n "$LAB_DIR" ] || lab_begin || exit 1
			trap _test_exit EXIT
			$TEST_SETUP >"$TEST_OUT" 2>&1 || {
				_test_failed_saying setup "the lab could not be set up"
				exit 1
			}
		fi
		[ -n "$why" ] || ${TEST_FUNCTIONS[i]}
		test_end
	done
	[ -z "${TEST_COUNT:-}" ] || echo "CHECKS $TEST_CHECKS"
	rm -f "$TEST_OUT"
	exit $TEST_STATUS
}

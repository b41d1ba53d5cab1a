# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# steps.sh - how a demonstration shows what it does: each command as a person types it, what it printed, and a mark.
# Source it after lab.sh.
#
#	title WORD...			a headline
#	step WANTED HOST WHAT COMMAND...	run it on HOST; WANTED is ok or fails. With SAYS (a regular expression) what it
#					prints must match. It is cut at the terminal's width, whole in $LAB_DIR/out
#	daemon HOST NAME COMMAND...	lab_spawn, and say so
#	ready HOST WHAT COMMAND...	within 10 s this becomes true
#	verdict HOST WHAT COMMAND...	a check without a typed command
#	table				all steps with their times
#
# FAILED is 1 after a step that did not do what it should. STEP_RUN (default lab_in) is what runs HOST COMMAND....

STEPS=()
FAILED=0
if [ -t 1 ]; then
	BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
	BOLD='' GREEN='' RED='' PLAIN=''
fi

title() {
	printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"
}

# The command as typed: a long word without spaces (a token) is cut in the middle, a script of sh -c is what was typed.
typed() {
	local word
	[ "$1 ${2-}" != 'sh -c' ] || {
		printf ' %s' "$3"
		return
	}
	for word; do
		if [[ $word =~ [[:space:]] ]]; then
			[[ $word == *\'* ]] && word="\"$word\"" || word="'$word'"
		elif [ ${#word} -gt 60 ]; then
			word="${word:0:24}...${word: -6}"
		fi
		printf ' %s' "$word"
	done
}

# step WANTED HOST WHAT COMMAND...: run it there; WANTED is ok or fails. With SAYS (a regular expression) what it
# prints must match.
step() {
	local wanted=$1 host=$2 what=$3 rc mark from ms
	shift 3
	printf '[%s] $%s\n' "$host" "$(typed "$@")"
	from=$(lab_now_ms)
	${STEP_RUN:-lab_in} "$host" "$@" >"$LAB_DIR/out" 2>&1
	rc=$?
	ms=$(($(lab_now_ms) - from))
	sed -E "s/^(.{$((${COLUMNS:-100} - 5))}).{2,}/\1…/; s/^/    /" "$LAB_DIR/out"
	mark=✔
	case $wanted:$rc in
	ok:0 | fails:[1-9]*) grep -qE -e "${SAYS:-}" "$LAB_DIR/out" || [ -z "${SAYS:-}" ] ;;
	*) false ;;
	esac || {
		mark=✘
		FAILED=1
	}
	STEPS+=("$mark|$host|$what|$ms")
	[ $mark = ✔ ] && printf '  %s✔ %s%s\n' "$GREEN" "$what" "$PLAIN" && return 0
	printf '  %s✘ %s (ended with %d%s)%s\n' "$RED" "$what" $rc "${SAYS:+, should say $SAYS}" "$PLAIN"
	return 1
}

# daemon HOST NAME COMMAND...: start it and say so.
daemon() {
	local host=$1 name=$2
	shift 2
	printf '[%s] $%s &\n' "$host" "$(typed "$@")"
	lab_spawn "$host" "$name" "$@"
}

ready() {
	local ms host=$1 what=$2
	shift 2
	if ms=$(lab_wait 10 "$@"); then
		STEPS+=("✔|$host|$what|$ms")
		printf '  %s✔ %s%s\n' "$GREEN" "$what" "$PLAIN"
		return 0
	fi
	STEPS+=("✘|$host|$what|$ms")
	FAILED=1
	printf '  %s✘ %s%s\n' "$RED" "$what" "$PLAIN"
	tail -n 5 "$LAB_DIR/$host"/*.log 2>/dev/null | sed 's/^/    /'
	return 1
}

# verdict HOST WHAT COMMAND...: a step without a typed command.
verdict() {
	local host=$1 what=$2
	shift 2
	if "$@"; then
		STEPS+=("✔|$host|$what|0")
		printf '  %s✔ %s%s\n' "$GREEN" "$what" "$PLAIN"
		return 0
	fi
	STEPS+=("✘|$host|$what|0")
	FAILED=1
	printf '  %s✘ %s%s\n' "$RED" "$what" "$PLAIN"
	return 1
}

table() {
	local entry mark host what ms
	title "Summary"
	for entry in "${STEPS[@]}"; do
		IFS='|' read -r mark host what ms <<<"$entry"
		printf '%s %-9s %-52s %6d ms\n' "$mark" "$host" "$what" "$ms"
	done
}

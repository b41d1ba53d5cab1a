# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Completion of warren(1) for bash: commands, options, and the names of networks, nodes and tokens,
# which are asked for as `warren ... --json` does: quietly, and two seconds at most.
# Nothing else is needed; it is loaded from /usr/share/bash-completion/completions/warren, or by
# `. completion.bash`.

declare -gA _warren_verbs=(
	[network]="create set list show delete release"
	[token]="create list revoke"
	[node]="list show rename remove"
	[gateway]="create set list show delete"
	[name]="add list delete"
	[dns]="list stanza"
	[exporter]="list remove"
	[join]="" [leave]="" [status]="" [ping]="" [why]="" [diff]=""
)

declare -gA _warren_options=(
	["network create"]="--range --mtu --keepalive --port --max-stale --json"
	["network set"]="--mtu --keepalive --port --max-stale --json"
	["network list"]="--json"
	["network show"]="--json"
	["network delete"]=""
	["network release"]="--json"
	["token create"]="--network --role --uses --at-most --expires --tag --site --range --forget --json"
	["token list"]="--network --json"
	["token revoke"]=""
	["node list"]="--network --json"
	["node show"]="--json"
	["node rename"]=""
	["node remove"]=""
	["gateway create"]="--network --node --tag --site --range --from-site --as --priority --nat --json"
	["gateway set"]="--range --from-site --as --priority --nat --json"
	["gateway list"]="--network --json"
	["gateway show"]="--json"
	["gateway delete"]=""
	["name add"]="--network --json"
	["name list"]="--network --json"
	["name delete"]="--network"
	["dns list"]="--network --json"
	["dns stanza"]="--network --for --forward --clusterset --reverse --bind"
	["exporter list"]="--network --json"
	["exporter remove"]=""
	["join"]="--name --network --hold --json"
	["leave"]="--all --json"
	["status"]="--ready --network --json"
	["ping"]="--count"
	["why"]="--json"
	["diff"]="--json"
)

# Options without a value.
declare -g _warren_flags=" --all --clusterset --help --hold --json --ready --reverse "

# What the first word of a command is.
declare -gA _warren_words=(
	["network set"]=networks ["network show"]=networks
	["network delete"]=networks ["network release"]=networks
	["token revoke"]=tokens
	["node show"]=nodes ["node rename"]=nodes ["node remove"]=nodes
	["gateway set"]=gateways ["gateway show"]=gateways ["gateway delete"]=gateways
	["name delete"]=names ["exporter remove"]=exporters
	["join"]=token ["leave"]=joined ["ping"]=peers ["why"]=peers
)

# _warren_ask DEPTH FIELD ARGUMENT...: that field of the objects at that depth of the answer's JSON.
# Only harmless characters pass: compgen -W expands its words.
_warren_ask() {
	local program=${COMP_WORDS[0]/#\~\//$HOME/}
	timeout 2 "$program" "${@:3}" --json 2>/dev/null </dev/null |
		sed -n "s/^ \{$1\}\"$2\": \"\([A-Za-z0-9._-]*\)\",\{0,1\}\$/\1/p" | sort -u
}

_warren_candidates() {
	case $1 in
	networks) _warren_ask 4 name network list ;;
	nodes) _warren_ask 4 name node list ;;
	tokens) _warren_ask 4 id token list ;;
	gateways) _warren_ask 4 id gateway list ;;
	names) _warren_ask 4 name name list ;;
	exporters) _warren_ask 4 id exporter list ;;
	joined) _warren_ask 6 name status ;;
	peers) _warren_ask 10 name status ;;
	esac
}

# The value of an option.
_warren_value() {
	case $1 in
	--network) _warren_candidates networks ;;
	--node) _warren_candidates nodes ;;
	--role) echo node exporter ;;
	--for) echo coredns coredns-custom nodelocaldns dnsmasq unbound kube-dns ;;
	--nat) echo masquerade none ;;
	--expires | --forget | --max-stale) echo 90s 10m 24h 30d never ;;
	esac
}

_warren() {
	local cur=${COMP_WORDS[COMP_CWORD]} word option='' command='' words=0 candidates='' i
	COMPREPLY=()
	# `=` and `@` are words of their own for readline.
	[ "$cur" != = ] || cur=
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [ -n "$option" ]; then
			[ "$word" = = ] || option=
		elif [[ $word = --*=* || $_warren_flags = *" $word "* ]]; then
			continue
		elif [[ $word = --* ]]; then
			option=$word
		elif [ -z "$command" ]; then
			command=$word
		elif [ -n "${_warren_verbs[$command]-}" ]; then
			command+=" $word"
		elif [[ $command != join || $word != @ ]]; then
			words=$((words + 1))
		fi
	done

	if [ -n "$option" ]; then
		candidates=$(_warren_value "$option")
	elif [ -z "$command" ]; then
		candidates="${!_warren_verbs[*]} --help --version"
	elif [ -n "${_warren_verbs[$command]-}" ]; then
		candidates="${_warren_verbs[$command]} --help"
	elif [[ $cur = -* ]]; then
		candidates="${_warren_options[$command]-} --help"
	elif [ "${_warren_words[$command]-}" = token ] && [ "${COMP_WORDS[COMP_CWORD - 1]}" = @ ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	elif [ "$words" = 0 ]; then
		candidates=$(_warren_candidates "${_warren_words[$command]-}")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur")
}

complete -F _warren warren

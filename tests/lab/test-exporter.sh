#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# An exporter offers its site's ranges, and a gateway takes them: --from-site.
set -u
cd "$(dirname "$0")" || exit 1
. ./lab.sh
. ./warren.sh

SERVICES=/var/lib/services.json

services() {
	local file=$LAB_DIR/e1/.lab/lib/services.json
	printf '{"ranges": [%s], "services": [{"name": "web", "addresses": ["10.43.0.9"]}]}\n' "$1" \
		>"$file.new" && mv "$file.new" "$file"
}

setup() {
	lab_wan && warren_hub hub && lab_host e1 203.0.113.21 &&
		warren_cli hub network create dc1 --range 10.77.0.0/24 &&
		warren_cli hub network create cloud --range 10.78.0.0/24 &&
		warren_node n1 dc1 203.0.113.11 && lab_host n2 203.0.113.12 &&
		warren_agent n2 --site dc1 && warren_join n2 dc1
}

offered() {
	[ "$(warren_cli hub exporter list --json | jq -r '.[0].offered | join(" ")')" = "$1" ]
}

create() {
	warren_cli hub gateway create --network dc1 "$@"
}

refused() {
	local said=$1
	shift
	warren_cli hub gateway "$@" 2>&1 | grep -qF "$said"
}

carried() {
	warren_cli hub gateway show "$1" --json | jq -r '.ranges | join(" ")'
}

carries() {
	[ "$(carried "$1")" = "$2" ]
}

reached() {
	lab_in n1 ip route get "$1" | grep -q 'dev wr-'
}

# A node came, and another one; a range that is not the site's alone is said, and hinders nothing.
grows() {
	local id=$1 old='"10.42.0.0/16", "10.43.0.0/16", "fd00:43::/112"'

	lab_wait 5 carries "$id" "10.42.0.0/16 10.43.0.0/16" || return
	services "$old"', "10.46.0.0/24"'
	lab_wait 5 carries "$id" "10.42.0.0/16 10.43.0.0/16 10.46.0.0/24" || return
	lab_wait 5 reached 10.46.0.7 || return
	services "$old"', "10.46.0.0/23", "10.78.0.0/25", "198.51.100.0/24"'
	lab_wait 5 carries "$id" "10.42.0.0/16 10.43.0.0/16 10.46.0.0/23" || return
	lab_wait 5 reached 10.46.1.7 || return
	[ "$(warren_cli hub exporter list --json | jq -r '.[0].not_carried | join(" ")')" = \
		"10.78.0.0/25 198.51.100.0/24" ] || return
	warren_cli hub gateway show "$id" | grep -q '^not carried 10.78.0.0/25: .* network cloud' || return
	grep -c 'range-not-carried.*range=10.78.0.0/25' "$(lab_log hub coordinator)" | grep -qx 1
}

from_site() {
	local token id
	test_check "no exporter" refused "site dc1 has no exporter" create --network dc1 --node n2 --from-site dc1
	services '' || return
	token=$(warren_token cloud --role exporter --site dc1) || return
	lab_spawn e1 exporter warren-exporter --token "$token" --services $SERVICES --health /run/health
	test_check "ready" lab_wait 5 lab_in e1 warren-exporter --health /run/health --check ready
	test_check "live" lab_in e1 warren-exporter --health /run/health --check live
	test_check "offers none" refused "offers no ranges" create --network dc1 --node n2 --from-site dc1
	services '"10.42.0.0/16", "10.43.0.0/16", "fd00:43::/112"'
	test_check "offered" lab_wait 5 offered "10.42.0.0/16 10.43.0.0/16 fd00:43::/112"
	test_check "of another site" refused "without a site" create --network dc1 --node n1 --from-site dc1
	id=$(create --node n2 --from-site dc1)
	test_equal "the network has no IPv6" \
		"$(warren_cli hub gateway show "$id" --json | jq -r '.ranges | join(" ")')" "10.42.0.0/16 10.43.0.0/16"
	test_check "grows" grows "$id" || return
	services '"10.42.0.0/16"'
	test_check "offered anew" lab_wait 5 offered "10.42.0.0/16"
	test_equal "an offer takes nothing away" "$(carried "$id")" "10.42.0.0/16 10.43.0.0/16 10.46.0.0/23"
	test_check "set" warren_cli hub gateway set "$id" --from-site dc1
	test_equal "taken anew" \
		"$(warren_cli hub gateway show "$id" --json | jq -r '.ranges | join(" ")')" "10.42.0.0/16"
	test_check "both" refused "exclude each other" set "$id" --from-site dc1 --range 10.1.0.0/16
	services '"10.77.0.0/25"'
	test_check "offered wrongly" lab_wait 5 offered "10.77.0.0/25"
	test_check "the rules of ranges hold" refused "overlaps with" set "$id" --from-site dc1
	lab_stop e1 exporter
	test_check "kept while it is away" offered "10.77.0.0/25"
	test_refuse "not live" lab_in e1 warren-exporter --health /run/health --check live
}

test_setup setup
test_add exporter-offers-ranges from_site
test_main "$@"

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of coordinator/dns.h, for these files only: dns.c (replicas, clearing), dns_list.c (names
 * as they are shown).
 */
#pragma once

#include "coordinator/dns.h"
#include "lib/log.h"
#include "lib/map.h"
#include "schemas/replica.h"

struct dns {
	struct loop *loop;
	struct authority *authority;
	struct keyring keys;
	struct mqtt *mqtt;    /* NULL: not connected */
	struct map *followed; /* struct followed by path */
	struct map *sweeps;   /* struct sweep by path */
	struct loop_hook hook;
	struct loop_timer timer;
	struct log_limit limit;
};

/* One exporter's journal. */
struct followed {
	struct dns *dns;
	struct topic journal;
	struct replica *replica;
};

const struct followed *dns_find(const struct dns *d, const char *network, const char *exporter);

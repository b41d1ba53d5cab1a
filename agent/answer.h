/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The answer to one DNS message, authoritative, never recursive: bytes and a table of names in, bytes
 * out. Pure, any thread; allocates nothing.
 *
 *	no answer	too short for a header, or an answer itself
 *	FORMERR		not exactly one question, or not to be parsed; two OPT (RFC 6891)
 *	NOTIMP		another opcode than QUERY
 *	BADVERS		EDNS of another version than 0
 *	REFUSED		a zone that is not ours or not the asker's, a class other than IN, AXFR, IXFR
 *	SERVFAIL	a name that is not there while a journal of its zone was never read
 *	NXDOMAIN, NODATA	with SOA (RFC 2308); names that only have others below them are NODATA
 *
 * A, AAAA, SRV (_port._protocol.service.namespace.network, RFC 2782, with the addresses), PTR, SOA, NS;
 * which zones there are says agent/lookup.h. An
 * ANY gets one kind (RFC 8482). Over UDP no answer is longer than ANSWER_UDP_MAX or what the asker
 * takes: of many addresses as many as fit, with TC (no resolver goes without, also one that has no
 * TCP); of everything else nothing, with TC. Over TCP of addresses and SRV as many as 64 KiB hold, with TC
 * when it is not all.
 */
#pragma once

#include "agent/zone.h"

#define ANSWER_UDP_MAX 1232
#define ANSWER_TCP_MAX 65535
#define ANSWER_QUERY_MAX 4096
#define ANSWER_SCRATCH_SIZE (192 * 1024)

struct answer_query {
	uint8_t *bytes; /* at most ANSWER_QUERY_MAX; not changed */
	size_t len;
	bool tcp;
	bool allowed;	     /* false: whatever is asked is refused */
	const char *network; /* the only zone that is answered; NULL: all */
	unsigned rotate;     /* which of several addresses is the first */
};

/* What an answer is built with: one for each thread, not initialized. */
struct answer_scratch {
	size_t used;
	_Alignas(16) uint8_t bytes[ANSWER_SCRATCH_SIZE];
};

/* Writes at most `size` bytes; over UDP never more than ANSWER_UDP_MAX. Returns how many, 0: no
 * answer. */
size_t answer(struct answer_scratch *s, const struct zone_table *t, const struct answer_query *q,
	      uint8_t *out, size_t size);

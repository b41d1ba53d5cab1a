/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peers as the coordinator publishes them, for the journal's bench.
 */
#pragma once

#include "schemas/member.h"
#include "tests/unit/schemas/journal_pipe.h"

/* The body of peer `n`, another one at each call. */
static inline void encode_peer(struct pipe *p, unsigned n, struct buf *ret)
{
	struct peer_key key;
	struct addr address = { 0 };
	char name[32], endpoint[32], site[] = "dc1", tag[] = "database";
	char *tags[] = { tag }, *endpoints[] = { endpoint };
	struct peer peer = { .name = name,
			     .keys = &key,
			     .key_count = 1,
			     .addresses = &address,
			     .address_count = 1,
			     .tags = tags,
			     .tag_count = 1,
			     .site = site,
			     .endpoints = endpoints,
			     .endpoint_count = 1,
			     .ep_seq = n + 1 };

	snprintf(name, sizeof(name), "node-%u", n);
	snprintf(endpoint, sizeof(endpoint), "198.51.%u.%u:51830", n / 256 % 256, n % 256);
	pipe_random(p, key.key, sizeof(key.key));
	pipe_random(p, peer.identity_key, sizeof(peer.identity_key));
	if (addr_parse("10.0.0.1", &address) < 0)
		abort();
	json_encode(ret, peer_fields, &peer);
}

/* Puts and publishes peers: one delta when it is one. */
static inline void put_peers(struct pipe *p, unsigned from, unsigned count)
{
	struct journal_op *ops = xcalloc(count, sizeof(*ops));
	struct buf body = { 0 };

	for (unsigned i = 0; i < count; i++) {
		ops[i].put = xasprintf("abcdefgh%08u", from + i);
		encode_peer(p, from + i, &body);
		ops[i].body = buf_take(&body);
	}
	if (writer_change(p->writer, p->now, ops, count) < 0 ||
	    writer_commit(p->writer, p->now) < 0)
		abort();
	writer_flush(p->writer);
	for (unsigned i = 0; i < count; i++) {
		free(ops[i].put);
		free(ops[i].body);
	}
	free(ops);
}

static inline void decode_peer(const char *body)
{
	struct arena a = { 0 };
	struct peer peer = { 0 };

	if (body_decode(&a, body, strlen(body), peer_fields, &peer, NULL))
		abort();
	arena_done(&a);
}

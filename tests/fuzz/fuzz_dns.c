/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers to DNS messages. The first byte says how it is asked: bit 0 over TCP, bit 1 by somebody who
 * may not ask, bit 2 about one network only. No answer is longer than it may be; somebody who may not
 * ask never gets more than was sent, but for the header.
 */
#include "agent/answer.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(struct zone *z, const struct zone_source *s, const char *key, size_t endpoints)
{
	static char http[] = "http", host[] = "db-0";
	struct record_port ports[] = { { http, PROTOCOL_TCP, 80 } };
	struct addr a[] = { { AF_INET, { 10, 43, 0, 1 } }, { AF_INET6, { 0xfd, 0x43 } } };
	struct record_endpoint e[300] = { 0 };
	struct record r = { .addresses = a, .address_count = 2, .ports = ports, .port_count = 1 };

	for (size_t i = 0; i < endpoints; i++)
		e[i] = (struct record_endpoint){ .hostname = i % 3 ? NULL : host,
						 .addresses = a,
						 .address_count = 1 };
	if (endpoints) {
		r.address_count = 0;
		r.endpoints = e;
		r.endpoint_count = endpoints;
	}
	zone_put(z, s, key, &r);
}

static struct zone_table *table(void)
{
	static const struct zone_source node = { ZONE_NODE, "", "aaaa", 0 },
					dc1 = { ZONE_SERVICE, "dc1", "e1", 0 };
	static const struct prefix own[] = { { { AF_INET, { 10, 9 } }, 24 },
					     { { AF_INET6, { 0xfd, 9 } }, 64 } },
				   granted[] = { { { AF_INET, { 10, 43 } }, 20 },
						 { { AF_INET6, { 0xfd, 0x40 } }, 12 } };
	struct zone_table *t = xcalloc(1, sizeof(*t) + 2 * sizeof(*t->zones));
	struct hamt_garbage none = { 0 };
	static struct zone *volatile kept[2]; /* read by nobody but the leak checker */
	struct zone *z;

	z = kept[0] = zone_new("net", "dc1");
	zone_set_self(z, "n1", own, 2);
	zone_set_granted(z, granted, 2);
	zone_set_complete(z, true);
	put(z, &node, "n1", 0);
	put(z, &dc1, "web.shop", 0);
	put(z, &dc1, "db.shop", 3);
	put(z, &dc1, "big.shop", 300);
	t->zones[t->count++] = zone_commit(z, &none);
	z = kept[1] = zone_new("other", "dc1");
	zone_set_self(z, "n1", NULL, 0);
	put(z, &dc1, "web.shop", 0);
	put(z, &dc1, "db.shop", 5);
	t->zones[t->count++] = zone_commit(z, &none);
	return t;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zone_table *t;
	static struct answer_scratch scratch;
	static uint8_t out[ANSWER_TCP_MAX];
	struct answer_query q;
	uint8_t *copy;
	size_t room, n;

	if (!t)
		t = table();
	if (size < 1)
		return 0;
	copy = xmalloc(size);
	memcpy(copy, data + 1, size - 1);
	q = (struct answer_query){ .bytes = copy,
				   .len = size - 1,
				   .tcp = *data & 1,
				   .allowed = !(*data & 2),
				   .network = *data & 4 ? "net" : NULL,
				   .rotate = *data >> 3 };
	room = q.tcp ? ANSWER_TCP_MAX : ANSWER_UDP_MAX;
	n = answer(&scratch, t, &q, out, room);
	require(n <= room && (n == 0 || n >= 12));
	require(memcmp(copy, data + 1, size - 1) == 0);
	require(n == 0 || (memcmp(out, copy, 2) == 0 && out[2] & 0x80 && !(out[3] & 0x80)));
	require(q.allowed || n <= q.len);
	free(copy);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two zones, questions about them, and what is said to them as text: for tests of agent/answer.h. */
#pragma once

#include "agent/answer.h"

#include <libknot/libknot.h>
#include <arpa/inet.h>

#include "lib/mem.h"
#include "tests/test.h"

#define TCP 1
#define REFUSE 2 /* not an allowed asker */
#define ONLY 4	 /* of `net` only */
#define EDNS 8

static struct answer_scratch scratch;
static struct zone_table *table;
static struct zone *zones[2];
static struct hamt_garbage garbage;
static uint8_t out[ANSWER_TCP_MAX];
static size_t out_len;
static unsigned rotate;

static const struct zone_source node = { ZONE_NODE, "", "aaaa", 0 },
				dc1 = { ZONE_SERVICE, "dc1", "e1", 0 },
				cloud = { ZONE_SERVICE, "cloud", "e2", 0 };

static struct addr address(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse(text, &a) < 0)
		test_end(false, "no address: %s", text);
	return a;
}

static void put(struct zone *z, const struct zone_source *s, const char *key, const char *one,
		const char *two)
{
	struct record_port ports[] = { { "http", PROTOCOL_TCP, 80 }, { NULL, PROTOCOL_TCP, 81 } };
	struct addr list[2] = { address(one), two ? address(two) : address(one) };
	struct record r = { list, two ? 2 : 1, ports, ARRAY_SIZE(ports), NULL, 0 };

	zone_put(z, s, key, &r);
}

static void put_headless_by(struct zone *z, const struct zone_source *source, const char *key,
			    const char *prefix, unsigned count)
{
	struct record_endpoint *e = xcalloc(count, sizeof(*e));
	struct record_port ports[] = { { "sql", PROTOCOL_UDP, 5432 } };
	struct record r = { NULL, 0, ports, 1, e, count };
	char text[64];

	for (unsigned i = 0; i < count; i++) {
		if (i % 2 == 0)
			e[i].hostname = xasprintf("db-%u", i);
		snprintf(text, sizeof(text), "%s%u.%u", prefix, i / 250, 1 + i % 250);
		e[i].addresses = xcalloc(1, sizeof(struct addr));
		e[i].addresses[0] = address(text);
		e[i].address_count = 1;
	}
	zone_put(z, source, key, &r);
	for (unsigned i = 0; i < count; i++) {
		free(e[i].addresses);
		free(e[i].hostname);
	}
	free(e);
}

static void put_headless(struct zone *z, const char *key, const char *prefix, unsigned count)
{
	put_headless_by(z, &dc1, key, prefix, count);
}

static void commit(void)
{
	if (!table)
		table = xcalloc(1, sizeof(*table) + 2 * sizeof(*table->zones));
	for (int i = 0; i < 2; i++) {
		union {
			const struct zone_version *from;
			void *to;
		} u = { .from = table->zones[i] };

		free(u.to);
		table->zones[i] = zone_commit(zones[i], &garbage);
	}
	table->count = 2;
}

static void begin(void)
{
	zones[0] = zone_new("net", "dc1");
	zones[1] = zone_new("dc1-k3s", "dc1");
	for (int i = 0; i < 2; i++) {
		zone_set_self(zones[i], "n1", NULL, 0);
		zone_set_complete(zones[i], true);
	}
	put(zones[0], &node, "n1", "10.9.0.1", "fd09::1");
	put(zones[0], &node, "v4", "10.9.0.2", NULL);
	put(zones[0], &dc1, "web.shop", "10.43.0.1", "fd43::1");
	put(zones[0], &cloud, "api.shop", "10.45.0.1", NULL);
	put_headless(zones[0], "db.shop", "10.42.", 3);
	put(zones[1], &node, "n1", "10.65.0.1", NULL);
	commit();
}

/* ---- messages ---- */

static size_t write_name(uint8_t *at, const char *name)
{
	return knot_dname_from_str(at, name, ZONE_NAME_MAX) ? knot_dname_size(at) : 0;
}

static size_t write_query(uint8_t *at, const char *name, uint16_t type, int flags)
{
	size_t len = KNOT_WIRE_HEADER_SIZE;

	memset(at, 0, len);
	knot_wire_set_id(at, 0x4711);
	knot_wire_set_rd(at);
	knot_wire_set_qdcount(at, 1);
	len += write_name(at + len, name);
	knot_wire_write_u16(at + len, type);
	knot_wire_write_u16(at + len + 2, KNOT_CLASS_IN);
	len += 4;
	if (flags & EDNS) {
		static const uint8_t opt[] = { 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0 };

		knot_wire_set_arcount(at, 1);
		memcpy(at + len, opt, sizeof(opt));
		len += sizeof(opt);
	}
	return len;
}

static size_t send_bytes(const uint8_t *bytes, size_t len, int flags)
{
	/* Exactly as long, so that a sanitizer sees a step beyond it. */
	uint8_t *copy = xmemdup(bytes, len ? len : 1);
	const struct answer_query q = { .bytes = copy,
					.len = len,
					.tcp = flags & TCP,
					.allowed = !(flags & REFUSE),
					.network = flags & ONLY ? "net" : NULL,
					.rotate = rotate };

	out_len = answer(&scratch, table, &q, out, flags & TCP ? ANSWER_TCP_MAX : ANSWER_UDP_MAX);
	if (memcmp(copy, bytes, len) != 0)
		test_end(false, "the question was changed");
	free(copy);
	return out_len;
}

static void say_rdata(char *to, const knot_rrset_t *rr, const knot_rdata_t *d)
{
	char text[300] = "?";

	switch (rr->type) {
	case KNOT_RRTYPE_A:
	case KNOT_RRTYPE_AAAA:
		inet_ntop(d->len == 4 ? AF_INET : AF_INET6, d->data, text, sizeof(text));
		break;
	case KNOT_RRTYPE_NS:
	case KNOT_RRTYPE_PTR:
	case KNOT_RRTYPE_SOA:
		knot_dname_to_str(text, d->data, sizeof(text));
		break;
	case KNOT_RRTYPE_SRV:
		sprintf(text, "%u ", knot_wire_read_u16(d->data + 4));
		knot_dname_to_str(text + strlen(text), d->data + 6, 256);
		break;
	}
	sprintf(to, "%s", text);
}

/* `RCODE [aa] [tc]: NAME TYPE RDATA ...; ` a section each, the OPT left out. */
static const char *said(void)
{
	static char text[200000];
	knot_pkt_t *p;
	const knot_lookup_t *rcode;
	char *at = text, type[16];

	if (!out_len)
		return "";
	p = knot_pkt_new(out, (uint16_t)out_len, NULL);
	if (knot_pkt_parse(p, KNOT_PF_KEEPWIRE | KNOT_PF_NOCANON) != KNOT_EOK)
		test_end(false, "the answer cannot be parsed");
	rcode = knot_lookup_by_id(knot_rcode_names, knot_pkt_ext_rcode(p));
	at += sprintf(at, "%s%s%s", rcode->name, knot_wire_get_aa(out) ? " aa" : "",
		      knot_wire_get_tc(out) ? " tc" : "");
	for (knot_section_t s = KNOT_ANSWER; s <= KNOT_ADDITIONAL; s++) {
		const knot_pktsection_t *section = knot_pkt_section(p, s);
		const char *name = s == KNOT_ANSWER ? ":" : s == KNOT_AUTHORITY ? " auth" : " add";

		for (uint16_t i = 0; i < section->count; i++) {
			const knot_rrset_t *rr = knot_pkt_rr(section, i);
			char owner[300];

			if (rr->type == KNOT_RRTYPE_OPT)
				continue;
			knot_rrtype_to_string(rr->type, type, sizeof(type));
			knot_dname_to_str(owner, rr->owner, sizeof(owner));
			at += sprintf(at, "%s %s %u %s ", name, owner, rr->ttl, type);
			name = "";
			say_rdata(at, rr, rr->rrs.rdata);
			at += strlen(at);
		}
	}
	knot_pkt_free(p);
	return text;
}

static const char *ask(const char *name, uint16_t type, int flags)
{
	uint8_t query[600];

	send_bytes(query, write_query(query, name, type, flags), flags);
	return said();
}

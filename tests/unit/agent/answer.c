/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of agent/answer.h: questions and what is said to them, as text. */
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

static const struct zone_source node = { ZONE_NODE, "", "aaaa" },
				dc1 = { ZONE_SERVICE, "dc1", "e1" },
				cloud = { ZONE_SERVICE, "cloud", "e2" };

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

static void put_headless(struct zone *z, const char *key, const char *prefix, unsigned count)
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
	zone_put(z, &dc1, key, &r);
	for (unsigned i = 0; i < count; i++) {
		free(e[i].addresses);
		free(e[i].hostname);
	}
	free(e);
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

#define NODATA_NET "NOERROR aa auth net. 1 SOA n1.net."
#define NX_NET "NXDOMAIN aa auth net. 1 SOA n1.net."

TEST(questions)
{
	static const struct {
		const char *name;
		uint16_t type;
		const char *says;
	} table_of[] = {
		{ "n1.net", KNOT_RRTYPE_A, "NOERROR aa: n1.net. 5 A 10.9.0.1" },
		{ "n1.net", KNOT_RRTYPE_AAAA, "NOERROR aa: n1.net. 5 AAAA fd09::1" },
		{ "N1.NeT", KNOT_RRTYPE_A, "NOERROR aa: N1.NeT. 5 A 10.9.0.1" },
		{ "v4.net", KNOT_RRTYPE_AAAA, NODATA_NET },
		{ "v4.net", KNOT_RRTYPE_MX, NODATA_NET },
		{ "v4.net", KNOT_RRTYPE_SRV, NODATA_NET },
		{ "v4.net", 65280, NODATA_NET },
		{ "v4.net", KNOT_RRTYPE_ANY, "NOERROR aa: v4.net. 5 A 10.9.0.2" },
		{ "n1.dc1-k3s", KNOT_RRTYPE_A, "NOERROR aa: n1.dc1-k3s. 5 A 10.65.0.1" },
		{ "none.net", KNOT_RRTYPE_A, NX_NET },
		{ "none.net", KNOT_RRTYPE_AAAA, NX_NET },
		{ "x.v4.net", KNOT_RRTYPE_A, NX_NET },
		/* empty non-terminals */
		{ "shop.net", KNOT_RRTYPE_A, NODATA_NET },
		{ "_tcp.web.shop.net", KNOT_RRTYPE_A, NODATA_NET },
		{ "_udp.web.shop.net", KNOT_RRTYPE_A, NX_NET },
		/* services */
		{ "web.shop.net", KNOT_RRTYPE_A, "NOERROR aa: web.shop.net. 5 A 10.43.0.1" },
		{ "web.shop.net", KNOT_RRTYPE_AAAA, "NOERROR aa: web.shop.net. 5 AAAA fd43::1" },
		{ "api.shop.net", KNOT_RRTYPE_AAAA, NODATA_NET },
		{ "no.shop.net", KNOT_RRTYPE_A, NX_NET },
		{ "web.none.net", KNOT_RRTYPE_A, NX_NET },
		{ "_http._tcp.web.shop.net", KNOT_RRTYPE_SRV,
		  "NOERROR aa: _http._tcp.web.shop.net. 5 SRV 80 web.shop.net."
		  " add web.shop.net. 5 A 10.43.0.1 web.shop.net. 5 AAAA fd43::1" },
		{ "_http._tcp.web.shop.net", KNOT_RRTYPE_A, NODATA_NET },
		{ "_https._tcp.web.shop.net", KNOT_RRTYPE_SRV, NX_NET },
		{ "_http._udp.web.shop.net", KNOT_RRTYPE_SRV, NX_NET },
		{ "http._tcp.web.shop.net", KNOT_RRTYPE_SRV, NX_NET },
		{ "_http.tcp.web.shop.net", KNOT_RRTYPE_SRV, NX_NET },
		{ "a._http._tcp.web.shop.net", KNOT_RRTYPE_SRV, NX_NET },
		{ "a.b.c.d.e.f.g.h.net", KNOT_RRTYPE_A, NX_NET },
		/* headless */
		{ "db-0.db.shop.net", KNOT_RRTYPE_A,
		  "NOERROR aa: db-0.db.shop.net. 5 A 10.42.0.1" },
		{ "10-42-0-2.db.shop.net", KNOT_RRTYPE_A,
		  "NOERROR aa: 10-42-0-2.db.shop.net. 5 A 10.42.0.2" },
		{ "db-0.db.shop.net", KNOT_RRTYPE_AAAA, NODATA_NET },
		{ "db-1.db.shop.net", KNOT_RRTYPE_A, NX_NET },
		{ "db-0.web.shop.net", KNOT_RRTYPE_A, NX_NET },
		{ "_udp.db.shop.net", KNOT_RRTYPE_A, NODATA_NET },
		/* the network */
		{ "net", KNOT_RRTYPE_SOA, "NOERROR aa: net. 5 SOA n1.net." },
		{ "net", KNOT_RRTYPE_NS,
		  "NOERROR aa: net. 5 NS n1.net. add n1.net. 5 A 10.9.0.1 n1.net. 5 AAAA fd09::1" },
		{ "net", KNOT_RRTYPE_A, NODATA_NET },
		/* elsewhere */
		{ ".", KNOT_RRTYPE_NS, "REFUSED" },
		{ "net.example", KNOT_RRTYPE_A, "REFUSED" },
		{ "ne", KNOT_RRTYPE_A, "REFUSED" },
		{ "n1.nett", KNOT_RRTYPE_A, "REFUSED" },
		{ "n1.net", KNOT_RRTYPE_AXFR, "REFUSED" },
		{ "net", KNOT_RRTYPE_AXFR, "REFUSED" },
		{ "net", KNOT_RRTYPE_IXFR, "REFUSED" },
		/* a dot inside of a label is no end of it */
		{ "web\\.shop.net", KNOT_RRTYPE_A, NX_NET },
		{ "net\\000.net", KNOT_RRTYPE_A, NX_NET },
		{ "n1.net\\000x", KNOT_RRTYPE_A, "REFUSED" },
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(table_of); i++)
		for (int flags = 0; flags <= EDNS; flags += EDNS)
			CHECK_STR(ask(table_of[i].name, table_of[i].type, flags), table_of[i].says);
}

TEST(header_and_question_come_back)
{
	uint8_t query[600];
	size_t len;

	begin();
	len = write_query(query, "Web.Shop.NET", KNOT_RRTYPE_A, 0);
	CHECK(send_bytes(query, len, 0) > len);
	CHECK_INT(knot_wire_get_id(out), 0x4711);
	CHECK(knot_wire_get_qr(out) && knot_wire_get_rd(out) && !knot_wire_get_ra(out));
	CHECK(memcmp(out + 12, query + 12, len - 12) == 0);
}

TEST(headless_gives_all)
{
	char text[1000];

	begin();
	strcpy(text, ask("db.shop.net", KNOT_RRTYPE_A, 0));
	CHECK_STR(text, "NOERROR aa: db.shop.net. 5 A 10.42.0.1 db.shop.net. 5 A 10.42.0.2"
			" db.shop.net. 5 A 10.42.0.3");
	rotate = 1;
	CHECK_STR(ask("db.shop.net", KNOT_RRTYPE_A, 0),
		  "NOERROR aa: db.shop.net. 5 A 10.42.0.2 db.shop.net. 5 A 10.42.0.3"
		  " db.shop.net. 5 A 10.42.0.1");
	rotate = 0;
	CHECK_STR(ask("_sql._udp.db.shop.net", KNOT_RRTYPE_SRV, 0),
		  "NOERROR aa: _sql._udp.db.shop.net. 5 SRV 5432 db-0.db.shop.net."
		  " _sql._udp.db.shop.net. 5 SRV 5432 10-42-0-2.db.shop.net."
		  " _sql._udp.db.shop.net. 5 SRV 5432 db-2.db.shop.net."
		  " add db-0.db.shop.net. 5 A 10.42.0.1 10-42-0-2.db.shop.net. 5 A 10.42.0.2"
		  " db-2.db.shop.net. 5 A 10.42.0.3");
	/* Nobody is ready: the name is there. */
	put_headless(zones[0], "db.shop", "10.42.", 0);
	commit();
	CHECK_STR(ask("db.shop.net", KNOT_RRTYPE_A, 0), NODATA_NET);
	CHECK_STR(ask("_sql._udp.db.shop.net", KNOT_RRTYPE_SRV, 0), NODATA_NET);
	CHECK_STR(ask("db-0.db.shop.net", KNOT_RRTYPE_A, 0), NX_NET);
}

TEST(two_sites_share_a_name)
{
	begin();
	put(zones[0], &cloud, "web.shop", "10.45.0.9", NULL);
	commit();
	/* This node's own site has it. */
	CHECK_STR(ask("web.shop.net", KNOT_RRTYPE_A, 0), "NOERROR aa: web.shop.net. 5 A 10.43.0.1");
	zone_free(zones[0]);
	zones[0] = zone_new("net", "office");
	zone_set_self(zones[0], "n1", NULL, 0);
	put(zones[0], &dc1, "web.shop", "10.43.0.1", NULL);
	put(zones[0], &cloud, "web.shop", "10.45.0.9", NULL);
	commit();
	CHECK_STR(ask("web.shop.net", KNOT_RRTYPE_A, 0),
		  "NOERROR aa: web.shop.net. 5 A 10.45.0.9 web.shop.net. 5 A 10.43.0.1");
	CHECK_STR(ask("_http._tcp.web.shop.net", KNOT_RRTYPE_SRV, 0),
		  "NOERROR aa: _http._tcp.web.shop.net. 5 SRV 80 web.shop.net."
		  " add web.shop.net. 5 A 10.45.0.9 web.shop.net. 5 A 10.43.0.1");
}

TEST(servfail_before_the_first_reading)
{
	begin();
	zone_set_complete(zones[0], false);
	commit();
	CHECK_STR(ask("none.net", KNOT_RRTYPE_A, 0), "SERVFAIL");
	CHECK_STR(ask("no.shop.net", KNOT_RRTYPE_A, 0), "SERVFAIL");
	CHECK_STR(ask("_http._tcp.no.shop.net", KNOT_RRTYPE_SRV, 0), "SERVFAIL");
	CHECK_STR(ask("v4.net", KNOT_RRTYPE_A, 0), "NOERROR aa: v4.net. 5 A 10.9.0.2");
	CHECK_STR(ask("v4.net", KNOT_RRTYPE_AAAA, 0), NODATA_NET);
	CHECK_STR(ask("none.dc1-k3s", KNOT_RRTYPE_A, 0),
		  "NXDOMAIN aa auth dc1-k3s. 1 SOA n1.dc1-k3s.");
}

TEST(who_may_ask)
{
	begin();
	CHECK_STR(ask("n1.net", KNOT_RRTYPE_A, REFUSE), "REFUSED");
	CHECK_STR(ask("n1.net", KNOT_RRTYPE_A, ONLY), "NOERROR aa: n1.net. 5 A 10.9.0.1");
	CHECK_STR(ask("n1.dc1-k3s", KNOT_RRTYPE_A, ONLY), "REFUSED");
}

/* 300 addresses: UDP takes as many as fit and says so, TCP all. */
TEST(truncation)
{
	const char *all;
	uint8_t query[600];
	size_t len;

	begin();
	put_headless(zones[0], "big.shop", "10.42.", 300);
	commit();
	CHECK(strncmp(ask("big.shop.net", KNOT_RRTYPE_A, 0), "NOERROR aa tc: ", 15) == 0);
	CHECK(out_len <= 512 && out_len > 480);
	CHECK(strncmp(ask("big.shop.net", KNOT_RRTYPE_A, EDNS), "NOERROR aa tc: ", 15) == 0);
	CHECK(out_len <= 1232 && out_len > 1200);
	CHECK_INT(knot_wire_get_ancount(out), (1232 - 12 - 18 - 11) / 16);
	for (rotate = 0; rotate < 1000; rotate += 7)
		ask("big.shop.net", KNOT_RRTYPE_A, EDNS);
	all = ask("big.shop.net", KNOT_RRTYPE_A, TCP);
	CHECK(strncmp(all, "NOERROR aa: ", 12) == 0);
	CHECK(strstr(all, " 10.42.1.50") && strstr(all, " 10.42.0.1 "));
	CHECK_INT(knot_wire_get_ancount(out), 300);
	CHECK_STR(ask("_sql._udp.big.shop.net", KNOT_RRTYPE_SRV, EDNS), "NOERROR aa tc");
	CHECK(strncmp(ask("_sql._udp.big.shop.net", KNOT_RRTYPE_SRV, TCP), "NOERROR aa: ", 12) ==
	      0);
	CHECK_INT(knot_wire_get_ancount(out), 300);
	/* Less than 512 is asked for: 512 it is (RFC 6891). */
	len = write_query(query, "big.shop.net", KNOT_RRTYPE_A, EDNS);
	knot_wire_write_u16(query + len - 8, 100);
	CHECK(send_bytes(query, len, 0) > 480 && out_len <= 512);
	knot_wire_write_u16(query + len - 8, 65535);
	CHECK(send_bytes(query, len, 0) <= 1232);
}

TEST(edns)
{
	uint8_t query[600];
	size_t len;

	begin();
	ask("v4.net", KNOT_RRTYPE_A, EDNS);
	CHECK_INT(knot_wire_get_arcount(out), 1);
	CHECK_INT(knot_wire_read_u16(out + out_len - 8), ANSWER_UDP_MAX);
	ask("v4.net", KNOT_RRTYPE_A, 0);
	CHECK_INT(knot_wire_get_arcount(out), 0);
	len = write_query(query, "v4.net", KNOT_RRTYPE_A, EDNS);
	query[len - 5] = 1; /* version */
	CHECK(send_bytes(query, len, 0) > 0);
	CHECK_STR(said(), "BADVERS");
	/* Two of them. */
	len = write_query(query, "v4.net", KNOT_RRTYPE_A, EDNS);
	memcpy(query + len, query + len - 11, 11);
	knot_wire_set_arcount(query, 2);
	CHECK(send_bytes(query, len + 11, 0) > 0);
	CHECK_STR(said(), "FORMERR");
	/* Options of 3 KB that nobody knows. */
	{
		static uint8_t giant[4000];

		len = write_query(giant, "v4.net", KNOT_RRTYPE_A, EDNS);
		knot_wire_write_u16(giant + len - 2, 3004);
		knot_wire_write_u16(giant + len, 65001);
		knot_wire_write_u16(giant + len + 2, 3000);
		CHECK(send_bytes(giant, len + 3004, 0) > 0 && out_len < 100);
		CHECK_STR(said(), "NOERROR aa: v4.net. 5 A 10.9.0.2");
		knot_wire_write_u16(giant + len + 2, 3001);
		CHECK(send_bytes(giant, len + 3004, 0) > 0 && out_len < 100);
		CHECK_STR(said(), "FORMERR");
	}
}

/* What is no good question: dropped, or an answer that is not longer than it. */
TEST(malformed)
{
	uint8_t query[600], good[600];
	size_t len, i;

	begin();
	len = write_query(good, "web.shop.net", KNOT_RRTYPE_A, EDNS);
	for (i = 0; i < len; i++) {
		CHECK(send_bytes(good, i, 0) <= MAX(i, 12U));
		CHECK(i < 12 ? out_len == 0 : out_len > 0);
		CHECK_STR(said(), i < 12 ? "" : "FORMERR");
	}
	/* An answer is not answered: no loops. */
	memcpy(query, good, len);
	knot_wire_set_qr(query);
	CHECK_INT(send_bytes(query, len, 0), 0);
	/* Other opcodes. */
	for (short opcode = 1; opcode < 16; opcode++) {
		memcpy(query, good, len);
		knot_wire_set_opcode(query, opcode);
		CHECK(send_bytes(query, len, 0) <= len);
		CHECK_STR(said(), "NOTIMPL");
		CHECK_INT(knot_wire_get_opcode(out), opcode);
	}
	/* Classes. */
	for (unsigned class = 0; class < 300; class ++) {
		memcpy(query, good, len);
		knot_wire_write_u16(query + len - 11 - 2, (uint16_t) class);
		CHECK(send_bytes(query, len, 0) > 0);
		if (class != KNOT_CLASS_IN) {
			CHECK_STR(said(), "REFUSED");
			CHECK(out_len <= len);
		}
	}
	/* Questions: none, two, 65535. */
	for (i = 0; i < 3; i++) {
		memcpy(query, good, len);
		knot_wire_set_qdcount(query, (uint16_t[]){ 0, 2, 65535 }[i]);
		CHECK(send_bytes(query, len, 0) == 12);
		CHECK_STR(said(), "FORMERR");
	}
	/* Records in the sections, as many as can be said. */
	for (i = 0; i < 3; i++) {
		memcpy(query, good, len);
		knot_wire_write_u16(query + 6 + 2 * i, 65535);
		CHECK(send_bytes(query, len, 0) <= len);
		CHECK_STR(said(), "FORMERR");
	}
}

TEST(compression_loops)
{
	static const uint8_t names[][6] = {
		{ 0xc0, 12 },		/* to itself */
		{ 1, 'a', 0xc0, 12 },	/* to its beginning */
		{ 0xc0, 14, 0xc0, 12 }, /* to and fro */
		{ 0xc0, 0xff, 0 },	/* ahead, beyond the end */
		{ 0xc0, 0 },		/* the header */
		{ 0x40, 'a', 0 },
		{ 0x80, 0 },	       /* other kinds of label */
		{ 63, 'a', 'b', 'c' }, /* beyond the end */
		{ 0xc0 },
	};
	uint8_t query[64];

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t tail = 0; tail <= 10; tail++) {
			memset(query, 0, sizeof(query));
			knot_wire_set_qdcount(query, 1);
			memcpy(query + 12, names[i], 6);
			query[12 + tail + 1] = 1;
			send_bytes(query, 12 + tail, 0);
			CHECK(out_len <= 12 + tail);
			CHECK(knot_wire_get_rcode(out) != KNOT_RCODE_NOERROR);
		}
}

TEST(longest_names)
{
	char name[1024] = "", label[70] = "";
	uint8_t query[600];

	begin();
	memset(label, 'a', 63);
	label[63] = '.';
	for (int i = 0; i < 3; i++)
		strcat(name, label);
	label[57] = '\0';
	strcat(strcat(name, label), ".net");
	CHECK_INT(write_query(query, name, KNOT_RRTYPE_A, 0), 12 + 255 + 4);
	CHECK_STR(ask(name, KNOT_RRTYPE_A, EDNS), NX_NET);
	*name = '\0';
	for (int i = 0; i < 125; i++)
		strcat(name, "a.");
	strcat(name, "net");
	CHECK_STR(ask(name, KNOT_RRTYPE_A, EDNS), NX_NET);
}

TEST_MAIN("answer")

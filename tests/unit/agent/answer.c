/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of agent/answer.h: questions and what is said to them, as text. */
#include "tests/unit/agent/ask.h"

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

/* 10,000 endpoints in parts, in both networks: UDP says that there are more, TCP has what 64 KiB hold. */
TEST(ten_thousand_endpoints)
{
	static struct zone_source parts[32];
	char prefix[16];

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		parts[i] = dc1;
		parts[i].part = i;
		snprintf(prefix, sizeof(prefix), "10.%u.", 100 + i);
		for (int k = 0; k < 2; k++)
			put_headless_by(zones[k], &parts[i], "big.shop", prefix, 313);
	}
	commit();
	CHECK(strncmp(ask("big.shop.net", KNOT_RRTYPE_A, EDNS), "NOERROR aa tc: ", 15) == 0);
	CHECK_INT(knot_wire_get_ancount(out), (1232 - 12 - 18 - 11) / 16);
	CHECK(strncmp(ask("big.shop.net", KNOT_RRTYPE_A, TCP), "NOERROR aa tc: ", 15) == 0);
	CHECK_INT(knot_wire_get_ancount(out), (65535 - 12 - 18) / 16);
	ask("big.shop.svc.clusterset.local", KNOT_RRTYPE_A, TCP);
	CHECK_INT(knot_wire_get_ancount(out), (65535 - 12 - 35) / 16);
	for (int i = 0; i < 2; i++) {
		CHECK_STR(ask("_sql._udp.big.shop.net", KNOT_RRTYPE_SRV, EDNS), "NOERROR aa tc");
		ask(i ? "_sql._udp.big.shop.svc.clusterset.local" : "_sql._udp.big.shop.net",
		    KNOT_RRTYPE_SRV, TCP);
		CHECK(knot_wire_get_tc(out) && out_len > 65535 - 60);
	}
	/* Any of them by its own name, and by its address. */
	CHECK_STR(ask("10-131-1-62.big.shop.net", KNOT_RRTYPE_A, 0),
		  "NOERROR aa: 10-131-1-62.big.shop.net. 5 A 10.131.1.62");
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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of agent/answer.h: the zones that are made of several (agent/lookup.h), and of addresses. */
#include "tests/unit/agent/ask.h"

/* ---- names of addresses, all networks ---- */

static struct prefix range(const char *text)
{
	struct prefix p = { 0 };

	if (prefix_parse(text, &p) < 0)
		test_end(false, "no prefix: %s", text);
	return p;
}

static void begin_ranges(void)
{
	const struct prefix granted[] = { range("10.42.0.0/16"), range("10.43.0.0/20"),
					  range("192.168.7.8/29"), range("fd43::/44") };
	const struct prefix own[] = { range("10.9.0.0/24"), range("fd09::/64") };
	static const struct zone_source added = { ZONE_ADDED, "", "", 0 };

	begin();
	zone_set_self(zones[0], "n1", own, 2);
	zone_set_granted(zones[0], granted, ARRAY_SIZE(granted));
	put(zones[0], &added, "alias", "10.9.0.1", NULL);
	put(zones[0], &dc1, "b.shop", "10.43.0.1", NULL);
	put(zones[0], &dc1, "far.shop", "192.168.7.9", NULL);
	put_headless(zones[0], "db.shop", "10.42.", 3);
	commit();
}

TEST(names_of_addresses)
{
	static const struct {
		const char *name;
		uint16_t type;
		const char *says;
	} table_of[] = {
		{ "1.0.9.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NOERROR aa: 1.0.9.10.in-addr.arpa. 5 PTR n1.net."
		  " 1.0.9.10.in-addr.arpa. 5 PTR alias.net." },
		{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.0.D.f.ip6.arpa",
		  KNOT_RRTYPE_PTR,
		  "NOERROR aa: 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.0.D.f."
		  "ip6.arpa. 5 PTR n1.net." },
		{ "1.0.43.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NOERROR aa: 1.0.43.10.in-addr.arpa. 5 PTR b.shop.net."
		  " 1.0.43.10.in-addr.arpa. 5 PTR web.shop.net." },
		{ "1.0.42.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NOERROR aa: 1.0.42.10.in-addr.arpa. 5 PTR db-0.db.shop.net." },
		{ "2.0.42.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NOERROR aa: 2.0.42.10.in-addr.arpa. 5 PTR 10-42-0-2.db.shop.net." },
		{ "9.7.168.192.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NOERROR aa: 9.7.168.192.in-addr.arpa. 5 PTR far.shop.net." },
		/* not there, not of that type, not a name of an address */
		{ "9.0.9.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NXDOMAIN aa auth 0.9.10.in-addr.arpa. 1 SOA n1.net." },
		{ "1.0.9.10.in-addr.arpa", KNOT_RRTYPE_A,
		  "NOERROR aa auth 0.9.10.in-addr.arpa. 1 SOA n1.net." },
		{ "7.42.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NOERROR aa auth 42.10.in-addr.arpa. 1 SOA n1.net." },
		{ "01.0.9.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NXDOMAIN aa auth 0.9.10.in-addr.arpa. 1 SOA n1.net." },
		{ "x.1.0.9.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NXDOMAIN aa auth 0.9.10.in-addr.arpa. 1 SOA n1.net." },
		{ "256.42.10.in-addr.arpa", KNOT_RRTYPE_PTR,
		  "NXDOMAIN aa auth 42.10.in-addr.arpa. 1 SOA n1.net." },
		/* the zones */
		{ "42.10.in-addr.arpa", KNOT_RRTYPE_SOA,
		  "NOERROR aa: 42.10.in-addr.arpa. 5 SOA n1.net." },
		{ "0.9.10.in-addr.arpa", KNOT_RRTYPE_NS,
		  "NOERROR aa: 0.9.10.in-addr.arpa. 5 NS n1.net. add n1.net. 5 A 10.9.0.1"
		  " n1.net. 5 AAAA fd09::1" },
		{ "15.43.10.in-addr.arpa", KNOT_RRTYPE_SOA,
		  "NOERROR aa: 15.43.10.in-addr.arpa. 5 SOA n1.net." },
		/* not ours */
		{ "43.10.in-addr.arpa", KNOT_RRTYPE_SOA, "REFUSED" },
		{ "16.43.10.in-addr.arpa", KNOT_RRTYPE_SOA, "REFUSED" },
		{ "1.16.43.10.in-addr.arpa", KNOT_RRTYPE_PTR, "REFUSED" },
		{ "16.7.168.192.in-addr.arpa", KNOT_RRTYPE_PTR, "REFUSED" },
		{ "1.0.65.10.in-addr.arpa", KNOT_RRTYPE_PTR, "REFUSED" },
		{ "10.in-addr.arpa", KNOT_RRTYPE_SOA, "REFUSED" },
		{ "in-addr.arpa", KNOT_RRTYPE_NS, "REFUSED" },
		{ "ip6.arpa", KNOT_RRTYPE_NS, "REFUSED" },
		{ "arpa", KNOT_RRTYPE_NS, "REFUSED" },
		{ "0.0.0.3.4.d.f.ip6.arpa", KNOT_RRTYPE_SOA, "REFUSED" },
	};

	begin_ranges();
	for (size_t i = 0; i < ARRAY_SIZE(table_of); i++)
		CHECK_STR(ask(table_of[i].name, table_of[i].type, 0), table_of[i].says);
	rotate = 1; /* always the node first */
	CHECK_STR(ask("1.0.9.10.in-addr.arpa", KNOT_RRTYPE_PTR, 0),
		  "NOERROR aa: 1.0.9.10.in-addr.arpa. 5 PTR n1.net."
		  " 1.0.9.10.in-addr.arpa. 5 PTR alias.net.");
	rotate = 0;
}

TEST(names_of_addresses_change)
{
	begin_ranges();
	put(zones[0], &dc1, "web.shop", "10.43.0.2", NULL);
	zone_del(zones[0], &dc1, "b.shop");
	commit();
	CHECK_STR(ask("1.0.43.10.in-addr.arpa", KNOT_RRTYPE_PTR, 0),
		  "NXDOMAIN aa auth 0.43.10.in-addr.arpa. 1 SOA n1.net.");
	CHECK_STR(ask("2.0.43.10.in-addr.arpa", KNOT_RRTYPE_PTR, 0),
		  "NOERROR aa: 2.0.43.10.in-addr.arpa. 5 PTR web.shop.net.");
	/* What the own site hides has no name either. */
	put(zones[0], &cloud, "web.shop", "10.43.0.3", NULL);
	commit();
	CHECK_STR(ask("3.0.43.10.in-addr.arpa", KNOT_RRTYPE_PTR, 0),
		  "NXDOMAIN aa auth 0.43.10.in-addr.arpa. 1 SOA n1.net.");
	zone_set_complete(zones[0], false);
	commit();
	CHECK_STR(ask("3.0.43.10.in-addr.arpa", KNOT_RRTYPE_PTR, 0), "SERVFAIL");
	zone_set_granted(zones[0], NULL, 0);
	commit();
	CHECK_STR(ask("2.0.43.10.in-addr.arpa", KNOT_RRTYPE_PTR, 0), "REFUSED");
}

#define CLUSTERSET "clusterset.local. 1 SOA n1.net."

TEST(all_networks)
{
	static const struct {
		const char *name;
		uint16_t type;
		const char *says;
	} table_of[] = {
		{ "web.shop.svc.clusterset.local", KNOT_RRTYPE_A,
		  "NOERROR aa: web.shop.svc.clusterset.local. 5 A 10.43.0.1" },
		{ "Web.Shop.SVC.ClusterSet.Local", KNOT_RRTYPE_AAAA,
		  "NOERROR aa: Web.Shop.SVC.ClusterSet.Local. 5 AAAA fd43::1" },
		{ "api.shop.svc.clusterset.local", KNOT_RRTYPE_A,
		  "NOERROR aa: api.shop.svc.clusterset.local. 5 A 10.45.0.1"
		  " api.shop.svc.clusterset.local. 5 A 10.45.0.2" },
		{ "api.shop.svc.clusterset.local", KNOT_RRTYPE_AAAA,
		  "NOERROR aa auth " CLUSTERSET },
		{ "db.shop.svc.clusterset.local", KNOT_RRTYPE_A,
		  "NOERROR aa: db.shop.svc.clusterset.local. 5 A 10.42.0.1"
		  " db.shop.svc.clusterset.local. 5 A 10.42.0.2"
		  " db.shop.svc.clusterset.local. 5 A 10.42.0.3" },
		{ "db-0.db.shop.svc.clusterset.local", KNOT_RRTYPE_A,
		  "NOERROR aa: db-0.db.shop.svc.clusterset.local. 5 A 10.42.0.1" },
		{ "_sql._udp.db.shop.svc.clusterset.local", KNOT_RRTYPE_SRV,
		  "NOERROR aa: _sql._udp.db.shop.svc.clusterset.local. 5 SRV 5432"
		  " db-0.db.shop.svc.clusterset.local."
		  " _sql._udp.db.shop.svc.clusterset.local. 5 SRV 5432"
		  " 10-42-0-2.db.shop.svc.clusterset.local."
		  " _sql._udp.db.shop.svc.clusterset.local. 5 SRV 5432"
		  " db-2.db.shop.svc.clusterset.local."
		  " add db-0.db.shop.svc.clusterset.local. 5 A 10.42.0.1"
		  " 10-42-0-2.db.shop.svc.clusterset.local. 5 A 10.42.0.2"
		  " db-2.db.shop.svc.clusterset.local. 5 A 10.42.0.3" },
		{ "only.here.svc.clusterset.local", KNOT_RRTYPE_A,
		  "NOERROR aa: only.here.svc.clusterset.local. 5 A 10.45.1.1" },
		{ "here.svc.clusterset.local", KNOT_RRTYPE_A, "NOERROR aa auth " CLUSTERSET },
		{ "svc.clusterset.local", KNOT_RRTYPE_A, "NOERROR aa auth " CLUSTERSET },
		{ "clusterset.local", KNOT_RRTYPE_A, "NOERROR aa auth " CLUSTERSET },
		{ "clusterset.local", KNOT_RRTYPE_SOA,
		  "NOERROR aa: clusterset.local. 5 SOA n1.net." },
		{ "clusterset.local", KNOT_RRTYPE_NS,
		  "NOERROR aa: clusterset.local. 5 NS n1.net. add n1.net. 5 A 10.9.0.1"
		  " n1.net. 5 AAAA fd09::1" },
		/* a node's name is no namespace */
		{ "n1.svc.clusterset.local", KNOT_RRTYPE_A, "NXDOMAIN aa auth " CLUSTERSET },
		{ "no.shop.svc.clusterset.local", KNOT_RRTYPE_A, "NXDOMAIN aa auth " CLUSTERSET },
		{ "x.web.shop.svc.clusterset.local", KNOT_RRTYPE_A,
		  "NXDOMAIN aa auth " CLUSTERSET },
		{ "pod.clusterset.local", KNOT_RRTYPE_A, "NXDOMAIN aa auth " CLUSTERSET },
		{ "local", KNOT_RRTYPE_SOA, "REFUSED" },
		{ "x.local", KNOT_RRTYPE_SOA, "REFUSED" },
	};

	begin();
	/* The other network says the same again, and more. */
	put_headless(zones[1], "db.shop", "10.42.", 3);
	put(zones[1], &cloud, "web.shop", "10.45.9.9", NULL);
	put(zones[1], &cloud, "api.shop", "10.45.0.2", "10.45.0.1");
	put(zones[1], &cloud, "only.here", "10.45.1.1", NULL);
	commit();
	for (size_t i = 0; i < ARRAY_SIZE(table_of); i++)
		CHECK_STR(ask(table_of[i].name, table_of[i].type, 0), table_of[i].says);
	/* Who may know of one network only. */
	CHECK_STR(ask("only.here.svc.clusterset.local", KNOT_RRTYPE_A, ONLY),
		  "NXDOMAIN aa auth " CLUSTERSET);
	CHECK_STR(ask("web.shop.svc.clusterset.local", KNOT_RRTYPE_A, REFUSE), "REFUSED");
	zone_set_complete(zones[1], false);
	commit();
	CHECK_STR(ask("no.shop.svc.clusterset.local", KNOT_RRTYPE_A, 0), "SERVFAIL");
}

TEST_MAIN("answer-zones")

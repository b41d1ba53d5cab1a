/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren gateway, name, dns, exporter, why, diff: what each asks, prints and ends with.
 */
#include "cli/dns_stanza.h"
#include "tests/unit/cli/run.h"

/* A wrong use: status 2, nothing asked, nothing printed, this sentence. */
static void usage(const char *line, const char *sentence)
{
	run_check(line, 200, "[]", 2, "", "", sentence);
}

/* ---- gateway, name, dns, exporter */

#define GATEWAY                                                                                    \
	"{\"id\":\"gw1\",\"network\":\"dc1\",\"site\":\"dc1\",\"nodes\":[\"n1\"],\"node\":\"n1\"," \
	"\"ranges\":[\"10.42.0.0/16\",\"10.43.0.0/16\"],\"as\":[],\"nat\":\"masquerade\","         \
	"\"priority\":100}"
#define GATEWAY_TEXT                                                                               \
	"gateway    gw1\nnetwork    dc1\nsite       dc1\nnode       n1\n"                          \
	"range      10.42.0.0/16\nrange      10.43.0.0/16\npriority   100\nnat        masquerade\n"

TEST(gateway_create_prints_the_id_alone)
{
	run_check(
		"gateway create --network dc1 --node n1 --range 10.42.0.0/16 --range 10.43.0.0/16",
		201, GATEWAY, 0,
		"POST /v1/gateways {\"network\":\"dc1\",\"node\":\"n1\","
		"\"ranges\":[\"10.42.0.0/16\",\"10.43.0.0/16\"]}\n",
		"gw1\n", "");
	run_check("gateway create --network dc1 --tag gw --site dc1 --range 10.42.0.0/16 "
		  "--as 10.99.0.0/16 --priority 5 --nat none --json",
		  201, "{\"id\":\"gw2\"}", 0,
		  "POST /v1/gateways {\"network\":\"dc1\",\"tag\":\"gw\",\"site\":\"dc1\","
		  "\"ranges\":[\"10.42.0.0/16\"],\"as\":[\"10.99.0.0/16\"],\"priority\":5,"
		  "\"nat\":\"none\"}\n",
		  "{\n  \"id\": \"gw2\"\n}\n", "");
	run_check("gateway create --network dc1 --node n1 --from-site dc1", 201, GATEWAY, 0,
		  "POST /v1/gateways {\"network\":\"dc1\",\"node\":\"n1\",\"from_site\":\"dc1\"}\n",
		  "gw1\n", "");
	usage("gateway create --network dc1 --node a --range b --from-site c",
	      "warren: --range and --from-site exclude each other; try --help\n");
	usage("gateway create --node n1 --range a", "warren: --network is missing; try --help\n");
	usage("gateway create --network dc1 --range a",
	      "warren: give one of --node NODE and --tag TAG; try --help\n");
	usage("gateway create --network dc1 --node a --tag b --site c --range a",
	      "warren: give one of --node NODE and --tag TAG; try --help\n");
	usage("gateway create --network dc1 --tag b --range a",
	      "warren: --tag needs --site, whose nodes these are; try --help\n");
	usage("gateway create --network dc1 --node a",
	      "warren: --range is missing, for example --range 10.42.0.0/16, or --from-site SITE; "
	      "try --help\n");
	usage("gateway create --network dc1 --node a --range b --nat full",
	      "warren: --nat: full is neither masquerade nor none\n");
	usage("gateway create --network dc1 --node a --range b --priority 1000001",
	      "warren: --priority: 1000001 is not a number from 0 to 1000000\n");
}

TEST(gateway_set)
{
	run_check("gateway set gw1 --range 10.42.0.0/16 --nat none", 200, GATEWAY, 0,
		  "PATCH /v1/gateways/gw1 {\"ranges\":[\"10.42.0.0/16\"],\"nat\":\"none\"}\n",
		  GATEWAY_TEXT, "");
	usage("gateway set gw1",
	      "warren: there is nothing to change: give --range, --from-site, --as, --priority "
	      "or --nat; try --help\n");
}

TEST(gateway_list_show_delete)
{
	run_check(
		"gateway list --network dc1", 200, "[" GATEWAY "]", 0,
		"GET /v1/gateways network=dc1\n",
		"ID   NETWORK  SITE  NODES  RANGES                     FOLLOWS  PRIORITY  NAT\n"
		"gw1  dc1      dc1   n1     10.42.0.0/16 10.43.0.0/16  -        100       masquerade\n",
		"");
	run_check("gateway show gw1", 200, GATEWAY, 0, "GET /v1/gateways/gw1\n", GATEWAY_TEXT, "");
	run_check("gateway show gw1", 200,
		  "{\"id\":\"gw1\",\"network\":\"dc1\",\"nodes\":[],\"tag\":\"gw\","
		  "\"ranges\":[\"10.42.0.0/16\"],\"as\":[\"10.99.0.0/16\"],\"nat\":\"none\","
		  "\"priority\":1}",
		  0, "GET /v1/gateways/gw1\n",
		  "gateway    gw1\nnetwork    dc1\nsite       -\ntag        gw\nnode       none\n"
		  "range      10.42.0.0/16 as 10.99.0.0/16\npriority   1\nnat        none\n",
		  "");
	run_check("gateway show gw1", 200,
		  "{\"id\":\"gw1\",\"network\":\"dc1\",\"nodes\":[\"n1\"],\"site\":\"dc1\","
		  "\"ranges\":[\"10.42.0.0/24\"],\"as\":[],\"nat\":\"none\",\"priority\":1,"
		  "\"from_site\":\"dc1\",\"not_carried\":[{\"range\":\"10.1.0.0/24\","
		  "\"why\":\"range 10.1.0.0/24 overlaps\"}]}",
		  0, "GET /v1/gateways/gw1\n",
		  "gateway    gw1\nnetwork    dc1\nsite       dc1\nnode       n1\n"
		  "range      10.42.0.0/24\nfollows    the offers of site dc1\n"
		  "not carried 10.1.0.0/24: range 10.1.0.0/24 overlaps\n"
		  "priority   1\nnat        none\n",
		  "");
	run_check("gateway delete gw1", 204, "", 0, "DELETE /v1/gateways/gw1\n",
		  "gateway gw1 is deleted\n", "");
}

TEST(names)
{
	run_check("name add orders-db 10.36.50.7 fd00::7 --network dc1", 200,
		  "{\"name\":\"orders-db\",\"network\":\"dc1\",\"addresses\":[\"10.36.50.7\","
		  "\"fd00::7\"]}",
		  0,
		  "POST /v1/names {\"name\":\"orders-db\",\"network\":\"dc1\","
		  "\"addresses\":[\"10.36.50.7\",\"fd00::7\"]}\n",
		  "orders-db.dc1 is 10.36.50.7 fd00::7\n", "");
	run_check("name list", 200,
		  "[{\"name\":\"orders-db\",\"network\":\"dc1\",\"addresses\":[\"10.36.50.7\"]}]",
		  0, "GET /v1/names\n",
		  "NAME       NETWORK  ADDRESSES\norders-db  dc1      10.36.50.7\n", "");
	run_check("name delete orders-db --network dc1", 204, "", 0,
		  "DELETE /v1/names/dc1/orders-db\n", "orders-db.dc1 is deleted\n", "");
	usage("name add a 10.0.0.1", "warren: --network is missing; try --help\n");
	usage("name delete a", "warren: --network is missing; try --help\n");
}

TEST(dns_list)
{
	run_check("dns list --network dc1", 200,
		  "[{\"name\":\"web.default.dc1\",\"network\":\"dc1\",\"from\":\"exporter x1\","
		  "\"site\":\"dc1\",\"addresses\":[\"10.43.0.1\"]}]",
		  0, "GET /v1/dns network=dc1\n",
		  "NAME             ADDRESSES  FROM         SITE\n"
		  "web.default.dc1  10.43.0.1  exporter x1  dc1\n",
		  "");
}

TEST(dns_stanza)
{
	struct run w = { .status = 200,
			 .answer = "[]",
			 .path = "/v1/networks/dc1",
			 .path_status = 200,
			 .path_answer =
				 "{\"name\":\"dc1\",\"ranges\":[],\"mtu\":1420,\"keepalive\":20,"
				 "\"port\":1,\"max_stale\":\"7d\",\"nodes\":0,\"orphans\":[]}" };

	run_check("dns stanza --network dc1 --forward 10.65.24.2:5300 --forward fd00::1", 200, "",
		  0, "",
		  "dc1:53 {\n    errors\n    cache 30\n    forward . 10.65.24.2:5300 fd00::1\n}\n",
		  "");
	usage("dns stanza", "warren: --network is missing; try --help\n");
	usage("dns stanza --network dc1 --forward x",
	      "warren: --forward: x is not ADDRESS[:PORT]\n");
	/* Both lists are asked for; nobody is a gateway. */
	run(&w, "dns stanza --network dc1");
	CHECK_STR(buf_cstr(&w.asked), "GET /v1/gateways network=dc1\nGET /v1/nodes network=dc1\n"
				      "GET /v1/networks/dc1\n");
	CHECK_STR(buf_cstr(&w.out), "");
	CHECK_STR(buf_cstr(&w.err),
		  "warren: network dc1 has no gateway whose agent could be asked; give --forward "
		  "ADDRESS[:PORT] of an agent in that network\n");
	CHECK_INT(w.exit, 1);
	/* There is no such network: that is what is said. */
	run_done(&w);
	w = (struct run){ .status = 200,
			  .answer = "[]",
			  .path = "/v1/networks/dcl",
			  .path_status = 404,
			  .path_answer = "{\"error\":{\"code\":\"unknown_network\",\"message\":"
					 "\"there is no network dcl\"}}" };
	run(&w, "dns stanza --network dcl");
	CHECK_STR(buf_cstr(&w.err), "warren: there is no network dcl\n");
	run_done(&w);
	/* An answer that is a gateway and a node at once. */
	run_check("dns stanza --network dc1", 200,
		  "[{\"id\":\"n1\",\"network\":\"dc1\",\"nodes\":[\"n1\"],\"ranges\":[],\"as\":[],"
		  "\"nat\":\"none\",\"priority\":1,\"name\":\"n1\",\"addresses\":[\"10.1.0.1\","
		  "\"fd00::1\"],\"tags\":[],\"role\":\"node\",\"online\":true,\"endpoints\":[],"
		  "\"wireguard_key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]",
		  0, "GET /v1/gateways network=dc1\nGET /v1/nodes network=dc1\n",
		  "dc1:53 {\n    errors\n    cache 30\n    forward . 10.1.0.1 fd00::1\n}\n", "");
}

TEST(dns_stanza_forms)
{
	usage("dns stanza --network dc1 --for bind9",
	      "warren: --for: bind9 is none of coredns, coredns-custom, nodelocaldns, dnsmasq, "
	      "unbound, kube-dns\n");
	usage("dns stanza --network dc1 --for nodelocaldns --bind node-local",
	      "warren: --bind: node-local is not an address\n");
	usage("dns stanza --network Dc1. --forward 10.1.0.1",
	      "warren: --network: Dc1. is not a label of a-z, 0-9 and '-'\n");
	usage("dns stanza --network dc1 --bind 10.0.0.10",
	      "warren: --bind goes with --for nodelocaldns; try --help\n");
	run_check("dns stanza --network dc1 --for coredns-custom --clusterset --forward "
		  "[fd00::1]:5300",
		  200, "", 0, "",
		  "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: coredns-custom\n"
		  "  namespace: kube-system\ndata:\n  dc1.server: |\n"
		  "    dc1:53 clusterset.local:53 {\n        errors\n        cache 30\n"
		  "        forward . [fd00::1]:5300\n    }\n",
		  "");
	run_check("dns stanza --network dc1 --for nodelocaldns --forward 10.1.0.1 --bind "
		  "169.254.20.10 --bind 10.96.0.10",
		  200, "", 0, "",
		  "dc1:53 {\n    errors\n    cache 30\n    bind 169.254.20.10 10.96.0.10\n"
		  "    forward . 10.1.0.1\n}\n",
		  "");
	run_check("dns stanza --network dc1 --for dnsmasq --forward 10.1.0.1 --forward "
		  "[fd00::1]:5300",
		  200, "", 0, "", "server=/dc1/10.1.0.1\nserver=/dc1/fd00::1#5300\n", "");
	run_check("dns stanza --network dc1 --for unbound --forward 10.1.0.1:5300", 200, "", 0, "",
		  "server:\n    private-domain: \"dc1.\"\n    domain-insecure: \"dc1.\"\n"
		  "forward-zone:\n    name: \"dc1.\"\n    forward-addr: 10.1.0.1@5300\n",
		  "");
	run_check("dns stanza --network dc1 --for kube-dns --clusterset --forward 10.1.0.1 "
		  "--forward 10.1.0.2",
		  200, "", 0, "",
		  "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kube-dns\n"
		  "  namespace: kube-system\ndata:\n  stubDomains: |\n"
		  "    {\"dc1\": [\"10.1.0.1\", \"10.1.0.2\"],\n"
		  "     \"clusterset.local\": [\"10.1.0.1\", \"10.1.0.2\"]}\n",
		  "");
}

static char reverse[4096];

static void add_reverse(void *owner, const char *zone)
{
	(void)owner;
	strcat(strcat(reverse, *reverse ? " " : ""), zone);
}

static const char *zones_of(const char *text)
{
	struct prefix p;

	*reverse = '\0';
	if (prefix_parse(text, &p) < 0)
		return "no prefix";
	stanza_reverse(&p, add_reverse, NULL);
	return reverse;
}

/* The same as tests/unit/agent/answer_zones.c has of agents. */
TEST(dns_stanza_reverse)
{
	CHECK_STR(zones_of("10.42.0.0/16"), "42.10.in-addr.arpa");
	CHECK_STR(zones_of("10.9.1.0/24"), "1.9.10.in-addr.arpa");
	CHECK_STR(zones_of("10.43.4.0/22"), "4.43.10.in-addr.arpa 5.43.10.in-addr.arpa "
					    "6.43.10.in-addr.arpa 7.43.10.in-addr.arpa");
	CHECK_STR(zones_of("192.168.7.8/29"), "7.168.192.in-addr.arpa");
	CHECK_STR(zones_of("fd43::/16"), "3.4.d.f.ip6.arpa");
	CHECK_STR(zones_of("fd43::/18"), "0.3.4.d.f.ip6.arpa 1.3.4.d.f.ip6.arpa "
					 "2.3.4.d.f.ip6.arpa 3.3.4.d.f.ip6.arpa");
	CHECK_STR(zones_of("fd00:4200::/23"), "2.4.0.0.d.f.ip6.arpa 3.4.0.0.d.f.ip6.arpa");
}

TEST(exporters)
{
	run_check("exporter list --network dc1 --json", 200, "[]", 0,
		  "GET /v1/exporters network=dc1\n", "[]\n", "");
	run_check("exporter list", 200,
		  "[{\"id\":\"x1\",\"network\":\"dc1\",\"site\":\"dc1\",\"generation\":2,"
		  "\"ranges\":[],\"offered\":[\"10.43.0.0/16\"],"
		  "\"not_carried\":[\"10.43.0.0/16\"],\"records\":7,\"published\":true,"
		  "\"online\":true}]",
		  0, "GET /v1/exporters\n",
		  "ID  NETWORK  SITE  RECORDS  OFFERED       NOT-CARRIED   ONLINE  SEEN\n"
		  "x1  dc1      dc1   7        10.43.0.0/16  10.43.0.0/16  yes     never\n",
		  "");
	run_check("exporter list", 200,
		  "[{\"id\":\"x1\",\"network\":\"dc1\",\"site\":\"s\",\"generation\":1,"
		  "\"ranges\":[],\"offered\":[],\"records\":0,\"published\":false,"
		  "\"online\":false}]",
		  0, "GET /v1/exporters\n",
		  "ID  NETWORK  SITE  RECORDS  OFFERED  NOT-CARRIED  ONLINE  SEEN\n"
		  "x1  dc1      s     0        -        -            no      never\n"
		  "x1 has published nothing yet: until it does, agents that have nothing of site s "
		  "answer SERVFAIL for names that network dc1 does not have; start warren-exporter "
		  "there, or take it out with `warren exporter remove x1`\n",
		  "");
	run_check("exporter remove x1", 204, "", 0, "DELETE /v1/exporters/x1\n",
		  "exporter x1 is removed\n", "");
}

/* ---- why, diff */

TEST(why)
{
	run_check("why web.default.dc1", 200,
		  "{\"what\":\"web.default.dc1\",\"ok\":true,\"steps\":[{\"step\":\"name\","
		  "\"ok\":true,\"text\":\"is 10.43.0.1\"}]}",
		  0, "GET /v1/why what=web.default.dc1\n", "ok    name       is 10.43.0.1\n", "");
	run_check("why 10.1.0.9", 200,
		  "{\"what\":\"10.1.0.9\",\"ok\":false,\"steps\":[{\"step\":\"node\",\"ok\":true,"
		  "\"text\":\"n9\"},{\"step\":\"peer\",\"ok\":false,\"text\":\"no endpoint\"},"
		  "{\"step\":\"session\",\"ok\":false,\"text\":\"none\"}]}",
		  1, "GET /v1/why what=10.1.0.9\n",
		  "ok    node       n9\nFAIL  peer       no endpoint\n-     session    none\n", "");
}

TEST(diff)
{
	run_check("diff", 200, "{\"ops\":[]}", 0, "GET /v1/diff\n",
		  "nothing: the kernel is as the documents say\n", "");
	run_check("diff", 200, "{\"ops\":[\"route add 10.42.0.0/16\"]}", 0, "GET /v1/diff\n",
		  "route add 10.42.0.0/16\n", "");
}

TEST_MAIN("command-gateway")

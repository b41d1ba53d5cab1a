/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our nft table: its text, and what is found of it afterwards on a real kernel.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>

#include "agent/nft.h"
#include "agent/process.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "tests/test.h"

static const char HASH[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(rules_are_none_without_links)
{
	struct host h = { 0 };

	CHECK(!nft_rules(&h));
}

static struct wg_link *add_link(struct host *h, const char *name, const char *addresses)
{
	struct wg_link *l = host_add_link(h, name);
	char copy[128], *save;

	snprintf(copy, sizeof(copy), "%s", addresses);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		struct prefix p;

		CHECK_INT(prefix_parse(s, &p), 0);
		wg_link_add_address(l, &p);
	}
	return l;
}

static void publish(struct wg_link *l, const char *range, bool masquerade)
{
	struct prefix p;

	CHECK_INT(prefix_parse(range, &p), 0);
	wg_link_add_published(l, &p, masquerade);
}

/* The rules of one chain, without the counting of flows that all links have. */
static const char *chain(const struct host *h, const char *name)
{
	static char out[4096];
	char head[64], *text = nft_rules(h), *s, *save;

	snprintf(head, sizeof(head), "\tchain %s {\n", name);
	s = strstr(text, head);
	CHECK(s);
	strstr(s, "\n\t}\n")[1] = '\0';
	*out = '\0';
	for (s = strtok_r(s + strlen(head), "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		if (strstr(s, "type ") || strstr(s, "ct mark set"))
			continue;
		strcat(out, s + 2);
		strcat(out, "\n");
	}
	free(text);
	return out;
}

TEST(rules_of_a_host_that_forwards)
{
	struct host h = { .forwards = FORWARD_4 };
	char *text;

	add_link(&h, "wr-a", "10.9.0.1/24");
	text = nft_rules(&h);
	CHECK_STR(text,
		  "table inet warren {\n"
		  "\tchain clamp {\n"
		  "\t\ttype filter hook forward priority mangle; policy accept;\n"
		  "\t\toifname \"wr-a\" tcp flags syn tcp option maxseg size set rt mtu\n"
		  "\t\tiifname \"wr-a\" tcp flags syn tcp option maxseg size set rt mtu\n"
		  "\t}\n"
		  "\tchain input {\n"
		  "\t\ttype filter hook input priority filter; policy accept;\n"
		  "\t\tiifname != \"wr-a\" accept\n"
		  "\t\tiifname \"wr-a\" ip daddr { 10.9.0.1 } accept\n"
		  "\t\tiifname \"wr-a\" ct direction reply accept\n"
		  "\t\tiifname \"wr-a\" counter drop\n"
		  "\t}\n"
		  "\tchain forward {\n"
		  "\t\ttype filter hook forward priority filter; policy accept;\n"
		  "\t\tiifname != \"wr-a\" oifname != \"wr-a\" accept\n"
		  "\t\toifname \"wr-a\" ct direction original ct status & (confirmed | snat) == "
		  "confirmed ct mark set ct mark or 0x20000000 counter drop\n"
		  "\t\tct mark set ct mark or 0x10000000\n"
		  "\t\tiifname \"wr-a\" ct direction reply ct state established,related accept\n"
		  "\t\tiifname \"wr-a\" counter drop\n"
		  "\t}\n"
		  "\tchain post {\n"
		  "\t\ttype nat hook postrouting priority srcnat + 5; policy accept;\n"
		  "\t\toifname \"wr-a\" ip saddr != { 10.9.0.1 } masquerade\n"
		  "\t}\n"
		  "}\n");
	free(text);
	host_done(&h);
}

/* Conntrack stays asleep where nothing asks for it. */
TEST(rules_of_a_host_that_does_not_forward_need_no_conntrack)
{
	struct host h = { 0 };
	struct wg_link *l = add_link(&h, "wr-a", "10.9.0.1/24");
	struct prefix range;
	char *text = nft_rules(&h);

	CHECK_STR(text, "table inet warren {\n"
			"\tchain input {\n"
			"\t\ttype filter hook input priority filter; policy accept;\n"
			"\t\tiifname != \"wr-a\" accept\n"
			"\t\tiifname \"wr-a\" ip daddr { 10.9.0.1 } accept\n"
			"\t\tiifname \"wr-a\" counter drop\n"
			"\t}\n"
			"\tchain forward {\n"
			"\t\ttype filter hook forward priority filter; policy accept;\n"
			"\t\tiifname != \"wr-a\" oifname != \"wr-a\" accept\n"
			"\t\tiifname \"wr-a\" counter drop\n"
			"\t\toifname \"wr-a\" counter drop\n"
			"\t}\n"
			"}\n");
	free(text);
	/* With a gateway's range there is something to masquerade. */
	CHECK_INT(prefix_parse("10.42.0.0/16", &range), 0);
	wg_link_add_route(l, &range, NULL);
	CHECK_STR(chain(&h, "post"), "oifname \"wr-a\" ip saddr != { 10.9.0.1 } masquerade\n");
	CHECK_STR(chain(&h, "input"), "iifname != \"wr-a\" accept\n"
				      "iifname \"wr-a\" ip daddr { 10.9.0.1 } accept\n"
				      "iifname \"wr-a\" ct direction reply accept\n"
				      "iifname \"wr-a\" counter drop\n");
	CHECK_STR(chain(&h, "forward"), "iifname != \"wr-a\" oifname != \"wr-a\" accept\n"
					"iifname \"wr-a\" counter drop\n"
					"oifname \"wr-a\" counter drop\n");
	host_done(&h);
}

TEST(rules_keep_others_apart_while_it_forwards_for_us)
{
	struct host h = { .forwards = FORWARD_4 | FORWARD_6, .isolated = FORWARD_6 };

	add_link(&h, "wr-a", "10.9.0.1/24");
	CHECK_STR(chain(&h, "forward"),
		  "iifname != \"wr-a\" oifname != \"wr-a\" meta nfproto ipv6 counter drop\n"
		  "iifname != \"wr-a\" oifname != \"wr-a\" accept\n"
		  "iifname \"wr-a\" ct direction reply ct state established,related accept\n"
		  "iifname \"wr-a\" counter drop\n");
	host_done(&h);
}

TEST(rules_spare_what_stays_within_a_bridge)
{
	static const char first[] =
		"iifname . oifname { \"br0\" . \"br0\", \"docker0\" . \"docker0\" } accept\n"
		"iifname != \"wr-a\" oifname != \"wr-a\" meta nfproto ipv4 counter drop\n";
	struct host h = { .forwards = FORWARD_4, .bridges = xstrdup("br0 docker0 ") };

	add_link(&h, "wr-a", "10.9.0.1/24");
	CHECK(!strstr(chain(&h, "forward"), "br0"));
	h.isolated = FORWARD_4;
	CHECK(strncmp(chain(&h, "forward"), first, strlen(first)) == 0);
	host_done(&h);
}

TEST(rules_let_in_what_is_published_in_that_network)
{
	struct host h = { .forwards = FORWARD_4 | FORWARD_6 };

	publish(add_link(&h, "wr-a", "10.9.0.1/24"), "10.42.0.0/16", true);
	add_link(&h, "wr-b", "10.8.0.1/24");
	CHECK_STR(chain(&h, "forward"),
		  "iifname != { \"wr-a\", \"wr-b\" } oifname != { \"wr-a\", \"wr-b\" } accept\n"
		  "iifname { \"wr-a\", \"wr-b\" } ct direction reply ct state established,related "
		  "accept\n"
		  "iifname \"wr-a\" ct original ip daddr { 10.42.0.0/16 } accept\n"
		  "iifname \"wr-a\" counter drop\n"
		  "iifname \"wr-b\" counter drop\n");
	CHECK_STR(chain(&h, "input"),
		  "iifname != { \"wr-a\", \"wr-b\" } accept\n"
		  "iifname \"wr-a\" ip daddr { 10.9.0.1, 10.42.0.0/16 } accept\n"
		  "iifname \"wr-a\" ct direction reply accept\n"
		  "iifname \"wr-a\" ct original ip daddr { 10.42.0.0/16 } accept\n"
		  "iifname \"wr-a\" counter drop\n"
		  "iifname \"wr-b\" ip daddr { 10.8.0.1 } accept\n"
		  "iifname \"wr-b\" ct direction reply accept\n"
		  "iifname \"wr-b\" counter drop\n");
	CHECK_STR(chain(&h, "post"),
		  "oifname \"wr-a\" ip saddr != { 10.9.0.1 } masquerade\n"
		  "iifname \"wr-a\" ct original ip daddr { 10.42.0.0/16 } masquerade\n"
		  "oifname \"wr-b\" ip saddr != { 10.8.0.1 } masquerade\n");
	host_done(&h);
}

TEST(rules_masquerade_both_families_and_only_what_wants_it)
{
	struct host h = { .forwards = FORWARD_4 | FORWARD_6 };
	struct wg_link *l = add_link(&h, "wr-a", "10.9.0.1/24 fd09::1/64");

	publish(l, "10.42.0.0/16", true);
	publish(l, "10.43.0.0/16", false);
	publish(l, "fd42::/48", true);
	publish(l, "fd43::/48", false);
	CHECK_STR(chain(&h, "post"),
		  "oifname \"wr-a\" ip saddr != { 10.9.0.1 } masquerade\n"
		  "oifname \"wr-a\" ip6 saddr != { fd09::1 } masquerade\n"
		  "iifname \"wr-a\" ct original ip daddr { 10.42.0.0/16 } masquerade\n"
		  "iifname \"wr-a\" ct original ip6 daddr { fd42::/48 } masquerade\n");
	CHECK_STR(chain(&h, "forward"),
		  "iifname != \"wr-a\" oifname != \"wr-a\" accept\n"
		  "iifname \"wr-a\" ct direction reply ct state established,related accept\n"
		  "iifname \"wr-a\" ct original ip daddr { 10.42.0.0/16, 10.43.0.0/16 } accept\n"
		  "iifname \"wr-a\" ct original ip6 daddr { fd42::/48, fd43::/48 } accept\n"
		  "iifname \"wr-a\" counter drop\n");
	host_done(&h);
}

TEST(rules_have_no_sets_that_overlap)
{
	struct host h = { .forwards = FORWARD_4 | FORWARD_6 };
	struct wg_link *l = add_link(&h, "wr-a", "10.9.0.1/24");

	publish(l, "10.42.0.0/16", false);
	publish(l, "10.42.7.0/24", true);
	publish(l, "10.9.0.0/16", true);
	publish(l, "10.42.0.0/16", false);
	CHECK_STR(chain(&h, "input"),
		  "iifname != \"wr-a\" accept\n"
		  "iifname \"wr-a\" ip daddr { 10.42.0.0/16, 10.9.0.0/16 } accept\n"
		  "iifname \"wr-a\" ct direction reply accept\n"
		  "iifname \"wr-a\" ct original ip daddr { 10.42.0.0/16, "
		  "10.9.0.0/16 } accept\n"
		  "iifname \"wr-a\" counter drop\n");
	CHECK_STR(chain(&h, "post"), "oifname \"wr-a\" ip saddr != { 10.9.0.1 } masquerade\n"
				     "iifname \"wr-a\" ct original ip daddr { 10.42.7.0/24, "
				     "10.9.0.0/16 } masquerade\n");
	host_done(&h);
}

TEST(rules_that_lose_a_line_say_so)
{
	CHECK(!nft_loses(NULL, "a\n"));
	CHECK(!nft_loses("a\nb\n", "b\nc\na\n"));
	CHECK(nft_loses("a\nb\n", "a\nbb\n"));
	CHECK(nft_loses("a\n", NULL));
}

TEST(script_replaces_in_one_transaction)
{
	struct buf b = { 0 };

	nft_script(
		"table inet warren {\nchain x {\n\t\ttype filter hook;\n\t\taccept\n\t\tdrop\n}\n}\n",
		"abc", &b);
	CHECK_STR(buf_cstr(&b), "add table inet warren\n"
				"delete table inet warren\n"
				"table inet warren {\n"
				"\tchain h_abc_3 {\n"
				"\t\treturn\n"
				"\t}\n"
				"}\n"
				"table inet warren {\nchain x {\n\t\ttype filter hook;\n"
				"\t\taccept\n\t\tdrop\n}\n}\n\n");
	buf_done(&b);
}

static void shell(const char *command)
{
	int r = system(command);

	if (r != 0)
		test_end(false, "exit status %d of: %s", r, command);
}

static struct nl *own_namespace(void)
{
	char path[PROCESS_PATH_SIZE];
	struct nl *n = NULL;

	if (geteuid() != 0 || process_find("nft", path) < 0)
		SKIP("needs root and nft");
	CHECK(unshare(CLONE_NEWNET) == 0);
	CHECK_INT(nl_open(NETLINK_NETFILTER, &n), 0);
	return n;
}

static void check_read(struct nl *n, const char *hash, uint32_t rules)
{
	char found[HASH_HEX_SIZE];
	uint32_t count;

	CHECK_INT(nft_read(n, found, &count), 0);
	CHECK_STR(found, hash);
	CHECK_INT(count, rules);
}

TEST(table_is_replaced_and_read_back)
{
	struct nl *n = own_namespace();
	char why[256] = "";
	struct host h = { .forwards = FORWARD_4,
			  .isolated = FORWARD_4 | FORWARD_6,
			  .bridges = xstrdup("br0 br-1.2_3 ") };
	struct wg_link *l;
	char *text;

	check_read(n, "", 0);
	shell("nft add table inet other && nft add chain inet other "
	      "h_0000000000000000000000000000000000000000000000000000000000000000 && "
	      "nft add table ip warren");
	check_read(n, "", 0);
	l = add_link(&h, "wr-a", "10.9.0.1/24 fd09::1/64");
	publish(l, "10.42.0.0/16", true);
	publish(l, "10.42.7.0/24", true);
	publish(l, "fd42::/48", false);
	add_link(&h, "wr-b", "10.8.0.1/24");
	host_sort(&h);
	text = nft_rules(&h);
	CHECK_INT(nft_apply(text, HASH, why, sizeof(why)), 0);
	check_read(n, HASH, 28);
	CHECK_INT(nft_apply("table inet warren {\nchain c {\n\t\taccept\n}\n}\n", HASH, why,
			    sizeof(why)),
		  0);
	check_read(n, HASH, 2);
	/* Somebody puts one in, or takes one out. */
	shell("nft add rule inet warren c drop");
	check_read(n, NFT_UNKNOWN, 3);
	shell("nft flush chain inet warren c");
	check_read(n, NFT_UNKNOWN, 1);
	/* Flushed, it has lost its mark. */
	shell("nft flush table inet warren");
	check_read(n, NFT_UNKNOWN, 0);
	/* As older agents left it. */
	shell("nft delete table inet warren; nft add table inet warren; "
	      "nft 'add chain inet warren h_ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'; "
	      "nft add rule inet warren h_ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad return");
	check_read(n, NFT_UNKNOWN, 1);
	CHECK_INT(nft_apply(text, HASH, why, sizeof(why)), 0);
	check_read(n, HASH, 28);
	CHECK_INT(nft_remove(why, sizeof(why)), 0);
	check_read(n, "", 0);
	CHECK_INT(nft_remove(why, sizeof(why)), 0);
	shell("nft list table inet other >/dev/null && nft list table ip warren >/dev/null");
	free(text);
	host_done(&h);
	nl_close(n);
}

TEST(a_bad_text_changes_nothing_and_says_why)
{
	struct nl *n = own_namespace();
	char why[256] = "";

	CHECK_INT(nft_apply("table inet warren {\nchain c {\n\t\taccept\n}\n}\n", HASH, why,
			    sizeof(why)),
		  0);
	CHECK_INT(nft_apply("table inet warren { chain c { rubbish; }; }", HASH, why, sizeof(why)),
		  -EINVAL);
	CHECK(strncmp(why, "nft: ", 5) == 0 && strstr(why, "syntax error"));
	CHECK(!strchr(why, '\n'));
	check_read(n, HASH, 2);
	nl_close(n);
}

static int is_about_us(const struct nlmsghdr *h, void *arg)
{
	(void)arg;
	return nft_event(h);
}

TEST(events_of_other_tables_are_not_ours)
{
	const unsigned group = 7; /* NFNLGRP_NFTABLES */
	struct nl *n = own_namespace(), *events = NULL;
	char why[256] = "";

	CHECK_INT(nl_events_open(NETLINK_NETFILTER, &group, 1, &events), 0);
	shell("nft add table inet other && nft add table ip warren && "
	      "nft add chain ip warren c && nft flush ruleset");
	CHECK_INT(nl_events_drain(events, is_about_us, NULL), 0);
	CHECK_INT(nft_apply("table inet warren {\nchain c {\n\t\taccept\n}\n}\n", HASH, why,
			    sizeof(why)),
		  0);
	CHECK_INT(nl_events_drain(events, is_about_us, NULL), 1);
	shell("nft add rule inet warren c drop");
	CHECK_INT(nl_events_drain(events, is_about_us, NULL), 1);
	shell("nft flush ruleset");
	CHECK_INT(nl_events_drain(events, is_about_us, NULL), 1);
	nl_close(events);
	nl_close(n);
}

TEST_MAIN("nft")

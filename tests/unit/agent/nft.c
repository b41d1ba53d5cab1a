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
#include "tests/test.h"

static const char HASH[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(rules_are_none_without_links)
{
	struct host h = { 0 };

	CHECK(!nft_rules(&h));
}

TEST(rules_clamp_and_forward_nothing_new)
{
	struct host h = { 0 };
	char *text;

	host_add_link(&h, "wr-a");
	host_add_link(&h, "wr-b");
	text = nft_rules(&h);
	CHECK_STR(text, "table inet warren {\n"
			"\tchain clamp {\n"
			"\t\ttype filter hook forward priority mangle; policy accept;\n"
			"\t\toifname \"wr-a\" tcp flags syn tcp option maxseg size set rt mtu\n"
			"\t\tiifname \"wr-a\" tcp flags syn tcp option maxseg size set rt mtu\n"
			"\t\toifname \"wr-b\" tcp flags syn tcp option maxseg size set rt mtu\n"
			"\t\tiifname \"wr-b\" tcp flags syn tcp option maxseg size set rt mtu\n"
			"\t}\n"
			"\tchain forward {\n"
			"\t\ttype filter hook forward priority filter; policy accept;\n"
			"\t\tiifname \"wr-a\" ct state established,related accept\n"
			"\t\tiifname \"wr-a\" counter drop\n"
			"\t\tiifname \"wr-b\" ct state established,related accept\n"
			"\t\tiifname \"wr-b\" counter drop\n"
			"\t}\n"
			"}\n");
	free(text);
	host_done(&h);
}

TEST(script_replaces_in_one_transaction)
{
	struct buf b = { 0 };

	nft_script("table inet warren { chain x { accept; } }", "abc", &b);
	CHECK_STR(buf_cstr(&b), "add table inet warren\n"
				"delete table inet warren\n"
				"table inet warren {\n"
				"\tchain h_abc {\n"
				"\t\treturn\n"
				"\t}\n"
				"}\n"
				"table inet warren { chain x { accept; } }\n");
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
	struct host h = { 0 };
	char *text;

	check_read(n, "", 0);
	shell("nft add table inet other && nft add chain inet other "
	      "h_0000000000000000000000000000000000000000000000000000000000000000 && "
	      "nft add table ip warren");
	check_read(n, "", 0);
	host_add_link(&h, "wr-a");
	text = nft_rules(&h);
	CHECK_INT(nft_apply(text, HASH, why, sizeof(why)), 0);
	check_read(n, HASH, 5);
	CHECK_INT(nft_apply("table inet warren { chain c { accept; }; }", HASH, why, sizeof(why)),
		  0);
	check_read(n, HASH, 2);
	/* Flushed, it has lost its mark. */
	shell("nft flush table inet warren");
	check_read(n, "", 0);
	CHECK_INT(nft_apply(text, HASH, why, sizeof(why)), 0);
	check_read(n, HASH, 5);
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

	CHECK_INT(nft_apply("table inet warren { chain c { accept; }; }", HASH, why, sizeof(why)),
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
	CHECK_INT(nft_apply("table inet warren { chain c { accept; }; }", HASH, why, sizeof(why)),
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

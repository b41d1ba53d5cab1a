/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The nft table: text, replacement, and what is there. Owns nothing; the daemon's thread.
 *
 * Written by the program nft (readable rules, no linking), read by netlink: a dump of chains costs
 * microseconds. nft prints rules back in another form than they were given, so texts are not
 * compared.
 */
#include "agent/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "agent/process.h"

#define MARK "h_" /* and the hash */

struct found {
	char hash[HASH_HEX_SIZE];
	uint32_t rules;
};

/* wr-... of letters, digits and dashes: safe between quotes. */
static void rules_of(const struct wg_link *l, struct buf *clamp, struct buf *forward)
{
	for (int in = 0; in < 2; in++)
		buf_printf(clamp,
			   "\t\t%cifname \"%s\" tcp flags syn tcp option maxseg size set rt mtu\n",
			   in ? 'i' : 'o', l->name);
	buf_printf(forward, "\t\tiifname \"%s\" ct state established,related accept\n", l->name);
	buf_printf(forward, "\t\tiifname \"%s\" counter drop\n", l->name);
}

char *nft_rules(const struct host *h)
{
	struct buf clamp = { 0 }, forward = { 0 }, out = { 0 };

	if (!h->link_count)
		return NULL;
	for (size_t i = 0; i < h->link_count; i++)
		rules_of(&h->links[i], &clamp, &forward);
	buf_printf(&out,
		   "table inet " NFT_TABLE " {\n"
		   "\tchain clamp {\n"
		   "\t\ttype filter hook forward priority mangle; policy accept;\n"
		   "%s\t}\n"
		   "\tchain forward {\n"
		   "\t\ttype filter hook forward priority filter; policy accept;\n"
		   "%s\t}\n"
		   "}\n",
		   buf_cstr(&clamp), buf_cstr(&forward));
	buf_done(&clamp);
	buf_done(&forward);
	return buf_take(&out);
}

void nft_script(const char *text, const char *hash, struct buf *out)
{
	/* "add" so that "delete" finds one. The mark has a rule, so that flushing the table shows. */
	buf_printf(out,
		   "add table inet " NFT_TABLE "\n"
		   "delete table inet " NFT_TABLE "\n"
		   "table inet " NFT_TABLE " {\n"
		   "\tchain " MARK "%s {\n"
		   "\t\treturn\n"
		   "\t}\n"
		   "}\n"
		   "%s\n",
		   hash, text);
}

static int run(const char *script, size_t len, char *why, size_t size)
{
	char path[PROCESS_PATH_SIZE], said[200];
	const char *const argv[] = { path, "-f", "-", NULL };
	int r = process_find("nft", path);

	if (r < 0) {
		snprintf(why, size, "nft is not installed (package nftables)");
		return r;
	}
	r = process_run(argv, script, len, said, sizeof(said));
	if (r == 0)
		return 0;
	said[strcspn(said, "\n")] = '\0';
	snprintf(why, size, "nft: %s", *said ? said : r < 0 ? strerror(-r) : "it failed");
	return r < 0 ? r : -EINVAL;
}

int nft_apply(const char *text, const char *hash, char *why, size_t size)
{
	struct buf script = { 0 };
	int r;

	nft_script(text, hash, &script);
	r = run(buf_cstr(&script), script.len, why, size);
	buf_done(&script);
	return r;
}

int nft_remove(char *why, size_t size)
{
	static const char script[] = "add table inet " NFT_TABLE "\ndelete table inet " NFT_TABLE
				     "\n";

	return run(script, strlen(script), why, size);
}

static bool is_string(const struct nlattr *a, const char *s)
{
	return a && nl_len(a) == strlen(s) + 1 && memcmp(nl_data(a), s, nl_len(a)) == 0;
}

static int each_chain(const struct nlmsghdr *h, void *arg)
{
	static const uint16_t min_len[NFTA_CHAIN_USE + 1] = { [NFTA_CHAIN_USE] = 4 };
	const struct nlattr *tb[NFTA_CHAIN_USE + 1];
	struct found *f = arg;
	const char *name;
	uint32_t use;
	int r;

	if (h->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWCHAIN))
		return 0;
	r = nl_parse(h, sizeof(struct nfgenmsg), min_len, NFTA_CHAIN_USE, tb);
	if (r < 0)
		return r;
	if (!is_string(tb[NFTA_CHAIN_TABLE], NFT_TABLE) || !tb[NFTA_CHAIN_NAME])
		return 0;
	name = nl_data(tb[NFTA_CHAIN_NAME]);
	use = tb[NFTA_CHAIN_USE] ? ntohl(nl_u32(tb[NFTA_CHAIN_USE])) : 0;
	f->rules += use;
	if (use && nl_len(tb[NFTA_CHAIN_NAME]) == strlen(MARK) + HASH_HEX_SIZE &&
	    memcmp(name, MARK, strlen(MARK)) == 0 && !name[nl_len(tb[NFTA_CHAIN_NAME]) - 1])
		memcpy(f->hash, name + strlen(MARK), HASH_HEX_SIZE);
	return 0;
}

static void restart(void *arg)
{
	memset(arg, 0, sizeof(struct found));
}

int nft_read(struct nl *n, char ret_hash[static HASH_HEX_SIZE], uint32_t *ret_rules)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
	struct found f = { 0 };
	struct nl_msg m;
	int r;

	nl_msg_begin(&m, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETCHAIN, NLM_F_REQUEST | NLM_F_DUMP,
		     &g, sizeof(g));
	r = nl_dump(n, &m, each_chain, restart, &f);
	memcpy(ret_hash, f.hash, HASH_HEX_SIZE);
	*ret_rules = f.rules;
	return r;
}

bool nft_event(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = nl_payload(h);
	const struct nlattr *tb[NFTA_CHAIN_TABLE + 1];

	if ((h->nlmsg_type >> 8) != NFNL_SUBSYS_NFTABLES || nl_payload_len(h) < sizeof(*g) ||
	    g->nfgen_family != NFPROTO_INET)
		return false;
	/* The first attribute is the table's name in all of them (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE,
	 * NFTA_RULE_TABLE, NFTA_SET_TABLE...). */
	return nl_parse(h, sizeof(*g), NULL, NFTA_CHAIN_TABLE, tb) == 0 &&
	       is_string(tb[NFTA_CHAIN_TABLE], NFT_TABLE);
}

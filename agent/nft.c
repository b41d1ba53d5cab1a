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

#define MARK "h_" /* and the hash, "_" and the number of rules with that of the mark itself */

struct found {
	char hash[HASH_HEX_SIZE];
	uint32_t rules, marked;
	bool table;
};

/* The chains being written. */
struct chains {
	struct buf clamp, input, forward, post;
};

enum which { OWN = 1, PUBLISHED = 2, MASQUERADED = 4 };

static bool is_listed(const struct published *p, unsigned which)
{
	return (which & PUBLISHED) || ((which & MASQUERADED) && p->masquerade);
}

/* Is `x` inside another one of the list? nft refuses sets that overlap. */
static bool is_covered(const struct wg_link *l, unsigned which, const struct prefix *x)
{
	for (size_t i = 0; i < l->published_count; i++) {
		const struct prefix *p = &l->published[i].range;

		if (is_listed(&l->published[i], which) && p->len < x->len && prefix_overlaps(p, x))
			return true;
	}
	return false;
}

/* `{ a, b }` of one family; false: there is none. */
static bool add_list(struct buf *b, const struct wg_link *l, unsigned which, uint8_t family)
{
	char text[PREFIX_SIZE];
	bool any = false;

	for (size_t i = 0; i < l->address_count && (which & OWN); i++) {
		struct prefix host = prefix_host(&l->addresses[i].addr);

		if (host.addr.family != family || is_covered(l, which, &host))
			continue;
		buf_printf(b, "%s%s", any ? ", " : "{ ", addr_format(&l->addresses[i].addr, text));
		any = true;
	}
	for (size_t i = 0; i < l->published_count; i++) {
		const struct published *p = &l->published[i];

		if (p->range.addr.family != family || !is_listed(p, which) ||
		    is_covered(l, which, &p->range))
			continue;
		buf_printf(b, "%s%s", any ? ", " : "{ ", prefix_format(&p->range, text));
		any = true;
	}
	if (any)
		buf_str(b, " }");
	return any;
}

/* `BEFORE NAME OF ip MATCH { ... } VERDICT`, for each family that has addresses. */
static void add_rules(struct buf *chain, const struct wg_link *l, const char *before,
		      const char *of, const char *match, unsigned which, const char *verdict)
{
	static const struct {
		uint8_t family;
		const char *name;
	} families[] = { { AF_INET, "ip" }, { AF_INET6, "ip6" } };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct buf list = { 0 };

		if (add_list(&list, l, which, families[i].family)) {
			buf_printf(chain, "\t\t%s \"%s\" %s%s %s %s %s\n", before, l->name, of,
				   families[i].name, match, buf_cstr(&list), verdict);
		}
		buf_done(&list);
	}
}

/* All interfaces. wr-... of letters, digits and dashes: safe between quotes. */
static void add_names(struct buf *b, const struct host *h)
{
	for (size_t i = 0; i < h->link_count; i++)
		buf_printf(b, "%s\"%s\"",
			   i		     ? ", " :
			   h->link_count > 1 ? "{ " :
					       "",
			   h->links[i].name);
	if (h->link_count > 1)
		buf_str(b, " }");
}

/* Is anything translated on its way into or out of it? Else nothing there asks for conntrack, and
 * where nobody else does the kernel goes without. */
static bool is_translated(const struct host *h, const struct wg_link *l)
{
	return h->forwards || l->published_count || l->route_count;
}

static void input_of(const struct host *h, const struct wg_link *l, struct buf *chain)
{
	add_rules(chain, l, "iifname", "", "daddr", OWN | PUBLISHED, "accept");
	if (is_translated(h, l))
		buf_printf(chain, "\t\tiifname \"%s\" ct direction reply accept\n", l->name);
	add_rules(chain, l, "iifname", "ct original ", "daddr", PUBLISHED, "accept");
	buf_printf(chain, "\t\tiifname \"%s\" counter drop\n", l->name);
}

static void forward_of(const struct host *h, const struct wg_link *l, struct buf *chain)
{
	if (h->forwards)
		add_rules(chain, l, "iifname", "ct original ", "daddr", PUBLISHED, "accept");
	buf_printf(chain, "\t\tiifname \"%s\" counter drop\n", l->name);
	if (!h->forwards)
		buf_printf(chain, "\t\toifname \"%s\" counter drop\n", l->name);
}

/* With br_netfilter what a bridge carries from one of its ports to another comes by, too. */
static void spare_bridges(const char *bridges, struct buf *chain)
{
	const char *before = "\t\tiifname . oifname { ";

	for (const char *s = bridges; s && *s; s += strcspn(s, " ") + 1) {
		int len = (int)strcspn(s, " ");

		buf_printf(chain, "%s\"%.*s\" . \"%.*s\"", before, len, s, len, s);
		before = ", ";
	}
	if (bridges)
		buf_str(chain, " } accept\n");
}

/* What is the same for all links. `names`: of them all. */
static void begin(const struct host *h, const char *names, struct chains *c)
{
	static const struct {
		unsigned family;
		const char *name;
	} families[] = { { FORWARD_4, "ipv4" }, { FORWARD_6, "ipv6" } };

	buf_printf(&c->input, "\t\tiifname != %s accept\n", names);
	if (h->isolated)
		spare_bridges(h->bridges, &c->forward);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (h->isolated & families[i].family)
			buf_printf(&c->forward,
				   "\t\tiifname != %s oifname != %s meta nfproto %s counter drop\n",
				   names, names, families[i].name);
	buf_printf(&c->forward, "\t\tiifname != %s oifname != %s accept\n", names, names);
	if (!h->forwards)
		return;
	for (int in = 0; in < 2; in++)
		buf_printf(&c->clamp,
			   "\t\t%cifname %s tcp flags syn tcp option maxseg size set rt mtu\n",
			   in ? 'i' : 'o', names);
	buf_printf(&c->forward,
		   "\t\toifname %s ct direction original ct status & (confirmed | snat) == "
		   "confirmed ct mark set ct mark or 0x%x counter drop\n",
		   names, NFT_MARK_STALE);
	buf_printf(&c->forward, "\t\tct mark set ct mark or 0x%x\n", NFT_MARK_FLOW);
	buf_printf(&c->forward,
		   "\t\tiifname %s ct direction reply ct state established,related accept\n",
		   names);
}

static void add_chain(struct buf *out, const char *name, const char *hook, struct buf *rules)
{
	if (rules->len)
		buf_printf(out,
			   "\tchain %s {\n"
			   "\t\ttype %s; policy accept;\n"
			   "%s\t}\n",
			   name, hook, buf_cstr(rules));
	buf_done(rules);
}

char *nft_rules(const struct host *h)
{
	struct chains c = { 0 };
	struct buf out = { 0 }, names = { 0 };

	if (!h->link_count)
		return NULL;
	add_names(&names, h);
	begin(h, buf_cstr(&names), &c);
	for (size_t i = 0; i < h->link_count; i++) {
		const struct wg_link *l = &h->links[i];

		input_of(h, l, &c.input);
		forward_of(h, l, &c.forward);
		if (is_translated(h, l)) {
			add_rules(&c.post, l, "oifname", "", "saddr !=", OWN, "masquerade");
			add_rules(&c.post, l, "iifname", "ct original ", "daddr", MASQUERADED,
				  "masquerade");
		}
	}
	buf_done(&names);
	buf_str(&out, "table inet " NFT_TABLE " {\n");
	add_chain(&out, "clamp", "filter hook forward priority mangle", &c.clamp);
	add_chain(&out, "input", "filter hook input priority filter", &c.input);
	add_chain(&out, "forward", "filter hook forward priority filter", &c.forward);
	/* After those of a cluster: what they masquerade has an address of ours, too. */
	add_chain(&out, "post", "nat hook postrouting priority srcnat + 5", &c.post);
	buf_str(&out, "}\n");
	return buf_take(&out);
}

static bool has_line(const char *text, const char *line, size_t len)
{
	for (const char *s = text; *s; s += strcspn(s, "\n"), s += *s == '\n')
		if (strcspn(s, "\n") == len && memcmp(s, line, len) == 0)
			return true;
	return false;
}

bool nft_loses(const char *before, const char *now)
{
	if (!before)
		return false;
	for (const char *s = before; *s; s += strcspn(s, "\n"), s += *s == '\n')
		if (!has_line(now ? now : "", s, strcspn(s, "\n")))
			return true;
	return false;
}

void nft_script(const char *text, const char *hash, struct buf *out)
{
	unsigned rules = 1;

	for (const char *s = text; s && *s; s = strchr(s, '\n'), s = s ? s + 1 : NULL)
		rules += strncmp(s, "\t\t", 2) == 0 && strncmp(s, "\t\ttype ", 7) != 0;
	/* "add" so that "delete" finds one. The mark has a rule, so that flushing the table shows. */
	buf_printf(out,
		   "add table inet " NFT_TABLE "\n"
		   "delete table inet " NFT_TABLE "\n"
		   "table inet " NFT_TABLE " {\n"
		   "\tchain " MARK "%s_%u {\n"
		   "\t\treturn\n"
		   "\t}\n"
		   "}\n"
		   "%s\n",
		   hash, rules, text);
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

static void read_mark(const char *name, size_t len, struct found *f)
{
	const size_t at = strlen(MARK) + HASH_HEX_SIZE - 1;
	uint32_t rules = 0;

	if (len < at + 3 || len > at + 10 || name[len - 1] || name[at] != '_' ||
	    memcmp(name, MARK, strlen(MARK)) != 0)
		return;
	for (const char *s = name + at + 1; *s; s++) {
		if (*s < '0' || *s > '9')
			return;
		rules = 10 * rules + (uint32_t)(*s - '0');
	}
	memcpy(f->hash, name + strlen(MARK), HASH_HEX_SIZE - 1);
	f->marked = rules;
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
	f->table = true;
	name = nl_data(tb[NFTA_CHAIN_NAME]);
	use = tb[NFTA_CHAIN_USE] ? ntohl(nl_u32(tb[NFTA_CHAIN_USE])) : 0;
	f->rules += use;
	if (use)
		read_mark(name, nl_len(tb[NFTA_CHAIN_NAME]), f);
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
	if (f.rules != f.marked || !*f.hash)
		snprintf(f.hash, sizeof(f.hash), "%s", f.table ? NFT_UNKNOWN : "");
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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links, addresses and routes. Owns nothing; the daemon's thread.
 *
 * Dumps are filtered by the kernel where it can (lib/nl asks for strict checking) and once more
 * here, for kernels that cannot.
 */
#include "agent/rt.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "agent/interface.h"
#include "lib/mem.h"

/* What IFLA_EXT_MASK of a dump asks for: no counters, they are most of its bytes. */
#define SKIP_STATS 8 /* RTEXT_FILTER_SKIP_STATS */

/* What a dump collects. */
struct list {
	void *items;
	size_t count, cap;
};

static void list_add(struct list *l, const void *item, size_t size)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->items = xreallocarray(l->items, l->cap, size);
	}
	memcpy((char *)l->items + l->count++ * size, item, size);
}

/* The dump begins anew. */
static void list_clear(void *arg)
{
	((struct list *)arg)->count = 0;
}

static void copy_string(char *ret, size_t size, const struct nlattr *a)
{
	size_t len = strnlen(nl_data(a), MIN(nl_len(a), size - 1));

	memcpy(ret, nl_data(a), len);
	ret[len] = '\0';
}

/* ---- links ---- */

int rt_link_parse(const struct nlmsghdr *h, struct rt_link *ret)
{
	static const uint16_t min_len[IFLA_IFALIAS + 1] = { [IFLA_MTU] = 4 };
	const struct nlattr *tb[IFLA_IFALIAS + 1], *info[IFLA_INFO_KIND + 1];
	const struct ifinfomsg *i = nl_payload(h);
	int r = nl_parse(h, sizeof(*i), min_len, IFLA_IFALIAS, tb);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	ret->index = i->ifi_index;
	ret->flags = i->ifi_flags;
	if (tb[IFLA_IFNAME])
		copy_string(ret->name, sizeof(ret->name), tb[IFLA_IFNAME]);
	if (tb[IFLA_IFALIAS])
		copy_string(ret->alias, sizeof(ret->alias), tb[IFLA_IFALIAS]);
	if (tb[IFLA_MTU])
		ret->mtu = nl_u32(tb[IFLA_MTU]);
	if (tb[IFLA_LINKINFO]) {
		r = nl_parse_nested(tb[IFLA_LINKINFO], NULL, IFLA_INFO_KIND, info);
		if (r < 0)
			return r;
		if (info[IFLA_INFO_KIND])
			copy_string(ret->kind, sizeof(ret->kind), info[IFLA_INFO_KIND]);
	}
	ret->ours = strncmp(ret->name, INTERFACE_PREFIX, strlen(INTERFACE_PREFIX)) == 0 &&
		    strcmp(ret->alias, INTERFACE_ALIAS) == 0;
	return 0;
}

static int each_link(const struct nlmsghdr *h, void *arg)
{
	struct list *list = arg;
	struct rt_link l;
	int r;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	r = rt_link_parse(h, &l);
	if (r == 0)
		list_add(list, &l, sizeof(l));
	return r;
}

int rt_links(struct nl *n, struct rt_link **ret, size_t *ret_count)
{
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	struct list list = { 0 };
	struct nl_msg m;
	int r;

	nl_msg_begin(&m, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &i, sizeof(i));
	nl_put_u32(&m, IFLA_EXT_MASK, SKIP_STATS);
	r = nl_dump(n, &m, each_link, list_clear, &list);
	if (r < 0) {
		free(list.items);
		return r;
	}
	*ret = list.items;
	*ret_count = list.count;
	return 0;
}

static int one_link(const struct nlmsghdr *h, void *arg)
{
	return h->nlmsg_type == RTM_NEWLINK ? rt_link_parse(h, arg) : 0;
}

int rt_link_get(struct nl *n, const char *name, struct rt_link *ret)
{
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	struct nl_msg m;
	int r;

	memset(ret, 0, sizeof(*ret));
	nl_msg_begin(&m, RTM_GETLINK, NLM_F_REQUEST, &i, sizeof(i));
	nl_put_str(&m, IFLA_IFNAME, name);
	nl_put_u32(&m, IFLA_EXT_MASK, SKIP_STATS);
	r = nl_dump(n, &m, one_link, NULL, ret);
	return r < 0 ? r : ret->index ? 0 : -ENODEV;
}

int rt_link_add(struct nl *n, const char *name, const char *kind)
{
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	struct nlattr *info;
	struct nl_msg m;

	nl_msg_begin(&m, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	nl_put_str(&m, IFLA_IFNAME, name);
	info = nl_nest_begin(&m, IFLA_LINKINFO);
	nl_put_str(&m, IFLA_INFO_KIND, kind);
	nl_nest_end(&m, info);
	return nl_talk(n, &m);
}

static void set_begin(struct nl_msg *m, int index, unsigned flags, unsigned change)
{
	struct ifinfomsg i = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = index,
		.ifi_flags = flags,
		.ifi_change = change,
	};

	nl_msg_begin(m, RTM_NEWLINK, NLM_F_REQUEST, &i, sizeof(i));
}

int rt_link_mark(struct nl *n, int index)
{
	struct nlattr *families, *family, *conf;
	struct nl_msg m;
	int r;

	set_begin(&m, index, 0, 0);
	nl_put(&m, IFLA_IFALIAS, INTERFACE_ALIAS, strlen(INTERFACE_ALIAS));
	r = nl_talk(n, &m);
	if (r < 0)
		return r;
	set_begin(&m, index, 0, 0);
	families = nl_nest_begin(&m, IFLA_AF_SPEC);
	family = nl_nest_begin(&m, AF_INET);
	conf = nl_nest_begin(&m, IFLA_INET_CONF);
	nl_put_u32(&m, IPV4_DEVCONF_PROMOTE_SECONDARIES, 1);
	nl_put_u32(&m, IPV4_DEVCONF_RP_FILTER, 2);
	nl_nest_end(&m, conf);
	nl_nest_end(&m, family);
	nl_nest_end(&m, families);
	/* Where that cannot be set the next pass puts back what went too far. */
	r = nl_talk(n, &m);
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

int rt_link_mtu(struct nl *n, int index, uint32_t mtu)
{
	struct nl_msg m;

	set_begin(&m, index, 0, 0);
	nl_put_u32(&m, IFLA_MTU, mtu);
	return nl_talk(n, &m);
}

int rt_link_up(struct nl *n, int index)
{
	struct nl_msg m;

	set_begin(&m, index, IFF_UP, IFF_UP);
	return nl_talk(n, &m);
}

int rt_link_del(struct nl *n, const char *name)
{
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	struct nl_msg m;
	int r;

	nl_msg_begin(&m, RTM_DELLINK, NLM_F_REQUEST, &i, sizeof(i));
	nl_put_str(&m, IFLA_IFNAME, name);
	r = nl_talk(n, &m);
	return r == -ENODEV ? 0 : r;
}

/* ---- addresses ---- */

static int take_addr(uint8_t family, const struct nlattr *a, struct addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->family = family;
	if (nl_len(a) != addr_bits(ret) / 8)
		return -EBADMSG;
	memcpy(ret->bytes, nl_data(a), nl_len(a));
	return 0;
}

static int each_address(const struct nlmsghdr *h, void *arg)
{
	static const uint16_t min_len[IFA_FLAGS + 1] = { [IFA_FLAGS] = 4 };
	const struct nlattr *tb[IFA_FLAGS + 1], *a;
	const struct ifaddrmsg *i = nl_payload(h);
	struct rt_address x = { 0 };
	int r;

	if (h->nlmsg_type != RTM_NEWADDR)
		return 0;
	r = nl_parse(h, sizeof(*i), min_len, IFA_FLAGS, tb);
	if (r < 0)
		return r;
	/* IFA_ADDRESS is the far end on point-to-point links that have both. */
	a = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (!a || (i->ifa_family != AF_INET && i->ifa_family != AF_INET6))
		return 0;
	x.index = (int)i->ifa_index;
	x.scope = i->ifa_scope;
	x.flags = tb[IFA_FLAGS] ? nl_u32(tb[IFA_FLAGS]) : i->ifa_flags;
	x.prefix.len = i->ifa_prefixlen;
	r = take_addr(i->ifa_family, a, &x.prefix.addr);
	if (r == 0)
		list_add(arg, &x, sizeof(x));
	return r;
}

int rt_addresses(struct nl *n, struct rt_address **ret, size_t *ret_count)
{
	struct ifaddrmsg i = { .ifa_family = AF_UNSPEC };
	struct list list = { 0 };
	struct nl_msg m;
	int r;

	nl_msg_begin(&m, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &i, sizeof(i));
	r = nl_dump(n, &m, each_address, list_clear, &list);
	if (r < 0) {
		free(list.items);
		return r;
	}
	*ret = list.items;
	*ret_count = list.count;
	return 0;
}

static int address(struct nl *n, uint16_t type, uint16_t flags, int index, const struct prefix *a)
{
	struct ifaddrmsg i = {
		.ifa_family = a->addr.family,
		.ifa_prefixlen = a->len,
		.ifa_index = (unsigned)index,
	};
	struct nl_msg m;

	nl_msg_begin(&m, type, (uint16_t)(NLM_F_REQUEST | flags), &i, sizeof(i));
	nl_put(&m, IFA_LOCAL, a->addr.bytes, addr_bits(&a->addr) / 8);
	nl_put(&m, IFA_ADDRESS, a->addr.bytes, addr_bits(&a->addr) / 8);
	/* Nobody else answers for our addresses: they are usable at once. */
	if (type == RTM_NEWADDR && a->addr.family == AF_INET6)
		nl_put_u32(&m, IFA_FLAGS, IFA_F_NODAD);
	return nl_talk(n, &m);
}

int rt_address_add(struct nl *n, int index, const struct prefix *a)
{
	int r = address(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, a);

	return r == -EEXIST ? 0 : r;
}

int rt_address_del(struct nl *n, int index, const struct prefix *a)
{
	int r = address(n, RTM_DELADDR, 0, index, a);

	return r == -EADDRNOTAVAIL ? 0 : r;
}

/* ---- routes ---- */

int rt_route_parse(const struct nlmsghdr *h, struct rt_route *ret)
{
	static const uint16_t min_len[RTA_VIA + 1] = {
		[RTA_OIF] = 4,
		[RTA_PRIORITY] = 4,
		[RTA_TABLE] = 4,
	};
	const struct nlattr *tb[RTA_VIA + 1];
	const struct rtmsg *m = nl_payload(h);
	int r = nl_parse(h, sizeof(*m), min_len, RTA_VIA, tb);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	if (m->rtm_family != AF_INET && m->rtm_family != AF_INET6)
		return -EAFNOSUPPORT;
	ret->protocol = m->rtm_protocol;
	ret->type = m->rtm_type;
	ret->table = tb[RTA_TABLE] ? nl_u32(tb[RTA_TABLE]) : m->rtm_table;
	ret->metric = tb[RTA_PRIORITY] ? nl_u32(tb[RTA_PRIORITY]) : 0;
	ret->index = tb[RTA_OIF] ? (int)nl_u32(tb[RTA_OIF]) : 0;
	ret->gateway = tb[RTA_GATEWAY] || tb[RTA_VIA] || tb[RTA_MULTIPATH];
	ret->route.prefix.len = m->rtm_dst_len;
	ret->route.prefix.addr.family = m->rtm_family;
	if (m->rtm_dst_len > addr_bits(&ret->route.prefix.addr))
		return -EBADMSG;
	if (tb[RTA_DST])
		r = take_addr(m->rtm_family, tb[RTA_DST], &ret->route.prefix.addr);
	if (r == 0 && tb[RTA_PREFSRC])
		r = take_addr(m->rtm_family, tb[RTA_PREFSRC], &ret->route.source);
	return r;
}

struct route_walk {
	uint8_t protocol; /* 0: all */
	int (*each)(const struct rt_route *r, void *arg);
	void *arg;
	void (*restart)(void *arg);
};

static int each_route(const struct nlmsghdr *h, void *arg)
{
	const struct route_walk *w = arg;
	const struct rtmsg *m = nl_payload(h);
	struct rt_route x;
	int r;

	if (h->nlmsg_type != RTM_NEWROUTE || nl_payload_len(h) < sizeof(*m) ||
	    (m->rtm_flags & RTM_F_CLONED))
		return 0;
	r = rt_route_parse(h, &x);
	if (r < 0)
		return r;
	if (x.table != RT_TABLE_MAIN || (w->protocol && x.protocol != w->protocol))
		return 0;
	return w->each(&x, w->arg);
}

static void restart_routes(void *arg)
{
	const struct route_walk *w = arg;

	if (w->restart)
		w->restart(w->arg);
}

static int dump_routes(struct nl *n, uint8_t family, struct route_walk *w)
{
	struct rtmsg i = {
		.rtm_family = family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = w->protocol,
	};
	struct nl_msg m;
	int r;

	nl_msg_begin(&m, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, &i, sizeof(i));
	r = nl_dump(n, &m, each_route, restart_routes, w);
	/* No route was ever in main, or the kernel does without IPv6. */
	return r == -ENOENT || r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

int rt_routes_each(struct nl *n, uint8_t family, int (*each)(const struct rt_route *r, void *arg),
		   void *arg)
{
	struct route_walk w = { .each = each, .arg = arg };

	return dump_routes(n, family, &w);
}

static int collect_route(const struct rt_route *r, void *arg)
{
	list_add(arg, r, sizeof(*r));
	return 0;
}

int rt_routes(struct nl *n, struct rt_route **ret, size_t *ret_count)
{
	struct list v4 = { 0 }, v6 = { 0 };
	struct route_walk w = {
		.protocol = ROUTE_PROTOCOL, .each = collect_route, .restart = list_clear, .arg = &v4
	};
	int r = dump_routes(n, AF_INET, &w);

	w.arg = &v6;
	if (r == 0)
		r = dump_routes(n, AF_INET6, &w);
	for (size_t i = 0; r == 0 && i < v6.count; i++)
		list_add(&v4, (struct rt_route *)v6.items + i, sizeof(struct rt_route));
	free(v6.items);
	if (r < 0) {
		free(v4.items);
		return r;
	}
	*ret = v4.items;
	*ret_count = v4.count;
	return 0;
}

static int one_route(const struct nlmsghdr *h, void *arg)
{
	return h->nlmsg_type == RTM_NEWROUTE ? rt_route_parse(h, arg) : 0;
}

int rt_route_to(struct nl *n, const struct addr *to, bool chosen, struct rt_route *ret)
{
	struct rtmsg i = {
		.rtm_family = to->family,
		.rtm_dst_len = (uint8_t)addr_bits(to),
		.rtm_flags = chosen ? 0 : RTM_F_FIB_MATCH,
	};
	struct nl_msg m;
	int r;

	memset(ret, 0, sizeof(*ret));
	nl_msg_begin(&m, RTM_GETROUTE, NLM_F_REQUEST, &i, sizeof(i));
	nl_put(&m, RTA_DST, to->bytes, addr_bits(to) / 8);
	r = nl_dump(n, &m, one_route, NULL, ret);
	return r < 0 ? r : ret->route.prefix.addr.family ? 0 : -ENETUNREACH;
}

static int route(struct nl *n, uint16_t type, uint16_t flags, int index, const struct route *r)
{
	struct rtmsg i = {
		.rtm_family = r->prefix.addr.family,
		.rtm_dst_len = r->prefix.len,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = ROUTE_PROTOCOL,
		.rtm_scope = r->prefix.addr.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct nl_msg m;

	nl_msg_begin(&m, type, (uint16_t)(NLM_F_REQUEST | flags), &i, sizeof(i));
	nl_put(&m, RTA_DST, r->prefix.addr.bytes, addr_bits(&r->prefix.addr) / 8);
	nl_put_u32(&m, RTA_OIF, (uint32_t)index);
	nl_put_u32(&m, RTA_PRIORITY, ROUTE_METRIC);
	if (r->source.family)
		nl_put(&m, RTA_PREFSRC, r->source.bytes, addr_bits(&r->source) / 8);
	return nl_talk(n, &m);
}

/* Who has the place that we want? */
struct holder {
	const struct route *wanted;
	int index;
	bool foreign, same;
};

static int look_at_holder(const struct rt_route *r, void *arg)
{
	struct holder *h = arg;

	if (r->metric != ROUTE_METRIC || prefix_cmp(&r->route.prefix, &h->wanted->prefix) != 0)
		return 0;
	if (r->protocol != ROUTE_PROTOCOL)
		h->foreign = true;
	else
		h->same = r->index == h->index &&
			  addr_cmp(&r->route.source, &h->wanted->source) == 0;
	return 0;
}

int rt_route_add(struct nl *n, int index, const struct route *r)
{
	struct holder h = { .wanted = r, .index = index };
	int e = route(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, r);

	if (e != -EEXIST)
		return e;
	e = rt_routes_each(n, r->prefix.addr.family, look_at_holder, &h);
	if (e < 0 || h.foreign || h.same)
		return e < 0 ? e : h.foreign ? -EEXIST : 0;
	return route(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, r);
}

int rt_route_del(struct nl *n, int index, const struct prefix *p)
{
	struct route r = { .prefix = *p };
	int e = route(n, RTM_DELROUTE, 0, index, &r);

	return e == -ESRCH || e == -ENODEV ? 0 : e;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Linux implementation of the seam: opening it and reading. Owns the netlink sockets; the
 * daemon's thread.
 *
 * The kernel is the only memory: nothing of what is there is remembered between two calls, so a
 * restarted agent adopts everything. An interface is ours when its alias says so.
 */
#include "agent/kernel_linux.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/conntrack.h"
#include "agent/forwarding.h"
#include "agent/interface.h"
#include "agent/nft.h"
#include "agent/wg_process.h"
#include "lib/log.h"
#include "lib/mem.h"

#define CANDIDATES_MAX 64

const char *const kernel_backend_names[] = { "auto", "kernel", "userspace", NULL };

/* Why kernel_new failed: there is no struct kernel to keep it in. */
static char new_message[512];

const char *kernel_message(const struct kernel *k)
{
	return k ? k->message : new_message;
}

const struct wg_backend *kernel_backend_for(const char *kind)
{
	return strcmp(kind, wg_kernel.kind) == 0 ? &wg_kernel :
	       strcmp(kind, wg_uapi.kind) == 0	 ? &wg_uapi :
						   NULL;
}

int kernel_find(struct kernel *k, const char *name, struct rt_link *ret,
		const struct wg_backend **ret_backend)
{
	int r = rt_link_get(k->wg.route, name, ret);

	if (r < 0)
		return r;
	*ret_backend = kernel_backend_for(ret->kind);
	return ret->ours && *ret_backend ? 0 : -ENODEV;
}

const char *kernel_backend_of(struct kernel *k, const char *link)
{
	const struct wg_backend *b = NULL;
	struct rt_link l;

	if (rt_link_get(k->wg.route, link, &l) == 0)
		b = kernel_backend_for(l.kind);
	if (!b)
		b = k->config.backend == BACKEND_KERNEL ||
				    (k->config.backend == BACKEND_AUTO && k->wg.family >= 0) ?
			    &wg_kernel :
			    &wg_uapi;
	return b->name;
}

/* ---- opening ---- */

static bool has_net_admin(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &h, d) == 0 && (d[0].effective & (1U << CAP_NET_ADMIN));
}

/* Is there anything that can make an interface? */
static int check_backend(const struct kernel *k)
{
	char why[256];
	int r;

	if (k->wg.family >= 0 && k->config.backend != BACKEND_USERSPACE)
		return 0;
	if (k->config.backend == BACKEND_KERNEL) {
		snprintf(new_message, sizeof(new_message),
			 "this kernel has no WireGuard (modprobe wireguard)");
		return -EOPNOTSUPP;
	}
	r = wg_process_possible(k->wg.folder, why, sizeof(why));
	if (r < 0)
		snprintf(new_message, sizeof(new_message), "%s%s",
			 k->config.backend == BACKEND_AUTO ? "this kernel has no WireGuard, and " :
							     "",
			 why);
	return r;
}

static int open_sockets(struct kernel *k)
{
	int r = nl_open(NETLINK_ROUTE, &k->wg.route);

	if (r == 0 && nl_open(NETLINK_GENERIC, &k->wg.generic) == 0)
		k->wg.family = nl_family(k->wg.generic, "wireguard");
	if (r == 0 && nl_open(NETLINK_NETFILTER, &k->netfilter) < 0)
		k->netfilter = NULL;
	if (r < 0)
		snprintf(new_message, sizeof(new_message), "netlink does not open: %s",
			 strerror(-r));
	return r;
}

int kernel_new(struct loop *l, const struct kernel_config *c, struct kernel **ret)
{
	struct kernel *k;
	int r;

	if (!has_net_admin()) {
		snprintf(new_message, sizeof(new_message),
			 "the capability CAP_NET_ADMIN is missing: run it as root, or give it");
		return -EPERM;
	}
	k = xcalloc(1, sizeof(*k));
	k->loop = l;
	k->config = *c;
	k->wg.family = -ENOENT;
	k->wg.folder = c->wireguard_go;
	r = open_sockets(k);
	if (r == 0)
		r = check_backend(k);
	if (r == 0 && l) {
		r = kernel_watch_start(k);
		if (r < 0)
			snprintf(new_message, sizeof(new_message),
				 "the kernel's events cannot be watched: %s", strerror(-r));
	}
	if (r < 0) {
		kernel_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	kernel_watch_stop(k);
	kernel_look_end(k);
	nl_close(k->wg.route);
	nl_close(k->wg.generic);
	nl_close(k->netfilter);
	free(k->nft_text);
	free(k);
}

/* ---- reading ---- */

/* All that rtnetlink says at once. */
struct tables {
	struct rt_link *links;
	struct rt_address *addresses;
	struct rt_route *routes;
	size_t link_count, address_count, route_count;
};

static void tables_done(struct tables *t)
{
	free(t->links);
	free(t->addresses);
	free(t->routes);
}

static int tables_read(struct kernel *k, struct tables *t)
{
	int r = rt_links(k->wg.route, &t->links, &t->link_count);

	if (r == 0)
		r = rt_addresses(k->wg.route, &t->addresses, &t->address_count);
	if (r == 0)
		r = rt_routes(k->wg.route, &t->routes, &t->route_count);
	if (r < 0)
		snprintf(k->message, sizeof(k->message), "links, addresses or routes: %s",
			 strerror(-r));
	return r;
}

static void add_link(const struct tables *t, const struct rt_link *from, struct host *h)
{
	struct wg_link *l = host_add_link(h, from->name);

	l->mtu = from->mtu;
	l->up = from->flags & IFF_UP;
	for (size_t i = 0; i < t->address_count; i++)
		if (t->addresses[i].index == from->index && t->addresses[i].scope < RT_SCOPE_LINK)
			wg_link_add_address(l, &t->addresses[i].prefix);
	for (size_t i = 0; i < t->route_count; i++)
		if (t->routes[i].index == from->index && t->routes[i].metric == ROUTE_METRIC)
			wg_link_add_route(l, &t->routes[i].route.prefix,
					  &t->routes[i].route.source);
}

/* A name that nft would not take as it is, is left out. */
static char *name_bridges(const struct tables *t)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	struct buf names = { 0 };

	for (size_t i = 0; i < t->link_count; i++) {
		const struct rt_link *l = &t->links[i];

		if (strcmp(l->kind, "bridge") == 0 && !l->name[strspn(l->name, plain)])
			buf_printf(&names, "%s ", l->name);
	}
	return names.len ? buf_take(&names) : NULL;
}

static void drop_last_link(struct host *h)
{
	wg_link_done(&h->links[--h->link_count]);
}

/* A kernel without nf_tables has no table of ours. */
static void read_nft(struct kernel *k, char ret_hash[static HASH_HEX_SIZE], uint32_t *ret_rules)
{
	if (k->netfilter && nft_read(k->netfilter, ret_hash, ret_rules) == 0)
		return;
	memset(ret_hash, 0, HASH_HEX_SIZE);
	*ret_rules = 0;
}

/* The hash as the plan wants it: "" when somebody took rules out of our table or put some in. */
static void read_nft_hash(struct kernel *k, char ret[static HASH_HEX_SIZE])
{
	uint32_t rules;

	if (k->config.firewall_report) {
		memcpy(ret, k->reported, HASH_HEX_SIZE);
		return;
	}
	read_nft(k, ret, &rules);
}

/* Whoever switched forwarding on after us wants it on when we are gone, and decides himself what is
 * forwarded between interfaces that are not ours. */
static void leave_forwarding(struct kernel *k)
{
	unsigned theirs = k->switched_on, on, ours;

	k->switched_on = 0;
	if (!theirs)
		return;
	forwarding_read(k->config.forwarding, &on, &ours);
	if (!(theirs & ours))
		return;
	log_info("forwarding-is-theirs", "ipv4=%d ipv6=%d", !!(theirs & ours & FORWARD_4),
		 !!(theirs & ours & FORWARD_6));
	if (forwarding_forget(k->config.forwarding, theirs & ours) < 0)
		log_warn("forwarding-file", "path=%s", log_quote(k->config.forwarding));
}

int kernel_read(struct kernel *k, struct host *ret)
{
	struct tables t = { 0 };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = tables_read(k, &t);
	for (size_t i = 0; r == 0 && i < t.link_count; i++) {
		const struct wg_backend *b = kernel_backend_for(t.links[i].kind);

		if (!t.links[i].ours || !b)
			continue;
		add_link(&t, &t.links[i], ret);
		r = b->read(&k->wg, t.links[i].name, &ret->links[ret->link_count - 1]);
		/* It vanished meanwhile, or its process did. */
		if (r == -ENODEV || r == -ECONNREFUSED) {
			drop_last_link(ret);
			r = 0;
		} else if (r < 0) {
			snprintf(k->message, sizeof(k->message), "%s", k->wg.why);
		}
	}
	ret->bridges = r == 0 ? name_bridges(&t) : NULL;
	tables_done(&t);
	if (r < 0) {
		host_done(ret);
		return r;
	}
	read_nft_hash(k, ret->nft_hash);
	kernel_watch_hear(k);
	leave_forwarding(k);
	forwarding_read(k->config.forwarding, &ret->forwarding, &ret->forwarding_ours);
	host_sort(ret);
	return 0;
}

int kernel_read_peers(struct kernel *k, const char *link, struct wg_link *ret)
{
	const struct wg_backend *b;
	struct rt_link l;
	int r = kernel_find(k, link, &l, &b);

	memset(ret, 0, sizeof(*ret));
	if (r < 0) {
		snprintf(k->message, sizeof(k->message), "interface %s: %s", link, strerror(-r));
		return r;
	}
	memcpy(ret->name, l.name, sizeof(ret->name));
	ret->mtu = l.mtu;
	ret->up = l.flags & IFF_UP;
	r = b->read(&k->wg, link, ret);
	if (r < 0) {
		snprintf(k->message, sizeof(k->message), "%s", k->wg.why);
		wg_link_done(ret);
	}
	return r == -ECONNREFUSED ? -ENODEV : r;
}

/* ---- looking around ---- */

struct default_routes {
	const struct rt_link *link;
	bool found;
};

static int look_for_default(const struct rt_route *r, void *arg)
{
	struct default_routes *d = arg;

	d->found |= r->route.prefix.len == 0 && r->index == d->link->index;
	return 0;
}

static bool has_default_route(struct kernel *k, const struct rt_link *l)
{
	struct default_routes d = { .link = l };

	return (rt_routes_each(k->wg.route, AF_INET, look_for_default, &d) == 0 && d.found) ||
	       (rt_routes_each(k->wg.route, AF_INET6, look_for_default, &d) == 0 && d.found);
}

static bool is_candidate_link(struct kernel *k, const struct rt_link *l)
{
	if (l->ours || (l->flags & IFF_LOOPBACK) || !(l->flags & IFF_UP))
		return false;
	/* The table is only asked where it makes a difference. */
	return interface_candidate(l->name, l->kind, false) ||
	       (interface_candidate(l->name, l->kind, true) && has_default_route(k, l));
}

static bool is_candidate(const struct rt_address *a)
{
	const struct addr *x = &a->prefix.addr;

	return a->scope == RT_SCOPE_UNIVERSE &&
	       !(a->flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) &&
	       /* For IPv4 the same bit says "a second address of this range". */
	       !(x->family == AF_INET6 && (a->flags & IFA_F_TEMPORARY)) && !addr_is_loopback(x) &&
	       !addr_is_link_local(x) && !addr_is_multicast(x) && !addr_is_unspecified(x);
}

/* The near end of a pod's cable, as some networks make it: an address of the pods' range, alone on its
 * wire. But in a pod itself it is the way out. */
static bool is_pod_cable(struct kernel *k, const struct rt_link *l, const struct prefix *p)
{
	return strcmp(l->kind, "veth") == 0 && p->len == addr_bits(&p->addr) &&
	       !has_default_route(k, l);
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static size_t pick_candidates(struct kernel *k, const struct tables *t, struct addr *ret,
			      size_t max)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < t->link_count; i++) {
		bool asked = false, good = false;

		for (size_t a = 0; a < t->address_count && n < max; a++) {
			if (t->addresses[a].index != t->links[i].index ||
			    !is_candidate(&t->addresses[a]))
				continue;
			good = asked ? good : is_candidate_link(k, &t->links[i]);
			asked = true;
			if (good && !is_pod_cable(k, &t->links[i], &t->addresses[a].prefix))
				ret[n++] = t->addresses[a].prefix.addr;
		}
	}
	if (n > 1)
		qsort(ret, n, sizeof(*ret), addr_order);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || addr_cmp(&ret[kept - 1], &ret[i]) != 0)
			ret[kept++] = ret[i];
	return kept;
}

int kernel_candidates(struct kernel *k, struct addr *ret, size_t max, size_t *ret_count)
{
	struct tables t = { 0 };
	int r = tables_read(k, &t);

	*ret_count = r == 0 ? pick_candidates(k, &t, ret, max) : 0;
	tables_done(&t);
	return r;
}

/* Ours and served: kernel_read has it. */
static bool is_seen(struct kernel *k, const char *link)
{
	struct wg_link device = { 0 };
	const struct wg_backend *b;
	struct rt_link l;
	bool seen = kernel_find(k, link, &l, &b) == 0 &&
		    b->read(&k->wg, link, &device) != -ECONNREFUSED;

	wg_link_done(&device);
	return seen;
}

void kernel_unask(struct kernel *k, const char *link)
{
	if (k->wg.folder && !is_seen(k, link))
		wg_process_unask(k->wg.folder, link);
}

struct sweep {
	struct kernel *kernel;
	bool (*wanted)(void *owner, const char *link);
	void *owner;
};

static bool is_kept(void *owner, const char *link)
{
	const struct sweep *s = owner;
	bool kept = s->wanted(s->owner, link) || is_seen(s->kernel, link);

	if (!kept)
		log_info("asked-for-by-nobody", "link=%s", link);
	return kept;
}

void kernel_sweep(struct kernel *k, bool (*wanted)(void *owner, const char *link), void *owner)
{
	struct sweep s = { k, wanted, owner };

	wg_process_sweep(k->wg.folder, is_kept, &s);
}

void kernel_forget_stale_flows(struct kernel *k)
{
	int r = k->netfilter ? conntrack_flush(k->netfilter, NFT_MARK_STALE) : 0;

	if (r < 0)
		log_debug("conntrack-flush-failed", "error=%s", strerror(-r));
}

/* ---- the picture ---- */

static void describe_link(const struct wg_link *l, struct buf *b)
{
	char text[PREFIX_SIZE], source[ADDR_SIZE];

	buf_printf(b, "link %s %u %d\n", l->name, l->mtu, l->up);
	for (size_t i = 0; i < l->address_count; i++)
		buf_printf(b, "address %s\n", prefix_format(&l->addresses[i], text));
	for (size_t i = 0; i < l->route_count; i++)
		buf_printf(b, "route %s %s\n", prefix_format(&l->routes[i].prefix, text),
			   l->routes[i].source.family ? addr_format(&l->routes[i].source, source) :
							"-");
}

static void hash_buf(struct buf *b, uint8_t ret[static HASH_LEN])
{
	sha256(buf_cstr(b), b->len, ret);
	buf_done(b);
}

int kernel_picture(struct kernel *k, uint8_t ret_ours[static HASH_LEN],
		   uint8_t ret_host[static HASH_LEN])
{
	struct addr candidates[CANDIDATES_MAX];
	char hash[HASH_HEX_SIZE], text[ADDR_SIZE];
	struct buf ours = { 0 }, others = { 0 };
	struct tables t = { 0 };
	struct host h = { 0 };
	_cleanup_(freep) char *bridges = NULL;
	unsigned on, switched;
	uint32_t rules;
	size_t count;
	int r = tables_read(k, &t);

	if (r < 0) {
		tables_done(&t);
		return r;
	}
	for (size_t i = 0; i < t.link_count; i++)
		if (t.links[i].ours)
			add_link(&t, &t.links[i], &h);
	host_sort(&h);
	for (size_t i = 0; i < h.link_count; i++)
		describe_link(&h.links[i], &ours);
	read_nft(k, hash, &rules);
	forwarding_read(NULL, &on, &switched);
	buf_printf(&ours, "nft %s %u forwarding %u\n", hash, rules, on);
	count = pick_candidates(k, &t, candidates, CANDIDATES_MAX);
	for (size_t i = 0; i < count; i++)
		buf_printf(&others, "%s\n", addr_format(&candidates[i], text));
	bridges = name_bridges(&t);
	buf_printf(&others, "bridges %s\n", bridges ? bridges : "");
	hash_buf(&ours, ret_ours);
	hash_buf(&others, ret_host);
	host_done(&h);
	tables_done(&t);
	return 0;
}

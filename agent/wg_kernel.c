/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * WireGuard in the kernel: rtnetlink for the interface, generic netlink family "wireguard" for its
 * peers. Owns nothing; the daemon's thread.
 *
 * Messages are at most 8 KiB: no slower than large ones, and the kernel holds its lock shorter. Each
 * is acknowledged. Peers are never replaced as a whole but in the message before a deletion.
 */
#include "agent/wg.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/time_types.h>
#include <linux/wireguard.h>
#include <stdio.h>
#include <string.h>

#include "agent/rt.h"

#define PEERS_MAX 1048576 /* MAX_PEERS_PER_DEVICE of the kernel */
#define ALLOWED_MAX 4194304

/* The most that a peer needs beside its prefixes, and one prefix, in bytes of attributes. */
#define PEER_ROOM 128
#define ALLOWED_ROOM 48

static void begin(struct nl_msg *m, int family, uint8_t cmd, uint16_t flags, const char *link)
{
	struct genlmsghdr g = { .cmd = cmd, .version = WG_GENL_VERSION };

	nl_msg_begin(m, (uint16_t)family, (uint16_t)(NLM_F_REQUEST | flags), &g, sizeof(g));
	nl_put_str(m, WGDEVICE_A_IFNAME, link);
}

static void put_allowed(struct nl_msg *m, const struct prefix *p)
{
	struct nlattr *nest = nl_nest_begin(m, 0);

	nl_put_u16(m, WGALLOWEDIP_A_FAMILY, p->addr.family);
	nl_put(m, WGALLOWEDIP_A_IPADDR, p->addr.bytes, addr_bits(&p->addr) / 8);
	nl_put_u8(m, WGALLOWEDIP_A_CIDR_MASK, p->len);
	nl_nest_end(m, nest);
}

/* False: the message is full and the change goes on in the next one. */
static bool put_change(struct nl_msg *m, const struct wg_change *c, size_t *allowed)
{
	struct nlattr *nest = nl_nest_begin(m, 0), *list;
	struct sockaddr_storage sa;

	nl_put(m, WGPEER_A_PUBLIC_KEY, c->key, KEY_LEN);
	if (c->remove)
		nl_put_u32(m, WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
	if (*allowed == 0 && c->endpoint) {
		socklen_t len = endpoint_to_sockaddr(c->endpoint, &sa);

		nl_put(m, WGPEER_A_ENDPOINT, &sa, len);
	}
	if (*allowed == 0 && c->with_keepalive)
		nl_put_u16(m, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, c->keepalive);
	if (c->allowed_count) {
		list = nl_nest_begin(m, WGPEER_A_ALLOWEDIPS);
		while (*allowed < c->allowed_count && nl_room(m) >= ALLOWED_ROOM)
			put_allowed(m, &c->allowed[(*allowed)++]);
		nl_nest_end(m, list);
	}
	nl_nest_end(m, nest);
	return *allowed >= c->allowed_count;
}

bool wg_kernel_message(struct nl_msg *m, int family, const char *link, const struct wg_link *device,
		       const struct wg_change *changes, size_t count, struct wg_cursor *at)
{
	struct nlattr *list;

	if (at->change >= count && (at->begun || !device))
		return false;
	begin(m, family, WG_CMD_SET_DEVICE, NLM_F_ACK, link);
	if (device && !at->begun) {
		nl_put(m, WGDEVICE_A_PRIVATE_KEY, device->private_key, KEY_LEN);
		nl_put_u16(m, WGDEVICE_A_LISTEN_PORT, device->port);
	}
	at->begun = true;
	if (at->change >= count)
		return true;
	list = nl_nest_begin(m, WGDEVICE_A_PEERS);
	while (at->change < count && nl_room(m) >= PEER_ROOM + ALLOWED_ROOM) {
		if (!put_change(m, &changes[at->change], &at->allowed))
			break;
		at->change++;
		at->allowed = 0;
	}
	nl_nest_end(m, list);
	return true;
}

void wg_kernel_message_empty(struct nl_msg *m, int family, const char *link)
{
	begin(m, family, WG_CMD_SET_DEVICE, NLM_F_ACK, link);
	nl_put_u32(m, WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
}

static int parse_allowed(const struct nlattr *a, struct wg_peer *p)
{
	static const uint16_t min_len[WGALLOWEDIP_A_MAX + 1] = {
		[WGALLOWEDIP_A_FAMILY] = 2,
		[WGALLOWEDIP_A_IPADDR] = 4,
		[WGALLOWEDIP_A_CIDR_MASK] = 1,
	};
	const struct nlattr *tb[WGALLOWEDIP_A_MAX + 1];
	struct prefix x = { 0 };
	int r = nl_parse_nested(a, min_len, WGALLOWEDIP_A_MAX, tb);

	if (r < 0)
		return r;
	if (!tb[WGALLOWEDIP_A_FAMILY] || !tb[WGALLOWEDIP_A_IPADDR] || !tb[WGALLOWEDIP_A_CIDR_MASK])
		return -EBADMSG;
	if (nl_u16(tb[WGALLOWEDIP_A_FAMILY]) != AF_INET &&
	    nl_u16(tb[WGALLOWEDIP_A_FAMILY]) != AF_INET6)
		return -EBADMSG;
	x.addr.family = (uint8_t)nl_u16(tb[WGALLOWEDIP_A_FAMILY]);
	x.len = nl_u8(tb[WGALLOWEDIP_A_CIDR_MASK]);
	if (nl_len(tb[WGALLOWEDIP_A_IPADDR]) != addr_bits(&x.addr) / 8 ||
	    x.len > addr_bits(&x.addr))
		return -EBADMSG;
	memcpy(x.addr.bytes, nl_data(tb[WGALLOWEDIP_A_IPADDR]), addr_bits(&x.addr) / 8);
	x = prefix_network(&x);
	if (p->allowed_count >= ALLOWED_MAX)
		return -E2BIG;
	wg_peer_add_allowed(p, &x);
	return 0;
}

static int parse_endpoint(const struct nlattr *a, struct endpoint *ret)
{
	struct sockaddr_storage sa = { 0 };
	size_t len = nl_len(a);

	if (len > sizeof(sa))
		return -EBADMSG;
	memcpy(&sa, nl_data(a), len);
	return endpoint_from_sockaddr((struct sockaddr *)&sa, (socklen_t)len, ret) < 0 ? -EBADMSG :
											 0;
}

static void parse_counters(const struct nlattr **tb, struct wg_peer *p)
{
	struct __kernel_timespec t;

	if (tb[WGPEER_A_LAST_HANDSHAKE_TIME]) {
		memcpy(&t, nl_data(tb[WGPEER_A_LAST_HANDSHAKE_TIME]), sizeof(t));
		p->last_handshake = t.tv_sec;
	}
	if (tb[WGPEER_A_RX_BYTES])
		p->rx_bytes = nl_u64(tb[WGPEER_A_RX_BYTES]);
	if (tb[WGPEER_A_TX_BYTES])
		p->tx_bytes = nl_u64(tb[WGPEER_A_TX_BYTES]);
	if (tb[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL])
		p->keepalive = nl_u16(tb[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL]);
}

static int parse_peer(const struct nlattr *a, struct wg_link *l)
{
	static const uint16_t min_len[WGPEER_A_MAX + 1] = {
		[WGPEER_A_PUBLIC_KEY] = KEY_LEN,
		[WGPEER_A_ENDPOINT] = sizeof(sa_family_t),
		[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL] = 2,
		[WGPEER_A_LAST_HANDSHAKE_TIME] = sizeof(struct __kernel_timespec),
		[WGPEER_A_RX_BYTES] = 8,
		[WGPEER_A_TX_BYTES] = 8,
	};
	const struct nlattr *tb[WGPEER_A_MAX + 1], *x = NULL;
	struct wg_peer *p = l->peer_count ? &l->peers[l->peer_count - 1] : NULL;
	const uint8_t *key;
	int r = nl_parse_nested(a, min_len, WGPEER_A_MAX, tb);

	if (r < 0)
		return r;
	if (!tb[WGPEER_A_PUBLIC_KEY] || nl_len(tb[WGPEER_A_PUBLIC_KEY]) != KEY_LEN)
		return -EBADMSG;
	key = nl_data(tb[WGPEER_A_PUBLIC_KEY]);
	if (!p || memcmp(p->key, key, KEY_LEN) != 0) {
		if (l->peer_count >= PEERS_MAX)
			return -E2BIG;
		p = wg_link_add_peer(l, key);
	}
	parse_counters(tb, p);
	if (tb[WGPEER_A_ENDPOINT]) {
		r = parse_endpoint(tb[WGPEER_A_ENDPOINT], &p->endpoint);
		if (r < 0)
			return r;
	}
	if (!tb[WGPEER_A_ALLOWEDIPS])
		return 0;
	while ((x = nl_nested_next(tb[WGPEER_A_ALLOWEDIPS], x))) {
		r = parse_allowed(x, p);
		if (r < 0)
			return r;
	}
	return 0;
}

int wg_kernel_parse(const struct nlmsghdr *h, struct wg_link *ret)
{
	static const uint16_t min_len[WGDEVICE_A_MAX + 1] = {
		[WGDEVICE_A_PRIVATE_KEY] = KEY_LEN,
		[WGDEVICE_A_LISTEN_PORT] = 2,
	};
	const struct nlattr *tb[WGDEVICE_A_MAX + 1], *x = NULL;
	int r = nl_parse(h, sizeof(struct genlmsghdr), min_len, WGDEVICE_A_MAX, tb);

	if (r < 0)
		return r;
	if (tb[WGDEVICE_A_PRIVATE_KEY])
		memcpy(ret->private_key, nl_data(tb[WGDEVICE_A_PRIVATE_KEY]), KEY_LEN);
	if (tb[WGDEVICE_A_LISTEN_PORT])
		ret->port = nl_u16(tb[WGDEVICE_A_LISTEN_PORT]);
	if (!tb[WGDEVICE_A_PEERS])
		return 0;
	while ((x = nl_nested_next(tb[WGDEVICE_A_PEERS], x))) {
		r = parse_peer(x, ret);
		if (r < 0)
			return r;
	}
	return 0;
}

static int explain(struct wg *w, const char *link, int r)
{
	const char *reason = nl_reason(w->generic);

	if (r < 0)
		snprintf(w->why, sizeof(w->why), "WireGuard of the kernel refuses %s: %s%s%s", link,
			 strerror(-r), *reason ? ": " : "", reason);
	return r;
}

static int kernel_create(struct wg *w, const char *link)
{
	int r = w->family < 0 ? -EOPNOTSUPP : rt_link_add(w->route, link, wg_kernel.kind);

	if (r == -EOPNOTSUPP || r == -ENOENT) {
		snprintf(w->why, sizeof(w->why), "the kernel has no WireGuard");
		return -EOPNOTSUPP;
	}
	if (r < 0)
		snprintf(w->why, sizeof(w->why), "the kernel does not make interface %s: %s", link,
			 strerror(-r));
	return r;
}

static int kernel_destroy(struct wg *w, const char *link)
{
	struct nl_msg m;
	int r;

	if (w->family >= 0) {
		wg_kernel_message_empty(&m, w->family, link);
		r = nl_talk(w->generic, &m);
		if (r < 0 && r != -ENODEV)
			return explain(w, link, r);
	}
	return rt_link_del(w->route, link);
}

static int each_device(const struct nlmsghdr *h, void *arg)
{
	return wg_kernel_parse(h, arg);
}

static void begin_again(void *arg)
{
	struct wg_link *l = arg;

	for (size_t i = 0; i < l->peer_count; i++)
		wg_peer_done(&l->peers[i]);
	l->peer_count = 0;
}

static int kernel_get(struct wg *w, const char *link, struct wg_link *ret)
{
	struct nl_msg m;
	int r;

	if (w->family < 0)
		return -EOPNOTSUPP;
	begin(&m, w->family, WG_CMD_GET_DEVICE, NLM_F_DUMP, link);
	r = nl_dump(w->generic, &m, each_device, begin_again, ret);
	if (r < 0)
		return explain(w, link, r);
	wg_link_sort(ret);
	return 0;
}

static int kernel_set(struct wg *w, const char *link, const struct wg_link *device,
		      const struct wg_change *changes, size_t count)
{
	struct wg_cursor at = { 0 };
	struct nl_msg m;
	int r = 0;

	if (w->family < 0)
		return -EOPNOTSUPP;
	while (r == 0 && wg_kernel_message(&m, w->family, link, device, changes, count, &at))
		r = nl_talk(w->generic, &m);
	crypto_wipe(&m, sizeof(m));
	if (r == -EADDRINUSE && device)
		snprintf(w->why, sizeof(w->why), "UDP port %u for %s is taken by another program",
			 device->port, link);
	else if (r < 0)
		explain(w, link, r);
	return r;
}

const struct wg_backend wg_kernel = {
	.name = "kernel",
	.kind = "wireguard",
	.create = kernel_create,
	.destroy = kernel_destroy,
	.read = kernel_get,
	.apply = kernel_set,
};

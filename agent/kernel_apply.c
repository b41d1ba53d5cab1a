/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Applies ops to the kernel. Owns nothing beyond a call; the daemon's thread.
 *
 * Every op first looks whether the interface is ours, whoever planned it. All are idempotent, so a
 * batch that failed is done again one by one to see which of its peers was to blame.
 */
#include "agent/kernel_linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/conntrack.h"
#include "agent/forwarding.h"
#include "agent/nft.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

struct applying {
	struct kernel *k;
	void (*failed)(void *owner, const struct op *op, int error, const char *why);
	void *owner;
	int first;	  /* error */
	struct map *lost; /* interfaces that are not there: said once, not for each peer */
	bool unfiltered;  /* our rules could not be put in place */
	bool staying;	  /* what was to go did not: its rules stay */
};

static bool is_removal(enum op_kind kind)
{
	return kind == OP_ROUTE_DEL || kind == OP_PEER_DEL || kind == OP_ADDRESS_DEL ||
	       kind == OP_LINK_DEL;
}

static void fail(struct applying *a, const struct op *op, int error)
{
	const char *reason = nl_reason(a->k->wg.route);
	char text[OP_TEXT_SIZE];

	if (error == -ENODEV && op->link && map_get(a->lost, op->link))
		return;
	if (op->link && (error == -ENODEV || op->kind == OP_LINK_ADD))
		map_put(a->lost, op->link, a);
	if (*a->k->wg.why) {
		snprintf(a->k->message, sizeof(a->k->message), "%s", a->k->wg.why);
	} else {
		op_format(op, text, sizeof(text));
		snprintf(a->k->message, sizeof(a->k->message), "%s: %s%s%s", text, strerror(-error),
			 *reason ? ": " : "", reason);
	}
	a->first = a->first ? a->first : error;
	if (a->failed)
		a->failed(a->owner, op, error, a->k->message);
}

/* ---- peers ---- */

static void change_of(const struct op *op, struct wg_change *c)
{
	*c = (struct wg_change){ .key = op->peer->key, .remove = op->kind == OP_PEER_DEL };
	if (c->remove)
		return;
	c->with_keepalive = true;
	c->keepalive = op->peer->keepalive;
	c->endpoint = op->with_endpoint ? &op->peer->endpoint : NULL;
	c->allowed = op->allowed;
	c->allowed_count = op->allowed_count;
}

static int change_peers(struct kernel *k, const struct wg_backend *b, const struct op *ops,
			size_t count)
{
	struct wg_change *changes = xcalloc(count, sizeof(*changes));
	int r;

	for (size_t i = 0; i < count; i++)
		change_of(&ops[i], &changes[i]);
	r = b->apply(&k->wg, ops->link, NULL, changes, count);
	free(changes);
	return r;
}

static bool is_wanted(const struct op *op, const struct prefix *p)
{
	for (size_t i = 0; i < op->allowed_count; i++)
		if (prefix_cmp(&op->allowed[i], p) == 0)
			return true;
	return false;
}

/* Takes single prefixes away from peers. Not every kernel and no old wireguard-go can do that, and
 * replacing a peer's list leaves a moment without any. So a scratch peer is given the prefixes, and
 * is removed. What to take is read from the kernel: a prefix that meanwhile is another peer's stays
 * there. */
static int set_allowed(struct kernel *k, const struct wg_backend *b, const struct op *ops,
		       size_t count)
{
	struct wg_link now = { 0 };
	struct wg_peer scratch = { 0 };
	int r = b->read(&k->wg, ops->link, &now);

	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct wg_peer *p = wg_link_peer(&now, ops[i].peer->key);

		for (size_t n = 0; p && n < p->allowed_count; n++)
			if (!is_wanted(&ops[i], &p->allowed[n]))
				wg_peer_add_allowed(&scratch, &p->allowed[n]);
	}
	if (r == 0 && scratch.allowed_count) {
		struct wg_change changes[2] = { { .key = scratch.key }, { .key = scratch.key } };

		crypto_random(scratch.key, KEY_LEN);
		changes[0].allowed = scratch.allowed;
		changes[0].allowed_count = scratch.allowed_count;
		changes[1].remove = true;
		r = b->apply(&k->wg, ops->link, NULL, changes, ARRAY_SIZE(changes));
	}
	wg_peer_done(&scratch);
	wg_link_done(&now);
	return r;
}

/* Ops of one kind, of one link. */
static void apply_peers(struct applying *a, const struct op *ops, size_t count)
{
	const struct wg_backend *b = NULL;
	struct rt_link l;
	int r = kernel_find(a->k, ops->link, &l, &b);

	*a->k->wg.why = '\0';
	if (r == -ENODEV && is_removal(ops->kind))
		return;
	if (r == 0)
		r = ops->kind == OP_ALLOWED_SET ? set_allowed(a->k, b, ops, count) :
						  change_peers(a->k, b, ops, count);
	if (r == 0)
		return;
	if (count == 1) {
		fail(a, ops, r);
		return;
	}
	for (size_t i = 0; i < count; i++)
		apply_peers(a, &ops[i], 1);
}

static size_t count_run(const struct op *ops, size_t count)
{
	size_t n = 1;

	if (ops->kind != OP_PEER_PUT && ops->kind != OP_ALLOWED_SET && ops->kind != OP_PEER_DEL)
		return 0;
	while (n < count && ops[n].kind == ops->kind && strcmp(ops[n].link, ops->link) == 0)
		n++;
	return n;
}

/* ---- links ---- */

/* An interface of our name without our mark: left by us between making and marking it, when it has
 * no key and no peer yet. */
static bool is_half_made(struct kernel *k, const struct wg_backend *b, const char *link)
{
	static const uint8_t no_key[KEY_LEN];
	struct wg_link l = { 0 };
	bool empty = b->read(&k->wg, link, &l) == 0 && l.peer_count == 0 &&
		     memcmp(l.private_key, no_key, KEY_LEN) == 0;

	wg_link_done(&l);
	return empty;
}

/* wireguard-go, started anew by the program that is asked for it, has made its interface and does not
 * answer yet. */
static bool is_coming(struct kernel *k, const struct wg_backend *b, const char *link)
{
	struct wg_link l = { 0 };
	int r = k->wg.folder && b == &wg_uapi ? b->read(&k->wg, link, &l) : 0;

	wg_link_done(&l);
	return r == -ECONNREFUSED;
}

/* 0: it is there, ours and works; -ENODEV: it is to be made; else it is somebody's. */
static int look_at_link(struct kernel *k, const char *link)
{
	const struct wg_backend *b;
	struct wg_link device = { 0 };
	struct rt_link l;
	int r = rt_link_get(k->wg.route, link, &l);

	if (r < 0)
		return r;
	b = kernel_backend_for(l.kind);
	if (b && !l.ours && is_coming(k, b, link))
		return -ENODEV;
	if (!b || (!l.ours && !is_half_made(k, b, link))) {
		snprintf(k->wg.why, sizeof(k->wg.why),
			 "an interface %s exists that is not ours (its alias is not \"warren\")",
			 link);
		return -EEXIST;
	}
	if (!l.ours)
		return rt_link_mark(k->wg.route, l.index);
	r = b->read(&k->wg, link, &device);
	wg_link_done(&device);
	return r == -ECONNREFUSED ? -ENODEV : r;
}

static int make_link(struct kernel *k, const char *link)
{
	int r = -EOPNOTSUPP;

	if (k->config.backend != BACKEND_USERSPACE)
		r = wg_kernel.create(&k->wg, link);
	if (r == -EOPNOTSUPP && k->config.backend != BACKEND_KERNEL)
		r = wg_uapi.create(&k->wg, link);
	return r;
}

static int add_link(struct kernel *k, const char *link)
{
	struct rt_link l;
	int r = look_at_link(k, link);

	if (r != -ENODEV)
		return r;
	*k->wg.why = '\0';
	r = make_link(k, link);
	if (r < 0)
		return r;
	*k->wg.why = '\0';
	r = rt_link_get(k->wg.route, link, &l);
	return r < 0 ? r : rt_link_mark(k->wg.route, l.index);
}

static int set_up(struct kernel *k, const struct op *op, const struct rt_link *l)
{
	int r = rt_link_up(k->wg.route, l->index);

	if (r == -EADDRINUSE)
		snprintf(k->wg.why, sizeof(k->wg.why),
			 "UDP port %u for %s is taken by another program",
			 op->device ? op->device->port : 0, op->link);
	return r;
}

static int add_route(struct kernel *k, const struct op *op, const struct rt_link *l)
{
	char prefix[PREFIX_SIZE];
	int r = rt_route_add(k->wg.route, l->index, &op->route);

	if (r == -EEXIST)
		snprintf(k->wg.why, sizeof(k->wg.why),
			 "another program has a route to %s with metric %d",
			 prefix_format(&op->route.prefix, prefix), ROUTE_METRIC);
	return r;
}

static int apply_to_link(struct kernel *k, const struct op *op, const struct rt_link *l,
			 const struct wg_backend *b)
{
	switch (op->kind) {
	case OP_LINK_DEVICE:
		return b->apply(&k->wg, op->link, op->device, NULL, 0);
	case OP_LINK_MTU:
		return rt_link_mtu(k->wg.route, l->index, op->mtu);
	case OP_ADDRESS_ADD:
		return rt_address_add(k->wg.route, l->index, &op->address);
	case OP_ADDRESS_DEL:
		return rt_address_del(k->wg.route, l->index, &op->address);
	case OP_LINK_UP:
		return set_up(k, op, l);
	case OP_ROUTE_ADD:
		return add_route(k, op, l);
	case OP_ROUTE_DEL:
		return rt_route_del(k->wg.route, l->index, &op->route.prefix);
	case OP_LINK_DEL:
		return b->destroy(&k->wg, op->link);
	default:
		return -EINVAL;
	}
}

/* ---- nft ---- */

/* Line by line, once per text. */
static void report_rules(struct kernel *k, const struct op *op)
{
	const char *text = op->nft ? op->nft : "";

	if (!op->nft)
		log_info("firewall-report", "rules=none");
	for (const char *s = text; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		_cleanup_(freep) char *line = xstrndup(s, strcspn(s, "\n"));

		log_info("firewall-report", "rule=%s", log_quote(line));
	}
	memset(k->reported, 0, sizeof(k->reported));
	if (op->nft)
		memcpy(k->reported, op->nft_hash, sizeof(k->reported));
}

/* What a rule that is gone let through, or translated, begins anew. */
static void remember_rules(struct kernel *k, const struct op *op)
{
	const char *now = op->nft;
	int r = 0;

	if (k->netfilter && nft_loses(k->nft_text, now))
		r = conntrack_flush(k->netfilter, NFT_MARK_FLOW);
	if (r < 0)
		log_warn("conntrack-flush-failed", "error=%s", strerror(-r));
	free(k->nft_text);
	k->nft_text = now ? xstrdup(now) : NULL;
}

static int apply_nft(struct kernel *k, const struct op *op)
{
	int r;

	if (k->config.firewall_report) {
		report_rules(k, op);
		return 0;
	}
	r = op->nft ? nft_apply(op->nft, op->nft_hash, k->wg.why, sizeof(k->wg.why)) :
		      nft_remove(k->wg.why, sizeof(k->wg.why));
	if (r == 0)
		remember_rules(k, op);
	return r;
}

/* What is heard of it is no news, but what others did just before is. */
static int switch_on(struct kernel *k, unsigned families)
{
	unsigned theirs;
	bool meddled;
	int r;

	kernel_watch_hear(k);
	theirs = k->switched_on;
	meddled = k->meddled;
	r = forwarding_on(k->config.forwarding, families, k->wg.why, sizeof(k->wg.why));
	kernel_watch_hear(k);
	k->switched_on = theirs;
	k->meddled = meddled;
	return r;
}

static int forward_on(struct kernel *k, const struct op *op)
{
	if (!k->config.firewall_report)
		return switch_on(k, op->forwarding);
	snprintf(
		k->wg.why, sizeof(k->wg.why),
		"this gateway's host does not forward%s%s, and with --firewall report it is not"
		" switched on, as nothing would be filtered: install the rules that the log has, then"
		" set net/ipv4/ip_forward (net/ipv6/conf/all/forwarding) to 1",
		op->forwarding & FORWARD_4 ? " IPv4" : "",
		op->forwarding & FORWARD_6 ? " IPv6" : "");
	return -EPERM;
}

static void apply_one(struct applying *a, const struct op *op)
{
	const struct wg_backend *b = NULL;
	struct kernel *k = a->k;
	struct rt_link l;
	int r;

	*k->wg.why = '\0';
	if (op->kind == OP_NFT || op->kind == OP_NFT_LAST || op->kind == OP_NFT_DEL) {
		r = apply_nft(k, op);
		a->unfiltered |= op->kind == OP_NFT && r < 0;
	} else if (op->kind == OP_FORWARD_ON) {
		r = forward_on(k, op);
	} else if (op->kind == OP_FORWARD_OFF) {
		r = forwarding_off(k->config.forwarding, op->forwarding, k->wg.why,
				   sizeof(k->wg.why));
	} else if (op->kind == OP_LINK_ADD) {
		r = add_link(k, op->link);
	} else {
		r = kernel_find(k, op->link, &l, &b);
		if (r == 0)
			r = apply_to_link(k, op, &l, b);
		else if (r == -ENODEV && is_removal(op->kind))
			r = 0;
	}
	a->staying |= r < 0 && (op->kind == OP_LINK_DEL || op->kind == OP_FORWARD_OFF);
	if (r < 0)
		fail(a, op, r);
}

int kernel_apply(struct kernel *k, const struct op *ops, size_t count,
		 void (*failed)(void *owner, const struct op *op, int error, const char *why),
		 void *owner)
{
	struct applying a = { .k = k, .failed = failed, .owner = owner, .lost = map_new() };
	bool watched = false;

	/* Peers make no events. */
	for (size_t i = 0; i < count; i++)
		watched |= !count_run(&ops[i], 1);
	if (watched)
		kernel_watch_pause(k);
	k->wg.missing = false;
	for (size_t i = 0, n; i < count; i += MAX(n, (size_t)1)) {
		n = count_run(&ops[i], count - i);
		if (op_waits(&ops[i], a.unfiltered, a.staying)) {
			a.staying |= ops[i].kind == OP_LINK_DEL;
			continue;
		}
		if (n)
			apply_peers(&a, &ops[i], n);
		else
			apply_one(&a, &ops[i]);
	}
	k->wg.unserved = k->wg.missing;
	if (watched)
		kernel_watch_resume(k);
	map_free(a.lost, NULL);
	return a.first;
}

int kernel_retry_peer(struct kernel *k, const char *link, const struct wg_peer *peer)
{
	struct wg_change changes[2] = {
		{ .key = peer->key, .remove = true },
		{ .key = peer->key, .with_keepalive = true, .keepalive = peer->keepalive },
	};
	const struct wg_backend *b;
	struct rt_link l;
	int r = kernel_find(k, link, &l, &b);

	changes[1].endpoint = peer->endpoint.addr.family ? &peer->endpoint : NULL;
	changes[1].allowed = peer->allowed;
	changes[1].allowed_count = peer->allowed_count;
	*k->wg.why = '\0';
	if (r == 0)
		r = b->apply(&k->wg, link, NULL, changes, ARRAY_SIZE(changes));
	if (r < 0)
		snprintf(k->message, sizeof(k->message), "%s: %s", link,
			 *k->wg.why ? k->wg.why : strerror(-r));
	return r;
}

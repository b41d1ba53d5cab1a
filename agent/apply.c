/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Passes over the kernel. Owns the timers and, per network, what was last applied. One thread.
 */
#include "agent/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply_private.h"
#include "agent/follow.h"
#include "agent/peers.h"
#include "agent/plan.h"
#include "agent/reach.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/text.h"

#define PERIOD (60 * USEC_PER_SEC)
#define KEEP (60 * USEC_PER_SEC)
#define EARLY_MTU 1420 /* WireGuard's own, until the network's is known */
#define BACKOFF_FIRST USEC_PER_SEC
#define BACKOFF_MAX (60 * USEC_PER_SEC)

void apply_wanted(const struct network *n, struct wanted_network *ret)
{
	*ret = (struct wanted_network){
		.interface = n->interface,
		.private_key = n->private_key,
		.port = n->port,
		.mtu = n->mtu,
		.keepalive = n->keepalive,
		.addresses = n->membership.addresses,
		.address_count = n->membership.address_count,
		.peers = n->peers,
		.gateways = n->gateways,
		.carried = &n->carried,
	};
}

static struct network *network_of(const struct apply *a, const char *interface)
{
	const struct memberships *m = a->c.memberships;

	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->list[i]->interface, interface) == 0)
			return m->list[i];
	return NULL;
}

/* ---- what was last applied ---- */

static void applied_free(void *value)
{
	wg_peer_done(value);
	free(value);
}

void apply_network_done(struct network *n)
{
	map_free(n->applied, applied_free);
	n->applied = NULL;
	free(n->applied_routes);
	n->applied_routes = NULL;
	n->applied_route_count = 0;
	n->up = false;
}

/* Of a link as it was wanted: what the gateways say, not what is only kept. */
void apply_set_routes(struct network *n, const struct wg_link *l)
{
	size_t kept = 0;

	free(n->applied_routes);
	n->applied_routes = xcalloc(l->route_count + 1, sizeof(*n->applied_routes));
	for (size_t i = 0, k = 0; i < l->route_count && k < n->carried.count;) {
		const struct carried *c = &n->carried.list[k];
		int cmp = prefix_cmp(&l->routes[i].prefix, &c->range);

		if (cmp == 0 && c->state == CARRIED)
			n->applied_routes[kept++] = l->routes[i];
		i += cmp <= 0;
		k += cmp >= 0;
	}
	n->applied_route_count = kept;
}

void apply_set_peer(struct network *n, const char *key, const struct wg_peer *p)
{
	struct wg_peer *copy = NULL, *before;

	if (p) {
		copy = xmemdup(p, sizeof(*p));
		copy->allowed = p->allowed_count ? xmemdup(p->allowed,
							   p->allowed_count * sizeof(*p->allowed)) :
						   NULL;
	}
	before = copy ? map_put(n->applied, key, copy) : map_del(n->applied, key);
	if (before)
		applied_free(before);
}

/* ---- applying ---- */

/* Nothing was added anywhere: only a full pass will do. */
static void without_rules(struct apply *a, const char *why)
{
	const struct memberships *m = a->c.memberships;

	for (size_t i = 0; i < m->count; i++) {
		snprintf(m->list[i]->problem, sizeof(m->list[i]->problem), "%s", why);
		m->list[i]->up = false;
	}
}

static void on_failed(void *owner, const struct op *op, int error, const char *why)
{
	struct apply *a = owner;
	struct network *n = op->link ? network_of(a, op->link) : NULL;

	a->failed = true;
	log_warn("apply-failed", "link=%s error=%s", op->link ? op->link : "-", log_quote(why));
	if (op->kind == OP_NFT)
		without_rules(a, why);
	if (!n) {
		snprintf(a->problem, sizeof(a->problem), "%s", why);
		return;
	}
	snprintf(n->problem, sizeof(n->problem), "%s", why);
	n->up = false;
	/* Somebody was faster: another one is looked for. */
	if (op->kind == OP_LINK_DEVICE && error == -EADDRINUSE)
		n->port = 0;
}

void apply_run(struct apply *a, const struct plan *p)
{
	char text[OP_TEXT_SIZE];

	for (size_t i = 0; i < p->count; i++) {
		op_format(&p->ops[i], text, sizeof(text));
		log_debug("apply", "op=%s", log_quote(text));
	}
	if (p->count == 0)
		return;
	if (kernel_apply(a->c.kernel, p->ops, p->count, on_failed, a) < 0)
		a->failed = true;
}

void apply_schedule(struct apply *a)
{
	uint64_t now = clock_mono(), due = now + PERIOD;

	if (a->failed) {
		a->backoff = a->backoff ? MIN(2 * a->backoff, BACKOFF_MAX) : BACKOFF_FIRST;
		due = now + a->backoff;
	} else {
		a->backoff = 0;
		*a->problem = '\0';
	}
	/* After a failure in its own time, or it would be tried without a pause. */
	if (a->kept && (!a->failed || a->keep_until > now))
		due = MIN(due, MAX(a->keep_until, now));
	loop_timer_set(a->c.loop, &a->full, due);
	if (a->c.done)
		a->c.done(a->c.owner);
}

/* What plan_forwarding has made of it. */
void apply_set_forwarding(struct apply *a, const struct host *desired, unsigned on, unsigned ours)
{
	on &= ~(ours & ~desired->forwarding);
	a->forwarding_ours = (ours & desired->forwarding) | (desired->forwarding & ~on);
	a->forwarding = on | desired->forwarding;
}

void apply_look_for_conflicts(struct apply *a, struct network *n)
{
	*n->conflict = '\0';
	for (size_t i = 0; i < n->membership.address_count && !*n->conflict; i++) {
		struct prefix range = prefix_network(&n->membership.addresses[i]);
		char text[128], of[PREFIX_SIZE];

		if (kernel_conflict(a->c.kernel, &range, text, sizeof(text)) == 1)
			snprintf(n->conflict, sizeof(n->conflict),
				 "the route %s, which is not ours, takes from the network's %s",
				 text, prefix_format(&range, of));
	}
	if (!*n->conflict)
		ranges_conflict(a->ranges, n, n->conflict, sizeof(n->conflict));
}

/* ---- the full pass ---- */

static void choose_port(struct apply *a, struct network *n, const struct wg_link *actual)
{
	uint16_t before = n->port;

	if (actual && actual->port && (!n->port || n->port == actual->port)) {
		n->port = actual->port;
	} else if (!n->port || apply_free_port(a->c.memberships, n, n->port) != n->port) {
		n->port = apply_free_port(a->c.memberships, n, n->first_port);
		if (!n->port) {
			snprintf(n->problem, sizeof(n->problem),
				 "no free UDP port from %u on: all are taken", n->first_port);
			a->failed = true;
		}
	}
	if (n->port != before) {
		memberships_store(a->c.state, n);
		log_info("port", "network=%s port=%u", n->name, n->port);
	}
}

/* network create --max-stale: what was not confirmed for so long does not count any more. */
static bool is_too_stale(const struct network *n)
{
	int64_t since = n->follow_peers && n->max_stale ? follow_stale_since(n->follow_peers) : 0;

	return since && clock_wall() - since >= n->max_stale;
}

static void drop_peers(struct wg_link *l)
{
	for (size_t i = 0; i < l->peer_count; i++)
		wg_peer_done(&l->peers[i]);
	l->peer_count = 0;
}

/* The interface of a network that is being joined. */
void apply_add_early(const struct apply *a, struct host *h)
{
	struct wg_link *l;

	if (!*a->early.name || network_of(a, a->early.name))
		return;
	l = host_add_link(h, a->early.name);
	memcpy(l->private_key, a->early.private_key, KEY_LEN);
	l->port = a->early.port;
	l->mtu = a->early.mtu;
	l->up = true;
}

static bool is_keeping(const struct apply *a)
{
	return clock_mono() < a->keep_until;
}

/* `only_look`: nothing is decided that a pass would have to hold to. */
static void make_desired(struct apply *a, const struct host *actual, bool only_look,
			 struct host *ret)
{
	const struct memberships *m = a->c.memberships;

	*ret = (struct host){ 0 };
	for (size_t i = 0; i < m->count && !only_look; i++) {
		*m->list[i]->problem = '\0';
		m->list[i]->dropped = is_too_stale(m->list[i]);
	}
	if (!only_look) {
		ranges_forget(a->ranges);
		ranges_resolve(a->ranges);
	}
	for (size_t i = 0; i < m->count; i++) {
		struct network *n = m->list[i];
		struct wanted_network w;

		if (!only_look)
			choose_port(a, n, host_link(actual, n->interface));
		apply_wanted(n, &w);
		wanted_link(&w, ret);
		if (n->dropped)
			drop_peers(&ret->links[ret->link_count - 1]);
	}
	apply_add_early(a, ret);
	host_sort(ret);
	a->kept = false;
	for (size_t i = 0; i < actual->link_count && is_keeping(a); i++) {
		const struct wg_link *l = &actual->links[i];
		const struct network *n = network_of(a, l->name);
		struct wg_link *d = host_link(ret, l->name);

		if (n && d && n->follow_peers && !follow_is_level(n->follow_peers)) {
			wanted_keep_peers(d, l);
			a->kept = true;
		}
		if (n && d && n->follow_gateways && !follow_is_level(n->follow_gateways)) {
			wanted_keep_ranges(ret, d, l);
			a->kept = true;
		}
		if (!d && !map_get(a->forgotten, l->name)) {
			wanted_keep_link(ret, l);
			a->kept = true;
		}
	}
	wanted_finish(ret, actual);
}

static void settle_full(struct apply *a, struct network *n, const struct host *desired,
			const struct host *actual)
{
	const struct wg_link *d = host_link(desired, n->interface);
	const struct wg_link *was = host_link(actual, n->interface);
	char key[KEY_BASE64_SIZE];

	if (n->up)
		for (size_t i = 0; i < d->peer_count; i++) {
			struct peer_entry *e = peers_by_key(n->peers, d->peers[i].key);

			base64_encode(d->peers[i].key, KEY_LEN, key);
			apply_set_peer(n, key, &d->peers[i]);
			if (e && (!was || !wg_link_peer(was, d->peers[i].key)))
				reach_made(n->reach, e);
			if (e)
				e->endpoint_wanted = false;
		}
	if (n->up)
		apply_set_routes(n, d);
	n->gateways_changed = false;
	if (was)
		reach_observe(n->reach, was);
	reach_store(n->reach);
	peers_touched_clear(n->peers);
	(void)a;
}

static bool is_wanted(void *owner, const char *link)
{
	const struct apply *a = owner;

	return network_of(a, link) || strcmp(a->early.name, link) == 0;
}

void apply_full(struct apply *a)
{
	const struct memberships *m = a->c.memberships;
	struct host actual, desired;
	struct plan p = { 0 };
	int r = kernel_read(a->c.kernel, &actual);

	kernel_look_begin(a->c.kernel);
	loop_timer_del(a->c.loop, &a->partial);
	a->failed = r < 0;
	if (r < 0) {
		snprintf(a->problem, sizeof(a->problem), "the kernel cannot be read: %s",
			 kernel_message(a->c.kernel));
		log_warn("kernel-read-failed", "error=%s", log_quote(kernel_message(a->c.kernel)));
		kernel_look_end(a->c.kernel);
		apply_schedule(a);
		return;
	}
	make_desired(a, &actual, false, &desired);
	plan_host(&p, &desired, &actual);
	for (size_t i = 0; i < m->count; i++) {
		apply_network_done(m->list[i]);
		m->list[i]->applied = map_new();
		m->list[i]->up = m->list[i]->port != 0;
	}
	if (p.count)
		log_info("apply-full", "ops=%zu networks=%zu", p.count, m->count);
	apply_run(a, &p);
	for (size_t i = 0; i < m->count; i++) {
		settle_full(a, m->list[i], &desired, &actual);
		apply_look_for_conflicts(a, m->list[i]);
	}
	kernel_look_end(a->c.kernel);
	memcpy(a->nft_hash, a->failed ? "" : desired.nft_hash, a->failed ? 1 : HASH_HEX_SIZE);
	apply_set_forwarding(a, &desired, actual.forwarding, actual.forwarding_ours);
	free(a->bridges);
	a->bridges = TAKE(actual.bridges);
	if (m->count)
		kernel_forget_stale_flows(a->c.kernel);
	if (!is_keeping(a))
		kernel_sweep(a->c.kernel, is_wanted, a);
	if (p.count)
		loop_timer_set(a->c.loop, &a->flows, loop_now(a->c.loop) + FLOWS);
	plan_done(&p);
	host_done(&desired);
	host_done(&actual);
	apply_schedule(a);
}

static void partial_fired(struct loop_timer *t)
{
	apply_partial(container_of(t, struct apply, partial));
}

static void full_fired(struct loop_timer *t)
{
	apply_full(container_of(t, struct apply, full));
}

static void flows_fired(struct loop_timer *t)
{
	kernel_forget_stale_flows(container_of(t, struct apply, flows)->c.kernel);
}

/* ---- */

struct apply *apply_new(const struct apply_config *c)
{
	struct apply *a = xcalloc(1, sizeof(*a));

	a->c = *c;
	a->partial.fired = partial_fired;
	a->full.fired = full_fired;
	a->keep_until = clock_mono() + KEEP;
	a->flows.fired = flows_fired;
	a->forgotten = map_new();
	a->ranges = ranges_new(&(struct ranges_config){
		.kernel = c->kernel,
		.memberships = c->memberships,
		.site = c->site,
		.brokers = c->brokers,
	});
	return a;
}

void apply_free(struct apply *a)
{
	if (!a)
		return;
	loop_timer_del(a->c.loop, &a->partial);
	loop_timer_del(a->c.loop, &a->full);
	loop_timer_del(a->c.loop, &a->flows);
	ranges_free(a->ranges);
	free(a->bridges);
	wg_link_done(&a->early);
	map_free(a->forgotten, NULL);
	free(a);
}

void apply_soon(struct apply *a)
{
	if (!a->partial.added)
		loop_timer_set(a->c.loop, &a->partial, loop_now(a->c.loop));
}

void apply_full_soon(struct apply *a)
{
	loop_timer_set(a->c.loop, &a->full, loop_now(a->c.loop));
}

void apply_forget(struct apply *a, const struct network *n)
{
	map_put(a->forgotten, n->interface, a);
}

void apply_early(struct apply *a, const char *interface, const uint8_t private_key[static KEY_LEN],
		 uint16_t port)
{
	wg_link_done(&a->early);
	snprintf(a->early.name, sizeof(a->early.name), "%s", interface);
	memcpy(a->early.private_key, private_key, KEY_LEN);
	a->early.port = port;
	a->early.mtu = EARLY_MTU;
	apply_full(a);
}

void apply_early_end(struct apply *a)
{
	bool gone = *a->early.name && !network_of(a, a->early.name);

	if (gone) {
		kernel_unask(a->c.kernel, a->early.name);
		map_put(a->forgotten, a->early.name, a);
		apply_full_soon(a);
	}
	wg_link_done(&a->early);
}

int apply_diff(struct apply *a, void (*each)(void *owner, const char *op), void *owner)
{
	struct host actual, desired;
	struct plan p = { 0 };
	char text[OP_TEXT_SIZE];
	bool kept = a->kept;
	int r = kernel_read(a->c.kernel, &actual);

	if (r < 0)
		return r;
	make_desired(a, &actual, true, &desired);
	a->kept = kept;
	plan_host(&p, &desired, &actual);
	for (size_t i = 0; i < p.count; i++) {
		op_format(&p.ops[i], text, sizeof(text));
		each(owner, text);
	}
	plan_done(&p);
	host_done(&desired);
	host_done(&actual);
	return 0;
}

bool apply_has_rules(const struct apply *a, const struct host *actual)
{
	return *a->nft_hash && strcmp(a->nft_hash, actual->nft_hash) == 0;
}

const char *apply_problem(const struct apply *a)
{
	return *a->problem ? a->problem : NULL;
}

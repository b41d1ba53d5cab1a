/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The steps of an explanation. Owns nothing; the daemon's thread.
 */
#include "agent/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/control.h"
#include "agent/endpoints.h"
#include "agent/follow.h"
#include "agent/gateways.h"
#include "agent/peers.h"
#include "agent/reach.h"
#include "lib/clock.h"
#include "lib/log.h"

#define STEPS_MAX 16
#define STEP_SIZE 512

struct why {
	const struct agent *agent;
	const struct why_kernel *kernel;
	struct arena *arena;
	struct api_why *ret;
};

/* Returns `ok`: what follows a step that failed has no meaning. */
static bool PRINTF(4, 5) step(struct why *w, const char *name, bool ok, const char *fmt, ...)
{
	struct api_why_step *s = &w->ret->steps[w->ret->step_count];
	char text[STEP_SIZE];
	va_list ap;

	if (w->ret->step_count == STEPS_MAX)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*s = (struct api_why_step){ .step = arena_strdup(w->arena, name),
				    .ok = ok,
				    .text = arena_strdup(w->arena, text) };
	w->ret->step_count++;
	w->ret->ok = ok;
	return ok;
}

static bool say_journal(struct why *w, const struct follow *f, const char *member)
{
	struct journal_position at;
	int64_t stale;

	if (!f)
		return true;
	at = replica_position(follow_replica(f));
	stale = follow_stale_since(f);
	return step(w, "journal", replica_is_ready(follow_replica(f)),
		    "document %s of journal %s, epoch %llu, version %llu%s", member, follow_path(f),
		    (unsigned long long)at.epoch, (unsigned long long)at.ver,
		    stale ? ", stale: nothing was heard of it lately, so it may be outdated" : "");
}

static const struct wg_link *link_of(const struct why *w, const struct network *n)
{
	return w->kernel->actual ? host_link(w->kernel->actual, n->interface) : NULL;
}

static bool has_allowed(const struct wg_peer *p, const struct prefix *x)
{
	for (size_t i = 0; i < p->allowed_count; i++)
		if (prefix_cmp(&p->allowed[i], x) == 0)
			return true;
	return false;
}

static bool say_interface(struct why *w, const struct network *n)
{
	const struct wg_link *l = link_of(w, n);

	if (!w->kernel->actual)
		return step(w, "interface", false, "the kernel cannot be asked: %s",
			    w->kernel->problem);
	if (!l)
		return step(w, "interface", false, "there is no interface %s%s%s", n->interface,
			    *n->problem ? ": " : "", n->problem);
	return step(w, "interface", l->up, "interface %s is %s, UDP port %u", n->interface,
		    l->up ? "up" : "down", l->port);
}

static bool say_peer(struct why *w, const struct network *n, const struct peer_entry *e,
		     const struct prefix *to)
{
	const struct wg_peer *p = wg_link_peer(link_of(w, n), e->key);
	char prefix[PREFIX_SIZE], conflict[256] = "";

	prefix_format(to, prefix);
	if (n->dropped)
		return step(w, "peer", false,
			    "the journal is stale for longer than the network's --max-stale: its "
			    "peers are dropped");
	if (!e->tunnel)
		return step(w, "peer", false, "%s is a leaf: it has tunnels with gateways only",
			    e->name);
	peers_conflict(n->peers, e, conflict, sizeof(conflict));
	if (!p || !has_allowed(p, to))
		return step(w, "peer", false, "WireGuard does not have %s with %s%s%s", e->name,
			    prefix,
			    *conflict	? ": " :
			    *n->problem ? ": " :
					  "",
			    *conflict ? conflict : n->problem);
	return step(w, "peer", true, "WireGuard's peer %s has %s in its AllowedIPs", e->name,
		    prefix);
}

static bool say_session(struct why *w, const struct network *n, const struct peer_entry *e)
{
	const struct wg_peer *p = wg_link_peer(link_of(w, n), e->key);
	int64_t last = p->last_handshake;
	char endpoint[ENDPOINT_SIZE], problem[384] = "";

	if (n->reach)
		last = reach_last_handshake(n->reach, e->id, last);
	if (endpoints_is_alive(last, clock_wall()))
		return step(w, "session", true, "%s is reached at %s, last handshake %lld s ago",
			    e->name, endpoint_format(&p->endpoint, endpoint),
			    (long long)MAX(clock_wall() - last, (int64_t)0));
	if (!n->reach || !reach_problem(n->reach, e, last, problem, sizeof(problem)))
		snprintf(problem, sizeof(problem),
			 "there was no handshake for 3 minutes: is it running?");
	return step(w, "session", false, "%s is not reached: %s", e->name, problem);
}

static const struct route *find_route(const struct wg_link *l, const struct prefix *p)
{
	for (size_t i = 0; i < l->route_count; i++)
		if (prefix_cmp(&l->routes[i].prefix, p) == 0)
			return &l->routes[i];
	return NULL;
}

/* To a member: by the interface's own address. */
static bool say_connected(struct why *w, const struct network *n, const struct addr *to)
{
	const struct wg_link *l = link_of(w, n);
	char text[PREFIX_SIZE];

	for (size_t i = 0; i < l->address_count; i++) {
		struct prefix range = prefix_network(&l->addresses[i]);

		if (!prefix_contains(&range, to))
			continue;
		if (*n->conflict)
			return step(w, "route", false, "%s", n->conflict);
		return step(w, "route", true, "%s is routed into %s", prefix_format(&range, text),
			    n->interface);
	}
	return step(w, "route", false, "%s has no address of that family", n->interface);
}

static bool say_rules(struct why *w, const char *text)
{
	return step(w, "rule", w->kernel->rules, "%s%s",
		    w->kernel->rules ? "" : "the nft table inet warren is not as it should be; ",
		    text);
}

static void explain_member(struct why *w, const struct network *n, const struct peer_entry *e,
			   const struct addr *to)
{
	struct prefix host = prefix_host(to);

	if (step(w, "network", true, "network %s, joined as %s", n->name, n->membership.name) &&
	    step(w, "node", true, "%s (%s)%s", e->name, e->id,
		 e->orphan ? ", which its coordinator does not know any more" : "") &&
	    say_journal(w, n->follow_peers, e->id) && say_interface(w, n) &&
	    say_peer(w, n, e, &host) && say_connected(w, n, to))
		say_session(w, n, e);
}

static bool say_gateway(struct why *w, const struct network *n, const struct carried *c,
			const char *node)
{
	char range[PREFIX_SIZE], why[320];
	_cleanup_(freep) char *member = xasprintf("gateway/%s", c->gateway);

	prefix_format(&c->range, range);
	if (!say_journal(w, n->follow_gateways, member))
		return false;
	switch (c->state) {
	case CARRIED:
		return step(w, "gateway", true, "gateway %s carries %s, here through %s",
			    c->gateway, range, node);
	case CARRIED_OURS:
		return step(w, "gateway", true, "gateway %s: this node itself carries %s into %s",
			    c->gateway, range, n->name);
	case CARRIED_OWN_SITE:
		return step(w, "gateway", true,
			    "%s is of this node's own site %s, which it reaches without a tunnel",
			    range, w->agent->site ? w->agent->site : "");
	default:
		carried_explain(c, node, why, sizeof(why));
		return step(w, "gateway", false, "%s", why);
	}
}

static void explain_range(struct why *w, const struct network *n, const struct carried *c)
{
	const struct peer_entry *e = peers_get(n->peers, c->node);
	const struct route *r;
	char range[PREFIX_SIZE], source[ADDR_SIZE], text[256];

	if (!step(w, "network", true, "network %s, joined as %s", n->name, n->membership.name) ||
	    !say_gateway(w, n, c, e ? e->name : ""))
		return;
	prefix_format(&c->range, range);
	if (c->state == CARRIED_OURS && say_interface(w, n)) {
		snprintf(text, sizeof(text), "%s is let in from %s, and nothing else", range,
			 n->interface);
		say_rules(w, text);
	}
	if (c->state != CARRIED || !e || !say_interface(w, n) || !say_peer(w, n, e, &c->range))
		return;
	r = find_route(link_of(w, n), &c->range);
	if (!r) {
		step(w, "route", false, "%s is not routed into %s%s%s", range, n->interface,
		     *n->problem ? ": " : "", n->problem);
		return;
	}
	addr_format(&r->source, source);
	snprintf(text, sizeof(text), "what is forwarded into %s leaves as %s", n->interface,
		 source);
	if (step(w, "route", true, "%s is routed into %s, with source %s", range, n->interface,
		 source) &&
	    say_rules(w, text))
		say_session(w, n, e);
}

/* The best that any network says of an address: what is carried, what is ours, then the rest. */
static const struct carried *find_range(const struct agent *a, const struct addr *to,
					const struct network **ret)
{
	const struct carried *best = NULL;

	for (size_t i = 0; i < a->memberships.count; i++) {
		const struct network *n = a->memberships.list[i];
		const struct carried *c = carried_find(&n->carried, to);

		if (!c || (best && best->state <= c->state))
			continue;
		best = c;
		*ret = n;
	}
	return best;
}

static void explain_address(struct why *w, const struct addr *to)
{
	const struct memberships *m = &w->agent->memberships;
	const struct network *n = NULL;
	const struct carried *c;
	char text[ADDR_SIZE];

	addr_format(to, text);
	for (size_t i = 0; i < m->count; i++) {
		const struct peer_entry *e = peers_by_address(m->list[i]->peers, to);

		for (size_t k = 0; k < m->list[i]->membership.address_count; k++)
			if (addr_cmp(&m->list[i]->membership.addresses[k].addr, to) == 0) {
				step(w, "address", true, "%s is this node's own, in network %s",
				     text, m->list[i]->name);
				return;
			}
		if (e) {
			explain_member(w, m->list[i], e, to);
			return;
		}
	}
	c = find_range(w->agent, to, &n);
	if (c) {
		explain_range(w, n, c);
		return;
	}
	for (size_t i = 0; i < m->count; i++)
		for (size_t k = 0; k < m->list[i]->membership.address_count; k++) {
			struct prefix range = prefix_network(&m->list[i]->membership.addresses[k]);

			if (prefix_contains(&range, to)) {
				step(w, "node", false,
				     "%s is in network %s, but no member has this address", text,
				     m->list[i]->name);
				return;
			}
		}
	step(w, "network", false,
	     "%s is in none of this node's networks, and no gateway of them carries it; see "
	     "warren gateway list",
	     text);
}

void why_explain(const struct agent *a, const struct why_kernel *k, const char *what,
		 struct arena *arena, struct api_why *ret)
{
	struct why w = { a, k, arena, ret };
	struct api_resolved found;
	struct addr to;
	char text[ADDR_SIZE];

	*ret = (struct api_why){ .what = arena_strdup(arena, what),
				 .steps = arena_array(arena, STEPS_MAX, sizeof(*ret->steps)) };
	if (!a->memberships.count) {
		step(&w, "network", false, "this node is in no network: warren join TOKEN");
		return;
	}
	if (addr_parse(what, &to) < 0) {
		if (!control_resolve(a, what, &found)) {
			step(&w, "name", false,
			     "%s is no node and no name of this node's networks; see warren status "
			     "and warren dns list",
			     log_quote(what));
			return;
		}
		to = found.address;
		step(&w, "name", true, "%s is %s, by network %s", log_quote(what),
		     addr_format(&to, text), found.network);
	}
	explain_address(&w, &to);
}

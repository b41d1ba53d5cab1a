/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The documents of the control socket, from the same data that was applied. Owns nothing. One thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "agent/follow.h"
#include "agent/joins.h"
#include "agent/names.h"
#include "agent/peers.h"
#include "agent/reach.h"

#define PROBLEM_SIZE 384
#define PROBLEMS_MAX 8

/* They are not changed by the encoder. */
static char *text(struct arena *arena, const char *s)
{
	return s && *s ? arena_strdup(arena, s) : NULL;
}

/* ---- networks ---- */

static int by_name(const void *a, const void *b)
{
	const struct api_status_peer *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->id, y->id);
}

/* Not one of its own addresses, but what it carries as a gateway. */
static bool carries(const struct network *n, const struct peer_entry *e, const struct prefix *p)
{
	for (size_t i = 0; i < n->carried.count; i++)
		if (n->carried.list[i].state == CARRIED &&
		    strcmp(n->carried.list[i].node, e->id) == 0 &&
		    prefix_cmp(&n->carried.list[i].range, p) == 0)
			return true;
	return false;
}

/* Ranges that are offered here and go another way, or none. */
static void fill_standby(const struct network *n, struct arena *arena,
			 struct api_status_network *ret)
{
	char sentence[PROBLEM_SIZE];

	ret->standby = arena_array(arena, n->carried.count, sizeof(*ret->standby));
	for (size_t i = 0; i < n->carried.count; i++) {
		const struct carried *c = &n->carried.list[i];
		const struct peer_entry *e = peers_get(n->peers, c->node);

		if (carried_explain(c, e ? e->name : "", sentence, sizeof(sentence)))
			ret->standby[ret->standby_count++] = arena_strdup(arena, sentence);
	}
}

static void fill_peer(const struct network *n, const struct peer_entry *e,
		      const struct wg_link *actual, struct arena *arena,
		      struct api_status_peer *ret)
{
	const struct wg_peer *p = wg_link_peer(actual, e->key);
	bool owner = peers_by_key(n->peers, e->key) == e;
	char problem[PROBLEM_SIZE];

	ret->id = arena_strdup(arena, e->id);
	ret->name = arena_strdup(arena, e->name);
	ret->addresses = arena_memdup(arena, e->addresses, sizeof(e->addresses));
	ret->address_count = e->address_count;
	ret->orphan = e->orphan;
	if (p && owner) {
		ret->endpoint = p->endpoint;
		ret->last_handshake = p->last_handshake;
		if (n->reach)
			ret->last_handshake =
				reach_last_handshake(n->reach, e->id, p->last_handshake);
		ret->rx_bytes = p->rx_bytes;
		ret->tx_bytes = p->tx_bytes;
		ret->ranges = arena_array(arena, p->allowed_count, sizeof(*ret->ranges));
		for (size_t i = 0; i < p->allowed_count; i++)
			if (carries(n, e, &p->allowed[i]))
				ret->ranges[ret->range_count++] = p->allowed[i];
	}
	if (peers_conflict(n->peers, e, problem, sizeof(problem)))
		ret->problem = arena_strdup(arena, problem);
	else if (e->tunnel && n->reach &&
		 reach_problem(n->reach, e, ret->last_handshake, problem, sizeof(problem)))
		ret->problem = arena_strdup(arena, problem);
}

static void fill_network(struct agent *a, const struct network *n, struct arena *arena,
			 struct api_status_network *ret)
{
	struct wg_link actual = { 0 };
	size_t count = peers_count(n->peers), i = 0;

	ret->name = arena_strdup(arena, n->name);
	ret->interface = arena_strdup(arena, n->interface);
	ret->backend = arena_strdup(arena, a->kernel ? kernel_backend_of(a->kernel, n->interface) :
						       "none");
	ret->port = n->port;
	ret->address_count = n->membership.address_count;
	ret->addresses = arena_array(arena, ret->address_count, sizeof(*ret->addresses));
	for (size_t k = 0; k < ret->address_count; k++)
		ret->addresses[k] = n->membership.addresses[k].addr;
	if (a->kernel && kernel_read_peers(a->kernel, n->interface, &actual) < 0)
		actual = (struct wg_link){ 0 };
	ret->peers = arena_array(arena, count, sizeof(*ret->peers));
	for (struct peer_entry *e = peers_next(n->peers, NULL); e && i < count;
	     e = peers_next(n->peers, e))
		fill_peer(n, e, &actual, arena, &ret->peers[i++]);
	ret->peer_count = i;
	if (i)
		qsort(ret->peers, i, sizeof(*ret->peers), by_name);
	fill_standby(n, arena, ret);
	ret->up = a->kernel && n->up && !n->dropped;
	if (n->dropped)
		ret->problem = arena_strdup(arena, "its journal is stale for longer than the"
						   " network's --max-stale: its peers are dropped");
	else
		ret->problem = text(arena, *n->problem ? n->problem : n->conflict);
	wg_link_done(&actual);
}

/* ---- the whole ---- */

static void fill_journal(const struct follow *f, struct arena *arena,
			 struct api_status_journal *ret)
{
	const struct replica *r = follow_replica(f);
	struct journal_position at = replica_position(r);

	ret->path = arena_strdup(arena, follow_path(f));
	ret->epoch = at.epoch;
	ret->ver = at.ver;
	ret->stale_since = follow_stale_since(f);
	ret->orphans = replica_orphan_count(r);
}

static void fill_journals(const struct agent *a, struct arena *arena, struct api_status *ret)
{
	size_t count = 2 * a->memberships.count;

	for (size_t i = 0; i < a->memberships.count; i++)
		for (size_t k = 0; names_follow_nth(a->memberships.list[i], k); k++)
			count++;
	ret->journals = arena_array(arena, count, sizeof(*ret->journals));
	for (size_t i = 0; i < a->memberships.count; i++) {
		const struct network *n = a->memberships.list[i];

		fill_journal(n->follow_gateways, arena, &ret->journals[ret->journal_count++]);
		if (n->follow_peers)
			fill_journal(n->follow_peers, arena, &ret->journals[ret->journal_count++]);
		for (size_t k = 0; names_follow_nth(n, k); k++)
			fill_journal(names_follow_nth(n, k), arena,
				     &ret->journals[ret->journal_count++]);
	}
}

static void fill_refused(const struct agent *a, struct api_status_refused *ret)
{
	*ret = (struct api_status_refused){
		.size = a->refused[REFUSED_SIZE],
		.json = a->refused[REFUSED_JSON],
		.schema = a->refused[REFUSED_SCHEMA],
		.duplicate_key = a->refused[REFUSED_DUPLICATE_KEY],
		.key = a->refused[REFUSED_KEY],
		.signer = a->refused[REFUSED_SIGNER],
		.place = a->refused[REFUSED_PLACE],
		.old = a->refused[REFUSED_OLD],
		.chunk = a->refused[REFUSED_CHUNK],
		.mesh = a->refused[REFUSED_MESH],
		.grant = a->refused[REFUSED_GRANT],
	};
	/* The transport drops what is longer before anybody looks at it. */
	if (a->session)
		ret->size += session_oversize(a->session);
}

static void add_problem(struct arena *arena, struct api_status *ret, const char *problem)
{
	if (problem && *problem)
		ret->problems[ret->problem_count++] = arena_strdup(arena, problem);
}

void control_status(struct agent *a, struct arena *arena, struct api_status *ret)
{
	const struct memberships *m = &a->memberships;
	char certificate[PROBLEM_SIZE];

	*ret = (struct api_status){ 0 };
	ret->node.id = arena_strdup(arena, a->identity.key.id);
	ret->node.name = m->count ? arena_strdup(arena, m->list[0]->membership.name) :
				    agent_wished_name(a, arena);
	ret->node.site = text(arena, m->count ? a->site : a->o.site);
	ret->node.mesh = m->count ? arena_strdup(arena, a->trust->mesh) : NULL;
	if (a->session) {
		ret->broker.url = arena_strdup(arena, session_broker(a->session));
		ret->broker.connected = session_is_connected(a->session);
		if (!ret->broker.connected)
			ret->broker.error = text(arena, session_error(a->session));
	}
	ret->coordinator.present = ret->broker.connected && a->coordinator_present;
	ret->networks = arena_array(arena, m->count, sizeof(*ret->networks));
	for (size_t i = 0; i < m->count; i++)
		fill_network(a, m->list[i], arena, &ret->networks[ret->network_count++]);
	fill_journals(a, arena, ret);
	fill_refused(a, &ret->refused);
	ret->problems = arena_array(arena, PROBLEMS_MAX, sizeof(*ret->problems));
	add_problem(arena, ret, state_problem(a->state));
	add_problem(arena, ret, a->kernel_problem);
	add_problem(arena, ret, a->apply ? apply_problem(a->apply) : NULL);
	add_problem(arena, ret, names_problem(a->names));
	add_problem(arena, ret, joins_problem(a));
	if (m->count && renew_problem(a->renew, certificate, sizeof(certificate)))
		add_problem(arena, ret, certificate);
}

/* ---- resolve ---- */

/* `name` NULL: an address in a range. */
static bool found(const struct network *n, const char *what, const char *name,
		  const struct addr *address, bool self, struct api_resolved *ret)
{
	/* Borrowed: encoded before anything changes. */
	static char what_text[HOST_SIZE], network[LABEL_SIZE], name_text[HOST_SIZE];

	snprintf(what_text, sizeof(what_text), "%s", what);
	snprintf(network, sizeof(network), "%s", n->name);
	snprintf(name_text, sizeof(name_text), "%s", name ? name : "");
	*ret = (struct api_resolved){ .what = what_text,
				      .network = network,
				      .name = name ? name_text : NULL,
				      .address = *address,
				      .self = self };
	return true;
}

static bool is_meant(const struct network *n, const char *what, const char *id, const char *name)
{
	size_t len = strlen(name);

	if (strcmp(what, id) == 0 || strcmp(what, name) == 0)
		return true;
	return strncmp(what, name, len) == 0 && what[len] == '.' &&
	       strcmp(what + len + 1, n->name) == 0;
}

static bool resolve_in(const struct agent *a, const struct network *n, const char *what,
		       struct api_resolved *ret)
{
	const struct membership *m = &n->membership;
	struct addr address;
	bool numeric = addr_parse(what, &address) == 0;

	for (size_t i = 0; i < m->address_count; i++)
		if (numeric ? addr_cmp(&address, &m->addresses[i].addr) == 0 :
			      is_meant(n, what, a->identity.key.id, m->name))
			return found(n, what, m->name, &m->addresses[i].addr, true, ret);
	if (numeric) {
		const struct peer_entry *e = peers_by_address(n->peers, &address);

		return e && found(n, what, e->name, &address, false, ret);
	}
	for (struct peer_entry *e = peers_next(n->peers, NULL); e; e = peers_next(n->peers, e))
		if (e->address_count && is_meant(n, what, e->id, e->name))
			return found(n, what, e->name, &e->addresses[0], false, ret);
	return names_resolve(n, what, &address) && found(n, what, what, &address, false, ret);
}

/* An address of a site whose range goes through the network's tunnels, or needs none from here. */
static bool resolve_behind(const struct agent *a, const struct network *n, const char *what,
			   const struct addr *address, struct api_resolved *ret)
{
	/* As above. */
	static char gateway[LABEL_SIZE];
	const struct carried *c = carried_find(&n->carried, address);
	const struct peer_entry *e;

	if (!c || (c->state != CARRIED && c->state != CARRIED_OURS && c->state != CARRIED_OWN_SITE))
		return false;
	found(n, what, NULL, address, false, ret);
	e = peers_get(n->peers, c->node);
	if (e || strcmp(c->node, a->identity.key.id) == 0) {
		snprintf(gateway, sizeof(gateway), "%s", e ? e->name : n->membership.name);
		ret->gateway = gateway;
	}
	return true;
}

bool control_resolve(const struct agent *a, const char *what, struct api_resolved *ret)
{
	const struct memberships *m = &a->memberships;
	struct addr address;

	for (size_t i = 0; i < m->count; i++)
		if (resolve_in(a, m->list[i], what, ret))
			return true;
	if (addr_parse(what, &address) < 0)
		return false;
	for (size_t i = 0; i < m->count; i++)
		if (resolve_behind(a, m->list[i], what, &address, ret))
			return true;
	return false;
}

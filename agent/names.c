/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members into zones, zones into the server's table. Owns the zones, the table and the server. One
 * thread; the server has its own.
 */
#include "agent/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dns_server.h"
#include "agent/exporters.h"
#include "agent/neighbours.h"
#include "agent/peers.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/map.h"
#include "schemas/gateway.h"

#define ADDED_MEMBER "name/"
#define LISTEN_RETRY (10 * USEC_PER_SEC)

struct names {
	struct agent *agent;
	struct dns_server *server;
	struct loop_timer retry;
	struct neighbour_set *neighbours; /* in force */
	bool neighbours_dirty;
	char problem[256];
};

/* A node's name, as the zone has it. */
struct node_name {
	struct zone_source source; /* its id points at `id` */
	char id[LABEL_SIZE];
	char name[LABEL_SIZE];
};

struct network_names {
	struct zone *zone;
	struct zone_version *version; /* in force */
	struct map *nodes;	      /* id -> struct node_name */
	struct exporters *exporters;
	struct neighbours *neighbours;
};

static const struct zone_source added_source = { .rank = ZONE_ADDED, .site = "", .id = "" };

/* ---- the table in force ---- */

static struct neighbour_set *neighbours_of_all(const struct memberships *m)
{
	const struct neighbours **list = xcalloc(m->count + 1, sizeof(*list));
	struct neighbour_set *ret;
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++)
		if (m->list[i]->names)
			list[count++] = m->list[i]->names->neighbours;
	ret = neighbours_set(list, count);
	free(list);
	return ret;
}

static void swap_table(struct names *s)
{
	const struct memberships *m = &s->agent->memberships;
	struct zone_table *t = xcalloc(1, sizeof(*t) + m->count * sizeof(*t->zones));
	struct neighbour_set *old = NULL;

	if (s->neighbours_dirty) {
		old = s->neighbours;
		s->neighbours = neighbours_of_all(m);
		s->neighbours_dirty = false;
	}
	t->neighbours = s->neighbours;
	for (size_t i = 0; i < m->count; i++)
		if (m->list[i]->names && m->list[i]->names->version)
			t->zones[t->count++] = m->list[i]->names->version;
	free(dns_server_swap(s->server, t));
	free(old);
}

static void commit(struct network *n)
{
	struct network_names *w = n->names;
	struct zone_version *old = w->version;
	struct hamt_garbage garbage = { 0 };
	bool peers = !n->follow_peers || replica_is_ready(follow_replica(n->follow_peers));

	zone_set_complete(w->zone, peers && replica_is_ready(follow_replica(n->follow_gateways)) &&
					   exporters_are_read(w->exporters));
	exporters_tell_ranges(w->exporters);
	if (!zone_is_dirty(w->zone)) {
		if (n->agent->names && n->agent->names->neighbours_dirty)
			swap_table(n->agent->names);
		return;
	}
	w->version = zone_commit(w->zone, &garbage);
	if (n->agent->names)
		swap_table(n->agent->names);
	hamt_garbage_free(&garbage);
	free(old);
}

/* ---- where it listens ---- */

static size_t add_place(struct dns_place *list, size_t count, const struct endpoint *at,
			const char *network)
{
	if (count == DNS_PLACES_MAX)
		return count;
	for (size_t i = 0; i < count; i++)
		if (endpoint_cmp(&list[i].at, at) == 0)
			return count;
	list[count] = (struct dns_place){ .at = *at };
	memcpy(list[count].network, network, strlen(network));
	return count + 1;
}

static void listen_everywhere(struct names *s)
{
	const struct memberships *m = &s->agent->memberships;
	struct dns_place *places = xcalloc(DNS_PLACES_MAX, sizeof(*places));
	char why[sizeof(s->problem)] = "";
	size_t count = 0;

	for (size_t i = 0; i < s->agent->o.dns_count; i++)
		count = add_place(places, count, &s->agent->o.dns[i], "");
	for (size_t i = 0; i < m->count; i++) {
		const struct network *n = m->list[i];

		for (size_t k = 0; n->names && k < n->membership.address_count; k++) {
			struct endpoint at = { n->membership.addresses[k].addr, DNS_PORT };

			count = add_place(places, count, &at, n->name);
		}
	}
	if (dns_server_listen(s->server, places, count, why, sizeof(why)))
		loop_timer_set(s->agent->loop, &s->retry, loop_now(s->agent->loop) + LISTEN_RETRY);
	else
		loop_timer_del(s->agent->loop, &s->retry);
	if (*why && strcmp(why, s->problem) != 0)
		log_warn("names-not-answered", "why=%s", log_quote(why));
	memcpy(s->problem, why, sizeof(why));
	free(places);
}

static void retry_fired(struct loop_timer *t)
{
	listen_everywhere(container_of(t, struct names, retry));
}

/* ---- nodes ---- */

static void node_del(struct network_names *w, const char *id)
{
	struct node_name *x = map_del(w->nodes, id);

	if (x)
		zone_del(w->zone, &x->source, x->name);
	free(x);
}

static void node_put(struct network_names *w, const char *id, const char *name, bool orphan,
		     struct addr *addresses, size_t count)
{
	struct record r = { .addresses = addresses, .address_count = count };
	enum zone_rank rank = orphan ? ZONE_ORPHAN : ZONE_NODE;
	struct node_name *x = map_get(w->nodes, id), *new;

	if (x && x->source.rank == rank && strcmp(x->name, name) == 0) {
		zone_put(w->zone, &x->source, name, &r);
		return;
	}
	new = xcalloc(1, sizeof(*new));
	strncpy(new->id, id, LABEL_SIZE - 1);
	strncpy(new->name, name, LABEL_SIZE - 1);
	new->source = (struct zone_source){ .rank = rank, .site = "", .id = new->id };
	/* First the new name, then the old one: it is never without. */
	zone_put(w->zone, &new->source, new->name, &r);
	if (x)
		zone_del(w->zone, &x->source, x->name);
	free(x);
	map_put(w->nodes, id, new);
}

static void self_put(struct network *n)
{
	const struct membership *m = &n->membership;
	struct addr addresses[PEER_ADDRESSES_MAX];
	struct prefix ranges[PEER_ADDRESSES_MAX];
	size_t count = MIN(m->address_count, (size_t)PEER_ADDRESSES_MAX);

	for (size_t i = 0; i < count; i++) {
		addresses[i] = m->addresses[i].addr;
		ranges[i] = prefix_network(&m->addresses[i]);
	}
	node_put(n->names, n->agent->identity.key.id, m->name, false, addresses, count);
	zone_set_self(n->names->zone, m->name, ranges, count);
}

/* Of the own site, or this node: it may ask at --dns from where it can be reached. */
static void neighbour_changed(struct network *n, const char *id, const struct peer_entry *e)
{
	const char *site = n->agent->site;
	bool is_near = e && (strcmp(id, n->agent->identity.key.id) == 0 ||
			     (site && e->site && strcmp(site, e->site) == 0));
	bool changed = is_near ? neighbours_put(n->names->neighbours, id, e->endpoints,
						e->endpoint_count) :
				 neighbours_del(n->names->neighbours, id);

	if (n->agent->names)
		n->agent->names->neighbours_dirty |= changed;
}

static void peer_changed(struct network *n, const char *id)
{
	struct peer_entry *e = peers_get(n->peers, id);

	neighbour_changed(n, id, e);
	if (strcmp(id, n->agent->identity.key.id) == 0)
		return;
	if (e)
		node_put(n->names, id, e->name, e->orphan, e->addresses, e->address_count);
	else
		node_del(n->names, id);
}

static void read_peers(struct network *n)
{
	peer_changed(n, n->agent->identity.key.id);
	for (struct peer_entry *e = peers_next(n->peers, NULL); e; e = peers_next(n->peers, e))
		peer_changed(n, e->id);
}

/* ---- added names ---- */

static bool is_added(const char *member)
{
	return strncmp(member, ADDED_MEMBER, strlen(ADDED_MEMBER)) == 0;
}

static void added_put(struct network *n, const char *member, const char *body)
{
	struct added_name what = { 0 };
	struct arena a = { 0 };
	struct record r = { 0 };
	enum refusal refused;

	refused = body_decode(&a, body, strlen(body), added_name_fields, &what, NULL);
	if (refused) {
		n->agent->refused[refused]++;
		log_warn("member-refused", "network=%s member=%s cause=%s", n->name,
			 log_quote(member), refusal_names[refused]);
	} else {
		r.addresses = what.addresses;
		r.address_count = what.address_count;
		zone_put(n->names->zone, &added_source, member + strlen(ADDED_MEMBER), &r);
	}
	arena_done(&a);
}

static void added_changed(struct network *n, const struct replica_change *c)
{
	if (!is_added(c->name))
		return;
	if (c->change == MEMBER_DEL)
		zone_del(n->names->zone, &added_source, c->name + strlen(ADDED_MEMBER));
	else
		added_put(n, c->name, c->body);
}

static void read_added(struct network *n)
{
	const struct replica *r = follow_replica(n->follow_gateways);

	for (const char *name = replica_next(r, NULL); name; name = replica_next(r, name))
		if (is_added(name))
			added_put(n, name, replica_get(r, name, NULL));
}

/* ---- what the networks tell ---- */

void names_changed(struct network *n, const struct follow *f, const struct replica_change *changes,
		   size_t count, bool all)
{
	if (!n->names)
		return;
	if (f == n->follow_peers) {
		if (all)
			read_peers(n);
		for (size_t i = 0; i < count; i++)
			peer_changed(n, changes[i].name);
	} else {
		if (all)
			read_added(n);
		for (size_t i = 0; i < count; i++)
			added_changed(n, &changes[i]);
		exporters_gateways_changed(n->names->exporters, changes, count, all);
	}
	commit(n);
}

void names_membership_changed(struct network *n)
{
	if (!n->names)
		return;
	self_put(n);
	commit(n);
	if (n->agent->names)
		listen_everywhere(n->agent->names);
}

void names_connected(struct network *n)
{
	if (n->names)
		exporters_connected(n->names->exporters);
}

void names_set_minimum(struct network *n, const char *path, struct journal_position at,
		       const char *topic, const char *document)
{
	if (!n->names)
		return;
	exporters_set_minimum(n->names->exporters, path, at, topic, document);
	commit(n);
}

void names_rewrite(struct network *n)
{
	if (n->names)
		exporters_rewrite(n->names->exporters);
}

/* ---- readings ---- */

struct follow *names_follow(const struct network *n, const char *exporter)
{
	return n->names ? exporters_follow(n->names->exporters, exporter) : NULL;
}

struct follow *names_follow_nth(const struct network *n, size_t i)
{
	return n->names ? exporters_nth(n->names->exporters, i) : NULL;
}

bool names_exporter_key(const struct network *n, const char *id, uint8_t ret[static KEY_LEN])
{
	return n->names && exporters_key(n->names->exporters, id, ret);
}

struct exporters *names_exporters(const struct network *n)
{
	return n->names ? n->names->exporters : NULL;
}

static bool first_address(const struct zone_record *r, struct addr *ret)
{
	if (r->address_count)
		*ret = r->addresses[0];
	else if (r->endpoint_count)
		*ret = r->endpoints[0].addresses[0];
	return r->address_count || r->endpoint_count;
}

bool names_resolve(const struct network *n, const char *what, struct addr *ret)
{
	size_t len = strlen(what), network = strlen(n->name);
	const struct zone_entry *e = NULL;

	if (!n->names || !n->names->version)
		return false;
	if (len > network + 1 && strcmp(what + len - network, n->name) == 0 &&
	    what[len - network - 1] == '.')
		e = zone_find(n->names->version, what, len - network - 1);
	if (!e)
		e = zone_find(n->names->version, what, len);
	return e && e->used && first_address(e->slots[0].record, ret);
}

/* ---- life ---- */

void names_start(struct network *n)
{
	struct network_names *w = xcalloc(1, sizeof(*w));

	w->zone = zone_new(n->name, n->agent->site ? n->agent->site : "");
	w->nodes = map_new();
	w->neighbours = neighbours_new();
	n->names = w;
	self_put(n);
	read_peers(n);
	if (replica_is_ready(follow_replica(n->follow_gateways)))
		read_added(n);
	w->exporters = exporters_new(n, w->zone, commit);
	commit(n);
	if (n->agent->names)
		listen_everywhere(n->agent->names);
}

void names_stop(struct network *n)
{
	struct network_names *w = TAKE(n->names);

	if (!w)
		return;
	if (n->agent->names) {
		n->agent->names->neighbours_dirty = true;
		swap_table(n->agent->names);
		listen_everywhere(n->agent->names);
	}
	free(w->version);
	zone_free(w->zone);
	exporters_free(w->exporters);
	map_free(w->nodes, free);
	neighbours_free(w->neighbours);
	free(w);
}

int names_new(struct agent *a, struct names **ret, char *why, size_t why_size)
{
	struct names *s = xcalloc(1, sizeof(*s));
	int r;

	s->agent = a;
	s->neighbours_dirty = true; /* networks may be there already */
	s->retry.fired = retry_fired;
	r = dns_server_new(&(struct dns_server_config){ a->o.dns_allow, a->o.dns_allow_count },
			   &s->server);
	if (r < 0) {
		snprintf(why, why_size, "the DNS server cannot be started: %s", strerror(-r));
		free(s);
		return r;
	}
	listen_everywhere(s);
	*ret = s;
	return 0;
}

void names_free(struct names *s)
{
	if (!s)
		return;
	loop_timer_del(s->agent->loop, &s->retry);
	free(dns_server_free(s->server));
	free(s->neighbours);
	free(s);
}

const char *names_problem(const struct names *s)
{
	return s && *s->problem ? s->problem : NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A membership at run time: from its journals to its peers. Owns, in struct network, the journals'
 * replicas, the table of peers, and the reaching. One thread.
 */
#include "agent/networks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/early.h"
#include "agent/follow.h"
#include "agent/inbox.h"
#include "agent/names.h"
#include "agent/own.h"
#include "agent/peers.h"
#include "agent/reach.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SETTINGS_MEMBER "settings"
#define GATEWAY_MEMBER "gateway/"

/* ---- of the connection ---- */

static void on_subscribe(void *owner, const char *topic)
{
	struct network *n = owner;

	if (n->agent->session)
		session_subscribe(n->agent->session, topic);
}

static void on_unsubscribe(void *owner, const char *topic)
{
	struct network *n = owner;

	if (n->agent->session)
		session_unsubscribe(n->agent->session, topic);
}

static void on_publish(void *owner, const char *topic, const void *bytes, size_t len)
{
	struct network *n = owner;

	if (n->agent->session)
		session_publish(n->agent->session, topic, bytes, len, false);
}

static void ep_filter(const struct network *n, char ret[static TOPIC_SIZE])
{
	struct topic t = { .kind = TOPIC_EP };
	char *end;

	memcpy(t.network, n->name, LABEL_SIZE);
	memcpy(t.id, n->agent->identity.key.id, KEY_ID_SIZE);
	topic_format(n->agent->trust->mesh, &t, ret);
	end = strrchr(ret, '/');
	memcpy(end, "/+", 3);
}

/* Registers of nodes can be checked once the members are known. */
static void subscribe_ep(struct network *n)
{
	char topic[TOPIC_SIZE];

	if (!session_is_connected(n->agent->session))
		return;
	ep_filter(n, topic);
	session_subscribe(n->agent->session, topic);
}

static void ep_path(const struct network *n, const char *id, char ret[static TOPIC_SIZE])
{
	snprintf(ret, TOPIC_SIZE, "n/%s/ep/%s", n->name, id);
}

/* ---- members ---- */

static void self_of(const struct network *n, struct peers_self *ret)
{
	*ret = (struct peers_self){
		.id = n->agent->identity.key.id,
		.key = n->public_key,
		.addresses = n->membership.addresses,
		.address_count = n->membership.address_count,
	};
}

static bool is_self(const struct network *n, const char *id)
{
	return strcmp(id, n->agent->identity.key.id) == 0;
}

/* Its register may have come before it. */
static void take_early(struct network *n, const char *id)
{
	struct topic t = { .kind = TOPIC_EP };
	char topic[TOPIC_SIZE];
	struct buf bytes = { 0 };

	if (!early_take(n->early, id, &bytes))
		return;
	memcpy(t.network, n->name, LABEL_SIZE);
	snprintf(t.id, sizeof(t.id), "%s", id);
	topic_format(n->agent->trust->mesh, &t, topic);
	if (inbox_take(n->agent, topic, bytes.data, bytes.len))
		log_debug("register-refused", "network=%s node=%s", n->name, id);
	buf_done(&bytes);
}

static void peer_put(struct network *n, const char *id, const char *body, bool orphan)
{
	struct peer p = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	char text[JSON_ERROR_SIZE];
	enum refusal refused;

	refused = strlen(id) < LABEL_SIZE ?
			  body_decode(&a, body, strlen(body), peer_fields, &p, &err) :
			  REFUSED_SCHEMA;
	if (refused) {
		n->agent->refused[refused]++;
		log_warn("member-refused", "network=%s member=%s why=%s", n->name, log_quote(id),
			 strlen(id) < LABEL_SIZE ? json_error_text(&err, text) : "name");
	} else if (peers_put(n->peers, id, &p, orphan) && !is_self(n, id) && n->reach) {
		reach_update(n->reach, peers_get(n->peers, id));
	} else if (is_self(n, id)) {
		announce_soon(n->agent);
	}
	if (!refused)
		take_early(n, id);
	arena_done(&a);
}

static void peer_del(struct network *n, const char *id)
{
	char path[TOPIC_SIZE];

	if (is_self(n, id)) {
		/* One of before a join that we have the answer of says nothing about now. */
		if (!follow_is_past_minimum(n->follow_peers) || n->ended)
			return;
		n->ended = true;
		agent_work_soon(n->agent);
		return;
	}
	peers_del(n->peers, id);
	ep_path(n, id, path);
	state_register_del(n->agent->state, path);
	if (n->reach)
		reach_forget(n->reach, id);
}

static void take_settings(struct network *n)
{
	const struct replica *r = follow_replica(n->follow_gateways);
	const char *body = replica_get(r, SETTINGS_MEMBER, NULL);
	struct settings s = { 0 };
	struct arena a = { 0 };
	enum refusal refused;

	if (body) {
		refused = body_decode(&a, body, strlen(body), settings_fields, &s, NULL);
		if (refused) {
			n->agent->refused[refused]++;
			log_warn("member-refused", "network=%s member=settings", n->name);
			arena_done(&a);
			return;
		}
	} else {
		s.mtu = n->membership.mtu;
		s.keepalive = n->membership.keepalive;
		s.port = n->membership.port;
	}
	if (n->mtu != s.mtu || n->keepalive != s.keepalive)
		if (n->agent->apply)
			apply_full_soon(n->agent->apply);
	n->mtu = (uint32_t)s.mtu;
	n->keepalive = (uint16_t)s.keepalive;
	n->first_port = s.port;
	n->max_stale = (int64_t)s.max_stale;
	arena_done(&a);
}

static void gateway_put(struct network *n, const char *member, const char *body)
{
	const char *id = member + strlen(GATEWAY_MEMBER);
	struct gateway g = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	char text[JSON_ERROR_SIZE];
	enum refusal refused;

	refused = strlen(id) < LABEL_SIZE ?
			  body_decode(&a, body, strlen(body), gateway_fields, &g, &err) :
			  REFUSED_SCHEMA;
	if (refused) {
		n->agent->refused[refused]++;
		log_warn("member-refused", "network=%s member=%s why=%s", n->name,
			 log_quote(member),
			 strlen(id) < LABEL_SIZE ? json_error_text(&err, text) : "name");
	} else {
		gateways_put(n->gateways, id, &g);
		n->gateways_changed = true;
	}
	arena_done(&a);
}

static bool is_gateway(const char *member)
{
	return strncmp(member, GATEWAY_MEMBER, strlen(GATEWAY_MEMBER)) == 0;
}

static void gateway_changed(struct network *n, const struct replica_change *c)
{
	if (!is_gateway(c->name))
		return;
	if (c->change != MEMBER_DEL) {
		gateway_put(n, c->name, c->body);
		return;
	}
	gateways_del(n->gateways, c->name + strlen(GATEWAY_MEMBER));
	n->gateways_changed = true;
}

static void read_gateways(struct network *n)
{
	const struct replica *r = follow_replica(n->follow_gateways);

	for (const char *name = replica_next(r, NULL); name; name = replica_next(r, name))
		if (is_gateway(name))
			gateway_put(n, name, replica_get(r, name, NULL));
}

static void restore_ep(void *owner, const char *path, uint64_t seq, const char *body)
{
	struct network *n = owner;
	const char *id = strrchr(path, '/');
	struct ep ep = { 0 };
	struct arena a = { 0 };

	(void)seq;
	if (id && body && !body_decode(&a, body, strlen(body), ep_fields, &ep, NULL))
		peers_put_ep(n->peers, id + 1, &ep);
	arena_done(&a);
}

/* Reads every member: at the start, and when the journal was read for the first time. */
static void read_all(struct network *n)
{
	const struct replica *r = follow_replica(n->follow_peers);
	char prefix[TOPIC_SIZE];
	bool orphan;

	for (const char *id = replica_next(r, NULL); id; id = replica_next(r, id)) {
		const char *body = replica_get(r, id, &orphan);

		peer_put(n, id, body, orphan);
	}
	ep_path(n, "", prefix);
	state_register_each(n->agent->state, prefix, restore_ep, n);
}

static void on_changed(void *owner, struct follow *f, const struct replica_change *changes,
		       size_t count, bool all)
{
	struct network *n = owner;

	if (f == n->follow_gateways) {
		take_settings(n);
		if (all)
			read_gateways(n);
	} else if (all) {
		read_all(n);
		subscribe_ep(n);
	}
	for (size_t i = 0; i < count && f == n->follow_peers; i++)
		if (changes[i].change == MEMBER_DEL)
			peer_del(n, changes[i].name);
		else
			peer_put(n, changes[i].name, changes[i].body,
				 changes[i].change == MEMBER_ORPHANED);
	for (size_t i = 0; i < count && f == n->follow_gateways; i++)
		gateway_changed(n, &changes[i]);
	names_changed(n, f, changes, count, all);
	if (n->agent->apply)
		apply_soon(n->agent->apply);
	if (n->agent->joins)
		agent_work_soon(n->agent);
}

/* ---- life ---- */

struct follow *network_follow_journal(struct network *n, const struct topic *journal,
				      void (*changed)(void *owner, struct follow *f,
						      const struct replica_change *changes,
						      size_t count, bool all))
{
	struct agent *a = n->agent;
	struct follow_config c = {
		.loop = a->loop,
		.state = a->state,
		.mesh = a->trust->mesh,
		.journal = *journal,
		.identity = &a->identity.key,
		.keys = &a->keyring,
		.subscribe = on_subscribe,
		.unsubscribe = on_unsubscribe,
		.publish = on_publish,
		.changed = changed,
		.owner = n,
	};

	return follow_new(&c);
}

static struct follow *follow(struct network *n, enum journal_kind kind)
{
	struct topic journal = { .kind = TOPIC_JOURNAL, .journal = kind };

	memcpy(journal.network, n->name, LABEL_SIZE);
	return network_follow_journal(n, &journal, on_changed);
}

void network_addresses_changed(struct network *n)
{
	struct prefix ranges[PEER_ADDRESSES_MAX];
	size_t count = MIN(n->membership.address_count, (size_t)PEER_ADDRESSES_MAX);

	if (!n->reach)
		return;
	for (size_t i = 0; i < count; i++)
		ranges[i] = prefix_network(&n->membership.addresses[i]);
	reach_set_own(n->reach, n->agent->candidates, n->agent->candidate_count, ranges, count);
}

static bool on_wanted(void *owner, const uint8_t key[static KEY_LEN], struct wg_peer *ret)
{
	const struct network *n = owner;
	struct wanted_network w;

	apply_wanted(n, &w);
	return n->up && !n->dropped && wanted_peer(&w, key, ret);
}

static void on_reach_changed(void *owner)
{
	struct network *n = owner;

	apply_soon(n->agent->apply);
}

void network_kernel_came(struct network *n)
{
	struct agent *a = n->agent;

	n->reach = reach_new(&(struct reach_config){
		.loop = a->loop,
		.kernel = a->kernel,
		.state = a->state,
		.peers = n->peers,
		.network = n->name,
		.interface = n->interface,
		.wanted = on_wanted,
		.changed = on_reach_changed,
		.owner = n,
	});
	network_addresses_changed(n);
	for (struct peer_entry *e = peers_next(n->peers, NULL); e; e = peers_next(n->peers, e))
		reach_update(n->reach, e);
}

void network_start(struct agent *a, struct network *n)
{
	struct peers_self self;

	n->agent = a;
	own_restore(n, a->state);
	self_of(n, &self);
	n->peers = peers_new(&self);
	n->gateways = gateways_new();
	n->follow_gateways = follow(n, JOURNAL_GATEWAYS);
	/* A leaf takes its few peers from the gateways. */
	if (n->membership.role != ROLE_LEAF)
		n->follow_peers = follow(n, JOURNAL_PEERS);
	take_settings(n);
	read_gateways(n);
	if (n->follow_peers)
		read_all(n);
	names_start(n);
	if (a->kernel)
		network_kernel_came(n);
	if (session_is_connected(a->session))
		network_connected(n);
}

void network_stop(struct network *n)
{
	char topic[TOPIC_SIZE];

	if (!n->peers)
		return;
	names_stop(n);
	if (session_is_connected(n->agent->session)) {
		ep_filter(n, topic);
		session_unsubscribe(n->agent->session, topic);
		follow_end(n->follow_gateways);
		if (n->follow_peers)
			follow_end(n->follow_peers);
	}
	early_free(TAKE(n->early));
	if (n->reach && !n->ended)
		reach_store(n->reach);
	reach_free(n->reach);
	follow_free(n->follow_gateways);
	follow_free(n->follow_peers);
	peers_free(n->peers);
	gateways_free(n->gateways);
	carried_set_done(&n->carried);
	apply_network_done(n);
	n->reach = NULL;
	n->follow_gateways = n->follow_peers = NULL;
	n->peers = NULL;
	n->gateways = NULL;
}

void network_membership_changed(struct network *n)
{
	struct peers_self self;

	self_of(n, &self);
	peers_set_self(n->peers, &self);
	take_settings(n);
	network_addresses_changed(n);
	names_membership_changed(n);
	if (n->agent->apply)
		apply_full_soon(n->agent->apply);
}

void network_connected(struct network *n)
{
	/* Whether our register is still there is told by what comes. */
	n->register_seq = 0;
	follow_connected(n->follow_gateways);
	names_connected(n);
	if (!n->follow_peers)
		return;
	follow_connected(n->follow_peers);
	if (replica_is_ready(follow_replica(n->follow_peers)))
		subscribe_ep(n);
}

struct follow *network_follow(const struct network *n, const struct topic *t)
{
	switch (t->journal) {
	case JOURNAL_PEERS:
		return n->follow_peers;
	case JOURNAL_GATEWAYS:
		return n->follow_gateways;
	default:
		return names_follow(n, t->exporter);
	}
}

void network_received(struct network *n)
{
	if (n->was_level || !n->follow_peers || !follow_is_level(n->follow_peers) ||
	    !follow_is_level(n->follow_gateways))
		return;
	/* What the kernel has and nobody knows has been waiting for this. */
	n->was_level = true;
	if (n->agent->apply)
		apply_full_soon(n->agent->apply);
}

/* ---- endpoints ---- */

static void set_register(struct network *n, const struct ep *ep)
{
	for (size_t i = 0; i < n->register_count; i++)
		free(n->register_list[i]);
	free(n->register_list);
	n->register_seq = ep ? ep->seq : 0;
	n->register_count = ep ? ep->endpoint_count : 0;
	n->register_list = ep ? xcalloc(ep->endpoint_count + 1, sizeof(char *)) : NULL;
	for (size_t i = 0; i < n->register_count; i++)
		n->register_list[i] = xstrdup(ep->endpoints[i]);
	announce_soon(n->agent);
}

void network_ep(struct network *n, const char *id, const struct ep *ep, const char *body)
{
	char path[TOPIC_SIZE];

	if (is_self(n, id)) {
		set_register(n, ep);
		return;
	}
	if (!ep || !peers_get(n->peers, id))
		return;
	if (ep->seq <= peers_get(n->peers, id)->register_seq)
		return;
	ep_path(n, id, path);
	state_register_put(n->agent->state, path, ep->seq, body);
	if (peers_put_ep(n->peers, id, ep) && n->reach)
		reach_update(n->reach, peers_get(n->peers, id));
	if (n->agent->apply)
		apply_soon(n->agent->apply);
}

/* ---- */

bool network_is_applied(const struct network *n)
{
	if (!n->up || !replica_is_ready(follow_replica(n->follow_gateways)))
		return false;
	if (!n->follow_peers)
		return true;
	return replica_is_ready(follow_replica(n->follow_peers)) &&
	       !peers_touched_next(n->peers, NULL);
}

static void rewrite_eps(struct network *n)
{
	struct buf body = { 0 };
	char path[TOPIC_SIZE];

	for (struct peer_entry *e = peers_next(n->peers, NULL); e; e = peers_next(n->peers, e)) {
		struct ep ep = { .seq = e->register_seq,
				 .endpoints = e->ep,
				 .endpoint_count = e->ep_count };

		if (!e->register_seq)
			continue;
		buf_clear(&body);
		json_encode(&body, ep_fields, &ep);
		ep_path(n, e->id, path);
		state_register_put(n->agent->state, path, ep.seq, buf_cstr(&body));
	}
	buf_done(&body);
}

void network_rewrite(struct network *n)
{
	if (!n->peers)
		return;
	own_rewrite(n);
	follow_rewrite(n->follow_gateways);
	if (n->follow_peers)
		follow_rewrite(n->follow_peers);
	names_rewrite(n);
	rewrite_eps(n);
}

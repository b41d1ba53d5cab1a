/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Announcing our endpoints: in the request to join, and by the register n/<net>/ep/<node> while they
 * are others than those in our peer member. Owns nothing. One thread.
 */
#include <string.h>

#include "agent/endpoints.h"
#include "agent/follow.h"
#include "agent/networks.h"
#include "agent/peers.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SETTLE (300 * USEC_PER_MSEC) /* what belongs together comes together */

size_t announce_list(struct agent *a, struct arena *arena, uint16_t port,
		     char *ret[static PEER_ENDPOINTS_MAX])
{
	return endpoints_own(arena, a->o.endpoints, a->o.endpoint_count, a->candidates,
			     a->candidate_count, port, ret);
}

static void publish(struct agent *a, struct network *n, uint64_t seq, char **list, size_t count)
{
	struct ep ep = { .seq = seq, .endpoints = list, .endpoint_count = count };
	const struct sign_key *key = &a->identity.key;
	struct topic t = { .kind = TOPIC_EP };
	struct buf body = { 0 }, document = { 0 };
	char topic[TOPIC_SIZE];

	memcpy(t.network, n->name, LABEL_SIZE);
	memcpy(t.id, key->id, KEY_ID_SIZE);
	topic_format(a->trust->mesh, &t, topic);
	json_encode(&body, ep_fields, &ep);
	document_sign(&document, topic, buf_cstr(&body), body.len, &key, 1);
	n->ep_seq = seq;
	memberships_store(a->state, n);
	log_info("endpoints-announced", "network=%s seq=%llu count=%zu", n->name,
		 (unsigned long long)seq, count);
	session_publish(a->session, topic, document.data, document.len, true);
	buf_done(&body);
	buf_done(&document);
	network_ep(n, key->id, &ep, NULL);
}

static void announce(struct agent *a, struct network *n)
{
	const struct peer_entry *self = peers_self_entry(n->peers);
	char *list[PEER_ENDPOINTS_MAX];
	struct endpoints_known known;
	struct arena arena = { 0 };
	size_t count;
	uint64_t seq;

	/* Before our own member is read nobody knows what others know. */
	if (!n->up || n->ended || !self || !follow_is_level(n->follow_peers))
		return;
	known = (struct endpoints_known){
		.member = self->endpoints,
		.member_count = self->endpoint_count,
		.ep_seq = self->ep_seq,
		.ep = n->register_list,
		.ep_count = n->register_count,
		.register_seq = n->register_seq,
		.highest = n->ep_seq,
	};
	count = announce_list(a, &arena, n->port, list);
	seq = endpoints_publish_seq(&known, list, count);
	if (seq)
		publish(a, n, seq, list, count);
	arena_done(&arena);
}

void announce_soon(struct agent *a)
{
	if (!a->announce.added && a->session)
		loop_timer_set(a->loop, &a->announce, clock_mono() + SETTLE);
}

void announce_fired(struct loop_timer *t)
{
	struct agent *a = container_of(t, struct agent, announce);

	for (size_t i = 0; i < a->memberships.count; i++)
		if (session_is_connected(a->session))
			announce(a, a->memberships.list[i]);
}

static bool is_in(const struct addr *x, const struct addr *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (addr_cmp(x, &list[i]) == 0)
			return true;
	return false;
}

/* A connection from an address that is gone is dead, and would notice that after minutes. */
static bool has_lost_one(const struct agent *a, const struct addr *now, size_t count)
{
	for (size_t i = 0; i < a->candidate_count; i++)
		if (!is_in(&a->candidates[i], now, count))
			return true;
	return false;
}

void announce_addresses(struct agent *a)
{
	struct addr now[CANDIDATES_MAX];
	size_t count = 0;

	if (kernel_candidates(a->kernel, now, CANDIDATES_MAX, &count) < 0) {
		log_warn("addresses-unreadable", "error=%s", log_quote(kernel_message(a->kernel)));
		return;
	}
	if (count == a->candidate_count && memcmp(now, a->candidates, count * sizeof(*now)) == 0)
		return;
	if (has_lost_one(a, now, count) && a->session) {
		a->reconnect = true;
		agent_work_soon(a);
	}
	memcpy(a->candidates, now, count * sizeof(*now));
	a->candidate_count = count;
	for (size_t i = 0; i < a->memberships.count; i++)
		network_addresses_changed(a->memberships.list[i]);
	announce_soon(a);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What arrives. Owns nothing. One thread.
 */
#include "agent/inbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/early.h"
#include "agent/follow.h"
#include "agent/leaves.h"
#include "agent/networks.h"
#include "agent/own.h"
#include "agent/peers.h"
#include "lib/log.h"

/* ---- c/trust ---- */

/* Signing keys that were valid and are no longer: nothing rests on their word any more. */
static void revoke_others(struct agent *a, char (*before)[KEY_ID_SIZE], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (trust_is_valid(a->trust, before[i]))
			continue;
		log_warn("signing-key-revoked", "key=%s", before[i]);
		for (size_t n = 0; n < a->memberships.count; n++) {
			follow_revoke(a->memberships.list[n]->follow_gateways, before[i]);
			if (a->memberships.list[n]->follow_peers)
				follow_revoke(a->memberships.list[n]->follow_peers, before[i]);
		}
	}
}

static void endpoints_of(const struct trust *t, struct buf *out)
{
	for (size_t i = 0; i < t->body.broker_count; i++)
		buf_printf(out, "%s ", t->body.brokers[i]);
	for (size_t i = 0; i < t->body.ca_count; i++)
		buf_str(out, t->body.cas[i]);
}

static enum refusal take_trust(struct agent *a, const void *bytes, size_t len)
{
	size_t count = a->trust->body.signing_key_count, revoked = 0;
	char(*before)[KEY_ID_SIZE] = xcalloc(count + 1, sizeof(*before));
	struct buf old = { 0 }, new = { 0 };
	uint64_t seq = a->trust->body.seq;
	enum refusal refused;

	for (size_t i = 0; i < count; i++)
		memcpy(before[i], a->trust->signing_keys[i].id, KEY_ID_SIZE);
	endpoints_of(a->trust, &old);
	refused = trust_take(a->trust, bytes, len, &revoked);
	if (!refused && a->trust->body.seq != seq) {
		log_info("trust", "seq=%llu signing_keys=%zu",
			 (unsigned long long)a->trust->body.seq, a->trust->body.signing_key_count);
		agent_store_mesh(a);
		state_flush_soon(a->state);
		revoke_others(a, before, count);
		endpoints_of(a->trust, &new);
		if (strcmp(buf_cstr(&old), buf_cstr(&new)) != 0) {
			a->reconnect = true;
			agent_work_soon(a);
		}
	}
	free(before);
	buf_done(&old);
	buf_done(&new);
	return refused;
}

/* ---- registers of the coordinator ---- */

static enum refusal take_state(struct agent *a, const struct document *d)
{
	struct coordinator_state st = { 0 };
	struct arena arena = { 0 };
	enum refusal refused;

	refused = body_decode(&arena, d->body, d->body_len, coordinator_state_fields, &st, NULL);
	arena_done(&arena);
	if (refused)
		return refused;
	if (st.seq < a->coordinator_seq)
		return REFUSED_OLD;
	if (st.seq > a->coordinator_seq)
		state_register_put(a->state, "c/state", st.seq, NULL);
	a->coordinator_seq = st.seq;
	a->coordinator_present = st.online;
	if (st.online) { /* the other is a will, of long ago */
		renew_signed_time(a->renew, st.time);
		leaves_tell(a);
		renew_soon(a->renew);
	}
	return REFUSED_NOT;
}

static void config_changed(struct agent *a)
{
	for (size_t i = 0; i < a->memberships.count; i++)
		if (!a->memberships.list[i]->ended)
			network_membership_changed(a->memberships.list[i]);
	agent_work_soon(a);
}

static enum refusal take_config(struct agent *a, const struct document *d)
{
	_cleanup_(freep) char *path = xasprintf("a/%s/config", a->identity.key.id);
	struct node_config c = { 0 };
	struct arena arena = { 0 };
	enum refusal refused;

	refused = body_decode(&arena, d->body, d->body_len, node_config_fields, &c, NULL);
	if (!refused && c.seq < a->config_seq)
		refused = REFUSED_OLD;
	if (!refused && c.seq > a->config_seq) {
		a->config_seq = c.seq;
		state_begin(a->state);
		state_register_put(a->state, path, c.seq, NULL);
		if (memberships_take(&a->memberships, a->state, &c))
			config_changed(a);
		state_commit(a->state);
	}
	arena_done(&arena);
	return refused;
}

/* ---- */

static enum refusal take_ep(struct agent *a, const struct topic *t, const struct document *d)
{
	struct network *n = memberships_get(&a->memberships, t->network);
	struct ep ep = { 0 };
	struct arena arena = { 0 };
	enum refusal refused;
	char *body;

	refused = body_decode(&arena, d->body, d->body_len, ep_fields, &ep, NULL);
	if (!refused && n) {
		body = arena_strndup(&arena, d->body, d->body_len);
		network_ep(n, t->id, &ep, body);
	}
	arena_done(&arena);
	return refused;
}

/* Nobody knows the node: its member may be on its way. */
static void keep_early(struct agent *a, const struct topic *t, const void *bytes, size_t len)
{
	struct network *n = memberships_get(&a->memberships, t->network);

	if (n && n->peers && !peers_get(n->peers, t->id))
		early_put(&n->early, t->id, bytes, len);
}

/* A document in a place of its own. */
static enum refusal take_document(struct agent *a, const struct topic *t, const void *bytes,
				  size_t len)
{
	struct document d;
	enum refusal refused;
	char *text;

	if (t->kind == TOPIC_TRUST)
		return take_trust(a, bytes, len);
	refused = document_open(&a->keyring, a->trust->mesh, t, bytes, len, &d);
	if (refused == REFUSED_KEY && t->kind == TOPIC_EP)
		keep_early(a, t, bytes, len);
	if (refused)
		return refused;
	switch (t->kind) {
	case TOPIC_STATE:
		return take_state(a, &d);
	case TOPIC_CONFIG:
		return take_config(a, &d);
	case TOPIC_EP:
		return take_ep(a, t, &d);
	default: /* TOPIC_RSP */
		if (!a->session)
			return REFUSED_NOT;
		text = xstrndup(bytes, len);
		refused = session_response(a->session, &d, text);
		free(text);
		return refused;
	}
}

static enum refusal take_journal(struct agent *a, const struct topic *t, const void *bytes,
				 size_t len)
{
	struct network *n = memberships_get(&a->memberships, t->network);
	struct follow *f = n && !n->ended ? network_follow(n, t) : NULL;
	enum refusal refused;

	/* What was on its way when the network ended, or the journal of another kind. */
	if (!f)
		return REFUSED_NOT;
	refused = follow_receive(f, t, bytes, len);
	network_received(n);
	if (!refused && own_is_gone(n, t->kind == TOPIC_BEAT)) {
		n->ended = true;
		agent_work_soon(a);
	}
	return refused;
}

enum refusal inbox_take(struct agent *a, const char *topic, const void *bytes, size_t len)
{
	struct topic t;
	int r = a->trust ? topic_parse(a->trust->mesh, topic, &t) : -EXDEV;

	if (r < 0)
		return r == -EXDEV ? REFUSED_MESH : REFUSED_PLACE;
	switch (t.kind) {
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
	case TOPIC_MANIFEST:
	case TOPIC_CHUNK:
	case TOPIC_BEAT:
		return take_journal(a, &t, bytes, len);
	case TOPIC_CONFIG:
	case TOPIC_RSP:
		if (strcmp(t.id, a->identity.key.id) != 0)
			return REFUSED_PLACE;
		break;
	case TOPIC_EP:
	case TOPIC_TRUST:
	case TOPIC_STATE:
		break;
	default:
		return REFUSED_PLACE; /* nothing that we read */
	}
	if (len)
		return take_document(a, &t, bytes, len);
	if (t.kind == TOPIC_EP && memberships_get(&a->memberships, t.network))
		network_ep(memberships_get(&a->memberships, t.network), t.id, NULL, NULL);
	return REFUSED_NOT;
}

void inbox_message(void *agent, const struct mqtt_message *m)
{
	static struct log_limit limit = { .per_minute = 30 };
	struct agent *a = agent;
	enum refusal refused = inbox_take(a, m->topic, m->payload, m->len);

	if (!refused)
		return;
	a->refused[refused]++;
	if (log_allowed(&limit))
		log_warn("refused", "cause=%s topic=%s", refusal_names[refused],
			 log_quote(m->topic));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes from the broker. Owns nothing; one thread.
 */
#include "exporter/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

static const struct verify_key *find_key(void *owner, const struct signers *who, size_t index,
					 const char *key, bool *ret_known)
{
	(void)index;
	return trust_find(owner, who, key, ret_known);
}

static void endpoints_of(const struct trust *t, struct buf *out)
{
	for (size_t i = 0; i < t->body.ca_count; i++)
		buf_str(out, t->body.cas[i]);
	for (size_t i = 0; i < t->body.broker_count; i++)
		buf_printf(out, "%s\n", t->body.brokers[i]);
}

/* Of the keys that were valid `before`. */
static void revoke(struct exporter *x, char (*before)[KEY_ID_SIZE], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (trust_is_valid(x->trust, before[i]))
			continue;
		log_warn("signing-key-revoked", "key=%s", before[i]);
		granted_revoke(x->granted, before[i]);
		x->mesh.gateways = granted_position(x->granted);
	}
}

static enum refusal take_trust(struct exporter *x, const struct mqtt_message *m)
{
	size_t count = x->trust->body.signing_key_count;
	char(*keys)[KEY_ID_SIZE] = xcalloc(count + 1, sizeof(*keys));
	struct buf before = { 0 }, after = { 0 };
	uint64_t seq = x->trust->body.seq;
	enum refusal refused;

	for (size_t i = 0; i < count; i++)
		memcpy(keys[i], x->trust->signing_keys[i].id, KEY_ID_SIZE);

	endpoints_of(x->trust, &before);
	refused = trust_take(x->trust, m->payload, m->len, NULL);
	if (!refused && x->trust->body.seq > seq) {
		x->mesh.trust = arena_strdup(&x->arena, buf_cstr(&x->trust->bytes));
		revoke(x, keys, count);
		(void)exporter_store_mesh(x);
		endpoints_of(x->trust, &after);
		if (strcmp(buf_cstr(&before), buf_cstr(&after)) != 0)
			exporter_reconnect(x);
	}
	free(keys);
	buf_done(&before);
	buf_done(&after);
	return refused;
}

static enum refusal take_response(struct exporter *x, struct arena *a, const struct document *d)
{
	struct node_response r = { 0 };
	enum refusal refused = node_response_decode(a, d->body, d->body_len, &r, NULL);

	if (refused || !*x->rid || strcmp(r.rid, x->rid) != 0)
		return refused;
	if (r.refused)
		log_warn("renewal-refused", "why=%s", log_quote(r.refused->message));
	else if (r.certificate)
		exporter_take_certificate(x, r.certificate);
	return REFUSED_NOT;
}

static enum refusal take_document(struct exporter *x, const struct topic *t,
				  const struct mqtt_message *m)
{
	const struct keyring keys = { .find = find_key, .owner = x->trust };
	struct arena a = { 0 };
	enum refusal refused;
	struct document d;

	refused = document_open(&keys, x->trust->mesh, t, m->payload, m->len, &d);
	if (!refused)
		refused = take_response(x, &a, &d);
	arena_done(&a);
	return refused;
}

static enum refusal take_journal(struct exporter *x, const struct topic *t,
				 const struct mqtt_message *m)
{
	if (strcmp(t->network, x->mesh.network) != 0)
		return REFUSED_NOT;
	if (t->journal == JOURNAL_GATEWAYS)
		return granted_message(x->granted, t, m);
	if (t->journal == JOURNAL_DNS && strcmp(t->exporter, x->identity.key.id) == 0)
		publish_message(x->publish, t, m);
	return REFUSED_NOT;
}

void inbox_message(struct exporter *x, const struct mqtt_message *m)
{
	static struct log_limit limit = { .per_minute = 6 };
	enum refusal refused = REFUSED_NOT;
	struct topic t;

	if (topic_parse(x->trust->mesh, m->topic, &t) < 0)
		return;
	switch (t.kind) {
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
	case TOPIC_MANIFEST:
	case TOPIC_CHUNK:
	case TOPIC_ASK:
	case TOPIC_BEAT:
		refused = take_journal(x, &t, m);
		break;
	case TOPIC_TRUST:
		refused = m->len ? take_trust(x, m) : REFUSED_NOT;
		break;
	case TOPIC_RSP:
		if (m->len && strcmp(t.id, x->identity.key.id) == 0)
			refused = take_document(x, &t, m);
		break;
	default:
		return;
	}
	if (refused && log_allowed(&limit))
		log_warn("refused", "topic=%s cause=%s", log_quote(m->topic),
			 refusal_names[refused]);
}

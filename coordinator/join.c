/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Joining: nonce, use, membership and answer in one transaction. The request is known to be signed
 * by the token's and by the identity key; here it is decided what they may have.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/authority.h"
#include "coordinator/dns.h"
#include "coordinator/holders.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/text.h"

#define MINIMA_MAX 256 /* journals that an answer names: a document holds 64 KiB */

/* One decision in the making. */
struct joining {
	struct authority *a;
	struct arena arena;
	const struct join_request *request;
	uint8_t hash[HASH_LEN]; /* of the request document */
	char node_id[KEY_ID_SIZE];
	struct token_row token;
	struct network network;
	struct node_row node;
	struct member_row member;
	bool rejoin; /* the identity is a member already */
	struct exporter_joined
		exporter; /* by a token of that role; node and member mean nothing then */
	struct refusal_reason why;
};

static int check_token(struct joining *j)
{
	struct token_row *t = &j->token;
	char when[CLOCK_RFC3339_SIZE];
	int r = store_token_get(j->a->store, &j->arena, j->request->token, t);

	if (r == -ENOENT)
		return refuse(&j->why, 404, "token_unknown",
			      "the coordinator does not know token %s; ask for a new one",
			      log_quote(j->request->token));
	if (r < 0)
		return r;
	if (t->revoked)
		return refuse(&j->why, 403, "token_revoked",
			      "token %s was revoked; ask for a new one", t->id);
	if (t->expires && t->expires <= j->a->now()) {
		clock_rfc3339(t->expires, when);
		return refuse(&j->why, 403, "token_expired",
			      "token %s expired at %s; ask for a new one", t->id, when);
	}
	return store_network_get(j->a->store, &j->arena, t->network, &j->network);
}

/* Only a node that joins again by the token which it joined with needs no further use of it: another
 * token's tags are not to be had when that is used up. */
static bool is_counted(const struct joining *j)
{
	return !j->rejoin || strcmp(j->member.token, j->token.id) != 0;
}

static int check_use(struct joining *j)
{
	const struct token_row *t = &j->token;

	if (is_counted(j) && t->uses && t->used >= t->uses)
		return refuse(&j->why, 403, "token_used",
			      "token %s is used up: it admits %llu node%s; ask for a new one",
			      t->id, (unsigned long long)t->uses, t->uses == 1 ? "" : "s");
	return 0;
}

static int check_nonce(struct joining *j)
{
	bool used;
	int r = store_join_nonce(j->a->store, j->request->token, j->request->nonce, &used);

	if (r == 0 && used)
		return refuse(&j->why, 403, "nonce",
			      "a request with this nonce was answered before; join again");
	return r;
}

/* Its identity, and what it had before. */
static int check_identity(struct joining *j)
{
	struct store *s = j->a->store;
	struct ended_row ended;
	int r;

	if (exporter_is_known(j->a, NULL, j->node_id))
		return refuse(&j->why, 409, "identity",
			      "this identity is that of an exporter; a node needs one of its own");
	r = store_ended_get(s, &j->arena, j->token.network, j->node_id, &ended);
	if (r == 0 && (ended.why == WHY_REMOVED || ended.why == WHY_SILENT) &&
	    j->token.serial < ended.serial)
		return refuse(&j->why, 403, "removed",
			      "this node was removed from network %s; it needs a token made after"
			      " that",
			      j->token.network);
	j->member = (struct member_row){ .network = j->token.network, .node = j->node_id };
	if (r == 0) {
		j->member.name = ended.name;
		j->member.host = ended.host;
	} else if (r != -ENOENT) {
		return r;
	}
	r = store_member_get(s, &j->arena, j->token.network, j->node_id, &j->member);
	j->rejoin = r == 0;
	if (r < 0 && r != -ENOENT)
		return r;
	if (!j->rejoin) {
		struct orphan_row o;

		r = store_orphan_get(s, &j->arena, j->token.network, j->node_id, &o);
		if (r == 0) {
			j->member.name = o.name;
			j->member.host = o.host;
			/* It is given what it holds: no longer an orphan of ours. */
			r = store_orphan_delete(s, o.network, o.node);
		}
		if (r < 0 && r != -ENOENT)
			return r;
	}
	r = store_node_get(s, &j->arena, j->node_id, &j->node);
	if (r == -ENOENT) {
		/* From the time, so that it is above what a database that was lost has published
		 * for this node, as long as that was less than 1,024 changes a second. */
		j->node = (struct node_row){ .id = j->node_id,
					     .config_seq = (uint64_t)j->a->now() << 10 };
		memcpy(j->node.identity_key, j->request->identity_key, KEY_LEN);
		r = 0;
	}
	return r;
}

/* The site belongs to the node and is fixed at its first join. */
static int check_site(struct joining *j)
{
	const char *wished = j->request->site ? j->request->site : j->token.site;
	struct member_row *members;
	size_t count;
	int r = store_member_list(j->a->store, &j->arena, NULL, j->node_id, &members, &count);

	if (r < 0)
		return r;
	if (j->token.site && strcmp(wished, j->token.site) != 0)
		return refuse(&j->why, 403, "site",
			      "token %s admits nodes of site %s only, and this one says site %s",
			      j->token.id, j->token.site, wished);
	if (count == 0) {
		j->node.site = wished ? arena_strdup(&j->arena, wished) : NULL;
		return 0;
	}
	if (wished && (!j->node.site || strcmp(wished, j->node.site) != 0))
		return refuse(&j->why, 403, "site",
			      "this node is %s%s since its first join; it cannot be of site %s too",
			      j->node.site ? "of site " : "without a site",
			      j->node.site ? j->node.site : "", wished);
	return 0;
}

static int allocate(struct joining *j)
{
	const char *wish = j->member.name ? j->member.name : j->request->wished_name;
	char name[LABEL_SIZE], range[PREFIX_SIZE];
	int r;

	if (j->rejoin)
		return 0;
	r = host_allocate(j->a, &j->network, j->member.host, &j->member.host);
	if (r == -ENOSPC)
		return refuse(
			&j->why, 507, "network_full",
			"network %s is full: all %llu addresses of %s are given; remove nodes,"
			" or make a larger network",
			j->network.name, (unsigned long long)host_last(&j->network),
			prefix_format(&j->network.ranges[0], range));
	if (r == 0)
		r = host_name(j->a, j->network.name, j->node_id, wish, name);
	if (r < 0)
		return r;
	j->member.name = arena_strdup(&j->arena, name);
	return store_network_put(j->a->store, &j->network);
}

static int refuse_wireguard_key(struct joining *j, const char *node)
{
	return refuse(&j->why, 409, "wireguard_key",
		      "node %s of network %s has this WireGuard key; make a new one and join again",
		      node, j->token.network);
}

/* Peers are known by their WireGuard keys, which are public: with another's key a node would take that
 * one's place at all others. */
static int check_wireguard_key(struct joining *j)
{
	static const uint8_t none[KEY_LEN];
	struct member_row other;
	struct orphan_row orphan;
	int r;

	if (memcmp(j->request->wireguard_key, none, KEY_LEN) == 0)
		return refuse(&j->why, 400, "wireguard_key",
			      "the request has no WireGuard key, and token %s admits nodes; an"
			      " exporter needs a token made with --role exporter",
			      j->token.id);
	r = store_member_by_key(j->a->store, &j->arena, j->token.network, j->request->wireguard_key,
				&other);

	if (r == 0 && strcmp(other.node, j->node_id) != 0)
		return refuse_wireguard_key(j, other.node);
	if (r < 0 && r != -ENOENT)
		return r;
	/* Its own orphan is none any more by now. */
	r = store_orphan_by_key(j->a->store, &j->arena, j->token.network, j->request->wireguard_key,
				&orphan);
	if (r == 0)
		return refuse_wireguard_key(j, orphan.node);
	return r == -ENOENT ? 0 : r;
}

static int store_membership(struct joining *j)
{
	const struct join_request *q = j->request;
	struct member_row *m = &j->member;
	bool counted = is_counted(j);
	int r;

	m->role = j->token.role;
	m->tags = j->token.tags;
	m->tag_count = j->token.tag_count;
	m->endpoints = q->endpoints;
	m->endpoint_count = q->endpoint_count;
	m->token = j->token.id;
	m->joined = j->a->now();
	memcpy(m->wireguard_key, q->wireguard_key, KEY_LEN);
	memcpy(m->request, j->hash, HASH_LEN);
	j->node.last_seen = m->joined;
	j->node.silent = 0;
	r = store_node_put(j->a->store, &j->node);
	if (r == 0)
		r = store_member_put(j->a->store, m);
	if (r == 0)
		r = store_ended_delete(j->a->store, m->network, m->node);
	if (r == 0 && counted) {
		j->token.used++;
		r = store_token_put(j->a->store, &j->token);
	}
	return r;
}

static int publish_membership(struct joining *j)
{
	struct buf body = { 0 };
	int r;

	member_peer_body(&j->network, &j->member, &j->node, &body);
	r = publisher_put(j->a->publisher, j->member.network, JOURNAL_PEERS, j->member.node,
			  buf_cstr(&body));
	buf_done(&body);
	if (r == 0)
		r = gateway_member_changed(j->a, &j->arena, &j->member);
	return r < 0 ? r : member_config_publish(j->a, j->node_id);
}

/* Encodes and signs an answer for its topic. */
static void answer_sign(struct joining *j, struct join_answer *answer, const struct topic *t,
			const char *rid, struct buf *out)
{
	const struct sign_key *key = &j->a->keys->signing;
	char place[TOPIC_SIZE];
	struct buf body = { 0 };

	memcpy(answer->request, j->hash, HASH_LEN);
	answer->trust = j->a->keys->trust->bytes.data;
	if (rid) {
		struct node_response response = { .rid = arena_strdup(&j->arena, rid),
						  .join = answer };

		json_encode(&body, node_response_fields, &response);
	} else {
		json_encode(&body, join_answer_fields, answer);
	}
	topic_place(j->a->keys->mesh, t, place);
	document_sign(out, place, buf_cstr(&body), body.len, &key, 1);
	buf_done(&body);
}

static void answer_refuse(struct joining *j, const struct topic *t, const char *rid,
			  struct buf *out)
{
	struct refusal_body refused = { .code = j->why.code, .message = j->why.message };
	struct join_answer answer = { .refused = &refused };

	log_info("join-refused", "token=%s node=%s code=%s", log_quote(j->request->token),
		 j->node_id, j->why.code);
	answer_sign(j, &answer, t, rid, out);
}

/* `t` lacks its network. */
static void minimum_put(struct joining *j, struct topic *t, struct journal_position at,
			struct join_answer *answer)
{
	char path[TOPIC_SIZE];

	snprintf(t->network, sizeof(t->network), "%s", j->network.name);
	topic_journal_path(t, path);
	answer->journals[answer->journal_count++] = (struct journal_minimum){
		.path = arena_strdup(&j->arena, path), .epoch = at.epoch, .ver = at.ver
	};
}

static void minimum_add(struct joining *j, enum journal_kind kind, struct join_answer *answer)
{
	struct topic t = { .kind = TOPIC_JOURNAL, .journal = kind };

	minimum_put(j, &t, publisher_position(j->a->publisher, j->network.name, kind), answer);
}

/* How far the coordinator has read what exporters publish: a newcomer that has read less may miss
 * names, and says nothing of them until then. */
static int minima_add_dns(struct joining *j, struct join_answer *answer)
{
	struct topic t = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS };
	struct exporter_row *rows;
	size_t count;
	int r = store_exporter_list(j->a->store, &j->arena, j->network.name, NULL, &rows, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct journal_position at = dns_position(j->a->dns, j->network.name, rows[i].id);

		if (!at.epoch || answer->journal_count == MINIMA_MAX)
			continue;
		snprintf(t.exporter, sizeof(t.exporter), "%s", rows[i].id);
		minimum_put(j, &t, at, answer);
	}
	return r;
}

static int answer_joined(struct joining *j, const struct topic *t, const char *rid, struct buf *out)
{
	struct journal_minimum journals[MINIMA_MAX];
	struct membership membership;
	struct buf cert = { 0 };
	struct join_answer answer = {
		.site = j->node.site,
		.memberships = &membership,
		.membership_count = 1,
		.journals = journals,
	};
	int r = node_certificate(j->a, j->node_id, j->request->csr, &cert, &j->why);

	/* Published only when nothing of the request can be refused any more: to roll a journal back is
	 * to read it whole, and strangers with a token could ask for that again and again. */
	if (r == 0)
		r = publish_membership(j);
	if (r == 0) {
		answer.certificate = arena_strdup(&j->arena, buf_cstr(&cert));
		member_membership(&j->arena, &j->network, &j->member, &membership);
		minimum_add(j, JOURNAL_PEERS, &answer);
		minimum_add(j, JOURNAL_GATEWAYS, &answer);
		r = minima_add_dns(j, &answer);
	}
	if (r == 0)
		answer_sign(j, &answer, t, rid, out);
	buf_done(&cert);
	return r;
}

static int answer_exporter(struct joining *j, const struct topic *t, const char *rid,
			   struct buf *out)
{
	const struct exporter_row *e = &j->exporter.row;
	struct join_exporter exporter = { .network = e->network,
					  .site = e->site,
					  .generation = e->generation };
	struct journal_minimum journals[1];
	struct buf cert = { 0 };
	struct join_answer answer = { .site = e->site,
				      .exporter = &exporter,
				      .journals = journals };
	int r = exporter_certificate(j->a, j->node_id, j->request->csr, &cert, &j->why);

	/* As with nodes: last. */
	if (r == 0)
		r = exporter_join_publish(j->a, &j->arena, &j->exporter, &j->why);
	if (r == 0) {
		answer.certificate = arena_strdup(&j->arena, buf_cstr(&cert));
		minimum_add(j, JOURNAL_GATEWAYS, &answer);
		answer_sign(j, &answer, t, rid, out);
	}
	buf_done(&cert);
	return r;
}

/* The identical request: the identical answer, as long as what it made lasts. */
static int repeated(struct joining *j, bool *ret, struct buf *out)
{
	const uint8_t *made_by = NULL; /* the request of what there is now */
	struct exporter_row e;
	struct member_row m;
	struct join_row row;
	int r = store_join_get(j->a->store, &j->arena, j->hash, &row);

	*ret = r == 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = store_member_get(j->a->store, &j->arena, row.network, row.node, &m);
	if (r == 0) {
		made_by = m.request;
	} else if (r == -ENOENT) {
		r = store_exporter_get(j->a->store, &j->arena, row.network, row.node, &e);
		made_by = e.request;
	}
	if (r == -ENOENT || (r == 0 && memcmp(made_by, j->hash, HASH_LEN) != 0))
		return refuse(&j->why, 403, "ended",
			      "what this request made has ended; join again with a new request");
	if (r == 0)
		buf_str(out, row.answer);
	return r;
}

static int decide_node(struct joining *j, const struct topic *t, const char *rid, struct buf *out)
{
	int r;

	if ((r = check_identity(j)) < 0 || (r = check_use(j)) < 0 || (r = check_site(j)) < 0 ||
	    (r = check_wireguard_key(j)) < 0 ||
	    (r = holders_admit(j->a, &j->arena, &j->token, j->node_id, &j->why)) < 0 ||
	    (r = allocate(j)) < 0 || (r = store_membership(j)) < 0)
		return r;
	return answer_joined(j, t, rid, out);
}

static int decide_exporter(struct joining *j, const struct topic *t, const char *rid,
			   struct buf *out)
{
	int r = exporter_join(j->a, &j->arena, j->request, j->hash, &j->token, &j->exporter,
			      &j->why);

	return r < 0 ? r : answer_exporter(j, t, rid, out);
}

static int decide(struct joining *j, const struct topic *t, const char *rid, struct buf *out)
{
	struct join_row row = {
		.token = j->request->token,
		.network = j->token.network,
		.node = j->node_id,
		.at = j->a->now(),
	};
	int r;

	if ((r = check_token(j)) < 0 || (r = check_nonce(j)) < 0)
		return r;
	r = j->token.role == ROLE_EXPORTER ? decide_exporter(j, t, rid, out) :
					     decide_node(j, t, rid, out);
	if (r < 0)
		return r;
	memcpy(row.request, j->hash, HASH_LEN);
	memcpy(row.nonce, j->request->nonce, sizeof(row.nonce));
	row.network = j->token.network;
	row.answer = out->data;
	return store_join_put(j->a->store, &row);
}

/* It is stored. */
static void joined(struct joining *j)
{
	const struct exporter_row *e = &j->exporter.row;

	if (j->token.role != ROLE_EXPORTER) {
		log_info("joined", "network=%s node=%s name=%s token=%s", j->network.name,
			 j->node_id, j->member.name, j->token.id);
		return;
	}
	log_info("exporter-joined", "network=%s site=%s exporter=%s generation=%llu token=%s",
		 e->network, e->site, e->id, (unsigned long long)e->generation, e->token);
	dns_update(j->a->dns);
}

int join_decide(struct authority *a, const struct join_request *request, const void *document,
		size_t document_len, const struct topic *topic, const char *rid,
		struct buf *ret_answer)
{
	struct joining j = { .a = a, .request = request };
	bool known = false;
	int r;

	sha256(document, document_len, j.hash);
	key_id(request->identity_key, j.node_id);
	r = authority_begin(a, &j.why);
	if (r < 0)
		return r;
	r = repeated(&j, &known, ret_answer);
	if (r == 0 && !known)
		r = decide(&j, topic, rid, ret_answer);
	r = authority_end(a, r, &j.why);
	if (r == 0 && !known)
		joined(&j);
	if (r < 0) {
		buf_clear(ret_answer);
		answer_refuse(&j, topic, rid, ret_answer);
	}
	arena_done(&j.arena);
	return 0;
}

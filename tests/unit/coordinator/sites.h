/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests of what two sites need: networks, nodes and exporters that join as they do in life, against
 * a store in memory and the publisher of tests/fakes. Never freed: a test is a process of its own.
 */
#pragma once

#include "coordinator/authority.h"
#include "lib/crypto.h"
#include "lib/x509.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

/* A machine or an exporter. */
struct joiner {
	struct sign_key identity;
	struct buf csr;
	uint8_t wireguard[KEY_LEN]; /* zeros: an exporter */
	char *name;
	char **endpoints;
	size_t endpoint_count;
};

static struct authority *a;
static struct refusal_reason why;
static struct arena kept;

static inline char *keep(const char *s)
{
	return s ? arena_strdup(&kept, s) : NULL;
}

/* `text`: prefixes with blanks between. */
static inline struct prefix *ranges(const char *text, size_t *ret_count)
{
	struct prefix *p = arena_array(&kept, 128, sizeof(*p));
	char *words = keep(text), *save = NULL;

	*ret_count = 0;
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		CHECK_INT(prefix_parse(w, &p[(*ret_count)++]), 0);
	return p;
}

/* What is wrong, "" when nothing is. The sentence is in `why`. */
static inline const char *said(int r)
{
	return r == 0 ? "" : why.code;
}

static inline const char *network_make(const char *name, const char *range)
{
	struct api_network wish = { .name = keep(name) };

	wish.ranges = ranges(range, &wish.range_count);
	network_defaults(&wish);
	return said(network_create(a, &wish, &why));
}

static inline struct joiner *joiner_make(const char *name)
{
	struct joiner *j = arena_alloc(&kept, sizeof(*j));
	struct buf key = { 0 };

	sign_key_generate(&j->identity);
	x509_key_generate(&key);
	CHECK_INT(x509_csr_create(buf_cstr(&key), &j->csr), 0);
	j->name = keep(name);
	buf_done(&key);
	return j;
}

static inline struct joiner *machine_make(const char *name)
{
	struct joiner *j = joiner_make(name);
	uint8_t secret[KEY_LEN];

	wireguard_key_generate(secret, j->wireguard);
	return j;
}

static inline char *token_wish(const struct api_token_create *wish)
{
	struct api_token token = { 0 };

	CHECK_STR(said(token_create(a, &kept, wish, &token, &why)), "");
	return token.id;
}

static inline char *token_make(const char *network, enum role role, const char *site,
			       const char *tag)
{
	char *tags[] = { keep(tag) };

	return token_wish(&(struct api_token_create){ .network = keep(network),
						      .role = role,
						      .site = keep(site),
						      .tags = tags,
						      .tag_count = tag ? 1 : 0 });
}

static inline struct join_request *request_make(const struct joiner *j, const char *token)
{
	struct join_request *q = arena_alloc(&kept, sizeof(*q));

	*q = (struct join_request){ .token = keep(token),
				    .csr = j->csr.data,
				    .wished_name = j->name,
				    .endpoints = j->endpoints,
				    .endpoint_count = j->endpoint_count };
	memcpy(q->identity_key, j->identity.public_key, KEY_LEN);
	memcpy(q->wireguard_key, j->wireguard, KEY_LEN);
	crypto_random(q->nonce, sizeof(q->nonce));
	return q;
}

/* The answer's body. The bytes of the request are what makes it the identical one. */
static inline struct join_answer *request_send(struct join_request *q)
{
	struct join_answer *body = arena_alloc(&kept, sizeof(*body));
	struct buf document = { 0 }, answer = { 0 };
	struct topic t = { .kind = TOPIC_ENROL_RSP };
	struct json_error err;
	struct document d;

	snprintf(t.id, sizeof(t.id), "%s", q->token);
	snprintf(t.other, sizeof(t.other), "j-%s-1", q->token);
	json_encode(&document, join_request_fields, q);
	CHECK_INT(join_decide(a, q, document.data, document.len, &t, NULL, &answer), 0);
	CHECK_INT(document_split(answer.data, answer.len, &d), REFUSED_NOT);
	CHECK_INT(join_answer_decode(&kept, d.body, d.body_len, body, &err), REFUSED_NOT);
	buf_done(&document);
	buf_done(&answer);
	return body;
}

static inline struct join_answer *join(const struct joiner *j, const char *token)
{
	return request_send(request_make(j, token));
}

static inline const char *join_code(const struct join_answer *answer)
{
	return answer->refused ? answer->refused->code : "joined";
}

/* A node of a site that joins a network with a tag, or without. */
static inline struct joiner *node_make(const char *network, const char *name, const char *site,
				       const char *tag)
{
	struct joiner *j = machine_make(name);

	CHECK_STR(join_code(join(j, token_make(network, ROLE_NODE, site, tag))), "joined");
	return j;
}

/* Two networks, and in both of them a gateway's node of each site. */
static inline void two_sites(struct joiner **ret_dc1, struct joiner **ret_cloud)
{
	a = authority_fake();
	CHECK_STR(network_make("dc1-k3s", "10.65.24.0/24"), "");
	CHECK_STR(network_make("cloud-k3s", "10.36.50.0/24"), "");
	*ret_dc1 = node_make("cloud-k3s", "dc1-n1", "dc1", NULL);
	*ret_cloud = node_make("cloud-k3s", "cloud-n1", "cloud", NULL);
	CHECK_STR(join_code(join(*ret_dc1, token_make("dc1-k3s", ROLE_NODE, "dc1", NULL))),
		  "joined");
	CHECK_STR(join_code(join(*ret_cloud, token_make("dc1-k3s", ROLE_NODE, "cloud", NULL))),
		  "joined");
}

/* The gateway's id in `ret_id` (may be NULL). */
static inline const char *gateway_wish(struct api_gateway_create wish, const char *range,
				       char **ret_id)
{
	struct api_gateway made = { 0 };
	int r;

	wish.ranges = ranges(range, &wish.range_count);
	r = gateway_create(a, &kept, &wish, &made, &why);
	if (ret_id)
		*ret_id = made.id;
	return said(r);
}

static inline const char *gateway_by_node(const char *network, const char *node, const char *range,
					  char **ret_id)
{
	struct api_gateway_create wish = { .network = keep(network), .node = keep(node) };

	gateway_defaults(&wish);
	return gateway_wish(wish, range, ret_id);
}

static inline const char *gateway_by_tag(const char *network, const char *tag, const char *site,
					 const char *range, char **ret_id)
{
	struct api_gateway_create wish = { .network = keep(network),
					   .tag = keep(tag),
					   .site = keep(site) };

	gateway_defaults(&wish);
	return gateway_wish(wish, range, ret_id);
}

static inline const char *published(const char *network, const char *kind, const char *id)
{
	char name[JOURNAL_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s/%s", kind, id);
	return authority_fake_gateway(a, network, name);
}

static inline int ended(const char *network, const char *kind, const char *id)
{
	char name[JOURNAL_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s/%s", kind, id);
	return authority_fake_gateway_removed(a, network, name);
}

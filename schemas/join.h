/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Joining (design section 6): request, answer, a node's configuration, and what a joined node says
 * and asks over u/<node>.
 */
#pragma once

#include "lib/addr.h"
#include "lib/json.h"
#include "schemas/member.h"

/* e/<token>/<client>/req: signed by the token's key, then by the identity key. */
struct join_request {
	char *token; /* id */
	uint8_t identity_key[KEY_LEN];
	char *csr;			/* PEM */
	uint8_t wireguard_key[KEY_LEN]; /* zeros: none, as an exporter has none */
	char *wished_name;		/* any text, made a label by the coordinator; NULL: none */
	char *site;			/* label; NULL: the token's */
	char **endpoints;
	size_t endpoint_count;
	uint8_t nonce[16];
};
extern const struct json_field join_request_fields[];

/* One membership, in the answer and in a/<node>/config. */
struct membership {
	char *network;
	char *name; /* the node's name there */
	unsigned role;
	struct prefix *addresses; /* own address with the network's range length */
	size_t address_count;
	uint64_t mtu;
	uint64_t keepalive;
	uint16_t port; /* first listen port tried */
	char **tags;
	size_t tag_count;
};
extern const struct json_field membership_fields[];

struct refusal_body {
	/* token_unknown token_expired token_revoked token_used nonce ended removed site csr network_full
	 * journal_full wireguard_key not_a_member too_many_networks store */
	char *code;
	char *message; /* one sentence: what, why, what to do */
};

/* e/<token>/<client>/rsp, and inside a/<node>/rsp: signed by a signing key. */
struct join_answer {
	uint8_t request[HASH_LEN];    /* SHA-256 of the request's bytes, envelope included */
	struct refusal_body *refused; /* NULL: joined */
	char *trust;		      /* the c/trust document */
	char *certificate;	      /* PEM chain */
	char *site;		      /* of the node; NULL: none */
	struct membership *memberships;
	size_t membership_count;
	struct journal_minimum {
		char *path; /* key of the JSON object */
		uint64_t epoch, ver;
	} * journals;
	size_t journal_count;
	struct join_exporter { /* role exporter: instead of a membership */
		char *network;
		char *site;
		uint64_t generation;
	} * exporter;
};
extern const struct json_field join_answer_fields[];
/* By the table, and: either `refused`, or trust, certificate and a membership or `exporter`. */
enum refusal join_answer_decode(struct arena *arena, const char *text, size_t len,
				struct join_answer *ret, struct json_error *err);

/* a/<node>/config: a register. */
struct node_config {
	uint64_t seq;
	struct membership *memberships;
	size_t membership_count;
	struct ended {
		char *network;
		char *why; /* removed left silent replaced */
	} * ended;	   /* memberships that this node had: the signed word that ends them */
	size_t ended_count;
};
extern const struct json_field node_config_fields[];

/* u/<node>/req */
enum node_op { NODE_OP_JOIN, NODE_OP_RENEW, NODE_OP_LEAVE, NODE_OP_ROTATE };
extern const char *const node_op_names[];
struct node_request {
	char *rid; /* chosen by the node, 16 hex digits */
	unsigned op;
	char *network; /* leave, rotate */
	struct join_request
		*join; /* join: the document then has two signatures, token and identity */
	char *csr;     /* renew */
};
extern const struct json_field node_request_fields[];
/* The body of a document that document_open took. By the table, and: each op has its fields, and two
 * signatures stand on a join and on nothing else (REFUSED_SIGNER). */
enum refusal node_request_decode(struct arena *arena, const struct document *d,
				 struct node_request *ret, struct json_error *err);

/* a/<node>/rsp */
struct node_response {
	char *rid;
	struct refusal_body *refused; /* NULL: done */
	struct join_answer *join;     /* op join */
	char *certificate;	      /* op renew */
};
extern const struct json_field node_response_fields[];
/* By the table, and `join` as join_answer_decode. */
enum refusal node_response_decode(struct arena *arena, const char *text, size_t len,
				  struct node_response *ret, struct json_error *err);

#define STATE_RANGES_MAX 64

/* One membership that a program holds, or held (`warren join --hold`). */
struct holder_state {
	char *network;
	int64_t gone; /* wall: since then nobody holds it; 0: it is held */
};

/* u/<node>/state: a register, also the last will (seq with n = 2^20 - 1, online false). */
struct node_state {
	uint64_t seq;	/* connection number * 2^20 + n */
	char *instance; /* random per process */
	bool online;
	char *boot;
	struct holder_state *holders;
	size_t holder_count;
	struct prefix *ranges; /* of an exporter: what its site has, for gateways to carry */
	size_t range_count;
};
extern const struct json_field node_state_fields[];

/* c/state: a register, also the coordinator's last will. */
struct coordinator_state {
	uint64_t seq;
	char *instance;
	bool online;
	int64_t time;
};
extern const struct json_field coordinator_state_fields[];

/* c/mark: a register. */
struct mark {
	uint64_t seq;
	uint8_t mark[16];
};
extern const struct json_field mark_fields[];

/* c/revoked/<id>: a register. */
struct revoked {
	uint64_t seq;
	int64_t not_before;
};
extern const struct json_field revoked_fields[];

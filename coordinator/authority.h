/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the coordinator decides: networks, tokens, joins, nodes. Each function is one transaction:
 * either all of it is stored (and then published), or nothing. Refusals are a code and one sentence
 * that says what, why, and what to do.
 *
 * The HTTP API (coordinator/api.c) and the MQTT session (coordinator/session.c) call these.
 */
#pragma once

#include "coordinator/keys.h"
#include "coordinator/publisher.h"
#include "coordinator/store.h"
#include "schemas/api.h"

struct map;

struct authority {
	struct store *store;
	struct keys *keys;
	struct publisher *publisher;
	struct dns *dns; /* what exporters publish (coordinator/dns.h); NULL: not followed */
	struct holders *holders; /* who is held (coordinator/holders.h); NULL: nobody has said */
	int64_t (*now)(void);	 /* wall seconds: clock_wall */
};

/* Why not. `status`: the HTTP status (400, 403, 404, 409, 500, 507). */
struct refusal_reason {
	unsigned status;
	char code[32];
	char message[512];
};
/* Fills it and returns -ECANCELED, so that `return refuse(...)` reads well. */
int refuse(struct refusal_reason *why, unsigned status, const char *code, const char *fmt, ...)
	PRINTF(4, 5);
/* For a negative errno of the store: a sentence about the disk; -EFBIG is the journal's. */
int refuse_store(struct refusal_reason *why, int error);

/* A transaction around `r`: begin; then end with what happened: commit and flush, or roll back. */
int authority_begin(struct authority *a, struct refusal_reason *why);
int authority_end(struct authority *a, int r, struct refusal_reason *why);

/* ---- networks.c */
/* The settings of a network that says nothing of them: to be filled in before a request is decoded
 * over it, so that a 0 in the request means 0. */
void network_defaults(struct api_network *ret);
/* -ECANCELED with a sentence when there is none of that name. */
int network_find(struct authority *a, struct arena *arena, const char *name, struct network *ret,
		 struct refusal_reason *why);
int network_create(struct authority *a, const struct api_network *wish, struct refusal_reason *why);
/* `wish`: the whole new settings (name and ranges as they are). */
int network_set(struct authority *a, const struct api_network *wish, struct refusal_reason *why);
int network_delete(struct authority *a, const char *name, struct refusal_reason *why);
int network_release(struct authority *a, const char *name, uint64_t *ret_released,
		    struct refusal_reason *why);
int network_show(struct authority *a, struct arena *arena, const char *name,
		 struct api_network *ret, struct refusal_reason *why);
int network_list(struct authority *a, struct arena *arena, struct api_network **ret,
		 size_t *ret_count, struct refusal_reason *why);
/* A network that the broker holds and the store does not know (the database was lost) is one again,
 * with the settings that it had; its members become orphans. `settings`: the member's body. */
int network_adopt(struct authority *a, const char *network, const char *settings);
/* Members of a read-back peers journal that the store does not know become orphans of ours. */
int network_orphan_add(struct authority *a, const char *network, const char *node,
		       const char *body);

/* ---- tokens.c */
int token_create(struct authority *a, struct arena *arena, const struct api_token_create *wish,
		 struct api_token *ret, struct refusal_reason *why);
int token_revoke(struct authority *a, const char *id, struct refusal_reason *why);
int token_list(struct authority *a, struct arena *arena, const char *network,
	       struct api_token **ret, size_t *ret_count, struct refusal_reason *why);

/* ---- nodes.c */
int node_list(struct authority *a, struct arena *arena, const char *network, struct api_node **ret,
	      size_t *ret_count, struct refusal_reason *why);
/* By id, or by name; one row per network. */
int node_show(struct authority *a, struct arena *arena, const char *node, struct api_node **ret,
	      size_t *ret_count, struct refusal_reason *why);
int node_rename(struct authority *a, const char *node, const char *wish,
		struct refusal_reason *why);
/* Out of all its networks. */
int node_remove(struct authority *a, const char *node, struct refusal_reason *why);
/* `request`: the hash of the document that asks for it; each is obeyed once. */
int node_leave(struct authority *a, const char *node_id, const char *network,
	       const uint8_t request[static HASH_LEN], struct refusal_reason *why);
/* Another one takes its place: the membership ends. Inside the caller's transaction. */
int node_replace(struct authority *a, struct arena *arena, const struct member_row *m);
/* u/<node>/state: taken when its seq is higher. */
int node_seen(struct authority *a, const char *node_id, const struct node_state *state);
/* Forgets nodes that were silent for longer than their token's --forget. To be called every
 * `seconds` while the broker is connected: only then, and while some node is heard, does silence count.
 * What is more than max(10, 30 %) of a network in ten minutes waits for node_forget_release, and so
 * does all that comes later. */
int node_forget(struct authority *a, int64_t seconds);
/* How many wait. */
int node_forget_waiting(struct authority *a, const char *network, uint64_t *ret);
/* They are forgotten, inside the caller's transaction. */
int node_forget_release(struct authority *a, const char *network, uint64_t *ret_count);
/* n/<net>/ep/<node> that was stable for 60 s: into the member, and the topic is cleared. -ECANCELED:
 * it is old, or the node is no member; -EIO: the store failed. */
int node_endpoints(struct authority *a, const char *node_id, const char *network,
		   const struct ep *ep);

/* ---- join.c */
/* A join request whose two signatures were checked by the caller: the token's by the token's key,
 * the identity's by the key in the request. `document` is the whole request as it was received,
 * `topic` where the answer goes (part of what is signed); `rid`: that of a node_request, whose
 * response then wraps the answer; NULL for an enrolment. Appends the signed answer, a refusal
 * included; the identical request gets the identical answer. Negative errno when nothing can be
 * said because the store failed. */
int join_decide(struct authority *a, const struct join_request *request, const void *document,
		size_t document_len, const struct topic *topic, const char *rid,
		struct buf *ret_answer);

/* ---- certificate.c */
/* A certificate for the key of `csr_pem` that names the node and all its networks. -ECANCELED with
 * `not_a_member` when it is in none. */
int node_certificate(struct authority *a, const char *node_id, const char *csr_pem,
		     struct buf *ret_pem, struct refusal_reason *why);

/* The same for an exporter; `not_an_exporter`. */
int exporter_certificate(struct authority *a, const char *id, const char *csr_pem,
			 struct buf *ret_pem, struct refusal_reason *why);

/* ---- gateway_ranges.c: which ranges a site may publish */
/* Is it a range that may be published at all: no host bits, not everything, not loopback, link-local,
 * multicast or reserved, not overlapping with a network's range? */
int gateway_range_check(struct authority *a, struct arena *arena, const struct prefix *range,
			struct refusal_reason *why);
/* Does all of it lie in what is private: RFC 1918, RFC 6598, RFC 4193? */
bool gateway_range_is_private(const struct prefix *range);
/* Has the network addresses of the range's kind, IPv4 or IPv6? */
bool gateway_family_fits(const struct network *n, const struct prefix *range);
/* What the exporters of the site offer, in whatever network, each once, as far as the network of `g` has
 * addresses of the kind. `site` must be the gateway's. */
int gateway_ranges_offered(struct authority *a, struct arena *arena, struct gateway_row *g,
			   const char *site, struct refusal_reason *why);
/* All rules for the ranges of a gateway: also none that another site publishes, in whatever network
 * (one site may publish a range in several networks; a node without a site is a site of its own), none
 * with the broker or the public endpoint of a member of its network in it. `g` itself is left out of
 * the comparison, by id. */
int gateway_ranges_check(struct authority *a, struct arena *arena, const struct gateway_row *g,
			 struct refusal_reason *why);
/* A new network's range: none that a gateway publishes, none with the broker in it. */
int gateway_network_check(struct authority *a, struct arena *arena, const struct prefix *range,
			  struct refusal_reason *why);

/* ---- gateways.c */
/* The settings of a gateway that says nothing of them: to be filled in before a request is decoded. */
void gateway_defaults(struct api_gateway_create *ret);
int gateway_create(struct authority *a, struct arena *arena, const struct api_gateway_create *wish,
		   struct api_gateway *ret, struct refusal_reason *why);
/* `wish`: nat and priority as they shall be, and ranges or from_site; with neither of these it carries
 * what it did, and follows its site if it did. What else is in it is not looked at. */
int gateway_set(struct authority *a, const char *id, const struct api_gateway_create *wish,
		struct refusal_reason *why);
int gateway_show(struct authority *a, struct arena *arena, const char *id, struct api_gateway *ret,
		 struct refusal_reason *why);
/* `network` NULL: all. */
int gateway_list(struct authority *a, struct arena *arena, const char *network,
		 struct api_gateway **ret, size_t *ret_count, struct refusal_reason *why);
int gateway_delete(struct authority *a, const char *id, struct refusal_reason *why);
/* The gateways that the member belongs to, or belonged to, are published again: they hold a copy of
 * its peer fields. Inside the caller's transaction. */
int gateway_member_changed(struct authority *a, struct arena *arena, const struct member_row *m);
/* The member's row is gone: a gateway by that node goes with it, one by tag stays, without it. */
int gateway_member_ended(struct authority *a, struct arena *arena, const struct member_row *m);
/* All gateways of a network that is about to be deleted. */
int gateway_network_end(struct authority *a, struct arena *arena, const char *network,
			struct refusal_reason *why);
int gateway_publish(struct authority *a, struct arena *arena, const struct gateway_row *g);
/* Its row, its member in the journal, and the grants of its site. Inside the caller's transaction. */
int gateway_store(struct authority *a, struct arena *arena, const struct gateway_row *g,
		  struct refusal_reason *why);

/* ---- gateway_grow.c: gateways that follow what their site's exporters offer */
/* Those that have a from_site get what is offered and they lack, under the rules of
 * gateway_ranges_check, and if it is private; one transaction for each gateway. Nothing is ever taken
 * away. What may not be added is logged, once: `not_carried` remembers the sentences (by gateway and
 * range, from malloc) from one call to the next, NULL at first; empty: all is carried. */
int gateway_grow(struct authority *a, struct map **not_carried);
/* What it lacks, and the sentence that says why. None when it does not follow. */
int gateway_not_carried(struct authority *a, struct arena *arena, const struct gateway_row *g,
			struct api_not_carried **ret, size_t *ret_count);
/* What the exporter offers and a gateway that follows its site lacks. */
int gateway_offer_missing(struct authority *a, struct arena *arena, struct exporter_row *e,
			  struct prefix **ret, size_t *ret_count);

/* ---- names.c: names added by hand */
int name_add(struct authority *a, const struct api_name *wish, struct refusal_reason *why);
int name_list(struct authority *a, struct arena *arena, const char *network, struct api_name **ret,
	      size_t *ret_count, struct refusal_reason *why);
int name_delete(struct authority *a, const char *network, const char *name,
		struct refusal_reason *why);
int name_publish(struct authority *a, const struct name_row *n);

/* ---- exporters.c */
/* What an exporter's join made. */
struct exporter_joined {
	struct exporter_row row;
	char *replaced; /* id of the one that it takes the place of; NULL: none */
};
/* Inside the transaction of the join: the exporter of (network, site) is now this identity; another
 * one that was, is replaced. The token's use is counted here. Nothing is published yet. */
int exporter_join(struct authority *a, struct arena *arena, const struct join_request *request,
		  const uint8_t request_hash[static HASH_LEN], struct token_row *token,
		  struct exporter_joined *ret, struct refusal_reason *why);
/* The word that the replaced one's grant has ended, and the grant: in one delta. */
int exporter_join_publish(struct authority *a, struct arena *arena, const struct exporter_joined *j,
			  struct refusal_reason *why);
/* Publishes its grant. */
int exporter_publish(struct authority *a, struct arena *arena, const struct exporter_row *e,
		     struct refusal_reason *why);
/* The grants of a site, in every network: its gateways have changed. */
int exporter_grants_refresh(struct authority *a, struct arena *arena, const char *site,
			    struct refusal_reason *why);
/* Would the site's grants hold the ranges of all its gateways if this one were as `g`? */
int exporter_grants_check(struct authority *a, struct arena *arena, const struct gateway_row *g,
			  struct refusal_reason *why);
int exporter_list(struct authority *a, struct arena *arena, const char *network,
		  struct api_exporter **ret, size_t *ret_count, struct refusal_reason *why);
/* Does a network have an exporter of this id? `network` NULL: any. */
bool exporter_is_known(struct authority *a, const char *network, const char *id);
/* By id, out of all its networks. */
int exporter_remove(struct authority *a, const char *id, struct refusal_reason *why);

/* ---- hosts.c: addresses and names in a network */
/* Host indexes run from 1; the same index is used in both ranges. */
uint64_t host_last(const struct network *n);
/* Own address in range `i`, with the range's length. */
struct prefix host_address(const struct network *n, size_t i, uint64_t host);
/* The index of an address in the network's ranges; UINT64_MAX: outside. */
uint64_t host_index(const struct network *n, const struct addr *address);
/* Gives `wish` (0: none) if it is free, else one that was never used, else the one freed longest ago.
 * -ENOSPC: none is left. Updates n->next_host, not yet stored. */
int host_allocate(struct authority *a, struct network *n, uint64_t wish, uint64_t *ret);
/* `wish` made a label, or `wish-2`, ... when another node, an orphan or an added name bears it. */
int host_name(struct authority *a, const char *network, const char *node, const char *wish,
	      char ret[static LABEL_SIZE]);

/* ---- members.c: bodies from rows */
/* Its fields are the rows'; keys and addresses are in the arena. */
void member_peer(struct arena *arena, const struct network *n, const struct member_row *m,
		 const struct node_row *node, struct peer *ret);
void member_peer_body(const struct network *n, const struct member_row *m,
		      const struct node_row *node, struct buf *out);
void member_settings_body(const struct network *n, struct buf *out);
void member_membership(struct arena *arena, const struct network *n, const struct member_row *m,
		       struct membership *ret);
/* Publishes a/<node>/config from the store's rows. */
int member_config_publish(struct authority *a, const char *node_id);
/* Puts into the journals what the rows say and the writers do not have (operations that waited
 * for a window when the process ended). */
int member_reconcile(struct authority *a);

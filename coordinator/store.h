/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the coordinator knows, on disk. Today SQLite (synchronous=FULL, WAL); another database can
 * stand behind the same header. SQL is spelled in coordinator/store*.c only.
 *
 * Every function works inside the transaction that is open, or in one of its own. Negative errno as
 * in lib/db.h; -ENOENT where a row is asked for that is not there, -EEXIST where one is in the way.
 * Rows are filled into an arena of the caller's.
 */
#pragma once

#include "lib/addr.h"
#include "lib/mem.h"
#include "schemas/join.h"
#include "schemas/journal.h"
#include "schemas/member.h"
#include "schemas/token.h"
#include "schemas/topic.h"
#include "schemas/writer.h"

struct store;

int store_open(const char *path, struct store **ret) MUST_CHECK;
void store_close(struct store *s);
const char *store_message(void); /* a sentence about the last failure */
int store_begin(struct store *s) MUST_CHECK;
int store_commit(struct store *s) MUST_CHECK;
void store_rollback(struct store *s);

/* ---- networks */
struct network {
	char *name;
	struct prefix ranges[2]; /* IPv4 and/or IPv6 */
	size_t range_count;
	uint64_t mtu, keepalive, max_stale; /* max_stale: seconds, 0 never */
	uint16_t port;
	uint64_t next_host; /* first host index that was never given to anybody */
};
int store_network_put(struct store *s, const struct network *n); /* insert or update by name */
int store_network_get(struct store *s, struct arena *a, const char *name, struct network *ret);
int store_network_list(struct store *s, struct arena *a, struct network **ret, size_t *ret_count);
/* Also its tokens, joins, members, endings, orphans, freed addresses, gateways, added names, exporters;
 * not its journals. */
int store_network_delete(struct store *s, const char *name);

/* ---- tokens: only the public key is kept */
struct token_row {
	char *id;
	char *network;
	unsigned role;
	uint8_t public_key[KEY_LEN];
	uint64_t uses, used, at_most; /* 0: unlimited */
	int64_t created, expires;     /* wall; expires 0: never */
	uint64_t serial;	      /* see store_serial */
	char **tags;
	size_t tag_count;
	char *site;
	struct prefix *ranges;
	size_t range_count;
	int64_t forget; /* seconds; DURATION_NEVER */
	bool revoked;
};
int store_token_put(struct store *s, const struct token_row *t);
int store_token_get(struct store *s, struct arena *a, const char *id, struct token_row *ret);
/* `network` NULL: all. */
int store_token_list(struct store *s, struct arena *a, const char *network, struct token_row **ret,
		     size_t *ret_count);

/* ---- nodes: a machine, by identity */
struct node_row {
	char *id;
	uint8_t identity_key[KEY_LEN];
	char *site;	   /* NULL: none; fixed at the first join */
	int64_t last_seen; /* wall; 0 never */
	bool online;
	uint64_t state_seq;  /* highest u/<node>/state taken */
	uint64_t config_seq; /* of a/<node>/config */
	int64_t silent;	     /* seconds of silence, see store_silence_add */
};
int store_node_put(struct store *s, const struct node_row *n);
int store_node_get(struct store *s, struct arena *a, const char *id, struct node_row *ret);
/* That many seconds more of silence for every node that is not online; nothing when none is. */
int store_silence_add(struct store *s, int64_t seconds);

/* ---- members: a node in a network */
struct member_row {
	char *network;
	char *node;
	char *name;
	unsigned role;
	uint64_t host; /* index in the network's ranges, the same in both families */
	uint8_t wireguard_key[KEY_LEN];
	char **tags;
	size_t tag_count;
	char **endpoints;
	size_t endpoint_count;
	uint64_t ep_seq;
	char *token;		   /* id of the one it joined with */
	int64_t joined;		   /* wall */
	uint8_t request[HASH_LEN]; /* the join request that made it */
};
int store_member_put(struct store *s, const struct member_row *m);
/* By node id. */
int store_member_get(struct store *s, struct arena *a, const char *network, const char *node,
		     struct member_row *ret);
int store_member_by_name(struct store *s, struct arena *a, const char *network, const char *name,
			 struct member_row *ret);
int store_member_by_key(struct store *s, struct arena *a, const char *network,
			const uint8_t wireguard_key[static KEY_LEN], struct member_row *ret);
/* By network, by node, or all: NULL is any. Sorted by network, name. */
int store_member_list(struct store *s, struct arena *a, const char *network, const char *node,
		      struct member_row **ret, size_t *ret_count);
int store_member_count(struct store *s, const char *network, uint64_t *ret);
int store_member_delete(struct store *s, const char *network, const char *node);
/* Members whose node has been silent for as long as their token says (`forget`), at most `max`. */
int store_member_silent(struct store *s, struct arena *a, const char *network, size_t max,
			struct member_row **ret, size_t *ret_count);
int store_member_silent_count(struct store *s, const char *network, uint64_t *ret);

/* A membership that ended: what its node may not do with an old token, and what it gets back. */
struct ended_row {
	char *network;
	char *node;
	unsigned why;	 /* enum journal_why */
	int64_t at;	 /* wall */
	uint64_t serial; /* see store_serial */
	char *name;
	uint64_t host;
};
int store_ended_put(struct store *s, const struct ended_row *e);
int store_ended_get(struct store *s, struct arena *a, const char *network, const char *node,
		    struct ended_row *ret);
int store_ended_list(struct store *s, struct arena *a, const char *node, struct ended_row **ret,
		     size_t *ret_count);
/* Those that ended for that reason after a time. */
int store_ended_count(struct store *s, const char *network, unsigned why, int64_t since,
		      uint64_t *ret);
int store_ended_delete(struct store *s, const char *network, const char *node);

/* ---- host indexes */
/* Is the index held by a member or an orphan? */
int store_host_taken(struct store *s, const char *network, uint64_t host, bool *ret);
int store_host_free(struct store *s, const char *network, uint64_t host, int64_t at);
/* The index that was freed longest ago; -ENOENT. store_host_take forgets it. */
int store_host_oldest(struct store *s, const char *network, uint64_t *ret);
int store_host_take(struct store *s, const char *network, uint64_t host);

/* ---- gateways, added names, exporters (store_gateways.c) */
#define GATEWAY_ID_LEN 8
#define GATEWAY_ID_SIZE (GATEWAY_ID_LEN + 1)
struct gateway_row {
	char *id; /* GATEWAY_ID_LEN characters of base32 */
	char *network;
	char *node; /* id; NULL: all nodes of `site` with `tag` */
	char *tag;
	char *site;	 /* NULL: its node has none */
	char *from_site; /* it follows what the exporters of this site, its own, offer; NULL: not */
	struct prefix *ranges;
	size_t range_count;
	unsigned nat;
	uint64_t priority;
};
int store_gateway_put(struct store *s, const struct gateway_row *g); /* insert or update by id */
int store_gateway_get(struct store *s, struct arena *a, const char *id, struct gateway_row *ret);
/* By network, or all (NULL). Sorted by network, site, priority, id. */
int store_gateway_list(struct store *s, struct arena *a, const char *network,
		       struct gateway_row **ret, size_t *ret_count);
int store_gateway_delete(struct store *s, const char *id);

struct name_row {
	char *network;
	char *name;
	struct addr *addresses;
	size_t address_count;
};
int store_name_put(struct store *s, const struct name_row *n); /* -EEXIST */
int store_name_get(struct store *s, struct arena *a, const char *network, const char *name,
		   struct name_row *ret);
int store_name_list(struct store *s, struct arena *a, const char *network, struct name_row **ret,
		    size_t *ret_count); /* network NULL: all */
int store_name_delete(struct store *s, const char *network, const char *name); /* -ENOENT */

/* The one exporter of (network, site). Its key, and when it was heard, are in its node_row. */
struct exporter_row {
	char *network;
	char *id;
	char *site;
	struct prefix *ranges; /* of its token */
	size_t range_count;
	uint64_t generation;
	char *token; /* id of the one it joined with */
	int64_t joined;
	uint8_t request[HASH_LEN]; /* the join request that made it */
	struct prefix *offered;	   /* ranges that it said last its site has */
	size_t offered_count;
};
/* By network and id; what is offered stays as it is. */
int store_exporter_put(struct store *s, const struct exporter_row *e);
/* In all its networks; one that there is none of is no error. */
int store_exporter_offer(struct store *s, const char *id, const struct prefix *offered,
			 size_t count);
int store_exporter_get(struct store *s, struct arena *a, const char *network, const char *id,
		       struct exporter_row *ret);
int store_exporter_of_site(struct store *s, struct arena *a, const char *network, const char *site,
			   struct exporter_row *ret);
/* By network, by id, or all: NULL is any. Sorted by network, site. */
int store_exporter_list(struct store *s, struct arena *a, const char *network, const char *id,
			struct exporter_row **ret, size_t *ret_count);
int store_exporter_delete(struct store *s, const char *network, const char *id);

/* ---- joins: nonce, use and answer, so that a request is answered the same way again */
struct join_row {
	uint8_t request[HASH_LEN];
	char *token;
	uint8_t nonce[16];
	char *network;
	char *node;
	char *answer; /* the whole document */
	int64_t at;
};
int store_join_put(struct store *s, const struct join_row *j); /* -EEXIST: nonce or request known */
int store_join_get(struct store *s, struct arena *a, const uint8_t request[static HASH_LEN],
		   struct join_row *ret);
/* Forgets what nobody can make use of any more: of a join that was replaced or has ended, the answer;
 * and all of it once its token is revoked or has expired. */
int store_joins_prune(struct store *s, int64_t now);
/* Is the nonce of this token used? */
int store_join_nonce(struct store *s, const char *token, const uint8_t nonce[static 16], bool *ret);

/* A request to leave, by its hash, so that it is obeyed once: played back, it would end what the node
 * joined since. -EEXIST: it was obeyed. */
int store_leave_put(struct store *s, const char *node, const uint8_t request[static HASH_LEN],
		    int64_t at);

/* ---- registers that we write: newest document per path */
int store_register_put(struct store *s, const char *path, uint64_t seq, const char *document);
int store_register_get(struct store *s, struct arena *a, const char *path, uint64_t *ret_seq,
		       char **ret_document);
int store_register_each(struct store *s,
			int (*each)(void *owner, const char *path, const char *document),
			void *owner);
int store_register_delete(struct store *s, const char *path);

/* ---- orphans: members that a journal holds and the store does not know (read back at a start
 * without a store, or after a restore) */
struct orphan_row {
	char *network;
	char *node; /* member name in the peers journal */
	char *name; /* NULL: unreadable */
	char *body;
	uint64_t host;		  /* UINT64_MAX: outside the ranges */
	uint8_t keys[2][KEY_LEN]; /* WireGuard; zeros: none. The second while it rotates */
};
int store_orphan_put(struct store *s, const struct orphan_row *o);
int store_orphan_list(struct store *s, struct arena *a, const char *network,
		      struct orphan_row **ret, size_t *ret_count); /* network NULL: all */
int store_orphan_get(struct store *s, struct arena *a, const char *network, const char *node,
		     struct orphan_row *ret);
/* The one whose WireGuard key it is. */
int store_orphan_by_key(struct store *s, struct arena *a, const char *network,
			const uint8_t wireguard_key[static KEY_LEN], struct orphan_row *ret);
int store_orphan_name_taken(struct store *s, const char *network, const char *name, bool *ret);
int store_orphan_delete(struct store *s, const char *network,
			const char *node); /* node NULL: all */

/* ---- journals */
int store_journal_record(struct store *s, const char *path, const struct writer_record *r);
/* Gives everything to a new writer; -ENOENT when the journal was never begun. */
int store_journal_load(struct store *s, const char *path, struct writer *w);
int store_journal_delete(struct store *s, const char *path);

/* The next of a series of numbers that tell what came before what, whatever the clock says: was the
 * token made after the node was removed? */
int store_serial(struct store *s, uint64_t *ret);

/* ---- counters and marks by name */
int store_value_get(struct store *s, const char *name, uint64_t *ret); /* 0 when never set */
int store_value_put(struct store *s, const char *name, uint64_t value);

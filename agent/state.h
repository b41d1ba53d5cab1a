/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the agent keeps on disk: state.db in --state (folder 0700, file 0600; SQLite, WAL, committed
 * without fsync; state_flush_soon sees to it that a removal is on the disk within a second).
 *
 * A write that fails (disk full, read-only) is no error for the rest of the agent: what runs goes on
 * from memory. From then on single writes are left out, so that nothing torn is stored, and
 * `rewrite` of the owner puts everything down anew once the disk takes it again (tried every 5 s).
 */
#pragma once

#include "lib/addr.h"
#include "lib/crypto.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "schemas/replica.h"

struct state;

/* Opens or makes it. `loop` NULL: no flush and rewrite by timer. On failure a sentence is in
 * `ret_why`. */
int state_open(const char *dir, struct loop *loop, struct state **ret, char *ret_why,
	       size_t why_size) MUST_CHECK;
/* Flushes. */
void state_close(struct state *s);
/* A sentence while the disk does not take what we write; NULL else. */
const char *state_problem(const struct state *s);
/* `rewrite` writes everything with the functions below, inside a transaction. */
void state_on_rewrite(struct state *s, void (*rewrite)(void *owner), void *owner);
/* Tries the rewrite now when one is due: 0 when all is stored. */
int state_settle(struct state *s);

/* They nest. Without them each write is a transaction of its own. */
void state_begin(struct state *s);
void state_commit(struct state *s);
void state_flush_soon(struct state *s);

/* ---- identity: made at the first start, never changed */
struct state_identity {
	uint8_t secret[KEY_LEN]; /* Ed25519 */
	char *tls_key;		 /* PEM, in the arena */
};
int state_identity_get(struct state *s, struct arena *a, struct state_identity *ret) MUST_CHECK;
void state_identity_put(struct state *s, const struct state_identity *i);

/* ---- the mesh: absent before the first join */
struct state_mesh {
	uint8_t root_key[KEY_LEN]; /* as a token gave it */
	char *trust;		   /* the c/trust document */
	char *certificate;	   /* ours, PEM chain */
	char *site;		   /* NULL: none */
};
int state_mesh_get(struct state *s, struct arena *a, struct state_mesh *ret)
	MUST_CHECK; /* -ENOENT */
void state_mesh_put(struct state *s, const struct state_mesh *m);
/* Another mesh is going to be joined: forgets the mesh, all registers and tokens. */
void state_mesh_forget(struct state *s);
/* Counts connections, over all starts; 0 was never given. */
uint64_t state_connection_next(struct state *s);

/* ---- memberships */
struct state_network {
	char *name;
	char *membership; /* JSON, membership_fields */
	uint8_t private_key[KEY_LEN];
	uint16_t port;	     /* listen port in use; 0: none yet */
	uint64_t ep_seq;     /* highest seq of our own ep register */
	int64_t joined;	     /* wall seconds */
	bool held;	     /* by a program, when this was written */
	int64_t holder_gone; /* wall seconds: when the last one went; 0: none ever did */
};
/* In the order of joining; `each` may not write. */
void state_network_each(struct state *s, void (*each)(void *owner, const struct state_network *n),
			void *owner);
void state_network_put(struct state *s, const struct state_network *n);
/* With its journals, registers (n/<name>/...), learned endpoints. */
void state_network_del(struct state *s, const char *name);

/* ---- registers that others write: the highest one taken */
uint64_t state_register_seq(struct state *s, const char *path); /* 0: none */
void state_register_put(struct state *s, const char *path, uint64_t seq, const char *body);
void state_register_del(struct state *s, const char *path);
/* Those whose path begins with `prefix`. */
void state_register_each(struct state *s, const char *prefix,
			 void (*each)(void *owner, const char *path, uint64_t seq,
				      const char *body),
			 void *owner);

/* ---- journals */
/* -ENOENT: not there. `ret`: for replica_state_done. `member` (may be NULL) is called for each. */
int state_journal_get(struct state *s, const char *path, struct replica_state *ret,
		      void (*member)(void *owner, const char *name, const char *body, bool orphan),
		      void *owner) MUST_CHECK;
/* What a replica's `changed` says, in one transaction. */
void state_journal_put(struct state *s, const char *path, const struct replica_state *st,
		       const struct replica_change *changes, size_t count);
/* Everything of the journal, whatever was there. */
void state_journal_rewrite(struct state *s, const char *path, const struct replica *r);
void state_journal_del(struct state *s, const char *path);

/* ---- where a peer was last heard from */
void state_learned_each(struct state *s, const char *network,
			void (*each)(void *owner, const char *node, const struct endpoint *e),
			void *owner);
void state_learned_put(struct state *s, const char *network, const char *node,
		       const struct endpoint *e);
void state_learned_del(struct state *s, const char *network, const char *node);

/* ---- tokens that admitted us, until we leave by ourselves */
bool state_token_used(struct state *s, const char *id);
void state_token_put(struct state *s, const char *id, const char *network);
void state_token_forget(struct state *s, const char *network);

/* ---- networks that were left and the coordinator does not know it yet */
void state_leaving_put(struct state *s, const char *network);
void state_leaving_del(struct state *s, const char *network);
/* Names in the arena; returns how many. */
size_t state_leaving_list(struct state *s, struct arena *a, char ***ret);

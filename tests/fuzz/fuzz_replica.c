/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A replica driven by a byte string: each byte is a message, a step of time, a new connection, a restart or
 * a revocation, the next ones say what is in it. The documents are rightly signed, by one of two keys of a
 * writer that has gone mad, so that all that is behind the signature is reached; signatures cost little
 * (cheap_signatures.h). Whatever comes: the replica never goes back, tells all changes, keeps its bounds, and
 * always has something to wait for while it is behind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/schemas/cheap_signatures.h"

#include "lib/compress.h"
#include "schemas/replica_private.h"

#define MESH "abcdefghij"
#define NAMES 4
#define KEYS 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sign_key sign[KEYS];
static struct verify_key verify[KEYS];

struct fuzz {
	const uint8_t *at, *end;
	struct topic journal;
	struct replica *r;
	bool revoked[KEYS], goes_back;
	uint64_t now;
	struct journal_position last;
	uint8_t hashes[4][HASH_LEN]; /* of what was made last */
	unsigned hash_count;
	char *bodies[NAMES]; /* as told */
	bool orphans[NAMES];
	struct buf chunk;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t byte(struct fuzz *f)
{
	return f->at < f->end ? *f->at++ : 0;
}

/* ---- what surrounds the replica ---- */

static const struct verify_key *find(void *owner, const struct signers *who, size_t index,
				     const char *key, bool *ret_known)
{
	const struct fuzz *f = owner;

	(void)who;
	(void)index;
	*ret_known = false;
	for (int i = 0; i < KEYS; i++)
		if (strcmp(key, verify[i].id) == 0 && !f->revoked[i])
			return &verify[i];
	return NULL;
}

static void subscribe(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk)
{
	(void)owner;
	check(kind == TOPIC_LOG || kind == TOPIC_MANIFEST || kind == TOPIC_CHUNK);
	check(slot < JOURNAL_RING && chunk < JOURNAL_CHUNKS_MAX);
}

static void changed(void *owner, const struct replica_change *changes, size_t count, bool removed)
{
	struct fuzz *f = owner;
	bool removal = false;

	check(f->goes_back || journal_position_cmp(replica_position(f->r), f->last) >= 0);
	f->last = replica_position(f->r);
	for (size_t i = 0; i < count; i++) {
		int n = changes[i].name[0] - 'a';

		check(text_is_member_name(changes[i].name));
		if (n < 0 || n >= NAMES || changes[i].name[1])
			continue;
		removal |= changes[i].change == MEMBER_DEL;
		check(changes[i].change != MEMBER_DEL || f->bodies[n]);
		free(f->bodies[n]);
		f->bodies[n] = changes[i].body ? xstrdup(changes[i].body) : NULL;
		f->orphans[n] = changes[i].change == MEMBER_ORPHANED;
	}
	check(!removal || removed);
}

static void ask(void *owner, const struct journal_ask *a)
{
	(void)owner;
	check(a->proof_count <= JOURNAL_PROOFS_MAX);
	for (size_t i = 0; i < a->proof_count; i++)
		check((a->proofs[i].kind == PROOF_JOIN) == (a->proofs[i].topic != NULL));
}

static uint32_t random32(void *owner)
{
	return byte(owner);
}

static void start(struct fuzz *f)
{
	const struct replica_io io = { subscribe, subscribe, changed, ask, random32, f };
	const struct keyring keys = { find, f };
	struct replica_state st = { 0 };
	struct replica *r = replica_new(MESH, &f->journal, &keys, &io);

	if (f->r) {
		/* Only what is reported can be walked; the rest is read from inside. */
		struct map_entry *e = NULL;

		replica_state(f->r, &st);
		while ((e = map_next(f->r->members, e))) {
			const struct replica_member *m = map_entry_value(e);

			replica_restore_member(r, map_entry_key(e), m->body, m->orphan);
		}
		replica_free(f->r);
	}
	replica_restore(r, &st);
	replica_state_done(&st);
	f->r = r;
	replica_tick(r, f->now);
	replica_connected(r, f->now);
}

/* ---- what it is given ---- */

static void give(struct fuzz *f, enum topic_kind kind, const struct json_field *fields,
		 const void *what)
{
	unsigned by = byte(f) % KEYS;
	const struct sign_key *key = &sign[by];
	struct buf body = { 0 }, doc = { 0 };
	struct topic t = f->journal;
	char place[TOPIC_SIZE];
	enum refusal refused;

	topic_place(MESH, &t, place);
	t.kind = kind;
	json_encode(&body, fields, what);
	document_sign(&doc, place, body.data, body.len, &key, 1);
	sha256(body.data, body.len, f->hashes[f->hash_count++ % 4]);
	refused = replica_receive(f->r, f->now, &t, doc.data, doc.len);
	check((refused == REFUSED_KEY) == f->revoked[by]);
	buf_done(&body);
	buf_done(&doc);
}

static struct journal_position some_position(struct fuzz *f)
{
	uint8_t b = byte(f);
	struct journal_position p = { 1 + b % 3, b / 3 };

	if (b >= 250)
		p.ver = b >= 253 ? INT64_MAX - 1 : 1500;
	else if (b >= 240)
		p = (struct journal_position){ replica_position(f->r).epoch,
					       replica_position(f->r).ver + 1 };
	return p;
}

static const uint8_t *some_hash(struct fuzz *f)
{
	uint8_t b = byte(f);

	return b & 4 ? f->r->state.hash : f->hashes[b % 4];
}

static void give_delta(struct fuzz *f)
{
	struct journal_op ops[8] = { 0 };
	char names[8][2], bodies[8][16];
	struct journal_position at = some_position(f);
	struct journal_delta d = { .epoch = MAX(at.epoch, 1), .ver = MAX(at.ver, 1), .ops = ops };

	memcpy(d.prev, some_hash(f), HASH_LEN);
	d.run[0] = byte(f) % 3;
	d.op_count = byte(f) % 9;
	for (size_t i = 0; i < d.op_count; i++) {
		uint8_t b = byte(f);

		snprintf(names[i], sizeof(names[i]), "%c", 'a' + b % NAMES);
		snprintf(bodies[i], sizeof(bodies[i]), "{\"v\":%u}", b / 16);
		if (b >= 240)
			ops[i].drop = true;
		else if (b & 8)
			ops[i].del = names[i];
		else
			ops[i] = (struct journal_op){ .put = names[i], .body = bodies[i] };
	}
	give(f, byte(f) % 2 ? TOPIC_JOURNAL : TOPIC_LOG, journal_delta_fields, &d);
}

static void give_manifest(struct fuzz *f)
{
	struct journal_position at = some_position(f);
	struct journal_run runs[2] = { 0 };
	char name[2] = "b";
	char *gone[] = { name };
	struct journal_chunk chunk;
	struct journal_manifest m = { .epoch = MAX(at.epoch, 1), .ver = at.ver, .runs = runs };
	struct buf text = { 0 };
	uint8_t b = byte(f), members = byte(f);

	m.run_count = b % 3;
	runs[0].run[0] = byte(f) % 3;
	runs[1].run[0] = byte(f) % 3;
	runs[1].first = byte(f) % 8;
	memcpy(m.at, some_hash(f), HASH_LEN);
	m.drop = b & 16;
	m.gone = gone;
	m.gone_count = b >> 5 & 1;
	if (b & 64)
		buf_str(&text, "{\"runs\":[{\"run\":\"02000000000000000000000000000000\","
			       "\"first\":0}],\"gone\":[\"c\"]}\n");
	for (unsigned i = 0; i < NAMES; i++) {
		if (!(members >> i & 1))
			continue;
		buf_printf(&text, "%c {\"v\":%u}\n", 'a' + i, members >> 4);
		m.count++;
	}
	m.count += b >> 7;
	buf_clear(&f->chunk);
	if (text.len > 0) {
		zlib_deflate(text.data, text.len, &f->chunk);
		sha256(f->chunk.data, f->chunk.len, chunk.hash);
		m.chunks = &chunk;
		m.chunk_count = 1;
	}
	give(f, TOPIC_MANIFEST, journal_manifest_fields, &m);
	buf_done(&text);
}

static void give_chunk(struct fuzz *f)
{
	struct topic t = f->journal;

	t.kind = TOPIC_CHUNK;
	t.slot = byte(f) % 2;
	t.chunk = byte(f) % 16 == 0;
	replica_receive(f->r, f->now, &t, buf_cstr(&f->chunk), f->chunk.len);
}

static void give_beat(struct fuzz *f)
{
	struct journal_position at = some_position(f);
	struct journal_beat b = { .epoch = MAX(at.epoch, 1), .ver = at.ver, .time = byte(f) };

	memcpy(b.hash, some_hash(f), HASH_LEN);
	give(f, TOPIC_BEAT, journal_beat_fields, &b);
}

/* Bytes as they are. */
static void give_raw(struct fuzz *f)
{
	static const enum topic_kind kinds[] = { TOPIC_JOURNAL, TOPIC_MANIFEST, TOPIC_CHUNK,
						 TOPIC_BEAT };
	struct topic t = f->journal;
	size_t len = MIN((size_t)byte(f), (size_t)(f->end - f->at));

	t.kind = kinds[byte(f) % 4];
	len = MIN(len, (size_t)(f->end - f->at));
	replica_receive(f->r, f->now, &t, f->at, len);
	f->at += len;
}

static void revoke_one(struct fuzz *f)
{
	unsigned by = byte(f) % KEYS;

	f->revoked[by] = true;
	f->goes_back = true;
	replica_revoke(f->r, f->now, verify[by].id);
	f->goes_back = false;
}

static void pass_time(struct fuzz *f)
{
	uint8_t b = byte(f);

	f->now += (b & 1 ? USEC_PER_SEC : USEC_PER_MSEC) * (b + 1);
	replica_tick(f->r, f->now);
}

static void set_minimum(struct fuzz *f)
{
	replica_set_minimum(f->r, some_position(f), "warren/1/abcdefghij/a/x/rsp", "join");
}

/* ---- what must hold ---- */

static void check_replica(struct fuzz *f)
{
	const struct replica *r = f->r;
	size_t orphans = 0;
	bool orphan;

	check(r->pending_count <= REPLICA_PENDING_MAX && r->pending_bytes <= REPLICA_PENDING_BYTES);
	check(!r->snapshot == (r->phase != PHASE_CHUNKS));
	check(r->state.floor_count <= ARRAY_SIZE(r->state.floors));
	check(!r->state.proven == !r->state.proof);
	check(!replica_is_behind(r) || replica_due(r) != CLOCK_NEVER);
	check(map_count(r->members) <= NAMES);
	for (unsigned i = 0; i < NAMES; i++) {
		const char *body = replica_get(r, (char[]){ (char)('a' + i), '\0' }, &orphan);

		if (!replica_is_ready(r))
			check(!body);
		else
			check(body ? f->bodies[i] && strcmp(body, f->bodies[i]) == 0 &&
					      orphan == f->orphans[i] :
				     !f->bodies[i]);
		orphans += body && orphan;
	}
	check(orphans == replica_orphan_count(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(
		struct fuzz *) = { give_delta, give_delta, give_delta, give_beat, give_manifest,
				   give_chunk, give_chunk, give_raw,   pass_time, pass_time,
				   revoke_one, start,	   set_minimum };
	struct fuzz f = { .at = data, .end = data + size, .now = 1000 * USEC_PER_SEC };

	if (!sign[0].pkey) {
		for (int i = 0; i < KEYS; i++) {
			uint8_t secret[KEY_LEN] = { (uint8_t)(i + 1) };

			sign_key_from_secret(secret, &sign[i]);
			verify_key_init(&verify[i], sign[i].public_key);
		}
	}
	f.journal = (struct topic){ .kind = TOPIC_JOURNAL, .network = "dc1" };
	start(&f);
	while (f.at < f.end) {
		steps[byte(&f) % ARRAY_SIZE(steps)](&f);
		check_replica(&f);
	}
	replica_free(f.r);
	buf_done(&f.chunk);
	for (int i = 0; i < NAMES; i++)
		free(f.bodies[i]);
	return 0;
}

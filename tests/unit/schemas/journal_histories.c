/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random histories of a journal: a broker that loses, repeats, reorders, plays back, forges, clears,
 * freezes; processes that die at any step; stores that are rolled back; keys that are rotated, stolen
 * and revoked. What must hold is checked after every move (journal_replicas.h), and in the end, with
 * an honest broker, all must become equal.
 *
 *	HISTORIES=n	how many (default 100,000; with a sanitizer 10,000)
 *	SEED=n		of the first one; the next have n + 1, n + 2, ...
 *
 * The journal is built in here with small limits, so that a short history goes over every edge, and
 * with signatures that cost little: Ed25519 alone is replaced, by a hash that the key goes into, in 255 of
 * 256 histories. The document around it is the real one in all of them.
 */
#include <malloc.h>

#define REPLICA_RING 8
#define REPLICA_LOG_MAX 3
#define REPLICA_PENDING_MAX 6
#define WRITER_RING 8
#define WRITER_SNAPSHOT_DELTAS 3
#define WRITER_SNAPSHOT_QUIET 2
#define WRITER_INLINE_RUNS 2
#define WRITER_SNAPSHOT_APART (2 * UINT64_C(1000000))

#include "tests/unit/schemas/cheap_signatures.h"

#include "schemas/replica.c"
#include "schemas/replica_map.c"
#include "schemas/replica_repair.c"
#include "schemas/replica_snapshot.c"
#include "schemas/writer.c"
#include "schemas/writer_audit.c"
#include "schemas/writer_snapshot.c"
#include "schemas/writer_store.c"

#include "tests/unit/schemas/journal_replicas.h"

#ifdef __SANITIZE_ADDRESS__
#define HISTORIES 10000
#else
#define HISTORIES 100000
#endif

#define PERMANENT 4 /* names from here on are never deleted */

struct history {
	struct world w;
	struct world_store backup;
	bool has_backup, has_rolled_back;
	unsigned kind;
	bool drops; /* releases and revocations happen */
	bool stolen;
	uint64_t bodies;
	unsigned key_lost; /* the stolen one */
};

static struct world_replica *some_replica(struct history *h)
{
	return &h->w.replicas[world_pick(&h->w, (unsigned)h->w.replica_count)];
}

/* ---- the writer's side ---- */

static void writer_lives(struct history *h)
{
	if (h->w.writer)
		return;
	world_writer_start(&h->w);
	world_writer_connect(&h->w);
}

static void some_change(struct history *h)
{
	unsigned n = 1 + world_pick(&h->w, 8) / 6 * world_pick(&h->w, 6);

	for (; n > 0 && h->w.writer; n--) {
		unsigned name = world_pick(&h->w, WORLD_NAMES);
		bool del = name < PERMANENT && world_pick(&h->w, 3) == 0;

		h->w.store_fails = world_pick(&h->w, 40) == 0;
		world_change(&h->w, world_names[name], del ? 0 : ++h->bodies);
		world_flush(&h->w);
	}
	h->w.store_fails = 0;
}

/* It dies now, or in the middle of what it publishes next. */
static void writer_dies(struct history *h)
{
	if (world_pick(&h->w, 2) == 0)
		world_writer_stop(&h->w);
	else
		h->w.publish_left = world_pick(&h->w, 4);
}

static void roll_back(struct history *h)
{
	if (!h->has_backup || world_pick(&h->w, 3) == 0) {
		h->backup = h->w.store;
		h->has_backup = true;
		return;
	}
	world_writer_stop(&h->w);
	h->w.store = h->backup;
	h->has_rolled_back = true;
	h->w.forked = true;
	world_writer_start(&h->w);
	CHECK_INT(writer_rotate(h->w.writer, h->w.now, &world_sign[h->w.key]), 0);
	if (world_pick(&h->w, 3) == 0) {
		/* `restore`, which begins an epoch by itself. */
		CHECK_INT(writer_begin(h->w.writer, h->w.now,
				       world_pick(&h->w, 2) ? h->w.store.state.position.epoch : 0,
				       world_wall(&h->w), false),
			  0);
		world_flush(&h->w);
	} else if (world_pick(&h->w, 2) == 0) {
		world_writer_connect(&h->w);
	}
}

static void revoke_at(struct history *h, struct world_replica *rep, unsigned key)
{
	rep->highest = (struct journal_position){ 0 };
	replica_revoke(rep->r, h->w.now, world_sign[key].id);
}

/* With a new key if it was ours, and a new epoch. */
static void revoke_key(struct history *h, unsigned key)
{
	if (h->w.key == key && key + 1 == WORLD_STRANGER)
		return;
	writer_lives(h);
	if (h->w.key == key)
		h->w.key++;
	CHECK_INT(writer_rotate(h->w.writer, h->w.now, &world_sign[h->w.key]), 0);
	h->w.revoked[key] = true;
	CHECK_INT(writer_begin(h->w.writer, h->w.now, 0, world_wall(&h->w), true), 0);
	world_flush(&h->w);
	for (size_t i = 0; i < h->w.replica_count; i++)
		revoke_at(h, &h->w.replicas[i], key);
}

static void some_key_event(struct history *h)
{
	if (!h->w.writer || (h->w.lawless && h->w.key != h->key_lost))
		return;
	if (h->drops && world_pick(&h->w, 4) != 0) {
		if (world_pick(&h->w, 4) == 0)
			revoke_key(h, h->w.key);
		else
			writer_release(h->w.writer, h->w.now);
	} else if (h->w.key + 1 < WORLD_STRANGER && !h->w.lawless) {
		h->w.key++;
		writer_rotate(h->w.writer, h->w.now, &world_sign[h->w.key]);
	}
	if (h->w.writer)
		world_flush(&h->w);
}

/* ---- the broker's side ---- */

static void some_delivery(struct history *h)
{
	struct world_replica *rep = some_replica(h);
	unsigned what = world_pick(&h->w, 16);
	size_t i;

	if (rep->inbox_count == 0)
		return;
	i = world_pick(&h->w, (unsigned)rep->inbox_count);
	if (what == 0) {
		/* Lost. */
		rep->inbox_count--;
		rep->inbox[i] = rep->inbox[rep->inbox_count];
	} else if (what == 1) {
		world_send(rep, rep->inbox[i]);
	} else if (what < 8) {
		world_deliver(rep, i);
	} else {
		while (rep->inbox_count > 0)
			world_deliver(rep, 0);
	}
}

static void play_back(struct history *h)
{
	struct world *w = &h->w;
	const struct world_blob *b;

	if (w->history_count == 0)
		return;
	b = w->history[world_pick(w, (unsigned)w->history_count)];
	if (world_pick(w, 3) == 0 && b->topic != AT_BEAT)
		w->retained[b->topic] = w->history[0];
	if (world_pick(w, 2) == 0 && b->topic != AT_BEAT) {
		w->retained[b->topic] = world_blob(w, b->topic, b->bytes, b->len);
		return;
	}
	world_send(some_replica(h), b);
}

/* Nobody takes this. */
static void forge(struct history *h)
{
	static const char elsewhere[] = "warren/1/abcdefghij/n/dc2/peers";
	struct world *w = &h->w;
	struct world_replica *rep = some_replica(h);
	const struct sign_key *key = &world_sign[w->key];
	struct world_blob *b;
	struct buf doc = { 0 };
	struct document d;
	struct topic t;
	enum refusal refused;

	if (w->history_count == 0 || rep->away)
		return;
	b = w->history[world_pick(w, (unsigned)w->history_count)];
	t = world_topic_of(w, b->topic);
	if (t.kind == TOPIC_CHUNK || document_split(b->bytes, b->len, &d))
		return;
	switch (world_pick(w, 3)) {
	case 0:
		key = &world_sign[WORLD_STRANGER];
		document_sign(&doc, w->place, d.body, d.body_len, &key, 1);
		break;
	case 1:
		document_sign(&doc, elsewhere, d.body, d.body_len, &key, 1);
		break;
	default:
		buf_add(&doc, b->bytes, b->len);
		doc.data[doc.len - d.body_len + 9] ^= 1;
		break;
	}
	refused = replica_receive(rep->r, w->now, &t, doc.data, doc.len);
	WORLD_CHECK(w, refused == REFUSED_KEY || refused == REFUSED_PLACE);
	world_check_readings(rep);
	buf_done(&doc);
}

static void broker_forgets(struct history *h)
{
	if (world_pick(&h->w, 2) == 0)
		memset(h->w.retained, 0, sizeof(h->w.retained));
	else
		h->w.retained[world_pick(&h->w, WORLD_TOPICS)] = NULL;
}

/* With the writer's own key, somewhere where the writer never was. */
static void steal(struct history *h)
{
	struct journal_op drop = { .drop = true },
			  put = { .put = (char[]){ "a" }, .body = (char[]){ "{\"v\":666}" } };
	struct world *w = &h->w;
	struct world_replica *rep = some_replica(h);
	const struct sign_key *key = &world_sign[w->key];
	struct journal_delta d = { .epoch = w->store.state.position.epoch,
				   .ver = w->store.state.position.ver + 1,
				   .ops = world_pick(w, 2) ? &drop : &put,
				   .op_count = 1 };
	struct buf body = { 0 }, doc = { 0 };
	struct world_blob *b;

	if (!h->stolen || w->key + 1 == WORLD_STRANGER || (w->lawless && w->key != h->key_lost))
		return;
	w->lawless = true;
	w->forked = true;
	h->key_lost = w->key;
	if (world_pick(w, 3) == 0)
		d.epoch = world_pick(w, 2) ? INT64_MAX : UINT64_C(1) << 39;
	memcpy(d.prev, w->store.state.hash, HASH_LEN);
	memcpy(d.run, w->store.runs[0].run, RUN_LEN);
	json_encode(&body, journal_delta_fields, &d);
	document_sign(&doc, w->place, body.data, body.len, &key, 1);
	b = world_blob(w, AT_JOURNAL, doc.data, doc.len);
	if (world_pick(w, 2))
		w->retained[AT_JOURNAL] = b;
	world_send(rep, b);
	buf_done(&body);
	buf_done(&doc);
}

/* ---- time, replicas ---- */

static void some_time(struct history *h)
{
	static const uint64_t spans[] = { 10, 25, 100, 100, 1000, 2500, 6000, 31000, 31000, 400000 };
	struct world *w = &h->w;
	uint64_t until = w->now + spans[world_pick(w, ARRAY_SIZE(spans))] * USEC_PER_MSEC;

	for (int turn = 0; turn < 12 && w->now < until; turn++) {
		w->now = MAX(w->now, MIN(until, world_next(w)));
		if (w->writer && writer_due(w->writer) <= w->now)
			world_tick_writer(w);
		for (size_t i = 0; i < w->replica_count; i++)
			if (replica_due(w->replicas[i].r) <= w->now)
				world_tick_replica(&w->replicas[i]);
		world_hear(w);
		if (world_pick(w, 2))
			some_delivery(h);
	}
	w->now = until;
}

static void some_replica_event(struct history *h)
{
	struct world *w = &h->w;
	struct world_replica *rep = some_replica(h);

	switch (world_pick(w, 5)) {
	case 0:
	case 1:
		world_replica_connect(rep);
		break;
	case 2:
	case 3:
		world_replica_start(rep);
		for (unsigned key = 0; key < WORLD_STRANGER; key++)
			if (w->revoked[key])
				revoke_at(h, rep, key);
		break;
	default:
		if (w->replica_count < WORLD_REPLICAS && w->writer)
			world_newcomer(w)->disk_lag = world_pick(w, 4);
		break;
	}
}

/* ---- a history ---- */

enum {
	CHANGE,
	DELIVER,
	TIME,
	PLAY_BACK,
	FORGE,
	FORGET,
	DEAF,
	AWAY,
	REPLICA,
	DIE,
	LIVE,
	ASKS,
	CONNECT,
	ROLL_BACK,
	KEY,
	STEAL,
	ACTIONS
};

/* How often what happens, in four kinds of worlds: bad lines, rolled back stores, orphans, keys. */
static const unsigned weights[][ACTIONS] = {
	{ 28, 27, 13, 5, 2, 3, 2, 2, 5, 3, 4, 1, 2, 1, 2, 0 },
	{ 36, 22, 10, 6, 1, 4, 2, 1, 3, 1, 2, 2, 1, 9, 0, 0 },
	{ 34, 20, 12, 2, 1, 2, 1, 2, 3, 1, 2, 1, 3, 9, 7, 0 },
	{ 28, 24, 12, 5, 4, 3, 1, 1, 3, 2, 2, 1, 2, 3, 5, 4 },
};

static unsigned some_action(struct history *h)
{
	const unsigned *weight = weights[h->kind];
	unsigned n = world_pick(&h->w, 100), action = 0;

	while (action < STEAL && n >= weight[action])
		n -= weight[action++];
	return action;
}

static void step(struct history *h)
{
	struct world *w = &h->w;

	switch (some_action(h)) {
	case CHANGE:
		some_change(h);
		break;
	case DELIVER:
		some_delivery(h);
		break;
	case TIME:
		some_time(h);
		break;
	case PLAY_BACK:
		play_back(h);
		break;
	case FORGE:
		forge(h);
		break;
	case FORGET:
		broker_forgets(h);
		break;
	case DEAF:
		w->deaf = !w->deaf;
		break;
	case AWAY:
		w->replicas[0].away = !w->replicas[0].away;
		break;
	case REPLICA:
		some_replica_event(h);
		break;
	case DIE:
		writer_dies(h);
		break;
	case LIVE:
		writer_lives(h);
		break;
	case ASKS:
		w->asks_lost = !w->asks_lost;
		break;
	case CONNECT:
		if (w->writer)
			world_writer_connect(w);
		break;
	case ROLL_BACK:
		roll_back(h);
		break;
	case KEY:
		some_key_event(h);
		break;
	default:
		steal(h);
		break;
	}
}

static void check_bounds(const struct history *h)
{
	for (size_t i = 0; i < h->w.replica_count; i++) {
		const struct replica *r = h->w.replicas[i].r;

		WORLD_CHECK(&h->w, r->pending_count <= REPLICA_PENDING_MAX);
		WORLD_CHECK(&h->w, r->state.floor_count <= ARRAY_SIZE(r->state.floors));
		WORLD_CHECK(&h->w, !r->snapshot || r->phase == PHASE_CHUNKS);
	}
}

static bool all_equal(const struct world *w)
{
	for (size_t i = 0; i < w->replica_count; i++)
		if (!world_is_equal(&w->replicas[i]) || !replica_is_level(w->replicas[i].r))
			return false;
	return true;
}

/* The broker is honest from now on, and nothing changes any more. */
static void end_well(struct history *h)
{
	struct world *w = &h->w;

	w->deaf = false;
	w->asks_lost = false;
	w->publish_left = -1;
	for (size_t i = 0; i < w->replica_count; i++)
		w->replicas[i].away = false;
	if (w->lawless) {
		revoke_key(h, h->key_lost);
		w->lawless = false;
	}
	if (!w->writer)
		world_writer_start(w);
	world_writer_connect(w);
	/* What is under way arrives first. */
	world_turn(w);
	for (int i = 0; i < 60 && !all_equal(w); i++)
		world_run(w, 31 * USEC_PER_SEC);
	WORLD_CHECK(w, all_equal(w));
	world_run(w, 35 * USEC_PER_SEC);
	WORLD_CHECK(w, all_equal(w));
	WORLD_CHECK(w, w->rolled_back == 0 || h->has_rolled_back || h->stolen);
}

static void history(uint64_t seed)
{
	static struct history h;
	unsigned steps;

	ed25519 = seed % 256 == 0;
	memset(&h, 0, sizeof(h));
	world_init(&h.w, seed, seed % 8 == 7);
	h.w.keep_history = true;
	h.kind = world_pick(&h.w, ARRAY_SIZE(weights));
	h.drops = h.kind >= 2;
	h.stolen = h.kind == 3;
	for (unsigned i = world_pick(&h.w, 3) + 1; i > 0; i--)
		world_newcomer(&h.w)->disk_lag = world_pick(&h.w, 4);
	steps = 6 + world_pick(&h.w, 30);
	for (unsigned i = 0; i < steps; i++) {
		step(&h);
		check_bounds(&h);
	}
	end_well(&h);
	world_done(&h.w);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

TEST(random_histories)
{
	uint64_t seed = number("SEED", 1), count = number("HISTORIES", HISTORIES);

	/* Each history gives back all that it took; the next one needs it again. */
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	for (uint64_t i = 0; i < count; i++) {
		/* Shown if it crashes. */
		snprintf(test_result->why, sizeof(test_result->why), "SEED=%llu HISTORIES=1",
			 (unsigned long long)(seed + i));
		history(seed + i);
	}
	snprintf(test_result->why, sizeof(test_result->why), "histories=%llu",
		 (unsigned long long)count);
}

TEST_MAIN("journal-histories")

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * B11: whatever a writer did, all ways lead to the same map: every delta, only snapshots, joining in
 * the middle, and missing some deltas and repairing. The real modules with their real limits, and
 * Ed25519 in every 32nd history; journal_histories.c has the hostile broker and crashes.
 *
 *	HISTORIES=n	how many (default 4,000; with a sanitizer 400)
 *	SEED=n		of the first one; the next have n + 1, n + 2, ...
 */
#include "tests/unit/schemas/cheap_signatures.h"

#include "tests/unit/schemas/journal_replicas.h"

#ifdef __SANITIZE_ADDRESS__
#define HISTORIES 400
#else
#define HISTORIES 4000
#endif
#define LONG_EVERY                                                                                 \
	100 /* so many histories have one that goes over the log's and snapshot's limits */
#define OPS_MAX 5
#define BODY_MAX 600

enum { BY_DELTAS, BY_SNAPSHOTS, WITH_GAPS, LATE };

static struct {
	uint64_t changes, deltas, snapshots, lost, repairs;
} sum;

/* It gets neither the journal's topic nor its log. */
static bool loses_deltas(struct world_replica *rep, unsigned topic)
{
	(void)rep;
	return topic == AT_JOURNAL || topic >= AT_LOG;
}

static bool loses_some(struct world_replica *rep, unsigned topic)
{
	bool lost = topic == AT_JOURNAL && world_pick(rep->world, 3) == 0;

	sum.lost += lost;
	return lost;
}

/* ---- what the writer does ---- */

static char *some_body(struct world *w, uint64_t v)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789\xc3\xa9";
	unsigned len = world_pick(w, 4) ? world_pick(w, 40) : world_pick(w, BODY_MAX);
	char *text = arena_alloc(&w->arena, BODY_MAX + 2), *body;

	for (unsigned i = 0; i < len; i++)
		text[i] = letters[world_pick(w, 36)];
	if (world_pick(w, 3) == 0)
		memcpy(text + len, letters + 36, 2);
	body = arena_alloc(&w->arena, BODY_MAX + 64);
	snprintf(body, BODY_MAX + 64, "{\"v\":%llu,\"text\":\"%s\",\"list\":[%u,null,{}]}",
		 (unsigned long long)v, text, world_pick(w, 1000));
	return body;
}

static void some_change(struct world *w, uint64_t *bodies)
{
	struct journal_op ops[OPS_MAX] = { 0 };
	unsigned count = 1 + world_pick(w, OPS_MAX);

	for (unsigned i = 0; i < count; i++) {
		char *name = arena_strdup(&w->arena, world_names[world_pick(w, WORLD_NAMES)]);

		if (world_pick(w, 3) == 0) {
			ops[i].del = name;
			ops[i].why = world_pick(w, 6);
		} else {
			ops[i].put = name;
			ops[i].body = some_body(w, ++*bodies);
		}
	}
	CHECK_INT(writer_change(w->writer, w->now, ops, count), 0);
	if (world_pick(w, 3) == 0)
		CHECK_INT(writer_commit(w->writer, w->now), 0);
	world_flush(w);
	sum.changes += count;
}

/* As of now: a replica that can prove nothing has asked for it. */
static void new_snapshot(struct world *w)
{
	const struct journal_ask ask = { .unproven = true };
	bool audit = false, rolled_back = false;

	CHECK_INT(writer_commit(w->writer, w->now), 0);
	CHECK_INT(writer_ask(w->writer, w->now, world_wall(w), &ask, &audit, &rolled_back), 0);
	WORLD_CHECK(w, !rolled_back);
	world_flush(w);
	world_run(w, 31 * USEC_PER_SEC);
	WORLD_CHECK(w, w->store.state.snapshot_ver == w->store.state.position.ver);
	sum.snapshots++;
}

static void step(struct world *w, uint64_t *bodies)
{
	static const uint64_t spans[] = { 0, 5, 30, 120, 120, 3000, 40000 };

	if (world_pick(w, 40) == 0)
		new_snapshot(w);
	else if (world_pick(w, 40) == 0)
		WORLD_CHECK(w, !world_writer_connect(w));
	else
		some_change(w, bodies);
	world_run(w, spans[world_pick(w, ARRAY_SIZE(spans))] * USEC_PER_MSEC);
}

/* ---- what must hold in the end ---- */

/* Name by name, byte by byte. */
static bool has_the_writers_map(const struct world_replica *rep)
{
	const struct world *w = rep->world;
	bool orphan = false;

	if (!world_is_equal(rep) || replica_count(rep->r) != writer_count(w->writer))
		return false;
	for (int i = 0; i < WORLD_NAMES; i++) {
		const char *have = replica_get(rep->r, world_names[i], &orphan);
		const char *want = writer_get(w->writer, world_names[i]);

		if (orphan || !have != !want || (have && strcmp(have, want) != 0))
			return false;
	}
	return true;
}

static bool all_have(const struct world *w)
{
	for (size_t i = 0; i < w->replica_count; i++)
		if (!has_the_writers_map(&w->replicas[i]))
			return false;
	return true;
}

static void history(uint64_t seed)
{
	static struct world w;
	struct world_replica *by_deltas;
	unsigned steps, late, read_once;
	uint64_t bodies = 0;

	ed25519 = seed % 32 == 0;
	world_init(&w, seed, seed % 4 == 3);
	if (seed % 2) { /* one whose snapshots do not end everything that they do not list */
		CHECK_INT(writer_begin(w.writer, w.now, 0, world_wall(&w), false), 0);
		world_flush(&w);
	}
	by_deltas = world_newcomer(&w);
	world_newcomer(&w)->loses = loses_deltas;
	world_newcomer(&w)->loses = loses_some;
	world_run(&w, 10 * USEC_PER_SEC);
	read_once = by_deltas->subscriptions;
	steps = seed % LONG_EVERY == 0 ? 300 + world_pick(&w, 400) : 4 + world_pick(&w, 12);
	late = world_pick(&w, steps);
	for (unsigned i = 0; i < steps; i++) {
		if (i == late)
			world_newcomer(&w);
		step(&w, &bodies);
	}
	/* The last word: nobody can be equal by having done nothing. */
	world_put(&w, "a", ++bodies);
	WORLD_CHECK(&w, w.replicas[BY_SNAPSHOTS].members.body[0] != bodies);
	new_snapshot(&w);
	for (int i = 0; i < 30 && !all_have(&w); i++)
		world_run(&w, 31 * USEC_PER_SEC);
	WORLD_CHECK(&w, all_have(&w));
	/* Each went its own way. */
	WORLD_CHECK(&w, by_deltas->subscriptions == read_once);
	WORLD_CHECK(&w, w.replicas[BY_SNAPSHOTS].disk_state.proof_kind == PROOF_MANIFEST);
	WORLD_CHECK(&w, by_deltas->disk_state.proof_kind == PROOF_DELTA);
	sum.repairs += w.replicas[WITH_GAPS].subscriptions;
	sum.deltas += w.store.state.position.ver;
	world_done(&w);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

TEST(deltas_and_snapshots_lead_to_the_same)
{
	uint64_t seed = number("SEED", 1), count = number("HISTORIES", HISTORIES);

	for (uint64_t i = 0; i < count; i++) {
		/* Shown if it crashes. */
		snprintf(test_result->why, sizeof(test_result->why), "SEED=%llu HISTORIES=1",
			 (unsigned long long)(seed + i));
		history(seed + i);
	}
	CHECK(count < 100 || (sum.lost > 0 && sum.repairs > sum.lost / 2));
	snprintf(test_result->why, sizeof(test_result->why),
		 "histories=%llu operations=%llu deltas=%llu snapshots=%llu lost=%llu",
		 (unsigned long long)count, (unsigned long long)sum.changes,
		 (unsigned long long)sum.deltas, (unsigned long long)sum.snapshots,
		 (unsigned long long)sum.lost);
}

TEST_MAIN("B11")

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast a journal is, without disk and without network: single-change deltas taken by a replica against
 * bare Ed25519 verifications of the same documents; a snapshot of 10,000 peers read, from the manifest's
 * signature to the decoded peers, against jansson parsing the same bytes; changes and snapshots made by a
 * writer. References are measured in turn with what they are compared to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Two of jansson's names are ours too. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_STRING JANSSON_STRING
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_STRING

#include "lib/compress.h"
#include "lib/text.h"
#include "tests/unit/schemas/journal_pipe.h"

#include "tests/bench/journal_peer.h"

#define ROUNDS 31
#define DELTAS 400 /* in each round */
#define PEERS 10000
#define READS 9

static struct pipe p;

/* Of processor time: others may be at work here. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts; the median, and the 90 % interval. */
static double median(double *values, size_t n, double *ret_low, double *ret_high)
{
	qsort(values, n, sizeof(*values), compare);
	*ret_low = values[n / 20];
	*ret_high = values[n - 1 - n / 20];
	return values[n / 2];
}

/* ---- deltas ---- */

static double take_deltas(const struct buf *deltas)
{
	double start = seconds();

	for (size_t i = 0; i < DELTAS; i++)
		if (replica_receive(p.replica, p.now, &p.journal, deltas[i].data, deltas[i].len))
			abort();
	return seconds() - start;
}

static double verify_deltas(const struct buf *deltas)
{
	struct buf covered[DELTAS] = { 0 };
	struct document d[DELTAS];
	char place[TOPIC_SIZE];
	double start;

	topic_place(PIPE_MESH, &p.journal, place);
	for (size_t i = 0; i < DELTAS; i++) {
		if (document_split(deltas[i].data, deltas[i].len, &d[i]))
			abort();
		buf_add(&covered[i], "warren1", strlen("warren1") + 1);
		buf_add(&covered[i], place, strlen(place) + 1);
		buf_add(&covered[i], d[i].body, d[i].body_len);
	}
	start = seconds();
	for (size_t i = 0; i < DELTAS; i++)
		if (!verify_key_check(&p.verify, covered[i].data, covered[i].len,
				      d[i].signatures[0].bytes))
			abort();
	start = seconds() - start;
	for (size_t i = 0; i < DELTAS; i++)
		buf_done(&covered[i]);
	return start;
}

static bool bench_deltas(void)
{
	double ratios[ROUNDS], ours = 0, theirs = 0, low, high, ratio;
	struct buf deltas[DELTAS] = { 0 };

	pipe_init(&p);
	put_peers(&p, 0, 1000);
	pipe_replica(&p);
	pipe_run(&p, USEC_PER_SEC);
	for (int round = 0; round < ROUNDS; round++) {
		double taken, verified;

		for (unsigned i = 0; i < DELTAS; i++) {
			put_peers(&p, (unsigned)round * DELTAS + i, 1);
			p.under_way_count = 0;
			buf_clear(&deltas[i]);
			buf_add(&deltas[i], p.retained[PIPE_JOURNAL].data,
				p.retained[PIPE_JOURNAL].len);
		}
		taken = take_deltas(deltas);
		verified = verify_deltas(deltas);
		if (!replica_is_level(p.replica))
			abort();
		ratios[round] = verified / taken;
		ours += taken;
		theirs += verified;
	}
	ratio = median(ratios, ROUNDS, &low, &high);
	printf("bench journal what=deltas n=%d per_second=%.0f verify_per_second=%.0f ratio=%.2f"
	       " low=%.2f high=%.2f limit=0.55 ok=%s\n",
	       ROUNDS * DELTAS, ROUNDS * DELTAS / ours, ROUNDS * DELTAS / theirs, ratio, low, high,
	       ratio >= 0.55 ? "yes" : "no");
	for (size_t i = 0; i < DELTAS; i++)
		buf_done(&deltas[i]);
	pipe_done(&p);
	return ratio >= 0.55;
}

/* ---- a snapshot ---- */

static double read_snapshot(void)
{
	double start;

	/* What the network and the timers cost is not ours: only what arrives is worked on. */
	pipe_replica(&p);
	p.now += 25 * USEC_PER_MSEC;
	replica_tick(p.replica, p.now);
	start = seconds();
	while (p.under_way_count > 0)
		pipe_pump(&p);
	for (const char *name = NULL; (name = replica_next(p.replica, name));)
		decode_peer(replica_get(p.replica, name, NULL));
	start = seconds() - start;
	if (!pipe_is_equal(&p) || replica_count(p.replica) != PEERS)
		abort();
	return start;
}

/* The members' bodies as they stand in the chunks. */
static double parse_snapshot(const struct buf *lines)
{
	const char *at = lines->data, *end = at + lines->len;
	double start = seconds();
	size_t peers = 0;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *body = memchr(at, ' ', (size_t)(lf - at));
		json_t *v = json_loadb(body + 1, (size_t)(lf - body - 1), 0, NULL);

		if (!v)
			abort();
		json_decref(v);
		peers++;
		at = lf + 1;
	}
	if (peers != PEERS)
		abort();
	return seconds() - start;
}

static bool bench_snapshot(void)
{
	double ratios[READS], ours[READS], low, high, ratio;
	struct buf lines = { 0 };

	pipe_init(&p);
	for (unsigned i = 0; i < PEERS; i += 1000)
		put_peers(&p, i, 1000);
	pipe_run(&p, 40 * USEC_PER_SEC);
	for (unsigned i = 0; i < 2 * JOURNAL_CHUNKS_MAX; i++)
		if (p.retained[PIPE_CHUNK + i].len > 0 &&
		    zlib_inflate(p.retained[PIPE_CHUNK + i].data, p.retained[PIPE_CHUNK + i].len,
				 JOURNAL_INFLATED_MAX, &lines) < 0)
			abort();
	for (int i = 0; i < READS; i++) {
		ours[i] = read_snapshot();
		ratios[i] = ours[i] / parse_snapshot(&lines);
	}
	ratio = median(ratios, READS, &low, &high);
	qsort(ours, READS, sizeof(*ours), compare);
	printf("bench journal what=snapshot n=%d bytes=%zu seconds=%.4f ratio=%.2f low=%.2f"
	       " high=%.2f limit=2.0 ok=%s\n",
	       PEERS, lines.len, ours[READS / 2], ratio, low, high, ratio <= 2.0 ? "yes" : "no");
	buf_done(&lines);
	pipe_done(&p);
	return ratio <= 2.0;
}

/* ---- the writer ---- */

static void bench_writer(void)
{
	const unsigned changes = 4000;
	double start;

	pipe_init(&p);
	for (unsigned i = 0; i < PEERS; i += 1000)
		put_peers(&p, i, 1000);
	start = seconds();
	for (unsigned i = 0; i < changes; i++)
		put_peers(&p, i, 1);
	start = seconds() - start;
	printf("bench journal what=writer n=%d changes_per_second=%.0f limit=none ok=yes\n", PEERS,
	       changes / start);
	pipe_done(&p);
}

int main(void)
{
	bool ok = bench_deltas();

	ok = bench_snapshot() && ok;
	bench_writer();
	return !ok;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One journal's way out: from the publisher's calls through the pure writer into the store and to
 * the broker. Owned by the publisher; main thread.
 *
 * The writer keeps operations in its memory until its window is over, across transactions. So that a
 * transaction that is rolled back takes only its own with it, they are remembered here too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "coordinator/publisher_private.h"
#include "lib/clock.h"
#include "lib/crypto.h"

#define LOAD_AGAIN USEC_PER_SEC

/* ---- what the writer asks for ---- */

static int io_store(void *owner, const struct writer_record *rec)
{
	struct outlet *o = owner;

	return store_journal_record(o->publisher->store, o->path, rec);
}

static void io_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
		       const void *bytes, size_t len, bool retain)
{
	struct outlet *o = owner;
	struct publisher *p = o->publisher;
	struct topic t = o->topic;
	char topic[TOPIC_SIZE];

	if (!p->mqtt)
		return; /* the audit of the next connection sends it */
	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(p->keys->mesh, &t, topic);
	mqtt_publish(p->mqtt, topic, bytes, len, retain ? 1 : 0, retain);
}

static void io_random(void *owner, void *ret, size_t n)
{
	(void)owner;
	crypto_random(ret, n);
}

/* ---- operations that may be waiting ---- */

static void op_done(struct outlet_op *op)
{
	free(op->name);
	free(op->body);
}

static void ops_cut(struct outlet *o, size_t count)
{
	while (o->op_count > count)
		op_done(&o->ops[--o->op_count]);
}

static void ops_add(struct outlet *o, const struct publisher_op *op)
{
	if (o->op_count == o->op_cap) {
		o->op_cap = MAX(2 * o->op_cap, (size_t)16);
		o->ops = xreallocarray(o->ops, o->op_cap, sizeof(*o->ops));
	}
	o->ops[o->op_count++] = (struct outlet_op){ .name = xstrdup(op->name),
						    .body = op->body ? xstrdup(op->body) : NULL,
						    .why = op->why };
}

/* Outside of transactions, and after one that was committed. */
static void ops_settle(struct outlet *o)
{
	if (o->lost)
		return;
	if (!writer_is_pending(o->writer))
		ops_cut(o, 0);
	o->kept = o->op_count;
	o->dirty = false;
}

static struct journal_op as_journal_op(const struct outlet_op *op)
{
	return op->body ? (struct journal_op){ .put = op->name, .body = op->body } :
			  (struct journal_op){ .del = op->name, .why = op->why };
}

/* Those from `first` on, together. */
static int ops_give(struct outlet *o, size_t first)
{
	size_t count = o->op_count - first;
	struct journal_op *ops = xcalloc(count + 1, sizeof(*ops));
	int r;

	for (size_t i = 0; i < count; i++)
		ops[i] = as_journal_op(&o->ops[first + i]);
	r = writer_change(o->writer, loop_now(o->publisher->loop), ops, count);
	free(ops);
	return r;
}

/* ---- life ---- */

static struct writer *make_writer(struct outlet *o)
{
	struct publisher *p = o->publisher;
	const struct writer_io io = {
		.store = io_store, .publish = io_publish, .random = io_random, .owner = o
	};

	return writer_new(p->keys->mesh, &o->topic, &p->keys->signing, &p->keyring, &io, false);
}

/* A writer as the store has it, in a run of its own. */
static int load(struct outlet *o)
{
	int r;

	o->writer = make_writer(o);
	r = store_journal_load(o->publisher->store, o->path, o->writer);
	writer_run(o->writer);
	return r;
}

int outlet_init(struct outlet *o, struct publisher *p, const char *network, enum journal_kind kind)
{
	*o = (struct outlet){ .publisher = p, .topic = { .kind = TOPIC_JOURNAL, .journal = kind } };
	strncpy(o->topic.network, network, sizeof(o->topic.network) - 1);
	topic_journal_path(&o->topic, o->path);
	return load(o);
}

void outlet_done(struct outlet *o)
{
	ops_cut(o, 0);
	free(o->ops);
	writer_free(o->writer);
	readback_free(o->readback);
	*o = (struct outlet){ 0 };
}

int outlet_begin(struct outlet *o, uint64_t seen)
{
	o->dirty = true;
	if (o->lost)
		return -EIO;
	return writer_begin(o->writer, loop_now(o->publisher->loop), seen, clock_wall(), false);
}

int outlet_change(struct outlet *o, const struct publisher_op *ops, size_t count)
{
	size_t first = o->op_count;

	o->dirty = true;
	if (o->lost)
		return -EIO;
	for (size_t i = 0; i < count; i++)
		ops_add(o, &ops[i]);
	return ops_give(o, first);
}

const char *outlet_latest(const struct outlet *o, const char *name)
{
	for (size_t i = o->op_count; i-- > 0;)
		if (strcmp(o->ops[i].name, name) == 0)
			return o->ops[i].body;
	return writer_get(o->writer, name);
}

int outlet_commit(struct outlet *o)
{
	o->dirty = true;
	return writer_commit(o->writer, loop_now(o->publisher->loop));
}

int outlet_release(struct outlet *o)
{
	o->dirty = true;
	if (o->lost)
		return -EIO;
	return writer_release(o->writer, loop_now(o->publisher->loop));
}

static void send_queue(struct outlet *o)
{
	if (!o->publisher->mqtt)
		writer_disconnected(o->writer);
	else if (!o->held)
		writer_flush(o->writer);
}

uint64_t outlet_due(const struct outlet *o)
{
	return o->lost ? o->load_at : writer_due(o->writer);
}

/* An audit that was under way loses what it read: another one follows, and until then nothing of
 * this journal is sent. */
int outlet_reload(struct outlet *o)
{
	int r;

	if (!o->dirty)
		return 0;
	ops_cut(o, o->kept);
	writer_free(o->writer);
	r = load(o);
	if (r == 0)
		r = ops_give(o, 0);
	o->auditing = false;
	o->held |= o->lost;
	o->lost = r < 0;
	if (o->lost) {
		/* An empty writer: to an audit the broker's copy would be the newer one. */
		o->held = true;
		o->load_at = loop_now(o->publisher->loop) + LOAD_AGAIN;
		return r;
	}
	ops_settle(o);
	if (o->held)
		audit_want(o->publisher, o->topic.network);
	send_queue(o);
	return 0;
}

void outlet_tick(struct outlet *o)
{
	struct timespec ts;
	int r;

	if (o->lost) {
		r = outlet_reload(o);
		if (r < 0 && log_allowed(&o->publisher->limit))
			log_error("journal-load", "path=%s error=%s", o->path,
				  log_quote(store_message()));
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	r = writer_tick(o->writer, loop_now(o->publisher->loop),
			(uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
	if (r < 0 && log_allowed(&o->publisher->limit))
		log_error("journal-store", "path=%s error=%s", o->path, log_quote(store_message()));
	ops_settle(o);
	send_queue(o);
}

void outlet_flush(struct outlet *o)
{
	ops_settle(o);
	send_queue(o);
}

void outlet_connected(struct outlet *o)
{
	writer_run(o->writer);
	o->held = true;
}

void outlet_disconnected(struct outlet *o)
{
	o->held = true;
	o->auditing = false;
	readback_free(TAKE(o->readback));
	writer_disconnected(o->writer);
}

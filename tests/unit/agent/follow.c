/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A journal followed: from a writer over a broker in memory to the disk and back. */
#include "agent/follow.h"

#include "lib/loop.h"
#include "tests/test.h"
#include "tests/unit/agent/broker_memory.h"
#include "tests/unit/agent/folder.h"

static struct broker broker;
static struct loop *loop;
static struct state *state;
static struct sign_key identity;
static struct follow *follow;
static unsigned alls, changes;
static char last[JOURNAL_NAME_MAX + 8];

/* What the replica does at a message may not come back to it at once: a queue, as the real one. */
static struct queued {
	struct queued *next;
	char topic[TOPIC_SIZE];
	size_t len;
	uint8_t bytes[];
} * queue, **tail = &queue;

static void deliver(void *owner, const char *topic, const void *bytes, size_t len)
{
	struct queued *q = xmalloc(sizeof(*q) + len);

	(void)owner;
	q->next = NULL;
	snprintf(q->topic, sizeof(q->topic), "%s", topic);
	q->len = len;
	memcpy(q->bytes, bytes, len);
	*tail = q;
	tail = &q->next;
}

static void on_changed(void *owner, struct follow *f, const struct replica_change *c, size_t count,
		       bool all)
{
	(void)owner;
	CHECK(f == follow);
	alls += all;
	changes += (unsigned)count;
	if (count)
		snprintf(last, sizeof(last), "%s%s", c[count - 1].change == MEMBER_DEL ? "-" : "+",
			 c[count - 1].name);
}

static void make(void)
{
	const struct follow_config c = {
		.loop = loop,
		.state = state,
		.mesh = broker.mesh,
		.journal = broker.journal,
		.identity = &identity,
		.keys = &broker.keys,
		.subscribe = broker_subscribe,
		.unsubscribe = broker_unsubscribe,
		.publish = broker_take_ask,
		.changed = on_changed,
		.owner = &broker,
	};

	follow = follow_new(&c);
}

static void begin(void)
{
	char why[256];

	loop = loop_new();
	CHECK_INT(state_open(folder(), loop, &state, why, sizeof(why)), 0);
	sign_key_generate(&identity);
	broker.deliver = deliver;
	broker_begin(&broker, "dc1", JOURNAL_PEERS);
	make();
}

static void end(void)
{
	follow_free(follow);
	state_close(state);
	broker_end(&broker);
	sign_key_done(&identity);
	loop_free(loop);
	while (queue) {
		struct queued *q = queue;

		queue = q->next;
		free(q);
	}
}

static enum refusal drain(void)
{
	enum refusal worst = REFUSED_NOT, refused;

	while (queue) {
		struct queued *q = queue;
		struct topic t;

		queue = q->next;
		if (!queue)
			tail = &queue;
		CHECK_INT(topic_parse(broker.mesh, q->topic, &t), 0);
		refused = follow_receive(follow, &t, q->bytes, q->len);
		worst = refused ? refused : worst;
		free(q);
	}
	return worst;
}

/* Turns until the replica is where the writer is, at most 3 s. */
static bool catch_up(void)
{
	for (int i = 0; i < 300; i++) {
		struct journal_position at = writer_position(broker.writer);

		CHECK_INT(drain(), REFUSED_NOT);
		if (journal_position_cmp(replica_position(follow_replica(follow)), at) == 0 &&
		    follow_is_level(follow))
			return true;
		CHECK_INT(loop_turn(loop, 10 * USEC_PER_MSEC), 0);
	}
	return false;
}

static void connect_now(void)
{
	map_clear(broker.subscriptions, NULL);
	follow_connected(follow);
}

static void restart(void)
{
	follow_free(follow);
	follow = NULL;
	state_close(state);
	char why[256];

	CHECK_INT(state_open(folder_path, loop, &state, why, sizeof(why)), 0);
	make();
}

TEST(a_newcomer_reads_all_and_then_each_change)
{
	begin();
	broker_change(&broker, "a", "{\"x\":1}");
	broker_change(&broker, "b", "{\"x\":2}");
	follow_set_minimum(follow, writer_position(broker.writer), "topic", "document");
	connect_now();
	CHECK(!replica_is_ready(follow_replica(follow)));
	CHECK(catch_up());
	CHECK_INT(alls, 1);
	CHECK_STR(replica_get(follow_replica(follow), "b", NULL), "{\"x\":2}");
	broker_change(&broker, "c", "{\"x\":3}");
	CHECK(catch_up());
	CHECK_INT(alls, 1);
	CHECK_STR(last, "+c");
	broker_change(&broker, "a", NULL);
	CHECK(catch_up());
	CHECK_STR(last, "-a");
	/* In ordinary times two topics are followed, no more. */
	CHECK_INT(map_count(broker.subscriptions), 2);
	end();
}

TEST(nothing_is_acted_on_before_the_minimum)
{
	struct journal_position ahead;

	begin();
	broker_change(&broker, "a", "{\"x\":1}");
	ahead = writer_position(broker.writer);
	ahead.ver += 2;
	follow_set_minimum(follow, ahead, "topic", "document");
	connect_now();
	for (int i = 0; i < 20; i++) {
		drain();
		CHECK_INT(loop_turn(loop, 10 * USEC_PER_MSEC), 0);
	}
	CHECK_INT(alls + changes, 0);
	CHECK(!follow_is_past_minimum(follow));
	broker_change(&broker, "b", "{\"x\":1}");
	broker_change(&broker, "c", "{\"x\":1}");
	CHECK(catch_up());
	CHECK_INT(alls, 1);
	CHECK(follow_is_past_minimum(follow));
	end();
}

TEST(the_disk_has_it_without_a_broker)
{
	struct replica_state before, after;

	begin();
	broker_change(&broker, "a", "{\"x\":1}");
	follow_set_minimum(follow, writer_position(broker.writer), "topic", "document");
	connect_now();
	CHECK(catch_up());
	broker_change(&broker, "b", "{\"x\":2}");
	broker_change(&broker, "a", NULL);
	CHECK(catch_up());
	replica_state(follow_replica(follow), &before);
	restart();
	CHECK(replica_is_ready(follow_replica(follow)));
	CHECK_INT(replica_count(follow_replica(follow)), 1);
	CHECK_STR(replica_get(follow_replica(follow), "b", NULL), "{\"x\":2}");
	replica_state(follow_replica(follow), &after);
	CHECK_INT(journal_position_cmp(before.position, after.position), 0);
	CHECK(memcmp(before.hash, after.hash, HASH_LEN) == 0);
	CHECK(memcmp(before.run, after.run, RUN_LEN) == 0);
	CHECK_STR(after.proof, before.proof);
	CHECK_STR(after.join, before.join);
	CHECK_STR(after.join_topic, before.join_topic);
	CHECK_INT(journal_position_cmp(after.minimum, before.minimum), 0);
	CHECK_INT(after.floor_count, before.floor_count);
	/* What is on the disk was not heard from anybody yet. */
	CHECK(!follow_is_level(follow));
	replica_state_done(&before);
	replica_state_done(&after);
	end();
}

TEST(what_was_missed_is_read_from_the_log)
{
	begin();
	broker_change(&broker, "a", "{\"x\":1}");
	follow_set_minimum(follow, writer_position(broker.writer), "topic", "document");
	connect_now();
	CHECK(catch_up());
	broker.cut = true;
	for (char name[] = "b"; *name < 'k'; ++*name)
		broker_change(&broker, name, "{\"x\":2}");
	broker_change(&broker, "a", NULL);
	broker.cut = false;
	connect_now();
	CHECK(catch_up());
	CHECK_INT(replica_count(follow_replica(follow)), 9);
	CHECK_STR(last, "-a");
	CHECK_INT(map_count(broker.subscriptions), 2);
	CHECK_INT(map_count(broker.asks), 0);
	restart();
	CHECK_INT(replica_count(follow_replica(follow)), 9);
	end();
}

TEST(a_foreign_signature_changes_nothing)
{
	struct sign_key other;
	const struct sign_key *keys[] = { &other };
	struct buf document = { 0 };
	char topic[TOPIC_SIZE];
	struct journal_position at;

	begin();
	broker_change(&broker, "a", "{\"x\":1}");
	follow_set_minimum(follow, writer_position(broker.writer), "topic", "document");
	connect_now();
	CHECK(catch_up());
	at = replica_position(follow_replica(follow));
	sign_key_generate(&other);
	topic_format(broker.mesh, &broker.journal, topic);
	document_sign(&document, topic, "{}", 2, keys, 1);
	CHECK_INT(follow_receive(follow, &broker.journal, document.data, document.len),
		  REFUSED_KEY);
	CHECK_INT(follow_receive(follow, &broker.journal, "x", 1), REFUSED_JSON);
	CHECK_INT(follow_receive(follow, &broker.journal, NULL, 0), REFUSED_NOT);
	CHECK_INT(journal_position_cmp(replica_position(follow_replica(follow)), at), 0);
	buf_done(&document);
	sign_key_done(&other);
	end();
}

/* A beat that nothing can lead to: the writer's store is older than what we have seen. */
TEST(a_rolled_back_writer_is_asked_with_proofs)
{
	struct broker old = { 0 };
	struct broker_bytes *ask;
	struct journal_ask body = { 0 };
	struct arena a = { 0 };
	struct document d;
	char topic[TOPIC_SIZE];
	struct topic t;

	begin();
	broker_change(&broker, "a", "{\"x\":1}");
	follow_set_minimum(follow, writer_position(broker.writer), "topic", "document");
	connect_now();
	CHECK(catch_up());
	/* Another history of the same epoch, signed by the same key. */
	old.deliver = deliver;
	broker_begin(&old, "dc1", JOURNAL_PEERS);
	sign_key_done(&old.key);
	verify_key_done(&old.verify);
	sign_key_from_secret(broker.key.secret, &old.key);
	verify_key_init(&old.verify, old.key.public_key);
	broker_subscribe(&old, "none");
	topic_format(broker.mesh, &broker.journal, topic);
	broker_subscribe(&old, topic);
	t = broker.journal;
	t.kind = TOPIC_BEAT;
	topic_format(broker.mesh, &t, topic);
	broker_subscribe(&old, topic);
	old.wall += 1000;
	broker_change(&old, "z", "{\"x\":9}");
	for (int i = 0; i < 100 && !map_count(broker.asks); i++) {
		drain();
		CHECK_INT(loop_turn(loop, 10 * USEC_PER_MSEC), 0);
	}
	CHECK_INT(map_count(broker.asks), 1);
	t = broker.journal;
	t.kind = TOPIC_ASK;
	memcpy(t.id, identity.id, KEY_ID_SIZE);
	topic_format(broker.mesh, &t, topic);
	ask = map_get(broker.asks, topic);
	CHECK(ask != NULL);
	CHECK_INT(document_split(ask->bytes, ask->len, &d), REFUSED_NOT);
	CHECK_STR(d.signatures[0].key, identity.id);
	CHECK_INT(journal_ask_decode(&a, d.body, d.body_len, &body, NULL), REFUSED_NOT);
	CHECK(body.proof_count > 0);
	CHECK_STR(replica_get(follow_replica(follow), "a", NULL), "{\"x\":1}");
	arena_done(&a);
	broker_end(&old);
	end();
}

TEST_MAIN("follow")

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/publisher.h"

#include "coordinator/publisher_private.h"
#include "schemas/writer_private.h"
#include "tests/unit/coordinator/rig.h"

static struct rig rig;
static struct watcher watcher;
static struct joiner nodes[4];
static size_t node_count;

static void add_node(const char *name)
{
	rig_join(&rig, &watcher, &nodes[node_count++], "dc1", name);
}

/* A network of two nodes, and all of it published. */
static void begin(void)
{
	rig_begin(&rig);
	watch_start(&watcher, &rig, "watcher");
	rig_network(&rig, "dc1", "10.36.50.0/24");
	add_node("n1");
	add_node("n2");
	rig_settle(&rig);
}

static void end(void)
{
	while (node_count)
		joiner_done(&nodes[--node_count]);
	watch_stop(&watcher);
	rig_end(&rig);
}

static void restart(void)
{
	rig_stop(&rig);
	rig_start(&rig);
	rig_ready(&rig);
}

static void copy_database(const char *from, const char *to)
{
	char *command =
		xasprintf("for f in '%s'*; do cp \"$f\" '%s'\"${f#'%s'}\"; done", from, to, from);

	CHECK_INT(system(command), 0);
	free(command);
}

/* The retained messages that a newcomer gets now. */
static void look(struct watcher *w)
{
	watch_start(w, &rig, "newcomer");
}

static size_t orphans(struct arena *arena, struct api_orphan **ret)
{
	struct refusal_reason why;
	struct api_network n = { 0 };
	char name[] = "dc1";

	CHECK_INT(network_show(&rig.authority, arena, name, &n, &why), 0);
	*ret = n.orphans;
	return n.orphan_count;
}

static bool is_published(const char *node)
{
	return publisher_get(rig.publisher, "dc1", JOURNAL_PEERS, node) != NULL;
}

/* A replica's proof of a position that the writer never had: a new epoch begins, with a snapshot. */
static void foreign_proof(void)
{
	const struct sign_key *keys[] = { &rig.keys.signing };
	struct topic t = { .kind = TOPIC_ASK, .network = "dc1" },
		     s = { .kind = TOPIC_JOURNAL, .network = "dc1" };
	struct journal_position before = publisher_position(rig.publisher, "dc1", JOURNAL_PEERS);
	struct journal_delta delta = { .epoch = before.epoch, .ver = before.ver + 5 };
	struct journal_proof proof = { .kind = PROOF_DELTA };
	struct journal_ask ask = { .proofs = &proof, .proof_count = 1 };
	struct buf body = { 0 }, document = { 0 };
	char place[TOPIC_SIZE];

	topic_place(watcher.mesh, &s, place);
	json_encode(&body, journal_delta_fields, &delta);
	document_sign(&document, place, body.data, body.len, keys, 1);
	proof.document = buf_take(&document);
	strcpy(t.id, nodes[0].identity.id);
	topic_place(watcher.mesh, &t, place);
	keys[0] = &nodes[0].identity;
	buf_clear(&body);
	json_encode(&body, journal_ask_fields, &ask);
	document_sign(&document, place, body.data, body.len, keys, 1);
	watch_publish(&watcher, &t, &document, false);
	RIG_UNTIL(&rig,
		  publisher_position(rig.publisher, "dc1", JOURNAL_PEERS).epoch > before.epoch,
		  3000);
	free(proof.document);
	buf_done(&body);
	buf_done(&document);
}

/* ---- without a broker */

/* The operations of a transaction that is rolled back are gone; those of earlier ones, which wait for
 * the window, are not. */
TEST(roll_back_takes_only_its_own)
{
	struct refusal_reason why;

	test_broker_init(&rig.broker, "localhost", 1);
	rig_start_offline(&rig);
	rig_network(&rig, "dc1", "10.36.50.0/24");

	/* The first opens the window, the second waits in it. */
	CHECK_INT(authority_begin(&rig.authority, &why), 0);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "a", "{\"n\": 1}"), 0);
	CHECK_INT(authority_end(&rig.authority, 0, &why), 0);
	CHECK_INT(authority_begin(&rig.authority, &why), 0);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "b", "{\"n\": 2}"), 0);
	CHECK_INT(authority_end(&rig.authority, 0, &why), 0);
	CHECK(is_published("a"));
	CHECK(!is_published("b"));

	CHECK_INT(authority_begin(&rig.authority, &why), 0);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "c", "{\"n\": 3}"), 0);
	CHECK_INT(publisher_del(rig.publisher, "dc1", JOURNAL_PEERS, "a", WHY_REMOVED), 0);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "b", "{\"n\": 4}"), 0);
	CHECK_INT(authority_end(&rig.authority, -ECANCELED, &why), -ECANCELED);

	RIG_UNTIL(&rig, is_published("b"), 2000);
	CHECK_STR(publisher_get(rig.publisher, "dc1", JOURNAL_PEERS, "b"), "{\"n\":2}");
	CHECK(is_published("a"));
	rig_wait(&rig, 200);
	CHECK(!is_published("c"));
	/* And so it is in the store. */
	rig_stop(&rig);
	rig_start_offline(&rig);
	CHECK(!is_published("c"));
	rig_stop(&rig);
	loop_free(rig.loop);
	test_broker_done(&rig.broker);
}

TEST(roll_back_of_a_new_network)
{
	struct refusal_reason why;

	test_broker_init(&rig.broker, "localhost", 1);
	rig_start_offline(&rig);
	CHECK_INT(authority_begin(&rig.authority, &why), 0);
	CHECK_INT(publisher_network_add(rig.publisher, "dc1"), 0);
	CHECK_INT(authority_end(&rig.authority, -ECANCELED, &why), -ECANCELED);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "a", "{}"), -ENOENT);
	rig_network(&rig, "dc1", "10.36.50.0/24");
	CHECK(publisher_position(rig.publisher, "dc1", JOURNAL_PEERS).epoch > 0);
	/* A deletion that is rolled back leaves all there. */
	CHECK_INT(authority_begin(&rig.authority, &why), 0);
	CHECK_INT(publisher_network_del(rig.publisher, "dc1"), 0);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "a", "{}"), -ENOENT);
	CHECK_INT(authority_end(&rig.authority, -ECANCELED, &why), -ECANCELED);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "a", "{}"), 0);
	publisher_flush(rig.publisher);
	rig_stop(&rig);
	loop_free(rig.loop);
	test_broker_done(&rig.broker);
}

/* ---- with one */

TEST(restart_publishes_nothing_that_is_there)
{
	begin();
	watch_clear(&watcher);
	restart();
	rig_wait(&rig, 1200);
	CHECK_INT(watch_documents(&watcher, false), 0);
	/* But it is there: the newcomer's view. c/trust, c/mark, two configurations; per journal
	 * manifest and chunk, S, and its log. */
	struct watcher w;
	look(&w);
	CHECK(watch_documents(&w, true) >= 4 + 2 * 3 + 2);
	watch_stop(&w);
	end();
}

TEST(change_costs_two_publishes)
{
	struct topic t;
	size_t deltas = 0, copies = 0, others = 0;
	struct topic beat = { .kind = TOPIC_BEAT, .network = "dc1" };

	begin();
	rig_wait(&rig, 1200); /* the beats of what begin did */
	watch_clear(&watcher);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "x", "{}"), 0);
	publisher_flush(rig.publisher);
	rig_wait(&rig, 400);
	for (size_t i = 0; i < watcher.count; i++) {
		CHECK(watch_parse(&watcher, i, &t));
		if (!watch_is_document(&t))
			continue;
		deltas += t.kind == TOPIC_JOURNAL;
		copies += t.kind == TOPIC_LOG;
		others += t.kind != TOPIC_JOURNAL && t.kind != TOPIC_LOG;
	}
	CHECK_INT(deltas, 1);
	CHECK_INT(copies, 1);
	CHECK(!watch_last(&watcher, &beat));
	RIG_UNTIL(&rig, watch_last(&watcher, &beat), 1500);
	CHECK_INT(others, 0);
	end();
}

TEST(changes_while_the_broker_is_away_arrive)
{
	struct topic like = { .kind = TOPIC_JOURNAL, .network = "dc1" };
	const struct watch_message *m;

	begin();
	test_broker_stop(&rig.broker);
	RIG_UNTIL(&rig, !session_is_connected(rig.session), 5000);
	watch_clear(&watcher);
	CHECK_INT(publisher_put(rig.publisher, "dc1", JOURNAL_PEERS, "x", "{}"), 0);
	publisher_flush(rig.publisher);
	test_broker_start(&rig.broker);
	RIG_UNTIL(&rig, (m = watch_last(&watcher, &like)) && strstr(m->payload, "\"x\""), 15000);
	end();
}

static bool same_document(const struct watcher *a, const struct watcher *b,
			  const struct topic *like)
{
	const struct watch_message *x = watch_last(a, like), *y = watch_last(b, like);

	return x && y && x->len == y->len && memcmp(x->payload, y->payload, x->len) == 0;
}

static bool has_message(const struct watcher *w, const struct watch_message *m)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->messages[i].topic, m->topic) == 0 && w->messages[i].len == m->len &&
		    memcmp(w->messages[i].payload, m->payload, m->len) == 0)
			return true;
	return false;
}

TEST(emptied_broker_is_filled_again)
{
	struct topic s = { .kind = TOPIC_JOURNAL, .network = "dc1" },
		     manifest = { .kind = TOPIC_MANIFEST, .network = "dc1" },
		     chunk = { .kind = TOPIC_CHUNK, .network = "dc1" },
		     trust = { .kind = TOPIC_TRUST }, mark = { .kind = TOPIC_MARK },
		     config = { .kind = TOPIC_CONFIG };
	struct watcher before, after;
	size_t logs = 0;
	struct topic t;

	begin();
	foreign_proof(); /* so that the snapshot is not an empty one, and just made */
	rig_settle(&rig);
	look(&before);
	CHECK(watch_last(&before, &chunk));
	mqtt_free(before.mqtt);
	before.mqtt = NULL;
	test_broker_stop(&rig.broker);
	test_broker_empty(&rig.broker);
	RIG_UNTIL(&rig, !session_is_connected(rig.session), 5000);
	test_broker_start(&rig.broker);
	rig_ready(&rig);
	rig_settle(&rig);
	look(&after);
	CHECK(same_document(&before, &after, &s));
	s.journal = JOURNAL_GATEWAYS;
	CHECK(same_document(&before, &after, &s));
	CHECK(same_document(&before, &after, &trust));
	CHECK(same_document(&before, &after, &mark));
	for (size_t i = 0; i < node_count; i++) {
		strcpy(config.id, nodes[i].identity.id);
		CHECK(same_document(&before, &after, &config));
	}
	CHECK(watch_last(&after, &manifest));
	CHECK(watch_last(&after, &chunk));
	/* The log of this epoch, byte for byte. */
	for (size_t i = 0; i < after.count; i++)
		if (watch_parse(&after, i, &t) && t.kind == TOPIC_LOG) {
			CHECK(has_message(&before, &after.messages[i]));
			logs++;
		}
	CHECK_INT(logs, 3);
	watch_stop(&before);
	watch_stop(&after);
	end();
}

/* One document that somebody cleared, one that somebody replaced. */
TEST(only_what_is_missing_or_different_is_sent)
{
	struct topic log = { .kind = TOPIC_LOG, .network = "dc1", .slot = 1 },
		     trust = { .kind = TOPIC_TRUST };
	const struct buf nothing = { 0 };
	struct buf junk = { 0 };

	begin();
	buf_str(&junk, "junk");
	watch_publish(&watcher, &log, &nothing, true);
	watch_publish(&watcher, &trust, &junk, true);
	rig_wait(&rig, 100);
	watch_clear(&watcher);
	restart();
	CHECK_INT(watch_documents(&watcher, false), 2);
	CHECK(watch_last(&watcher, &log));
	CHECK(watch_last(&watcher, &trust));
	buf_done(&junk);
	end();
}

static uint64_t seq_of(const struct watch_message *m)
{
	const char *seq = strstr(m->payload, "\"seq\":");

	CHECK(seq);
	return strtoull(seq + strlen("\"seq\":"), NULL, 10);
}

TEST(deleted_database_leaves_orphans)
{
	struct journal_position before, after;
	const char *const *unknown;
	struct api_orphan *list;
	struct arena arena = { 0 };
	struct refusal_reason why;
	char text[ADDR_SIZE];
	uint64_t released = 0, seq;
	bool found = false;
	struct topic config = { .kind = TOPIC_CONFIG };
	const struct watch_message *m;
	struct join_answer answer;
	char prefix[PREFIX_SIZE], *token;
	struct joiner again;

	begin();
	strcpy(config.id, nodes[0].identity.id);
	CHECK_INT(node_rename(&rig.authority, nodes[0].identity.id, "n0", &why), 0);
	CHECK_INT(node_rename(&rig.authority, nodes[0].identity.id, "n1", &why), 0);
	RIG_UNTIL(&rig, (m = watch_last(&watcher, &config)), 3000);
	rig_settle(&rig);
	seq = seq_of(watch_last(&watcher, &config));
	before = publisher_position(rig.publisher, "dc1", JOURNAL_PEERS);
	rig_stop(&rig);
	sleep(1); /* numbers of a new database begin with the second that it is */
	rig_remove_database(&rig);
	watch_clear(&watcher);
	rig_start(&rig);
	rig_ready(&rig);
	CHECK_INT(publisher_unknown_networks(rig.publisher, &unknown), 1);
	CHECK_STR(unknown[0], "dc1");
	rig_network(&rig, "dc1", "10.36.50.0/24");
	CHECK_INT(publisher_unknown_networks(rig.publisher, &unknown), 0);
	after = publisher_position(rig.publisher, "dc1", JOURNAL_PEERS);
	CHECK(after.epoch > before.epoch);
	CHECK_INT(orphans(&arena, &list), 2);
	for (size_t i = 0; i < 2; i++) {
		CHECK(list[i].name);
		CHECK_INT(list[i].address_count, 1);
		addr_format(&list[i].addresses[0], text);
		found |= strcmp(list[i].id, nodes[0].identity.id) == 0 &&
			 strcmp(list[i].name, "n1") == 0 && strcmp(text, "10.36.50.1") == 0;
	}
	CHECK(found);
	/* Nothing of theirs is given to a newcomer. */
	add_node("n1");
	CHECK(strstr(publisher_get(rig.publisher, "dc1", JOURNAL_PEERS, nodes[2].identity.id),
		     "10.36.50.3"));
	CHECK(strstr(publisher_get(rig.publisher, "dc1", JOURNAL_PEERS, nodes[2].identity.id),
		     "\"n1-2\""));
	/* One that joins again gets back what it holds, and is told so above what it was told. */
	token = rig_token(&rig, "dc1", 1);
	joiner_init(&again, token, "another");
	sign_key_done(&again.identity);
	sign_key_from_secret(nodes[0].identity.secret, &again.identity);
	joiner_sign(&again, watcher.mesh);
	joiner_answer(&again, &rig, joiner_send(&again, &watcher, 5000), &arena, &answer);
	CHECK(!answer.refused);
	CHECK_STR(answer.memberships[0].name, "n1");
	CHECK_STR(prefix_format(&answer.memberships[0].addresses[0], prefix), "10.36.50.1/24");
	RIG_UNTIL(&rig, (m = watch_last(&watcher, &config)), 3000);
	CHECK(seq_of(m) > seq);
	joiner_done(&again);
	free(token);
	CHECK_INT(network_release(&rig.authority, "dc1", &released, &why), 0);
	CHECK_INT(released, 1);
	CHECK_INT(orphans(&arena, &list), 0);
	arena_done(&arena);
	end();
}

/* The network is made again before the broker is in reach. */
TEST(deleted_database_and_an_early_network)
{
	struct api_orphan *list;
	struct arena arena = { 0 };

	begin();
	rig_stop(&rig);
	rig_remove_database(&rig);
	/* A second later: an epoch is a time, and one of the same time would not be another. */
	rig_wait(&rig, 1100);
	rig_start(&rig);
	rig_network(&rig, "dc1", "10.36.50.0/24");
	rig_ready(&rig);
	RIG_UNTIL(&rig, orphans(&arena, &list) == 2, 5000);
	arena_done(&arena);
	end();
}

TEST(restored_database_begins_a_new_epoch)
{
	struct journal_position before, after;
	char *path, *backup;
	struct api_orphan *list;
	struct arena arena = { 0 };
	struct topic config = { .kind = TOPIC_CONFIG };
	const struct watch_message *m;
	uint64_t renamed;

	begin();
	path = rig_database(&rig);
	backup = xasprintf("%s/backup", rig.broker.dir);
	rig_stop(&rig);
	copy_database(path, backup);
	rig_start(&rig);
	rig_ready(&rig);
	add_node("n3");
	rig_settle(&rig);
	CHECK_INT(node_rename(&rig.authority, nodes[0].identity.id, "renamed",
			      &(struct refusal_reason){ 0 }),
		  0);
	rig_settle(&rig);
	strcpy(config.id, nodes[0].identity.id);
	m = watch_last(&watcher, &config);
	CHECK(m);
	CHECK(strstr(m->payload, "\"renamed\""));
	renamed = seq_of(m);
	before = publisher_position(rig.publisher, "dc1", JOURNAL_PEERS);
	rig_stop(&rig);
	rig_remove_database(&rig);
	copy_database(backup, path);
	watch_clear(&watcher);
	rig_start(&rig);
	rig_ready(&rig);
	rig_settle(&rig);
	after = publisher_position(rig.publisher, "dc1", JOURNAL_PEERS);
	CHECK(after.epoch > before.epoch);
	CHECK_INT(orphans(&arena, &list), 1);
	CHECK_STR(list[0].id, nodes[2].identity.id);
	CHECK_STR(list[0].name, "n3");
	/* The node's own configuration is not refused as old: it is above the one it knows. */
	m = watch_last(&watcher, &config);
	CHECK(m);
	CHECK_INT(seq_of(m), renamed + 1);
	CHECK(strstr(m->payload, "\"n1\""));
	/* Once. */
	watch_clear(&watcher);
	restart();
	CHECK_INT(watch_documents(&watcher, false), 0);
	CHECK_INT(publisher_position(rig.publisher, "dc1", JOURNAL_PEERS).epoch, after.epoch);
	arena_done(&arena);
	free(path);
	free(backup);
	end();
}

static size_t retained_of_network(void)
{
	struct watcher w;
	size_t n = 0;
	struct topic t;

	look(&w);
	for (size_t i = 0; i < w.count; i++)
		n += watch_parse(&w, i, &t) && strcmp(t.network, "dc1") == 0 &&
		     w.messages[i].len > 0;
	watch_stop(&w);
	return n;
}

static void remove_nodes(void)
{
	struct refusal_reason why;

	for (size_t i = 0; i < node_count; i++)
		CHECK_INT(node_remove(&rig.authority, nodes[i].identity.id, &why), 0);
	rig_settle(&rig);
}

TEST(deleted_network_is_swept)
{
	struct refusal_reason why;

	begin();
	remove_nodes();
	CHECK(retained_of_network() > 0);
	CHECK_INT(network_delete(&rig.authority, "dc1", &why), 0);
	rig_settle(&rig);
	CHECK_INT(retained_of_network(), 0);
	end();
}

TEST(network_deleted_while_the_broker_is_away_is_swept)
{
	struct refusal_reason why;
	const char *const *unknown;

	begin();
	remove_nodes();
	rig_stop(&rig);
	CHECK(retained_of_network() > 0);
	rig_start_offline(&rig);
	CHECK_INT(network_delete(&rig.authority, "dc1", &why), 0);
	rig_stop(&rig);
	rig_start(&rig);
	rig_ready(&rig);
	rig_settle(&rig);
	CHECK_INT(publisher_unknown_networks(rig.publisher, &unknown), 0);
	CHECK_INT(retained_of_network(), 0);
	end();
}

TEST(network_made_again_has_a_higher_epoch)
{
	struct journal_position before;
	struct refusal_reason why;
	struct api_orphan *list;
	struct arena arena = { 0 };

	begin();
	remove_nodes();
	before = publisher_position(rig.publisher, "dc1", JOURNAL_PEERS);
	CHECK_INT(network_delete(&rig.authority, "dc1", &why), 0);
	rig_network(&rig, "dc1", "10.36.50.0/24");
	CHECK(publisher_position(rig.publisher, "dc1", JOURNAL_PEERS).epoch > before.epoch);
	rig_settle(&rig);
	CHECK(retained_of_network() > 0);
	CHECK_INT(orphans(&arena, &list), 0);
	arena_done(&arena);
	end();
}

TEST(ask_with_a_foreign_proof_begins_a_new_epoch)
{
	struct api_orphan *list;
	struct arena arena = { 0 };

	begin();
	foreign_proof();
	/* All members are the store's. */
	CHECK_INT(orphans(&arena, &list), 0);
	CHECK(is_published(nodes[0].identity.id));
	arena_done(&arena);
	end();
}

/* An ask makes the coordinator look: what was lost comes back. */
TEST(ask_makes_an_audit)
{
	struct topic t = { .kind = TOPIC_ASK, .network = "dc1" },
		     log = { .kind = TOPIC_LOG, .network = "dc1", .slot = 1 };
	const struct sign_key *keys[] = { NULL };
	const struct buf nothing = { 0 };
	struct journal_ask ask = { 0 };
	struct buf body = { 0 }, document = { 0 };
	const struct watch_message *m;
	struct published *n;
	char place[TOPIC_SIZE];

	begin();
	watch_publish(&watcher, &log, &nothing, true);
	/* Audits because of an ask are 30 s apart, and one was just made. */
	n = map_get(rig.publisher->networks, "dc1");
	n->outlets[JOURNAL_PEERS].writer->audit_after = 0;
	rig_wait(&rig, 100);
	watch_clear(&watcher);
	strcpy(t.id, nodes[0].identity.id);
	topic_place(watcher.mesh, &t, place);
	keys[0] = &nodes[0].identity;
	json_encode(&body, journal_ask_fields, &ask);
	document_sign(&document, place, body.data, body.len, keys, 1);
	watch_publish(&watcher, &t, &document, false);
	RIG_UNTIL(&rig, (m = watch_last(&watcher, &log)) && m->len > 0, 3000);
	buf_done(&body);
	buf_done(&document);
	end();
}

TEST_MAIN("publisher")

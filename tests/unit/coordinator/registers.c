/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/publisher_private.h"
#include "lib/text.h"
#include "schemas/join.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

static struct publisher *p;
static struct authority *a;
static const struct topic topic = { .kind = TOPIC_CONFIG, .id = "aaaaaaaaaaaaaaaa" };

static void begin(void)
{
	a = authority_fake();
	p = NULL;
	CHECK_INT(publisher_new(loop_new(), a->store, a->keys, &p), 0);
}

static const char *path(char ret[static TOPIC_SIZE])
{
	snprintf(ret, TOPIC_SIZE, "a/%s/config", topic.id);
	return ret;
}

static void store_ours(void)
{
	CHECK_INT(publisher_register(p, &topic, 3, "{\"seq\":3,\"memberships\":[]}"), 0);
	publisher_flush(p);
}

/* What the broker holds: a configuration of ours that the store does not know. */
static void audit_theirs(void)
{
	const struct sign_key *key = &a->keys->signing;
	static const char body[] = "{\"seq\":5,\"memberships\":[],\"ended\":[]}";
	char place[TOPIC_SIZE];
	struct mqtt_message m = { .topic = place, .retained = true };
	struct buf document = { 0 };

	topic_place(a->keys->mesh, &topic, place);
	document_sign(&document, place, body, strlen(body), &key, 1);
	m.payload = (const void *)document.data;
	m.len = document.len;
	registers_audit_begin(p);
	registers_audit(p, &topic, &m);
	registers_audit_end(p);
	buf_done(&document);
}

static uint64_t stored_seq(void)
{
	char at[TOPIC_SIZE], *document;
	struct arena arena = { 0 };
	uint64_t seq = 0;

	CHECK_INT(store_register_get(a->store, &arena, path(at), &seq, &document), 0);
	arena_done(&arena);
	return seq;
}

TEST(lifted_above_what_readers_have_seen)
{
	char id[KEY_ID_SIZE];

	begin();
	memcpy(id, topic.id, sizeof(id));
	CHECK_INT(store_node_put(a->store, &(struct node_row){ .id = id, .config_seq = 3 }), 0);
	store_ours();
	audit_theirs();
	CHECK_INT(stored_seq(), 6);
}

/* The store has lost the node, too. */
TEST(lifting_that_fails_changes_nothing)
{
	begin();
	store_ours();
	audit_theirs();
	CHECK_INT(stored_seq(), 3);
	CHECK_INT(store_begin(a->store), 0); /* no transaction was left open */
	CHECK_INT(store_commit(a->store), 0);
}

TEST_MAIN("registers")

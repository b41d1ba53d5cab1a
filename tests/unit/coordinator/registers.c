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

/* The broker's c/trust of that number, with that one signing key. */
static void audit_trust(uint64_t seq, const struct sign_key *signing, const struct sign_key *by)
{
	const struct topic at = { .kind = TOPIC_TRUST };
	struct trust_body body = a->keys->trust->body;
	struct trust_key key;
	char place[TOPIC_SIZE];
	struct mqtt_message m = { .topic = place, .retained = true };
	struct buf json = { 0 }, document = { 0 };

	memcpy(key.key, signing->public_key, KEY_LEN);
	body.seq = seq;
	body.signing_keys = &key;
	body.signing_key_count = 1;
	topic_place(a->keys->mesh, &at, place);
	json_encode(&json, trust_fields, &body);
	document_sign(&document, place, json.data, json.len, &by, 1);
	m.payload = (const void *)document.data;
	m.len = document.len;
	registers_audit_begin(p);
	registers_audit(p, &at, &m);
	registers_audit_end(p);
	buf_done(&json);
	buf_done(&document);
}

/* Keys whose root is known. */
static void begin_with_root(struct sign_key *root)
{
	struct verify_key *known;

	begin();
	sign_key_generate(root);
	known = &a->keys->trust->root;
	verify_key_done(known);
	verify_key_init(known, root->public_key);
}

TEST(trust_by_the_root_only_and_only_newer)
{
	struct sign_key root;

	begin_with_root(&root);
	audit_trust(9, &a->keys->signing, &a->keys->signing);
	CHECK_INT(a->keys->trust->body.seq, 1);
	audit_trust(1, &a->keys->signing, &root);
	CHECK(!p->audit.wanted.all);
	audit_trust(2, &a->keys->signing, &root);
	CHECK_INT(a->keys->trust->body.seq, 2);
	CHECK(p->audit.wanted.all); /* what it was compared with was read with other keys */
	CHECK(!loop_stopped(p->loop));
	audit_trust(1, &a->keys->signing, &root);
	CHECK_INT(a->keys->trust->body.seq, 2);
	sign_key_done(&root);
}

/* To go on would be to overwrite what is valid with what everybody refuses. */
TEST(trust_that_revokes_our_key_ends_us)
{
	struct sign_key root, other;

	begin_with_root(&root);
	sign_key_generate(&other);
	audit_trust(2, &other, &root);
	CHECK(loop_stopped(p->loop));
	sign_key_done(&root);
	sign_key_done(&other);
}

TEST_MAIN("registers")

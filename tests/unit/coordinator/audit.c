/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "tests/unit/coordinator/rig.h"

static int orphan_fails(void *owner, const char *network, const char *node, const char *body)
{
	(void)network;
	(void)node;
	(void)body;
	++*(int *)owner;
	return -ENOSPC;
}

/* The database was lost, and the disk is full when what was read back is to be stored: the network goes
 * on without its orphans. */
TEST(orphans_that_cannot_be_stored)
{
	struct refusal_reason why;
	struct watcher watcher;
	struct joiner node, other;
	struct rig rig;
	int calls = 0;
	char *path;

	rig_begin(&rig);
	watch_start(&watcher, &rig, "watcher");
	rig_network(&rig, "dc1", "10.36.50.0/24");
	rig_join(&rig, &watcher, &node, "dc1", "n1");
	rig_wait(&rig, 500);
	rig_stop(&rig);
	path = rig_database(&rig);
	CHECK_INT(unlink(path), 0);
	/* A second later: an epoch is a time, and one of the same time would not be another. */
	rig_wait(&rig, 1100);
	rig_start(&rig);
	publisher_on_orphan(rig.publisher, orphan_fails, &calls);
	rig_network(&rig, "dc1", "10.36.50.0/24");
	rig_ready(&rig);
	RIG_UNTIL(&rig, calls == 1, 5000);
	rig_join(&rig, &watcher, &other, "dc1", "n2");
	CHECK(publisher_get(rig.publisher, "dc1", JOURNAL_PEERS, other.identity.id));
	CHECK_INT(store_begin(rig.store), 0); /* no transaction was left open */
	CHECK_INT(store_commit(rig.store), 0);
	CHECK_INT(node_remove(&rig.authority, "n2", &why), 0);
	free(path);
	joiner_done(&node);
	joiner_done(&other);
	watch_stop(&watcher);
	rig_end(&rig);
}

/* The root's next word: the same keys, under another number. */
static void trust_next(const struct rig *r, struct buf *document)
{
	const struct topic topic = { .kind = TOPIC_TRUST };
	struct trust_body body = r->keys.trust->body;
	char *hex = watch_file(r, "root.key"), place[TOPIC_SIZE];
	const struct sign_key *key;
	struct buf json = { 0 };
	uint8_t seed[KEY_LEN];
	struct sign_key root;

	hex[2 * KEY_LEN] = '\0';
	CHECK_INT(hex_decode(hex, seed, KEY_LEN), 0);
	sign_key_from_secret(seed, &root);
	key = &root;
	body.seq++;
	topic_place(r->keys.mesh, &topic, place);
	json_encode(&json, trust_fields, &body);
	document_sign(document, place, json.data, json.len, &key, 1);
	sign_key_done(&root);
	buf_done(&json);
	free(hex);
}

/* A data directory that was restored from a backup is older than what the broker holds. */
TEST(newer_trust_of_the_broker_is_ours)
{
	const struct topic topic = { .kind = TOPIC_TRUST };
	struct buf document = { 0 };
	struct watcher watcher;
	struct joiner node;
	struct rig rig;
	char *stored;

	rig_begin(&rig);
	watch_start(&watcher, &rig, "watcher");
	rig_network(&rig, "dc1", "10.36.50.0/24");
	rig_settle(&rig);
	trust_next(&rig, &document);
	rig_stop(&rig);
	watch_publish(&watcher, &topic, &document, true);
	rig_wait(&rig, 200);
	watch_clear(&watcher);
	rig_start(&rig);
	CHECK_INT(rig.keys.trust->body.seq, 1);
	rig_ready(&rig);
	CHECK_INT(rig.keys.trust->body.seq, 2);
	CHECK(!watch_last(&watcher, &topic)); /* it was not sent again */
	stored = watch_file(&rig, "trust.doc");
	CHECK_STR(stored, buf_cstr(&document));
	rig_join(&rig, &watcher, &node, "dc1", "n1"); /* and all goes on */
	free(stored);
	buf_done(&document);
	joiner_done(&node);
	watch_stop(&watcher);
	rig_end(&rig);
}

TEST_MAIN("audit")

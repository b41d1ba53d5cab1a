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

TEST_MAIN("audit")

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent's state on disk: what goes in comes out, and a disk that fails tears nothing. */
#include "agent/state.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/crypto.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"

static const char *dir;

static struct state *open_state(void)
{
	struct state *s = NULL;
	char why[256] = "";

	if (!dir)
		dir = folder();
	CHECK_INT(state_open(dir, NULL, &s, why, sizeof(why)), 0);
	return s;
}

static struct state *again(struct state *s)
{
	state_close(s);
	return open_state();
}

TEST(files_are_for_the_owner_only)
{
	struct state *s = open_state();
	struct stat st;
	char path[128];

	CHECK_INT(stat(dir, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0700);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	state_close(s);
}

TEST(identity_and_mesh_come_back)
{
	struct state *s = open_state();
	struct state_identity i = { .tls_key = (char[]){ "KEY" } }, got = { 0 };
	struct state_mesh m = { .trust = (char[]){ "T" }, .certificate = (char[]){ "C" } }, back;
	struct arena a = { 0 };

	CHECK_INT(state_identity_get(s, &a, &got), -ENOENT);
	CHECK_INT(state_mesh_get(s, &a, &back), -ENOENT);
	memset(i.secret, 7, sizeof(i.secret));
	memset(m.root_key, 9, sizeof(m.root_key));
	state_identity_put(s, &i);
	state_mesh_put(s, &m);
	s = again(s);
	CHECK_INT(state_identity_get(s, &a, &got), 0);
	CHECK(memcmp(got.secret, i.secret, KEY_LEN) == 0);
	CHECK_STR(got.tls_key, "KEY");
	CHECK_INT(state_mesh_get(s, &a, &back), 0);
	CHECK(memcmp(back.root_key, m.root_key, KEY_LEN) == 0);
	CHECK_STR(back.trust, "T");
	CHECK_STR(back.site, NULL);
	state_register_put(s, "c/state", 5, NULL);
	state_token_put(s, "t1", "dc1");
	state_mesh_forget(s);
	CHECK_INT(state_mesh_get(s, &a, &back), -ENOENT);
	CHECK_INT(state_register_seq(s, "c/state"), 0);
	CHECK(!state_token_used(s, "t1"));
	CHECK_INT(state_identity_get(s, &a, &got), 0);
	arena_done(&a);
	state_close(s);
}

TEST(connections_are_counted_over_starts)
{
	struct state *s = open_state();

	CHECK_INT(state_connection_next(s), 1);
	CHECK_INT(state_connection_next(s), 2);
	s = again(s);
	CHECK_INT(state_connection_next(s), 3);
	state_close(s);
}

static void gather(void *owner, const struct state_network *n)
{
	struct buf *out = owner;

	buf_printf(out, "%s:%s:%u:%llu:%u ", n->name, n->membership, n->port,
		   (unsigned long long)n->ep_seq, n->private_key[0]);
}

static void put_network(struct state *s, const char *name, int64_t joined)
{
	struct state_network n = { .membership = (char[]){ "{}" },
				   .port = 51830,
				   .ep_seq = 3,
				   .joined = joined,
				   .private_key = { 1 } };

	n.name = xstrdup(name);
	state_network_put(s, &n);
	free(n.name);
}

static void put_journal(struct state *s, const char *path, uint64_t ver, const char *name,
			enum replica_member_change change)
{
	struct replica_state st = { .position = { 4, ver },
				    .proven = true,
				    .join_reached = true,
				    .minimum = { 4, 1 },
				    .proof = (char[]){ "proof" },
				    .proof_kind = PROOF_DELTA,
				    .proof_key = "aaaaaaaaaaaaaaaa",
				    .join = (char[]){ "answer" },
				    .join_topic = (char[]){ "topic" },
				    .floor_count = 2 };
	const struct replica_change c = { .name = name,
					  .change = change,
					  .body = change == MEMBER_DEL ? NULL : "{\"x\":1}" };

	memset(st.hash, 3, sizeof(st.hash));
	memset(st.run, 5, sizeof(st.run));
	memcpy(st.floors[0].key, "aaaaaaaaaaaaaaaa", KEY_ID_SIZE);
	st.floors[0].taken = (struct journal_position){ 4, ver };
	memcpy(st.floors[1].key, "bbbbbbbbbbbbbbbb", KEY_ID_SIZE);
	st.floors[1].taken = (struct journal_position){ 2, 77 };
	state_journal_put(s, path, &st, &c, 1);
}

static void gather_member(void *owner, const char *name, const char *body, bool orphan)
{
	buf_printf(owner, "%s=%s%s ", name, body, orphan ? "!" : "");
}

static void check_journal(struct state *s, const char *path, int64_t ver, const char *members)
{
	struct replica_state st;
	struct buf out = { 0 };

	CHECK_INT(state_journal_get(s, path, &st, gather_member, &out), ver ? 0 : -ENOENT);
	CHECK_STR(buf_cstr(&out), members);
	CHECK_INT(st.position.ver, ver);
	if (ver) {
		CHECK_INT(st.hash[31], 3);
		CHECK_INT(st.run[15], 5);
		CHECK_STR(st.proof, "proof");
		CHECK_STR(st.join, "answer");
		CHECK_STR(st.join_topic, "topic");
		CHECK_STR(st.proof_key, "aaaaaaaaaaaaaaaa");
		CHECK_INT(st.minimum.ver, 1);
		CHECK_INT(st.floor_count, 2);
		CHECK_STR(st.floors[1].key, "bbbbbbbbbbbbbbbb");
		CHECK_INT(st.floors[1].taken.ver, 77);
	}
	replica_state_done(&st);
	buf_done(&out);
}

static void check_networks(struct state *s, const char *want)
{
	struct buf out = { 0 };

	state_network_each(s, gather, &out);
	CHECK_STR(buf_cstr(&out), want);
	buf_done(&out);
}

TEST(networks_keep_the_order_of_joining)
{
	struct state *s = open_state();

	put_network(s, "late", 20);
	put_network(s, "early", 10);
	put_network(s, "a-late", 20);
	s = again(s);
	check_networks(s, "early:{}:51830:3:1 a-late:{}:51830:3:1 late:{}:51830:3:1 ");
	state_close(s);
}

TEST(journal_comes_back_as_it_was)
{
	struct state *s = open_state();

	check_journal(s, "n/dc1/peers", 0, "");
	put_journal(s, "n/dc1/peers", 1, "a", MEMBER_PUT);
	put_journal(s, "n/dc1/peers", 2, "b", MEMBER_PUT);
	put_journal(s, "n/dc1/peers", 3, "a", MEMBER_ORPHANED);
	s = again(s);
	check_journal(s, "n/dc1/peers", 3, "a={\"x\":1}! b={\"x\":1} ");
	put_journal(s, "n/dc1/peers", 4, "b", MEMBER_DEL);
	s = again(s);
	check_journal(s, "n/dc1/peers", 4, "a={\"x\":1}! ");
	state_close(s);
}

static void learned(void *owner, const char *node, const struct endpoint *e)
{
	char text[ENDPOINT_SIZE];

	buf_printf(owner, "%s@%s ", node, endpoint_format(e, text));
}

static void registered(void *owner, const char *path, uint64_t seq, const char *body)
{
	buf_printf(owner, "%s:%llu:%s ", path, (unsigned long long)seq, body);
}

TEST(a_network_goes_with_all_of_its_own)
{
	struct state *s = open_state();
	struct endpoint e;
	struct buf out = { 0 };

	CHECK_INT(endpoint_parse("198.51.100.1:7", &e), 0);
	put_network(s, "dc1", 1);
	put_network(s, "dc10", 2);
	put_journal(s, "n/dc1/peers", 1, "a", MEMBER_PUT);
	put_journal(s, "n/dc10/peers", 1, "a", MEMBER_PUT);
	state_register_put(s, "n/dc1/ep/x", 1, "{}");
	state_register_put(s, "n/dc10/ep/x", 2, "{}");
	state_learned_put(s, "dc1", "x", &e);
	state_learned_put(s, "dc10", "x", &e);
	state_network_del(s, "dc1");
	s = again(s);
	check_networks(s, "dc10:{}:51830:3:1 ");
	check_journal(s, "n/dc1/peers", 0, "");
	check_journal(s, "n/dc10/peers", 1, "a={\"x\":1} ");
	state_register_each(s, "n/", registered, &out);
	CHECK_STR(buf_cstr(&out), "n/dc10/ep/x:2:{} ");
	buf_clear(&out);
	state_learned_each(s, "dc1", learned, &out);
	state_learned_each(s, "dc10", learned, &out);
	CHECK_STR(buf_cstr(&out), "x@198.51.100.1:7 ");
	buf_done(&out);
	state_close(s);
}

TEST(tokens_count_again_after_a_leave)
{
	struct state *s = open_state();
	struct arena a = { 0 };
	char **list;

	state_token_put(s, "t1", "dc1");
	state_token_put(s, "t2", "dc1");
	state_token_put(s, "t3", "cloud");
	state_leaving_put(s, "dc1");
	s = again(s);
	CHECK(state_token_used(s, "t1") && state_token_used(s, "t3"));
	CHECK_INT(state_leaving_list(s, &a, &list), 1);
	CHECK_STR(list[0], "dc1");
	state_token_forget(s, "dc1");
	state_leaving_del(s, "dc1");
	s = again(s);
	CHECK(!state_token_used(s, "t1") && !state_token_used(s, "t2"));
	CHECK(state_token_used(s, "t3"));
	CHECK_INT(state_leaving_list(s, &a, &list), 0);
	arena_done(&a);
	state_close(s);
}

/* ---- a disk that does not take it ---- */

static void limit(rlim_t bytes)
{
	const struct rlimit r = { bytes, RLIM_INFINITY };

	CHECK_INT(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void rewrite(void *owner)
{
	struct state *s = *(struct state **)owner;

	put_network(s, "dc1", 1);
	put_journal(s, "n/dc1/peers", 7, "z", MEMBER_PUT);
}

TEST(full_disk_is_said_and_everything_written_anew)
{
	struct state *s = open_state();
	int tries = 0;

	signal(SIGXFSZ, SIG_IGN);
	state_on_rewrite(s, rewrite, &s);
	put_network(s, "gone", 1);
	put_journal(s, "n/dc1/peers", 1, "a", MEMBER_PUT);
	CHECK(!state_problem(s));
	limit(1);
	/* SQLite's own cache may take some of it before the disk is asked. */
	while (!state_problem(s) && tries++ < 2000)
		put_journal(s, "n/dc1/peers", 2, "b", MEMBER_PUT);
	CHECK(state_problem(s) != NULL);
	CHECK(strstr(state_problem(s), "not stored") != NULL);
	/* Left out: a later delta alone would be a torn state. */
	put_journal(s, "n/dc1/peers", 3, "c", MEMBER_PUT);
	state_token_put(s, "t1", "dc1");
	CHECK(state_token_used(s, "t1"));
	CHECK(state_settle(s) < 0);
	limit(RLIM_INFINITY);
	put_journal(s, "n/dc1/peers", 4, "d", MEMBER_PUT);
	CHECK(state_problem(s) != NULL);
	check_journal(s, "n/dc1/peers", tries > 1 ? 2 : 1,
		      tries > 1 ? "a={\"x\":1} b={\"x\":1} " : "a={\"x\":1} ");
	CHECK_INT(state_settle(s), 0);
	CHECK(!state_problem(s));
	s = again(s);
	check_networks(s, "dc1:{}:51830:3:1 ");
	check_journal(s, "n/dc1/peers", 7, "z={\"x\":1} ");
	CHECK(state_token_used(s, "t1"));
	state_close(s);
}

TEST(a_failure_inside_a_transaction_undoes_all_of_it)
{
	struct state *s = open_state();
	int tries = 0;

	signal(SIGXFSZ, SIG_IGN);
	put_network(s, "dc1", 1);
	limit(1);
	while (!state_problem(s) && tries++ < 2000) {
		state_begin(s);
		put_network(s, "other", 2);
		put_journal(s, "n/other/peers", 1, "a", MEMBER_PUT);
		state_commit(s);
	}
	CHECK(state_problem(s) != NULL);
	limit(RLIM_INFINITY);
	s = again(s);
	check_networks(s, tries > 1 ? "dc1:{}:51830:3:1 other:{}:51830:3:1 " : "dc1:{}:51830:3:1 ");
	check_journal(s, "n/other/peers", tries > 1, tries > 1 ? "a={\"x\":1} " : "");
	state_close(s);
}

TEST_MAIN("state")

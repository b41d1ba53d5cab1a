/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter against a real broker: joins, publishes what the file has, and nothing of its is ever
 * missing at a reader.
 */
#include <errno.h>

#include "tests/unit/exporter/rig.h"

#define WEB "{\"name\":\"web\",\"addresses\":[\"10.43.0.1\"]}"
#define API "{\"name\":\"api\",\"addresses\":[\"10.43.0.2\"]}"
#define BOTH "{\"services\":[" WEB "," API "]}"
#define ONE "{\"services\":[" WEB "]}"

static const char *body_of(const struct rig *r, const char *name)
{
	return replica_get(r->replica, name, NULL);
}

static void begin_with(struct rig *r, const char *services, size_t count)
{
	rig_begin(r);
	rig_write(r, services);
	CHECK_INT(rig_start(r), 0);
	RIG_UNTIL(r, rig_holds(r, count), 10000);
	RIG_UNTIL(r, rig_is_settled(r) && r->online, 5000);
}

TEST(joins_and_publishes)
{
	struct rig r;

	begin_with(&r, BOTH, 2);
	CHECK_INT(r.joins, 1);
	CHECK_STR(body_of(&r, "default/web"), "{\"addresses\":[\"10.43.0.1\"]}");
	CHECK_STR(body_of(&r, "default/api"), "{\"addresses\":[\"10.43.0.2\"]}");
	rig_stop(&r);
	RIG_UNTIL(&r, !r.online, 2000);
	rig_end(&r);
}

TEST(a_change_is_published_at_once)
{
	uint64_t took[9], begin;
	char json[256];
	struct rig r;

	begin_with(&r, ONE, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(took); i++) {
		char want[64];

		rig_wait(&r, 150);
		snprintf(want, sizeof(want), "{\"addresses\":[\"10.43.9.%u\"]}", i);
		snprintf(json, sizeof(json),
			 "{\"services\":[" WEB ",{\"name\":\"x\",\"addresses\":[\"10.43.9.%u\"]}]}",
			 i);
		rig_write(&r, json);
		begin = clock_mono();
		RIG_UNTIL(&r, body_of(&r, "default/x") && !strcmp(body_of(&r, "default/x"), want),
			  2000);
		took[i] = clock_mono() - begin;
	}
	for (size_t i = 0; i < ARRAY_SIZE(took); i++) /* the median, without qsort */
		for (size_t k = i + 1; k < ARRAY_SIZE(took); k++)
			if (took[k] < took[i]) {
				uint64_t t = took[i];

				took[i] = took[k];
				took[k] = t;
			}
	if (getenv("TEST_VERBOSE"))
		fprintf(stderr, "median %llu us\n", (unsigned long long)took[4]);
	CHECK(took[4] < 50 * USEC_PER_MSEC);
	rig_end(&r);
}

static int change(struct rig *r, const char *name, const char *body)
{
	struct map *changes = map_new();
	int ret;

	map_put(changes, name, xstrdup(body));
	ret = publish_changes(r->x.publish, changes);
	map_free(changes, free);
	return ret;
}

TEST(a_change_alone_leaves_the_others)
{
	struct rig r;

	begin_with(&r, ONE, 1);
	rig_wait(&r, 150);
	CHECK_INT(change(&r, "a/b", "{\"addresses\":[\"10.43.9.9\"]}"), 0);
	RIG_UNTIL(&r, body_of(&r, "a/b"), 2000);
	CHECK(body_of(&r, "default/web"));
	/* Taken back within the window: the writer holds the put, the del must reach it. */
	CHECK_INT(change(&r, "a/c", "{\"addresses\":[\"10.43.9.8\"]}"), 0);
	CHECK_INT(change(&r, "a/d", "{\"addresses\":[\"10.43.9.7\"]}"), 0);
	CHECK_INT(change(&r, "a/d", ""), 0);
	CHECK_INT(change(&r, "a/b", ""), 0);
	CHECK_INT(change(&r, "never/there", ""), 0);
	RIG_UNTIL(&r, body_of(&r, "a/c") && !body_of(&r, "a/b"), 2000);
	rig_wait(&r, 300);
	CHECK(!body_of(&r, "a/d"));
	CHECK(body_of(&r, "default/web"));
	rig_end(&r);
}

TEST(presence_has_the_ranges)
{
	struct rig r;

	begin_with(&r, "{\"ranges\":[\"10.42.0.0/16\"],\"services\":[" WEB "]}", 1);
	RIG_UNTIL(&r, r.offered == 1, 2000);
	rig_write(&r, "{\"ranges\":[\"10.42.0.0/16\",\"10.43.0.0/16\"],\"services\":[" WEB "]}");
	RIG_UNTIL(&r, r.offered == 2, 2000);
	rig_end(&r);
}

TEST(changes_in_one_window_share_a_delta_and_the_last_one_counts)
{
	uint64_t ver;
	struct rig r;

	begin_with(&r, ONE, 1);
	ver = replica_position(r.replica).ver;
	rig_write(&r, BOTH);
	rig_wait(&r, 10);
	rig_write(&r,
		  "{\"services\":[" WEB "," API ",{\"name\":\"c\",\"addresses\":[\"10.0.0.3\"]}]}");
	rig_wait(&r, 10);
	rig_write(&r, "{\"services\":[{\"name\":\"web\",\"addresses\":[\"10.0.0.9\"]}," API "]}");
	rig_wait(&r, 10);
	rig_write(&r, BOTH);
	rig_wait(&r, 400);
	CHECK(rig_holds(&r, 2));
	CHECK_STR(body_of(&r, "default/web"), "{\"addresses\":[\"10.43.0.1\"]}");
	CHECK(!body_of(&r, "default/c"));
	CHECK(replica_position(r.replica).ver <= ver + 2);
	rig_end(&r);
}

TEST(a_broken_or_missing_file_keeps_the_old_records)
{
	struct rig r;

	begin_with(&r, BOTH, 2);
	r.documents = 0;
	rig_write(&r, "{\"services\":[");
	rig_wait(&r, 200);
	rig_write(&r, "{\"services\":[{\"name\":\"No Label\"}]}");
	rig_wait(&r, 200);
	CHECK_INT(unlink(r.services), 0);
	rig_wait(&r, 200);
	CHECK(rig_holds(&r, 2));
	CHECK_INT(r.documents, 0);
	rig_write(&r, ONE);
	RIG_UNTIL(&r, rig_holds(&r, 1), 2000);
	rig_end(&r);
}

TEST(a_restart_publishes_only_what_changed)
{
	uint64_t epoch;
	struct rig r;

	begin_with(&r, BOTH, 2);
	epoch = replica_position(r.replica).epoch;
	rig_stop(&r);
	rig_wait(&r, 200); /* what was on the way */
	rig_write(&r, ONE);
	r.documents = 0;
	r.must_stay = "default/web";
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, rig_holds(&r, 1), 5000);
	RIG_UNTIL(&r, rig_is_settled(&r), 5000);
	CHECK_INT(r.joins, 1);
	CHECK_INT(replica_position(r.replica).epoch, epoch);
	CHECK_INT(r.documents,
		  1); /* the delta as we follow it; its copy in the log is not followed */
	CHECK_INT(r.missed, 0);
	rig_end(&r);
}

TEST(a_broker_that_lost_everything_is_filled_again)
{
	struct rig r;

	begin_with(&r, BOTH, 2);
	broker_stop(&r.broker, SIGKILL);
	RIG_UNTIL(&r, !session_is_connected(r.x.session) && !r.connected, 5000);
	broker_start(&r.broker);
	replica_free(r.replica);
	r.replica = NULL;
	r.key.id[0] = '\0';
	RIG_UNTIL(&r, r.connected && session_is_connected(r.x.session), 60000);
	rig_follow(&r, r.x.identity.key.public_key);
	RIG_UNTIL(&r, rig_holds(&r, 2), 10000);
	rig_end(&r);
}

TEST(lost_state_begins_with_everything_and_drops_the_rest)
{
	char *command;
	struct rig r;

	begin_with(&r, BOTH, 2);
	rig_stop(&r);
	command = xasprintf("rm -rf '%s'", r.state);
	CHECK_INT(system(command), 0);
	free(command);
	rig_write(&r, ONE);
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, r.joins == 2 && rig_holds(&r, 1), 10000);
	CHECK_INT(r.generation, 2);
	CHECK_INT(replica_position(r.replica).ver, 1); /* all of it in the snapshot */
	rig_end(&r);
}

TEST(a_state_that_went_back_begins_a_new_epoch_and_misses_nobody)
{
	uint64_t epoch;
	char *command;
	struct rig r;

	begin_with(&r, BOTH, 2);
	epoch = replica_position(r.replica).epoch;
	rig_stop(&r);
	command = xasprintf("cp -a '%s' '%s.old'", r.state, r.state);
	CHECK_INT(system(command), 0);
	free(command);
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, rig_is_settled(&r), 5000);
	rig_write(&r,
		  "{\"services\":[" WEB "," API ",{\"name\":\"c\",\"addresses\":[\"10.0.0.3\"]}]}");
	RIG_UNTIL(&r, rig_holds(&r, 3), 5000);
	rig_stop(&r);
	command = xasprintf("rm -rf '%s' && mv '%s.old' '%s'", r.state, r.state, r.state);
	CHECK_INT(system(command), 0);
	free(command);
	rig_write(&r, BOTH);
	r.must_stay = "default/web";
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, rig_holds(&r, 2) && replica_position(r.replica).epoch > epoch, 10000);
	CHECK_INT(r.missed, 0);
	CHECK(!body_of(&r, "default/c"));
	rig_end(&r);
}

TEST(renews_its_certificate)
{
	struct rig r;

	rig_begin(&r);
	r.life = 3;
	rig_write(&r, ONE);
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, rig_holds(&r, 1), 5000);
	r.life = DAY;
	RIG_UNTIL(&r, r.renewals == 1, 6000);
	RIG_UNTIL(&r, rig_is_settled(&r), 6000);
	rig_wait(&r, 2000);
	CHECK_INT(r.renewals, 1);
	CHECK(session_is_connected(r.x.session));
	CHECK(rig_holds(&r, 1));
	rig_end(&r);
}

TEST(asks_again_when_the_coordinator_was_away)
{
	struct rig r;

	rig_begin(&r);
	rig_write(&r, ONE);
	r.deaf = 1;
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, rig_holds(&r, 1), 8000);
	CHECK_INT(r.joins, 2);
	rig_end(&r);
}

TEST(a_refused_join_ends_it_with_the_coordinators_sentence)
{
	struct rig r;

	rig_begin(&r);
	rig_write(&r, ONE);
	r.refusal = "token abc is used up; ask for a new one";
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, *r.x.failed, 5000);
	CHECK_STR(r.x.failed, "token abc is used up; ask for a new one");
	rig_end(&r);
}

TEST(removed_it_forgets_and_ends)
{
	struct state_mesh mesh = { 0 };
	struct arena a = { 0 };
	struct rig r;

	begin_with(&r, ONE, 1);
	RIG_UNTIL(&r, granted_get(r.x.granted), 2000);
	rig_grant(&r, r.id, NULL, NULL);
	RIG_UNTIL(&r, *r.x.failed, 2000);
	CHECK_STR(r.x.failed, "this exporter was taken out of network dc1; start it with a token "
			      "made after that");
	CHECK_INT(state_mesh_get(r.x.state, &a, &mesh), -ENOENT);
	rig_stop(&r);
	rig_wait(&r, 200);
	CHECK(r.online); /* of its presence it left what was there, for the coordinator to clear */
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, r.joins == 2 && rig_holds(&r, 1) && granted_get(r.x.granted), 5000);
	CHECK_STR(r.x.failed, "");
	rig_end(&r);
}

TEST(removed_while_it_was_away_it_ends_too)
{
	struct rig r;

	begin_with(&r, ONE, 1);
	RIG_UNTIL(&r, granted_get(r.x.granted), 2000);
	rig_stop(&r);
	rig_grant(&r, r.id, NULL, NULL);
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, *r.x.failed, 5000);
	rig_end(&r);
}

TEST(replaced_by_another_it_ends_and_keeps_its_state)
{
	struct state_mesh mesh = { 0 };
	struct arena a = { 0 };
	struct sign_key other;
	struct rig r;

	begin_with(&r, ONE, 1);
	RIG_UNTIL(&r, granted_get(r.x.granted), 2000);
	sign_key_generate(&other);
	rig_grant(&r, other.id, other.public_key, "10.43.0.0/16");
	rig_wait(&r, 200);
	CHECK_STR(r.x.failed, "");
	rig_grant(&r, r.id, NULL, NULL);
	RIG_UNTIL(&r, *r.x.failed, 2000);
	CHECK(strncmp(r.x.failed, "another exporter for network dc1 and site dc1", 45) == 0);
	CHECK_INT(state_mesh_get(r.x.state, &a, &mesh), 0);
	arena_done(&a);
	sign_key_done(&other);
	rig_end(&r);
}

TEST(an_older_word_of_the_coordinator_ends_nothing)
{
	struct journal_position before;
	struct rig r;

	begin_with(&r, ONE, 1);
	RIG_UNTIL(&r, granted_get(r.x.granted), 2000);
	before = writer_position(r.gateways);
	r.x.mesh.gateways = (struct journal_position){ before.epoch + 1000, 0 };
	CHECK_INT(state_mesh_put(r.x.state, &r.x.mesh), 0);
	rig_stop(&r);
	/* What the broker has is older than what we have seen: it may be from before our time. */
	rig_grant(&r, r.id, NULL, NULL);
	CHECK_INT(rig_start(&r), 0);
	RIG_UNTIL(&r, rig_is_settled(&r), 5000);
	rig_wait(&r, 500);
	CHECK_STR(r.x.failed, "");
	rig_end(&r);
}

/* Who stole the key has said the highest position that there is: it must not outlast the key. */
static void steal_and_revoke(struct rig *r, bool away)
{
	struct journal_position far;

	CHECK_INT(writer_begin(r->gateways, loop_now(r->loop), INT64_MAX / 2, clock_wall(), false),
		  0);
	writer_flush(r->gateways);
	far = writer_position(r->gateways);
	rig_grant(r, r->id, r->key.public_key, "10.44.0.0/16");
	RIG_UNTIL(r, granted_position(r->x.granted).epoch == far.epoch && !r->x.outside, 3000);
	CHECK_INT(r->x.mesh.gateways.epoch, far.epoch);
	if (away)
		rig_stop(r);
	sign_key_done(&r->signing);
	sign_key_generate(&r->signing);
	buf_done(&r->trust);
	rig_make_trust(r, 2);
	writer_free(r->gateways);
	rig_gateways(r);
	rig_grant(r, r->id, r->key.public_key, "10.43.0.0/16");
	if (away)
		CHECK_INT(rig_start(r), 0);
	RIG_UNTIL(r, granted_get(r->x.granted) && r->x.outside == 1, 5000);
	CHECK(granted_position(r->x.granted).epoch < far.epoch);
	CHECK(r->x.mesh.gateways.epoch < far.epoch);
	CHECK_STR(r->x.failed, "");
}

TEST(a_revoked_keys_word_does_not_outlast_it)
{
	struct rig r;

	begin_with(&r, "{\"services\":[{\"name\":\"x\",\"addresses\":[\"10.44.0.1\"]}]}", 1);
	RIG_UNTIL(&r, r.x.outside == 1, 3000);
	steal_and_revoke(&r, false);
	rig_end(&r);
}

TEST(a_key_revoked_while_it_was_away_left_no_minimum)
{
	struct rig r;

	begin_with(&r, "{\"services\":[{\"name\":\"x\",\"addresses\":[\"10.44.0.1\"]}]}", 1);
	RIG_UNTIL(&r, r.x.outside == 1, 3000);
	steal_and_revoke(&r, true);
	rig_end(&r);
}

TEST(what_is_outside_of_the_grant_is_counted)
{
	struct rig r;

	begin_with(
		&r,
		"{\"services\":[" WEB ",{\"name\":\"x\",\"addresses\":[\"10.44.0.1\",\"fd00::1\"]},"
		"{\"name\":\"y\",\"endpoints\":[{\"addresses\":[\"10.43.0.1\",\"10.64.0.1\"]}]}]}",
		3);
	RIG_UNTIL(&r, r.x.outside == 2, 3000);
	rig_grant(&r, r.id, r.key.public_key, "10.32.0.0/11");
	RIG_UNTIL(&r, r.x.outside == 1, 3000);
	rig_write(&r, ONE);
	RIG_UNTIL(&r, r.x.outside == 0, 3000);
	rig_end(&r);
}

TEST(what_is_wrong_at_the_start_is_said)
{
	struct rig r;

	rig_begin(&r);
	free(r.token);
	r.token = xstrdup("warren1-x");
	CHECK_INT(rig_start(&r), -EINVAL);
	CHECK(strncmp(r.x.failed, "--token: ", 9) == 0);
	rig_stop(&r);
	free(TAKE(r.token));
	CHECK_INT(rig_start(&r), -EINVAL);
	CHECK_STR(r.x.failed,
		  "--token is missing; `warren token create --role exporter` prints one");
	rig_stop(&r);
	strcpy(r.services, "/nonexistent/file");
	CHECK_INT(rig_start(&r), -ENOENT);
	CHECK_STR(r.x.failed, "the folder of /nonexistent/file: No such file or directory");
	rig_end(&r);
}

TEST_MAIN("exporter")

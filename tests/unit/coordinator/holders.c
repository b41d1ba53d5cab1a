/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens that admit at most K nodes at a time: who has to go, and who does not. */
#include "coordinator/holders.h"

#include "tests/fakes/authority_fake.h"
#include "tests/unit/coordinator/sites.h"

static char *token_of(uint64_t at_most)
{
	return token_wish(
		&(struct api_token_create){ .network = keep("office"), .at_most = at_most });
}

/* The code of the refusal, or "joined". */
static const char *joins(const struct joiner *j, const char *token)
{
	return join_code(join(j, token));
}

/* What a node says of itself at `now`: held, or without a holder since `gone`. */
static void says(const struct joiner *m, uint64_t seq, bool online, const char *network,
		 int64_t gone, int64_t now)
{
	struct holder_state h = { .network = keep("office"), .gone = gone };
	const struct node_state st = {
		.seq = seq, .online = online, .holders = &h, .holder_count = network != NULL
	};

	fake_now = now;
	holders_taken(a->holders, m->identity.id, &st, now);
}

static void begin(struct joiner *m[], size_t count)
{
	a = authority_fake();
	CHECK_STR(network_make("office", "10.36.50.0/24"), "");
	a->holders = holders_new();
	fake_now = 50;
	holders_connected(a->holders, 10);
	for (size_t i = 0; i < count; i++)
		m[i] = machine_make("n");
}

static void end(void)
{
	holders_free(a->holders);
	a->holders = NULL;
}

TEST(the_place_of_who_is_without_one_for_longest_is_given)
{
	struct joiner *m[4];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_of(2);
	CHECK_STR(joins(m[0], token), "joined");
	CHECK_STR(joins(m[1], token), "joined");
	/* Nothing was heard of them: held. */
	CHECK_STR(joins(m[2], token), "at_most");
	says(m[0], 1, true, "office", 0, 100);
	says(m[1], 1, true, "office", 0, 100);
	CHECK_STR(joins(m[2], token), "at_most");
	CHECK_STR(joins(m[1], token), "joined");
	says(m[0], 2, true, "office", 220, 220);
	says(m[1], 2, true, "office", 210, 230);
	/* Played back. */
	says(m[1], 1, true, "office", 0, 240);
	CHECK_STR(joins(m[2], token), "joined");
	CHECK(authority_fake_removed(a, "office", m[1]->identity.id) == WHY_REPLACED);
	CHECK(authority_fake_peer(a, "office", m[0]->identity.id) != NULL);
	/* It is back, and is held no more than before; the newcomer is. */
	says(m[2], 1, true, "office", 0, 250);
	says(m[0], 3, true, "office", 0, 260);
	CHECK_STR(joins(m[1], token), "at_most");
	/* A node that is offline has no holder. */
	says(m[0], 4, false, NULL, 0, 270);
	fake_now = 280;
	CHECK_STR(joins(m[1], token), "joined");
	CHECK(authority_fake_removed(a, "office", m[0]->identity.id) == WHY_REPLACED);
	/* Other tokens' nodes do not count. */
	CHECK_STR(joins(m[3], token_of(0)), "joined");
	end();
}

/* The agent is started anew, and its holder comes back a moment later. */
TEST(a_holder_that_is_started_anew_keeps_its_place)
{
	struct joiner *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_of(1);
	CHECK_STR(joins(m[0], token), "joined");
	says(m[0], 1, true, "office", 0, 100);
	says(m[0], 2, false, NULL, 0, 200);
	fake_now = 209;
	CHECK_STR(joins(m[1], token), "at_most");
	says(m[0], 3, true, "office", 0, 209);
	fake_now = 1000;
	CHECK_STR(joins(m[1], token), "at_most");
	/* It does not come back. */
	says(m[0], 4, false, NULL, 0, 1000);
	fake_now = 1009;
	CHECK_STR(joins(m[1], token), "at_most");
	fake_now = 1010;
	CHECK_STR(joins(m[1], token), "joined");
	end();
}

/* The agent goes on and says that its holder is gone: there is nothing to wait for. */
TEST(a_holder_that_is_gone_leaves_its_place_at_once)
{
	struct joiner *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_of(1);
	CHECK_STR(joins(m[0], token), "joined");
	says(m[0], 1, true, "office", 0, 100);
	CHECK_STR(joins(m[1], token), "at_most");
	/* Its clock is ahead. */
	says(m[0], 2, true, "office", 5000, 200);
	CHECK_STR(joins(m[1], token), "joined");
	CHECK(authority_fake_removed(a, "office", m[0]->identity.id) == WHY_REPLACED);
	end();
}

/* Its word was about other networks, or about its last membership. */
TEST(a_new_membership_has_its_grace_too)
{
	struct joiner *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_of(1);
	says(m[0], 1, true, NULL, 0, 100);
	fake_now = 500;
	CHECK_STR(joins(m[0], token), "joined");
	fake_now = 509;
	CHECK_STR(joins(m[1], token), "at_most");
	fake_now = 510;
	CHECK_STR(joins(m[1], token), "joined");
	end();
}

/* It joins again, and nothing was heard of that yet. */
TEST(what_a_removed_node_said_is_forgotten)
{
	struct joiner *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_of(1);
	CHECK_STR(joins(m[0], token), "joined");
	says(m[0], 7, true, NULL, 0, 100);
	CHECK_INT(node_remove(a, m[0]->identity.id, &why), 0);
	token = token_of(1);
	CHECK_STR(joins(m[0], token), "joined");
	fake_now = 500;
	CHECK_STR(joins(m[1], token), "at_most");
	/* A state that was lost counts its connections from the beginning. */
	says(m[0], 1, true, NULL, 0, 500);
	CHECK_STR(joins(m[1], token), "joined");
	end();
}

/* The broker was away, and says that all are offline; or we were, and read that first. */
TEST(after_a_connection_nodes_have_time_to_come_back)
{
	struct joiner *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_of(1);
	CHECK_STR(joins(m[0], token), "joined");
	holders_free(a->holders);
	a->holders = holders_new();
	holders_connected(a->holders, 100);
	/* Not yet read. */
	fake_now = 1000;
	CHECK_STR(joins(m[1], token), "at_most");
	holders_connected(a->holders, 1000);
	says(m[0], 2, false, NULL, 0, 1000);
	fake_now = 1039;
	CHECK_STR(joins(m[1], token), "at_most");
	says(m[0], 3, true, "office", 0, 1039);
	fake_now = 2000;
	CHECK_STR(joins(m[1], token), "at_most");
	holders_connected(a->holders, 2000);
	says(m[0], 4, false, NULL, 0, 2000);
	fake_now = 2040;
	CHECK_STR(joins(m[1], token), "joined");
	end();
}

TEST_MAIN("holders")

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens that admit at most K nodes at a time: who has to go, and who does not. */
#include "coordinator/holders.h"

#include "coordinator/authority.h"
#include "lib/crypto.h"
#include "lib/x509.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

/* A machine that wants to join. */
struct machine {
	struct sign_key identity;
	struct buf csr;
	uint8_t wireguard[KEY_LEN];
};

static struct authority *a;
static struct refusal_reason why;
static struct arena kept; /* what lives as long as the test */

static char *keep(const char *s)
{
	return arena_strdup(&kept, s);
}

static struct machine *machine_new(void)
{
	struct machine *m = arena_alloc(&kept, sizeof(*m));
	struct buf key = { 0 };
	uint8_t secret[KEY_LEN];

	sign_key_generate(&m->identity);
	x509_key_generate(&key);
	CHECK_INT(x509_csr_create(buf_cstr(&key), &m->csr), 0);
	buf_done(&key);
	wireguard_key_generate(secret, m->wireguard);
	return m;
}

static void setup(void)
{
	struct api_network wish = { .name = keep("office"), .range_count = 1 };
	struct prefix p;

	a = authority_fake();
	CHECK_INT(prefix_parse("10.36.50.0/24", &p), 0);
	wish.ranges = &p;
	network_defaults(&wish);
	CHECK_INT(network_create(a, &wish, &why), 0);
}

static char *token_make(uint64_t at_most)
{
	struct api_token_create wish = { .network = keep("office"), .at_most = at_most };
	struct api_token token = { 0 };
	struct arena arena = { 0 };
	char *id;

	token_create(a, &arena, &wish, &token, &why);
	CHECK_STR(why.message, "");
	CHECK_INT(token.at_most, at_most);
	id = keep(token.id);
	arena_done(&arena);
	return id;
}

/* The code of the refusal, or "joined". */
static const char *join(const struct machine *m, const char *token)
{
	struct join_request q = { .token = keep(token),
				  .csr = m->csr.data,
				  .wished_name = keep("n") };
	struct topic t = { .kind = TOPIC_ENROL_RSP };
	struct buf document = { 0 }, answer = { 0 };
	struct join_answer body = { 0 };
	struct document d;

	memcpy(q.identity_key, m->identity.public_key, KEY_LEN);
	memcpy(q.wireguard_key, m->wireguard, KEY_LEN);
	crypto_random(q.nonce, sizeof(q.nonce));
	/* The document's bytes stand for what was received. */
	json_encode(&document, join_request_fields, &q);
	snprintf(t.id, sizeof(t.id), "%s", token);
	snprintf(t.other, sizeof(t.other), "j-%s-1", token);
	CHECK_INT(join_decide(a, &q, document.data, document.len, &t, NULL, &answer), 0);
	CHECK_INT(document_split(answer.data, answer.len, &d), REFUSED_NOT);
	CHECK_INT(body_decode(&kept, d.body, d.body_len, join_answer_fields, &body, NULL),
		  REFUSED_NOT);
	buf_done(&document);
	buf_done(&answer);
	return body.refused ? body.refused->code : "joined";
}

/* What a node says of itself at `now`: held, or without a holder since `gone`. */
static void says(const struct machine *m, uint64_t seq, bool online, const char *network,
		 int64_t gone, int64_t now)
{
	struct holder_state h = { .network = keep("office"), .gone = gone };
	const struct node_state st = {
		.seq = seq, .online = online, .holders = &h, .holder_count = network != NULL
	};

	fake_now = now;
	holders_taken(a->holders, m->identity.id, &st, now);
}

static void begin(struct machine *m[], size_t count)
{
	setup();
	a->holders = holders_new();
	fake_now = 50;
	holders_connected(a->holders, 10);
	for (size_t i = 0; i < count; i++)
		m[i] = machine_new();
}

static void end(void)
{
	holders_free(a->holders);
	a->holders = NULL;
}

TEST(the_place_of_who_is_without_one_for_longest_is_given)
{
	struct machine *m[4];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_make(2);
	CHECK_STR(join(m[0], token), "joined");
	CHECK_STR(join(m[1], token), "joined");
	/* Nothing was heard of them: held. */
	CHECK_STR(join(m[2], token), "at_most");
	says(m[0], 1, true, "office", 0, 100);
	says(m[1], 1, true, "office", 0, 100);
	CHECK_STR(join(m[2], token), "at_most");
	CHECK_STR(join(m[1], token), "joined");
	says(m[0], 2, true, "office", 220, 220);
	says(m[1], 2, true, "office", 210, 230);
	/* Played back. */
	says(m[1], 1, true, "office", 0, 240);
	CHECK_STR(join(m[2], token), "joined");
	CHECK(authority_fake_removed(a, "office", m[1]->identity.id) == WHY_REPLACED);
	CHECK(authority_fake_peer(a, "office", m[0]->identity.id) != NULL);
	/* It is back, and is held no more than before; the newcomer is. */
	says(m[2], 1, true, "office", 0, 250);
	says(m[0], 3, true, "office", 0, 260);
	CHECK_STR(join(m[1], token), "at_most");
	/* A node that is offline has no holder. */
	says(m[0], 4, false, NULL, 0, 270);
	fake_now = 280;
	CHECK_STR(join(m[1], token), "joined");
	CHECK(authority_fake_removed(a, "office", m[0]->identity.id) == WHY_REPLACED);
	/* Other tokens' nodes do not count. */
	CHECK_STR(join(m[3], token_make(0)), "joined");
	end();
}

/* The agent is started anew, and its holder comes back a moment later. */
TEST(a_holder_that_is_started_anew_keeps_its_place)
{
	struct machine *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_make(1);
	CHECK_STR(join(m[0], token), "joined");
	says(m[0], 1, true, "office", 0, 100);
	says(m[0], 2, false, NULL, 0, 200);
	fake_now = 209;
	CHECK_STR(join(m[1], token), "at_most");
	says(m[0], 3, true, "office", 0, 209);
	fake_now = 1000;
	CHECK_STR(join(m[1], token), "at_most");
	/* It does not come back. */
	says(m[0], 4, false, NULL, 0, 1000);
	fake_now = 1009;
	CHECK_STR(join(m[1], token), "at_most");
	fake_now = 1010;
	CHECK_STR(join(m[1], token), "joined");
	end();
}

/* The agent goes on and says that its holder is gone: there is nothing to wait for. */
TEST(a_holder_that_is_gone_leaves_its_place_at_once)
{
	struct machine *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_make(1);
	CHECK_STR(join(m[0], token), "joined");
	says(m[0], 1, true, "office", 0, 100);
	CHECK_STR(join(m[1], token), "at_most");
	/* Its clock is ahead. */
	says(m[0], 2, true, "office", 5000, 200);
	CHECK_STR(join(m[1], token), "joined");
	CHECK(authority_fake_removed(a, "office", m[0]->identity.id) == WHY_REPLACED);
	end();
}

/* Its word was about other networks, or about its last membership. */
TEST(a_new_membership_has_its_grace_too)
{
	struct machine *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_make(1);
	says(m[0], 1, true, NULL, 0, 100);
	fake_now = 500;
	CHECK_STR(join(m[0], token), "joined");
	fake_now = 509;
	CHECK_STR(join(m[1], token), "at_most");
	fake_now = 510;
	CHECK_STR(join(m[1], token), "joined");
	end();
}

/* The broker was away, and says that all are offline; or we were, and read that first. */
TEST(after_a_connection_nodes_have_time_to_come_back)
{
	struct machine *m[2];
	char *token;

	begin(m, ARRAY_SIZE(m));
	token = token_make(1);
	CHECK_STR(join(m[0], token), "joined");
	holders_free(a->holders);
	a->holders = holders_new();
	holders_connected(a->holders, 100);
	/* Not yet read. */
	fake_now = 1000;
	CHECK_STR(join(m[1], token), "at_most");
	holders_connected(a->holders, 1000);
	says(m[0], 2, false, NULL, 0, 1000);
	fake_now = 1039;
	CHECK_STR(join(m[1], token), "at_most");
	says(m[0], 3, true, "office", 0, 1039);
	fake_now = 2000;
	CHECK_STR(join(m[1], token), "at_most");
	holders_connected(a->holders, 2000);
	says(m[0], 4, false, NULL, 0, 2000);
	fake_now = 2040;
	CHECK_STR(join(m[1], token), "joined");
	end();
}

TEST_MAIN("holders")

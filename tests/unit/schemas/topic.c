/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/topic.h"

#include <errno.h>

#include "tests/test.h"

#define MESH "meshmeshab"
#define NODE "abcdefghijklmnop"
#define FROM "qrstuvwxyz234567"
#define LONG63 "a23456789012345678901234567890123456789012345678901234567890123"

/* All kinds, spelled by hand: topic, place and journal path behind warren/1/<mesh>/. */
static const struct {
	const char *path;
	struct topic t;
	const char *place;   /* NULL: the same */
	const char *journal; /* NULL: none */
} cases[] = {
	{ "c/trust", { .kind = TOPIC_TRUST }, NULL, NULL },
	{ "c/state", { .kind = TOPIC_STATE }, NULL, NULL },
	{ "c/mark", { .kind = TOPIC_MARK }, NULL, NULL },
	{ "c/revoked/" NODE, { .kind = TOPIC_REVOKED, .id = NODE }, NULL, NULL },
	{ "n/dc1-k3s/peers",
	  { .kind = TOPIC_JOURNAL, .journal = JOURNAL_PEERS, .network = "dc1-k3s" },
	  NULL,
	  "n/dc1-k3s/peers" },
	{ "n/a/gateways",
	  { .kind = TOPIC_JOURNAL, .journal = JOURNAL_GATEWAYS, .network = "a" },
	  NULL,
	  "n/a/gateways" },
	{ "n/" LONG63 "/dns/" LONG63,
	  { .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS, .network = LONG63, .exporter = LONG63 },
	  NULL,
	  "n/" LONG63 "/dns/" LONG63 },
	{ "n/a/peers/log/0",
	  { .kind = TOPIC_LOG, .journal = JOURNAL_PEERS, .network = "a" },
	  "n/a/peers",
	  "n/a/peers" },
	{ "n/a/dns/e/log/1023",
	  { .kind = TOPIC_LOG,
	    .journal = JOURNAL_DNS,
	    .network = "a",
	    .exporter = "e",
	    .slot = 1023 },
	  "n/a/dns/e",
	  "n/a/dns/e" },
	{ "n/a/gateways/snap",
	  { .kind = TOPIC_MANIFEST, .journal = JOURNAL_GATEWAYS, .network = "a" },
	  "n/a/gateways",
	  "n/a/gateways" },
	{ "n/a/peers/snap/1/511",
	  { .kind = TOPIC_CHUNK, .journal = JOURNAL_PEERS, .network = "a", .slot = 1, .chunk = 511 },
	  "n/a/peers",
	  "n/a/peers" },
	{ "n/a/peers/beat",
	  { .kind = TOPIC_BEAT, .journal = JOURNAL_PEERS, .network = "a" },
	  "n/a/peers",
	  "n/a/peers" },
	{ "n/a/dns/e/ask/" NODE,
	  { .kind = TOPIC_ASK, .journal = JOURNAL_DNS, .network = "a", .exporter = "e", .id = NODE },
	  NULL,
	  "n/a/dns/e" },
	{ "n/a/ep/" NODE, { .kind = TOPIC_EP, .network = "a", .id = NODE }, NULL, NULL },
	{ "n/a/call/" NODE "/" FROM,
	  { .kind = TOPIC_CALL, .network = "a", .id = NODE, .other = FROM },
	  NULL,
	  NULL },
	{ "a/" NODE "/config", { .kind = TOPIC_CONFIG, .id = NODE }, NULL, NULL },
	{ "a/" NODE "/rsp", { .kind = TOPIC_RSP, .id = NODE }, NULL, NULL },
	{ "u/" NODE "/req", { .kind = TOPIC_REQ, .id = NODE }, NULL, NULL },
	{ "u/" NODE "/state", { .kind = TOPIC_NODE, .id = NODE }, NULL, NULL },
	{ "u/" NODE "/stat", { .kind = TOPIC_STAT, .id = NODE }, NULL, NULL },
	{ "e/" NODE "/j-" NODE "-12345678/req",
	  { .kind = TOPIC_ENROL_REQ, .id = NODE, .other = "j-" NODE "-12345678" },
	  NULL,
	  NULL },
	{ "e/" NODE "/c/rsp", { .kind = TOPIC_ENROL_RSP, .id = NODE, .other = "c" }, NULL, NULL },
};

static bool equal(const struct topic *a, const struct topic *b)
{
	return a->kind == b->kind && a->journal == b->journal && a->slot == b->slot &&
	       a->chunk == b->chunk && strcmp(a->network, b->network) == 0 &&
	       strcmp(a->exporter, b->exporter) == 0 && strcmp(a->id, b->id) == 0 &&
	       strcmp(a->other, b->other) == 0;
}

static const char *whole(const char *path)
{
	static char text[2 * TOPIC_SIZE];

	snprintf(text, sizeof(text), "warren/1/" MESH "/%s", path);
	return text;
}

TEST(every_kind_both_ways)
{
	unsigned seen = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[TOPIC_SIZE];
		struct topic t;

		topic_format(MESH, &cases[i].t, text);
		CHECK_STR(text, whole(cases[i].path));
		CHECK_INT(topic_parse(MESH, text, &t), 0);
		CHECK(equal(&t, &cases[i].t));
		seen |= 1U << t.kind;
	}
	CHECK_INT(seen, (1U << (TOPIC_ENROL_RSP + 1)) - 1);
}

TEST(place)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[TOPIC_SIZE];

		topic_place(MESH, &cases[i].t, text);
		CHECK_STR(text, whole(cases[i].place ? cases[i].place : cases[i].path));
	}
}

TEST(journal_path)
{
	struct topic t = { .kind = TOPIC_MARK };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct topic *c = &cases[i].t;
		char text[TOPIC_SIZE];

		if (!cases[i].journal)
			continue;
		topic_journal_path(c, text);
		CHECK_STR(text, cases[i].journal);
		CHECK_INT(journal_path_parse(text, &t), 0);
		CHECK(t.kind == TOPIC_JOURNAL && t.journal == c->journal);
		CHECK_STR(t.network, c->network);
		CHECK_STR(t.exporter, c->exporter);
		CHECK(!t.id[0] && !t.slot);
	}
	t.kind = TOPIC_MARK;
	CHECK_INT(journal_path_parse("", &t), -EBADMSG);
	CHECK_INT(journal_path_parse("n/a/peers/beat", &t), -EBADMSG);
	CHECK_INT(journal_path_parse("n/a/peers/", &t), -EBADMSG);
	CHECK_INT(journal_path_parse("n/a/dns", &t), -EBADMSG);
	CHECK_INT(journal_path_parse("n/A/peers", &t), -EBADMSG);
	CHECK_INT(journal_path_parse("c/trust", &t), -EBADMSG);
	CHECK(t.kind == TOPIC_MARK);
}

TEST(refuses)
{
	static const char *const bad[] = {
		"",
		"c",
		"c/",
		"c/trust/",
		"c/trust/x",
		"c//trust",
		"C/trust",
		"c/trusty",
		"x/trust",
		"c/revoked",
		"c/revoked/",
		"c/revoked/abc",
		"c/revoked/abcdefghijklmno1",
		"c/revoked/ABCDEFGHIJKLMNOP",
		"c/revoked/abcdefghijklmnopq",
		"n",
		"n/",
		"n//peers",
		"n/a",
		"n/a/",
		"n/a/peer",
		"n/a/peersx",
		"n/a/peers/",
		"n/a/peers//beat",
		"n/A/peers",
		"n/a.b/peers",
		"n/-a/peers",
		"n/a-/peers",
		"n/+/peers",
		"n/#",
		"n/" LONG63 "x/peers",
		"n/a/peers/log",
		"n/a/peers/log/",
		"n/a/peers/log/1024",
		"n/a/peers/log/01",
		"n/a/peers/log/-1",
		"n/a/peers/log/+1",
		"n/a/peers/log/ 1",
		"n/a/peers/log/1x",
		"n/a/peers/log/18446744073709551616",
		"n/a/peers/log/1/2",
		"n/a/peers/snap/",
		"n/a/peers/snap/0",
		"n/a/peers/snap/2/0",
		"n/a/peers/snap/0/512",
		"n/a/peers/snap/0/0/0",
		"n/a/peers/beat/0",
		"n/a/peers/ask",
		"n/a/peers/ask/a",
		"n/a/dns",
		"n/a/dns/",
		"n/a/dns/E",
		"n/a/ep",
		"n/a/ep/a",
		"n/a/call/" NODE,
		"n/a/call/" NODE "/a",
		"n/a/call/" NODE "/" FROM "/",
		"a/" NODE,
		"a/" NODE "/conf",
		"a/node/config",
		"u/" NODE "/states",
		"u/" NODE,
		"e/" NODE "/req",
		"e/" NODE "/c/ack",
		"e/" NODE "//req",
		"e/token/c/req",
	};
	struct topic t = { .kind = TOPIC_MARK };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(test_result->why, bad[i]);
		CHECK_INT(topic_parse(MESH, whole(bad[i]), &t), -EBADMSG);
	}
	*test_result->why = '\0';
	CHECK(t.kind == TOPIC_MARK);
}

TEST(refuses_other_prefixes)
{
	struct topic t;

	CHECK_INT(topic_parse(MESH, "warren/1/" MESH "/c/trust", &t), 0);
	CHECK_INT(topic_parse(MESH, "", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "warren/1", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "warren/1/" MESH, &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "warren/2/" MESH "/c/trust", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "Warren/1/" MESH "/c/trust", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "/warren/1/" MESH "/c/trust", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "$SYS/broker/uptime", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "warren/1/short/c/trust", &t), -EBADMSG);
	CHECK_INT(topic_parse(MESH, "warren/1/" MESH "a/c/trust", &t), -EBADMSG);
}

TEST(says_another_mesh)
{
	struct topic t;

	CHECK_INT(topic_parse(MESH, "warren/1/abcdefghij/c/trust", &t), -EXDEV);
	CHECK_INT(topic_parse(MESH, "warren/1/" MESH "/c/trust", &t), 0);
	CHECK_INT(topic_parse("abcdefghij", "warren/1/" MESH "/c/trust", &t), -EXDEV);
}

static void random_word(char *ret, size_t max, const char *characters)
{
	size_t n = 1 + (size_t)rand() % max;

	for (size_t i = 0; i < n; i++)
		ret[i] = characters[(size_t)rand() % strlen(characters)];
	ret[n] = '\0';
	/* Labels begin and end with no dash. */
	if (ret[0] == '-')
		ret[0] = 'x';
	if (ret[n - 1] == '-')
		ret[n - 1] = 'x';
}

static void random_id(char *ret)
{
	for (int i = 0; i < KEY_ID_LEN; i++)
		ret[i] = "abcdefghijklmnopqrstuvwxyz234567"[rand() % 32];
	ret[KEY_ID_LEN] = '\0';
}

static struct topic random_topic(void)
{
	struct topic t = { .kind = (enum topic_kind)(rand() % (TOPIC_ENROL_RSP + 1)) };
	bool journal = t.kind >= TOPIC_JOURNAL && t.kind <= TOPIC_ASK;
	const char *letters = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (journal)
		t.journal = (enum journal_kind)(rand() % 3);
	if (journal || t.kind == TOPIC_EP || t.kind == TOPIC_CALL)
		random_word(t.network, LABEL_SIZE - 1, letters);
	if (journal && t.journal == JOURNAL_DNS)
		random_word(t.exporter, LABEL_SIZE - 1, letters);
	if (t.kind == TOPIC_REVOKED || t.kind >= TOPIC_ASK)
		random_id(t.id);
	if (t.kind == TOPIC_CALL)
		random_id(t.other);
	if (t.kind == TOPIC_ENROL_REQ || t.kind == TOPIC_ENROL_RSP)
		random_word(t.other, LABEL_SIZE - 1, letters);
	if (t.kind == TOPIC_LOG)
		t.slot = (unsigned)rand() % JOURNAL_RING;
	if (t.kind == TOPIC_CHUNK) {
		t.slot = (unsigned)rand() % 2;
		t.chunk = (unsigned)rand() % 512;
	}
	return t;
}

TEST(random_topics_come_back)
{
	srand(1);
	for (int i = 0; i < 100000; i++) {
		struct topic t = random_topic(), again;
		char text[TOPIC_SIZE];

		topic_format(MESH, &t, text);
		CHECK_INT(topic_parse(MESH, text, &again), 0);
		CHECK(equal(&t, &again));
	}
}

/* Whatever is taken is spelled in the one way. */
TEST(random_damage_is_refused_or_canonical)
{
	int taken = 0;

	srand(2);
	for (int i = 0; i < 200000; i++) {
		struct topic t = random_topic(), again;
		char text[TOPIC_SIZE], format[TOPIC_SIZE];
		size_t at;

		topic_format(MESH, &t, text);
		at = strlen("warren/1/" MESH "/") - 1;
		at += (size_t)rand() % (strlen(text) - at);
		if (rand() % 4 == 0)
			text[at] = '\0';
		else if (rand() % 3 == 0)
			memmove(text + at, text + at + 1, strlen(text + at));
		else
			text[at] = "/0129-azAZ+#."[rand() % 13];
		if (topic_parse(MESH, text, &again) < 0)
			continue;
		topic_format(MESH, &again, format);
		CHECK_STR(format, text);
		taken++;
	}
	CHECK(taken > 1000);
}

TEST(longest_fits)
{
	struct topic t = { .kind = TOPIC_ASK,
			   .journal = JOURNAL_DNS,
			   .network = LONG63,
			   .exporter = LONG63,
			   .id = NODE };
	char text[TOPIC_SIZE];

	topic_format(MESH, &t, text);
	CHECK(strlen(text) < TOPIC_SIZE);
	CHECK_INT(topic_parse(MESH, text, &t), 0);
}

TEST(mesh_id)
{
	uint8_t zeros[KEY_LEN] = { 0 };
	char id[MESH_ID_SIZE];

	/* base32 of SHA-256 of 32 zero bytes, 66687aadf862bd776c8fc18b8e9f8e20... */
	mesh_id(zeros, id);
	CHECK_STR(id, "mzuhvlpymk");
}

TEST(id)
{
	CHECK(text_is_id("abcdefghijklmnop"));
	CHECK(text_is_id("qrstuvwxyz234567"));
	CHECK(!text_is_id(""));
	CHECK(!text_is_id("abcdefghijklmno"));
	CHECK(!text_is_id("abcdefghijklmnopq"));
	CHECK(!text_is_id("abcdefghijklmno1"));
	CHECK(!text_is_id("abcdefghijklmno8"));
	CHECK(!text_is_id("Abcdefghijklmnop"));
	CHECK(!text_is_id("abcdefghijklmno-"));
}

TEST_MAIN("topic")

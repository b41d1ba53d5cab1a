/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "schemas/signers.h"

#include "tests/test.h"

#define ID "abcdefghijklmnop"
#define OTHER "qrstuvwxyz234567"

/* The writer column of the table of topics, written out by hand. */
static const struct {
	const char *path;
	enum signer_class class;
	const char *id, *network;
} expected[] = {
	{ "c/trust", SIGNER_ROOT, NULL, NULL },
	{ "c/state", SIGNER_COORDINATOR, NULL, NULL },
	{ "c/mark", SIGNER_COORDINATOR, NULL, NULL },
	{ "c/revoked/" ID, SIGNER_COORDINATOR, NULL, NULL },
	{ "n/net/peers", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/peers/log/7", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/peers/snap", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/peers/snap/0/1", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/peers/beat", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/peers/ask/" ID, SIGNER_NODE, ID, "net" },
	{ "n/net/gateways", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/gateways/log/7", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/gateways/snap", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/gateways/snap/0/1", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/gateways/beat", SIGNER_COORDINATOR, NULL, "net" },
	{ "n/net/gateways/ask/" ID, SIGNER_NODE, ID, "net" },
	{ "n/net/dns/exp", SIGNER_EXPORTER, "exp", "net" },
	{ "n/net/dns/exp/log/7", SIGNER_EXPORTER, "exp", "net" },
	{ "n/net/dns/exp/snap", SIGNER_EXPORTER, "exp", "net" },
	{ "n/net/dns/exp/snap/0/1", SIGNER_EXPORTER, "exp", "net" },
	{ "n/net/dns/exp/beat", SIGNER_EXPORTER, "exp", "net" },
	{ "n/net/dns/exp/ask/" ID, SIGNER_NODE, ID, "net" },
	{ "n/net/ep/" ID, SIGNER_NODE, ID, "net" },
	{ "n/net/call/" ID "/" OTHER, SIGNER_NODE, OTHER, "net" },
	{ "a/" ID "/config", SIGNER_COORDINATOR, NULL, NULL },
	{ "a/" ID "/rsp", SIGNER_COORDINATOR, NULL, NULL },
	{ "u/" ID "/req", SIGNER_NODE, ID, NULL },
	{ "u/" ID "/state", SIGNER_NODE, ID, NULL },
	{ "u/" ID "/stat", SIGNER_NODE, ID, NULL },
	{ "e/" ID "/client/req", SIGNER_JOINER, ID, NULL },
	{ "e/" ID "/client/rsp", SIGNER_COORDINATOR, NULL, NULL },
};

TEST(of_every_place)
{
	unsigned seen = 0;

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		char text[TOPIC_SIZE];
		struct signers who;
		struct topic t;

		snprintf(text, sizeof(text), "warren/1/meshmeshab/%s", expected[i].path);
		strcpy(test_result->why, text);
		CHECK_INT(topic_parse("meshmeshab", text, &t), 0);
		who = signers_of(&t);
		CHECK_INT(who.class, expected[i].class);
		CHECK_STR(who.id, expected[i].id);
		CHECK_STR(who.network, expected[i].network);
		seen |= 1U << t.kind;
	}
	*test_result->why = '\0';
	CHECK_INT(seen, (1U << (TOPIC_ENROL_RSP + 1)) - 1);
}

TEST(of_no_kind_is_the_root)
{
	struct topic t = { .kind = (enum topic_kind)99 };

	CHECK_INT(signers_of(&t).class, SIGNER_ROOT);
}

TEST_MAIN("signers")

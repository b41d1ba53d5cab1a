/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registers that came before their member: how many, how long. */
#include "agent/early.h"

#include "tests/test.h"

static bool has(struct early *e, const char *node, const char *bytes)
{
	struct buf b = { 0 };
	bool is = early_take(e, node, &b) && strcmp(buf_cstr(&b), bytes) == 0;

	buf_done(&b);
	return is;
}

TEST(the_last_one_of_a_node_is_taken_once)
{
	struct early *e = NULL;

	CHECK(!has(e, "a", "1"));
	early_put(&e, "a", "1", 1);
	early_put(&e, "b", "2", 1);
	early_put(&e, "a", "33", 2);
	CHECK(has(e, "a", "33"));
	CHECK(!has(e, "a", "33"));
	CHECK(has(e, "b", "2"));
	early_free(e);
}

TEST(bounded)
{
	static const char large[EARLY_BYTES_MAX + 1] = "x";
	struct early *e = NULL;
	char node[100];

	early_put(&e, "large", large, sizeof(large));
	early_put(&e, "empty", "", 0);
	memset(node, 'n', sizeof(node) - 1);
	node[sizeof(node) - 1] = '\0';
	early_put(&e, node, "1", 1);
	CHECK(!e);
	for (unsigned i = 0; i < EARLY_MAX + 2; i++) {
		snprintf(node, sizeof(node), "n%u", i);
		early_put(&e, node, "1", 1);
	}
	CHECK(!has(e, "n0", "1"));
	CHECK(!has(e, "n1", "1"));
	CHECK(has(e, "n2", "1"));
	CHECK(has(e, node, "1"));
	early_free(e);
}

TEST_MAIN("early")

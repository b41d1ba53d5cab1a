/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "lib/clock.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

static struct authority *a;

static uint64_t hosts;

static void name_take(const char *name)
{
	char network[] = "office", node[KEY_ID_SIZE], copy[LABEL_SIZE], token[] = "t";
	struct member_row m = { .network = network, .node = node, .name = copy, .token = token };

	m.host = ++hosts;
	snprintf(node, sizeof(node), "n%llu", (unsigned long long)m.host);
	snprintf(copy, sizeof(copy), "%s", name);
	memcpy(m.wireguard_key, &m.host, sizeof(m.host));
	CHECK_INT(store_member_put(a->store, &m), 0);
}

static void names_take(const char *label, unsigned count)
{
	char name[LABEL_SIZE];

	for (unsigned i = 1; i <= count; i++) {
		if (i == 1)
			snprintf(name, sizeof(name), "%s", label);
		else
			snprintf(name, sizeof(name), "%s-%u", label, i);
		name_take(name);
	}
}

TEST(next_name_of_many)
{
	static const unsigned counts[] = { 0, 1, 2, 3, 7, 8, 9, 100 };

	a = authority_fake();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		char label[] = "pi-x", wish[] = "PI-x.local", name[LABEL_SIZE], wanted[LABEL_SIZE];

		label[3] = wish[3] = (char)('a' + i);
		names_take(label, counts[i]);
		CHECK_INT(host_name(a, "office", "other", wish, name), 0);
		snprintf(wanted, sizeof(wanted), "%s-%u", label, counts[i] + 1);
		CHECK_STR(name, counts[i] ? wanted : label);
	}
}

/* Ten thousand machines of one image: the last one's name costs what the tenth's does. */
TEST(same_name_ten_thousand_times)
{
	char name[LABEL_SIZE];
	uint64_t begun;

	a = authority_fake();
	CHECK_INT(store_begin(a->store), 0);
	names_take("raspberrypi", 10000);
	CHECK_INT(store_commit(a->store), 0);
	begun = clock_mono();
	for (int i = 0; i < 100; i++)
		CHECK_INT(host_name(a, "office", "other", "raspberrypi", name), 0);
	CHECK_STR(name, "raspberrypi-10001");
	CHECK(clock_mono() - begun < USEC_PER_SEC);
}

TEST_MAIN("hosts")

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "lib/clock.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

static struct authority *a;

static void name_take(const char *name, uint64_t host)
{
	char network[] = "office", node[KEY_ID_SIZE], copy[LABEL_SIZE], token[] = "t";

	snprintf(node, sizeof(node), "n%llu", (unsigned long long)host);
	snprintf(copy, sizeof(copy), "%s", name);
	CHECK_INT(store_member_put(a->store,
				   &(struct member_row){
					   .network = network,
					   .node = node,
					   .name = copy,
					   .host = host,
					   .wireguard_key = { (uint8_t)host, (uint8_t)(host >> 8) },
					   .token = token }),
		  0);
}

static void names_take(const char *label, uint64_t count)
{
	char name[LABEL_SIZE];

	for (uint64_t i = 1; i <= count; i++) {
		if (i == 1)
			snprintf(name, sizeof(name), "%s", label);
		else
			snprintf(name, sizeof(name), "%s-%llu", label, (unsigned long long)i);
		name_take(name, i);
	}
}

TEST(next_name_of_many)
{
	static const uint64_t counts[] = { 0, 1, 2, 3, 7, 8, 9, 100 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		char name[LABEL_SIZE], wanted[LABEL_SIZE] = "pi";

		a = authority_fake();
		names_take("pi", counts[i]);
		CHECK_INT(host_name(a, "office", "other", "Pi.local", name), 0);
		if (counts[i])
			snprintf(wanted, sizeof(wanted), "pi-%llu",
				 (unsigned long long)counts[i] + 1);
		CHECK_STR(name, wanted);
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

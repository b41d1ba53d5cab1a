/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/brokers.h"

#include "lib/mem.h"
#include "tests/test.h"

static struct loop *loop;
static unsigned told;

static void changed(void *owner)
{
	(void)owner;
	told++;
}

static bool is_in(const struct brokers *b, const char *range)
{
	struct prefix p;

	CHECK_INT(prefix_parse(range, &p), 0);
	return brokers_in(b, &p);
}

TEST(addresses_are_known_at_once)
{
	char *urls[] = { (char[]){ "mqtts://203.0.113.7:8883" }, (char[]){ "ws://198.51.100.1:80" },
			 (char[]){ "mqtts://[2001:db8::7]:8883" } };
	struct brokers *b;

	loop = loop_new();
	b = brokers_new(loop, changed, NULL);
	CHECK(!is_in(b, "203.0.113.0/24"));
	brokers_set(b, urls, 3);
	CHECK_INT(told, 1);
	CHECK(is_in(b, "203.0.113.0/24") && is_in(b, "203.0.113.7/32"));
	CHECK(is_in(b, "2001:db8::/32"));
	CHECK(!is_in(b, "203.0.112.0/24") && !is_in(b, "198.51.100.0/24"));
	brokers_set(b, urls, 3);
	CHECK_INT(told, 1);
	brokers_set(b, urls, 1);
	CHECK(is_in(b, "203.0.113.0/24") && !is_in(b, "2001:db8::/32"));
	CHECK(!is_in(NULL, "203.0.113.0/24"));
	brokers_free(b);
	loop_free(loop);
}

TEST(names_are_looked_up)
{
	char *urls[] = { (char[]){ "mqtts://localhost:8883" } };
	struct brokers *b;

	loop = loop_new();
	b = brokers_new(loop, changed, NULL);
	brokers_set(b, urls, 1);
	for (int i = 0; i < 100 && told < 2; i++)
		CHECK_INT(loop_turn(loop, 100 * 1000), 0);
	CHECK(is_in(b, "127.0.0.0/8") || is_in(b, "::1/128"));
	/* One that is still looked up when it ends. */
	brokers_set(b, (char *[]){ (char[]){ "mqtts://localhost:1" } }, 1);
	brokers_free(b);
	loop_free(loop);
}

TEST_MAIN("brokers")

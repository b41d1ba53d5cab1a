/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/resolve: answers in the loop, numeric addresses, failures, cancelling. */
#include "tests/test.h"

#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/resolve.h"

struct asker {
	struct loop *loop;
	int answers;
	size_t count;
	struct endpoint found[RESOLVE_MAX];
	char error[200];
};

static void done(void *owner, const struct endpoint *e, size_t count, const char *error)
{
	struct asker *a = owner;

	a->answers++;
	a->count = count;
	CHECK(count <= RESOLVE_MAX && (count == 0) == (error != NULL));
	memcpy(a->found, e, count * sizeof(*e));
	snprintf(a->error, sizeof(a->error), "%s", error ? error : "");
	loop_stop(a->loop);
}

/* Runs the loop, at most ten seconds. */
static void wait_for(struct asker *a)
{
	uint64_t end = clock_mono() + 10 * USEC_PER_SEC;

	while (!a->answers && clock_mono() < end)
		CHECK_INT(loop_turn(a->loop, 100000), 0);
	CHECK_INT(a->answers, 1);
	CHECK_INT(loop_turn(a->loop, 0), 0);
	CHECK_INT(a->answers, 1);
}

TEST(numeric)
{
	static const char *const hosts[] = { "192.0.2.1", "2001:db8::1" };
	char text[ENDPOINT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct asker a = { .loop = loop_new() };

		resolve_start(a.loop, hosts[i], 8883, done, &a);
		CHECK_INT(a.answers, 0); /* in the loop, never at once */
		wait_for(&a);
		CHECK_INT(a.count, 1);
		CHECK_STR(endpoint_format(&a.found[0], text),
			  i ? "[2001:db8::1]:8883" : "192.0.2.1:8883");
		loop_free(a.loop);
	}
}

TEST(localhost)
{
	struct asker a = { .loop = loop_new() };

	resolve_start(a.loop, "localhost", 53, done, &a);
	wait_for(&a);
	CHECK(a.count >= 1);
	for (size_t i = 0; i < a.count; i++) {
		CHECK(addr_is_loopback(&a.found[i].addr));
		CHECK_INT(a.found[i].port, 53);
		for (size_t k = 0; k < i; k++)
			CHECK(endpoint_cmp(&a.found[i], &a.found[k]) != 0);
	}
	loop_free(a.loop);
}

TEST(failure_is_a_sentence)
{
	struct asker a = { .loop = loop_new() };

	/* A label of 64 characters is no name: refused without a question to anybody. */
	resolve_start(a.loop, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234",
		      53, done, &a);
	wait_for(&a);
	CHECK_INT(a.count, 0);
	CHECK(strncmp(a.error, "cannot look up aaaa", 19) == 0);
	loop_free(a.loop);
}

TEST(cancelled_ones_do_not_answer)
{
	struct asker a = { .loop = loop_new() };

	resolve_cancel(NULL);
	for (int i = 0; i < 300; i++) {
		struct resolve *r =
			resolve_start(a.loop, i % 3 ? "localhost" : "127.0.0.1", 1, done, &a);

		/* Before, while and after the thread answers. */
		usleep((useconds_t)(i % 10) * 100);
		resolve_cancel(r);
		if (i % 7 == 0)
			CHECK_INT(loop_turn(a.loop, 0), 0);
	}
	CHECK_INT(loop_turn(a.loop, 50000), 0);
	CHECK_INT(loop_turn(a.loop, 50000), 0);
	CHECK_INT(a.answers, 0);
	loop_free(a.loop);
	usleep(200000); /* the last threads end */
}

TEST(many_at_once)
{
	struct loop *l = loop_new();
	struct asker a[20];
	uint64_t end = clock_mono() + 10 * USEC_PER_SEC;
	int answers = 0;

	memset(a, 0, sizeof(a));
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].loop = l;
		resolve_start(l, i % 2 ? "localhost" : "::1", (uint16_t)(i + 1), done, &a[i]);
	}
	while (answers < 20 && clock_mono() < end) {
		CHECK_INT(loop_turn(l, 100000), 0);
		answers = 0;
		for (size_t i = 0; i < ARRAY_SIZE(a); i++)
			answers += a[i].answers;
	}
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		CHECK_INT(a[i].answers, 1);
		CHECK_INT(a[i].found[0].port, i + 1);
	}
	loop_free(l);
}

TEST_MAIN("resolve")

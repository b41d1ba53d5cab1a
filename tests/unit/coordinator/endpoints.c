/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/session_private.h"
#include "lib/clock.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

#define NODES 100

static struct session s;
static unsigned refused;

/* Stands for coordinator/session.c. */
void session_refuse(struct session *session, const struct mqtt_message *m, enum refusal why)
{
	(void)session;
	(void)m;
	(void)why;
	refused++;
}

static void node_id(unsigned n, char ret[static KEY_ID_SIZE])
{
	memset(ret, 'a', KEY_ID_LEN);
	ret[KEY_ID_LEN] = '\0';
	for (unsigned i = 0; n > 0; i++, n /= 26)
		ret[i] = (char)('a' + n % 26);
}

static void begin(void)
{
	struct prefix range;
	char network[] = "office", token[] = "t", name[LABEL_SIZE], id[KEY_ID_SIZE];
	struct api_network wish = { .name = network, .ranges = &range, .range_count = 1 };
	struct refusal_reason why = { 0 };

	s = (struct session){ .loop = loop_new(), .authority = authority_fake() };
	log_set_level(LOG_ERROR);
	endpoints_init(&s);
	s.stable = 200 * USEC_PER_MSEC;
	CHECK_INT(prefix_parse("10.36.50.0/24", &range), 0);
	network_defaults(&wish);
	CHECK_INT(network_create(s.authority, &wish, &why), 0);
	for (unsigned i = 0; i < NODES; i++) {
		node_id(i, id);
		snprintf(name, sizeof(name), "n%u", i);
		CHECK_INT(store_node_put(s.authority->store, &(struct node_row){ .id = id }), 0);
		CHECK_INT(store_member_put(s.authority->store,
					   &(struct member_row){ .network = network,
								 .node = id,
								 .name = name,
								 .host = i + 1,
								 .token = token }),
			  0);
	}
}

static void publish(unsigned node, uint64_t seq)
{
	struct topic t = { .kind = TOPIC_EP, .network = "office" };
	struct mqtt_message m = { .topic = "" };
	char body[128];
	struct document d = { .body = body };

	node_id(node, t.id);
	snprintf(body, sizeof(body), "{\"seq\":%llu,\"endpoints\":[\"203.0.113.9:%u\"]}",
		 (unsigned long long)seq, 1000 + node);
	d.body_len = strlen(body);
	endpoints_taken(&s, &t, &m, &d);
}

static unsigned written(void)
{
	struct arena arena = { 0 };
	struct member_row *rows;
	size_t count;
	unsigned n = 0;

	CHECK_INT(store_member_list(s.authority->store, &arena, "office", NULL, &rows, &count), 0);
	for (size_t i = 0; i < count; i++)
		n += rows[i].ep_seq > 0;
	arena_done(&arena);
	return n;
}

static void turn_for(unsigned ms)
{
	uint64_t end = clock_mono() + ms * USEC_PER_MSEC;

	while (clock_mono() < end)
		loop_turn(s.loop, 5 * USEC_PER_MSEC);
}

/* All nodes of a network move at once: the loop still does other things in between. */
TEST(many_at_once_do_not_hold_up_the_loop)
{
	unsigned before = 0, most = 0, now;

	begin();
	for (unsigned i = 0; i < NODES; i++)
		publish(i, 5);
	CHECK_INT(written(), 0);
	for (int i = 0; i < 100 && before < NODES; i++) {
		loop_turn(s.loop, 20 * USEC_PER_MSEC);
		now = written();
		most = MAX(most, now - before);
		before = now;
	}
	CHECK_INT(before, NODES);
	CHECK(most <= 32);
	CHECK_INT(map_count(s.endpoints), 0);
	CHECK_INT(refused, 0);
}

TEST(first_is_gone_and_the_second_is_not_forgotten)
{
	struct topic t = { .kind = TOPIC_EP, .network = "office" };

	begin();
	s.stable = USEC_PER_SEC; /* far above what a busy machine is late */
	publish(0, 5);
	turn_for(300);
	publish(1, 5);
	node_id(0, t.id);
	endpoints_cleared(&s, &t);
	turn_for(2000);
	CHECK_INT(written(), 1);
	publish(2, 5);
	turn_for(600);
	CHECK_INT(written(), 1);
	publish(2, 6); /* another one: stable from now on */
	turn_for(600);
	CHECK_INT(written(), 1);
	turn_for(2000);
	CHECK_INT(written(), 2);
}

TEST_MAIN("endpoints")

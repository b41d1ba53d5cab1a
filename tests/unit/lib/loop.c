/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/loop: order, changes during dispatch, timers against a model, signals, waking. */
#include "tests/test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/loop.h"
#include "lib/mem.h"

struct client {
	struct loop_io io;
	struct loop_timer timer;
	struct loop_hook hook;
	struct loop *loop;
	struct client *other; /* what it takes out or puts in */
	int called;
	uint64_t at;
};

static void pair(int ret[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) == 0);
}

static void turn(struct loop *l)
{
	CHECK_INT(loop_turn(l, 0), 0);
}

static void io_read(struct loop_io *io, short got)
{
	struct client *c = container_of(io, struct client, io);
	char byte;

	CHECK(got & POLLIN);
	CHECK_INT(read(io->fd, &byte, 1), 1);
	c->called++;
}

static void io_drop_other(struct loop_io *io, short got)
{
	struct client *c = container_of(io, struct client, io);

	(void)got;
	c->called++;
	loop_io_del(c->loop, &c->other->io);
}

static void timer_count(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, timer);

	c->called++;
	c->at = loop_now(c->loop);
}

static void timer_stop(struct loop_timer *t)
{
	loop_stop(container_of(t, struct client, timer)->loop);
}

TEST(io_reads)
{
	struct loop *l = loop_new();
	struct client c = { .io = { .want = POLLIN, .ready = io_read }, .loop = l };
	int fds[2];

	pair(fds);
	c.io.fd = fds[0];
	loop_io_add(l, &c.io);
	loop_io_add(l, &c.io);
	turn(l);
	CHECK_INT(c.called, 0);
	CHECK_INT(write(fds[1], "xy", 2), 2);
	turn(l);
	CHECK_INT(c.called, 1);
	c.io.fd = -1; /* skipped */
	turn(l);
	CHECK_INT(c.called, 1);
	c.io.fd = fds[0];
	turn(l);
	CHECK_INT(c.called, 2);
	CHECK_INT(write(fds[1], "z", 1), 1);
	loop_io_del(l, &c.io);
	loop_io_del(l, &c.io);
	turn(l);
	CHECK_INT(c.called, 2);
	loop_free(l);
}

TEST(io_taken_out_during_dispatch)
{
	struct loop *l = loop_new();
	struct client a = { .io = { .want = POLLOUT, .ready = io_drop_other }, .loop = l };
	struct client b = a;
	int fds[2];

	pair(fds);
	a.io.fd = fds[0];
	b.io.fd = fds[1];
	a.other = &b;
	b.other = &a;
	loop_io_add(l, &a.io);
	loop_io_add(l, &b.io);
	turn(l);
	/* Both were ready; the first took the second out. */
	CHECK_INT(a.called, 1);
	CHECK_INT(b.called, 0);
	CHECK(!b.io.added);
	a.other = &a;
	turn(l);
	CHECK_INT(a.called, 2);
	CHECK(!a.io.added);
	turn(l);
	CHECK_INT(a.called, 2);
	loop_io_add(l, &b.io);
	turn(l);
	CHECK_INT(b.called, 1);
	loop_free(l);
	CHECK(!b.io.added);
}

static void io_free_other(struct loop_io *io, short got)
{
	struct client *c = container_of(io, struct client, io);

	(void)got;
	if (c->other) {
		loop_io_del(c->loop, &c->other->io);
		loop_timer_del(c->loop, &c->other->timer);
		loop_hook_del(c->loop, &c->other->hook);
		free(c->other);
		c->other = NULL;
	}
	loop_io_del(c->loop, io);
}

static void hook_nothing(struct loop_hook *h)
{
	container_of(h, struct client, hook)->called++;
}

TEST(freed_during_dispatch)
{
	struct loop *l = loop_new();
	struct client c = { .io = { .want = POLLOUT, .ready = io_free_other }, .loop = l };
	int fds[2];

	pair(fds);
	c.io.fd = fds[0];
	c.other = xcalloc(1, sizeof(*c.other));
	c.other->loop = l;
	c.other->io = (struct loop_io){ .fd = fds[1], .want = POLLOUT, .ready = io_free_other };
	c.other->timer.fired = timer_count;
	c.other->hook.prepare = hook_nothing;
	loop_io_add(l, &c.io);
	loop_io_add(l, &c.other->io);
	loop_timer_set(l, &c.other->timer, loop_now(l));
	loop_hook_add(l, &c.other->hook);
	turn(l);
	CHECK(!c.other);
	turn(l);
	loop_free(l);
}

static void io_reopen(struct loop_io *io, short got)
{
	struct client *c = container_of(io, struct client, io);

	(void)got;
	c->called++;
	if (c->other)
		c->other->io.fd = -1;
}

TEST(changed_descriptor_is_not_dispatched)
{
	struct loop *l = loop_new();
	struct client a = { .io = { .want = POLLOUT, .ready = io_reopen }, .loop = l };
	struct client b = a;
	int fds[2];

	pair(fds);
	a.io.fd = fds[0];
	b.io.fd = fds[1];
	a.other = &b;
	loop_io_add(l, &a.io);
	loop_io_add(l, &b.io);
	turn(l);
	CHECK_INT(a.called, 1);
	CHECK_INT(b.called, 0);
	loop_free(l);
}

static void hook_out(struct loop_hook *h)
{
	struct client *c = container_of(h, struct client, hook);

	c->called++;
	if (c->other)
		loop_hook_del(c->loop, &c->other->hook);
}

static void hook_in(struct loop_hook *h)
{
	struct client *c = container_of(h, struct client, hook);

	c->called++;
	loop_hook_add(c->loop, &c->other->hook);
}

TEST(hooks_change_the_list)
{
	struct loop *l = loop_new();
	struct client c[4];

	for (int victim = 0; victim < 3; victim++) {
		memset(c, 0, sizeof(c));
		for (int i = 0; i < 3; i++) {
			c[i].loop = l;
			c[i].hook.prepare = hook_out;
			loop_hook_add(l, &c[i].hook);
		}
		c[1].other = &c[victim]; /* the one before, itself, the one behind */
		turn(l);
		CHECK_INT(c[0].called, 1);
		CHECK_INT(c[1].called, 1);
		CHECK_INT(c[2].called, victim != 2);
		turn(l);
		for (int i = 0; i < 3; i++)
			CHECK_INT(c[i].called, i == victim ? victim != 2 : 2);
		for (int i = 0; i < 3; i++)
			loop_hook_del(l, &c[i].hook);
	}
	memset(c, 0, sizeof(c));
	c[0] = (struct client){ .loop = l, .other = &c[1], .hook.prepare = hook_in };
	c[1] = (struct client){ .loop = l, .hook.prepare = hook_nothing };
	loop_hook_add(l, &c[0].hook);
	turn(l);
	/* Added by the last hook, still before this turn's poll. */
	CHECK_INT(c[1].called, 1);
	loop_free(l);
}

TEST(timer_fires_once_and_not_early)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l, .timer.fired = timer_count };
	struct client stop = { .loop = l, .timer.fired = timer_stop };
	uint64_t due = loop_now(l) + 30000;

	loop_timer_set(l, &c.timer, due);
	loop_timer_set(l, &stop.timer, due + 30000);
	CHECK_INT(loop_run(l), 0);
	CHECK_INT(c.called, 1);
	CHECK(c.at >= due && c.at < due + 10 * USEC_PER_SEC);
	CHECK(!c.timer.added);
	loop_timer_set(l, &c.timer, loop_now(l) + 10 * USEC_PER_SEC);
	loop_timer_set(l, &c.timer, CLOCK_NEVER);
	CHECK(!c.timer.added);
	loop_free(l);
}

static void timer_again(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, timer);

	c->called++;
	loop_timer_set(c->loop, t, 0);
}

TEST(timer_set_in_the_past_does_not_hold_the_turn)
{
	struct loop *l = loop_new();
	struct client a = { .loop = l, .timer.fired = timer_again };
	struct client b = { .loop = l, .timer.fired = timer_count };

	loop_timer_set(l, &a.timer, 0);
	loop_timer_set(l, &b.timer, loop_now(l));
	turn(l);
	CHECK_INT(a.called, 1);
	CHECK_INT(b.called, 1);
	usleep(10);
	turn(l);
	CHECK_INT(a.called, 2);
	loop_free(l);
}

/* Thousands of timers set, moved and taken out at random, against a plain array. */
#define MANY 5000

static struct client *many;
static uint64_t fired_last;
static int fired_count;

static void timer_ordered(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, timer);
	struct client *victim = &many[rand() % MANY];

	CHECK(!t->added);
	CHECK(t->due >= fired_last);
	CHECK(t->due <= loop_now(c->loop));
	fired_last = t->due;
	fired_count++;
	c->called++;
	/* And changes while they fire. */
	if (victim->timer.added && rand() % 4 == 0) {
		loop_timer_del(c->loop, &victim->timer);
		victim->at = CLOCK_NEVER;
	}
	c->at = CLOCK_NEVER;
}

TEST(timers_random)
{
	struct loop *l = loop_new();
	uint64_t base = loop_now(l);

	many = xcalloc(MANY, sizeof(*many));
	srand(5);
	for (int i = 0; i < MANY; i++) {
		many[i].loop = l;
		many[i].timer.fired = timer_ordered;
		many[i].at = CLOCK_NEVER;
	}
	for (int i = 0; i < 20 * MANY; i++) {
		struct client *c = &many[rand() % MANY];
		uint64_t due = base + (uint64_t)rand() % (100 * USEC_PER_MSEC);

		if (rand() % 3 == 0)
			due = CLOCK_NEVER;
		if (rand() % 10 == 0)
			due = base + USEC_PER_SEC * 1000; /* not in this test */
		loop_timer_set(l, &c->timer, due);
		c->at = due;
		CHECK_INT(c->timer.added, due != CLOCK_NEVER);
	}
	while (clock_mono() < base + 120 * USEC_PER_MSEC)
		CHECK_INT(loop_turn(l, 5000), 0);
	turn(l);
	CHECK(fired_count > MANY / 4);
	for (int i = 0; i < MANY; i++) {
		CHECK(many[i].called <= 1);
		CHECK_INT(many[i].timer.added, many[i].at != CLOCK_NEVER);
		if (many[i].timer.added)
			CHECK_INT(many[i].timer.due, base + USEC_PER_SEC * 1000);
	}
	loop_free(l);
	free(many);
}

TEST(wait_is_bounded)
{
	struct loop *l = loop_new();
	uint64_t before = clock_mono(), took;

	CHECK_INT(loop_turn(l, 20000), 0);
	took = clock_mono() - before;
	CHECK(took >= 20000 && took < 5 * USEC_PER_SEC);
	CHECK(loop_now(l) >= before + 20000);
	loop_free(l);
}

static void *wake_later(void *arg)
{
	usleep(20000);
	loop_wake(arg);
	return NULL;
}

static void hook_stop_second(struct loop_hook *h)
{
	struct client *c = container_of(h, struct client, hook);

	if (++c->called == 2)
		loop_stop(c->loop);
}

TEST(wake_from_a_thread_runs_the_hooks)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l, .hook.prepare = hook_stop_second };
	pthread_t thread;

	loop_hook_add(l, &c.hook);
	CHECK(pthread_create(&thread, NULL, wake_later, l) == 0);
	CHECK_INT(loop_run(l), 0);
	CHECK_INT(c.called, 2);
	pthread_join(thread, NULL);
	loop_free(l);
}

TEST(many_wakes_are_one)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l, .hook.prepare = hook_nothing };

	loop_hook_add(l, &c.hook);
	for (int i = 0; i < 1000; i++)
		loop_wake(l);
	CHECK_INT(loop_turn(l, CLOCK_NEVER), 0);
	turn(l);
	CHECK_INT(c.called, 2);
	loop_free(l);
}

TEST(stop_before_run)
{
	struct loop *l = loop_new();

	CHECK(!loop_stopped(l));
	loop_stop(l);
	CHECK(loop_stopped(l));
	CHECK_INT(loop_run(l), 0);
	CHECK(!loop_stopped(l));
	loop_free(l);
}

static void timer_raise(struct loop_timer *t)
{
	(void)t;
	raise(SIGTERM);
}

static void *kill_later(void *arg)
{
	usleep(20000);
	kill(getpid(), *(int *)arg);
	return NULL;
}

TEST(signals_end_it)
{
	static const int signals[] = { SIGTERM, SIGINT };
	struct sigaction before, after;

	sigaction(SIGTERM, NULL, &before);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct loop *outer = loop_new(), *l = loop_new();
		int sig = signals[i];
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, kill_later, &sig) == 0);
		CHECK_INT(loop_run(l), 0);
		CHECK(loop_stopped(l));
		pthread_join(thread, NULL);
		loop_free(l);
		/* The loop around it ends, too. */
		CHECK_INT(loop_run(outer), 0);
		/* A turn is still possible, to say goodbye. */
		turn(outer);
		loop_free(outer);
	}
	sigaction(SIGTERM, NULL, &after);
	CHECK(after.sa_handler == before.sa_handler);
}

TEST(signal_inside_a_callback)
{
	struct loop *l = loop_new();
	struct client c = { .loop = l, .timer.fired = timer_raise };

	loop_timer_set(l, &c.timer, loop_now(l));
	CHECK_INT(loop_run(l), 0);
	loop_free(l);
	l = loop_new();
	CHECK(!loop_stopped(l));
	loop_free(l);
}

TEST(sigpipe_is_ignored)
{
	struct loop *l = loop_new();
	int fds[2];

	CHECK(pipe(fds) == 0);
	close(fds[0]);
	CHECK_INT(write(fds[1], "x", 1), -1);
	loop_free(l);
}

TEST(free_in_any_order)
{
	struct loop *a = loop_new(), *b = loop_new(), *c = loop_new();

	loop_free(b);
	loop_free(a);
	raise(SIGTERM);
	CHECK(loop_stopped(c));
	loop_free(c);
	loop_free(NULL);
}

TEST_MAIN("loop")

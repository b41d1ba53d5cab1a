/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop: hooks, poll(2), descriptors, timers, in this order each turn. Owns the lists, not their
 * entries, and the handlers of SIGTERM and SIGINT while a loop lives. The loop's thread, but for
 * loop_wake.
 *
 * Signals are caught by a handler, not by signalfd: a blocked signal mask would be inherited by
 * every program that a daemon starts.
 */
#include "lib/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"

struct loop {
	struct loop *outer; /* the next one in `loops` */
	int wake;	    /* eventfd */
	bool stop;
	uint64_t now;

	struct loop_io *ios;
	/* This turn's descriptors; slots[i] is NULL once its entry was taken out. */
	struct pollfd *fds;
	struct loop_io **slots;
	size_t fd_count, fd_cap;

	struct loop_hook *hooks;
	struct loop_hook **hook_cursor; /* the link to the hook that runs next */

	/* A binary heap by `due`. */
	struct loop_timer **heap;
	size_t timer_count, timer_cap;
	bool firing;
};

/* All loops that live, for the signal handler; made and freed in one thread. */
static struct loop *volatile loops;
static volatile sig_atomic_t ended;
static struct sigaction old_term, old_int, old_pipe;

static void handle_signal(int sig)
{
	(void)sig;
	ended = 1;
	for (struct loop *l = loops; l; l = l->outer)
		loop_wake(l);
}

static void signals_take(void)
{
	struct sigaction sa = { .sa_handler = handle_signal, .sa_flags = SA_RESTART };

	ended = 0;
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTERM);
	sigaddset(&sa.sa_mask, SIGINT);
	sigaction(SIGTERM, &sa, &old_term);
	sigaction(SIGINT, &sa, &old_int);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, &old_pipe);
}

static void signals_give_back(void)
{
	sigaction(SIGTERM, &old_term, NULL);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGPIPE, &old_pipe, NULL);
}

static void heap_place(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->index = i;
}

static void heap_up(struct loop *l, size_t i, struct loop_timer *t)
{
	for (; i > 0 && t->due < l->heap[(i - 1) / 2]->due; i = (i - 1) / 2)
		heap_place(l, i, l->heap[(i - 1) / 2]);
	heap_place(l, i, t);
}

static void heap_down(struct loop *l, size_t i, struct loop_timer *t)
{
	size_t child;

	for (; (child = 2 * i + 1) < l->timer_count; i = child) {
		if (child + 1 < l->timer_count && l->heap[child + 1]->due < l->heap[child]->due)
			child++;
		if (t->due <= l->heap[child]->due)
			break;
		heap_place(l, i, l->heap[child]);
	}
	heap_place(l, i, t);
}

static void run_hooks(struct loop *l)
{
	struct loop_hook *h;

	/* The cursor is a link, so a hook may take out itself, its neighbours, or add one. */
	l->hook_cursor = &l->hooks;
	while ((h = *l->hook_cursor)) {
		l->hook_cursor = &h->next;
		h->prepare(h);
	}
	l->hook_cursor = NULL;
}

static void gather(struct loop *l)
{
	size_t n = 1;

	for (struct loop_io *io = l->ios; io; io = io->next)
		n++;
	if (n > l->fd_cap) {
		l->fd_cap = MAX(n, 2 * l->fd_cap);
		l->fds = xreallocarray(l->fds, l->fd_cap, sizeof(*l->fds));
		l->slots = xreallocarray(l->slots, l->fd_cap, sizeof(*l->slots));
	}
	l->fds[0] = (struct pollfd){ .fd = l->wake, .events = POLLIN };
	l->slots[0] = NULL;
	l->fd_count = 1;
	for (struct loop_io *io = l->ios; io; io = io->next) {
		if (io->fd < 0)
			continue;
		l->fds[l->fd_count] = (struct pollfd){ .fd = io->fd, .events = io->want };
		l->slots[l->fd_count++] = io;
	}
}

/* poll(2) until `deadline`. In nanoseconds: rounding to poll's milliseconds would spin or be late. */
static int wait_for(struct loop *l, uint64_t deadline)
{
	struct timespec ts, *timeout = NULL;
	uint64_t now = clock_mono();

	if (deadline != CLOCK_NEVER) {
		uint64_t left = deadline > now ? deadline - now : 0;

		ts.tv_sec = (time_t)(left / USEC_PER_SEC);
		ts.tv_nsec = (long)(left % USEC_PER_SEC * 1000);
		timeout = &ts;
	}
	if (ppoll(l->fds, l->fd_count, timeout, NULL) < 0) {
		if (errno != EINTR)
			return -errno;
		l->fd_count = 0; /* revents are not set */
	}
	l->now = clock_mono();
	return 0;
}

static void dispatch(struct loop *l)
{
	uint64_t wakes;

	if (l->fd_count && l->fds[0].revents && read(l->wake, &wakes, sizeof(wakes)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	for (size_t i = 1; i < l->fd_count; i++) {
		struct loop_io *io = l->slots[i];

		/* A callback before may have taken it out or given it another descriptor. */
		if (io && l->fds[i].revents && io->fd == l->fds[i].fd)
			io->ready(io, l->fds[i].revents);
	}
	l->fd_count = 0;
}

static void fire(struct loop *l)
{
	l->firing = true;
	while (l->timer_count && l->heap[0]->due <= l->now) {
		struct loop_timer *t = l->heap[0];

		loop_timer_del(l, t);
		t->fired(t);
	}
	l->firing = false;
}

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake < 0)
		abort(); /* no descriptors at the very start: nothing would work */
	l->now = clock_mono();
	if (!loops)
		signals_take();
	l->outer = loops;
	loops = l;
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (loops == l) {
		loops = l->outer;
	} else {
		struct loop *before = loops;

		while (before->outer != l)
			before = before->outer;
		before->outer = l->outer;
	}
	if (!loops)
		signals_give_back();
	/* The entries outlive the loop: nobody must think that they are still in it. */
	while (l->ios)
		loop_io_del(l, l->ios);
	while (l->hooks)
		loop_hook_del(l, l->hooks);
	while (l->timer_count)
		loop_timer_del(l, l->heap[l->timer_count - 1]);
	close(l->wake);
	free(l->fds);
	free(l->slots);
	free(l->heap);
	free(l);
}

void loop_io_add(struct loop *l, struct loop_io *io)
{
	struct loop_io **link = &l->ios;

	if (io->added)
		return;
	while (*link)
		link = &(*link)->next;
	*link = io;
	io->next = NULL;
	io->added = true;
}

void loop_io_del(struct loop *l, struct loop_io *io)
{
	struct loop_io **link = &l->ios;

	if (!io->added)
		return;
	while (*link != io)
		link = &(*link)->next;
	*link = io->next;
	io->next = NULL;
	io->added = false;
	for (size_t i = 1; i < l->fd_count; i++)
		if (l->slots[i] == io)
			l->slots[i] = NULL;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due)
{
	if (due == CLOCK_NEVER) {
		loop_timer_del(l, t);
		return;
	}
	/* One that is set again and again while timers fire must not keep the turn from ending. */
	if (l->firing && due <= l->now)
		due = l->now + 1;
	if (!t->added) {
		if (l->timer_count == l->timer_cap) {
			l->timer_cap = MAX(2 * l->timer_cap, (size_t)16);
			l->heap = xreallocarray(l->heap, l->timer_cap, sizeof(struct loop_timer *));
		}
		t->index = l->timer_count++;
		t->added = true;
	}
	t->due = due;
	if (t->index > 0 && due < l->heap[(t->index - 1) / 2]->due)
		heap_up(l, t->index, t);
	else
		heap_down(l, t->index, t);
}

void loop_timer_del(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *last;

	if (!t->added)
		return;
	t->added = false;
	last = l->heap[--l->timer_count];
	if (last == t)
		return;
	if (t->index > 0 && last->due < l->heap[(t->index - 1) / 2]->due)
		heap_up(l, t->index, last);
	else
		heap_down(l, t->index, last);
}

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
	struct loop_hook **link = &l->hooks;

	if (h->added)
		return;
	while (*link)
		link = &(*link)->next;
	*link = h;
	h->next = NULL;
	h->added = true;
}

void loop_hook_del(struct loop *l, struct loop_hook *h)
{
	struct loop_hook **link = &l->hooks;

	if (!h->added)
		return;
	while (*link != h)
		link = &(*link)->next;
	*link = h->next;
	if (l->hook_cursor == &h->next)
		l->hook_cursor = link;
	h->next = NULL;
	h->added = false;
}

uint64_t loop_now(const struct loop *l)
{
	return l->now;
}

void loop_wake(struct loop *l)
{
	static const uint64_t one = 1;
	int saved = errno;

	/* It fails only when the counter is full: then the loop wakes anyway. */
	while (write(l->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
	loop_wake(l); /* a hook may say so just before poll */
}

bool loop_stopped(const struct loop *l)
{
	return l->stop || ended;
}

int loop_turn(struct loop *l, uint64_t max_wait)
{
	uint64_t deadline = CLOCK_NEVER;
	int r;

	run_hooks(l);
	gather(l);
	if (max_wait != CLOCK_NEVER)
		deadline = clock_mono() + MIN(max_wait, UINT64_MAX / 2);
	if (l->timer_count)
		deadline = MIN(deadline, l->heap[0]->due);
	r = wait_for(l, deadline);
	if (r < 0)
		return r;
	dispatch(l);
	fire(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (r == 0 && !loop_stopped(l))
		r = loop_turn(l, CLOCK_NEVER);
	l->stop = false;
	return r;
}

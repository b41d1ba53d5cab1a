/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DNS over TCP. Owns its connections. One thread, the server's.
 */
#include "agent/dns_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/answer.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define IDLE (20 * USEC_PER_SEC)
#define LENGTH_SIZE 2
#define ACCEPTS_MAX 32 /* in one turn */
#define DEAF (100 * USEC_PER_MSEC)
#define SEND_BUFFER (128 << 10)

struct connection {
	int fd;
	struct dns_place place;
	struct addr from;
	bool stranger; /* may not ask */
	bool ended;    /* by the asker: nothing more comes */
	uint64_t last; /* the last whole question, or the last time it took something of an answer */
	size_t have;
	uint8_t in[LENGTH_SIZE + ANSWER_QUERY_MAX];
	uint8_t *out; /* what was not taken yet; NULL: nothing */
	size_t out_at, out_len;
};

struct dns_tcp {
	struct dns_tcp_config c;
	struct connection *list[DNS_TCP_MAX];
	size_t count;
	uint64_t deaf_until; /* CLOCK_NEVER: we accept */
	uint8_t answer[LENGTH_SIZE + ANSWER_TCP_MAX];
};

static void drop(struct dns_tcp *t, size_t i)
{
	struct connection *c = t->list[i];

	close(c->fd);
	free(c->out);
	free(c);
	t->list[i] = t->list[--t->count];
}

/* ---- room ---- */

/* Which goes so that one more of `from` may come; -1: none has to. */
static int to_go(const struct dns_tcp *t, const struct addr *from, bool stranger)
{
	size_t same = 0, strangers = 0;
	int oldest = -1, oldest_same = -1, oldest_stranger = -1;

	for (size_t i = 0; i < t->count; i++) {
		const struct connection *c = t->list[i];

		if (oldest < 0 || c->last < t->list[oldest]->last)
			oldest = (int)i;
		if (addr_cmp(&c->from, from) == 0) {
			same++;
			if (oldest_same < 0 || c->last < t->list[oldest_same]->last)
				oldest_same = (int)i;
		}
		if (c->stranger) {
			strangers++;
			if (oldest_stranger < 0 || c->last < t->list[oldest_stranger]->last)
				oldest_stranger = (int)i;
		}
	}
	if (same >= DNS_TCP_SOURCE_MAX)
		return oldest_same;
	if (stranger && strangers >= DNS_TCP_STRANGERS_MAX)
		return oldest_stranger;
	return t->count == DNS_TCP_MAX ? oldest : -1;
}

static void add(struct dns_tcp *t, int fd, const struct dns_place *place, const struct addr *from,
		uint64_t now)
{
	bool stranger = !t->c.is_allowed(t->c.owner, place, from);
	int gone = to_go(t, from, stranger), on = 1, size = SEND_BUFFER;
	struct connection *c;

	if (gone >= 0)
		drop(t, (size_t)gone);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	c->place = *place;
	c->from = *from;
	c->stranger = stranger;
	c->last = now;
	t->list[t->count++] = c;
}

void dns_tcp_accept(struct dns_tcp *t, int fd, const struct dns_place *place, uint64_t now)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct endpoint from;
		int c = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (c < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				t->deaf_until = now + DEAF;
			return;
		}
		if (endpoint_from_sockaddr((struct sockaddr *)&ss, len, &from) < 0)
			close(c);
		else
			add(t, c, place, &from.addr, now);
	}
}

bool dns_tcp_accepts(struct dns_tcp *t, uint64_t now)
{
	if (t->deaf_until <= now)
		t->deaf_until = CLOCK_NEVER;
	return t->deaf_until == CLOCK_NEVER;
}

/* ---- messages ---- */

/* False: the connection is broken. */
static bool flush(struct connection *c, uint64_t now)
{
	ssize_t n;

	if (!c->out)
		return true;
	n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->last = now;
	c->out_at += (size_t)n;
	if (c->out_at == c->out_len)
		free(TAKE(c->out));
	return true;
}

static bool respond(struct dns_tcp *t, struct connection *c, size_t len, uint64_t now)
{
	size_t size;
	ssize_t n;

	size = t->c.answer(t->c.owner, &c->place, &c->from, c->in + LENGTH_SIZE, len,
			   t->answer + LENGTH_SIZE, ANSWER_TCP_MAX);
	if (!size)
		return false;
	t->answer[0] = (uint8_t)(size >> 8);
	t->answer[1] = (uint8_t)size;
	size += LENGTH_SIZE;
	n = send(c->fd, t->answer, size, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	c->last = now;
	n = MAX(n, 0);
	if ((size_t)n < size) {
		c->out_at = 0;
		c->out_len = size - (size_t)n;
		c->out = xmemdup(t->answer + n, c->out_len);
	}
	return true;
}

/* Answers what is there, until an answer is not taken. */
static bool respond_to_all(struct dns_tcp *t, struct connection *c, uint64_t now)
{
	while (!c->out && c->have >= LENGTH_SIZE) {
		size_t len = (size_t)c->in[0] << 8 | c->in[1];

		if (len > ANSWER_QUERY_MAX)
			return false;
		if (c->have < LENGTH_SIZE + len)
			break;
		if (!respond(t, c, len, now))
			return false;
		c->have -= LENGTH_SIZE + len;
		memmove(c->in, c->in + LENGTH_SIZE + len, c->have);
	}
	return true;
}

static bool receive(struct connection *c)
{
	ssize_t n;

	if (c->ended || c->have == sizeof(c->in))
		return true;
	n = recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->ended = n == 0;
	c->have += (size_t)n;
	return true;
}

static bool work(struct dns_tcp *t, struct connection *c, short got, uint64_t now)
{
	if (got & (POLLERR | POLLNVAL))
		return false;
	if (got && (!flush(c, now) || (!c->out && !receive(c))))
		return false;
	if (got && !respond_to_all(t, c, now))
		return false;
	if (c->ended && !c->out)
		return false;
	return now - c->last < IDLE;
}

/* ---- */

size_t dns_tcp_poll(const struct dns_tcp *t, struct pollfd *ret)
{
	for (size_t i = 0; i < t->count; i++)
		ret[i] = (struct pollfd){ .fd = t->list[i]->fd,
					  .events = t->list[i]->out ? POLLOUT : POLLIN };
	return t->count;
}

void dns_tcp_work(struct dns_tcp *t, const struct pollfd *polled, uint64_t now)
{
	/* From the end: what is dropped is replaced by the last one. */
	for (size_t i = t->count; i-- > 0;)
		if (!work(t, t->list[i], polled[i].revents, now))
			drop(t, i);
}

uint64_t dns_tcp_due(const struct dns_tcp *t)
{
	uint64_t due = t->deaf_until;

	for (size_t i = 0; i < t->count; i++)
		due = MIN(due, t->list[i]->last + IDLE);
	return due;
}

struct dns_tcp *dns_tcp_new(const struct dns_tcp_config *c)
{
	struct dns_tcp *t = xcalloc(1, sizeof(*t));

	t->c = *c;
	t->deaf_until = CLOCK_NEVER;
	return t;
}

void dns_tcp_free(struct dns_tcp *t)
{
	if (!t)
		return;
	while (t->count)
		drop(t, t->count - 1);
	free(t);
}

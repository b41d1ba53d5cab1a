/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The DNS server's thread, its UDP, and how tables and sockets are handed to it. Owns the thread, the
 * sockets and the pointer to the table. Two threads: what is said so runs in the server's.
 */
#include "agent/dns_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <urcu/urcu-memb.h>

#include "agent/answer.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define BATCH 32
#define ROUNDS_MAX 4 /* batches of one socket in a turn */
#define RECEIVE_BUFFER (4 << 20)
#define BACKLOG 128
#define STACK_SIZE (512 << 10)
#define STRANGERS 1024

/* A place that is listened in. */
struct listener {
	struct dns_place place;
	int udp, tcp;
};

struct listeners {
	size_t count;
	struct listener list[DNS_PLACES_MAX];
	struct addr own[DNS_PLACES_MAX]; /* the mesh addresses among them */
	size_t own_count;
};

/* How many more refusals a network of sources gets. */
struct stranger {
	uint32_t left;
	uint64_t since;
};

/* Of the server's thread alone. */
struct turn {
	uint64_t now;
	unsigned rotate;
	struct stranger strangers[STRANGERS];
	struct answer_scratch scratch;
	struct dns_tcp *tcp;
	struct pollfd polled[1 + 2 * DNS_PLACES_MAX + DNS_TCP_MAX];
	struct mmsghdr received[BATCH], sent[BATCH];
	struct iovec in_parts[BATCH], out_parts[BATCH];
	struct sockaddr_storage from[BATCH];
	_Alignas(8) char control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	uint8_t in[BATCH][ANSWER_QUERY_MAX];
	uint8_t out[BATCH][ANSWER_UDP_MAX];
};

struct dns_server {
	struct prefix *allow;
	size_t allow_count;
	pthread_t thread;
	int wake; /* eventfd */
	sem_t taken;
	atomic_bool stop;
	struct zone_table *table;    /* by RCU */
	struct listeners *listeners; /* in force; the thread's until it has taken `next` */
	_Atomic(struct listeners *) next;
	struct turn *turn;
};

/* ---- who is answered (the server's thread) ---- */

static bool is_allowed(const struct dns_server *s, const struct zone_table *t,
		       const struct dns_place *place, const struct addr *from, const char **ret)
{
	const struct dns_policy p = {
		.allow = s->allow,
		.allow_count = s->allow_count,
		.own = s->listeners->own,
		.own_count = s->listeners->own_count,
	};

	return dns_policy_allows(&p, t, place, from, ret);
}

/* One more answer to somebody who may not ask? */
static bool may_refuse(struct turn *u, const struct addr *from)
{
	size_t len = from->family == AF_INET ? 3 : 7, h = from->family;
	struct stranger *x;

	for (size_t i = 0; i < len; i++)
		h = (h ^ from->bytes[i]) * 16777619;
	x = &u->strangers[(h ^ h >> 15) % STRANGERS];
	if (u->now - x->since >= USEC_PER_SEC) {
		x->since = u->now;
		x->left = DNS_STRANGERS_RATE;
	}
	if (!x->left)
		return false;
	x->left--;
	return true;
}

/* The caller reads by RCU. */
static size_t answer_one(struct dns_server *s, const struct dns_place *place,
			 const struct addr *from, struct answer_query *q, uint8_t *out, size_t size)
{
	static const struct zone_table none;
	struct turn *u = s->turn;
	const struct zone_table *t = rcu_dereference(s->table);

	if (!t)
		t = &none;
	q->allowed = is_allowed(s, t, place, from, &q->network);
	q->rotate = u->rotate++;
	if (!q->allowed && !may_refuse(u, from))
		return 0;
	return answer(&u->scratch, t, q, out, size);
}

static size_t on_tcp(void *owner, const struct dns_place *place, const struct addr *from,
		     uint8_t *query, size_t len, uint8_t *out, size_t size)
{
	struct answer_query q = { .bytes = query, .len = len, .tcp = true };
	size_t n;

	urcu_memb_read_lock();
	n = answer_one(owner, place, from, &q, out, size);
	urcu_memb_read_unlock();
	return n;
}

static bool on_is_allowed(void *owner, const struct dns_place *place, const struct addr *from)
{
	struct dns_server *s = owner;
	const char *network;
	bool allowed;

	urcu_memb_read_lock();
	allowed = is_allowed(s, rcu_dereference(s->table), place, from, &network);
	urcu_memb_read_unlock();
	return allowed;
}

/* ---- UDP (the server's thread) ---- */

/* On a wildcard address the answer comes from where the question went to, by whatever way. */
static void keep_local(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct in_pktinfo four;
	struct in6_pktinfo six;

	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&four, CMSG_DATA(c), sizeof(four));
		four.ipi_ifindex = 0;
		four.ipi_spec_dst = four.ipi_addr;
		memcpy(CMSG_DATA(c), &four, sizeof(four));
	} else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&six, CMSG_DATA(c), sizeof(six));
		if (!IN6_IS_ADDR_LINKLOCAL(&six.ipi6_addr))
			six.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &six, sizeof(six));
	} else {
		m->msg_controllen = 0;
	}
}

static void prepare(struct turn *u)
{
	for (size_t i = 0; i < BATCH; i++) {
		u->in_parts[i] = (struct iovec){ u->in[i], sizeof(u->in[i]) };
		u->received[i].msg_hdr = (struct msghdr){ .msg_name = &u->from[i],
							  .msg_namelen = sizeof(u->from[i]),
							  .msg_iov = &u->in_parts[i],
							  .msg_iovlen = 1,
							  .msg_control = u->control[i],
							  .msg_controllen = sizeof(u->control[i]) };
	}
}

/* True: an answer for message `i` stands at `to`. */
static bool answer_udp(struct dns_server *s, const struct dns_place *place, size_t i, size_t to)
{
	struct turn *u = s->turn;
	struct msghdr *m = &u->received[i].msg_hdr;
	struct answer_query q = { .bytes = u->in[i], .len = u->received[i].msg_len };
	struct endpoint from;
	size_t n;

	if (m->msg_flags & MSG_TRUNC ||
	    endpoint_from_sockaddr((struct sockaddr *)&u->from[i], m->msg_namelen, &from) < 0)
		return false;
	n = answer_one(s, place, &from.addr, &q, u->out[to], sizeof(u->out[to]));
	if (!n)
		return false;
	keep_local(m);
	u->out_parts[to] = (struct iovec){ u->out[to], n };
	u->sent[to].msg_hdr = *m;
	u->sent[to].msg_hdr.msg_iov = &u->out_parts[to];
	u->sent[to].msg_hdr.msg_flags = 0;
	return true;
}

static void serve_udp(struct dns_server *s, const struct listener *l)
{
	struct turn *u = s->turn;
	int n = BATCH;

	for (int round = 0; round < ROUNDS_MAX && n == BATCH; round++) {
		size_t count = 0, sent = 0;

		prepare(u);
		n = recvmmsg(l->udp, u->received, BATCH, MSG_DONTWAIT, NULL);
		urcu_memb_read_lock();
		for (int i = 0; i < n; i++)
			count += answer_udp(s, &l->place, (size_t)i, count);
		urcu_memb_read_unlock();
		/* One that cannot be sent (its asker has gone) is left out; nobody waits. */
		while (sent < count) {
			int k = sendmmsg(l->udp, u->sent + sent, (unsigned)(count - sent),
					 MSG_DONTWAIT);

			sent += k > 0 ? (size_t)k : 1;
		}
	}
}

/* ---- the thread ---- */

static void take_next(struct dns_server *s)
{
	struct listeners *next = atomic_exchange(&s->next, NULL);
	uint64_t count;

	if (read(s->wake, &count, sizeof(count)) < 0)
		count = 0;
	if (next) {
		s->listeners = next;
		sem_post(&s->taken);
	}
}

static int wait_ms(const struct turn *u)
{
	uint64_t due = dns_tcp_due(u->tcp), now = clock_mono();

	if (due == CLOCK_NEVER)
		return -1;
	return due <= now ? 0 : (int)((due - now) / USEC_PER_MSEC + 1);
}

static void turn_once(struct dns_server *s)
{
	struct turn *u = s->turn;
	const struct listeners *l = s->listeners;
	struct pollfd *at = u->polled;
	size_t count = 1 + 2 * l->count;
	short accepts = dns_tcp_accepts(u->tcp, u->now) ? POLLIN : 0;

	at[0] = (struct pollfd){ .fd = s->wake, .events = POLLIN };
	for (size_t i = 0; i < l->count; i++) {
		at[1 + 2 * i] = (struct pollfd){ .fd = l->list[i].udp, .events = POLLIN };
		at[2 + 2 * i] = (struct pollfd){ .fd = l->list[i].tcp, .events = accepts };
	}
	count += dns_tcp_poll(u->tcp, at + count);
	if (poll(at, count, wait_ms(u)) < 0)
		return;
	u->now = clock_mono();
	for (size_t i = 0; i < l->count; i++)
		if (at[1 + 2 * i].revents)
			serve_udp(s, &l->list[i]);
	dns_tcp_work(u->tcp, at + 1 + 2 * l->count, u->now);
	for (size_t i = 0; i < l->count; i++)
		if (at[2 + 2 * i].revents)
			dns_tcp_accept(u->tcp, l->list[i].tcp, &l->list[i].place, u->now);
	if (at[0].revents)
		take_next(s);
}

static void *run(void *p)
{
	struct dns_server *s = p;

	pthread_setname_np(pthread_self(), "warren-dns");
	urcu_memb_register_thread();
	while (!atomic_load(&s->stop))
		turn_once(s);
	urcu_memb_unregister_thread();
	return NULL;
}

static void wake(const struct dns_server *s)
{
	uint64_t one = 1;

	while (write(s->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- sockets ---- */

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* Bound and, for TCP, listening; or a negative errno. */
static int open_socket(const struct endpoint *at, int type)
{
	bool six = at->addr.family == AF_INET6, any = addr_is_unspecified(&at->addr);
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	int fd = socket(at->addr.family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	/* The address of a network may come later, and go for a while. */
	set(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_FREEBIND : IP_FREEBIND, 1);
	if (six)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (type == SOCK_STREAM)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	else if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0)
		set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	if (type == SOCK_DGRAM && any)
		set(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
	if (bind(fd, (struct sockaddr *)&ss, len) == 0 &&
	    (type == SOCK_DGRAM || listen(fd, BACKLOG) == 0))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int open_listener(struct listener *l)
{
	l->udp = open_socket(&l->place.at, SOCK_DGRAM);
	if (l->udp < 0)
		return l->udp;
	l->tcp = open_socket(&l->place.at, SOCK_STREAM);
	if (l->tcp < 0)
		close(l->udp);
	return MIN(l->tcp, 0);
}

static const struct listener *find(const struct listeners *all, const struct dns_place *p)
{
	for (size_t i = 0; i < all->count; i++)
		if (endpoint_cmp(&all->list[i].place.at, &p->at) == 0)
			return &all->list[i];
	return NULL;
}

static void close_all(struct listeners *all, const struct listeners *except)
{
	for (size_t i = 0; i < all->count; i++)
		if (!except || !find(except, &all->list[i].place)) {
			close(all->list[i].udp);
			close(all->list[i].tcp);
		}
	free(all);
}

/* One that is open goes on, be it for another network now. */
static int add_place(const struct dns_server *s, struct listeners *next, const struct dns_place *p)
{
	const struct listener *old = find(s->listeners, p);
	struct listener *l = &next->list[next->count];
	int r = 0;

	if (old)
		*l = *old;
	l->place = *p;
	if (!old)
		r = open_listener(l);
	if (r < 0)
		return r;
	next->count++;
	if (*p->network)
		next->own[next->own_count++] = p->at.addr;
	return 0;
}

size_t dns_server_listen(struct dns_server *s, const struct dns_place *places, size_t count,
			 char *why, size_t why_size)
{
	struct listeners *next = xcalloc(1, sizeof(*next)), *old = s->listeners;
	char text[ENDPOINT_SIZE];
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		int r = next->count == DNS_PLACES_MAX ? -ENOSPC : add_place(s, next, &places[i]);

		if (r == 0)
			continue;
		failed++;
		snprintf(why, why_size, "names are not answered on %s: %s",
			 endpoint_format(&places[i].at, text),
			 r == -EADDRINUSE ? "another program listens there" : strerror(-r));
	}
	atomic_store(&s->next, next);
	wake(s);
	while (sem_wait(&s->taken) < 0)
		;
	close_all(old, next);
	return failed;
}

/* ---- tables ---- */

struct zone_table *dns_server_swap(struct dns_server *s, struct zone_table *t)
{
	struct zone_table *old = rcu_xchg_pointer(&s->table, t);

	urcu_memb_synchronize_rcu();
	return old;
}

/* ---- life ---- */

static int start(struct dns_server *s)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	/* Signals are for the agent's thread. */
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, &attr, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static void done(struct dns_server *s)
{
	if (s->wake >= 0)
		close(s->wake);
	sem_destroy(&s->taken);
	close_all(s->listeners, NULL);
	dns_tcp_free(s->turn->tcp);
	free(s->turn);
	free(s->allow);
	free(s);
}

int dns_server_new(const struct dns_server_config *c, struct dns_server **ret)
{
	struct dns_server *s = xcalloc(1, sizeof(*s));
	int r;

	s->allow = xmemdup(c->allow, c->allow_count * sizeof(*c->allow));
	s->allow_count = c->allow_count;
	s->listeners = xcalloc(1, sizeof(*s->listeners));
	s->turn = xcalloc(1, sizeof(*s->turn));
	s->turn->tcp = dns_tcp_new(&(struct dns_tcp_config){
		.answer = on_tcp,
		.is_allowed = on_is_allowed,
		.owner = s,
	});
	sem_init(&s->taken, 0, 0);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->wake < 0 ? -errno : start(s);
	if (r < 0) {
		done(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct zone_table *dns_server_free(struct dns_server *s)
{
	struct zone_table *t;

	if (!s)
		return NULL;
	atomic_store(&s->stop, true);
	wake(s);
	pthread_join(s->thread, NULL);
	t = s->table;
	done(s);
	return t;
}

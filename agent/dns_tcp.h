/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DNS over TCP (RFC 7766): connections, messages with their length before them, any number on one
 * connection, answered in their order.
 *
 * Bounded: DNS_TCP_MAX connections, of one source DNS_TCP_SOURCE_MAX, of those who may not ask
 * DNS_TCP_STRANGERS_MAX; where there is no room the one that has been idle longest goes. One that
 * brings no whole question, or takes no answer, for 20 s is closed: a byte now and then is not enough.
 *
 * One thread, the server's. Descriptors are polled by the owner.
 */
#pragma once

#include <poll.h>

#include "lib/addr.h"
#include "schemas/topic.h"

#define DNS_TCP_MAX 128
#define DNS_TCP_SOURCE_MAX 16
#define DNS_TCP_STRANGERS_MAX 8

/* Where the server listens. */
struct dns_place {
	struct endpoint at;
	char network[LABEL_SIZE]; /* a mesh address of this network; "" an address of --dns */
};

struct dns_tcp_config {
	/* 0: no answer, and the connection is closed. */
	size_t (*answer)(void *owner, const struct dns_place *place, const struct addr *from,
			 uint8_t *query, size_t len, uint8_t *out, size_t size);
	bool (*is_allowed)(void *owner, const struct dns_place *place, const struct addr *from);
	void *owner;
};

struct dns_tcp;

struct dns_tcp *dns_tcp_new(const struct dns_tcp_config *c);
void dns_tcp_free(struct dns_tcp *t);

/* Takes what waits on a listening socket, as long as there are descriptors. `now`: clock_mono. */
void dns_tcp_accept(struct dns_tcp *t, int fd, const struct dns_place *place, uint64_t now);
/* Are listening sockets to be polled? Not for 100 ms after there was no descriptor: what waits would make
 * each poll return at once. */
bool dns_tcp_accepts(struct dns_tcp *t, uint64_t now);
/* Adds what is to be polled: at most DNS_TCP_MAX. Returns how many. */
size_t dns_tcp_poll(const struct dns_tcp *t, struct pollfd *ret);
/* What came of it, in the same order; nothing may be accepted in between. */
void dns_tcp_work(struct dns_tcp *t, const struct pollfd *polled, uint64_t now);
/* When the next one is to be closed, or accepted again; CLOCK_NEVER. */
uint64_t dns_tcp_due(const struct dns_tcp *t);

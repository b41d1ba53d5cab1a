/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IP addresses, prefixes and endpoints, of both families, as plain values.
 *
 * Text forms are those of inet_ntop; a prefix is ADDRESS/LEN, an endpoint ADDRESS:PORT or
 * [ADDRESS6]:PORT. Parsing is strict: no white space, no leading zeros in decimal numbers, no zone,
 * no port 0, nothing after the end; -EINVAL. An IPv4-mapped IPv6 address stays an IPv6 address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base.h"

struct addr {
	uint8_t family;	   /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16]; /* network order; the first 4 for AF_INET, the rest zero */
};

struct prefix {
	struct addr addr;
	uint8_t len;
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order */
};

#define ADDR_SIZE 46
#define PREFIX_SIZE (ADDR_SIZE + 4)
#define ENDPOINT_SIZE (ADDR_SIZE + 8)

int addr_parse(const char *s, struct addr *ret) MUST_CHECK;
/* Host bits are kept as given: `prefix_is_network` says whether they are zero. */
int prefix_parse(const char *s, struct prefix *ret) MUST_CHECK;
int endpoint_parse(const char *s, struct endpoint *ret) MUST_CHECK;
/* They return `ret`. */
const char *addr_format(const struct addr *a, char ret[static ADDR_SIZE]);
const char *prefix_format(const struct prefix *p, char ret[static PREFIX_SIZE]);
const char *endpoint_format(const struct endpoint *e, char ret[static ENDPOINT_SIZE]);

/* Total orders: family, bytes, then length or port. <0, 0, >0. */
int addr_cmp(const struct addr *a, const struct addr *b);
int prefix_cmp(const struct prefix *a, const struct prefix *b);
int endpoint_cmp(const struct endpoint *a, const struct endpoint *b);

/* 32 or 128. */
unsigned addr_bits(const struct addr *a);
/* The prefix that holds just this address. */
struct prefix prefix_host(const struct addr *a);
bool prefix_is_network(const struct prefix *p);
/* The same prefix with its host bits zero. */
struct prefix prefix_network(const struct prefix *p);
bool prefix_contains(const struct prefix *p, const struct addr *a);
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
/* The address `index` places after the prefix's first one; false when it is outside. */
bool prefix_nth(const struct prefix *p, uint64_t index, struct addr *ret);
/* How many addresses lie before it in its prefix: the inverse of prefix_nth. UINT64_MAX: outside, or
 * too far for 64 bits. */
uint64_t prefix_index(const struct prefix *p, const struct addr *a);
/* Number of addresses, at most UINT64_MAX. */
uint64_t prefix_count(const struct prefix *p);

bool addr_is_loopback(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/* Of many networks at once: RFC 1918, RFC 6598 (shared address space), RFC 4193 (unique local). */
bool addr_is_private(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
bool addr_is_unspecified(const struct addr *a);

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret);
int endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct endpoint *ret);

/* Splits HOST:PORT or [HOST6]:PORT; HOST may be a name of at most 253 characters. */
#define HOST_SIZE 254
int hostport_parse(const char *s, char ret_host[static HOST_SIZE], uint16_t *ret_port) MUST_CHECK;

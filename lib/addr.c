/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses, prefixes, endpoints: text, order, arithmetic. Owns nothing; any thread.
 */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"

/* Are the first `len` bits of both the same? */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned len)
{
	unsigned rest = len % 8;

	if (memcmp(a, b, len / 8) != 0)
		return false;
	return rest == 0 || ((a[len / 8] ^ b[len / 8]) >> (8 - rest)) == 0;
}

/* A prefix whose length is too great for its family is taken as one address. */
static unsigned prefix_len(const struct prefix *p)
{
	return MIN((unsigned)p->len, addr_bits(&p->addr));
}

/* [A-Za-z0-9_-] labels of 1 to 63 characters, none with a dash at an end; the last one is no number:
 * getaddrinfo would take 10.1 and 0x7f.1 for addresses. */
static bool is_host_name(const char *s)
{
	size_t n;

	if (strnlen(s, HOST_SIZE) >= HOST_SIZE)
		return false;
	for (;; s += n + 1) {
		n = strcspn(s, ".");
		if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
			return false;
		if (strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") <
		    n)
			return false;
		if (!s[n])
			break;
	}
	return s[strspn(s, "0123456789")] != '\0' && strncasecmp(s, "0x", 2) != 0;
}

/* The text before the last colon goes to `ret_host` without its brackets, which say `ret_six`. */
static int split_port(const char *s, char *ret_host, size_t size, bool *ret_six, uint16_t *ret_port)
{
	const char *colon = strrchr(s, ':');
	uint64_t port;
	size_t n;
	int r;

	if (!colon)
		return -EINVAL;
	r = u64_parse(colon + 1, 1, UINT16_MAX, &port);
	if (r < 0)
		return -EINVAL;
	n = (size_t)(colon - s);
	*ret_six = n >= 2 && s[0] == '[' && s[n - 1] == ']';
	if (*ret_six) {
		s++;
		n -= 2;
	}
	if (n == 0 || n >= size)
		return -EINVAL;
	memcpy(ret_host, s, n);
	ret_host[n] = '\0';
	*ret_port = (uint16_t)port;
	return 0;
}

unsigned addr_bits(const struct addr *a)
{
	return a->family == AF_INET ? 32 : a->family == AF_INET6 ? 128 : 0;
}

int addr_parse(const char *s, struct addr *ret)
{
	struct addr a = { .family = strchr(s, ':') ? AF_INET6 : AF_INET };

	/* glibc's inet_pton refuses leading zeros in decimal numbers, and zones. */
	if (inet_pton(a.family, s, a.bytes) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

int prefix_parse(const char *s, struct prefix *ret)
{
	const char *slash = strchr(s, '/');
	char text[ADDR_SIZE];
	struct prefix p;
	uint64_t len;
	int r;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	r = addr_parse(text, &p.addr);
	if (r < 0)
		return r;
	if (u64_parse(slash + 1, 0, addr_bits(&p.addr), &len) < 0)
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

int endpoint_parse(const char *s, struct endpoint *ret)
{
	char text[ADDR_SIZE];
	struct endpoint e;
	bool six;
	int r;

	r = split_port(s, text, sizeof(text), &six, &e.port);
	if (r < 0)
		return r;
	r = addr_parse(text, &e.addr);
	if (r < 0)
		return r;
	if (six != (e.addr.family == AF_INET6))
		return -EINVAL;
	*ret = e;
	return 0;
}

int hostport_parse(const char *s, char ret_host[static HOST_SIZE], uint16_t *ret_port)
{
	char host[HOST_SIZE];
	struct addr a;
	uint16_t port;
	bool six;
	int r;

	r = split_port(s, host, sizeof(host), &six, &port);
	if (r < 0)
		return r;
	if (six) {
		if (addr_parse(host, &a) < 0 || a.family != AF_INET6)
			return -EINVAL;
	} else if (!(addr_parse(host, &a) == 0 && a.family == AF_INET) && !is_host_name(host)) {
		return -EINVAL;
	}
	memcpy(ret_host, host, strlen(host) + 1);
	*ret_port = port;
	return 0;
}

const char *addr_format(const struct addr *a, char ret[static ADDR_SIZE])
{
	if (!a->family || !inet_ntop(a->family, a->bytes, ret, ADDR_SIZE))
		ret[0] = '\0';
	return ret;
}

const char *prefix_format(const struct prefix *p, char ret[static PREFIX_SIZE])
{
	char text[ADDR_SIZE];

	snprintf(ret, PREFIX_SIZE, "%s/%u", addr_format(&p->addr, text), prefix_len(p));
	return ret;
}

const char *endpoint_format(const struct endpoint *e, char ret[static ENDPOINT_SIZE])
{
	char text[ADDR_SIZE];

	snprintf(ret, ENDPOINT_SIZE, e->addr.family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		 addr_format(&e->addr, text), e->port);
	return ret;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int r = addr_cmp(&a->addr, &b->addr);

	return r ? r : (int)a->len - (int)b->len;
}

int endpoint_cmp(const struct endpoint *a, const struct endpoint *b)
{
	int r = addr_cmp(&a->addr, &b->addr);

	return r ? r : (int)a->port - (int)b->port;
}

struct prefix prefix_host(const struct addr *a)
{
	return (struct prefix){ .addr = *a, .len = (uint8_t)addr_bits(a) };
}

struct prefix prefix_network(const struct prefix *p)
{
	unsigned len = prefix_len(p);
	struct prefix net = { .addr = { .family = p->addr.family }, .len = (uint8_t)len };

	memcpy(net.addr.bytes, p->addr.bytes, (len + 7) / 8);
	if (len % 8)
		net.addr.bytes[len / 8] &= (uint8_t)(0xff << (8 - len % 8));
	return net;
}

bool prefix_is_network(const struct prefix *p)
{
	struct prefix net = prefix_network(p);

	return addr_cmp(&net.addr, &p->addr) == 0;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	return p->addr.family && p->addr.family == a->family &&
	       same_bits(p->addr.bytes, a->bytes, prefix_len(p));
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return a->addr.family && a->addr.family == b->addr.family &&
	       same_bits(a->addr.bytes, b->addr.bytes, MIN(prefix_len(a), prefix_len(b)));
}

uint64_t prefix_count(const struct prefix *p)
{
	unsigned host = addr_bits(&p->addr) - prefix_len(p);

	return host >= 64 ? UINT64_MAX : UINT64_C(1) << host;
}

bool prefix_nth(const struct prefix *p, uint64_t index, struct addr *ret)
{
	unsigned bits = addr_bits(&p->addr), host = bits - prefix_len(p);

	if (!bits || (host < 64 && index >> host))
		return false;
	*ret = prefix_network(p).addr;
	/* The host bits are zero, and the index is not wider than they are: no carry. */
	for (unsigned i = bits / 8; index; index >>= 8)
		ret->bytes[--i] |= (uint8_t)index;
	return true;
}

uint64_t prefix_index(const struct prefix *p, const struct addr *a)
{
	unsigned bytes = addr_bits(&p->addr) / 8;
	struct prefix net = prefix_network(p);
	uint64_t index = 0;

	if (!prefix_contains(p, a))
		return UINT64_MAX;
	for (unsigned i = 0; i < bytes; i++) {
		if (index >> 56)
			return UINT64_MAX;
		index = index << 8 | (uint8_t)(a->bytes[i] ^ net.addr.bytes[i]);
	}
	return index;
}

bool addr_is_loopback(const struct addr *a)
{
	return a->family == AF_INET ?
		       a->bytes[0] == 127 :
		       a->family == AF_INET6 && memcmp(a->bytes, &in6addr_loopback, 16) == 0;
}

bool addr_is_link_local(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 169 && a->bytes[1] == 254;
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool addr_is_private(const struct addr *a)
{
	const uint8_t *b = a->bytes;

	if (a->family == AF_INET)
		return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
		       (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64);
	return a->family == AF_INET6 && (b[0] & 0xfe) == 0xfc;
}

bool addr_is_multicast(const struct addr *a)
{
	if (a->family == AF_INET)
		return (a->bytes[0] & 0xf0) == 0xe0;
	return a->family == AF_INET6 && a->bytes[0] == 0xff;
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return a->family && memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(e->port) };

	memset(ret, 0, sizeof(*ret));
	if (e->addr.family == AF_INET) {
		memcpy(&four.sin_addr, e->addr.bytes, 4);
		memcpy(ret, &four, sizeof(four));
		return sizeof(four);
	}
	assert(e->addr.family == AF_INET6);
	memcpy(&six.sin6_addr, e->addr.bytes, 16);
	memcpy(ret, &six, sizeof(six));
	return sizeof(six);
}

int endpoint_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct endpoint *ret)
{
	struct endpoint e = { 0 };
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	if (len >= sizeof(four) && sa->sa_family == AF_INET) {
		memcpy(&four, sa, sizeof(four));
		e.addr.family = AF_INET;
		memcpy(e.addr.bytes, &four.sin_addr, 4);
		e.port = ntohs(four.sin_port);
	} else if (len >= sizeof(six) && sa->sa_family == AF_INET6) {
		memcpy(&six, sa, sizeof(six));
		e.addr.family = AF_INET6;
		memcpy(e.addr.bytes, &six.sin6_addr, 16);
		e.port = ntohs(six.sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = e;
	return 0;
}

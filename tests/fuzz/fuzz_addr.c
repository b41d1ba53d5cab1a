/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The readers of short texts: addresses, prefixes, endpoints, HOST:PORT, durations, times. What
 * one of them takes must come back the same after it was written and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void read_addresses(const char *s)
{
	char text[ENDPOINT_SIZE], host[HOST_SIZE];
	struct addr a, a2;
	struct prefix p, p2;
	struct endpoint e, e2;
	uint16_t port;

	if (addr_parse(s, &a) == 0) {
		require(addr_parse(addr_format(&a, text), &a2) == 0 && addr_cmp(&a, &a2) == 0);
		p = prefix_host(&a);
		require(prefix_contains(&p, &a) && prefix_index(&p, &a) == 0);
	}
	if (prefix_parse(s, &p) == 0) {
		uint64_t index = prefix_index(&p, &p.addr);

		require(prefix_parse(prefix_format(&p, text), &p2) == 0 &&
			prefix_cmp(&p, &p2) == 0);
		require(prefix_contains(&p, &p.addr) && prefix_overlaps(&p, &p2));
		if (index != UINT64_MAX)
			require(prefix_nth(&p, index, &a) && addr_cmp(&a, &p.addr) == 0);
	}
	if (endpoint_parse(s, &e) == 0) {
		require(endpoint_parse(endpoint_format(&e, text), &e2) == 0);
		require(endpoint_cmp(&e, &e2) == 0);
		/* An endpoint is a HOST:PORT, too. */
		require(hostport_parse(s, host, &port) == 0 && port == e.port);
		require(addr_parse(host, &a) == 0 && addr_cmp(&a, &e.addr) == 0);
	}
	if (hostport_parse(s, host, &port) == 0)
		require(port > 0 && host[0] && strlen(host) < HOST_SIZE && strstr(s, host));
}

static void read_times(const char *s)
{
	char text[CLOCK_RFC3339_SIZE], length[DURATION_SIZE];
	int64_t t, t2;

	if (clock_rfc3339_parse(s, &t) == 0) {
		clock_rfc3339(t, text);
		require(strcmp(text, s) == 0);
	}
	if (duration_parse(s, &t) == 0) {
		duration_format(t, length);
		require(duration_parse(length, &t2) == 0 && t == t2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	if (!s)
		abort();
	if (size)
		memcpy(s, data, size);
	s[size] = '\0';
	read_addresses(s);
	read_times(s);
	free(s);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The changes that were recorded: what record.c sends to a real kernel, and what the unit test
 * builds again to compare. Names of steps are names of files.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "agent/wg.h"

#define RECORDED_LINK "wr-rec"
#define RECORDED_MANY 400 /* prefixes of one peer: more than one message */

struct recorded_step {
	const char *name;
	const char *link;
	struct wg_link device;
	bool with_device;
	struct wg_change changes[4];
	size_t count;
	/* What the changes point at. */
	uint8_t keys[4][KEY_LEN];
	struct endpoint endpoints[2];
	struct prefix prefixes[RECORDED_MANY];
};

static inline void recorded_key(uint8_t n, uint8_t ret[KEY_LEN])
{
	memset(ret, n, KEY_LEN);
}

static inline struct prefix recorded_prefix(unsigned n)
{
	struct prefix p = { { AF_INET, { 10, 77, (uint8_t)(n >> 8), (uint8_t)n } }, 32 };

	return p;
}

/* Three peers: IPv4 and IPv6 endpoint, none; with the device's key and port. */
static inline void recorded_set(struct recorded_step *s)
{
	static const char *const prefixes[] = { "10.9.0.2/32", "fd00::2/128", "10.9.0.3/32",
						"10.42.0.0/16", "10.9.0.4/32" };

	s->name = "set";
	memset(s->device.private_key, 0x40, KEY_LEN);
	s->device.port = 51830;
	s->with_device = true;
	s->count = 3;
	for (size_t i = 0; i < 5; i++)
		if (prefix_parse(prefixes[i], &s->prefixes[i]) < 0)
			abort();
	if (endpoint_parse("192.0.2.2:51830", &s->endpoints[0]) < 0 ||
	    endpoint_parse("[2001:db8::3]:51999", &s->endpoints[1]) < 0)
		abort();
	for (uint8_t i = 0; i < 3; i++) {
		recorded_key((uint8_t)(i + 1), s->keys[i]);
		s->changes[i] = (struct wg_change){
			.key = s->keys[i],
			.with_keepalive = true,
			.keepalive = i == 2 ? 0 : 20,
			.endpoint = i == 2 ? NULL : &s->endpoints[i],
			.allowed = &s->prefixes[2 * i],
			.allowed_count = i == 2 ? 1 : 2,
		};
	}
}

/* A prefix of the second peer goes to the first, a scratch peer takes one away, the third goes. */
static inline void recorded_change(struct recorded_step *s)
{
	s->name = "change";
	s->count = 4;
	recorded_key(1, s->keys[0]);
	recorded_key(9, s->keys[1]);
	recorded_key(3, s->keys[2]);
	if (prefix_parse("10.42.0.0/16", &s->prefixes[0]) < 0 ||
	    prefix_parse("fd00::2/128", &s->prefixes[1]) < 0)
		abort();
	s->changes[0] = (struct wg_change){ .key = s->keys[0],
					    .allowed = &s->prefixes[0],
					    .allowed_count = 1 };
	s->changes[1] = (struct wg_change){ .key = s->keys[1],
					    .allowed = &s->prefixes[1],
					    .allowed_count = 1 };
	s->changes[2] = (struct wg_change){ .key = s->keys[1], .remove = true };
	s->changes[3] = (struct wg_change){ .key = s->keys[2], .remove = true };
}

/* One peer that needs several messages, also in the dump, and one after it. */
static inline void recorded_fragments(struct recorded_step *s)
{
	s->name = "fragments";
	s->count = 2;
	for (unsigned i = 0; i < RECORDED_MANY; i++)
		s->prefixes[i] = recorded_prefix(i);
	if (endpoint_parse("192.0.2.5:51830", &s->endpoints[0]) < 0)
		abort();
	for (uint8_t i = 0; i < 2; i++) {
		recorded_key((uint8_t)(5 + i), s->keys[i]);
		s->changes[i] = (struct wg_change){
			.key = s->keys[i],
			.with_keepalive = true,
			.keepalive = 20,
			.endpoint = &s->endpoints[0],
			.allowed = i == 0 ? s->prefixes : NULL,
			.allowed_count = i == 0 ? RECORDED_MANY : 0,
		};
	}
}

/* The kernel refuses: there is no such interface; it is no WireGuard interface. */
static inline void recorded_refused(struct recorded_step *s, const char *name, const char *link)
{
	s->name = name;
	s->link = link;
	s->count = 1;
	recorded_key(1, s->keys[0]);
	s->changes[0] = (struct wg_change){ .key = s->keys[0] };
}

/* The steps in their order; NULL after the last one. The caller frees it. */
static inline struct recorded_step *recorded_step(unsigned n)
{
	struct recorded_step *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->link = RECORDED_LINK;
	if (n == 0)
		recorded_set(s);
	else if (n == 1)
		recorded_change(s);
	else if (n == 2)
		recorded_fragments(s);
	else if (n == 3)
		recorded_refused(s, "no-device", "wr-none");
	else if (n == 4)
		recorded_refused(s, "not-wireguard", "lo");
	else {
		free(s);
		return NULL;
	}
	return s;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * secret_state_decode, secret_read and lease_decode: what is taken is bounded, and comes back the same from
 * what is written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/lease.h"
#include "exporter/secret_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(struct arena *a, const struct secret_state *s)
{
	struct buf first = { 0 }, second = { 0 };
	struct secret_state again;
	struct json_error err;

	secret_state_encode(s, &first);
	if (secret_state_decode(a, buf_cstr(&first), first.len, &again, &err) < 0)
		abort();
	secret_state_encode(&again, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	buf_done(&first);
	buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char version[KUBE_VERSION_SIZE], name[LEASE_HOLDER_SIZE], why[64];
	struct lease_record lease;
	struct secret_state s;
	struct json_error err;
	struct arena a = { 0 };
	struct buf out = { 0 };
	bool found;

	if (secret_state_decode(&a, text, size, &s, &err) == 0)
		there_and_back(&a, &s);
	if (secret_read(&a, text, size, version, &found, &s, why, sizeof(why)) == 0) {
		if (!*version)
			abort();
		if (found)
			there_and_back(&a, &s);
	}
	if (lease_decode(text, size, &lease, name) == 0) {
		if (!*lease.version)
			abort();
		lease_encode(&out, "warren", name, "me", &lease, 1);
		if (lease_decode(buf_cstr(&out), out.len, &lease, name) < 0 ||
		    strcmp(lease.holder, "me") != 0)
			abort();
	}
	buf_done(&out);
	arena_done(&a);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The readers of PEM text: certificates, requests, keys. The input is that text, or the bytes inside it.
 * No fuzzer can make a signature of our CA's key, so nothing may ever verify.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "lib/x509.h"

#define NOW INT64_C(1795558296)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf ca_key, ca, key;

static void set_up(void)
{
	x509_key_generate(&ca_key);
	x509_key_generate(&key);
	if (x509_ca_create(ca_key.data, "mesh", NOW - 1, NOW + 1000, &ca) < 0)
		abort();
}

static void read_text(const char *text)
{
	static const char *const uris[] = { "warren:node:x" };
	const struct x509_issue what = {
		.uris = uris, .uri_count = 1, .not_before = NOW, .not_after = NOW + 100
	};
	struct buf out = { 0 };
	struct x509_info info = { 0 };

	if (x509_info_read(text, &info) == 0)
		for (size_t i = 0; i < info.uri_count; i++)
			for (const char *p = info.uris[i]; !*info.uris[i] || *p; p++)
				if (*p <= ' ' || *p > '~')
					abort();
	x509_info_done(&info);
	if (x509_verify(ca.data, text, NOW) == 0 || x509_key_matches(text, key.data) ||
	    x509_key_matches(ca.data, text))
		abort();
	if (x509_verify(text, ca.data, NOW) == 0)
		abort();
	/* A request that is taken gives a certificate that is good. */
	if (x509_issue_csr(ca.data, ca_key.data, text, &what, &out) == 0 &&
	    x509_verify(ca.data, out.data, NOW) != 0)
		abort();
	buf_done(&out);
}

static void read_wrapped(const char *label, const uint8_t *data, size_t size)
{
	struct buf text = { 0 };
	char line[65];

	buf_printf(&text, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < size; i += 48) {
		base64_encode(data + i, MIN(size - i, (size_t)48), line);
		buf_printf(&text, "%s\n", line);
	}
	buf_printf(&text, "-----END %s-----\n", label);
	read_text(text.data);
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);

	if (!ca.len)
		set_up();
	if (text[0] == '-') {
		read_text(text);
	} else {
		read_wrapped("CERTIFICATE", data, size);
		read_wrapped("CERTIFICATE REQUEST", data, size);
		read_wrapped("PRIVATE KEY", data, size);
	}
	free(text);
	return 0;
}

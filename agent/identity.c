/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The node's keys. Owns them; they are wiped at the end. One thread.
 */
#include "agent/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/x509.h"

int identity_load(struct state *s, struct identity *ret)
{
	struct state_identity row = { 0 };
	struct buf pem = { 0 };
	struct arena a = { 0 };
	int r = state_identity_get(s, &a, &row);

	memset(ret, 0, sizeof(*ret));
	if (r == 0) {
		sign_key_from_secret(row.secret, &ret->key);
		ret->tls_key = xstrdup(row.tls_key);
	} else if (r == -ENOENT) {
		sign_key_generate(&ret->key);
		x509_key_generate(&pem);
		ret->tls_key = buf_take(&pem);
		memcpy(row.secret, ret->key.secret, KEY_LEN);
		row.tls_key = ret->tls_key;
		state_identity_put(s, &row);
		r = state_problem(s) ? -EIO : 0;
	}
	if (r == 0 || r == -EIO)
		state_flush_soon(s);
	crypto_wipe(row.secret, KEY_LEN);
	arena_done(&a);
	return r;
}

void identity_done(struct identity *i)
{
	sign_key_done(&i->key);
	if (i->tls_key)
		crypto_wipe(i->tls_key, strlen(i->tls_key));
	free(i->tls_key);
	memset(i, 0, sizeof(*i));
}

void identity_csr(const struct identity *i, struct buf *ret_pem)
{
	int r = x509_csr_create(i->tls_key, ret_pem);

	if (r < 0)
		ret_pem->failed = true;
}

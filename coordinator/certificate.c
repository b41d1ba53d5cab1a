/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A node's certificate: its id and its networks as URIs, for a week.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/authority.h"
#include "lib/x509.h"

#define CERTIFICATE_LIFE (7 * 24 * 3600)
#define CLOCK_SKEW 3600 /* certificates begin this long ago, for clocks that are behind */

static const char *uri(struct arena *arena, const char *kind, const char *id)
{
	char text[32 + LABEL_SIZE];

	snprintf(text, sizeof(text), "warren:%s:%s", kind, id);
	return arena_strdup(arena, text);
}

int node_certificate(struct authority *a, const char *node_id, const char *csr_pem,
		     struct buf *ret_pem, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	struct member_row *members;
	const char **uris;
	size_t count;
	int64_t now = a->now();
	int r = store_member_list(a->store, &arena, NULL, node_id, &members, &count);

	if (r < 0) {
		arena_done(&arena);
		return refuse_store(why, r);
	}
	if (count == 0)
		r = refuse(why, 403, "not_a_member",
			   "this node is in no network any more; join again with a token");
	if (count > X509_URIS_MAX - 1)
		r = refuse(why, 507, "too_many_networks",
			   "this node is in %zu networks and a certificate names at most %d", count,
			   X509_URIS_MAX - 1);
	if (r == 0) {
		uris = arena_array(&arena, count + 1, sizeof(*uris));
		uris[0] = uri(&arena, "node", node_id);
		for (size_t i = 0; i < count; i++)
			uris[i + 1] = uri(&arena, "net", members[i].network);
		r = keys_issue(a->keys, csr_pem, uris, count + 1, now - CLOCK_SKEW,
			       now + CERTIFICATE_LIFE, ret_pem);
		if (r == -EBADMSG)
			r = refuse(why, 400, "csr",
				   "the certificate request is not one, or is not signed by its "
				   "own key");
		else if (r < 0)
			r = refuse(why, 500, "certificate", "the certificate cannot be made: %s",
				   strerror(-r));
	}
	arena_done(&arena);
	return r;
}

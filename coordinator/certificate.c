/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The certificate of a node or an exporter: its id and its networks as URIs, for a week.
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

/* `networks`: what it may read, beside itself. */
static int issue(struct authority *a, struct arena *arena, const char *self,
		 const char *const *networks, size_t count, const char *csr_pem,
		 struct buf *ret_pem, struct refusal_reason *why)
{
	int64_t now = a->now();
	const char **uris;
	int r;

	if (count > X509_URIS_MAX - 1)
		return refuse(why, 507, "too_many_networks",
			      "this node is in %zu networks and a certificate names at most %d",
			      count, X509_URIS_MAX - 1);
	uris = arena_array(arena, count + 1, sizeof(*uris));
	uris[0] = self;
	for (size_t i = 0; i < count; i++)
		uris[i + 1] = uri(arena, "net", networks[i]);
	r = keys_issue(a->keys, csr_pem, uris, count + 1, now - CLOCK_SKEW, now + CERTIFICATE_LIFE,
		       ret_pem);
	if (r == -EBADMSG)
		return refuse(
			why, 400, "csr",
			"the certificate request is not one, or is not signed by its own key");
	if (r < 0)
		return refuse(why, 500, "certificate", "the certificate cannot be made: %s",
			      strerror(-r));
	return 0;
}

static int node_issue(struct authority *a, struct arena *arena, const char *node_id,
		      const char *csr_pem, struct buf *ret_pem, struct refusal_reason *why)
{
	struct member_row *members;
	const char **networks;
	size_t count;
	int r = store_member_list(a->store, arena, NULL, node_id, &members, &count);

	if (r < 0)
		return refuse_store(why, r);
	if (count == 0)
		return refuse(why, 403, "not_a_member",
			      "this node is in no network any more; join again with a token");
	networks = arena_array(arena, count, sizeof(*networks));
	for (size_t i = 0; i < count; i++)
		networks[i] = members[i].network;
	return issue(a, arena, uri(arena, "node", node_id), networks, count, csr_pem, ret_pem, why);
}

static int exporter_issue(struct authority *a, struct arena *arena, const char *id,
			  const char *csr_pem, struct buf *ret_pem, struct refusal_reason *why)
{
	struct exporter_row *rows;
	const char **networks;
	size_t count;
	int r = store_exporter_list(a->store, arena, NULL, id, &rows, &count);

	if (r < 0)
		return refuse_store(why, r);
	if (count == 0)
		return refuse(why, 403, "not_an_exporter",
			      "this exporter was removed or replaced; join again with a token");
	networks = arena_array(arena, count, sizeof(*networks));
	for (size_t i = 0; i < count; i++)
		networks[i] = rows[i].network;
	return issue(a, arena, uri(arena, "exporter", id), networks, count, csr_pem, ret_pem, why);
}

int node_certificate(struct authority *a, const char *node_id, const char *csr_pem,
		     struct buf *ret_pem, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	int r = node_issue(a, &arena, node_id, csr_pem, ret_pem, why);

	arena_done(&arena);
	return r;
}

int exporter_certificate(struct authority *a, const char *id, const char *csr_pem,
			 struct buf *ret_pem, struct refusal_reason *why)
{
	struct arena arena = { 0 };
	int r = exporter_issue(a, &arena, id, csr_pem, ret_pem, why);

	arena_done(&arena);
	return r;
}

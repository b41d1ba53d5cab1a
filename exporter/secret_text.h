/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What replicas of one exporter share, as it stands in a Kubernetes Secret: who they are, and the mesh that
 * they belong to. One field `state` of the Secret's data, base64 of JSON. Pure.
 */
#pragma once

#include "exporter/kube_text.h"
#include "exporter/state.h"

#define SECRET_STATE_MAX (512u << 10) /* of the JSON; a Secret holds 1 MiB */

struct secret_state {
	uint8_t secret[KEY_LEN]; /* of the identity */
	char *tls_key;
	uint64_t connection; /* those of who led last are not above it plus SECRET_CONNECTIONS */
	char *cluster;	     /* uid of namespace kube-system; NULL: not known yet */
	struct state_mesh *mesh; /* NULL: not joined */
};
#define SECRET_CONNECTIONS (UINT64_C(1) << 20)

/* Appends the JSON. */
void secret_state_encode(const struct secret_state *s, struct buf *out);
int secret_state_decode(struct arena *a, const char *text, size_t len, struct secret_state *ret,
			struct json_error *err) MUST_CHECK;

/* The Secret as the API server gives it: its version, and the state, of which there may be none (`found`
 * false). -EBADMSG with the rest of a sentence, "holds ...", in `ret_why`. */
int secret_read(struct arena *a, const char *object, size_t len,
		char ret_version[static KUBE_VERSION_SIZE], bool *ret_found,
		struct secret_state *ret, char *ret_why, size_t why_size) MUST_CHECK;
/* What changes it, as a merge patch; with `version` "" a whole new object. Wiped by the caller
 * (crypto_wipe), as the state's own text. */
void secret_write(const struct secret_state *s, const char *name, const char *version,
		  struct buf *out);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state in a Secret. Owns nothing; one thread.
 */
#include "exporter/secret_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "lib/x509.h"
#include "schemas/trust.h"

#define WORD(type, member, max_) JSON_FIELD(type, member, JSON_STRING, .min = 1, .max = max_)

/* ---- the state ---- */

static const struct json_field position_fields[] = {
	JSON_FIELD(struct journal_position, epoch, JSON_U64),
	JSON_FIELD(struct journal_position, ver, JSON_U64),
	JSON_END,
};

static const struct json_field mesh_fields[] = {
	JSON_FIELD(struct state_mesh, root_key, JSON_KEY),
	WORD(struct state_mesh, token, 64),
	WORD(struct state_mesh, trust, SECRET_STATE_MAX),
	JSON_FIELD(struct state_mesh, certificate, JSON_STRING, .max = X509_PEM_MAX,
		   .check = text_is_certificates, .what = "certificates in PEM"),
	JSON_FIELD(struct state_mesh, network, JSON_STRING, .check = text_is_label,
		   .what = "a label"),
	JSON_FIELD(struct state_mesh, site, JSON_STRING, .check = text_is_label, .what = "a label"),
	JSON_FIELD(struct state_mesh, generation, JSON_U64),
	JSON_FIELD(struct state_mesh, gateways, JSON_OBJECT, .fields = position_fields),
	JSON_END,
};

static const struct json_field state_fields[] = {
	JSON_FIELD(struct secret_state, secret, JSON_KEY),
	WORD(struct secret_state, tls_key, 4096),
	JSON_FIELD(struct secret_state, connection, JSON_U64, .max = (UINT64_C(1) << 42)),
	JSON_FIELD(struct secret_state, cluster, JSON_STRING, .optional = true, .max = 64),
	JSON_FIELD(struct secret_state, mesh, JSON_OBJECT, .optional = true, .pointer = true,
		   .element_size = sizeof(struct state_mesh), .fields = mesh_fields),
	JSON_END,
};

void secret_state_encode(const struct secret_state *s, struct buf *out)
{
	json_encode(out, state_fields, s);
}

int secret_state_decode(struct arena *a, const char *text, size_t len, struct secret_state *ret,
			struct json_error *err)
{
	*ret = (struct secret_state){ 0 };
	return len > SECRET_STATE_MAX ? -EFBIG : json_decode(a, text, len, state_fields, ret, err);
}

/* ---- the Secret ---- */

struct data {
	char *state; /* base64 */
};

struct object {
	char *api, *kind;
	struct kube_metadata metadata;
	char *type;
	struct data *data;
};

static const struct json_field data_fields[] = {
	JSON_FIELD(struct data, state, JSON_STRING, .optional = true, .nullable = true,
		   .max = 4 * ((SECRET_STATE_MAX + 2) / 3)),
	JSON_END,
};

static const struct json_field object_fields[] = {
	KUBE_HEAD(struct object),
	JSON_FIELD(struct object, type, JSON_STRING, .optional = true, .max = KUBE_NAME_MAX),
	JSON_FIELD(struct object, data, JSON_OBJECT, .optional = true, .nullable = true,
		   .pointer = true, .element_size = sizeof(struct data), .fields = data_fields),
	JSON_END,
};

static int state_read(struct arena *a, const char *base64, struct secret_state *ret, char *why,
		      size_t why_size)
{
	size_t size = strlen(base64) / 4 * 3 + 1;
	char *text = xmalloc(size);
	long len = base64_decode(base64, strlen(base64), text, size);
	struct json_error err = { 0 };
	int r = len < 0 ? -EBADMSG : secret_state_decode(a, text, (size_t)len, ret, &err);

	if (len < 0)
		snprintf(why, why_size, "holds a field `state` that is not base64");
	else if (r < 0)
		snprintf(why, why_size, "holds a field `state` that is broken: %s %s",
			 *err.path ? err.path : "it", *err.reason ? err.reason : "is too long");
	crypto_wipe(text, size);
	free(text);
	return r < 0 ? -EBADMSG : 0;
}

int secret_read(struct arena *a, const char *object, size_t len,
		char ret_version[static KUBE_VERSION_SIZE], bool *ret_found,
		struct secret_state *ret, char *ret_why, size_t why_size)
{
	struct object o = { 0 };
	struct json_error err = { 0 };

	*ret_found = false;
	*ret = (struct secret_state){ 0 };
	if (json_decode(a, object, len, object_fields, &o, &err) < 0 || !o.metadata.version ||
	    !*o.metadata.version) {
		snprintf(ret_why, why_size, "holds no Secret that can be read: %s %s",
			 *err.path ? err.path : "its version",
			 *err.reason ? err.reason : "is missing");
		return -EBADMSG;
	}
	snprintf(ret_version, KUBE_VERSION_SIZE, "%s", o.metadata.version);
	if (!o.data || !o.data->state || !*o.data->state)
		return 0;
	*ret_found = true;
	return state_read(a, o.data->state, ret, ret_why, why_size);
}

void secret_write(const struct secret_state *s, const char *name, const char *version,
		  struct buf *out)
{
	char own_name[KUBE_NAME_MAX + 1], own_version[KUBE_VERSION_SIZE];
	bool anew = !*version;
	struct data data;
	struct object o = {
		.api = anew ? (char[]){ "v1" } : NULL,
		.kind = anew ? (char[]){ "Secret" } : NULL,
		.metadata = { .name = own_name, .version = anew ? NULL : own_version },
		.type = anew ? (char[]){ "Opaque" } : NULL,
		.data = &data,
	};
	struct buf text = { 0 };

	snprintf(own_name, sizeof(own_name), "%s", name);
	snprintf(own_version, sizeof(own_version), "%s", version);
	secret_state_encode(s, &text);
	data.state = xmalloc(4 * ((text.len + 2) / 3) + 1);
	base64_encode(text.data, text.len, data.state);
	json_encode(out, object_fields, &o);
	crypto_wipe(data.state, strlen(data.state));
	crypto_wipe(text.data, text.len);
	free(data.state);
	buf_done(&text);
}

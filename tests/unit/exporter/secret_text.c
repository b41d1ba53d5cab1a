/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state in a Secret: there and back, and what is refused.
 */
#include "exporter/secret_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "tests/test.h"

#define HEAD "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"3\"},"

static struct arena kept;
static char tls_key[] = "-----BEGIN PRIVATE KEY-----\nx\n",
	    cluster[] = "0e9a2c43-6c0e-4d0c-8f7c-1df2f2b7f0aa", token[] = "vjnxn456iddhzdkz",
	    trust[] = "{\"trust\":1}", dc1[] = "dc1";
static char certificate[] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

static struct secret_state sample(struct state_mesh *mesh)
{
	struct secret_state s = {
		.tls_key = tls_key, .connection = 3 << 20, .cluster = cluster, .mesh = mesh
	};

	memset(s.secret, 7, KEY_LEN);
	if (!mesh)
		return s;
	*mesh = (struct state_mesh){ .token = token,
				     .trust = trust,
				     .certificate = certificate,
				     .network = dc1,
				     .site = dc1,
				     .generation = 2,
				     .gateways = { 1795571758, 4 } };
	memset(mesh->root_key, 9, KEY_LEN);
	return s;
}

/* As the API server answers: what a patch says, with a version, and fields that are not ours. */
static void answer(const struct secret_state *s, struct buf *out)
{
	struct buf patch = { 0 };
	const char *data;

	secret_write(s, "warren-exporter", "1", &patch);
	data = strstr(buf_cstr(&patch), "\"data\":");
	buf_printf(
		out,
		"{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"warren-exporter\","
		"\"namespace\":\"warren\",\"resourceVersion\":\"712\",\"labels\":{\"a\":\"b\"},"
		"\"managedFields\":[{\"manager\":\"warren-exporter\"}]},\"type\":\"Opaque\",%s",
		data);
	buf_done(&patch);
}

static const char *said(const char *object, bool *ret_found)
{
	static char why[256];
	char version[KUBE_VERSION_SIZE];
	struct secret_state s;

	why[0] = '\0';
	(void)!secret_read(&kept, object, strlen(object), version, ret_found, &s, why, sizeof(why));
	return why;
}

TEST(there_and_back)
{
	char version[KUBE_VERSION_SIZE], why[256];
	struct state_mesh mesh;
	struct secret_state in = sample(&mesh), out;
	struct buf object = { 0 };
	bool found;

	answer(&in, &object);
	CHECK_INT(secret_read(&kept, buf_cstr(&object), object.len, version, &found, &out, why,
			      sizeof(why)),
		  0);
	CHECK(found);
	CHECK_STR(version, "712");
	CHECK(memcmp(out.secret, in.secret, KEY_LEN) == 0);
	CHECK_STR(out.tls_key, in.tls_key);
	CHECK_INT(out.connection, in.connection);
	CHECK_STR(out.cluster, in.cluster);
	CHECK(memcmp(out.mesh->root_key, mesh.root_key, KEY_LEN) == 0);
	CHECK_STR(out.mesh->token, mesh.token);
	CHECK_STR(out.mesh->trust, mesh.trust);
	CHECK_STR(out.mesh->certificate, mesh.certificate);
	CHECK_STR(out.mesh->network, "dc1");
	CHECK_INT(out.mesh->generation, 2);
	CHECK_INT(out.mesh->gateways.epoch, 1795571758);
	CHECK_INT(out.mesh->gateways.ver, 4);
	buf_done(&object);
}

TEST(what_is_written)
{
	struct secret_state s = sample(NULL);
	struct buf text = { 0 }, out = { 0 };

	s.cluster = NULL;
	secret_state_encode(&s, &text);
	CHECK_STR(
		buf_cstr(&text),
		"{\"secret\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\",\"tls_key\":\"-----BEGIN "
		"PRIVATE KEY-----\\nx\\n\",\"connection\":3145728}");
	secret_write(&s, "warren-exporter", "", &out);
	CHECK(strstr(buf_cstr(&out),
		     "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":"
		     "\"warren-exporter\"},\"type\":\"Opaque\",\"data\":{\"state\":\"eyJ"));
	buf_clear(&out);
	secret_write(&s, "warren-exporter", "712", &out);
	CHECK(strstr(buf_cstr(&out),
		     "{\"metadata\":{\"name\":\"warren-exporter\",\"resourceVersion\":"
		     "\"712\"},\"data\":{\"state\":\"eyJ"));
	buf_done(&text);
	buf_done(&out);
}

TEST(an_empty_one_has_no_state)
{
	bool found = true;

	CHECK_STR(said(HEAD "\"type\":\"Opaque\"}", &found), "");
	CHECK(!found);
	CHECK_STR(said(HEAD "\"data\":null}", &found), "");
	CHECK_STR(said(HEAD "\"data\":{\"other\":\"AA==\"}}", &found), "");
	CHECK(!found);
}

TEST(what_is_broken_is_said)
{
	bool found;

	CHECK_STR(said(HEAD "\"data\":{\"state\":\"*\"}}", &found),
		  "holds a field `state` that is not base64");
	CHECK(strstr(said(HEAD "\"data\":{\"state\":\"AAAA\"}}", &found),
		     "holds a field `state` that is broken"));
	CHECK(strstr(said(HEAD "\"data\":{\"state\":\"e30=\"}}", &found),
		     "broken: secret is missing"));
	CHECK_STR(said("{\"metadata\":{\"name\":\"x\"}}", &found),
		  "holds no Secret that can be read: its version is missing");
	CHECK(strstr(said("[]", &found), "holds no Secret that can be read"));
}

TEST(a_bound_on_what_is_read)
{
	struct secret_state in = sample(NULL), out;
	struct buf text = { 0 };
	struct json_error err;

	secret_state_encode(&in, &text);
	while (text.len < SECRET_STATE_MAX)
		buf_str(&text, " ");
	CHECK_INT(secret_state_decode(&kept, buf_cstr(&text), text.len, &out, &err), 0);
	buf_str(&text, " ");
	CHECK_INT(secret_state_decode(&kept, buf_cstr(&text), text.len, &out, &err), -EFBIG);
	buf_done(&text);
}

TEST_MAIN("secret_text")

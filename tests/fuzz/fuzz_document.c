/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * document_split and document_open. The first byte chooses the place; the keys are fixed, so that the
 * corpus can hold documents that are really signed. What is taken must be what document_sign writes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "schemas/document.h"

#define MESH "meshmeshab"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Seeds 1, 2 and 3: a signing key, a node, a token. A stranger (4) signs as joiner. */
static struct verify_key keys[3];

static const enum signer_class class_of[] = { SIGNER_COORDINATOR, SIGNER_NODE, SIGNER_JOINER };

static void check(bool ok)
{
	if (!ok)
		abort();
}

static const struct verify_key *find(void *owner, const struct signers *who, size_t index,
				     const char *key, bool *ret_known)
{
	(void)owner;
	check(index == 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].id, key) != 0)
			continue;
		*ret_known = true;
		return class_of[i] == who->class ? &keys[i] : NULL;
	}
	return NULL;
}

static void make_keys(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		uint8_t seed[KEY_LEN] = { (uint8_t)(i + 1) };
		struct sign_key key;

		sign_key_from_secret(seed, &key);
		verify_key_init(&keys[i], key.public_key);
		sign_key_done(&key);
	}
}

static struct topic topic_of(unsigned choice)
{
	struct topic t = { .kind = TOPIC_STATE };

	switch (choice % 4) {
	case 1:
		t.kind = TOPIC_NODE;
		memcpy(t.id, keys[1].id, KEY_ID_SIZE);
		break;
	case 2:
		t.kind = TOPIC_REQ;
		memcpy(t.id, keys[1].id, KEY_ID_SIZE);
		break;
	case 3:
		t.kind = TOPIC_ENROL_REQ;
		memcpy(t.id, keys[2].id, KEY_ID_SIZE);
		memcpy(t.other, "c", 2);
		break;
	default:
		break;
	}
	return t;
}

/* Written again it is the same bytes. */
static void check_canonical(const struct document *d, const uint8_t *data, size_t size)
{
	struct buf out = { 0 };
	char text[90];

	buf_str(&out, "warren1");
	for (size_t i = 0; i < d->signature_count; i++) {
		base64url_encode(d->signatures[i].bytes, SIGNATURE_LEN, text);
		buf_printf(&out, " %s %s", d->signatures[i].key, text);
	}
	buf_char(&out, '\n');
	buf_add(&out, d->body, d->body_len);
	check(out.len == size && memcmp(out.data, data, size) == 0);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct keyring ring = { .find = find };
	struct document d;
	struct topic t;

	if (!keys[0].pkey)
		make_keys();
	if (size == 0)
		return 0;
	t = topic_of(data[0]);
	if (document_split(data + 1, size - 1, &d) == REFUSED_NOT)
		check_canonical(&d, data + 1, size - 1);
	if (document_open(&ring, MESH, &t, data + 1, size - 1, &d) == REFUSED_NOT)
		check(d.signature_count == 2 || t.kind != TOPIC_ENROL_REQ);
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signs any body for any place: what somebody with one of the mesh's keys could publish.
 *
 *	lab_sign SEED_FILE PLACE < BODY > DOCUMENT
 *
 * SEED_FILE is a key as the coordinator keeps it (signing.key, root.key): an Ed25519 seed in hex.
 */
#include <stdio.h>

#include "lib/file.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/document.h"

#define BODY_MAX (1u << 20)

int main(int argc, char **argv)
{
	struct buf seed = { 0 }, body = { 0 }, document = { 0 };
	const struct sign_key *keys[1];
	uint8_t secret[KEY_LEN];
	struct sign_key key;

	if (argc != 3)
		opt_fail(2, "usage: lab_sign SEED_FILE PLACE < BODY > DOCUMENT");
	if (file_read(argv[1], 2 * KEY_LEN + 1, &seed) < 0)
		opt_fail(1, "%s cannot be read", argv[1]);
	if (seed.len == 2 * KEY_LEN + 1)
		seed.data[2 * KEY_LEN] = '\0'; /* its line feed */
	if (hex_decode(buf_cstr(&seed), secret, KEY_LEN) < 0)
		opt_fail(1, "%s is no seed", argv[1]);
	if (file_read("/dev/stdin", BODY_MAX, &body) < 0)
		opt_fail(1, "no body on standard input");
	sign_key_from_secret(secret, &key);
	keys[0] = &key;
	document_sign(&document, argv[2], buf_cstr(&body), body.len, keys, 1);
	if (fwrite(document.data, 1, document.len, stdout) != document.len || fflush(stdout) != 0)
		opt_fail(1, "the document cannot be written");
	sign_key_done(&key);
	buf_done(&seed);
	buf_done(&body);
	buf_done(&document);
	return 0;
}

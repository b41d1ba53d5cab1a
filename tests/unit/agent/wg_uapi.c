/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text protocol of wireguard-go: reader and writer. (Against a real one: kernel_linux.c.)
 */
#include <errno.h>

#include "agent/wg.h"
#include "lib/mem.h"
#include "tests/test.h"

#define A "0101010101010101010101010101010101010101010101010101010101010101"
#define B "0202020202020202020202020202020202020202020202020202020202020202"

/* As wireguard-go 0.0.20220316 answers `get=1`. */
static const char answer[] = "private_key=" A "\n"
			     "listen_port=51830\n"
			     "fwmark=5\n"
			     "public_key=" B "\n"
			     "preshared_key=" A "\n"
			     "protocol_version=1\n"
			     "endpoint=[2001:db8::1]:51831\n"
			     "last_handshake_time_sec=1700000000\n"
			     "last_handshake_time_nsec=5\n"
			     "tx_bytes=7\n"
			     "rx_bytes=18446744073709551615\n"
			     "persistent_keepalive_interval=20\n"
			     "allowed_ip=10.9.0.2/32\n"
			     "allowed_ip=fd00::/64\n"
			     "public_key=" A "\n"
			     "allowed_ip=10.42.3.4/16\n"
			     "errno=0\n"
			     "\n";

static int feed(const char *text, size_t step, struct wg_link *l)
{
	struct uapi_reader r = { .link = l };

	for (size_t at = 0; at < strlen(text); at += step) {
		int e = uapi_read(&r, text + at, MIN(step, strlen(text) - at));

		if (e < 0)
			return e;
	}
	return uapi_read_end(&r);
}

TEST(answer_is_read_in_any_pieces)
{
	char text[ENDPOINT_SIZE];

	for (size_t step = 1; step < sizeof(answer); step += 13) {
		struct wg_link l = { 0 };

		CHECK_INT(feed(answer, step, &l), 0);
		CHECK_INT(l.private_key[0], 1);
		CHECK_INT(l.private_key[31], 1);
		CHECK_INT(l.port, 51830);
		CHECK_INT(l.peer_count, 2);
		CHECK_INT(l.peers[0].key[7], 2);
		CHECK_STR(endpoint_format(&l.peers[0].endpoint, text), "[2001:db8::1]:51831");
		CHECK_INT(l.peers[0].last_handshake, 1700000000);
		CHECK_INT(l.peers[0].tx_bytes, 7);
		CHECK(l.peers[0].rx_bytes == UINT64_MAX);
		CHECK_INT(l.peers[0].keepalive, 20);
		CHECK_INT(l.peers[0].allowed_count, 2);
		CHECK_STR(prefix_format(&l.peers[0].allowed[1], text), "fd00::/64");
		CHECK_INT(l.peers[1].endpoint.addr.family, 0);
		CHECK_STR(prefix_format(&l.peers[1].allowed[0], text), "10.42.0.0/16");
		wg_link_done(&l);
	}
}

TEST(error_numbers_of_both_signs)
{
	struct wg_link l = { 0 };

	CHECK_INT(feed("errno=-98\n\n", 100, &l), -EADDRINUSE);
	CHECK_INT(feed("errno=98\n\n", 100, &l), -EADDRINUSE);
	CHECK_INT(feed("errno=0\n\n", 100, &l), 0);
}

TEST(an_answer_without_end_is_none)
{
	static const char *const cut[] = { "", "errno=0\n", "errno=0", "listen_port=1\n" };

	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		struct wg_link l = { 0 };

		CHECK_INT(feed(cut[i], 100, &l), -EPROTO);
	}
	for (size_t n = 0; n < strlen(answer); n++) {
		_cleanup_(freep) char *part = xstrndup(answer, n);
		struct wg_link l = { 0 };

		CHECK_INT(feed(part, 1000, &l), -EPROTO);
		wg_link_done(&l);
	}
}

TEST(malformed_answers_are_refused)
{
	static const char *const bad[] = {
		"\n",
		"nonsense\n",
		"=1\n",
		"errno=\n\n",
		"errno=x\n\n",
		"errno=99999\n\n",
		"errno=0\nlisten_port=1\n\n",
		"errno=0\n\nerrno=0\n\n",
		"listen_port=65536\nerrno=0\n\n",
		"listen_port=-1\nerrno=0\n\n",
		"listen_port=\nerrno=0\n\n",
		"private_key=00\nerrno=0\n\n",
		"public_key=" A "00\nerrno=0\n\n",
		"public_key=zz" A "\nerrno=0\n\n",
		"public_key=" A "\nendpoint=192.0.2.1\nerrno=0\n\n",
		"public_key=" A "\nallowed_ip=10.0.0.0/33\nerrno=0\n\n",
		"public_key=" A "\nallowed_ip=10.0.0.0\nerrno=0\n\n",
		"public_key=" A "\nrx_bytes=18446744073709551616\nerrno=0\n\n",
		"public_key=" A "\nlast_handshake_time_sec=9223372036854775808\nerrno=0\n\n",
		"public_key=" A "\npersistent_keepalive_interval=65536\nerrno=0\n\n",
	};
	char line[UAPI_LINE_MAX + 32];
	struct wg_link l = { 0 };
	struct uapi_reader r = { .link = &l };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct wg_link x = { 0 };

		if (feed(bad[i], 1000, &x) != -EBADMSG)
			test_end(false, "not refused: %s", bad[i]);
		wg_link_done(&x);
	}
	memset(line, 'a', sizeof(line));
	CHECK_INT(uapi_read(&r, line, sizeof(line)), -EBADMSG);
	CHECK_INT(uapi_read(&(struct uapi_reader){ .link = &l }, "a=b\0c\nerrno=0\n\n", 15),
		  -EBADMSG);
}

TEST(what_is_not_known_is_skipped)
{
	struct wg_link l = { 0 };

	CHECK_INT(feed("new_thing=1\npublic_key=" A
		       "\nnewer=\nendpoint=[fe80::1%eth0]:1\nerrno=0\n\n",
		       1000, &l),
		  0);
	CHECK_INT(l.peer_count, 1);
	CHECK_INT(l.peers[0].endpoint.addr.family, 0);
	wg_link_done(&l);
}

TEST(changes_are_written)
{
	uint8_t one[KEY_LEN], two[KEY_LEN];
	struct prefix allowed[2];
	struct endpoint endpoint;
	struct wg_change put = { .key = one, .with_keepalive = true, .keepalive = 20 };
	struct wg_change plain = { .key = two, .allowed = allowed, .allowed_count = 1 };
	struct wg_change remove = { .key = two, .remove = true, .allowed = allowed };
	struct wg_link device = { .port = 51830 };
	struct buf b = { 0 };

	memset(one, 1, KEY_LEN);
	memset(two, 2, KEY_LEN);
	memset(device.private_key, 2, KEY_LEN);
	CHECK_INT(prefix_parse("10.9.0.2/32", &allowed[0]), 0);
	CHECK_INT(prefix_parse("fd00::/64", &allowed[1]), 0);
	CHECK_INT(endpoint_parse("[2001:db8::1]:7", &endpoint), 0);
	put.endpoint = &endpoint;
	put.allowed = allowed;
	put.allowed_count = 2;
	uapi_write_begin(&b, NULL);
	uapi_write_change(&b, &put);
	uapi_write_change(&b, &plain);
	uapi_write_change(&b, &remove);
	CHECK_STR(buf_cstr(&b), "set=1\n"
				"public_key=" A "\n"
				"endpoint=[2001:db8::1]:7\n"
				"persistent_keepalive_interval=20\n"
				"allowed_ip=10.9.0.2/32\n"
				"allowed_ip=fd00::/64\n"
				"public_key=" B "\n"
				"allowed_ip=10.9.0.2/32\n"
				"public_key=" B "\n"
				"remove=true\n");
	buf_clear(&b);
	uapi_write_begin(&b, &device);
	CHECK_STR(buf_cstr(&b), "set=1\nprivate_key=" B "\nlisten_port=51830\n");
	buf_done(&b);
}

TEST_MAIN("wg-uapi")

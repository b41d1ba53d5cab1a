/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/cli/run.h"

#include "schemas/api.h"

#define REFUSED                                                                                    \
	"\"size\":0,\"json\":0,\"schema\":0,\"duplicate_key\":0,\"key\":0,\"signer\":0,"           \
	"\"place\":0,\"old\":0,\"chunk\":0,\"mesh\":0,\"grant\":0"
#define HEAD                                                                                       \
	"{\"node\":{\"id\":\"aaaaaaaaaaaaaaaa\",\"name\":\"cloud-n1\",\"mesh\":\"m\"},"            \
	"\"broker\":{\"connected\":true},\"coordinator\":{\"present\":true},\"journals\":[],"      \
	"\"problems\":[],\"refused\":{" REFUSED "},\"networks\":["
#define NETWORK                                                                                    \
	"{\"name\":\"cloud-k3s\",\"interface\":\"wr-cloud-k3s\",\"backend\":\"kernel\","           \
	"\"port\":51830,\"addresses\":[\"10.36.50.2\"],\"standby\":[],\"up\":true,\"peers\":["
#define PEER(name, ranges)                                                                         \
	"{\"id\":\"bbbbbbbbbbbbbbbb\",\"name\":\"" name "\",\"addresses\":[\"10.36.50.1\"],"       \
	"\"rx_bytes\":0,\"tx_bytes\":0,\"orphan\":false,\"ranges\":[" ranges "]}"
#define END "]}]}"

/* What stands below the head of the network. */
static const char *below(const char *answer)
{
	static struct run w;
	const char *at;

	w = (struct run){ .status = 200, .answer = answer };
	run(&w, "status");
	CHECK_STR(buf_cstr(&w.err), "");
	CHECK_INT(w.exit, 0);
	at = strstr(buf_cstr(&w.out), "\nnetwork cloud-k3s");
	CHECK(at);
	at = strchr(at + 1, '\n');
	CHECK(at);
	return at + 1;
}

TEST(ranges_of_each_peer)
{
	CHECK_STR(below(HEAD NETWORK PEER("dc1-n1", "\"10.42.0.0/16\",\"10.43.0.0/16\"") "," PEER(
			  "cloud-n2", "") END),
		  "  PEER      ADDRESSES   ENDPOINT  HANDSHAKE  RX   TX\n"
		  "  dc1-n1    10.36.50.1  -         never      0 B  0 B\n"
		  "  cloud-n2  10.36.50.1  -         never      0 B  0 B\n"
		  "  through dc1-n1: 10.42.0.0/16 10.43.0.0/16\n");
}

TEST(many_ranges_are_whole_and_within_80_columns)
{
	const char *out =
		below(HEAD NETWORK PEER("dc1-n1", "\"10.142.0.0/16\",\"10.143.0.0/16\","
						  "\"10.144.0.0/16\",\"10.145.0.0/16\","
						  "\"10.46.0.0/16\",\"fd00:1:2:3::/64\"") END);

	CHECK(strstr(out, "\n  through dc1-n1: 10.142.0.0/16 10.143.0.0/16 10.144.0.0/16"
			  " 10.145.0.0/16\n"
			  "    10.46.0.0/16 fd00:1:2:3::/64\n"));
}

TEST(who_is_not_in_says_why)
{
	static struct run w = { .status = 200, .answer = HEAD "]}" };
	static struct run because = {
		.status = 200,
		.answer = "{\"node\":{\"id\":\"aaaaaaaaaaaaaaaa\",\"name\":\"n\",\"mesh\":\"m\"},"
			  "\"broker\":{\"connected\":true},\"coordinator\":{\"present\":true},"
			  "\"journals\":[],\"problems\":[\"the token expired\"],"
			  "\"refused\":{" REFUSED "},\"networks\":[]}"
	};

	run(&w, "status --ready --network dc1");
	CHECK_INT(w.exit, 1);
	CHECK_STR(buf_cstr(&w.err), "warren: network dc1 is not up: this machine is not in it\n");
	run(&because, "status --ready --network dc1");
	CHECK_INT(because.exit, 1);
	CHECK_STR(buf_cstr(&because.err),
		  "warren: network dc1 is not up: this machine is not in it; the token expired\n");
}

TEST_MAIN("status")

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren ping NODE|ADDRESS|NAME
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/icmp.h"
#include "cli/say.h"
#include "lib/clock.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/api.h"

#define COUNT_DEFAULT 4
#define TIMEOUT_MS 2000

/* What WireGuard and the routes say, in our words. */
static const char *echo_error(int r)
{
	switch (-r) {
	case ETIMEDOUT:
		return "no answer";
	case ENOKEY:
		return "no peer of this machine has this address";
	case EDESTADDRREQ:
		return "no usable endpoint of the peer is known; see `warren status`";
	default:
		return strerror(-r);
	}
}

struct tally {
	uint64_t sent, received, sum_us, min_us, max_us;
};

static void ping_once(int fd, const struct api_resolved *to, uint64_t sequence, struct tally *t)
{
	char text[ADDR_SIZE];
	uint64_t us;
	int r = icmp_echo(fd, &to->address, (uint16_t)sequence, TIMEOUT_MS, &us);

	t->sent++;
	addr_format(&to->address, text);
	if (r < 0) {
		say("%s: seq=%" PRIu64 " %s", text, sequence, echo_error(r));
	} else {
		say("%s: seq=%" PRIu64 " time=%" PRIu64 ".%03" PRIu64 " ms", text, sequence,
		    us / 1000, us % 1000);
		t->received++;
		t->sum_us += us;
		t->min_us = t->received == 1 ? us : MIN(t->min_us, us);
		t->max_us = MAX(t->max_us, us);
	}
	fflush(stdout);
}

static void tally_print(const struct tally *t)
{
	if (!t->received)
		say("%" PRIu64 " sent, none answered", t->sent);
	else
		say("%" PRIu64 " sent, %" PRIu64 " answered, %.3f/%.3f/%.3f ms min/avg/max",
		    t->sent, t->received, (double)t->min_us / 1e3,
		    (double)t->sum_us / (double)t->received / 1e3, (double)t->max_us / 1e3);
}

static void ping(const struct api_resolved *to, uint64_t count, struct tally *t)
{
	int fd = icmp_open(&to->address);

	if (fd < 0)
		opt_fail(1, "cannot send ICMP: %s; try as root", strerror(-fd));
	for (uint64_t i = 1; i <= count; i++) {
		uint64_t begin = clock_mono(), took;

		ping_once(fd, to, i, t);
		took = clock_mono() - begin;
		if (i < count && took < USEC_PER_SEC)
			usleep((useconds_t)(USEC_PER_SEC - took));
	}
	close(fd);
}

/* What the word means, without saying it twice. */
static void target_print(const char *word, const struct api_resolved *to)
{
	const char *name = to->name && strcmp(to->name, word) != 0 ? to->name : NULL;
	char text[ADDR_SIZE];
	bool is_address = strcmp(addr_format(&to->address, text), word) == 0;

	if (to->gateway)
		say("%s is in a range that %s carries in %s", word, to->gateway, to->network);
	else
		say("%s is %s%s%s in %s%s", word, name ? name : "", name && !is_address ? ", " : "",
		    name && is_address ? "" : text, to->network, to->self ? " (this machine)" : "");
}

int cmd_ping(int argc, char **argv)
{
	struct api_resolved to = { 0 };
	struct arena a = { 0 };
	struct buf path = { 0 };
	struct tally t = { 0 };
	uint64_t count = COUNT_DEFAULT;
	const char *count_text = NULL;
	const struct opt opts[] = {
		{ .name = "count",
		  .kind = OPT_VALUE,
		  .arg = "N",
		  .help = "how many requests (4)",
		  .value = &count_text },
		{ 0 },
	};

	opt_parse(argc, argv,
		  &(struct opt_command){
			  .synopsis = "ping NODE|ADDRESS|NAME [--count N]",
			  .about = "Sends ICMP echo requests through the mesh, one a second. Exit "
				   "status 1 when none is answered.",
			  .opts = opts,
			  .min_args = 1,
			  .max_args = 1 });
	if (count_text && u64_parse(count_text, 1, 1000000, &count) < 0)
		opt_fail(2, "--count: %s is not a number from 1 to 1000000", count_text);
	client_path(&path, "/v1/resolve?what=", argv[1], NULL);
	client_get(SERVER_AGENT, buf_cstr(&path), &a, api_resolved_fields, &to);
	target_print(argv[1], &to);
	ping(&to, count, &t);
	tally_print(&t);
	arena_done(&a);
	buf_done(&path);
	return t.received ? 0 : 1;
}

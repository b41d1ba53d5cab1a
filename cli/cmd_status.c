/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren status
 */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/table.h"
#include "lib/clock.h"
#include "lib/opt.h"
#include "schemas/api.h"

#define LINE_WIDTH 80

static void head_print(const struct api_status *s)
{
	bool joined = s->node.mesh != NULL;

	say("node         %s (%s)", s->node.name ? s->node.name : "-", s->node.id);
	say("site         %s", s->node.site ? s->node.site : "-");
	say("mesh         %s", joined ? s->node.mesh : "none; `warren join TOKEN` joins one");
	if (joined) {
		say("broker       %s%s", s->broker.url ? s->broker.url : "-",
		    s->broker.connected ? ", connected" : ", not connected");
		if (s->broker.error)
			say("             %s", s->broker.error);
		say("coordinator  %s", s->coordinator.present ? "present" : "away");
	}
	for (size_t i = 0; i < s->problem_count; i++)
		say("problem      %s", s->problems[i]);
}

static const char *peer_name(const struct api_status_peer *p)
{
	return p->name ? p->name : p->id;
}

/* What is reached through the peer, below the table: a column would have no room for it. */
static void ranges_print(const struct api_status_peer *p)
{
	struct buf line = { 0 };
	char text[PREFIX_SIZE];

	buf_printf(&line, "  through %s:", peer_name(p));
	for (size_t i = 0; i < p->range_count; i++) {
		prefix_format(&p->ranges[i], text);
		if (line.len + 1 + strlen(text) > LINE_WIDTH) {
			say("%s", buf_cstr(&line));
			buf_clear(&line);
			buf_add(&line, "   ", 3);
		}
		buf_printf(&line, " %s", text);
	}
	say("%s", buf_cstr(&line));
	buf_done(&line);
}

static void peers_print(const struct api_status_network *n)
{
	struct table t = { .indent = "  " };
	char endpoint[ENDPOINT_SIZE];

	table_begin(&t, "PEER", "ADDRESSES", "ENDPOINT", "HANDSHAKE", "RX", "TX", NULL);
	for (size_t i = 0; i < n->peer_count; i++) {
		const struct api_status_peer *p = &n->peers[i];

		table_cell(&t, "%s%s", peer_name(p), p->orphan ? " (orphan)" : "");
		table_addresses(&t, p->addresses, p->address_count);
		table_text(&t, p->endpoint.addr.family ? endpoint_format(&p->endpoint, endpoint) :
							 NULL);
		table_ago(&t, p->last_handshake);
		table_bytes(&t, p->rx_bytes);
		table_bytes(&t, p->tx_bytes);
	}
	table_print(&t);
	for (size_t i = 0; i < n->peer_count; i++)
		if (n->peers[i].range_count)
			ranges_print(&n->peers[i]);
	for (size_t i = 0; i < n->peer_count; i++)
		if (n->peers[i].problem)
			say("  %s: %s", peer_name(&n->peers[i]), n->peers[i].problem);
}

static void network_print(const struct api_status_network *n)
{
	struct buf line = { 0 };
	char text[ADDR_SIZE];

	for (size_t i = 0; i < n->address_count; i++)
		buf_printf(&line, ", %s", addr_format(&n->addresses[i], text));
	puts("");
	say("network %s: %s%s, port %u, %s WireGuard", n->name, n->interface, buf_cstr(&line),
	    n->port, n->backend);
	buf_done(&line);
	if (n->problem)
		say("  problem: %s", n->problem);
	for (size_t i = 0; i < n->standby_count; i++)
		say("  standby: %s", n->standby[i]);
	if (n->peer_count)
		peers_print(n);
	else
		say("  no peers");
}

/* What an exporter publishes, as long as that is nothing. */
static void unread_print(const struct api_status_journal *j)
{
	const char *exporter = strrchr(j->path, '/') + 1;

	if (!j->epoch && strstr(j->path, "/dns/"))
		say("  exporter %s has published nothing yet: unless its site's one before did, names "
		    "that the network does not have are answered SERVFAIL; see `warren exporter "
		    "list`",
		    exporter);
}

static void journals_print(const struct api_status *s)
{
	struct table t = { .indent = "  " };
	char when[CLOCK_RFC3339_SIZE];

	if (!s->journal_count)
		return;
	puts("\njournals:");
	table_begin(&t, "PATH", "EPOCH", "VERSION", "ORPHANS", "STALE SINCE", NULL);
	for (size_t i = 0; i < s->journal_count; i++) {
		const struct api_status_journal *j = &s->journals[i];

		if (j->stale_since)
			clock_rfc3339(j->stale_since, when);
		table_text(&t, j->path);
		table_cell(&t, "%llu", (unsigned long long)j->epoch);
		table_cell(&t, "%llu", (unsigned long long)j->ver);
		table_cell(&t, "%llu", (unsigned long long)j->orphans);
		table_text(&t, j->stale_since ? when : NULL);
	}
	table_print(&t);
	for (size_t i = 0; i < s->journal_count; i++)
		unread_print(&s->journals[i]);
}

static void refused_print(const struct api_status_refused *r)
{
	const struct {
		const char *cause;
		uint64_t count;
	} causes[] = {
		{ "size", r->size },	 { "json", r->json },
		{ "schema", r->schema }, { "duplicate_key", r->duplicate_key },
		{ "key", r->key },	 { "signer", r->signer },
		{ "place", r->place },	 { "old", r->old },
		{ "chunk", r->chunk },	 { "mesh", r->mesh },
		{ "grant", r->grant },
	};
	struct buf line = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
		if (causes[i].count)
			buf_printf(&line, "%s%s %llu", line.len ? ", " : "", causes[i].cause,
				   (unsigned long long)causes[i].count);
	if (line.len) {
		puts("");
		say("documents refused since the agent was started: %s", buf_cstr(&line));
	}
	buf_done(&line);
}

static void status_print(const struct buf *answer)
{
	struct api_status s = { 0 };
	struct arena a = { 0 };

	client_decode(SERVER_AGENT, answer, &a, api_status_fields, &s);
	head_print(&s);
	for (size_t i = 0; i < s.network_count; i++)
		network_print(&s.networks[i]);
	journals_print(&s);
	refused_print(&s.refused);
	arena_done(&a);
}

/* 0, or 1 with a sentence. No answer at all ends with 3. */
static int ready(const struct buf *answer, const char *network)
{
	struct api_status s = { 0 };
	struct arena a = { 0 };
	const struct api_status_network *n = NULL;
	const char *problem;
	int status = 0;

	client_decode(SERVER_AGENT, answer, &a, api_status_fields, &s);
	for (size_t i = 0; network && i < s.network_count; i++)
		if (strcmp(s.networks[i].name, network) == 0)
			n = &s.networks[i];
	problem = s.problem_count ? s.problems[0] : NULL;
	if (network && !n) {
		fprintf(stderr, "warren: network %s is not up: this machine is not in it%s%s\n",
			network, problem ? "; " : "", problem ? problem : "");
		status = 1;
	} else if (network && !n->up) {
		fprintf(stderr, "warren: network %s is not up: %s\n", network,
			n->problem ? n->problem :
			problem	   ? problem :
				     "the agent has not applied it yet");
		status = 1;
	}
	arena_done(&a);
	return status;
}

int cmd_status(int argc, char **argv)
{
	struct buf answer = { 0 };
	const char *network = NULL;
	bool json = false, is_ready = false;
	const struct opt opts[] = {
		{ .name = "ready",
		  .kind = OPT_FLAG,
		  .help = "print nothing, and end with 0 when the agent answers; for probes",
		  .flag = &is_ready },
		{ .name = "network",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "with --ready: and this network is up",
		  .value = &network },
		COMMAND_JSON(json),
		{ 0 },
	};
	int status = 0;

	opt_parse(
		argc, argv,
		&(struct opt_command){ .synopsis = "status [--ready [--network NAME]]",
				       .about = "Shows this machine's networks and peers, and what "
						"it hears from broker and coordinator.",
				       .opts = opts });
	if (network && !is_ready)
		opt_fail(2, "--network goes with --ready; try --help");
	if (is_ready && json)
		opt_fail(2, "--ready prints nothing, also not --json");
	client_call(SERVER_AGENT, "GET", "/v1/status", NULL, &answer);
	if (is_ready)
		status = ready(&answer, network);
	else if (json)
		client_print_json(SERVER_AGENT, &answer);
	else
		status_print(&answer);
	buf_done(&answer);
	return status;
}

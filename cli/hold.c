/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The holder of a membership: a request to the agent that stays open. Owns nothing; one thread.
 */
#include "cli/hold.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/say.h"
#include "lib/addr.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/opt.h"
#include "schemas/api.h"
#include "schemas/token.h"

#define JOIN_MS 45000
#define STATUS_MS 5000
#define AGENT_SECONDS 1 /* between two looks for an agent */
#define PLACE_SECONDS 5 /* between two tries for a place */

struct hold {
	char network[LABEL_SIZE];
	struct buf join; /* the request */
	char said[512];	 /* each sentence once, until another one comes */
};

static void say_once(struct hold *h, const char *sentence)
{
	if (strcmp(h->said, sentence) == 0)
		return;
	snprintf(h->said, sizeof(h->said), "%s", sentence);
	say("%s", sentence);
	fflush(stdout);
}

static bool is_code(const struct buf *answer, const char *code)
{
	const char *got, *message;
	struct arena a = { 0 };
	bool is;

	client_refusal(answer, &a, &got, &message);
	is = strcmp(got, code) == 0;
	arena_done(&a);
	return is;
}

static void say_refusal(struct hold *h, const struct buf *answer)
{
	const char *code, *message;
	struct arena a = { 0 };

	client_refusal(answer, &a, &code, &message);
	say_once(h, *message ? message : "the agent refused, and gave no reason");
	arena_done(&a);
}

static void no_agent(struct hold *h)
{
	say_once(h, "no agent answers on this machine; waiting for it");
	sleep(AGENT_SECONDS);
}

/* True: it is joined. False: to be tried again; *ret_end >= 0: never. */
static bool join_once(struct hold *h, int *ret_end)
{
	struct buf answer = { 0 };
	int status =
		client_try(SERVER_AGENT, "POST", "/v1/join", buf_cstr(&h->join), JOIN_MS, &answer);

	if (status < 0) {
		no_agent(h);
	} else if (status != 200) {
		say_refusal(h, &answer);
		if (status < 500 && !is_code(&answer, "at_most"))
			*ret_end = 1;
		else
			sleep(PLACE_SECONDS);
	}
	buf_done(&answer);
	return status == 200;
}

/* This machine is in the network, so that it can be held. */
static bool is_member(const struct hold *h)
{
	struct api_status s = { 0 };
	struct json_error err;
	struct buf answer = { 0 };
	struct arena a = { 0 };
	bool is = false;

	if (client_try(SERVER_AGENT, "GET", "/v1/status", NULL, STATUS_MS, &answer) == 200 &&
	    json_decode(&a, buf_cstr(&answer), answer.len, api_status_fields, &s, &err) == 0)
		for (size_t i = 0; i < s.network_count; i++)
			is |= strcmp(s.networks[i].name, h->network) == 0;
	arena_done(&a);
	buf_done(&answer);
	return is;
}

/* Holds until that ends. True: join again. */
static bool hold_once(struct hold *h, int *ret_end)
{
	struct api_hold request = { .network = h->network };
	struct buf body = { 0 }, answer = { 0 };
	char sentence[LABEL_SIZE + 32];
	bool join = false;
	int status;

	/* The request has no answer before the end. */
	if (is_member(h)) {
		snprintf(sentence, sizeof(sentence), "holding network %s", h->network);
		say_once(h, sentence);
	}
	json_encode(&body, api_hold_fields, &request);
	status = client_try(SERVER_AGENT, "POST", "/v1/hold", buf_cstr(&body), 0, &answer);
	if (status < 0 || status == 503) {
		no_agent(h);
	} else if (status == 404) {
		join = true;
	} else if (status == 410 && !is_code(&answer, "left")) {
		say_refusal(h, &answer);
		sleep(PLACE_SECONDS);
		join = true;
	} else {
		say_refusal(h, &answer);
		*ret_end = status == 410 ? 0 : 1;
	}
	buf_done(&body);
	buf_done(&answer);
	return join;
}

/* The first process of a container has no default action: without this it would not end. Nothing is
 * left to do: that the request ends tells the agent. */
static void on_signal(int sig)
{
	(void)sig;
	_exit(0);
}

static void end_on_signals(void)
{
	const struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

int hold_run(char *text, const char *name)
{
	_cleanup_(freep) char *wish = name ? xstrdup(name) : NULL;
	struct api_join request = { .token = text, .name = wish };
	struct hold h = { 0 };
	struct token token;
	char why[256];
	int end = -1;

	end_on_signals();
	if (token_parse(text, &token, why, sizeof(why)) < 0)
		opt_fail(1, "the token cannot be read: %s", why);
	snprintf(h.network, sizeof(h.network), "%s", token.network);
	token_done(&token);
	json_encode(&h.join, api_join_fields, &request);
	crypto_wipe(text, strlen(text));
	/* What this machine is in already is held at once, whoever is out of reach. */
	while (end < 0) {
		if (!hold_once(&h, &end) || end >= 0)
			continue;
		while (end < 0 && !join_once(&h, &end))
			;
	}
	buf_done(&h.join);
	return end;
}

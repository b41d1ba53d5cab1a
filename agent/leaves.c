/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Leaving. Owns the leaves that wait for the coordinator's answer. One thread.
 */
#include "agent/leaves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"

#define ANSWER_USEC (5 * USEC_PER_SEC)
#define LATER_USEC (60 * USEC_PER_SEC)

/* One network of a leave. */
struct part {
	struct agent *agent;
	struct leave *leave;
	char *network;
	struct session_request *request;
	bool told, open;
};

struct leave {
	struct leave *next;
	struct agent *agent;
	struct part *parts;
	size_t count;
	leave_done *done;
	void *owner;
};

static void leave_free(struct leave *l)
{
	struct leave **at = &l->agent->leaves;

	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
	for (size_t i = 0; i < l->count; i++)
		free(l->parts[i].network);
	free(l->parts);
	free(l);
}

/* All are answered: tear down, and say so. */
static void finish(struct leave *l)
{
	char **networks = xcalloc(l->count + 1, sizeof(*networks));
	struct leave_outcome o = { .networks = networks, .count = l->count, .told = true };
	struct agent *a = l->agent;

	for (size_t i = 0; i < l->count; i++) {
		networks[i] = l->parts[i].network;
		o.told &= l->parts[i].told;
	}
	agent_work(a);
	if (l->done)
		l->done(l->owner, &o);
	free(networks);
	leave_free(l);
}

static void close_part(struct part *p)
{
	struct network *n = memberships_get(&p->agent->memberships, p->network);
	struct leave *l = p->leave;

	p->open = false;
	/* One that was joined again meanwhile is not left by what was asked before. */
	if (!n || n->leaving) {
		if (!p->told)
			state_leaving_put(p->agent->state, p->network);
		if (n)
			n->ended = true;
	}
	for (size_t i = 0; i < l->count; i++)
		if (l->parts[i].open)
			return;
	finish(l);
}

static void answered(void *owner, const struct node_response *response, const uint8_t *hash,
		     const char *document)
{
	struct part *p = owner;

	(void)hash;
	(void)document;
	p->request = NULL;
	/* A refusal can only mean that there was nothing to leave. */
	p->told |= response != NULL;
	if (response && response->refused)
		log_info("leave-refused", "network=%s why=%s", p->network,
			 log_quote(response->refused->message));
	close_part(p);
}

static struct session_request *tell(struct agent *a, const char *network, uint64_t timeout,
				    session_done *done, void *owner)
{
	_cleanup_(freep) char *copy = xstrdup(network);
	struct node_request q = { .op = NODE_OP_LEAVE, .network = copy };

	return session_ask(a->session, &q, NULL, timeout, done, owner);
}

int leave_begin(struct agent *a, const char *network, leave_done *done, void *owner)
{
	struct leave *l;
	size_t count = 0;

	if (network && !memberships_get(&a->memberships, network))
		return -ENOENT;
	l = xcalloc(1, sizeof(*l));
	l->agent = a;
	l->done = done;
	l->owner = owner;
	l->parts = xcalloc(a->memberships.count + 1, sizeof(*l->parts));
	for (size_t i = 0; i < a->memberships.count; i++) {
		struct network *n = a->memberships.list[i];

		if (network && strcmp(n->name, network) != 0)
			continue;
		n->leaving = true;
		l->parts[count++] = (struct part){
			.agent = a, .leave = l, .network = xstrdup(n->name), .open = true
		};
	}
	l->count = count;
	l->next = a->leaves;
	a->leaves = l;
	if (!session_is_connected(a->session)) {
		for (size_t i = 0; i < count; i++) {
			struct network *n = memberships_get(&a->memberships, l->parts[i].network);

			l->parts[i].open = false;
			state_leaving_put(a->state, l->parts[i].network);
			n->ended = true;
		}
		finish(l);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		l->parts[i].request =
			tell(a, l->parts[i].network, ANSWER_USEC, answered, &l->parts[i]);
	if (count == 0)
		finish(l);
	return 0;
}

void leaves_disown(struct agent *a, void *owner)
{
	for (struct leave *l = a->leaves; l; l = l->next)
		if (l->owner == owner)
			l->done = NULL;
}

void leaves_heard(struct agent *a, const char *network)
{
	for (struct leave *l = a->leaves; l; l = l->next)
		for (size_t i = 0; i < l->count; i++)
			if (l->parts[i].open && strcmp(l->parts[i].network, network) == 0)
				l->parts[i].told = true;
}

/* ---- what could not be told at its time ---- */

struct telling {
	struct telling *next;
	struct agent *agent;
	char *network;
};

static void told_later(void *owner, const struct node_response *response, const uint8_t *hash,
		       const char *document)
{
	struct telling *t = owner, **at = &t->agent->tellings;

	(void)hash;
	(void)document;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (response) {
		log_info("leave-told", "network=%s", t->network);
		state_leaving_del(t->agent->state, t->network);
		agent_work_soon(t->agent);
	}
	free(t->network);
	free(t);
}

static bool is_being_told(const struct agent *a, const char *network)
{
	for (const struct telling *t = a->tellings; t; t = t->next)
		if (strcmp(t->network, network) == 0)
			return true;
	return false;
}

void leaves_tell(struct agent *a)
{
	struct arena arena = { 0 };
	char **networks;
	size_t count = state_leaving_list(a->state, &arena, &networks);

	for (size_t i = 0; i < count && session_is_connected(a->session); i++) {
		struct telling *t;

		if (is_being_told(a, networks[i]))
			continue;
		t = xcalloc(1, sizeof(*t));
		t->agent = a;
		t->network = xstrdup(networks[i]);
		t->next = a->tellings;
		a->tellings = t;
		tell(a, t->network, LATER_USEC, told_later, t);
	}
	arena_done(&arena);
}

void leaves_free(struct agent *a)
{
	while (a->leaves) {
		struct leave *l = a->leaves;

		for (size_t i = 0; i < l->count; i++)
			if (l->parts[i].request && a->session)
				session_cancel(a->session, l->parts[i].request);
		leave_free(l);
	}
}

bool leaves_are_untold(const struct agent *a)
{
	struct arena arena = { 0 };
	char **networks;
	size_t count = state_leaving_list(a->state, &arena, &networks);

	arena_done(&arena);
	return count > 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Joining. Owns the list of joins; the first one is being worked on. One thread.
 */
#include "agent/joins.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/follow.h"
#include "agent/names.h"
#include "agent/networks.h"
#include "agent/own.h"
#include "agent/peers.h"
#include "lib/clock.h"
#include "lib/log.h"

#define PORT_GUESS 51830 /* most networks' first port; what differs is announced afterwards */
#define PORTS 256	 /* from the network's first one on */
#define AGAIN_FIRST (5 * USEC_PER_SEC)
#define AGAIN_MAX (60 * USEC_PER_SEC)
#define APPLY_USEC (10 * USEC_PER_SEC) /* from the coordinator's consent, at least */

enum phase {
	PHASE_WAITING, /* for its turn, or until it is tried again */
	PHASE_ENROLLING,
	PHASE_ASKING,	/* over our own connection */
	PHASE_APPLYING, /* admitted */
};

struct join {
	struct join *next;
	struct agent *agent;
	struct token token;
	char *name;		      /* wished; NULL: the host's */
	uint8_t private_key[KEY_LEN]; /* WireGuard's */
	uint16_t port;		      /* announced; 0: not ours to open, or none is free */
	enum phase phase;
	bool patient;
	bool opened;	   /* the interface is there early */
	uint64_t deadline; /* of one that is not patient */
	uint64_t again, backoff;
	struct loop_timer timer;
	struct enrol *enrol;
	struct session_request *request;
	char error[512]; /* of a patient one: why nobody answered yet; "": somebody did */
	join_done *done;
	void *owner;
};

/* ---- the end ---- */

static void stop(struct join *j)
{
	enrol_cancel(TAKE(j->enrol));
	if (j->request && j->agent->session)
		session_cancel(j->agent->session, j->request);
	j->request = NULL;
	if (j->opened)
		apply_early_end(j->agent->apply);
	j->opened = false;
	loop_timer_del(j->agent->loop, &j->timer);
}

static void join_free(struct join *j)
{
	struct join **at = &j->agent->joins;

	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	stop(j);
	token_done(&j->token);
	crypto_wipe(j->private_key, KEY_LEN);
	free(j->name);
	free(j);
}

static void end(struct join *j, const struct join_outcome *o)
{
	struct agent *a = j->agent;
	join_done *done = j->done;
	void *owner = j->owner;

	if (o->code)
		log_warn("join-failed", "network=%s token=%s code=%s why=%s", j->token.network,
			 j->token.id, o->code, log_quote(o->message));
	else
		log_info("joined", "network=%s name=%s", o->network->name,
			 o->network->membership.name);
	if (o->code && j->patient) {
		snprintf(a->token_problem, sizeof(a->token_problem), "the join with token %s: %s",
			 j->token.id, o->message);
		snprintf(a->token_network, sizeof(a->token_network), "%s", j->token.network);
	} else if (!o->code && strcmp(a->token_network, j->token.network) == 0) {
		*a->token_problem = '\0'; /* another token did it */
	}
	if (done)
		done(owner, o);
	join_free(j);
	agent_work_soon(a);
}

static void PRINTF(4, 5)
	fail(struct join *j, unsigned status, const char *code, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	end(j, &(struct join_outcome){ .status = status, .code = code, .message = message });
}

/* Nobody answered: a patient one waits for the next time. */
static void unreachable(struct join *j, const char *why)
{
	struct agent *a = j->agent;
	struct join **at = &a->joins;

	if (!j->patient) {
		fail(j, 503, "unreachable", "%s", why);
		return;
	}
	stop(j);
	log_warn("join-waits", "network=%s why=%s", j->token.network, log_quote(why));
	snprintf(j->error, sizeof(j->error), "the join with token %s: %s", j->token.id, why);
	j->phase = PHASE_WAITING;
	j->backoff = j->backoff ? MIN(2 * j->backoff, AGAIN_MAX) : AGAIN_FIRST;
	j->again = clock_mono() + j->backoff;
	loop_timer_set(a->loop, &j->timer, j->again);
	/* Others have their turn meanwhile. */
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	while (*at)
		at = &(*at)->next;
	*at = j;
	j->next = NULL;
	agent_work_soon(a);
}

/* ---- the answer ---- */

static const struct membership *membership_of(const struct join *j,
					      const struct join_answer *answer)
{
	for (size_t i = 0; i < answer->membership_count; i++)
		if (strcmp(answer->memberships[i].network, j->token.network) == 0)
			return &answer->memberships[i];
	return NULL;
}

static void take_mesh(struct join *j, const struct join_answer *answer)
{
	struct agent *a = j->agent;

	if (a->trust && memcmp(a->trust->root_key, j->token.root_key, KEY_LEN) != 0) {
		state_mesh_forget(a->state);
		trust_free(a->trust);
		a->trust = NULL;
		a->config_seq = a->coordinator_seq = 0;
	}
	if (!a->trust)
		a->trust = trust_new(j->token.root_key);
	a->keyring_agent.trust = a->trust;
	/* Checked before; an older one than ours teaches us nothing. */
	if (trust_take(a->trust, answer->trust, strlen(answer->trust), NULL))
		log_debug("join-trust", "older than ours");
	free(a->certificate);
	free(a->site);
	a->certificate = xstrdup(answer->certificate);
	a->site = answer->site ? xstrdup(answer->site) : NULL;
}

static void set_minimums(struct network *n, const struct join_answer *answer, const char *topic,
			 const char *document)
{
	for (size_t i = 0; i < answer->journal_count; i++) {
		struct journal_position at = { answer->journals[i].epoch, answer->journals[i].ver };
		const char *path = answer->journals[i].path;

		if (strcmp(path, follow_path(n->follow_gateways)) == 0)
			follow_set_minimum(n->follow_gateways, at, topic, document);
		else if (n->follow_peers && strcmp(path, follow_path(n->follow_peers)) == 0)
			follow_set_minimum(n->follow_peers, at, topic, document);
		else
			names_set_minimum(n, path, at, topic, document);
	}
}

static void admitted(struct join *j, const struct join_answer *answer, const char *topic,
		     const char *document)
{
	const struct membership *m = membership_of(j, answer);
	struct agent *a = j->agent;
	struct network *n;

	if (!m) {
		fail(j, 502, "answer", "the coordinator's answer does not name network %s",
		     j->token.network);
		return;
	}
	state_begin(a->state);
	take_mesh(j, answer);
	agent_store_mesh(a);
	n = memberships_put(&a->memberships, a->state, m, j->private_key, clock_wall());
	if (n && n->peers) {
		n->ended = n->leaving = false;
		network_membership_changed(n);
	} else if (n) {
		network_start(a, n);
	}
	if (n)
		set_minimums(n, answer, topic, document);
	if (n)
		own_joined(n, answer);
	state_token_put(a->state, j->token.id, j->token.network);
	state_leaving_del(a->state, j->token.network);
	state_commit(a->state);
	state_flush_soon(a->state);
	if (!n) {
		fail(j, 502, "answer", "the coordinator's answer cannot be used");
		return;
	}
	/* The network may want other ports. */
	if (!n->port && (j->port < n->first_port || j->port - n->first_port >= PORTS)) {
		n->port = apply_free_port(&a->memberships, n, n->first_port);
		memberships_store(a->state, n);
	}
	*j->error = '\0';
	j->phase = PHASE_APPLYING;
	/* Others wait for their turn meanwhile, and the deadline may have come while we were asking. */
	loop_timer_set(a->loop, &j->timer, MAX(j->deadline, clock_mono() + APPLY_USEC));
	/* The certificate names the networks. */
	a->reconnect = a->session != NULL;
	agent_work(a);
	apply_full_soon(a->apply);
}

static void enrolled(void *owner, const struct enrol_result *r)
{
	struct join *j = owner;

	j->enrol = NULL; /* it frees itself */
	j->phase = PHASE_WAITING;
	if (r->answer)
		admitted(j, &r->answer->body, r->answer->topic, r->answer->document);
	else if (r->unreachable)
		unreachable(j, r->error);
	else
		fail(j, 403, r->code ? r->code : "refused", "%s", r->error);
}

static void answered(void *owner, const struct node_response *response, const uint8_t *hash,
		     const char *document)
{
	struct join *j = owner;
	struct agent *a = j->agent;
	struct topic t = { .kind = TOPIC_RSP };
	char topic[TOPIC_SIZE], why[256];

	j->request = NULL;
	j->phase = PHASE_WAITING;
	if (!response && !a->session) {
		/* We were put out of our last network meanwhile: by the other way, then. */
		agent_work_soon(a);
	} else if (!response) {
		unreachable(j, session_is_connected(a->session) ?
				       "the coordinator does not answer (the broker does); is it"
				       " running?" :
				       session_error(a->session));
	} else if (response->refused || (response->join && response->join->refused)) {
		const struct refusal_body *r = response->refused ? response->refused :
								   response->join->refused;

		fail(j, 403, r->code, "%s", r->message);
	} else if (!response->join || enrol_check_body(&a->identity, a->trust, hash, response->join,
						       clock_wall(), why, sizeof(why))) {
		fail(j, 502, "answer", "%s", response->join ? why : "the answer is for no join");
	} else {
		memcpy(t.id, a->identity.key.id, KEY_ID_SIZE);
		topic_format(a->trust->mesh, &t, topic);
		admitted(j, response->join, topic, document);
	}
}

/* ---- the request ---- */

/* The key that the network has, or a new one. */
static void choose_key(struct join *j, uint8_t ret_public[static KEY_LEN])
{
	const struct network *n = memberships_get(&j->agent->memberships, j->token.network);

	if (n)
		memcpy(j->private_key, n->private_key, KEY_LEN);
	else
		wireguard_key_generate(j->private_key, ret_public);
	wireguard_key_public(j->private_key, ret_public);
}

/* Others hear of us with the answer at the latest. */
static void open_early(void *owner)
{
	struct join *j = owner;
	char interface[INTERFACE_SIZE];

	if (!j->port)
		return;
	interface_name(j->token.network, interface);
	j->opened = true;
	apply_early(j->agent->apply, interface, j->private_key, j->port);
}

static void ask(struct join *j)
{
	struct agent *a = j->agent;
	struct network *known = memberships_get(&a->memberships, j->token.network);
	uint8_t public_key[KEY_LEN];
	uint16_t port;
	char *endpoints[PEER_ENDPOINTS_MAX];
	struct node_request q = { .op = NODE_OP_JOIN };
	struct join_request request;
	struct enrol_wish wish = { 0 };
	struct sign_key token_key;
	struct arena arena = { 0 };

	choose_key(j, public_key);
	j->port = known ? 0 : apply_free_port(&a->memberships, NULL, PORT_GUESS);
	port = known ? known->port : j->port;
	wish.name = j->name ? j->name : agent_wished_name(a, &arena);
	wish.site = a->memberships.count ? NULL : a->o.site;
	wish.wireguard_key = public_key;
	wish.endpoints = endpoints;
	wish.endpoint_count = announce_list(a, &arena, port ? port : PORT_GUESS, endpoints);
	/* With a certificate that has ended nobody connects: then as at the first time. */
	if (a->memberships.count && a->session &&
	    (session_is_connected(a->session) || !renew_has_ended(a->renew))) {
		uint64_t timeout = JOIN_SECONDS * USEC_PER_SEC;

		j->phase = PHASE_ASKING;
		open_early(j);
		sign_key_from_secret(j->token.private_key, &token_key);
		enrol_request(&arena, &j->token, &a->identity, &wish, &request);
		q.join = &request;
		j->request = session_ask(a->session, &q, &token_key, timeout, answered, j);
		sign_key_done(&token_key);
	} else {
		j->phase = PHASE_ENROLLING;
		if (a->session)
			session_free(TAKE(a->session), false);
		j->enrol = enrol_start(a->loop, &j->token, &a->identity, &wish, clock_wall,
				       enrolled, j);
		enrol_before_sending(j->enrol, open_early);
	}
	arena_done(&arena);
}

static bool is_other_mesh(const struct join *j)
{
	const struct agent *a = j->agent;

	return a->trust && a->memberships.count &&
	       memcmp(a->trust->root_key, j->token.root_key, KEY_LEN) != 0;
}

/* Its turn. */
static void start(struct join *j)
{
	struct agent *a = j->agent;

	if (is_other_mesh(j)) {
		fail(j, 409, "mesh",
		     "the token is of mesh %s, and this node is in mesh %s; one agent serves one"
		     " mesh: leave that one first",
		     j->token.mesh, a->trust->mesh);
	} else if (agent_need_kernel(a) < 0) {
		fail(j, 500, "kernel", "this host cannot be in a network: %s", a->kernel_problem);
	} else if (state_settle(a->state) < 0) {
		fail(j, 507, "state", "this node's keys cannot be stored: %s",
		     state_problem(a->state));
	} else {
		ask(j);
	}
}

static void check_applied(struct join *j)
{
	const struct network *n = memberships_get(&j->agent->memberships, j->token.network);

	if (!n)
		fail(j, 409, "ended", "the membership in network %s ended again", j->token.network);
	else if (network_is_applied(n))
		end(j, &(struct join_outcome){ .status = 200, .network = n });
}

void joins_check(struct agent *a)
{
	uint64_t now = clock_mono();
	struct join *j = a->joins;

	if (j && j->phase == PHASE_APPLYING)
		check_applied(j);
	j = a->joins;
	if (!j || j->phase != PHASE_WAITING)
		return;
	while (j && j->again > now)
		j = j->next;
	if (!j)
		return;
	/* The one being worked on is the first. */
	for (struct join **at = &a->joins; *at; at = &(*at)->next)
		if (*at == j) {
			*at = j->next;
			break;
		}
	j->next = a->joins;
	a->joins = j;
	start(j);
}

/* ---- */

/* Nobody waits for a patient one: what its network lacks is said of that. */
static void let_go(struct join *j)
{
	log_warn("join-not-applied", "network=%s goes on in the background", j->token.network);
	join_free(j);
}

static void fired(struct loop_timer *t)
{
	struct join *j = container_of(t, struct join, timer);
	struct agent *a = j->agent;
	const struct network *n = memberships_get(&a->memberships, j->token.network);

	if (j->patient) {
		if (j->phase == PHASE_APPLYING)
			let_go(j);
		agent_work_soon(a);
	} else if (j->phase == PHASE_APPLYING && n && *n->problem) {
		fail(j, 503, "apply", "joined %s, but it is not up: %s", n->name, n->problem);
	} else if (j->phase == PHASE_APPLYING) {
		fail(j, 503, "journal",
		     "joined %s, but its journal is not read yet (broker: %s); it is gone on with",
		     j->token.network,
		     session_is_connected(a->session) ? "connected" : a->broker_error);
	} else if (j->phase == PHASE_WAITING) {
		fail(j, 503, "busy", "another join is still waiting for its answer");
	}
}

static void refuse(const char *code, const char *message, join_done *done, void *owner)
{
	log_warn("join-failed", "code=%s why=%s", code, log_quote(message));
	if (done)
		done(owner,
		     &(struct join_outcome){ .status = 400, .code = code, .message = message });
}

void join_begin(struct agent *a, const char *text, const char *name, bool patient, join_done *done,
		void *owner)
{
	struct join *j = xcalloc(1, sizeof(*j)), **at = &a->joins;
	char why[256];

	if (token_parse(text, &j->token, why, sizeof(why)) < 0) {
		if (patient) {
			snprintf(a->token_problem, sizeof(a->token_problem), "--token: %s", why);
			*a->token_network = '\0';
		}
		refuse("token", why, done, owner);
		free(j);
		return;
	}
	j->agent = a;
	j->name = name ? xstrdup(name) : NULL;
	j->patient = patient;
	j->done = done;
	j->owner = owner;
	j->timer.fired = fired;
	if (!patient) {
		j->deadline = clock_mono() + JOIN_SECONDS * USEC_PER_SEC;
		loop_timer_set(a->loop, &j->timer, j->deadline);
	}
	while (*at)
		at = &(*at)->next;
	*at = j;
	agent_work_soon(a);
}

void joins_disown(struct agent *a, void *owner)
{
	for (struct join *j = a->joins; j; j = j->next)
		if (j->owner == owner)
			j->done = NULL;
}

void joins_free(struct agent *a)
{
	while (a->joins)
		join_free(a->joins);
}

int joins_from_options(struct agent *a, char *why, size_t why_size)
{
	for (const char *const *t = a->o.tokens; t && *t; t++) {
		struct token token;
		char what[256];

		if (token_parse(*t, &token, what, sizeof(what)) == 0) {
			bool had = memberships_get(&a->memberships, token.network) ||
				   state_token_used(a->state, token.id);

			token_done(&token);
			if (had)
				continue;
		} else if (!a->memberships.count) {
			snprintf(why, why_size, "--token: %s", what);
			return -EINVAL;
		}
		/* What is wrong with it is told by the join itself. */
		join_begin(a, *t, NULL, true, NULL, NULL);
	}
	return 0;
}

const char *joins_problem(const struct agent *a)
{
	for (const struct join *j = a->joins; j; j = j->next)
		if (*j->error)
			return j->error;
	return *a->token_problem ? a->token_problem : NULL;
}

bool joins_is_enrolling(const struct agent *a)
{
	return a->joins && a->joins->phase == PHASE_ENROLLING;
}

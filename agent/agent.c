/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent's life: starting in the order of what must not wait, the connection as long as there is
 * something to be connected for, and the end. Owns everything in struct agent.
 */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/brokers.h"
#include "agent/control.h"
#include "agent/inbox.h"
#include "agent/holders.h"
#include "agent/joins.h"
#include "agent/leaves.h"
#include "agent/names.h"
#include "agent/networks.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"

#define KERNEL_RETRY (10 * USEC_PER_SEC)
#define RENEW_ANSWER (20 * USEC_PER_SEC)

/* ---- storing ---- */

void agent_store_mesh(struct agent *a)
{
	struct state_mesh m = { .certificate = a->certificate, .site = a->site };

	if (!a->trust || !a->certificate)
		return;
	memcpy(m.root_key, a->trust->root_key, KEY_LEN);
	m.trust = a->trust->bytes.data;
	state_mesh_put(a->state, &m);
}

static void rewrite(void *owner)
{
	struct agent *a = owner;
	struct state_identity i = { .tls_key = a->identity.tls_key };
	_cleanup_(freep) char *config = xasprintf("a/%s/config", a->identity.key.id);

	memcpy(i.secret, a->identity.key.secret, KEY_LEN);
	state_identity_put(a->state, &i);
	crypto_wipe(i.secret, KEY_LEN);
	agent_store_mesh(a);
	if (a->config_seq)
		state_register_put(a->state, config, a->config_seq, NULL);
	if (a->coordinator_seq)
		state_register_put(a->state, "c/state", a->coordinator_seq, NULL);
	for (size_t n = 0; n < a->memberships.count; n++) {
		memberships_store(a->state, a->memberships.list[n]);
		network_rewrite(a->memberships.list[n]);
	}
}

char *agent_wished_name(const struct agent *a, struct arena *arena)
{
	char host[256] = "";

	if (a->o.name)
		return arena_strdup(arena, a->o.name);
	if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
		return arena_strdup(arena, "node");
	return arena_strdup(arena, host);
}

/* ---- the connection ---- */

static void on_connected(void *owner)
{
	struct agent *a = owner;

	*a->broker_error = '\0';
	for (size_t i = 0; i < a->memberships.count; i++)
		network_connected(a->memberships.list[i]);
	leaves_tell(a);
	announce_soon(a);
	renew_soon(a->renew);
}

static void on_disconnected(void *owner, const char *error)
{
	struct agent *a = owner;

	if (strcmp(a->broker_error, error) != 0)
		log_warn("broker-disconnected", "error=%s", log_quote(error));
	snprintf(a->broker_error, sizeof(a->broker_error), "%s", error);
	a->coordinator_present = false;
}

static size_t list_holders(void *owner, struct arena *arena, struct holder_state **ret)
{
	return holders_list(owner, arena, ret);
}

static void brokers_moved(void *owner)
{
	struct agent *a = owner;

	if (a->apply)
		apply_full_soon(a->apply);
}

static void know_brokers(struct agent *a)
{
	if (a->trust)
		brokers_set(a->brokers, a->trust->body.brokers, a->trust->body.broker_count);
}

static void tend_session(struct agent *a)
{
	bool wanted = a->trust && a->certificate && !joins_is_enrolling(a) &&
		      (a->memberships.count || leaves_are_untold(a));
	struct session *old = a->session;

	if (old && (!wanted || a->reconnect)) {
		a->session = NULL;
		a->coordinator_present = false;
		/* Whoever has just left is not to leave a trace of presence behind. */
		session_free(old, false);
	}
	a->reconnect = false;
	if (!wanted || a->session)
		return;
	renew_use(a->renew, a->certificate);
	know_brokers(a);
	a->session = session_new(&(struct session_config){
		.loop = a->loop,
		.state = a->state,
		.identity = &a->identity,
		.trust = a->trust,
		.certificate = a->certificate,
		.present = a->memberships.count > 0,
		.holders = list_holders,
		.connected = on_connected,
		.disconnected = on_disconnected,
		.message = inbox_message,
		.owner = a,
	});
}

/* ---- the certificate ---- */

static void renew_done(void *owner, const struct node_response *response, const uint8_t *hash,
		       const char *document)
{
	struct agent *a = owner;

	(void)hash;
	(void)document;
	if (!a->session) /* it was ended by us, and with it what was asked */
		renew_use(a->renew, a->certificate);
	else if (!response)
		renew_unanswered(a->renew);
	else
		renew_answered(a->renew, a->trust, response->certificate,
			       response->refused ? response->refused->message : NULL);
}

static bool renew_ask(void *owner, const char *csr)
{
	_cleanup_(freep) char *copy = xstrdup(csr);
	struct node_request q = { .op = NODE_OP_RENEW, .csr = copy };
	struct agent *a = owner;

	if (!session_is_connected(a->session) || !a->memberships.count)
		return false;
	session_ask(a->session, &q, NULL, RENEW_ANSWER, renew_done, a);
	return true;
}

static void renew_store(void *owner, const char *certificate)
{
	struct agent *a = owner;

	free(a->certificate);
	a->certificate = xstrdup(certificate);
	agent_store_mesh(a);
	state_flush_soon(a->state);
}

static bool renew_reconnect(void *owner, bool now)
{
	struct agent *a = owner;

	if (!now && (a->joins || a->leaves || a->tellings))
		return false;
	a->reconnect = true;
	agent_work_soon(a);
	return true;
}

static bool renew_is_alone(void *owner)
{
	const struct agent *a = owner;

	return !session_is_connected(a->session) || !a->coordinator_present;
}

/* ---- networks that ended ---- */

static void tear_down(struct agent *a, struct network *n)
{
	_cleanup_(freep) char *name = xstrdup(n->name);

	log_info("network-ended", "network=%s why=%s", name, n->leaving ? "left" : "removed");
	holders_end(a->holders, n);
	if (n->leaving)
		state_token_forget(a->state, name);
	network_stop(n);
	if (a->apply)
		apply_forget(a->apply, n);
	if (a->kernel)
		kernel_unask(a->kernel, n->interface);
	memberships_del(&a->memberships, a->state, n);
	if (a->apply)
		apply_full(a->apply);
	leaves_heard(a, name);
}

void agent_work(struct agent *a)
{
	loop_timer_del(a->loop, &a->work);
	for (size_t i = 0; i < a->memberships.count;)
		if (a->memberships.list[i]->ended)
			tear_down(a, a->memberships.list[i]);
		else
			i++;
	joins_check(a);
	tend_session(a);
}

static void work_fired(struct loop_timer *t)
{
	agent_work(container_of(t, struct agent, work));
}

void agent_work_soon(struct agent *a)
{
	if (!a->work.added)
		loop_timer_set(a->loop, &a->work, loop_now(a->loop));
}

/* ---- the kernel ---- */

static void kernel_changed(void *owner)
{
	struct agent *a = owner;

	announce_addresses(a);
	apply_full_soon(a->apply);
}

static void applied(void *owner)
{
	struct agent *a = owner;

	announce_soon(a);
	if (a->joins)
		agent_work_soon(a);
}

int agent_need_kernel(struct agent *a)
{
	const struct kernel_config c = {
		.backend = a->o.backend,
		.firewall_report = a->o.firewall_report,
		.forwarding = a->o.forwarding,
		.wireguard_go = a->o.wireguard_go,
		.changed = kernel_changed,
		.owner = a,
	};
	int r;

	if (a->kernel)
		return 0;
	r = kernel_new(a->loop, &c, &a->kernel);
	if (r < 0) {
		a->kernel = NULL;
		if (strcmp(a->kernel_problem, kernel_message(NULL)) != 0)
			log_error("no-kernel", "error=%s", log_quote(kernel_message(NULL)));
		snprintf(a->kernel_problem, sizeof(a->kernel_problem), "%s", kernel_message(NULL));
		loop_timer_set(a->loop, &a->kernel_retry, clock_mono() + KERNEL_RETRY);
		return r;
	}
	*a->kernel_problem = '\0';
	loop_timer_del(a->loop, &a->kernel_retry);
	a->apply = apply_new(&(struct apply_config){
		.loop = a->loop,
		.kernel = a->kernel,
		.state = a->state,
		.memberships = &a->memberships,
		.site = (const char *const *)&a->site,
		.brokers = a->brokers,
		.done = applied,
		.owner = a,
	});
	announce_addresses(a);
	for (size_t i = 0; i < a->memberships.count; i++)
		network_kernel_came(a->memberships.list[i]);
	apply_full(a->apply);
	return 0;
}

static void kernel_retry_fired(struct loop_timer *t)
{
	struct agent *a = container_of(t, struct agent, kernel_retry);

	if (agent_need_kernel(a) < 0)
		log_debug("no-kernel", "still");
}

/* ---- the beginning ---- */

static bool node_key(void *owner, const char *network, const char *id, uint8_t ret[static KEY_LEN])
{
	static const uint8_t none[KEY_LEN];
	const struct agent *a = owner;
	const struct network *n = network ? memberships_get(&a->memberships, network) : NULL;
	const struct peer_entry *e = n && n->peers ? peers_get(n->peers, id) : NULL;

	if (strcmp(id, a->identity.key.id) == 0) {
		memcpy(ret, a->identity.key.public_key, KEY_LEN);
		return true;
	}
	if (!e || memcmp(e->identity_key, none, KEY_LEN) == 0)
		return false;
	memcpy(ret, e->identity_key, KEY_LEN);
	return true;
}

static bool exporter_key(void *owner, const char *network, const char *id,
			 uint8_t ret[static KEY_LEN])
{
	const struct agent *a = owner;
	const struct network *n = network ? memberships_get(&a->memberships, network) : NULL;

	return n && names_exporter_key(n, id, ret);
}

static int load_mesh(struct agent *a, char *why, size_t why_size)
{
	_cleanup_(freep) char *config = xasprintf("a/%s/config", a->identity.key.id);
	struct state_mesh m = { 0 };
	struct arena arena = { 0 };
	enum refusal refused = REFUSED_NOT;
	int r = state_mesh_get(a->state, &arena, &m);

	if (r == 0) {
		a->trust = trust_new(m.root_key);
		refused = trust_take(a->trust, m.trust, strlen(m.trust), NULL);
		a->certificate = xstrdup(m.certificate);
		a->site = m.site ? xstrdup(m.site) : NULL;
		if (refused) {
			snprintf(why, why_size, "the trust document in the state is damaged (%s)",
				 refusal_names[refused]);
			r = -EBADMSG;
		}
	} else if (r == -ENOENT) {
		r = 0;
	} else {
		snprintf(why, why_size, "the state cannot be read: %s", strerror(-r));
	}
	arena_done(&arena);
	a->keyring_agent.trust = a->trust;
	a->config_seq = state_register_seq(a->state, config);
	a->coordinator_seq = state_register_seq(a->state, "c/state");
	return r;
}

int agent_open(struct agent *a, struct loop *l, const struct agent_options *o, char *why,
	       size_t why_size)
{
	int r;

	a->loop = l;
	a->o = *o;
	a->work.fired = work_fired;
	a->kernel_retry.fired = kernel_retry_fired;
	a->announce.fired = announce_fired;
	a->keyring_agent.node_key = node_key;
	a->keyring_agent.exporter_key = exporter_key;
	a->keyring_agent.owner = a;
	a->keyring = keyring_agent_get(&a->keyring_agent);
	a->brokers = brokers_new(l, brokers_moved, a);
	a->renew = renew_new(&(struct renew_config){
		.loop = l,
		.identity = &a->identity,
		.ask = renew_ask,
		.renewed = renew_store,
		.reconnect = renew_reconnect,
		.is_alone = renew_is_alone,
		.owner = a,
	});
	r = state_open(o->state, l, &a->state, why, why_size);
	if (r < 0)
		return r;
	state_on_rewrite(a->state, rewrite, a);
	r = identity_load(a->state, &a->identity);
	if (r < 0 && r != -EIO) {
		snprintf(why, why_size, "the identity in the state cannot be read");
		return r;
	}
	r = load_mesh(a, why, why_size);
	if (r < 0)
		return r;
	know_brokers(a);
	memberships_load(&a->memberships, a->state);
	return 0;
}

int agent_start(struct agent *a, struct loop *l, const struct agent_options *o, char *why,
		size_t why_size)
{
	int r = agent_open(a, l, o, why, why_size);

	if (r < 0)
		return r;
	log_info("agent", "node=%s networks=%zu", a->identity.key.id, a->memberships.count);
	r = names_new(a, &a->names, why, why_size);
	if (r < 0)
		return r;
	for (size_t i = 0; i < a->memberships.count; i++)
		network_start(a, a->memberships.list[i]);
	a->holders = holders_new(a);
	r = control_new(a, &a->control, why, why_size);
	if (r < 0)
		return r;
	if (agent_need_kernel(a) < 0)
		log_warn("waiting-for-kernel", "every 10 s");
	r = joins_from_options(a, why, why_size);
	if (r < 0)
		return r;
	agent_work_soon(a);
	return 0;
}

void agent_stop(struct agent *a)
{
	holders_free(a->holders);
	a->holders = NULL;
	control_free(a->control);
	joins_free(a);
	leaves_free(a);
	session_free(TAKE(a->session), true);
	renew_free(a->renew);
	for (size_t i = 0; i < a->memberships.count; i++)
		network_stop(a->memberships.list[i]);
	names_free(a->names);
	apply_free(a->apply);
	kernel_free(a->kernel);
	brokers_free(a->brokers);
	if (a->loop) {
		loop_timer_del(a->loop, &a->work);
		loop_timer_del(a->loop, &a->kernel_retry);
		loop_timer_del(a->loop, &a->announce);
	}
	state_close(a->state);
	memberships_done(&a->memberships);
	keyring_agent_done(&a->keyring_agent);
	trust_free(a->trust);
	identity_done(&a->identity);
	free(a->certificate);
	free(a->site);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter in a cluster. Owns the API client, the lease, the Secret and the source. One thread.
 */
#include "exporter/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_lease.h"
#include "exporter/kube_secret.h"
#include "exporter/kube_trouble.h"
#include "lib/log.h"
#include "lib/text.h"

struct cluster {
	struct exporter *x;
	struct kube_api *api;
	const char *secret_name; /* NULL: the state is a folder */
	struct kube_lease *lease;
	struct kube_secret *secret;
	struct source_kubernetes *source;
	const struct source_events *events;
	uint64_t connection; /* ours are above it */
	char uid[65];	     /* of the cluster; "": not known */
	struct arena arena;  /* of what is being written */
	struct state_mesh mesh;
	bool open;
	char lease_trouble[KUBE_WHY_SIZE], secret_trouble[KUBE_WHY_SIZE];
};

static void keep(char ret[static KUBE_WHY_SIZE], const char *what, const char *sentence)
{
	kube_trouble_log(what, sentence);
	snprintf(ret, KUBE_WHY_SIZE, "%s", sentence ? sentence : "");
}

/* ---- the Secret ---- */

static int fill(struct cluster *c, const struct secret_state *s)
{
	struct state *state = c->x->state;
	int r = state_identity_put(state, s->secret, s->tls_key);

	if (r == 0 && s->mesh)
		r = state_mesh_put(state, s->mesh);
	if (r == 0 && s->cluster) {
		snprintf(c->uid, sizeof(c->uid), "%s", s->cluster);
		r = state_cluster(state, c->uid);
	}
	c->connection = s->connection + SECRET_CONNECTIONS;
	return r;
}

static void loaded(void *owner, const struct secret_state *s)
{
	struct cluster *c = owner;
	struct exporter *x = c->x;
	int r = state_open(NULL, &x->state, x->failed, sizeof(x->failed));

	c->connection = SECRET_CONNECTIONS;
	if (r == 0 && s)
		r = fill(c, s);
	if (r == 0)
		r = state_connection_begin(x->state, c->connection);
	if (r == 0)
		r = state_identity(x->state, &x->identity);
	if (r < 0)
		exporter_fail(x, state_message());
	else
		kube_secret_store(c->secret);
}

static void wanted(void *owner, struct secret_state *ret)
{
	struct cluster *c = owner;

	arena_done(&c->arena);
	c->mesh = (struct state_mesh){ 0 };
	memcpy(ret->secret, c->x->identity.key.secret, KEY_LEN);
	ret->tls_key = c->x->identity.tls_key;
	ret->connection = c->connection;
	ret->cluster = *c->uid ? c->uid : NULL;
	if (state_mesh_get(c->x->state, &c->arena, &c->mesh) == 0)
		ret->mesh = &c->mesh;
}

static void stored(void *owner)
{
	struct cluster *c = owner;

	if (c->open)
		return;
	c->open = true;
	(void)exporter_open(c->x);
}

static void secret_failed(void *owner, const char *sentence)
{
	struct cluster *c = owner;

	exporter_fail(c->x, sentence);
}

static void secret_trouble(void *owner, const char *sentence)
{
	struct cluster *c = owner;

	keep(c->secret_trouble, "secrets", sentence);
}

/* ---- the lead ---- */

static void led(void *owner)
{
	struct cluster *c = owner;

	log_info("leading", "lease=%s", c->secret_name);
	c->secret = kube_secret_new(&(struct kube_secret_config){ .loop = c->x->loop,
								  .api = c->api,
								  .name = c->secret_name,
								  .loaded = loaded,
								  .state = wanted,
								  .stored = stored,
								  .failed = secret_failed,
								  .trouble = secret_trouble,
								  .owner = c });
}

static void lost(void *owner)
{
	struct cluster *c = owner;

	log_warn("lead-lost", "lease=%s holder=%s", c->secret_name,
		 log_quote(kube_lease_holder(c->lease)));
	exporter_lost(c->x);
}

static void lease_trouble(void *owner, const char *sentence)
{
	struct cluster *c = owner;

	keep(c->lease_trouble, "leases", sentence);
}

/* ---- which cluster ---- */

static int is_cluster(void *owner, const char *uid)
{
	struct cluster *c = owner;
	int r = state_cluster(c->x->state, uid);

	if (r == 0 && !*c->uid) {
		snprintf(c->uid, sizeof(c->uid), "%s", uid);
		cluster_store(c);
	}
	return r;
}

/* ---- the source's events go on to the exporter ---- */

static int records(void *owner, const struct map *m)
{
	struct cluster *c = owner;

	return c->events->records(c->x, m);
}

static int changes(void *owner, const struct map *m)
{
	struct cluster *c = owner;

	return c->events->changes(c->x, m);
}

static void ranges(void *owner, const struct prefix *list, size_t count)
{
	struct cluster *c = owner;

	c->events->ranges(c->x, list, count);
}

static void failed(void *owner, const char *sentence)
{
	struct cluster *c = owner;

	c->events->failed(c->x, sentence);
}

static size_t count(void *owner)
{
	struct cluster *c = owner;

	return c->events->count(c->x);
}

/* ---- life ---- */

int cluster_new(struct exporter *x, struct cluster **ret)
{
	struct cluster *c = xcalloc(1, sizeof(*c));
	char why[KUBE_WHY_SIZE];
	int r;

	c->x = x;
	*ret = c;
	r = kube_api_new(x->loop, x->o.kubeconfig, &c->api, why);
	if (r < 0) {
		exporter_fail(x, why);
		return r;
	}
	if (strncmp(x->o.state, CLUSTER_SECRET, strlen(CLUSTER_SECRET)) != 0)
		return exporter_open(x);
	c->secret_name = x->o.state + strlen(CLUSTER_SECRET);
	c->lease = kube_lease_new(&(struct kube_lease_config){ .loop = x->loop,
							       .api = c->api,
							       .name = c->secret_name,
							       .led = led,
							       .lost = lost,
							       .trouble = lease_trouble,
							       .owner = c });
	return 0;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	source_kubernetes_free(c->source);
	kube_secret_free(c->secret);
	if (c->lease)
		kube_lease_release(c->lease);
	kube_lease_free(c->lease);
	kube_api_free(c->api);
	arena_done(&c->arena);
	free(c);
}

void cluster_follow(struct cluster *c, const struct source_events *events)
{
	static const struct source_events ours = { .records = records,
						   .changes = changes,
						   .ranges = ranges,
						   .failed = failed,
						   .count = count };
	const struct exporter_options *o = &c->x->o;
	size_t n = 0;

	while (o->namespaces && o->namespaces[n])
		n++;
	c->events = events;
	c->source = source_kubernetes_new(
		&(struct source_kubernetes_config){ .loop = c->x->loop,
						    .api = c->api,
						    .namespaces = o->namespaces,
						    .namespace_count = n,
						    .export_default = !o->annotated,
						    .events = &ours,
						    .cluster = is_cluster,
						    .owner = c });
}

void cluster_store(struct cluster *c)
{
	if (c->secret)
		kube_secret_store(c->secret);
}

bool cluster_is_standby(const struct cluster *c)
{
	return c->lease && !kube_lease_leads(c->lease) && !*c->lease_trouble &&
	       *kube_lease_holder(c->lease);
}

bool cluster_is_ready(const struct cluster *c, char ret_why[static KUBE_WHY_SIZE])
{
	const char *why = *c->lease_trouble  ? c->lease_trouble :
			  *c->secret_trouble ? c->secret_trouble :
			  !c->source	     ? "it has not begun yet" :
					       NULL;

	if (why)
		snprintf(ret_why, KUBE_WHY_SIZE, "%s", why);
	return !why && source_kubernetes_is_ready(c->source, ret_why);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cluster's services. Owns the watches and the store. One thread.
 */
#include "exporter/source_kubernetes.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_store.h"
#include "exporter/kube_text.h"
#include "exporter/kube_trouble.h"
#include "exporter/kube_watch.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "schemas/join.h"

#define TIMEOUT_MS 10000
#define AGAIN_FIRST USEC_PER_SEC
#define AGAIN_DOUBLED 5		       /* up to 32 s */
#define TELL_AGAIN (10 * USEC_PER_SEC) /* what was not taken */
#define DISCOVERY_PATH "/apis/discovery.k8s.io"
#define CLUSTER_PATH "/api/v1/namespaces/kube-system"

static const struct {
	const char *name, *object, *path, *selector;
	bool optional;
} kinds[KUBE_KINDS] = {
	[KUBE_SERVICES] = { "services", "Service", "/api/v1/services", NULL, false },
	[KUBE_SLICES] = { "endpointslices", "EndpointSlice", NULL, /* by its version */
			  "service.kubernetes.io/headless", false },
	[KUBE_NAMESPACES] = { "namespaces", "Namespace", "/api/v1/namespaces", NULL, false },
	[KUBE_NODES] = { "nodes", "Node", "/api/v1/nodes", NULL, true },
	[KUBE_SERVICE_CIDRS] = { "servicecidrs", "ServiceCIDR",
				 "/apis/networking.k8s.io/v1/servicecidrs", NULL, true },
};

/* One question, asked until it is answered. */
struct question {
	const char *resource; /* that it is about, in the log */
	struct kube_call *call;
	unsigned tries;
	bool open;
	bool stale;		     /* its answer will be of before */
	char trouble[KUBE_WHY_SIZE]; /* what keeps it from being answered; "": nothing */
};

struct followed {
	struct source_kubernetes *source;
	enum kube_kind kind;
	struct kube_watch *watch;
	char *trouble;
};

struct source_kubernetes {
	struct source_kubernetes_config c;
	struct kube_store *store;
	struct followed followed[KUBE_KINDS];
	struct question discovery, cluster;
	bool asked_about_get; /* said that we may not ask which cluster it is */
	bool told, failed;
	bool whole;	     /* the next is the whole truth */
	int not_taken;	     /* why the last was not, 0: it was */
	uint64_t not_before; /* what was not taken is not told again at each change */
	uint64_t ranges_version;
	struct loop_timer timer, tell;
};

/* ---- telling ---- */

static void tell_soon(struct source_kubernetes *s, uint64_t in)
{
	loop_timer_set(s->c.loop, &s->tell, MAX(loop_now(s->c.loop) + in, s->not_before));
}

static void tell_ranges(struct source_kubernetes *s)
{
	struct prefix ranges[STATE_RANGES_MAX];
	size_t count;

	if (s->told && s->ranges_version == kube_store_ranges_version(s->store))
		return;
	count = kube_store_ranges(s->store, ranges, ARRAY_SIZE(ranges));
	s->ranges_version = kube_store_ranges_version(s->store);
	if (count > ARRAY_SIZE(ranges))
		log_warn("ranges-too-many", "found=%zu offered=%d", count, STATE_RANGES_MAX);
	s->c.events->ranges(s->c.owner, ranges, MIN(count, ARRAY_SIZE(ranges)));
}

static int tell_records(struct source_kubernetes *s)
{
	struct map *map = map_new();
	bool whole = s->whole;
	int r;

	if (whole)
		kube_store_records(s->store, map);
	else
		kube_store_changes(s->store, map);
	r = whole	   ? s->c.events->records(s->c.owner, map) :
	    map_count(map) ? s->c.events->changes(s->c.owner, map) :
			     0;
	if (r == 0 && whole)
		log_info("records", "count=%zu", map_count(map));
	s->whole = r < 0;
	map_free(map, free);
	if (whole)
		malloc_trim(0);
	return r;
}

static void tell(struct loop_timer *t)
{
	struct source_kubernetes *s = container_of(t, struct source_kubernetes, tell);
	int r;

	if (!kube_store_is_complete(s->store) || s->cluster.open || s->failed)
		return;
	r = tell_records(s);
	if (r < 0) {
		if (r != s->not_taken)
			log_error("services-not-published", "error=%s", log_quote(source_error(r)));
		s->not_taken = r;
		s->not_before = loop_now(s->c.loop) + TELL_AGAIN;
		tell_soon(s, 0);
		return;
	}
	s->not_taken = 0;
	s->not_before = 0;
	tell_ranges(s);
	s->told = true;
}

static void refused(void *owner, const char *name, const char *reason)
{
	(void)owner;
	log_warn(name ? "service-not-exported" : "object-unreadable", "%s%s why=%s",
		 name ? "service=" : "object=", name ? log_quote(name) : "-", log_quote(reason));
}

/* ---- which cluster ---- */

static void look_again(struct source_kubernetes *s, uint64_t in)
{
	loop_timer_set(s->c.loop, &s->timer, loop_now(s->c.loop) + in);
}

/* What was answered is no answer: said when it is another sentence. */
static void ask_again(struct source_kubernetes *s, struct question *q, const char *what, int status,
		      const char *text, size_t len)
{
	struct kube_status st = { 0 };
	char why[KUBE_WHY_SIZE];

	if (status == 200) {
		snprintf(why, sizeof(why), "%s: the API server's answer does not say it", what);
	} else if (status < 0) {
		snprintf(why, sizeof(why), "%s: %.*s", what, (int)MIN(len, (size_t)400), text);
	} else {
		kube_status_read(text, len, &st);
		snprintf(why, sizeof(why), "%s: the API server answers %d: %s", what, status,
			 st.message);
	}
	if (strcmp(why, q->trouble) != 0)
		kube_trouble_log(q->resource, why);
	snprintf(q->trouble, sizeof(q->trouble), "%s", why);
	look_again(s, AGAIN_FIRST << MIN(q->tries, (unsigned)AGAIN_DOUBLED));
	q->tries++;
}

struct object {
	struct kube_metadata metadata;
};

static const struct json_field object_fields[] = {
	KUBE_METADATA(struct object),
	JSON_END,
};

static int compare_cluster(struct source_kubernetes *s, const char *text, size_t len)
{
	struct object o = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	int r = json_decode(&a, text, len, object_fields, &o, &err);

	if (r == 0)
		r = o.metadata.uid ? s->c.cluster(s->c.owner, o.metadata.uid) : -EBADMSG;
	arena_done(&a);
	return r;
}

static void answered(struct question *q)
{
	if (*q->trouble)
		kube_trouble_log(q->resource, NULL);
	*q = (struct question){ .resource = q->resource };
}

static void cluster_known(struct source_kubernetes *s)
{
	answered(&s->cluster);
	tell_soon(s, 0);
}

static void cluster_done(void *owner, int status, const char *text, size_t len)
{
	struct source_kubernetes *s = owner;
	int r = 0;

	s->cluster.call = NULL;
	if (s->cluster.stale) {
		s->cluster.stale = false;
		look_again(s, 0);
		return;
	}
	if (status == 403) {
		if (!s->asked_about_get)
			kube_trouble_log(
				"namespaces",
				"may not get the namespace kube-system, which says which cluster this "
				"is; add to the rules of our ClusterRole: {apiGroups: [\"\"], resources: "
				"[namespaces], resourceNames: [kube-system], verbs: [get]}");
		s->asked_about_get = true;
		cluster_known(s);
		return;
	}
	if (status == 200)
		r = compare_cluster(s, text, len);
	if (status == 200 && r == 0) {
		cluster_known(s);
	} else if (r == -EEXIST) {
		s->failed = true;
		s->c.events->failed(
			s->c.owner,
			"the API server is now that of another cluster: its namespace kube-system is "
			"not the one that was here before; nothing of it is published. If the "
			"exporter is to speak for this cluster, remove its state and start it with "
			"a token");
	} else {
		/* The answer was good, our state is not. */
		if (r < 0 && r != -EBADMSG) {
			status = r;
			text = source_error(r);
			len = strlen(text);
		}
		ask_again(s, &s->cluster, "which cluster this is", status, text, len);
	}
}

/* ---- what is followed ---- */

static void begin(void *owner)
{
	struct followed *f = owner;

	/* A new listing may be of another cluster: it is not told before that is known. */
	f->source->cluster.open = true;
	f->source->cluster.stale = f->source->cluster.call;
	look_again(f->source, 0);
	kube_store_begin(f->source->store, f->kind);
}

static void put(void *owner, const char *object, size_t len)
{
	struct followed *f = owner;

	kube_store_put(f->source->store, f->kind, object, len);
	tell_soon(f->source, 0);
}

static void del(void *owner, const char *object, size_t len)
{
	struct followed *f = owner;

	kube_store_del(f->source->store, f->kind, object, len);
	tell_soon(f->source, 0);
}

static void end(void *owner)
{
	struct followed *f = owner;

	kube_store_end(f->source->store, f->kind);
	tell_soon(f->source, 0);
}

static void trouble(void *owner, const char *sentence)
{
	struct followed *f = owner;

	if (sentence || f->trouble)
		kube_trouble_log(kinds[f->kind].name, sentence);
	free(f->trouble);
	f->trouble = sentence ? xstrdup(sentence) : NULL;
}

static void follow(struct source_kubernetes *s, enum kube_kind kind, const char *version)
{
	static const struct kube_watch_events events = {
		.begin = begin, .put = put, .del = del, .end = end, .trouble = trouble
	};
	char path[128];

	if (kind == KUBE_SLICES)
		snprintf(path, sizeof(path), DISCOVERY_PATH "/%s/endpointslices", version);
	s->followed[kind].watch = kube_watch_new(
		&(struct kube_watch_config){ .loop = s->c.loop,
					     .api = s->c.api,
					     .path = kind == KUBE_SLICES ? path : kinds[kind].path,
					     .selector = kinds[kind].selector,
					     .kind = kinds[kind].object,
					     .optional = kinds[kind].optional,
					     .events = &events,
					     .owner = &s->followed[kind] });
}

/* ---- the version of EndpointSlices ---- */

struct version {
	char *version;
};

struct group {
	struct version *versions;
	size_t version_count;
};

static const struct json_field version_fields[] = {
	JSON_FIELD(struct version, version, JSON_STRING, .max = 63),
	JSON_END,
};

static const struct json_field group_fields[] = {
	JSON_LIST(struct group, versions, version_count, JSON_OBJECT, .fields = version_fields,
		  .max = 32),
	JSON_END,
};

static const char *pick_version(const char *text, size_t len)
{
	struct group g = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	const char *best = NULL;

	if (json_decode(&a, text, len, group_fields, &g, &err) == 0)
		for (size_t i = 0; i < g.version_count; i++) {
			if (strcmp(g.versions[i].version, "v1") == 0)
				best = "v1";
			else if (!best && strcmp(g.versions[i].version, "v1beta1") == 0)
				best = "v1beta1";
		}
	arena_done(&a);
	return best;
}

static void discovered(void *owner, int status, const char *text, size_t len)
{
	struct source_kubernetes *s = owner;
	const char *version = status == 200 ? pick_version(text, len) : NULL;

	s->discovery.call = NULL;
	if (!version) {
		ask_again(s, &s->discovery, "which version endpointslices have", status, text, len);
		return;
	}
	answered(&s->discovery);
	follow(s, KUBE_SLICES, version);
}

static void ask(struct source_kubernetes *s, struct question *q, const char *path,
		void (*done)(void *owner, int status, const char *text, size_t len))
{
	if (!q->open || q->call)
		return;
	q->call = kube_api_call(s->c.api, &(struct kube_request){ .method = "GET",
								  .path = path,
								  .timeout_ms = TIMEOUT_MS,
								  .done = done,
								  .owner = s });
}

static void fired(struct loop_timer *t)
{
	struct source_kubernetes *s = container_of(t, struct source_kubernetes, timer);

	if (s->failed)
		return;
	ask(s, &s->discovery, DISCOVERY_PATH, discovered);
	ask(s, &s->cluster, CLUSTER_PATH, cluster_done);
}

/* ---- life ---- */

struct source_kubernetes *source_kubernetes_new(const struct source_kubernetes_config *c)
{
	struct source_kubernetes *s = xcalloc(1, sizeof(*s));

	s->c = *c;
	s->whole = true;
	s->timer.fired = fired;
	s->tell.fired = tell;
	s->store =
		kube_store_new(&(struct kube_store_config){ .namespaces = c->namespaces,
							    .namespace_count = c->namespace_count,
							    .export_default = c->export_default,
							    .refused = refused,
							    .owner = s });
	s->discovery = (struct question){ .resource = "endpointslices", .open = true };
	s->cluster = (struct question){ .resource = "cluster", .open = true };
	for (unsigned i = 0; i < KUBE_KINDS; i++) {
		s->followed[i] = (struct followed){ .source = s, .kind = i };
		if (i != KUBE_SLICES)
			follow(s, i, NULL);
	}
	look_again(s, 0);
	return s;
}

void source_kubernetes_free(struct source_kubernetes *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < KUBE_KINDS; i++) {
		kube_watch_free(s->followed[i].watch);
		free(s->followed[i].trouble);
	}
	kube_call_cancel(s->discovery.call);
	kube_call_cancel(s->cluster.call);
	loop_timer_del(s->c.loop, &s->timer);
	loop_timer_del(s->c.loop, &s->tell);
	kube_store_free(s->store);
	free(s);
}

bool source_kubernetes_is_ready(const struct source_kubernetes *s,
				char ret_why[static KUBE_WHY_SIZE])
{
	const char *why = *s->cluster.trouble	? s->cluster.trouble :
			  *s->discovery.trouble ? s->discovery.trouble :
						  NULL;

	for (unsigned i = 0; i < KUBE_KINDS && !why; i++)
		why = s->followed[i].trouble;
	if (why) {
		snprintf(ret_why, KUBE_WHY_SIZE, "%s", why);
		return false;
	}
	if (!s->told)
		snprintf(ret_why, KUBE_WHY_SIZE, "the cluster's services were not listed yet");
	return s->told;
}

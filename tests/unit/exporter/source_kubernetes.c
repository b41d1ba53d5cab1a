/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When the source tells what, against an API server that answers as each test wants.
 */
#include "exporter/source_kubernetes.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/fakes/api_server.h"
#include "tests/test.h"
#include "tests/turn.h"

#define META "\"metadata\":{\"resourceVersion\":\"5\"}"
#define WEB                                                                                        \
	"{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"resourceVersion\":\"4\"},"    \
	"\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.0.80\",\"clusterIPs\":["           \
	"\"10.96.0.80\"],\"ports\":[{\"port\":80}]}}"

/* Of the server's threads too. */
static atomic_bool knows_cluster, is_old, is_busy;

static void answer(struct api_request *r)
{
	if (strstr(r->line, "watch=1")) {
		api_begin(r);
		while (is_busy && r->open && strstr(r->line, "/services?")) {
			api_chunks(r, "{\"type\":\"MODIFIED\",\"object\":" WEB "}\n", 4096);
			usleep(20000);
		}
		api_hold(r);
	} else if (strstr(r->line, "/namespaces/kube-system")) {
		api_reply(r, knows_cluster ? "200 OK" : "500 Sorry", "",
			  "{\"metadata\":{\"name\":\"kube-system\",\"uid\":\"one\"}}");
	} else if (strstr(r->line, "/apis/discovery.k8s.io ")) {
		api_reply(
			r, "200 OK", "",
			is_old ? "{\"versions\":[{\"version\":\"v1beta1\"}]}" :
				 "{\"versions\":[{\"version\":\"v1beta1\"},{\"version\":\"v1\"}]}");
	} else if (strstr(r->line, "/api/v1/services")) {
		api_reply(r, "200 OK", "",
			  "{\"kind\":\"ServiceList\"," META ",\"items\":[" WEB "]}");
	} else {
		api_reply(r, "200 OK", "", "{\"kind\":\"List\"," META ",\"items\":[]}");
	}
}

struct listener {
	struct loop *loop;
	struct api_server *server;
	struct kube_api *api;
	struct source_kubernetes *source;
	unsigned wholes, failures;
	int take; /* what `records` returns */
	char uid[16], is[16];
	size_t count;
};

static int on_records(void *owner, const struct map *records)
{
	struct listener *l = owner;

	l->wholes++;
	l->count = map_count(records);
	return l->take;
}

static int on_changes(void *owner, const struct map *changes)
{
	(void)owner;
	(void)changes;
	return 0;
}

static void on_ranges(void *owner, const struct prefix *ranges, size_t count)
{
	(void)owner;
	(void)ranges;
	(void)count;
}

static void on_failed(void *owner, const char *sentence)
{
	struct listener *l = owner;

	CHECK(strstr(sentence, "another cluster"));
	l->failures++;
}

static size_t on_count(void *owner)
{
	(void)owner;
	return 0;
}

static int on_cluster(void *owner, const char *uid)
{
	struct listener *l = owner;

	snprintf(l->uid, sizeof(l->uid), "%s", uid);
	return strcmp(uid, l->is) == 0 ? 0 : -EEXIST;
}

static void listen_to(struct listener *l, const char *is)
{
	static api_handler *const script[] = { answer };
	static const struct source_events events = { .records = on_records,
						     .changes = on_changes,
						     .ranges = on_ranges,
						     .failed = on_failed,
						     .count = on_count };
	char why[KUBE_WHY_SIZE];

	*l = (struct listener){ .loop = loop_new(), .server = api_server_new(script, 1) };
	snprintf(l->is, sizeof(l->is), "%s", is);
	CHECK_INT(kube_api_new(l->loop, NULL, &l->api, why), 0);
	l->source =
		source_kubernetes_new(&(struct source_kubernetes_config){ .loop = l->loop,
									  .api = l->api,
									  .export_default = true,
									  .events = &events,
									  .cluster = on_cluster,
									  .owner = l });
}

static void end(struct listener *l)
{
	source_kubernetes_free(l->source);
	kube_api_free(l->api);
	api_server_free(l->server);
	loop_free(l->loop);
}

#define UNTIL(l, condition) TURN_UNTIL((l)->loop, condition, 8000)

static bool was_asked(const struct listener *l, const char *part)
{
	for (unsigned i = 0; i < api_server_requests(l->server); i++)
		if (strstr(api_server_line(l->server, i), part))
			return true;
	return false;
}

TEST(nothing_is_told_before_the_cluster_is_known)
{
	char why[KUBE_WHY_SIZE];
	struct listener l;

	knows_cluster = is_old = false;
	listen_to(&l, "one");
	UNTIL(&l, was_asked(&l, "/api/v1/services?watch=1"));
	UNTIL(&l, was_asked(&l, "/apis/discovery.k8s.io/v1/endpointslices?watch=1"));
	turn_for(l.loop, 300);
	CHECK_INT(l.wholes, 0);
	CHECK(!source_kubernetes_is_ready(l.source, why));
	CHECK_STR(why, "which cluster this is: the API server answers 500: ");
	knows_cluster = true;
	UNTIL(&l, l.wholes == 1);
	CHECK_STR(l.uid, "one");
	CHECK_INT(l.count, 1);
	CHECK(source_kubernetes_is_ready(l.source, why));
	CHECK(!was_asked(&l, "v1beta1"));
	end(&l);
}

TEST(another_cluster_is_not_told)
{
	struct listener l;

	knows_cluster = true;
	listen_to(&l, "two");
	UNTIL(&l, l.failures == 1);
	turn_for(l.loop, 300);
	CHECK_INT(l.wholes, 0);
	CHECK_INT(l.failures, 1);
	end(&l);
}

TEST(an_old_server_has_slices_of_its_version)
{
	struct listener l;

	knows_cluster = is_old = true;
	listen_to(&l, "one");
	UNTIL(&l, l.wholes == 1);
	CHECK(was_asked(&l, "/apis/discovery.k8s.io/v1beta1/endpointslices"));
	CHECK(was_asked(&l, "labelSelector=service.kubernetes.io%2Fheadless"));
	CHECK(!was_asked(&l, "/apis/discovery.k8s.io/v1/"));
	end(&l);
}

TEST(what_was_not_taken_is_not_told_again_at_each_change)
{
	struct listener l;

	knows_cluster = is_busy = true;
	is_old = false;
	listen_to(&l, "one");
	l.take = -EFBIG;
	UNTIL(&l, l.wholes);
	turn_for(l.loop, 500);
	CHECK_INT(l.wholes, 1);
	is_busy = false;
	end(&l);
}

TEST_MAIN("source_kubernetes")

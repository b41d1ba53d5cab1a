/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a cluster's objects to records: what is exported, what a record says, what changed; and that no
 * order of events matters.
 */
#include "exporter/kube_store.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "schemas/journal.h"
#include "schemas/record.h"
#include "tests/test.h"

static struct buf said; /* what was refused, a line each */

static void refused(void *owner, const char *name, const char *reason)
{
	(void)owner;
	buf_printf(&said, "%s %s\n", name ? name : "-", reason);
}

static struct kube_store *store(const char *const *only, size_t count, bool by_default)
{
	struct kube_store_config c = { .namespaces = only,
				       .namespace_count = count,
				       .export_default = by_default,
				       .refused = refused };

	buf_clear(&said);
	return kube_store_new(&c);
}

/* `'` stands for a quote. */
PRINTF(3, 4) static void put(struct kube_store *s, enum kube_kind kind, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	if (kind & 16)
		kube_store_del(s, kind & 15, text, (size_t)n);
	else
		kube_store_put(s, kind, text, (size_t)n);
}

static void del(struct kube_store *s, enum kube_kind kind, const char *space, const char *name)
{
	put(s, kind | 16, "{'metadata':{'name':'%s','namespace':'%s'}}", name, space);
}

static void put_service(struct kube_store *s, const char *space, const char *name, const char *wish,
			const char *ip)
{
	put(s, KUBE_SERVICES,
	    "{'metadata':{'name':'%s','namespace':'%s','annotations':{%s%s%s}},"
	    "'spec':{'clusterIP':'%s'}}",
	    name, space, wish ? "'warren/export':'" : "", wish ? wish : "", wish ? "'" : "", ip);
}

static void put_slice(struct kube_store *s, const char *name, const char *of, const char *rest)
{
	put(s, KUBE_SLICES,
	    "{'metadata':{'name':'%s','namespace':'a','labels':{'kubernetes.io/service-name':'%s'}},"
	    "%s}",
	    name, of, rest);
}

static void put_space(struct kube_store *s, const char *name, const char *wish)
{
	put(s, KUBE_NAMESPACES, "{'metadata':{'name':'%s','annotations':{%s%s%s}}}", name,
	    wish ? "'warren/export':'" : "", wish ? wish : "", wish ? "'" : "");
}

/* `name body` of each record, sorted, joined by newlines; quotes as `'`. */
static const char *show(const struct map *m, char ret[static 4096])
{
	const char **names = map_sorted(m);
	struct buf b = { .max = 4000 };

	for (size_t i = 0; names[i]; i++)
		buf_printf(&b, "%s%s %s", i ? "\n" : "", names[i], (char *)map_get(m, names[i]));
	snprintf(ret, 4096, "%s", buf_cstr(&b));
	for (char *p = ret; *p; p++)
		*p = *p == '"' ? '\'' : *p;
	free(names);
	buf_done(&b);
	return ret;
}

static const char *records(struct kube_store *s, char ret[static 4096])
{
	struct map *m = map_new();

	kube_store_records(s, m);
	show(m, ret);
	map_free(m, free);
	return ret;
}

static const char *changes(struct kube_store *s, char ret[static 4096])
{
	struct map *m = map_new();

	kube_store_changes(s, m);
	show(m, ret);
	map_free(m, free);
	return ret;
}

TEST(what_is_exported)
{
	static const struct {
		const char *space, *name, *only, *service, *of_space;
		bool by_default, want;
	} rows[] = {
		{ "shop", "web", NULL, NULL, NULL, true, true },
		{ "shop", "web", NULL, NULL, NULL, false, false },
		{ "shop", "web", NULL, "true", NULL, false, true },
		{ "shop", "web", NULL, "false", NULL, true, false },
		{ "shop", "web", NULL, NULL, "true", false, true },
		{ "shop", "web", NULL, NULL, "false", true, false },
		{ "shop", "web", NULL, "true", "false", false, true },
		{ "shop", "web", NULL, "false", "true", true, false },
		{ "shop", "web", NULL, "no", "true", true, false },
		{ "shop", "web", NULL, NULL, "no", true, false },
		{ "shop", "web", "shop", NULL, NULL, true, true },
		{ "shop", "web", "other", NULL, NULL, true, false },
		{ "shop", "web", "other", "true", NULL, true, true },
		{ "shop", "web", "other", NULL, "true", true, true },
		{ "kube-system", "dns", NULL, NULL, NULL, true, false },
		{ "kube-public", "x", NULL, NULL, NULL, true, false },
		{ "kube-node-lease", "x", NULL, NULL, NULL, true, false },
		{ "kube-system", "dns", NULL, "true", NULL, true, true },
		{ "kube-system", "dns", "kube-system", NULL, NULL, true, true },
		{ "default", "kubernetes", NULL, NULL, NULL, true, false },
		{ "default", "kubernetes", NULL, NULL, "true", true, false },
		{ "default", "kubernetes", NULL, "true", NULL, true, true },
		{ "shop", "kubernetes", NULL, NULL, NULL, true, true },
		{ "shop", "9web", NULL, NULL, NULL, true, true },
	};
	char got[4096];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_store *s =
			store(&rows[i].only, rows[i].only ? 1 : 0, rows[i].by_default);

		snprintf(test_result->why, sizeof(test_result->why), "row %zu", i);
		put_service(s, rows[i].space, rows[i].name, rows[i].service, "10.0.0.1");
		put_space(s, rows[i].space, rows[i].of_space);
		CHECK_INT(*records(s, got) != '\0', rows[i].want);
		kube_store_free(s);
	}
	*test_result->why = '\0';
	buf_done(&said);
}

TEST(namespace_told_later)
{
	struct kube_store *s = store(NULL, 0, true);
	char got[4096];

	put_service(s, "a", "x", NULL, "10.0.0.1");
	put_service(s, "ab", "x", NULL, "10.0.0.2");
	put_space(s, "a", NULL);
	records(s, got);
	CHECK(!kube_store_has_changes(s));
	put_space(s, "a", "false");
	CHECK_STR(changes(s, got), "a/x ");
	put_space(s, "a", "false");
	CHECK(!kube_store_has_changes(s));
	del(s, KUBE_NAMESPACES, "", "a");
	CHECK_STR(changes(s, got), "a/x {'addresses':['10.0.0.1']}");
	kube_store_free(s);
}

TEST(cluster_ips)
{
	struct kube_store *s = store(NULL, 0, true);
	char got[4096];

	put(s, KUBE_SERVICES,
	    "{'metadata':{'name':'w','namespace':'a'},'spec':{'clusterIP':'10.0.0.9',"
	    "'clusterIPs':['10.0.0.9','fd00::9'],'ports':[{'name':'z','port':443},"
	    "{'name':'dns','protocol':'UDP','port':53},{'name':'dns','port':53},{'port':1}]}}");
	CHECK_STR(records(s, got),
		  "a/w {'addresses':['10.0.0.9','fd00::9'],'ports':[{'name':'dns','port':53},"
		  "{'name':'dns','protocol':'UDP','port':53},{'name':'z','port':443}]}");
	del(s, KUBE_SERVICES, "a", "w");
	CHECK_STR(changes(s, got), "a/w ");
	CHECK_STR(changes(s, got), "");
	kube_store_free(s);
}

#define V4 "'addressType':'IPv4','endpoints':["
#define V6 "'addressType':'IPv6','endpoints':["
#define E(addr, more) "{'addresses':['" addr "']" more "}"
#define READY(is) ",'conditions':{'ready':" is "}"
#define HOST(name) ",'hostname':'" name "'"
#define POD(uid) ",'targetRef':{'uid':'" uid "'}"

TEST(headless)
{
	static const struct {
		const char *slices[4], *want;
	} rows[] = {
		{ { "'addressType':'IPv4','endpoints':null" }, "" },
		{ { V4 E("10.0.0.1", READY("false")) "]" }, "" },
		{ { V4 E("10.0.0.1", READY("true")) "," E("10.0.0.2", READY("false")) "," E(
			  "10.0.0.3", "") "]" },
		  "{'addresses':['10.0.0.1']},{'addresses':['10.0.0.3']}" },
		/* Several slices; an endpoint in two counts once. */
		{ { V4 E("10.0.0.2", HOST("b")) "," E("10.0.0.1", HOST("a")) "]",
		    V4 E("10.0.0.1", HOST("a")) "," E("10.0.0.3", "") "]" },
		  "{'hostname':'a','addresses':['10.0.0.1']},"
		  "{'hostname':'b','addresses':['10.0.0.2']},{'addresses':['10.0.0.3']}" },
		/* Both families of a pod, by its uid or by the host name. */
		{ { V4 E("10.0.0.1", POD("u1")) "," E("10.0.0.2", POD("u2")) "]",
		    V6 E("fd00::1", POD("u1")) "," E("fd00::2", POD("u2")) "]" },
		  "{'addresses':['10.0.0.1','fd00::1']},{'addresses':['10.0.0.2','fd00::2']}" },
		{ { V4 E("10.0.0.1", HOST("a")) "]", V6 E("fd00::1", HOST("a")) "]" },
		  "{'hostname':'a','addresses':['10.0.0.1','fd00::1']}" },
		{ { V4 E("10.0.0.1", "") "]", V6 E("fd00::1", "") "]" },
		  "{'addresses':['10.0.0.1']},{'addresses':['fd00::1']}" },
		/* Two pods of one node's address, each with its name. */
		{ { V4 E("10.0.0.1", HOST("a") POD("u1")) "," E(
			  "10.0.0.1", HOST("b") POD("u2")) "," E("10.0.0.1", POD("u3")) "]" },
		  "{'hostname':'a','addresses':['10.0.0.1']},{'hostname':'b','addresses':['10.0.0.1']}" },
		{ { V4 E("10.0.0.1", HOST("Not_one")) "]" }, "{'addresses':['10.0.0.1']}" },
		{ { "'addressType':'FQDN','endpoints':[" E("10.0.0.1", "") "]" }, "" },
	};
	char got[4096], want[4096];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_store *s = store(NULL, 0, true);
		char name[] = "s-0";

		snprintf(test_result->why, sizeof(test_result->why), "row %zu", i);
		/* A slice may be there before its service. */
		for (size_t k = 0; k < 4 && rows[i].slices[k]; k++, name[2]++)
			put_slice(s, name, "db", rows[i].slices[k]);
		put_service(s, "a", "db", NULL, "None");
		snprintf(want, sizeof(want), "a/db {'endpoints':[%s]}", rows[i].want);
		CHECK_STR(records(s, got), *rows[i].want ? want : "");
		kube_store_free(s);
	}
	*test_result->why = '\0';
	buf_done(&said);
}

TEST(headless_ports_and_not_ready)
{
	struct kube_store *s = store(NULL, 0, true);
	char got[4096];

	put(s, KUBE_SERVICES,
	    "{'metadata':{'name':'db','namespace':'a'},'spec':{'clusterIP':'None',"
	    "'publishNotReadyAddresses':true,'ports':[{'name':'pg','port':80}]}}");
	/* The numbers are those of the slices, of slices with endpoints only. */
	put_slice(s, "1", "db",
		  V4 E("10.0.0.1", READY("false")) "],'ports':[{'name':'pg','port':5432}]");
	put_slice(s, "2", "db", V4 "],'ports':[{'name':'pg','port':1}]");
	CHECK_STR(records(s, got), "a/db {'ports':[{'name':'pg','port':5432}],"
				   "'endpoints':[{'addresses':['10.0.0.1']}]}");
	put_service(s, "a", "db", NULL, "None");
	CHECK_STR(changes(s, got), "a/db ");
	/* A slice goes from one service to another. */
	put_service(s, "a", "dc", NULL, "None");
	put_slice(s, "1", "dc", V4 E("10.0.0.1", "") "]");
	CHECK_STR(changes(s, got), "a/dc {'endpoints':[{'addresses':['10.0.0.1']}]}");
	put_slice(s, "1", "db", V4 E("10.0.0.1", "") "]");
	CHECK_STR(changes(s, got), "a/db {'endpoints':[{'addresses':['10.0.0.1']}]}\na/dc ");
	kube_store_free(s);
}

TEST(refused_with_a_reason_once)
{
	struct kube_store *s = store(NULL, 0, true);
	char got[4096];

	for (int i = 0; i < 2; i++) {
		put(s, KUBE_SERVICES,
		    "{'metadata':{'name':'e','namespace':'a','labels':{'i':'%d'}},"
		    "'spec':{'type':'ExternalName','externalName':'x.example'}}",
		    i);
		put_service(s, "a", "n", NULL, "");
		put_service(s, "a", "w", "maybe", "10.0.0.1");
		put_service(s, "a", "unwanted", "false", "");
		put_service(s, "a", "Upper", NULL, "10.0.0.1");
		put(s, KUBE_NODES, "{'metadata':{}}");
		put(s, KUBE_SERVICES,
		    "{'metadata':{'name':'p','namespace':'a'},'spec':{'clusterIP':'10.0.0.1',"
		    "'ports':[{'name':'a_b','port':1},{'name':'c','port':%d}]}}",
		    i + 1);
		records(s, got);
	}
	CHECK_STR(got, "a/p {'addresses':['10.0.0.1'],'ports':[{'name':'c','port':2}]}");
	CHECK_STR(buf_cstr(&said),
		  "- a Service: its name or namespace is no DNS label\n"
		  "- a Node: metadata.name is missing\n"
		  "a/e is of type ExternalName, which has no addresses\n"
		  "a/n has no cluster IP\n"
		  "a/w has an annotation warren/export that is neither true nor false\n"
		  "a/p has a port whose name is no DNS label of at most 62 characters\n");
	kube_store_free(s);
	buf_done(&said);
}

static size_t count_endpoints(const struct map *m)
{
	size_t all = 0;
	for (struct map_entry *e = NULL; (e = map_next(m, e));) {
		const char *body = map_entry_value(e);

		CHECK(text_is_member_body(body, strlen(body)));
		while ((body = strstr(body, "{\"addresses\":")))
			body++, all++;
	}
	return all;
}

TEST(ten_thousand_endpoints)
{
	struct kube_store *s = store(NULL, 0, true);
	struct map *m = map_new();
	struct buf rest = { 0 };
	char name[16];

	put_service(s, "a", "db", NULL, "None");
	for (int i = 0; i < 100; i++) {
		buf_clear(&rest);
		for (int k = 0; k < 100; k++)
			buf_printf(&rest, "%s{'addresses':['10.9.%d.%d']}", k ? "," : V4, i, k);
		buf_str(&rest, "]");
		snprintf(name, sizeof(name), "s%d", i);
		put_slice(s, name, "db", buf_cstr(&rest));
	}
	buf_done(&rest);
	kube_store_records(s, m);
	CHECK_INT(map_count(m), 32);
	CHECK_INT(count_endpoints(m), 10000);
	CHECK_STR(buf_cstr(&said), "");
	map_clear(m, free); /* most of them go: one member is left */
	for (int i = 1; i < 100; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		del(s, KUBE_SLICES, "a", name);
	}
	kube_store_changes(s, m);
	CHECK_INT(map_count(m), 32);
	CHECK(*(char *)map_get(m, "a/db") && !*(char *)map_get(m, "a/db/31"));
	map_free(m, free);
	kube_store_free(s);
	buf_done(&said);
}

TEST(a_listing_sweeps)
{
	struct kube_store *s = store(NULL, 0, true);
	char got[4096];

	for (int k = 0; k < KUBE_KINDS; k++) {
		CHECK(!kube_store_is_complete(s));
		kube_store_begin(s, (enum kube_kind)k);
		if (k == KUBE_SERVICES) {
			put_service(s, "a", "x", NULL, "10.0.0.1");
			put_service(s, "a", "y", NULL, "10.0.0.2");
		}
		kube_store_end(s, (enum kube_kind)k);
	}
	CHECK(kube_store_is_complete(s));
	records(s, got);
	/* Broken off and begun anew: what only the first listing had is gone. */
	kube_store_begin(s, KUBE_SERVICES);
	put_service(s, "a", "x", NULL, "10.0.0.1");
	CHECK_STR(changes(s, got), "");
	kube_store_begin(s, KUBE_SERVICES);
	put_service(s, "a", "y", NULL, "10.0.0.2");
	CHECK_STR(changes(s, got), "");
	kube_store_end(s, KUBE_SERVICES);
	CHECK_STR(changes(s, got), "a/x ");
	kube_store_end(s, KUBE_SERVICES);
	CHECK_STR(records(s, got), "a/y {'addresses':['10.0.0.2']}");
	kube_store_free(s);
}

TEST(ranges)
{
	struct kube_store *s = store(NULL, 0, true);
	uint64_t version = kube_store_ranges_version(s);
	struct prefix list[2];
	char t[PREFIX_SIZE];

	CHECK_INT(kube_store_ranges(s, list, 2), 0);
	put(s, KUBE_NODES,
	    "{'metadata':{'name':'n'},'spec':{'podCIDRs':['10.244.1.0/24','fd00::/64']}}");
	put(s, KUBE_NODES, "{'metadata':{'name':'m'},'spec':{'podCIDR':'10.244.0.0/24'}}");
	put(s, KUBE_SERVICE_CIDRS, "{'metadata':{'name':'n'},'spec':{'cidrs':['10.96.0.0/16']}}");
	CHECK(kube_store_ranges_version(s) != version);
	version = kube_store_ranges_version(s);
	put(s, KUBE_NODES, "{'metadata':{'name':'m','x':1},'spec':{'podCIDR':'10.244.0.0/24'}}");
	CHECK_INT(kube_store_ranges_version(s), version);
	CHECK_INT(kube_store_ranges(s, list, 2), 3);
	CHECK_STR(prefix_format(&list[0], t), "10.96.0.0/16");
	CHECK_STR(prefix_format(&list[1], t), "10.244.0.0/23");
	del(s, KUBE_NODES, "", "m");
	CHECK(kube_store_ranges_version(s) != version);
	CHECK_INT(kube_store_ranges(s, list, 2), 3);
	CHECK_STR(prefix_format(&list[1], t), "10.244.1.0/24");
	kube_store_free(s);
}

/* ---- any order of events ---- */

#define NAMES 4
#define STATES 5

/* What the cluster has: 0 nothing, else one of a few forms of the object. */
struct cluster {
	unsigned service[NAMES], slice[NAMES], space[2];
};

static void send_object(struct kube_store *s, enum kube_kind kind, unsigned i, unsigned state)
{
	static const char *const wishes[] = { NULL, NULL, "true", "false", "x" };
	static const char *const ips[] = { "", "None", "10.0.0.1", "10.0.0.2", "None" };
	static const char *const slices[] = {
		"", V4 E("10.1.0.1", HOST("h")) "]", V4 E("10.1.0.2", READY("false")) "]",
		V6 E("fd00::1", HOST("h")) "," E("fd00::2", "") "],'ports':[{'name':'x','port':5}]",
		"'addressType':'FQDN'"
	};
	static const char *const of[] = { "n0", "n1" };
	char name[] = { 'n', (char)('0' + i), '\0' };
	const char *space = i % 2 ? "b" : "a";

	if (kind == KUBE_SERVICES && state == 0)
		del(s, kind, space, name);
	else if (kind == KUBE_SERVICES)
		put_service(s, space, name, wishes[(state + i) % 5], ips[state]);
	else if (kind == KUBE_SLICES && state == 0)
		del(s, kind, "a", name);
	else if (kind == KUBE_SLICES)
		put_slice(s, name, of[state % 2 && i < 2 ? 1 : 0], slices[state]);
	else if (state == 0)
		del(s, kind, "", i % 2 ? "b" : "a");
	else
		put_space(s, i % 2 ? "b" : "a", wishes[state]);
}

static unsigned *state_of(struct cluster *c, enum kube_kind kind, unsigned i)
{
	return kind == KUBE_SERVICES ? &c->service[i] :
	       kind == KUBE_SLICES   ? &c->slice[i] :
				       &c->space[i % 2];
}

static void list(struct kube_store *s, struct cluster *c, enum kube_kind kind)
{
	kube_store_begin(s, kind);
	for (unsigned i = 0; i < (kind == KUBE_NAMESPACES ? 2 : NAMES); i++)
		if (*state_of(c, kind, i))
			send_object(s, kind, i, *state_of(c, kind, i));
	kube_store_end(s, kind);
}

static void take_changes(struct kube_store *s, struct map *known)
{
	struct map *m = map_new();
	struct map_entry *e = NULL;

	kube_store_changes(s, m);
	while ((e = map_next(m, e))) {
		char *body = map_entry_value(e);

		/* Only what differs, and what is gone was there. */
		CHECK_INT(*body || map_get(known, map_entry_key(e)), 1);
		if (*body) {
			char *before = map_put(known, map_entry_key(e), xstrdup(body));

			CHECK(!before || strcmp(before, body) != 0);
			free(before);
		} else {
			free(map_del(known, map_entry_key(e)));
		}
	}
	map_free(m, free);
}

TEST(any_order_gives_the_same)
{
	unsigned seed = 42;
	char want[4096], got[4096];

	for (int round = 0; round < 400; round++) {
		struct kube_store *s = store(NULL, 0, true), *fresh;
		struct map *known = map_new();
		struct cluster c = { 0 };

		for (int step = 0; step < 60; step++) {
			enum kube_kind kind = (enum kube_kind)(rand_r(&seed) % 3);
			unsigned i = (unsigned)rand_r(&seed) % NAMES,
				 state = (unsigned)rand_r(&seed) % STATES;

			switch (rand_r(&seed) % 8) {
			case 0: /* unseen, until it is listed */
				*state_of(&c, kind, i) = state;
				list(s, &c, kind);
				break;
			case 1: /* a listing that broke off */
				kube_store_begin(s, kind);
				send_object(s, kind, i, 1);
				list(s, &c, kind);
				break;
			case 2:
				take_changes(s, known);
				break;
			default:
				*state_of(&c, kind, i) = state;
				send_object(s, kind, i, state);
			}
		}
		take_changes(s, known);
		fresh = store(NULL, 0, true);
		for (int kind = 2; kind >= 0; kind--)
			list(fresh, &c, (enum kube_kind)kind);
		CHECK_STR(show(known, got), records(fresh, want));
		CHECK_STR(records(s, got), want);
		kube_store_free(s);
		kube_store_free(fresh);
		map_free(known, free);
	}
	buf_done(&said);
}

/* A server that is not the one we think cannot fill the memory; what goes makes room again. */
TEST(memory_is_bounded)
{
	struct kube_store *s = kube_store_new(&(struct kube_store_config){
		.export_default = true, .bytes_max = 4096, .refused = refused });
	char name[16];

	buf_clear(&said);
	for (int round = 0; round < 3; round++) {
		size_t kept;
		struct map *m = map_new();

		for (int i = 0; i < 500; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			put_service(s, "a", name, NULL, "10.0.0.1");
			put_service(s, "a", name, NULL, "10.0.0.2");
			put_slice(s, name, name,
				  "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.3']}]");
		}
		kube_store_records(s, m);
		kept = map_count(m);
		CHECK(kept > 10 && kept < 200);
		map_free(m, free);
		CHECK(strstr(buf_cstr(&said), "too much memory for all"));
		for (int i = 0; i < 500; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			del(s, KUBE_SERVICES, "a", name);
			del(s, KUBE_SLICES, "a", name);
		}
	}
	put_service(s, "a", "last", NULL, "10.0.0.1");
	CHECK(kube_store_has_changes(s));
	kube_store_free(s);
}

TEST(five_thousand_services_are_small)
{
#if defined(__SANITIZE_ADDRESS__)
	SKIP("the sanitizer's malloc counts otherwise");
#else
	size_t before = mallinfo2().uordblks, used;
	struct kube_store *s = store(NULL, 0, true);
	struct map *m = map_new();

	for (unsigned i = 0; i < 5000; i++)
		put(s, KUBE_SERVICES,
		    "{'metadata':{'name':'service-%u','namespace':'space-%u'},'spec':{'clusterIP':"
		    "'10.96.%u.%u','ports':[{'name':'http','port':80},{'name':'metrics','port':9090}]}}",
		    i, i % 50, i / 250, i % 250 + 1);
	kube_store_records(s, m);
	CHECK_INT(map_count(m), 5000);
	map_free(m, free);
	used = mallinfo2().uordblks - before;
	CHECK(used < 4u << 20);
	kube_store_free(s);
#endif
}

TEST_MAIN("kube-store")

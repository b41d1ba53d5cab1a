/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Grants, and the journals that hang on them. Owns both. One thread.
 */
#include "agent/exporters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/names.h"
#include "agent/networks.h"
#include "lib/log.h"
#include "lib/text.h"
#include "schemas/gateway.h"

#define GRANT_MEMBER "exporter/"

struct exporter {
	char id[LABEL_SIZE];
	char site[LABEL_SIZE];
	struct zone_source sources[RECORD_PARTS_MAX]; /* point at both */
	uint8_t key[KEY_LEN];
	struct prefix *ranges;
	size_t range_count;
	uint64_t generation;
	bool granted;
	bool replaced; /* granted no more: counts until its successor was read */
	bool awaited;  /* an answer to a join spoke of it: the grant is still to come */
	bool active;   /* its records are in the zone */
	struct follow *follow;
};

struct exporters {
	struct network *n;
	struct zone *zone;
	void (*changed)(struct network *n);
	struct exporter **list;
	size_t count;
};

static struct exporter *find(const struct exporters *x, const char *id)
{
	for (size_t i = 0; i < x->count; i++)
		if (strcmp(x->list[i]->id, id) == 0)
			return x->list[i];
	return NULL;
}

static bool is_ready(const struct exporter *e)
{
	return replica_is_ready(follow_replica(e->follow));
}

static void grant_path(const struct exporters *x, const char *id, char ret[static TOPIC_SIZE])
{
	snprintf(ret, TOPIC_SIZE, "n/%s/grant/%s", x->n->name, id);
}

/* ---- records ---- */

/* A member's name as the zone has it. */
static bool key_of(const char *member, char ret[static ZONE_KEY_SIZE], unsigned *ret_part)
{
	struct record_name name;

	if (record_name_parse(member, &name) < 0)
		return false;
	snprintf(ret, ZONE_KEY_SIZE, "%s.%s", name.service, name.service_namespace);
	*ret_part = name.part;
	return true;
}

static void say_refused(const struct exporters *x, const struct exporter *e, const char *member,
			enum refusal refused)
{
	static struct log_limit limit = { .per_minute = 30 };

	x->n->agent->refused[refused]++;
	if (log_allowed(&limit))
		log_warn("record-refused", "network=%s exporter=%s member=%s cause=%s", x->n->name,
			 e->id, log_quote(member), refusal_names[refused]);
}

/* `is_new`: it has just come, so a refusal counts. */
static void record_put(struct exporters *x, struct exporter *e, const char *member,
		       const char *body, bool is_new)
{
	struct record r = { 0 };
	struct arena a = { 0 };
	char key[ZONE_KEY_SIZE];
	enum refusal refused;
	unsigned part;

	refused = body_decode(&a, body, strlen(body), record_fields, &r, NULL);
	if (!refused && record_limit(&r, e->ranges, e->range_count))
		refused = REFUSED_GRANT;
	if (!key_of(member, key, &part))
		refused = REFUSED_GRANT;
	else if (refused)
		zone_del(x->zone, &e->sources[part], key);
	else
		zone_put(x->zone, &e->sources[part], key, &r);
	if (refused && is_new)
		say_refused(x, e, member, refused);
	arena_done(&a);
}

static void record_del(struct exporters *x, struct exporter *e, const char *member)
{
	char key[ZONE_KEY_SIZE];
	unsigned part;

	if (key_of(member, key, &part))
		zone_del(x->zone, &e->sources[part], key);
}

static void activate(struct exporters *x, struct exporter *e)
{
	const struct replica *r = follow_replica(e->follow);

	for (const char *name = replica_next(r, NULL); name; name = replica_next(r, name))
		record_put(x, e, name, replica_get(r, name, NULL), true);
	e->active = true;
	log_info("names", "network=%s exporter=%s site=%s generation=%llu records=%zu", x->n->name,
		 e->id, e->site, (unsigned long long)e->generation, replica_count(r));
}

static void deactivate(struct exporters *x, struct exporter *e)
{
	const struct replica *r = follow_replica(e->follow);

	for (const char *name = replica_next(r, NULL); name; name = replica_next(r, name))
		record_del(x, e, name);
	e->active = false;
}

/* ---- which ones count ---- */

static bool same_site(const struct exporter *a, const struct exporter *b)
{
	return a != b && strcmp(a->site, b->site) == 0;
}

/* Is there one of its site that counts instead? */
static bool is_succeeded(const struct exporters *x, const struct exporter *e)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct exporter *o = x->list[i];

		if (same_site(o, e) && o->granted && is_ready(o) &&
		    (!e->granted || o->generation > e->generation))
			return true;
	}
	return false;
}

static bool has_successor_to_come(const struct exporters *x, const struct exporter *e)
{
	for (size_t i = 0; i < x->count; i++)
		if (same_site(x->list[i], e) && x->list[i]->granted && !is_ready(x->list[i]))
			return true;
	return false;
}

static bool may_stay(const struct exporters *x, const struct exporter *e)
{
	if (e->granted || e->awaited)
		return true;
	return !is_succeeded(x, e) && (e->replaced || has_successor_to_come(x, e));
}

static void exporter_free(const struct exporters *x, struct exporter *e)
{
	if (session_is_connected(x->n->agent->session))
		follow_end(e->follow);
	follow_free(e->follow);
	free(e->ranges);
	free(e);
}

/* It is over: also on disk. */
static void drop(struct exporters *x, size_t i)
{
	struct state *s = x->n->agent->state;
	struct exporter *e = x->list[i];
	char path[TOPIC_SIZE];

	log_info("exporter-ended", "network=%s exporter=%s site=%s", x->n->name, e->id, e->site);
	if (e->active)
		deactivate(x, e);
	state_journal_del(s, follow_path(e->follow));
	grant_path(x, e->id, path);
	state_register_del(s, path);
	exporter_free(x, e);
	x->list[i] = x->list[--x->count];
}

/* Puts in what counts, before it takes out what does not any more. */
static void settle(struct exporters *x)
{
	for (size_t i = 0; i < x->count; i++) {
		struct exporter *e = x->list[i];

		if (!e->active && !e->awaited && is_ready(e) && !is_succeeded(x, e) &&
		    may_stay(x, e))
			activate(x, e);
	}
	for (size_t i = x->count; i-- > 0;) {
		if (!may_stay(x, x->list[i]))
			drop(x, i);
		else if (x->list[i]->active && is_succeeded(x, x->list[i]))
			deactivate(x, x->list[i]);
	}
}

/* ---- journals ---- */

static struct exporter *by_follow(const struct exporters *x, const struct follow *f)
{
	for (size_t i = 0; i < x->count; i++)
		if (x->list[i]->follow == f)
			return x->list[i];
	return NULL;
}

static void on_changed(void *owner, struct follow *f, const struct replica_change *changes,
		       size_t count, bool all)
{
	struct network *n = owner;
	struct exporters *x = names_exporters(n);
	struct exporter *e = x ? by_follow(x, f) : NULL;

	if (!e)
		return;
	for (size_t i = 0; i < count && e->active; i++)
		if (changes[i].change == MEMBER_DEL)
			record_del(x, e, changes[i].name);
		else
			record_put(x, e, changes[i].name, changes[i].body,
				   changes[i].change == MEMBER_PUT);
	if (all)
		settle(x);
	x->changed(n);
}

static struct exporter *add(struct exporters *x, const char *id)
{
	struct topic t = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS };
	struct exporter *e = xcalloc(1, sizeof(*e));

	memcpy(t.network, x->n->name, LABEL_SIZE);
	snprintf(t.exporter, sizeof(t.exporter), "%s", id);
	snprintf(e->id, sizeof(e->id), "%s", id);
	for (unsigned i = 0; i < RECORD_PARTS_MAX; i++)
		e->sources[i] = (struct zone_source){
			.rank = ZONE_SERVICE, .site = e->site, .id = e->id, .part = i
		};
	e->follow = network_follow_journal(x->n, &t, on_changed);
	x->list = xreallocarray(x->list, x->count + 1, sizeof(struct exporter *));
	x->list[x->count++] = e;
	return e;
}

/* ---- grants ---- */

static void fill(struct exporters *x, struct exporter *e, const struct grant *g)
{
	/* Its records are checked against other ranges, and stand in another place. */
	if (e->active)
		deactivate(x, e);
	free(e->ranges);
	e->ranges = xmemdup(g->ranges, g->range_count * sizeof(*g->ranges));
	e->range_count = g->range_count;
	e->generation = g->generation;
	memcpy(e->key, g->key, KEY_LEN);
	snprintf(e->site, sizeof(e->site), "%s", g->site);
}

static bool is_same(const struct exporter *e, const struct grant *g)
{
	if (memcmp(e->key, g->key, KEY_LEN) != 0 || strcmp(e->site, g->site) != 0 ||
	    e->generation != g->generation || e->range_count != g->range_count)
		return false;
	for (size_t i = 0; i < g->range_count; i++)
		if (prefix_cmp(&e->ranges[i], &g->ranges[i]) != 0)
			return false;
	return true;
}

static enum refusal decode(struct arena *a, const char *id, const char *body, struct grant *ret)
{
	char key[KEY_ID_SIZE];
	enum refusal refused = body_decode(a, body, strlen(body), grant_fields, ret, NULL);

	if (refused)
		return refused;
	/* The id is the key's: nobody signs for another one. */
	key_id(ret->key, key);
	return strcmp(key, id) == 0 ? REFUSED_NOT : REFUSED_SCHEMA;
}

static void grant_put(struct exporters *x, const char *member, const char *body)
{
	const char *id = member + strlen(GRANT_MEMBER);
	struct agent *agent = x->n->agent;
	char path[TOPIC_SIZE];
	struct grant g = { 0 };
	struct arena a = { 0 };
	enum refusal refused = decode(&a, id, body, &g);
	struct exporter *e;
	bool follows;

	if (refused) {
		agent->refused[refused]++;
		log_warn("member-refused", "network=%s member=%s cause=%s", x->n->name,
			 log_quote(member), refusal_names[refused]);
		arena_done(&a);
		return;
	}
	e = find(x, id);
	if (!e)
		e = add(x, id);
	follows = e->granted;
	e->granted = true;
	e->replaced = e->awaited = false;
	if (!is_same(e, &g)) {
		fill(x, e, &g);
		grant_path(x, id, path);
		state_register_put(agent->state, path, g.generation, body);
	}
	if (!follows && session_is_connected(agent->session))
		follow_connected(e->follow);
	arena_done(&a);
}

static void grant_del(struct exporters *x, const char *member, enum journal_why why)
{
	struct exporter *e = find(x, member + strlen(GRANT_MEMBER));

	if (!e || !e->granted)
		return;
	e->granted = false;
	e->replaced = why == WHY_REPLACED;
	/* The site's exporter was removed: whose place it took, and was to be read for, goes too. */
	for (size_t i = 0; i < x->count && !e->replaced; i++)
		if (same_site(x->list[i], e))
			x->list[i]->replaced = false;
	if (session_is_connected(x->n->agent->session))
		follow_end(e->follow);
}

static bool is_grant(const char *member)
{
	return strncmp(member, GRANT_MEMBER, strlen(GRANT_MEMBER)) == 0;
}

static void read_all(struct exporters *x)
{
	const struct replica *r = follow_replica(x->n->follow_gateways);

	for (const char *name = replica_next(r, NULL); name; name = replica_next(r, name))
		if (is_grant(name))
			grant_put(x, name, replica_get(r, name, NULL));
	for (size_t i = 0; i < x->count; i++)
		x->list[i]->awaited = false;
}

void exporters_gateways_changed(struct exporters *x, const struct replica_change *changes,
				size_t count, bool all)
{
	if (all)
		read_all(x);
	for (size_t i = 0; i < count; i++) {
		if (!is_grant(changes[i].name))
			continue;
		if (changes[i].change == MEMBER_DEL)
			grant_del(x, changes[i].name, changes[i].why);
		else
			grant_put(x, changes[i].name, changes[i].body);
	}
	settle(x);
}

/* ---- life ---- */

/* A grant of before the reboot that the gateways do not have any more: its records still count when
 * no successor has come. */
static void restore_grant(void *owner, const char *path, uint64_t seq, const char *body)
{
	struct exporters *x = owner;
	const char *id = strrchr(path, '/') + 1;
	struct grant g = { 0 };
	struct arena a = { 0 };

	(void)seq;
	if (body && !find(x, id) && !decode(&a, id, body, &g)) {
		struct exporter *e = add(x, id);

		fill(x, e, &g);
		e->replaced = true;
	}
	arena_done(&a);
}

struct exporters *exporters_new(struct network *n, struct zone *zone,
				void (*changed)(struct network *n))
{
	struct exporters *x = xcalloc(1, sizeof(*x));
	char prefix[TOPIC_SIZE];

	x->n = n;
	x->zone = zone;
	x->changed = changed;
	if (!replica_is_ready(follow_replica(n->follow_gateways)))
		return x;
	grant_path(x, "", prefix);
	state_register_each(n->agent->state, prefix, restore_grant, x);
	read_all(x);
	settle(x);
	return x;
}

void exporters_free(struct exporters *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->count; i++)
		exporter_free(x, x->list[i]);
	free(x->list);
	free(x);
}

void exporters_connected(struct exporters *x)
{
	for (size_t i = 0; i < x->count; i++)
		if (x->list[i]->granted)
			follow_connected(x->list[i]->follow);
}

void exporters_set_minimum(struct exporters *x, const char *path, struct journal_position at,
			   const char *topic, const char *document)
{
	struct exporter *e;
	struct topic t;

	if (journal_path_parse(path, &t) < 0 || t.journal != JOURNAL_DNS ||
	    strcmp(t.network, x->n->name) != 0)
		return;
	e = find(x, t.exporter);
	if (!e && replica_is_ready(follow_replica(x->n->follow_gateways)))
		return; /* no grant: not ours to follow */
	if (!e) {
		e = add(x, t.exporter);
		e->awaited = true;
	}
	follow_set_minimum(e->follow, at, topic, document);
}

void exporters_rewrite(struct exporters *x)
{
	struct buf body = { 0 };
	char path[TOPIC_SIZE];

	for (size_t i = 0; i < x->count; i++) {
		struct exporter *e = x->list[i];
		struct grant g = { .site = e->site,
				   .ranges = e->ranges,
				   .range_count = e->range_count,
				   .generation = e->generation };

		follow_rewrite(e->follow);
		if (e->awaited)
			continue;
		memcpy(g.key, e->key, KEY_LEN);
		buf_clear(&body);
		json_encode(&body, grant_fields, &g);
		grant_path(x, e->id, path);
		state_register_put(x->n->agent->state, path, g.generation, buf_cstr(&body));
	}
	buf_done(&body);
}

/* ---- readings ---- */

struct follow *exporters_follow(const struct exporters *x, const char *id)
{
	const struct exporter *e = find(x, id);

	return e && e->granted ? e->follow : NULL;
}

struct follow *exporters_nth(const struct exporters *x, size_t i)
{
	return i < x->count ? x->list[i]->follow : NULL;
}

bool exporters_key(const struct exporters *x, const char *id, uint8_t ret[static KEY_LEN])
{
	const struct exporter *e = find(x, id);

	if (!e || !e->granted)
		return false;
	memcpy(ret, e->key, KEY_LEN);
	return true;
}

bool exporters_are_read(const struct exporters *x)
{
	for (size_t i = 0; i < x->count; i++) {
		bool read = is_ready(x->list[i]);

		for (size_t k = 0; k < x->count && !read; k++)
			read = same_site(x->list[k], x->list[i]) && x->list[k]->active;
		if (!read)
			return false;
	}
	return true;
}

static int range_order(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

void exporters_tell_ranges(const struct exporters *x)
{
	struct prefix *list = NULL;
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < x->count; i++) {
		const struct exporter *e = x->list[i];

		if ((!e->granted && !e->active) || !e->range_count)
			continue;
		list = xreallocarray(list, count + e->range_count, sizeof(*list));
		memcpy(list + count, e->ranges, e->range_count * sizeof(*list));
		count += e->range_count;
	}
	if (count)
		qsort(list, count, sizeof(*list), range_order);
	for (size_t i = 0; i < count; i++)
		if (!kept || prefix_cmp(&list[kept - 1], &list[i]) != 0)
			list[kept++] = list[i];
	zone_set_granted(x->zone, list, kept);
	free(list);
}

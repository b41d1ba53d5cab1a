/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store of Kubernetes objects. An entry is a service's name: what the Service says, the slices that
 * name it, and what was given out of it last. It lives while it has one of the three. What a change
 * touches is put on a list, and only that is looked at by kube_store_changes. One thread.
 */
#include "exporter/kube_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_objects.h"
#include "exporter/kube_ranges.h"
#include "exporter/kube_slice.h"
#include "lib/text.h"

#define KEY_SIZE (2 * KUBE_NAME_MAX + 2)
#define BYTES_MAX (256u << 20)

static const char *const never[] = { "kube-system", "kube-public", "kube-node-lease" };
static const char *const kind_names[KUBE_KINDS] = { "Service", "EndpointSlice", "Namespace", "Node",
						    "ServiceCIDR" };

struct said {
	uint32_t listing; /* it was in */
	bool is_there;
	bool is_headless;
	bool publish_not_ready;
	uint8_t export_wish;
	uint16_t reasons;
	char *body; /* not headless: the record, NULL when there is none */
};

struct entry {
	const char *name; /* the map's */
	struct said service;
	struct kube_packed *slices;
	struct entry *next_touched;
	bool is_touched;
	uint8_t given_parts;
	uint16_t told;
	uint8_t given[HASH_LEN]; /* of the bodies */
};

struct space {
	uint32_t listing; /* it was in */
	enum kube_export export_wish;
};

struct ranges {
	uint32_t listing; /* it was in */
	size_t count;
	struct prefix list[];
};

struct kube_store {
	struct kube_store_config c;
	struct map *only;		 /* namespaces; empty: all */
	struct map *objects[KUBE_KINDS]; /* of services: the entries */
	uint32_t listing[KUBE_KINDS];
	bool is_listing[KUBE_KINDS], was_listed[KUBE_KINDS];
	char unread[KUBE_KINDS][JSON_ERROR_SIZE]; /* said last */
	struct entry *touched;
	uint64_t ranges_version;
	size_t bytes; /* of bodies and slices */
};

/* ---- entries ---- */

static void touch(struct kube_store *s, struct entry *e)
{
	if (e->is_touched)
		return;
	e->is_touched = true;
	e->next_touched = s->touched;
	s->touched = e;
}

static struct entry *entry_of(struct kube_store *s, const char *name)
{
	struct map *m = s->objects[KUBE_SERVICES];
	struct entry *e = map_get(m, name);

	if (!e) {
		e = xcalloc(1, sizeof(*e));
		map_put(m, name, e);
		e->name = map_entry_key(map_find(m, name));
	}
	return e;
}

static void free_entry(void *value)
{
	struct entry *e = value;

	free(e->service.body);
	free(e);
}

/* Not while it is on the list of those touched. */
static void let_go(struct kube_store *s, struct entry *e)
{
	if (e->service.is_there || e->slices || e->given_parts)
		return;
	map_del(s->objects[KUBE_SERVICES], e->name);
	free_entry(e);
}

static size_t body_size(const struct said *x)
{
	return x->body ? strlen(x->body) : 0;
}

static void drop_service(struct kube_store *s, struct entry *e)
{
	if (!e->service.is_there)
		return;
	s->bytes -= body_size(&e->service);
	free(e->service.body);
	e->service = (struct said){ 0 };
	e->told = 0;
	touch(s, e);
}

/* ---- what cannot be used ---- */

static void say_unread(struct kube_store *s, enum kube_kind kind, const char *why)
{
	if (strcmp(s->unread[kind], why) == 0)
		return;
	snprintf(s->unread[kind], sizeof(s->unread[kind]), "%s", why);
	if (s->c.refused)
		s->c.refused(s->c.owner, NULL, why);
}

static void say_undecoded(struct kube_store *s, enum kube_kind kind, const struct json_error *err)
{
	char text[JSON_ERROR_SIZE], why[JSON_ERROR_SIZE];

	snprintf(why, sizeof(why), "a %s: %.150s", kind_names[kind], json_error_text(err, text));
	say_unread(s, kind, why);
}

static void say_reasons(struct kube_store *s, struct entry *e, uint16_t reasons)
{
	uint16_t fresh = reasons & (uint16_t)~e->told;

	e->told |= reasons;
	for (unsigned i = 0; s->c.refused && i < KUBE_REASONS; i++)
		if (fresh >> i & 1)
			s->c.refused(s->c.owner, e->name, kube_reason_text[i]);
}

static bool has_room(struct kube_store *s, enum kube_kind kind, const char *key)
{
	bool full = map_count(s->objects[kind]) >= KUBE_OBJECTS_MAX &&
		    !map_get(s->objects[kind], key);

	if (!full && s->bytes <= s->c.bytes_max)
		return true;
	say_unread(s, kind, "too many, or too much memory for all: the rest is left out");
	return false;
}

/* The name under which an object is kept; false: none that Kubernetes gives. */
static bool key_of(enum kube_kind kind, const struct kube_meta *m, char ret[static KEY_SIZE])
{
	bool spaced = kind == KUBE_SERVICES || kind == KUBE_SLICES;

	if (spaced && !text_is_label(m->space))
		return false;
	if (kind == KUBE_SERVICES && !text_is_label(m->name))
		return false;
	snprintf(ret, KEY_SIZE, "%s%s%s", spaced ? m->space : "", spaced ? "/" : "", m->name);
	return true;
}

/* ---- objects kept ---- */

/* The body of one that is not headless. */
static char *record_of(struct kube_service *o, uint16_t *reasons)
{
	struct record r = { .addresses = o->addresses, .address_count = o->address_count };
	struct buf body = { 0 };

	if (o->is_external)
		*reasons |= 1 << KUBE_REASON_EXTERNAL;
	else if (!o->address_count)
		*reasons |= 1 << KUBE_REASON_NO_ADDRESS;
	if (*reasons)
		return NULL;
	kube_record_ports(&r, o->ports, o->port_count, reasons);
	json_encode(&body, record_fields, &r);
	return buf_take(&body);
}

static int put_service(struct kube_store *s, struct arena *a, const char *text, size_t len,
		       struct json_error *err)
{
	struct kube_service o;
	struct said fresh = { .is_there = true }, *old;
	char key[KEY_SIZE];
	struct entry *e;
	int r = kube_service_decode(a, text, len, &o, err);

	if (r < 0)
		return r;
	if (!key_of(KUBE_SERVICES, &o.meta, key)) {
		say_unread(s, KUBE_SERVICES, "a Service: its name or namespace is no DNS label");
		return 0;
	}
	if (!has_room(s, KUBE_SERVICES, key))
		return 0;
	fresh.listing = s->listing[KUBE_SERVICES];
	fresh.export_wish = (uint8_t)o.meta.export_wish;
	fresh.is_headless = o.is_headless && !o.is_external;
	fresh.publish_not_ready = o.publish_not_ready;
	if (!fresh.is_headless)
		fresh.body = record_of(&o, &fresh.reasons);
	e = entry_of(s, key);
	old = &e->service;
	if (!old->is_there || old->export_wish != fresh.export_wish ||
	    old->is_headless != fresh.is_headless ||
	    old->publish_not_ready != fresh.publish_not_ready || old->reasons != fresh.reasons ||
	    strcmp(old->body ? old->body : "", fresh.body ? fresh.body : "") != 0)
		touch(s, e);
	s->bytes += body_size(&fresh) - body_size(old);
	free(old->body);
	*old = fresh;
	return 0;
}

static void drop_slice(struct kube_store *s, const char *key)
{
	struct kube_packed *old = map_del(s->objects[KUBE_SLICES], key);

	if (!old)
		return;
	kube_slice_unlink(old);
	touch(s, old->of);
	s->bytes -= old->size;
	free(old);
}

static int put_slice(struct kube_store *s, struct arena *a, const char *text, size_t len,
		     struct json_error *err)
{
	char key[KEY_SIZE], name[KEY_SIZE];
	struct kube_packed *fresh, *old;
	struct kube_slice o;
	struct entry *e;
	int r = kube_slice_decode(a, text, len, &o, err);

	if (r < 0 || !key_of(KUBE_SLICES, &o.meta, key))
		return r;
	if (!o.service || !text_is_label(o.service)) {
		drop_slice(s, key);
		return 0;
	}
	snprintf(name, sizeof(name), "%s/%s", o.meta.space, o.service);
	if (!has_room(s, KUBE_SLICES, key))
		return 0;
	fresh = kube_slice_pack(&o);
	fresh->of = e = entry_of(s, name);
	fresh->listing = s->listing[KUBE_SLICES];
	old = map_get(s->objects[KUBE_SLICES], key);
	if (old && kube_slice_is_same(old, fresh)) {
		old->listing = fresh->listing;
		free(fresh);
		return 0;
	}
	drop_slice(s, key);
	map_put(s->objects[KUBE_SLICES], key, fresh);
	s->bytes += fresh->size;
	kube_slice_link(&e->slices, fresh);
	touch(s, e);
	return 0;
}

static void touch_space(struct kube_store *s, const char *space)
{
	size_t len = strlen(space);
	struct map_entry *i = NULL;

	while ((i = map_next(s->objects[KUBE_SERVICES], i)))
		if (strncmp(map_entry_key(i), space, len) == 0 && map_entry_key(i)[len] == '/')
			touch(s, map_entry_value(i));
}

static int put_space(struct kube_store *s, struct arena *a, const char *text, size_t len,
		     struct json_error *err)
{
	enum kube_export old = KUBE_EXPORT_UNSAID;
	struct space *space;
	struct kube_meta m;
	int r = kube_meta_decode(a, text, len, &m, err);

	if (r < 0 || !has_room(s, KUBE_NAMESPACES, m.name))
		return r;
	space = map_get(s->objects[KUBE_NAMESPACES], m.name);
	if (space)
		old = space->export_wish;
	else
		map_put(s->objects[KUBE_NAMESPACES], m.name, space = xcalloc(1, sizeof(*space)));
	*space = (struct space){ s->listing[KUBE_NAMESPACES], m.export_wish };
	if (old != m.export_wish)
		touch_space(s, m.name);
	return 0;
}

static int put_ranges(struct kube_store *s, enum kube_kind kind, struct arena *a, const char *text,
		      size_t len, struct json_error *err)
{
	struct ranges *fresh, *old;
	struct kube_ranges o;
	int r = kube_ranges_decode(a, text, len, &o, err);

	if (r < 0 || !has_room(s, kind, o.meta.name))
		return r;
	fresh = xcalloc(1, sizeof(*fresh) + o.range_count * sizeof(fresh->list[0]));
	fresh->listing = s->listing[kind];
	fresh->count = o.range_count;
	for (size_t i = 0; i < o.range_count; i++)
		fresh->list[i] = o.ranges[i];
	old = map_put(s->objects[kind], o.meta.name, fresh);
	if (!old || old->count != fresh->count ||
	    memcmp(old->list, fresh->list, fresh->count * sizeof(fresh->list[0])) != 0)
		s->ranges_version++;
	free(old);
	return 0;
}

static void drop(struct kube_store *s, enum kube_kind kind, const char *key)
{
	struct entry *e;
	void *old;

	switch (kind) {
	case KUBE_SERVICES:
		e = map_get(s->objects[kind], key);
		if (e)
			drop_service(s, e);
		break;
	case KUBE_SLICES:
		drop_slice(s, key);
		break;
	case KUBE_NAMESPACES:
		old = map_get(s->objects[kind], key);
		if (old && ((struct space *)old)->export_wish != KUBE_EXPORT_UNSAID)
			touch_space(s, key);
		free(map_del(s->objects[kind], key));
		break;
	default:
		old = map_del(s->objects[kind], key);
		s->ranges_version += old != NULL;
		free(old);
		break;
	}
}

/* ---- the records ---- */

static bool is_in_scope(const struct kube_store *s, const char *space)
{
	if (map_count(s->only))
		return map_get(s->only, space);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (strcmp(space, never[i]) == 0)
			return false;
	return true;
}

static bool is_wanted(const struct kube_store *s, const struct entry *e, uint16_t *reasons)
{
	unsigned wish = e->service.export_wish;
	const struct space *of;
	char space[64];

	if (wish == KUBE_EXPORT_UNSAID && strcmp(e->name, "default/kubernetes") == 0)
		return false;
	snprintf(space, sizeof(space), "%.*s", (int)strcspn(e->name, "/"), e->name);
	of = map_get(s->objects[KUBE_NAMESPACES], space);
	if (wish == KUBE_EXPORT_UNSAID && of)
		wish = of->export_wish;
	if (wish == KUBE_EXPORT_UNSAID)
		return s->c.export_default && is_in_scope(s, space);
	if (wish == KUBE_EXPORT_WRONG)
		*reasons |= 1 << KUBE_REASON_ANNOTATION;
	return wish == KUBE_EXPORT_YES;
}

/* The record as it is now, without parts: none. What is wrong with it is said. */
static void record_now(struct kube_store *s, struct entry *e, struct record_parts *ret)
{
	uint16_t reasons = 0;

	*ret = (struct record_parts){ 0 };
	if (!e->service.is_there)
		return;
	if (is_wanted(s, e, &reasons)) {
		reasons |= e->service.reasons;
		if (e->service.is_headless)
			kube_slice_record(e->slices, e->name, e->service.publish_not_ready,
					  &reasons, ret);
		else if (e->service.body)
			ret->bodies[ret->count++] = xstrdup(e->service.body);
	}
	say_reasons(s, e, reasons);
}

/* Notes the record as given out; was it another one before? */
static bool note(struct entry *e, const struct record_parts *p)
{
	uint8_t hash[HASH_LEN];
	bool changed;

	record_parts_hash(p, hash);
	changed = e->given_parts != p->count || memcmp(hash, e->given, sizeof(hash)) != 0;
	e->given_parts = (uint8_t)p->count;
	memcpy(e->given, hash, sizeof(hash));
	return changed;
}

/* Gives the record out; not `whole`: if it is another one than before, and what it had and has not. */
static void give(struct kube_store *s, struct entry *e, bool whole, struct map *ret)
{
	unsigned before = whole ? 0 : e->given_parts;
	struct record_parts p;

	record_now(s, e, &p);
	e->is_touched = false;
	if (note(e, &p) || whole)
		record_parts_take(&p, e->name, before, ret);
	record_parts_done(&p);
	let_go(s, e);
}

void kube_store_records(struct kube_store *s, struct map *ret)
{
	struct map_entry *i = NULL;

	s->touched = NULL;
	while ((i = map_next(s->objects[KUBE_SERVICES], i)))
		give(s, map_entry_value(i), true, ret);
}

void kube_store_changes(struct kube_store *s, struct map *ret)
{
	while (s->touched) {
		struct entry *e = s->touched;

		s->touched = e->next_touched;
		give(s, e, false, ret);
	}
}

bool kube_store_has_changes(const struct kube_store *s)
{
	return s->touched;
}

/* ---- ranges ---- */

size_t kube_store_ranges(const struct kube_store *s, struct prefix *ret, size_t max)
{
	static const enum kube_kind kinds[] = { KUBE_NODES, KUBE_SERVICE_CIDRS };
	struct prefix *list = NULL;
	struct map_entry *i = NULL;
	size_t count = 0;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		while ((i = map_next(s->objects[kinds[k]], i))) {
			const struct ranges *r = map_entry_value(i);

			list = xreallocarray(list, count + r->count + 1, sizeof(*list));
			memcpy(list + count, r->list, r->count * sizeof(*list));
			count += r->count;
		}
	}
	if (!list)
		return 0;
	count = kube_ranges_merge(list, count);
	memcpy(ret, list, MIN(count, max) * sizeof(*ret));
	free(list);
	return count;
}

uint64_t kube_store_ranges_version(const struct kube_store *s)
{
	return s->ranges_version;
}

/* ---- events ---- */

void kube_store_begin(struct kube_store *s, enum kube_kind kind)
{
	s->listing[kind]++;
	s->is_listing[kind] = true;
}

void kube_store_put(struct kube_store *s, enum kube_kind kind, const char *object, size_t len)
{
	struct json_error err;
	struct arena a = { 0 };
	int r;

	switch (kind) {
	case KUBE_SERVICES:
		r = put_service(s, &a, object, len, &err);
		break;
	case KUBE_SLICES:
		r = put_slice(s, &a, object, len, &err);
		break;
	case KUBE_NAMESPACES:
		r = put_space(s, &a, object, len, &err);
		break;
	default:
		r = put_ranges(s, kind, &a, object, len, &err);
		break;
	}
	if (r < 0)
		say_undecoded(s, kind, &err);
	arena_done(&a);
}

void kube_store_del(struct kube_store *s, enum kube_kind kind, const char *object, size_t len)
{
	struct arena a = { 0 };
	struct json_error err;
	struct kube_meta m;
	char key[KEY_SIZE];

	if (kube_meta_decode(&a, object, len, &m, &err) < 0)
		say_undecoded(s, kind, &err);
	else if (key_of(kind, &m, key))
		drop(s, kind, key);
	arena_done(&a);
}

static uint32_t listing_of(enum kube_kind kind, const void *value)
{
	switch (kind) {
	case KUBE_SERVICES:
		return ((const struct entry *)value)->service.listing;
	case KUBE_SLICES:
		return ((const struct kube_packed *)value)->listing;
	case KUBE_NAMESPACES:
		return ((const struct space *)value)->listing;
	default:
		return ((const struct ranges *)value)->listing;
	}
}

void kube_store_end(struct kube_store *s, enum kube_kind kind)
{
	struct map_entry *i = NULL;

	if (!s->is_listing[kind])
		return;
	s->is_listing[kind] = false;
	s->was_listed[kind] = true;
	while ((i = map_next(s->objects[kind], i))) {
		if (listing_of(kind, map_entry_value(i)) != s->listing[kind])
			drop(s, kind, map_entry_key(i));
	}
}

bool kube_store_is_complete(const struct kube_store *s)
{
	for (int i = 0; i < KUBE_KINDS; i++)
		if (!s->was_listed[i])
			return false;
	return true;
}

struct kube_store *kube_store_new(const struct kube_store_config *c)
{
	struct kube_store *s = xcalloc(1, sizeof(*s));

	s->c = *c;
	s->c.bytes_max = c->bytes_max ? c->bytes_max : BYTES_MAX;
	s->c.namespaces = NULL;
	s->only = map_new();
	for (size_t i = 0; i < c->namespace_count; i++)
		map_put(s->only, c->namespaces[i], s);
	for (int i = 0; i < KUBE_KINDS; i++)
		s->objects[i] = map_new();
	return s;
}

void kube_store_free(struct kube_store *s)
{
	if (!s)
		return;
	for (int i = 0; i < KUBE_KINDS; i++)
		map_free(s->objects[i], i == KUBE_SERVICES ? free_entry : free);
	map_free(s->only, NULL);
	free(s);
}

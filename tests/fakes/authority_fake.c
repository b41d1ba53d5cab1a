/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The publisher that keeps what it was told. Members are kept committed and pending, as the real one
 * does, so that a roll-back is seen.
 */
#include "tests/fakes/authority_fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/map.h"

/* Tests of the real publisher link this file too: there the real one's functions win. */
#pragma weak publisher_network_add
#pragma weak publisher_network_del
#pragma weak publisher_put
#pragma weak publisher_del
#pragma weak publisher_change
#pragma weak publisher_commit
#pragma weak publisher_release
#pragma weak publisher_latest
#pragma weak publisher_next
#pragma weak publisher_position
#pragma weak publisher_register
#pragma weak publisher_clear
#pragma weak publisher_flush
#pragma weak publisher_reload

struct change {
	char *key;
	char *value; /* NULL: removed */
	enum journal_why why;
};

struct publisher {
	struct map *members; /* "<network> <kind> <name>" -> body */
	struct map *removed; /* the same -> struct change */
	struct map *registers;
	struct map *cleared;
	struct change pending[1024];
	size_t pending_count;
	uint64_t ver;
	int broken;
};

int64_t fake_now;

static int64_t now(void)
{
	return fake_now;
}

static char *member_key(const char *network, enum journal_kind kind, const char *name)
{
	return xasprintf("%s %d %s", network, (int)kind, name);
}

static int change_add(struct publisher *p, char *key, const char *value, enum journal_why why)
{
	if (p->broken) {
		free(key);
		return p->broken;
	}
	if (p->pending_count == ARRAY_SIZE(p->pending))
		publisher_flush(p);
	p->pending[p->pending_count++] =
		(struct change){ .key = key, .value = value ? xstrdup(value) : NULL, .why = why };
	return 0;
}

int publisher_network_add(struct publisher *p, const char *network)
{
	return change_add(p, member_key(network, JOURNAL_PEERS, "begun"), NULL, WHY_GONE);
}

int publisher_network_del(struct publisher *p, const char *network)
{
	return change_add(p, member_key(network, JOURNAL_GATEWAYS, "settings"), NULL, WHY_GONE);
}

int publisher_put(struct publisher *p, const char *network, enum journal_kind kind,
		  const char *name, const char *body)
{
	/* As the writer. */
	if (strlen(body) > JOURNAL_BODY_MAX)
		return -EINVAL;
	return change_add(p, member_key(network, kind, name), body, WHY_GONE);
}

int publisher_del(struct publisher *p, const char *network, enum journal_kind kind,
		  const char *name, enum journal_why why)
{
	return change_add(p, member_key(network, kind, name), NULL, why);
}

int publisher_change(struct publisher *p, const char *network, enum journal_kind kind,
		     const struct publisher_op *ops, size_t count)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = ops[i].body ? publisher_put(p, network, kind, ops[i].name, ops[i].body) :
				  publisher_del(p, network, kind, ops[i].name, ops[i].why);
	return r;
}

int publisher_commit(struct publisher *p, const char *network, enum journal_kind kind)
{
	(void)network;
	(void)kind;
	return p->broken;
}

int publisher_release(struct publisher *p, const char *network)
{
	return change_add(p, member_key(network, JOURNAL_PEERS, "released"), NULL, WHY_GONE);
}

const char *publisher_latest(struct publisher *p, const char *network, enum journal_kind kind,
			     const char *name)
{
	char *key = member_key(network, kind, name);
	const char *body = map_get(p->members, key);

	for (size_t i = 0; i < p->pending_count; i++)
		if (strcmp(p->pending[i].key, key) == 0)
			body = p->pending[i].value;
	free(key);
	return body;
}

const char *publisher_next(struct publisher *p, const char *network, enum journal_kind kind,
			   const char *name)
{
	char *prefix = member_key(network, kind, "");
	const char *found = NULL;

	for (struct map_entry *e = NULL; !found && (e = map_next(p->members, e));) {
		const char *key = map_entry_key(e);

		if (strncmp(key, prefix, strlen(prefix)) != 0)
			continue;
		if (!name)
			found = key + strlen(prefix);
		else if (strcmp(key + strlen(prefix), name) == 0)
			name = NULL;
	}
	free(prefix);
	return found;
}

struct journal_position publisher_position(struct publisher *p, const char *network,
					   enum journal_kind kind)
{
	(void)network;
	(void)kind;
	return (struct journal_position){ .epoch = 1, .ver = p->ver };
}

int publisher_register(struct publisher *p, const struct topic *t, uint64_t seq, const char *body)
{
	char text[TOPIC_SIZE];

	(void)seq;
	topic_format("mesh", t, text);
	free(map_put(p->registers, text + strlen("warren/1/mesh/"), xstrdup(body)));
	return p->broken;
}

void publisher_clear(struct publisher *p, const struct topic *t)
{
	char text[TOPIC_SIZE];

	topic_format("mesh", t, text);
	map_put(p->cleared, text + strlen("warren/1/mesh/"), p);
}

void publisher_flush(struct publisher *p)
{
	for (size_t i = 0; i < p->pending_count; i++) {
		struct change *c = &p->pending[i];

		free(map_del(p->removed, c->key));
		free(c->value ? map_put(p->members, c->key, c->value) :
				map_del(p->members, c->key));
		if (!c->value)
			free(map_put(p->removed, c->key, xmemdup(c, sizeof(*c))));
		free(c->key);
		p->ver++;
	}
	p->pending_count = 0;
}

void publisher_reload(struct publisher *p)
{
	for (size_t i = 0; i < p->pending_count; i++) {
		free(p->pending[i].key);
		free(p->pending[i].value);
	}
	p->pending_count = 0;
}

void authority_fake_break(struct authority *a, int error)
{
	a->publisher->broken = error;
}

const char *authority_fake_peer(struct authority *a, const char *network, const char *node)
{
	char *key = member_key(network, JOURNAL_PEERS, node);
	const char *body = map_get(a->publisher->members, key);

	free(key);
	return body;
}

const char *authority_fake_gateway(struct authority *a, const char *network, const char *member)
{
	char *key = member_key(network, JOURNAL_GATEWAYS, member);
	const char *body = map_get(a->publisher->members, key);

	free(key);
	return body;
}

static int removed(struct authority *a, char *key)
{
	const struct change *c = map_get(a->publisher->removed, key);

	free(key);
	return c ? (int)c->why : -1;
}

int authority_fake_removed(struct authority *a, const char *network, const char *node)
{
	return removed(a, member_key(network, JOURNAL_PEERS, node));
}

int authority_fake_gateway_removed(struct authority *a, const char *network, const char *member)
{
	return removed(a, member_key(network, JOURNAL_GATEWAYS, member));
}

const char *authority_fake_register(struct authority *a, const char *path)
{
	return map_get(a->publisher->registers, path);
}

bool authority_fake_cleared(struct authority *a, const char *path)
{
	return map_get(a->publisher->cleared, path) != NULL;
}

struct authority *authority_fake(void)
{
	static const char *const brokers[] = { "mqtts://hub.example:8883" };
	struct authority *a = xcalloc(1, sizeof(*a));
	char dir[] = "/tmp/warren-authority-XXXXXX", error[256] = "";

	fake_now = clock_wall();
	a->now = now;
	a->keys = xcalloc(1, sizeof(*a->keys));
	a->publisher = xcalloc(1, sizeof(*a->publisher));
	a->publisher->members = map_new();
	a->publisher->removed = map_new();
	a->publisher->registers = map_new();
	a->publisher->cleared = map_new();
	if (!mkdtemp(dir) || keys_create(dir, NULL, brokers, 1, fake_now) < 0 ||
	    keys_load(dir, a->keys, error, sizeof(error)) < 0 ||
	    store_open(":memory:", &a->store) < 0) {
		fprintf(stderr, "authority_fake: %s%s\n", error, store_message());
		abort();
	}
	keys_remove(dir, NULL);
	if (rmdir(dir) < 0)
		abort();
	return a;
}

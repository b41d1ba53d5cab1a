/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of memberships. Owns the networks; private keys are wiped. One thread.
 */
#include "agent/memberships.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

static void membership_encode(const struct membership *m, struct buf *out)
{
	json_encode(out, membership_fields, m);
}

/* A deep copy by way of the text that is stored anyway. */
static bool set_membership(struct network *n, const char *text)
{
	struct membership m = { 0 };
	struct arena a = { 0 };

	if (body_decode(&a, text, strlen(text), membership_fields, &m, NULL)) {
		arena_done(&a);
		return false;
	}
	arena_done(&n->arena);
	n->arena = a;
	n->membership = m;
	return true;
}

static void use_membership_settings(struct network *n)
{
	n->mtu = (uint32_t)n->membership.mtu;
	n->keepalive = (uint16_t)n->membership.keepalive;
	n->first_port = n->membership.port;
}

static struct network *network_new(const char *name, const char *membership,
				   const uint8_t private_key[static KEY_LEN])
{
	struct network *n = xcalloc(1, sizeof(*n));

	if (strlen(name) >= sizeof(n->name) || !set_membership(n, membership)) {
		free(n);
		return NULL;
	}
	snprintf(n->name, sizeof(n->name), "%s", name);
	interface_name(name, n->interface);
	memcpy(n->private_key, private_key, KEY_LEN);
	wireguard_key_public(n->private_key, n->public_key);
	use_membership_settings(n);
	return n;
}

static void network_free(struct network *n)
{
	for (size_t i = 0; i < n->register_count; i++)
		free(n->register_list[i]);
	free(n->register_list);
	carried_set_done(&n->carried);
	arena_done(&n->arena);
	crypto_wipe(n, sizeof(*n));
	free(n);
}

static void append(struct memberships *m, struct network *n)
{
	m->list = xreallocarray(m->list, m->count + 1, sizeof(*m->list));
	m->list[m->count++] = n;
}

static void load(void *owner, const struct state_network *row)
{
	struct memberships *m = owner;
	struct network *n = network_new(row->name, row->membership, row->private_key);

	if (!n) {
		log_error("membership-unreadable", "network=%s", log_quote(row->name));
		return;
	}
	n->port = row->port;
	n->ep_seq = row->ep_seq;
	n->joined = row->joined;
	/* Its holder lost us at the latest now, and is about to come back. */
	n->holder_gone = row->held ? clock_wall() : row->holder_gone;
	n->holder_awaited = row->held;
	append(m, n);
}

void memberships_load(struct memberships *m, struct state *s)
{
	state_network_each(s, load, m);
}

void memberships_done(struct memberships *m)
{
	for (size_t i = 0; i < m->count; i++)
		network_free(m->list[i]);
	free(m->list);
	*m = (struct memberships){ 0 };
}

struct network *memberships_get(const struct memberships *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->list[i]->name, name) == 0)
			return m->list[i];
	return NULL;
}

void memberships_store(struct state *s, const struct network *n)
{
	struct buf text = { 0 };
	struct state_network row = {
		.port = n->port,
		.ep_seq = n->ep_seq,
		.joined = n->joined,
		.held = n->holders > 0 || n->holder_awaited,
		.holder_gone = n->holder_gone,
	};
	_cleanup_(freep) char *name = xstrdup(n->name);

	membership_encode(&n->membership, &text);
	row.name = name;
	row.membership = buf_take(&text);
	memcpy(row.private_key, n->private_key, KEY_LEN);
	state_network_put(s, &row);
	crypto_wipe(row.private_key, KEY_LEN);
	free(row.membership);
}

/* Behind all that are there: two may be joined in one second, and a clock may be set back. */
static int64_t after_all(const struct memberships *m, int64_t joined)
{
	for (size_t i = 0; i < m->count; i++)
		joined = MAX(joined, m->list[i]->joined + 1);
	return joined;
}

struct network *memberships_put(struct memberships *m, struct state *s,
				const struct membership *what,
				const uint8_t private_key[static KEY_LEN], int64_t joined)
{
	struct network *n = memberships_get(m, what->network);
	struct buf text = { 0 };

	membership_encode(what, &text);
	if (n) {
		set_membership(n, buf_cstr(&text));
		memcpy(n->private_key, private_key, KEY_LEN);
		wireguard_key_public(n->private_key, n->public_key);
	} else {
		n = network_new(what->network, buf_cstr(&text), private_key);
		if (n) {
			n->joined = after_all(m, joined);
			append(m, n);
		}
	}
	buf_done(&text);
	if (n)
		memberships_store(s, n);
	return n;
}

void memberships_del(struct memberships *m, struct state *s, struct network *n)
{
	size_t i = 0;

	while (i < m->count && m->list[i] != n)
		i++;
	if (i < m->count)
		memmove(&m->list[i], &m->list[i + 1], (--m->count - i) * sizeof(*m->list));
	state_network_del(s, n->name);
	network_free(n);
}

static bool equal(const struct membership *a, const struct membership *b)
{
	struct buf x = { 0 }, y = { 0 };
	bool same;

	membership_encode(a, &x);
	membership_encode(b, &y);
	same = strcmp(buf_cstr(&x), buf_cstr(&y)) == 0;
	buf_done(&x);
	buf_done(&y);
	return same;
}

bool memberships_take(struct memberships *m, struct state *s, const struct node_config *c)
{
	bool changed = false;

	for (size_t i = 0; i < c->membership_count; i++) {
		const struct membership *new = &c->memberships[i];
		struct network *n = memberships_get(m, new->network);
		struct buf text = { 0 };

		if (!n || equal(&n->membership, new))
			continue;
		membership_encode(new, &text);
		if (set_membership(n, buf_cstr(&text))) {
			if (!n->follow_gateways)
				use_membership_settings(n);
			memberships_store(s, n);
			changed = true;
		}
		buf_done(&text);
	}
	for (size_t i = 0; i < c->ended_count; i++) {
		struct network *n = memberships_get(m, c->ended[i].network);

		if (!n || n->ended)
			continue;
		n->ended = true;
		changed = true;
	}
	return changed;
}

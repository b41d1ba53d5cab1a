/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of a network, for `warren dns list`: from the rows, and from what exporters publish within
 * their grants. Owns nothing; main thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/dns_private.h"
#include "schemas/record.h"

struct names {
	struct arena *arena;
	struct api_dns *rows; /* on the heap */
	size_t count, cap;
};

static struct api_dns *names_add(struct names *n, const char *network, const char *name,
				 const char *from)
{
	struct api_dns *row;

	if (n->count == n->cap) {
		n->cap = n->cap ? 2 * n->cap : 64;
		n->rows = xreallocarray(n->rows, n->cap, sizeof(*n->rows));
	}
	row = &n->rows[n->count++];
	*row = (struct api_dns){
		.name = arena_strdup(n->arena, name),
		.network = arena_strdup(n->arena, network),
		.from = arena_strdup(n->arena, from),
	};
	return row;
}

static int add_nodes(struct authority *a, struct names *n, const struct network *network)
{
	struct member_row *members;
	char name[2 * LABEL_SIZE];
	size_t count;
	int r = store_member_list(a->store, n->arena, network->name, NULL, &members, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct api_dns *row;

		snprintf(name, sizeof(name), "%s.%s", members[i].name, network->name);
		row = names_add(n, network->name, name, "node");
		row->address_count = network->range_count;
		row->addresses =
			arena_array(n->arena, network->range_count, sizeof(*row->addresses));
		for (size_t j = 0; j < network->range_count; j++)
			row->addresses[j] = host_address(network, j, members[i].host).addr;
	}
	return r;
}

static int add_added(struct authority *a, struct names *n, const struct network *network)
{
	struct name_row *rows;
	char name[2 * LABEL_SIZE];
	size_t count;
	int r = store_name_list(a->store, n->arena, network->name, &rows, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct api_dns *row;

		snprintf(name, sizeof(name), "%s.%s", rows[i].name, network->name);
		row = names_add(n, network->name, name, "name");
		row->addresses = rows[i].addresses;
		row->address_count = rows[i].address_count;
	}
	return r;
}

/* ---- services ---- */

static bool is_granted(const struct grant *grant, const struct addr *address)
{
	for (size_t i = 0; i < grant->range_count; i++)
		if (prefix_contains(&grant->ranges[i], address))
			return true;
	return false;
}

/* Those of `from` that lie in the grant, behind the row's own. */
static void addresses_add(struct api_dns *row, const struct grant *grant, const struct addr *from,
			  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_granted(grant, &from[i]))
			row->addresses[row->address_count++] = from[i];
}

/* One that is no record, or has no record's name, is no name. Parts of one service are rows of their own
 * here. */
static void add_service(struct names *n, const struct exporter_row *e, const struct grant *grant,
			const char *from, const char *member, const char *body)
{
	char name[3 * LABEL_SIZE];
	struct record record = { 0 };
	struct record_name parts;
	struct api_dns *row;
	size_t all;

	if (record_name_parse(member, &parts) < 0 ||
	    body_decode(n->arena, body, strlen(body), record_fields, &record, NULL))
		return;
	snprintf(name, sizeof(name), "%s.%s.%s", parts.service, parts.service_namespace,
		 e->network);
	row = names_add(n, e->network, name, from);
	row->site = e->site;
	all = record.address_count;
	for (size_t i = 0; i < record.endpoint_count; i++)
		all += record.endpoints[i].address_count;
	row->addresses = arena_array(n->arena, all, sizeof(*row->addresses));
	addresses_add(row, grant, record.addresses, record.address_count);
	for (size_t i = 0; !record.address_count && i < record.endpoint_count; i++)
		addresses_add(row, grant, record.endpoints[i].addresses,
			      record.endpoints[i].address_count);
}

static void add_exporter(struct authority *a, struct names *n, const struct exporter_row *e)
{
	const struct followed *f = dns_find(a->dns, e->network, e->id);
	char member[JOURNAL_NAME_MAX + 1], from[KEY_ID_SIZE + 16];
	struct grant grant = { 0 };
	const char *body;

	snprintf(member, sizeof(member), "exporter/%s", e->id);
	snprintf(from, sizeof(from), "exporter %s", e->id);
	body = publisher_latest(a->publisher, e->network, JOURNAL_GATEWAYS, member);
	if (!f || !body ||
	    body_decode(n->arena, body, strlen(body), grant_fields, &grant, NULL) != REFUSED_NOT)
		return;
	for (const char *name = NULL; (name = replica_next(f->replica, name));)
		add_service(n, e, &grant, from, name, replica_get(f->replica, name, NULL));
}

static int add_services(struct authority *a, struct names *n, const struct network *network)
{
	struct exporter_row *rows;
	size_t count;
	int r = store_exporter_list(a->store, n->arena, network->name, NULL, &rows, &count);

	for (size_t i = 0; r == 0 && i < count; i++)
		add_exporter(a, n, &rows[i]);
	return r;
}

static int row_order(const void *a, const void *b)
{
	const struct api_dns *x = a, *y = b;
	int r = strcmp(x->network, y->network);

	if (r == 0)
		r = strcmp(x->name, y->name);
	return r ? r : strcmp(x->from, y->from);
}

static int address_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* The rows from `first` to `end` are parts of one service: the first gets all their addresses, sorted. */
static void join_rows(struct names *n, size_t first, size_t end)
{
	struct api_dns *row = &n->rows[first];
	struct addr *all;
	size_t count = 0;

	for (size_t i = first; i < end; i++)
		count += n->rows[i].address_count;
	all = arena_array(n->arena, count, sizeof(*all));
	count = 0;
	for (size_t i = first; i < end; i++)
		for (size_t k = 0; k < n->rows[i].address_count; k++)
			all[count++] = n->rows[i].addresses[k];
	if (count)
		qsort(all, count, sizeof(*all), address_order);
	row->addresses = all;
	row->address_count = count;
}

/* The rows are sorted. */
static void join_parts(struct names *n)
{
	size_t kept = 0, end;

	for (size_t i = 0; i < n->count; i = end) {
		for (end = i + 1; end < n->count && !row_order(&n->rows[i], &n->rows[end]);)
			end++;
		if (end > i + 1)
			join_rows(n, i, end);
		n->rows[kept++] = n->rows[i];
	}
	n->count = kept;
}

int dns_list(struct authority *a, struct arena *arena, const char *network, struct api_dns **ret,
	     size_t *ret_count, struct refusal_reason *why)
{
	struct names n = { .arena = arena };
	struct network *networks, one;
	size_t count = 1;
	int r;

	if (network) {
		r = network_find(a, arena, network, &one, why);
		networks = &one;
	} else {
		r = store_network_list(a->store, arena, &networks, &count);
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		if ((r = add_nodes(a, &n, &networks[i])) == 0 &&
		    (r = add_added(a, &n, &networks[i])) == 0)
			r = add_services(a, &n, &networks[i]);
	if (n.count)
		qsort(n.rows, n.count, sizeof(*n.rows), row_order);
	join_parts(&n);
	*ret = arena_memdup(arena, n.rows, n.count * sizeof(*n.rows));
	*ret_count = n.count;
	free(n.rows);
	return r < 0 && r != -ECANCELED ? refuse_store(why, r) : r;
}

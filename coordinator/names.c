/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names added by hand: one zone holds them and the nodes' names, so no two are alike.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/authority.h"

static void member_name(const char *name, char ret[static JOURNAL_NAME_MAX + 1])
{
	snprintf(ret, JOURNAL_NAME_MAX + 1, "name/%s", name);
}

int name_publish(struct authority *a, const struct name_row *n)
{
	struct added_name body = { .addresses = n->addresses, .address_count = n->address_count };
	char name[JOURNAL_NAME_MAX + 1];
	struct buf text = { 0 };
	int r;

	member_name(n->name, name);
	json_encode(&text, added_name_fields, &body);
	r = publisher_put(a->publisher, n->network, JOURNAL_GATEWAYS, name, buf_cstr(&text));
	buf_done(&text);
	return r;
}

static int addresses_check(const struct api_name *wish, struct refusal_reason *why)
{
	char text[ADDR_SIZE];

	for (size_t i = 0; i < wish->address_count; i++) {
		const struct addr *address = &wish->addresses[i];

		addr_format(address, text);
		if (addr_is_loopback(address) || addr_is_multicast(address) ||
		    addr_is_link_local(address) || addr_is_unspecified(address))
			return refuse(
				why, 400, "address",
				"address %s is loopback, link-local, multicast or unspecified:"
				" it means something else on each node",
				text);
		for (size_t j = 0; j < i; j++)
			if (addr_cmp(address, &wish->addresses[j]) == 0)
				return refuse(why, 400, "address", "address %s is named twice",
					      text);
	}
	return 0;
}

/* Nothing else in the zone bears it: no node, no orphan, no added name. */
static int taken_check(struct authority *a, struct arena *arena, const struct api_name *wish,
		       struct refusal_reason *why)
{
	char text[ADDR_SIZE];
	struct member_row member;
	struct name_row name;
	bool taken;
	int r = store_member_by_name(a->store, arena, wish->network, wish->name, &member);

	if (r == 0)
		return refuse(why, 409, "name_taken",
			      "a node of network %s is named %s (%s); choose another name, or"
			      " rename the node",
			      wish->network, wish->name, member.node);
	if (r != -ENOENT)
		return r;
	r = store_orphan_name_taken(a->store, wish->network, wish->name, &taken);
	if (r == 0 && taken)
		return refuse(why, 409, "name_taken",
			      "an orphan of network %s is named %s; release it first with `warren"
			      " network release %s`, or choose another name",
			      wish->network, wish->name, wish->network);
	if (r < 0)
		return r;
	r = store_name_get(a->store, arena, wish->network, wish->name, &name);
	if (r == 0)
		return refuse(why, 409, "exists",
			      "name %s exists already in network %s, with address %s; delete it"
			      " first with `warren name delete %s --network %s`",
			      wish->name, wish->network, addr_format(&name.addresses[0], text),
			      wish->name, wish->network);
	return r == -ENOENT ? 0 : r;
}

int name_add(struct authority *a, const struct api_name *wish, struct refusal_reason *why)
{
	const struct name_row row = {
		.network = wish->network,
		.name = wish->name,
		.addresses = wish->addresses,
		.address_count = wish->address_count,
	};
	struct arena arena = { 0 };
	struct network n;
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = network_find(a, &arena, wish->network, &n, why);
	if (r == 0)
		r = addresses_check(wish, why);
	if (r == 0)
		r = taken_check(a, &arena, wish, why);
	if (r == 0)
		r = store_name_put(a->store, &row);
	if (r == 0)
		r = name_publish(a, &row);
	arena_done(&arena);
	return authority_end(a, r, why);
}

int name_list(struct authority *a, struct arena *arena, const char *network, struct api_name **ret,
	      size_t *ret_count, struct refusal_reason *why)
{
	struct name_row *rows;
	int r = store_name_list(a->store, arena, network, &rows, ret_count);

	if (r < 0)
		return refuse_store(why, r);
	*ret = arena_array(arena, *ret_count, sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++)
		(*ret)[i] = (struct api_name){
			.name = rows[i].name,
			.network = rows[i].network,
			.addresses = rows[i].addresses,
			.address_count = rows[i].address_count,
		};
	return 0;
}

int name_delete(struct authority *a, const char *network, const char *name,
		struct refusal_reason *why)
{
	char member[JOURNAL_NAME_MAX + 1];
	int r = authority_begin(a, why);

	if (r < 0)
		return r;
	r = store_name_delete(a->store, network, name);
	if (r == -ENOENT)
		r = refuse(why, 404, "unknown_name",
			   "there is no added name %s in network %s; `warren name list` shows those"
			   " there are",
			   name, network);
	member_name(name, member);
	if (r == 0)
		r = publisher_del(a->publisher, network, JOURNAL_GATEWAYS, member, WHY_REMOVED);
	return authority_end(a, r, why);
}

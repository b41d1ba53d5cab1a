/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which records of a zone have an address: for names of addresses (PTR). A map with versions
 * (lib/hamt.h) from blocks of 16 addresses to the records that have one of them, so that it costs a
 * pointer for each address and no second copy of anything. Pure.
 */
#pragma once

#include "lib/addr.h"
#include "lib/hamt.h"

struct zone_record;

/* Records of one block, and addresses of all these records, which is what an answer costs (some 5 ns
 * each): later ones are in no answer about addresses. */
#define REVERSE_BLOCK_MAX 1024
#define REVERSE_WORK_MAX 32768

struct reverse_block {
	struct hamt_leaf leaf;
	uint32_t count;
	uint32_t work;			     /* addresses of its records, wherever they are */
	const struct zone_record *records[]; /* in no order */
};

/* All addresses of the record, which stays until it was taken out again. */
void reverse_add(struct hamt *m, const struct zone_record *r);
void reverse_del(struct hamt *m, const struct zone_record *r);
/* Those that may have the address; NULL: none. */
const struct reverse_block *reverse_find(const struct hamt_item *root, uint64_t seed,
					 const struct addr *a);
/* Does it have this address? `ret_endpoint`: the first endpoint that has it, NULL when the record
 * itself does. */
bool reverse_has(const struct zone_record *r, const struct addr *a, const char **ret_endpoint);

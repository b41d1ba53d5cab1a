/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A services file read into records (schemas/record.h). Pure.
 */
#pragma once

#include "lib/map.h"
#include "schemas/record.h"

#define SERVICES_BYTES_MAX (24 << 20) /* of the file: what a journal holds */
#define SERVICES_WHY_SIZE 320

/* Ranges that a site offers to gateways. */
struct services_ranges {
	struct prefix list[SERVICES_RANGES_MAX];
	size_t count;
};

/* Fills `ret`, an empty map, with members of records -> body (compact JSON, owned: free()), and
 * `ret_ranges` (may be NULL) with the ranges offered. 0, or -EBADMSG with one sentence that names line
 * and field; `ret` is empty then, and `ret_ranges` as it was. */
int services_parse(const char *text, size_t len, struct map *ret,
		   struct services_ranges *ret_ranges, char ret_why[static SERVICES_WHY_SIZE])
	MUST_CHECK;

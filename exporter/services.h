/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A services file read into records (schemas/record.h). Pure.
 */
#pragma once

#include "lib/map.h"

#define SERVICES_BYTES_MAX (24 << 20) /* of the file: what a journal holds */
#define SERVICES_WHY_SIZE 320

/* Fills `ret`, an empty map, with `<namespace>/<service>` -> body (compact JSON, owned: free()). 0, or
 * -EBADMSG with one sentence that names line and field; `ret` is empty then. */
int services_parse(const char *text, size_t len, struct map *ret,
		   char ret_why[static SERVICES_WHY_SIZE]) MUST_CHECK;

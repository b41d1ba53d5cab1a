/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Registers of endpoints that came before the member of their node, as bytes that nobody has checked:
 * they are checked when the member is there. Bounded in number and length; the oldest one goes.
 */
#pragma once

#include "lib/buf.h"

struct early;

#define EARLY_MAX 32
#define EARLY_BYTES_MAX 4096

/* *e is made when it is NULL. A later one of the same node takes the place of the earlier. */
void early_put(struct early **e, const char *node, const void *bytes, size_t len);
/* Takes it out. False: there is none. */
bool early_take(struct early *e, const char *node, struct buf *ret);
void early_free(struct early *e);

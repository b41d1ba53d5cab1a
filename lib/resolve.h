/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * getaddrinfo on a thread of its own, answered in the loop.
 */
#pragma once

#include "lib/addr.h"
#include "lib/loop.h"

#define RESOLVE_MAX 8

struct resolve;
/* Looks `host` up (a numeric address is answered too). `done` is called once in the loop's thread
 * with up to RESOLVE_MAX addresses (port set), or with count 0 and a sentence. */
struct resolve *resolve_start(struct loop *l, const char *host, uint16_t port,
			      void (*done)(void *owner, const struct endpoint *e, size_t count,
					   const char *error),
			      void *owner);
/* No callback any more; frees when the thread ends. NULL allowed; not from inside `done`. */
void resolve_cancel(struct resolve *r);

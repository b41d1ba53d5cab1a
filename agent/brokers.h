/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the brokers are. Their addresses are never taken into a tunnel: a range around one, of whatever
 * gateway, would cut this node off from the word that ends the range.
 *
 * One thread; names are looked up on threads of their own (lib/resolve.h), again every 5 minutes, and
 * every 10 s while one cannot be. What was found stays until something else is.
 */
#pragma once

#include "lib/addr.h"
#include "lib/loop.h"

struct brokers;

/* `changed`: addresses were found that are others than before; in the loop. */
struct brokers *brokers_new(struct loop *l, void (*changed)(void *owner), void *owner);
/* NULL is allowed. */
void brokers_free(struct brokers *b);
/* These are the brokers from now on (mqtts://HOST:PORT, others are left out); the same ones again do
 * nothing. Those with an address in place of a name are known at once. */
void brokers_set(struct brokers *b, char *const *urls, size_t count);
/* The first one that is in this range; NULL: none that we know of. `b` NULL: there are none. */
const struct endpoint *brokers_in(const struct brokers *b, const struct prefix *range);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Holders: programs (`warren join --hold`) that keep a request open for as long as they want a
 * membership (design section 7). The coordinator hears who is held in u/<node>/state; nothing else
 * depends on it: a holder that goes ends nothing.
 */
#pragma once

#include "agent/agent.h"
#include "lib/http.h"

struct holders;

struct holders *holders_new(struct agent *a);
/* They are answered 503. NULL is allowed. */
void holders_free(struct holders *h);
/* Keeps the request. It is answered when the membership ends. */
void holders_add(struct holders *h, struct network *n, struct http_request *r);
/* The membership ends: 410, with code `left` when that was our own will. NULL is allowed. */
void holders_end(struct holders *h, const struct network *n);
/* For u/<node>/state: the memberships that were ever held. Kept on disk: one that was held when this
 * agent's forerunner ended counts as held for ten seconds, in which its holder comes back. */
size_t holders_list(const struct agent *a, struct arena *arena, struct holder_state **ret);

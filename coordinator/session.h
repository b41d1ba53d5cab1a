/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The coordinator at the broker: its one connection, its presence (c/state, also the last will), and
 * what nodes and joiners say. Everything is checked here (size, signature by place, schema) before
 * coordinator/authority is asked. Main thread.
 */
#pragma once

#include "coordinator/authority.h"
#include "lib/loop.h"

struct session;

/* Starts connecting. Borrowed: all. */
struct session *session_new(struct loop *l, struct authority *a);
/* Says that we are gone (c/state) and goodbye. NULL allowed. */
void session_free(struct session *s);

bool session_is_connected(const struct session *s);
const char *session_broker(const struct session *s);
/* Why not connected; NULL when connected. */
const char *session_error(const struct session *s);
/* Documents refused since the start, by cause. */
uint64_t session_refused(const struct session *s, enum refusal cause);

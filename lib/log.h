/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log lines: `level event key=value ...` on standard error, with the journal's `<3>` prefix when
 * JOURNAL_STREAM is set. The event is a constant name that can be searched and counted. Only
 * daemons log; lib/ and schemas/ return errors instead.
 *
 * Levels: error: something we own is broken now; warn: odd, and handled; info: a state changed,
 * rare; debug: why.
 */
#pragma once

#include <stdbool.h>

#include "lib/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are not written. Default LOG_INFO. Environment WARREN_LOG is read by
 * lib/daemon. */
void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug"; -EINVAL for anything else. */
int log_level_parse(const char *name, enum log_level *ret);

void log_line(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);
#define log_error(event, ...) log_line(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_line(LOG_DEBUG, event, __VA_ARGS__)

/* `s` as a value of a key that came from outside: quoted, control characters escaped, cut at 200
 * characters. One of 8 static buffers, so several fit into one call; NULL gives "-". Main thread
 * only. */
const char *log_quote(const char *s);

/* A token bucket for lines that a peer can trigger. */
struct log_limit {
	unsigned per_minute;
	unsigned left;
	unsigned long dropped;
	unsigned long long filled; /* monotonic microseconds */
};
/* True when a line may be written now; it counts what it refuses. */
bool log_allowed(struct log_limit *l);

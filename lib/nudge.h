/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ends another thread's nap. paho's threads wait for one another by sleeping 100 ms at a time where
 * the work is done in two: a signal that does nothing ends the sleep. A thread that is not in
 * nanosleep(2) is left alone (paho takes a poll(2) that was interrupted for an error).
 *
 * Linux only; where /proc does not tell what a thread does, nothing is sent and everything takes its
 * time. The signal is SIGURG, ignored by default; threads that are to be nudged must not block it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base.h"

#define NUDGE_SIGNAL SIGURG

/* Installs the handler; to be called before the first nudge. */
void nudge_init(void);
/* The thread of this process that has this name (pthread_setname_np); 0: none. */
pid_t nudge_find(const char *name);
/* True when the thread was napping and the signal is on its way. */
bool nudge(pid_t thread);

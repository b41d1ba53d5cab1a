/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forwarding by this host (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding), which a gateway needs.
 * What was switched on is remembered in a file until it is switched off again, or the machine starts
 * anew.
 */
#pragma once

#include <stddef.h>

#include "lib/base.h"

/* FORWARD_ bits (agent/desired.h) that are on; and those that are on because of us, by the file. */
void forwarding_read(const char *file, unsigned *ret_on, unsigned *ret_ours);
/* Switches `families` on and remembers the values of before. With IPv6 also accept_ra of the interfaces
 * from 1 to 2: a router would ignore the advertisements that give it its default route. A negative
 * errno with a sentence in `why`. */
int forwarding_on(const char *file, unsigned families, char *why, size_t size) MUST_CHECK;
/* Somebody else wants `families` on, too: what was remembered of them is forgotten, and all stays as it
 * is. */
int forwarding_forget(const char *file, unsigned families) MUST_CHECK;
/* Puts back what was remembered of `families`, and forgets it. */
int forwarding_off(const char *file, unsigned families, char *why, size_t size) MUST_CHECK;

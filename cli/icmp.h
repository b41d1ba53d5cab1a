/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ICMP echo (RFC 792, RFC 4443): one request, one answer.
 */
#pragma once

#include <stdint.h>

#include "lib/addr.h"

/* A socket for echo requests of the address's family: an unprivileged datagram socket where
 * net.ipv4.ping_group_range allows it, else a raw one. Negative errno. */
int icmp_open(const struct addr *to);
/* Sends request `sequence` and waits at most `timeout_ms` for its answer. 0 and the microseconds it
 * took, -ETIMEDOUT, or what the network said (-EHOSTUNREACH...). */
int icmp_echo(int fd, const struct addr *to, uint16_t sequence, int timeout_ms, uint64_t *ret_us);

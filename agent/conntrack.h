/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's table of flows (nfnetlink_conntrack), as far as we need it.
 */
#pragma once

#include <stdint.h>

#include "lib/nl.h"

/* Forgets all flows whose mark has all these bits: their next packet begins a new one, under the
 * rules of now. `n`: NETLINK_NETFILTER. A kernel without connection tracking has none: 0. */
int conntrack_flush(struct nl *n, uint32_t mark) MUST_CHECK;

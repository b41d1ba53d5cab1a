/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ranges made few. Pure.
 */
#pragma once

#include <stddef.h>

#include "lib/addr.h"

/* Sorts `list`, leaves out what others hold, makes one range of two halves. Those left, at its beginning,
 * cover the same addresses and no other one. Returns their number. Host bits must be zero. */
size_t kube_ranges_merge(struct prefix *list, size_t count);

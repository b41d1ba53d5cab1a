/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren join --hold: joins, and stays as the membership's holder.
 */
#pragma once

/* Returns the exit status: 0 when the node left the network, 1 when it is refused for good. Waits where
 * no agent answers, and where another one has the place. Says one line whenever it waits for something
 * else, or holds. `token` is wiped once it is read. */
int hold_run(char *token, const char *name);

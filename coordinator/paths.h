/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where things are when nothing else is said.
 */
#pragma once

#define PATHS_DATA "/var/lib/warren-coordinator"
#define PATHS_RUN "/run/warren"
#define PATHS_API "unix:" PATHS_RUN "/coordinator.sock"
#define PATHS_DATABASE "coordinator.db" /* in the data directory */
#define PATHS_GROUP "warren"		/* may use the Unix socket */

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network interfaces: our names for them, and which of the host's own may be announced. Pure.
 * (interface_name is declared in agent/desired.h.)
 */
#pragma once

#include <stdbool.h>

#define INTERFACE_PREFIX "wr-"
#define INTERFACE_ALIAS "warren" /* IFLA_IFALIAS: our mark */

/* May the addresses of an interface of this kind (IFLA_INFO_KIND, "" for hardware) be announced as
 * endpoints? Not those of tunnels, nor those that containers, pods and virtual machines hang on. A
 * bridge counts only when it holds the host's default route (hypervisors). Loopback and interfaces
 * that are down are the caller's to leave out. */
bool interface_candidate(const char *name, const char *kind, bool has_default_route);

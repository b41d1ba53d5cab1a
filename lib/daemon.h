/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every daemon does at its start: log level from WARREN_LOG, umask 077, no_new_privs,
 * SIGPIPE ignored, standard descriptors open; and sd_notify (READY=1, STOPPING=1) without
 * libsystemd.
 */
#pragma once

void daemon_begin(const char *program);
/* Sends a state line to $NOTIFY_SOCKET; does nothing when it is not set. */
void daemon_notify(const char *state);

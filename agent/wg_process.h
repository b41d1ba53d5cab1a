/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wireguard-go processes: one per interface. They are started in a session of their own and handed
 * to init, so that they outlive the agent; afterwards only their socket is known, never their
 * process id. Used by wg_uapi.c.
 *
 * In a pod they would end with it. There another program starts them: `folder` is known to both, and
 * a file in it that is named like an interface asks for a process that serves this interface, for as
 * long as the file is there (k8s/wireguard/run). `folder` NULL: they are started here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"
#include "lib/nl.h"

#define WG_SOCKET_DIR "/var/run/wireguard"

/* A non-blocking connection to the process that serves this interface. -ECONNREFUSED: there is none
 * (a stale socket or none at all); another negative errno. */
int wg_process_connect(const char *link) MUST_CHECK;
/* Starts one and waits until the interface is there and the socket answers. An interface of this
 * name that no process serves any more is removed first: the caller made sure that it is ours.
 * `patient`: who is asked by `folder` has 3 s to make the interface; else it is there already, or this
 * is -ETIMEDOUT at once. What was asked for stays asked for.
 * `why` gets a sentence when it fails: what is missing, or wireguard-go's own last words.
 * -EOPNOTSUPP: no wireguard-go, or no /dev/net/tun; -EADDRINUSE: one serves this name in another
 * network namespace; -ETIMEDOUT. */
int wg_process_start(struct nl *route, const char *folder, const char *link, bool patient,
		     char *why, size_t size) MUST_CHECK;
/* Ends it: interface and socket go, on which it exits; waits until it has let go of both. */
int wg_process_end(struct nl *route, const char *folder, const char *link, char *why, size_t size)
	MUST_CHECK;
/* Takes the file out of the folder. */
void wg_process_unask(const char *folder, const char *link);
/* Takes all files out of the folder that are named like interfaces of ours and that `keep` does not
 * want. */
void wg_process_sweep(const char *folder, bool (*keep)(void *owner, const char *link), void *owner);
/* Could one be started here, or asked for? 0 or -EOPNOTSUPP with a sentence. */
int wg_process_possible(const char *folder, char *why, size_t size) MUST_CHECK;

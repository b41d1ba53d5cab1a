/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A coordinator's authority for tests: a real store in memory, real keys, a publisher that keeps
 * what it was told instead of sending it (tests/fakes/authority_fake.c stands for
 * coordinator/publisher.c), and a clock that the test sets.
 */
#pragma once

#include "coordinator/authority.h"

extern int64_t fake_now; /* what authority.now says; begins with the real time */

/* Never freed: a test is a process of its own. */
struct authority *authority_fake(void);
/* Publisher_put and publisher_del fail with this error from now on (0: they work). */
void authority_fake_break(struct authority *a, int error);
/* The body published for a member; NULL when it is not there or was removed. */
const char *authority_fake_peer(struct authority *a, const char *network, const char *node);
/* Why a member was removed; -1 when it was not. */
int authority_fake_removed(struct authority *a, const char *network, const char *node);
/* The same for members of the gateways journal: gateway/<id>, exporter/<id>, name/<name>. */
const char *authority_fake_gateway(struct authority *a, const char *network, const char *member);
int authority_fake_gateway_removed(struct authority *a, const char *network, const char *member);
/* The newest body of a register by path; NULL. */
const char *authority_fake_register(struct authority *a, const char *path);
bool authority_fake_cleared(struct authority *a, const char *path);

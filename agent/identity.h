/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who this node is: its Ed25519 identity key, whose id is the node's id, and its TLS key. Both are
 * made at the first start and stay.
 */
#pragma once

#include "agent/state.h"
#include "schemas/enrol.h"

/* Reads it, or makes and stores it. -EIO when it cannot be stored: then nobody may join. */
int identity_load(struct state *s, struct identity *ret) MUST_CHECK;
void identity_done(struct identity *i);
/* A certificate request for the TLS key. */
void identity_csr(const struct identity *i, struct buf *ret_pem);

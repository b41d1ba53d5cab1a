/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our nft table, `inet warren`. It is replaced as a whole in one transaction by the program nft; the
 * hash of its text is kept in the table itself, as the name of a chain of its own, and that is what
 * is compared.
 */
#pragma once

#include <stdint.h>

#include "agent/desired.h"
#include "lib/buf.h"
#include "lib/nl.h"

#define NFT_TABLE "warren"

/* The rules that every node has, for the interfaces of `h`; NULL when there is none. The caller's to
 * free (it is what host.nft takes):
 * - TCP's MSS is clamped to the route's MTU in both directions, always;
 * - forwarded from our interfaces: only what belongs to established flows; all else is dropped and
 *   counted. */
char *nft_rules(const struct host *h);

/* What the program is given to replace the table by `text`. */
void nft_script(const char *text, const char *hash, struct buf *out);
/* Replaces it, or takes it away. `why` gets a sentence when that fails. -ENOENT: no nft. */
int nft_apply(const char *text, const char *hash, char *why, size_t size) MUST_CHECK;
int nft_remove(char *why, size_t size) MUST_CHECK;

/* What is there now, through `n` (NETLINK_NETFILTER): the hash, "" when there is no table or it has
 * lost its mark, and how many rules the table has. */
int nft_read(struct nl *n, char ret_hash[static HASH_HEX_SIZE], uint32_t *ret_rules) MUST_CHECK;
/* Is this event (NFNLGRP_NFTABLES) about our table? */
bool nft_event(const struct nlmsghdr *h);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our nft table, `inet warren`. It is replaced as a whole in one transaction by the program nft; the
 * hash of its text and the number of its rules are kept in the table itself, as the name of a chain of
 * its own, and that is what is compared: so a rule that somebody took out or put in shows, also to an
 * agent that was not there then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/desired.h"
#include "lib/buf.h"
#include "lib/nl.h"

#define NFT_TABLE "warren"

/* Bits of the conntrack mark. */
#define NFT_MARK_FLOW 0x10000000u  /* goes through a tunnel of ours */
#define NFT_MARK_STALE 0x20000000u /* older than its way into the tunnel: never masqueraded */

/* The rules for the interfaces of `h` (sorted); NULL when there is none. The caller's to free (it is
 * what host.nft takes). Packets of other interfaces leave each chain at its first rule.
 * - delivered here from our interfaces: what goes to our own address there; all else is dropped and
 *   counted.
 * A host that does not forward (host.forwards: net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)
 * forwards nothing from or to them either, should somebody switch it on: it has other rules then as
 * soon as the agent hears of it. Where it does:
 * - TCP's MSS is clamped to the route's MTU in both directions, always;
 * - forwarded from our interfaces: answers, and flows to what this node publishes in that network (as
 *   it was asked for, before the host's own translation of service addresses); all else is dropped
 *   and counted. This holds for each packet, so that what is withdrawn ends at once;
 * - delivered here: the same;
 * - while it forwards because of us alone (host.isolated): nothing between two other interfaces, but
 *   for what stays within a bridge;
 * - flows forwarded through tunnels carry NFT_MARK_FLOW. One that was there before there was a tunnel
 *   for it would go unmasqueraded for ever: it is dropped and carries NFT_MARK_STALE, for
 *   conntrack_flush.
 * Where it does, and in a network with ranges of gateways:
 * - masqueraded: what goes into a tunnel onto our own address in that network, and what comes
 *   out of it to a published range onto the address towards it, unless the gateway says none.
 * Else no rule needs conntrack, which costs a tunnel a tenth of its throughput. */
char *nft_rules(const struct host *h);
/* Has `now` lost a line of `before`? NULL: no rules at all. */
bool nft_loses(const char *before, const char *now);

/* What the program is given to replace the table by `text`, which has each rule on a line of its own that
 * begins with two tabs. */
void nft_script(const char *text, const char *hash, struct buf *out);
/* Replaces it, or takes it away. `why` gets a sentence when that fails. -ENOENT: no nft. */
int nft_apply(const char *text, const char *hash, char *why, size_t size) MUST_CHECK;
int nft_remove(char *why, size_t size) MUST_CHECK;

/* What is there now, through `n` (NETLINK_NETFILTER): the hash; "" when there is no table; NFT_UNKNOWN
 * when it has lost its mark, does not have as many rules as it was given, or is an older agent's; and
 * how many rules the table has. */
#define NFT_UNKNOWN "-"
int nft_read(struct nl *n, char ret_hash[static HASH_HEX_SIZE], uint32_t *ret_rules) MUST_CHECK;
/* Is this event (NFNLGRP_NFTABLES) about our table? */
bool nft_event(const struct nlmsghdr *h);

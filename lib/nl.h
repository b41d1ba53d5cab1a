/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink requests, dumps and events. The only user of libmnl.
 *
 * Requests are synchronous: they are local and take microseconds. Sequence numbers and the sender
 * are checked, the kernel's own sentence (extended ACK) is kept for the log, an interrupted dump
 * (NLM_F_DUMP_INTR) is done again, at most 8 times.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

#define NL_MESSAGE_MAX 8192 /* messages are built up to this size; see nl_room */

struct nl;
struct nlattr;
struct nlmsghdr;

/* `protocol`: NETLINK_ROUTE (with strict checking: what a dump's header and attributes name is what the
 * kernel filters by, other fields must be zero), NETLINK_GENERIC... */
int nl_open(int protocol, struct nl **ret) MUST_CHECK;
void nl_close(struct nl *n);
/* The kernel's sentence about the last error, "" when it gave none. */
const char *nl_reason(const struct nl *n);
/* Numeric id of a generic netlink family; -ENOENT when the kernel does not have it. */
int nl_family(struct nl *n, const char *name) MUST_CHECK;

/* A message being built. Additions beyond the size set `failed`. */
struct nl_msg {
	uint8_t bytes[NL_MESSAGE_MAX] __attribute__((aligned(4)));
	bool failed;
};
/* `extra`: the family's fixed header (struct rtmsg, genlmsghdr), copied. */
void nl_msg_begin(struct nl_msg *m, uint16_t type, uint16_t flags, const void *extra, size_t len);
void nl_put(struct nl_msg *m, uint16_t type, const void *p, size_t n);
void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v);
void nl_put_u16(struct nl_msg *m, uint16_t type, uint16_t v);
void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v);
void nl_put_str(struct nl_msg *m, uint16_t type, const char *s);
struct nlattr *nl_nest_begin(struct nl_msg *m, uint16_t type);
void nl_nest_end(struct nl_msg *m, struct nlattr *nest);
/* Takes the nest out again, and with it the failure of an addition inside it. NULL does nothing. */
void nl_nest_cancel(struct nl_msg *m, struct nlattr *nest);
/* Bytes that still fit. */
size_t nl_room(const struct nl_msg *m);
size_t nl_msg_len(const struct nl_msg *m);

/* Sends and waits for the ACK. 0 or the kernel's negative errno; -EMSGSIZE when `m` has failed,
 * -ETIMEDOUT after 5 s. */
int nl_talk(struct nl *n, struct nl_msg *m) MUST_CHECK;
/* Sends a dump or get and calls `each` for every message; a negative value from it ends the walk
 * and is returned. After -EINTR inside, `restart` (may be NULL) is called and the dump begins anew. */
int nl_dump(struct nl *n, struct nl_msg *m, int (*each)(const struct nlmsghdr *h, void *arg),
	    void (*restart)(void *arg), void *arg) MUST_CHECK;

/* Validating reader: fills tb[0..max] with the attributes after `extra` bytes of fixed header.
 * `min_len[type]` (0: not looked at) refuses shorter ones: -EBADMSG. Repeated ones: the last. */
int nl_parse(const struct nlmsghdr *h, size_t extra, const uint16_t *min_len, size_t max,
	     const struct nlattr **tb) MUST_CHECK;
int nl_parse_nested(const struct nlattr *nest, const uint16_t *min_len, size_t max,
		    const struct nlattr **tb) MUST_CHECK;
/* Walk over the members of a nest: pass NULL first; NULL at the end. */
const struct nlattr *nl_nested_next(const struct nlattr *nest, const struct nlattr *a);
const void *nl_payload(const struct nlmsghdr *h);
size_t nl_payload_len(const struct nlmsghdr *h);
uint16_t nl_type(const struct nlattr *a);
size_t nl_len(const struct nlattr *a); /* of its payload */
const void *nl_data(const struct nlattr *a);
uint8_t nl_u8(const struct nlattr *a);
uint16_t nl_u16(const struct nlattr *a);
uint32_t nl_u32(const struct nlattr *a);
uint64_t nl_u64(const struct nlattr *a);

/* Events: a descriptor to poll, joined to `groups` (RTNLGRP_...). nl_events_drain reads all there is
 * and returns 1 when `each` saw something relevant (returned 1) or messages were lost (ENOBUFS):
 * a full read is due; 0: nothing of interest; negative errno: the socket is of no use any more. In a
 * flood it leaves some for the next call: the descriptor stays readable. */
int nl_events_open(int protocol, const unsigned *groups, size_t count, struct nl **ret) MUST_CHECK;
int nl_fd(const struct nl *n);
int nl_events_drain(struct nl *n, int (*each)(const struct nlmsghdr *h, void *arg), void *arg);

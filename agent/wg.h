/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private seam of the two WireGuard back ends: the kernel's own (generic netlink, wg_kernel.c)
 * and wireguard-go (its UAPI socket, wg_uapi.c). Both make a network interface; addresses, MTU, up,
 * routes and nft are the same for both and not here. Used by kernel_linux.c and its neighbours.
 *
 * Semantics that both share: changes are applied in order and not as one; a prefix given to a peer
 * is taken from the one who had it, without a moment in which nobody has it; removing or changing
 * what is not there is no error.
 */
#pragma once

#include "agent/desired.h"
#include "lib/buf.h"
#include "lib/nl.h"

struct wg {
	struct nl *route;   /* NETLINK_ROUTE, borrowed */
	struct nl *generic; /* NETLINK_GENERIC, borrowed; NULL: none */
	int family;	    /* of "wireguard"; negative errno: the kernel has none */
	const char *folder; /* agent/wg_process.h, borrowed */
	/* Of those asked for by `folder`: one was missing in the last kernel_apply, or is in this one.
	 * Nobody is waited for then. */
	bool unserved, missing;
	char why[256]; /* a sentence about the last failure, "" when there is none */
};

/* A change of one peer. Nothing is ever taken away but by `remove`. */
struct wg_change {
	const uint8_t *key;
	bool remove;
	bool with_keepalive;
	uint16_t keepalive;
	const struct endpoint *endpoint; /* NULL: left as it is */
	const struct prefix *allowed;	 /* to add, or to move here */
	size_t allowed_count;
};

struct wg_backend {
	const char *name; /* "kernel", "userspace" */
	const char *kind; /* IFLA_INFO_KIND of its interfaces */
	/* Makes the interface, down. -EOPNOTSUPP: this system cannot. */
	int (*create)(struct wg *w, const char *link);
	/* Takes it away with all its peers, quickly (see below). No interface: no error. */
	int (*destroy)(struct wg *w, const char *link);
	/* Adds key, port and peers to `ret`, sorted. -ECONNREFUSED: the process behind it is gone. */
	int (*read)(struct wg *w, const char *link, struct wg_link *ret);
	/* `device` (NULL: left alone) gives private key and port. The first error ends it; what was
	 * done before stays. */
	int (*apply)(struct wg *w, const char *link, const struct wg_link *device,
		     const struct wg_change *changes, size_t count);
};

extern const struct wg_backend wg_kernel, wg_uapi;

/* ---- wg_kernel.c: messages (include/uapi/linux/wireguard.h), for it and its tests ---- */

/* Where the next message goes on. A zeroed one is the beginning. */
struct wg_cursor {
	size_t change;	/* index of the next one */
	size_t allowed; /* how many of its prefixes went already */
	bool begun;	/* device attributes are in the first message only */
};

/* Builds the next WG_CMD_SET_DEVICE message, at most NL_MESSAGE_MAX bytes. A peer whose prefixes do
 * not fit goes on in the next one; endpoint and keepalive are only in its first part. False when
 * nothing is left to send. */
bool wg_kernel_message(struct nl_msg *m, int family, const char *link, const struct wg_link *device,
		       const struct wg_change *changes, size_t count, struct wg_cursor *at);
/* Asks to remove all peers in one go. Only before the interface is deleted: that alone costs 12 ms
 * for each peer (drivers/net/wireguard/peer.c waits for each). */
void wg_kernel_message_empty(struct nl_msg *m, int family, const char *link);
/* Reads one message of a WG_CMD_GET_DEVICE dump into `ret`. A peer that is continued in the next
 * message becomes one. -EBADMSG, -E2BIG. */
int wg_kernel_parse(const struct nlmsghdr *h, struct wg_link *ret);

/* ---- wg_uapi.c: the text protocol (wireguard.com/xplatform), for it and its tests ---- */

#define UAPI_LINE_MAX 256
#define UAPI_PEERS_MAX 65536
#define UAPI_ALLOWED_MAX 1048576

/* Reader of an answer, fed in pieces. A zeroed one with `link` set is ready. */
struct uapi_reader {
	struct wg_link *link; /* borrowed, filled; unsorted */
	char line[UAPI_LINE_MAX];
	size_t len;
	size_t allowed; /* how many were read, of all peers */
	bool peer;	/* one has begun: the last of `link` */
	bool have_error;
	int error; /* what errno= said, negative */
	bool done; /* the empty line came */
};

/* 0, or -EBADMSG for what is not `key=value` or whose value is malformed, -E2BIG beyond the caps.
 * Bytes after the end are -EBADMSG. */
int uapi_read(struct uapi_reader *r, const char *bytes, size_t len);
/* The answer as a whole: 0 when it ended and said errno=0; its errno; -EPROTO: not ended. */
int uapi_read_end(const struct uapi_reader *r);
/* Writes a `set=1` operation. Secrets are in it: buf_done wipes. */
void uapi_write_begin(struct buf *b, const struct wg_link *device);
void uapi_write_change(struct buf *b, const struct wg_change *c);

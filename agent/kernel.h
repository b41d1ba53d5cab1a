/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seam to the kernel: read what is there, apply ops, hear that something changed. Two
 * implementations: kernel_linux.c and its neighbours (WireGuard by generic netlink or
 * wireguard-go's UAPI socket, rtnetlink, nft) and tests/fakes/kernel_fake.c.
 *
 * Everything is synchronous and local. The slow ones: making an interface that wireguard-go serves
 * (its start, some 30 ms), replacing the nft table (a program, 15 ms).
 */
#pragma once

#include "agent/desired.h"
#include "agent/plan.h"
#include "lib/loop.h"

struct kernel;

enum kernel_backend { BACKEND_AUTO, BACKEND_KERNEL, BACKEND_USERSPACE };
extern const char *const kernel_backend_names[]; /* "auto", "kernel", "userspace", NULL */

struct kernel_config {
	enum kernel_backend backend;
	/* Where it is remembered that we switched forwarding on; NULL: nowhere. Borrowed. */
	const char *forwarding;
	/* Where wireguard-go is asked for; NULL: it is started here. Borrowed. */
	const char *wireguard_go;
	bool firewall_report; /* --firewall report: do not install nft rules, log what they would be */
	/* Something of ours, or what kernel_candidates answers, changed behind our back: a full pass
	 * is due. Debounced by 50 ms; changes made by kernel_apply itself do not count. Peers are
	 * not watched (WireGuard has no events): only a periodic pass sees those. May be NULL. */
	void (*changed)(void *owner);
	void *owner;
};

/* 0, or a negative errno with a sentence in kernel_message(NULL): no capability NET_ADMIN, neither
 * WireGuard in the kernel nor wireguard-go with /dev/net/tun. */
int kernel_new(struct loop *l, const struct kernel_config *c, struct kernel **ret) MUST_CHECK;
void kernel_free(struct kernel *k); /* leaves everything in place; NULL is allowed */
const char *kernel_message(const struct kernel *k); /* of the last failure; k may be NULL */

/* Which backend serves (or would serve) an interface: "kernel", "userspace". */
const char *kernel_backend_of(struct kernel *k, const char *link);

/* Reads all of ours: interfaces whose name begins with wr- and that carry our mark (link alias
 * `warren`), with addresses, peers, routes of protocol 190 on them, and our nft table's hash.
 * Sorted; `ret` is overwritten, for host_done. An interface whose wireguard-go died but that is
 * still there counts as absent: OP_LINK_ADD makes it anew. */
int kernel_read(struct kernel *k, struct host *ret) MUST_CHECK;
/* Reads the device and the peers of one interface, not its addresses and routes. `ret` is
 * overwritten, for wg_link_done. -ENODEV: not there or not ours. */
int kernel_read_peers(struct kernel *k, const char *link, struct wg_link *ret) MUST_CHECK;
/* Applies in order. Goes on after an op that failed; returns the first error, and calls `failed`
 * (may be NULL) for each with a sentence; of an interface that is not there only the first
 * of its ops is told. What is already so is no failure, nor is the removal of
 * what is not there. Peer ops of one link next to one another share messages. */
int kernel_apply(struct kernel *k, const struct op *ops, size_t count,
		 void (*failed)(void *owner, const struct op *op, int error, const char *why),
		 void *owner);
/* Removes a peer and makes it again in one go, with this endpoint (family 0: none): a fresh
 * handshake at once, whatever WireGuard's own retry timer says. Only for peers without a session. */
int kernel_retry_peer(struct kernel *k, const char *link, const struct wg_peer *peer);

/* Addresses of this host that can be announced as endpoints: global scope, not loopback, not on our
 * interfaces, no bridge (but the one with the default route), pod, container or tunnel interface.
 * Sorted. */
int kernel_candidates(struct kernel *k, struct addr *ret, size_t max, size_t *ret_count);
/* Where a packet to a private address (addr_is_private) would go. */
enum kernel_way {
	WAY_NONE,   /* nowhere, or by the default route from a public address: into the internet */
	WAY_UNSURE, /* by the default route from a private address: its router may know more */
	WAY_KNOWN,  /* by a route of its own */
};
enum kernel_way kernel_way_to(struct kernel *k, const struct addr *a);
/* From `begin` to `end` the next two answer from one reading of the host's routes, made by the first of
 * them; else each call reads. */
void kernel_look_begin(struct kernel *k);
void kernel_look_end(struct kernel *k);
/* A route in main that is not ours and steals from `prefix` (equal or more specific; connected ones
 * too): 1 with a description in `ret` (`10.42.1.0/24 on cni0`), 0 none, negative errno. */
int kernel_conflict(struct kernel *k, const struct prefix *prefix, char *ret, size_t size);
/* The same for what forbids a route of ours: a route that is not ours to just this prefix, or an
 * interface's own network with the whole of it inside. */
int kernel_blocked(struct kernel *k, const struct prefix *prefix, char *ret, size_t size);
/* An interface that is not wanted any more, and perhaps never came: with kernel_config.wireguard_go
 * nobody is asked for it any more. Of one that is there this is left to OP_LINK_DEL. */
void kernel_unask(struct kernel *k, const char *link);
/* The same for all that `wanted` does not want: somebody asked for them and was killed before he marked
 * them. Only for the one agent of a network namespace. */
void kernel_sweep(struct kernel *k, bool (*wanted)(void *owner, const char *link), void *owner);
/* Forgets the flows that nft_rules found to be older than their way into a tunnel. */
void kernel_forget_stale_flows(struct kernel *k);

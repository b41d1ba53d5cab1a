/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hears what others change in the kernel. Owns the event sockets; the daemon's thread.
 *
 * Events only say that it is time to look. Whether somebody else did something is told by comparing
 * pictures (hashes) of what is watched: one is taken after each change of our own. Links and
 * addresses of other programs come and go all day on some hosts, and change no picture.
 */
#include "agent/kernel_linux.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netconf.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>

#include "agent/interface.h"
#include "agent/nft.h"
#include "lib/clock.h"

#define DEBOUNCE (50 * USEC_PER_MSEC)

/* All of the host's forwarding, not that of one interface. */
static int is_forwarding(const struct nlmsghdr *h, struct kernel *k)
{
	static const uint16_t min_len[NETCONFA_FORWARDING + 1] = {
		[NETCONFA_IFINDEX] = 4,
		[NETCONFA_FORWARDING] = 4,
	};
	const struct nlattr *tb[NETCONFA_FORWARDING + 1];
	const struct netconfmsg *m = nl_payload(h);

	if (nl_parse(h, sizeof(*m), min_len, NETCONFA_FORWARDING, tb) < 0 ||
	    !tb[NETCONFA_IFINDEX] || !tb[NETCONFA_FORWARDING] ||
	    (int)nl_u32(tb[NETCONFA_IFINDEX]) != NETCONFA_IFINDEX_ALL)
		return 0;
	if (nl_u32(tb[NETCONFA_FORWARDING]) && m->ncm_family == AF_INET)
		k->switched_on |= FORWARD_4;
	if (nl_u32(tb[NETCONFA_FORWARDING]) && m->ncm_family == AF_INET6)
		k->switched_on |= FORWARD_6;
	/* It may have been on already: no picture shows that. */
	k->meddled |= nl_u32(tb[NETCONFA_FORWARDING]) != 0;
	return 1;
}

/* An interface that was asked for and not waited for: no picture has it before it is marked. */
static int is_link(const struct nlmsghdr *h, struct kernel *k)
{
	struct rt_link l;

	if (k->wg.unserved && rt_link_parse(h, &l) == 0 && !l.ours)
		k->meddled |= strncmp(l.name, INTERFACE_PREFIX, strlen(INTERFACE_PREFIX)) == 0;
	return 1;
}

static int is_relevant_route(const struct nlmsghdr *h, void *arg)
{
	struct rt_route r;

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
		return is_link(h, arg);
	case RTM_DELLINK:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return 1;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return rt_route_parse(h, &r) == 0 && r.protocol == ROUTE_PROTOCOL;
	case RTM_NEWNETCONF:
		return is_forwarding(h, arg);
	default:
		return 0;
	}
}

static int is_relevant_nft(const struct nlmsghdr *h, void *arg)
{
	(void)arg;
	return nft_event(h);
}

/* Did anything come that may concern us? */
static bool drain(struct kernel *k, size_t i)
{
	return nl_events_drain(k->sources[i].events, i == 0 ? is_relevant_route : is_relevant_nft,
			       k) != 0;
}

static void arm(struct kernel *k)
{
	if (!k->due.added)
		loop_timer_set(k->loop, &k->due, loop_now(k->loop) + DEBOUNCE);
}

static void on_event(struct loop_io *io, short got)
{
	struct kernel_source *s = container_of(io, struct kernel_source, io);

	(void)got;
	if (drain(s->kernel, (size_t)(s - s->kernel->sources)))
		arm(s->kernel);
}

/* Takes a new picture. Is it another one than before? */
static bool look(struct kernel *k)
{
	uint8_t ours[HASH_LEN], host[HASH_LEN];
	bool same;

	if (kernel_picture(k, ours, host) < 0)
		return true; /* a full read will say why */
	same = memcmp(ours, k->ours_seen, HASH_LEN) == 0 &&
	       memcmp(host, k->host_seen, HASH_LEN) == 0;
	memcpy(k->ours_seen, ours, HASH_LEN);
	memcpy(k->host_seen, host, HASH_LEN);
	return !same;
}

void kernel_watch_hear(struct kernel *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(k->sources); i++)
		if (k->sources[i].events && drain(k, i))
			arm(k);
}

static void on_due(struct loop_timer *t)
{
	struct kernel *k = container_of(t, struct kernel, due);
	bool changed = look(k) || k->meddled;

	k->meddled = false;
	if (changed && k->config.changed)
		k->config.changed(k->config.owner);
}

void kernel_watch_pause(struct kernel *k)
{
	bool pending = k->due.added;

	if (!k->loop)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(k->sources); i++)
		if (k->sources[i].events)
			pending |= drain(k, i);
	if (pending && look(k)) {
		k->meddled = true;
		arm(k);
	}
}

void kernel_watch_resume(struct kernel *k)
{
	uint8_t host[HASH_LEN];

	if (k->loop && k->sources[0].events && drain(k, 0))
		arm(k);
	/* The host's own addresses are not what we change: a change of theirs is still to be seen. */
	if (k->loop && kernel_picture(k, k->ours_seen, host) < 0)
		memset(k->ours_seen, 0, HASH_LEN);
}

static int listen_to(struct kernel *k, size_t i, int protocol, const unsigned *groups, size_t count)
{
	struct kernel_source *s = &k->sources[i];
	int r = nl_events_open(protocol, groups, count, &s->events);

	if (r < 0)
		return r;
	s->kernel = k;
	s->io = (struct loop_io){ .fd = nl_fd(s->events), .want = POLLIN, .ready = on_event };
	loop_io_add(k->loop, &s->io);
	return 0;
}

int kernel_watch_start(struct kernel *k)
{
	static const unsigned route[] = { RTNLGRP_LINK,	       RTNLGRP_IPV4_IFADDR,
					  RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
					  RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_NETCONF,
					  RTNLGRP_IPV6_NETCONF };
	static const unsigned nft[] = { NFNLGRP_NFTABLES };
	int r = listen_to(k, 0, NETLINK_ROUTE, route, ARRAY_SIZE(route));

	k->due.fired = on_due;
	if (r < 0)
		return r;
	/* A kernel without nf_tables: there is nothing to hear. */
	if (k->netfilter)
		(void)listen_to(k, 1, NETLINK_NETFILTER, nft, ARRAY_SIZE(nft));
	look(k);
	return 0;
}

void kernel_watch_stop(struct kernel *k)
{
	if (!k->loop)
		return;
	loop_timer_del(k->loop, &k->due);
	for (size_t i = 0; i < ARRAY_SIZE(k->sources); i++) {
		if (!k->sources[i].events)
			continue;
		loop_io_del(k->loop, &k->sources[i].io);
		nl_close(k->sources[i].events);
	}
}

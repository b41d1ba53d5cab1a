/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links, addresses and routes through rtnetlink (rtnetlink(7)), as far as we need them. Stateless:
 * every function takes the netlink socket. Errors are the kernel's negative errno.
 */
#pragma once

#include "agent/desired.h"
#include "lib/nl.h"

#define RT_KIND_SIZE 16
#define RT_ALIAS_SIZE 16

struct rt_link {
	int index;
	char name[INTERFACE_SIZE];
	char kind[RT_KIND_SIZE];   /* IFLA_INFO_KIND, "" for hardware; cut */
	char alias[RT_ALIAS_SIZE]; /* cut */
	unsigned flags;		   /* IFF_ */
	uint32_t mtu;
	bool ours; /* name begins with wr- and it carries our mark */
};

struct rt_address {
	int index;
	struct prefix prefix;
	uint8_t scope;	/* RT_SCOPE_ */
	uint32_t flags; /* IFA_F_ */
};

struct rt_route {
	int index; /* outgoing interface; 0: several or none */
	struct route route;
	uint32_t table, metric;
	uint8_t protocol, type; /* RTPROT_, RTN_ */
	bool gateway;		/* goes through another router */
};

/* All links; the array is the caller's to free. */
int rt_links(struct nl *n, struct rt_link **ret, size_t *ret_count) MUST_CHECK;
/* One by name: -ENODEV when it is not there. */
int rt_link_get(struct nl *n, const char *name, struct rt_link *ret) MUST_CHECK;
/* -EEXIST; -EOPNOTSUPP: the kernel does not know this kind. */
int rt_link_add(struct nl *n, const char *name, const char *kind) MUST_CHECK;
/* Marks it as ours. And, by netlink, as a pod's /proc/sys is read-only: when its first address of a
 * range goes the others of that range stay (promote_secondaries); sources are not checked by the
 * routes of this moment (rp_filter loose): WireGuard checks them for each peer. */
int rt_link_mark(struct nl *n, int index) MUST_CHECK;
int rt_link_mtu(struct nl *n, int index, uint32_t mtu) MUST_CHECK;
int rt_link_up(struct nl *n, int index) MUST_CHECK;
/* Not there: no error. */
int rt_link_del(struct nl *n, const char *name) MUST_CHECK;

/* All addresses of all links; the array is the caller's to free. */
int rt_addresses(struct nl *n, struct rt_address **ret, size_t *ret_count) MUST_CHECK;
/* Already there, or (removal) not there: no error. */
int rt_address_add(struct nl *n, int index, const struct prefix *address) MUST_CHECK;
int rt_address_del(struct nl *n, int index, const struct prefix *address) MUST_CHECK;

/* The routes of protocol 190 in main, of both families; the array is the caller's to free. */
int rt_routes(struct nl *n, struct rt_route **ret, size_t *ret_count) MUST_CHECK;
/* Calls `each` for every route of one family in main; a negative value ends the walk and is
 * returned. One route may be told twice (when the table changed meanwhile). */
int rt_routes_each(struct nl *n, uint8_t family, int (*each)(const struct rt_route *r, void *arg),
		   void *arg) MUST_CHECK;
/* The route that a packet to `to` takes, by whatever table; its source where it names one. `chosen`:
 * instead with `to` itself as its prefix and with the source that the kernel chooses. -ENETUNREACH,
 * -EHOSTUNREACH, -EACCES, -EINVAL as for a packet. */
int rt_route_to(struct nl *n, const struct addr *to, bool chosen, struct rt_route *ret) MUST_CHECK;
/* Protocol 190, metric 1024, in main. One of ours with this prefix is replaced, wherever it points;
 * one of somebody else with the same metric is left alone: -EEXIST. */
int rt_route_add(struct nl *n, int index, const struct route *r) MUST_CHECK;
/* Ours on this link only. Not there: no error. */
int rt_route_del(struct nl *n, int index, const struct prefix *p) MUST_CHECK;

/* Readers of single messages (RTM_NEWLINK, RTM_NEWROUTE, RTM_DELROUTE), for events. */
int rt_link_parse(const struct nlmsghdr *h, struct rt_link *ret) MUST_CHECK;
int rt_route_parse(const struct nlmsghdr *h, struct rt_route *ret) MUST_CHECK;

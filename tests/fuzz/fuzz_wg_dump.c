/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink messages: one of a WireGuard device's dump (the input is what follows its nlmsghdr), and
 * the same bytes as a link, a route and an nft event.
 */
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nft.h"
#include "agent/rt.h"
#include "agent/wg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *h = malloc(NLMSG_HDRLEN + size);
	struct wg_link l = { 0 };
	struct rt_route route;
	struct rt_link link;

	if (!h)
		return 0;
	memset(h, 0, NLMSG_HDRLEN);
	h->nlmsg_len = (uint32_t)(NLMSG_HDRLEN + size);
	if (size)
		memcpy((char *)h + NLMSG_HDRLEN, data, size);
	if (wg_kernel_parse(h, &l) == 0) {
		wg_link_sort(&l);
		for (size_t i = 0; i < l.peer_count; i++)
			for (size_t k = 0; k < l.peers[i].allowed_count; k++)
				if (!prefix_is_network(&l.peers[i].allowed[k]))
					abort();
	}
	if (rt_link_parse(h, &link) == 0 && strlen(link.name) >= sizeof(link.name))
		abort();
	if (rt_route_parse(h, &route) == 0 &&
	    route.route.prefix.len > addr_bits(&route.route.prefix.addr))
		abort();
	h->nlmsg_type = 10 << 8; /* NFNL_SUBSYS_NFTABLES */
	(void)nft_event(h);
	wg_link_done(&l);
	free(h);
	return 0;
}

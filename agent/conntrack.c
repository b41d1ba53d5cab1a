/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forgetting flows: one message. Owns nothing; the daemon's thread.
 */
#include "agent/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

int conntrack_flush(struct nl *n, uint32_t mark)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0 };
	struct nl_msg m;
	int r;

	nl_msg_begin(&m, (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
		     NLM_F_REQUEST | NLM_F_ACK, &g, sizeof(g));
	nl_put_u32(&m, CTA_MARK, htonl(mark));
	nl_put_u32(&m, CTA_MARK_MASK, htonl(mark));
	r = nl_talk(n, &m);
	return r == -EINVAL || r == -EOPNOTSUPP || r == -ENOENT ? 0 : r;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink over libmnl. A struct nl owns its socket and a receive buffer, which is wiped after use: the
 * dump of a WireGuard device has its private key in it. One thread each.
 */
#include "lib/nl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/mem.h"

#define RECEIVE_MAX                                                                                \
	65536	      /* the kernel fills up to 32 KiB in a dump; untouched pages cost nothing */
#define TIMEOUT_S 5   /* an answer that takes longer is lost */
#define ROUNDS 8      /* of an interrupted dump */
#define DRAIN_MAX 256 /* datagrams in one turn of the loop; poll comes again for the rest */

struct nl {
	struct mnl_socket *socket;
	unsigned port;
	uint32_t seq;
	char reason[160];
	uint8_t bytes[RECEIVE_MAX] __attribute__((aligned(8)));
};

/* ---- sockets ---- */

static void set_option(struct nl *n, int option)
{
	int on = 1;

	/* Older kernels do without. */
	mnl_socket_setsockopt(n->socket, option, &on, sizeof(on));
}

/* NULL with errno. */
static struct nl *open_socket(int protocol, int flags)
{
	struct nl *n = xcalloc(1, sizeof(*n));
	int e;

	n->socket = mnl_socket_open2(protocol, SOCK_CLOEXEC | flags);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		e = errno;
		nl_close(n);
		errno = e;
		return NULL;
	}
	n->port = mnl_socket_get_portid(n->socket);
	return n;
}

int nl_open(int protocol, struct nl **ret)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	struct nl *n = open_socket(protocol, 0);

	if (!n)
		return -errno;
	set_option(n, NETLINK_EXT_ACK);
	set_option(n, NETLINK_CAP_ACK);
	if (protocol == NETLINK_ROUTE)
		set_option(n, NETLINK_GET_STRICT_CHK);
	setsockopt(nl_fd(n), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	*ret = n;
	return 0;
}

void nl_close(struct nl *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n);
}

int nl_fd(const struct nl *n)
{
	return mnl_socket_get_fd(n->socket);
}

const char *nl_reason(const struct nl *n)
{
	return n->reason;
}

/* One datagram from the kernel; others may write to us too, theirs are thrown away. 0: that was one
 * of those. */
static ssize_t receive(struct nl *n)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = n->bytes, .iov_len = sizeof(n->bytes) };
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t len;

	do
		len = recvmsg(nl_fd(n), &m, 0);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (from.nl_pid != 0)
		return 0;
	return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : len;
}

/* ---- messages out ---- */

static struct nlmsghdr *header(const struct nl_msg *m)
{
	return (struct nlmsghdr *)(uintptr_t)m->bytes;
}

void nl_msg_begin(struct nl_msg *m, uint16_t type, uint16_t flags, const void *extra, size_t len)
{
	struct nlmsghdr *h;

	/* libmnl leaves the padding between attributes as it finds it. */
	memset(m, 0, sizeof(*m));
	h = mnl_nlmsg_put_header(m->bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	if (len > 0)
		memcpy(mnl_nlmsg_put_extra_header(h, len), extra, len);
}

void nl_put(struct nl_msg *m, uint16_t type, const void *p, size_t n)
{
	if (n > UINT16_MAX || m->failed ||
	    !mnl_attr_put_check(header(m), sizeof(m->bytes), type, n, p))
		m->failed = true;
}

void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_u16(struct nl_msg *m, uint16_t type, uint16_t v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v)
{
	nl_put(m, type, &v, sizeof(v));
}

void nl_put_str(struct nl_msg *m, uint16_t type, const char *s)
{
	nl_put(m, type, s, strlen(s) + 1);
}

struct nlattr *nl_nest_begin(struct nl_msg *m, uint16_t type)
{
	struct nlattr *nest =
		m->failed ? NULL : mnl_attr_nest_start_check(header(m), sizeof(m->bytes), type);

	m->failed = !nest;
	return nest;
}

void nl_nest_end(struct nl_msg *m, struct nlattr *nest)
{
	if (nest)
		mnl_attr_nest_end(header(m), nest);
}

void nl_nest_cancel(struct nl_msg *m, struct nlattr *nest)
{
	if (!nest)
		return;
	mnl_attr_nest_cancel(header(m), nest);
	m->failed = false;
}

size_t nl_msg_len(const struct nl_msg *m)
{
	return header(m)->nlmsg_len;
}

size_t nl_room(const struct nl_msg *m)
{
	return sizeof(m->bytes) - nl_msg_len(m);
}

/* ---- requests ---- */

/* The kernel's sentence: attributes behind the error and what it quotes of our request. */
static void take_reason(struct nl *n, const struct nlmsghdr *h, size_t offset)
{
	const struct nlattr *tb[NLMSGERR_ATTR_MSG + 1] = { NULL };
	const char *s;
	size_t len;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) ||
	    nl_parse(h, offset, NULL, NLMSGERR_ATTR_MSG, tb) < 0 || !tb[NLMSGERR_ATTR_MSG])
		return;
	s = nl_data(tb[NLMSGERR_ATTR_MSG]);
	len = MIN(strnlen(s, nl_len(tb[NLMSGERR_ATTR_MSG])), sizeof(n->reason) - 1);
	memcpy(n->reason, s, len);
	n->reason[len] = '\0';
}

/* The verdict that NLMSG_ERROR (also an ACK) or NLMSG_DONE carries. */
static int take_verdict(struct nl *n, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	size_t len = mnl_nlmsg_get_payload_len(h), offset = sizeof(int);

	if (h->nlmsg_type == NLMSG_DONE && len < sizeof(int))
		return 0;
	if (h->nlmsg_type == NLMSG_ERROR) {
		if (len < sizeof(*e))
			return -EBADMSG;
		offset = sizeof(*e);
		if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > NLMSG_HDRLEN)
			offset += e->msg.nlmsg_len - NLMSG_HDRLEN;
	}
	if (e->error < 0)
		take_reason(n, h, offset);
	return MIN(e->error, 0);
}

struct walk {
	int (*each)(const struct nlmsghdr *h, void *arg);
	void *arg;
	bool interrupted;
	int stopped; /* what `each` returned last */
};

/* Goes through one datagram. 1: there is more to come; else the end: 0 or the kernel's errno. */
static int take_datagram(struct nl *n, size_t bytes, struct walk *w)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)n->bytes;
	int len = (int)bytes;

	for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
		/* The rest of a conversation that was given up is not for us. */
		if (h->nlmsg_seq != n->seq || h->nlmsg_pid != n->port)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			w->interrupted = true;
		if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE)
			return take_verdict(n, h);
		if (h->nlmsg_type == NLMSG_OVERRUN)
			return -ENOBUFS;
		if (h->nlmsg_type >= NLMSG_MIN_TYPE && w->each && w->stopped >= 0)
			w->stopped = w->each(h, w->arg);
	}
	return 1;
}

static int exchange(struct nl *n, struct nl_msg *m, struct walk *w)
{
	struct nlmsghdr *h = header(m);
	int r = 1;

	if (m->failed)
		return -EMSGSIZE;
	n->reason[0] = '\0';
	h->nlmsg_seq = ++n->seq;
	h->nlmsg_pid = 0;
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	while (r == 1) {
		ssize_t len = receive(n);

		if (len < 0)
			return len == -EAGAIN ? -ETIMEDOUT : (int)len;
		r = take_datagram(n, (size_t)len, w);
		explicit_bzero(n->bytes, (size_t)len);
	}
	return r;
}

int nl_talk(struct nl *n, struct nl_msg *m)
{
	struct walk w = { 0 };

	header(m)->nlmsg_flags |= NLM_F_ACK;
	return exchange(n, m, &w);
}

int nl_dump(struct nl *n, struct nl_msg *m, int (*each)(const struct nlmsghdr *h, void *arg),
	    void (*restart)(void *arg), void *arg)
{
	/* A dump ends with NLMSG_DONE, everything else with an ACK. */
	if ((header(m)->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		header(m)->nlmsg_flags |= NLM_F_ACK;
	for (int round = 0; round < ROUNDS; round++) {
		struct walk w = { .each = each, .arg = arg };
		int r;

		if (round > 0 && restart)
			restart(arg);
		/* Read to its end in any case: the kernel begins no second dump on a socket. */
		r = exchange(n, m, &w);
		if (w.stopped < 0)
			return w.stopped;
		if (r < 0 && r != -EINTR)
			return r;
		if (r == 0 && !w.interrupted)
			return 0;
	}
	return -EINTR;
}

static int take_family(const struct nlmsghdr *h, void *arg)
{
	static const uint16_t min_len[CTRL_ATTR_FAMILY_ID + 1] = { [CTRL_ATTR_FAMILY_ID] = 2 };
	const struct nlattr *tb[CTRL_ATTR_FAMILY_ID + 1] = { NULL };
	int *id = arg;
	int r = nl_parse(h, sizeof(struct genlmsghdr), min_len, CTRL_ATTR_FAMILY_ID, tb);

	if (r == 0 && tb[CTRL_ATTR_FAMILY_ID])
		*id = nl_u16(tb[CTRL_ATTR_FAMILY_ID]);
	return r;
}

int nl_family(struct nl *n, const char *name)
{
	const struct genlmsghdr g = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	struct nl_msg m;
	int id = -ENOENT, r;

	nl_msg_begin(&m, GENL_ID_CTRL, 0, &g, sizeof(g));
	nl_put_str(&m, CTRL_ATTR_FAMILY_NAME, name);
	r = nl_dump(n, &m, take_family, NULL, &id);
	return r < 0 ? r : id;
}

/* ---- messages in ---- */

/* Fills `tb` from `len` bytes of attributes; what remains at the end must be nothing. */
static int parse(const struct nlattr *a, int len, const uint16_t *min_len, size_t max,
		 const struct nlattr **tb)
{
	memset(tb, 0, (max + 1) * sizeof(*tb));
	for (; mnl_attr_ok(a, len); len -= (int)MNL_ALIGN(a->nla_len), a = mnl_attr_next(a)) {
		uint16_t type = mnl_attr_get_type(a);

		if (type > max)
			continue;
		if (min_len && mnl_attr_get_payload_len(a) < min_len[type])
			return -EBADMSG;
		tb[type] = a;
	}
	/* The last one's padding may be missing: then it is below 0. */
	return len > 0 ? -EBADMSG : 0;
}

int nl_parse(const struct nlmsghdr *h, size_t extra, const uint16_t *min_len, size_t max,
	     const struct nlattr **tb)
{
	size_t len = mnl_nlmsg_get_payload_len(h), offset = MNL_ALIGN(extra);

	if (h->nlmsg_len < MNL_NLMSG_HDRLEN || len < extra)
		return -EBADMSG;
	return parse(mnl_nlmsg_get_payload_offset(h, offset), (int)(len - MIN(offset, len)),
		     min_len, max, tb);
}

int nl_parse_nested(const struct nlattr *nest, const uint16_t *min_len, size_t max,
		    const struct nlattr **tb)
{
	return parse(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), min_len, max, tb);
}

const struct nlattr *nl_nested_next(const struct nlattr *nest, const struct nlattr *a)
{
	const char *end = (const char *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest);

	a = a ? mnl_attr_next(a) : mnl_attr_get_payload(nest);
	return mnl_attr_ok(a, (int)(end - (const char *)a)) ? a : NULL;
}

const void *nl_payload(const struct nlmsghdr *h)
{
	return mnl_nlmsg_get_payload(h);
}

size_t nl_payload_len(const struct nlmsghdr *h)
{
	return mnl_nlmsg_get_payload_len(h);
}

uint16_t nl_type(const struct nlattr *a)
{
	return mnl_attr_get_type(a);
}

size_t nl_len(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a);
}

const void *nl_data(const struct nlattr *a)
{
	return mnl_attr_get_payload(a);
}

/* Alignment is not promised (u64), and a short one reads as if it were followed by zeros. */
#define READER(name, type)                                                                         \
	type name(const struct nlattr *a)                                                          \
	{                                                                                          \
		type v = 0;                                                                        \
		memcpy(&v, nl_data(a), MIN(nl_len(a), sizeof(v)));                                 \
		return v;                                                                          \
	}

READER(nl_u8, uint8_t)
READER(nl_u16, uint16_t)
READER(nl_u32, uint32_t)
READER(nl_u64, uint64_t)

/* ---- events ---- */

int nl_events_open(int protocol, const unsigned *groups, size_t count, struct nl **ret)
{
	struct nl *n = open_socket(protocol, SOCK_NONBLOCK);
	int r = n ? 0 : -errno;

	for (size_t i = 0; r == 0 && i < count; i++) {
		int group = (int)groups[i];

		if (mnl_socket_setsockopt(n->socket, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0)
			r = -errno;
	}
	if (r < 0)
		nl_close(n);
	else
		*ret = n;
	return r;
}

int nl_events_drain(struct nl *n, int (*each)(const struct nlmsghdr *h, void *arg), void *arg)
{
	int due = 0;

	for (int i = 0; i < DRAIN_MAX; i++) {
		ssize_t bytes = receive(n);
		const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)n->bytes;
		int len = (int)bytes;

		if (bytes == -EAGAIN)
			break;
		/* Lost some, or a message that we cannot hold: only a full read tells. */
		if (bytes == -ENOBUFS || bytes == -EMSGSIZE) {
			due = 1;
			continue;
		}
		if (bytes < 0)
			return (int)bytes;
		for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len))
			if (h->nlmsg_type >= NLMSG_MIN_TYPE && each(h, arg) == 1)
				due = 1;
	}
	return due;
}

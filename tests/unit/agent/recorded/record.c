/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs the steps of input.h against the WireGuard of the kernel that it runs on, and writes what went
 * over the netlink socket to NAME.hex: `> ` a request, `< ` a datagram of the kernel. For each step
 * NAME, and its dump afterwards NAME-dump. Built and run by record.sh.
 *
 * The socket calls of the C library are replaced by ones that write down; what is received is cut to
 * 4 KiB, so that a large peer is told in several messages.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/rt.h"
#include "tests/unit/agent/recorded/input.h"

#define RECEIVE 4096

static FILE *file; /* NULL: nothing is written down */

static void write_down(char direction, const void *p, size_t n)
{
	if (!file)
		return;
	fprintf(file, "%c ", direction);
	for (size_t i = 0; i < n; i++)
		fprintf(file, "%02x", ((const unsigned char *)p)[i]);
	fputc('\n', file);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t len)
{
	write_down('>', p, n);
	return syscall(SYS_sendto, fd, p, n, flags, a, len);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n;

	m->msg_iov[0].iov_len = RECEIVE;
	n = syscall(SYS_recvmsg, fd, m, flags);
	if (n > 0)
		write_down('<', m->msg_iov[0].iov_base, (size_t)n);
	return n;
}

static void open_file(const char *name, const char *suffix)
{
	char path[64];

	snprintf(path, sizeof(path), "%s%s.hex", name, suffix);
	file = fopen(path, "w");
	if (!file)
		abort();
}

static void close_file(void)
{
	fclose(file);
	file = NULL;
}

int main(void)
{
	struct wg w = { 0 };
	struct recorded_step *s;
	struct wg_link now;
	struct nl_msg m;

	if (nl_open(NETLINK_ROUTE, &w.route) < 0 || nl_open(NETLINK_GENERIC, &w.generic) < 0)
		return 1;
	w.family = nl_family(w.generic, "wireguard");
	if (w.family < 0 || wg_kernel.create(&w, RECORDED_LINK) < 0)
		return 1;
	for (unsigned i = 0; (s = recorded_step(i)); i++) {
		int r;

		open_file(s->name, "");
		r = wg_kernel.apply(&w, s->link, s->with_device ? &s->device : NULL, s->changes,
				    s->count);
		close_file();
		printf("%s %d %s\n", s->name, r, w.why);
		if (r == 0) {
			memset(&now, 0, sizeof(now));
			open_file(s->name, "-dump");
			r = wg_kernel.read(&w, s->link, &now);
			close_file();
			printf("%s-dump %d peers=%zu\n", s->name, r, now.peer_count);
			wg_link_done(&now);
		}
		free(s);
	}
	open_file("empty", "");
	wg_kernel_message_empty(&m, w.family, RECORDED_LINK);
	if (nl_talk(w.generic, &m) < 0)
		return 1;
	close_file();
	return 0;
}

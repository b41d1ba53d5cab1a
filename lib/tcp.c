/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The process's descriptors, and what is set on those that are meant. Owns nothing. Any thread: a
 * descriptor that is closed and opened again meanwhile is at worst a connection that is in a hurry.
 */
#include "lib/tcp.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

static bool is_to(int fd, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer = { 0 };
	socklen_t len = sizeof(peer);

	/* Anything else than a connected socket has no peer. */
	if (getpeername(fd, &peer.any, &len) < 0)
		return false;
	if (peer.any.sa_family == AF_INET)
		return ntohs(peer.v4.sin_port) == port;
	return peer.any.sa_family == AF_INET6 && ntohs(peer.v6.sin6_port) == port;
}

size_t tcp_send_at_once(uint16_t port)
{
	DIR *dir = opendir("/proc/self/fd");
	const int on = 1;
	struct dirent *e;
	size_t count = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		char *end;
		int fd = (int)strtol(e->d_name, &end, 10);

		/* Of UDP the option is refused. */
		if (end != e->d_name && is_to(fd, port) &&
		    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
			count++;
	}
	closedir(dir);
	return count;
}

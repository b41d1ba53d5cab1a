/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which listen port is free: asked of the kernel by binding a socket for a moment. Owns nothing.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/apply.h"

#define PORTS_TRIED 256u

static bool can_bind(int family, const struct endpoint *e)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(e, &sa);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, r;

	if (fd < 0)
		return errno == EAFNOSUPPORT; /* nobody else has it either */
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	r = bind(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : errno;
	close(fd);
	return r != EADDRINUSE;
}

static bool is_free(uint16_t port)
{
	struct endpoint any4 = { .addr.family = AF_INET, .port = port };
	struct endpoint any6 = { .addr.family = AF_INET6, .port = port };

	return can_bind(AF_INET, &any4) && can_bind(AF_INET6, &any6);
}

static bool is_chosen(const struct memberships *m, const struct network *n, uint16_t port)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->list[i] != n && m->list[i]->port == port)
			return true;
	return false;
}

uint16_t apply_free_port(const struct memberships *m, const struct network *n, uint16_t first)
{
	for (unsigned port = first; port < first + PORTS_TRIED && port <= UINT16_MAX; port++)
		if (!is_chosen(m, n, (uint16_t)port) && is_free((uint16_t)port))
			return (uint16_t)port;
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ICMP echo over a datagram or a raw socket.
 */
#include "cli/icmp.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"

#define ECHO_LEN 64
#define HEADER_LEN 8
#define MARK_LEN 16 /* random bytes behind the header tell our answers from others' */

int icmp_open(const struct addr *to)
{
	bool v4 = to->family == AF_INET;
	int protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, protocol);
	return fd < 0 ? -errno : fd;
}

/* RFC 1071. The kernel does it for ICMPv6 and for datagram sockets; raw IPv4 needs ours. */
static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void request_make(const struct addr *to, uint16_t sequence, uint8_t packet[static ECHO_LEN])
{
	uint16_t sum;

	memset(packet, 0, ECHO_LEN);
	packet[0] = to->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	packet[4] = (uint8_t)(getpid() >> 8);
	packet[5] = (uint8_t)getpid();
	packet[6] = (uint8_t)(sequence >> 8);
	packet[7] = (uint8_t)sequence;
	crypto_random(packet + HEADER_LEN, MARK_LEN);
	if (to->family == AF_INET) {
		sum = checksum(packet, ECHO_LEN);
		packet[2] = (uint8_t)(sum >> 8);
		packet[3] = (uint8_t)sum;
	}
}

/* Is it the answer to our request? A raw IPv4 socket gives the IP header too. */
static bool is_answer(const struct addr *to, const uint8_t *request, const uint8_t *p, size_t n)
{
	bool v4 = to->family == AF_INET;

	if (v4 && n > 0 && p[0] >> 4 == 4) {
		size_t header = (size_t)(p[0] & 15) * 4;

		if (n < header)
			return false;
		p += header;
		n -= header;
	}
	return n >= ECHO_LEN && p[0] == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
	       memcmp(p + HEADER_LEN, request + HEADER_LEN, MARK_LEN) == 0;
}

int icmp_echo(int fd, const struct addr *to, uint16_t sequence, int timeout_ms, uint64_t *ret_us)
{
	struct endpoint e = { .addr = *to };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&e, &sa);
	uint64_t begin = clock_mono(), end = begin + (uint64_t)timeout_ms * USEC_PER_MSEC, now;
	uint8_t request[ECHO_LEN], answer[2048];

	request_make(to, sequence, request);
	if (sendto(fd, request, sizeof(request), 0, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	while ((now = clock_mono()) < end) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&pfd, 1, (int)((end - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC)) <= 0)
			continue;
		n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n >= 0 && is_answer(to, request, answer, (size_t)n)) {
			*ret_us = clock_mono() - begin;
			return 0;
		}
	}
	return -ETIMEDOUT;
}

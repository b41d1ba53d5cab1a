/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/icmp.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/test.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), (long)strlen(text));
	close(fd);
}

/* A network of our own, where nothing but loopback is. */
static void network_new(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		SKIP("no network namespace: not root");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK_INT(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* Root may always: datagram sockets for all, or for nobody, so that it has to be a raw one. */
static void datagram_allow(bool allowed)
{
	write_file("/proc/sys/net/ipv4/ping_group_range", allowed ? "0 2147483647" : "1 0");
}

static int open_to(const char *text, struct addr *to)
{
	int fd;

	CHECK_INT(addr_parse(text, to), 0);
	fd = icmp_open(to);
	CHECK(fd >= 0);
	return fd;
}

static int type_of(int fd)
{
	socklen_t len = sizeof(int);
	int type = 0;

	CHECK_INT(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	return type;
}

static void echo_works(const char *address, int type)
{
	uint64_t us = 0, begin = clock_mono();
	struct addr to;
	int fd = open_to(address, &to);

	CHECK_INT(type_of(fd), type);
	for (uint16_t i = 1; i <= 3; i++)
		CHECK_INT(icmp_echo(fd, &to, i, 2000, &us), 0);
	CHECK(us > 0 && us < clock_mono() - begin);
	close(fd);
}

TEST(v4_datagram)
{
	network_new();
	datagram_allow(true);
	echo_works("127.0.0.1", SOCK_DGRAM);
}

TEST(v4_raw)
{
	network_new();
	datagram_allow(false);
	echo_works("127.0.0.1", SOCK_RAW);
}

TEST(v6_datagram)
{
	network_new();
	if (access("/proc/net/if_inet6", F_OK) < 0)
		SKIP("no IPv6 here");
	datagram_allow(true);
	echo_works("::1", SOCK_DGRAM);
}

TEST(v6_raw)
{
	network_new();
	if (access("/proc/net/if_inet6", F_OK) < 0)
		SKIP("no IPv6 here");
	datagram_allow(false);
	echo_works("::1", SOCK_RAW);
}

TEST(nobody_answers)
{
	uint64_t us, begin = clock_mono();
	struct addr to;
	int fd;

	network_new();
	write_file("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
	fd = open_to("127.0.0.1", &to);
	CHECK_INT(icmp_echo(fd, &to, 1, 150, &us), -ETIMEDOUT);
	CHECK(clock_mono() - begin >= 150 * USEC_PER_MSEC);
	CHECK(clock_mono() - begin < 2000 * USEC_PER_MSEC);
	close(fd);
}

TEST(no_route)
{
	struct addr to;
	uint64_t us;
	int fd;

	network_new();
	fd = open_to("192.0.2.1", &to);
	CHECK_INT(icmp_echo(fd, &to, 1, 1000, &us), -ENETUNREACH);
	close(fd);
}

/* A raw socket sees everybody's echoes: only the answer to this very request counts. */
TEST(the_answers_of_others_do_not_count)
{
	struct addr to;
	uint64_t us;
	int own, other;

	network_new();
	datagram_allow(false);
	own = open_to("127.0.0.1", &to);
	other = open_to("127.0.0.1", &to);
	CHECK_INT(icmp_echo(other, &to, 1, 1000, &us), 0);
	write_file("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
	/* In its queue lies the other's answer with the same sequence number. */
	CHECK_INT(icmp_echo(own, &to, 1, 100, &us), -ETIMEDOUT);
	write_file("/proc/sys/net/ipv4/icmp_echo_ignore_all", "0");
	CHECK_INT(icmp_echo(own, &to, 2, 1000, &us), 0);
	close(own);
	close(other);
}

TEST(without_permission)
{
	struct addr to;

	network_new();
	datagram_allow(false);
	CHECK_INT(setuid(65534), 0);
	CHECK_INT(addr_parse("127.0.0.1", &to), 0);
	CHECK_INT(icmp_open(&to), -EPERM);
}

TEST_MAIN("icmp")

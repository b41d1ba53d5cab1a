/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two hosts with a tunnel between them: packets get through, also while prefixes change.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "tests/fakes/kernel_lab.h"

struct side {
	struct kernel *kernel;
	struct host desired;
	int netns;
};

static int current_netns(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static int udp_socket(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK_INT(inet_pton(AF_INET, address, &a.sin_addr), 1);
	CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* One datagram through the tunnel; the time that it took in ms, -1 when it did not come. */
static long send_through(int from, int to, const char *address, uint16_t port, int timeout)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	uint64_t begin = clock_mono();
	char got[8];

	CHECK_INT(inet_pton(AF_INET, address, &a.sin_addr), 1);
	CHECK_INT(sendto(from, "ping", 4, 0, (struct sockaddr *)&a, sizeof(a)), 4);
	if (poll(&(struct pollfd){ .fd = to, .events = POLLIN }, 1, timeout) != 1)
		return -1;
	CHECK_INT(recv(to, got, sizeof(got), 0), 4);
	return (long)((clock_mono() - begin) / USEC_PER_MSEC);
}

static void introduce(struct side *s, const struct side *other, const char *endpoint)
{
	uint8_t key[KEY_LEN];
	struct wg_peer *p;
	struct prefix a = prefix_host(&other->desired.links[0].addresses[0].addr);

	wireguard_key_public(other->desired.links[0].private_key, key);
	p = wg_link_add_peer(&s->desired.links[0], key);
	p->keepalive = 20;
	wg_peer_add_allowed(p, &a);
	CHECK_INT(endpoint_parse(endpoint, &p->endpoint), 0);
	host_sort(&s->desired);
	CHECK_INT(setns(s->netns, CLONE_NEWNET), 0);
	pass(s->kernel, &s->desired, 0);
	check_equal(s->kernel, &s->desired);
}

/* Two hosts on one wire that know each other, and a socket on each; we are on the first one. */
static void two_hosts(struct side *a, struct side *b, int *from, int *to)
{
	pid_t first = fork();
	char command[256];

	if (first == 0) {
		pause();
		_exit(0);
	}
	*a = (struct side){ .netns = current_netns(), .kernel = open_kernel(NULL) };
	CHECK_INT(unshare(CLONE_NEWNET), 0);
	*b = (struct side){ .netns = current_netns(), .kernel = open_kernel(NULL) };
	snprintf(command, sizeof(command),
		 "ip link set lo up && ip link add eth0 type veth peer name eth0 netns %d && "
		 "ip addr add 198.51.100.2/24 dev eth0 && ip link set eth0 up",
		 first);
	shell(command);
	CHECK_INT(setns(a->netns, CLONE_NEWNET), 0);
	shell("ip addr add 198.51.100.1/24 dev eth0 && ip link set eth0 up");
	simple_link(&a->desired, "wr-a", "10.9.0.1/24", 51830);
	simple_link(&b->desired, "wr-b", "10.9.0.2/24", 51830);
	introduce(a, b, "198.51.100.2:51830");
	introduce(b, a, "198.51.100.1:51830");
	*to = udp_socket("10.9.0.2", 7000);
	CHECK_INT(setns(a->netns, CLONE_NEWNET), 0);
	*from = udp_socket("10.9.0.1", 7000);
}

static void two_hosts_done(struct side *a, struct side *b, int from, int to)
{
	close(from);
	close(to);
	host_done(&a->desired);
	host_done(&b->desired);
	kernel_free(a->kernel);
	kernel_free(b->kernel);
}

IN_NAMESPACES(two_hosts_reach_each_other)
{
	struct side a, b;
	struct host nothing = { 0 };
	struct wg_link now;
	int from, to;
	long ms;

	two_hosts(&a, &b, &from, &to);
	ms = send_through(from, to, "10.9.0.2", 7000, 8000);
	CHECK(ms >= 0 && ms < 1000);
	CHECK(send_through(to, from, "10.9.0.1", 7000, 1000) >= 0);
	CHECK_INT(kernel_read_peers(a.kernel, "wr-a", &now), 0);
	CHECK(now.peers[0].last_handshake > 1600000000);
	CHECK(now.peers[0].rx_bytes > 0 && now.peers[0].tx_bytes > 0);
	wg_link_done(&now);

	/* A pass over what is as it should be costs no packet, nor does a restart of the agent. */
	kernel_free(a.kernel);
	a.kernel = open_kernel(NULL);
	CHECK_INT(pass(a.kernel, &a.desired, 0), 0);
	CHECK(send_through(from, to, "10.9.0.2", 7000, 1000) >= 0);

	/* One goes, the other stays. */
	pass(a.kernel, &nothing, 0);
	CHECK(!if_nametoindex("wr-a"));
	CHECK_INT(setns(b.netns, CLONE_NEWNET), 0);
	CHECK(if_nametoindex("wr-b"));
	two_hosts_done(&a, &b, from, to);
}

/* Prefixes come, move to another peer, and go one by one while packets flow: none is lost. */
IN_NAMESPACES(changes_of_prefixes_lose_no_packet)
{
	struct prefix extra = prefix("10.77.0.0/16");
	uint8_t key[KEY_LEN] = { 5 }, other[KEY_LEN];
	struct side a, b;
	int from, to, lost = 0;
	struct wg_link *l;

	two_hosts(&a, &b, &from, &to);
	CHECK(send_through(from, to, "10.9.0.2", 7000, 8000) >= 0);
	l = &a.desired.links[0];
	memcpy(other, l->peers[0].key, KEY_LEN);
	wg_link_add_peer(l, key);
	host_sort(&a.desired);
	for (int i = 0; i < 40; i++) {
		/* Without it, the one, the other, the one... */
		struct wg_peer *mine = wg_link_peer(l, other), *scratch = wg_link_peer(l, key);

		mine->allowed_count = 1;
		scratch->allowed_count = 0;
		if (i % 4)
			wg_peer_add_allowed(i % 2 ? mine : scratch, &extra);
		host_sort(&a.desired);
		CHECK(pass(a.kernel, &a.desired, 0) > 0 || i == 0);
		lost += send_through(from, to, "10.9.0.2", 7000, 500) < 0;
		check_equal(a.kernel, &a.desired);
	}
	CHECK_INT(lost, 0);
	two_hosts_done(&a, &b, from, to);
}

TEST_MAIN("kernel-tunnel")

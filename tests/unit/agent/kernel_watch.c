/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hearing of what others change, and of wireguard-go's end.
 */
#include <dirent.h>

#include "lib/clock.h"
#include "tests/fakes/kernel_lab.h"

static pid_t find_process(const char *comm)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	CHECK(dir);
	while ((e = readdir(dir))) {
		char path[300], text[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = atoi(e->d_name) ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		if (fgets(text, sizeof(text), f) && strncmp(text, comm, strlen(comm)) == 0)
			found = atoi(e->d_name);
		fclose(f);
	}
	closedir(dir);
	return found;
}

static void run_loop(struct loop *l, unsigned ms)
{
	uint64_t end = clock_mono() + ms * USEC_PER_MSEC;

	while (clock_mono() < end)
		CHECK_INT(loop_turn(l, 10 * USEC_PER_MSEC), 0);
}

IN_NAMESPACES(killed_wireguard_go_is_noticed_and_made_anew)
{
	struct loop *l = loop_new();
	struct kernel *k = open_kernel(l);
	struct host d;
	char stat[512];
	pid_t pid;
	int n, parent, session;
	FILE *f;

	if (strcmp(kernel_backend_of(k, "wr-dc1"), "kernel") == 0)
		SKIP("WireGuard is in the kernel");
	typical(&d);
	pass(k, &d, 0);
	run_loop(l, 200);
	CHECK_INT(changes, 0);
	pid = find_process("wireguard-go");
	CHECK(pid > 0);
	/* Not our child (the namespace's first process adopted it), in a session of its own. */
	snprintf(stat, sizeof(stat), "/proc/%d/stat", pid);
	f = fopen(stat, "r");
	CHECK(f && fgets(stat, sizeof(stat), f));
	fclose(f);
	n = sscanf(strrchr(stat, ')') + 2, "%*c %d %*d %d", &parent, &session);
	CHECK_INT(n, 2);
	CHECK_INT(parent, 1);
	CHECK(session != getsid(0) && session != pid);
	CHECK_INT(kill(pid, SIGKILL), 0);
	run_loop(l, 300);
	CHECK_INT(changes, 1);
	CHECK(access("/run/wireguard/wr-dc1.sock", F_OK) == 0);
	CHECK(pass(k, &d, 0) > 7);
	check_equal(k, &d);
	host_done(&d);
	kernel_free(k);
	loop_free(l);
}

IN_NAMESPACES(only_others_changes_count)
{
	struct loop *l = loop_new();
	struct kernel *k = open_kernel(l);
	struct host d, nothing = { 0 };

	typical(&d);
	pass(k, &d, 0);
	run_loop(l, 200);
	pass(k, &nothing, 0);
	run_loop(l, 200);
	pass(k, &d, 0);
	run_loop(l, 200);
	CHECK_INT(changes, 0);
	/* What does not concern us. */
	shell("ip link add eth7 type veth peer name x7 && ip link set eth7 up && "
	      "nft add table inet other && ip route add 203.0.113.0/24 dev eth7");
	run_loop(l, 200);
	CHECK_INT(changes, 0);
	shell("ip route del 10.42.0.0/16 dev wr-dc1");
	run_loop(l, 200);
	CHECK_INT(changes, 1);
	CHECK_INT(pass(k, &d, 0), 1);
	run_loop(l, 200);
	CHECK_INT(changes, 1);
	shell("nft flush ruleset");
	run_loop(l, 200);
	CHECK_INT(changes, 2);
	CHECK_INT(pass(k, &d, 0), 1);
	shell("nft flush chain inet warren forward");
	run_loop(l, 200);
	CHECK_INT(changes, 3);
	CHECK_INT(pass(k, &d, 0), 1);
	shell("ip addr del 10.9.0.1/24 dev wr-dc1; ip link set wr-dc1 down");
	run_loop(l, 200);
	CHECK_INT(changes, 4);
	pass(k, &d, 0);
	check_equal(k, &d);
	/* An address that may be announced. */
	shell("ip link add eth0 type veth peer name eth1 && ip addr add 198.51.100.1/24 dev eth0 && "
	      "ip link set eth0 up");
	run_loop(l, 200);
	CHECK_INT(changes, 5);
	/* A change of somebody else's just before one of ours. */
	shell("ip addr add 10.9.0.77/24 dev wr-dc1");
	d.links[0].mtu = 1380;
	{
		struct op op = { .kind = OP_LINK_MTU, .link = "wr-dc1", .mtu = 1380 };

		CHECK_INT(kernel_apply(k, &op, 1, NULL, NULL), 0);
	}
	run_loop(l, 200);
	CHECK_INT(changes, 6);
	host_done(&d);
	kernel_free(k);
	loop_free(l);
}

static unsigned ours(struct kernel *k)
{
	struct host now;
	unsigned r;

	CHECK_INT(kernel_read(k, &now), 0);
	r = now.forwarding_ours;
	host_done(&now);
	return r;
}

/* Ours is no news; that somebody else switches it on is, and then it is theirs. */
IN_NAMESPACES(forwarding_of_others_is_heard)
{
	struct loop *l = loop_new();
	struct kernel_config c = { .backend = backend,
				   .changed = count_change,
				   .forwarding = "/run/warren/forwarding" };
	struct host d = { .forwarding = FORWARD_4 }, none = { 0 };
	struct kernel *k;

	shell("echo 0 >/proc/sys/net/ipv4/ip_forward");
	k = open_kernel(NULL); /* skips where there is no WireGuard */
	kernel_free(k);
	CHECK_INT(kernel_new(l, &c, &k), 0);
	pass(k, &d, 0);
	run_loop(l, 200);
	CHECK_INT(changes, 0);
	CHECK_INT(ours(k), FORWARD_4);
	pass(k, &none, 0);
	run_loop(l, 200);
	CHECK_INT(changes, 0);
	shell("echo 1 >/proc/sys/net/ipv4/ip_forward");
	run_loop(l, 200);
	CHECK_INT(changes, 1);
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward");
	run_loop(l, 200);
	CHECK_INT(changes, 2);
	pass(k, &d, 0);
	CHECK_INT(ours(k), FORWARD_4);
	/* Off and on again between two looks. */
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/ip_forward");
	run_loop(l, 200);
	CHECK_INT(changes, 3);
	CHECK_INT(ours(k), 0);
	/* What was not heard yet is, by a read. */
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward");
	pass(k, &d, 0);
	CHECK_INT(ours(k), FORWARD_4);
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/ip_forward");
	CHECK_INT(ours(k), 0);
	run_loop(l, 200);
	CHECK_INT(changes, 4);
	/* One interface's switch is not the host's. */
	shell("ip link add eth7 type veth peer name x7; echo 0 >/proc/sys/net/ipv4/conf/eth7/forwarding");
	run_loop(l, 200);
	CHECK_INT(changes, 4);
	kernel_free(k);
	loop_free(l);
}

/* Rules may name them. */
IN_NAMESPACES(bridges_are_heard_of)
{
	struct loop *l = loop_new();
	struct kernel *k = open_kernel(l);
	struct host now;

	CHECK_INT(kernel_read(k, &now), 0);
	CHECK(!now.bridges);
	host_done(&now);
	shell("ip link add br7 type bridge; ip link add 'b\"8' type bridge; ip link add x7 type veth peer name y7");
	run_loop(l, 200);
	CHECK_INT(changes, 1);
	CHECK_INT(kernel_read(k, &now), 0);
	CHECK_STR(now.bridges, "br7 ");
	host_done(&now);
	shell("ip link del br7");
	run_loop(l, 200);
	CHECK_INT(changes, 2);
	kernel_free(k);
	loop_free(l);
}

TEST_MAIN("kernel-watch")

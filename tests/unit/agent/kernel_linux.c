/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Linux side of the seam on a real kernel: reading and applying. Where the kernel has WireGuard the
 * same tests run on that.
 */
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lib/mem.h"
#include "agent/forwarding.h"
#include "tests/fakes/kernel_lab.h"

#define IP4 "cat /proc/sys/net/ipv4/ip_forward"
#define IP6 "cat /proc/sys/net/ipv6/conf/all/forwarding"
#define TRANSITIONS 12 /* of any_state_from_any_state */

IN_NAMESPACES(typical_network_is_made_as_desired)
{
	struct kernel *k = open_kernel(NULL);
	struct host d, actual;

	typical(&d);
	CHECK(pass(k, &d, 0) > 8);
	check_equal(k, &d);
	CHECK_INT(pass(k, &d, 0), 0);
	CHECK_INT(kernel_read(k, &actual), 0);
	CHECK(endpoint_cmp(&actual.links[0].peers[1].endpoint, &d.links[0].peers[1].endpoint) == 0);
	CHECK_INT(actual.links[0].peers[0].endpoint.addr.family, 0);
	CHECK_INT(actual.links[0].peers[0].last_handshake, 0);
	host_done(&actual);
	CHECK_STR(output("ip -o link show dev wr-dc1 | grep -o 'alias .*'"), "alias warren\n");
	CHECK(strstr(output("ip route"),
		     "10.42.0.0/16 dev wr-dc1 proto 190 scope link src 10.9.0.1 "
		     "metric 1024"));
	CHECK(strstr(output("nft list table inet warren"),
		     "iifname != \"wr-dc1\" oifname != \"wr-dc1\" accept"));
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(any_state_from_any_state)
{
	struct kernel *k = open_kernel(NULL);
	struct world w;

	for (int i = 0; i < TRANSITIONS; i++) {
		struct host d;

		world_random(&w);
		world_host(&w, &d);
		pass(k, &d, 0);
		check_equal(k, &d);
		CHECK_INT(pass(k, &d, 0), 0);
		host_done(&d);
	}
	kernel_free(k);
}

IN_NAMESPACES(partial_plans_on_a_real_kernel)
{
	struct kernel *k = open_kernel(NULL);
	struct host old, d;
	struct world w;
	uint8_t key[KEY_LEN];

	world_random(&w);
	for (unsigned l = 0; l < WORLD_LINKS; l++)
		w.link[l].there = true;
	world_host(&w, &old);
	pass(k, &old, 0);
	for (int step = 0; step < 20; step++) {
		struct plan p = { 0 };

		world_change_peer(&w, world_below(WORLD_LINKS), world_below(WORLD_KEYS));
		world_mend(&w);
		world_host(&w, &d);
		for (size_t l = 0; l < d.link_count; l++)
			for (unsigned i = 0; i < WORLD_KEYS; i++) {
				world_key(i, key);
				plan_peer(&p, d.links[l].name, wg_link_peer(&d.links[l], key),
					  wg_link_peer(&old.links[l], key));
			}
		plan_order(&p);
		CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), 0);
		plan_done(&p);
		check_equal(k, &d);
		host_done(&old);
		old = d;
	}
	host_done(&old);
	kernel_free(k);
}

IN_NAMESPACES(many_peers_and_prefixes)
{
	struct kernel *k = open_kernel(NULL);
	struct host d = { 0 };
	struct wg_link *l = simple_link(&d, "wr-big", "10.9.0.1/16", 51830);
	struct wg_peer *p;
	uint8_t key[KEY_LEN] = { 9 };
	size_t half;

	for (unsigned i = 0; i < 1000; i++) {
		struct prefix a = { { AF_INET, { 10, 9, (uint8_t)(i >> 8), (uint8_t)i } }, 32 };

		memcpy(key + 1, &i, sizeof(i));
		p = wg_link_add_peer(l, key);
		wg_peer_add_allowed(p, &a);
	}
	for (unsigned i = 0; i < PEER_ALLOWED_MAX - 1; i++) {
		struct prefix a = { { AF_INET6, { 0xfd, 1, (uint8_t)(i >> 8), (uint8_t)i } }, 64 };

		wg_peer_add_allowed(&l->peers[500], &a);
	}
	host_sort(&d);
	pass(k, &d, 0);
	check_equal(k, &d);
	/* Half of the peers go, and half of the prefixes of the one who has many. */
	for (size_t i = 0; i < 500; i++)
		free(l->peers[i].allowed);
	memmove(l->peers, l->peers + 500, 500 * sizeof(*l->peers));
	l->peer_count = 500;
	for (size_t i = 0; i < l->peer_count; i++)
		if (l->peers[i].allowed_count > 1)
			l->peers[i].allowed_count /= 2;
	half = pass(k, &d, 0);
	CHECK(half >= 500 && half <= 501);
	check_equal(k, &d);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(restart_adopts_everything)
{
	struct kernel *k = open_kernel(NULL);
	struct host d;

	typical(&d);
	pass(k, &d, 0);
	kernel_free(k);
	k = open_kernel(NULL);
	check_equal(k, &d);
	CHECK_INT(pass(k, &d, 0), 0);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(deletion_leaves_nothing)
{
	static const char look[] = "ip -o link; ip addr; ip route; ip -6 route; nft list ruleset; "
				   "find /run -mindepth 1; ss -Hanup";
	struct kernel *k = open_kernel(NULL);
	struct host d, nothing = { 0 };
	char *before = xstrdup(output(look));

	typical(&d);
	pass(k, &d, 0);
	pass(k, &nothing, 0);
	usleep(100000);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* we are the init of this namespace */
	CHECK_STR(output(look), before);
	CHECK_STR(output("cat /proc/[0-9]*/comm | grep wireguard"), "");
	/* And again, as after a second join. */
	pass(k, &d, 0);
	check_equal(k, &d);
	free(before);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(foreign_objects_stay)
{
	struct kernel *k = open_kernel(NULL);
	struct host d, nothing = { 0 };
	struct op op = { .kind = OP_LINK_DEL, .link = "wr-other" };
	const char *before;

	shell("ip link add eth0 type veth peer name x0 && ip addr add 198.51.100.1/24 dev eth0 && "
	      "ip link set eth0 up && ip route add 10.42.0.0/16 dev eth0 metric 1024 && "
	      "ip link add wr-other type veth peer name x1 && nft add table inet other && "
	      "nft add table ip warren");
	typical(&d);
	/* Somebody has a route in our place: said, and all else is done. */
	CHECK(pass(k, &d, -EEXIST) > 8);
	CHECK_STR(failures, "another program has a route to 10.42.0.0/16 with metric 1024; ");
	CHECK(strstr(output("ip route"), "10.42.0.0/16 dev eth0"));
	CHECK_INT(pass(k, &d, -EEXIST), 1);
	shell("ip route del 10.42.0.0/16 dev eth0 && ip route add 10.43.0.0/16 dev wr-dc1");
	CHECK_INT(pass(k, &d, 0), 1);
	CHECK(strstr(output("ip route"), "10.43.0.0/16 dev wr-dc1"));
	/* Not even when told to. */
	CHECK_INT(kernel_apply(k, &op, 1, NULL, NULL), 0);
	CHECK(if_nametoindex("wr-other"));
	before = output("ip -o link show dev wr-other");
	op = (struct op){ .kind = OP_LINK_ADD, .link = "wr-other" };
	CHECK_INT(kernel_apply(k, &op, 1, NULL, NULL), -EEXIST);
	CHECK(strstr(kernel_message(k), "wr-other exists that is not ours"));
	CHECK_STR(output("ip -o link show dev wr-other"), before);
	pass(k, &nothing, 0);
	CHECK(if_nametoindex("wr-other"));
	CHECK_STR(output("nft list tables"), "table inet other\ntable ip warren\n");
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(a_taken_port_is_said)
{
	struct kernel *k = open_kernel(NULL);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(51830) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct host d;

	CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	typical(&d);
	pass(k, &d, -EADDRINUSE);
	CHECK(strstr(failures, "UDP port 51830 for wr-dc1 is taken by another program"));
	close(fd);
	pass(k, &d, 0);
	check_equal(k, &d);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(what_is_missing_is_said)
{
	struct kernel_config c = { .backend = BACKEND_USERSPACE };
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	char path[PROCESS_PATH_SIZE];
	struct kernel *k;
	struct host d;

	if (process_find("wireguard-go", path) < 0 || access("/dev/net/tun", R_OK) < 0)
		SKIP("needs wireguard-go and /dev/net/tun");
	backend = BACKEND_USERSPACE;
	k = open_kernel(NULL);
	typical(&d);
	CHECK_INT(process_find("nft", path), 0);
	CHECK_INT(mount("/dev/null", path, NULL, MS_BIND, NULL), 0);
	pass(k, &d, -ENOENT);
	CHECK_STR(failures, "nft is not installed (package nftables); ");
	CHECK_INT(umount(path), 0);
	pass(k, &d, 0);
	kernel_free(k);

	CHECK_INT(mount("tmpfs", "/dev/net", "tmpfs", 0, NULL), 0);
	CHECK_INT(kernel_new(NULL, &c, &k), -EOPNOTSUPP);
	CHECK_STR(kernel_message(NULL), "/dev/net/tun: No such file or directory");
	CHECK_INT(umount("/dev/net"), 0);
	CHECK_INT(process_find("wireguard-go", path), 0);
	CHECK_INT(mount("/dev/null", path, NULL, MS_BIND, NULL), 0);
	CHECK_INT(kernel_new(NULL, &c, &k), -EOPNOTSUPP);
	CHECK_STR(kernel_message(NULL), "wireguard-go is not installed");
	CHECK_INT(umount(path), 0);

	/* One that ends at once says why. */
	CHECK_INT(mount("/bin/false", path, NULL, MS_BIND, NULL), 0);
	shell("ip link del wr-dc1; nft flush ruleset");
	CHECK_INT(kernel_new(NULL, &c, &k), 0);
	pass(k, &d, -EIO);
	CHECK_STR(failures, "wireguard-go for wr-dc1 ended at once; ");
	kernel_free(k);
	CHECK_INT(syscall(SYS_capset, &h, caps), 0);
	CHECK_INT(kernel_new(NULL, &c, &k), -EPERM);
	CHECK(strstr(kernel_message(NULL), "NET_ADMIN"));
	host_done(&d);
}

IN_NAMESPACES(report_installs_no_rules)
{
	struct kernel_config c = { .backend = backend, .firewall_report = true };
	struct kernel *k = open_kernel(NULL);
	struct host d;

	kernel_free(k);
	CHECK_INT(kernel_new(NULL, &c, &k), 0);
	typical(&d);
	pass(k, &d, 0);
	CHECK_INT(pass(k, &d, 0), 0);
	CHECK_STR(output("nft list tables"), "");
	/* It would forward whatever comes. */
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward");
	d.forwarding = FORWARD_4;
	pass(k, &d, -EPERM);
	CHECK(strstr(failures, "does not forward IPv4, and with --firewall report"));
	CHECK_STR(output(IP4), "0\n");
	shell("echo 1 >/proc/sys/net/ipv4/ip_forward");
	CHECK_INT(pass(k, &d, 0), 0);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(retry_makes_the_peer_anew)
{
	struct kernel *k = open_kernel(NULL);
	struct wg_link now;
	struct wg_peer *p;
	struct host d;

	typical(&d);
	pass(k, &d, 0);
	p = &d.links[0].peers[1];
	CHECK_INT(endpoint_parse("[2001:db8::7]:51999", &p->endpoint), 0);
	CHECK_INT(kernel_retry_peer(k, "wr-dc1", p), 0);
	check_equal(k, &d);
	CHECK_INT(kernel_read_peers(k, "wr-dc1", &now), 0);
	CHECK(endpoint_cmp(&now.peers[1].endpoint, &p->endpoint) == 0);
	wg_link_done(&now);
	CHECK_INT(kernel_retry_peer(k, "wr-none", p), -ENODEV);
	CHECK_INT(kernel_read_peers(k, "wr-none", &now), -ENODEV);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(candidates_are_the_hosts_own)
{
	struct kernel *k = open_kernel(NULL);
	struct addr a[16];
	char text[ADDR_SIZE];
	size_t n;
	struct host d;

	typical(&d);
	pass(k, &d, 0);
	shell("ip link add eth0 type veth peer name x0 && ip link set eth0 up && ip link set x0 up && "
	      "ip addr add 198.51.100.1/24 dev eth0 && ip addr add 198.51.100.2/24 dev eth0 && "
	      "ip addr add 2001:db8::1/64 dev eth0 nodad && "
	      "ip addr add 169.254.1.1/16 scope link dev eth0 && "
	      "ip link add br0 type bridge && ip link set br0 up && ip addr add 203.0.113.9/24 dev br0 && "
	      "ip link add docker0 type bridge && ip link set docker0 up && "
	      "ip addr add 172.17.0.1/16 dev docker0 && "
	      "ip link add eth9 type veth peer name x9 && ip addr add 192.0.2.9/24 dev eth9");
	CHECK_INT(kernel_candidates(k, a, 16, &n), 0);
	CHECK_INT(n, 3);
	CHECK_STR(addr_format(&a[0], text), "198.51.100.1");
	CHECK_STR(addr_format(&a[1], text), "198.51.100.2");
	CHECK_STR(addr_format(&a[2], text), "2001:db8::1");
	/* The bridge of a hypervisor. */
	shell("ip route add default via 203.0.113.1");
	CHECK_INT(kernel_candidates(k, a, 16, &n), 0);
	CHECK_INT(n, 4);
	CHECK_STR(addr_format(&a[2], text), "203.0.113.9");
	CHECK_INT(kernel_candidates(k, a, 2, &n), 0);
	CHECK_INT(n, 2);
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(conflicts_are_routes_that_steal)
{
	struct kernel *k = open_kernel(NULL);
	struct prefix p = prefix("10.42.0.0/16"), q = prefix("198.51.0.0/16"),
		      r = prefix("10.8.0.0/13");
	char text[128];
	struct host d;

	typical(&d);
	pass(k, &d, 0);
	CHECK_INT(kernel_conflict(k, &p, text, sizeof(text)), 0);
	shell("ip link add eth0 type veth peer name x0 && ip link set eth0 up && ip link set x0 up && "
	      "ip addr add 198.51.100.1/24 dev eth0 && ip route add default via 198.51.100.2 && "
	      "ip route add 10.0.0.0/8 dev eth0");
	CHECK_INT(kernel_conflict(k, &p, text, sizeof(text)), 0);
	CHECK_INT(kernel_conflict(k, &r, text, sizeof(text)), 0);
	CHECK_INT(kernel_conflict(k, &q, text, sizeof(text)), 1);
	CHECK_STR(text, "198.51.100.0/24 on eth0");
	shell("ip route add blackhole 10.42.7.0/24");
	CHECK_INT(kernel_conflict(k, &p, text, sizeof(text)), 1);
	CHECK_STR(text, "10.42.7.0/24 on no interface");
	host_done(&d);
	kernel_free(k);
}

IN_NAMESPACES(routes_are_read_once_in_a_pass)
{
	struct kernel *k = open_kernel(NULL);
	struct prefix p = prefix("198.51.100.0/24");
	char text[128];

	kernel_look_begin(k);
	CHECK_INT(kernel_conflict(k, &p, text, sizeof(text)), 0);
	shell("ip route add blackhole 198.51.100.0/24");
	CHECK_INT(kernel_conflict(k, &p, text, sizeof(text)), 0);
	CHECK_INT(kernel_blocked(k, &p, text, sizeof(text)), 0);
	kernel_look_end(k);
	CHECK_INT(kernel_blocked(k, &p, text, sizeof(text)), 1);
	shell("ip route del blackhole 198.51.100.0/24");
	CHECK_INT(kernel_blocked(k, &p, text, sizeof(text)), 0);
	kernel_free(k);
}

IN_NAMESPACES(ways_to_private_addresses)
{
	struct kernel *k = open_kernel(NULL);
	struct addr lan = prefix("192.168.1.11/32").addr, far = prefix("192.168.7.11/32").addr,
		    six = prefix("fd00::1/128").addr;

	CHECK_INT(kernel_way_to(k, &lan), WAY_NONE);
	CHECK_INT(kernel_way_to(k, &six), WAY_NONE);
	shell("ip link add eth0 type veth peer name x0 && ip link set eth0 up && ip link set x0 up && "
	      "ip addr add 192.168.1.2/24 dev eth0 && ip addr add 203.0.113.9/24 dev eth0 && "
	      "ip addr add 2001:db8::9/64 dev eth0 nodad && ip route add default via 192.168.1.1");
	CHECK_INT(kernel_way_to(k, &lan), WAY_KNOWN);
	CHECK_INT(kernel_way_to(k, &far), WAY_UNSURE);
	shell("ip route replace default via 203.0.113.1 && ip -6 route add default via 2001:db8::1");
	CHECK_INT(kernel_way_to(k, &lan), WAY_KNOWN);
	CHECK_INT(kernel_way_to(k, &far), WAY_NONE);
	CHECK_INT(kernel_way_to(k, &six), WAY_NONE);
	shell("ip route add 192.168.0.0/16 via 203.0.113.7 && ip -6 route add fd00::/32 via 2001:db8::7");
	CHECK_INT(kernel_way_to(k, &far), WAY_KNOWN);
	CHECK_INT(kernel_way_to(k, &six), WAY_KNOWN);
	shell("ip route add unreachable 192.168.7.0/24");
	CHECK_INT(kernel_way_to(k, &far), WAY_NONE);
	kernel_free(k);
}

IN_NAMESPACES(only_what_is_just_this_range_or_on_the_wire_forbids_it)
{
	struct kernel *k = open_kernel(NULL);
	struct prefix lan = prefix("192.168.1.0/24"), part = prefix("192.168.1.128/25"),
		      wide = prefix("192.168.0.0/16"), far = prefix("10.42.0.0/16");
	char text[128];
	struct host d;

	typical(&d);
	pass(k, &d, 0);
	shell("ip link add eth0 type veth peer name x0 && ip link set eth0 up && ip link set x0 up && "
	      "ip addr add 192.168.1.2/24 dev eth0 && ip route add default via 192.168.1.1 && "
	      "ip route add 10.0.0.0/8 via 192.168.1.1 && ip route add 172.16.0.0/12 via 192.168.1.1");
	CHECK_INT(kernel_blocked(k, &lan, text, sizeof(text)), 1);
	CHECK_STR(text, "192.168.1.0/24 on eth0");
	CHECK_INT(kernel_blocked(k, &part, text, sizeof(text)), 1);
	CHECK_STR(text, "192.168.1.0/24 on eth0");
	/* It is told, but the rest can be routed. */
	CHECK_INT(kernel_blocked(k, &wide, text, sizeof(text)), 0);
	CHECK_INT(kernel_conflict(k, &wide, text, sizeof(text)), 1);
	/* Ours, and a wider one through a router. */
	CHECK_INT(kernel_blocked(k, &far, text, sizeof(text)), 0);
	far = prefix("172.16.0.0/12");
	CHECK_INT(kernel_blocked(k, &far, text, sizeof(text)), 1);
	host_done(&d);
	kernel_free(k);
}

static char sysctl(const char *path)
{
	return *output(path);
}

#define RA "cat /proc/sys/net/ipv6/conf/eth0/accept_ra"
#define ODD "x+..y" /* a name as the kernel takes them */
#define RA_ODD "cat /proc/sys/net/ipv6/conf/" ODD "/accept_ra"

IN_NAMESPACES(forwarding_is_switched_on_and_back)
{
	static const char file[] = "/run/warren/forwarding";
	char why[256] = "";
	unsigned on, ours;

	shell("ip link add eth0 type veth peer name " ODD
	      " && echo 0 >/proc/sys/net/ipv4/ip_forward && "
	      "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding && "
	      "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra");
	CHECK_INT(forwarding_on(file, FORWARD_4, why, sizeof(why)), 0);
	forwarding_read(file, &on, &ours);
	CHECK_INT(on, FORWARD_4);
	CHECK_INT(ours, FORWARD_4);
	CHECK_INT(sysctl(IP4), '1');
	CHECK_INT(sysctl(IP6), '0');
	CHECK_INT(forwarding_on(file, FORWARD_4 | FORWARD_6, why, sizeof(why)), 0);
	CHECK_INT(sysctl(IP6), '1');
	CHECK_INT(sysctl(RA), '2');
	CHECK_INT(sysctl(RA_ODD), '2');
	CHECK_INT(forwarding_off(file, FORWARD_6, why, sizeof(why)), 0);
	CHECK_INT(sysctl(IP6), '0');
	CHECK_INT(sysctl(RA), '1');
	CHECK_INT(sysctl(RA_ODD), '1');
	CHECK_INT(sysctl(IP4), '1');
	CHECK_INT(forwarding_off(file, FORWARD_4, why, sizeof(why)), 0);
	CHECK_INT(sysctl(IP4), '0');
	CHECK(access(file, F_OK) < 0);
	/* Switched on by somebody else: not ours to switch off. */
	shell("echo 1 >/proc/sys/net/ipv4/ip_forward");
	CHECK_INT(forwarding_on(file, FORWARD_4, why, sizeof(why)), 0);
	forwarding_read(file, &on, &ours);
	CHECK_INT(ours, 0);
	CHECK_INT(forwarding_off(file, FORWARD_4, why, sizeof(why)), 0);
	CHECK_INT(sysctl(IP4), '1');
	/* A file that is not ours leads nowhere. */
	shell("echo '../../kernel/panic 0' >/run/warren/forwarding");
	forwarding_read(file, &on, &ours);
	CHECK_INT(ours, 0);
	/* What somebody else wants on stays on when we are gone. */
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward");
	CHECK_INT(forwarding_on(file, FORWARD_4 | FORWARD_6, why, sizeof(why)), 0);
	CHECK_INT(forwarding_forget(file, FORWARD_4), 0);
	forwarding_read(file, &on, &ours);
	CHECK(on & FORWARD_4 && !(ours & FORWARD_4));
	CHECK_INT(forwarding_off(file, FORWARD_4 | FORWARD_6, why, sizeof(why)), 0);
	CHECK_INT(sysctl(IP4), '1');
	/* What may not be changed is said. */
	shell("echo 0 >/proc/sys/net/ipv4/ip_forward && mount -o remount,bind,ro /proc/sys 2>/dev/null || "
	      "mount --bind -o ro /proc/sys /proc/sys");
	if (forwarding_on(file, FORWARD_4, why, sizeof(why)) < 0)
		CHECK(strstr(why, "set net/ipv4/ip_forward to 1"));
}

IN_NAMESPACES(without_rules_nothing_is_forwarded)
{
	struct kernel *k = open_kernel(NULL);
	struct host d;

	shell("echo 0 >/proc/sys/net/ipv4/ip_forward");
	typical(&d);
	d.forwarding = FORWARD_4;
	free(d.nft);
	d.nft = xstrdup("table inet warren { no rule }\n");
	host_sort(&d);
	pass(k, &d, -EINVAL);
	CHECK_INT(sysctl(IP4), '0');
	CHECK_STR(output("ip -o link show type wireguard; ip -o link show type tun"), "");
	host_done(&d);
	typical(&d);
	d.forwarding = FORWARD_4;
	pass(k, &d, 0);
	CHECK_INT(sysctl(IP4), '1');
	host_done(&d);
	kernel_free(k);
}

TEST_MAIN("kernel-linux")

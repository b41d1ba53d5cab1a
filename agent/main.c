/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren-agent: options, the lock of the network namespace, the loop.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/daemon.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/api.h"
#include "schemas/member.h"

#define TOKENS_MAX 64
#define LOCK_NAME "warren-agent"
#define DNS_MAX 16
#define DNS_ALLOW_MAX 64

/* As they were given; NULL at the end. */
static const char *dns[DNS_MAX + 1], *dns_allow[DNS_ALLOW_MAX + 1];
static const char *const dns_allow_default[] = {
	"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", NULL
};

/* An abstract socket: its name is one per network namespace, and goes with the process. Returns the
 * descriptor to keep, or -EADDRINUSE and who has it; 0: he is not to be seen from here, or too many have
 * asked him already, as nobody ever takes these connections. */
static int lock(pid_t *ret_owner)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(LOCK_NAME);
	struct ucred who = { 0 };
	socklen_t who_len = sizeof(who);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	*ret_owner = 0;
	if (fd < 0)
		return -errno;
	memcpy(sa.sun_path + 1, LOCK_NAME, strlen(LOCK_NAME));
	if (bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, 1) == 0)
		return fd;
	r = -errno;
	if (r == -EADDRINUSE && connect(fd, (struct sockaddr *)&sa, len) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) == 0)
		*ret_owner = who.pid;
	close(fd);
	return r;
}

static void take_lock(void)
{
	char who[32] = "";
	pid_t owner;
	int fd = lock(&owner);

	if (owner)
		snprintf(who, sizeof(who), " (pid %d)", (int)owner);

	/* Kept until the process ends. */
	if (fd == -EADDRINUSE)
		opt_fail(1,
			 "an agent%s already serves this network namespace; use that one"
			 " (warren join), or stop it first",
			 who);
	if (fd < 0)
		opt_fail(1, "the lock of the network namespace: %s", strerror(-fd));
}

static int folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

static enum kernel_backend backend_of(const char *name)
{
	for (unsigned i = 0; kernel_backend_names[i]; i++)
		if (strcmp(kernel_backend_names[i], name) == 0)
			return (enum kernel_backend)i;
	opt_fail(2, "--backend: %s is none of kernel, userspace, auto", name);
}

/* ADDRESS:PORT; an IPv4 address may stand in brackets, too: who gives [$(HOST_IP)]:5300 does not know
 * which it is. */
static int parse_place(const char *text, struct endpoint *ret)
{
	char address[ADDR_SIZE];
	size_t len = *text == '[' ? strcspn(text + 1, "]") : 0;
	unsigned port;
	int used = 0;

	if (endpoint_parse(text, ret) == 0)
		return 0;
	if (!len || len >= sizeof(address) ||
	    sscanf(text + 1 + len, "]:%5u%n", &port, &used) != 1 || text[1 + len + (size_t)used] ||
	    !port || port > 65535)
		return -EINVAL;
	memcpy(address, text + 1, len);
	address[len] = '\0';
	ret->port = (uint16_t)port;
	return addr_parse(address, &ret->addr);
}

static void take_dns(struct agent_options *o)
{
	static struct endpoint places[DNS_MAX];
	static struct prefix allow[DNS_ALLOW_MAX];
	const char *const *from = *dns_allow ? dns_allow : dns_allow_default;

	for (; dns[o->dns_count]; o->dns_count++)
		if (parse_place(dns[o->dns_count], &places[o->dns_count]) < 0)
			opt_fail(2, "--dns: %s is not ADDRESS:PORT", dns[o->dns_count]);
	for (; from[o->dns_allow_count]; o->dns_allow_count++)
		if (prefix_parse(from[o->dns_allow_count], &allow[o->dns_allow_count]) < 0)
			opt_fail(2, "--dns-allow: %s is not a prefix ADDRESS/LEN",
				 from[o->dns_allow_count]);
	o->dns = places;
	o->dns_allow = allow;
}

static void check(const struct agent_options *o, const char *firewall)
{
	if (o->site && !text_is_label(o->site))
		opt_fail(2, "--site: %s is not a label of a-z, 0-9 and '-'", o->site);
	for (size_t i = 0; i < o->endpoint_count; i++)
		if (!text_is_hostport(o->endpoints[i]))
			opt_fail(2, "--endpoint: %s is not HOST:PORT", o->endpoints[i]);
	if (o->wireguard_go && *o->wireguard_go != '/')
		opt_fail(2, "--wireguard-go: %s is no path from the root", o->wireguard_go);
	if (strcmp(firewall, "manage") != 0 && strcmp(firewall, "report") != 0)
		opt_fail(2, "--firewall: %s is neither manage nor report", firewall);
}

/* The first process of a container is given the children of those who ended. Ours are waited for where
 * they are started, within a turn. */
static void reap(struct loop_hook *h)
{
	(void)h;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int serve(const struct agent_options *o)
{
	struct loop_hook reaper = { .prepare = reap };
	struct loop *l = loop_new();
	struct agent a = { 0 };
	char why[512] = "";
	int r = agent_start(&a, l, o, why, sizeof(why));

	if (r < 0) {
		log_error("start-failed", "error=%s", log_quote(why));
		agent_stop(&a);
		loop_free(l);
		opt_fail(1, "%s", why);
	}
	if (getpid() == 1)
		loop_hook_add(l, &reaper);
	daemon_notify("READY=1");
	r = loop_run(l);
	daemon_notify("STOPPING=1");
	log_info("stopping", "the tunnels stay");
	agent_stop(&a);
	loop_free(l);
	return r < 0;
}

int main(int argc, char **argv)
{
	const char *backend = "auto", *firewall = "manage";
	const char *tokens[TOKENS_MAX + 1] = { NULL },
					*endpoints[PEER_ENDPOINTS_MAX + 1] = { NULL };
	struct agent_options o = {
		.state = "/var/lib/warren",
		.control = "/run/warren/agent.sock",
		.tokens = tokens,
		.endpoints = endpoints,
	};
	const struct opt opts[] = {
		{ .name = "state",
		  .kind = OPT_VALUE,
		  .arg = "DIR",
		  .help = "where keys and journals are kept (/var/lib/warren)",
		  .value = &o.state },
		{ .name = "token",
		  .kind = OPT_LIST,
		  .arg = "TOKEN",
		  .file = true,
		  .help = "join this token's network",
		  .list = tokens,
		  .list_max = TOKENS_MAX },
		{ .name = "name",
		  .kind = OPT_VALUE,
		  .arg = "NAME",
		  .help = "the wished name (the host's)",
		  .value = &o.name },
		{ .name = "site",
		  .kind = OPT_VALUE,
		  .arg = "SITE",
		  .help = "where this node stands (the token's)",
		  .value = &o.site },
		{ .name = "control",
		  .kind = OPT_VALUE,
		  .arg = "PATH",
		  .help = "the control socket (/run/warren/agent.sock)",
		  .value = &o.control },
		{ .name = "endpoint",
		  .kind = OPT_LIST,
		  .arg = "HOST:PORT",
		  .help = "where others reach this node over UDP; announced first",
		  .list = endpoints,
		  .list_max = PEER_ENDPOINTS_MAX },
		{ .name = "dns",
		  .kind = OPT_LIST,
		  .arg = "ADDRESS:PORT",
		  .help = "answer names there, too (the mesh addresses)",
		  .list = dns,
		  .list_max = DNS_MAX },
		{ .name = "dns-allow",
		  .kind = OPT_LIST,
		  .arg = "CIDR",
		  .help = "who may ask at --dns (loopback and private addresses)",
		  .list = dns_allow,
		  .list_max = DNS_ALLOW_MAX },
		{ .name = "backend",
		  .kind = OPT_VALUE,
		  .arg = "kernel|userspace|auto",
		  .help = "who serves WireGuard (auto)",
		  .value = &backend },
		{ .name = "wireguard-go",
		  .kind = OPT_VALUE,
		  .arg = "DIR",
		  .help = "ask the program that reads DIR for wireguard-go (start it here)",
		  .value = &o.wireguard_go },
		{ .name = "firewall",
		  .kind = OPT_VALUE,
		  .arg = "manage|report",
		  .help = "install our nft table, or only say what it would be (manage)",
		  .value = &firewall },
		{ 0 },
	};

	/* Two threads of the MQTT library would each get 64 MB of address space, and keep what they
	 * free. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	opt_parse(
		argc, argv,
		&(struct opt_command){ .synopsis = "[OPTION...]",
				       .about = "Joins this host to WireGuard networks and keeps it"
						" there. Talk to it with warren.",
				       .opts = opts,
				       .version = WARREN_VERSION });
	while (endpoints[o.endpoint_count])
		o.endpoint_count++;
	check(&o, firewall);
	take_dns(&o);
	o.backend = backend_of(backend);
	o.firewall_report = strcmp(firewall, "report") == 0;
	/* Beside the socket: both go when the machine starts anew. */
	o.forwarding = xasprintf("%.*s/forwarding", folder_len(o.control), o.control);
	daemon_begin("warren-agent");
	take_lock();
	return serve(&o);
}

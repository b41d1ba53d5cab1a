/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tests of the Linux side of agent/kernel.h on a real kernel: each in network, mount and process
 * namespaces of its own, which take everything with them, wireguard-go too.
 *
 *	IN_NAMESPACES(what)
 *	{
 *		... as root of an empty host
 *	}
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "agent/kernel.h"
#include "agent/nft.h"
#include "agent/process.h"
#include "lib/buf.h"
#include "tests/fakes/world.h"
#include "tests/test.h"

/* What open_kernel asks for. */
static enum kernel_backend backend = BACKEND_AUTO;
static unsigned changes;    /* how often `changed` was called */
static char failures[1024]; /* the sentences of the last pass */

/* ---- namespaces ---- */

static inline void own_namespaces(void (*body)(void))
{
	char path[PROCESS_PATH_SIZE];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		SKIP("needs root");
	if (process_find("nft", path) < 0 || process_find("ip", path) < 0)
		SKIP("needs nft and ip");
	CHECK(unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) == 0);
	pid = fork();
	if (pid == 0) {
		/* All processes of the namespace end with this one. */
		CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
		CHECK(mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0);
		CHECK(system("ip link set lo up") == 0);
		body();
		test_result->finished = true;
		exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		test_end(false, "killed by signal %d %.300s", WTERMSIG(status), test_result->why);
	_exit(WEXITSTATUS(status));
}

#define IN_NAMESPACES(what)                                                                        \
	static void body_##what(void);                                                             \
	TEST(what)                                                                                 \
	{                                                                                          \
		own_namespaces(body_##what);                                                       \
	}                                                                                          \
	static void body_##what(void)

static inline void shell(const char *command)
{
	int r = system(command);

	if (r != 0)
		test_end(false, "exit status %d of: %s", r, command);
}

/* What a command prints, with one space where there were several; in one of 4 buffers. */
static inline const char *output(const char *command)
{
	static char text[4][4096];
	static unsigned turn;
	char *s = text[++turn % 4];
	FILE *f = popen(command, "r");
	size_t n;

	CHECK(f);
	n = fread(s, 1, sizeof(text[0]) - 1, f);
	s[n] = '\0';
	pclose(f);
	return s;
}

/* ---- the kernel under test ---- */

static inline void count_change(void *owner)
{
	(void)owner;
	changes++;
}

static inline struct kernel *open_kernel(struct loop *l)
{
	struct kernel_config c = { .backend = backend, .changed = count_change };
	struct kernel *k = NULL;
	int r = kernel_new(l, &c, &k);

	if (r == -EOPNOTSUPP)
		test_end(true, "%s", kernel_message(NULL));
	if (r < 0)
		test_end(false, "kernel_new: %s: %s", strerror(-r), kernel_message(NULL));
	return k;
}

static inline void on_failed(void *owner, const struct op *op, int error, const char *why)
{
	size_t n = strlen(failures);

	(void)owner;
	(void)op;
	(void)error;
	snprintf(failures + n, sizeof(failures) - n, "%s; ", why);
}

/* One full pass; returns the number of ops. */
static inline size_t pass(struct kernel *k, const struct host *desired, int want)
{
	struct host actual;
	struct plan p = { 0 };
	size_t count;
	int r = kernel_read(k, &actual);

	if (r < 0)
		test_end(false, "kernel_read: %s: %s", strerror(-r), kernel_message(k));
	plan_host(&p, desired, &actual);
	count = p.count;
	failures[0] = '\0';
	r = kernel_apply(k, p.ops, p.count, on_failed, NULL);
	if (r != want)
		test_end(false, "kernel_apply: %d, not %d: %.400s", r, want, failures);
	plan_done(&p);
	host_done(&actual);
	return count;
}

static inline void explain_difference(const struct host *desired, const struct host *actual)
{
	struct plan p = { 0 };
	struct buf all = { 0 };
	char text[OP_TEXT_SIZE];

	plan_host(&p, desired, actual);
	for (size_t i = 0; i < p.count; i++) {
		op_format(&p.ops[i], text, sizeof(text));
		buf_printf(&all, "%s; ", text);
	}
	test_end(false, "not as desired: %s", buf_cstr(&all));
}

static inline void check_equal(struct kernel *k, const struct host *desired)
{
	struct host actual;

	CHECK_INT(kernel_read(k, &actual), 0);
	if (!host_equal(&actual, desired))
		explain_difference(desired, &actual);
	host_done(&actual);
}

static inline struct prefix prefix(const char *s)
{
	struct prefix p;

	CHECK_INT(prefix_parse(s, &p), 0);
	return p;
}

/* A link with one address and one peer. */
static inline struct wg_link *simple_link(struct host *h, const char *name, const char *address,
					  uint16_t port)
{
	struct wg_link *l = host_add_link(h, name);
	struct prefix a = prefix(address);
	uint8_t public_key[KEY_LEN];

	wireguard_key_generate(l->private_key, public_key);
	l->port = port;
	l->mtu = 1420;
	l->up = true;
	wg_link_add_address(l, &a);
	return l;
}

/* What the agent would want: an interface, two peers, a route, the rules. */
static inline void typical(struct host *h)
{
	struct prefix p = prefix("10.42.0.0/16"), a = prefix("10.9.0.2/32");
	struct wg_link *l;
	struct wg_peer *peer;
	uint8_t key[KEY_LEN];

	memset(h, 0, sizeof(*h));
	l = simple_link(h, "wr-dc1", "10.9.0.1/24", 51830);
	for (unsigned i = 0; i < 2; i++) {
		world_key(i, key);
		peer = wg_link_add_peer(l, key);
		peer->keepalive = 20;
		a.addr.bytes[3] = (uint8_t)(2 + i);
		wg_peer_add_allowed(peer, &a);
	}
	wg_peer_add_allowed(peer, &p);
	CHECK_INT(endpoint_parse("192.0.2.7:51830", &peer->endpoint), 0);
	wg_link_add_route(l, &p, &l->addresses[0].addr);
	h->nft = nft_rules(h);
	host_sort(h);
}

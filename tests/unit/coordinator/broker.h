/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For the coordinator's tests: a data directory made by `init` and a real mosquitto on loopback.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "coordinator/init.h"
#include "lib/mem.h"
#include "tests/test.h"

struct test_broker {
	char dir[64]; /* holds `data` and `broker` */
	char data[80], conf[80], config[112];
	unsigned port;
	pid_t pid; /* of what guards it */
	int guard;
};

/* `count` free consecutive ports; the first. */
static inline unsigned test_free_port(unsigned count)
{
	for (int tries = 0; tries < 200; tries++) {
		struct sockaddr_in sa = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof(sa);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		unsigned port = 0, good;

		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		    getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
			port = ntohs(sa.sin_port);
		for (good = 1; port && good < count; good++) {
			int next = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

			sa.sin_port = htons((uint16_t)(port + good));
			if (port + good > 65535 ||
			    bind(next, (struct sockaddr *)&sa, sizeof(sa)) < 0)
				port = 0;
			close(next);
		}
		close(fd);
		if (port)
			return port;
	}
	return 0;
}

static inline int test_tcp_connect(unsigned port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline void test_sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000) * 1000000 }, NULL);
}

static inline void test_remove_tree(const char *dir)
{
	char *command = xasprintf("rm -rf -- '%s'", dir);

	CHECK_INT(system(command), 0);
	free(command);
}

/* In a process of its own: runs mosquitto until the test says so, or ends without a word, as one that
 * fails does; then its directory goes too. (A death signal would be lost when mosquitto changes its
 * user.) */
__attribute__((noreturn)) static inline void test_broker_guard(const struct test_broker *b, int end)
{
	pid_t pid = fork();
	char word = 0;
	ssize_t n = 0;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		if (!getenv("TEST_VERBOSE")) {
			dup2(null, 1);
			dup2(null, 2);
		}
		execlp("mosquitto", "mosquitto", "-c", b->config, NULL);
		_exit(127);
	}
	for (;;) {
		struct pollfd p = { .fd = end, .events = POLLIN };

		if (poll(&p, 1, 50) > 0) {
			n = read(end, &word, 1);
			break;
		}
		if (waitpid(pid, NULL, WNOHANG) == pid)
			_exit(1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (n == 0)
		test_remove_tree(b->dir);
	_exit(0);
}

/* Runs mosquitto on the configuration; returns when it accepts connections. */
static inline void test_broker_start(struct test_broker *b)
{
	int ends[2];

	CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
	b->pid = fork();
	if (b->pid == 0) {
		close(ends[1]);
		test_broker_guard(b, ends[0]);
	}
	close(ends[0]);
	b->guard = ends[1];
	for (int i = 0; i < 500; i++) {
		int fd = test_tcp_connect(b->port);

		if (fd >= 0) {
			close(fd);
			return;
		}
		if (waitpid(b->pid, NULL, WNOHANG) == b->pid)
			break;
		test_sleep_ms(20);
	}
	CHECK(!"mosquitto starts");
}

static inline void test_broker_stop(struct test_broker *b)
{
	if (b->pid > 0) {
		CHECK_INT(write(b->guard, "s", 1), 1);
		close(b->guard);
		waitpid(b->pid, NULL, 0);
	}
	b->pid = 0;
}

/* A new mesh in a temporary directory. `host`: as clients call the broker. */
static inline void test_broker_init(struct test_broker *b, const char *host, unsigned listeners)
{
	char broker[128], error[256] = "";
	struct init_options o = {
		.broker = broker, .data = b->data, .broker_dir = b->conf, .listeners = listeners
	};
	int out, null, r;

	*b = (struct test_broker){ .dir = "/tmp/warren-test-XXXXXX" };
	CHECK(mkdtemp(b->dir));
	chmod(b->dir, 0755); /* user mosquitto enters it */
	snprintf(b->data, sizeof(b->data), "%s/data", b->dir);
	snprintf(b->conf, sizeof(b->conf), "%s/broker", b->dir);
	snprintf(b->config, sizeof(b->config), "%s/mosquitto.conf", b->conf);
	b->port = test_free_port(listeners);
	snprintf(broker, sizeof(broker), "mqtts://%s:%u", host, b->port);
	fflush(stdout);
	out = dup(1);
	null = open("/dev/null", O_WRONLY);
	dup2(null, 1);
	r = init_run(&o, error, sizeof(error));
	fflush(stdout);
	dup2(out, 1);
	close(out);
	close(null);
	CHECK_STR(error, "");
	CHECK_INT(r, 0);
}

/* Forgets what the broker holds. Stopped. */
static inline void test_broker_empty(struct test_broker *b)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/data/mosquitto.db", b->conf);
	unlink(path);
}

static inline void test_broker_done(struct test_broker *b)
{
	test_broker_stop(b);
	test_remove_tree(b->dir);
}

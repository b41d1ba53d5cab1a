/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A real mosquitto for a test: on a free port of the loopback address, mTLS with TLS 1.3 only,
 * certificates made for it. All its files are memfds that it inherits, so nothing is left behind;
 * it dies with the test.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/x509.h"
#include "tests/test.h"

struct pki {
	struct buf ca, ca_key, server, server_key, client, client_key, other_ca, other_client;
};

struct broker {
	pid_t pid; /* 0: not running */
	bool six;  /* on ::1 */
	uint16_t port;
	char url[64];
	int config;
};

static inline const char *mosquitto_path(void)
{
	static const char *const paths[] = { "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto",
					     "/usr/bin/mosquitto" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* `host` is what the server's certificate is for. */
static inline void pki_make(struct pki *p, const char *host)
{
	const char *const hosts[] = { host }, *const uris[] = { "warren:node:test" };
	struct x509_issue what = { .hosts = hosts,
				   .host_count = 1,
				   .not_before = clock_wall() - 60,
				   .not_after = clock_wall() + 3600 };
	struct buf key = { 0 };

	memset(p, 0, sizeof(*p));
	x509_key_generate(&p->ca_key);
	CHECK_INT(x509_ca_create(buf_cstr(&p->ca_key), "ca", what.not_before, what.not_after,
				 &p->ca),
		  0);
	x509_key_generate(&key);
	CHECK_INT(x509_ca_create(buf_cstr(&key), "other", what.not_before, what.not_after,
				 &p->other_ca),
		  0);
	x509_key_generate(&p->server_key);
	CHECK_INT(x509_issue_key(buf_cstr(&p->ca), buf_cstr(&p->ca_key), buf_cstr(&p->server_key),
				 &what, &p->server),
		  0);
	what = (struct x509_issue){ .uris = uris,
				    .uri_count = 1,
				    .not_before = what.not_before,
				    .not_after = what.not_after };
	x509_key_generate(&p->client_key);
	CHECK_INT(x509_issue_key(buf_cstr(&p->ca), buf_cstr(&p->ca_key), buf_cstr(&p->client_key),
				 &what, &p->client),
		  0);
	CHECK_INT(x509_issue_key(buf_cstr(&p->other_ca), buf_cstr(&key), buf_cstr(&p->client_key),
				 &what, &p->other_client),
		  0);
	buf_done(&key);
}

static inline void pki_done(struct pki *p)
{
	struct buf *const all[] = { &p->ca,	&p->ca_key,	&p->server,   &p->server_key,
				    &p->client, &p->client_key, &p->other_ca, &p->other_client };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		buf_done(all[i]);
}

/* Inherited by programs that are started later. */
static inline int memfile(const char *text)
{
	int fd = memfd_create("test", 0);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

/* Below the ports that the kernel gives to connections: those come and go. */
static inline uint16_t free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int r;

	do {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint16_t random;

		CHECK(fd >= 0);
		crypto_random(&random, sizeof(random));
		sin.sin_port = htons((uint16_t)(10000 + random % 20000));
		r = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
		close(fd);
	} while (r < 0);
	return ntohs(sin.sin_port);
}

static inline bool tcp_answers(uint16_t port, bool six)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(port) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				     .sin6_port = htons(port) };
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = six ? connect(fd, (struct sockaddr *)&sin6, sizeof(sin6)) == 0 :
			connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;

	close(fd);
	return ok;
}

static inline pid_t spawn(const char *const *argv)
{
	pid_t parent = getpid(), pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static inline void tcp_wait(uint16_t port, bool six)
{
	for (int i = 0; i < 1000 && !tcp_answers(port, six); i++)
		usleep(5000);
	CHECK(tcp_answers(port, six));
}

static inline void broker_start(struct broker *b)
{
	char config[32];
	const char *const argv[] = { mosquitto_path(), "-c", config, NULL };

	snprintf(config, sizeof(config), "/proc/self/fd/%d", b->config);
	b->pid = spawn(argv);
	tcp_wait(b->port, b->six);
	CHECK_INT(waitpid(b->pid, NULL, WNOHANG), 0); /* it is ours that answers */
}

static inline void broker_stop(struct broker *b, int sig)
{
	if (!b->pid)
		return;
	kill(b->pid, sig);
	waitpid(b->pid, NULL, 0);
	b->pid = 0;
}

/* Not started yet. On 127.0.0.1, or on ::1. `more` is added to the configuration. Skips the test where there is none. */
static inline void broker_make(struct broker *b, const struct pki *p, bool six, const char *more)
{
	char *text;

	if (!mosquitto_path())
		SKIP("mosquitto is not installed");
	*b = (struct broker){ .port = free_port(), .six = six };
	snprintf(b->url, sizeof(b->url), "mqtts://%s:%u", six ? "[::1]" : "localhost",
		 (unsigned)b->port);
	text = xasprintf("listener %u %s\n"
			 "cafile /proc/self/fd/%d\ncertfile /proc/self/fd/%d\nkeyfile "
			 "/proc/self/fd/%d\n"
			 "tls_version tlsv1.3\nrequire_certificate true\nallow_anonymous true\n"
			 "user root\npersistence false\nset_tcp_nodelay true\n"
			 "max_queued_messages 20000\n%s",
			 (unsigned)b->port, six ? "::1" : "127.0.0.1", memfile(buf_cstr(&p->ca)),
			 memfile(buf_cstr(&p->server)), memfile(buf_cstr(&p->server_key)), more);
	b->config = memfile(text);
	free(text);
}

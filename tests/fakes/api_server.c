/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scripted API server. A thread accepts; each connection has one more. All have ended when
 * api_server_free returns: what OpenSSL keeps for a thread goes only at its end, and one that the end of the
 * process overtakes there looks like a leak.
 */
#include "tests/fakes/api_server.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/x509.h"

#define LINES 256

struct api_server {
	api_handler *const *script;
	size_t count;
	int fd;
	unsigned port;
	char folder[64];
	SSL_CTX *tls;
	pthread_t thread;
	pthread_mutex_t lock;
	unsigned requests, connections;
	char *lines[LINES];
	struct connection *all; /* of the accepting thread until that has ended */
};

struct connection {
	struct api_server *server;
	int fd; /* -1: closed; under the server's lock */
	pthread_t thread;
	struct connection *next;
};

static void die(const char *what)
{
	perror(what);
	abort();
}

/* ---- one connection ---- */

/* What follows the head, of which `len` bytes were read with it. */
static bool read_body(SSL *tls, struct api_request *r, const char *head, const char *rest,
		      size_t len)
{
	const char *p = strstr(head, "\r\nContent-Length: ");
	size_t size = p && p < rest ? strtoul(p + 18, NULL, 10) : 0;

	if (size >= sizeof(r->body) || len > size)
		return false;
	memcpy(r->body, rest, len);
	while (len < size) {
		int n = SSL_read(tls, r->body + len, (int)(size - len));

		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	r->body[size] = '\0';
	return true;
}

static bool read_request(SSL *tls, struct api_request *r)
{
	char text[16384];
	size_t len = 0;
	char *p, *end;

	do {
		int n = SSL_read(tls, text + len, (int)(sizeof(text) - 1 - len));

		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
	} while (!(end = strstr(text, "\r\n\r\n")));
	end += 4;
	snprintf(r->line, sizeof(r->line), "%.*s", (int)strcspn(text, "\r"), text);
	p = strstr(text, "\r\nAuthorization: ");
	r->authorization[0] = '\0';
	if (p)
		snprintf(r->authorization, sizeof(r->authorization), "%.*s",
			 (int)strcspn(p + 17, "\r"), p + 17);
	r->packed = strstr(text, "\r\nAccept-Encoding: gzip") != NULL;
	r->open = true;
	return read_body(tls, r, text, end, (size_t)(text + len - end));
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	struct api_server *s = c->server;
	SSL *tls = SSL_new(s->tls);
	struct api_request r = { .server = s, .tls = tls };

	SSL_set_fd(tls, c->fd);
	if (SSL_accept(tls) == 1) {
		r.open = true;
		while (r.open && read_request(tls, &r)) {
			unsigned n;

			pthread_mutex_lock(&s->lock);
			n = s->requests++;
			if (n < LINES)
				s->lines[n] = xstrdup(r.line);
			pthread_mutex_unlock(&s->lock);
			s->script[n < s->count ? n : s->count - 1](&r);
		}
	}
	SSL_free(tls);
	pthread_mutex_lock(&s->lock);
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct api_server *s = arg;
	sigset_t pipes;
	int fd;

	/* For the threads of connections too. The loop ignores the signal, but not once it is freed. */
	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipes, NULL);
	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct connection *c = xcalloc(1, sizeof(*c));

		c->server = s;
		c->fd = fd;
		c->next = s->all;
		s->all = c;
		pthread_mutex_lock(&s->lock);
		s->connections++;
		pthread_mutex_unlock(&s->lock);
		if (pthread_create(&c->thread, NULL, serve, c) != 0)
			die("pthread_create");
	}
	return NULL;
}

/* ---- for handlers ---- */

static void send_all(struct api_request *r, const char *p, size_t len)
{
	if (r->open && len && SSL_write(r->tls, p, (int)len) <= 0)
		r->open = false;
}

static void reply(struct api_request *r, const char *status, const char *headers, const void *body,
		  size_t len)
{
	char *head = xasprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
			       "Content-Length: %zu\r\n%s\r\n",
			       status, len, headers);

	send_all(r, head, strlen(head));
	send_all(r, body, len);
	free(head);
}

void api_reply(struct api_request *r, const char *status, const char *headers, const char *body)
{
	reply(r, status, headers, body, strlen(body));
}

void api_reply_packed(struct api_request *r, const char *body)
{
	z_stream z = { 0 };
	size_t len = strlen(body), cap = len + 1024;
	unsigned char *out = xmalloc(cap), *in = xmemdup(body, len + 1);

	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		die("deflate");
	z.next_in = in;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)cap;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		die("deflate");
	reply(r, "200 OK", "Content-Encoding: gzip\r\n", out, z.total_out);
	deflateEnd(&z);
	free(out);
	free(in);
}

void api_begin(struct api_request *r)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	send_all(r, head, sizeof(head) - 1);
}

void api_chunks(struct api_request *r, const char *text, size_t piece)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += piece) {
		size_t n = MIN(piece, len - at);
		char size[32];

		snprintf(size, sizeof(size), "%zx\r\n", n);
		send_all(r, size, strlen(size));
		send_all(r, text + at, n);
		send_all(r, "\r\n", 2);
	}
}

void api_end(struct api_request *r)
{
	send_all(r, "0\r\n\r\n", 5);
}

void api_reset(struct api_request *r)
{
	struct linger linger = { .l_onoff = 1 };

	usleep(50000); /* a reset overtakes what was sent */
	setsockopt(SSL_get_fd(r->tls), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	r->open = false;
}

void api_hold(struct api_request *r)
{
	struct pollfd p = { .fd = SSL_get_fd(r->tls), .events = POLLRDHUP };

	poll(&p, 1, -1);
	r->open = false;
}

void api_ignore(struct api_request *r)
{
	struct pollfd p = { .fd = SSL_get_fd(r->tls) }; /* POLLHUP: our side is shut down too */

	poll(&p, 1, -1);
	r->open = false;
}

/* ---- the server ---- */

static void put_file(const struct api_server *s, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	if (file_write(path, text, strlen(text), 0600) < 0)
		die(path);
}

/* A CA of its own for each, and a certificate for 127.0.0.1. */
static void certify(struct api_server *s, SSL_CTX *tls)
{
	static const char *const hosts[] = { "127.0.0.1" };
	struct x509_issue what = { .hosts = hosts,
				   .host_count = 1,
				   .not_before = clock_wall() - 60,
				   .not_after = clock_wall() + 3600 };
	struct buf ca = { 0 }, ca_key = { 0 }, cert = { 0 }, key = { 0 };
	char path[2][128];

	x509_key_generate(&ca_key);
	x509_key_generate(&key);
	if (x509_ca_create(buf_cstr(&ca_key), "ca", what.not_before, what.not_after, &ca) < 0 ||
	    x509_issue_key(buf_cstr(&ca), buf_cstr(&ca_key), buf_cstr(&key), &what, &cert) < 0)
		die("x509");
	put_file(s, "ca.crt", buf_cstr(&ca));
	if (tls) {
		put_file(s, "server.crt", buf_cstr(&cert));
		put_file(s, "server.key", buf_cstr(&key));
		snprintf(path[0], sizeof(path[0]), "%s/server.crt", s->folder);
		snprintf(path[1], sizeof(path[1]), "%s/server.key", s->folder);
		if (SSL_CTX_use_certificate_file(tls, path[0], SSL_FILETYPE_PEM) != 1 ||
		    SSL_CTX_use_PrivateKey_file(tls, path[1], SSL_FILETYPE_PEM) != 1)
			die("certificate");
	}
	buf_done(&ca);
	buf_done(&ca_key);
	buf_done(&cert);
	buf_done(&key);
}

static void listen_on(struct api_server *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(s->fd, 16) < 0 || getsockname(s->fd, (struct sockaddr *)&sin, &len) < 0)
		die("listen");
	s->port = ntohs(sin.sin_port);
}

struct api_server *api_server_new(api_handler *const *script, size_t count)
{
	struct api_server *s = xcalloc(1, sizeof(*s));
	char port[16];

	s->script = script;
	s->count = count;
	pthread_mutex_init(&s->lock, NULL);
	snprintf(s->folder, sizeof(s->folder), "/tmp/warren-api-XXXXXX");
	if (!mkdtemp(s->folder))
		die("mkdtemp");
	s->tls = SSL_CTX_new(TLS_server_method());
	certify(s, s->tls);
	api_server_set_token(s, "first\n");
	put_file(s, "namespace", "warren");
	listen_on(s);
	snprintf(port, sizeof(port), "%u", s->port);
	setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", port, 1);
	setenv("WARREN_SERVICE_ACCOUNT", s->folder, 1);
	if (pthread_create(&s->thread, NULL, accept_all, s) != 0)
		die("pthread_create");
	return s;
}

/* The accepting thread has ended. */
static void end_connections(struct api_server *s)
{
	pthread_mutex_lock(&s->lock);
	for (struct connection *c = s->all; c; c = c->next)
		if (c->fd >= 0)
			shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	while (s->all) {
		struct connection *c = s->all;

		s->all = c->next;
		pthread_join(c->thread, NULL);
		free(c);
	}
}

void api_server_free(struct api_server *s)
{
	static const char *const names[] = { "ca.crt", "token", "namespace", "server.crt",
					     "server.key" };
	char path[128];

	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	end_connections(s);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->folder, names[i]);
		unlink(path);
	}
	rmdir(s->folder);
	for (size_t i = 0; i < LINES; i++)
		free(s->lines[i]);
	SSL_CTX_free(s->tls);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void api_server_set_token(const struct api_server *s, const char *token)
{
	put_file(s, "token", token);
}

void api_server_another_ca(struct api_server *s)
{
	certify(s, NULL);
}

unsigned api_server_requests(struct api_server *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->requests;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned api_server_connections(struct api_server *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->connections;
	pthread_mutex_unlock(&s->lock);
	return n;
}

const char *api_server_line(struct api_server *s, unsigned n)
{
	const char *line;

	pthread_mutex_lock(&s->lock);
	line = n < LINES && s->lines[n] ? s->lines[n] : "";
	pthread_mutex_unlock(&s->lock);
	return line;
}

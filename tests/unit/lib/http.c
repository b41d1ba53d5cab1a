/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/http.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "lib/x509.h"
#include "tests/test.h"

#define MSEC USEC_PER_MSEC

/* A server that keeps requests for /later, echoes others, and knows /nothing. */
struct server {
	struct loop *loop;
	struct httpd *httpd;
	struct http_request *kept[8];
	unsigned kept_count, requests;
	long uid;
	char dir[64], path[96], address[128];
};

/* A client on a thread. */
struct call {
	struct http_call call;
	struct buf out;
	int status;
	atomic_bool done;
	pthread_t thread;
};

static void handle(void *owner, struct http_request *r)
{
	struct server *s = owner;
	const char *q = http_query(r, "q");
	size_t len;
	const char *body = http_body(r, &len);
	char *text;

	s->requests++;
	s->uid = http_peer_uid(r);
	CHECK_INT(body[len], 0);
	if (strcmp(http_path(r), "/later") == 0) {
		s->kept[s->kept_count++] = r;
		return;
	}
	if (strcmp(http_path(r), "/nothing") == 0) {
		http_reply(r, 404, NULL, "{}", 2);
		return;
	}
	text = xasprintf("%s %s %s %zu %.20s", http_method(r), http_path(r), q ? q : "-", len,
			 body);
	http_reply(r, 200, "text/plain", text, strlen(text));
	free(text);
}

static void server_init(struct server *s)
{
	*s = (struct server){ .loop = loop_new(), .uid = -2 };
	snprintf(s->dir, sizeof(s->dir), "/tmp/warren-http-XXXXXX");
	CHECK(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/socket", s->dir);
	snprintf(s->address, sizeof(s->address), "unix:%s", s->path);
}

static struct httpd_config config_of(struct server *s)
{
	return (struct httpd_config){ .address = s->address,
				      .mode = 0660,
				      .gid = (unsigned)-1,
				      .handler = handle,
				      .owner = s };
}

static void server_start(struct server *s)
{
	struct httpd_config c;

	server_init(s);
	c = config_of(s);
	CHECK_INT(httpd_new(s->loop, &c, &s->httpd), 0);
}

static void server_end(struct server *s)
{
	httpd_free(s->httpd);
	CHECK(access(s->path, F_OK) < 0);
	CHECK_INT(rmdir(s->dir), 0);
	loop_free(s->loop);
}

static void *call_run(void *arg)
{
	struct call *c = arg;

	c->status = http_call(&c->call, &c->out);
	atomic_store(&c->done, true);
	return NULL;
}

static void call_start(struct call *c, const struct server *s, const char *method, const char *path,
		       const char *body)
{
	*c = (struct call){ .call = { .base = s->address,
				      .method = method,
				      .path = path,
				      .body = body,
				      .timeout_ms = 5000 } };
	CHECK_INT(pthread_create(&c->thread, NULL, call_run, c), 0);
}

static int call_end(struct call *c, struct server *s)
{
	uint64_t end = clock_mono() + 8000 * MSEC;

	while (!atomic_load(&c->done) && clock_mono() < end)
		loop_turn(s->loop, 5 * MSEC);
	CHECK(atomic_load(&c->done));
	pthread_join(c->thread, NULL);
	return c->status;
}

static void turn(struct server *s, unsigned msec)
{
	uint64_t end = clock_mono() + msec * MSEC;

	while (clock_mono() < end)
		loop_turn(s->loop, 2 * MSEC);
}

static int raw_connect(const struct server *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", s->path);
	CHECK_INT(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void raw_send(int fd, const char *text)
{
	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the server has said so far, within 1 s. */
static void raw_expect(struct server *s, int fd, const char *what)
{
	char got[2048] = "";
	size_t len = 0;

	for (int i = 0; i < 100 && !strstr(got, what); i++) {
		ssize_t n;

		turn(s, 10);
		n = recv(fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT);
		if (n > 0)
			len += (size_t)n;
		got[len] = '\0';
	}
	if (!strstr(got, what))
		test_end(false, "%s is not in %.200s", what, got);
}

TEST(answers)
{
	struct server s;
	struct call c;
	struct stat st;

	server_start(&s);
	CHECK_INT(stat(s.path, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0660);
	call_start(&c, &s, "GET", "/a%20b/c?x=1&q=%2Fyes", NULL);
	CHECK_INT(call_end(&c, &s), 200);
	CHECK_STR(buf_cstr(&c.out), "GET /a b/c /yes 0 ");
	CHECK_INT(s.uid, getuid());
	buf_done(&c.out);
	call_start(&c, &s, "POST", "/p", "{\"a\":1}");
	CHECK_INT(call_end(&c, &s), 200);
	CHECK_STR(buf_cstr(&c.out), "POST /p - 7 {\"a\":1}");
	buf_done(&c.out);
	call_start(&c, &s, "DELETE", "/nothing", NULL);
	CHECK_INT(call_end(&c, &s), 404);
	CHECK_STR(buf_cstr(&c.out), "{}");
	buf_done(&c.out);
	CHECK_INT(s.requests, 3);
	server_end(&s);
}

TEST(answers_later)
{
	struct server s;
	struct call c, other;

	server_start(&s);
	call_start(&c, &s, "POST", "/later", "{}");
	turn(&s, 100);
	CHECK_INT(s.kept_count, 1);
	CHECK(!atomic_load(&c.done));
	CHECK(!http_request_gone(s.kept[0]));
	CHECK_STR(http_body(s.kept[0], NULL), "{}");
	/* Others are served meanwhile. */
	call_start(&other, &s, "GET", "/now", NULL);
	CHECK_INT(call_end(&other, &s), 200);
	buf_done(&other.out);
	http_reply(s.kept[0], 201, NULL, "done", 4);
	CHECK_INT(call_end(&c, &s), 201);
	CHECK_STR(buf_cstr(&c.out), "done");
	buf_done(&c.out);
	server_end(&s);
}

TEST(client_may_go)
{
	struct server s;
	int fd;

	server_start(&s);
	for (int round = 0; round < 3; round++) {
		s.kept_count = 0;
		fd = raw_connect(&s);
		raw_send(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
		turn(&s, 30);
		CHECK_INT(s.kept_count, 1);
		CHECK(!http_request_gone(s.kept[0]));
		close(fd);
		turn(&s, 30);
		CHECK(http_request_gone(s.kept[0]));
		http_reply(s.kept[0], 200, NULL, "x", 1);
		turn(&s, 30);
	}
	server_end(&s);
}

TEST(server_may_go)
{
	struct server s;
	int fds[2];

	server_start(&s);
	for (int i = 0; i < 2; i++) {
		fds[i] = raw_connect(&s);
		raw_send(fds[i], "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	turn(&s, 30);
	CHECK_INT(s.kept_count, 2);
	http_reply(s.kept[0], 200, NULL, "x", 1); /* on its way */
	httpd_free(s.httpd);
	s.httpd = NULL;
	CHECK(http_request_gone(s.kept[1]));
	CHECK(http_query(s.kept[1], "q") == NULL);
	CHECK_STR(http_path(s.kept[1]), "/later");
	http_reply(s.kept[1], 200, NULL, "x", 1);
	close(fds[0]);
	close(fds[1]);
	server_end(&s);
}

TEST(long_body_is_refused)
{
	static char fits[HTTP_BODY_MAX + 1], too_long[HTTP_BODY_MAX + 2];
	struct server s;
	struct call c;
	int fd;

	memset(fits, 'x', sizeof(fits) - 1);
	memset(too_long, 'x', sizeof(too_long) - 1);
	server_start(&s);
	call_start(&c, &s, "PUT", "/", fits);
	CHECK_INT(call_end(&c, &s), 200);
	CHECK(strstr(buf_cstr(&c.out), "PUT / - 65536 xxxx"));
	buf_done(&c.out);
	call_start(&c, &s, "PUT", "/", too_long);
	CHECK_INT(call_end(&c, &s), 413);
	CHECK_STR(buf_cstr(&c.out), "{\"error\":{\"code\":\"too_large\",\"message\":"
				    "\"the body is longer than 64 KiB\"}}");
	buf_done(&c.out);
	/* Its length not announced. */
	fd = raw_connect(&s);
	raw_send(fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		raw_send(fd, "4000\r\n");
		too_long[0x4000] = '\0';
		raw_send(fd, too_long);
		raw_send(fd, "\r\n");
		turn(&s, 10);
	}
	raw_send(fd, "0\r\n\r\n");
	raw_expect(&s, fd, "413");
	close(fd);
	/* A length that is none of ours to keep. */
	fd = raw_connect(&s);
	raw_send(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
	raw_expect(&s, fd, "413");
	close(fd);
	CHECK_INT(s.requests, 1);
	server_end(&s);
}

TEST(slow_clients_hold_up_nobody)
{
	struct server s;
	struct call c;
	int a, b;

	server_start(&s);
	a = raw_connect(&s);
	b = raw_connect(&s);
	raw_send(a, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Le");
	raw_send(b, "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
	turn(&s, 50);
	CHECK_INT(s.requests, 0);
	call_start(&c, &s, "GET", "/fast", NULL);
	CHECK_INT(call_end(&c, &s), 200);
	buf_done(&c.out);
	raw_send(a, "ngth: 2\r\n\r\nhi");
	raw_send(b, "cd");
	raw_expect(&s, a, "POST /a - 2 hi");
	raw_expect(&s, b, "POST /b - 4 abcd");
	close(a);
	close(b);
	server_end(&s);
}

TEST(nonsense_is_no_request)
{
	static const char *const nonsense[] = { "\r\n\r\n\r\n", "GET\r\n\r\n",
						"\x16\x03\x01\x02\r\n\r\n",
						"GET / HTTP/9.9\r\n\r\n" };
	struct server s;
	struct call c;

	server_start(&s);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		int fd = raw_connect(&s);

		raw_send(fd, nonsense[i]);
		turn(&s, 20);
		close(fd);
	}
	CHECK_INT(s.requests, 0);
	call_start(&c, &s, "GET", "/", NULL);
	CHECK_INT(call_end(&c, &s), 200);
	buf_done(&c.out);
	server_end(&s);
}

TEST(stale_socket_is_replaced_busy_one_is_not)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct httpd_config config;
	struct server s;
	struct httpd *second = NULL;
	int fd, file;

	server_init(&s);
	config = config_of(&s);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", s.path);
	/* What a server that was killed leaves behind. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_INT(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	CHECK_INT(access(s.path, F_OK), 0);
	CHECK_INT(httpd_new(s.loop, &config, &s.httpd), 0);
	CHECK_INT(httpd_new(s.loop, &config, &second), -EADDRINUSE);
	close(raw_connect(&s)); /* still the first one's */
	/* Another's socket in its place is not removed. */
	CHECK_INT(unlink(s.path), 0);
	CHECK_INT(httpd_new(s.loop, &config, &second), 0);
	httpd_free(s.httpd);
	CHECK_INT(access(s.path, F_OK), 0);
	httpd_free(second);
	CHECK(access(s.path, F_OK) < 0);
	/* A file is no socket. */
	file = open(s.path, O_CREAT | O_WRONLY, 0600);
	close(file);
	CHECK_INT(httpd_new(s.loop, &config, &second), -EEXIST);
	CHECK_INT(unlink(s.path), 0);
	CHECK_INT(rmdir(s.dir), 0);
	CHECK_INT(httpd_new(s.loop, &config, &second), -ENOENT);
	loop_free(s.loop);
}

static uint16_t free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_INT(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

TEST(tcp_with_tls_and_bearer)
{
	static const char *const hosts[] = { "127.0.0.1" };
	static const char *const wrong[] = { NULL, "secre", "secret2", "" };
	struct x509_issue what = { .hosts = hosts,
				   .host_count = 1,
				   .not_before = clock_wall() - 60,
				   .not_after = clock_wall() + 3600 };
	struct buf ca = { 0 }, ca_key = { 0 }, cert = { 0 }, key = { 0 };
	struct httpd_config config;
	struct server s;
	struct call c;
	uint16_t port = free_port();
	char ca_file[96], base[64];
	FILE *f;

	x509_key_generate(&ca_key);
	x509_key_generate(&key);
	CHECK_INT(x509_ca_create(buf_cstr(&ca_key), "ca", what.not_before, what.not_after, &ca), 0);
	CHECK_INT(x509_issue_key(buf_cstr(&ca), buf_cstr(&ca_key), buf_cstr(&key), &what, &cert),
		  0);
	server_init(&s);
	snprintf(ca_file, sizeof(ca_file), "%s/ca", s.dir);
	f = fopen(ca_file, "we");
	CHECK(f && fputs(buf_cstr(&ca), f) >= 0 && fclose(f) == 0);
	snprintf(s.address, sizeof(s.address), "127.0.0.1:%u", (unsigned)port);
	snprintf(base, sizeof(base), "https://127.0.0.1:%u", (unsigned)port);
	config = config_of(&s);
	config.cert_pem = buf_cstr(&cert);
	config.key_pem = buf_cstr(&key);
	config.bearer = "secret";
	CHECK_INT(httpd_new(s.loop, &config, &s.httpd), 0);
	snprintf(s.address, sizeof(s.address), "%s", base);
	for (size_t i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
		bool right = i == sizeof(wrong) / sizeof(wrong[0]);

		c = (struct call){ .call = { .base = base,
					     .method = "POST",
					     .path = "/",
					     .body = "hello",
					     .ca_file = ca_file,
					     .bearer = right ? "secret" : wrong[i],
					     .timeout_ms = 5000 } };
		CHECK_INT(pthread_create(&c.thread, NULL, call_run, &c), 0);
		CHECK_INT(call_end(&c, &s), right ? 200 : 401);
		buf_done(&c.out);
	}
	CHECK_INT(s.requests, 1);
	CHECK_INT(s.uid, -1);
	/* Another CA. */
	call_start(&c, &s, "GET", "/", NULL);
	CHECK_INT(call_end(&c, &s), -EIO);
	buf_done(&c.out);
	httpd_free(s.httpd);
	/* Elsewhere than on loopback all three are needed. */
	config.address = "0.0.0.0:1";
	config.bearer = NULL;
	CHECK_INT(httpd_new(s.loop, &config, &s.httpd), -EACCES);
	config.bearer = "secret";
	config.key_pem = NULL;
	CHECK_INT(httpd_new(s.loop, &config, &s.httpd), -EACCES);
	config.address = "somewhere";
	CHECK_INT(httpd_new(s.loop, &config, &s.httpd), -EINVAL);
	CHECK_INT(unlink(ca_file), 0);
	CHECK_INT(rmdir(s.dir), 0);
	loop_free(s.loop);
	buf_done(&ca);
	buf_done(&ca_key);
	buf_done(&cert);
	buf_done(&key);
}

TEST(no_answer_has_its_reasons)
{
	struct http_call call = { .method = "GET", .path = "/", .timeout_ms = 300 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct buf out = { 0 };
	struct server s;
	char base[64];
	int fd;

	server_init(&s);
	call.base = s.address;
	CHECK_INT(http_call(&call, &out), -ENOENT);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", s.path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_INT(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	CHECK_INT(http_call(&call, &out), -ECONNREFUSED);
	CHECK_INT(listen(fd, 1), 0);
	CHECK_INT(http_call(&call, &out), -ETIMEDOUT);
	close(fd);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", (unsigned)free_port());
	call.base = base;
	CHECK_INT(http_call(&call, &out), -ECONNREFUSED);
	call.base = "ftp://127.0.0.1";
	CHECK_INT(http_call(&call, &out), -EINVAL);
	CHECK_INT(out.len, 0);
	CHECK_INT(unlink(s.path), 0);
	CHECK_INT(rmdir(s.dir), 0);
	loop_free(s.loop);
}

TEST(escapes)
{
	struct buf b = { 0 };

	http_escape(&b, "a-Z_0.~ /?&=%\xc3\xa4");
	CHECK_STR(buf_cstr(&b), "a-Z_0.~%20%2F%3F%26%3D%25%C3%A4");
	buf_done(&b);
}

/* A connection that stays open does not make the loop spin. */
TEST(idle_costs_nothing)
{
	struct server s;
	struct timespec before, after;
	int fd;

	server_start(&s);
	fd = raw_connect(&s);
	raw_send(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	turn(&s, 50);
	CHECK_INT(s.kept_count, 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	loop_turn(s.loop, 200 * MSEC);
	loop_turn(s.loop, 200 * MSEC);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec <
	      20 * 1000000);
	http_reply(s.kept[0], 200, NULL, "x", 1);
	raw_expect(&s, fd, "200");
	close(fd);
	server_end(&s);
}

TEST_MAIN("http")

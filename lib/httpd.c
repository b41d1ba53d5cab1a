/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The HTTP server: libmicrohttpd with its epoll descriptor inside the loop, no threads. Owns the
 * listening socket, the Unix socket's file, and every request until it is answered. The loop's
 * thread.
 *
 * A request that the handler does not answer at once is suspended, and resumed by http_reply;
 * libmicrohttpd then asks for the answer once more. It is told to run by its descriptor, by its
 * timeout (asked for each turn) and after each http_reply.
 */
#include "lib/http.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/mem.h"

#define BACKLOG 64
#define CONNECTIONS 64
#define CONNECTION_MEMORY 32768 /* headers and buffers of one connection */
#define IDLE_SECONDS 30		/* a client that sends or takes nothing */
#define UPLOAD_MAX (1u << 20)	/* where reading a body that is refused anyway ends */

/* Debian 12's GnuTLS names; TLS 1.2 stays for old Prometheus servers. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct httpd {
	struct loop *loop;
	struct MHD_Daemon *mhd;
	struct loop_io io;
	struct loop_hook hook;
	struct loop_timer timer;
	bool resumed; /* a connection, which MHD_get_timeout does not tell */
	http_handler *handler;
	void *owner;
	char *bearer;
	char *path; /* of the Unix socket; NULL: TCP */
	dev_t dev;  /* of its file, so that we do not remove another one's */
	ino_t inode;
	struct http_request *requests;
};

enum answer_state { UNANSWERED, ANSWERED, QUEUED };

struct http_request {
	struct httpd *httpd;		   /* NULL: the server is gone */
	struct MHD_Connection *connection; /* NULL: the client is gone */
	struct http_request *next, **link;
	char method[16];
	char *path;
	struct buf body;
	size_t received;
	long uid;
	enum answer_state state;
	bool handed; /* the handler has it */
	bool suspended;
	struct MHD_Response *response;
	unsigned status;
};

static void request_free(struct http_request *r)
{
	if (r->link) {
		*r->link = r->next;
		if (r->next)
			r->next->link = r->link;
	}
	if (r->response)
		MHD_destroy_response(r->response);
	free(r->path);
	buf_done(&r->body);
	free(r);
}

static long peer_uid(int fd)
{
	struct sockaddr_storage ss;
	struct ucred cred;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 || ss.ss_family != AF_UNIX)
		return -1;
	len = sizeof(cred);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? (long)cred.uid : -1;
}

static int connection_fd(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static struct http_request *request_new(struct httpd *h, struct MHD_Connection *c, const char *url,
					const char *method)
{
	struct http_request *r = xcalloc(1, sizeof(*r));

	r->httpd = h;
	r->connection = c;
	r->next = h->requests;
	r->link = &h->requests;
	if (r->next)
		r->next->link = &r->next;
	h->requests = r;
	snprintf(r->method, sizeof(r->method), "%s", method);
	r->path = xstrdup(url);
	r->body.max = HTTP_BODY_MAX;
	r->uid = peer_uid(connection_fd(c));
	return r;
}

static void set_answer(struct http_request *r, unsigned status, const char *type, const void *body,
		       size_t len)
{
	r->response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)body,
						      MHD_RESPMEM_MUST_COPY);
	r->status = status;
	r->state = ANSWERED;
	if (!r->response)
		abort(); /* no memory */
	MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONTENT_TYPE,
				type ? type : "application/json");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

/* The form of the API's refusals: {"error": {"code", "message"}}. */
static void refuse(struct http_request *r, unsigned status, const char *code, const char *why)
{
	char text[160];

	snprintf(text, sizeof(text), "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", code, why);
	set_answer(r, status, NULL, text, strlen(text));
}

static enum MHD_Result queue(struct http_request *r)
{
	r->state = QUEUED;
	return MHD_queue_response(r->connection, r->status, r->response);
}

static bool bearer_fits(const struct httpd *h, struct MHD_Connection *c)
{
	static const char scheme[] = "Bearer ";
	const char *got =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	uint8_t want_hash[HASH_LEN], got_hash[HASH_LEN];

	if (!h->bearer)
		return true;
	if (!got || strncasecmp(got, scheme, sizeof(scheme) - 1) != 0)
		return false;
	got += sizeof(scheme) - 1;
	sha256(h->bearer, strlen(h->bearer), want_hash);
	sha256(got, strlen(got), got_hash);
	return crypto_equal(want_hash, got_hash, HASH_LEN);
}

static bool is_announced_too_long(struct MHD_Connection *c)
{
	const char *length =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length && strtoull(length, NULL, 10) > HTTP_BODY_MAX;
}

/* The headers are there. An answer that is given now saves the client from sending the body. */
static enum MHD_Result begin(struct httpd *h, struct MHD_Connection *c, const char *url,
			     const char *method, void **ret)
{
	struct http_request *r = request_new(h, c, url, method);

	*ret = r;
	if (!bearer_fits(h, c))
		refuse(r, MHD_HTTP_UNAUTHORIZED, "unauthorized",
		       "the bearer token is missing or wrong");
	else if (is_announced_too_long(c))
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
		       "the body is longer than 64 KiB");
	return r->state == ANSWERED ? queue(r) : MHD_YES;
}

static enum MHD_Result upload(struct http_request *r, const char *data, size_t *size)
{
	r->received += *size;
	if (r->received > UPLOAD_MAX)
		return MHD_NO; /* cuts the connection */
	if (r->received <= HTTP_BODY_MAX)
		buf_add(&r->body, data, *size);
	*size = 0;
	return MHD_YES;
}

/* libmicrohttpd calls this with the headers, for each piece of the body, at its end, and when a
 * suspended connection was resumed. */
static enum MHD_Result on_access(void *arg, struct MHD_Connection *c, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *size, void **request)
{
	struct httpd *h = arg;
	struct http_request *r = *request;

	(void)version;
	if (!r)
		return begin(h, c, url, method, request);
	if (*size > 0)
		return upload(r, data, size);
	if (r->state == QUEUED)
		return MHD_YES;
	if (!r->handed && r->received > HTTP_BODY_MAX)
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
		       "the body is longer than 64 KiB");
	if (!r->handed && r->state == UNANSWERED) {
		r->handed = true;
		h->handler(h->owner, r);
	}
	if (r->state == ANSWERED)
		return queue(r);
	r->suspended = true;
	MHD_suspend_connection(c);
	return MHD_YES;
}

/* Called once per request that reached on_access, however it ended. */
static void on_completed(void *arg, struct MHD_Connection *c, void **request,
			 enum MHD_RequestTerminationCode code)
{
	struct http_request *r = *request;

	(void)arg;
	(void)c;
	(void)code;
	*request = NULL;
	if (!r)
		return;
	r->connection = NULL;
	if (!r->handed || r->state != UNANSWERED)
		request_free(r);
}

static void serve(struct httpd *h)
{
	h->resumed = false;
	MHD_run(h->mhd);
}

static void ready(struct loop_io *io, short got)
{
	(void)got;
	serve(container_of(io, struct httpd, io));
}

static void fired(struct loop_timer *t)
{
	serve(container_of(t, struct httpd, timer));
}

static void prepare(struct loop_hook *hook)
{
	struct httpd *h = container_of(hook, struct httpd, hook);
	MHD_UNSIGNED_LONG_LONG msec;

	if (h->resumed)
		loop_timer_set(h->loop, &h->timer, loop_now(h->loop));
	else if (MHD_get_timeout(h->mhd, &msec) == MHD_YES)
		loop_timer_set(h->loop, &h->timer, clock_mono() + msec * USEC_PER_MSEC);
	else
		loop_timer_del(h->loop, &h->timer);
}

/* ---- Sockets ------------------------------------------------------------------------------------- */

/* 0: nobody listens there (any more). */
static int replace_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? -errno : -EADDRINUSE;
	close(fd);
	if (r == -EAGAIN) /* its backlog is full */
		return -EADDRINUSE;
	if (r != -ECONNREFUSED)
		return r;
	return unlink(sun->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Bound with no access for others, then opened as far as asked for. */
static int listen_unix(struct httpd *h, const char *path, unsigned mode, unsigned gid)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t old;
	int fd, r;

	if (!*path || strlen(path) >= sizeof(sun.sun_path))
		return -EINVAL;
	memcpy(sun.sun_path, path, strlen(path));
	r = replace_stale(&sun);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	old = umask(0177);
	r = bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	umask(old);
	if (r < 0) {
		close(fd);
		return r;
	}
	if ((gid != (unsigned)-1 && chown(path, (uid_t)-1, gid) < 0) || chmod(path, mode) < 0 ||
	    stat(path, &st) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		unlink(path);
		close(fd);
		return r;
	}
	h->path = xstrdup(path);
	h->dev = st.st_dev;
	h->inode = st.st_ino;
	return fd;
}

static int listen_tcp(const struct endpoint *at)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int open_address(struct httpd *h, const struct httpd_config *c, bool *ret_tls)
{
	char host[HOST_SIZE];
	struct endpoint at;

	*ret_tls = false;
	if (strncmp(c->address, "unix:", 5) == 0)
		return listen_unix(h, c->address + 5, c->mode, c->gid);
	if (hostport_parse(c->address, host, &at.port) < 0 ||
	    addr_parse(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &at.addr) < 0)
		return -EINVAL;
	*ret_tls = c->cert_pem && c->key_pem;
	if (!addr_is_loopback(&at.addr) && (!*ret_tls || !c->bearer || !*c->bearer))
		return -EACCES;
	return listen_tcp(&at);
}

static struct MHD_Daemon *daemon_start(struct httpd *h, const struct httpd_config *c, int fd,
				       bool tls)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0);
	const struct MHD_OptionItem plain = { .option = MHD_OPTION_END };
	const struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, fd, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, h },
		{ MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL },
		tls ? (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
					       (void *)(uintptr_t)c->cert_pem } :
		      plain, /* the end */
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)c->key_pem },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};

	return MHD_start_daemon(flags, 0, NULL, NULL, on_access, h, MHD_OPTION_ARRAY, options,
				MHD_OPTION_END);
}

static void remove_socket(const struct httpd *h)
{
	struct stat st;

	if (h->path && stat(h->path, &st) == 0 && st.st_dev == h->dev && st.st_ino == h->inode)
		unlink(h->path);
}

int httpd_new(struct loop *l, const struct httpd_config *c, struct httpd **ret)
{
	struct httpd *h = xcalloc(1, sizeof(*h));
	bool tls;
	int fd = open_address(h, c, &tls);

	if (fd < 0) {
		free(h);
		return fd;
	}
	h->loop = l;
	h->handler = c->handler;
	h->owner = c->owner;
	h->bearer = c->bearer ? xstrdup(c->bearer) : NULL;
	h->mhd = daemon_start(h, c, fd, tls);
	if (!h->mhd) {
		close(fd);
		httpd_free(h);
		return -EIO; /* the certificate or the key cannot be read */
	}
	h->io = (struct loop_io){
		.fd = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		.want = POLLIN,
		.ready = ready,
	};
	h->hook.prepare = prepare;
	h->timer.fired = fired;
	loop_io_add(l, &h->io);
	loop_hook_add(l, &h->hook);
	*ret = h;
	return 0;
}

void httpd_free(struct httpd *h)
{
	struct http_request *r, *next;

	if (!h)
		return;
	for (r = h->requests; r; r = r->next)
		if (r->suspended && r->state == UNANSWERED)
			MHD_resume_connection(r->connection);
	if (h->mhd) {
		loop_io_del(h->loop, &h->io);
		loop_hook_del(h->loop, &h->hook);
		loop_timer_del(h->loop, &h->timer);
		MHD_stop_daemon(h->mhd); /* closes the listening socket */
	}
	/* What is left belongs to handlers that have not answered yet. */
	for (r = h->requests; r; r = next) {
		next = r->next;
		r->httpd = NULL;
		r->connection = NULL;
		r->link = NULL;
	}
	remove_socket(h);
	free(h->path);
	if (h->bearer)
		crypto_wipe(h->bearer, strlen(h->bearer));
	free(h->bearer);
	free(h);
}

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_query(const struct http_request *r, const char *name)
{
	return r->connection ?
		       MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name) :
		       NULL;
}

const char *http_body(const struct http_request *r, size_t *ret_len)
{
	if (ret_len)
		*ret_len = r->body.len;
	return buf_cstr(&r->body);
}

bool http_request_gone(const struct http_request *r)
{
	struct pollfd p = { .events = POLLRDHUP };

	if (!r->connection)
		return true;
	p.fd = connection_fd(r->connection);
	return poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

long http_peer_uid(const struct http_request *r)
{
	return r->uid;
}

void http_reply(struct http_request *r, unsigned status, const char *type, const void *body,
		size_t len)
{
	if (!r->connection) {
		request_free(r);
		return;
	}
	set_answer(r, status, type, body, len);
	if (!r->suspended)
		return; /* we are inside the handler: on_access goes on */
	MHD_resume_connection(r->connection);
	r->httpd->resumed = true;
	loop_wake(r->httpd->loop); /* its hook may have run before us in this turn */
}

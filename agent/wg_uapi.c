/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * WireGuard by wireguard-go: the text protocol on its Unix socket. Owns nothing; the daemon's thread.
 *
 * One connection per operation: after an error the stream is out of step. Answers are read in pieces
 * and never held as a whole (10,000 peers are 3 MB). Everything has one deadline.
 */
#include "agent/wg.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/rt.h"
#include "agent/wg_process.h"
#include "lib/clock.h"
#include "lib/text.h"

#define TIMEOUT (3 * USEC_PER_SEC)
#define CHUNK 16384
#define OPERATION_MAX 65536 /* a longer list of changes is cut into several operations */

/* ---- the reader ---- */

static int read_number(const char *value, uint64_t max, uint64_t *ret)
{
	return u64_parse(value, 0, max, ret) < 0 ? -EBADMSG : 0;
}

static int read_key(const char *value, uint8_t ret[KEY_LEN])
{
	return hex_decode(value, ret, KEY_LEN) < 0 ? -EBADMSG : 0;
}

static int read_allowed(struct uapi_reader *r, struct wg_peer *p, const char *value)
{
	struct prefix x;

	if (prefix_parse(value, &x) < 0)
		return -EBADMSG;
	if (r->allowed++ >= UAPI_ALLOWED_MAX)
		return -E2BIG;
	x = prefix_network(&x);
	wg_peer_add_allowed(p, &x);
	return 0;
}

static int read_peer_line(struct uapi_reader *r, const char *key, const char *value)
{
	struct wg_peer *p = &r->link->peers[r->link->peer_count - 1];
	uint64_t n = 0;
	int e = 0;

	if (strcmp(key, "allowed_ip") == 0)
		return read_allowed(r, p, value);
	if (strcmp(key, "endpoint") == 0) {
		/* One with a zone cannot be ours. */
		if (!strchr(value, '%') && endpoint_parse(value, &p->endpoint) < 0)
			e = -EBADMSG;
	} else if (strcmp(key, "persistent_keepalive_interval") == 0) {
		e = read_number(value, UINT16_MAX, &n);
		p->keepalive = (uint16_t)n;
	} else if (strcmp(key, "last_handshake_time_sec") == 0) {
		e = read_number(value, INT64_MAX, &n);
		p->last_handshake = (int64_t)n;
	} else if (strcmp(key, "rx_bytes") == 0) {
		e = read_number(value, UINT64_MAX, &p->rx_bytes);
	} else if (strcmp(key, "tx_bytes") == 0) {
		e = read_number(value, UINT64_MAX, &p->tx_bytes);
	}
	return e;
}

static int read_device_line(struct uapi_reader *r, const char *key, const char *value)
{
	uint64_t n = 0;
	int e = 0;

	if (strcmp(key, "private_key") == 0) {
		e = read_key(value, r->link->private_key);
	} else if (strcmp(key, "listen_port") == 0) {
		e = read_number(value, UINT16_MAX, &n);
		r->link->port = (uint16_t)n;
	}
	return e;
}

static int read_errno(struct uapi_reader *r, const char *value)
{
	uint64_t n;

	/* wireguard-go says errno=-22, the specification errno=22. */
	if (read_number(value + (*value == '-'), 4095, &n) < 0)
		return -EBADMSG;
	r->have_error = true;
	r->error = -(int)n;
	return 0;
}

static int read_line(struct uapi_reader *r)
{
	char *value = strchr(r->line, '=');
	uint8_t key[KEY_LEN];

	if (r->len == 0) {
		r->done = true;
		return r->have_error ? 0 : -EBADMSG;
	}
	if (!value || value == r->line || r->have_error || strlen(r->line) != r->len)
		return -EBADMSG;
	*value++ = '\0';
	if (strcmp(r->line, "errno") == 0)
		return read_errno(r, value);
	if (strcmp(r->line, "public_key") == 0) {
		if (read_key(value, key) < 0)
			return -EBADMSG;
		if (r->link->peer_count >= UAPI_PEERS_MAX)
			return -E2BIG;
		wg_link_add_peer(r->link, key);
		r->peer = true;
		return 0;
	}
	return r->peer ? read_peer_line(r, r->line, value) : read_device_line(r, r->line, value);
}

int uapi_read(struct uapi_reader *r, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int e;

		if (r->done)
			return -EBADMSG;
		if (bytes[i] != '\n') {
			if (r->len >= sizeof(r->line) - 1)
				return -EBADMSG;
			r->line[r->len++] = bytes[i];
			continue;
		}
		r->line[r->len] = '\0';
		e = read_line(r);
		if (e < 0)
			return e;
		r->len = 0;
	}
	return 0;
}

int uapi_read_end(const struct uapi_reader *r)
{
	return r->done ? r->error : -EPROTO;
}

/* ---- the writer ---- */

static void write_key(struct buf *b, const char *name, const uint8_t key[KEY_LEN])
{
	char hex[2 * KEY_LEN + 1];

	hex_encode(key, KEY_LEN, hex);
	buf_printf(b, "%s=%s\n", name, hex);
	crypto_wipe(hex, sizeof(hex));
}

void uapi_write_begin(struct buf *b, const struct wg_link *device)
{
	buf_str(b, "set=1\n");
	if (!device)
		return;
	write_key(b, "private_key", device->private_key);
	buf_printf(b, "listen_port=%u\n", device->port);
}

void uapi_write_change(struct buf *b, const struct wg_change *c)
{
	char endpoint[ENDPOINT_SIZE], prefix[PREFIX_SIZE];

	write_key(b, "public_key", c->key);
	if (c->remove) {
		buf_str(b, "remove=true\n");
		return;
	}
	if (c->endpoint)
		buf_printf(b, "endpoint=%s\n", endpoint_format(c->endpoint, endpoint));
	if (c->with_keepalive)
		buf_printf(b, "persistent_keepalive_interval=%u\n", c->keepalive);
	for (size_t i = 0; i < c->allowed_count; i++)
		buf_printf(b, "allowed_ip=%s\n", prefix_format(&c->allowed[i], prefix));
}

/* ---- the connection ---- */

/* 1: ready, 0: it is late. */
static int wait_for(int fd, short events, uint64_t deadline, short *got)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now = clock_mono();
		int n = poll(&p, 1, now < deadline ? (int)((deadline - now) / 1000 + 1) : 0);

		*got = p.revents;
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return -errno;
	}
}

/* Ends early when an answer comes: the other side reads no further then. */
static int send_all(int fd, const char *text, size_t len, uint64_t deadline)
{
	while (len) {
		ssize_t n;
		short got;
		int r = wait_for(fd, POLLIN | POLLOUT, deadline, &got);

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		if (got & POLLIN)
			return 0;
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? 0 : -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int receive_all(int fd, struct uapi_reader *reader, uint64_t deadline)
{
	char chunk[CHUNK];
	int e = 0;

	while (e == 0 && !reader->done) {
		short got;
		int r = wait_for(fd, POLLIN, deadline, &got);
		ssize_t n;

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n == 0)
			break;
		if (n > 0)
			e = uapi_read(reader, chunk, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			e = -errno;
		if (n > 0)
			crypto_wipe(chunk, (size_t)n);
	}
	crypto_wipe(reader->line, sizeof(reader->line));
	return e < 0 ? e : uapi_read_end(reader);
}

static int talk(struct wg *w, const char *link, const char *text, size_t len, struct wg_link *ret)
{
	struct wg_link nothing = { 0 };
	struct uapi_reader reader = { .link = ret ? ret : &nothing };
	uint64_t deadline = clock_mono() + TIMEOUT;
	int fd = wg_process_connect(link), r = fd;

	if (fd >= 0)
		r = send_all(fd, text, len, deadline);
	if (r >= 0)
		r = receive_all(fd, &reader, deadline);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		snprintf(w->why, sizeof(w->why), "wireguard-go of %s: %s", link,
			 fd < 0 ? "it does not run" : strerror(-r));
	wg_link_done(&nothing);
	return r;
}

static int uapi_create(struct wg *w, const char *link)
{
	bool patient = !w->unserved && !w->missing;
	int r = wg_process_start(w->route, w->folder, link, patient, w->why, sizeof(w->why));

	w->missing |= w->folder && r == -ETIMEDOUT;
	return r;
}

static int uapi_destroy(struct wg *w, const char *link)
{
	return wg_process_end(w->route, w->folder, link, w->why, sizeof(w->why));
}

static int uapi_get(struct wg *w, const char *link, struct wg_link *ret)
{
	static const char question[] = "get=1\n\n";
	int r = talk(w, link, question, strlen(question), ret);

	if (r == 0)
		wg_link_sort(ret);
	return r;
}

static bool is_taken(int family, const struct sockaddr *a, socklen_t len)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	bool taken = false;

	if (fd < 0)
		return false;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, a, len) < 0)
		taken = errno == EADDRINUSE;
	close(fd);
	return taken;
}

/* Is the port, another one than it has now, somebody's? wireguard-go says so itself only when its
 * device happens to be up already; else it goes on without a port. */
static bool is_port_taken(struct wg *w, const char *link, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct wg_link now = { 0 };
	bool same = uapi_get(w, link, &now) == 0 && now.port == port;

	wg_link_done(&now);
	return !same && (is_taken(AF_INET, (struct sockaddr *)&v4, sizeof(v4)) ||
			 is_taken(AF_INET6, (struct sockaddr *)&v6, sizeof(v6)));
}

static int uapi_set(struct wg *w, const char *link, const struct wg_link *device,
		    const struct wg_change *changes, size_t count)
{
	int r = device && is_port_taken(w, link, device->port) ? -EADDRINUSE : 0;
	const struct wg_link *first = device;
	struct buf b = { 0 };
	size_t i = 0;

	while (r == 0 && (i < count || first)) {
		buf_clear(&b);
		uapi_write_begin(&b, first);
		first = NULL;
		while (i < count && b.len < OPERATION_MAX)
			uapi_write_change(&b, &changes[i++]);
		buf_char(&b, '\n');
		r = talk(w, link, buf_cstr(&b), b.len, NULL);
	}
	if (r == -EADDRINUSE && device)
		snprintf(w->why, sizeof(w->why), "UDP port %u for %s is taken by another program",
			 device->port, link);
	buf_done(&b);
	return r;
}

const struct wg_backend wg_uapi = {
	.name = "userspace",
	.kind = "tun",
	.create = uapi_create,
	.destroy = uapi_destroy,
	.read = uapi_get,
	.apply = uapi_set,
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libmosquitto inside the loop. Owns one handle and one SSL_CTX per connection (the host's name
 * that is checked sits on the SSL_CTX), and a bit per packet id that waits for its PUBACK. The
 * loop's thread.
 *
 * What libmosquitto 2.0.11 does against expectation: it closes and reopens its descriptor by
 * itself, so interest is asked for each turn; a publish while down is queued without bound, so
 * none is made; with an SSL_CTX of our own it checks neither name nor version, so the SSL_CTX
 * does; getaddrinfo would block, so it gets a numeric address.
 */
#include "lib/mqtt.h"

#include <errno.h>
#include <mosquitto.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/mqtt_backend.h"

#define KEEPALIVE_MIN 5 /* mosquitto_connect refuses less */
#define SEND_WINDOW 100 /* publishes on the way; further ones wait in the library, in order */
#define PACKET_IDS 65536
#define IN_FLIGHT_MAX 60000 /* all have ids of their own, and the library's queue has a bound */

struct mosq {
	struct mqtt m;
	struct mosquitto *h; /* NULL: no attempt under way */
	SSL_CTX *ctx;
	struct loop_io io;
	struct loop_hook hook;
	struct loop_timer tick; /* mosquitto_loop_misc */

	bool accepted;	  /* CONNACK with 0 */
	bool shaking;	  /* until the TLS handshake is done */
	long verify_code; /* X509_V_*, of the certificate that was refused */
	char why[160];	  /* the library's last words */

	uint8_t waiting[PACKET_IDS / 8]; /* for a PUBACK */
	uint64_t acked;			 /* the last one, or since when one is due */
	bool full;			 /* no further publish on this connection */
};

static struct mosq *mosq_of(struct mqtt *m)
{
	return container_of(m, struct mosq, m);
}

static bool take_waiting(struct mosq *b, int id)
{
	uint8_t bit = (uint8_t)(1u << (id & 7)), *byte = &b->waiting[(id & 0xffff) >> 3];

	if (!(*byte & bit))
		return false;
	*byte &= (uint8_t)~bit;
	return true;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* Only remembers why: the check itself is OpenSSL's. */
static int on_verify(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mosq *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!good)
		b->verify_code = X509_STORE_CTX_get_error(store);
	return good;
}

/* The library would name the numeric address that it was given; brokers behind a proxy that
 * chooses by name need the name. And the other side's last words are not always told. */
static void on_info(const SSL *ssl, int where, int ret)
{
	struct mosq *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *host = mqtt_target(&b->m)->host;
	struct addr numeric;

	if (where & SSL_CB_HANDSHAKE_START && addr_parse(host, &numeric) < 0)
		/* SSL_set_tlsext_host_name without the macro's cast. */
		SSL_ctrl((SSL *)(uintptr_t)ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
			 TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host);
	if (where & SSL_CB_HANDSHAKE_DONE)
		b->shaking = false;
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && ret >> 8 == SSL3_AL_FATAL)
		snprintf(b->why, sizeof(b->why), "TLS alert: %s", SSL_alert_desc_string_long(ret));
}

static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1; /* without this OpenSSL asks on the terminal */
}

static BIO *pem_open(const char *pem)
{
	return BIO_new_mem_buf(pem ? pem : "", -1);
}

static bool load_cas(SSL_CTX *ctx, const char *pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *in = pem_open(pem);
	unsigned n = 0;
	X509 *x;

	while (in && (x = PEM_read_bio_X509(in, NULL, no_password, NULL))) {
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(in);
	return n > 0;
}

static bool load_chain(SSL_CTX *ctx, const char *pem)
{
	BIO *in = pem_open(pem);
	bool ok = false;
	X509 *x;

	for (bool first = true; in && (x = PEM_read_bio_X509(in, NULL, no_password, NULL));
	     first = false) {
		ok = first ? SSL_CTX_use_certificate(ctx, x) == 1 :
			     ok && SSL_CTX_add1_chain_cert(ctx, x) == 1;
		X509_free(x);
	}
	BIO_free(in);
	return ok;
}

static bool load_key(SSL_CTX *ctx, const char *pem)
{
	BIO *in = pem_open(pem);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
		  SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	BIO_free(in);
	return ok;
}

static bool expect_host(SSL_CTX *ctx, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ctx);
	struct addr numeric;

	if (addr_parse(host, &numeric) == 0)
		return X509_VERIFY_PARAM_set1_ip(p, numeric.bytes, addr_bits(&numeric) / 8) == 1;
	return X509_VERIFY_PARAM_set1_host(p, host, 0) == 1;
}

/* NULL: b->m.error says why. */
static SSL_CTX *tls_new(struct mosq *b)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const char *why = NULL;

	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1)
		why = "TLS 1.3 is not available";
	else if (!load_cas(ctx, b->m.ca_pem))
		why = "the CA certificate cannot be read";
	else if (!load_chain(ctx, b->m.cert_pem))
		why = "our certificate cannot be read";
	else if (!load_key(ctx, b->m.key_pem))
		why = "our private key cannot be read or is not our certificate's";
	else if (!expect_host(ctx, mqtt_target(&b->m)->host))
		why = "the broker's host name is none";
	crypto_forget_errors(); /* the end of a PEM text leaves one */
	if (why) {
		snprintf(b->m.error, sizeof(b->m.error), "%s", why);
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_app_data(ctx, b);
	SSL_CTX_set_info_callback(ctx, on_info);
	return ctx;
}

/* ---- The library's callbacks ------------------------------------------------------------------ */

static void on_log(struct mosquitto *h, void *obj, int level, const char *text)
{
	struct mosq *b = obj;

	(void)h;
	if (level == MOSQ_LOG_ERR && !*b->why)
		snprintf(b->why, sizeof(b->why), "%s", text);
}

static void on_connect(struct mosquitto *h, void *obj, int code)
{
	struct mosq *b = obj;

	(void)h;
	if (code == 0) {
		b->accepted = true;
		mqtt_up(&b->m);
	} else {
		snprintf(b->why, sizeof(b->why), "%s", mosquitto_connack_string(code));
	}
}

static void on_disconnect(struct mosquitto *h, void *obj, int code)
{
	struct mosq *b = obj;

	(void)h;
	if (!*b->why)
		snprintf(b->why, sizeof(b->why), "%s", mosquitto_strerror(code));
}

static void on_message(struct mosquitto *h, void *obj, const struct mosquitto_message *got)
{
	struct mosq *b = obj;
	struct mqtt_message msg = {
		.topic = got->topic,
		.payload = got->payload,
		.len = (size_t)got->payloadlen,
		.retained = got->retain,
	};

	(void)h;
	mqtt_deliver(&b->m, &msg);
}

static void on_publish(struct mosquitto *h, void *obj, int id)
{
	struct mosq *b = obj;

	(void)h;
	if (take_waiting(b, id)) { /* QoS 0 comes here too, once it is written */
		b->m.in_flight--;
		b->acked = loop_now(b->m.loop);
	}
}

static void on_subscribe(struct mosquitto *h, void *obj, int id, int count, const int *granted)
{
	struct mosq *b = obj;

	(void)h;
	mqtt_subscribed(&b->m, id, count == 1 && granted[0] < 0x80);
}

/* ---- The loop --------------------------------------------------------------------------------- */

/* True when it is over with this connection; m->error has no say yet. */
static bool is_over(const struct mosq *b, int code)
{
	return code != MOSQ_ERR_SUCCESS || mosquitto_socket(b->h) < 0;
}

/* A sentence for people. `code` is the library's; errno counts for MOSQ_ERR_ERRNO. */
static void explain(struct mosq *b, int code, char *ret, size_t size)
{
	const struct mqtt_target *t = mqtt_target(&b->m);
	bool up = b->m.state == MQTT_CONNECTED;

	if (!*b->why)
		snprintf(b->why, sizeof(b->why), "%s",
			 code == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(code));
	switch (b->verify_code) {
	case X509_V_OK:
		snprintf(ret, size,
			 up ? "the connection to the broker %.100s is lost: %s" :
			      "the broker %.100s cannot be used: %s",
			 t->url, b->why);
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(ret, size, "the certificate of the broker %.100s is not for %.100s",
			 t->url, t->host);
		break;
	default:
		snprintf(ret, size, "the certificate of the broker %.100s is refused: %s", t->url,
			 X509_verify_cert_error_string(b->verify_code));
		break;
	}
}

static void over(struct mosq *b, int code)
{
	char why[sizeof(b->m.error)];

	explain(b, code, why, sizeof(why));
	mqtt_down(&b->m, "%s", why);
}

static int step(struct mosq *b, short got)
{
	int code = MOSQ_ERR_SUCCESS;

	/* It is loop_read that goes on with a handshake, also with one that waited to write. */
	if (got & (POLLIN | POLLERR | POLLHUP) || b->shaking)
		code = mosquitto_loop_read(b->h, 1);
	if (code == MOSQ_ERR_SUCCESS && got & POLLOUT && mosquitto_socket(b->h) >= 0)
		code = mosquitto_loop_write(b->h, 1);
	/* libmosquitto takes a refused TCP connection for a handshake that goes on. (Its own
	 * attempt to write has taken the errno with it.) */
	if (code == MOSQ_ERR_SUCCESS && b->shaking && got & (POLLERR | POLLHUP)) {
		snprintf(b->why, sizeof(b->why), "it refuses the connection");
		code = MOSQ_ERR_CONN_REFUSED;
	}
	return code;
}

static void ready(struct loop_io *io, short got)
{
	struct mosq *b = container_of(io, struct mosq, io);
	int code;

	mqtt_enter(&b->m);
	code = step(b, got);
	if (is_over(b, code))
		over(b, code);
	mqtt_leave(&b->m);
}

/* How long a broker may leave publishes without a PUBACK: as long as the library lets it leave a ping. */
static uint64_t patience(const struct mosq *b)
{
	return MAX(b->m.config.keepalive, (unsigned)KEEPALIVE_MIN) * USEC_PER_SEC * 3 / 2;
}

/* A broker that answers pings only would fill our memory. */
static void check_acknowledged(struct mosq *b)
{
	const char *url = mqtt_target(&b->m)->url;

	if (b->m.in_flight && loop_now(b->m.loop) - b->acked > patience(b))
		mqtt_down(&b->m, "the broker %.100s does not acknowledge what it is sent", url);
	else if (b->full && !b->m.in_flight)
		mqtt_down(&b->m, "the connection to the broker %.100s was full", url);
}

static void tick(struct loop_timer *t)
{
	struct mosq *b = container_of(t, struct mosq, tick);
	int code;

	mqtt_enter(&b->m);
	loop_timer_set(b->m.loop, &b->tick, loop_now(b->m.loop) + USEC_PER_SEC);
	code = mosquitto_loop_misc(b->h);
	if (is_over(b, code))
		over(b, code);
	else
		check_acknowledged(b);
	mqtt_leave(&b->m);
}

static short wanted(struct mosq *b)
{
	SSL *ssl = mosquitto_ssl_get(b->h);
	bool out;

	/* Newer versions want to write all through a handshake that waits for the other side. */
	out = ssl && !SSL_is_init_finished(ssl) ? SSL_want_write(ssl) : mosquitto_want_write(b->h);
	return out ? POLLIN | POLLOUT : POLLIN;
}

static void prepare(struct loop_hook *h)
{
	struct mosq *b = container_of(h, struct mosq, hook);

	b->io.fd = mosquitto_socket(b->h);
	if (b->io.fd >= 0)
		b->io.want = wanted(b);
	else
		loop_timer_set(b->m.loop, &b->tick,
			       loop_now(b->m.loop)); /* a publish found it dead */
}

/* ---- The back end ------------------------------------------------------------------------------ */

static int set_up(struct mosq *b)
{
	struct mosquitto *h = b->h;

	mosquitto_log_callback_set(h, on_log);
	mosquitto_connect_callback_set(h, on_connect);
	mosquitto_disconnect_callback_set(h, on_disconnect);
	mosquitto_message_callback_set(h, on_message);
	mosquitto_publish_callback_set(h, on_publish);
	mosquitto_subscribe_callback_set(h, on_subscribe);
	if (mosquitto_int_option(h, MOSQ_OPT_TCP_NODELAY, 1) ||
	    mosquitto_int_option(h, MOSQ_OPT_SEND_MAXIMUM, SEND_WINDOW) ||
	    mosquitto_int_option(h, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) ||
	    mosquitto_void_option(h, MOSQ_OPT_SSL_CTX, b->ctx))
		return MOSQ_ERR_NOT_SUPPORTED;
	if (!b->m.will_topic)
		return MOSQ_ERR_SUCCESS;
	return mosquitto_will_set(h, b->m.will_topic, (int)b->m.will_len, b->m.will, 1, true);
}

static int mosq_open(struct mqtt *m, const struct endpoint *at)
{
	struct mosq *b = mosq_of(m);
	char address[ADDR_SIZE];
	int code;

	b->accepted = false;
	b->shaking = true;
	b->verify_code = X509_V_OK;
	b->why[0] = '\0';
	b->ctx = tls_new(b);
	if (!b->ctx)
		return -EINVAL;
	b->h = mosquitto_new(m->client_id, true, b);
	code = b->h ? set_up(b) : MOSQ_ERR_INVAL;
	if (code == MOSQ_ERR_SUCCESS)
		code = mosquitto_connect_async(b->h, addr_format(&at->addr, address), at->port,
					       (int)MAX(m->config.keepalive, KEEPALIVE_MIN));
	if (code != MOSQ_ERR_SUCCESS) { /* a fast broker's certificate is refused here already */
		explain(b, code, m->error, sizeof(m->error));
		return -EIO;
	}
	loop_hook_add(m->loop, &b->hook);
	loop_io_add(m->loop, &b->io);
	loop_timer_set(m->loop, &b->tick, loop_now(m->loop) + USEC_PER_SEC);
	return 0;
}

/* What was published gets its PUBACK, the DISCONNECT goes out, and the broker closes: were we the
 * first to close, with messages unread, the DISCONNECT could be lost and the will be sent. */
static void say_goodbye(struct mosq *b)
{
	uint64_t end = clock_mono() + MQTT_GOODBYE_USEC, now;
	bool said = false;
	int code = MOSQ_ERR_SUCCESS;

	while (!is_over(b, code) && (now = clock_mono()) < end) {
		struct pollfd p = { .fd = mosquitto_socket(b->h), .events = wanted(b) };

		if (!said && b->m.in_flight == 0 && !(p.events & POLLOUT)) {
			said = true;
			code = mosquitto_disconnect(b->h);
			continue;
		}
		if (poll(&p, 1, (int)((end - now) / USEC_PER_MSEC) + 1) > 0)
			code = step(b, p.revents);
	}
	if (!said)
		mosquitto_disconnect(b->h);
}

static void mosq_close(struct mqtt *m, bool goodbye)
{
	struct mosq *b = mosq_of(m);

	loop_hook_del(m->loop, &b->hook);
	loop_io_del(m->loop, &b->io);
	loop_timer_del(m->loop, &b->tick);
	if (b->h && goodbye)
		say_goodbye(b);
	mosquitto_destroy(TAKE(b->h));
	SSL_CTX_free(TAKE(b->ctx));
	memset(b->waiting, 0, sizeof(b->waiting));
	b->m.in_flight = 0;
	b->full = false;
}

static int result(int code)
{
	switch (code) {
	case MOSQ_ERR_SUCCESS:
		return 0;
	case MOSQ_ERR_NO_CONN:
	case MOSQ_ERR_CONN_LOST:
		return -ENOTCONN;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_MALFORMED_UTF8:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static int mosq_subscribe(struct mqtt *m, const char *filter, int *ret_id)
{
	return result(mosquitto_subscribe(mosq_of(m)->h, ret_id, filter, 0));
}

static int mosq_unsubscribe(struct mqtt *m, const char *filter)
{
	return result(mosquitto_unsubscribe(mosq_of(m)->h, NULL, filter));
}

static int mosq_publish(struct mqtt *m, const char *topic, const void *p, size_t n, int qos,
			bool retain)
{
	struct mosq *b = mosq_of(m);
	int id, code;

	/* A connection that died meanwhile would only fill the library's queue. */
	if (mosquitto_socket(b->h) < 0)
		return -ENOTCONN;
	b->full |= b->m.in_flight >= IN_FLIGHT_MAX;
	if (qos > 0 && b->full)
		return -EAGAIN;
	code = mosquitto_publish(b->h, &id, topic, (int)n, p, qos, retain);
	if (code == MOSQ_ERR_SUCCESS && qos > 0) {
		b->waiting[(id & 0xffff) >> 3] |= (uint8_t)(1u << (id & 7));
		if (b->m.in_flight++ == 0)
			b->acked = loop_now(b->m.loop);
	}
	return result(code);
}

static void mosq_free(struct mqtt *m)
{
	free(mosq_of(m));
	mosquitto_lib_cleanup();
}

struct mqtt *mqtt_mosquitto_new(struct loop *l, const struct mqtt_config *c)
{
	static const struct mqtt_ops ops = {
		.open = mosq_open,
		.close = mosq_close,
		.subscribe = mosq_subscribe,
		.unsubscribe = mosq_unsubscribe,
		.publish = mosq_publish,
		.free = mosq_free,
	};
	struct mosq *b = xcalloc(1, sizeof(*b));

	mosquitto_lib_init();
	b->io = (struct loop_io){ .fd = -1, .ready = ready };
	b->hook.prepare = prepare;
	b->tick.fired = tick;
	mqtt_init(&b->m, &ops, l, c);
	return &b->m;
}

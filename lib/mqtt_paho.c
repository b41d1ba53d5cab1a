/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * paho's MQTTAsync behind lib/mqtt.h. Owns one paho handle per connection (a fresh one each time:
 * its will changes, and paho 1.3.12 uses freed TLS options when it connects anew by itself), two
 * memfds with the PEM texts that paho wants as files, and a queue.
 *
 * paho has two threads of its own and one lock, which they hold while they call us. Our callbacks
 * copy into the queue under our lock and ring an eventfd; all else happens in the loop's thread,
 * which never holds our lock when it calls paho. After MQTTAsync_destroy no callback comes.
 *
 * Once the last handle is destroyed paho ends its threads: the next connection starts with fresh
 * ones, which take 15 ms where the old would take 1.1 s. Both waits are cut short by lib/nudge. With
 * two clients at a time in one process all works, but the second connects a second later.
 */
#include "lib/mqtt.h"

#include <MQTTAsync.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/mqtt_backend.h"
#include "lib/mqtt_queue.h"
#include "lib/nudge.h"
#include "lib/tcp.h"

#define TURN_EVENTS 1024   /* per turn of the loop, others want to run too */
#define SEND_QUEUE 65000   /* publishes that paho keeps; there are 65,535 packet ids */
#define CONNECT_SECONDS 20 /* above ours, which decides */
#define SUBSCRIPTION_REFUSED 0x80
#define RECEIVER "MQTTAsync_rcv"
#define NUDGE_USEC (2 * USEC_PER_MSEC)
#define NUDGE_SLOW_USEC (20 * USEC_PER_MSEC)
#define NUDGES_FAST 50
/* paho gives up after 100 naps and frees what its threads still use: leave it most of them. */
#define NUDGES_STOPPING 20
/* No cipher of TLS 1.2 is left with this, as there is no pre-shared key; paho has no option for the
 * lowest version, and the ciphers of TLS 1.3 are a list of their own. */
#define NO_TLS12 "PSK-AES256-GCM-SHA384"

struct paho {
	struct mqtt m;
	MQTTAsync h; /* NULL: no attempt under way */
	int ca_fd, key_fd;
	char ca_path[32], key_path[32];
	struct mqtt_queue queue;
	struct loop_io io; /* the queue's */
	struct loop_timer nudger;
	unsigned nudges;
	_Atomic size_t unsent; /* QoS 0 publishes that paho has not written */

	pthread_mutex_t lock; /* for what follows, which paho's threads write */
	char tls_error[160];
};

/* What paho says of the attempt under way only in its trace. One for the process, as the trace is. */
enum trace_seen { SEEN_TLS = 1, SEEN_OTHER_HOST = 2 };
static _Atomic unsigned trace_seen;

static struct paho *paho_of(struct mqtt *m)
{
	return container_of(m, struct paho, m);
}

/* ---- On paho's threads -------------------------------------------------------------------------- */

static int on_message(void *arg, char *topic, int topic_len, MQTTAsync_message *msg)
{
	struct paho *b = arg;
	size_t len = msg->payloadlen > 0 ? (size_t)msg->payloadlen : 0;

	/* topic_len is often 0. A topic with a NUL in it is none of ours. */
	if (len > MQTT_PAYLOAD_MAX || strnlen(topic, MQTT_TOPIC_MAX + 1) > MQTT_TOPIC_MAX ||
	    (topic_len > 0 && strlen(topic) != (size_t)topic_len))
		b->m.oversize++;
	else if (!mqtt_queue_push_message(&b->queue, topic, msg->payload, len, msg->retained))
		b->m.dropped++;
	MQTTAsync_freeMessage(&msg);
	MQTTAsync_free(topic);
	return 1;
}

static void on_connected(void *arg, MQTTAsync_successData *data)
{
	struct paho *b = arg;

	(void)data;
	mqtt_queue_push(&b->queue, MQTT_EVENT_UP, 0);
}

static void on_not_connected(void *arg, MQTTAsync_failureData *data)
{
	struct paho *b = arg;

	mqtt_queue_push(&b->queue, MQTT_EVENT_DOWN, data ? data->code : 0);
}

static void on_lost(void *arg, char *cause)
{
	struct paho *b = arg;

	(void)cause; /* always NULL */
	mqtt_queue_push(&b->queue, MQTT_EVENT_DOWN, 0);
}

static void on_subscribed(void *arg, MQTTAsync_successData *data)
{
	struct paho *b = arg;

	mqtt_queue_push(&b->queue, MQTT_EVENT_SUBSCRIBED, data->token);
}

static void on_not_subscribed(void *arg, MQTTAsync_failureData *data)
{
	struct paho *b = arg;

	/* A lost connection takes the questions with it: that is no answer. */
	if (data->code == SUBSCRIPTION_REFUSED)
		mqtt_queue_push(&b->queue, MQTT_EVENT_REFUSED, data->token);
}

/* For publishes: one counter or the other. */
static void count_down(_Atomic size_t *counter)
{
	size_t n = atomic_load(counter);

	while (n > 0 && !atomic_compare_exchange_weak(counter, &n, n - 1))
		;
}

static void on_published(void *counter, MQTTAsync_successData *data)
{
	(void)data;
	count_down(counter);
}

static void on_not_published(void *counter, MQTTAsync_failureData *data)
{
	(void)data;
	count_down(counter);
}

/* A line of OpenSSL's: hex:error:0A000086:SSL routines:function:reason:file:line:... */
static int on_tls_error(const char *text, size_t len, void *arg)
{
	struct paho *b = arg;
	char line[sizeof(b->tls_error)], *p = line, *reason = NULL;

	snprintf(line, sizeof(line), "%.*s", (int)MIN(len, sizeof(line) - 1), text);
	for (int i = 0; p && i < 6; i++)
		reason = strsep(&p, ":");
	pthread_mutex_lock(&b->lock);
	if (!*b->tls_error)
		snprintf(b->tls_error, sizeof(b->tls_error), "%s", reason ? reason : line);
	pthread_mutex_unlock(&b->lock);
	return 1;
}

static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *line)
{
	(void)level;
	if (strstr(line, "SSL state"))
		atomic_fetch_or(&trace_seen, SEEN_TLS);
	else if (strstr(line, "X509_check_host") && strstr(line, "failed"))
		atomic_fetch_or(&trace_seen, SEEN_OTHER_HOST);
}

/* ---- In the loop -------------------------------------------------------------------------------- */

static void say_why(struct paho *b, const struct mqtt_event *e, char *ret, size_t size)
{
	static const char *const refusals[] = {
		"", /* MQTT 3.1.1, table 3.1 */
		"it does not speak MQTT 3.1.1",
		"it refuses our client id",
		"it is not ready",
		"it wants a user name and password",
		"we are not authorized",
		"it refuses us",
	};
	unsigned seen = atomic_load(&trace_seen);
	char tls[sizeof(b->tls_error)];

	pthread_mutex_lock(&b->lock);
	memcpy(tls, b->tls_error, sizeof(tls));
	pthread_mutex_unlock(&b->lock);
	if (e->code > 0) /* of the CONNACK */
		snprintf(ret, size, "%s", refusals[MIN((size_t)e->code, ARRAY_SIZE(refusals) - 1)]);
	else if (*tls)
		snprintf(ret, size, "%s", tls);
	else if (!(seen & SEEN_TLS))
		snprintf(ret, size, "no connection");
	else
		snprintf(ret, size, "it closed the connection");
}

static void down(struct paho *b, const struct mqtt_event *e)
{
	const struct mqtt_target *t = mqtt_target(&b->m);
	char why[160];

	say_why(b, e, why, sizeof(why));
	if (b->m.state == MQTT_CONNECTED)
		mqtt_down(&b->m, "the connection to the broker %s is lost", t->url);
	else if (atomic_load(&trace_seen) & SEEN_OTHER_HOST)
		mqtt_down(&b->m, "the certificate of the broker %s is not for %s", t->url, t->host);
	else if (strstr(why, "certificate verify failed"))
		mqtt_down(&b->m, "the certificate of the broker %s is refused: %s", t->url, why);
	else
		mqtt_down(&b->m, "the broker %s cannot be used: %s", t->url, why);
}

static void up(struct paho *b)
{
	loop_timer_del(b->m.loop, &b->nudger);
	MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_FATAL);
	tcp_send_at_once(mqtt_target(&b->m)->port); /* paho has no option for it */
	mqtt_up(&b->m);
}

static void handle(struct paho *b, const struct mqtt_event *e)
{
	struct mqtt_message msg = {
		.topic = e->topic,
		.payload = e->payload,
		.len = e->len,
		.retained = e->retained,
	};

	switch (e->kind) {
	case MQTT_EVENT_UP:
		up(b);
		break;
	case MQTT_EVENT_DOWN:
		down(b, e);
		break;
	case MQTT_EVENT_MESSAGE:
		mqtt_deliver(&b->m, &msg);
		break;
	case MQTT_EVENT_SUBSCRIBED:
	case MQTT_EVENT_REFUSED:
		mqtt_subscribed(&b->m, e->code, e->kind == MQTT_EVENT_SUBSCRIBED);
		break;
	}
}

static void ready(struct loop_io *io, short got)
{
	struct paho *b = container_of(io, struct paho, io);
	struct mqtt_event *e = NULL;

	(void)got;
	mqtt_queue_quiet(&b->queue);
	mqtt_enter(&b->m);
	/* A connection that is closed in between takes its events with it. */
	for (int i = 0; i < TURN_EVENTS && (e = mqtt_queue_pop(&b->queue)); i++) {
		handle(b, e);
		mqtt_event_free(e);
	}
	if (e)
		mqtt_queue_ring(&b->queue);
	mqtt_leave(&b->m);
}

/* The receiving thread naps when it finds no socket, and the sending one makes it a moment later. */
static void fired(struct loop_timer *t)
{
	struct paho *b = container_of(t, struct paho, nudger);

	nudge(nudge_find(RECEIVER));
	loop_timer_set(b->m.loop, t,
		       clock_mono() + (++b->nudges < NUDGES_FAST ? NUDGE_USEC : NUDGE_SLOW_USEC));
}

/* ---- The back end ------------------------------------------------------------------------------- */

/* Threads that paho starts meanwhile take no signal but a nudge. */
static void signals_off(sigset_t *ret_old)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, NUDGE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, ret_old);
}

static int create(struct paho *b)
{
	MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
	const struct mqtt_target *t = mqtt_target(&b->m);
	char uri[HOST_SIZE + 32];
	int code;

	options.MQTTVersion = MQTTVERSION_3_1_1;
	options.maxBufferedMessages = SEND_QUEUE;
	options.deleteOldestMessages = 0; /* it would delete what is on the way, too */
	/* An IPv6 address without brackets: they would count as a part of the name to be checked. */
	snprintf(uri, sizeof(uri), "ssl://%s:%u", t->host, (unsigned)t->port);
	code = MQTTAsync_createWithOptions(&b->h, uri, b->m.client_id, MQTTCLIENT_PERSISTENCE_NONE,
					   NULL, &options);
	if (code == MQTTASYNC_SUCCESS)
		code = MQTTAsync_setCallbacks(b->h, b, on_lost, on_message, NULL);
	return code;
}

/* All that the options point at is copied by paho. */
static int start(struct paho *b)
{
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
	MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
	MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
	sigset_t old;
	int code;

	tls.trustStore = b->ca_path;
	tls.keyStore = b->key_path;
	tls.privateKey = b->key_path;
	tls.enabledCipherSuites = NO_TLS12;
	tls.verify = 1;
	tls.enableServerCertAuth = 1;
	tls.disableDefaultTrustStore = 1;
	tls.ssl_error_cb = on_tls_error;
	tls.ssl_error_context = b;
	will.topicName = b->m.will_topic;
	will.payload.data = b->m.will ? b->m.will : "";
	will.payload.len = (int)b->m.will_len;
	will.qos = 1;
	will.retained = 1;
	options.MQTTVersion = MQTTVERSION_3_1_1;
	options.cleansession = 1;
	options.automaticReconnect = 0;
	options.keepAliveInterval = (int)MAX(b->m.config.keepalive, 1u);
	options.connectTimeout = CONNECT_SECONDS;
	options.ssl = &tls;
	options.will = b->m.will_topic ? &will : NULL;
	options.onSuccess = on_connected;
	options.onFailure = on_not_connected;
	options.context = b;
	signals_off(&old);
	code = MQTTAsync_connect(b->h, &options);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return code;
}

static int paho_open(struct mqtt *m, const struct endpoint *at)
{
	struct paho *b = paho_of(m);
	int code;

	(void)at; /* paho wants the name, to check it */
	b->tls_error[0] = '\0';
	atomic_store(&trace_seen, 0);
	code = b->ca_fd < 0 || b->key_fd < 0 ? MQTTASYNC_FAILURE : create(b);
	if (code == MQTTASYNC_SUCCESS) {
		MQTTAsync_setTraceCallback(on_trace);
		MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_PROTOCOL);
		code = start(b);
	}
	if (code != MQTTASYNC_SUCCESS) {
		snprintf(m->error, sizeof(m->error), "the broker %.100s cannot be used: paho's %d",
			 mqtt_target(m)->url, code);
		return -EIO;
	}
	b->nudges = 0;
	loop_timer_set(m->loop, &b->nudger, clock_mono() + NUDGE_USEC);
	return 0;
}

struct ending {
	MQTTAsync h;
	_Atomic pid_t thread;
	atomic_bool done;
};

static void *end_run(void *arg)
{
	struct ending *e = arg;

	atomic_store(&e->thread, gettid());
	MQTTAsync_destroy(&e->h); /* with a DISCONNECT, when connected */
	atomic_store(&e->done, true);
	return NULL;
}

/* Destroys on a thread of its own, so that the naps in it can be cut short: 2 ms in place of 100. */
static void end(MQTTAsync h)
{
	struct ending e = { .h = h };
	unsigned nudged = 0;
	pthread_t thread;
	sigset_t old;
	bool threaded;

	signals_off(&old);
	threaded = pthread_create(&thread, NULL, end_run, &e) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!threaded) {
		MQTTAsync_destroy(&h);
		return;
	}
	while (!atomic_load(&e.done)) {
		usleep(USEC_PER_MSEC / 2);
		nudge(nudge_find(RECEIVER));
		if (nudged < NUDGES_STOPPING && nudge(atomic_load(&e.thread)))
			nudged++;
	}
	pthread_join(thread, NULL);
}

static void paho_close(struct mqtt *m, bool goodbye)
{
	struct paho *b = paho_of(m);
	uint64_t limit = clock_mono() + MQTT_GOODBYE_USEC;
	struct mqtt_event *e;

	loop_timer_del(m->loop, &b->nudger);
	if (!b->h)
		return;
	while (goodbye && m->in_flight + b->unsent > 0 && clock_mono() < limit)
		usleep(USEC_PER_MSEC / 2);
	end(TAKE(b->h));
	while ((e = mqtt_queue_pop(&b->queue)))
		mqtt_event_free(e);
	m->in_flight = 0;
	b->unsent = 0;
}

static int result(int code)
{
	switch (code) {
	case MQTTASYNC_SUCCESS:
		return 0;
	case MQTTASYNC_DISCONNECTED:
		return -ENOTCONN;
	case MQTTASYNC_MAX_BUFFERED_MESSAGES:
	case MQTTASYNC_NO_MORE_MSGIDS:
		return -ENOBUFS;
	case MQTTASYNC_BAD_UTF8_STRING:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static int paho_subscribe(struct mqtt *m, const char *filter, int *ret_id)
{
	MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
	int code;

	options.onSuccess = on_subscribed;
	options.onFailure = on_not_subscribed;
	options.context = paho_of(m);
	code = MQTTAsync_subscribe(paho_of(m)->h, filter, 0, &options);
	*ret_id = options.token;
	return result(code);
}

static int paho_unsubscribe(struct mqtt *m, const char *filter)
{
	return result(MQTTAsync_unsubscribe(paho_of(m)->h, filter, NULL));
}

static int paho_publish(struct mqtt *m, const char *topic, const void *p, size_t n, int qos,
			bool retain)
{
	MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
	MQTTAsync_message msg = MQTTAsync_message_initializer;
	struct paho *b = paho_of(m);
	_Atomic size_t *counter = qos > 0 ? &m->in_flight : &b->unsent;
	int code;

	msg.payload = (void *)(uintptr_t)p; /* only read */
	msg.payloadlen = (int)n;
	msg.qos = qos;
	msg.retained = retain;
	options.onSuccess = on_published;
	options.onFailure = on_not_published;
	options.context = counter;
	(*counter)++;
	code = MQTTAsync_sendMessage(b->h, topic, &msg, &options);
	if (code != MQTTASYNC_SUCCESS)
		count_down(counter);
	return result(code);
}

static void paho_free(struct mqtt *m)
{
	struct paho *b = paho_of(m);

	loop_io_del(m->loop, &b->io);
	mqtt_queue_done(&b->queue);
	if (b->ca_fd >= 0)
		close(b->ca_fd);
	if (b->key_fd >= 0)
		close(b->key_fd);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* A file that is nowhere on disk; paho opens it anew for each connection. */
static int pem_file(const char *a, const char *b, char ret_path[static 32])
{
	int fd = memfd_create("pem", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (dprintf(fd, "%s%s%s", a ? a : "", b ? "\n" : "", b ? b : "") < 0) {
		close(fd);
		return -1;
	}
	snprintf(ret_path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void global_init(void)
{
	MQTTAsync_init_options options = MQTTAsync_init_options_initializer;

	options.do_openssl_init = 1;
	MQTTAsync_global_init(&options);
	nudge_init();
}

struct mqtt *mqtt_paho_new(struct loop *l, const struct mqtt_config *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const struct mqtt_ops ops = {
		.own_lookup = true,
		.closes_inside = true,
		.open = paho_open,
		.close = paho_close,
		.subscribe = paho_subscribe,
		.unsubscribe = paho_unsubscribe,
		.publish = paho_publish,
		.free = paho_free,
	};
	struct paho *b = xcalloc(1, sizeof(*b));

	pthread_once(&once, global_init);
	pthread_mutex_init(&b->lock, NULL);
	mqtt_queue_init(&b->queue);
	b->ca_fd = pem_file(c->ca_pem, NULL, b->ca_path);
	b->key_fd = pem_file(c->cert_pem, c->key_pem, b->key_path);
	b->io = (struct loop_io){ .fd = b->queue.fd, .want = POLLIN, .ready = ready };
	b->nudger.fired = fired;
	loop_io_add(l, &b->io);
	mqtt_init(&b->m, &ops, l, c);
	return &b->m;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The queue between paho's threads and the loop. Owns the events in it. Any thread.
 */
#include "lib/mqtt_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/mem.h"

static struct mqtt_event *event_new(enum mqtt_event_kind kind, int code, const char *topic)
{
	size_t n = strlen(topic);
	struct mqtt_event *e = xcalloc(1, sizeof(*e) + n + 1);

	e->kind = kind;
	e->code = code;
	memcpy(e->topic, topic, n);
	return e;
}

static void append(struct mqtt_queue *q, struct mqtt_event *e)
{
	bool first;

	pthread_mutex_lock(&q->lock);
	first = !q->first;
	*q->last = e;
	q->last = &e->next;
	q->count++;
	q->bytes += e->len;
	pthread_mutex_unlock(&q->lock);
	if (first)
		mqtt_queue_ring(q);
}

void mqtt_queue_init(struct mqtt_queue *q)
{
	*q = (struct mqtt_queue){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	pthread_mutex_init(&q->lock, NULL);
	q->last = &q->first;
}

void mqtt_queue_done(struct mqtt_queue *q)
{
	struct mqtt_event *e;

	while ((e = mqtt_queue_pop(q)))
		mqtt_event_free(e);
	if (q->fd >= 0)
		close(q->fd);
	pthread_mutex_destroy(&q->lock);
}

void mqtt_queue_push(struct mqtt_queue *q, enum mqtt_event_kind kind, int code)
{
	append(q, event_new(kind, code, ""));
}

bool mqtt_queue_push_message(struct mqtt_queue *q, const char *topic, const void *payload,
			     size_t len, bool retained)
{
	struct mqtt_event *e;
	bool room;

	pthread_mutex_lock(&q->lock);
	room = q->count < MQTT_QUEUE_MESSAGES && q->bytes + len <= MQTT_QUEUE_BYTES;
	pthread_mutex_unlock(&q->lock);
	if (!room)
		return false;
	e = event_new(MQTT_EVENT_MESSAGE, 0, topic);
	e->retained = retained;
	e->len = len;
	e->payload = len ? xmemdup(payload, len) : NULL;
	append(q, e);
	return true;
}

struct mqtt_event *mqtt_queue_pop(struct mqtt_queue *q)
{
	struct mqtt_event *e;

	pthread_mutex_lock(&q->lock);
	e = q->first;
	if (e) {
		q->first = e->next;
		if (!q->first)
			q->last = &q->first;
		q->count--;
		q->bytes -= e->len;
	}
	pthread_mutex_unlock(&q->lock);
	return e;
}

void mqtt_queue_ring(struct mqtt_queue *q)
{
	static const uint64_t one = 1;

	/* It fails only when the counter is full: then it is rung anyway. */
	while (write(q->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void mqtt_queue_quiet(struct mqtt_queue *q)
{
	uint64_t rings;

	while (read(q->fd, &rings, sizeof(rings)) < 0 && errno == EINTR)
		;
}

void mqtt_event_free(struct mqtt_event *e)
{
	free(e->payload);
	free(e);
}

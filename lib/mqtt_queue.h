/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From paho's threads into the loop: a locked queue with an eventfd that is readable while there is
 * something in it. Messages are bounded in number and bytes; what tells of the connection and of
 * subscriptions is not, as there is little of it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

#define MQTT_QUEUE_MESSAGES 8192
#define MQTT_QUEUE_BYTES (4u << 20) /* of payloads */

enum mqtt_event_kind {
	MQTT_EVENT_UP,
	MQTT_EVENT_DOWN,
	MQTT_EVENT_MESSAGE,
	MQTT_EVENT_SUBSCRIBED,
	MQTT_EVENT_REFUSED,
};

struct mqtt_event {
	struct mqtt_event *next; /* the queue's */
	enum mqtt_event_kind kind;
	int code; /* the library's, or the subscription's id */
	bool retained;
	size_t len;
	uint8_t *payload; /* owned */
	char topic[];	  /* "" unless it is a message */
};

struct mqtt_queue {
	int fd; /* negative: no eventfd could be had, nothing will be heard */
	pthread_mutex_t lock;
	struct mqtt_event *first, **last;
	size_t count, bytes;
};

void mqtt_queue_init(struct mqtt_queue *q);
/* Frees what is still in it. */
void mqtt_queue_done(struct mqtt_queue *q);

/* Any thread. */
void mqtt_queue_push(struct mqtt_queue *q, enum mqtt_event_kind kind, int code);
/* Copies the message; false when there is no room for it. */
bool mqtt_queue_push_message(struct mqtt_queue *q, const char *topic, const void *payload,
			     size_t len, bool retained);

/* The oldest, to be freed with mqtt_event_free; NULL: empty. */
struct mqtt_event *mqtt_queue_pop(struct mqtt_queue *q);
/* Makes the descriptor readable, or, with `mqtt_queue_quiet`, no longer so. */
void mqtt_queue_ring(struct mqtt_queue *q);
void mqtt_queue_quiet(struct mqtt_queue *q);
void mqtt_event_free(struct mqtt_event *e);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the Kubernetes API answers, taken apart without making a tree of it: lists, whose objects come out
 * while the answer still comes in; the lines of a watch; Status objects. An object is handed on as the text
 * that it is, where it lies whole in what was fed without a copy. Its inside is for its reader to check:
 * here brackets and strings must close. Memory is bounded by one object. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporter/kube_metadata.h"
#include "lib/base.h"
#include "lib/buf.h"

#define KUBE_OBJECT_MAX (4u << 20) /* etcd holds 1.5 MiB */
#define KUBE_CONTINUE_SIZE 4096
#define KUBE_KIND_SIZE 64

/* ---- a list, in pieces ---- */

struct kube_list {
	void (*object)(void *owner, const char *text, size_t len);
	void *owner;
	/* Of a list that is whole: */
	char version[KUBE_VERSION_SIZE];
	char next[KUBE_CONTINUE_SIZE]; /* `continue`; "": there is no more */

	/* The rest is the reader's. */
	struct buf part;   /* of an object, or of the metadata, that began in an earlier piece */
	uint64_t brackets; /* a bit per open one, 1: a brace */
	unsigned depth, member;
	bool string, escaped, expects_key, in_key, in_part, whole;
	char key[16];
	size_t key_len;
};

/* -EBADMSG: not a list; -EFBIG: an object is longer than KUBE_OBJECT_MAX. Then it takes no more. */
int kube_list_feed(struct kube_list *l, const char *piece, size_t len) MUST_CHECK;
/* After the last piece: -EBADMSG when it is cut short, or has no resourceVersion. */
int kube_list_end(struct kube_list *l) MUST_CHECK;
/* Made ready for another; `object` and `owner` stay. */
void kube_list_clear(struct kube_list *l);

/* ---- the lines of a watch ---- */

struct kube_lines {
	struct buf part;
};

/* Calls `line` for each that is whole, without its end, empty ones left out; negative from it ends and
 * is returned. -EFBIG: one is longer than KUBE_OBJECT_MAX. */
int kube_lines_feed(struct kube_lines *l, const char *piece, size_t len,
		    int (*line)(void *owner, const char *text, size_t len), void *owner) MUST_CHECK;
void kube_lines_clear(struct kube_lines *l);

enum kube_event_type { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED, KUBE_BOOKMARK, KUBE_ERROR };

struct kube_event {
	enum kube_event_type type;
	const char *object; /* inside the line */
	size_t len;
	char version[KUBE_VERSION_SIZE]; /* of the object; "" for KUBE_ERROR */
	char kind[KUBE_KIND_SIZE];	 /* of the object; "" where it does not say */
};

/* -EBADMSG: it is none. */
int kube_event_read(const char *line, size_t len, struct kube_event *ret) MUST_CHECK;

/* ---- Status ---- */

struct kube_status {
	int code; /* 0: it did not say */
	char reason[64];
	char message[320]; /* cut, printable ASCII; "" when there is none */
	long retry_after_ms;
};

/* Anything that is no Status gives an empty one. */
void kube_status_read(const char *text, size_t len, struct kube_status *ret);

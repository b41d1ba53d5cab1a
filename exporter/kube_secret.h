/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Secret that replicas share (exporter/secret_text.h), read and written at the API server. Each write is
 * over the version that was read or written last, so one who does not lead any more cannot write. One
 * thread.
 */
#pragma once

#include "exporter/kube_api.h"
#include "exporter/secret_text.h"

struct kube_secret;

struct kube_secret_config {
	struct loop *loop;
	struct kube_api *api;
	const char *name; /* in the namespace of the API; borrowed */
	/* It was read; NULL: it has no state yet. Valid during the call. */
	void (*loaded)(void *owner, const struct secret_state *s);
	/* What is to be written, asked when a write begins; borrowed during the call. */
	void (*state)(void *owner, struct secret_state *ret);
	/* All that was to be written is. */
	void (*stored)(void *owner);
	/* What is in it cannot be used; or another wrote it meanwhile. A sentence; once, it does no more. */
	void (*failed)(void *owner, const char *sentence);
	/* What keeps it from being read or written, when it changes; NULL: nothing. It is tried again. */
	void (*trouble)(void *owner, const char *sentence);
	void *owner;
};

/* Begins to read it. */
struct kube_secret *kube_secret_new(const struct kube_secret_config *c);
void kube_secret_free(struct kube_secret *s); /* NULL allowed; not from inside a callback */
/* After it was loaded: writes. Several at once are one. */
void kube_secret_store(struct kube_secret *s);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Kubernetes API server: where it is, who we are there, and requests to it. In a pod: service account,
 * its CA and the token file that the kubelet writes anew (read for each request). Elsewhere: a kubeconfig
 * (client certificates, tokens; exec plugins are refused with a sentence); see exporter/kube_config.h.
 *
 * All requests share one connection (HTTP/2). One whose answer stays away is given up with its
 * connection, and so is every one when the authority or our certificate was replaced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/loop.h"

#define KUBE_WHY_SIZE 512
#define KUBE_ANSWER_MAX (4u << 20) /* of a call that is not streamed */

struct kube_api;
struct kube_call;

/* `kubeconfig` NULL: in-cluster. Negative errno with one sentence in `ret_why`. */
int kube_api_new(struct loop *l, const char *kubeconfig, struct kube_api **ret,
		 char ret_why[static KUBE_WHY_SIZE]) MUST_CHECK;
void kube_api_free(struct kube_api *a); /* all its calls are cancelled; not from inside `done` */

/* The namespace of the pod, or of the kubeconfig's context; "default" where neither says. */
const char *kube_api_namespace(const struct kube_api *a);

struct kube_request {
	const char *method;	  /* "GET", "PUT"... */
	const char *path;	  /* with the query, encoded */
	const char *body;	  /* JSON; NULL: none */
	const char *content_type; /* NULL: application/json */
	long timeout_ms; /* of the whole call; 0: none (a watch, which ends when it is silent) */
	long silent_ms;	 /* no byte for so long ends it; 0: never */
	/* Streamed: each piece as it comes, only of an answer 200. Return false to end it (`done` gets
	 * -ECANCELED). NULL: the whole answer is given to `done`. */
	bool (*data)(void *owner, const char *piece, size_t len);
	/* With `data`: an answer 200 has begun. NULL: who cares. */
	void (*opened)(void *owner);
	/* Once, from the loop. `status` is that of HTTP, or a negative errno with `text` a sentence
	 * (-ENOKEY: the server was not asked, our credentials or its authority cannot be used). On
	 * 401 the token was read again and the call repeated once before this. The answer of a call that
	 * failed at the server is a Status object: kube_status_read of exporter/kube_text.h. */
	void (*done)(void *owner, int status, const char *text, size_t len);
	void *owner;
};

/* Never calls back before it returns. */
struct kube_call *kube_api_call(struct kube_api *a, const struct kube_request *r);
/* NULL allowed; `done` is not called. A call is no more once `done` has returned. */
void kube_call_cancel(struct kube_call *c);
/* Inside `done`: what Retry-After said, 0 when nothing. */
long kube_call_retry_after_ms(const struct kube_call *c);

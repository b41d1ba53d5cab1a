/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the Kubernetes API server is and who we are there: the service account of a pod
 * ("Accessing the API from within a Pod"), or the current context of a kubeconfig file.
 *
 * Of a kubeconfig: server, certificate-authority(-data), client-certificate(-data), client-key(-data),
 * token, tokenFile, namespace. Relative paths are relative to the file. What runs a program or lowers the
 * guard (exec, auth-provider, username, impersonation, insecure-skip-tls-verify), and what would silently
 * be left out (proxy-url, tls-server-name), is refused with a sentence that says what to use instead.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base.h"
#include "lib/buf.h"

#define KUBE_CONFIG_WHY_SIZE 512
#define KUBE_CONFIG_BYTES_MAX (1u << 20)
#define KUBE_FILE_BYTES_MAX (256u << 10) /* a token, certificate or key */

/* Text, or the file that has it, or neither. */
struct kube_secret {
	char *text;
	char *file;
};

struct kube_config {
	char *server;	  /* https://HOST[:PORT][/PATH], without a slash at its end */
	char *namespace_; /* "default" where nothing says another */
	struct kube_secret ca;
	struct kube_secret cert, key; /* neither or both */
	struct kube_secret token;
};

/* `kubeconfig` NULL: that of the pod, from $KUBERNETES_SERVICE_HOST and _PORT and the folder of the
 * service account, /var/run/secrets/kubernetes.io/serviceaccount unless $WARREN_SERVICE_ACCOUNT names
 * another. 0, or a negative errno with one sentence in `ret_why`; `ret` is then empty. */
int kube_config_load(const char *kubeconfig, struct kube_config *ret,
		     char ret_why[static KUBE_CONFIG_WHY_SIZE]) MUST_CHECK;
/* The text of a kubeconfig in the folder `folder`. -EBADMSG. Pure. */
int kube_config_parse(const char *text, size_t len, const char *folder, struct kube_config *ret,
		      char ret_why[static KUBE_CONFIG_WHY_SIZE]) MUST_CHECK;
void kube_config_done(struct kube_config *c); /* wipes; a zeroed one is allowed */

/* What it says now, appended without white space at its end; nothing for one that is not there. -EFBIG,
 * -EBADMSG (a NUL in it) or what reading the file gave. */
int kube_secret_read(const struct kube_secret *s, struct buf *out) MUST_CHECK;
bool kube_secret_is_set(const struct kube_secret *s);

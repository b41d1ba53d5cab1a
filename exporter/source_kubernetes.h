/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The services of a Kubernetes cluster, followed: Services, EndpointSlices of headless ones (those with the
 * label service.kubernetes.io/headless, which Kubernetes sets; slices made by hand need it too),
 * Namespaces, and, where the cluster has and shows them, Nodes and ServiceCIDRs. Nothing is told before
 * all were listed, and each listing is told only when the cluster has proved to be the same one.
 * One thread.
 */
#pragma once

#include "exporter/kube_api.h"
#include "exporter/source.h"

struct source_kubernetes;

struct source_kubernetes_config {
	struct loop *loop;
	struct kube_api *api;
	const char *const *namespaces; /* copied */
	size_t namespace_count;
	bool export_default;
	const struct source_events *events;
	/* Is it the cluster with this uid? 0, -EEXIST: another. */
	int (*cluster)(void *owner, const char *uid);
	void *owner;
};

/* Starts at once; all else borrowed. */
struct source_kubernetes *source_kubernetes_new(const struct source_kubernetes_config *c);
void source_kubernetes_free(
	struct source_kubernetes *s); /* NULL allowed; not from inside an event */
/* All is told, and followed. `ret_why` has a sentence otherwise. */
bool source_kubernetes_is_ready(const struct source_kubernetes *s,
				char ret_why[static KUBE_WHY_SIZE]);

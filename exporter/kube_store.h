/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a cluster has, and the records that follow from it: Services, EndpointSlices of headless ones,
 * Namespaces, Nodes, ServiceCIDRs in; members of records (schemas/record.h) -> body, and ranges out.
 * Pure: no I/O, no clock. Keeps of each object only what it needs.
 *
 * What is exported: a Service's annotation warren/export ("true", "false"; anything else is refused) says
 * it, else that of its namespace, else the configuration. default/kubernetes only by its own annotation.
 * With cluster IPs the record has these and the named ports; headless, the ready endpoints of its slices
 * (all, if the Service publishes those that are not ready) with the named ports of the slices, and while it
 * has none there is no record. ExternalName has no addresses and is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/map.h"

enum kube_kind {
	KUBE_SERVICES,
	KUBE_SLICES,
	KUBE_NAMESPACES,
	KUBE_NODES,
	KUBE_SERVICE_CIDRS,
	KUBE_KINDS
};

#define KUBE_OBJECTS_MAX 200000 /* of a kind; those beyond are refused */

struct kube_store;

struct kube_store_config {
	/* Only these; none: all but kube-system, kube-public, kube-node-lease. Copied. */
	const char *const *namespaces;
	size_t namespace_count;
	/* For what is in these and has no annotation, on itself or its namespace. */
	bool export_default;
	/* Of records and slices together; what is more is left out and said. 0: 256 MiB. */
	size_t bytes_max;
	/* A service that is asked for and is not exported, or not wholly, once per reason for as long as
	 * the service is there ("has no cluster IP"); called by kube_store_records and _changes. NULL name:
	 * an object could not be read, once per kind and sentence; called by _put and _del. The name may
	 * hold any bytes. May be NULL. */
	void (*refused)(void *owner, const char *name, const char *reason);
	void *owner;
};

struct kube_store *kube_store_new(const struct kube_store_config *c);
void kube_store_free(struct kube_store *s); /* NULL allowed */

/* The events of kube_watch.h, with the kind of the resource. A slice need not come after its service. An
 * object that cannot be read changes nothing, and a listing with it does not have it. */
void kube_store_begin(struct kube_store *s, enum kube_kind kind);
void kube_store_put(struct kube_store *s, enum kube_kind kind, const char *object, size_t len);
void kube_store_del(struct kube_store *s, enum kube_kind kind, const char *object, size_t len);
void kube_store_end(struct kube_store *s, enum kube_kind kind);

/* Every kind was listed once: before that the records are not the truth. */
bool kube_store_is_complete(const struct kube_store *s);
/* All records; `ret` is an empty map, bodies are owned by it (free()). */
void kube_store_records(struct kube_store *s, struct map *ret);
/* Those that differ from what the last call of this function or of kube_store_records gave: name -> body,
 * or "" for one that is gone; owned by `ret`, an empty map. The work is that of the changes, not of the
 * store. */
void kube_store_changes(struct kube_store *s, struct map *ret);
/* Something was touched; kube_store_changes may still find the records the same. */
bool kube_store_has_changes(const struct kube_store *s);

/* Pod and service ranges the cluster tells, sorted; those inside others are left out, and halves of one
 * range become it: together they cover what was told and no address more. Returns how many there are; at
 * most `max` are written. */
size_t kube_store_ranges(const struct kube_store *s, struct prefix *ret, size_t max);
/* Another number when what was told has changed. */
uint64_t kube_store_ranges_version(const struct kube_store *s);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects of the Kubernetes API read into plain structs: of each only what the records (kube_store.h)
 * need. Unknown fields (managedFields, status) are ignored, null counts as absent. Pure; any thread.
 *
 * The text comes from the network: it is capped at KUBE_DECODE_MAX and 16 levels (a Service with
 * managedFields has 10). What is well-formed but makes no sense for us, an address that is none or a port
 * out of range, is left out, not refused: one odd port must not hide a service.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporter/kube_metadata.h"
#include "lib/addr.h"
#include "lib/json.h"
#include "schemas/record.h"

#define KUBE_DECODE_MAX (2u << 20) /* etcd's limit is 1.5 MiB */

/* The annotation warren/export. */
enum kube_export { KUBE_EXPORT_UNSAID, KUBE_EXPORT_YES, KUBE_EXPORT_NO, KUBE_EXPORT_WRONG };

struct kube_meta {
	char *name;
	char *space; /* its namespace; "" for what has none */
	enum kube_export export_wish;
};

struct kube_service {
	struct kube_meta meta;
	bool is_external; /* ExternalName */
	bool is_headless;
	bool publish_not_ready;
	struct addr *addresses; /* ClusterIPs of both families */
	size_t address_count;
	struct record_port *ports; /* the named ones, in the object's order */
	size_t port_count;
};

/* discovery.k8s.io/v1 and v1beta1. One element per address. */
struct kube_slice {
	struct kube_meta meta;
	char *service; /* NULL: no slice for us (FQDN, imported by a mesh tool, of no service) */
	struct kube_slice_endpoint {
		struct addr addr;
		bool is_ready;	/* absent: true */
		char *hostname; /* NULL: none */
		char *pod;	/* targetRef.uid; NULL: none */
	} * endpoints;
	size_t endpoint_count;
	struct record_port *ports; /* the named ones */
	size_t port_count;
};

/* A Node's podCIDRs, a ServiceCIDR's cidrs. Host bits are zeroed. Those with an address in them that is
 * never a service's (loopback, link-local, multicast...), so the default route too, are left out. */
struct kube_ranges {
	struct kube_meta meta;
	struct prefix *ranges;
	size_t range_count;
};

/* Everything lives in the arena. 0 or -EBADMSG with `err` filled. kube_meta_decode reads any object. */
int kube_meta_decode(struct arena *a, const char *text, size_t len, struct kube_meta *ret,
		     struct json_error *err) MUST_CHECK;
int kube_service_decode(struct arena *a, const char *text, size_t len, struct kube_service *ret,
			struct json_error *err) MUST_CHECK;
int kube_slice_decode(struct arena *a, const char *text, size_t len, struct kube_slice *ret,
		      struct json_error *err) MUST_CHECK;
int kube_ranges_decode(struct arena *a, const char *text, size_t len, struct kube_ranges *ret,
		       struct json_error *err) MUST_CHECK;

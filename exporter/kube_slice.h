/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An EndpointSlice as it is kept: one piece of memory of 40 bytes an address and its host names. And the
 * record of a headless service out of all its slices. Pure.
 */
#pragma once

#include "exporter/kube_objects.h"
#include "exporter/kube_record.h"
#include "exporter/record_parts.h"

struct kube_packed {
	uint32_t listing; /* it was in */
	uint32_t size;	  /* of the piece */
	void *of;	  /* the caller's: whose it is */
	struct kube_packed *next, **back;
	/* From here on: what is compared. A text is an offset into the piece, 0: none. The ports
	 * follow the endpoints, then come the texts. */
	uint32_t endpoint_count, port_count;
	struct kube_packed_endpoint {
		struct addr addr;
		bool is_ready;
		uint8_t pod[KUBE_POD_LEN];
		uint32_t hostname;
	} endpoints[];
};

/* To be freed (free()). */
struct kube_packed *kube_slice_pack(const struct kube_slice *o);
bool kube_slice_is_same(const struct kube_packed *a, const struct kube_packed *b);
void kube_slice_link(struct kube_packed **list, struct kube_packed *slice);
void kube_slice_unlink(struct kube_packed *slice);

/* The record of `<namespace>/<service>` into `ret`, which is as it was when no endpoint is ready. With
 * `not_ready` all count. Host names that make no DNS name are left out. */
void kube_slice_record(const struct kube_packed *list, const char *name, bool not_ready,
		       uint16_t *reasons, struct record_parts *ret);

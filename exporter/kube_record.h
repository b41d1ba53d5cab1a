/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the ports and ready addresses of a Kubernetes Service to its record (schemas/record.h): the same for
 * the same content in whatever order it came. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mem.h"
#include "schemas/record.h"

/* Why something was left out; bits. */
enum kube_reason {
	KUBE_REASON_ANNOTATION,
	KUBE_REASON_EXTERNAL,
	KUBE_REASON_NO_ADDRESS,
	KUBE_REASON_PORT_NAME,
	KUBE_REASON_PORTS,
	KUBE_REASON_HOSTNAME,
	KUBE_REASON_ENDPOINTS,
	KUBE_REASONS
};
/* A sentence's end: "has ...". */
extern const char *const kube_reason_text[KUBE_REASONS];

#define KUBE_POD_LEN 16

/* One ready address of a headless service. */
struct kube_pod {
	struct addr addr;
	const char *hostname;	   /* NULL: none */
	uint8_t pod[KUBE_POD_LEN]; /* whose it is; zeros: unknown */
};

/* Sorts the ports and takes those that can be asked for, at most RECORD_PORTS_MAX; one per name and
 * protocol, of two the lower number. `ports` is reordered and lent to `r`. */
void kube_record_ports(struct record *r, struct record_port *ports, size_t count,
		       uint16_t *reasons);
/* An address counts once; those of one pod and one host name are one endpoint. Sorted: host names first,
 * then addresses. `pods` is reordered. */
void kube_record_endpoints(struct arena *a, struct record *r, struct kube_pod *pods, size_t count);

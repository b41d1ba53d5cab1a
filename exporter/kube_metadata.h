/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every object of the Kubernetes API has (ObjectMeta), as one table for lib/json.h: read from any object,
 * written into those that we make. Of labels and annotations only those that mean something here. Pure.
 */
#pragma once

#include "lib/json.h"

#define KUBE_NAME_MAX 253     /* of a name, a namespace: a DNS subdomain */
#define KUBE_VERSION_SIZE 128 /* a resourceVersion, which is opaque */
#define KUBE_UID_MAX 64	      /* it is a UUID */

/* Each but the name may be absent: NULL. */
struct kube_metadata {
	char *name;
	char *space;   /* namespace */
	char *version; /* resourceVersion */
	char *uid;
	struct kube_annotations {
		char *export_wish;
	} * annotations;
	struct kube_labels {
		char *service, *manager, *imported;
	} * labels;
};

extern const struct json_field kube_metadata_fields[];

/* The beginning of a table: `type` has the members `char *api, *kind` and `struct kube_metadata metadata`. */
#define KUBE_HEAD(type)                                                                            \
	{ .name = "apiVersion",                                                                    \
	  .kind = JSON_STRING,                                                                     \
	  .offset = offsetof(type, api),                                                           \
	  .optional = true },                                                                      \
		JSON_FIELD(type, kind, JSON_STRING, .optional = true), KUBE_METADATA(type)
/* Of an object that is only read, `metadata` alone. */
#define KUBE_METADATA(type) JSON_FIELD(type, metadata, JSON_OBJECT, .fields = kube_metadata_fields)

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of ObjectMeta. Owns nothing; any thread.
 */
#include "exporter/kube_metadata.h"

/* A field whose name in JSON is no name in C; absent, null or a string. */
#define TEXT(type, member, name_, max_)                                                            \
	{                                                                                          \
		.name = name_, .kind = JSON_STRING, .offset = offsetof(type, member),              \
		.optional = true, .nullable = true, .max = max_                                    \
	}
/* Of any length: the object is capped. */
#define VALUE_MAX SIZE_MAX

static const struct json_field annotation_fields[] = {
	TEXT(struct kube_annotations, export_wish, "warren/export", VALUE_MAX),
	JSON_END,
};

static const struct json_field label_fields[] = {
	TEXT(struct kube_labels, service, "kubernetes.io/service-name", VALUE_MAX),
	TEXT(struct kube_labels, manager, "endpointslice.kubernetes.io/managed-by", VALUE_MAX),
	TEXT(struct kube_labels, imported, "multicluster.kubernetes.io/service-name", VALUE_MAX),
	JSON_END,
};

const struct json_field kube_metadata_fields[] = {
	JSON_FIELD(struct kube_metadata, name, JSON_STRING, .min = 1, .max = KUBE_NAME_MAX),
	TEXT(struct kube_metadata, space, "namespace", KUBE_NAME_MAX),
	TEXT(struct kube_metadata, version, "resourceVersion", KUBE_VERSION_SIZE - 1),
	TEXT(struct kube_metadata, uid, "uid", KUBE_UID_MAX),
	JSON_POINTER(struct kube_metadata, annotations, annotation_fields, .optional = true,
		     .nullable = true),
	JSON_POINTER(struct kube_metadata, labels, label_fields, .optional = true,
		     .nullable = true),
	JSON_END,
};

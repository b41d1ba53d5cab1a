/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading Kubernetes objects by table. Owns nothing; any thread.
 */
#include "exporter/kube_objects.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENDPOINTS_MAX 4096 /* of a slice; Kubernetes: 1,000 */
#define ADDRESSES_MAX 128  /* of an endpoint; Kubernetes: 100 */
#define PORTS_MAX 32768	   /* of a slice; Kubernetes: 20,000 */
#define RANGES_MAX 64	   /* of a node; Kubernetes: 2 */

/* Absent, null or a string of any length: the object is capped. */
#define TEXT(type, member, ...)                                                                    \
	JSON_FIELD(type, member, JSON_STRING, .optional = true, .nullable = true,                  \
		   .max = KUBE_DECODE_MAX, ##__VA_ARGS__)
#define TEXTS(type, member, count, max_)                                                           \
	JSON_LIST(type, member, count, JSON_STRING, .optional = true, .nullable = true, .max = max_)
#define PART(type, member, fields)                                                                 \
	JSON_POINTER(type, member, fields, .optional = true, .nullable = true)
/* ---- the objects as they stand in JSON ---- */

struct wire_port {
	char *name;
	char *protocol;
	int64_t port;
};

static const struct json_field port_fields[] = {
	TEXT(struct wire_port, name),
	TEXT(struct wire_port, protocol),
	JSON_FIELD(struct wire_port, port, JSON_I64, .optional = true, .nullable = true),
	JSON_END,
};

struct wire_service {
	struct kube_metadata metadata;
	struct wire_service_spec {
		char *type;
		char *clusterIP;
		char **clusterIPs;
		size_t clusterIP_count;
		bool publishNotReadyAddresses;
		struct wire_port *ports;
		size_t port_count;
	} * spec;
};

static const struct json_field service_spec_fields[] = {
	TEXT(struct wire_service_spec, type),
	TEXT(struct wire_service_spec, clusterIP),
	TEXTS(struct wire_service_spec, clusterIPs, clusterIP_count, RECORD_ADDRESSES_MAX),
	JSON_FIELD(struct wire_service_spec, publishNotReadyAddresses, JSON_BOOL, .optional = true,
		   .nullable = true),
	JSON_LIST(struct wire_service_spec, ports, port_count, JSON_OBJECT, .optional = true,
		  .nullable = true, .fields = port_fields, .max = PORTS_MAX),
	JSON_END,
};

static const struct json_field service_fields[] = {
	KUBE_METADATA(struct wire_service),
	PART(struct wire_service, spec, service_spec_fields),
	JSON_END,
};

struct wire_endpoint {
	char **addresses;
	size_t address_count;
	struct wire_conditions {
		char *ready; /* as JSON: absent and null are not false */
	} * conditions;
	char *hostname;
	struct wire_target {
		char *uid;
	} * targetRef;
};

static const struct json_field conditions_fields[] = {
	JSON_FIELD(struct wire_conditions, ready, JSON_RAW, .optional = true),
	JSON_END,
};

static const struct json_field target_fields[] = {
	TEXT(struct wire_target, uid),
	JSON_END,
};

static const struct json_field endpoint_fields[] = {
	TEXTS(struct wire_endpoint, addresses, address_count, ADDRESSES_MAX),
	PART(struct wire_endpoint, conditions, conditions_fields),
	TEXT(struct wire_endpoint, hostname),
	PART(struct wire_endpoint, targetRef, target_fields),
	JSON_END,
};

struct wire_slice {
	struct kube_metadata metadata;
	char *addressType;
	struct wire_endpoint *endpoints;
	size_t endpoint_count;
	struct wire_port *ports;
	size_t port_count;
};

static const struct json_field slice_fields[] = {
	KUBE_METADATA(struct wire_slice),
	TEXT(struct wire_slice, addressType),
	JSON_LIST(struct wire_slice, endpoints, endpoint_count, JSON_OBJECT, .optional = true,
		  .nullable = true, .fields = endpoint_fields, .max = ENDPOINTS_MAX),
	JSON_LIST(struct wire_slice, ports, port_count, JSON_OBJECT, .optional = true,
		  .nullable = true, .fields = port_fields, .max = PORTS_MAX),
	JSON_END,
};

struct wire_ranges {
	struct kube_metadata metadata;
	struct wire_ranges_spec {
		char *podCIDR;
		char **podCIDRs, **cidrs;
		size_t podCIDR_count, cidr_count;
	} * spec;
};

static const struct json_field ranges_spec_fields[] = {
	TEXT(struct wire_ranges_spec, podCIDR),
	TEXTS(struct wire_ranges_spec, podCIDRs, podCIDR_count, RANGES_MAX),
	TEXTS(struct wire_ranges_spec, cidrs, cidr_count, RANGES_MAX),
	JSON_END,
};

static const struct json_field ranges_fields[] = {
	KUBE_METADATA(struct wire_ranges),
	PART(struct wire_ranges, spec, ranges_spec_fields),
	JSON_END,
};

struct wire_any {
	struct kube_metadata metadata;
};

static const struct json_field any_fields[] = {
	KUBE_METADATA(struct wire_any),
	JSON_END,
};

/* ---- from there to ours ---- */

static int read_object(struct arena *a, const char *text, size_t len,
		       const struct json_field *fields, void *ret, struct json_error *err)
{
	if (len <= KUBE_DECODE_MAX)
		return json_decode(a, text, len, fields, ret, err);
	*err = (struct json_error){ 0 };
	snprintf(err->reason, sizeof(err->reason), "is longer than %u bytes", KUBE_DECODE_MAX);
	return -EBADMSG;
}

static struct kube_meta meta_of(struct arena *a, const struct kube_metadata *m)
{
	const char *wish = m->annotations ? m->annotations->export_wish : NULL;
	struct kube_meta ret = { .name = m->name, .space = m->space };

	if (!ret.space)
		ret.space = arena_strdup(a, "");
	if (wish)
		ret.export_wish = strcmp(wish, "true") == 0  ? KUBE_EXPORT_YES :
				  strcmp(wish, "false") == 0 ? KUBE_EXPORT_NO :
							       KUBE_EXPORT_WRONG;
	return ret;
}

static bool is_text(const char *s, const char *what)
{
	return s && strcmp(s, what) == 0;
}

/* Nothing that others could send to is in these, or ever becomes a cluster's. Kubernetes refuses most of
 * them itself (ValidateNonSpecialIP); "::/64" has the loopback and the IPv4-mapped ones. */
static bool is_special(const struct prefix *p)
{
	static const char *const special[] = { "0.0.0.0/8",   "127.0.0.0/8", "169.254.0.0/16",
					       "224.0.0.0/3", "::/64",	     "fe80::/10",
					       "ff00::/8" };
	struct prefix q;

	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (prefix_parse(special[i], &q) == 0 && prefix_overlaps(&q, p))
			return true;
	return false;
}

static bool read_address(const char *s, struct addr *ret)
{
	if (addr_parse(s, ret) < 0)
		return false;
	return !is_special(&(struct prefix){ *ret, ret->family == AF_INET ? 32 : 128 });
}

static bool read_protocol(const char *s, unsigned *ret)
{
	for (*ret = 0; s && port_protocol_names[*ret]; ++*ret)
		if (strcmp(s, port_protocol_names[*ret]) == 0)
			return true;
	return !s;
}

/* Those with a name, a number (a slice may say "all") and a protocol that we know. */
static size_t named_ports(struct arena *a, const struct wire_port *from, size_t count,
			  struct record_port **ret)
{
	size_t n = 0;

	*ret = count ? arena_array(a, count, sizeof(**ret)) : NULL;
	for (size_t i = 0; i < count; i++) {
		struct record_port port = { .name = from[i].name, .port = (uint16_t)from[i].port };

		if (port.name && *port.name && read_protocol(from[i].protocol, &port.protocol) &&
		    from[i].port >= 1 && from[i].port <= UINT16_MAX)
			(*ret)[n++] = port;
	}
	return n;
}

int kube_meta_decode(struct arena *a, const char *text, size_t len, struct kube_meta *ret,
		     struct json_error *err)
{
	struct wire_any wire = { 0 };
	int r = read_object(a, text, len, any_fields, &wire, err);

	if (r == 0)
		*ret = meta_of(a, &wire.metadata);
	return r;
}

int kube_service_decode(struct arena *a, const char *text, size_t len, struct kube_service *ret,
			struct json_error *err)
{
	struct wire_service wire = { 0 };
	int r = read_object(a, text, len, service_fields, &wire, err);
	struct wire_service_spec none = { 0 }, *spec = wire.spec ? wire.spec : &none;

	if (r < 0)
		return r;
	*ret = (struct kube_service){ .meta = meta_of(a, &wire.metadata),
				      .is_external = is_text(spec->type, "ExternalName"),
				      .publish_not_ready = spec->publishNotReadyAddresses };
	/* Before 1.20 there was only one. */
	if (!spec->clusterIP_count && spec->clusterIP) {
		spec->clusterIPs = &spec->clusterIP;
		spec->clusterIP_count = 1;
	}
	if (spec->clusterIP_count)
		ret->addresses = arena_array(a, spec->clusterIP_count, sizeof(*ret->addresses));
	for (size_t i = 0; i < spec->clusterIP_count; i++) {
		ret->is_headless |= is_text(spec->clusterIPs[i], "None");
		if (read_address(spec->clusterIPs[i], &ret->addresses[ret->address_count]))
			ret->address_count++;
	}
	ret->port_count = named_ports(a, spec->ports, spec->port_count, &ret->ports);
	return 0;
}

/* Imports of other clusters would come back to them as ours. */
static bool is_foreign(const struct kube_labels *l)
{
	return l->imported && !is_text(l->manager, "endpointslice-controller.k8s.io") &&
	       !is_text(l->manager, "endpointslicemirroring-controller.k8s.io");
}

static void take_endpoint(const struct wire_endpoint *e, int family, struct kube_slice *ret)
{
	bool ready = !e->conditions || !is_text(e->conditions->ready, "false");

	for (size_t i = 0; i < e->address_count; i++) {
		struct kube_slice_endpoint *to = &ret->endpoints[ret->endpoint_count];

		if (!read_address(e->addresses[i], &to->addr) || to->addr.family != family)
			continue;
		to->is_ready = ready;
		to->hostname = e->hostname && *e->hostname ? e->hostname : NULL;
		to->pod = e->targetRef && e->targetRef->uid && *e->targetRef->uid ?
				  e->targetRef->uid :
				  NULL;
		ret->endpoint_count++;
	}
}

int kube_slice_decode(struct arena *a, const char *text, size_t len, struct kube_slice *ret,
		      struct json_error *err)
{
	struct wire_slice wire = { 0 };
	int r = read_object(a, text, len, slice_fields, &wire, err), family;
	struct kube_labels none = { 0 }, *labels = wire.metadata.labels;
	size_t addresses = 0;

	if (r < 0)
		return r;
	labels = labels ? labels : &none;
	*ret = (struct kube_slice){ .meta = meta_of(a, &wire.metadata) };
	family = is_text(wire.addressType, "IPv4") ? AF_INET :
		 is_text(wire.addressType, "IPv6") ? AF_INET6 :
						     AF_UNSPEC;
	if (family == AF_UNSPEC || is_foreign(labels))
		return 0;
	ret->service = labels->service;
	for (size_t i = 0; i < wire.endpoint_count; i++)
		addresses += wire.endpoints[i].address_count;
	/* One more: where an address that is none is tried. */
	ret->endpoints = arena_array(a, addresses + 1, sizeof(*ret->endpoints));
	for (size_t i = 0; i < wire.endpoint_count; i++)
		take_endpoint(&wire.endpoints[i], family, ret);
	ret->port_count = named_ports(a, wire.ports, wire.port_count, &ret->ports);
	return 0;
}

static void take_ranges(char *const *from, size_t count, struct kube_ranges *ret)
{
	struct prefix p;

	for (size_t i = 0; i < count; i++)
		if (prefix_parse(from[i], &p) == 0 && !is_special(&p))
			ret->ranges[ret->range_count++] = prefix_network(&p);
}

int kube_ranges_decode(struct arena *a, const char *text, size_t len, struct kube_ranges *ret,
		       struct json_error *err)
{
	struct wire_ranges wire = { 0 };
	int r = read_object(a, text, len, ranges_fields, &wire, err);
	struct wire_ranges_spec none = { 0 }, *spec = wire.spec ? wire.spec : &none;

	if (r < 0)
		return r;
	*ret = (struct kube_ranges){ .meta = meta_of(a, &wire.metadata) };
	if (!spec->podCIDR_count && spec->podCIDR && *spec->podCIDR) {
		spec->podCIDRs = &spec->podCIDR;
		spec->podCIDR_count = 1;
	}
	ret->ranges =
		arena_array(a, spec->podCIDR_count + spec->cidr_count + 1, sizeof(*ret->ranges));
	take_ranges(spec->podCIDRs, spec->podCIDR_count, ret);
	take_ranges(spec->cidrs, spec->cidr_count, ret);
	return 0;
}

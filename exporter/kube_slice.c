/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Slices packed and unpacked. Owns nothing; any thread.
 */
#include "exporter/kube_slice.h"

#include <stdlib.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/text.h"

#define ZONE_MAX 63  /* characters of a network's name; svc.clusterset.local has 20 */
#define NAME_MAX 253 /* of a DNS name */

struct port {
	uint16_t port, protocol;
	uint32_t name;
};

static size_t ports_at(const struct kube_packed *p)
{
	return sizeof(*p) + p->endpoint_count * sizeof(p->endpoints[0]);
}

static char *text_at(const struct kube_packed *p, uint32_t at)
{
	return (char *)(uintptr_t)p + at;
}

static uint32_t add_text(struct kube_packed *p, size_t *at, const char *text)
{
	size_t len = strlen(text) + 1, begin = *at;

	memcpy((char *)p + begin, text, len);
	*at += len;
	return (uint32_t)begin;
}

struct kube_packed *kube_slice_pack(const struct kube_slice *o)
{
	size_t texts = sizeof(struct kube_packed) +
		       o->endpoint_count * sizeof(struct kube_packed_endpoint) +
		       o->port_count * sizeof(struct port),
	       size = texts;
	uint8_t hash[HASH_LEN];
	struct kube_packed *p;
	struct port *ports;

	for (size_t i = 0; i < o->endpoint_count; i++)
		size += o->endpoints[i].hostname ? strlen(o->endpoints[i].hostname) + 1 : 0;
	for (size_t i = 0; i < o->port_count; i++)
		size += strlen(o->ports[i].name) + 1;
	p = xcalloc(1, size);
	p->size = (uint32_t)size;
	p->endpoint_count = (uint32_t)o->endpoint_count;
	p->port_count = (uint32_t)o->port_count;
	for (size_t i = 0; i < o->endpoint_count; i++) {
		const struct kube_slice_endpoint *from = &o->endpoints[i];
		struct kube_packed_endpoint *to = &p->endpoints[i];

		to->addr = from->addr;
		to->is_ready = from->is_ready;
		if (from->hostname)
			to->hostname = add_text(p, &texts, from->hostname);
		if (from->pod) {
			sha256(from->pod, strlen(from->pod), hash);
			memcpy(to->pod, hash, sizeof(to->pod));
		}
	}
	ports = (struct port *)(void *)((char *)p + ports_at(p));
	for (size_t i = 0; i < o->port_count; i++) {
		ports[i].port = o->ports[i].port;
		ports[i].protocol = (uint16_t)o->ports[i].protocol;
		ports[i].name = add_text(p, &texts, o->ports[i].name);
	}
	return p;
}

bool kube_slice_is_same(const struct kube_packed *a, const struct kube_packed *b)
{
	size_t from = offsetof(struct kube_packed, endpoint_count);

	return a->of == b->of && a->size == b->size &&
	       memcmp((const char *)a + from, (const char *)b + from, a->size - from) == 0;
}

void kube_slice_link(struct kube_packed **list, struct kube_packed *slice)
{
	slice->next = *list;
	slice->back = list;
	if (slice->next)
		slice->next->back = &slice->next;
	*list = slice;
}

void kube_slice_unlink(struct kube_packed *slice)
{
	*slice->back = slice->next;
	if (slice->next)
		slice->next->back = slice->back;
}

/* ---- the record ---- */

/* NULL: none, or none that makes a name below the service's. */
static const char *hostname_of(const struct kube_packed *p, uint32_t at, const char *name,
			       uint16_t *reasons)
{
	const char *host = at ? text_at(p, at) : NULL;

	if (host &&
	    (!text_is_label(host) || strlen(host) + 1 + strlen(name) + 1 + ZONE_MAX > NAME_MAX)) {
		*reasons |= 1 << KUBE_REASON_HOSTNAME;
		return NULL;
	}
	return host;
}

static size_t take_pods(const struct kube_packed *p, const char *name, bool not_ready,
			struct kube_pod *ret, uint16_t *reasons)
{
	size_t n = 0;

	for (size_t i = 0; i < p->endpoint_count; i++) {
		const struct kube_packed_endpoint *from = &p->endpoints[i];

		if (!from->is_ready && !not_ready)
			continue;
		ret[n].addr = from->addr;
		ret[n].hostname = hostname_of(p, from->hostname, name, reasons);
		memcpy(ret[n++].pod, from->pod, sizeof(from->pod));
	}
	return n;
}

static size_t take_ports(const struct kube_packed *p, struct record_port *ret)
{
	const struct port *from = (const struct port *)(void *)text_at(p, (uint32_t)ports_at(p));

	for (size_t i = 0; i < p->port_count; i++)
		ret[i] = (struct record_port){ .name = text_at(p, from[i].name),
					       .protocol = from[i].protocol,
					       .port = from[i].port };
	return p->port_count;
}

void kube_slice_record(const struct kube_packed *list, const char *name, bool not_ready,
		       uint16_t *reasons, struct record_parts *ret)
{
	size_t pods = 0, ports = 0, pod_count = 0, port_count = 0, more;
	struct record r = { 0 };
	struct arena a = { 0 };
	struct record_port *port;
	struct kube_pod *pod;

	for (const struct kube_packed *p = list; p; p = p->next) {
		pods += p->endpoint_count;
		ports += p->port_count;
	}
	pod = arena_array(&a, pods, sizeof(*pod));
	port = arena_array(&a, ports, sizeof(*port));
	for (const struct kube_packed *p = list; p; p = p->next) {
		more = take_pods(p, name, not_ready, pod + pod_count, reasons);
		/* The ports of a slice are those of its endpoints. */
		if (more)
			port_count += take_ports(p, port + port_count);
		pod_count += more;
	}
	kube_record_ports(&r, port, port_count, reasons);
	kube_record_endpoints(&a, &r, pod, pod_count);
	if (r.endpoint_count) {
		record_parts_make(ret, &r);
		if (ret->left_out)
			*reasons |= 1 << KUBE_REASON_ENDPOINTS;
	}
	arena_done(&a);
}

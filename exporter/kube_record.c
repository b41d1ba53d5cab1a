/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ports and endpoints of records. Owns nothing; any thread.
 */
#include "exporter/kube_record.h"

#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

#define PORT_NAME_MAX 62 /* with its underscore it is a label */

const char *const kube_reason_text[KUBE_REASONS] = {
	[KUBE_REASON_ANNOTATION] = "has an annotation warren/export that is neither true nor false",
	[KUBE_REASON_EXTERNAL] = "is of type ExternalName, which has no addresses",
	[KUBE_REASON_NO_ADDRESS] = "has no cluster IP",
	[KUBE_REASON_PORT_NAME] = "has a port whose name is no DNS label of at most 62 characters",
	[KUBE_REASON_PORTS] = "has more than 64 named ports: the rest is left out",
	[KUBE_REASON_HOSTNAME] = "has an endpoint whose host name makes no DNS name: it has none",
	[KUBE_REASON_ENDPOINTS] = "has more endpoints than fit into 1 MiB: the rest is left out",
};

static int compare_texts(const char *a, const char *b)
{
	/* Those that have none come last. */
	return a && b ? strcmp(a, b) : !a - !b;
}

static int compare_ports(const void *a, const void *b)
{
	const struct record_port *p = a, *q = b;
	int r = strcmp(p->name, q->name);

	if (r == 0)
		r = (int)p->protocol - (int)q->protocol;
	return r ? r : p->port - q->port;
}

void kube_record_ports(struct record *r, struct record_port *ports, size_t count, uint16_t *reasons)
{
	size_t n = 0;

	if (count)
		qsort(ports, count, sizeof(*ports), compare_ports);
	for (size_t i = 0; i < count; i++) {
		const struct record_port *last = n ? &ports[n - 1] : NULL;

		if (!text_is_label(ports[i].name) || strlen(ports[i].name) > PORT_NAME_MAX)
			*reasons |= 1 << KUBE_REASON_PORT_NAME;
		else if (last && last->protocol == ports[i].protocol &&
			 strcmp(last->name, ports[i].name) == 0)
			continue;
		else if (n == RECORD_PORTS_MAX)
			*reasons |= 1 << KUBE_REASON_PORTS;
		else
			ports[n++] = ports[i];
	}
	r->ports = ports;
	r->port_count = n;
}

static int compare_by_address(const void *a, const void *b)
{
	const struct kube_pod *p = a, *q = b;
	int r = addr_cmp(&p->addr, &q->addr);

	if (r == 0)
		r = compare_texts(p->hostname, q->hostname);
	/* Who says whose it is comes first. */
	return r ? r : memcmp(q->pod, p->pod, sizeof(p->pod));
}

static int compare_by_pod(const void *a, const void *b)
{
	const struct kube_pod *p = a, *q = b;
	int r = compare_texts(p->hostname, q->hostname);

	if (r == 0)
		r = memcmp(p->pod, q->pod, sizeof(p->pod));
	return r ? r : addr_cmp(&p->addr, &q->addr);
}

static int compare_endpoints(const void *a, const void *b)
{
	const struct record_endpoint *p = a, *q = b;
	int r = compare_texts(p->hostname, q->hostname);

	return r ? r : addr_cmp(&p->addresses[0], &q->addresses[0]);
}

/* Two slices may hold an endpoint for a while. Two pods may share their node's address, each with its
 * host name; one that has none adds nothing then. */
static size_t drop_doubles(struct kube_pod *pods, size_t count)
{
	size_t n = 0;

	qsort(pods, count, sizeof(*pods), compare_by_address);
	for (size_t i = 0; i < count; i++)
		if (n == 0 || addr_cmp(&pods[n - 1].addr, &pods[i].addr) != 0 ||
		    (pods[i].hostname && compare_texts(pods[n - 1].hostname, pods[i].hostname)))
			pods[n++] = pods[i];
	return n;
}

static bool is_same_pod(const struct kube_pod *p, const struct kube_pod *q)
{
	static const uint8_t unknown[KUBE_POD_LEN];

	if (compare_texts(p->hostname, q->hostname) != 0 ||
	    memcmp(p->pod, q->pod, sizeof(p->pod)) != 0)
		return false;
	return p->hostname || memcmp(p->pod, unknown, sizeof(unknown)) != 0;
}

void kube_record_endpoints(struct arena *a, struct record *r, struct kube_pod *pods, size_t count)
{
	struct record_endpoint *e = NULL;
	struct addr *addresses;

	r->endpoint_count = 0;
	if (count == 0)
		return;
	count = drop_doubles(pods, count);
	qsort(pods, count, sizeof(*pods), compare_by_pod);
	r->endpoints = arena_array(a, count, sizeof(*r->endpoints));
	addresses = arena_array(a, count, sizeof(*addresses));
	for (size_t i = 0; i < count; i++) {
		addresses[i] = pods[i].addr;
		if (!e || e->address_count == RECORD_ADDRESSES_MAX ||
		    !is_same_pod(&pods[i - 1], &pods[i])) {
			e = &r->endpoints[r->endpoint_count++];
			e->addresses = &addresses[i];
			if (pods[i].hostname)
				e->hostname = arena_strdup(a, pods[i].hostname);
		}
		e->address_count++;
	}
	qsort(r->endpoints, r->endpoint_count, sizeof(*r->endpoints), compare_endpoints);
}

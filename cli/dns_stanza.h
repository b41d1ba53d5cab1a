/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a DNS server needs in its configuration to ask agents for zones, as text to paste. Pure.
 */
#pragma once

#include "lib/addr.h"
#include "lib/buf.h"

#define STANZA_FORWARDS_MAX 15 /* CoreDNS takes no more */
#define STANZA_ZONES_MAX 2048

enum stanza_form {
	STANZA_COREDNS,	       /* a server block of a Corefile */
	STANZA_COREDNS_CUSTOM, /* the ConfigMap that K3s and AKS import from */
	STANZA_NODELOCALDNS,   /* a server block of NodeLocal DNSCache */
	STANZA_DNSMASQ,
	STANZA_UNBOUND,
	STANZA_KUBE_DNS, /* the ConfigMap of GKE's kube-dns */
};
extern const char *const stanza_form_names[]; /* NULL at the end */

struct stanza {
	const char *network;	  /* names the ConfigMap's key */
	const char *const *zones; /* NULL at the end */
	struct endpoint forwards[STANZA_FORWARDS_MAX];
	size_t forward_count;
	const char *const *binds; /* NodeLocal DNSCache's addresses; NULL at the end */
};

void stanza_write(enum stanza_form form, const struct stanza *s, struct buf *out);
/* The zones of a range's addresses, as agents have them (agent/lookup.h): they begin where octet or
 * nibble do. Calls `each` with each. */
void stanza_reverse(const struct prefix *range, void (*each)(void *owner, const char *zone),
		    void *owner);

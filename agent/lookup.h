/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a name asked for means: whose zone, which place in it, which entries. Three kinds of zones are
 * made of the same records:
 *
 *	<network>		names of one network
 *	clusterset.local	<service>.<namespace>.svc of all networks of this node, as the Multi-Cluster
 *				Services API (KEP-1645) has them: of those that offer the name the ones of
 *				the own site, if there are any, else all
 *	in-addr.arpa, ip6.arpa	names of addresses, for the networks' ranges and those granted to exporters.
 *				A zone begins where octet or nibble do: 10.43.0.0/20 is sixteen of them,
 *				10.43.0.8/29 a part of 0.43.10.in-addr.arpa
 *
 * Pure; allocates nothing. Names are in the form of the wire, lower case.
 */
#pragma once

#include "agent/zone.h"

#define LOOKUP_ZONES_MAX 128
#define LOOKUP_LABELS 5 /* of a name that can exist: _port._protocol.service.namespace.network */
#define LOOKUP_NAMES_MAX 64

enum lookup_kind { LOOKUP_NONE, LOOKUP_NETWORK, LOOKUP_CLUSTERSET, LOOKUP_REVERSE };
enum lookup_place {
	LOOKUP_APEX,
	LOOKUP_BETWEEN, /* names are below it, none here */
	LOOKUP_BELOW,
	LOOKUP_NOWHERE
};

struct lookup {
	enum lookup_kind kind;
	enum lookup_place place;
	const struct zone_version *zones[LOOKUP_ZONES_MAX]; /* at least one, but for LOOKUP_NONE */
	size_t zone_count;
	bool complete;	     /* every one of them */
	const uint8_t *apex; /* the end of the name */
	/* Not reverse: how many labels stand before the zone's (and svc), and the first of all. */
	size_t own;
	const uint8_t *label[LOOKUP_LABELS];
	struct addr address; /* reverse; whole at LOOKUP_BELOW */
};
/* `network`: the only one that is spoken of; NULL: all. LOOKUP_NONE: the name is in no zone of ours. */
void lookup_begin(struct lookup *l, const struct zone_table *t, const char *network,
		  const uint8_t *name);

/* One name's entries, one for each network that counts. */
struct lookup_entries {
	const struct zone_entry *list[LOOKUP_ZONES_MAX];
	size_t count;
};
/* The entries of the labels from `first` on; false: there is no such name. An entry without records
 * has other names below it. */
bool lookup_entries(const struct lookup *l, size_t first, struct lookup_entries *ret);

/* Calls `each` with the addresses of the name; with `host` (may be NULL) with those of that host below
 * it, a headless service. False: there is no such host. */
bool lookup_addresses(const struct lookup_entries *e, const uint8_t *host,
		      void (*each)(void *owner, const struct addr *list, size_t count),
		      void *owner);
/* `_tcp`, `_udp`, `_sctp`: enum port_protocol; -1: none. */
int lookup_protocol(const uint8_t *label);
/* A port of this protocol, and of this name (`_http`) unless `label` is NULL? */
bool lookup_is_port(const struct zone_port *p, int protocol, const uint8_t *label);
bool lookup_is_headless(const struct zone_record *r);

/* A name of an address: <host>.<record's key>.<network>, `host` NULL: without. */
struct lookup_name {
	const struct zone_record *record;
	const char *host;
	const char *network;
};
/* Nodes first, then added names, then services, each sorted; at most LOOKUP_NAMES_MAX. */
size_t lookup_names(const struct lookup *l, struct lookup_name ret[static LOOKUP_NAMES_MAX]);
/* Returns its length. */
size_t lookup_name_wire(const struct lookup_name *n, uint8_t ret[static ZONE_NAME_MAX]);

/* Is the label this text? */
bool lookup_is(const uint8_t *label, const char *text);

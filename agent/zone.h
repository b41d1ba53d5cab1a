/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of one network: nodes and added names (`<name>.<network>`), services of exporters
 * (`<service>.<namespace>.<network>` and what hangs below them). One thread writes; a version that was
 * committed never changes, and any thread may read it (agent/answer.h) until its garbage is freed.
 *
 * A name may come from several sources. Of nodes and added names the first counts (nodes first); of
 * services those of the own site, if it has the name, else all, in the order of their sites.
 *
 * From the same records: which names an address has (agent/reverse.h).
 *
 * Pure.
 */
#pragma once

#include "lib/addr.h"
#include "lib/hamt.h"
#include "schemas/record.h"
#include "schemas/topic.h"

#define ZONE_KEY_SIZE (2 * LABEL_SIZE) /* `name` or `service.namespace` */
#define ZONE_RANGES_MAX 2
#define ZONE_TTL 5
/* For how long it may be remembered that there is no such name. */
#define ZONE_NEGATIVE_TTL 1
#define ZONE_NAME_MAX 255

/* In the order in which they count. */
enum zone_rank { ZONE_NODE, ZONE_ORPHAN, ZONE_ADDED, ZONE_SERVICE };

/* Who says a name, or one of its parts; the owner keeps it while the zone has something of it. Ordered by
 * rank, own site first, site, id, part. */
struct zone_source {
	enum zone_rank rank;
	const char *site; /* "" none */
	const char *id;
	unsigned part;
};

/* What a source says of a name: one block. */
struct zone_record {
	uint32_t born;
	uint16_t address_count, port_count, endpoint_count;
	uint16_t rank;		      /* enum zone_rank */
	const char *key;	      /* `name` or `service.namespace` */
	const struct addr *addresses; /* none: those of the endpoints count */
	const struct zone_port {
		const char *name;
		uint16_t port;
		uint8_t protocol; /* enum port_protocol */
	} * ports;		  /* those with a name */
	const struct zone_endpoint {
		const char *hostname; /* as asked for: its own, or its address with dashes */
		const struct addr *addresses;
		size_t address_count;
	} * endpoints;
};

struct zone_entry {
	struct hamt_leaf leaf;
	uint32_t children; /* services in the namespace of this name */
	uint16_t slot_count;
	uint16_t own : 1;   /* ... of the own site */
	uint16_t used : 15; /* the first ones: they are the answer */
	struct zone_slot {
		const struct zone_source *source; /* of the writer: not for readers */
		const struct zone_record *record;
	} slots[];
};

/* Ranges from which exporters may publish: one block. */
struct zone_granted {
	uint32_t born;
	size_t count;
	struct prefix list[];
};

/* A version, as answers see it. */
struct zone_version {
	char network[LABEL_SIZE];
	char node[LABEL_SIZE]; /* our own name */
	struct prefix ranges[ZONE_RANGES_MAX];
	size_t range_count;
	bool complete; /* every journal was read once: what is not here does not exist */
	uint32_t serial;
	uint64_t seed;
	const struct hamt_item *root, *addresses;
	const struct zone_granted *granted; /* NULL: none */
	/* In the form of the wire. */
	uint8_t apex[LABEL_SIZE + 2], server[2 * LABEL_SIZE + 2]; /* <network>. <node>.<network>. */
	uint8_t soa[4 * LABEL_SIZE + 32];			  /* rdata */
	uint16_t soa_len;
};
/* NULL: there is no such name. With no slot used it only has others below it. */
const struct zone_entry *zone_find(const struct zone_version *v, const char *key, size_t len);

/* ---- for the writer */
struct zone;

/* `site`: our own, "" none. All is copied. */
struct zone *zone_new(const char *network, const char *site);
/* Nobody reads any version any more. */
void zone_free(struct zone *z);
void zone_set_self(struct zone *z, const char *node, const struct prefix *ranges,
		   size_t range_count);
/* For whose addresses it answers beside the network's own ranges; copied. */
void zone_set_granted(struct zone *z, const struct prefix *list, size_t count);
void zone_set_complete(struct zone *z, bool complete);
/* What `source` says of the name `key` (`name` or `service.namespace`); a key that is none is left
 * out. */
void zone_put(struct zone *z, const struct zone_source *source, const char *key,
	      const struct record *r);
void zone_del(struct zone *z, const struct zone_source *source, const char *key);
/* Did anything change since the last commit? */
bool zone_is_dirty(const struct zone *z);
/* A new version; what only older ones hold is added to `garbage`. The versions are the caller's:
 * free(). */
struct zone_version *zone_commit(struct zone *z, struct hamt_garbage *garbage);

/* ---- all networks of the node, one version each */
struct neighbour_set;
struct zone_table {
	const struct neighbour_set *neighbours; /* agent/neighbours.h; of the writer; NULL: none */
	size_t count;
	const struct zone_version *zones[];
};
const struct zone_version *zone_table_find(const struct zone_table *t, const char *network,
					   size_t len);

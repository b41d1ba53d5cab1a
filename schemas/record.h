/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members of n/<net>/dns/<exporter>: `<namespace>/<service>`. And the file that
 * `warren-exporter --services` reads.
 *
 * A headless service whose endpoints are more than a member holds has several members: part 0 is
 * `<namespace>/<service>`, the others are `<namespace>/<service>/<part>`. Each is a record of its own, and
 * what they say together is what the service has.
 */
#pragma once

#include "lib/addr.h"
#include "lib/json.h"
#include "schemas/document.h"
#include "schemas/journal.h"
#include "schemas/topic.h"

#define RECORD_ADDRESSES_MAX 8
#define RECORD_PORTS_MAX 64
#define RECORD_ENDPOINTS_MAX 1024
#define RECORD_PARTS_MAX 64
#define SERVICE_ENDPOINTS_MAX (RECORD_PARTS_MAX * RECORD_ENDPOINTS_MAX)
#define SERVICES_MAX 100000
#define SERVICES_RANGES_MAX 64

enum port_protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };
extern const char
	*const port_protocol_names[]; /* "TCP", "UDP", "SCTP", NULL as Kubernetes has them */

struct record {
	struct addr *addresses; /* of the service; none: headless, the endpoints' count */
	size_t address_count;
	struct record_port {
		char *name; /* label; NULL: it has none, and no SRV */
		unsigned protocol;
		uint16_t port;
	} * ports;
	size_t port_count;
	struct record_endpoint { /* headless: the ready ones */
		char *hostname;	 /* label; NULL: none */
		struct addr *addresses;
		size_t address_count;
	} * endpoints;
	size_t endpoint_count;
};
extern const struct json_field record_fields[];

struct record_name {
	char service_namespace[LABEL_SIZE];
	char service[LABEL_SIZE];
	unsigned part; /* below RECORD_PARTS_MAX */
};
/* Of a member; -EINVAL: that is no name of a record, and `ret` is undefined. */
int record_name_parse(const char *member, struct record_name *ret) MUST_CHECK;
/* The member of this part of `<namespace>/<service>`. */
void record_name_of_part(const char *service, unsigned part, char ret[static JOURNAL_NAME_MAX + 1]);

/* What of `r` a grant of these ranges covers. Addresses of a family that no range has are left out: a
 * dual-stack service whose site carries only IPv4 counts with that. NULL: all others are inside, and
 * some are left where there were some. Else the first that is outside; points into `r`. */
const struct addr *record_limit(struct record *r, const struct prefix *ranges, size_t range_count);

/* One entry of a services file. */
struct service {
	char *name;
	char *service_namespace; /* "namespace" in JSON; absent: default */
	struct record record;	 /* its fields stand beside name and namespace */
};
struct services_file {
	struct service *services;
	size_t service_count;
	struct prefix *ranges; /* offered to gateways */
	size_t range_count;
};
extern const struct json_field services_file_fields[];

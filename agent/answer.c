/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers, with libknot's reader and writer of DNS messages. Owns nothing. Any thread.
 */
#include "agent/answer.h"

#include <libknot/libknot.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lookup.h"

#define ADDITIONAL_MAX 16
#define SRV_WEIGHT 100
#define RECORD_HEAD (2 + 10U) /* a compressed name, type, class, TTL, length */

/* One answer being made. */
struct reply {
	struct answer_scratch *scratch;
	const struct answer_query *q;
	struct lookup at;
	const struct zone_version *zone; /* who speaks for it: the first of those that are asked */
	knot_pkt_t *pkt;
	uint16_t type;
	const uint8_t *name; /* as asked for, lower case */
};

/* ---- memory ---- */

static void *take(void *ctx, size_t len)
{
	struct answer_scratch *s = ctx;
	size_t at = (s->used + 15) & ~(size_t)15;

	if (len > sizeof(s->bytes) || at > sizeof(s->bytes) - len)
		return NULL;
	s->used = at + len;
	return s->bytes + at;
}

static void leave(void *p)
{
	(void)p;
}

/* ---- sets of records ---- */

/* Rdata one behind the other in the scratch. */
struct set {
	struct answer_scratch *scratch;
	int family; /* of addresses */
	knot_rdataset_t rrs;
};

static void set_begin(struct set *set, struct answer_scratch *s)
{
	s->used = (s->used + 15) & ~(size_t)15;
	*set = (struct set){ .scratch = s };
	set->rrs.rdata = (knot_rdata_t *)(void *)(s->bytes + s->used);
}

/* Where `len` bytes of rdata go; NULL: no room. */
static uint8_t *set_add(struct set *set, uint16_t len)
{
	size_t size = knot_rdata_size(len);
	struct answer_scratch *s = set->scratch;
	knot_rdata_t *r = (knot_rdata_t *)(void *)(s->bytes + s->used);

	if (size > sizeof(s->bytes) - s->used || set->rrs.count == UINT16_MAX)
		return NULL;
	s->used += size;
	set->rrs.size += (uint32_t)size;
	set->rrs.count++;
	r->len = len;
	r->data[len - (len > 0)] = 0;
	return r->data;
}

static void set_add_addresses(void *owner, const struct addr *list, size_t count)
{
	struct set *set = owner;
	uint16_t len = set->family == AF_INET ? 4 : 16;

	for (size_t i = 0; i < count; i++) {
		uint8_t *at = list[i].family == set->family ? set_add(set, len) : NULL;

		if (at)
			memcpy(at, list[i].bytes, len);
	}
}

/* Puts a set into the section that was begun last, the record `first` at its beginning. */
static int put_from(struct reply *r, const uint8_t *owner, uint16_t type, const struct set *set,
		    uint16_t first, uint16_t flags)
{
	union {
		const uint8_t *from;
		knot_dname_t *to;
	} u = { .from = owner };
	bool ours = owner == r->name;
	knot_rrset_t rr;

	knot_rrset_init(&rr, u.to, type, KNOT_CLASS_IN, ZONE_TTL);
	rr.rrs = set->rrs;
	return knot_pkt_put_rotate(r->pkt, ours ? KNOT_COMPR_HINT_QNAME : KNOT_COMPR_HINT_NONE, &rr,
				   first, flags);
}

static int put(struct reply *r, const uint8_t *owner, uint16_t type, const struct set *set,
	       uint16_t flags)
{
	uint16_t first = set->rrs.count > 1 ? (uint16_t)(r->q->rotate % set->rrs.count) : 0;

	return put_from(r, owner, type, set, first, flags);
}

static size_t room_left(const struct reply *r)
{
	return r->pkt->max_size - r->pkt->size - r->pkt->reserved;
}

/* As many records as there is room for, and TC when it is not all. */
static void trim(const struct reply *r, struct set *set)
{
	size_t room = room_left(r);
	knot_rdata_t *d = set->rrs.rdata;
	uint16_t n = 0;

	for (; n < set->rrs.count && RECORD_HEAD + d->len <= room; d = knot_rdataset_next(d), n++)
		room -= RECORD_HEAD + (size_t)d->len;
	if (n < set->rrs.count)
		knot_wire_set_tc(r->pkt->wire);
	set->rrs.count = n;
	set->rrs.size = (uint32_t)((uint8_t *)d - (uint8_t *)set->rrs.rdata);
}

static void put_addresses(struct reply *r, uint16_t type, struct set *set)
{
	size_t room = room_left(r) / (RECORD_HEAD + (type == KNOT_RRTYPE_A ? 4 : 16));

	/* Another part each time. */
	if (set->rrs.count > room)
		for (size_t n = r->q->rotate % (set->rrs.count - room + 1); n > 0; n--) {
			set->rrs.rdata = knot_rdataset_next(set->rrs.rdata);
			set->rrs.count--;
		}
	trim(r, set);
	if (set->rrs.count)
		put(r, r->name, type, set, 0);
}

/* Also the answer to what a name does not have. */
static void put_soa(struct reply *r)
{
	struct set set;
	uint8_t *at;

	set_begin(&set, r->scratch);
	at = set_add(&set, r->zone->soa_len);
	if (!at)
		return;
	memcpy(at, r->zone->soa, r->zone->soa_len);
	knot_pkt_begin(r->pkt, KNOT_AUTHORITY);
	put(r, r->at.apex, KNOT_RRTYPE_SOA, &set, KNOT_PF_SOAMINTTL);
}

/* ---- what a name has ---- */

static int rdata_order(const void *a, const void *b)
{
	const knot_rdata_t *x = a, *y = b;

	return memcmp(x->data, y->data, x->len);
}

/* Networks may say the same. All of a set have one length. */
static void make_unique(struct set *set)
{
	size_t size = set->rrs.count ? knot_rdata_size(set->rrs.rdata->len) : 0;
	uint8_t *first = (uint8_t *)set->rrs.rdata;
	uint16_t kept = 0;

	qsort(first, set->rrs.count, size, rdata_order);
	for (uint16_t i = 0; i < set->rrs.count; i++)
		if (!kept || memcmp(first + (kept - 1) * size, first + i * size, size) != 0)
			memmove(first + kept++ * size, first + i * size, size);
	set->rrs.count = kept;
	set->rrs.size = (uint32_t)(kept * size);
}

/* Addresses of the name, or of that host below it: false when there is no such host. */
static bool add_addresses(struct set *set, const struct lookup_entries *e, const uint8_t *host,
			  int family)
{
	bool any;

	set->family = family;
	any = lookup_addresses(e, host, set_add_addresses, set);
	if (e->count > 1)
		make_unique(set);
	return any;
}

/* What is asked for of the addresses that `add` collects. */
static void answer_addresses(struct reply *r, const struct lookup_entries *e,
			     const uint8_t *hostname)
{
	struct set set;

	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		uint16_t type = i ? KNOT_RRTYPE_AAAA : KNOT_RRTYPE_A;

		if (r->type != type && r->type != KNOT_RRTYPE_ANY)
			continue;
		set_begin(&set, r->scratch);
		add_addresses(&set, e, hostname, family);
		if (set.rrs.count) {
			put_addresses(r, type, &set);
			return;
		}
	}
	put_soa(r);
}

/* ---- SRV ---- */

/* The names that the targets of an answer have; each is followed by its addresses. */
struct targets {
	struct {
		const uint8_t *name;
		const struct addr *addresses; /* NULL: those of the entry */
		size_t count;
	} list[ADDITIONAL_MAX];
	size_t count;
};

static void add_target(struct targets *t, const uint8_t *name, const struct addr *addresses,
		       size_t count)
{
	if (t->count == ARRAY_SIZE(t->list))
		return;
	t->list[t->count].name = name;
	t->list[t->count].addresses = addresses;
	t->list[t->count++].count = count;
}

/* One SRV whose target is `hostname` before the service's name, or the service. Returns the target. */
static const uint8_t *add_srv(struct set *set, uint16_t port, const char *hostname,
			      const uint8_t *service)
{
	size_t host = hostname ? strlen(hostname) + 1 : 0, len = host + knot_dname_size(service);
	uint8_t *at = len <= ZONE_NAME_MAX ? set_add(set, (uint16_t)(6 + len)) : NULL;

	if (!at)
		return NULL;
	knot_wire_write_u16(at, 0);
	knot_wire_write_u16(at + 2, SRV_WEIGHT);
	knot_wire_write_u16(at + 4, port);
	at += 6;
	if (hostname) {
		*at = (uint8_t)(host - 1);
		memcpy(at + 1, hostname, host - 1);
	}
	memcpy(at + host, service, len - host);
	return at;
}

/* `hostname` NULL: whatever the target. */
static bool has_srv(const struct set *set, uint16_t port, const char *hostname)
{
	const knot_rdata_t *d = set->rrs.rdata;

	for (uint16_t i = 0; i < set->rrs.count; i++) {
		if (knot_wire_read_u16(d->data + 4) == port &&
		    (!hostname || lookup_is(d->data + 6, hostname)))
			return true;
		d = (const void *)((const uint8_t *)d + knot_rdata_size(d->len));
	}
	return false;
}

/* `unique`: other networks may have said the same. */
static void add_port(struct set *set, struct targets *targets, const struct zone_record *record,
		     uint16_t port, const uint8_t *service, bool unique)
{
	if (!lookup_is_headless(record)) {
		/* Two sites that share the name share the target, too. */
		if (has_srv(set, port, NULL))
			return;
		service = add_srv(set, port, NULL, service);
		if (service && !targets->count)
			add_target(targets, service, NULL, 0);
		return;
	}
	/* What no answer has room for is not looked for either: each is compared with those before it. */
	for (size_t i = 0; i < record->endpoint_count && set->rrs.size < ANSWER_TCP_MAX; i++) {
		const struct zone_endpoint *p = &record->endpoints[i];
		const uint8_t *target = unique && has_srv(set, port, p->hostname) ?
						NULL :
						add_srv(set, port, p->hostname, service);

		if (target)
			add_target(targets, target, p->addresses, p->address_count);
	}
}

static void put_targets(struct reply *r, const struct lookup_entries *e, const struct targets *t)
{
	static const struct {
		int family;
		uint16_t type;
	} kinds[] = { { AF_INET, KNOT_RRTYPE_A }, { AF_INET6, KNOT_RRTYPE_AAAA } };
	struct set set;

	knot_pkt_begin(r->pkt, KNOT_ADDITIONAL);
	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			set_begin(&set, r->scratch);
			set.family = kinds[k].family;
			if (t->list[i].addresses)
				set_add_addresses(&set, t->list[i].addresses, t->list[i].count);
			else
				add_addresses(&set, e, NULL, kinds[k].family);
			if (set.rrs.count)
				put(r, t->list[i].name, kinds[k].type, &set, KNOT_PF_NOTRUNC);
		}
}

/* Ports of the service with this protocol, and this name unless `port` is NULL. With `set` they are
 * added. Returns how many. */
static size_t ports_of(const struct reply *r, const struct lookup_entries *e, int protocol,
		       const uint8_t *port, struct set *set, struct targets *targets)
{
	size_t count = 0;

	for (size_t n = 0; n < e->count; n++)
		for (size_t i = 0; i < e->list[n]->used; i++) {
			const struct zone_record *record = e->list[n]->slots[i].record;

			for (size_t k = 0; k < record->port_count; k++) {
				if (!lookup_is_port(&record->ports[k], protocol, port))
					continue;
				count++;
				if (set)
					add_port(set, targets, record, record->ports[k].port,
						 r->at.label[2], n > 0);
			}
		}
	return count;
}

/* ---- the cases ---- */

static int no_such_name(struct reply *r)
{
	if (!r->at.complete) {
		knot_wire_clear_aa(r->pkt->wire);
		return KNOT_RCODE_SERVFAIL;
	}
	put_soa(r);
	return KNOT_RCODE_NXDOMAIN;
}

/* The zone itself. */
static void at_apex(struct reply *r)
{
	bool soa = r->type == KNOT_RRTYPE_SOA || r->type == KNOT_RRTYPE_ANY;
	const uint8_t *server = r->zone->server;
	const struct zone_entry *e;
	struct lookup_entries self = { .count = 1 };
	struct targets targets = { 0 };
	struct set set;
	uint8_t *at;

	if (!soa && r->type != KNOT_RRTYPE_NS) {
		put_soa(r);
		return;
	}
	set_begin(&set, r->scratch);
	at = set_add(&set, soa ? r->zone->soa_len : (uint16_t)knot_dname_size(server));
	if (!at)
		return;
	memcpy(at, soa ? r->zone->soa : server, soa ? r->zone->soa_len : knot_dname_size(server));
	put(r, r->name, soa ? KNOT_RRTYPE_SOA : KNOT_RRTYPE_NS, &set, 0);
	e = zone_find(r->zone, r->zone->node, strlen(r->zone->node));
	if (soa || !e || !e->used)
		return;
	self.list[0] = e;
	add_target(&targets, server, NULL, 0);
	put_targets(r, &self, &targets);
}

/* <hostname>.<service>.<namespace>, or _protocol before a service. */
static int below_service(struct reply *r)
{
	int protocol = lookup_protocol(r->at.label[0]);
	struct lookup_entries e;
	struct set none;

	if (!lookup_entries(&r->at, 1, &e))
		return no_such_name(r);
	set_begin(&none, r->scratch);
	if (protocol >= 0 && ports_of(r, &e, protocol, NULL, NULL, NULL))
		put_soa(r);
	else if (add_addresses(&none, &e, r->at.label[0], AF_UNSPEC))
		answer_addresses(r, &e, r->at.label[0]);
	else
		return no_such_name(r);
	return KNOT_RCODE_NOERROR;
}

/* _port._protocol.<service>.<namespace> */
static int service_port(struct reply *r)
{
	int protocol = lookup_protocol(r->at.label[1]);
	struct targets targets = { 0 };
	struct lookup_entries e;
	struct set set;

	if (protocol < 0 || !lookup_entries(&r->at, 2, &e) ||
	    !ports_of(r, &e, protocol, r->at.label[0], NULL, NULL))
		return no_such_name(r);
	if (r->type != KNOT_RRTYPE_SRV && r->type != KNOT_RRTYPE_ANY) {
		put_soa(r);
		return KNOT_RCODE_NOERROR;
	}
	set_begin(&set, r->scratch);
	ports_of(r, &e, protocol, r->at.label[0], &set, &targets);
	if (r->q->tcp)
		trim(r, &set);
	if (!set.rrs.count)
		put_soa(r); /* headless, and nobody is ready */
	else if (put(r, r->name, KNOT_RRTYPE_SRV, &set, 0) == KNOT_EOK)
		put_targets(r, &e, &targets);
	return KNOT_RCODE_NOERROR;
}

/* Always in the same order: who takes the first takes the node's name. */
static int names_of_address(struct reply *r)
{
	struct lookup_name names[LOOKUP_NAMES_MAX];
	size_t count = lookup_names(&r->at, names);
	uint8_t wire[ZONE_NAME_MAX];
	struct set set;

	if (!count)
		return no_such_name(r);
	if (r->type != KNOT_RRTYPE_PTR && r->type != KNOT_RRTYPE_ANY) {
		put_soa(r);
		return KNOT_RCODE_NOERROR;
	}
	set_begin(&set, r->scratch);
	for (size_t i = 0; i < count; i++) {
		size_t len = lookup_name_wire(&names[i], wire);
		uint8_t *at = set_add(&set, (uint16_t)len);

		if (at)
			memcpy(at, wire, len);
	}
	put_from(r, r->name, KNOT_RRTYPE_PTR, &set, 0, 0);
	return KNOT_RCODE_NOERROR;
}

static int below(struct reply *r)
{
	struct lookup_entries e;

	if (r->at.kind == LOOKUP_REVERSE)
		return names_of_address(r);
	switch (r->at.own) {
	case 1:
	case 2:
		if (!lookup_entries(&r->at, 0, &e))
			return no_such_name(r);
		answer_addresses(r, &e, NULL);
		return KNOT_RCODE_NOERROR;
	case 3:
		return below_service(r);
	case 4:
		return service_port(r);
	default:
		return no_such_name(r);
	}
}

static int in_zone(struct reply *r)
{
	knot_wire_set_aa(r->pkt->wire);
	knot_pkt_begin(r->pkt, KNOT_ANSWER);
	switch (r->at.place) {
	case LOOKUP_APEX:
		at_apex(r);
		return KNOT_RCODE_NOERROR;
	case LOOKUP_BETWEEN:
		put_soa(r);
		return KNOT_RCODE_NOERROR;
	case LOOKUP_BELOW:
		return below(r);
	default:
		return no_such_name(r);
	}
}

/* Only for askers that may ask here, and only what this node answers for. */
static int respond(struct reply *r, const struct zone_table *t)
{
	if (!r->q->allowed || knot_pkt_qclass(r->pkt) != KNOT_CLASS_IN ||
	    r->type == KNOT_RRTYPE_AXFR || r->type == KNOT_RRTYPE_IXFR)
		return KNOT_RCODE_REFUSED;
	lookup_begin(&r->at, t, r->q->network, r->name);
	if (r->at.kind == LOOKUP_NONE)
		return KNOT_RCODE_REFUSED;
	r->zone = r->at.zones[0];
	return in_zone(r);
}

/* An answer of a header alone. */
static size_t header_only(const uint8_t *query, uint8_t *out, int rcode)
{
	memset(out, 0, KNOT_WIRE_HEADER_SIZE);
	knot_wire_set_id(out, knot_wire_get_id(query));
	knot_wire_set_qr(out);
	knot_wire_set_opcode(out, knot_wire_get_opcode(query));
	knot_wire_set_rcode(out, (short)rcode);
	return KNOT_WIRE_HEADER_SIZE;
}

/* An OPT, perhaps a TSIG; what an IXFR has in its authority section. */
static bool has_good_counts(const uint8_t *query)
{
	return knot_wire_get_qdcount(query) == 1 && knot_wire_get_ancount(query) == 0 &&
	       knot_wire_get_nscount(query) <= 1 && knot_wire_get_arcount(query) <= 2;
}

static size_t room_of(const struct answer_query *q, const knot_pkt_t *query, size_t size)
{
	size_t takes = KNOT_WIRE_MIN_PKTSIZE;

	if (q->tcp)
		return MIN(size, (size_t)ANSWER_TCP_MAX);
	if (knot_pkt_has_edns(query))
		takes = MAX(takes, (size_t)knot_edns_get_payload(query->opt_rr));
	return MIN(MIN(takes, size), (size_t)ANSWER_UDP_MAX);
}

/* A message that was parsed. */
static size_t respond_to(struct reply *r, const struct zone_table *t, const knot_pkt_t *query,
			 knot_mm_t *mm)
{
	bool edns = knot_pkt_has_edns(query);
	int rcode = KNOT_RCODE_NOERROR;
	knot_rrset_t opt;

	if (edns) {
		if (knot_edns_init(&opt, ANSWER_UDP_MAX, 0, KNOT_EDNS_VERSION, mm) != KNOT_EOK)
			return 0;
		if (knot_edns_get_version(query->opt_rr) != KNOT_EDNS_VERSION) {
			rcode = KNOT_RCODE_BADVERS;
			knot_edns_set_ext_rcode(&opt, KNOT_EDNS_RCODE_HI(KNOT_RCODE_BADVERS));
		}
		knot_pkt_reserve(r->pkt, (uint16_t)knot_edns_wire_size(&opt));
	}
	if (rcode == KNOT_RCODE_NOERROR)
		rcode = respond(r, t);
	knot_wire_set_rcode(r->pkt->wire, (short)KNOT_EDNS_RCODE_LO(rcode));
	if (edns) {
		knot_pkt_begin(r->pkt, KNOT_ADDITIONAL);
		knot_pkt_reclaim(r->pkt, (uint16_t)knot_edns_wire_size(&opt));
		if (knot_pkt_put(r->pkt, KNOT_COMPR_HINT_NONE, &opt, 0) != KNOT_EOK)
			return 0;
	}
	return r->pkt->size;
}

size_t answer(struct answer_scratch *s, const struct zone_table *t, const struct answer_query *q,
	      uint8_t *out, size_t size)
{
	knot_mm_t mm = { .ctx = s, .alloc = take, .free = leave };
	struct reply r = { .scratch = s, .q = q };
	knot_pkt_t *query;

	s->used = 0;
	if (q->len < KNOT_WIRE_HEADER_SIZE || q->len > ANSWER_QUERY_MAX ||
	    size < KNOT_WIRE_MIN_PKTSIZE || knot_wire_get_qr(q->bytes))
		return 0;
	if (knot_wire_get_opcode(q->bytes) != KNOT_OPCODE_QUERY)
		return header_only(q->bytes, out, KNOT_RCODE_NOTIMPL);
	query = has_good_counts(q->bytes) ? knot_pkt_new(q->bytes, (uint16_t)q->len, &mm) : NULL;
	if (!query || knot_pkt_parse(query, KNOT_PF_KEEPWIRE | KNOT_PF_NOCANON) != KNOT_EOK)
		return header_only(q->bytes, out, KNOT_RCODE_FORMERR);
	r.pkt = knot_pkt_new(out, (uint16_t)room_of(q, query, size), &mm);
	if (!r.pkt || knot_pkt_init_response(r.pkt, query) != KNOT_EOK)
		return 0;
	r.name = knot_pkt_qname(r.pkt);
	r.type = knot_pkt_qtype(r.pkt);
	return respond_to(&r, t, query, &mm);
}

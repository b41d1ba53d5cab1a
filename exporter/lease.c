/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who leads. Owns nothing; one thread.
 */
#include "exporter/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/json.h"

/* ---- what to do ---- */

#define SECONDS_MAX 60 /* of others' records */

static bool is_ours(const struct lease *l)
{
	return strcmp(l->record.holder, l->self) == 0;
}

static bool is_there(const struct lease *l)
{
	return *l->record.version != '\0';
}

/* When it may be taken that is not ours now. */
static uint64_t free_at(const struct lease *l)
{
	uint64_t seconds = l->record.seconds ? l->record.seconds : LEASE_DURATION_SECONDS;

	if (!is_there(l))
		return l->deleted ? l->changed + LEASE_DURATION : 0;
	if (!*l->record.holder || is_ours(l))
		return 0;
	return l->changed + MIN(seconds, (uint64_t)SECONDS_MAX) * USEC_PER_SEC;
}

enum lease_step lease_next(const struct lease *l, uint64_t now, uint64_t *ret_due)
{
	uint64_t end = l->leads ? l->renewed + LEASE_DEADLINE : CLOCK_NEVER, next;

	*ret_due = end;
	if (l->overtaken || now >= end)
		return LEASE_END;
	if (l->asks || (!l->known && !l->look))
		return LEASE_WAIT;
	next = l->look ? 0 : l->leads ? l->renewed + LEASE_RENEW : free_at(l);
	next = MAX(next, l->not_before);
	if (now < next) {
		*ret_due = MIN(end, next);
		return LEASE_WAIT;
	}
	return l->look ? LEASE_LOOK : is_there(l) ? LEASE_TAKE : LEASE_CREATE;
}

static void take_record(struct lease *l, uint64_t now, const struct lease_record *r)
{
	if (l->known && strcmp(l->record.version, r->version) == 0)
		return;
	l->deleted = l->known && !*r->version;
	l->known = true;
	l->record = *r;
	l->changed = now;
}

void lease_seen(struct lease *l, uint64_t now, const struct lease_record *r)
{
	/* What is told late must not look as if another had taken it. */
	if (l->leads && strcmp(r->holder, l->self) != 0)
		l->look = true;
	else
		take_record(l, now, r);
}

void lease_sent(struct lease *l, uint64_t now, enum lease_step step)
{
	l->asks = true;
	l->asked = step;
	l->sent = now;
}

static void looked(struct lease *l, uint64_t now, const struct lease_record *r)
{
	l->look = false;
	take_record(l, now, r);
	l->overtaken |= l->leads && !is_ours(l);
}

void lease_answered(struct lease *l, uint64_t now, int status, const struct lease_record *r)
{
	static const struct lease_record none;

	l->asks = false;
	l->not_before = 0;
	if (status == 404 && l->asked != LEASE_CREATE) {
		looked(l, now, &none);
	} else if (status != 200 && status != 201) {
		l->look |= status == 409;
		l->not_before = status == 409 ? 0 : now + LEASE_AGAIN;
	} else if (l->asked == LEASE_LOOK) {
		looked(l, now, r);
	} else {
		take_record(l, now, r);
		l->renewed = l->sent;
		l->leads |= now < l->sent + LEASE_DEADLINE;
	}
}

/* ---- the object ---- */

struct spec {
	char *holder;
	uint64_t seconds;
	char *acquired, *renewed;
	uint64_t transitions;
};

struct object {
	char *api, *kind;
	struct kube_metadata metadata;
	struct spec spec;
};

#define SPEC(name_, member, kind_, ...)                                                            \
	{                                                                                          \
		.name = name_, .kind = kind_, .offset = offsetof(struct spec, member),             \
		.optional = true, .nullable = true, __VA_ARGS__                                    \
	}

static const struct json_field spec_fields[] = {
	SPEC("holderIdentity", holder, JSON_STRING, .max = LEASE_HOLDER_SIZE - 1),
	SPEC("leaseDurationSeconds", seconds, JSON_U64),
	SPEC("acquireTime", acquired, JSON_STRING, .max = 39),
	SPEC("renewTime", renewed, JSON_STRING, .max = 39),
	SPEC("leaseTransitions", transitions, JSON_U64),
	JSON_END,
};

static const struct json_field object_fields[] = {
	KUBE_HEAD(struct object),
	JSON_FIELD(struct object, spec, JSON_OBJECT, .fields = spec_fields),
	JSON_END,
};

int lease_decode(const char *text, size_t len, struct lease_record *ret,
		 char ret_name[static LEASE_HOLDER_SIZE])
{
	struct arena a = { 0 };
	struct object o = { 0 };
	struct json_error err;
	int r = json_decode(&a, text, len, object_fields, &o, &err);

	*ret = (struct lease_record){ 0 };
	if (r == 0 && (!o.metadata.version || !*o.metadata.version))
		r = -EBADMSG;
	if (r == 0) {
		snprintf(ret_name, LEASE_HOLDER_SIZE, "%s", o.metadata.name);
		snprintf(ret->version, sizeof(ret->version), "%s", o.metadata.version);
		snprintf(ret->holder, sizeof(ret->holder), "%s",
			 o.spec.holder ? o.spec.holder : "");
		snprintf(ret->acquired, sizeof(ret->acquired), "%s",
			 o.spec.acquired ? o.spec.acquired : "");
		ret->seconds = o.spec.seconds;
		ret->transitions = o.spec.transitions;
	}
	arena_done(&a);
	return r < 0 ? -EBADMSG : 0;
}

static void micro_time(int64_t usec, char ret[static 40])
{
	time_t seconds = usec / (int64_t)USEC_PER_SEC;
	char text[24] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, 40, "%s.%06dZ", text, (int)(usec % (int64_t)USEC_PER_SEC));
}

void lease_encode(struct buf *out, const char *space, const char *name, const char *holder,
		  const struct lease_record *r, int64_t wall_usec)
{
	char renewed[40], acquired[40], own_name[LEASE_HOLDER_SIZE], own_space[LEASE_HOLDER_SIZE],
		own_holder[LEASE_HOLDER_SIZE], version[KUBE_VERSION_SIZE];
	bool anew = *holder && strcmp(holder, r->holder) != 0;
	struct object o = {
		.api = (char[]){ "coordination.k8s.io/v1" },
		.kind = (char[]){ "Lease" },
		.metadata = { .name = own_name,
			      .space = own_space,
			      .version = *r->version ? version : NULL },
		.spec = { own_holder, LEASE_DURATION_SECONDS, acquired, renewed,
			  r->transitions + (anew && *r->version) },
	};

	micro_time(wall_usec, renewed);
	snprintf(acquired, sizeof(acquired), "%s", anew || !*r->acquired ? renewed : r->acquired);
	snprintf(own_name, sizeof(own_name), "%s", name);
	snprintf(own_space, sizeof(own_space), "%s", space);
	snprintf(own_holder, sizeof(own_holder), "%s", holder);
	snprintf(version, sizeof(version), "%s", r->version);
	json_encode(out, object_fields, &o);
}

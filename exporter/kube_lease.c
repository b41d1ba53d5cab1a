/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Lease asked for: requests and the watch. Owns both. One thread.
 */
#include "exporter/kube_lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exporter/kube_watch.h"
#include "exporter/lease.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

#define TIMEOUT_MS 3000
#define RELEASE_USEC (2 * USEC_PER_SEC)

struct kube_lease {
	struct kube_lease_config c;
	struct lease lease;
	char *folder, *path; /* of the Leases, and of ours */
	char *fields;	     /* which select ours */
	struct kube_watch *watch;
	struct kube_call *call;
	struct loop_timer timer;
	bool listed_ours; /* in this listing */
	bool ended;
	char trouble[KUBE_WHY_SIZE];
};

/* ---- what is said ---- */

static void say(struct kube_lease *l, const char *sentence)
{
	if (strcmp(l->trouble, sentence) == 0)
		return;
	snprintf(l->trouble, sizeof(l->trouble), "%s", sentence);
	l->c.trouble(l->c.owner, *sentence ? sentence : NULL);
}

static void say_status(struct kube_lease *l, int status, const char *text, size_t len)
{
	static const char *const verbs[] = {
		[LEASE_CREATE] = "create", [LEASE_TAKE] = "update", [LEASE_LOOK] = "get"
	};
	const char *space = kube_api_namespace(l->c.api);
	char sentence[KUBE_WHY_SIZE];
	struct kube_status st = { 0 };

	if (status >= 0)
		kube_status_read(text, len, &st);
	if (status < 0) {
		snprintf(sentence, sizeof(sentence), "the lease %s: %.*s", l->c.name, (int)len,
			 text);
	} else if (status == 403) {
		snprintf(sentence, sizeof(sentence),
			 "may not %s leases in namespace %s (%.120s); add to the rules of our Role "
			 "there: {apiGroups: [coordination.k8s.io], resources: [leases], verbs: "
			 "[create, get, update, list, watch]}",
			 verbs[l->lease.asked], space, st.message);
	} else {
		snprintf(sentence, sizeof(sentence),
			 "cannot %s the lease %s in namespace %s: %d %s", verbs[l->lease.asked],
			 l->c.name, space, status, st.message);
	}
	say(l, sentence);
}

/* ---- requests ---- */

static void look_again(struct kube_lease *l)
{
	loop_timer_set(l->c.loop, &l->timer, loop_now(l->c.loop));
}

static void done(void *owner, int status, const char *text, size_t len)
{
	struct kube_lease *l = owner;
	bool led = l->lease.leads, good = status == 200 || status == 201;
	struct lease_record r = { 0 };
	static const char odd[] = "it is not one that can be read; delete it";
	char name[LEASE_HOLDER_SIZE];

	l->call = NULL;
	if (good && lease_decode(text, len, &r, name) < 0) {
		status = -EBADMSG;
		text = odd;
		len = strlen(odd);
	}
	/* One that is not there is no trouble; a namespace that is not there is. */
	if (status == 200 || status == 201 || (status == 404 && l->lease.asked != LEASE_CREATE))
		say(l, "");
	else if (status != 409)
		say_status(l, status, text, len);
	lease_answered(&l->lease, loop_now(l->c.loop), status, &r);
	look_again(l);
	if (!led && l->lease.leads && !l->ended)
		l->c.led(l->c.owner);
}

static int64_t wall_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * (int64_t)USEC_PER_SEC + ts.tv_nsec / 1000;
}

static void ask(struct kube_lease *l, enum lease_step step, const char *holder)
{
	static const char *const methods[] = {
		[LEASE_CREATE] = "POST", [LEASE_TAKE] = "PUT", [LEASE_LOOK] = "GET"
	};
	struct buf body = { 0 };

	if (step != LEASE_LOOK)
		lease_encode(&body, kube_api_namespace(l->c.api), l->c.name, holder,
			     &l->lease.record, wall_usec());
	lease_sent(&l->lease, loop_now(l->c.loop), step);
	l->call =
		kube_api_call(l->c.api, &(struct kube_request){
						.method = methods[step],
						.path = step == LEASE_CREATE ? l->folder : l->path,
						.body = body.len ? buf_cstr(&body) : NULL,
						.timeout_ms = TIMEOUT_MS,
						.done = done,
						.owner = l,
					});
	buf_done(&body);
}

static void fired(struct loop_timer *t)
{
	struct kube_lease *l = container_of(t, struct kube_lease, timer);
	uint64_t due, now = loop_now(l->c.loop);
	enum lease_step step = lease_next(&l->lease, now, &due);

	if (l->ended)
		return;
	if (step == LEASE_END) {
		l->ended = true;
		kube_call_cancel(TAKE(l->call));
		l->c.lost(l->c.owner);
		return;
	}
	if (step != LEASE_WAIT) {
		ask(l, step, l->lease.self);
		(void)lease_next(&l->lease, now, &due);
	}
	loop_timer_set(l->c.loop, t, due);
}

/* ---- the watch ---- */

static bool is_ours(const struct kube_lease *l, const char *object, size_t len,
		    struct lease_record *ret)
{
	char name[LEASE_HOLDER_SIZE];

	return lease_decode(object, len, ret, name) == 0 && strcmp(name, l->c.name) == 0;
}

static void begin(void *owner)
{
	struct kube_lease *l = owner;

	l->listed_ours = false;
}

static void put(void *owner, const char *object, size_t len)
{
	struct kube_lease *l = owner;
	struct lease_record r;

	if (!is_ours(l, object, len, &r))
		return;
	l->listed_ours = true;
	lease_seen(&l->lease, loop_now(l->c.loop), &r);
	look_again(l);
}

static void gone(struct kube_lease *l)
{
	static const struct lease_record none;

	lease_seen(&l->lease, loop_now(l->c.loop), &none);
	look_again(l);
}

static void del(void *owner, const char *object, size_t len)
{
	struct kube_lease *l = owner;
	struct lease_record r;

	if (is_ours(l, object, len, &r))
		gone(l);
}

static void end(void *owner)
{
	struct kube_lease *l = owner;

	if (!l->listed_ours)
		gone(l);
}

static void trouble(void *owner, const char *sentence)
{
	say(owner, sentence ? sentence : "");
}

static const struct kube_watch_events events = {
	.begin = begin, .put = put, .del = del, .end = end, .trouble = trouble
};

/* ---- life ---- */

/* Not the name of the pod alone: a container that is started again has it too. */
static void name_self(struct kube_lease *l)
{
	char host[128] = "exporter", hex[17];
	uint8_t random[8];

	(void)gethostname(host, sizeof(host) - 1);
	crypto_random(random, sizeof(random));
	hex_encode(random, sizeof(random), hex);
	snprintf(l->lease.self, sizeof(l->lease.self), "%s_%s", host, hex);
}

struct kube_lease *kube_lease_new(const struct kube_lease_config *c)
{
	struct kube_lease *l = xcalloc(1, sizeof(*l));

	l->c = *c;
	l->timer.fired = fired;
	name_self(l);
	l->folder = xasprintf("/apis/coordination.k8s.io/v1/namespaces/%s/leases",
			      kube_api_namespace(c->api));
	l->path = xasprintf("%s/%s", l->folder, c->name);
	/* So that a rule which names the Lease is enough. */
	l->fields = xasprintf("metadata.name=%s", c->name);
	l->watch = kube_watch_new(&(struct kube_watch_config){ .loop = c->loop,
							       .api = c->api,
							       .path = l->folder,
							       .fields = l->fields,
							       .kind = "Lease",
							       .events = &events,
							       .owner = l });
	return l;
}

void kube_lease_free(struct kube_lease *l)
{
	if (!l)
		return;
	kube_watch_free(l->watch);
	kube_call_cancel(l->call);
	loop_timer_del(l->c.loop, &l->timer);
	free(l->folder);
	free(l->path);
	free(l->fields);
	free(l);
}

bool kube_lease_leads(const struct kube_lease *l)
{
	return l && l->lease.leads && !l->ended;
}

const char *kube_lease_holder(const struct kube_lease *l)
{
	return l->lease.record.holder;
}

void kube_lease_release(struct kube_lease *l)
{
	uint64_t end = clock_mono() + RELEASE_USEC;

	if (!kube_lease_leads(l))
		return;
	l->ended = true;
	/* One that is under way has another version: what it does is waited for. */
	while (l->call && clock_mono() < end)
		loop_turn(l->c.loop, 50 * USEC_PER_MSEC);
	kube_call_cancel(TAKE(l->call));
	ask(l, LEASE_TAKE, "");
	while (l->call && clock_mono() < end)
		loop_turn(l->c.loop, 50 * USEC_PER_MSEC);
}

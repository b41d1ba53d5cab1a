/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state machine of one followed resource. Pure. */
#include "exporter/kube_reflector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/http.h"

#define DELAY_MIN (800 * USEC_PER_MSEC)
#define DELAY_MAX (30 * USEC_PER_SEC)
#define DELAY_AGAIN (180 * USEC_PER_SEC) /* of what we may not read, and half of it more */
#define REFUSALS 6 /* then only every few minutes: a server knows its roles after half a minute */
#define DELAY_SERVER (300 * USEC_PER_SEC) /* the most that a server may tell us to wait */
#define GOOD (120 * USEC_PER_SEC)
#define SHORT USEC_PER_SEC /* a watch that ends sooner without an event has not ended well */
#define PAGES_MAX 1000	   /* of a listing: half a million objects */
#define WATCH_MIN 300
#define WATCH_MAX 600

/* splitmix64 (Steele, Lea, Flood, 2014). */
static uint64_t below(struct kube_reflector *r, uint64_t n)
{
	uint64_t z = r->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % n;
}

static void copy(char *ret, size_t size, const char *s)
{
	snprintf(ret, size, "%s", s);
}

static void relist(struct kube_reflector *r)
{
	r->watching = false;
	r->broken = r->pages = 0;
	r->version[0] = r->next[0] = '\0';
}

/* ---- sentences ---- */

struct resource {
	const char *group, *name, *namespace_;
	int group_len, namespace_len;
};

/* /api/v1/NAME, /apis/GROUP/VERSION/NAME, both also with namespaces/NAMESPACE/ before NAME. */
static struct resource resource_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *in = strstr(path, "/namespaces/");
	struct resource ret = { .group = "", .name = slash ? slash + 1 : path, .namespace_ = "" };

	if (strncmp(path, "/apis/", 6) == 0) {
		ret.group = path + 6;
		ret.group_len = (int)strcspn(ret.group, "/");
	}
	if (in) {
		ret.namespace_ = in + strlen("/namespaces/");
		ret.namespace_len = (int)strcspn(ret.namespace_, "/");
	}
	return ret;
}

static void say_forbidden(struct kube_reflector *r, const struct kube_end *e)
{
	struct resource x = resource_of(r->path);
	bool in = x.namespace_len > 0;

	snprintf(r->trouble, sizeof(r->trouble),
		 "we may not %s %s (%.120s); add to the rules of our %s%.*s: {apiGroups: "
		 "[\"%.*s\"], resources: [%.60s], verbs: [list, watch]}",
		 r->watching ? "watch" : "list", x.name, e->text,
		 in ? "Role in namespace " : "ClusterRole", x.namespace_len, x.namespace_,
		 x.group_len, x.group, x.name);
}

static void say_missing(struct kube_reflector *r)
{
	struct resource x = resource_of(r->path);

	snprintf(r->trouble, sizeof(r->trouble),
		 "the API server has no %s of the group \"%.*s\" at %.100s", x.name, x.group_len,
		 x.group, r->path);
}

static void say_failed(struct kube_reflector *r, const struct kube_end *e)
{
	const char *verb = r->watching ? "watching" : "listing", *name = resource_of(r->path).name;

	if (e->status == 401)
		snprintf(r->trouble, sizeof(r->trouble),
			 "%s %.60s: the API server does not accept our credentials (401): %.200s",
			 verb, name, e->text);
	else if (e->status == 200)
		snprintf(r->trouble, sizeof(r->trouble), "%s %.60s: the API server ends it at once",
			 verb, name);
	else if (e->status > 0)
		snprintf(r->trouble, sizeof(r->trouble),
			 "%s %.60s: the API server answers %d: %.200s", verb, name, e->status,
			 e->text);
	else
		snprintf(r->trouble, sizeof(r->trouble), "%s %.60s: %.300s", verb, name, e->text);
}

/* ---- what follows from an end ---- */

/* Waits, longer each time. */
static void back_off(struct kube_reflector *r, uint64_t now, const struct kube_end *e)
{
	uint64_t told = (uint64_t)(e->retry_after_ms > 0 ? e->retry_after_ms : 0) * USEC_PER_MSEC;
	uint64_t wait;

	if (!r->delay || (r->good_since && now - r->good_since >= GOOD))
		r->delay = DELAY_MIN;
	wait = r->delay / 2 + below(r, r->delay / 2);
	r->delay = MIN(2 * r->delay, DELAY_MAX);
	r->good_since = 0;
	r->due = now + MAX(wait, MIN(told, DELAY_SERVER));
}

/* At once, unless what was asked brought an event and ended right after it: a server may do that for ever. */
static uint64_t without_hurry(const struct kube_reflector *r, uint64_t now)
{
	return r->heard ? MAX(now, r->asked + SHORT) : now;
}

static bool is_expired(const struct kube_end *e)
{
	/* A server that was set back, or another one: our version is of its future. */
	return e->status == 410 || (e->status == 504 && strstr(e->text, "resource version"));
}

static void end_expired(struct kube_reflector *r, uint64_t now, const struct kube_end *e)
{
	r->unpaged = !r->watching;
	relist(r);
	r->due = without_hurry(r, now);
	/* Once is what happens; a server that always says so is not asked without a pause. */
	if (r->expired++ > 0) {
		say_failed(r, e);
		back_off(r, now, e);
		r->doubted = true;
	}
}

static bool end_refused(struct kube_reflector *r, uint64_t now, const struct kube_end *e)
{
	if (r->optional)
		r->trouble[0] = '\0';
	else if (e->status == 403)
		say_forbidden(r, e);
	else
		say_missing(r);
	relist(r);
	back_off(r, now, e);
	if (r->refused < REFUSALS)
		r->refused++;
	if (r->refused == REFUSALS)
		r->due = now + DELAY_AGAIN + below(r, DELAY_AGAIN / 2);
	return r->optional && (!r->listed || r->refused == REFUSALS);
}

static void end_failed(struct kube_reflector *r, uint64_t now, const struct kube_end *e)
{
	/* A watch in which nothing came is no trouble by itself: older servers give no bookmarks of what
	 * did not change since they began. If nobody is there any more, the next request says so. */
	if (!r->watching || !r->opened || e->status != -ETIMEDOUT)
		say_failed(r, e);
	/* A server that does not answer, or was cut off, is asked for the rest when it comes back; one
	 * that answers but gives no events may never give any from this version on. */
	if (e->status > 0 || e->status == -EBADMSG || e->status == -EFBIG ||
	    (r->opened && e->status == -ETIMEDOUT)) {
		r->broken++;
		r->doubted |= e->status != -ETIMEDOUT;
	}
	if (!r->watching || r->broken >= 2)
		relist(r);
	back_off(r, now, e);
}

void kube_reflector_init(struct kube_reflector *r, const char *path, const char *selector,
			 bool optional, uint64_t seed)
{
	*r = (struct kube_reflector){
		.path = path, .selector = selector, .optional = optional, .seed = seed
	};
}

void kube_reflector_ask(struct kube_reflector *r, uint64_t now, struct buf *ret_path)
{
	buf_str(ret_path, r->path);
	if (r->watching) {
		buf_printf(ret_path,
			   "?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=",
			   WATCH_MIN + (unsigned)below(r, WATCH_MAX - WATCH_MIN + 1));
		http_escape(ret_path, r->version);
	} else {
		/* The limit 0 is none. */
		buf_printf(ret_path, "?limit=%d", r->unpaged ? 0 : KUBE_PAGE);
		if (*r->next)
			buf_str(ret_path, "&continue=");
		http_escape(ret_path, r->next);
	}
	if (r->selector) {
		buf_str(ret_path, "&labelSelector=");
		http_escape(ret_path, r->selector);
	}
	if (r->fields) {
		buf_str(ret_path, "&fieldSelector=");
		http_escape(ret_path, r->fields);
	}
	r->asked = now;
	r->heard = r->opened = false;
	r->due = CLOCK_NEVER;
}

bool kube_reflector_begins(const struct kube_reflector *r)
{
	return !r->watching && !*r->next;
}

void kube_reflector_opened(struct kube_reflector *r, uint64_t now)
{
	r->opened = true;
	if (!r->watching)
		return;
	if (!r->doubted)
		r->trouble[0] = '\0';
	if (!r->good_since)
		r->good_since = now;
}

bool kube_reflector_page(struct kube_reflector *r, uint64_t now, const char *version,
			 const char *next)
{
	/* The server says where it goes on: the same place again, or always another, is a loop. */
	if (*next && (++r->pages == PAGES_MAX || strcmp(next, r->next) == 0)) {
		end_failed(r, now,
			   &(struct kube_end){ .status = -EBADMSG, .text = "the list has no end" });
		return false;
	}
	r->due = now;
	copy(r->next, sizeof(r->next), next);
	if (*next)
		return false;
	r->pages = 0;
	copy(r->version, sizeof(r->version), version);
	r->unpaged = false;
	r->listed = true;
	r->refused = 0;
	r->watching = true;
	return true;
}

void kube_reflector_event(struct kube_reflector *r, const char *version)
{
	copy(r->version, sizeof(r->version), version);
	r->heard = true;
	r->trouble[0] = '\0';
	r->broken = r->expired = 0;
	r->doubted = false;
}

bool kube_reflector_ended(struct kube_reflector *r, uint64_t now, const struct kube_end *e)
{
	if (e->status == 200 && r->watching && (r->heard || now - r->asked >= SHORT)) {
		r->due = without_hurry(r, now);
	} else if (is_expired(e)) {
		end_expired(r, now, e);
	} else if (e->status == 403 || e->status == 404) {
		return end_refused(r, now, e);
	} else {
		end_failed(r, now, e);
	}
	return false;
}

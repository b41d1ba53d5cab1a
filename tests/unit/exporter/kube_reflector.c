/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "exporter/kube_reflector.h"
#include "lib/clock.h"
#include "tests/test.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC
#define START (1000 * SEC)

static uint64_t now = START;

/* What it asks when it is due. */
static const char *ask(struct kube_reflector *r)
{
	static char text[8192];
	struct buf path = { 0 };

	CHECK(r->due != CLOCK_NEVER);
	if (r->due > now)
		now = r->due;
	kube_reflector_ask(r, now, &path);
	CHECK(r->due == CLOCK_NEVER);
	snprintf(text, sizeof(text), "%s", buf_cstr(&path));
	buf_done(&path);
	return text;
}

static bool end(struct kube_reflector *r, int status)
{
	const struct kube_end e = { .status = status, .text = "why" };

	return kube_reflector_ended(r, now, &e);
}

static void init(struct kube_reflector *r, bool optional)
{
	kube_reflector_init(r, "/api/v1/services", NULL, optional, 42);
}

/* Listed, and the watch stands. */
static void up(struct kube_reflector *r, const char *version)
{
	ask(r);
	kube_reflector_opened(r, now);
	CHECK(kube_reflector_page(r, now, version, ""));
	ask(r);
	kube_reflector_opened(r, now);
	CHECK(!*r->trouble);
}

static uint64_t wait_of(const struct kube_reflector *r)
{
	return r->due - now;
}

TEST(asks_for_one_by_its_fields)
{
	struct kube_reflector r;

	kube_reflector_init(&r, "/x/leases", NULL, false, 1);
	r.fields = "metadata.name=a";
	CHECK_STR(ask(&r), "/x/leases?limit=500&fieldSelector=metadata.name%3Da");
	CHECK(kube_reflector_page(&r, now, "5", ""));
	CHECK(strstr(ask(&r), "&resourceVersion=5&fieldSelector=metadata.name%3Da"));
}

TEST(asks_for_pages_then_watches)
{
	struct kube_reflector r;

	kube_reflector_init(&r, "/api/v1/services", "a in (b)", false, 1);
	CHECK_STR(ask(&r), "/api/v1/services?limit=500&labelSelector=a%20in%20%28b%29");
	CHECK(kube_reflector_begins(&r));
	kube_reflector_opened(&r, now);
	CHECK(!kube_reflector_page(&r, now, "5", "x/=="));
	CHECK_INT(r.due, now);
	CHECK_STR(ask(&r),
		  "/api/v1/services?limit=500&continue=x%2F%3D%3D&labelSelector=a%20in%20%28b%29");
	CHECK(!kube_reflector_begins(&r));
	CHECK(kube_reflector_page(&r, now, "5&6", ""));
	CHECK_INT(r.due, now);
	CHECK(strstr(ask(&r), "&resourceVersion=5%266&labelSelector"));
	CHECK(r.watching && !kube_reflector_begins(&r));
	kube_reflector_opened(&r, now);
}

TEST(timeouts_of_watches_differ)
{
	struct kube_reflector r;
	unsigned min = 10000, max = 0;

	init(&r, false);
	up(&r, "1");
	for (unsigned i = 0; i < 500; i++) {
		const char *at;
		unsigned n;

		kube_reflector_event(&r, "2");
		end(&r, 200);
		at = strstr(ask(&r), "timeoutSeconds=");
		CHECK(at);
		n = (unsigned)atoi(at + 15);
		min = n < min ? n : min;
		max = n > max ? n : max;
	}
	CHECK(min >= 300 && min < 320);
	CHECK(max <= 600 && max > 580);
}

TEST(an_end_goes_on_at_once_from_the_last_version)
{
	struct kube_reflector r;

	init(&r, false);
	up(&r, "7");
	kube_reflector_event(&r, "9");
	now += 400 * SEC;
	CHECK(!end(&r, 200));
	CHECK_INT(wait_of(&r), 0);
	CHECK(!*r.trouble);
	CHECK(strstr(ask(&r), "resourceVersion=9"));
}

TEST(an_end_that_is_too_soon_waits)
{
	struct kube_reflector r;

	init(&r, false);
	up(&r, "7");
	now += 100 * MSEC;
	end(&r, 200);
	CHECK(wait_of(&r) >= 400 * MSEC);
	CHECK_STR(r.trouble, "watching services: the API server ends it at once");
}

TEST(an_event_before_each_end_is_no_reason_to_hurry)
{
	static const int ends[] = { 200, 410 };
	struct kube_reflector r;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		init(&r, false);
		up(&r, "7");
		for (int n = 0; n < 3; n++) {
			kube_reflector_event(&r, "8");
			now += 10 * MSEC;
			end(&r, ends[i]);
			CHECK_INT(wait_of(&r), 990 * MSEC);
			if (ends[i] == 410)
				up(&r, "8");
			else
				ask(&r);
		}
	}
}

TEST(pages_without_end_are_given_up)
{
	struct kube_reflector r;
	char next[16];

	init(&r, false);
	ask(&r);
	CHECK(!kube_reflector_page(&r, now, "5", "x"));
	ask(&r);
	CHECK(!kube_reflector_page(&r, now, "5", "x"));
	CHECK(wait_of(&r) >= 400 * MSEC);
	CHECK_STR(r.trouble, "listing services: the list has no end");
	CHECK_STR(ask(&r), "/api/v1/services?limit=500");

	init(&r, false);
	for (unsigned i = 0; i < 1000; i++) {
		ask(&r);
		CHECK_INT(r.due, CLOCK_NEVER);
		snprintf(next, sizeof(next), "%u", i);
		CHECK(!kube_reflector_page(&r, now, "5", next));
		CHECK(i == 999 || wait_of(&r) == 0);
	}
	CHECK(wait_of(&r) >= 400 * MSEC);
	/* The count begins anew. */
	ask(&r);
	CHECK(!kube_reflector_page(&r, now, "5", "x"));
	CHECK_INT(wait_of(&r), 0);
}

TEST(gone_lists_again_at_once_but_not_for_ever)
{
	struct kube_reflector r;

	init(&r, false);
	up(&r, "7");
	end(&r, 410);
	CHECK_INT(wait_of(&r), 0);
	CHECK(!*r.trouble);
	CHECK_STR(ask(&r), "/api/v1/services?limit=500");
	CHECK(kube_reflector_begins(&r));
	kube_reflector_opened(&r, now);
	kube_reflector_page(&r, now, "8", "");
	ask(&r);
	kube_reflector_opened(&r, now);
	end(&r, 410);
	CHECK(wait_of(&r) >= 400 * MSEC);
	CHECK(strstr(r.trouble, "410"));
	/* It stays in trouble until something comes. */
	ask(&r);
	kube_reflector_opened(&r, now);
	kube_reflector_page(&r, now, "9", "");
	ask(&r);
	kube_reflector_opened(&r, now);
	CHECK(*r.trouble);
	kube_reflector_event(&r, "10");
	CHECK(!*r.trouble);
}

TEST(a_version_of_the_future_lists_again)
{
	const struct kube_end e = { .status = 504,
				    .text = "Too large resource version: 9, current: 7" };
	struct kube_reflector r;

	init(&r, false);
	up(&r, "9");
	kube_reflector_ended(&r, now, &e);
	CHECK_INT(wait_of(&r), 0);
	CHECK_STR(ask(&r), "/api/v1/services?limit=500");
}

TEST(gone_between_pages_lists_without)
{
	struct kube_reflector r;

	init(&r, false);
	ask(&r);
	kube_reflector_page(&r, now, "5", "x");
	ask(&r);
	end(&r, 410);
	CHECK_INT(wait_of(&r), 0);
	CHECK_STR(ask(&r), "/api/v1/services?limit=0");
	CHECK(kube_reflector_begins(&r));
	CHECK(kube_reflector_page(&r, now, "6", ""));
	ask(&r);
	/* The next one has pages again. */
	end(&r, 410);
	CHECK_STR(ask(&r), "/api/v1/services?limit=500");
}

TEST(failures_wait_longer_each_time)
{
	static const uint64_t most[] = { 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000 };
	struct kube_reflector r;

	init(&r, false);
	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		ask(&r);
		end(&r, -ECONNREFUSED);
		CHECK(wait_of(&r) >= most[i] * MSEC / 2 && wait_of(&r) < most[i] * MSEC);
	}
	CHECK_STR(r.trouble, "listing services: why");
	/* A watch that breaks after a minute does not reset it, one after two does. */
	up(&r, "7");
	now += 60 * SEC;
	end(&r, -EIO);
	CHECK(wait_of(&r) >= 15 * SEC);
	ask(&r);
	kube_reflector_opened(&r, now);
	kube_reflector_event(&r, "8");
	now += 121 * SEC;
	end(&r, -EIO);
	CHECK(wait_of(&r) < 800 * MSEC);
}

TEST(busy_servers_say_how_long)
{
	struct kube_end e = { .status = 429, .text = "busy", .retry_after_ms = 7000 };
	struct kube_reflector r;

	init(&r, false);
	ask(&r);
	kube_reflector_ended(&r, now, &e);
	CHECK_INT(wait_of(&r), 7 * SEC);
	/* Not for ever. */
	e.retry_after_ms = 86400 * 1000L;
	ask(&r);
	kube_reflector_ended(&r, now, &e);
	CHECK_INT(wait_of(&r), 300 * SEC);
}

TEST(a_server_that_is_away_keeps_our_place)
{
	struct kube_reflector r;

	init(&r, false);
	up(&r, "7");
	kube_reflector_event(&r, "8");
	for (unsigned i = 0; i < 20; i++) {
		end(&r, i == 0 ? -EIO : i < 4 ? -ENOKEY : -ECONNREFUSED);
		CHECK(strstr(ask(&r), "resourceVersion=8"));
	}
	kube_reflector_opened(&r, now);
	CHECK(!*r.trouble);
}

TEST(a_watch_that_breaks_twice_lists_again)
{
	static const int ends[] = { 500, -EBADMSG, -EFBIG, -ETIMEDOUT, 200, 400 };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct kube_reflector r;

		init(&r, false);
		up(&r, "7");
		end(&r, ends[i]);
		/* Silence alone is no trouble: there may be nothing to tell. */
		CHECK(!*r.trouble == (ends[i] == -ETIMEDOUT));
		CHECK(strstr(ask(&r), "resourceVersion=7"));
		kube_reflector_opened(&r, now);
		/* It said nothing yet: the sentence stays. */
		CHECK(!*r.trouble == (ends[i] == -ETIMEDOUT));
		end(&r, ends[i]);
		CHECK_STR(ask(&r), "/api/v1/services?limit=500");
		/* With an event between it is not twice. */
		kube_reflector_page(&r, now, "8", "");
		ask(&r);
		kube_reflector_opened(&r, now);
		kube_reflector_event(&r, "9");
		CHECK(!*r.trouble);
		end(&r, ends[i] == 200 ? 500 : ends[i]);
		CHECK(strstr(ask(&r), "resourceVersion=9"));
	}
}

TEST(refused_is_tried_again_ever_more_rarely)
{
	struct kube_reflector r;

	init(&r, false);
	for (unsigned i = 0; i < 5; i++) {
		ask(&r);
		CHECK(!end(&r, 403));
		CHECK(wait_of(&r) < 30 * SEC);
	}
	ask(&r);
	end(&r, 403);
	CHECK(wait_of(&r) >= 180 * SEC && wait_of(&r) < 270 * SEC);
	CHECK_STR(r.trouble, "we may not list services (why); add to the rules of our ClusterRole: "
			     "{apiGroups: [\"\"], resources: [services], verbs: [list, watch]}");
	up(&r, "7");
	end(&r, 403);
	CHECK(wait_of(&r) < 60 * SEC);
	CHECK(strstr(r.trouble, "we may not watch services"));
	CHECK_STR(ask(&r), "/api/v1/services?limit=500");
}

TEST(refusals_name_group_and_namespace)
{
	struct kube_reflector r;

	kube_reflector_init(&r, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", NULL,
			    false, 1);
	ask(&r);
	end(&r, 403);
	CHECK(strstr(r.trouble, "our Role in namespace shop: {apiGroups: [\"discovery.k8s.io\"], "
				"resources: [endpointslices],"));
	ask(&r);
	end(&r, 404);
	CHECK_STR(r.trouble,
		  "the API server has no endpointslices of the group \"discovery.k8s.io\" at "
		  "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices");
}

TEST(optional_counts_as_empty)
{
	struct kube_reflector r;

	init(&r, true);
	ask(&r);
	CHECK(end(&r, 404));
	CHECK(!*r.trouble);
	up(&r, "7");
	/* What was there is not gone because of one answer. */
	for (unsigned i = 0; i < 5; i++) {
		CHECK(!end(&r, 403));
		ask(&r);
	}
	CHECK(end(&r, 403));
	/* Another failure is one. */
	ask(&r);
	CHECK(!end(&r, 500));
	CHECK(*r.trouble);
}

/* Whatever comes: something is due, never too late; a watch always has a version; sentences are whole. */
TEST(random_histories)
{
	static const int statuses[] = { 200, 410, 403,	404,	    429,	   500,	    503,
					504, 401, -EIO, -ETIMEDOUT, -ECONNREFUSED, -EBADMSG };
	unsigned seed = 7, listings = 0, watches = 0;

	for (unsigned run = 0; run < 200; run++) {
		struct kube_reflector r;

		kube_reflector_init(&r, "/api/v1/services", NULL, rand_r(&seed) % 2, run);
		for (unsigned i = 0; i < 200; i++) {
			const char *path = ask(&r);
			struct kube_end e = {
				.status = statuses[(unsigned)rand_r(&seed) % ARRAY_SIZE(statuses)],
				.text = "x",
				.retry_after_ms = rand_r(&seed) % 5 ? 0 : rand_r(&seed)
			};
			bool ok = rand_r(&seed) % 3 > 0;

			CHECK((strstr(path, "watch=1") != NULL) == r.watching);
			CHECK(!r.watching || *r.version);
			if (ok)
				kube_reflector_opened(&r, now);
			if (!r.watching) {
				if (ok) {
					bool more = rand_r(&seed) % 3 == 0;
					char next[16];

					snprintf(next, sizeof(next), "%u", i);
					CHECK(kube_reflector_page(&r, now, "5", more ? next : "") ==
					      !more);
					CHECK_INT(wait_of(&r), 0);
					listings++;
					continue;
				}
				e.status = e.status == 200 ? 500 : e.status;
			} else if (ok && rand_r(&seed) % 2) {
				kube_reflector_event(&r, "6");
				CHECK(!*r.trouble);
				watches++;
			}
			now += (uint64_t)rand_r(&seed) % (10 * SEC);
			CHECK(!kube_reflector_ended(&r, now, &e) || r.optional);
			CHECK(r.due >= now && wait_of(&r) <= 300 * SEC);
			CHECK(strlen(r.trouble) < KUBE_TROUBLE_SIZE);
		}
	}
	CHECK(listings > 1000 && watches > 1000);
}

TEST_MAIN("kube-reflector")

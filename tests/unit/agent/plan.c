/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan(desired, actual) and its properties, on random states against the kernel in memory.
 */
#include <errno.h>

#include "agent/plan.h"
#include "lib/mem.h"
#include "tests/fakes/kernel_fake.h"
#include "tests/fakes/world.h"
#include "tests/test.h"

#define CASES 30000

static void check_equal(struct kernel *k, const struct host *desired)
{
	struct host now;

	CHECK_INT(kernel_read(k, &now), 0);
	CHECK(host_equal(&now, desired));
	host_done(&now);
}

/* Brings a kernel into a state through ops, as the agent would. */
static void bring(struct kernel *k, const struct host *desired)
{
	struct plan p = { 0 };
	struct host now;

	CHECK_INT(kernel_read(k, &now), 0);
	plan_host(&p, desired, &now);
	CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), 0);
	plan_done(&p);
	host_done(&now);
}

static void check_order(const struct plan *p)
{
	for (size_t i = 1; i < p->count; i++)
		CHECK(p->ops[i - 1].kind <= p->ops[i].kind);
}

static const struct wg_peer *owner_of(const struct wg_link *l, const struct prefix *x)
{
	for (size_t i = 0; l && i < l->peer_count; i++)
		for (size_t k = 0; k < l->peers[i].allowed_count; k++)
			if (prefix_cmp(&l->peers[i].allowed[k], x) == 0)
				return &l->peers[i];
	return NULL;
}

static bool has_address(const struct wg_link *l, const struct prefix *x)
{
	for (size_t i = 0; l && i < l->address_count; i++)
		if (prefix_cmp(&l->addresses[i], x) == 0)
			return true;
	return false;
}

static bool has_route(const struct wg_link *l, const struct prefix *x)
{
	for (size_t i = 0; l && i < l->route_count; i++)
		if (prefix_cmp(&l->routes[i].prefix, x) == 0)
			return true;
	return false;
}

/* Every op speaks of something that is in one of the two; a removal of what is only in actual. */
static void check_ours(const struct plan *p, const struct host *d, const struct host *a)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct op *op = &p->ops[i];
		const struct wg_link *dl = op->link ? host_link(d, op->link) : NULL;
		const struct wg_link *al = op->link ? host_link(a, op->link) : NULL;

		switch (op->kind) {
		case OP_LINK_ADD:
			CHECK(dl && !al);
			break;
		case OP_LINK_DEL:
			CHECK(!dl && al);
			break;
		case OP_LINK_DEVICE:
		case OP_LINK_MTU:
		case OP_LINK_UP:
			CHECK(dl);
			break;
		case OP_ADDRESS_ADD:
			CHECK(has_address(dl, &op->address) && !has_address(al, &op->address));
			break;
		case OP_ADDRESS_DEL:
			CHECK(!has_address(dl, &op->address) && has_address(al, &op->address));
			break;
		case OP_ROUTE_ADD:
			CHECK(has_route(dl, &op->route.prefix));
			break;
		case OP_ROUTE_DEL:
			CHECK(!has_route(dl, &op->route.prefix) &&
			      has_route(al, &op->route.prefix));
			break;
		case OP_PEER_PUT:
			CHECK(dl && wg_link_peer(dl, op->peer->key));
			break;
		case OP_ALLOWED_SET:
			CHECK(wg_link_peer(dl, op->peer->key) && wg_link_peer(al, op->peer->key));
			break;
		case OP_PEER_DEL:
			CHECK(!wg_link_peer(dl, op->peer->key) && wg_link_peer(al, op->peer->key));
			break;
		case OP_NFT:
			CHECK(d->nft && strcmp(op->nft_hash, a->nft_hash) != 0);
			CHECK(op->nft == (d->nft_first ? d->nft_first : d->nft));
			break;
		case OP_NFT_LAST:
			CHECK(d->nft && d->nft_first && op->nft == d->nft);
			break;
		case OP_FORWARD_ON:
			CHECK(d->forwarding & ~a->forwarding & op->forwarding);
			break;
		case OP_FORWARD_OFF:
			CHECK(a->forwarding_ours & ~d->forwarding & op->forwarding);
			break;
		case OP_NFT_DEL:
			CHECK(!d->nft && *a->nft_hash);
			break;
		}
	}
}

struct watch {
	struct kernel *k;
	const struct host *before, *desired;
};

/* After each op: what is routed to somebody before and after is routed to somebody now. */
static void no_gap(void *owner, const struct op *op)
{
	struct watch *w = owner;

	(void)op;
	for (size_t i = 0; i < w->before->link_count; i++) {
		const struct wg_link *before = &w->before->links[i];
		const struct wg_link *after = host_link(w->desired, before->name);
		const struct wg_link *now = host_link(kernel_fake_host(w->k), before->name);

		for (unsigned x = 0; after && x < WORLD_PREFIXES; x++) {
			struct prefix p = world_allowed(x);

			if (owner_of(before, &p) && owner_of(after, &p))
				CHECK(now && owner_of(now, &p));
		}
	}
}

TEST(full_plan_reaches_desired)
{
	struct world w;

	for (int n = 0; n < CASES; n++) {
		struct kernel *k = kernel_fake_new();
		struct plan p = { 0 }, again = { 0 };
		struct host before, desired, actual;

		world_random(&w);
		world_host(&w, &before);
		bring(k, &before);
		check_equal(k, &before);
		world_random(&w);
		world_host(&w, &desired);
		if (desired.nft && n % 2)
			desired.nft_first = xasprintf("first %d", n);
		host_sort(&desired);
		CHECK_INT(kernel_read(k, &actual), 0);
		plan_host(&p, &desired, &actual);
		check_order(&p);
		check_ours(&p, &desired, &actual);
		kernel_fake_watch(k, no_gap, &(struct watch){ k, &before, &desired });
		CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), 0);
		check_equal(k, &desired);
		host_done(&actual);
		free(TAKE(desired.nft_first));
		CHECK_INT(kernel_read(k, &actual), 0);
		plan_host(&again, &desired, &actual);
		CHECK_INT(again.count, 0);
		plan_done(&again);
		plan_host(&again, &desired, &desired);
		CHECK_INT(again.count, 0);
		plan_done(&again);
		plan_done(&p);
		host_done(&actual);
		host_done(&before);
		host_done(&desired);
		kernel_free(k);
	}
}

static const struct route *find_route(const struct wg_link *l, const struct prefix *x)
{
	for (size_t i = 0; l && i < l->route_count; i++)
		if (prefix_cmp(&l->routes[i].prefix, x) == 0)
			return &l->routes[i];
	return NULL;
}

/* Plans of single keys: those that differ between the two worlds, in any order, cut into any number
 * of plans. `actual` is what is there, or what was wanted last time. */
static void apply_partial(struct kernel *k, const struct host *desired, const struct host *old,
			  bool from_kernel, bool in_one)
{
	unsigned first = world_below(WORLD_KEYS), first_link = world_below(WORLD_LINKS);
	struct plan p = { 0 };
	struct host actual;
	uint8_t key[KEY_LEN];

	CHECK_INT(kernel_read(k, &actual), 0);
	for (unsigned n = 0; n < desired->link_count; n++) {
		const struct wg_link *d = &desired->links[(n + first_link) % desired->link_count];
		const struct wg_link *a = host_link(from_kernel ? &actual : old, d->name);

		for (unsigned i = 0; i < WORLD_KEYS; i++) {
			world_key((first + i) % WORLD_KEYS, key);
			plan_peer(&p, d->name, wg_link_peer(d, key), wg_link_peer(a, key));
			if (in_one)
				continue;
			plan_order(&p);
			CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), 0);
			plan_done(&p);
			host_done(&actual);
			CHECK_INT(kernel_read(k, &actual), 0);
			a = host_link(from_kernel ? &actual : old, d->name);
		}
	}
	for (unsigned x = 0; x < WORLD_ROUTES * WORLD_LINKS; x++) {
		const struct wg_link *d = &desired->links[x % desired->link_count];
		const struct wg_link *a = host_link(from_kernel ? &actual : old, d->name);
		struct prefix r = world_route(x / WORLD_LINKS);

		plan_route(&p, d->name, find_route(d, &r), find_route(a, &r));
	}
	plan_order(&p);
	check_order(&p);
	CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), 0);
	plan_done(&p);
	host_done(&actual);
}

TEST(partial_plans_give_what_a_full_one_gives)
{
	struct world w;

	for (int n = 0; n < CASES / 10; n++) {
		struct kernel *k = kernel_fake_new(), *full = kernel_fake_new();
		struct host old, desired;

		world_random(&w);
		for (int l = 0; l < WORLD_LINKS; l++)
			w.link[l].there = true;
		world_host(&w, &old);
		bring(k, &old);
		for (int step = 0; step < 6; step++) {
			for (unsigned i = world_below(4); i > 0; i--)
				world_change_peer(&w, world_below(WORLD_LINKS),
						  world_below(WORLD_KEYS));
			for (unsigned i = world_below(3); i > 0; i--)
				w.route[world_below(WORLD_ROUTES)] =
					(int)world_below(WORLD_LINKS + 1) - 1;
			world_mend(&w);
			world_host(&w, &desired);
			apply_partial(k, &desired, &old, world_below(2), world_below(2));
			check_equal(k, &desired);
			host_done(&old);
			old = desired;
		}
		bring(full, &old);
		check_equal(full, &old);
		host_done(&old);
		kernel_free(k);
		kernel_free(full);
	}
}

/* One link, `count` peers with one prefix each. */
static void two_peers(struct host *h, const char *first, const char *second)
{
	const char *const of[] = { first, second };
	struct wg_link *l;
	uint8_t key[KEY_LEN];

	memset(h, 0, sizeof(*h));
	l = host_add_link(h, "wr-a");
	l->mtu = 1420;
	l->up = true;
	for (unsigned i = 0; i < 2; i++) {
		struct wg_peer *p;
		struct prefix x;

		world_key(i, key);
		p = wg_link_add_peer(l, key);
		if (of[i] && prefix_parse(of[i], &x) == 0)
			wg_peer_add_allowed(p, &x);
	}
	host_sort(h);
}

static void check_plan(const struct host *d, const struct host *a, const char *const *want)
{
	struct plan p = { 0 };
	char text[OP_TEXT_SIZE];
	size_t n = 0;

	plan_host(&p, d, a);
	for (size_t i = 0; i < p.count; i++, n++) {
		op_format(&p.ops[i], text, sizeof(text));
		CHECK_STR(text, want[n]);
	}
	CHECK(!want[n]);
	plan_done(&p);
}

#define KEY0 "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY1 "CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

TEST(a_moved_prefix_is_only_given)
{
	struct host a, d;

	two_peers(&a, "10.1.0.0/16", NULL);
	two_peers(&d, NULL, "10.1.0.0/16");
	check_plan(&d, &a,
		   (const char *[]){ "peer-put wr-a " KEY1 " allowed=10.1.0.0/16 keepalive=0",
				     NULL });
	host_done(&d);
	two_peers(&d, NULL, NULL);
	check_plan(&d, &a, (const char *[]){ "allowed-set wr-a " KEY0 " allowed=", NULL });
	host_done(&a);
	host_done(&d);
}

TEST(swapped_prefixes_are_two_gifts)
{
	struct host a, d;

	two_peers(&a, "10.1.0.0/16", "10.2.0.0/16");
	two_peers(&d, "10.2.0.0/16", "10.1.0.0/16");
	check_plan(&d, &a,
		   (const char *[]){ "peer-put wr-a " KEY0 " allowed=10.2.0.0/16 keepalive=0",
				     "peer-put wr-a " KEY1 " allowed=10.1.0.0/16 keepalive=0",
				     NULL });
	host_done(&a);
	host_done(&d);
}

TEST(endpoint_is_written_only_when_wanted)
{
	struct host a, d;

	two_peers(&a, NULL, NULL);
	two_peers(&d, NULL, NULL);
	CHECK_INT(endpoint_parse("192.0.2.1:51830", &d.links[0].peers[0].endpoint), 0);
	check_plan(&d, &a, (const char *[]){ NULL });
	d.links[0].peers[0].endpoint_wanted = true;
	check_plan(&d, &a,
		   (const char *[]){ "peer-put wr-a " KEY0 " keepalive=0 endpoint=192.0.2.1:51830",
				     NULL });
	a.links[0].peers[0].endpoint = d.links[0].peers[0].endpoint;
	check_plan(&d, &a, (const char *[]){ NULL });
	/* A new peer gets it in any case. */
	d.links[0].peers[0].endpoint_wanted = false;
	a.links[0].peer_count = 1;
	a.links[0].peers[0].key[0] = 8;
	check_plan(&d, &a,
		   (const char *[]){ "peer-put wr-a " KEY0 " keepalive=0 endpoint=192.0.2.1:51830",
				     NULL });
	a.links[0].peer_count = 2;
	host_done(&a);
	host_done(&d);
}

TEST(format_says_what_and_no_secret)
{
	struct host a = { 0 }, d = { 0 };
	struct prefix x;
	struct wg_link *l = host_add_link(&d, "wr-a");

	memset(l->private_key, 'k', KEY_LEN);
	l->port = 51830;
	l->mtu = 1420;
	l->up = true;
	CHECK_INT(prefix_parse("10.9.0.1/24", &x), 0);
	wg_link_add_address(l, &x);
	wg_link_add_route(l, &(struct prefix){ .addr = { AF_INET, { 10, 1 } }, .len = 16 },
			  &x.addr);
	d.nft = xstrdup("abc");
	host_sort(&d);
	check_plan(&d, &a,
		   (const char *[]){ "nft ba7816bf8f01cfea", "link-add wr-a",
				     "link-device wr-a port=51830", "link-mtu wr-a mtu=1420",
				     "address-add wr-a 10.9.0.1/24", "link-up wr-a",
				     "route-add wr-a 10.1.0.0/16 source=10.9.0.1", NULL });
	check_plan(&a, &d, (const char *[]){ "link-del wr-a", "nft-del", NULL });
	host_done(&d);
}

TEST(format_is_cut)
{
	struct wg_peer p = { .keepalive = 20 };
	struct op op = { .kind = OP_PEER_PUT, .link = "wr-a", .peer = &p };
	struct prefix many[200];
	char text[100];

	for (unsigned i = 0; i < 200; i++)
		many[i] = (struct prefix){ { AF_INET, { 10, (uint8_t)i } }, 24 };
	op.allowed = many;
	op.allowed_count = 200;
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		op_format(&op, text, size);
		CHECK(strlen(text) < size);
	}
}

TEST(a_failed_op_is_planned_again)
{
	struct kernel *k = kernel_fake_new();
	struct host d;

	two_peers(&d, "10.1.0.0/16", NULL);
	for (enum op_kind kind = OP_NFT; kind <= OP_NFT_DEL; kind++) {
		struct plan p = { 0 };
		struct host now;

		kernel_fake_fail(k, kind, -EIO, 1);
		CHECK_INT(kernel_read(k, &now), 0);
		plan_host(&p, &d, &now);
		(void)kernel_apply(k, p.ops, p.count, NULL, NULL);
		plan_done(&p);
		host_done(&now);
		bring(k, &d);
		check_equal(k, &d);
	}
	host_done(&d);
	kernel_free(k);
}

/* The rules of what goes stay until it is gone; what is there already is not written again. */
TEST(rules_go_first_and_those_of_what_goes_last)
{
	struct host a = { 0 }, d = { 0 };

	host_add_link(&a, "wr-a")->up = true;
	host_add_link(&a, "wr-b")->up = true;
	host_add_link(&d, "wr-a")->up = true;
	host_add_link(&d, "wr-c")->up = true;
	d.nft = xstrdup("abc");
	d.nft_first = xstrdup("");
	host_sort(&a);
	host_sort(&d);
	check_plan(&d, &a,
		   (const char *[]){ "nft e3b0c44298fc1c14", "link-add wr-c", "link-up wr-c",
				     "link-del wr-b", "nft-last ba7816bf8f01cfea", NULL });
	memcpy(a.nft_hash, d.nft_first_hash, HASH_HEX_SIZE);
	check_plan(&d, &a,
		   (const char *[]){ "link-add wr-c", "link-up wr-c", "link-del wr-b",
				     "nft-last ba7816bf8f01cfea", NULL });
	host_done(&a);
	host_done(&d);
}

static void reached(void *owner, const struct op *op)
{
	unsigned long *kinds = owner;

	*kinds |= 1ul << op->kind;
}

/* What lets in, sends or forwards waits for the rules; the rules of what stays are not taken away. */
TEST(nothing_comes_up_without_rules)
{
	struct kernel *k = kernel_fake_new();
	struct host d, none = { 0 };
	unsigned long kinds = 0;

	two_peers(&d, "10.1.0.0/16", NULL);
	d.links[0].up = true;
	d.nft = xstrdup("abc");
	d.forwarding = FORWARD_4;
	host_sort(&d);
	kernel_fake_watch(k, reached, &kinds);
	kernel_fake_fail(k, OP_NFT, -EINVAL, 1);
	for (int i = 0; i < 2; i++) {
		struct plan p = { 0 };
		struct host now;

		CHECK_INT(kernel_read(k, &now), 0);
		plan_host(&p, &d, &now);
		CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), i ? 0 : -EINVAL);
		CHECK(i || !kinds);
		plan_done(&p);
		host_done(&now);
	}
	CHECK(kinds & (1ul << OP_LINK_UP) && kinds & (1ul << OP_FORWARD_ON));
	for (enum op_kind kind = OP_FORWARD_OFF; kind <= OP_LINK_DEL; kind++) {
		struct plan p = { 0 };
		struct host now;

		kernel_fake_fail(k, kind, -EIO, 1);
		CHECK_INT(kernel_read(k, &now), 0);
		plan_host(&p, &none, &now);
		CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), -EIO);
		CHECK_STR(kernel_fake_host(k)->nft_hash, d.nft_hash);
		plan_done(&p);
		host_done(&now);
		bring(k, &d);
	}
	host_done(&d);
	kernel_free(k);
}

/* A route that is to move to another link: without it its packets would leave in the clear. */
TEST(without_rules_no_half_of_a_move_is_made)
{
	static const enum op_kind waits[] = { OP_LINK_ADD,    OP_LINK_DEVICE, OP_LINK_MTU,
					      OP_ADDRESS_ADD, OP_LINK_UP,     OP_PEER_PUT,
					      OP_ROUTE_ADD,   OP_FORWARD_ON,  OP_ADDRESS_DEL,
					      OP_ROUTE_DEL };
	static const enum op_kind goes[] = { OP_NFT,	     OP_ALLOWED_SET, OP_PEER_DEL,
					     OP_FORWARD_OFF, OP_LINK_DEL,    OP_NFT_DEL };

	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		CHECK(op_waits(&(struct op){ .kind = waits[i] }, true, false));
		CHECK(!op_waits(&(struct op){ .kind = waits[i] }, false, true));
	}
	for (size_t i = 0; i < ARRAY_SIZE(goes); i++)
		CHECK(!op_waits(&(struct op){ .kind = goes[i] }, true, false));
	CHECK(op_waits(&(struct op){ .kind = OP_NFT_LAST }, false, true));
	CHECK(op_waits(&(struct op){ .kind = OP_LINK_DEL, .moves = true }, true, false));
	CHECK(!op_waits(&(struct op){ .kind = OP_LINK_DEL, .moves = true }, false, false));
}

/* One link with a route; `rules` stands for its nft text. */
static void one_route(struct host *h, const char *link, const char *range, const char *rules)
{
	struct prefix p = { 0 };
	struct wg_link *l;

	memset(h, 0, sizeof(*h));
	l = host_add_link(h, link);
	l->up = true;
	CHECK_INT(prefix_parse(range, &p), 0);
	wg_link_add_route(l, &p, &(struct addr){ 0 });
	h->nft = xstrdup(rules);
	snprintf(h->nft_hash, sizeof(h->nft_hash), "%s", rules);
}

/* A network is left, and its range, or a part of it, is another network's in the same pass. */
TEST(a_link_that_goes_waits_for_who_takes_its_range)
{
	static const char *const ranges[] = { "10.1.0.0/16", "10.1.4.0/24", "10.2.0.0/16" };

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct kernel *k = kernel_fake_new();
		struct host before, after, now;
		struct plan p = { 0 };

		one_route(&before, "wr-a", "10.1.0.0/16", "abc");
		one_route(&after, "wr-b", ranges[i], "abcd");
		after.nft_first = xstrdup("both");
		snprintf(after.nft_first_hash, sizeof(after.nft_first_hash), "both");
		bring(k, &before);
		kernel_fake_fail(k, OP_NFT, -EINVAL, 1);
		CHECK_INT(kernel_read(k, &now), 0);
		plan_host(&p, &after, &now);
		CHECK_INT(kernel_apply(k, p.ops, p.count, NULL, NULL), -EINVAL);
		CHECK((host_link(kernel_fake_host(k), "wr-a") != NULL) == (i < 2));
		/* With its rules. */
		CHECK_STR(kernel_fake_host(k)->nft_hash, i < 2 ? "abc" : "abcd");
		plan_done(&p);
		host_done(&now);
		bring(k, &after);
		CHECK(!host_link(kernel_fake_host(k), "wr-a"));
		CHECK(host_link(kernel_fake_host(k), "wr-b"));
		host_done(&before);
		host_done(&after);
		kernel_free(k);
	}
}

TEST_MAIN("plan")

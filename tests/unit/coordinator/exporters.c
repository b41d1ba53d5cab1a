/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "lib/text.h"
#include "tests/fakes/authority_fake.h"
#include "tests/unit/coordinator/sites.h"

static struct joiner *dc1, *cloud;

static void setup(void)
{
	two_sites(&dc1, &cloud);
}

static struct grant *grant_of(const char *network, const struct joiner *j)
{
	struct grant *g = arena_alloc(&kept, sizeof(*g));
	const char *body = published(network, "exporter", j->identity.id);
	struct json_error err;

	CHECK(body);
	CHECK_INT(body_decode(&kept, body, strlen(body), grant_fields, g, &err), REFUSED_NOT);
	return g;
}

/* The grant's ranges with blanks between. */
static const char *granted(const char *network, const struct joiner *j)
{
	const struct grant *g = grant_of(network, j);
	char text[PREFIX_SIZE];
	struct buf out = { 0 };
	char *ret;

	for (size_t i = 0; i < g->range_count; i++)
		buf_printf(&out, "%s%s", i ? " " : "", prefix_format(&g->ranges[i], text));
	ret = keep(buf_cstr(&out));
	buf_done(&out);
	return ret;
}

static char *exporter_token(const char *network, const char *site)
{
	return token_make(network, ROLE_EXPORTER, site, NULL);
}

static struct joiner *exporter_make(const char *network, const char *site)
{
	struct joiner *j = joiner_make(NULL);

	CHECK_STR(join_code(join(j, exporter_token(network, site))), "joined");
	return j;
}

TEST(tokens_of_that_role)
{
	struct api_token_create wish = { .network = keep("dc1-k3s"), .role = ROLE_EXPORTER };
	char *tags[] = { keep("gw") };
	struct api_token token = { 0 };

	setup();
	CHECK_STR(said(token_create(a, &kept, &wish, &token, &why)), "site");
	wish.site = keep("dc1");
	wish.tags = tags;
	wish.tag_count = 1;
	CHECK_STR(said(token_create(a, &kept, &wish, &token, &why)), "tags");
	wish.tag_count = 0;
	wish.ranges = ranges("192.168.7.0/24 0.0.0.0/0", &wish.range_count);
	CHECK_STR(said(token_create(a, &kept, &wish, &token, &why)), "range");
	wish.range_count = 1;
	CHECK_STR(said(token_create(a, &kept, &wish, &token, &why)), "");
	CHECK_INT(token.role, ROLE_EXPORTER);
	CHECK_INT(token.range_count, 1);
	wish.role = ROLE_NODE;
	CHECK_STR(said(token_create(a, &kept, &wish, &token, &why)), "ranges");
	wish.role = ROLE_LEAF;
	wish.range_count = 0;
	CHECK_STR(said(token_create(a, &kept, &wish, &token, &why)), "role");
}

TEST(answer_and_grant)
{
	struct joiner *j = joiner_make(NULL);
	struct join_answer *answer;
	struct x509_info info = { 0 };
	struct grant *g;
	char uri[64];

	setup();
	answer = join(j, exporter_token("dc1-k3s", "dc1"));
	CHECK_STR(join_code(answer), "joined");
	CHECK_INT(answer->membership_count, 0);
	CHECK(answer->exporter);
	CHECK_STR(answer->exporter->network, "dc1-k3s");
	CHECK_STR(answer->exporter->site, "dc1");
	CHECK_INT(answer->exporter->generation, 1);
	CHECK_INT(answer->journal_count, 1);
	CHECK_STR(answer->journals[0].path, "n/dc1-k3s/gateways");
	CHECK_INT(x509_info_read(answer->certificate, &info), 0);
	CHECK_INT(info.uri_count, 2);
	snprintf(uri, sizeof(uri), "warren:exporter:%s", j->identity.id);
	CHECK_STR(info.uris[0], uri);
	CHECK_STR(info.uris[1], "warren:net:dc1-k3s");
	x509_info_done(&info);
	g = grant_of("dc1-k3s", j);
	CHECK(memcmp(g->key, j->identity.public_key, KEY_LEN) == 0);
	CHECK_STR(g->site, "dc1");
	CHECK_INT(g->generation, 1);
	CHECK_INT(g->range_count, 0);
	/* It is no node. */
	CHECK(!authority_fake_peer(a, "dc1-k3s", j->identity.id));
}

TEST(grant_has_the_gateways_of_its_site_in_any_network)
{
	struct api_token_create wish = { .network = keep("dc1-k3s"),
					 .role = ROLE_EXPORTER,
					 .site = keep("dc1") };
	struct joiner *j = joiner_make(NULL), *other;
	struct api_gateway_create change = { 0 };
	char *id = NULL, *by_tag = NULL;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.43.0.0/16 10.42.0.0/16", &id), "");
	CHECK_STR(gateway_by_node("dc1-k3s", "cloud-n1", "10.44.0.0/16", NULL), "");
	wish.ranges = ranges("192.168.7.0/24 10.42.0.0/16", &wish.range_count);
	CHECK_STR(join_code(join(j, token_wish(&wish))), "joined");
	CHECK_STR(granted("dc1-k3s", j), "10.42.0.0/16 10.43.0.0/16 192.168.7.0/24");
	other = exporter_make("cloud-k3s", "cloud");
	CHECK_STR(granted("cloud-k3s", other), "10.44.0.0/16");
	/* Another network's gateway is made, changed and deleted. */
	CHECK_STR(gateway_by_tag("cloud-k3s", "gw", "dc1", "10.46.0.0/16", &by_tag), "");
	CHECK_STR(granted("dc1-k3s", j), "10.42.0.0/16 10.43.0.0/16 10.46.0.0/16 192.168.7.0/24");
	change.ranges = ranges("10.47.0.0/16", &change.range_count);
	CHECK_STR(said(gateway_set(a, by_tag, &change, &why)), "");
	CHECK_STR(granted("dc1-k3s", j), "10.42.0.0/16 10.43.0.0/16 10.47.0.0/16 192.168.7.0/24");
	CHECK_STR(said(gateway_delete(a, by_tag, &why)), "");
	CHECK_STR(said(node_remove(a, "dc1-n1", &why)), "");
	CHECK_STR(granted("dc1-k3s", j), "10.42.0.0/16 192.168.7.0/24");
	CHECK_STR(granted("cloud-k3s", other), "10.44.0.0/16");
}

/* 64 ranges of 40 characters, none in another. */
static char *long_ranges(unsigned nth)
{
	struct buf out = { 0 };
	char *ret;

	for (unsigned i = 0; i < GATEWAY_RANGES_MAX; i++)
		buf_printf(&out, "%sfd42:1000:2000:3000:4000:5000:%x:%x/128", i ? " " : "",
			   0x1000 + nth, 0x1000 + i);
	ret = keep(buf_cstr(&out));
	buf_done(&out);
	return ret;
}

/* A member of a journal has a limit: who makes the grant too long is told, and nothing is done. */
TEST(a_grant_that_would_be_too_long_is_refused)
{
	struct api_token_create wish = { .network = keep("dc1-k3s"),
					 .role = ROLE_EXPORTER,
					 .site = keep("dc1") };
	struct joiner *j;
	struct api_gateway *list;
	struct join_answer *answer;
	size_t count = 0;
	unsigned nth = 0;

	setup();
	CHECK_STR(network_make("six", "fd66::/64"), "");
	CHECK_STR(join_code(join(dc1, token_make("six", ROLE_NODE, "dc1", NULL))), "joined");
	j = exporter_make("dc1-k3s", "dc1");
	while (nth < 50 && !*gateway_by_node("six", "dc1-n1", long_ranges(nth), NULL))
		nth++;
	CHECK(nth >= 5 && nth < 10);
	CHECK_STR(why.code, "ranges");
	CHECK_INT(why.status, 409);
	CHECK(strstr(why.message, "site dc1") && strstr(why.message, "16384 bytes"));
	CHECK_INT(gateway_list(a, &kept, "six", &list, &count, &why), 0);
	CHECK_INT(count, nth);
	CHECK_INT(grant_of("dc1-k3s", j)->range_count, nth * GATEWAY_RANGES_MAX);
	/* By its token's: the exporter is told, and the one that there is stays. */
	wish.ranges = ranges(long_ranges(100), &wish.range_count);
	answer = join(joiner_make(NULL), token_wish(&wish));
	CHECK_STR(join_code(answer), "ranges");
	CHECK(published("dc1-k3s", "exporter", j->identity.id));
}

TEST(it_does_not_leave)
{
	const uint8_t request[HASH_LEN] = { 1 };
	struct joiner *j;

	setup();
	j = exporter_make("dc1-k3s", "dc1");
	CHECK_STR(said(node_leave(a, j->identity.id, "dc1-k3s", request, &why)), "exporter");
	CHECK(strstr(why.message, "warren exporter remove"));
	CHECK(published("dc1-k3s", "exporter", j->identity.id));
	CHECK_STR(said(node_leave(a, j->identity.id, "cloud-k3s", request, &why)), "not_a_member");
}

TEST(a_second_identity_takes_the_place)
{
	struct joiner *first, *second = joiner_make(NULL), *third = joiner_make(NULL);
	struct join_answer *answer;
	struct api_exporter *list;
	char *token;
	size_t count;

	setup();
	first = exporter_make("dc1-k3s", "dc1");
	exporter_make("cloud-k3s", "dc1");
	token = exporter_token("dc1-k3s", "dc1");
	answer = join(second, token);
	CHECK_INT(answer->exporter->generation, 2);
	CHECK_INT(ended("dc1-k3s", "exporter", first->identity.id), WHY_REPLACED);
	CHECK_INT(grant_of("dc1-k3s", second)->generation, 2);
	/* The same identity keeps its generation. */
	CHECK_INT(join(second, token)->exporter->generation, 2);
	CHECK_INT(exporter_list(a, &kept, "dc1-k3s", &list, &count, &why), 0);
	CHECK_INT(count, 1);
	CHECK_STR(list[0].id, second->identity.id);
	CHECK(!list[0].published);
	/* A removal does not make the numbers begin again. */
	CHECK_STR(said(exporter_remove(a, second->identity.id, &why)), "");
	CHECK_INT(join(third, token)->exporter->generation, 3);
}

TEST(uses_of_a_token)
{
	struct api_token_create wish = {
		.network = keep("dc1-k3s"), .role = ROLE_EXPORTER, .site = keep("dc1"), .uses = 1
	};
	struct joiner *j = joiner_make(NULL);
	struct join_request *q;
	char *token;

	setup();
	token = token_wish(&wish);
	q = request_make(j, token);
	CHECK_STR(join_code(request_send(q)), "joined");
	CHECK_STR(join_code(request_send(q)), "joined"); /* the identical one */
	CHECK_STR(join_code(join(j, token)), "joined");	 /* itself again */
	CHECK_STR(join_code(join(joiner_make(NULL), token)), "token_used");
	CHECK_INT(grant_of("dc1-k3s", j)->generation, 1);
}

TEST(what_does_not_fit_is_refused)
{
	struct joiner *j = joiner_make(NULL), *bare = joiner_make("bare");
	struct join_request *q;

	setup();
	/* A node without a WireGuard key, an exporter that is a node, a node that is an exporter. */
	CHECK_STR(join_code(join(bare, token_make("dc1-k3s", ROLE_NODE, NULL, NULL))),
		  "wireguard_key");
	CHECK_STR(join_code(join(machine_make("n"), exporter_token("dc1-k3s", "dc1"))),
		  "wireguard_key");
	memset(dc1->wireguard, 0, KEY_LEN);
	CHECK_STR(join_code(join(dc1, exporter_token("dc1-k3s", "dc1"))), "identity");
	CHECK_STR(join_code(join(j, exporter_token("dc1-k3s", "dc1"))), "joined");
	memset(j->wireguard, 7, KEY_LEN);
	CHECK_STR(join_code(join(j, token_make("dc1-k3s", ROLE_NODE, NULL, NULL))), "identity");
	memset(j->wireguard, 0, KEY_LEN);
	/* Its site is fixed. */
	q = request_make(j, exporter_token("dc1-k3s", "dc1"));
	q->site = keep("cloud");
	CHECK_STR(join_code(request_send(q)), "site");
	CHECK_STR(join_code(join(j, exporter_token("cloud-k3s", "cloud"))), "site");
	CHECK_STR(join_code(join(j, exporter_token("cloud-k3s", "dc1"))), "joined");
	CHECK_INT(grant_of("dc1-k3s", j)->generation, 1);
}

TEST(removed_needs_a_newer_token)
{
	struct joiner *j;
	struct buf pem = { 0 };
	struct join_request *q;
	char *before, *after, path[64];

	setup();
	before = exporter_token("dc1-k3s", "dc1");
	j = joiner_make(NULL);
	q = request_make(j, before);
	CHECK_STR(join_code(request_send(q)), "joined");
	CHECK_INT(exporter_certificate(a, j->identity.id, j->csr.data, &pem, &why), 0);
	CHECK_STR(said(exporter_remove(a, j->identity.id, &why)), "");
	CHECK_INT(ended("dc1-k3s", "exporter", j->identity.id), WHY_REMOVED);
	snprintf(path, sizeof(path), "u/%s/state", j->identity.id);
	CHECK(authority_fake_cleared(a, path));
	CHECK_STR(said(exporter_remove(a, j->identity.id, &why)), "unknown_exporter");
	CHECK_STR(said(exporter_certificate(a, j->identity.id, j->csr.data, &pem, &why)),
		  "not_an_exporter");
	CHECK_STR(join_code(request_send(q)), "ended");
	CHECK_STR(join_code(join(j, before)), "removed");
	after = exporter_token("dc1-k3s", "dc1");
	CHECK_STR(join_code(join(j, after)), "joined");
	CHECK_INT(grant_of("dc1-k3s", j)->generation, 2);
	buf_done(&pem);
}

TEST(presence)
{
	struct node_state state = { .seq = 1 << 20, .online = true };
	struct api_exporter *list;
	struct joiner *j;
	size_t count;

	setup();
	j = exporter_make("dc1-k3s", "dc1");
	CHECK_INT(exporter_list(a, &kept, NULL, &list, &count, &why), 0);
	CHECK(!list[0].online);
	CHECK_INT(node_seen(a, j->identity.id, &state), 0);
	CHECK_INT(exporter_list(a, &kept, NULL, &list, &count, &why), 0);
	CHECK_INT(count, 1);
	CHECK(list[0].online);
	CHECK_INT(list[0].last_seen, fake_now);
	CHECK_INT(list[0].records, 0);
}

/* What the exporter's presence says, at its connection `n`. */
static void offer(struct joiner *j, uint64_t n, bool online, const char *const *ranges)
{
	struct prefix list[STATE_RANGES_MAX];
	struct node_state state = { .seq = n << 20, .online = online, .ranges = list };

	for (; ranges && ranges[state.range_count]; state.range_count++)
		CHECK_INT(prefix_parse(ranges[state.range_count], &list[state.range_count]), 0);
	CHECK_INT(node_seen(a, j->identity.id, &state), 0);
}

static const char *offered(void)
{
	struct api_exporter *list;
	char text[PREFIX_SIZE];
	struct buf out = { 0 };
	size_t count;
	char *ret;

	CHECK_INT(exporter_list(a, &kept, NULL, &list, &count, &why), 0);
	for (size_t i = 0; i < list[0].offered_count; i++)
		buf_printf(&out, "%s%s", i ? " " : "", prefix_format(&list[0].offered[i], text));
	ret = keep(buf_cstr(&out));
	buf_done(&out);
	return ret;
}

/* "CODE" of the refusal, or the ranges that the gateway has. */
static const char *from_site(const char *network, const char *node, const char *site)
{
	struct api_gateway_create wish = { .network = keep(network),
					   .node = keep(node),
					   .from_site = keep(site) };
	struct api_gateway g = { 0 };
	char text[PREFIX_SIZE];
	struct buf out = { 0 };
	char *ret;

	gateway_defaults(&wish);
	if (gateway_create(a, &kept, &wish, &g, &why) < 0)
		return why.code;
	for (size_t i = 0; i < g.range_count; i++)
		buf_printf(&out, "%s%s", i ? " " : "", prefix_format(&g.ranges[i], text));
	CHECK_INT(gateway_delete(a, g.id, &why), 0);
	ret = keep(buf_cstr(&out));
	buf_done(&out);
	return ret;
}

TEST(the_last_offer_is_kept)
{
	static const char *const two[] = { "10.42.0.0/16", "fd00:42::/64", NULL };
	static const char *const one[] = { "10.43.0.0/16", NULL };
	struct joiner *j;

	setup();
	j = exporter_make("dc1-k3s", "dc1");
	CHECK_STR(offered(), "");
	offer(j, 1, true, two);
	CHECK_STR(offered(), "10.42.0.0/16 fd00:42::/64");
	offer(j, 2, false, NULL); /* a will */
	CHECK_STR(offered(), "10.42.0.0/16 fd00:42::/64");
	CHECK_STR(join_code(join(j, exporter_token("dc1-k3s", "dc1"))), "joined");
	CHECK_STR(offered(), "10.42.0.0/16 fd00:42::/64");
	offer(j, 3, true, one);
	CHECK_STR(offered(), "10.43.0.0/16");
	offer(j, 4, true, NULL);
	CHECK_STR(offered(), "");
}

TEST(a_gateway_takes_what_its_site_offers)
{
	static const char *const good[] = { "10.42.0.0/16", "10.43.0.0/16", NULL };
	static const char *const bad[] = { "10.42.0.0/16", "127.0.0.0/8", NULL };
	struct joiner *j;

	setup();
	CHECK_STR(from_site("cloud-k3s", "dc1-n1", "dc1"), "no_exporter");
	j = exporter_make("dc1-k3s", "dc1");
	CHECK_STR(from_site("cloud-k3s", "dc1-n1", "dc1"), "not_offered");
	offer(j, 1, true, good);
	CHECK_STR(from_site("cloud-k3s", "dc1-n1", "dc1"), "10.42.0.0/16 10.43.0.0/16");
	CHECK_STR(from_site("dc1-k3s", "cloud-n1", "dc1"), "site");
	CHECK_STR(from_site("cloud-k3s", "dc1-n1", "cloud"), "site");
	/* One identity in two networks offers once. */
	CHECK_STR(join_code(join(j, exporter_token("cloud-k3s", "dc1"))), "joined");
	offer(j, 2, true, good);
	CHECK_STR(from_site("cloud-k3s", "dc1-n1", "dc1"), "10.42.0.0/16 10.43.0.0/16");
	/* An offer has no rights. */
	offer(j, 3, true, bad);
	CHECK_STR(from_site("cloud-k3s", "dc1-n1", "dc1"), "range");
}

TEST(put_back_after_a_restart)
{
	char name[64];
	struct joiner *j;

	setup();
	CHECK_STR(gateway_by_node("cloud-k3s", "dc1-n1", "10.42.0.0/16", NULL), "");
	j = exporter_make("dc1-k3s", "dc1");
	snprintf(name, sizeof(name), "exporter/%s", j->identity.id);
	CHECK_INT(publisher_del(a->publisher, "dc1-k3s", JOURNAL_GATEWAYS, name, WHY_GONE), 0);
	CHECK_INT(publisher_put(a->publisher, "dc1-k3s", JOURNAL_GATEWAYS,
				"exporter/aaaaaaaaaaaaaaaa", "{}"),
		  0);
	publisher_flush(a->publisher);
	CHECK_INT(member_reconcile(a), 0);
	CHECK_STR(granted("dc1-k3s", j), "10.42.0.0/16");
	CHECK_INT(ended("dc1-k3s", "exporter", "aaaaaaaaaaaaaaaa"), WHY_GONE);
	CHECK_STR(said(node_remove(a, "dc1-n1", &why)), "");
	CHECK_STR(said(node_remove(a, "cloud-n1", &why)), "");
	CHECK_STR(said(network_delete(a, "dc1-k3s", &why)), "");
	CHECK(!exporter_is_known(a, NULL, j->identity.id));
}

TEST_MAIN("exporters")

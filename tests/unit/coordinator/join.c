/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "coordinator/authority.h"
#include "lib/crypto.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "tests/fakes/authority_fake.h"
#include "tests/test.h"

/* A machine that wants to join. */
struct machine {
	struct sign_key identity;
	struct buf csr;
	uint8_t wireguard[KEY_LEN];
	char *name;
	char *site;
};

/* One request and what became of it. */
struct outcome {
	struct join_request request;
	struct buf document, answer;
	struct join_answer body;
	struct arena arena;
};

static struct authority *a;
static struct refusal_reason why;
static struct arena kept; /* what lives as long as the test */

static char *keep(const char *s)
{
	return arena_strdup(&kept, s);
}

static struct machine *machine_new(const char *name)
{
	struct machine *m = arena_alloc(&kept, sizeof(*m));
	struct buf key = { 0 };
	uint8_t secret[KEY_LEN];

	sign_key_generate(&m->identity);
	x509_key_generate(&key);
	CHECK_INT(x509_csr_create(buf_cstr(&key), &m->csr), 0);
	buf_done(&key);
	wireguard_key_generate(secret, m->wireguard);
	m->name = keep(name);
	return m;
}

static void network_make(const char *name, const char *range)
{
	struct api_network wish = { .name = keep(name), .range_count = 1 };
	struct prefix p;

	CHECK_INT(prefix_parse(range, &p), 0);
	wish.ranges = &p;
	network_defaults(&wish);
	CHECK_INT(network_create(a, &wish, &why), 0);
}

static char *token_make(const struct api_token_create *wish)
{
	struct api_token token = { 0 };
	struct arena arena = { 0 };
	char *id;

	token_create(a, &arena, wish, &token, &why);
	CHECK_STR(why.message, "");
	CHECK(token.token);
	id = keep(token.id);
	arena_done(&arena);
	return id;
}

static char *token_plain(void)
{
	return token_make(&(struct api_token_create){ .network = keep("office") });
}

static void setup(void)
{
	a = authority_fake();
	network_make("office", "10.36.50.0/24");
}

static void answer_read(struct outcome *o, const struct topic *t)
{
	struct document d;
	struct verify_key key;
	struct json_error err;
	char place[TOPIC_SIZE];

	CHECK_INT(document_split(o->answer.data, o->answer.len, &d), REFUSED_NOT);
	verify_key_init(&key, a->keys->signing.public_key);
	topic_place(a->keys->mesh, t, place);
	CHECK(document_verify(&d, 0, place, &key));
	verify_key_done(&key);
	CHECK_INT(body_decode(&o->arena, d.body, d.body_len, join_answer_fields, &o->body, &err),
		  REFUSED_NOT);
}

static void decide(struct outcome *o)
{
	struct topic t = { .kind = TOPIC_ENROL_RSP };

	snprintf(t.id, sizeof(t.id), "%s", o->request.token);
	snprintf(t.other, sizeof(t.other), "j-%s-1", o->request.token);
	buf_clear(&o->answer);
	CHECK_INT(join_decide(a, &o->request, o->document.data, o->document.len, &t, NULL,
			      &o->answer),
		  0);
	o->body = (struct join_answer){ 0 };
	answer_read(o, &t);
}

/* The document's bytes stand for what was received: each request has its own. */
static struct outcome *join_with(const struct machine *m, const char *token)
{
	struct outcome *o = arena_alloc(&kept, sizeof(*o));

	o->request = (struct join_request){
		.token = keep(token),
		.csr = m->csr.data,
		.wished_name = m->name,
		.site = m->site,
	};
	memcpy(o->request.identity_key, m->identity.public_key, KEY_LEN);
	memcpy(o->request.wireguard_key, m->wireguard, KEY_LEN);
	crypto_random(o->request.nonce, sizeof(o->request.nonce));
	json_encode(&o->document, join_request_fields, &o->request);
	decide(o);
	return o;
}

static int leave(const struct machine *m)
{
	uint8_t request[HASH_LEN];

	crypto_random(request, sizeof(request));
	return node_leave(a, m->identity.id, "office", request, &why);
}

static const char *code(const struct outcome *o)
{
	return o->body.refused ? o->body.refused->code : "joined";
}

static const char *address(const struct outcome *o)
{
	static char text[PREFIX_SIZE];

	CHECK(o->body.membership_count == 1);
	return prefix_format(&o->body.memberships[0].addresses[0], text);
}

TEST(answer_has_all_that_was_promised)
{
	struct machine *m = machine_new("db1.example.com");
	struct outcome *o;
	struct x509_info info = { 0 };
	uint8_t hash[HASH_LEN];
	char uri[64];

	setup();
	o = join_with(m, token_plain());
	CHECK_STR(code(o), "joined");
	CHECK_STR(o->body.memberships[0].network, "office");
	CHECK_STR(o->body.memberships[0].name, "db1");
	CHECK_STR(address(o), "10.36.50.1/24");
	sha256(o->document.data, o->document.len, hash);
	CHECK(memcmp(hash, o->body.request, HASH_LEN) == 0);
	CHECK_STR(o->body.trust, a->keys->trust->bytes.data);
	CHECK_INT(o->body.journal_count, 2);
	CHECK_INT(x509_verify(a->keys->ca_pem, o->body.certificate, fake_now), 0);
	CHECK_INT(x509_info_read(o->body.certificate, &info), 0);
	CHECK_INT(info.not_after - fake_now, 7 * 24 * 3600);
	CHECK_INT(info.uri_count, 2);
	snprintf(uri, sizeof(uri), "warren:node:%s", m->identity.id);
	CHECK_STR(info.uris[0], uri);
	CHECK_STR(info.uris[1], "warren:net:office");
	x509_info_done(&info);
	CHECK(authority_fake_peer(a, "office", m->identity.id));
}

TEST(tokens_each_refusal)
{
	struct machine *m = machine_new("n");
	struct outcome *o;
	char *token;

	setup();
	o = join_with(m, "aaaaaaaaaaaaaaaa");
	CHECK_STR(code(o), "token_unknown");
	token = token_plain();
	CHECK_INT(token_revoke(a, token, &why), 0);
	CHECK_STR(code(join_with(m, token)), "token_revoked");
	token = token_make(
		&(struct api_token_create){ .network = keep("office"), .expires = keep("90s") });
	fake_now += 90;
	CHECK_STR(code(join_with(m, token)), "token_expired");
	token = token_make(&(struct api_token_create){ .network = keep("office"), .uses = 1 });
	CHECK_STR(code(join_with(m, token)), "joined");
	CHECK_STR(code(join_with(machine_new("o"), token)), "token_used");
	CHECK(!authority_fake_peer(a, "office", "aaaaaaaaaaaaaaaa"));
}

TEST(single_use_admits_one_of_fifty)
{
	char *token;
	int joined = 0;

	setup();
	token = token_make(&(struct api_token_create){ .network = keep("office"), .uses = 1 });
	for (int i = 0; i < 50; i++)
		joined += strcmp(code(join_with(machine_new("n"), token)), "joined") == 0;
	CHECK_INT(joined, 1);
}

TEST(identical_request_identical_answer)
{
	struct outcome *o;
	struct buf first = { 0 };
	char *token;

	setup();
	token = token_make(&(struct api_token_create){ .network = keep("office"), .uses = 1 });
	o = join_with(machine_new("n"), token);
	CHECK_STR(code(o), "joined");
	buf_str(&first, buf_cstr(&o->answer));
	fake_now += 100;
	decide(o);
	CHECK_STR(buf_cstr(&o->answer), buf_cstr(&first));
	buf_done(&first);
}

TEST(nonce_of_another_request_is_refused)
{
	struct outcome *o;

	setup();
	o = join_with(machine_new("n"), token_plain());
	o->request.wished_name = keep("other");
	buf_clear(&o->document);
	json_encode(&o->document, join_request_fields, &o->request);
	decide(o);
	CHECK_STR(code(o), "nonce");
}

TEST(played_back_after_removal_or_leave_has_ended)
{
	struct machine *m = machine_new("n"), *other = machine_new("o");
	struct outcome *o, *p;

	setup();
	o = join_with(m, token_plain());
	CHECK_INT(node_remove(a, "n", &why), 0);
	decide(o);
	CHECK_STR(code(o), "ended");
	p = join_with(other, token_plain());
	CHECK_INT(leave(other), 0);
	decide(p);
	CHECK_STR(code(p), "ended");
	/* It joined again since: the old request is still not what made this membership. */
	CHECK_STR(code(join_with(other, token_plain())), "joined");
	decide(p);
	CHECK_STR(code(p), "ended");
}

TEST(removed_needs_a_token_made_after)
{
	struct machine *m = machine_new("n");
	char *token;

	setup();
	token = token_plain();
	CHECK_STR(code(join_with(m, token)), "joined");
	fake_now += 10;
	CHECK_INT(node_remove(a, m->identity.id, &why), 0);
	CHECK_INT(authority_fake_removed(a, "office", m->identity.id), WHY_REMOVED);
	CHECK_STR(code(join_with(m, token)), "removed");
	CHECK_STR(code(join_with(m, token_plain())), "joined"); /* made in the same second */
}

TEST(left_needs_only_a_new_nonce)
{
	struct machine *m = machine_new("n");
	struct outcome *first, *again;
	char *token, was[PREFIX_SIZE];

	setup();
	token = token_plain();
	first = join_with(m, token);
	snprintf(was, sizeof(was), "%s", address(first));
	CHECK_STR(code(join_with(machine_new("x"), token)), "joined");
	CHECK_INT(leave(m), 0);
	CHECK_INT(authority_fake_removed(a, "office", m->identity.id), WHY_LEFT);
	again = join_with(m, token);
	CHECK_STR(code(again), "joined");
	CHECK_STR(address(again), was);
}

TEST(same_identity_keeps_name_and_address)
{
	struct machine *m = machine_new("n");
	struct outcome *o;
	char was[PREFIX_SIZE], *token;

	setup();
	token = token_make(&(struct api_token_create){ .network = keep("office"), .uses = 1 });
	o = join_with(m, token);
	snprintf(was, sizeof(was), "%s", address(o));
	m->name = keep("other");
	o = join_with(m, token); /* reinstalled: no further use is counted */
	CHECK_STR(code(o), "joined");
	CHECK_STR(address(o), was);
	CHECK_STR(o->body.memberships[0].name, "n");
}

TEST(two_that_wish_one_name)
{
	struct outcome *o;

	setup();
	CHECK_STR(join_with(machine_new("N"), token_plain())->body.memberships[0].name, "n");
	CHECK_STR(join_with(machine_new("n"), token_plain())->body.memberships[0].name, "n-2");
	o = join_with(machine_new("n.example"), token_plain());
	CHECK_STR(o->body.memberships[0].name, "n-3");
}

TEST(sites)
{
	struct machine *m = machine_new("n"), *o = machine_new("o");
	struct api_token_create wish = { .network = keep("office"), .site = keep("dc1") };

	setup();
	network_make("lab", "10.36.51.0/24");
	m->site = keep("dc2");
	CHECK_STR(code(join_with(m, token_make(&wish))), "site");
	m->site = NULL;
	CHECK_STR(join_with(m, token_make(&wish))->body.site, "dc1");
	wish = (struct api_token_create){ .network = keep("lab"), .site = keep("dc2") };
	CHECK_STR(code(join_with(m, token_make(&wish))), "site");
	wish.site = NULL;
	CHECK_STR(join_with(m, token_make(&wish))->body.site, "dc1");
	CHECK_STR(code(join_with(o, token_make(&wish))), "joined");
	wish.site = keep("dc1");
	CHECK_STR(code(join_with(o, token_make(&wish))), "site");
}

TEST(full_network_says_so)
{
	struct api_token_create wish = { .network = keep("small") };
	struct outcome *o;
	char *token;

	setup();
	network_make("small", "10.40.0.0/29");
	token = token_make(&wish);
	for (int i = 0; i < 6; i++)
		CHECK_STR(code(join_with(machine_new("n"), token)), "joined");
	o = join_with(machine_new("n"), token);
	CHECK_STR(code(o), "network_full");
	CHECK(strstr(o->body.refused->message, "10.40.0.0/29"));
	CHECK(strstr(o->body.refused->message, "small"));
}

TEST(freed_addresses_are_used_again_last)
{
	struct api_token_create wish = { .network = keep("small") };
	struct machine *m[4];
	char *token;

	setup();
	network_make("small", "10.40.0.0/29");
	token = token_make(&wish);
	for (int i = 0; i < 4; i++)
		CHECK_STR(code(join_with(m[i] = machine_new("n"), token)), "joined");
	CHECK_INT(node_remove(a, m[1]->identity.id, &why), 0);
	fake_now++;
	CHECK_INT(node_remove(a, m[0]->identity.id, &why), 0);
	CHECK_STR(address(join_with(machine_new("n"), token)), "10.40.0.5/29");
	CHECK_STR(address(join_with(machine_new("n"), token)), "10.40.0.6/29");
	CHECK_STR(address(join_with(machine_new("n"), token)), "10.40.0.2/29");
	CHECK_STR(address(join_with(machine_new("n"), token)), "10.40.0.1/29");
}

TEST(orphans_keep_their_name_and_address_from_others)
{
	struct machine *m = machine_new("n");
	struct buf body = { 0 };
	struct addr at;
	struct peer_key key = { { 1 } };
	struct peer p = { .name = keep("n"),
			  .keys = &key,
			  .key_count = 1,
			  .addresses = &at,
			  .address_count = 1 };
	struct outcome *o;
	uint64_t released = 0;

	setup();
	CHECK_INT(addr_parse("10.36.50.1", &at), 0);
	memcpy(p.identity_key, m->identity.public_key, KEY_LEN);
	json_encode(&body, peer_fields, &p);
	CHECK_INT(network_orphan_add(a, "office", m->identity.id, buf_cstr(&body)), 0);
	buf_done(&body);
	o = join_with(machine_new("n"), token_plain());
	CHECK_STR(address(o), "10.36.50.2/24");
	CHECK_STR(o->body.memberships[0].name, "n-2");
	/* The orphan itself comes back: it gets what it holds. */
	o = join_with(m, token_plain());
	CHECK_STR(code(o), "joined");
	CHECK_STR(address(o), "10.36.50.1/24");
	CHECK_STR(o->body.memberships[0].name, "n");
	CHECK_INT(network_release(a, "office", &released, &why), 0);
	CHECK_INT(released, 0);
}

TEST(nothing_is_stored_when_publishing_fails)
{
	struct machine *m = machine_new("n");
	struct outcome *o;
	char *token;

	setup();
	token = token_make(&(struct api_token_create){ .network = keep("office"), .uses = 1 });
	authority_fake_break(a, -ENOSPC);
	o = join_with(m, token);
	CHECK_STR(code(o), "store");
	authority_fake_break(a, 0);
	CHECK(!authority_fake_peer(a, "office", m->identity.id));
	decide(o); /* the use was not consumed */
	CHECK_STR(code(o), "joined");
}

TEST(a_request_that_is_no_csr)
{
	struct machine *m = machine_new("n");

	setup();
	m->csr.data[m->csr.len / 2] ^= 1;
	CHECK_STR(code(join_with(m, token_plain())), "csr");
	CHECK(!authority_fake_peer(a, "office", m->identity.id));
}

/* Nothing was put into a journal for it: to take that back is to read the journal whole. */
TEST(what_is_no_csr_never_reaches_the_journal)
{
	struct machine *m = machine_new("n");

	setup();
	m->csr.data[m->csr.len / 2] ^= 1;
	authority_fake_break(a, -ENOSPC);
	CHECK_STR(code(join_with(m, token_plain())), "csr");
}

TEST(wireguard_key_of_another_is_refused)
{
	struct machine *m = machine_new("n"), *thief = machine_new("x");
	struct outcome *o;

	setup();
	CHECK_STR(code(join_with(m, token_plain())), "joined");
	memcpy(thief->wireguard, m->wireguard, KEY_LEN);
	o = join_with(thief, token_plain());
	CHECK_STR(code(o), "wireguard_key");
	CHECK(strstr(o->body.refused->message, m->identity.id));
	CHECK(!authority_fake_peer(a, "office", thief->identity.id));
	CHECK_STR(code(join_with(m, token_plain())), "joined"); /* its own */
}

/* It is still a peer of all who hold it. While it rotates it has two. */
TEST(wireguard_key_of_an_orphan_is_refused)
{
	struct machine *m = machine_new("n"), *thief = machine_new("x");
	struct addr at;
	struct peer_key keys[2] = { { { 1 } } };
	struct peer p = { .name = keep("n"),
			  .keys = keys,
			  .key_count = 2,
			  .addresses = &at,
			  .address_count = 1 };
	struct buf body = { 0 };

	setup();
	CHECK_INT(addr_parse("10.36.50.9", &at), 0);
	memcpy(keys[1].key, m->wireguard, KEY_LEN);
	memcpy(p.identity_key, m->identity.public_key, KEY_LEN);
	json_encode(&body, peer_fields, &p);
	CHECK_INT(network_orphan_add(a, "office", m->identity.id, buf_cstr(&body)), 0);
	buf_done(&body);
	for (size_t i = 0; i < 2; i++) {
		struct outcome *o;

		memcpy(thief->wireguard, keys[i].key, KEY_LEN);
		o = join_with(thief, token_plain());
		CHECK_STR(code(o), "wireguard_key");
		CHECK(strstr(o->body.refused->message, m->identity.id));
	}
	CHECK_STR(code(join_with(m, token_plain())), "joined"); /* its own */
}

static int find_join(const struct outcome *o, struct join_row *ret)
{
	uint8_t hash[HASH_LEN];

	sha256(o->document.data, o->document.len, hash);
	return store_join_get(a->store, &kept, hash, ret);
}

/* To join again with the same token costs nothing, and each time leaves something. */
TEST(joins_that_are_over_are_not_kept)
{
	struct machine *m = machine_new("n"), *gone = machine_new("o");
	struct outcome *first, *last, *ended, *other;
	char *token, *another;
	struct join_row row;

	setup();
	token = token_plain();
	another = token_plain();
	first = join_with(m, token);
	last = join_with(m, token);
	ended = join_with(gone, token);
	other = join_with(machine_new("p"), another);
	CHECK_INT(leave(gone), 0);
	CHECK_INT(node_forget(a, 60), 0);
	CHECK_INT(find_join(first, &row), 0);
	CHECK_STR(row.answer, "");
	CHECK_INT(find_join(ended, &row), 0);
	CHECK_STR(row.answer, "");
	decide(first);
	CHECK_STR(code(first), "ended");
	first->request.wished_name = keep("other"); /* its nonce still is */
	json_encode(&first->document, join_request_fields, &first->request);
	decide(first);
	CHECK_STR(code(first), "nonce");
	buf_clear(&first->document);
	first->request.wished_name = m->name;
	json_encode(&first->document, join_request_fields, &first->request);
	CHECK_INT(token_revoke(a, token, &why), 0);
	CHECK_INT(token_revoke(a, another, &why), 0);
	CHECK_INT(node_forget(a, 60), 0);
	CHECK_INT(find_join(first, &row), -ENOENT);
	CHECK_INT(find_join(ended, &row), -ENOENT);
	CHECK_INT(find_join(last, &row), 0);
	CHECK(*row.answer);
	CHECK_INT(find_join(other, &row), 0);
	decide(first);
	CHECK_STR(code(first), "token_revoked");
	decide(last);
	CHECK_STR(code(last), "joined");
}

TEST(joins_with_a_token_that_expired)
{
	struct machine *m = machine_new("n");
	struct outcome *first;
	struct join_row row;
	char *token;

	setup();
	token = token_make(
		&(struct api_token_create){ .network = keep("office"), .expires = keep("90s") });
	first = join_with(m, token);
	CHECK_STR(code(join_with(m, token)), "joined");
	fake_now += 100;
	CHECK_INT(node_forget(a, 60), 0);
	CHECK_INT(find_join(first, &row), 0); /* the clock may be wrong */
	fake_now += 86400;
	CHECK_INT(node_forget(a, 60), 0);
	CHECK_INT(find_join(first, &row), -ENOENT);
}

TEST(tags_of_a_token_that_is_used_up)
{
	struct machine *m = machine_new("n"), *other = machine_new("o");
	char *tag[1] = { keep("admin") }, *token;

	setup();
	token = token_make(&(struct api_token_create){
		.network = keep("office"), .uses = 1, .tags = tag, .tag_count = 1 });
	CHECK_STR(code(join_with(m, token)), "joined");
	CHECK_STR(code(join_with(other, token_plain())), "joined");
	CHECK_STR(code(join_with(other, token)), "token_used");
	CHECK(!strstr(authority_fake_peer(a, "office", other->identity.id), "admin"));
	CHECK_STR(code(join_with(m, token)), "joined"); /* its own, once more */
}

TEST_MAIN("join")

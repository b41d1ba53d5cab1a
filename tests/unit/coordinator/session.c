/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/session.h"

#include "tests/unit/coordinator/rig.h"

static struct rig rig;
static struct watcher watcher;

static void begin(void)
{
	rig_begin(&rig);
	watch_start(&watcher, &rig, "watcher");
	rig_network(&rig, "dc1", "10.36.50.0/24");
}

static void end(void)
{
	watch_stop(&watcher);
	rig_end(&rig);
}

static size_t rows(const char *network)
{
	struct refusal_reason why;
	struct arena arena = { 0 };
	struct api_node *nodes;
	size_t count = 0;

	CHECK_INT(node_list(&rig.authority, &arena, network, &nodes, &count, &why), 0);
	arena_done(&arena);
	return count;
}

TEST(join_is_answered)
{
	struct arena arena = { 0 };
	struct join_answer answer;
	struct x509_info info;
	struct joiner j;
	uint8_t hash[HASH_LEN];
	char *token;

	begin();
	token = rig_token(&rig, "dc1", 1);
	joiner_init(&j, token, "n1.example");
	joiner_sign(&j, watcher.mesh);
	joiner_answer(&j, &rig, joiner_send(&j, &watcher, 5000), &arena, &answer);
	CHECK(!answer.refused);
	sha256(j.request.data, j.request.len, hash);
	CHECK(memcmp(answer.request, hash, HASH_LEN) == 0);
	CHECK_INT(answer.membership_count, 1);
	CHECK_STR(answer.memberships[0].network, "dc1");
	CHECK_STR(answer.memberships[0].name, "n1");
	CHECK_INT(x509_verify(rig.keys.ca_pem, answer.certificate, clock_wall()), 0);
	CHECK(x509_key_matches(answer.certificate, j.tls_key));
	CHECK_INT(x509_info_read(answer.certificate, &info), 0);
	CHECK_INT(info.uri_count, 2);
	x509_info_done(&info);
	CHECK_INT(answer.journal_count, 2);
	CHECK_INT(rows("dc1"), 1);
	arena_done(&arena);
	joiner_done(&j);
	free(token);
	end();
}

TEST(identical_request_gets_the_identical_answer)
{
	struct joiner j;
	char *token, *first;
	const char *second;

	begin();
	token = rig_token(&rig, "dc1", 1);
	joiner_init(&j, token, "n1");
	joiner_sign(&j, watcher.mesh);
	second = joiner_send(&j, &watcher, 5000);
	CHECK(second);
	first = xstrdup(second);
	second = joiner_send(&j, &watcher, 5000);
	CHECK(second);
	CHECK_STR(first, second);
	CHECK_INT(rows("dc1"), 1);
	free(first);
	joiner_done(&j);
	free(token);
	end();
}

TEST(revoked_token_gets_a_signed_refusal)
{
	struct refusal_reason why;
	struct arena arena = { 0 };
	struct join_answer answer;
	struct joiner j;
	char *token;

	begin();
	token = rig_token(&rig, "dc1", 1);
	joiner_init(&j, token, "n1");
	CHECK_INT(token_revoke(&rig.authority, j.token.id, &why), 0);
	joiner_sign(&j, watcher.mesh);
	joiner_answer(&j, &rig, joiner_send(&j, &watcher, 5000), &arena, &answer);
	CHECK(answer.refused);
	CHECK_STR(answer.refused->code, "token_revoked");
	CHECK_INT(rows("dc1"), 0);
	arena_done(&arena);
	joiner_done(&j);
	free(token);
	end();
}

TEST(unknown_token_gets_silence)
{
	struct joiner j;
	char *token;

	begin();
	token = rig_token(&rig, "dc1", 1);
	joiner_init(&j, token, "n1");
	/* A key that the coordinator never made. */
	sign_key_done(&j.token_key);
	sign_key_generate(&j.token_key);
	strcpy(j.token.id, j.token_key.id);
	joiner_sign(&j, watcher.mesh);
	CHECK(!joiner_send(&j, &watcher, 300));
	CHECK_INT(session_refused(rig.session, REFUSED_KEY), 1);
	joiner_done(&j);
	free(token);
	end();
}

/* Both signatures count, each by its own key, over these bytes in this place. */
TEST(join_needs_both_signatures)
{
	const struct sign_key *keys[2];
	struct joiner j, other;
	struct document d;
	struct buf body = { 0 };
	char *token, place[TOPIC_SIZE];

	begin();
	token = rig_token(&rig, "dc1", 0);
	joiner_init(&j, token, "n1");
	joiner_init(&other, token, "n2");
	joiner_sign(&j, watcher.mesh);
	topic_place(watcher.mesh, &j.topic, place);
	CHECK_INT(document_split(j.request.data, j.request.len, &d), REFUSED_NOT);
	buf_add(&body, d.body, d.body_len);

	keys[0] = &j.token_key;
	keys[1] = &other.identity;
	buf_clear(&j.request);
	document_sign(&j.request, place, body.data, body.len, keys, 2);
	CHECK(!joiner_send(&j, &watcher, 300));
	CHECK_INT(session_refused(rig.session, REFUSED_SIGNER), 1);

	buf_clear(&j.request);
	document_sign(&j.request, place, body.data, body.len, keys, 1);
	CHECK(!joiner_send(&j, &watcher, 300));
	CHECK_INT(session_refused(rig.session, REFUSED_SIGNER), 2);

	keys[1] = &j.identity;
	buf_clear(&j.request);
	strcpy(j.topic.other, "j-another-client");
	document_sign(&j.request, place, body.data, body.len, keys, 2);
	CHECK(!joiner_send(&j, &watcher, 300));
	CHECK_INT(session_refused(rig.session, REFUSED_PLACE), 1);
	CHECK_INT(rows("dc1"), 0);
	buf_done(&body);
	joiner_done(&j);
	joiner_done(&other);
	free(token);
	end();
}

/* ---- what a joined node asks */

/* Sends a request of the node and reads its response. */
static void ask(struct joiner *j, const struct node_request *request, bool with_token,
		struct arena *arena, struct node_response *ret)
{
	const struct sign_key *keys[2] = { &j->token_key, &j->identity };
	struct topic t = { .kind = TOPIC_REQ }, like = { .kind = TOPIC_RSP };
	struct buf body = { 0 }, document = { 0 };
	const struct watch_message *m;
	struct verify_key key;
	char place[TOPIC_SIZE];
	struct json_error err;
	struct document d;

	strcpy(t.id, j->identity.id);
	strcpy(like.id, j->identity.id);
	topic_place(watcher.mesh, &t, place);
	json_encode(&body, node_request_fields, request);
	document_sign(&document, place, body.data, body.len, with_token ? keys : keys + 1,
		      with_token ? 2 : 1);
	watch_clear(&watcher);
	watch_publish(&watcher, &t, &document, false);
	RIG_UNTIL(&rig, (m = watch_last(&watcher, &like)), 3000);
	topic_place(watcher.mesh, &like, place);
	verify_key_init(&key, rig.keys.signing.public_key);
	CHECK_INT(document_split(m->payload, m->len, &d), REFUSED_NOT);
	CHECK(document_verify(&d, 0, place, &key));
	verify_key_done(&key);
	*ret = (struct node_response){ 0 };
	CHECK_INT(node_response_decode(arena, d.body, d.body_len, ret, &err), REFUSED_NOT);
	CHECK_STR(ret->rid, request->rid);
	buf_done(&body);
	buf_done(&document);
}

TEST(leave_is_answered)
{
	char rid[] = "0123456789abcdef", network[] = "dc1";
	struct node_request request = { .rid = rid, .op = NODE_OP_LEAVE, .network = network };
	struct node_response response;
	struct arena arena = { 0 };
	struct joiner j;

	begin();
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	ask(&j, &request, false, &arena, &response);
	CHECK(!response.refused);
	CHECK_INT(rows("dc1"), 0);
	/* The second time it is told that it is in none. */
	ask(&j, &request, false, &arena, &response);
	CHECK(response.refused);
	CHECK_STR(response.refused->code, "not_a_member");
	arena_done(&arena);
	joiner_done(&j);
	end();
}

TEST(renew_gives_a_certificate)
{
	char rid[] = "0123456789abcdef";
	struct node_request request = { .rid = rid, .op = NODE_OP_RENEW };
	struct node_response response;
	struct arena arena = { 0 };
	struct x509_info info;
	struct joiner j;
	char *uri;

	begin();
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	request.csr = j.csr;
	ask(&j, &request, false, &arena, &response);
	CHECK(!response.refused);
	CHECK_INT(x509_verify(rig.keys.ca_pem, response.certificate, clock_wall()), 0);
	CHECK(x509_key_matches(response.certificate, j.tls_key));
	CHECK_INT(x509_info_read(response.certificate, &info), 0);
	CHECK_INT(info.uri_count, 2);
	uri = xasprintf("warren:node:%s", j.identity.id);
	CHECK_STR(info.uris[0], uri);
	CHECK_STR(info.uris[1], "warren:net:dc1");
	free(uri);
	x509_info_done(&info);
	arena_done(&arena);
	joiner_done(&j);
	end();
}

TEST(rotate_is_refused_with_a_sentence)
{
	char rid[] = "0123456789abcdef", network[] = "dc1";
	struct node_request request = { .rid = rid, .op = NODE_OP_ROTATE, .network = network };
	struct node_response response;
	struct arena arena = { 0 };
	struct joiner j;

	begin();
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	ask(&j, &request, false, &arena, &response);
	CHECK(response.refused);
	CHECK_STR(response.refused->code, "rotate");
	arena_done(&arena);
	joiner_done(&j);
	end();
}

TEST(further_network_is_joined_by_a_joined_node)
{
	char rid[] = "0123456789abcdef", name[256], *token;
	struct node_request request = { .rid = rid, .op = NODE_OP_JOIN };
	struct node_response response;
	struct join_request join;
	struct arena arena = { 0 };
	struct joiner j, second;

	begin();
	rig_network(&rig, "dc2", "10.36.51.0/24");
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	token = rig_token(&rig, "dc2", 1);
	joiner_init(&second, token, "n1");
	sign_key_done(&second.identity);
	sign_key_from_secret(j.identity.secret, &second.identity);
	joiner_fill(&second, name, &join);
	request.join = &join;
	ask(&second, &request, true, &arena, &response);
	CHECK(!response.refused);
	CHECK(response.join);
	CHECK(!response.join->refused);
	CHECK_STR(response.join->memberships[0].network, "dc2");
	CHECK_INT(rows("dc2"), 1);
	arena_done(&arena);
	joiner_done(&j);
	joiner_done(&second);
	free(token);
	end();
}

/* Signs a register of the node and publishes it. */
static void node_register(struct joiner *j, struct topic *t, const struct json_field *fields,
			  const void *what)
{
	const struct sign_key *key = &j->identity;
	struct buf body = { 0 }, document = { 0 };
	char place[TOPIC_SIZE];

	strcpy(t->id, j->identity.id);
	topic_place(watcher.mesh, t, place);
	json_encode(&body, fields, what);
	document_sign(&document, place, body.data, body.len, &key, 1);
	watch_publish(&watcher, t, &document, true);
	buf_done(&body);
	buf_done(&document);
}

static bool is_online(const char *id)
{
	struct arena arena = { 0 };
	struct node_row node = { 0 };

	CHECK_INT(store_node_get(rig.store, &arena, id, &node), 0);
	arena_done(&arena);
	return node.online;
}

TEST(node_state_is_taken_by_seq)
{
	char instance[] = "abc";
	struct node_state state = { .seq = 10, .instance = instance, .online = true };
	struct topic t = { .kind = TOPIC_NODE };
	struct joiner j;

	begin();
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	node_register(&j, &t, node_state_fields, &state);
	RIG_UNTIL(&rig, is_online(j.identity.id), 3000);
	state.seq = 9; /* an old will, played back */
	state.online = false;
	node_register(&j, &t, node_state_fields, &state);
	rig_wait(&rig, 200);
	CHECK(is_online(j.identity.id));
	state.seq = 11;
	node_register(&j, &t, node_state_fields, &state);
	RIG_UNTIL(&rig, !is_online(j.identity.id), 3000);
	joiner_done(&j);
	end();
}

static bool has_endpoint(const char *id, const char *endpoint)
{
	const char *body = publisher_get(rig.publisher, "dc1", JOURNAL_PEERS, id);

	return body && strstr(body, endpoint);
}

TEST(stable_endpoints_go_into_the_member)
{
	char first[] = "192.0.2.1:51830", second[] = "192.0.2.2:51830";
	char *endpoints[] = { first };
	struct ep ep = { .seq = 5, .endpoints = endpoints, .endpoint_count = 1 };
	struct topic t = { .kind = TOPIC_EP, .network = "dc1" };
	const struct watch_message *m;
	struct joiner j;

	begin();
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	rig.session->stable = 400 * USEC_PER_MSEC;
	node_register(&j, &t, ep_fields, &ep);
	rig_wait(&rig, 250);
	/* Another one within the time: it begins anew. */
	endpoints[0] = second;
	ep.seq = 6;
	node_register(&j, &t, ep_fields, &ep);
	rig_wait(&rig, 250);
	CHECK(!has_endpoint(j.identity.id, "192.0.2"));
	RIG_UNTIL(&rig, has_endpoint(j.identity.id, second), 3000);
	CHECK(!has_endpoint(j.identity.id, first));
	/* The topic is cleared. */
	RIG_UNTIL(&rig, (m = watch_last(&watcher, &t)) && m->len == 0, 3000);
	joiner_done(&j);
	end();
}

/* A stranger's word about a node. */
TEST(foreign_signature_is_refused)
{
	char instance[] = "abc";
	struct node_state state = { .seq = 10, .instance = instance, .online = true };
	struct topic t = { .kind = TOPIC_NODE };
	struct joiner j, other;
	struct sign_key mine;

	begin();
	rig_join(&rig, &watcher, &j, "dc1", "n1");
	rig_join(&rig, &watcher, &other, "dc1", "n2");
	/* Signed by the other node's key, at this node's topic. */
	mine = j.identity;
	strcpy(other.identity.id, mine.id);
	node_register(&other, &t, node_state_fields, &state);
	rig_wait(&rig, 200);
	CHECK(!is_online(mine.id));
	CHECK_INT(session_refused(rig.session, REFUSED_PLACE), 1);
	joiner_done(&j);
	joiner_done(&other);
	end();
}

static void read_state(struct coordinator_state *ret, struct arena *arena)
{
	const struct topic like = { .kind = TOPIC_STATE };
	const struct watch_message *m = watch_last(&watcher, &like);
	struct document d;

	CHECK(m);
	CHECK_INT(document_split(m->payload, m->len, &d), REFUSED_NOT);
	CHECK_INT(body_decode(arena, d.body, d.body_len, coordinator_state_fields, ret, NULL),
		  REFUSED_NOT);
}

TEST(presence_and_goodbye)
{
	struct coordinator_state first = { 0 }, gone = { 0 }, again = { 0 };
	struct arena arena = { 0 };

	begin();
	read_state(&first, &arena);
	CHECK(first.online);
	rig_stop(&rig);
	rig_wait(&rig, 200);
	read_state(&gone, &arena);
	CHECK(!gone.online);
	CHECK(gone.seq > first.seq);
	CHECK_INT(gone.seq >> 20, first.seq >> 20);
	rig_start(&rig);
	rig_ready(&rig);
	read_state(&again, &arena);
	CHECK(again.online);
	CHECK(again.seq > gone.seq);
	arena_done(&arena);
	end();
}

/* Somebody takes our session over: the broker publishes our will. */
TEST(lost_connection_leaves_the_will)
{
	struct coordinator_state first = { 0 }, will = { 0 };
	struct watcher thief;
	struct arena arena = { 0 };

	begin();
	read_state(&first, &arena);
	watch_clear(&watcher);
	watch_start(&thief, &rig, "coordinator");
	for (size_t i = 0; i < watcher.count && !will.seq; i++) {
		struct topic t;
		struct document d;

		if (!watch_parse(&watcher, i, &t) || t.kind != TOPIC_STATE)
			continue;
		CHECK_INT(document_split(watcher.messages[i].payload, watcher.messages[i].len, &d),
			  REFUSED_NOT);
		CHECK_INT(body_decode(&arena, d.body, d.body_len, coordinator_state_fields, &will,
				      NULL),
			  REFUSED_NOT);
	}
	CHECK(!will.online);
	CHECK_INT(will.seq & 0xfffff, 0xfffff);
	CHECK_INT(will.seq >> 20, first.seq >> 20);
	watch_stop(&thief);
	arena_done(&arena);
	end();
}

TEST_MAIN("session")

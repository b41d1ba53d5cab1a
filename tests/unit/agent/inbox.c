/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What arrives at an agent that is in one network: who is believed, and what it does. */
#include "agent/inbox.h"

#include "agent/follow.h"
#include "agent/networks.h"
#include "agent/own.h"
#include "agent/peers.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/agent/member.h"

static struct agent agent;
static struct sign_key root, coordinator, node;
static struct network *net;
static unsigned trust_seq;

static enum refusal tell(const struct topic *t, const struct sign_key *key, const char *body)
{
	struct buf document = { 0 };
	char topic[TOPIC_SIZE], place[TOPIC_SIZE];
	enum refusal refused;

	topic_format(agent.trust->mesh, t, topic);
	topic_place(agent.trust->mesh, t, place);
	document_sign(&document, place, body, strlen(body), &key, 1);
	refused = inbox_take(&agent, topic, document.data, document.len);
	buf_done(&document);
	return refused;
}

static enum refusal send_trust(const struct sign_key *by, const struct sign_key *const *listed,
			       size_t count)
{
	struct trust_key list[2];
	char *cas[] = { (char[]){ "-----BEGIN CERTIFICATE-----\nMA==\n"
				  "-----END CERTIFICATE-----\n" } };
	char *brokers[] = { (char[]){ "mqtts://192.0.2.1:8883" } };
	struct trust_body body = { .seq = ++trust_seq,
				   .signing_keys = list,
				   .signing_key_count = count,
				   .cas = cas,
				   .ca_count = 1,
				   .brokers = brokers,
				   .broker_count = 1 };
	struct buf text = { 0 };
	enum refusal refused;

	for (size_t i = 0; i < count; i++)
		memcpy(list[i].key, listed[i]->public_key, KEY_LEN);
	json_encode(&text, trust_fields, &body);
	refused = tell(&(struct topic){ .kind = TOPIC_TRUST }, by, buf_cstr(&text));
	buf_done(&text);
	return refused;
}

static void join(void)
{
	net = member_put(&agent.memberships, agent.state);
	network_start(&agent, net);
}

static void begin(void)
{
	struct agent_options o = { .state = folder() };
	const struct sign_key *listed[] = { &coordinator };
	char why[256];

	log_set_level(LOG_ERROR);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 1 }, &root);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 2 }, &coordinator);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 3 }, &node);
	CHECK_INT(agent_open(&agent, loop_new(), &o, why, sizeof(why)), 0);
	agent.trust = trust_new(root.public_key);
	agent.keyring_agent.trust = agent.trust;
	CHECK_INT(send_trust(&root, listed, 1), REFUSED_NOT);
	join();
}

static void end(void)
{
	struct loop *l = agent.loop;

	agent_stop(&agent);
	sign_key_done(&coordinator);
	sign_key_done(&root);
	sign_key_done(&node);
	loop_free(l);
}

static const struct topic peers = { .kind = TOPIC_JOURNAL,
				    .journal = JOURNAL_PEERS,
				    .network = "dc1" };

/* A journal of one delta after another, signed by the coordinator's key. */
static uint8_t hash[HASH_LEN];
static uint64_t ver;

static void delta(const char *ops)
{
	char body[2048], prev[HASH_HEX_SIZE];

	hex_encode(hash, HASH_LEN, prev);
	snprintf(body, sizeof(body),
		 "{\"epoch\":5,\"ver\":%llu,\"prev\":\"%s\",\"run\":\"%032d\",\"ops\":[%s]}",
		 (unsigned long long)++ver, prev, 7, ops);
	sha256(body, strlen(body), hash);
	CHECK_INT(tell(&peers, &coordinator, body), REFUSED_NOT);
}

/* Puts the replica to (5, 1) with these members, as a snapshot would. */
static void restored(const char *node_body)
{
	struct replica_state st = { .position = { 5, 1 }, .proven = true, .join_reached = true };
	const struct replica_change c = { .name = node.id,
					  .change = MEMBER_PUT,
					  .body = node_body };

	memset(hash, 9, sizeof(hash));
	memcpy(st.hash, hash, HASH_LEN);
	CHECK_INT(hex_decode("00000000000000000000000000000007", st.run, RUN_LEN), 0);
	memcpy(st.proof_key, coordinator.id, KEY_ID_SIZE);
	ver = 1;
	network_stop(net);
	state_journal_put(agent.state, "n/dc1/peers", &st, &c, 1);
	network_start(&agent, net);
}

static const char *member(const char *name, const char *endpoint, unsigned ep_seq)
{
	static char text[512];
	char key[KEY_BASE64_SIZE], identity[KEY_BASE64_SIZE];

	base64_encode((uint8_t[KEY_LEN]){ 8 }, KEY_LEN, key);
	base64_encode(node.public_key, KEY_LEN, identity);
	snprintf(text, sizeof(text),
		 "{\"name\":\"%s\",\"role\":\"node\",\"keys\":[\"%s\"],\"identity_key\":\"%s\","
		 "\"addresses\":[\"10.9.0.2\"],\"endpoints\":[\"%s\"],\"ep_seq\":%u}",
		 name, key, identity, endpoint, ep_seq);
	return text;
}

TEST(members_become_peers_and_go_by_a_word)
{
	char op[1024];

	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	CHECK_INT(peers_count(net->peers), 1);
	CHECK_STR(peers_get(net->peers, node.id)->name, "n2");
	snprintf(op, sizeof(op), "{\"put\":\"%s\",\"body\":%s}", node.id,
		 member("renamed", "192.0.2.2:1", 0));
	delta(op);
	CHECK_STR(peers_get(net->peers, node.id)->name, "renamed");
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"left\"}", node.id);
	delta(op);
	CHECK_INT(peers_count(net->peers), 0);
	end();
}

static void own_put(void)
{
	char op[1024];

	snprintf(op, sizeof(op), "{\"put\":\"%s\",\"body\":%s}", agent.identity.key.id,
		 member("n1", "192.0.2.1:1", 0));
	delta(op);
}

TEST(our_own_del_ends_the_membership)
{
	char op[256];

	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	own_put();
	CHECK(!net->ended);
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"removed\"}", agent.identity.key.id);
	delta(op);
	CHECK(net->ended);
	agent_work(&agent);
	CHECK_INT(agent.memberships.count, 0);
	end();
}

/* We were removed, and joined again: the word of before is still on its way. */
TEST(an_own_del_of_before_the_join_ends_nothing)
{
	char op[256];

	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	own_put();
	follow_set_minimum(net->follow_peers, (struct journal_position){ 5, 4 }, "t", "d");
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"removed\"}", agent.identity.key.id);
	delta(op);
	CHECK(!net->ended);
	end();
}

TEST(registers_of_endpoints_are_their_nodes_word)
{
	struct topic ep = { .kind = TOPIC_EP, .network = "dc1" };
	struct sign_key stranger;
	char *const *list;

	begin();
	restored(member("n2", "192.0.2.2:1", 3));
	memcpy(ep.id, node.id, KEY_ID_SIZE);
	CHECK_INT(tell(&ep, &coordinator, "{\"seq\":9,\"endpoints\":[\"192.0.2.66:1\"]}"),
		  REFUSED_SIGNER);
	CHECK_INT(tell(&ep, &node, "{\"seq\":3,\"endpoints\":[\"192.0.2.66:1\"]}"), REFUSED_NOT);
	CHECK_INT(peers_endpoints(peers_get(net->peers, node.id), &list), 1);
	CHECK_STR(list[0], "192.0.2.2:1");
	CHECK_INT(tell(&ep, &node, "{\"seq\":4,\"endpoints\":[\"192.0.2.44:1\"]}"), REFUSED_NOT);
	CHECK_INT(peers_endpoints(peers_get(net->peers, node.id), &list), 1);
	CHECK_STR(list[0], "192.0.2.44:1");
	/* It is on the disk. */
	network_stop(net);
	network_start(&agent, net);
	CHECK_INT(peers_endpoints(peers_get(net->peers, node.id), &list), 1);
	CHECK_STR(list[0], "192.0.2.44:1");
	/* Somebody whom nobody knows. */
	sign_key_from_secret((uint8_t[KEY_LEN]){ 9 }, &stranger);
	memcpy(ep.id, stranger.id, KEY_ID_SIZE);
	CHECK_INT(tell(&ep, &stranger, "{\"seq\":4,\"endpoints\":[]}"), REFUSED_KEY);
	sign_key_done(&stranger);
	end();
}

TEST(a_register_that_comes_before_its_member_is_kept)
{
	struct topic ep = { .kind = TOPIC_EP, .network = "dc1" };
	struct sign_key stranger;
	char *const *list;
	char op[1024];

	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"left\"}", node.id);
	delta(op);
	memcpy(ep.id, node.id, KEY_ID_SIZE);
	CHECK_INT(tell(&ep, &node, "{\"seq\":1,\"endpoints\":[\"192.0.2.33:1\"]}"), REFUSED_KEY);
	CHECK_INT(tell(&ep, &node, "{\"seq\":2,\"endpoints\":[\"192.0.2.44:1\"]}"), REFUSED_KEY);
	snprintf(op, sizeof(op), "{\"put\":\"%s\",\"body\":%s}", node.id,
		 member("n2", "192.0.2.2:1", 0));
	delta(op);
	CHECK_INT(peers_endpoints(peers_get(net->peers, node.id), &list), 1);
	CHECK_STR(list[0], "192.0.2.44:1");
	/* What is kept was not believed yet. */
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"left\"}", node.id);
	delta(op);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 9 }, &stranger);
	CHECK_INT(tell(&ep, &stranger, "{\"seq\":9,\"endpoints\":[\"192.0.2.66:1\"]}"),
		  REFUSED_KEY);
	sign_key_done(&stranger);
	snprintf(op, sizeof(op), "{\"put\":\"%s\",\"body\":%s}", node.id,
		 member("n2", "192.0.2.2:1", 0));
	delta(op);
	CHECK_INT(peers_endpoints(peers_get(net->peers, node.id), &list), 1);
	CHECK_STR(list[0], "192.0.2.2:1");
	end();
}

static enum refusal beat(uint64_t at_ver, const uint8_t *at_hash)
{
	static const struct topic t = { .kind = TOPIC_BEAT,
					.journal = JOURNAL_PEERS,
					.network = "dc1" };
	static unsigned time = 1000;
	char body[512], text[HASH_HEX_SIZE];

	hex_encode(at_hash, HASH_LEN, text);
	snprintf(body, sizeof(body),
		 "{\"epoch\":5,\"ver\":%llu,\"hash\":\"%s\",\"run\":\"%032d\",\"time\":%u}",
		 (unsigned long long)at_ver, text, 7, ++time);
	return tell(&t, &coordinator, body);
}

static void beats(unsigned count)
{
	while (count-- > 0)
		CHECK_INT(beat(ver, hash), REFUSED_NOT);
}

/* Others come; we are not among them. */
static void anothers_put(const char *name)
{
	char op[1024];

	snprintf(op, sizeof(op), "{\"put\":\"%s\",\"body\":%s}", node.id,
		 member(name, "192.0.2.2:1", 0));
	delta(op);
}

/* What the answer to the join named. */
static void joined_at(uint64_t epoch, uint64_t at_ver)
{
	struct journal_minimum journals[] = {
		{ .path = (char[]){ "n/dc1/gateways" }, .epoch = 9, .ver = 9 },
		{ .path = (char[]){ "n/dc1/peers" }, .epoch = epoch, .ver = at_ver },
	};
	const struct join_answer answer = { .journals = journals, .journal_count = 2 };

	own_joined(net, &answer);
}

TEST(a_fresh_joiner_waits_for_its_own_delta)
{
	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	joined_at(5, 1);
	beats(9);
	CHECK(!net->ended);
	/* Others of the same burst may stand before it. */
	anothers_put("n3");
	beats(OWN_BEATS - 1);
	own_put();
	beats(9);
	CHECK(!net->ended);
	CHECK_INT(net->joined_at.epoch, 0);
	end();
}

TEST(removed_before_it_was_ever_seen)
{
	const uint8_t other[HASH_LEN] = { 0 };

	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	joined_at(5, 1);
	anothers_put("n3");
	beats(1);
	/* Neither a beat that is ahead of us, nor of another history, nor a delta. */
	CHECK_INT(beat(ver + 1, other), REFUSED_NOT);
	CHECK_INT(beat(ver, other), REFUSED_NOT);
	anothers_put("n4");
	anothers_put("n5");
	CHECK(!net->ended);
	/* Not forgotten by a restart, but counted anew. */
	network_stop(net);
	net->joined_at = (struct journal_position){ 0 };
	net->absent_beats = 0;
	network_start(&agent, net);
	CHECK_INT(net->joined_at.ver, 1);
	beats(OWN_BEATS - 1);
	CHECK(!net->ended);
	beats(1);
	CHECK(net->ended);
	agent_work(&agent);
	CHECK_INT(agent.memberships.count, 0);
	end();
}

/* A restored coordinator may have forgotten us. */
TEST(a_new_epoch_without_us_ends_nothing)
{
	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	joined_at(4, 7);
	anothers_put("n3");
	beats(9);
	CHECK(!net->ended);
	end();
}

TEST(config_ends_only_by_the_coordinators_newest_word)
{
	static const char ended[] =
		"{\"seq\":%d,\"memberships\":[],\"ended\":[{\"network\":\"dc1\","
		"\"why\":\"removed\"}]}";
	struct topic config = { .kind = TOPIC_CONFIG };
	char body[256];

	begin();
	memcpy(config.id, agent.identity.key.id, KEY_ID_SIZE);
	CHECK_INT(tell(&config, &coordinator, "{\"seq\":5,\"memberships\":[]}"), REFUSED_NOT);
	CHECK(!net->ended);
	snprintf(body, sizeof(body), ended, 4);
	CHECK_INT(tell(&config, &coordinator, body), REFUSED_OLD);
	snprintf(body, sizeof(body), ended, 6);
	CHECK_INT(tell(&config, &node, body), REFUSED_KEY);
	CHECK_INT(tell(&config, &agent.identity.key, body), REFUSED_KEY);
	CHECK(!net->ended);
	CHECK_INT(tell(&config, &coordinator, body), REFUSED_NOT);
	CHECK(net->ended);
	CHECK_INT(state_register_seq(agent.state, "none"), 0);
	/* Another node's is nothing that we read. */
	memcpy(config.id, node.id, KEY_ID_SIZE);
	CHECK_INT(tell(&config, &coordinator, body), REFUSED_PLACE);
	end();
}

TEST(presence_is_the_highest_one_told)
{
	const struct topic state = { .kind = TOPIC_STATE };
	static const char text[] = "{\"seq\":%d,\"instance\":\"a\",\"online\":%s,"
				   "\"time\":\"2026-11-24T00:00:00Z\"}";
	char body[256], topic[TOPIC_SIZE];

	begin();
	snprintf(body, sizeof(body), text, 7, "true");
	CHECK_INT(tell(&state, &coordinator, body), REFUSED_NOT);
	CHECK(agent.coordinator_present);
	snprintf(body, sizeof(body), text, 6, "false");
	CHECK_INT(tell(&state, &coordinator, body), REFUSED_OLD);
	CHECK(agent.coordinator_present);
	topic_format(agent.trust->mesh, &state, topic);
	CHECK_INT(inbox_take(&agent, topic, NULL, 0), REFUSED_NOT);
	CHECK(agent.coordinator_present);
	CHECK_INT(state_register_seq(agent.state, "c/state"), 7);
	end();
}

TEST(a_revoked_key_is_believed_no_more)
{
	const struct topic state = { .kind = TOPIC_STATE };
	const struct sign_key *listed[] = { &node };
	char op[1024];

	begin();
	restored(member("n2", "192.0.2.2:1", 0));
	CHECK_INT(send_trust(&coordinator, listed, 1), REFUSED_SIGNER);
	CHECK_INT(send_trust(&root, listed, 1), REFUSED_NOT);
	CHECK_INT(tell(&state, &coordinator, "{}"), REFUSED_KEY);
	snprintf(op, sizeof(op),
		 "{\"epoch\":5,\"ver\":2,\"prev\":\"%064d\",\"run\":\"%032d\",\"ops\":[]}", 0, 7);
	CHECK_INT(tell(&peers, &coordinator, op), REFUSED_KEY);
	/* Members stay. */
	CHECK_INT(peers_count(net->peers), 1);
	end();
}

TEST(other_meshes_and_places_are_counted)
{
	struct mqtt_message m = { .topic = "warren/1/aaaaaaaaaa/c/trust",
				  .payload = (const uint8_t *)"x",
				  .len = 1 };
	char topic[TOPIC_SIZE];

	begin();
	inbox_message(&agent, &m);
	CHECK_INT(agent.refused[REFUSED_MESH], 1);
	m.topic = "something/else";
	inbox_message(&agent, &m);
	CHECK_INT(agent.refused[REFUSED_PLACE] + agent.refused[REFUSED_MESH], 2);
	snprintf(topic, sizeof(topic), "warren/1/%s/u/%s/state", agent.trust->mesh, node.id);
	m.topic = topic;
	inbox_message(&agent, &m);
	CHECK_INT(agent.refused[REFUSED_PLACE] + agent.refused[REFUSED_MESH], 3);
	snprintf(topic, sizeof(topic), "warren/1/%s/c/trust", agent.trust->mesh);
	inbox_message(&agent, &m);
	CHECK_INT(agent.refused[REFUSED_JSON], 1);
	end();
}

TEST_MAIN("inbox")

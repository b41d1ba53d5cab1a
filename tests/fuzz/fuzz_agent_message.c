/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the broker sends to an agent that is in one network: the first byte chooses the topic, the
 * second who signs (nobody, root, coordinator, another node), the rest is the payload or the body.
 * The agent must stay in its network: what ends a membership is acted on in the next turn of the loop,
 * which does not come.
 */
#include <stdint.h>
#include <string.h>

#include "agent/inbox.h"
#include "agent/networks.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "tests/unit/agent/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DC1(kind_, journal_, ...)                                                                  \
	{                                                                                          \
		.kind = kind_, .journal = journal_, .network = "dc1", ##__VA_ARGS__                \
	}

/* `id` is ours where it is "me", the other node's where it is "node". */
static const struct topic topics[] = {
	{ .kind = TOPIC_TRUST },
	{ .kind = TOPIC_STATE },
	{ .kind = TOPIC_CONFIG, .id = "me" },
	{ .kind = TOPIC_RSP, .id = "me" },
	DC1(TOPIC_EP, JOURNAL_PEERS, .id = "node"),
	DC1(TOPIC_JOURNAL, JOURNAL_PEERS),
	DC1(TOPIC_BEAT, JOURNAL_PEERS),
	DC1(TOPIC_LOG, JOURNAL_PEERS, .slot = 2),
	DC1(TOPIC_MANIFEST, JOURNAL_PEERS),
	DC1(TOPIC_CHUNK, JOURNAL_PEERS),
	DC1(TOPIC_JOURNAL, JOURNAL_GATEWAYS),
	DC1(TOPIC_MANIFEST, JOURNAL_GATEWAYS),
	DC1(TOPIC_CHUNK, JOURNAL_GATEWAYS, .slot = 1),
	{ .kind = TOPIC_JOURNAL, .network = "other" },
	{ .kind = TOPIC_NODE, .id = "me" },
	{ .kind = TOPIC_CONFIG, .id = "node" },
	DC1(TOPIC_EP, JOURNAL_PEERS, .id = "me"),
};

static struct agent agent;
static struct sign_key root, coordinator, node;

static void make_trust(void)
{
	struct trust_key key;
	char *cas[] = { (char[]){
		"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n" } };
	char *brokers[] = { (char[]){ "mqtts://192.0.2.1:8883" } };
	struct trust_body body = { .seq = 1,
				   .signing_keys = &key,
				   .signing_key_count = 1,
				   .cas = cas,
				   .ca_count = 1,
				   .brokers = brokers,
				   .broker_count = 1 };
	const struct sign_key *keys[] = { &root };
	struct buf text = { 0 }, document = { 0 };
	char place[TOPIC_SIZE];

	memcpy(key.key, coordinator.public_key, KEY_LEN);
	agent.trust = trust_new(root.public_key);
	agent.keyring_agent.trust = agent.trust;
	topic_format(agent.trust->mesh, &(struct topic){ .kind = TOPIC_TRUST }, place);
	json_encode(&text, trust_fields, &body);
	document_sign(&document, place, buf_cstr(&text), text.len, keys, 1);
	if (trust_take(agent.trust, document.data, document.len, NULL))
		abort();
	buf_done(&text);
	buf_done(&document);
}

static void begin(void)
{
	struct prefix address = { .addr = { .family = AF_INET, .bytes = { 10, 9, 0, 5 } },
				  .len = 24 };
	struct membership m = { .network = (char[]){ "dc1" },
				.name = (char[]){ "n1" },
				.addresses = &address,
				.address_count = 1,
				.mtu = 1420,
				.port = 51830 };
	struct agent_options o = { .state = folder() };
	char why[256];

	log_set_level(LOG_ERROR);
	/* The same keys each time: what the corpus signs stays signed. */
	sign_key_from_secret((uint8_t[KEY_LEN]){ 1 }, &root);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 2 }, &coordinator);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 3 }, &node);
	if (agent_open(&agent, loop_new(), &o, why, sizeof(why)) < 0)
		abort();
	make_trust();
	network_start(&agent, memberships_put(&agent.memberships, agent.state, &m,
					      (uint8_t[KEY_LEN]){ 4 }, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sign_key *signers[] = { NULL, &root, &coordinator, &node };
	const struct sign_key *key;
	struct buf document = { 0 };
	char topic[TOPIC_SIZE], place[TOPIC_SIZE];
	enum refusal refused;
	struct topic t;

	if (size < 2)
		return 0;
	if (!agent.loop)
		begin();
	t = topics[data[0] % ARRAY_SIZE(topics)];
	if (*t.id)
		memcpy(t.id, strcmp(t.id, "me") == 0 ? agent.identity.key.id : node.id,
		       KEY_ID_SIZE);
	topic_format(agent.trust->mesh, &t, topic);
	key = signers[data[1] % ARRAY_SIZE(signers)];
	if (key) {
		topic_place(agent.trust->mesh, &t, place);
		document_sign(&document, place, (const char *)data + 2, size - 2, &key, 1);
	} else {
		buf_add(&document, data + 2, size - 2);
	}
	refused = inbox_take(&agent, topic, document.data, document.len);
	if (refused >= REFUSED_COUNT || agent.memberships.count != 1)
		abort();
	/* The root signs only the trust document, and nobody else does. */
	if (!refused && t.kind == TOPIC_TRUST && document.len && key != &root)
		abort();
	if (!refused && key == &root && document.len &&
	    (t.kind == TOPIC_STATE || t.kind == TOPIC_BEAT))
		abort();
	buf_done(&document);
	agent.memberships.list[0]->ended = false;
	return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From journals to names: nodes, added names, services; what a grant covers, and which one counts. */
#include "agent/names.h"

#include <poll.h>
#include <sys/socket.h>

#include "agent/exporters.h"
#include "agent/inbox.h"
#include "agent/networks.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "schemas/gateway.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/agent/member.h"

static struct agent agent;
static struct sign_key root, coordinator, one, two;
static struct network *net;

/* A journal of ours: where it is, and who signs it. */
struct journal {
	struct topic topic;
	const struct sign_key *key;
	uint8_t hash[HASH_LEN];
	uint64_t ver;
};
static struct journal peers = { .topic = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_PEERS } },
		      gateways = { .topic = { .kind = TOPIC_JOURNAL,
					      .journal = JOURNAL_GATEWAYS } },
		      dns_one = { .topic = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS } },
		      dns_two = { .topic = { .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS } };

static enum refusal tell(struct journal *j, const struct sign_key *key, const char *body)
{
	struct buf document = { 0 };
	char topic[TOPIC_SIZE];
	enum refusal refused;

	topic_format(agent.trust->mesh, &j->topic, topic);
	document_sign(&document, topic, body, strlen(body), &key, 1);
	refused = inbox_take(&agent, topic, document.data, document.len);
	buf_done(&document);
	return refused;
}

static enum refusal delta_by(struct journal *j, const struct sign_key *key, const char *ops)
{
	char body[8192], prev[HASH_HEX_SIZE];
	enum refusal refused;

	hex_encode(j->hash, HASH_LEN, prev);
	snprintf(body, sizeof(body),
		 "{\"epoch\":5,\"ver\":%llu,\"prev\":\"%s\",\"run\":\"%032d\",\"ops\":[%s]}",
		 (unsigned long long)j->ver + 1, prev, 7, ops);
	refused = tell(j, key, body);
	if (!refused) {
		j->ver++;
		sha256(body, strlen(body), j->hash);
	}
	return refused;
}

static void delta(struct journal *j, const char *ops)
{
	CHECK_INT(delta_by(j, j->key, ops), REFUSED_NOT);
}

/* Puts its replica on disk to (5, 1) without members, as the first snapshot would. */
static void restored(struct journal *j)
{
	struct replica_state st = { .position = { 5, 1 }, .proven = true, .join_reached = true };
	char path[TOPIC_SIZE];

	strcpy(j->topic.network, "dc1");
	memset(j->hash, 9, HASH_LEN);
	memcpy(st.hash, j->hash, HASH_LEN);
	CHECK_INT(hex_decode("00000000000000000000000000000007", st.run, RUN_LEN), 0);
	memcpy(st.proof_key, j->key->id, KEY_ID_SIZE);
	j->ver = 1;
	topic_journal_path(&j->topic, path);
	state_journal_put(agent.state, path, &st, NULL, 0);
}

static void stop(void)
{
	network_stop(net);
}

static void start(void)
{
	network_start(&agent, net);
}

static void believe(const struct sign_key *k)
{
	char *cas[] = { (char[]){ "-----BEGIN CERTIFICATE-----\nMA==\n"
				  "-----END CERTIFICATE-----\n" } };
	char *brokers[] = { (char[]){ "mqtts://192.0.2.1:8883" } };
	struct trust_key list[1];
	struct trust_body body = { .seq = 1,
				   .signing_keys = list,
				   .signing_key_count = 1,
				   .cas = cas,
				   .ca_count = 1,
				   .brokers = brokers,
				   .broker_count = 1 };
	struct journal trust = { .topic = { .kind = TOPIC_TRUST } };
	struct buf text = { 0 };

	memcpy(list[0].key, k->public_key, KEY_LEN);
	json_encode(&text, trust_fields, &body);
	CHECK_INT(tell(&trust, &root, buf_cstr(&text)), REFUSED_NOT);
	buf_done(&text);
}

static void begin_with(struct agent_options o)
{
	char why[256];

	log_set_level(LOG_ERROR + 1);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 1 }, &root);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 2 }, &coordinator);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 3 }, &one);
	sign_key_from_secret((uint8_t[KEY_LEN]){ 4 }, &two);
	peers.key = gateways.key = &coordinator;
	dns_one.key = &one;
	dns_two.key = &two;
	memcpy(dns_one.topic.exporter, one.id, KEY_ID_SIZE);
	memcpy(dns_two.topic.exporter, two.id, KEY_ID_SIZE);
	o.state = folder();
	CHECK_INT(agent_open(&agent, loop_new(), &o, why, sizeof(why)), 0);
	agent.trust = trust_new(root.public_key);
	agent.keyring_agent.trust = agent.trust;
	believe(&coordinator);
	net = member_put(&agent.memberships, agent.state);
	restored(&peers);
	restored(&gateways);
	start();
}

static void begin(void)
{
	begin_with((struct agent_options){ 0 });
}

static void end(void)
{
	struct loop *l = agent.loop;

	agent_stop(&agent);
	sign_key_done(&coordinator);
	sign_key_done(&root);
	sign_key_done(&one);
	sign_key_done(&two);
	loop_free(l);
}

/* The first address, "" none. */
static const char *says(const char *what)
{
	static char text[ADDR_SIZE];
	struct addr a;

	if (!names_resolve(net, what, &a))
		return "";
	return addr_format(&a, text);
}

static void grant(const struct sign_key *k, const char *site, const char *range,
		  unsigned generation, const char *before)
{
	char op[1024], key[KEY_BASE64_SIZE];

	base64_encode(k->public_key, KEY_LEN, key);
	snprintf(op, sizeof(op),
		 "%s{\"put\":\"exporter/%s\",\"body\":{\"key\":\"%s\",\"site\":\"%s\","
		 "\"ranges\":[\"%s\"],\"generation\":%u}}",
		 before, k->id, key, site, range, generation);
	delta(&gateways, op);
}

static void end_grant(const struct sign_key *k, const char *why)
{
	char op[256];

	snprintf(op, sizeof(op), "{\"del\":\"exporter/%s\",\"why\":\"%s\"}", k->id, why);
	delta(&gateways, op);
}

static bool is_read(void)
{
	return exporters_are_read(names_exporters(net));
}

#define SERVICE(name, address) "{\"put\":\"" name "\",\"body\":{\"addresses\":[\"" address "\"]}}"
#define POD(name, address)                                                                         \
	"{\"put\":\"" name "\",\"body\":{\"endpoints\":[{\"addresses\":[\"" address "\"]}]}}"

/* ---- */

TEST(nodes_and_added_names)
{
	char op[1024], key[KEY_BASE64_SIZE];

	begin();
	CHECK_STR(says("n1"), "10.9.0.1");
	CHECK_STR(says("n1.dc1"), "10.9.0.1");
	CHECK_STR(says("n1.dc2"), "");
	base64_encode(two.public_key, KEY_LEN, key);
	for (int i = 0; i < 2; i++) {
		snprintf(op, sizeof(op),
			 "{\"put\":\"%s\",\"body\":{\"name\":\"%s\",\"role\":\"node\",\"keys\":"
			 "[\"%s\"],\"addresses\":[\"10.9.0.2\"]}}",
			 two.id, i ? "renamed" : "n2", key);
		delta(&peers, op);
		CHECK_STR(says("n2"), i ? "" : "10.9.0.2");
		CHECK_STR(says("renamed"), i ? "10.9.0.2" : "");
	}
	delta(&gateways, "{\"put\":\"name/db\",\"body\":{\"addresses\":[\"192.0.2.9\"]}}");
	CHECK_STR(says("db.dc1"), "192.0.2.9");
	stop();
	start();
	CHECK_STR(says("db"), "192.0.2.9");
	CHECK_STR(says("renamed"), "10.9.0.2");
	delta(&gateways, "{\"del\":\"name/db\",\"why\":\"removed\"}");
	CHECK_STR(says("db"), "");
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"left\"}", two.id);
	delta(&peers, op);
	CHECK_STR(says("renamed"), "");
	end();
}

/* ---- who may ask at --dns: from addresses of 127/8, which --dns-allow here does not have */

static struct endpoint dns_at;

/* Is what comes from there answered? */
static bool answers(const char *from)
{
	static const uint8_t query[] = { 0, 1,	 1,   0, 0,   1,   0,	0, 0, 0, 0, 0,
					 2, 'n', '1', 3, 'd', 'c', '1', 0, 0, 1, 0, 1 };
	struct endpoint e = { 0 };
	struct sockaddr_storage ss;
	struct pollfd p = { .events = POLLIN };
	uint8_t in[512] = { 0 };
	socklen_t len;

	CHECK_INT(addr_parse(from, &e.addr), 0);
	p.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	len = endpoint_to_sockaddr(&e, &ss);
	CHECK_INT(bind(p.fd, (struct sockaddr *)&ss, len), 0);
	len = endpoint_to_sockaddr(&dns_at, &ss);
	CHECK_INT(connect(p.fd, (struct sockaddr *)&ss, len), 0);
	CHECK(send(p.fd, query, sizeof(query), 0) == sizeof(query));
	CHECK_INT(poll(&p, 1, 2000), 1);
	CHECK(recv(p.fd, in, sizeof(in), 0) >= 12);
	close(p.fd);
	CHECK((in[3] & 15) == 0 || (in[3] & 15) == 5);
	return (in[3] & 15) == 0;
}

static void peer_put(const char *id, const char *site, const char *endpoint)
{
	char op[1024], key[KEY_BASE64_SIZE];

	base64_encode(two.public_key, KEY_LEN, key);
	snprintf(op, sizeof(op),
		 "{\"put\":\"%s\",\"body\":{\"name\":\"n%.4s\",\"role\":\"node\",\"keys\":[\"%s\"],"
		 "\"addresses\":[\"10.9.0.2\"],\"site\":\"%s\",\"endpoints\":[\"%s:51830\"]}}",
		 id, id, key, site, endpoint);
	delta(&peers, op);
}

TEST(nodes_of_the_site_may_ask_at_dns)
{
	struct prefix allow;
	char op[256], why[256];

	CHECK_INT(endpoint_parse("127.9.0.1:5399", &dns_at), 0);
	CHECK_INT(prefix_parse("10.0.0.0/8", &allow), 0);
	begin_with((struct agent_options){
		.dns = &dns_at, .dns_count = 1, .dns_allow = &allow, .dns_allow_count = 1 });
	agent.site = xstrdup("dc1");
	CHECK_INT(names_new(&agent, &agent.names, why, sizeof(why)), 0);
	stop();
	start();
	CHECK(!answers("127.9.0.7"));
	peer_put(two.id, "dc1", "127.9.0.7");
	CHECK(answers("127.9.0.7"));
	CHECK(!answers("127.9.0.8"));
	/* It says another address; then another site; then the first again, and leaves. */
	peer_put(two.id, "dc1", "127.9.0.8");
	CHECK(!answers("127.9.0.7"));
	CHECK(answers("127.9.0.8"));
	peer_put(two.id, "cloud", "127.9.0.8");
	CHECK(!answers("127.9.0.8"));
	peer_put(two.id, "dc1", "127.9.0.8");
	CHECK(answers("127.9.0.8"));
	snprintf(op, sizeof(op), "{\"del\":\"%s\",\"why\":\"left\"}", two.id);
	delta(&peers, op);
	CHECK(!answers("127.9.0.8"));
	/* This node itself, of whatever site; also after a restart; not when the network is gone. */
	peer_put(agent.identity.key.id, "cloud", "127.9.0.9");
	CHECK(answers("127.9.0.9"));
	stop();
	CHECK(!answers("127.9.0.9"));
	start();
	CHECK(answers("127.9.0.9"));
	end();
}

TEST(records_are_their_exporters_word)
{
	begin();
	restored(&dns_one);
	/* Without a grant it is nobody's. */
	CHECK_INT(delta_by(&dns_one, &one, SERVICE("shop/web", "10.43.0.1")), REFUSED_NOT);
	CHECK_STR(says("web.shop"), "");
	dns_one.ver = 1;
	memset(dns_one.hash, 9, HASH_LEN);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	CHECK(is_read());
	CHECK_INT(delta_by(&dns_one, &coordinator, SERVICE("shop/web", "10.43.0.1")),
		  REFUSED_SIGNER);
	CHECK_INT(delta_by(&dns_one, &two, SERVICE("shop/web", "10.43.0.1")), REFUSED_SIGNER);
	CHECK_STR(says("web.shop"), "");
	delta(&dns_one, SERVICE("shop/web", "10.43.0.1"));
	CHECK_STR(says("web.shop.dc1"), "10.43.0.1");
	delta(&dns_one, SERVICE("shop/web", "10.43.0.2"));
	CHECK_STR(says("web.shop"), "10.43.0.2");
	delta(&dns_one, "{\"del\":\"shop/web\",\"why\":\"gone\"}");
	CHECK_STR(says("web.shop"), "");
	end();
}

TEST(a_grant_with_another_key_is_none)
{
	struct sign_key other = two;

	begin();
	other = two;
	memcpy(other.id, one.id, KEY_ID_SIZE);
	restored(&dns_one);
	grant(&other, "a", "10.43.0.0/16", 1, "");
	CHECK_INT(agent.refused[REFUSED_SCHEMA], 1);
	CHECK(!exporters_nth(names_exporters(net), 0));
	end();
}

TEST(what_a_grant_covers)
{
	static const struct {
		const char *op, *name;
		enum refusal refused;
	} cases[] = {
		{ SERVICE("shop/web", "10.44.0.1"), "web.shop", REFUSED_GRANT },
		{ SERVICE("shop/web", "10.43.0.1\",\"10.44.0.1"), "web.shop", REFUSED_GRANT },
		{ SERVICE("shop/web", "fd00::1"), "web.shop", REFUSED_GRANT },
		{ "{\"put\":\"shop/web\",\"body\":{\"endpoints\":[{\"addresses\":[\"10.43.0.1\"]},"
		  "{\"addresses\":[\"10.44.0.1\"]}]}}",
		  "web.shop", REFUSED_GRANT },
		{ SERVICE("web", "10.43.0.1"), "web", REFUSED_GRANT },
		{ SERVICE("a/b/c", "10.43.0.1"), "c.a", REFUSED_GRANT },
		{ SERVICE("a/b/0", "10.43.0.1"), "b.a", REFUSED_GRANT },
		{ SERVICE("a/b/01", "10.43.0.1"), "b.a", REFUSED_GRANT },
		{ SERVICE("a/b/64", "10.43.0.1"), "b.a", REFUSED_GRANT },
		{ SERVICE("a/b/", "10.43.0.1"), "b.a", REFUSED_GRANT },
		{ SERVICE("a/b.c", "10.43.0.1"), "b.c.a", REFUSED_GRANT },
		{ SERVICE("a/-b", "10.43.0.1"), "-b.a", REFUSED_GRANT },
		{ "{\"put\":\"shop/web\",\"body\":{\"addresses\":[7]}}", "web.shop",
		  REFUSED_SCHEMA },
	};

	begin();
	restored(&dns_one);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		delta(&dns_one, SERVICE("shop/web", "10.43.0.1"));
		memset(agent.refused, 0, sizeof(agent.refused));
		delta(&dns_one, cases[i].op);
		CHECK_INT(agent.refused[cases[i].refused], 1);
		CHECK_STR(says(cases[i].name), "");
	}
	/* Other ranges: everything is looked at anew. */
	delta(&dns_one, SERVICE("shop/web", "10.43.0.1") "," SERVICE("shop/api", "10.44.0.1"));
	CHECK_STR(says("web.shop"), "10.43.0.1");
	CHECK_STR(says("api.shop"), "");
	grant(&one, "a", "10.44.0.0/16", 1, "");
	CHECK_STR(says("web.shop"), "");
	CHECK_STR(says("api.shop"), "10.44.0.1");
	/* The same after a restart. */
	stop();
	start();
	CHECK_STR(says("web.shop"), "");
	CHECK_STR(says("api.shop"), "10.44.0.1");
	end_grant(&one, "removed");
	CHECK_STR(says("api.shop"), "");
	end();
}

/* A headless service that is too long for one member: what one part says or loses is not the others'. */
TEST(parts_are_one_name)
{
	begin();
	restored(&dns_one);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	delta(&dns_one, POD("shop/db/63", "10.43.0.3") "," POD("shop/db/2", "10.43.0.2"));
	CHECK_STR(says("db.shop"), "10.43.0.2");
	delta(&dns_one, POD("shop/db", "10.43.0.1"));
	CHECK_STR(says("db.shop"), "10.43.0.1");
	delta(&dns_one, "{\"del\":\"shop/db\",\"why\":\"gone\"}");
	CHECK_STR(says("db.shop"), "10.43.0.2");
	delta(&dns_one, POD("shop/db/2", "10.43.0.9"));
	CHECK_STR(says("db.shop"), "10.43.0.9");
	delta(&dns_one, POD("shop/db/2", "10.44.0.9"));
	CHECK_STR(says("db.shop"), "10.43.0.3");
	/* The same after a restart. */
	stop();
	start();
	CHECK_STR(says("db.shop"), "10.43.0.3");
	delta(&dns_one, "{\"del\":\"shop/db/63\",\"why\":\"gone\"}");
	CHECK_STR(says("db.shop"), "");
	end();
}

/* Of a dual-stack service that is left which the site carries. */
TEST(a_family_that_no_range_has_is_left_out)
{
	begin();
	restored(&dns_one);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	delta(&dns_one, SERVICE("shop/web", "fd00::1\",\"10.43.0.1"));
	delta(&dns_one,
	      "{\"put\":\"shop/db\",\"body\":{\"endpoints\":[{\"addresses\":[\"fd00::2\"]},"
	      "{\"addresses\":[\"fd00::3\",\"10.43.0.3\"]}]}}");
	CHECK_STR(says("web.shop"), "10.43.0.1");
	CHECK_STR(says("db.shop"), "10.43.0.3");
	CHECK_INT(agent.refused[REFUSED_GRANT], 0);
	grant(&one, "a", "fd00::/64", 1, "");
	CHECK_STR(says("web.shop"), "fd00::1");
	end();
}

/* The one before stays in force until the successor's journal was read, whatever happens meanwhile. */
TEST(generations)
{
	char del[256];

	begin();
	restored(&dns_one);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	delta(&dns_one, SERVICE("shop/web", "10.43.0.1"));
	snprintf(del, sizeof(del), "{\"del\":\"exporter/%s\",\"why\":\"replaced\"},", one.id);
	grant(&two, "a", "10.43.0.0/16", 2, del);
	CHECK_STR(says("web.shop"), "10.43.0.1");
	CHECK(is_read());
	/* What the old one says now counts no more. */
	CHECK_INT(delta_by(&dns_one, &one, SERVICE("shop/web", "10.43.0.66")), REFUSED_NOT);
	CHECK_STR(says("web.shop"), "10.43.0.1");
	stop();
	start();
	CHECK_STR(says("web.shop"), "10.43.0.1");
	stop();
	restored(&dns_two);
	start();
	CHECK_STR(says("web.shop"), "");
	delta(&dns_two, SERVICE("shop/web", "10.43.0.2"));
	CHECK_STR(says("web.shop"), "10.43.0.2");
	CHECK(!exporters_nth(names_exporters(net), 1));
	/* Also from the disk. */
	stop();
	start();
	CHECK(!exporters_nth(names_exporters(net), 1));
	end();
}

TEST(replaced_before_the_successor_is_named)
{
	begin();
	restored(&dns_one);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	delta(&dns_one, SERVICE("shop/web", "10.43.0.1"));
	end_grant(&one, "replaced");
	CHECK_STR(says("web.shop"), "10.43.0.1");
	grant(&two, "b", "10.43.0.0/16", 1, "");
	CHECK_STR(says("web.shop"), "10.43.0.1");
	CHECK(!is_read());
	stop();
	start();
	CHECK_STR(says("web.shop"), "10.43.0.1");
	end();
}

/* Its names end with it, and with the last exporter of its site, also when that one was never read. */
TEST(a_removed_site_has_no_names)
{
	begin();
	restored(&dns_one);
	grant(&one, "a", "10.43.0.0/16", 1, "");
	delta(&dns_one, SERVICE("shop/web", "10.43.0.1"));
	end_grant(&one, "replaced");
	grant(&two, "a", "10.43.0.0/16", 2, "");
	CHECK_STR(says("web.shop"), "10.43.0.1");
	end_grant(&two, "removed");
	CHECK_STR(says("web.shop"), "");
	CHECK(!exporters_nth(names_exporters(net), 0));
	CHECK(is_read());
	stop();
	start();
	CHECK_STR(says("web.shop"), "");
	CHECK(!exporters_nth(names_exporters(net), 0));
	end();
}

TEST(higher_generation_counts_although_the_lower_is_granted)
{
	begin();
	restored(&dns_one);
	restored(&dns_two);
	grant(&two, "a", "10.43.0.0/16", 2, "");
	grant(&one, "a", "10.43.0.0/16", 1, "");
	delta(&dns_one, SERVICE("shop/web", "10.43.0.1"));
	CHECK_STR(says("web.shop"), "");
	delta(&dns_two, SERVICE("shop/web", "10.43.0.2"));
	CHECK_STR(says("web.shop"), "10.43.0.2");
	/* Of another site: both. */
	grant(&one, "b", "10.43.0.0/16", 1, "");
	end_grant(&two, "removed");
	CHECK_STR(says("web.shop"), "10.43.0.1");
	end();
}

TEST(complete_when_every_journal_was_read)
{
	begin();
	CHECK(is_read());
	grant(&one, "a", "10.43.0.0/16", 1, "");
	CHECK(!is_read());
	stop();
	restored(&dns_one);
	start();
	CHECK(is_read());
	end();
}

/* The answer to a join names a position of a journal whose grant was not read yet. */
TEST(minimum_of_a_join)
{
	char path[TOPIC_SIZE];

	begin();
	strcpy(dns_one.topic.network, "dc1");
	topic_journal_path(&dns_one.topic, path);
	names_set_minimum(net, path, (struct journal_position){ 5, 2 }, "topic", "document");
	CHECK(!exporters_nth(names_exporters(net), 0)); /* the gateways know no such grant */
	stop();
	state_journal_del(agent.state, "n/dc1/gateways");
	start();
	names_set_minimum(net, path, (struct journal_position){ 5, 2 }, "topic", "document");
	CHECK(exporters_nth(names_exporters(net), 0) && !is_read());
	names_set_minimum(net, "n/dc2/dns/aaaa", (struct journal_position){ 5, 2 }, "topic", "d");
	CHECK(!exporters_nth(names_exporters(net), 1));
	stop();
	restored(&gateways);
	start();
	grant(&one, "a", "10.43.0.0/16", 1, "");
	CHECK(!is_read());
	end();
}

TEST_MAIN("names")

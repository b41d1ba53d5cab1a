/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Explanations: each step from a name to the wire, and the one at which it fails. */
#include "agent/why.h"

#include "agent/control.h"
#include "agent/networks.h"
#include "agent/peers.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/fakes/kernel_fake.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/agent/member.h"

#define GATEWAY_NODE "aaaaaaaaaaaaaaaa"
#define OTHER_NODE "bbbbbbbbbbbbbbbb"

static struct agent agent;
static struct network *net;
static char peers_text[2][512], gateway_text[4][2048];

static const char *peer_text(char *ret, size_t size, const char *name, uint8_t key,
			     const char *address)
{
	char text[KEY_BASE64_SIZE];

	base64_encode((uint8_t[KEY_LEN]){ key }, KEY_LEN, text);
	snprintf(ret, size,
		 "{\"name\":\"%s\",\"role\":\"node\",\"keys\":[\"%s\"],\"addresses\":[\"%s\"],"
		 "\"endpoints\":[],\"ep_seq\":0}",
		 name, text, address);
	return ret;
}

static const char *gateway(unsigned i, const char *site, const char *range, const char *node)
{
	char peer[512];

	peer_text(peer, sizeof(peer), "gw", 8, "10.9.0.2");
	snprintf(gateway_text[i], sizeof(gateway_text[i]),
		 "{\"site\":\"%s\",\"nat\":\"masquerade\",\"priority\":100,"
		 "\"ranges\":[{\"range\":\"%s\"}],\"nodes\":[{\"node\":\"%s\",\"peer\":%s}]}",
		 site, range, node, peer);
	return gateway_text[i];
}

static void store(const char *path, const struct replica_change *c, size_t count)
{
	struct replica_state st = { .position = { 5, 1 }, .proven = true, .join_reached = true };

	snprintf(st.proof_key, sizeof(st.proof_key), "%s", GATEWAY_NODE);
	state_journal_put(agent.state, path, &st, c, count);
}

static void begin(void)
{
	struct agent_options o = { .state = folder(), .name = "n1", .firewall_report = false };
	char why[256], control[80];

	snprintf(control, sizeof(control), "%s/agent.sock", folder_path);
	o.control = control;
	log_set_level(LOG_ERROR);
	CHECK_INT(agent_start(&agent, loop_new(), &o, why, sizeof(why)), 0);
	agent.trust = trust_new((uint8_t[KEY_LEN]){ 1 });
	agent.keyring_agent.trust = agent.trust;
	agent.site = xstrdup("here");
	net = member_put(&agent.memberships, agent.state);
	store("n/dc1/peers",
	      (struct replica_change[]){
		      { .name = GATEWAY_NODE,
			.body = peer_text(peers_text[0], 512, "gw", 8, "10.9.0.2") },
		      { .name = OTHER_NODE,
			.body = peer_text(peers_text[1], 512, "db1", 9, "10.9.0.3") } },
	      2);
	store("n/dc1/gateways",
	      (struct replica_change[]){
		      { .name = "gateway/far",
			.body = gateway(0, "there", "10.42.0.0/16", GATEWAY_NODE) },
		      { .name = "gateway/near",
			.body = gateway(1, "here", "10.44.0.0/16", GATEWAY_NODE) },
		      { .name = "gateway/gone",
			.body = gateway(2, "there", "10.46.0.0/16", "cccccccccccccccc") },
		      { .name = "gateway/mine",
			.body = gateway(3, "here", "10.48.0.0/16", agent.identity.key.id) } },
	      4);
	network_start(&agent, net);
	apply_full(agent.apply);
}

static void end(void)
{
	struct loop *l = agent.loop;

	agent_stop(&agent);
	loop_free(l);
}

static void meet(uint8_t key)
{
	struct wg_link *l = host_link(kernel_fake_host(agent.kernel), "wr-dc1");
	struct wg_peer *p = wg_link_peer(l, (uint8_t[KEY_LEN]){ key });

	CHECK_INT(endpoint_parse("192.0.2.8:51830", &p->endpoint), 0);
	p->last_handshake = clock_wall();
}

/* `step step !failed`, and the last one's sentence in `last`. */
static char last[512];

static const char *explain(const char *what)
{
	static char out[512];
	struct host actual;
	struct arena a = { 0 };
	struct api_why w;
	struct why_kernel k = { .actual = &actual };
	size_t at = 0;

	CHECK_INT(kernel_read(agent.kernel, &actual), 0);
	k.rules = apply_has_rules(agent.apply, &actual);
	why_explain(&agent, &k, what, &a, &w);
	CHECK_STR(w.what, what);
	CHECK(w.step_count > 0);
	*out = '\0';
	for (size_t i = 0; i < w.step_count; i++) {
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s%s", i ? " " : "",
				       w.steps[i].ok ? "" : "!", w.steps[i].step);
		CHECK(w.steps[i].ok || i + 1 == w.step_count);
	}
	CHECK(w.ok == w.steps[w.step_count - 1].ok);
	snprintf(last, sizeof(last), "%s", w.steps[w.step_count - 1].text);
	host_done(&actual);
	arena_done(&a);
	return out;
}

TEST(a_member_down_to_its_session)
{
	begin();
	CHECK_STR(explain("10.9.0.3"), "network node journal interface peer route !session");
	CHECK(strstr(last, "db1 is not reached: "));
	meet(9);
	CHECK_STR(explain("10.9.0.3"), "network node journal interface peer route session");
	CHECK(strstr(last, "db1 is reached at 192.0.2.8:51830"));
	CHECK_STR(explain("db1.dc1"), "name network node journal interface peer route session");
	end();
}

TEST(a_range_down_to_its_session)
{
	begin();
	CHECK_STR(explain("10.42.7.7"),
		  "network journal gateway interface peer route rule !session");
	meet(8);
	CHECK_STR(explain("10.42.7.7"),
		  "network journal gateway interface peer route rule session");
	end();
}

TEST(what_is_missing_in_the_kernel_is_where_it_fails)
{
	struct wg_link *l;

	begin();
	meet(8);
	*kernel_fake_host(agent.kernel)->nft_hash = '\0';
	CHECK_STR(explain("10.42.7.7"), "network journal gateway interface peer route !rule");
	l = host_link(kernel_fake_host(agent.kernel), "wr-dc1");
	l->route_count = 0;
	CHECK_STR(explain("10.42.7.7"), "network journal gateway interface peer !route");
	wg_link_peer(l, (uint8_t[KEY_LEN]){ 8 })->allowed_count = 0;
	CHECK_STR(explain("10.42.7.7"), "network journal gateway interface !peer");
	CHECK_STR(explain("10.9.0.2"), "network node journal interface !peer");
	l->up = false;
	CHECK_STR(explain("10.42.7.7"), "network journal gateway !interface");
	end();
}

TEST(ranges_that_go_no_tunnel)
{
	begin();
	CHECK_STR(explain("10.44.1.1"), "network journal gateway");
	CHECK_STR(
		last,
		"10.44.0.0/16 is of this node's own site here, which it reaches without a tunnel");
	CHECK_STR(explain("10.46.1.1"), "network journal !gateway");
	CHECK_STR(last,
		  "10.46.0.0/16 of gateway gone is not routed: none of its nodes is a member");
	CHECK_STR(explain("10.48.1.1"), "network journal gateway interface rule");
	CHECK_STR(last, "10.48.0.0/16 is let in from wr-dc1, and nothing else");
	end();
}

TEST(what_nobody_has)
{
	begin();
	CHECK_STR(explain("10.9.0.1"), "address");
	CHECK_STR(explain("10.9.0.77"), "!node");
	CHECK_STR(explain("172.16.0.1"), "!network");
	CHECK_STR(explain("nobody"), "!name");
	end();
}

TEST_MAIN("why")

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control socket of an agent with a kernel in memory and no broker. */
#include "agent/control.h"

#include <sys/stat.h>

#include "agent/networks.h"
#include "agent/peers.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "tests/fakes/kernel_fake.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"
#include "tests/unit/agent/member.h"

static struct agent agent;
static char socket_path[64], base[80];

static void begin(void)
{
	struct agent_options o = { .state = folder(), .control = socket_path, .name = "n1" };
	char why[256] = "";

	snprintf(socket_path, sizeof(socket_path), "%s/run/agent.sock", folder_path);
	snprintf(base, sizeof(base), "unix:%s", socket_path);
	log_set_level(LOG_ERROR);
	CHECK_INT(agent_start(&agent, loop_new(), &o, why, sizeof(why)), 0);
}

static void end(void)
{
	struct loop *l = agent.loop;

	agent_stop(&agent);
	loop_free(l);
}

/* A member of network dc1 with one peer, as after a restart without a broker. */
static void be_member(void)
{
	struct peer_key key = { { 8 } };
	struct addr a = { .family = AF_INET, .bytes = { 10, 9, 0, 2 } };
	struct peer body = { .name = (char[]){ "db1" },
			     .keys = &key,
			     .key_count = 1,
			     .addresses = &a,
			     .address_count = 1 };
	struct network *n;

	agent.trust = trust_new((uint8_t[KEY_LEN]){ 1 });
	agent.keyring_agent.trust = agent.trust;
	n = member_put(&agent.memberships, agent.state);
	network_start(&agent, n);
	peers_put(n->peers, "aaaaaaaaaaaaaaaa", &body, false);
	apply_full(agent.apply);
}

/* The client blocks, so it is a process of its own; its answer comes through a pipe. */
static int call(const char *method, const char *path, const char *body, struct buf *out)
{
	int fds[2], status = 0;
	char text[65536];
	ssize_t n;
	pid_t pid;

	buf_clear(out);
	CHECK_INT(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		const struct http_call c = { .base = base,
					     .method = method,
					     .path = path,
					     .body = body,
					     .timeout_ms = 5000 };
		struct buf answer = { 0 };
		int r = http_call(&c, &answer);

		if (write(fds[1], &r, sizeof(r)) < 0 ||
		    write(fds[1], buf_cstr(&answer), answer.len) < 0)
			_exit(1);
		_exit(0);
	}
	close(fds[1]);
	while (waitpid(pid, &status, WNOHANG) == 0)
		CHECK_INT(loop_turn(agent.loop, 10 * USEC_PER_MSEC), 0);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	CHECK(n >= (ssize_t)sizeof(status));
	memcpy(&status, text, sizeof(status));
	buf_add(out, text + sizeof(status), (size_t)n - sizeof(status));
	return status;
}

static void refused(const char *method, const char *path, const char *body, int status,
		    const char *says)
{
	struct buf out = { 0 };
	struct api_error e = { 0 };
	struct arena a = { 0 };
	struct json_error err;

	CHECK_INT(call(method, path, body, &out), status);
	CHECK_INT(json_decode(&a, out.data, out.len, api_error_fields, &e, &err), 0);
	if (!strstr(e.error.message, says))
		test_end(false, "\"%s\" does not say \"%s\"", e.error.message, says);
	CHECK(!strchr(e.error.message, '\n'));
	arena_done(&a);
	buf_done(&out);
}

TEST(refusals_say_what_is_wrong)
{
	begin();
	refused("GET", "/v1/nothing", NULL, 404, "no such path");
	refused("GET", "/v1/join", NULL, 405, "another method");
	refused("POST", "/v1/join", "{", 400, "");
	refused("POST", "/v1/join", "{\"token\":7}", 400, "token");
	refused("POST", "/v1/join", "{\"token\":\"warren1-rubbish\"}", 400, "token");
	refused("POST", "/v1/leave", "{}", 400, "one network, or all");
	refused("POST", "/v1/leave", "{\"network\":\"dc1\",\"all\":true}", 400, "one network");
	refused("POST", "/v1/leave", "{\"network\":\"dc1\"}", 404, "not in network");
	refused("GET", "/v1/resolve", NULL, 400, "what");
	refused("GET", "/v1/resolve?what=db1", NULL, 404, "db1");
	end();
}

TEST(the_socket_is_for_root_and_its_group)
{
	struct stat st;

	begin();
	CHECK_INT(stat(socket_path, &st), 0);
	CHECK_INT(st.st_mode & 0007, 0);
	end();
	CHECK(stat(socket_path, &st) < 0);
}

TEST(status_of_a_node_in_no_network)
{
	struct buf out = { 0 };
	struct api_status s = { 0 };
	struct arena a = { 0 };
	struct json_error err;

	begin();
	CHECK_INT(call("GET", "/v1/status", NULL, &out), 200);
	CHECK_INT(json_decode(&a, out.data, out.len, api_status_fields, &s, &err), 0);
	CHECK_STR(s.node.id, agent.identity.key.id);
	CHECK_STR(s.node.name, "n1");
	CHECK_STR(s.node.mesh, NULL);
	CHECK_INT(s.network_count + s.journal_count + s.problem_count, 0);
	CHECK(!s.broker.connected && !s.coordinator.present);
	arena_done(&a);
	buf_done(&out);
	end();
}

TEST(status_and_resolve_of_a_member)
{
	struct buf out = { 0 };
	struct api_status s = { 0 };
	struct api_resolved r = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	static const char *const names[] = { "db1", "db1.dc1", "10.9.0.2", "aaaaaaaaaaaaaaaa" };

	begin();
	be_member();
	agent.refused[REFUSED_PLACE] = 3;
	CHECK_INT(call("GET", "/v1/status", NULL, &out), 200);
	CHECK_INT(json_decode(&a, out.data, out.len, api_status_fields, &s, &err), 0);
	CHECK_INT(s.network_count, 1);
	CHECK_STR(s.networks[0].interface, "wr-dc1");
	CHECK_INT(s.networks[0].port, agent.memberships.list[0]->port);
	CHECK_INT(s.networks[0].peer_count, 1);
	CHECK_STR(s.networks[0].peers[0].name, "db1");
	/* Its own address is none. */
	CHECK_INT(s.networks[0].peers[0].range_count, 0);
	CHECK(strstr(s.networks[0].peers[0].problem, "no usable endpoint") != NULL);
	CHECK_INT(s.journal_count, 2);
	CHECK_INT(s.refused.place, 3);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[128];

		snprintf(path, sizeof(path), "/v1/resolve?what=%s", names[i]);
		CHECK_INT(call("GET", path, NULL, &out), 200);
		CHECK_INT(json_decode(&a, out.data, out.len, api_resolved_fields, &r, &err), 0);
		CHECK_STR(r.name, "db1");
		CHECK(!r.self);
		CHECK_INT(r.address.bytes[3], 2);
	}
	CHECK_INT(call("GET", "/v1/resolve?what=n1", NULL, &out), 200);
	CHECK_INT(json_decode(&a, out.data, out.len, api_resolved_fields, &r, &err), 0);
	CHECK(r.self);
	arena_done(&a);
	buf_done(&out);
	end();
}

/* An address of a site is that, as long as its range goes through a tunnel of ours. */
TEST(resolve_of_an_address_behind_a_gateway)
{
	static const char path[] = "/v1/resolve?what=10.42.7.9";
	struct carried *c = xcalloc(1, sizeof(*c));
	struct buf out = { 0 };
	struct api_resolved r = { 0 };
	struct arena a = { 0 };
	struct json_error err;

	begin();
	be_member();
	refused("GET", path, NULL, 404, "10.42.7.9");
	CHECK_INT(prefix_parse("10.42.0.0/16", &c->range), 0);
	strcpy(c->node, "aaaaaaaaaaaaaaaa");
	carried_set_done(&agent.memberships.list[0]->carried);
	agent.memberships.list[0]->carried = (struct carried_set){ .list = c, .count = 1 };
	CHECK_INT(call("GET", path, NULL, &out), 200);
	CHECK_INT(json_decode(&a, out.data, out.len, api_resolved_fields, &r, &err), 0);
	CHECK(!r.name && !r.self);
	CHECK_STR(r.gateway, "db1");
	CHECK_STR(r.network, "dc1");
	CHECK_INT(r.address.bytes[1], 42);
	refused("GET", "/v1/resolve?what=10.43.7.9", NULL, 404, "10.43.7.9");
	c->state = CARRIED_CONFLICT;
	refused("GET", path, NULL, 404, "10.42.7.9");
	arena_done(&a);
	buf_done(&out);
	end();
}

TEST(leaving_without_a_broker_is_remembered)
{
	struct buf out = { 0 };
	struct api_left l = { 0 };
	struct arena a = { 0 };
	struct json_error err;
	char **untold;

	begin();
	be_member();
	CHECK_INT(kernel_fake_host(agent.kernel)->link_count, 1);
	CHECK_INT(call("POST", "/v1/leave", "{\"all\":true}", &out), 200);
	CHECK_INT(json_decode(&a, out.data, out.len, api_left_fields, &l, &err), 0);
	CHECK_INT(l.network_count, 1);
	CHECK_STR(l.networks[0], "dc1");
	CHECK(!l.told);
	CHECK_INT(kernel_fake_host(agent.kernel)->link_count, 0);
	CHECK_STR(kernel_fake_host(agent.kernel)->nft_hash, "");
	CHECK_INT(agent.memberships.count, 0);
	CHECK_INT(state_leaving_list(agent.state, &a, &untold), 1);
	arena_done(&a);
	buf_done(&out);
	end();
}

TEST_MAIN("control")

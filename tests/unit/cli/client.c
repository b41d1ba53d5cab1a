/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/cli/run.h"

#define NETWORKS "GET /v1/networks\n"
#define REMOVE "node remove n1"
#define REMOVED "DELETE /v1/nodes/n1\n"

/* ---- what the server says */

TEST(an_error_is_its_sentence_and_1)
{
	run_check(REMOVE, 404, "{\"error\":{\"code\":\"x\",\"message\":\"there is no node n1\"}}",
		  1, REMOVED, "", "warren: there is no node n1\n");
	run_check(REMOVE, 500, "{\"error\":{\"code\":\"x\",\"message\":\"the disk is full\"}}", 1,
		  REMOVED, "", "warren: the disk is full\n");
}

TEST(unavailable_and_timeout_are_3)
{
	static const char body[] = "{\"error\":{\"code\":\"broker\",\"message\":\"no broker\"}}";

	run_check(REMOVE, 503, body, 3, REMOVED, "", "warren: no broker\n");
	run_check(REMOVE, 504, body, 3, REMOVED, "", "warren: no broker\n");
	run_check("join t", 504, "late", 3, NULL, "",
		  "warren: the agent answered with HTTP status 504 and no reason; its log may say "
		  "more\n");
}

TEST(an_error_without_a_sentence)
{
	static const char sentence[] =
		"warren: the coordinator answered with HTTP status 500 and no "
		"reason; its log may say more\n";

	run_check(REMOVE, 500, "", 1, REMOVED, "", sentence);
	run_check(REMOVE, 500, "<html>", 1, REMOVED, "", sentence);
	run_check(REMOVE, 500, "{\"error\":\"x\"}", 1, REMOVED, "", sentence);
	run_check(
		REMOVE, 301, "{}", 1, REMOVED, "",
		"warren: the coordinator answered with HTTP status 301 and no reason; its log may "
		"say more\n");
}

TEST(a_missing_key)
{
	run_check(REMOVE, 401, "{\"error\":\"no\"}", 1, REMOVED, "",
		  "warren: the coordinator asks for its key; give it in WARREN_API_KEY\n");
}

TEST(an_error_cannot_drive_the_terminal)
{
	run_check(REMOVE, 400, "{\"error\":{\"code\":\"x\",\"message\":\"a\\u001b[2J\\nb\"}}", 1,
		  REMOVED, "", "warren: a?[2J?b\n");
}

TEST(an_answer_that_is_no_json)
{
	run_check("network list --json", 200, "<html>", 1, NETWORKS, "",
		  "warren: the coordinator's answer is not JSON; is WARREN_COORDINATOR another "
		  "program's address?\n");
	run_check("network list --json", 200, "", 1, NETWORKS, "", NULL);
	run_check("network list --json", 200, "[] []", 1, NETWORKS, "", NULL);
	run_check("status --json", 200, "hello", 1, "GET /v1/status\n", "",
		  "warren: the agent's answer is not JSON; is WARREN_AGENT another program's "
		  "address?\n");
}

/* Standard error of `line` with this answer, status 1 and nothing printed. */
static void cannot_be_read(const char *line, const char *answer, const char *where)
{
	struct run w = { .status = 200, .answer = answer };

	run(&w, line);
	CHECK_INT(w.exit, 1);
	CHECK_STR(buf_cstr(&w.out), "");
	if (!strstr(buf_cstr(&w.err), "answer cannot be read") || !strstr(buf_cstr(&w.err), where))
		test_end(false, "%s: %s", line, buf_cstr(&w.err));
	run_done(&w);
}

TEST(an_answer_that_is_not_what_was_asked_for)
{
	cannot_be_read("network list", "<html>", "are both of one version?");
	cannot_be_read("network list", "", "");
	cannot_be_read("network list", "{}", "items");
	cannot_be_read("network list", "[{\"name\":1}]", "items[0].name");
	cannot_be_read("network list", "[{\"name\":\"a\"}]", "items[0].ranges");
	cannot_be_read("network list", "[]}", "");
	cannot_be_read("network show a", "[]", "");
	cannot_be_read("token create --network a", "{\"id\":\"x\"}", "");
	cannot_be_read("token list", "[{}]", "items[0].id");
	cannot_be_read("node list", "[null]", "items[0]");
	cannot_be_read("node show a", "{}", "items");
	cannot_be_read("network release a", "{}", "released");
	cannot_be_read("join t", "{}", "network");
	cannot_be_read("leave a", "{}", "networks");
	cannot_be_read("status", "{}", "node");
	cannot_be_read("ping a",
		       "{\"what\":\"a\",\"network\":\"a\",\"address\":\"x\",\"self\":true}",
		       "address");
}

TEST(json_is_what_came_unknown_fields_too)
{
	run_check("network list --json", 200, "[{\"name\":\"a\",\"later\":{\"x\":[1,2]}}]", 0,
		  NETWORKS,
		  "[\n  {\n    \"name\": \"a\",\n    \"later\": {\n      \"x\": [\n        1,\n"
		  "        2\n      ]\n    }\n  }\n]\n",
		  "");
	run_check("status --json", 200, "{\"node\":{\"id\":\"\\u001b\"}}", 0, NULL,
		  "{\n  \"node\": {\n    \"id\": \"\\u001B\"\n  }\n}\n", "");
}

TEST(a_long_answer)
{
	struct run w = { .status = 200, .answer_len = (16 << 20) + 1 };
	char *text = xmalloc(w.answer_len);

	memset(text, ' ', w.answer_len);
	memcpy(text, "[]", 2);
	w.answer = text;
	run(&w, "node list --json");
	CHECK_STR(buf_cstr(&w.err), "warren: the coordinator's answer is too long; ask for less "
				    "(--network NAME)\n");
	CHECK_INT(w.exit, 1);
	w.answer_len--;
	run(&w, "node list --json");
	CHECK_STR(buf_cstr(&w.err), "");
	CHECK_STR(buf_cstr(&w.out), "[]\n");
	CHECK_INT(w.exit, 0);
	free(text);
	run_done(&w);
}

TEST(ten_thousand_nodes)
{
	struct run w = { .status = 200 };
	struct buf answer = { 0 };
	size_t lines = 0;

	buf_char(&answer, '[');
	for (int i = 0; i < 10000; i++)
		buf_printf(
			&answer,
			"%s{\"id\":\"abcdefghijklmnop\",\"name\":\"n%d\",\"network\":\"dc1\","
			"\"addresses\":[\"10.1.0.1\"],\"tags\":[],\"role\":\"node\",\"online\":true,"
			"\"endpoints\":[],\"wireguard_key\":"
			"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
			i ? "," : "", i);
	buf_char(&answer, ']');
	w.answer = buf_cstr(&answer);
	run(&w, "node list");
	CHECK_STR(buf_cstr(&w.err), "");
	CHECK_INT(w.exit, 0);
	for (const char *p = buf_cstr(&w.out); *p; p++)
		lines += *p == '\n';
	CHECK_INT(lines, 10001);
	buf_done(&answer);
	run_done(&w);
}

/* ---- no server */

static void unreachable(const char *base, const char *line, const char *sentence)
{
	struct run w = { .status = 200, .answer = "[]", .base = base };

	run(&w, line);
	CHECK_STR(buf_cstr(&w.err), sentence);
	CHECK_STR(buf_cstr(&w.out), "");
	CHECK_STR(buf_cstr(&w.asked), "");
	CHECK_INT(w.exit, 3);
	run_done(&w);
}

TEST(no_socket_is_3)
{
	unreachable("unix:/nowhere/a.sock", "network list",
		    "warren: cannot reach the coordinator at unix:/nowhere/a.sock: No such file or "
		    "directory; is warren-coordinator running? WARREN_COORDINATOR says where it is "
		    "asked\n");
	unreachable("/nowhere/a.sock", "status",
		    "warren: cannot reach the agent at unix:/nowhere/a.sock: No such file or "
		    "directory; is warren-agent running? WARREN_AGENT says where it is asked\n");
}

TEST(a_socket_that_nobody_listens_on_is_3)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[64], base[80], want[400];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/tmp/warren-stale-%d", (int)getpid());
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	CHECK_INT(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	snprintf(base, sizeof(base), "unix:%s", path);
	snprintf(
		want, sizeof(want),
		"warren: cannot reach the agent at %s: Connection refused; is warren-agent running? "
		"WARREN_AGENT says where it is asked\n",
		base);
	unreachable(base, "ping x", want);
	CHECK_INT(unlink(path), 0);
	unreachable("127.0.0.1:1", "status",
		    "warren: cannot reach the agent at http://127.0.0.1:1: Connection refused; is "
		    "warren-agent running? WARREN_AGENT says where it is asked\n");
}

TEST(permission_denied_is_3)
{
	struct run w = { .status = 200, .answer = "[]", .nobody = true };
	char want[300];

	if (geteuid() != 0)
		SKIP("not root");
	run(&w, "network list");
	snprintf(
		want, sizeof(want),
		"warren: cannot reach the coordinator at %s: Permission denied; try as root, or as a "
		"member of the group warren\n",
		w.address);
	CHECK_STR(buf_cstr(&w.err), want);
	CHECK_INT(w.exit, 3);
	CHECK_STR(buf_cstr(&w.asked), "");
	run_done(&w);
}

TEST(something_else_than_http)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa);
	char base[40], want[300];
	pid_t pid;

	CHECK_INT(bind(fd, (struct sockaddr *)&sa, len), 0);
	CHECK_INT(listen(fd, 1), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	pid = fork();
	if (pid == 0) {
		int peer = accept(fd, NULL, NULL);

		_exit(write(peer, "SSH-2.0-x\r\n", 11) != 11);
	}
	snprintf(base, sizeof(base), "localhost:%d", ntohs(sa.sin_port));
	snprintf(
		want, sizeof(want),
		"warren: cannot reach the agent at http://%s: Invalid argument; what answers there "
		"is not warren-agent, or its certificate is not one of WARREN_API_CA\n",
		base);
	unreachable(base, "status", want);
	CHECK_INT(waitpid(pid, NULL, 0), pid);
	close(fd);
}

TEST(addresses)
{
	static const char *const bad[] = { "here", "unix:relative", "ftp://x",
					   "host:", "host:99999" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct run w = { .base = bad[i] };

		run(&w, "network list");
		CHECK_INT(w.exit, 2);
		CHECK(strstr(buf_cstr(&w.err), "WARREN_COORDINATOR: "));
		CHECK(strstr(buf_cstr(&w.err),
			     " is not unix:PATH, HOST:PORT or https://HOST:PORT\n"));
		run_done(&w);
	}
	/* Another machine is asked by TLS, this one need not. */
	unreachable("[::1]:1", "status",
		    "warren: cannot reach the agent at http://[::1]:1: Connection refused; is "
		    "warren-agent running? WARREN_AGENT says where it is asked\n");
	unreachable("https://127.0.0.1:1", "status",
		    "warren: cannot reach the agent at https://127.0.0.1:1: Connection refused; is "
		    "warren-agent running? WARREN_AGENT says where it is asked\n");
}

TEST(a_path_is_enough_for_an_address)
{
	struct run w = { .status = 200, .answer = "[]" };

	run_begin(&w);
	w.base = w.address + strlen("unix:");
	/* run() makes a server of its own: ask this one by hand. */
	if (fork() == 0) {
		setenv("WARREN_COORDINATOR", w.base, 1);
		client_get_json(SERVER_COORDINATOR, "/v1/networks");
		_exit(0);
	}
	CHECK_INT(run_wait(&w, -1), 0);
	CHECK_STR(buf_cstr(&w.asked), NETWORKS);
	run_end(&w);
	run_done(&w);
}

/* ---- what is sent */

TEST(paths)
{
	struct buf b = { 0 };

	client_path(&b, "/v1/nodes/", "a/b c?&#%", "/x/", "zürich.-_~", NULL);
	CHECK_STR(buf_cstr(&b), "/v1/nodes/a%2Fb%20c%3F%26%23%25/x/z%C3%BCrich.-_~");
	buf_clear(&b);
	client_path(&b, "/v1/nodes", NULL);
	CHECK_STR(buf_cstr(&b), "/v1/nodes");
	buf_done(&b);
}

TEST(words_in_paths_arrive_as_they_were_typed)
{
	run_check("node remove ../a/b+c?x=1&y#z%41ü", 204, "", 0,
		  "DELETE /v1/nodes/../a/b c?x=1&y#z%41ü\n", NULL, "");
	run_check("network release ..", 404, "", 1, "POST /v1/networks/../release {}\n", NULL,
		  NULL);
	run_check("node list --network a&network=b+c", 200, "[]", 0,
		  "GET /v1/nodes network=a&network=b c\n", NULL, "");
	run_check("ping a&what=b#", 404, "", 1, "GET /v1/resolve what=a&what=b#\n", NULL, NULL);
}

TEST(an_empty_word_asks_for_nothing)
{
	run_check("network delete ", 204, "", 2, "", "",
		  "warren: a name or id is empty; try --help\n");
	run_check("node list --network=", 200, "[]", 2, "", "",
		  "warren: a name or id is empty; try --help\n");
}

TEST_MAIN("client")

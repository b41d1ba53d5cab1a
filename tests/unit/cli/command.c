/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/command.h"

#include "schemas/api.h"
#include "tests/unit/cli/run.h"

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define NETWORK                                                                                       \
	"{\"name\":\"dc1\",\"ranges\":[\"10.1.0.0/24\",\"fd00::/64\"],\"mtu\":1420,\"keepalive\":20," \
	"\"port\":51830,\"max_stale\":\"7d\",\"nodes\":2,\"orphans\":[]}"
#define NETWORK_TEXT                                                                               \
	"network    dc1\nrange      10.1.0.0/24\nrange      fd00::/64\nnodes      2\n"             \
	"mtu        1420\nkeepalive  20s\nport       51830\nmax-stale  7d\n"

/* A wrong use: status 2, nothing asked, nothing printed, this sentence. */
static void usage(const char *line, const char *sentence)
{
	run_check(line, 200, "[]", 2, "", "", sentence);
}

/* ---- finding the command */

TEST(help_names_every_command_in_80_columns)
{
	struct run w = { 0 };
	size_t width = 0, lines = 0;

	run(&w, "--help");
	CHECK_INT(w.exit, 0);
	CHECK_STR(buf_cstr(&w.err), "");
	for (const char *p = buf_cstr(&w.out); *p; p++) {
		width = *p == '\n' ? 0 : width + 1;
		lines += *p == '\n' && p[1] == ' ';
		CHECK(width <= 80);
	}
	CHECK_INT(lines, 31);
	run(&w, "network --help");
	CHECK_INT(w.exit, 0);
	CHECK(strstr(buf_cstr(&w.out), "\n  network release NAME  "));
	CHECK(!strstr(buf_cstr(&w.out), "\n  token "));
	run(&w, "help token");
	CHECK_INT(w.exit, 0);
	CHECK(strstr(buf_cstr(&w.out), "\n  token revoke ID  "));
	run(&w, "network create --help");
	CHECK(strstr(buf_cstr(&w.out), "--range is WARREN_RANGE; a\nrepeated option is a comma-"));
	run(&w, "network show --help");
	CHECK(strstr(buf_cstr(&w.out), "--json is WARREN_JSON.\n"));
	run(&w, "token revoke --help");
	CHECK_INT(w.exit, 0);
	CHECK(strncmp(buf_cstr(&w.out), "Usage: warren token revoke ID\n", 30) == 0);
	run_done(&w);
}

TEST(version)
{
	run_check("--version", 200, "", 0, "", "warren " WARREN_VERSION "\n", "");
}

TEST(no_such_command)
{
	usage("networks", "warren: there is no command networks; try `warren --help`\n");
	usage("network",
	      "warren: network needs one of create, set, list, show, delete, release; try "
	      "`warren network --help`\n");
	usage("node lst",
	      "warren: there is no command node lst, only list, show, rename, remove; try "
	      "`warren node --help`\n");
	usage("status --all", "warren: there is no option --all; try --help\n");
	usage("network list --network", "warren: there is no option --network; try --help\n");
	usage("network list dc1", "warren: \"dc1\" is too much: warren network list; try --help\n");
	usage("node rename n1", "warren: something is missing: warren node rename NODE NEW; try "
				"--help\n");
}

TEST(no_word_is_help_and_2)
{
	struct run w = { 0 };
	char *argv[] = { (char[]){ "warren" }, NULL };
	int err = run_file(""), saved = dup(2);

	CHECK(dup2(err, 2) == 2);
	CHECK_INT(command_run(1, argv), 2);
	CHECK(dup2(saved, 2) == 2);
	run_read(err, &w.err);
	CHECK(strncmp(buf_cstr(&w.err), "Usage: warren COMMAND", 21) == 0);
	run_done(&w);
}

/* ---- network */

TEST(network_create)
{
	run_check(
		"network create dc1 --range 10.1.0.0/24 --range fd00::/64", 200, NETWORK, 0,
		"POST /v1/networks {\"name\":\"dc1\",\"ranges\":[\"10.1.0.0/24\",\"fd00::/64\"]}\n",
		NETWORK_TEXT, "");
	run_check("network create --mtu 1380 --keepalive 0 dc1 --range=10.1.0.0/24 --port 1 "
		  "--max-stale 7d",
		  201, NETWORK, 0,
		  "POST /v1/networks {\"name\":\"dc1\",\"ranges\":[\"10.1.0.0/24\"],\"mtu\":1380,"
		  "\"keepalive\":0,\"port\":1,\"max_stale\":\"7d\"}\n",
		  NETWORK_TEXT, "");
	/* Strings that want to get out of the document. */
	run_check("network create a\",\"b\\ --range x\"] --max-stale 1\"", 200, NETWORK, 0,
		  "POST /v1/networks {\"name\":\"a\\\",\\\"b\\\\\",\"ranges\":[\"x\\\"]\"],"
		  "\"max_stale\":\"1\\\"\"}\n",
		  NULL, "");
	usage("network create dc1",
	      "warren: --range is missing, for example --range 10.36.50.0/24; "
	      "try --help\n");
	usage("network create dc1 --range a --range b --range c",
	      "warren: --range is given more than 2 times; try --help\n");
	usage("network create dc1 --range a --mtu 100",
	      "warren: --mtu: 100 is not a number from 1280 to 65535\n");
	usage("network create dc1 --range a --keepalive -1",
	      "warren: --keepalive: -1 is not a number from 0 to 65535\n");
	usage("network create dc1 --range a --port 0",
	      "warren: --port: 0 is not a number from 1 to 65535\n");
}

TEST(network_set)
{
	run_check("network set d/c --max-stale never", 200, NETWORK, 0,
		  "PATCH /v1/networks/d/c {\"max_stale\":\"never\"}\n", NETWORK_TEXT, "");
	run_check("network set dc1 --port 7 --mtu 1400 --json", 200, "{\"name\":\"dc1\"}", 0,
		  "PATCH /v1/networks/dc1 {\"mtu\":1400,\"port\":7}\n",
		  "{\n  \"name\": \"dc1\"\n}\n", "");
	usage("network set dc1",
	      "warren: there is nothing to change: give --mtu, --keepalive, --port "
	      "or --max-stale; try --help\n");
}

TEST(network_list)
{
	run_check("network list", 200, "[" NETWORK "]", 0, "GET /v1/networks\n",
		  "NAME  RANGES                 NODES  ORPHANS  MTU   PORT\n"
		  "dc1   10.1.0.0/24 fd00::/64  2      0        1420  51830\n",
		  "");
	run_check("network list", 200, "[]", 0, "GET /v1/networks\n",
		  "NAME  RANGES  NODES  ORPHANS  MTU  PORT\n", "");
	run_check("network list --json", 200, "[]", 0, "GET /v1/networks\n", "[]\n", "");
}

TEST(network_show_with_orphans)
{
	run_check(
		"network show dc1", 200,
		"{\"name\":\"dc1\",\"ranges\":[],\"nodes\":0,\"orphans\":[{\"id\":\"abc\",\"name\":"
		"\"old\",\"addresses\":[\"10.1.0.9\"]},{\"id\":\"def\"}]}",
		0, "GET /v1/networks/dc1\n",
		"network    dc1\nnodes      0\nmtu        0\nkeepalive  0s\nport       0\n"
		"max-stale  never\norphans    2, in force until `warren network release dc1`:\n"
		"  NAME  ID   ADDRESSES\n  old   abc  10.1.0.9\n  -     def  -\n",
		"");
	run_check("network show dc1", 200,
		  "{\"name\":\"dc1\",\"ranges\":[],\"nodes\":3,\"orphans\":[],\"waiting\":2}", 0,
		  "GET /v1/networks/dc1\n",
		  "network    dc1\nnodes      3\nmtu        0\nkeepalive  0s\nport       0\n"
		  "max-stale  never\n"
		  "waiting    2 silent, not forgotten before `warren network release dc1`\n",
		  "");
	run_check("network show dc1 --json", 200, "{}", 0, "GET /v1/networks/dc1\n", "{}\n", "");
}

TEST(network_delete)
{
	run_check("network delete dc1", 204, "", 0, "DELETE /v1/networks/dc1\n",
		  "network dc1 is deleted\n", "");
	run_check("network delete dc1", 409,
		  "{\"error\":{\"code\":\"in_use\",\"message\":\"network dc1 has 2 nodes\"}}", 1,
		  "DELETE /v1/networks/dc1\n", "", "warren: network dc1 has 2 nodes\n");
}

TEST(network_release)
{
	run_check("network release dc1", 200, "{\"released\":1}", 0,
		  "POST /v1/networks/dc1/release {}\n", "network dc1: 1 node released\n", "");
	run_check("network release dc1", 200, "{\"released\":12}", 0, NULL,
		  "network dc1: 12 nodes released\n", "");
	run_check("network release dc1 --json", 200, "{\"released\":0}", 0, NULL,
		  "{\n  \"released\": 0\n}\n", "");
}

/* ---- token */

#define TOKEN(fields)                                                                               \
	"{\"id\":\"abcdefghijklmnop\",\"network\":\"dc1\",\"role\":\"node\",\"uses\":0,\"used\":3," \
	"\"at_most\":0,\"tags\":[],\"ranges\":[],\"forget\":\"30d\",\"revoked\":false" fields "}"

TEST(token_create_prints_the_token_alone)
{
	run_check("token create --network dc1", 200, TOKEN(",\"token\":\"warren1-abc\""), 0,
		  "POST /v1/tokens {\"network\":\"dc1\",\"role\":\"node\",\"uses\":0}\n",
		  "warren1-abc\n", "");
	run_check(
		"token create --network dc1 --uses 5 --expires 10m --tag a --tag b --site paris "
		"--forget never --role node --json",
		200, "{\"id\":\"x\"}", 0,
		"POST /v1/tokens {\"network\":\"dc1\",\"role\":\"node\",\"uses\":5,\"expires\":\"10m\","
		"\"site\":\"paris\",\"forget\":\"never\",\"tags\":[\"a\",\"b\"]}\n",
		"{\n  \"id\": \"x\"\n}\n", "");
	run_check("token create --network dc1", 200, TOKEN(""), 1, NULL, "",
		  "warren: the coordinator's answer holds no token; are both of one version?\n");
	usage("token create", "warren: --network is missing; try --help\n");
	usage("token create --network a --uses 0",
	      "warren: --uses: 0 is not a number from 1 to 1000000\n");
	usage("token create --network a --role king",
	      "warren: --role: king is no role; leave it away, or use node or exporter\n");
	usage("token create dc1", "warren: \"dc1\" is too much: warren token create --network NAME "
				  "[OPTION...]; try --help\n");
}

TEST(token_list)
{
	run_check(
		"token list", 200,
		"[" TOKEN(",\"expires\":\"2020-01-01T00:00:00Z\"") "," TOKEN(
			",\"site\":\"paris\"") ",{\"id\":\"b\",\"network\":\"dc1\",\"role\":\"node\","
					       "\"uses\":5,\"used\":2,\"at_most\":0,\"tags\":[\"x\","
					       "\"y\"],\"ranges\":[],\"forget\":\"30d\",\"revoked\":"
					       "true,\"expires\":\"2020-01-01T00:00:00Z\"},"
					       "{\"id\":\"c\",\"network\":\"dc1\",\"role\":\"exporter\","
					       "\"uses\":1,\"used\":0,\"at_most\":0,\"tags\":[],"
					       "\"ranges\":[],\"forget\":\"30d\",\"revoked\":false,"
					       "\"expires\":\"2999-01-01T00:00:00Z\"}]",
		0, "GET /v1/tokens\n",
		"ID                NETWORK  ROLE      USED  EXPIRES               SITE   TAGS\n"
		"abcdefghijklmnop  dc1      node      3     expired               -      -\n"
		"abcdefghijklmnop  dc1      node      3     never                 paris  -\n"
		"b                 dc1      node      2/5   revoked               -      x,y\n"
		"c                 dc1      exporter  0/1   2999-01-01T00:00:00Z  -      -\n",
		"");
	run_check("token list --network dc1 --json", 200, "[]", 0, "GET /v1/tokens network=dc1\n",
		  "[]\n", "");
}

TEST(token_revoke)
{
	run_check("token revoke abc", 204, "", 0, "DELETE /v1/tokens/abc\n",
		  "token abc is revoked\n", "");
}

/* ---- node */

#define NODE                                                                                          \
	"[{\"id\":\"abcdefghijklmnop\",\"name\":\"n1\",\"network\":\"dc1\",\"addresses\":"            \
	"[\"10.1.0.2\",\"fd00::2\"],\"tags\":[\"db\"],\"site\":\"paris\",\"role\":\"node\","          \
	"\"online\":true,\"last_seen\":\"2020-01-01T00:00:00Z\",\"endpoints\":[\"192.0.2.1:51830\"]," \
	"\"wireguard_key\":\"" KEY                                                                    \
	"\"},{\"id\":\"abcdefghijklmnop\",\"name\":\"n1-2\",\"network\":"                             \
	"\"dc2\",\"addresses\":[],\"tags\":[],\"role\":\"node\",\"online\":false,\"endpoints\":[],"   \
	"\"wireguard_key\":\"" KEY "\"}]"

TEST(node_list)
{
	struct run w = { .status = 200, .answer = NODE };

	run(&w, "node list --network dc1");
	CHECK_STR(buf_cstr(&w.asked), "GET /v1/nodes network=dc1\n");
	CHECK(strstr(buf_cstr(&w.out), "NAME  NETWORK  ADDRESSES         SITE   ONLINE  SEEN\n"
				       "n1    dc1      10.1.0.2 fd00::2  paris  yes     "));
	CHECK(strstr(buf_cstr(&w.out), "n1-2  dc2      -                 -      no      never\n"));
	CHECK_INT(w.exit, 0);
	run_done(&w);
	run_check("node list --json", 200, "[]", 0, "GET /v1/nodes\n", "[]\n", "");
}

TEST(node_show)
{
	run_check("node show n1", 200, NODE, 0, "GET /v1/nodes/n1\n",
		  "node       abcdefghijklmnop\nsite       paris\n\nnetwork    dc1\nname       n1\n"
		  "role       node\naddress    10.1.0.2\naddress    fd00::2\n"
		  "endpoint   192.0.2.1:51830\ntag        db\nwireguard  " KEY "\nonline     yes\n"
		  "last seen  2020-01-01T00:00:00Z\n\nnetwork    dc2\nname       n1-2\n"
		  "role       node\nwireguard  " KEY "\nonline     no\nlast seen  never\n",
		  "");
	run_check("node show n1", 200, "[]", 0, NULL, "node       n1\nnetwork    none\n", "");
	run_check("node show n1 --json", 200, "[]", 0, "GET /v1/nodes/n1\n", "[]\n", "");
}

TEST(node_rename)
{
	run_check("node rename n1 Db.example", 200, "[]", 0,
		  "PATCH /v1/nodes/n1 {\"name\":\"Db.example\"}\n", "node n1 is now named db\n",
		  "");
}

TEST(node_remove)
{
	run_check("node remove n1", 204, "", 0, "DELETE /v1/nodes/n1\n", "node n1 is removed\n",
		  "");
}

/* ---- join, leave */

#define JOINED                                                                                     \
	"{\"network\":\"dc1\",\"name\":\"n1\",\"interface\":\"wr-dc1\",\"addresses\":"             \
	"[\"10.1.0.2\",\"fd00::2\"]}"

TEST(join)
{
	run_check("join warren1-x", 200, JOINED, 0, "POST /v1/join {\"token\":\"warren1-x\"}\n",
		  "joined dc1 as n1: wr-dc1 10.1.0.2 fd00::2\n", "");
	run_check("join --name Db warren1-x --json", 200, "{}", 0,
		  "POST /v1/join {\"token\":\"warren1-x\",\"name\":\"Db\"}\n", "{}\n", "");
	run_check("join warren1-x", 403,
		  "{\"error\":{\"code\":\"expired\",\"message\":\"the token has expired\"}}", 1,
		  NULL, "", "warren: the token has expired\n");
	run_check("join warren1-x", 504,
		  "{\"error\":{\"code\":\"slow\",\"message\":\"not there after 30 s\"}}", 3, NULL,
		  "", "warren: not there after 30 s\n");
}

TEST(join_reads_the_token_from_a_file_or_standard_input)
{
	struct run w = { .status = 200, .answer = JOINED, .input = "warren1-y\r\n" };
	char path[] = "/tmp/warren-token-XXXXXX", line[64], want[128];
	int fd = mkstemp(path);

	CHECK_INT(write(fd, "warren1-z\n", 10), 10);
	snprintf(line, sizeof(line), "join @%s", path);
	run_check(line, 200, JOINED, 0, "POST /v1/join {\"token\":\"warren1-z\"}\n", NULL, "");
	run(&w, "join -");
	CHECK_STR(buf_cstr(&w.asked), "POST /v1/join {\"token\":\"warren1-y\"}\n");
	CHECK_INT(w.exit, 0);
	w.input = "\n";
	run(&w, "join -");
	CHECK_STR(buf_cstr(&w.err),
		  "warren: there is no token in /dev/stdin; `warren token create` "
		  "prints one\n");
	CHECK_INT(w.exit, 1);
	CHECK_INT(ftruncate(fd, TOKEN_MAX + 1), 0);
	snprintf(want, sizeof(want), "warren: the token cannot be read from %s: File too large\n",
		 path);
	run_check(line, 200, JOINED, 1, "", "", want);
	CHECK_INT(unlink(path), 0);
	snprintf(want, sizeof(want),
		 "warren: the token cannot be read from %s: No such file or directory\n", path);
	run_check(line, 200, JOINED, 1, "", "", want);
	close(fd);
	run_done(&w);
}

/* A process list shows the words of a command for as long as it runs. */
TEST(join_wipes_the_token_from_the_command_line)
{
	struct run w = { .silent = true };
	char path[64], cmdline[4096] = "";
	char word[] = "warren1-secret",
	     *argv[] = { (char[]){ "warren" }, (char[]){ "join" }, word, NULL };
	pid_t pid;
	int status;

	run_begin(&w);
	setenv("WARREN_AGENT", w.address, 1);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		exit(command_run(3, argv));
	}
	for (int i = 0; i < 5000 && !w.asked.len; i++)
		loop_turn(w.loop, USEC_PER_MSEC);
	CHECK_STR(buf_cstr(&w.asked), "POST /v1/join {\"token\":\"warren1-secret\"}\n");
	/* What the child's copy of the word holds now. */
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	status = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(status >= 0);
	CHECK_INT(pread(status, cmdline, sizeof(word), (off_t)(uintptr_t)word), sizeof(word));
	close(status);
	CHECK_STR(cmdline, "");
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	run_end(&w);
	run_done(&w);
}

TEST(leave)
{
	run_check("leave dc1", 200, "{\"networks\":[\"dc1\"],\"told\":true}", 0,
		  "POST /v1/leave {\"network\":\"dc1\"}\n", "left dc1\n", "");
	run_check(
		"leave --all", 200, "{\"networks\":[\"a\",\"b\"],\"told\":false}", 0,
		"POST /v1/leave {\"all\":true}\n",
		"left a\nleft b\nthe coordinator is out of reach; it is told as soon as it is back\n",
		"");
	run_check("leave --all", 200, "{\"networks\":[],\"told\":true}", 0, NULL,
		  "this machine is in no network\n", "");
	run_check("leave --all --json", 200, "{}", 0, NULL, "{}\n", "");
	usage("leave", "warren: leave what? give one network, or --all; try --help\n");
	usage("leave dc1 --all", "warren: leave what? give one network, or --all; try --help\n");
	usage("leave a b", "warren: \"b\" is too much: warren leave NETWORK|--all; try --help\n");
}

/* ---- status */

#define REFUSED(size)                                                                              \
	"\"refused\":{\"size\":" size ",\"json\":0,\"schema\":0,\"duplicate_key\":0,\"key\":0,"    \
	"\"signer\":7,\"place\":0,\"old\":0,\"chunk\":0,\"mesh\":0,\"grant\":0}"

TEST(status_of_a_node_that_joined_nothing)
{
	run_check(
		"status", 200,
		"{\"node\":{\"id\":\"abc\"},\"broker\":{\"connected\":false},\"coordinator\":"
		"{\"present\":false},\"networks\":[],\"journals\":[],\"refused\":{\"size\":0,\"json\":"
		"0,\"schema\":0,\"duplicate_key\":0,\"key\":0,\"signer\":0,\"place\":0,\"old\":0,"
		"\"chunk\":0,\"mesh\":0,\"grant\":0},\"problems\":[\"the disk is full\"]}",
		0, "GET /v1/status\n",
		"node         - (abc)\nsite         -\nmesh         none; `warren join TOKEN` joins "
		"one\nproblem      the disk is full\n",
		"");
}

TEST(status)
{
	run_check(
		"status", 200,
		"{\"node\":{\"id\":\"abc\",\"name\":\"n1\",\"site\":\"paris\",\"mesh\":\"mmm\"},"
		"\"broker\":{\"url\":\"mqtts://b:8883\",\"connected\":false,\"error\":\"no route\"},"
		"\"coordinator\":{\"present\":true},\"networks\":[{\"name\":\"dc1\",\"interface\":"
		"\"wr-dc1\",\"backend\":\"userspace\",\"port\":51830,\"addresses\":[\"10.1.0.2\","
		"\"fd00::2\"],\"peers\":[{\"id\":\"p1\",\"name\":\"n2\",\"addresses\":[\"10.1.0.3\"],"
		"\"endpoint\":\"192.0.2.7:51830\",\"rx_bytes\":2048,\"tx_bytes\":5,\"ranges\":[],"
		"\"orphan\":false},{\"id\":\"p2\",\"addresses\":[\"10.1.0.4\"],\"rx_bytes\":0,"
		"\"tx_bytes\":0,\"ranges\":[],\"orphan\":true,\"problem\":\"no usable endpoint: start one "
		"side with --endpoint\"}],\"standby\":[\"10.9.0.0/16\"],\"up\":true,\"problem\":\"port taken\"},"
		"{\"name\":\"dc2\",\"interface\":\"wr-dc2\",\"backend\":\"kernel\",\"port\":51831,"
		"\"addresses\":[],\"peers\":[],\"standby\":[],\"up\":true}],\"journals\":[{\"path\":\"n/dc1/peers\","
		"\"epoch\":1,\"ver\":42,\"orphans\":1,\"stale_since\":\"2020-01-01T00:00:00Z\"},{\"path\":"
		"\"n/dc2/peers\",\"epoch\":1,\"ver\":0,\"orphans\":0},{\"path\":"
		"\"n/dc2/dns/x1\",\"epoch\":0,\"ver\":0,\"orphans\":0}]," REFUSED(
			"2") ",\"problems\":[]}",
		0, "GET /v1/status\n",
		"node         n1 (abc)\nsite         paris\nmesh         mmm\n"
		"broker       mqtts://b:8883, not connected\n             no route\n"
		"coordinator  present\n"
		"\nnetwork dc1: wr-dc1, 10.1.0.2, fd00::2, port 51830, userspace WireGuard\n"
		"  problem: port taken\n  standby: 10.9.0.0/16\n"
		"  PEER         ADDRESSES  ENDPOINT         HANDSHAKE  RX       TX\n"
		"  n2           10.1.0.3   192.0.2.7:51830  never      2.0 KiB  5 B\n"
		"  p2 (orphan)  10.1.0.4   -                never      0 B      0 B\n"
		"  p2: no usable endpoint: start one side with --endpoint\n"
		"\nnetwork dc2: wr-dc2, port 51831, kernel WireGuard\n  no peers\n"
		"\njournals:\n"
		"  PATH          EPOCH  VERSION  ORPHANS  STALE SINCE\n"
		"  n/dc1/peers   1      42       1        2020-01-01T00:00:00Z\n"
		"  n/dc2/peers   1      0        0        -\n"
		"  n/dc2/dns/x1  0      0        0        -\n"
		"  exporter x1 has published nothing yet: unless its site's one before did, names "
		"that the network does not have are answered SERVFAIL; see `warren exporter list`\n"
		"\ndocuments refused since the agent was started: size 2, signer 7\n",
		"");
}

/* ---- ping */

#define RESOLVED(address)                                                                          \
	"{\"what\":\"n2\",\"network\":\"dc1\",\"name\":\"n2\",\"address\":\"" address              \
	"\",\"self\":"                                                                             \
	"false}"

TEST(ping)
{
	struct run w = { .status = 200, .answer = RESOLVED("127.0.0.1") };

	if (geteuid() != 0)
		SKIP("not root");
	run(&w, "ping n2 --count 1");
	CHECK_STR(buf_cstr(&w.asked), "GET /v1/resolve what=n2\n");
	CHECK_STR(buf_cstr(&w.err), "");
	CHECK(strncmp(buf_cstr(&w.out), "n2 is 127.0.0.1 in dc1\n127.0.0.1: seq=1 time=", 45) == 0);
	CHECK(strstr(buf_cstr(&w.out), " ms\n1 sent, 1 answered, "));
	CHECK_INT(w.exit, 0);
	run(&w, "ping 127.0.0.1 --count 1");
	CHECK(strncmp(buf_cstr(&w.out), "127.0.0.1 is n2 in dc1\n", 23) == 0);
	run(&w, "ping n2.dc1 --count 1");
	CHECK(strncmp(buf_cstr(&w.out), "n2.dc1 is n2, 127.0.0.1 in dc1\n", 31) == 0);
	w.answer = RESOLVED("0.0.0.1");
	run(&w, "ping n2 --count 1");
	CHECK(strstr(buf_cstr(&w.out), "0.0.0.1: seq=1 "));
	CHECK(strstr(buf_cstr(&w.out), "\n1 sent, none answered\n"));
	CHECK_INT(w.exit, 1);
	run_done(&w);
	usage("ping n2 --count 0", "warren: --count: 0 is not a number from 1 to 1000000\n");
}

TEST(ping_once_a_second)
{
	struct run w = { .status = 200,
			 .answer = "{\"what\":\"x\",\"network\":\"dc1\",\"address\":\"127.0.0.1\","
				   "\"self\":true}" };
	uint64_t begin = clock_mono();

	if (geteuid() != 0)
		SKIP("not root");
	run(&w, "ping x --count 2");
	CHECK(clock_mono() - begin >= USEC_PER_SEC);
	CHECK(strncmp(buf_cstr(&w.out), "x is 127.0.0.1 in dc1 (this machine)\n", 37) == 0);
	CHECK(strstr(buf_cstr(&w.out), "\n2 sent, 2 answered, "));
	CHECK_INT(w.exit, 0);
	run_done(&w);
}

/* ---- the environment */

TEST(options_come_from_the_environment_too)
{
	setenv("WARREN_NETWORK", "dc1", 1);
	setenv("WARREN_TAG", "a,b", 1);
	setenv("WARREN_JSON", "1", 1);
	run_check(
		"token create", 200, "{}", 0,
		"POST /v1/tokens {\"network\":\"dc1\",\"role\":\"node\",\"uses\":0,\"tags\":[\"a\","
		"\"b\"]}\n",
		"{}\n", "");
}

TEST_MAIN("command")

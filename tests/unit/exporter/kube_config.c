/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "exporter/kube_config.h"
#include "lib/buf.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "tests/test.h"

static char why[KUBE_CONFIG_WHY_SIZE];

/* A kubeconfig of one context, of which cluster, user and context are given as flow mappings. */
static int parse(const char *cluster, const char *user, const char *context, struct kube_config *c)
{
	char *text = xasprintf("apiVersion: v1\n"
			       "kind: Config\n"
			       "current-context: here\n"
			       "contexts:\n"
			       "- name: other\n"
			       "  context: {cluster: x, user: x}\n"
			       "- name: here\n"
			       "  context: {cluster: c, user: u%s}\n"
			       "clusters:\n"
			       "- name: c\n"
			       "  cluster: {%s}\n"
			       "users:\n"
			       "- {name: u, user: {%s}}\n",
			       context, cluster, user);
	int r;

	why[0] = '\0';
	r = kube_config_parse(text, strlen(text), "/etc/k", c, why);
	CHECK((r == 0) == !*why);
	free(text);
	return r;
}

static void check_secret(const struct kube_secret *s, const char *text, const char *file)
{
	CHECK_STR(s->text ? s->text : "-", text);
	CHECK_STR(s->file ? s->file : "-", file);
}

TEST(reads_paths)
{
	struct kube_config c;

	CHECK_INT(parse("server: 'https://10.0.0.1:6443/', certificate-authority: ca.crt",
			"client-certificate: /abs/c.crt, client-key: keys/c.key, tokenFile: t",
			", namespace: shop", &c),
		  0);
	CHECK_STR(c.server, "https://10.0.0.1:6443");
	CHECK_STR(c.namespace_, "shop");
	check_secret(&c.ca, "-", "/etc/k/ca.crt");
	check_secret(&c.cert, "-", "/abs/c.crt");
	check_secret(&c.key, "-", "/etc/k/keys/c.key");
	check_secret(&c.token, "-", "/etc/k/t");
	kube_config_done(&c);
}

TEST(reads_data_which_goes_first)
{
	struct kube_config c;

	CHECK_INT(parse("server: 'https://[fd00::1]:6443', certificate-authority: no, "
			"certificate-authority-data: Y2E=, insecure-skip-tls-verify: false",
			"client-certificate-data: Y2VydA==, client-key-data: a2V5, token: abc.def",
			"", &c),
		  0);
	CHECK_STR(c.namespace_, "default");
	check_secret(&c.ca, "ca", "-");
	check_secret(&c.cert, "cert", "-");
	check_secret(&c.key, "key", "-");
	check_secret(&c.token, "abc.def", "-");
	kube_config_done(&c);
}

TEST(a_token_file_goes_before_a_token)
{
	struct kube_config c;

	CHECK_INT(parse("server: 'https://a'", "token: abc, tokenFile: /t", "", &c), 0);
	check_secret(&c.token, "-", "/t");
	kube_config_done(&c);
}

TEST(json_is_yaml)
{
	static const char text[] =
		"{\"current-context\": \"x\", \"contexts\": [{\"name\": \"x\", \"context\": "
		"{\"cluster\": \"x\", \"user\": \"x\", \"namespace\": \"\"}}], \"clusters\": "
		"[{\"name\": \"x\", \"cluster\": {\"server\": \"https://h\"}}], \"users\": "
		"[{\"name\": \"x\", \"user\": {\"token\": \"t\"}}]}";
	struct kube_config c;

	CHECK_INT(kube_config_parse(text, sizeof(text) - 1, ".", &c, why), 0);
	CHECK_STR(c.server, "https://h");
	CHECK_STR(c.namespace_, "default");
	kube_config_done(&c);
}

TEST(refusals_name_the_field)
{
	static const struct {
		const char *cluster, *user, *context, *why;
	} cases[] = {
		{ "", "token: t", "", "cluster.server is missing" },
		{ "server: 'http://a'", "token: t", "", "\"http://a\" is not https://HOST[:PORT]" },
		{ "server: 'https://'", "token: t", "", "is not https://HOST[:PORT]" },
		{ "server: 'https:////'", "token: t", "", "is not https://HOST[:PORT]" },
		{ "server: 'https://u:p@a'", "token: t", "", "is not https://HOST[:PORT]" },
		{ "server: 'https://a?b'", "token: t", "", "is not https://HOST[:PORT]" },
		{ "server: \"https://a\\nb\"", "token: t", "", "\"https://a?b\" is not" },
		{ "server: [a]", "token: t", "", "cluster.server is not a string" },
		{ "server: \"https://a\\0b\"", "token: t", "", "cluster.server has a NUL in it" },
		{ "server: 'https://a', insecure-skip-tls-verify: true", "token: t", "",
		  "cluster.insecure-skip-tls-verify cannot be used here: give the server's "
		  "authority in certificate-authority instead" },
		{ "server: 'https://a', proxy-url: 'http://p'", "token: t", "",
		  "cluster.proxy-url cannot be used here" },
		{ "server: 'https://a', tls-server-name: b", "token: t", "",
		  "cluster.tls-server-name cannot be used here" },
		{ "server: 'https://a', certificate-authority-data: '*'", "token: t", "",
		  "cluster.certificate-authority-data is not base64" },
		{ "server: 'https://a', certificate-authority-data: YQBi", "token: t", "",
		  "cluster.certificate-authority-data is not base64 of a text" },
		{ "server: 'https://a'", "", "", "user has neither a token nor a client" },
		{ "server: 'https://a'", "client-certificate: c", "",
		  "one of client-certificate and client-key" },
		{ "server: 'https://a'", "exec: {command: aws}", "",
		  "user.exec cannot be used here: make a service account" },
		{ "server: 'https://a'", "token: t, auth-provider: {name: gcp}", "",
		  "user.auth-provider cannot be used here: make a service account" },
		{ "server: 'https://a'", "username: a, password: b", "", "user.username cannot" },
		{ "server: 'https://a'", "token: t, as: root", "", "user.as cannot be used here" },
		{ "server: 'https://a'", "token: t", ", namespace: A_b",
		  "context.namespace \"A_b\" is not a DNS label" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kube_config c;

		CHECK_INT(parse(cases[i].cluster, cases[i].user, cases[i].context, &c), -EBADMSG);
		if (!strstr(why, cases[i].why))
			CHECK_STR(why, cases[i].why);
		CHECK(!c.server && !c.token.text);
	}
}

TEST(empty_is_absent)
{
	struct kube_config c;

	CHECK_INT(parse("server: 'https://a', proxy-url: '', insecure-skip-tls-verify: false",
			"token: t, username: \"\", tokenFile: ''", ", namespace: ''", &c),
		  0);
	CHECK_STR(c.namespace_, "default");
	CHECK(!c.token.file);
	kube_config_done(&c);
}

TEST(refuses_what_is_no_kubeconfig)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "it is not a kubeconfig" },
		{ "- a", "it is not a kubeconfig" },
		{ "a: {", "line 2: " },
		{ "a: 1\n\tb", "line 2: " },
		{ "a: b", "current-context is missing" },
		{ "current-context: x", "contexts has no \"x\"" },
		{ "current-context: x\ncontexts: {}", "contexts is not a list" },
		{ "current-context: x\ncontexts: [1, {name: x}]", "\"x\" has no context" },
		{ "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]",
		  "lacks cluster or user" },
		{ "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]",
		  "clusters has no \"c\"" },
		/* An anchor that contains itself ends. */
		{ "current-context: x\ncontexts: &a [*a]", "contexts has no \"x\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kube_config c;

		CHECK_INT(kube_config_parse(cases[i].text, strlen(cases[i].text), ".", &c, why),
			  -EBADMSG);
		if (!strstr(why, cases[i].why))
			CHECK_STR(why, cases[i].why);
	}
}

/* ---- files ---- */

static char dir[] = "/tmp/warren-kube-XXXXXX";

static const char *put(const char *name, const char *text)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK_INT(file_write(path, text, strlen(text), 0600), 0);
	return path;
}

static void drop(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK_INT(unlink(path), 0);
}

TEST(reads_the_file_and_its_folder)
{
	struct kube_config c;
	struct buf text = { 0 };
	char path[128];

	CHECK(mkdtemp(dir));
	put("token", "abc\n");
	snprintf(path, sizeof(path), "%s",
		 put("config", "current-context: x\n"
			       "contexts: [{name: x, context: {cluster: x, user: x}}]\n"
			       "clusters: [{name: x, cluster: {server: 'https://a'}}]\n"
			       "users: [{name: x, user: {tokenFile: token}}]\n"));
	CHECK_INT(kube_config_load(path, &c, why), 0);
	CHECK_INT(kube_secret_read(&c.token, &text), 0);
	CHECK_STR(buf_cstr(&text), "abc");
	buf_done(&text);
	CHECK(!kube_secret_is_set(&c.ca));
	CHECK_INT(kube_secret_read(&c.ca, &text), 0);
	CHECK_INT(text.len, 0);
	kube_config_done(&c);
	put("config", "a: b");
	CHECK_INT(kube_config_load(path, &c, why), -EBADMSG);
	CHECK(strstr(why, path) && strstr(why, ": current-context is missing"));
	drop("config");
	CHECK_INT(kube_config_load(path, &c, why), -ENOENT);
	CHECK(strstr(why, "cannot be read: No such file"));
	drop("token");
	CHECK_INT(rmdir(dir), 0);
}

TEST(in_a_pod)
{
	struct kube_config c;
	char ca[128];

	CHECK(mkdtemp(dir));
	put("namespace", "warren\n");
	snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
	setenv("WARREN_SERVICE_ACCOUNT", dir, 1);
	unsetenv("KUBERNETES_SERVICE_HOST");
	CHECK_INT(kube_config_load(NULL, &c, why), -EBADMSG);
	CHECK(strstr(why, "this is no pod; give a kubeconfig file"));
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	CHECK_INT(kube_config_load(NULL, &c, why), 0);
	CHECK_STR(c.server, "https://[fd00::1]:443");
	CHECK_STR(c.namespace_, "warren");
	check_secret(&c.ca, "-", ca);
	kube_config_done(&c);
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	CHECK_INT(kube_config_load(NULL, &c, why), 0);
	CHECK_STR(c.server, "https://10.96.0.1:443");
	kube_config_done(&c);
	setenv("KUBERNETES_SERVICE_PORT", "https", 1);
	CHECK_INT(kube_config_load(NULL, &c, why), -EBADMSG);
	CHECK_STR(why, "KUBERNETES_SERVICE_PORT is not a port");
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	drop("namespace");
	CHECK_INT(kube_config_load(NULL, &c, why), -ENOENT);
	CHECK(!c.server);
	CHECK_INT(rmdir(dir), 0);
}

TEST_MAIN("kube-config")

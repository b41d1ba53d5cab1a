/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The service account's folder and kubeconfig files, read through libyaml, which nobody else uses. Owns
 * nothing between two calls. Any thread.
 */
#include "exporter/kube_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define STRING_MAX (256u << 10)

struct reader {
	yaml_document_t doc;
	const char *folder;
	char *why;
};

static PRINTF(2, 3) int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, KUBE_CONFIG_WHY_SIZE, fmt, ap);
	va_end(ap);
	/* What a file says is quoted in it. */
	for (; *why; why++)
		if (iscntrl((unsigned char)*why))
			*why = '?';
	return -EBADMSG;
}

/* ---- YAML ---- */

static bool is_plain(const yaml_node_t *n, const char *s)
{
	return n->type == YAML_SCALAR_NODE && n->data.scalar.length == strlen(s) &&
	       memcmp(n->data.scalar.value, s, strlen(s)) == 0;
}

/* NULL: `map` is none, or has no such key, or says null. */
static yaml_node_t *member(struct reader *r, yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);
		yaml_node_t *v = yaml_document_get_node(&r->doc, p->value);

		if (!k || !v || !is_plain(k, key))
			continue;
		if (v->type == YAML_SCALAR_NODE &&
		    v->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		    (is_plain(v, "") || is_plain(v, "null") || is_plain(v, "~")))
			return NULL;
		return v;
	}
	return NULL;
}

/* `ret` NULL: it is absent, or empty, which kubectl takes for the same. `what` is for messages. */
static int string_of(struct reader *r, yaml_node_t *map, const char *key, const char *what,
		     char **ret)
{
	yaml_node_t *n = key ? member(r, map, key) : NULL;

	*ret = NULL;
	if (!n)
		return 0;
	if (n->type != YAML_SCALAR_NODE)
		return refuse(r->why, "%s.%s is not a string", what, key);
	if (n->data.scalar.length > STRING_MAX)
		return refuse(r->why, "%s.%s is longer than %u bytes", what, key, STRING_MAX);
	if (memchr(n->data.scalar.value, '\0', n->data.scalar.length))
		return refuse(r->why, "%s.%s has a NUL in it", what, key);
	if (n->data.scalar.length)
		*ret = xstrndup((const char *)n->data.scalar.value, n->data.scalar.length);
	return 0;
}

/* The member `kind` of the element of the list `list` whose name is `name`. */
static int named(struct reader *r, const char *list, const char *kind, const char *name,
		 yaml_node_t **ret)
{
	yaml_node_t *l = member(r, yaml_document_get_root_node(&r->doc), list);

	if (l && l->type != YAML_SEQUENCE_NODE)
		return refuse(r->why, "%s is not a list", list);
	for (yaml_node_item_t *i = l ? l->data.sequence.items.start : NULL;
	     l && i < l->data.sequence.items.top; i++) {
		yaml_node_t *e = yaml_document_get_node(&r->doc, *i);
		yaml_node_t *n = member(r, e, "name");

		if (!n || !is_plain(n, name))
			continue;
		*ret = member(r, e, kind);
		if (!*ret || (*ret)->type != YAML_MAPPING_NODE)
			return refuse(r->why, "%s \"%.100s\" has no %s", list, name, kind);
		return 0;
	}
	return refuse(r->why, "%s has no \"%.100s\"", list, name);
}

/* ---- fields ---- */

static char *absolute(const char *folder, const char *path)
{
	return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", folder, path);
}

static int decode_data(struct reader *r, const char *what, const char *key, char *data, char **ret)
{
	size_t len = strlen(data);
	char *text = xmalloc(len + 1);
	long n = base64_decode(data, len, text, len);

	if (n < 0 || memchr(text, '\0', (size_t)n)) {
		explicit_bzero(text, len + 1);
		free(text);
		return refuse(r->why, "%s.%s is not base64 of a text", what, key);
	}
	text[n] = '\0';
	*ret = text;
	return 0;
}

/* `key` names a file, `data_key` has the content, which goes first. Either may be NULL. */
static int secret_of(struct reader *r, yaml_node_t *map, const char *what, const char *key,
		     const char *data_key, bool base64, struct kube_secret *ret)
{
	char *path = NULL, *data = NULL;
	int error = string_of(r, map, key, what, &path);

	if (error == 0)
		error = string_of(r, map, data_key, what, &data);
	if (error == 0 && data && base64)
		error = decode_data(r, what, data_key, data, &ret->text);
	else if (error == 0 && data)
		ret->text = xstrdup(data);
	else if (error == 0 && path)
		ret->file = absolute(r->folder, path);
	if (data)
		explicit_bzero(data, strlen(data));
	free(data);
	free(path);
	return error;
}

static int check_server(char *why, const char *server)
{
	if (strncmp(server, "https://", 8) != 0 || !server[8] || server[8] == '/')
		return refuse(why, "the server \"%.100s\" is not https://HOST[:PORT]", server);
	for (const char *p = server; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr("?#@\"\\", *p))
			return refuse(why, "the server \"%.100s\" is not https://HOST[:PORT]",
				      server);
	return 0;
}

static int refuse_members(struct reader *r, yaml_node_t *map, const char *what,
			  const char *const (*table)[2], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		yaml_node_t *n = member(r, map, table[i][0]);

		if (n && !is_plain(n, "false") && !is_plain(n, ""))
			return refuse(r->why, "%s.%s cannot be used here: %s", what, table[i][0],
				      table[i][1]);
	}
	return 0;
}

static int read_cluster(struct reader *r, yaml_node_t *cluster, struct kube_config *c)
{
	static const char *const refused[][2] = {
		{ "insecure-skip-tls-verify",
		  "give the server's authority in certificate-authority instead" },
		{ "proxy-url", "the server is asked directly" },
		{ "tls-server-name", "name the server as its certificate does" },
	};
	size_t n;
	int e = refuse_members(r, cluster, "cluster", refused, ARRAY_SIZE(refused));

	if (e == 0)
		e = string_of(r, cluster, "server", "cluster", &c->server);
	if (e == 0 && !c->server)
		e = refuse(r->why, "cluster.server is missing");
	if (e == 0)
		e = check_server(r->why, c->server);
	if (e == 0)
		e = secret_of(r, cluster, "cluster", "certificate-authority",
			      "certificate-authority-data", true, &c->ca);
	for (n = c->server ? strlen(c->server) : 0; n > 0 && c->server[n - 1] == '/'; n--)
		c->server[n - 1] = '\0';
	return e;
}

static int read_user(struct reader *r, yaml_node_t *user, struct kube_config *c)
{
	static const char own[] = "make a service account, and put its token into tokenFile or a "
				  "client certificate into client-certificate";
	static const char *const refused[][2] = {
		{ "exec", own },
		{ "auth-provider", own },
		{ "username", own },
		{ "password", own },
		{ "as", "give us an account of our own" },
	};
	int e = refuse_members(r, user, "user", refused, ARRAY_SIZE(refused));

	if (e == 0)
		e = secret_of(r, user, "user", "client-certificate", "client-certificate-data",
			      true, &c->cert);
	if (e == 0)
		e = secret_of(r, user, "user", "client-key", "client-key-data", true, &c->key);
	/* client-go: a file that rotates goes before a token that does not. */
	if (e == 0)
		e = secret_of(r, user, "user", "tokenFile", NULL, false, &c->token);
	if (e == 0 && !c->token.file)
		e = secret_of(r, user, "user", NULL, "token", false, &c->token);
	if (e == 0 && kube_secret_is_set(&c->cert) != kube_secret_is_set(&c->key))
		e = refuse(r->why, "user has one of client-certificate and client-key, not both");
	if (e == 0 && !kube_secret_is_set(&c->cert) && !kube_secret_is_set(&c->token))
		e = refuse(r->why, "user has neither a token nor a client certificate");
	return e;
}

static int read_document(struct reader *r, struct kube_config *c)
{
	yaml_node_t *root = yaml_document_get_root_node(&r->doc), *context, *cluster, *user;
	_cleanup_(freep) char *current = NULL, *cluster_name = NULL, *user_name = NULL;
	int e;

	if (!root || root->type != YAML_MAPPING_NODE)
		return refuse(r->why, "it is not a kubeconfig");
	e = string_of(r, root, "current-context", "kubeconfig", &current);
	if (e == 0 && !current)
		e = refuse(r->why, "current-context is missing");
	if (e == 0)
		e = named(r, "contexts", "context", current, &context);
	if (e == 0)
		e = string_of(r, context, "cluster", "context", &cluster_name);
	if (e == 0)
		e = string_of(r, context, "user", "context", &user_name);
	if (e == 0)
		e = string_of(r, context, "namespace", "context", &c->namespace_);
	if (e == 0 && (!cluster_name || !user_name))
		e = refuse(r->why, "the context \"%.100s\" lacks cluster or user", current);
	if (e == 0)
		e = named(r, "clusters", "cluster", cluster_name, &cluster);
	if (e == 0)
		e = named(r, "users", "user", user_name, &user);
	if (e == 0)
		e = read_cluster(r, cluster, c);
	if (e == 0)
		e = read_user(r, user, c);
	if (e == 0 && !c->namespace_)
		c->namespace_ = xstrdup("default");
	if (e == 0 && !text_is_label(c->namespace_))
		e = refuse(r->why, "context.namespace \"%.100s\" is not a DNS label",
			   c->namespace_);
	return e;
}

/* ---- in a pod ---- */

static int pod_namespace(const char *folder, struct kube_config *c, char *why)
{
	const struct kube_secret s = { .file = xasprintf("%s/namespace", folder) };
	struct buf text = { 0 };
	int r = kube_secret_read(&s, &text);

	if (r < 0)
		refuse(why, "%.200s cannot be read: %s", s.file, strerror(-r));
	else if (!text_is_label(buf_cstr(&text)))
		r = refuse(why, "%.200s is not a DNS label", s.file);
	else
		c->namespace_ = xstrdup(buf_cstr(&text));
	buf_done(&text);
	free(s.file);
	return r;
}

static int load_pod(struct kube_config *c, char *why)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *folder;
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	uint64_t number;

	if (!host || !*host || !port)
		return refuse(why, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not "
				   "set: this is no pod; give a kubeconfig file");
	if (u64_parse(port, 1, 65535, &number) < 0)
		return refuse(why, "KUBERNETES_SERVICE_PORT is not a port");
	folder = getenv("WARREN_SERVICE_ACCOUNT");
	if (!folder || !*folder)
		folder = ACCOUNT;
	c->server = strchr(host, ':') && *host != '[' ? xasprintf("https://[%s]:%s", host, port) :
							xasprintf("https://%s:%s", host, port);
	c->ca.file = xasprintf("%s/ca.crt", folder);
	c->token.file = xasprintf("%s/token", folder);
	if (check_server(why, c->server) < 0)
		return -EBADMSG;
	return pod_namespace(folder, c, why);
}

static int load_file(const char *path, struct kube_config *c, char *why)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) :
			       xstrdup(".");
	char inner[KUBE_CONFIG_WHY_SIZE] = "";
	struct buf text = { 0 };
	int r = file_read(path, KUBE_CONFIG_BYTES_MAX, &text);

	if (r < 0)
		refuse(why, "%.200s cannot be read: %s", path, strerror(-r));
	else if ((r = kube_config_parse(buf_cstr(&text), text.len, folder, c, inner)) < 0)
		refuse(why, "%.150s: %.350s", path, inner);
	buf_done(&text);
	free(folder);
	return r;
}

/* ---- */

static void secret_done(struct kube_secret *s)
{
	if (s->text)
		explicit_bzero(s->text, strlen(s->text));
	free(s->text);
	free(s->file);
}

void kube_config_done(struct kube_config *c)
{
	free(c->server);
	free(c->namespace_);
	secret_done(&c->ca);
	secret_done(&c->cert);
	secret_done(&c->key);
	secret_done(&c->token);
	*c = (struct kube_config){ 0 };
}

bool kube_secret_is_set(const struct kube_secret *s)
{
	return s->text || s->file;
}

int kube_secret_read(const struct kube_secret *s, struct buf *out)
{
	size_t from = out->len;
	int r = 0;

	if (s->text)
		buf_str(out, s->text);
	else if (s->file)
		r = file_read(s->file, KUBE_FILE_BYTES_MAX, out);
	if (r < 0)
		return r;
	while (out->len > from && isspace((unsigned char)out->data[out->len - 1]))
		out->data[--out->len] = '\0';
	return out->len > from && memchr(out->data + from, '\0', out->len - from) ? -EBADMSG : 0;
}

int kube_config_parse(const char *text, size_t len, const char *folder, struct kube_config *ret,
		      char ret_why[static KUBE_CONFIG_WHY_SIZE])
{
	struct reader r = { .folder = folder, .why = ret_why };
	yaml_parser_t parser;
	int e;

	*ret = (struct kube_config){ 0 };
	if (!yaml_parser_initialize(&parser))
		abort(); /* no memory */
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &r.doc)) {
		e = read_document(&r, ret);
		yaml_document_delete(&r.doc);
	} else {
		e = refuse(ret_why, "line %zu: %s", parser.problem_mark.line + 1,
			   parser.problem ? parser.problem : "it is not YAML");
	}
	yaml_parser_delete(&parser);
	if (e < 0)
		kube_config_done(ret);
	return e;
}

int kube_config_load(const char *kubeconfig, struct kube_config *ret,
		     char ret_why[static KUBE_CONFIG_WHY_SIZE])
{
	int r;

	*ret = (struct kube_config){ 0 };
	r = kubeconfig ? load_file(kubeconfig, ret, ret_why) : load_pod(ret, ret_why);
	if (r < 0)
		kube_config_done(ret);
	return r;
}

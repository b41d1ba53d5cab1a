/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren-coordinator: sub commands, and for `run` the wiring of store, keys, publisher, authority,
 * session and API around one loop.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/api.h"
#include "coordinator/authority.h"
#include "coordinator/init.h"
#include "coordinator/paths.h"
#include "coordinator/session.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/daemon.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "lib/opt.h"
#include "lib/text.h"

#define PROGRAM "warren-coordinator"
#define API_KEY "api.key" /* in the data directory: the bearer key of an API on HOST:PORT */
#define API_KEY_BYTES 32
#define CERT_MAX 65536

struct run_options {
	const char *data;
	const char *api;
	const char *api_cert; /* certificate and key in PEM */
};

struct daemon {
	struct loop *loop;
	struct store *store;
	struct keys keys;
	struct publisher *publisher;
	struct authority authority;
	struct session *session;
	struct api *api;
	struct buf cert, bearer;
};

static void usage(FILE *out)
{
	fputs("Usage: " PROGRAM " COMMAND [OPTION...]\n"
	      "\n"
	      "The authority of a Warren mesh.\n"
	      "\n"
	      "  init       make a mesh: its keys, its CA, and a configured broker\n"
	      "  run        run the coordinator\n"
	      "\n"
	      "  --version  print the version\n"
	      "  --help     this; after a command: its options\n",
	      out);
}

/* ---- run ---- */

/* One coordinator per data directory; the descriptor is kept until the end. */
static void lock_data(const char *data)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", data);
	pid_t owner = 0;
	int r;

	if (access(data, F_OK) < 0)
		opt_fail(1, "there is no %s: run " PROGRAM " init first", data);
	r = file_lock(path, &owner);
	if (r == -EWOULDBLOCK)
		opt_fail(1, "another coordinator (process %ld) uses %s", (long)owner, data);
	if (r < 0)
		opt_fail(1, "cannot lock %s: %s", path, strerror(-r));
}

static void open_data(struct daemon *d, const char *data)
{
	_cleanup_(freep) char *path = xasprintf("%s/" PATHS_DATABASE, data);
	char error[512];

	if (keys_load(data, &d->keys, error, sizeof(error)) < 0)
		opt_fail(1, "%s", error);
	if (store_open(path, &d->store) < 0)
		opt_fail(1, "cannot open %s: %s", path, store_message());
	if (publisher_new(d->loop, d->store, &d->keys, &d->publisher) < 0)
		opt_fail(1, "cannot read the journals in %s: %s", path, store_message());
}

/* The key that HTTP clients from elsewhere have to show; made when it is first needed. */
static void load_bearer(struct daemon *d, const char *data)
{
	_cleanup_(freep) char *path = xasprintf("%s/" API_KEY, data);
	char hex[2 * API_KEY_BYTES + 1];
	uint8_t random[API_KEY_BYTES];
	int r = file_read(path, 4096, &d->bearer);

	if (r == -ENOENT) {
		crypto_random(random, sizeof(random));
		hex_encode(random, sizeof(random), hex);
		crypto_wipe(random, sizeof(random));
		buf_str(&d->bearer, hex);
		crypto_wipe(hex, sizeof(hex));
		r = file_write(path, d->bearer.data, d->bearer.len, 0600);
	}
	if (r < 0)
		opt_fail(1, "cannot read or write %s: %s", path, strerror(-r));
	while (d->bearer.len && strchr(" \t\r\n", d->bearer.data[d->bearer.len - 1]))
		d->bearer.data[--d->bearer.len] = '\0';
	log_info("api-key", "file=%s", path);
}

/* The folder of the default socket; users of group warren enter it. */
static void make_run_folder(const char *address)
{
	int r;

	if (strcmp(address, PATHS_API) != 0)
		return;
	r = file_mkdir(PATHS_RUN, 0755);
	if (r < 0)
		opt_fail(1, "cannot make " PATHS_RUN ": %s", strerror(-r));
}

static void open_api(struct daemon *d, const struct run_options *o)
{
	struct api_config config = { .address = o->api };
	char error[512];
	int r;

	if (o->api_cert) {
		r = file_read(o->api_cert, CERT_MAX, &d->cert);
		if (r < 0)
			opt_fail(1, "cannot read --api-cert %s: %s", o->api_cert, strerror(-r));
		config.cert_pem = config.key_pem = buf_cstr(&d->cert);
	}
	if (strncmp(o->api, "unix:", 5) != 0) {
		load_bearer(d, o->data);
		config.bearer = buf_cstr(&d->bearer);
	}
	make_run_folder(o->api);
	if (api_new(d->loop, &d->authority, d->session, &config, &d->api, error, sizeof(error)) < 0)
		opt_fail(1, "%s", error);
}

static int orphan_add(void *owner, const char *network, const char *node, const char *body)
{
	return network_orphan_add(owner, network, node, body);
}

static int network_found(void *owner, const char *network, const char *settings)
{
	return network_adopt(owner, network, settings);
}

static int run(const struct run_options *o)
{
	struct daemon d = { .loop = loop_new() };
	bool revoked;
	int r;

	lock_data(o->data);
	open_data(&d, o->data);
	d.authority = (struct authority){
		.store = d.store, .keys = &d.keys, .publisher = d.publisher, .now = clock_wall
	};
	publisher_on_orphan(d.publisher, orphan_add, &d.authority);
	publisher_on_network(d.publisher, network_found, &d.authority);
	if (member_reconcile(&d.authority) < 0)
		opt_fail(1, "the database in %s cannot be changed: %s", o->data, store_message());
	d.session = session_new(d.loop, &d.authority);
	open_api(&d, o);
	log_info("started", "version=" WARREN_VERSION " mesh=%s data=%s api=%s", d.keys.mesh,
		 log_quote(o->data), log_quote(o->api));
	daemon_notify("READY=1");
	r = loop_run(d.loop);
	daemon_notify("STOPPING=1");
	log_info("stopping", "mesh=%s", d.keys.mesh);
	revoked = !trust_is_valid(d.keys.trust, d.keys.signing.id);
	api_free(d.api);
	session_free(d.session);
	publisher_free(d.publisher);
	store_close(d.store);
	keys_done(&d.keys);
	buf_done(&d.cert);
	buf_done(&d.bearer);
	loop_free(d.loop);
	return r < 0 || revoked ? 1 : 0;
}

static int run_main(int argc, char **argv)
{
	struct run_options o = { .data = PATHS_DATA, .api = PATHS_API };
	const struct opt opts[] = {
		{ .name = "data",
		  .kind = OPT_VALUE,
		  .arg = "DIR",
		  .help = "keys and database (default " PATHS_DATA ")",
		  .value = &o.data },
		{ .name = "api",
		  .kind = OPT_VALUE,
		  .arg = "unix:PATH|HOST:PORT",
		  .help = "where `warren` finds it (default " PATHS_API ")",
		  .value = &o.api },
		{ .name = "api-cert",
		  .kind = OPT_VALUE,
		  .arg = "FILE",
		  .help = "certificate and key in PEM, for HOST:PORT other than loopback",
		  .value = &o.api_cert },
		{ .name = NULL },
	};
	const struct opt_command command = {
		.synopsis = "run [--data DIR] [--api unix:PATH|HOST:PORT --api-cert FILE]",
		.about = "Runs the coordinator in the foreground. Clients of an API on HOST:PORT "
			 "show the key in DIR/" API_KEY ".",
		.opts = opts,
	};

	opt_parse(argc, argv, &command);
	return run(&o);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	daemon_begin(PROGRAM);
	if (strcmp(command, "--version") == 0) {
		puts(PROGRAM " " WARREN_VERSION);
		return 0;
	}
	if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(command, "init") == 0)
		return init_main(argc - 1, argv + 1);
	if (strcmp(command, "run") == 0)
		return run_main(argc - 1, argv + 1);
	if (*command)
		fprintf(stderr, PROGRAM ": there is no command %.64s; try --help\n", command);
	else
		usage(stderr);
	return 2;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sub command `init`. Owns nothing; main thread.
 */
#include "coordinator/init.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "coordinator/broker_config.h"
#include "coordinator/keys.h"
#include "coordinator/paths.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "lib/x509.h"

#define SCHEME "mqtts://"
#define ERROR_SIZE 512

PRINTF(4, 5)
static int explain(char *error, size_t size, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return r;
}

/* A folder named warren-broker beside `data`: user mosquitto cannot enter `data` itself. */
static char *default_broker_dir(const char *data)
{
	size_t len = strlen(data);

	while (len > 1 && data[len - 1] == '/')
		len--;
	while (len > 0 && data[len - 1] != '/')
		len--;
	return xasprintf("%.*swarren-broker", (int)len, data);
}

static char *broker_url(const char *host, unsigned port)
{
	return strchr(host, ':') ? xasprintf(SCHEME "[%s]:%u", host, port) :
				   xasprintf(SCHEME "%s:%u", host, port);
}

/* Makes the keys, then the broker's directory by them. */
static int make(const struct init_options *o, const char *broker_dir, const char *host,
		uint16_t port, struct keys *ret_keys, char *error, size_t error_size)
{
	char *brokers[INIT_LISTENERS_MAX];
	struct broker_config config = {
		.dir = broker_dir, .host = host, .port = port, .listeners = (unsigned)o->listeners
	};
	struct x509_info ca = { 0 };
	int r;

	for (size_t i = 0; i < o->listeners; i++)
		brokers[i] = broker_url(host, port + (unsigned)i);
	r = keys_create(o->data, o->root_out, (const char *const *)brokers, o->listeners,
			clock_wall());
	for (size_t i = 0; i < o->listeners; i++)
		free(brokers[i]);
	if (r < 0)
		return explain(error, error_size, r, "cannot write keys to %s: %s", o->data,
			       strerror(-r));
	r = keys_load(o->data, ret_keys, error, error_size);
	if (r == 0) {
		r = x509_info_read(ret_keys->ca_pem, &ca);
		if (r < 0)
			explain(error, error_size, r, "%s/ca.crt cannot be read back", o->data);
	}
	if (r == 0) {
		config.ca_pem = ret_keys->ca_pem;
		config.ca_key_pem = ret_keys->ca_key_pem;
		config.not_before = ca.not_before;
		config.not_after = ca.not_after;
		r = broker_config_write(&config, error, error_size);
	}
	x509_info_done(&ca);
	if (r < 0)
		keys_remove(o->data, o->root_out);
	return r;
}

static void tell(const struct init_options *o, const char *broker_dir, const struct keys *k)
{
	printf("mesh     %s\n", k->mesh);
	printf("keys     %s", o->data);
	if (o->root_out)
		printf(", the root key in %s: keep it offline\n", o->root_out);
	else
		printf(" (root.key there signs only which keys are valid: keep a copy offline)\n");
	printf("broker   %s", k->trust->body.brokers[0]);
	if (k->trust->body.broker_count > 1)
		printf(" and the next %zu ports", k->trust->body.broker_count - 1);
	printf(", configured in %s\n\n", broker_dir);
	printf("Next:\n  mosquitto -c %s/mosquitto.conf\n  warren-coordinator run", broker_dir);
	if (strcmp(o->data, PATHS_DATA) != 0)
		printf(" --data %s", o->data);
	printf("\n");
}

int init_run(const struct init_options *o, char *error, size_t error_size)
{
	_cleanup_(freep) char *broker_dir = o->broker_dir ? xstrdup(o->broker_dir) :
							    default_broker_dir(o->data);
	struct keys keys = { 0 };
	char host[HOST_SIZE];
	uint16_t port;
	int r;

	if (strncmp(o->broker, SCHEME, strlen(SCHEME)) != 0 ||
	    hostport_parse(o->broker + strlen(SCHEME), host, &port) < 0 || port == 0)
		return explain(error, error_size, -EINVAL,
			       "--broker must be " SCHEME "HOST:PORT, where HOST is the name or "
			       "address by which every node reaches the broker");
	if (o->listeners < 1 || o->listeners > INIT_LISTENERS_MAX ||
	    port + o->listeners - 1 > UINT16_MAX)
		return explain(error, error_size, -EINVAL,
			       "--listeners must be 1 to %d, and all ports below 65536",
			       INIT_LISTENERS_MAX);
	if (strpbrk(broker_dir, "\r\n"))
		return explain(error, error_size, -EINVAL, "--broker-dir must be one line");
	if (keys_exist(o->data, o->root_out))
		return explain(error, error_size, -EEXIST,
			       "there are keys in %s%s%s already: a mesh is made once; to make "
			       "another one choose another --data",
			       o->data, o->root_out ? " or " : "", o->root_out ? o->root_out : "");
	r = broker_config_prepare(broker_dir, error, error_size);
	if (r == 0)
		r = make(o, broker_dir, host, port, &keys, error, error_size);
	if (r == 0)
		tell(o, broker_dir, &keys);
	keys_done(&keys);
	return r;
}

int init_main(int argc, char **argv)
{
	const char *listeners = "1";
	struct init_options o = { .data = PATHS_DATA };
	const struct opt opts[] = {
		{ .name = "broker",
		  .kind = OPT_VALUE,
		  .arg = SCHEME "HOST:PORT",
		  .help = "where every node reaches the broker (required)",
		  .value = &o.broker },
		{ .name = "data",
		  .kind = OPT_VALUE,
		  .arg = "DIR",
		  .help = "keys and database (default " PATHS_DATA ")",
		  .value = &o.data },
		{ .name = "broker-dir",
		  .kind = OPT_VALUE,
		  .arg = "DIR",
		  .help = "mosquitto's configuration (default: warren-broker beside --data)",
		  .value = &o.broker_dir },
		{ .name = "root-out",
		  .kind = OPT_VALUE,
		  .arg = "FILE",
		  .help = "write the root key here, not into --data: to keep it offline",
		  .value = &o.root_out },
		{ .name = "listeners",
		  .kind = OPT_VALUE,
		  .arg = "N",
		  .help = "listeners on consecutive ports, 8 for thousands of nodes (default 1)",
		  .value = &listeners },
		{ .name = NULL },
	};
	const struct opt_command command = {
		.synopsis = "init --broker " SCHEME "HOST:PORT [--data DIR] [--broker-dir DIR] "
			    "[--root-out FILE] [--listeners N]",
		.about = "Makes a mesh: its keys, its CA, and a configured broker.",
		.opts = opts,
	};
	char error[ERROR_SIZE];
	int r;

	opt_parse(argc, argv, &command);
	if (!o.broker)
		opt_fail(2, "--broker is missing; try --help");
	if (u64_parse(listeners, 1, INIT_LISTENERS_MAX, &o.listeners) < 0)
		opt_fail(2, "--listeners must be 1 to %d", INIT_LISTENERS_MAX);
	umask(022); /* folders on the way to the broker's are entered by its user */
	r = init_run(&o, error, sizeof(error));
	if (r < 0)
		opt_fail(r == -EINVAL ? 2 : 1, "%s", error);
	return 0;
}

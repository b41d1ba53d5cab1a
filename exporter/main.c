/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren-exporter: options, the loop.
 */
#include <malloc.h>
#include <stdio.h>

#include "exporter/exporter.h"
#include "lib/daemon.h"
#include "lib/log.h"
#include "lib/opt.h"

static int serve(const struct exporter_options *o)
{
	struct loop *l = loop_new();
	struct exporter x = { 0 };
	int r = exporter_start(&x, l, o);

	if (r == 0) {
		daemon_notify("READY=1");
		r = loop_run(l);
		daemon_notify("STOPPING=1");
		log_info("stopping", "the names stay");
	}
	exporter_stop(&x);
	loop_free(l);
	if (*x.failed) {
		log_error("failed", "error=%s", log_quote(x.failed));
		opt_fail(1, "%s", x.failed);
	}
	return r < 0;
}

int main(int argc, char **argv)
{
	struct exporter_options o = { .state = "/var/lib/warren-exporter" };
	const struct opt opts[] = {
		{ .name = "token",
		  .kind = OPT_VALUE,
		  .arg = "TOKEN|@FILE",
		  .file = true,
		  .help = "a token of role exporter; needed once",
		  .value = &o.token },
		{ .name = "state",
		  .kind = OPT_VALUE,
		  .arg = "DIR",
		  .help = "where keys and the journal are kept (/var/lib/warren-exporter)",
		  .value = &o.state },
		{ .name = "services",
		  .kind = OPT_VALUE,
		  .arg = "FILE",
		  .help = "the services whose names it publishes",
		  .value = &o.services },
		{ 0 },
	};

	/* Two threads of the MQTT library would each get 64 MB of address space, and keep what they
	 * free. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "--services FILE [--token TOKEN] [--state DIR]",
			.about = "Publishes the names of a site's services in a network, and keeps "
				 "them as the file has them.",
			.opts = opts });
	if (!o.services)
		opt_fail(2, "--services is missing; try --help");
	daemon_begin("warren-exporter");
	return serve(&o);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren-exporter: options, the loop.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "exporter/cluster.h"
#include "exporter/health.h"
#include "lib/daemon.h"
#include "lib/log.h"
#include "lib/opt.h"
#include "lib/text.h"
#include "schemas/api.h"

#define NAMESPACES_MAX 256

/* Once, or as often as another replica took the lead. */
static int serve(struct loop *l, const struct exporter_options *o, struct exporter *x)
{
	int r;

	do {
		memset(x, 0, sizeof(*x));
		r = exporter_start(x, l, o);
		if (r == 0) {
			daemon_notify("READY=1");
			r = loop_run(l);
		}
		if (r == 0 && !x->lost && !*x->failed) {
			daemon_notify("STOPPING=1");
			log_info("stopping", "the names stay");
		}
		exporter_stop(x);
	} while (r == 0 && x->lost && !*x->failed);
	return r;
}

static int run(const struct exporter_options *o, const char *health_path)
{
	struct loop *l = loop_new();
	struct exporter x = { 0 };
	struct health *health = NULL;
	int r = 0;

	if (health_path)
		r = health_new(l, health_path, &x, &health, x.failed);
	if (r == 0)
		r = serve(l, o, &x);
	health_free(health);
	loop_free(l);
	if (*x.failed)
		opt_fail(1, "%s", x.failed);
	return r < 0;
}

static int check(const char *what, const char *path)
{
	char why[EXPORTER_WHY_SIZE];

	if (strcmp(what, "live") != 0 && strcmp(what, "ready") != 0)
		opt_fail(2, "--check: %s is neither live nor ready; try --help", what);
	if (!path)
		opt_fail(2, "--check needs --health PATH, of the exporter that runs; try --help");
	if (health_ask(path, what, why) < 0)
		opt_fail(1, "%s", why);
	return 0;
}

/* What belongs together. */
static void agree(const struct exporter_options *o, const char *export)
{
	bool secret = strncmp(o->state, CLUSTER_SECRET, strlen(CLUSTER_SECRET)) == 0;

	if (!o->services == !o->kubernetes)
		opt_fail(2, "give one of --services FILE and --kubernetes; try --help");
	if (!o->kubernetes && (o->kubeconfig || o->namespaces || export || secret))
		opt_fail(2, "%s goes with --kubernetes only; try --help",
			 o->kubeconfig ? "--kubeconfig" :
			 o->namespaces ? "--namespaces" :
			 export	       ? "--export" :
					 "--state secret:NAME");
	if (secret && !text_is_label(o->state + strlen(CLUSTER_SECRET)))
		opt_fail(2, "--state: %s cannot name a Secret and a Lease: it is not a DNS label",
			 o->state + strlen(CLUSTER_SECRET));
	for (size_t i = 0; o->namespaces && o->namespaces[i]; i++)
		if (!text_is_label(o->namespaces[i]))
			opt_fail(2, "--namespaces: %s is not a namespace: it is not a DNS label",
				 o->namespaces[i]);
	if (export && strcmp(export, "all") != 0 && strcmp(export, "annotated") != 0)
		opt_fail(2, "--export: %s is neither all nor annotated", export);
}

int main(int argc, char **argv)
{
	struct exporter_options o = { .state = "/var/lib/warren-exporter" };
	const char *namespaces[NAMESPACES_MAX + 1] = { 0 };
	const char *health = NULL, *what = NULL, *export = NULL;
	const struct opt opts[] = {
		{ .name = "services",
		  .kind = OPT_VALUE,
		  .arg = "FILE",
		  .help = "the services whose names it publishes",
		  .value = &o.services },
		{ .name = "kubernetes",
		  .kind = OPT_FLAG,
		  .help = "or those of the cluster in which it runs",
		  .flag = &o.kubernetes },
		{ .name = "kubeconfig",
		  .kind = OPT_VALUE,
		  .arg = "FILE",
		  .help = "with --kubernetes: of the cluster that this file names",
		  .value = &o.kubeconfig },
		{ .name = "namespaces",
		  .kind = OPT_LIST,
		  .arg = "NAME",
		  .help = "with --kubernetes: only of this namespace; may be repeated (all but "
			  "kube-system, kube-public and kube-node-lease)",
		  .list = namespaces,
		  .list_max = NAMESPACES_MAX },
		{ .name = "export",
		  .kind = OPT_VALUE,
		  .arg = "all|annotated",
		  .help = "with --kubernetes: those without warren/export: \"false\" (the "
			  "default), or those with \"true\"",
		  .value = &export },
		{ .name = "token",
		  .kind = OPT_VALUE,
		  .arg = "TOKEN|@FILE",
		  .file = true,
		  .help = "a token of role exporter; needed once",
		  .value = &o.token },
		{ .name = "state",
		  .kind = OPT_VALUE,
		  .arg = "DIR|secret:NAME",
		  .help = "where keys and the journal are kept (/var/lib/warren-exporter); or the "
			  "Secret that replicas share, one of which leads",
		  .value = &o.state },
		{ .name = "health",
		  .kind = OPT_VALUE,
		  .arg = "PATH",
		  .help = "a Unix socket where --check asks",
		  .value = &health },
		{ .name = "check",
		  .kind = OPT_VALUE,
		  .arg = "live|ready",
		  .help = "asks the exporter that runs with the same --health, and ends",
		  .value = &what },
		{ 0 },
	};

	/* Two threads of the MQTT library would each get 64 MB of address space, and keep what they
	 * free. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	opt_parse(
		argc, argv,
		&(struct opt_command){
			.synopsis = "(--services FILE | --kubernetes) [OPTION...]",
			.about = "Publishes the names of a site's services in a network, and keeps "
				 "them as the file or the cluster has them.",
			.opts = opts,
			.version = WARREN_VERSION });
	if (what)
		return check(what, health);
	if (namespaces[0])
		o.namespaces = namespaces;
	agree(&o, export);
	o.annotated = export && strcmp(export, "annotated") == 0;
	daemon_begin("warren-exporter");
	return run(&o, health);
}

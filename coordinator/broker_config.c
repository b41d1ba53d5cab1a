/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The broker's configuration directory. Owns nothing; main thread, in `init` only.
 */
#include "coordinator/broker_config.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/x509.h"

#define BROKER_USER "mosquitto"

struct writer_of_files {
	const char *dir;
	bool hand_over; /* we are root, and the broker will not be */
	uid_t uid;
	gid_t gid;
	char *error;
	size_t error_size;
};

PRINTF(4, 5)
static int explain(char *error, size_t size, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return r;
}

/* The user that mosquitto becomes when root starts it. */
static const struct passwd *broker_user(void)
{
	return geteuid() == 0 ? getpwnam(BROKER_USER) : NULL;
}

static bool may_enter(const struct stat *st, const struct passwd *user)
{
	if (st->st_uid == user->pw_uid)
		return st->st_mode & S_IXUSR;
	if (st->st_gid == user->pw_gid)
		return st->st_mode & S_IXGRP;
	return st->st_mode & S_IXOTH;
}

/* The first folder on the way to `dir`, itself included, that `user` cannot enter; NULL: none. */
static char *closed_folder(const char *dir, const struct passwd *user)
{
	_cleanup_(freep) char *path = realpath(dir, NULL);
	struct stat st;

	for (size_t i = 1; path && i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		_cleanup_(freep) char *folder = xstrndup(path, i);

		if (stat(folder, &st) == 0 && !may_enter(&st, user))
			return TAKE(folder);
	}
	return NULL;
}

int broker_config_prepare(const char *dir, char *error, size_t error_size)
{
	_cleanup_(freep) char *conf = xasprintf("%s/mosquitto.conf", dir);
	_cleanup_(freep) char *closed = NULL;
	const struct passwd *user = broker_user();
	int r;

	if (access(conf, F_OK) == 0)
		return explain(error, error_size, -EEXIST,
			       "there is a broker's configuration in %s already: choose another "
			       "--broker-dir, or remove it",
			       dir);
	r = file_mkdir(dir, 0755);
	if (r < 0)
		return explain(error, error_size, r, "cannot make %s: %s", dir, strerror(-r));
	if (user)
		closed = closed_folder(dir, user);
	if (closed)
		return explain(error, error_size, -EACCES,
			       "user " BROKER_USER ", which the broker becomes, cannot enter %s: "
			       "choose another --broker-dir, or chmod a+x %s",
			       closed, closed);
	return 0;
}

/* mosquitto.conf ends a value at the end of the line, so blanks in a path are fine; a line feed
 * is refused by init. */
static void add_listener(struct buf *out, const char *dir, unsigned port)
{
	buf_printf(out,
		   "\nlistener %u\n"
		   "protocol mqtt\n"
		   "cafile %s/ca.crt\n"
		   "certfile %s/server.crt\n"
		   "keyfile %s/server.key\n"
		   "tls_version tlsv1.3\n"
		   "require_certificate true\n"
		   "use_identity_as_username false\n",
		   port, dir, dir, dir);
}

void broker_config_text(struct buf *out, const char *dir, uint16_t port, unsigned listeners)
{
	buf_str(out, "# Made by warren-coordinator init. Each setting is explained in\n"
		     "# broker-config/mosquitto/README.md of Warren's source.\n"
		     "\n"
		     "per_listener_settings false\n"
		     "allow_anonymous true\n"
		     "allow_zero_length_clientid false\n"
		     "\n"
		     "message_size_limit 65536\n"
		     "max_packet_size 69632\n"
		     "max_keepalive 300\n"
		     "max_inflight_messages 100\n"
		     "max_queued_messages 20000\n"
		     "allow_duplicate_messages true\n"
		     "set_tcp_nodelay true\n"
		     "\n"
		     "persistence true\n");
	buf_printf(out, "persistence_location %s/data/\n", dir);
	buf_str(out, "autosave_interval 60\n"
		     "\n"
		     "log_dest stderr\n"
		     "log_type error\n"
		     "log_type warning\n"
		     "log_type notice\n"
		     "log_timestamp_format %Y-%m-%dT%H:%M:%S\n");
	for (unsigned i = 0; i < listeners; i++)
		add_listener(out, dir, port + i);
}

/* `secret`: readable by the broker's group besides its owner, by nobody else. */
static int put_file(const struct writer_of_files *w, const char *name, const struct buf *text,
		    bool secret)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", w->dir, name);
	mode_t mode = !secret ? 0644 : w->hand_over ? 0640 : 0600;
	int r = file_write(path, text->data, text->len, mode);

	if (r == 0 && secret && w->hand_over && chown(path, 0, w->gid) < 0)
		r = -errno;
	if (r < 0)
		return explain(w->error, w->error_size, r, "cannot write %s: %s", path,
			       strerror(-r));
	return 0;
}

static int put_data_folder(const struct writer_of_files *w)
{
	_cleanup_(freep) char *path = xasprintf("%s/data", w->dir);
	int r = file_mkdir(path, 0700);

	if (r == 0 && w->hand_over && chown(path, w->uid, w->gid) < 0)
		r = -errno;
	if (r < 0)
		return explain(w->error, w->error_size, r, "cannot make %s: %s", path,
			       strerror(-r));
	return 0;
}

static int issue_certificate(const struct broker_config *c, struct buf *ret_key,
			     struct buf *ret_cert)
{
	const char *hosts[] = { "localhost", "127.0.0.1", "::1", c->host };
	struct x509_issue what = { .hosts = hosts,
				   .host_count = ARRAY_SIZE(hosts),
				   .not_before = c->not_before,
				   .not_after = c->not_after };

	for (size_t i = 0; i < ARRAY_SIZE(hosts) - 1; i++)
		if (strcmp(hosts[i], c->host) == 0)
			what.host_count = ARRAY_SIZE(hosts) - 1;
	x509_key_generate(ret_key);
	return x509_issue_key(c->ca_pem, c->ca_key_pem, buf_cstr(ret_key), &what, ret_cert);
}

int broker_config_write(const struct broker_config *c, char *error, size_t error_size)
{
	_cleanup_(freep) char *dir = realpath(c->dir, NULL);
	const struct passwd *user = broker_user();
	struct writer_of_files w = { .dir = dir, .error = error, .error_size = error_size };
	struct buf key = { 0 }, cert = { 0 }, ca = { 0 }, conf = { 0 };
	int r;

	if (!dir)
		return explain(error, error_size, -errno, "cannot find %s: %s", c->dir,
			       strerror(errno));
	if (user) {
		w.hand_over = true;
		w.uid = user->pw_uid;
		w.gid = user->pw_gid;
	}
	r = issue_certificate(c, &key, &cert);
	if (r < 0)
		explain(error, error_size, r, "a certificate cannot be made for host %s", c->host);
	buf_str(&ca, c->ca_pem);
	broker_config_text(&conf, dir, c->port, c->listeners);
	if (r == 0)
		r = put_file(&w, "ca.crt", &ca, false);
	if (r == 0)
		r = put_file(&w, "server.crt", &cert, false);
	if (r == 0)
		r = put_file(&w, "server.key", &key, true);
	if (r == 0)
		r = put_data_folder(&w);
	if (r == 0)
		r = put_file(&w, "mosquitto.conf", &conf, false);
	buf_done(&key);
	buf_done(&cert);
	buf_done(&ca);
	buf_done(&conf);
	return r;
}

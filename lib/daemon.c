/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The start of a daemon, and sd_notify. Owns nothing; main thread, before any other.
 */
#include "lib/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/opt.h"

void daemon_begin(const char *program)
{
	const char *level_name = getenv("WARREN_LOG");
	enum log_level level;
	int fd;

	program_invocation_short_name = xstrdup(program);
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		opt_fail(1, "cannot open /dev/null: %s", strerror(errno));
	close(fd);
	if (level_name && *level_name) {
		if (log_level_parse(level_name, &level) < 0)
			opt_fail(2, "WARREN_LOG must be error, warn, info or debug");
		log_set_level(level);
	}
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		opt_fail(1, "cannot set no_new_privs: %s", strerror(errno));
}

void daemon_notify(const char *state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sa.sun_path, path, n);
	if (sa.sun_path[0] == '@')
		sa.sun_path[0] = '\0'; /* an abstract address */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A service manager that does not listen is no reason to stop. */
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

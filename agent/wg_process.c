/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of wireguard-go processes. Owns nothing beyond a call; the daemon's thread.
 *
 * Readiness is a socket that answers and an interface that is there: a socket file alone may be
 * what a killed one left. The socket folder belongs to the mount namespace, the interface to the
 * network namespace: both are asked.
 */
#include "agent/wg_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/interface.h"
#include "agent/process.h"
#include "agent/rt.h"
#include "lib/clock.h"
#include "lib/file.h"

#define PROGRAM "wireguard-go"
#define TUN_DEVICE "/dev/net/tun"
#define START_TIMEOUT (5 * USEC_PER_SEC)
/* The other program may pause before it starts one again. */
#define ASK_TIMEOUT (3 * USEC_PER_SEC)
/* From wireguard-go's interface to its socket. */
#define ASK_TIMEOUT_MADE (300 * USEC_PER_MSEC)
#define END_TIMEOUT (3 * USEC_PER_SEC)
#define STEP_MS 3
#define PATH_SIZE 4096

static void socket_path(const char *link, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s.sock", WG_SOCKET_DIR, link);
}

int wg_process_connect(const char *link)
{
	struct sockaddr_un a;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e;

	if (fd < 0)
		return -errno;
	socket_path(link, &a);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	e = errno;
	close(fd);
	return e == ENOENT || e == ENOTDIR ? -ECONNREFUSED : -e;
}

static bool is_served(const char *link)
{
	int fd = wg_process_connect(link);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

static void remove_socket(const char *link)
{
	struct sockaddr_un a;

	socket_path(link, &a);
	unlink(a.sun_path);
	/* The folder goes with its last socket: nothing of it was there before the first. */
	rmdir(WG_SOCKET_DIR);
}

static void rest(void)
{
	poll(NULL, 0, STEP_MS);
}

/* ---- another program's ---- */

static int folder_possible(const char *folder, char *why, size_t size)
{
	int r = file_mkdir(folder, 0755);

	if (r == 0 && access(folder, W_OK | X_OK) < 0)
		r = -errno;
	if (r < 0)
		snprintf(why, size, "--wireguard-go %s: %s", folder, strerror(-r));
	return r < 0 ? -EOPNOTSUPP : 0;
}

static void ask_path(const char *folder, const char *link, char ret[static PATH_SIZE])
{
	snprintf(ret, PATH_SIZE, "%s/%s", folder, link);
}

static uint64_t time_to_wait(const char *link, bool patient)
{
	return patient ? ASK_TIMEOUT : if_nametoindex(link) ? ASK_TIMEOUT_MADE : 0;
}

static int ask(const char *folder, const char *link, bool patient, char *why, size_t size)
{
	uint64_t deadline;
	char path[PATH_SIZE];
	int fd, r = folder_possible(folder, why, size);

	if (r < 0)
		return r;
	ask_path(folder, link, path);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
		snprintf(why, size, "%s: %s", path, strerror(-r));
		return r;
	}
	close(fd);
	deadline = clock_mono() + time_to_wait(link, patient);
	while (!(if_nametoindex(link) && is_served(link))) {
		if (clock_mono() >= deadline) {
			snprintf(why, size,
				 "no " PROGRAM " for %s: no program serves %s: is the DaemonSet "
				 "warren-wireguard running on this node?",
				 link, folder);
			return -ETIMEDOUT;
		}
		rest();
	}
	return 0;
}

void wg_process_unask(const char *folder, const char *link)
{
	char path[PATH_SIZE];

	if (!folder)
		return;
	ask_path(folder, link, path);
	unlink(path);
}

static bool is_interface(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t prefix = strlen(INTERFACE_PREFIX);

	return strncmp(name, INTERFACE_PREFIX, prefix) == 0 && name[prefix] &&
	       strlen(name) < IFNAMSIZ && !name[strspn(name, letters)];
}

void wg_process_sweep(const char *folder, bool (*keep)(void *owner, const char *link), void *owner)
{
	DIR *d = folder ? opendir(folder) : NULL;
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_interface(e->d_name) && !keep(owner, e->d_name))
			wg_process_unask(folder, e->d_name);
	if (d)
		closedir(d);
}

/* ---- our own ---- */

int wg_process_possible(const char *folder, char *why, size_t size)
{
	char path[PROCESS_PATH_SIZE];
	int fd;

	if (folder)
		return folder_possible(folder, why, size);
	if (process_find(PROGRAM, path) < 0) {
		snprintf(why, size, PROGRAM " is not installed");
		return -EOPNOTSUPP;
	}
	fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, size, TUN_DEVICE ": %s", strerror(errno));
		return -EOPNOTSUPP;
	}
	close(fd);
	return 0;
}

static int wait_ready(const char *link, const struct process *p, char *why, size_t size)
{
	uint64_t deadline = clock_mono() + START_TIMEOUT;
	char words[160];

	while (!(if_nametoindex(link) && is_served(link))) {
		bool ended = process_ended(p);

		if (!ended && clock_mono() < deadline) {
			rest();
			continue;
		}
		process_last_words(p, words, sizeof(words));
		snprintf(why, size, PROGRAM " for %s %s%s%s", link,
			 ended ? "ended at once" : "is not ready after 5 s", *words ? ": " : "",
			 words);
		return ended ? -EIO : -ETIMEDOUT;
	}
	return 0;
}

int wg_process_start(struct nl *route, const char *folder, const char *link, bool patient,
		     char *why, size_t size)
{
	static const char *const env[] = { "LOG_LEVEL=error", "WG_PROCESS_FOREGROUND=1", NULL };
	char path[PROCESS_PATH_SIZE];
	const char *const argv[] = { path, "-f", link, NULL };
	struct process p;
	int r;

	if (folder)
		return ask(folder, link, patient, why, size);
	r = wg_process_possible(NULL, why, size);
	if (r < 0)
		return r;
	if (is_served(link)) {
		snprintf(why, size,
			 "a " PROGRAM " in another network namespace has the socket %s/%s.sock",
			 WG_SOCKET_DIR, link);
		return -EADDRINUSE;
	}
	remove_socket(link);
	r = rt_link_del(route, link);
	if (r == 0)
		r = process_find(PROGRAM, path);
	if (r == 0)
		r = process_detach(argv, env, &p);
	if (r < 0) {
		snprintf(why, size, PROGRAM " for %s does not start: %s", link, strerror(-r));
		return r;
	}
	r = wait_ready(link, &p, why, size);
	process_forget(&p);
	return r;
}

int wg_process_end(struct nl *route, const char *folder, const char *link, char *why, size_t size)
{
	uint64_t deadline = clock_mono() + END_TIMEOUT;
	int r;

	/* First, or it would be started again. */
	wg_process_unask(folder, link);
	r = rt_link_del(route, link);

	if (r < 0) {
		snprintf(why, size, "interface %s cannot be removed: %s", link, strerror(-r));
		return r;
	}
	while (is_served(link) && clock_mono() < deadline)
		rest();
	/* It ends on that alone, should it have missed the other. */
	remove_socket(link);
	while (if_nametoindex(link) && clock_mono() < deadline)
		rest();
	if (!if_nametoindex(link))
		return 0;
	snprintf(why, size, PROGRAM " for %s does not let go of it", link);
	return -ETIMEDOUT;
}

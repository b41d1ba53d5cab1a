/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nudges. Owns the handler of SIGURG. Any thread.
 */
#include "lib/nudge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void do_nothing(int sig)
{
	(void)sig;
}

/* The first bytes of /proc/self/task/TASK/FILE, without the line's end. */
static bool task_read(const char *task, const char *file, char *ret, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/%.16s", task, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, ret, size - 1);
	close(fd);
	if (n < 0)
		return false;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static bool is_napping(pid_t thread)
{
	char task[16], line[32], *end;
	long call;

	snprintf(task, sizeof(task), "%d", (int)thread);
	if (!task_read(task, "syscall", line, sizeof(line)))
		return false;
	call = strtol(line, &end, 10);
	if (end == line)
		return false; /* "running" */
	return call == SYS_clock_nanosleep || call == SYS_nanosleep;
}

void nudge_init(void)
{
	struct sigaction sa = { .sa_handler = do_nothing };

	sigemptyset(&sa.sa_mask);
	sigaction(NUDGE_SIGNAL, &sa, NULL);
}

pid_t nudge_find(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	char comm[32];
	pid_t found = 0;

	if (!dir)
		return 0;
	while (!found && (e = readdir(dir)))
		if (task_read(e->d_name, "comm", comm, sizeof(comm)) && strcmp(comm, name) == 0)
			found = (pid_t)atoi(e->d_name);
	closedir(dir);
	return found;
}

bool nudge(pid_t thread)
{
	int saved = errno;
	bool sent;

	sent = thread > 0 && is_napping(thread) &&
	       syscall(SYS_tgkill, getpid(), thread, NUDGE_SIGNAL) == 0;
	errno = saved;
	return sent;
}

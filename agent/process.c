/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting other programs. Owns nothing beyond a call but what struct process holds; any thread.
 *
 * Between fork and exec only system calls: the daemon has threads. Input and output are memory
 * files, so no pipe can fill up and nobody has to be listened to.
 */
#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"

#define RUN_TIMEOUT_MS 10000
#define ENV_MAX 8

int process_find(const char *name, char ret[static PROCESS_PATH_SIZE])
{
	static const char sbin[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	const char *const lists[] = { getenv("PATH"), sbin };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const char *s = lists[i]; s; s = strchr(s, ':') ? strchr(s, ':') + 1 : NULL) {
			int n = snprintf(ret, PROCESS_PATH_SIZE, "%.*s/%s", (int)strcspn(s, ":"), s,
					 name);

			if (*s == '/' && n < PROCESS_PATH_SIZE && access(ret, X_OK) == 0)
				return 0;
		}
	}
	return -ENOENT;
}

/* In the child: nothing but system calls. Does not return. */
static void become(const char *const *argv, const char *const *env, int in, int out, int err,
		   int report)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	pid_t pid = getpid();
	sigset_t none;
	int e;

	for (int s = 1; s < 32; s++)
		sigaction(s, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (write(report, &pid, sizeof(pid)) == (ssize_t)sizeof(pid) && dup2(in, 0) >= 0 &&
	    dup2(out, 1) >= 0 && dup2(err, 2) >= 0 && dup2(report, 3) >= 0 &&
	    fcntl(3, F_SETFD, FD_CLOEXEC) == 0 && chdir("/") == 0) {
		syscall(SYS_close_range, 4U, ~0U, 0U);
		report = 3;
		execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	}
	e = errno;
	while (write(report, &e, sizeof(e)) < 0 && errno == EINTR)
		;
	_exit(127);
}

static int memory_file(const void *content, size_t len)
{
	int fd = memfd_create("warren", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && len && (write(fd, content, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		return -EIO;
	}
	return fd < 0 ? -errno : fd;
}

/* Descriptors from 4 on, so that the child can place its own at 0 to 3 without losing one. */
static int lift(int fd)
{
	int high = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 4), e = -errno;

	if (fd >= 0)
		close(fd);
	return high < 0 && fd >= 0 ? e : high;
}

/* Reads what the child says before exec: its process id, and an errno when exec did not work. */
static int read_report(int fd, pid_t *ret_pid)
{
	int words[2];
	size_t have = 0;

	while (have < sizeof(words)) {
		ssize_t n = read(fd, (char *)words + have, sizeof(words) - have);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		have += (size_t)MAX(n, 0);
	}
	*ret_pid = have >= sizeof(int) ? words[0] : 0;
	return have == sizeof(words) ? -words[1] : have == sizeof(int) ? 0 : -EIO;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static pid_t wait_pid(pid_t pid, int *status)
{
	pid_t r;

	do
		r = waitpid(pid, status, 0);
	while (r < 0 && errno == EINTR);
	return r;
}

/* Waits for our own child, and ends it when it takes too long. */
static int wait_end(pid_t pid)
{
	int status = 0, fd = (int)syscall(SYS_pidfd_open, pid, 0), r = 1;

	if (fd >= 0) {
		do
			r = poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, RUN_TIMEOUT_MS);
		while (r < 0 && errno == EINTR);
		close(fd);
	}
	if (r == 0)
		kill(pid, SIGKILL);
	if (wait_pid(pid, &status) < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : WIFEXITED(status) ? WEXITSTATUS(status) : -ECANCELED;
}

static void read_output(int fd, off_t from, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, from);

	ret[MAX(n, 0)] = '\0';
	while (n > 0 && (ret[n - 1] == '\n' || ret[n - 1] == '\0'))
		ret[--n] = '\0';
}

static void make_env(const char *const *extra, const char **env, char *path, size_t size)
{
	const char *value = getenv("PATH");
	size_t n = 0;

	snprintf(path, size, "PATH=%s", value ? value : "/usr/sbin:/usr/bin:/sbin:/bin");
	env[n++] = path;
	for (; extra && *extra && n < ENV_MAX - 1; extra++)
		env[n++] = *extra;
	env[n] = NULL;
}

int process_run(const char *const *argv, const char *input, size_t len, char *output, size_t size)
{
	enum { IN, OUT, READ, WRITE, FDS };
	int fds[FDS] = { -1, -1, -1, -1 }, report[2], r = 0;
	char path[4096];
	const char *env[ENV_MAX];
	pid_t pid;

	*output = '\0';
	make_env(NULL, env, path, sizeof(path));
	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	fds[READ] = report[0];
	fds[WRITE] = lift(report[1]);
	fds[IN] = lift(memory_file(input, len));
	fds[OUT] = lift(memory_file(NULL, 0));
	for (int i = 0; i < FDS && r == 0; i++)
		r = MIN(fds[i], 0);
	pid = r == 0 ? fork() : -1;
	if (r == 0 && pid < 0)
		r = -errno;
	if (pid == 0)
		become(argv, env, fds[IN], fds[OUT], fds[OUT], fds[WRITE]);
	if (pid > 0) {
		pid_t same;
		int end;

		close(fds[WRITE]);
		fds[WRITE] = -1;
		r = read_report(fds[READ], &same);
		end = wait_end(pid);
		r = r < 0 ? r : end;
		read_output(fds[OUT], 0, output, size);
	}
	close_all(fds, FDS);
	return r;
}

/* In the first child: a session of its own, then the program as its orphan. */
static void leave_family(const char *const *argv, const char *const *env, int null, int err,
			 int report)
{
	pid_t pid;

	if (setsid() < 0)
		_exit(1);
	pid = fork();
	if (pid == 0)
		become(argv, env, null, null, err, report);
	_exit(pid < 0);
}

/* Of a fixed size: what comes beyond is refused to the writer. */
static int bounded_file(void)
{
	int fd = memory_file(NULL, 0);

	if (fd >= 0 && (ftruncate(fd, PROCESS_OUTPUT_MAX) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)) {
		int e = -errno;

		close(fd);
		return e;
	}
	return fd;
}

static int null_file(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int process_detach(const char *const *argv, const char *const *extra, struct process *ret)
{
	enum { NOTHING, ERR, READ, WRITE, FDS };
	int fds[FDS] = { -1, -1, -1, -1 }, report[2], r = 0;
	char path[4096];
	const char *env[ENV_MAX];
	pid_t pid;

	*ret = (struct process){ .alive = -1, .output = -1 };
	make_env(extra, env, path, sizeof(path));
	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	fds[READ] = report[0];
	fds[WRITE] = lift(report[1]);
	fds[NOTHING] = lift(null_file());
	fds[ERR] = lift(bounded_file());
	for (int i = 0; i < FDS && r == 0; i++)
		r = MIN(fds[i], 0);
	pid = r == 0 ? fork() : -1;
	if (r == 0 && pid < 0)
		r = -errno;
	if (pid == 0)
		leave_family(argv, env, fds[NOTHING], fds[ERR], fds[WRITE]);
	if (pid > 0) {
		int status;

		close(fds[WRITE]);
		fds[WRITE] = -1;
		r = read_report(fds[READ], &ret->pid);
		wait_pid(pid, &status);
	}
	if (r == 0) {
		ret->alive = (int)syscall(SYS_pidfd_open, ret->pid, 0);
		ret->output = fds[ERR];
		fds[ERR] = -1;
	}
	close_all(fds, FDS);
	return r;
}

bool process_ended(const struct process *p)
{
	return p->alive >= 0 &&
	       poll(&(struct pollfd){ .fd = p->alive, .events = POLLIN }, 1, 0) > 0;
}

void process_last_words(const struct process *p, char *ret, size_t size)
{
	char text[PROCESS_OUTPUT_MAX + 1];
	const char *line;

	read_output(p->output, 0, text, sizeof(text));
	line = strrchr(text, '\n');
	snprintf(ret, size, "%s", line ? line + 1 : text);
}

void process_forget(struct process *p)
{
	close_all((int[]){ p->alive, p->output }, 2);
	*p = (struct process){ .alive = -1, .output = -1 };
}

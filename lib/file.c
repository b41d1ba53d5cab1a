/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole files and lock files. Owns nothing between calls; any thread.
 */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/text.h"

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The folder in which `path` lies. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static int sync_folder(const char *path)
{
	_cleanup_(freep) char *folder = folder_of(path);
	_cleanup_(closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_folder(const char *path, mode_t mode, bool last)
{
	struct stat st;
	int r;

	if (mkdir(path, mode) == 0)
		return last && chmod(path, mode) < 0 ? -errno : 0;
	r = -errno;
	/* On a read-only file system it says so of a folder that exists, too. */
	if (stat(path, &st) < 0)
		return r == -EEXIST ? -errno : r;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* The pid in a lock file, 0 when there is none yet. */
static pid_t read_pid(int fd)
{
	char text[24];
	uint64_t pid;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return u64_parse(text, 1, INT_MAX, &pid) < 0 ? 0 : (pid_t)pid;
}

static int write_pid(int fd)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	return ftruncate(fd, 0) < 0 ? -errno : write_all(fd, text, strlen(text));
}

int file_read(const char *path, size_t max, struct buf *out)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t before = out->len;
	char chunk[4096];
	int r = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		if ((size_t)n > max - (out->len - before)) {
			r = -EFBIG;
			break;
		}
		buf_add(out, chunk, (size_t)n);
		if (out->failed) {
			r = -EFBIG;
			break;
		}
	}
	explicit_bzero(chunk, sizeof(chunk));
	if (r < 0 && out->len > before) {
		explicit_bzero(out->data + before, out->len - before);
		out->len = before;
	}
	return r;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode)
{
	_cleanup_(freep) char *temporary = xasprintf("%s.XXXXXX", path);
	_cleanup_(closep) int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	return sync_folder(path);
}

int file_mkdir(const char *path, mode_t mode)
{
	_cleanup_(freep) char *part = xstrdup(path);
	size_t len = strlen(part);
	int r;

	if (len == 0)
		return -ENOENT;
	while (len > 1 && part[len - 1] == '/')
		part[--len] = '\0';
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = make_folder(part, 0755, false);
		*slash = '/';
		if (r < 0)
			return r;
	}
	return make_folder(part, mode, true);
}

int file_lock(const char *path, pid_t *ret_owner)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return -errno;
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : write_pid(fd);
	if (r < 0) {
		if (r == -EWOULDBLOCK)
			*ret_owner = read_pid(fd);
		close(fd);
		return r;
	}
	return fd;
}

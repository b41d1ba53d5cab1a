/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The switches in /proc/sys/net. Owns the file: lines `PATH VALUE`, as they were before us. The
 * daemon's thread.
 */
#include "agent/forwarding.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/desired.h"
#include "agent/interface.h"
#include "lib/file.h"
#include "lib/mem.h"

#define ROOT "/proc/sys/net/"
#define FILE_MAX (1 << 20) /* a line for each interface of the host */
#define PATH_SIZE 320

static const struct {
	unsigned family;
	const char *path, *name, *prefix;
} switches[] = {
	{ FORWARD_4, "ipv4/ip_forward", "IPv4", "ipv4/" },
	{ FORWARD_6, "ipv6/conf/all/forwarding", "IPv6", "ipv6/" },
};

/* The first character: all of them are small numbers. '\0': there is no such switch. */
static char get(const char *path)
{
	char full[PATH_SIZE], c = '\0';
	int fd;

	snprintf(full, sizeof(full), ROOT "%s", path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '\0';
	if (read(fd, &c, 1) != 1)
		c = '\0';
	close(fd);
	return c;
}

static int set(const char *path, char value)
{
	char full[PATH_SIZE];
	int fd, r;

	snprintf(full, sizeof(full), ROOT "%s", path);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, &value, 1) == 1 ? 0 : -errno;
	close(fd);
	return r;
}

/* One remembered line. False at the end, or where the file is not ours any more. A name of an interface
 * may have anything in it but blanks and '/'. */
static bool next_line(const char **at, char path[static PATH_SIZE], char *value)
{
	int used = 0;

	if (sscanf(*at, "%319[^ \n] %c%n", path, value, &used) != 2 || used == 0 ||
	    strncmp(path, "../", 3) == 0 || strstr(path, "/../") || *path == '/')
		return false;
	*at += used;
	*at += strspn(*at, "\n");
	return true;
}

void forwarding_read(const char *file, unsigned *ret_on, unsigned *ret_ours)
{
	struct buf text = { 0 };
	char path[PATH_SIZE], value;
	const char *at;

	*ret_on = *ret_ours = 0;
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		*ret_on |= get(switches[i].path) == '1' ? switches[i].family : 0;
	if (!file || file_read(file, FILE_MAX, &text) < 0) {
		buf_done(&text);
		return;
	}
	for (at = buf_cstr(&text); next_line(&at, path, &value);)
		for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
			*ret_ours |= strcmp(path, switches[i].path) == 0 ? switches[i].family : 0;
	buf_done(&text);
}

/* An interface that learns from advertisements goes on to. */
static void collect_accept_ra(struct buf *paths)
{
	DIR *d = opendir(ROOT "ipv6/conf");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[PATH_SIZE];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strncmp(e->d_name, INTERFACE_PREFIX, strlen(INTERFACE_PREFIX)) == 0)
			continue;
		snprintf(path, sizeof(path), "ipv6/conf/%s/accept_ra", e->d_name);
		if (get(path) == '1')
			buf_printf(paths, "%s 1\n", path);
	}
	if (d)
		closedir(d);
}

static int remember(const char *file, const struct buf *more)
{
	_cleanup_(freep) char *folder = file ? xstrdup(file) : NULL;
	struct buf text = { 0 };
	int r;

	if (!file)
		return 0;
	*strrchr(folder, '/') = '\0';
	r = file_mkdir(folder, 0755);
	if (r < 0)
		return r;
	if (file_read(file, FILE_MAX, &text) < 0)
		buf_clear(&text);
	buf_add(&text, buf_cstr(more), more->len);
	r = file_write(file, buf_cstr(&text), text.len, 0600);
	buf_done(&text);
	return r;
}

/* 0, or why nobody can: a pod's /proc/sys is read-only. */
static int is_fixed(const char *path)
{
	char full[PATH_SIZE];
	int fd;

	snprintf(full, sizeof(full), ROOT "%s", path);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int switch_on(const char *file, size_t i, char *why, size_t size)
{
	struct buf lines = { 0 };
	char path[PATH_SIZE], value, was = get(switches[i].path);
	const char *at;
	int r;

	if (was == '1' || !was)
		return 0;
	r = is_fixed(switches[i].path);
	if (r == 0 && switches[i].family == FORWARD_6)
		collect_accept_ra(&lines);
	buf_printf(&lines, "%s %c\n", switches[i].path, was);
	/* First, so that a crash leaves nothing changed that nobody knows of. */
	if (r == 0)
		r = remember(file, &lines);
	for (at = buf_cstr(&lines); r == 0 && next_line(&at, path, &value);)
		r = set(path, strcmp(path, switches[i].path) == 0 ? '1' : '2');
	buf_done(&lines);
	if (r < 0)
		snprintf(why, size,
			 "this gateway's host does not forward %s, and it cannot be switched on "
			 "(%s): set net/%s to 1",
			 switches[i].name, strerror(-r), switches[i].path);
	return r;
}

int forwarding_on(const char *file, unsigned families, char *why, size_t size)
{
	int r, first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		r = families & switches[i].family ? switch_on(file, i, why, size) : 0;
		first = first ? first : r;
	}
	return first;
}

static bool is_of(const char *path, unsigned families)
{
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if ((families & switches[i].family) &&
		    strncmp(path, switches[i].prefix, strlen(switches[i].prefix)) == 0)
			return true;
	return false;
}

static int put_back(const char *path, char value, char *why, size_t size)
{
	/* An interface may be gone. */
	int r = get(path) ? set(path, value) : 0;

	if (r < 0)
		snprintf(why, size, "net/%s cannot be set to %c again: %s", path, value,
			 strerror(-r));
	return r;
}

/* Takes the lines of `families` out of the file; `why` (NULL: not) they are put back before. */
static int forget(const char *file, unsigned families, char *why, size_t size)
{
	struct buf text = { 0 }, kept = { 0 };
	char path[PATH_SIZE], value;
	int r = file ? file_read(file, FILE_MAX, &text) : -ENOENT, first = 0;

	if (r < 0) {
		buf_done(&text);
		return r == -ENOENT ? 0 : r;
	}
	for (const char *at = buf_cstr(&text); next_line(&at, path, &value);) {
		bool ours = is_of(path, families);

		r = ours && why ? put_back(path, value, why, size) : 0;
		if (!ours || r < 0)
			buf_printf(&kept, "%s %c\n", path, value);
		first = first ? first : r;
	}
	if (!kept.len)
		r = unlink(file) < 0 && errno != ENOENT ? -errno : 0;
	else
		r = file_write(file, buf_cstr(&kept), kept.len, 0600);
	buf_done(&text);
	buf_done(&kept);
	return first ? first : r;
}

int forwarding_off(const char *file, unsigned families, char *why, size_t size)
{
	return forget(file, families, why, size);
}

int forwarding_forget(const char *file, unsigned families)
{
	return forget(file, families, NULL, 0);
}

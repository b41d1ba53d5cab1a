/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file's folder under inotify. Owns its descriptor and timer. One thread.
 */
#include "exporter/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"

#define LOOK_USEC (10 * USEC_PER_SEC)
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF)

struct stamp {
	uint64_t dev, ino, size;
	int64_t seconds, nanoseconds; /* of the last change; -1: there is no file */
};

struct watch {
	struct loop *loop;
	const char *path, *base;
	char *folder;
	struct stamp stamp; /* when it was told last */
	struct loop_io io;
	struct loop_timer timer;
	void (*changed)(void *owner);
	void *owner;
};

/* Again, as long as it is the same folder, does nothing. */
static int add(struct watch *w)
{
	return inotify_add_watch(w->io.fd, w->folder, EVENTS) < 0 ? -errno : 0;
}

static void stamp_get(const struct watch *w, struct stamp *ret)
{
	struct stat st;

	*ret = (struct stamp){ .seconds = -1 };
	if (stat(w->path, &st) < 0)
		return;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = (uint64_t)st.st_size;
	ret->seconds = st.st_mtim.tv_sec;
	ret->nanoseconds = st.st_mtim.tv_nsec;
}

static void tell(struct watch *w)
{
	/* Before it is read: one that is written to meanwhile is told again. */
	stamp_get(w, &w->stamp);
	w->changed(w->owner);
}

/* A mounted ConfigMap is a link to a link `..data`, which is the one that is swapped. */
static bool concerns_us(const struct watch *w, const struct inotify_event *e)
{
	return e->len == 0 || strcmp(e->name, w->base) == 0 || strncmp(e->name, "..", 2) == 0;
}

static void ready(struct loop_io *io, short got)
{
	struct watch *w = container_of(io, struct watch, io);
	union {
		struct inotify_event align;
		char bytes[4096];
	} u;
	bool ours = false;
	ssize_t n;

	(void)got;
	while ((n = read(io->fd, u.bytes, sizeof(u.bytes))) > 0) {
		for (char *p = u.bytes; p < u.bytes + n;) {
			const struct inotify_event *e = (void *)p;

			ours |= concerns_us(w, e);
			p += sizeof(*e) + e->len;
		}
	}
	if (ours)
		tell(w);
}

static void look(struct loop_timer *t)
{
	struct watch *w = container_of(t, struct watch, timer);
	struct stamp now;

	/* A folder that is away for a while is not told; that the file is missing is. */
	(void)add(w);
	loop_timer_set(w->loop, t, loop_now(w->loop) + LOOK_USEC);
	stamp_get(w, &now);
	if (memcmp(&now, &w->stamp, sizeof(now)) != 0)
		tell(w);
}

void watch_again(struct watch *w)
{
	w->stamp = (struct stamp){ 0 };
}

int watch_new(struct loop *l, const char *path, void (*changed)(void *owner), void *owner,
	      struct watch **ret)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	const char *slash = strrchr(path, '/');
	int r;

	w->loop = l;
	w->path = path;
	w->base = slash ? slash + 1 : path;
	w->folder = !slash ? xstrdup(".") :
			     xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	w->changed = changed;
	w->owner = owner;
	w->timer.fired = look;
	w->io = (struct loop_io){ .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
				  .want = POLLIN,
				  .ready = ready };
	r = w->io.fd < 0 ? -errno : add(w);
	if (r < 0) {
		watch_free(w);
		return r;
	}
	loop_io_add(l, &w->io);
	loop_timer_set(l, &w->timer, loop_now(l) + LOOK_USEC);
	stamp_get(w, &w->stamp);
	*ret = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	loop_io_del(w->loop, &w->io);
	loop_timer_del(w->loop, &w->timer);
	if (w->io.fd >= 0)
		close(w->io.fd);
	free(w->folder);
	free(w);
}

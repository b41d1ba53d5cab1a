/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files: read with a limit, written so that a crash leaves the old or the new one.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "lib/buf.h"

/* Appends the file's content to `out`. -EFBIG when it is longer than `max` bytes. */
int file_read(const char *path, size_t max, struct buf *out) MUST_CHECK;
/* Temporary file in the same folder, fsync, rename, fsync of the folder. */
int file_write(const char *path, const void *data, size_t len, mode_t mode) MUST_CHECK;
/* mkdir -p; the last folder gets `mode` when it is made. */
int file_mkdir(const char *path, mode_t mode) MUST_CHECK;
/* Opens and locks (flock, exclusive, not waiting) a file and writes our pid into it. Returns the
 * descriptor to keep; -EWOULDBLOCK when another process holds it, whose pid is then in
 * `ret_owner` (0 when unknown). */
int file_lock(const char *path, pid_t *ret_owner) MUST_CHECK;

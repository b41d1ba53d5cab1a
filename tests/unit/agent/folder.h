/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder of a test, removed when its process ends. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder_path[] = "/tmp/warren-unit-XXXXXX";

static int folder_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void folder_remove(void)
{
	nftw(folder_path, folder_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *folder(void)
{
	if (!mkdtemp(folder_path))
		abort();
	atexit(folder_remove);
	return folder_path;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wireguard-go of another program: asking for it by files, where nobody serves them. */
#include "agent/wg_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/test.h"
#include "tests/unit/agent/folder.h"

static char path[512];

static const char *in_folder(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", folder_path, name);
	return path;
}

static bool is_there(const char *name)
{
	return access(in_folder(name), F_OK) == 0;
}

TEST(without_patience_nobody_is_waited_for)
{
	uint64_t from = clock_mono();
	char why[256] = "";

	CHECK_INT(wg_process_start(NULL, folder(), "wr-nobody", false, why, sizeof(why)),
		  -ETIMEDOUT);
	CHECK(clock_mono() - from < 200 * USEC_PER_MSEC);
	CHECK(strstr(why, "no program serves /tmp/"));
	CHECK(strstr(why, "is the DaemonSet warren-wireguard running on this node?"));
	CHECK(is_there("wr-nobody"));
	from = clock_mono();
	CHECK_INT(wg_process_start(NULL, folder_path, "wr-nobody", true, why, sizeof(why)),
		  -ETIMEDOUT);
	CHECK(clock_mono() - from >= 3 * USEC_PER_SEC);
	wg_process_unask(folder_path, "wr-nobody");
	CHECK(!is_there("wr-nobody"));
}

static bool is_kept(void *owner, const char *link)
{
	(*(unsigned *)owner)++;
	return strcmp(link, "wr-kept") == 0;
}

TEST(files_that_nobody_wants_are_swept)
{
	static const char *const names[] = { "wr-kept", "wr-left", "wr-",
					     "wr-A",	"eth0",	   "wr-aaaaaaaaaaaaa" };
	unsigned asked = 0;

	folder();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = open(in_folder(names[i]), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		CHECK(fd >= 0);
		close(fd);
	}
	wg_process_sweep(folder_path, is_kept, &asked);
	CHECK_INT(asked, 2);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		CHECK(is_there(names[i]) == (strcmp(names[i], "wr-left") != 0));
	wg_process_sweep(NULL, is_kept, &asked);
	CHECK_INT(asked, 2);
}

TEST_MAIN("wg-process")

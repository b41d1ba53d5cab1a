/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replays a corpus through a fuzz target without libFuzzer: linked with tests/fuzz/fuzz_PARSER.c it becomes
 * the program replay_PARSER, and `replay_PARSER FOLDER...` runs every file of the folders as the one test
 * fuzz-PARSER-replay. A folder that is missing or empty fails it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tests/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char **folders;

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data;

	CHECK(f && fstat(fileno(f), &st) == 0);
	/* A block of exactly the input's size, so that the sanitizer sees one byte too far. */
	data = malloc((size_t)st.st_size);
	CHECK(data || st.st_size == 0);
	CHECK_INT(fread(data, 1, (size_t)st.st_size, f), st.st_size);
	fclose(f);
	snprintf(test_result->why, sizeof(test_result->why), "at %.500s", path);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
}

static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[4096];
	int files = 0;

	if (!dir)
		test_end(false, "%s: %s", folder, strerror(errno));
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		replay_file(path);
		files++;
	}
	closedir(dir);
	if (!files)
		test_end(false, "%s: no files", folder);
	return files;
}

TEST(replay)
{
	int files = 0;

	CHECK(*folders);
	for (char **f = folders; *f; f++)
		files += replay_folder(*f);
	snprintf(test_result->why, sizeof(test_result->why), "files=%d", files);
}

int main(int argc, char **argv)
{
	const char *parser = strstr(argv[0], "replay_");
	char module[128];

	if (argc < 2 || !parser) {
		fprintf(stderr, "usage: replay_PARSER FOLDER...\n");
		return 2;
	}
	snprintf(module, sizeof(module), "fuzz-%s", parser + strlen("replay_"));
	for (char *p = module; *p; p++)
		*p = *p == '_' ? '-' : *p;
	folders = argv + 1;
	return test_main(module, 1, argv);
}

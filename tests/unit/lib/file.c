/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/file: limits, atomic writes, folders, locks. */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "lib/mem.h"

static char folder[64];

static void clean(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command) != 0)
		_exit(1);
}

/* A folder of the test's own, which is also the working directory. */
static void begin(void)
{
	strcpy(folder, "/tmp/warren-test-XXXXXX");
	CHECK(mkdtemp(folder) && chdir(folder) == 0);
	atexit(clean);
	umask(022);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return st.st_mode & 07777;
}

static int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

TEST(write_and_read)
{
	static const char data[] = "one\0two\n";
	struct buf b = { 0 };

	begin();
	CHECK_INT(file_write("f", data, sizeof(data), 0640), 0);
	CHECK_INT(mode_of("f"), 0640);
	buf_str(&b, "before");
	CHECK_INT(file_read("f", sizeof(data), &b), 0);
	CHECK_INT(b.len, 6 + sizeof(data));
	CHECK(memcmp(b.data, "before", 6) == 0 && memcmp(b.data + 6, data, sizeof(data)) == 0);
	CHECK_INT(file_write("f", "", 0, 0600), 0);
	CHECK_INT(mode_of("f"), 0600);
	buf_clear(&b);
	CHECK_INT(file_read("f", 0, &b), 0);
	CHECK_INT(b.len, 0);
	CHECK_INT(entries("."), 1); /* no temporary file stays */
	buf_done(&b);
}

TEST(read_limits)
{
	struct buf b = { 0 }, small = { .max = 5000 };
	char *large = xcalloc(1, 100000);

	begin();
	memset(large, 'x', 100000);
	CHECK_INT(file_write("f", large, 100000, 0600), 0);
	buf_str(&b, "kept");
	CHECK_INT(file_read("f", 99999, &b), -EFBIG);
	CHECK_STR(buf_cstr(&b), "kept");
	CHECK_INT(file_read("f", 100000, &b), 0);
	CHECK_INT(b.len, 100004);
	CHECK_INT(file_read("f", 200000, &small), -EFBIG);
	CHECK_INT(small.len, 0);
	buf_done(&b);
	buf_done(&small);
	free(large);
}

TEST(read_errors)
{
	struct buf b = { 0 };

	begin();
	CHECK_INT(file_read("none", 10, &b), -ENOENT);
	CHECK_INT(file_read(".", 10, &b), -EISDIR);
	CHECK_INT(file_read("none/x", 10, &b), -ENOENT);
	CHECK(!b.data);
}

TEST(failed_write_leaves_the_old_file)
{
	struct buf b = { 0 };

	begin();
	CHECK_INT(mkdir("d", 0755), 0);
	CHECK_INT(mkdir("d/f", 0755), 0); /* rename onto a folder fails */
	CHECK(file_write("d/f", "x", 1, 0600) < 0);
	CHECK_INT(entries("d"), 1);
	CHECK_INT(file_write("none/f", "x", 1, 0600), -ENOENT);
	CHECK_INT(file_write("g", "old", 3, 0600), 0);
	CHECK_INT(file_read("g", 10, &b), 0);
	CHECK_STR(buf_cstr(&b), "old");
	buf_done(&b);
}

/* A reader beside a writer sees whole files only. */
TEST(write_is_atomic)
{
	struct buf b = { 0 };
	char block[5000];
	int status;
	pid_t pid;

	begin();
	memset(block, 'a', sizeof(block));
	CHECK_INT(file_write("f", block, sizeof(block), 0600), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 100; i++) {
			memset(block, 'a' + i % 26, sizeof(block));
			if (file_write("f", block, sizeof(block), 0600) < 0)
				_exit(1);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		buf_clear(&b);
		CHECK_INT(file_read("f", sizeof(block), &b), 0);
		CHECK_INT(b.len, sizeof(block));
		for (size_t i = 1; i < b.len; i++)
			CHECK_INT(b.data[i], b.data[0]);
	}
	CHECK_INT(status, 0);
	buf_done(&b);
}

TEST(writes_to_the_root_of_a_path)
{
	char path[100];

	begin();
	snprintf(path, sizeof(path), "%s/x", folder);
	CHECK_INT(file_write(path, "1", 1, 0600), 0);
	CHECK_INT(file_write("./y", "1", 1, 0600), 0);
	CHECK_INT(entries("."), 2);
}

TEST(mkdir_makes_parents)
{
	begin();
	CHECK_INT(file_mkdir("a/b//c/", 0700), 0);
	CHECK_INT(mode_of("a"), 0755);
	CHECK_INT(mode_of("a/b"), 0755);
	CHECK_INT(mode_of("a/b/c"), 0700);
	CHECK_INT(file_mkdir("a/b", 0777), 0); /* existed: left as it is */
	CHECK_INT(mode_of("a/b"), 0755);
	umask(077);
	CHECK_INT(file_mkdir("open", 0755), 0); /* `mode`, whatever the umask */
	CHECK_INT(mode_of("open"), 0755);
	CHECK_INT(file_mkdir("/", 0700), 0);
	CHECK_INT(file_mkdir("", 0700), -ENOENT);
	CHECK_INT(file_write("file", "", 0, 0600), 0);
	CHECK_INT(file_mkdir("file", 0700), -ENOTDIR);
	CHECK_INT(file_mkdir("file/x", 0700), -ENOTDIR);
}

TEST(lock_excludes_and_names_the_owner)
{
	pid_t owner = 99;
	int fd, status, again;
	pid_t pid;

	begin();
	fd = file_lock("lock", &owner);
	CHECK(fd >= 0);
	CHECK_INT(owner, 99);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		pid_t other = 0;
		int r = file_lock("lock", &other);

		_exit(r == -EWOULDBLOCK && other == getppid() ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	close(fd);
	again = file_lock("lock", &owner);
	CHECK(again >= 0);
	/* An owner that has not written its pid yet, or nonsense. */
	CHECK_INT(ftruncate(again, 0), 0);
	CHECK_INT(file_lock("lock", &owner), -EWOULDBLOCK);
	CHECK_INT(owner, 0);
	CHECK_INT(pwrite(again, "-5\n", 3, 0), 3);
	CHECK_INT(file_lock("lock", &owner), -EWOULDBLOCK);
	CHECK_INT(owner, 0);
	close(again);
	CHECK_INT(file_lock("none/lock", &owner), -ENOENT);
}

TEST_MAIN("file")

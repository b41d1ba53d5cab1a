/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The database: values, nesting, migrations, and what happens when the disk does not play along.
 */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base.h"
#include "lib/db.h"

static const char *const schema[] = {
	"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, body BLOB);"
	"CREATE TABLE child (t INTEGER REFERENCES t(id));",
	"ALTER TABLE t ADD COLUMN extra INTEGER NOT NULL DEFAULT 5;",
};

static const char insert[] = "INSERT INTO t (name, body) VALUES (?, ?)";
static const char count_sql[] = "SELECT count(*) FROM t";

/* A directory of this process, with everything in it, gone at its end. */
static char dir[64], path[96];

static void remove_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "%s/db-XXXXXX", "/tmp");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.db", dir);
}

static struct db *open_at(const char *at)
{
	struct db *db = NULL;
	int r = db_open(at, DB_SYNC_NORMAL, schema, ARRAY_SIZE(schema), &db);

	if (r < 0)
		fprintf(stderr, "db_open: %s\n", db_message());
	CHECK_INT(r, 0);
	return db;
}

static int64_t count(struct db *db)
{
	struct db_query *q = db_query(db, count_sql, "");
	int64_t n;

	CHECK_INT(db_step(q), 1);
	n = db_int(q, 0);
	db_finish(q);
	return n;
}

TEST(values_come_back)
{
	struct db *db = open_at(":memory:");
	struct db_query *q;
	const void *p;
	size_t len;

	CHECK_INT(db_run(db, "INSERT INTO t (id, name, body) VALUES (?, ?, ?)", "isb",
			 INT64_C(-9000000000), "\xc3\xa4", "a\0b", (size_t)3),
		  0);
	CHECK_INT(db_changes(db), 1);
	CHECK_INT(db_run(db, insert, "sb", (char *)NULL, NULL, (size_t)0), 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	q = db_query(db, "SELECT id, name, body, extra FROM t ORDER BY id", "");
	CHECK_INT(db_step(q), 1);
	CHECK_INT(db_int(q, 0), -9000000000);
	CHECK_STR(db_text(q, 1), "\xc3\xa4");
	p = db_blob(q, 2, &len);
	CHECK_INT(len, 3);
	CHECK(memcmp(p, "a\0b", 3) == 0);
	CHECK_INT(db_int(q, 3), 5);
	CHECK_INT(db_step(q), 1);
	CHECK(!db_text(q, 1) && db_is_null(q, 1) && !db_is_null(q, 2));
	db_blob(q, 2, &len);
	CHECK_INT(len, 0);
	CHECK_INT(db_step(q), 1);
	CHECK(db_is_null(q, 2));
	CHECK_INT(db_step(q), 0);
	CHECK_INT(db_step(q), 0); /* and stays there */
	db_finish(q);
	db_finish(NULL);
	db_close(db);
	db_close(NULL);
}

TEST(one_text_in_use_twice)
{
	struct db *db = open_at(":memory:");
	static const char sql[] = "SELECT id FROM t WHERE id > ? ORDER BY id";
	int pairs = 0;

	for (int i = 0; i < 5; i++)
		CHECK_INT(db_run(db, insert, "nn"), 0);
	for (int round = 0; round < 2; round++) {
		struct db_query *outer = db_query(db, sql, "i", INT64_C(0));

		while (db_step(outer) == 1) {
			struct db_query *inner = db_query(db, sql, "i", db_int(outer, 0));

			while (db_step(inner) == 1)
				pairs++;
			db_finish(inner);
		}
		db_finish(outer);
	}
	CHECK_INT(pairs, 2 * 10);
	db_close(db);
}

TEST(errors_are_mapped)
{
	struct db *db = open_at(":memory:");
	struct db_query *q;

	CHECK_INT(db_run(db, insert, "sn", "a"), 0);
	CHECK_INT(db_run(db, insert, "sn", "a"), -EEXIST);
	CHECK(strstr(db_message(), "t.name"));
	CHECK_INT(db_run(db, "INSERT INTO child VALUES (?)", "i", INT64_C(77)), -EEXIST);
	CHECK(strstr(db_message(), "FOREIGN KEY"));
	CHECK_INT(db_run(db, "SELEC", ""), -EIO);
	CHECK_INT(db_run(db, "SELEC", ""), -EIO);
	q = db_query(db, "SELECT nothing FROM t", "");
	CHECK_INT(db_step(q), -EIO);
	CHECK_INT(db_step(q), -EIO);
	db_finish(q);
	CHECK_INT(count(db), 1);
	db_close(db);
}

TEST(transactions_nest)
{
	struct db *db = open_at(":memory:");

	CHECK_INT(db_begin(db), 0);
	CHECK_INT(db_begin(db), 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	CHECK_INT(db_commit(db), 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	CHECK_INT(db_commit(db), 0);
	CHECK_INT(count(db), 2);

	CHECK_INT(db_begin(db), 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	db_rollback(db);
	CHECK_INT(count(db), 2);
	db_close(db);
}

TEST(inner_rollback_ends_the_outermost)
{
	struct db *db = open_at(":memory:");

	CHECK_INT(db_begin(db), 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	CHECK_INT(db_begin(db), 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	db_rollback(db);
	CHECK_INT(db_begin(db), 0);
	CHECK_INT(db_commit(db), -ECANCELED);
	CHECK_INT(db_run(db, insert, "nn"), 0); /* still inside: goes too */
	CHECK_INT(db_commit(db), -ECANCELED);
	CHECK_INT(count(db), 0);
	CHECK_INT(db_begin(db), 0); /* nothing of it is left */
	CHECK_INT(db_run(db, insert, "nn"), 0);
	CHECK_INT(db_commit(db), 0);
	CHECK_INT(count(db), 1);
	db_close(db);
}

TEST(file_is_ours_alone_and_survives)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	struct stat st;
	struct db *db;

	umask(0);
	make_dir();
	db = open_at(path);
	CHECK_INT(db_run(db, insert, "sn", "kept"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		char file[128];

		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		if (stat(file, &st) == 0)
			CHECK_INT(st.st_mode & 07777, 0600);
		else
			CHECK(i == 2); /* an exclusive connection needs no -shm */
	}
	db_close(db);
	db = open_at(path);
	CHECK_INT(count(db), 1);
	db_close(db);
	remove_dir();
}

/* Killed without a goodbye: what was committed is there. */
TEST(kill_loses_nothing_committed)
{
	struct db *db;
	pid_t pid;
	int status;

	make_dir();
	pid = fork();
	if (pid == 0) {
		db = open_at(path);
		if (db_run(db, insert, "sn", "a") == 0 && db_begin(db) == 0 &&
		    db_run(db, insert, "sn", "b") == 0)
			raise(SIGKILL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	db = open_at(path);
	CHECK_INT(count(db), 1);
	db_close(db);
	remove_dir();
}

TEST(second_process_is_told)
{
	struct db *db;
	pid_t pid;
	int status;

	make_dir();
	db = open_at(path);
	pid = fork();
	if (pid == 0) {
		struct db *other = NULL;
		int r = db_open(path, DB_SYNC_NORMAL, schema, ARRAY_SIZE(schema), &other);

		_exit(r == -EBUSY && strstr(db_message(), "in use by another process") ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	CHECK_INT(db_run(db, insert, "nn"), 0);
	db_close(db);
	remove_dir();
}

TEST(migrations_run_once_in_order)
{
	struct db *db = NULL;

	make_dir();
	CHECK_INT(db_open(path, DB_SYNC_FULL, schema, 1, &db), 0);
	CHECK_INT(db_run(db, "SELECT extra FROM t", ""), -EIO);
	CHECK_INT(db_run(db, insert, "sn", "old"), 0);
	db_close(db);
	for (int i = 0; i < 2; i++) {
		db = open_at(path);
		CHECK_INT(db_run(db, "SELECT extra FROM t", ""), 0);
		CHECK_INT(count(db), 1);
		db_close(db);
	}
	remove_dir();
}

TEST(newer_file_is_left_alone)
{
	struct db *db = NULL;

	make_dir();
	db_close(open_at(path));
	CHECK_INT(db_open(path, DB_SYNC_NORMAL, schema, 1, &db), -ENOTSUP);
	CHECK(!db);
	CHECK(strstr(db_message(), "made by a newer version (2, not 1)"));
	db_close(open_at(path));
	remove_dir();
}

TEST(failed_migration_leaves_the_old_state)
{
	const char *const broken[] = { schema[0], "CREATE TABLE half (a); CREATE TABLE t (a);" };
	struct db *db = NULL;

	make_dir();
	CHECK_INT(db_open(path, DB_SYNC_NORMAL, broken, 2, &db), -EIO);
	CHECK_INT(db_open(path, DB_SYNC_NORMAL, broken, 1, &db), 0);
	CHECK_INT(db_run(db, "SELECT * FROM half", ""), -EIO);
	db_close(db);
	remove_dir();
}

TEST(opening_fails_with_a_sentence)
{
	struct db *db = NULL;
	int fd;

	make_dir();
	CHECK_INT(db_open("/nonexistent/x.db", DB_SYNC_FULL, schema, 2, &db), -ENOENT);
	CHECK(strstr(db_message(), "/nonexistent/x.db: No such file"));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	for (int i = 0; i < 1000; i++)
		CHECK(write(fd, "this is no database\n", 20) == 20);
	close(fd);
	CHECK_INT(db_open(path, DB_SYNC_FULL, schema, 2, &db), -EIO);
	CHECK(strstr(db_message(), "is damaged, or is no database"));
	remove_dir();
}

/* A full database ends a transaction by itself: nothing of it is kept, also not what comes after. */
TEST(full_database_keeps_transactions_whole)
{
	struct db *db;
	char big[5000];
	int r = 0;

	memset(big, 'x', sizeof(big));
	make_dir();
	db = open_at(path);
	CHECK_INT(db_run(db, "PRAGMA max_page_count = 40", ""), 0);
	CHECK_INT(db_begin(db), 0);
	for (int i = 0; i < 100 && r == 0; i++)
		r = db_run(db, insert, "nb", big, sizeof(big));
	CHECK_INT(r, -ENOSPC);
	CHECK(strstr(db_message(), "the disk is full"));
	r = db_run(db, insert, "sn", "after");
	CHECK(r == 0 || r == -ECANCELED);
	if (r == 0)
		db_rollback(db);
	else
		CHECK_INT(db_commit(db), -ECANCELED);
	CHECK_INT(count(db), 0);
	CHECK_INT(db_run(db, insert, "sn", "small"), 0);
	db_close(db);
	remove_dir();
}

/* A real file system of 256 KiB, in a mount namespace of this process. */
static void mount_tiny(void)
{
	make_dir();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=256k") < 0) {
		remove_dir();
		SKIP("may not mount");
	}
}

static void unmount_tiny(void)
{
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

TEST(full_disk)
{
	char big[20000];
	struct db *db;
	int64_t before;
	int r = 0;

	memset(big, 'x', sizeof(big));
	mount_tiny();
	db = open_at(path);
	for (int i = 0; i < 100 && r == 0; i++)
		r = db_run(db, insert, "nb", big, sizeof(big));
	CHECK_INT(r, -ENOSPC);
	CHECK(strstr(db_message(), "the disk is full"));
	before = count(db);
	CHECK(before > 3);
	CHECK_INT(db_begin(db), 0);
	r = 0;
	for (int i = 0; i < 100 && r == 0; i++)
		r = db_run(db, insert, "nb", big, sizeof(big));
	CHECK_INT(r, -ENOSPC);
	CHECK_INT(db_commit(db), -ECANCELED);
	CHECK_INT(count(db), before);
	db_close(db);
	db = open_at(path);
	CHECK_INT(count(db), before);
	db_close(db);
	unmount_tiny();
}

TEST(read_only_disk)
{
	struct db *db;

	mount_tiny();
	db_close(open_at(path));
	CHECK(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	db = NULL;
	CHECK_INT(db_open(path, DB_SYNC_FULL, schema, 2, &db), -EROFS);
	CHECK(strstr(db_message(), path));
	unmount_tiny();
}

TEST(flush_empties_the_log)
{
	struct db *db;
	struct stat st;

	make_dir();
	db = open_at(path);
	CHECK_INT(db_flush(db), 0);
	CHECK(stat(path, &st) == 0);
	for (int i = 0; i < 200; i++)
		CHECK_INT(db_run(db, insert, "nb", dir, sizeof(dir)), 0);
	CHECK_INT(db_flush(db), 0);
	CHECK_INT(db_flush(db), 0);
	/* The main file alone has it all. */
	CHECK_INT(db_run(db, "PRAGMA integrity_check", ""), 0);
	{
		char copy[128], command[300];

		snprintf(copy, sizeof(copy), "%s/copy.db", dir);
		snprintf(command, sizeof(command), "cp %s %s", path, copy);
		CHECK_INT(system(command), 0);
		db_close(db);
		db = open_at(copy);
		CHECK_INT(count(db), 200);
	}
	db_close(db);
	remove_dir();
}

TEST(backup_is_a_new_whole_file)
{
	char copy[128];
	struct stat st;
	struct db *db;

	umask(0);
	make_dir();
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	db = open_at(path);
	CHECK_INT(db_run(db, insert, "sn", "kept"), 0);
	CHECK_INT(db_backup(db, copy), 0);
	CHECK_INT(db_backup(db, copy), -EEXIST);
	CHECK_INT(db_run(db, insert, "sn", "later"), 0);
	CHECK(stat(copy, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	db_close(db);
	db = open_at(copy);
	CHECK_INT(count(db), 1);
	CHECK_INT(db_run(db, "SELECT extra FROM t", ""), 0);
	db_close(db);
	remove_dir();
}

TEST_MAIN("db")

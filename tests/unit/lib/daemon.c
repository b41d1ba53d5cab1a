/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lib/daemon: what a process looks like afterwards, sd_notify. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/daemon.h"

TEST(begin)
{
	struct sigaction sa;

	setenv("WARREN_LOG", "debug", 1);
	close(STDIN_FILENO);
	daemon_begin("warren-test");
	CHECK_STR(program_invocation_short_name, "warren-test");
	CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_INT(umask(022), 077);
	CHECK(sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN);
	/* A new descriptor does not become standard input. */
	CHECK(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	CHECK(open("/dev/null", O_RDONLY) > STDERR_FILENO);
}

TEST(refuses_an_unknown_level)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setenv("WARREN_LOG", "loud", 1);
		close(STDERR_FILENO);
		daemon_begin("warren-test");
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(WEXITSTATUS(status), 2);
}

static int listen_at(const char *path, size_t n)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, path, n);
	CHECK(fd >= 0);
	CHECK(bind(fd, (struct sockaddr *)&sa,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0);
	return fd;
}

static void check_got(int fd, const char *want)
{
	char text[100];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	CHECK_STR(text, want);
}

TEST(notify)
{
	char folder[] = "/tmp/warren-test-XXXXXX", path[60], name[60], large[200];
	int fd;

	unsetenv("NOTIFY_SOCKET");
	daemon_notify("READY=1");
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	fd = listen_at(path, strlen(path));
	setenv("NOTIFY_SOCKET", path, 1);
	daemon_notify("READY=1");
	check_got(fd, "READY=1");
	check_got(fd, "");
	close(fd);
	unlink(path);
	rmdir(folder);
	daemon_notify("STOPPING=1"); /* nobody listens */

	snprintf(name, sizeof(name), "@warren-test-%d", (int)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	name[0] = '\0';
	fd = listen_at(name, 1 + strlen(name + 1));
	daemon_notify("STOPPING=1");
	check_got(fd, "STOPPING=1");

	memset(large, '/', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	setenv("NOTIFY_SOCKET", large, 1);
	daemon_notify("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	daemon_notify("READY=1");
	check_got(fd, "");
}

TEST_MAIN("daemon")

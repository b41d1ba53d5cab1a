/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lab_page NAME PORT: the page server of a pod. Answers every request, on IPv4 and IPv6, with one line that
 * names the pod and the address that asked: `page of dc1-p2, asked by 10.42.1.1`. One thread, one request at a
 * time; a client that says nothing for two seconds is dropped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int page_listen(unsigned long port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int off = 0, on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 64) < 0) {
		fprintf(stderr, "lab_page: port %lu: %s\n", port, strerror(errno));
		exit(1);
	}
	return fd;
}

static void page_answer(int fd, const char *name, const char *from)
{
	static const struct timeval patience = { .tv_sec = 2 };
	char request[4096], page[256], answer[512];
	size_t have = 0;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	do {
		n = recv(fd, request + have, sizeof(request) - 1 - have, 0);
		if (n <= 0)
			return;
		have += (size_t)n;
		request[have] = '\0';
	} while (!strstr(request, "\r\n\r\n") && have < sizeof(request) - 1);
	snprintf(page, sizeof(page), "page of %s, asked by %s\n", name, from);
	n = snprintf(answer, sizeof(answer),
		     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		     "Connection: close\r\n\r\n%s",
		     strlen(page), page);
	if (send(fd, answer, (size_t)n, MSG_NOSIGNAL) == n)
		shutdown(fd, SHUT_WR);
}

int main(int argc, char **argv)
{
	char from[INET6_ADDRSTRLEN];
	int fd;

	if (argc != 3) {
		fputs("usage: lab_page NAME PORT\n", stderr);
		return 2;
	}
	fd = page_listen(strtoul(argv[2], NULL, 10));
	for (;;) {
		struct sockaddr_in6 peer;
		socklen_t len = sizeof(peer);
		int client = accept4(fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

		if (client < 0)
			continue;
		inet_ntop(AF_INET6, &peer.sin6_addr, from, sizeof(from));
		page_answer(client, argv[1], strncmp(from, "::ffff:", 7) ? from : from + 7);
		close(client);
	}
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Helper of the bench dns: the agent's DNS server alone, with a zone that it also writes as a zone file,
 * and an asker that measures each answer.
 *
 *	bench_dns serve ADDRESS PORT ZONE_FILE QUERY_FILE	on SIGUSR1: 100 changes a second, or none
 *	bench_dns ask ADDRESS PORT SECONDS			prints "answers p50_us p99_us"
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/dns_server.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define SERVICES 5000
#define HEADLESS 150
#define PODS 20
#define QUERIES 10000
#define SAMPLES_MAX 2000000

static struct zone *zone;
static struct dns_server *server;
static struct zone_version *version;
static volatile sig_atomic_t changing;

static const struct zone_source source = { ZONE_SERVICE, "dc1", "e1", 0 };

static void on_signal(int number)
{
	(void)number;
	changing = !changing;
}

static void publish(void)
{
	struct zone_table *t = xcalloc(1, sizeof(*t) + sizeof(*t->zones));
	struct hamt_garbage garbage = { 0 };
	struct zone_version *old = version;

	version = zone_commit(zone, &garbage);
	t->count = 1;
	t->zones[0] = version;
	free(dns_server_swap(server, t));
	free(old);
	hamt_garbage_free(&garbage);
}

static void put_service(unsigned i, FILE *out)
{
	struct record_port port = { (char[]){ "http" }, PROTOCOL_TCP, 80 };
	struct addr a = { AF_INET, { 10, 43, (uint8_t)(i >> 8), (uint8_t)i } };
	struct record r = { .addresses = &a, .address_count = 1, .ports = &port, .port_count = 1 };
	char key[64], text[ADDR_SIZE];

	snprintf(key, sizeof(key), "svc-%u.ns-%u", i, i % 50);
	zone_put(zone, &source, key, &r);
	if (out)
		fprintf(out, "%s 5 IN A %s\n_http._tcp.%s 5 IN SRV 0 100 80 %s\n", key,
			addr_format(&a, text), key, key);
}

static void put_headless(unsigned i, FILE *out)
{
	struct record_endpoint e[PODS] = { 0 };
	struct addr a[PODS];
	struct record r = { .endpoints = e, .endpoint_count = PODS };
	char key[64], text[ADDR_SIZE];

	snprintf(key, sizeof(key), "pods-%u.ns-%u", i, i % 50);
	for (unsigned k = 0; k < PODS; k++) {
		a[k] = (struct addr){ AF_INET, { 10, 42, (uint8_t)i, (uint8_t)(k + 1) } };
		e[k].addresses = &a[k];
		e[k].address_count = 1;
		fprintf(out, "%s 5 IN A %s\n", key, addr_format(&a[k], text));
	}
	zone_put(zone, &source, key, &r);
}

/* 60 % A, 20 % AAAA that is not there, 10 % no such name, 5 % SRV, 5 % headless. */
static void write_query(FILE *out, unsigned i)
{
	unsigned n = (unsigned)random() % SERVICES, kind = i % 20;

	if (kind < 12)
		fprintf(out, "svc-%u.ns-%u.mesh A\n", n, n % 50);
	else if (kind < 16)
		fprintf(out, "svc-%u.ns-%u.mesh AAAA\n", n, n % 50);
	else if (kind < 18)
		fprintf(out, "none-%u.ns-%u.mesh A\n", n, n % 50);
	else if (kind == 18)
		fprintf(out, "_http._tcp.svc-%u.ns-%u.mesh SRV\n", n, n % 50);
	else
		fprintf(out, "pods-%u.ns-%u.mesh A\n", n % HEADLESS, n % HEADLESS % 50);
}

static FILE *create(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static void fill(const char *zone_file, const char *query_file)
{
	FILE *out = create(zone_file);

	zone = zone_new("mesh", "dc1");
	zone_set_self(zone, "n1", NULL, 0);
	zone_set_complete(zone, true);
	fputs("$ORIGIN mesh.\n@ 5 IN SOA n1 hostmaster 1 60 10 86400 1\n@ 5 IN NS n1\n"
	      "n1 5 IN A 10.9.0.1\n",
	      out);
	for (unsigned i = 0; i < SERVICES; i++)
		put_service(i, out);
	for (unsigned i = 0; i < HEADLESS; i++)
		put_headless(i, out);
	fclose(out);
	out = create(query_file);
	for (unsigned i = 0; i < QUERIES; i++)
		write_query(out, i);
	fclose(out);
}

static int serve(const struct dns_place *place, const char *zone_file, const char *query_file)
{
	const struct timespec tick = { .tv_nsec = 10 * 1000 * 1000 };
	struct prefix all = { .addr = { .family = AF_INET } };
	char why[256];

	signal(SIGUSR1, on_signal);
	fill(zone_file, query_file);
	if (dns_server_new(&(struct dns_server_config){ &all, 1 }, &server) < 0)
		return 1;
	publish();
	if (dns_server_listen(server, place, 1, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (unsigned i = 0;; i++) {
		if (!changing) {
			pause();
			continue;
		}
		nanosleep(&tick, NULL);
		put_service(i % SERVICES, NULL);
		publish();
	}
}

static int by_time(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t question(uint8_t *at, unsigned n)
{
	char name[64];
	size_t len = 12;

	memcpy(at, (uint8_t[]){ (uint8_t)(n >> 8), (uint8_t)n, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 }, 12);
	snprintf(name, sizeof(name), "svc-%u.ns-%u.mesh", n, n % 50);
	for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
		at[len++] = (uint8_t)strlen(label);
		memcpy(at + len, label, strlen(label));
		len += strlen(label);
	}
	memcpy(at + len, "\0\0\1\0\1", 5);
	return len + 5;
}

static int ask(const struct dns_place *place, unsigned seconds)
{
	uint32_t *samples = xcalloc(SAMPLES_MAX, sizeof(*samples));
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&place->at, &ss);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t end = clock_mono() + seconds * USEC_PER_SEC;
	uint8_t q[300], in[1500];
	size_t count = 0;

	if (connect(fd, (struct sockaddr *)&ss, len) < 0)
		return 1;
	while (clock_mono() < end && count < SAMPLES_MAX) {
		size_t n = question(q, (unsigned)random() % SERVICES);
		uint64_t from = now_ns();

		if (send(fd, q, n, 0) < 0 || recv(fd, in, sizeof(in), 0) < 12)
			return 1;
		samples[count++] = (uint32_t)(now_ns() - from);
	}
	qsort(samples, count, sizeof(*samples), by_time);
	printf("%zu %.1f %.1f\n", count, samples[count / 2] / 1e3, samples[count * 99 / 100] / 1e3);
	free(samples);
	return 0;
}

int main(int argc, char **argv)
{
	struct dns_place place = { 0 };

	if (argc < 5 || addr_parse(argv[2], &place.at.addr) < 0)
		return 2;
	place.at.port = (uint16_t)atoi(argv[3]);
	if (strcmp(argv[1], "ask") == 0)
		return ask(&place, (unsigned)atoi(argv[4]));
	return argc < 6 ? 2 : serve(&place, argv[4], argv[5]);
}

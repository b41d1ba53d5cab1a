/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The C side of tests/golden/run:
 *
 *	golden-decode documents			the names of all kinds of document, one a line
 *	golden-decode decode KIND FILE...	for each file a line `CAUSE TAB PATH TAB REASON`; CAUSE is
 *						none when it was taken, PATH - when it is the document
 *	golden-decode topics MESH TOPIC...	for each topic a line: the number of its kind, or -1
 */
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "tests/golden/documents.h"

static int read_file(const char *path, struct buf *ret)
{
	FILE *f = fopen(path, "rb");
	char block[4096];
	size_t n;

	if (!f)
		return -1;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(ret, block, n);
	fclose(f);
	return 0;
}

static int decode_file(const struct golden_document *kind, const char *path)
{
	struct arena arena = { 0 };
	struct buf text = { 0 };
	union golden_body body;
	struct json_error err;
	enum refusal refused;

	if (read_file(path, &text) < 0) {
		perror(path);
		return 1;
	}
	refused = golden_decode(kind, &arena, buf_cstr(&text), text.len, &body, &err);
	printf("%s\t%s\t%s\n", refusal_names[refused], err.path[0] ? err.path : "-", err.reason);
	arena_done(&arena);
	buf_done(&text);
	return 0;
}

static int decode_files(const char *name, char **files)
{
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(golden_documents); i++) {
		if (strcmp(golden_documents[i].name, name) != 0)
			continue;
		for (; *files; files++)
			failed |= decode_file(&golden_documents[i], *files);
		return failed;
	}
	fprintf(stderr, "no such kind of document: %s\n", name);
	return 2;
}

static int list_documents(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(golden_documents); i++)
		puts(golden_documents[i].name);
	return 0;
}

static int parse_topics(const char *mesh, char **topics)
{
	for (; *topics; topics++) {
		struct topic t;

		printf("%d\n", topic_parse(mesh, *topics, &t) < 0 ? -1 : (int)t.kind);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "documents") == 0)
		return list_documents();
	if (argc >= 3 && strcmp(argv[1], "decode") == 0)
		return decode_files(argv[2], argv + 3);
	if (argc >= 3 && strcmp(argv[1], "topics") == 0)
		return parse_topics(argv[2], argv + 3);
	fprintf(stderr,
		"usage: golden-decode documents | decode KIND FILE... | topics MESH TOPIC...\n");
	return 2;
}

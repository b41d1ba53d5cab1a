/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of records. What a grant covers is tested where it counts: tests/unit/agent/names.c. */
#include "schemas/record.h"

#include <errno.h>
#include <string.h>

#include "tests/test.h"

#define LONG63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

TEST(names)
{
	static const struct {
		const char *member, *space, *service;
		unsigned part;
	} good[] = {
		{ "default/nginx", "default", "nginx", 0 },
		{ "a/b/1", "a", "b", 1 },
		{ "a/b/63", "a", "b", 63 },
		{ LONG63 "/" LONG63 "/10", LONG63, LONG63, 10 },
	};
	static const char *const bad[] = {
		"",
		"a",
		"a/",
		"/b",
		"a/b/",
		"a/b/0",
		"a/b/01",
		"a/b/64",
		"a/b/1/",
		"a/b/1/2",
		"a/b/x",
		"a/b/-1",
		"a//1",
		"a/b.c",
		"a.b/c",
		"-a/b",
		"a/b-",
		"a/b/99999999999999999999",
		"a/" LONG63 "4",
		LONG63 "4/b",
	};
	char member[JOURNAL_NAME_MAX + 1];
	struct record_name n;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_INT(record_name_parse(good[i].member, &n), 0);
		CHECK_STR(n.service_namespace, good[i].space);
		CHECK_STR(n.service, good[i].service);
		CHECK_INT(n.part, good[i].part);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (record_name_parse(bad[i], &n) != -EINVAL)
			test_end(false, "%s is a name", bad[i]);
	record_name_of_part("a/b", 0, member);
	CHECK_STR(member, "a/b");
	record_name_of_part(LONG63 "/" LONG63, RECORD_PARTS_MAX - 1, member);
	CHECK_STR(member, LONG63 "/" LONG63 "/63");
	CHECK(text_is_member_name(member));
}

TEST_MAIN("record")

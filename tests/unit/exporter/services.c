/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Services files: what is taken, and what is said of those that are not.
 */
#include "exporter/services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "tests/test.h"

/* `'` stands for a quote. */
static char *json(const char *text)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	return copy;
}

static void taken(const char *text, const char *name, const char *body)
{
	_cleanup_(freep) char *file = json(text), *want = json(body);
	struct map *records = map_new();
	char why[SERVICES_WHY_SIZE] = "";

	CHECK_INT(services_parse(file, strlen(file), records, NULL, why), 0);
	CHECK_STR(map_get(records, name), want);
	map_free(records, free);
}

static void refused(const char *text, const char *why)
{
	_cleanup_(freep) char *file = json(text);
	struct map *records = map_new();
	char said[SERVICES_WHY_SIZE] = "";

	CHECK_INT(services_parse(file, strlen(file), records, NULL, said), -EBADMSG);
	CHECK_STR(said, why);
	CHECK_INT(map_count(records), 0);
	map_free(records, NULL);
}

TEST(good_files)
{
	struct map *records = map_new();
	char why[SERVICES_WHY_SIZE];

	CHECK_INT(services_parse("{\"services\":[]}", 15, records, NULL, why), 0);
	CHECK_INT(map_count(records), 0);
	map_free(records, free);
	taken("{'services':[{'name':'web','addresses':['10.43.0.1']}]}", "default/web",
	      "{'addresses':['10.43.0.1']}");
	taken("{'services':[{'name':'a','namespace':'b','addresses':['10.0.0.1','fd00::1'],"
	      "'ports':[{'name':'http','protocol':'TCP','port':80}]}]}",
	      "b/a",
	      "{'addresses':['10.0.0.1','fd00::1'],"
	      "'ports':[{'name':'http','port':80}]}");
	taken("{'services':[{'name':'db','endpoints':[{'hostname':'db-0','addresses':"
	      "['10.42.0.7']}]}],'unknown':{}}",
	      "default/db", "{'endpoints':[{'hostname':'db-0','addresses':['10.42.0.7']}]}");
}

TEST(ranges_are_offered)
{
	_cleanup_(freep) char *file = json("{'ranges':['10.42.0.0/16','fd00::/64'],'services':[]}");
	_cleanup_(freep) char *wrong = json("{'ranges':['10.43.0.0/16'],'services':[{}]}");
	struct services_ranges ranges = { .count = 9 };
	struct map *records = map_new();
	char why[SERVICES_WHY_SIZE], text[PREFIX_SIZE];

	CHECK_INT(services_parse(file, strlen(file), records, &ranges, why), 0);
	CHECK_INT(ranges.count, 2);
	CHECK_STR(prefix_format(&ranges.list[1], text), "fd00::/64");
	CHECK_INT(services_parse(wrong, strlen(wrong), records, &ranges, why), -EBADMSG);
	CHECK_INT(ranges.count, 2);
	CHECK_INT(services_parse("{\"services\":[]}", 15, records, &ranges, why), 0);
	CHECK_INT(ranges.count, 0);
	map_free(records, free);
}

TEST(line_and_field_are_said)
{
	refused("", "line 1: the file is not JSON (at byte 0)");
	refused("{\n'services': [\n{'name':\n", "line 4: the file is not JSON (at byte 25)");
	refused("{'services':[],\n'services':[]}",
		"line 2: the file has a key twice in one object (at byte 26)");
	refused("[]", "line 1: the file is not an object");
	refused("{\n}", "line 1: services is missing");
	refused("{'services':\n{}}", "line 2: services is not an array");
	refused("{'services':[\n{'name':'a','addresses':['10.0.0.1']},\n{\n'name':'Web_1'}]}",
		"line 4: services[1].name is not a label");
	refused("{'services':[\n\n{'addresses':[]}]}", "line 3: services[0].name is missing");
	refused("{'services':[{'name':'a','namespace':'x.y'}]}",
		"line 1: services[0].namespace is not a label");
	refused("{'x':'\\'services\\':[','services':[{'name':'a',\n'ports':[{'port':1},"
		"{'port':\n70000}]}]}",
		"line 3: services[0].ports[1].port is not within 1 and 65535");
	refused("{'services':[{'name':'a','addresses':['10.0.0.1',\n'10.0.0']}]}",
		"line 2: services[0].addresses[1] is not an IP address");
}

TEST(what_no_table_says)
{
	refused("{'services':[{'name':'a','addresses':['10.0.0.1']},\n"
		"{'name':'a','namespace':'default','addresses':['10.0.0.2']}]}",
		"line 2: services[1] has the name and namespace of one before it");
	refused("{'services':[{'name':'a'}]}",
		"line 1: services[0] has neither addresses nor endpoints");
}

static void services_write(struct buf *b, unsigned count, unsigned endpoints)
{
	buf_str(b, "{\"services\":[");
	for (unsigned i = 0; i < count; i++) {
		buf_printf(b, "%s{\"name\":\"s%u\",\"addresses\":[\"10.43.1.1\"]", i ? ",\n" : "",
			   i);
		for (unsigned k = 0; k < endpoints; k++)
			buf_printf(b, "%s{\"hostname\":\"h%u\",\"addresses\":[\"10.42.0.1\"]}",
				   k ? "," : ",\"endpoints\":[", k);
		buf_str(b, endpoints ? "]}" : "}");
	}
	buf_str(b, "]}");
}

static void services_write_headless(struct buf *b, unsigned endpoints)
{
	buf_str(b, "{\"services\":[{\"name\":\"h\",\"endpoints\":[");
	for (unsigned i = 0; i < endpoints; i++)
		buf_printf(b, "%s{\"addresses\":[\"10.42.%u.%u\"]}", i ? "," : "", i / 250,
			   i % 250);
	buf_str(b, "]}]}");
}

TEST(too_much_is_said)
{
	struct map *records = map_new();
	char why[SERVICES_WHY_SIZE];
	struct buf b = { 0 };

	services_write(&b, 100000, 0);
	CHECK_INT(services_parse(b.data, b.len, records, NULL, why), 0);
	CHECK_INT(map_count(records), 100000);
	map_clear(records, free);
	buf_clear(&b);
	services_write(&b, 100001, 0);
	CHECK_INT(services_parse(b.data, b.len, records, NULL, why), -EBADMSG);
	CHECK_STR(why, "line 1: services has more than 100000 elements");
	buf_clear(&b);
	services_write(&b, 2, 400);
	CHECK_INT(services_parse(b.data, b.len, records, NULL, why), -EBADMSG);
	CHECK_STR(why, "line 1: services[0] has too many endpoints: at most 1 MiB of JSON for a "
		       "headless service, 16 KiB for one with addresses");
	buf_clear(&b);
	services_write_headless(&b, 12000);
	CHECK_INT(services_parse(b.data, b.len, records, NULL, why), 0);
	CHECK_INT(map_count(records), 32);
	CHECK(map_get(records, "default/h") && map_get(records, "default/h/31"));
	map_clear(records, free);
	buf_clear(&b);
	services_write_headless(&b, 60000);
	CHECK_INT(services_parse(b.data, b.len, records, NULL, why), -EBADMSG);
	CHECK(strncmp(why, "line 1: services[0] has too many endpoints: ", 44) == 0);
	buf_done(&b);
	map_free(records, NULL);
}

TEST_MAIN("services")

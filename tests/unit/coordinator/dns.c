/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinator/dns.h"

#include <errno.h>

#include "schemas/writer.h"
#include "tests/unit/coordinator/rig.h"

/* An exporter: who it is, and the writer of its journal. */
struct exporter {
	struct joiner joiner;
	struct verify_key key;
	struct topic journal;
	struct writer *writer;
};

static struct rig rig;
static struct watcher watcher;
static struct refusal_reason why;
static struct arena kept;

/* ---- the writer */

static int io_store(void *owner, const struct writer_record *rec)
{
	(void)owner;
	(void)rec;
	return 0;
}

static void io_publish(void *owner, enum topic_kind kind, unsigned slot, unsigned chunk,
		       const void *bytes, size_t len, bool retain)
{
	const struct exporter *e = owner;
	struct topic t = e->journal;
	char topic[TOPIC_SIZE];

	t.kind = kind;
	t.slot = slot;
	t.chunk = chunk;
	topic_format(watcher.mesh, &t, topic);
	CHECK_INT(mqtt_publish(watcher.mqtt, topic, bytes, len, 1, retain), 0);
}

static void io_random(void *owner, void *ret, size_t n)
{
	(void)owner;
	crypto_random(ret, n);
}

static const struct verify_key *own_key(void *owner, const struct signers *who, size_t index,
					const char *key, bool *ret_known)
{
	const struct exporter *e = owner;

	(void)who;
	(void)index;
	*ret_known = strcmp(key, e->key.id) == 0;
	return *ret_known ? &e->key : NULL;
}

static void publish_service(struct exporter *e, char *name, char *body)
{
	const struct journal_op op = { .put = name, .body = body };

	CHECK_INT(writer_change(e->writer, loop_now(rig.loop), &op, 1), 0);
	CHECK_INT(writer_commit(e->writer, loop_now(rig.loop)), 0);
	writer_flush(e->writer);
}

static void writer_start(struct exporter *e)
{
	const struct writer_io io = {
		.store = io_store, .publish = io_publish, .random = io_random, .owner = e
	};
	const struct keyring keys = { .find = own_key, .owner = e };

	verify_key_init(&e->key, e->joiner.identity.public_key);
	e->journal = (struct topic){ .kind = TOPIC_JOURNAL, .journal = JOURNAL_DNS };
	strcpy(e->journal.network, "dc1");
	strcpy(e->journal.exporter, e->joiner.identity.id);
	e->writer = writer_new(watcher.mesh, &e->journal, &e->joiner.identity, &keys, &io, true);
	writer_run(e->writer);
	CHECK_INT(writer_begin(e->writer, loop_now(rig.loop), 0, clock_wall(), true), 0);
	writer_flush(e->writer);
}

static void exporter_start(struct exporter *e, const char *site)
{
	struct api_token_create wish = { .network = arena_strdup(&kept, "dc1"),
					 .role = ROLE_EXPORTER,
					 .site = arena_strdup(&kept, site) };
	struct api_token token = { 0 };
	struct join_answer answer;
	struct prefix range;

	CHECK_INT(prefix_parse("10.43.0.0/16", &range), 0);
	wish.ranges = &range;
	wish.range_count = 1;
	CHECK_INT(token_create(&rig.authority, &kept, &wish, &token, &why), 0);
	joiner_init(&e->joiner, token.token, NULL);
	memset(e->joiner.wireguard_key, 0, KEY_LEN);
	joiner_sign(&e->joiner, watcher.mesh);
	joiner_answer(&e->joiner, &rig, joiner_send(&e->joiner, &watcher, 5000), &kept, &answer);
	CHECK(!answer.refused);
	writer_start(e);
}

static void exporter_end(struct exporter *e)
{
	writer_free(e->writer);
	verify_key_done(&e->key);
	joiner_done(&e->joiner);
}

/* ---- what is there */

static size_t records(const struct exporter *e)
{
	return dns_record_count(rig.authority.dns, "dc1", e->joiner.identity.id);
}

/* Of the only exporter, as it is listed. */
static bool is_published(void)
{
	struct api_exporter *list;
	size_t count;

	CHECK_INT(exporter_list(&rig.authority, &kept, "dc1", &list, &count, &why), 0);
	CHECK_INT(count, 1);
	return list[0].published;
}

/* The grant, as it stands in the journal now: an exporter that has read up to the position which its
 * answer named and finds none there was taken out. */
static bool has_grant(const struct exporter *e)
{
	char name[JOURNAL_NAME_MAX + 1];

	snprintf(name, sizeof(name), "exporter/%s", e->joiner.identity.id);
	return publisher_get(rig.publisher, "dc1", JOURNAL_GATEWAYS, name);
}

/* The names as lines `NAME FROM SITE ADDRESS...`. */
static const char *names(void)
{
	struct buf out = { 0 };
	char text[ADDR_SIZE], *ret;
	struct api_dns *rows;
	size_t count;

	CHECK_INT(dns_list(&rig.authority, &kept, "dc1", &rows, &count, &why), 0);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&out, "%s %.8s %s", rows[i].name, rows[i].from,
			   rows[i].site ? rows[i].site : "-");
		for (size_t j = 0; j < rows[i].address_count; j++)
			buf_printf(&out, " %s", addr_format(&rows[i].addresses[j], text));
		buf_char(&out, '\n');
	}
	ret = arena_strdup(&kept, buf_cstr(&out));
	buf_done(&out);
	return ret;
}

/* Documents of the exporter's journal that the broker holds. */
static size_t retained(const struct exporter *e)
{
	struct watcher w;
	struct topic t;
	size_t n = 0;

	watch_start(&w, &rig, "counter");
	for (size_t i = 0; i < w.count; i++)
		n += w.messages[i].retained && watch_parse(&w, i, &t) && t.journal == JOURNAL_DNS &&
		     t.kind >= TOPIC_JOURNAL && t.kind <= TOPIC_BEAT &&
		     strcmp(t.exporter, e->joiner.identity.id) == 0;
	watch_stop(&w);
	return n;
}

static void begin(void)
{
	rig_begin(&rig);
	watch_start(&watcher, &rig, "watcher");
	rig_network(&rig, "dc1", "10.36.50.0/24");
}

static void end(void)
{
	watch_stop(&watcher);
	rig_end(&rig);
	arena_done(&kept);
}

static void one_service(struct exporter *e)
{
	exporter_start(e, "dc1");
	publish_service(e, "default/nginx",
			"{\"addresses\":[\"10.43.45.229\"],\"ports\":[{\"port\":80}]}");
	RIG_UNTIL(&rig, records(e) == 1, 5000);
}

TEST(all_names_of_a_network)
{
	struct api_name added = { .name = arena_strdup(&kept, "orders-db"),
				  .network = arena_strdup(&kept, "dc1"),
				  .address_count = 1 };
	struct addr address;
	struct joiner node;
	struct exporter e;

	begin();
	rig_join(&rig, &watcher, &node, "dc1", "n1");
	CHECK_INT(addr_parse("10.36.50.77", &address), 0);
	added.addresses = &address;
	CHECK_INT(name_add(&rig.authority, &added, &why), 0);
	one_service(&e);
	/* An address outside the grant; a headless one; no name, and no record. */
	publish_service(&e, "default/outside", "{\"addresses\":[\"10.43.0.9\",\"192.0.2.1\"]}");
	publish_service(&e, "db/pg",
			"{\"endpoints\":[{\"addresses\":[\"10.43.1.1\"]},{\"hostname\":\"pg-1\","
			"\"addresses\":[\"10.43.1.2\"]}]}");
	/* Another one in parts. */
	publish_service(&e, "db/my/1", "{\"endpoints\":[{\"addresses\":[\"10.43.2.2\"]}]}");
	publish_service(&e, "db/my", "{\"endpoints\":[{\"addresses\":[\"10.43.2.1\"]}]}");
	publish_service(&e, "odd", "{\"addresses\":[\"10.43.0.9\"]}");
	publish_service(&e, "default/odd", "{\"addresses\":[\"none\"]}");
	RIG_UNTIL(&rig, records(&e) == 7, 5000);
	CHECK(is_published());
	CHECK_STR(names(), "my.db.dc1 exporter dc1 10.43.2.1 10.43.2.2\n"
			   "n1.dc1 node - 10.36.50.1\n"
			   "nginx.default.dc1 exporter dc1 10.43.45.229\n"
			   "orders-db.dc1 name - 10.36.50.77\n"
			   "outside.default.dc1 exporter dc1 10.43.0.9\n"
			   "pg.db.dc1 exporter dc1 10.43.1.1 10.43.1.2\n");
	exporter_end(&e);
	joiner_done(&node);
	end();
}

TEST(a_newcomer_is_told_how_far_to_read)
{
	struct arena arena = { 0 };
	struct join_answer answer;
	char path[TOPIC_SIZE];
	struct exporter e;
	struct joiner j;
	char *token;

	begin();
	one_service(&e);
	token = rig_token(&rig, "dc1", 1);
	joiner_init(&j, token, "n1");
	joiner_sign(&j, watcher.mesh);
	joiner_answer(&j, &rig, joiner_send(&j, &watcher, 5000), &arena, &answer);
	snprintf(path, sizeof(path), "n/dc1/dns/%s", e.joiner.identity.id);
	CHECK_INT(answer.journal_count, 3);
	CHECK_STR(answer.journals[2].path, path);
	CHECK_INT(answer.journals[2].epoch, writer_position(e.writer).epoch);
	CHECK_INT(answer.journals[2].ver, writer_position(e.writer).ver);
	arena_done(&arena);
	joiner_done(&j);
	free(token);
	exporter_end(&e);
	end();
}

TEST(answer_names_a_position_with_the_grant)
{
	struct api_gateway_create gateway = { .network = arena_strdup(&kept, "dc1"),
					      .tag = arena_strdup(&kept, "gw"),
					      .site = arena_strdup(&kept, "dc1"),
					      .range_count = 1 };
	struct api_token_create wish = { .network = gateway.network,
					 .role = ROLE_EXPORTER,
					 .site = gateway.site };
	struct topic t = { .kind = TOPIC_ENROL_RSP };
	struct buf answer = { 0 };
	struct journal_position before;
	struct api_token token = { 0 };
	struct join_request request;
	struct api_gateway made;
	struct exporter e = { 0 };
	struct prefix range;
	char name[256];

	begin();
	CHECK_INT(token_create(&rig.authority, &kept, &wish, &token, &why), 0);
	joiner_init(&e.joiner, token.token, NULL);
	memset(e.joiner.wireguard_key, 0, KEY_LEN);
	joiner_sign(&e.joiner, watcher.mesh);
	joiner_fill(&e.joiner, name, &request);
	strcpy(t.id, e.joiner.topic.id);
	strcpy(t.other, e.joiner.topic.other);
	/* The window is open, so the grant would wait. */
	CHECK_INT(prefix_parse("10.43.0.0/16", &range), 0);
	gateway.ranges = &range;
	CHECK_INT(gateway_create(&rig.authority, &kept, &gateway, &made, &why), 0);
	before = publisher_position(rig.publisher, "dc1", JOURNAL_GATEWAYS);
	CHECK_INT(join_decide(&rig.authority, &request, e.joiner.request.data, e.joiner.request.len,
			      &t, NULL, &answer),
		  0);
	CHECK(publisher_position(rig.publisher, "dc1", JOURNAL_GATEWAYS).ver > before.ver);
	CHECK(has_grant(&e));
	buf_done(&answer);
	joiner_done(&e.joiner);
	end();
}

/* Who read the end of the old grant alone would drop the names of the site. */
TEST(the_place_is_taken_in_one_delta)
{
	struct exporter first, second;
	struct journal_position before, after;

	begin();
	exporter_start(&first, "dc1");
	rig_wait(&rig, 300);
	before = publisher_position(rig.publisher, "dc1", JOURNAL_GATEWAYS);
	exporter_start(&second, "dc1");
	after = publisher_position(rig.publisher, "dc1", JOURNAL_GATEWAYS);
	CHECK(!has_grant(&first));
	CHECK(has_grant(&second));
	CHECK_INT(after.ver, before.ver + 1);
	exporter_end(&first);
	exporter_end(&second);
	end();
}

TEST(read_again_after_a_restart)
{
	struct exporter e;

	begin();
	one_service(&e);
	rig_stop(&rig);
	rig_start(&rig);
	CHECK_INT(records(&e), 0);
	RIG_UNTIL(&rig, records(&e) == 1, 20000);
	CHECK_STR(names(), "nginx.default.dc1 exporter dc1 10.43.45.229\n");
	exporter_end(&e);
	end();
}

TEST(removed_exporter_is_cleared)
{
	struct exporter e, other;
	size_t kept_documents;

	begin();
	one_service(&e);
	exporter_start(&other, "cloud");
	rig_settle(&rig);
	kept_documents = retained(&other);
	CHECK(kept_documents > 0);
	CHECK(retained(&e) > 0);
	CHECK_INT(exporter_remove(&rig.authority, e.joiner.identity.id, &why), 0);
	CHECK_STR(names(), "");
	rig_wait(&rig, 2500);
	CHECK_INT(retained(&e), 0);
	CHECK_INT(retained(&other), kept_documents);
	/* One that goes on writing is cleared too: at the next head, or the next connection. */
	publish_service(&e, "default/late", "{\"addresses\":[\"10.43.0.1\"]}");
	rig_wait(&rig, 2500);
	CHECK_INT(retained(&e), 0);
	exporter_end(&e);
	exporter_end(&other);
	end();
}

TEST(replaced_exporter_is_cleared)
{
	struct exporter e, second;

	begin();
	one_service(&e);
	one_service(&second);
	CHECK_INT(records(&e), 0);
	rig_wait(&rig, 2500);
	CHECK_INT(retained(&e), 0);
	CHECK(retained(&second) > 0);
	exporter_end(&e);
	exporter_end(&second);
	end();
}

/* The database may be the one that forgot. */
TEST(unknown_exporter_is_let_alone)
{
	struct exporter e = { 0 };
	struct token none = { 0 };

	begin();
	sign_key_generate(&e.joiner.identity);
	e.joiner.token = none;
	writer_start(&e);
	publish_service(&e, "default/x", "{\"addresses\":[\"10.43.0.1\"]}");
	rig_wait(&rig, 2500);
	CHECK_INT(records(&e), 0);
	CHECK(retained(&e) > 0);
	CHECK_STR(names(), "");
	writer_free(e.writer);
	verify_key_done(&e.key);
	sign_key_done(&e.joiner.identity);
	end();
}

TEST(another_key_is_refused)
{
	struct exporter e, thief = { 0 };
	uint64_t before;

	begin();
	one_service(&e);
	before = session_refused(rig.session, REFUSED_KEY);
	sign_key_generate(&thief.joiner.identity);
	writer_start(&thief);
	/* In the other one's place. */
	strcpy(thief.journal.exporter, e.joiner.identity.id);
	publish_service(&thief, "default/x", "{\"addresses\":[\"10.43.0.1\"]}");
	RIG_UNTIL(&rig, session_refused(rig.session, REFUSED_KEY) > before, 5000);
	CHECK_INT(records(&e), 1);
	writer_free(thief.writer);
	verify_key_done(&thief.key);
	sign_key_done(&thief.joiner.identity);
	exporter_end(&e);
	end();
}

TEST_MAIN("dns")

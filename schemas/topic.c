/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Topics, read and written by one table, so that the two cannot differ. Owns nothing; any thread.
 */
#include "schemas/topic.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"
#include "schemas/journal.h"

#define ROOT "warren/1/"

/* Capital letters stand for: N network, X exporter, I id, F other (an id), C other (a client id),
 * R a slot of the log ring, H one of the two snapshot slots, K a chunk. All else stands for itself. */
struct shape {
	const char *text;
	unsigned kind;
};

static const struct shape plain_shapes[] = {
	{ "c/trust", TOPIC_TRUST },	  { "c/state", TOPIC_STATE },
	{ "c/mark", TOPIC_MARK },	  { "c/revoked/I", TOPIC_REVOKED },
	{ "n/N/ep/I", TOPIC_EP },	  { "n/N/call/I/F", TOPIC_CALL },
	{ "a/I/config", TOPIC_CONFIG },	  { "a/I/rsp", TOPIC_RSP },
	{ "u/I/req", TOPIC_REQ },	  { "u/I/state", TOPIC_NODE },
	{ "u/I/stat", TOPIC_STAT },	  { "e/I/C/req", TOPIC_ENROL_REQ },
	{ "e/I/C/rsp", TOPIC_ENROL_RSP },
};

static const struct shape journal_shapes[] = {
	{ "n/N/peers", JOURNAL_PEERS },
	{ "n/N/gateways", JOURNAL_GATEWAYS },
	{ "n/N/dns/X", JOURNAL_DNS },
};

/* Behind a journal's path. */
static const struct shape part_shapes[] = {
	{ "", TOPIC_JOURNAL },	      { "/log/R", TOPIC_LOG }, { "/snap", TOPIC_MANIFEST },
	{ "/snap/H/K", TOPIC_CHUNK }, { "/beat", TOPIC_BEAT }, { "/ask/I", TOPIC_ASK },
};

static bool is_of_journal(enum topic_kind kind)
{
	return kind >= TOPIC_JOURNAL && kind <= TOPIC_ASK;
}

static const char *shape_of(const struct shape *shapes, size_t count, unsigned kind)
{
	for (size_t i = 0; i < count; i++)
		if (shapes[i].kind == kind)
			return shapes[i].text;
	assert(!"a kind without a shape");
	return "";
}

/* ---- reading ---- */

static bool take_number(const char *word, unsigned max, unsigned *ret)
{
	uint64_t n;

	if (u64_parse(word, 0, max, &n) < 0)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* Is `word` right for `letter`? Then it goes to its field. */
static bool take_word(char letter, const char *word, struct topic *t)
{
	char *to = letter == 'N' ? t->network :
		   letter == 'X' ? t->exporter :
		   letter == 'I' ? t->id :
				   t->other;

	switch (letter) {
	case 'R':
		return take_number(word, JOURNAL_RING - 1, &t->slot);
	case 'H':
		return take_number(word, 1, &t->slot);
	case 'K':
		return take_number(word, JOURNAL_CHUNKS_MAX - 1, &t->chunk);
	case 'I':
	case 'F':
		if (!text_is_id(word))
			return false;
		break;
	default:
		if (!text_is_label(word))
			return false;
		break;
	}
	memcpy(to, word, strlen(word) + 1);
	return true;
}

/* What follows in `text` behind the shape, NULL when it does not begin with it. */
static const char *match(const char *shape, const char *text, struct topic *t)
{
	char word[LABEL_SIZE];

	for (; *shape; shape++) {
		size_t n;

		if (*shape < 'A' || *shape > 'Z') {
			if (*text++ != *shape)
				return NULL;
			continue;
		}
		n = strcspn(text, "/");
		if (n >= sizeof(word))
			return NULL;
		memcpy(word, text, n);
		word[n] = '\0';
		if (!take_word(*shape, word, t))
			return NULL;
		text += n;
	}
	return text;
}

/* The journal that `path` begins with; *ret_rest is what follows. */
static bool match_journal(const char *path, struct topic *ret, const char **ret_rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(journal_shapes); i++) {
		struct topic t = { .kind = TOPIC_JOURNAL, .journal = journal_shapes[i].kind };
		const char *rest = match(journal_shapes[i].text, path, &t);

		if (rest && (!*rest || *rest == '/')) {
			*ret = t;
			*ret_rest = rest;
			return true;
		}
	}
	return false;
}

static bool parse_path(const char *path, struct topic *ret)
{
	struct topic journal;
	const char *rest;

	if (match_journal(path, &journal, &rest)) {
		for (size_t i = 0; i < ARRAY_SIZE(part_shapes); i++) {
			struct topic t = journal;
			const char *end = match(part_shapes[i].text, rest, &t);

			if (end && !*end) {
				t.kind = part_shapes[i].kind;
				*ret = t;
				return true;
			}
		}
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain_shapes); i++) {
		struct topic t = { .kind = plain_shapes[i].kind };
		const char *end = match(plain_shapes[i].text, path, &t);

		if (end && !*end) {
			*ret = t;
			return true;
		}
	}
	return false;
}

/* ---- writing ---- */

/* Appends the shape with its letters filled in; returns the new length. */
static size_t fill(const char *shape, const struct topic *t, char *ret, size_t len)
{
	for (; *shape; shape++) {
		char *at = ret + len;
		size_t size = TOPIC_SIZE - len;
		int n;

		switch (*shape) {
		case 'N':
			n = snprintf(at, size, "%s", t->network);
			break;
		case 'X':
			n = snprintf(at, size, "%s", t->exporter);
			break;
		case 'I':
			n = snprintf(at, size, "%s", t->id);
			break;
		case 'F':
		case 'C':
			n = snprintf(at, size, "%s", t->other);
			break;
		case 'R':
		case 'H':
			n = snprintf(at, size, "%u", t->slot);
			break;
		case 'K':
			n = snprintf(at, size, "%u", t->chunk);
			break;
		default:
			n = snprintf(at, size, "%c", *shape);
			break;
		}
		assert(n >= 0 && (size_t)n < size);
		len += (size_t)n;
	}
	return len;
}

static size_t fill_journal(const struct topic *t, char *ret, size_t len)
{
	return fill(shape_of(journal_shapes, ARRAY_SIZE(journal_shapes), t->journal), t, ret, len);
}

/* The prefix's own letters are none of a shape's. */
static size_t fill_prefix(const char *mesh, char *ret)
{
	int n = snprintf(ret, TOPIC_SIZE, ROOT "%s/", mesh);

	assert(n > 0 && n <= (int)strlen(ROOT) + LABEL_SIZE);
	return (size_t)n;
}

/* ---- public ---- */

void mesh_id(const uint8_t root_key[static KEY_LEN], char ret[static MESH_ID_SIZE])
{
	uint8_t hash[HASH_LEN];

	sha256(root_key, KEY_LEN, hash);
	base32_prefix(hash, sizeof(hash), ret, MESH_ID_LEN);
}

void topic_format(const char *mesh, const struct topic *t, char ret[static TOPIC_SIZE])
{
	size_t len = fill_prefix(mesh, ret);

	if (is_of_journal(t->kind)) {
		len = fill_journal(t, ret, len);
		fill(shape_of(part_shapes, ARRAY_SIZE(part_shapes), t->kind), t, ret, len);
	} else {
		fill(shape_of(plain_shapes, ARRAY_SIZE(plain_shapes), t->kind), t, ret, len);
	}
}

int topic_parse(const char *mesh, const char *text, struct topic *ret)
{
	size_t n;

	if (strncmp(text, ROOT, strlen(ROOT)) != 0)
		return -EBADMSG;
	text += strlen(ROOT);
	n = strcspn(text, "/");
	if (text[n] != '/')
		return -EBADMSG;
	if (n != strlen(mesh) || memcmp(text, mesh, n) != 0)
		return n == MESH_ID_LEN && strspn(text, "abcdefghijklmnopqrstuvwxyz234567") == n ?
			       -EXDEV :
			       -EBADMSG;
	return parse_path(text + n + 1, ret) ? 0 : -EBADMSG;
}

void topic_place(const char *mesh, const struct topic *t, char ret[static TOPIC_SIZE])
{
	if (is_of_journal(t->kind) && t->kind != TOPIC_ASK)
		fill_journal(t, ret, fill_prefix(mesh, ret));
	else
		topic_format(mesh, t, ret);
}

void topic_journal_path(const struct topic *t, char ret[static TOPIC_SIZE])
{
	fill_journal(t, ret, 0);
}

int journal_path_parse(const char *path, struct topic *ret)
{
	const char *rest;
	struct topic t;

	if (!match_journal(path, &t, &rest) || *rest)
		return -EBADMSG;
	*ret = t;
	return 0;
}

bool text_is_id(const char *s)
{
	return strnlen(s, KEY_ID_SIZE) == KEY_ID_LEN &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz234567") == KEY_ID_LEN;
}

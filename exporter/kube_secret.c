/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Secret asked for. Owns the request under way. One thread.
 */
#include "exporter/kube_secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

#define TIMEOUT_MS 10000
#define AGAIN_FIRST USEC_PER_SEC
#define AGAIN_DOUBLED 5 /* up to 32 s */

struct kube_secret {
	struct kube_secret_config c;
	char *folder, *path;
	char version[KUBE_VERSION_SIZE]; /* "": there is none */
	bool loaded, dirty, failed;
	bool in_doubt; /* whether the last version is ours: a write's answer may have been lost */
	unsigned tries;
	const char *verb; /* of what is asked */
	struct kube_call *call;
	struct loop_timer timer;
	char trouble[KUBE_WHY_SIZE];
};

static void say(struct kube_secret *s, const char *sentence)
{
	if (strcmp(s->trouble, sentence) == 0)
		return;
	snprintf(s->trouble, sizeof(s->trouble), "%s", sentence);
	s->c.trouble(s->c.owner, *sentence ? sentence : NULL);
}

static void look(struct kube_secret *s, uint64_t in)
{
	loop_timer_set(s->c.loop, &s->timer, loop_now(s->c.loop) + in);
}

static void again(struct kube_secret *s, int status, const char *text, size_t len)
{
	const char *space = kube_api_namespace(s->c.api);
	char sentence[KUBE_WHY_SIZE];
	struct kube_status st = { 0 };

	if (status >= 0)
		kube_status_read(text, len, &st);
	if (status < 0) {
		snprintf(sentence, sizeof(sentence), "the Secret %s: %.*s", s->c.name, (int)len,
			 text);
	} else if (status == 403) {
		snprintf(
			sentence, sizeof(sentence),
			"may not %s the Secret %s in namespace %s (%.120s); add to the rules of our "
			"Role there: {apiGroups: [\"\"], resources: [secrets], resourceNames: [%s], "
			"verbs: [get, patch]}%s",
			s->verb, s->c.name, space, st.message, s->c.name,
			strcmp(s->verb, "create") == 0 ? ", and make the Secret, empty" : "");
	} else {
		snprintf(sentence, sizeof(sentence),
			 "cannot %s the Secret %s in namespace %s: %d %s", s->verb, s->c.name,
			 space, status, st.message);
	}
	say(s, sentence);
	look(s, AGAIN_FIRST << MIN(s->tries, (unsigned)AGAIN_DOUBLED));
	s->tries++;
}

static void give_up(struct kube_secret *s, const char *why)
{
	char sentence[KUBE_WHY_SIZE];

	s->failed = true;
	snprintf(sentence, sizeof(sentence), "the Secret %s in namespace %s %s", s->c.name,
		 kube_api_namespace(s->c.api), why);
	s->c.failed(s->c.owner, sentence);
}

static void taken(struct kube_secret *s)
{
	s->tries = 0;
	say(s, "");
}

/* ---- reading ---- */

/* While something is tried again it is done with that. */
void kube_secret_store(struct kube_secret *s)
{
	s->dirty = true;
	if (!s->call && s->loaded && !s->tries)
		look(s, 0);
}

static void load_end(struct kube_secret *s, const struct secret_state *state)
{
	s->loaded = true;
	s->c.loaded(s->c.owner, state);
}

/* A leader after us has a higher number; who was before us, or nobody, means that ours was not written. */
static void doubt_end(struct kube_secret *s, const struct secret_state *state)
{
	struct secret_state ours = { 0 };

	s->in_doubt = false;
	s->dirty = true;
	s->c.state(s->c.owner, &ours);
	if (state && (state->connection > ours.connection ||
		      memcmp(state->secret, ours.secret, sizeof(ours.secret)) != 0))
		give_up(s, "was written by another meanwhile");
	else
		look(s, 0);
	crypto_wipe(ours.secret, sizeof(ours.secret));
}

static void read_done(void *owner, int status, const char *text, size_t len)
{
	struct kube_secret *s = owner;
	struct secret_state state = { 0 };
	struct arena a = { 0 };
	bool found = false;
	char why[256], broken[320];
	int r = 0;

	s->call = NULL;
	if (status != 200 && status != 404) {
		again(s, status, text, len);
		return;
	}
	if (!s->in_doubt)
		taken(s);
	if (status == 404)
		*s->version = '\0';
	else
		r = secret_read(&a, text, len, s->version, &found, &state, why, sizeof(why));
	if (r < 0) {
		snprintf(broken, sizeof(broken),
			 "%s; delete it, and start the exporter with a new token", why);
		give_up(s, broken);
	} else if (s->in_doubt) {
		doubt_end(s, found ? &state : NULL);
	} else {
		load_end(s, found ? &state : NULL);
	}
	crypto_wipe(state.secret, sizeof(state.secret));
	arena_done(&a); /* wipes */
}

static void read_begin(struct kube_secret *s)
{
	s->verb = "get";
	s->call = kube_api_call(s->c.api, &(struct kube_request){ .method = "GET",
								  .path = s->path,
								  .timeout_ms = TIMEOUT_MS,
								  .done = read_done,
								  .owner = s });
}

/* ---- writing ---- */

static void write_done(void *owner, int status, const char *text, size_t len)
{
	struct kube_secret *s = owner;
	struct secret_state state = { 0 };
	struct arena a = { 0 };
	bool found;
	char why[256];

	s->call = NULL;
	if (status != 200 && status != 201) {
		s->dirty = s->in_doubt = true;
		/* It is another than we know: looked at at once, but not over and over. */
		if ((status == 409 || status == 404) && !s->tries++)
			look(s, 0);
		else
			again(s, status, text, len);
	} else if (secret_read(&a, text, len, s->version, &found, &state, why, sizeof(why)) < 0) {
		give_up(s, why);
	} else {
		taken(s);
		if (s->dirty)
			look(s, 0);
		else
			s->c.stored(s->c.owner);
	}
	crypto_wipe(state.secret, sizeof(state.secret));
	arena_done(&a); /* wipes */
}

static void write_begin(struct kube_secret *s)
{
	bool anew = !*s->version;
	struct secret_state state = { 0 };
	struct buf body = { 0 };

	s->dirty = false;
	s->verb = anew ? "create" : "patch";
	s->c.state(s->c.owner, &state);
	secret_write(&state, s->c.name, s->version, &body);
	s->call = kube_api_call(
		s->c.api, &(struct kube_request){
				  .method = anew ? "POST" : "PATCH",
				  .path = anew ? s->folder : s->path,
				  .body = buf_cstr(&body),
				  .content_type = anew ? NULL : "application/merge-patch+json",
				  .timeout_ms = TIMEOUT_MS,
				  .done = write_done,
				  .owner = s });
	crypto_wipe(state.secret, sizeof(state.secret));
	crypto_wipe(body.data, body.len);
	buf_done(&body);
}

static void fired(struct loop_timer *t)
{
	struct kube_secret *s = container_of(t, struct kube_secret, timer);

	if (s->failed || s->call)
		return;
	if (!s->loaded || s->in_doubt)
		read_begin(s);
	else if (s->dirty)
		write_begin(s);
}

/* ---- life ---- */

struct kube_secret *kube_secret_new(const struct kube_secret_config *c)
{
	struct kube_secret *s = xcalloc(1, sizeof(*s));

	s->c = *c;
	s->timer.fired = fired;
	s->folder = xasprintf("/api/v1/namespaces/%s/secrets", kube_api_namespace(c->api));
	s->path = xasprintf("%s/%s", s->folder, c->name);
	look(s, 0);
	return s;
}

void kube_secret_free(struct kube_secret *s)
{
	if (!s)
		return;
	kube_call_cancel(s->call);
	loop_timer_del(s->c.loop, &s->timer);
	free(s->folder);
	free(s->path);
	free(s);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /v1/tokens. A token is said once, in the answer to its creation, and never logged.
 */
#include <stdio.h>
#include <string.h>

#include "coordinator/api_private.h"
#include "lib/clock.h"

int api_token_list(struct api_call *c)
{
	struct api_token *tokens;
	size_t count;
	int r = token_list(c->authority, &c->arena, http_query(c->request, "network"), &tokens,
			   &count, &c->why);

	if (r == 0)
		api_array(c, api_token_fields, tokens, sizeof(*tokens), count);
	return r;
}

int api_token_create(struct api_call *c)
{
	struct api_token_create wish = { 0 };
	struct api_token token = { 0 };
	char what[400], expires[CLOCK_RFC3339_SIZE] = "never";
	int r = api_body(c, api_token_create_fields, &wish);

	if (r == 0)
		r = token_create(c->authority, &c->arena, &wish, &token, &c->why);
	if (r < 0)
		return r;
	if (token.expires)
		clock_rfc3339(token.expires, expires);
	snprintf(what, sizeof(what), "token=%s network=%s role=%s uses=%llu expires=%s", token.id,
		 log_quote(token.network), role_names[token.role], (unsigned long long)token.uses,
		 expires);
	api_log(c, "token-created", what);
	json_encode(&c->answer, api_token_fields, &token);
	crypto_wipe(token.token, strlen(token.token));
	return 0;
}

int api_token_revoke(struct api_call *c)
{
	char what[256];
	int r = token_revoke(c->authority, c->name, &c->why);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "token=%s", log_quote(c->name));
	api_log(c, "token-revoked", what);
	return 0;
}

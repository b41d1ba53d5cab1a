/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent's keyring. Owns the key that was asked for last. One thread.
 */
#include "agent/keyring.h"

#include <string.h>

static const struct verify_key *find(void *owner, const struct signers *who, size_t index,
				     const char *key, bool *ret_known)
{
	struct keyring_agent *k = owner;
	uint8_t bytes[KEY_LEN];

	(void)index;
	*ret_known = false;
	if (who->class == SIGNER_ROOT || who->class == SIGNER_COORDINATOR)
		return k->trust ? trust_find(k->trust, who, key, ret_known) : NULL;
	if ((who->class == SIGNER_NODE && k->node_key(k->owner, who->network, who->id, bytes)) ||
	    (who->class == SIGNER_EXPORTER && k->exporter_key &&
	     k->exporter_key(k->owner, who->network, who->id, bytes))) {
		*ret_known = true;
		if (strcmp(who->id, key) != 0)
			return NULL;
		verify_key_done(&k->node);
		verify_key_init(&k->node, bytes);
		/* The id is the key's: a member with another key is none. */
		return strcmp(k->node.id, who->id) == 0 ? &k->node : NULL;
	}
	/* A key that may sign elsewhere is the wrong signer, not an unknown one. */
	if (k->trust)
		trust_find(k->trust, &(struct signers){ .class = SIGNER_COORDINATOR }, key,
			   ret_known);
	return NULL;
}

struct keyring keyring_agent_get(struct keyring_agent *k)
{
	return (struct keyring){ .find = find, .owner = k };
}

void keyring_agent_done(struct keyring_agent *k)
{
	verify_key_done(&k->node);
	memset(&k->node, 0, sizeof(k->node));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose signature is taken where: root and coordinator from the trust document, nodes from the peers
 * of a network (design section 4: the place alone decides).
 */
#pragma once

#include "schemas/document.h"
#include "schemas/trust.h"

struct keyring_agent {
	struct trust *trust; /* borrowed; NULL before the first join */
	/* The identity key of a node; false: nobody with that id is known. `network` NULL: in any. */
	bool (*node_key)(void *owner, const char *network, const char *id,
			 uint8_t ret[static KEY_LEN]);
	/* The key of an exporter that the network has a grant of. */
	bool (*exporter_key)(void *owner, const char *network, const char *id,
			     uint8_t ret[static KEY_LEN]);
	void *owner;
	struct verify_key node; /* the one asked for last, also an exporter's */
};

/* The keyring for document_open and replicas; `k` is borrowed. */
struct keyring keyring_agent_get(struct keyring_agent *k);
void keyring_agent_done(struct keyring_agent *k);

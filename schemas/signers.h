/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may have signed what. The place alone decides; the key id in the document only chooses among
 * the keys allowed there (design sections 4 and 5, column "writer").
 */
#pragma once

#include "schemas/topic.h"

enum signer_class {
	SIGNER_ROOT,	    /* the mesh's root key */
	SIGNER_COORDINATOR, /* a signing key that c/trust lists */
	SIGNER_NODE,	    /* the identity key of node `id` (the id is the key's id) */
	SIGNER_EXPORTER,    /* the key of exporter `id`'s grant in `network` */
	SIGNER_JOINER,	    /* two: the key of token `id`, then the joiner's identity key */
};

struct signers {
	enum signer_class class;
	const char *id;	     /* borrowed from the topic */
	const char *network; /* borrowed from the topic; NULL when it has none */
};

/* Total: every topic kind has exactly one answer. TOPIC_CHUNK is not signed itself; its answer is
 * that of its manifest, which lists its hash. */
struct signers signers_of(const struct topic *t);

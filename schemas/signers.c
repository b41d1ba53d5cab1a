/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may sign where: the writer column of the table of topics. Owns nothing; any thread.
 */
#include "schemas/signers.h"

struct signers signers_of(const struct topic *t)
{
	const struct signers coordinator = { .class = SIGNER_COORDINATOR };
	const struct signers node = { .class = SIGNER_NODE, .id = t->id };

	switch (t->kind) {
	case TOPIC_TRUST:
		return (struct signers){ .class = SIGNER_ROOT };
	case TOPIC_STATE:
	case TOPIC_MARK:
	case TOPIC_REVOKED:
	case TOPIC_CONFIG:
	case TOPIC_RSP:
	case TOPIC_ENROL_RSP:
		return coordinator;
	case TOPIC_JOURNAL:
	case TOPIC_LOG:
	case TOPIC_MANIFEST:
	case TOPIC_CHUNK:
	case TOPIC_BEAT:
		if (t->journal == JOURNAL_DNS)
			return (struct signers){ .class = SIGNER_EXPORTER,
						 .id = t->exporter,
						 .network = t->network };
		return (struct signers){ .class = SIGNER_COORDINATOR, .network = t->network };
	case TOPIC_ASK:
	case TOPIC_EP:
		return (struct signers){ .class = SIGNER_NODE, .id = t->id, .network = t->network };
	case TOPIC_CALL:
		return (struct signers){ .class = SIGNER_NODE,
					 .id = t->other,
					 .network = t->network };
	case TOPIC_REQ:
	case TOPIC_NODE:
	case TOPIC_STAT:
		return node;
	case TOPIC_ENROL_REQ:
		return (struct signers){ .class = SIGNER_JOINER, .id = t->id };
	}
	/* Not a kind at all: the key that is used least. */
	return (struct signers){ .class = SIGNER_ROOT };
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small ring of registers that came too early. Owns their bytes. One thread.
 */
#include "agent/early.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "schemas/topic.h"

struct early {
	struct {
		char node[LABEL_SIZE];
		struct buf bytes; /* empty: nothing here */
	} slots[EARLY_MAX];
	size_t next;
};

static size_t find(const struct early *e, const char *node)
{
	size_t i = 0;

	while (i < EARLY_MAX && (e->slots[i].bytes.len == 0 || strcmp(e->slots[i].node, node) != 0))
		i++;
	return i;
}

void early_put(struct early **e, const char *node, const void *bytes, size_t len)
{
	size_t i;

	if (len == 0 || len > EARLY_BYTES_MAX || strlen(node) >= LABEL_SIZE)
		return;
	if (!*e)
		*e = xcalloc(1, sizeof(**e));
	i = find(*e, node);
	if (i == EARLY_MAX)
		i = (*e)->next++ % EARLY_MAX;
	snprintf((*e)->slots[i].node, LABEL_SIZE, "%s", node);
	buf_clear(&(*e)->slots[i].bytes);
	buf_add(&(*e)->slots[i].bytes, bytes, len);
}

bool early_take(struct early *e, const char *node, struct buf *ret)
{
	size_t i = e ? find(e, node) : EARLY_MAX;

	if (i == EARLY_MAX)
		return false;
	*ret = e->slots[i].bytes;
	e->slots[i].bytes = (struct buf){ 0 };
	return true;
}

void early_free(struct early *e)
{
	for (size_t i = 0; e && i < EARLY_MAX; i++)
		buf_done(&e->slots[i].bytes);
	free(e);
}

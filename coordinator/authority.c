/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Refusals and the transaction around a decision.
 */
#include "coordinator/authority.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int refuse(struct refusal_reason *why, unsigned status, const char *code, const char *fmt, ...)
{
	va_list ap;

	why->status = status;
	snprintf(why->code, sizeof(why->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(why->message, sizeof(why->message), fmt, ap);
	va_end(ap);
	return -ECANCELED;
}

int refuse_store(struct refusal_reason *why, int error)
{
	if (error == -EFBIG)
		return refuse(
			why, 507, "journal_full",
			"what a network publishes has reached the size that a journal can have;"
			" nothing was done: remove nodes, or make another network");
	return refuse(why, error == -ENOSPC ? 507 : 500, "store",
		      "the coordinator's database cannot be changed: %s (%s); nothing was done",
		      store_message(), strerror(-error));
}

int authority_begin(struct authority *a, struct refusal_reason *why)
{
	int r = store_begin(a->store);

	return r < 0 ? refuse_store(why, r) : 0;
}

int authority_end(struct authority *a, int r, struct refusal_reason *why)
{
	if (r < 0 && r != -ECANCELED)
		r = refuse_store(why, r);
	if (r < 0) {
		store_rollback(a->store);
	} else {
		r = store_commit(a->store);
		if (r < 0)
			r = refuse_store(why, r);
	}
	if (r < 0)
		publisher_reload(a->publisher);
	else
		publisher_flush(a->publisher);
	return r;
}

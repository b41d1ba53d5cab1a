/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `warren why`: from a name or an address step by step to the wire, told from the same data that was
 * applied, beside what the kernel has.
 */
#pragma once

#include "agent/agent.h"
#include "schemas/api.h"

/* The kernel as the answer compares with it. */
struct why_kernel {
	const struct host *actual; /* NULL: it cannot be read */
	const char *problem;	   /* then why */
	bool rules;		   /* our table is what was last applied */
};
/* Fills `ret` in `arena`: the steps up to the first that fails, or all. Pure. */
void why_explain(const struct agent *a, const struct why_kernel *k, const char *what,
		 struct arena *arena, struct api_why *ret);

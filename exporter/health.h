/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For probes: a Unix socket that answers GET /live and GET /ready, and the question to it. Status 200, or
 * 503 with a sentence.
 */
#pragma once

#include "exporter/exporter.h"

struct health;

/* `x` may be started later, and again. Borrowed. A sentence in `ret_why`. */
int health_new(struct loop *l, const char *path, const struct exporter *x, struct health **ret,
	       char ret_why[static EXPORTER_WHY_SIZE]) MUST_CHECK;
void health_free(struct health *h); /* NULL allowed */
/* Asks one that runs. 0, or negative with a sentence. */
int health_ask(const char *path, const char *what, char ret_why[static EXPORTER_WHY_SIZE]);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A request's body, field by field, of what was typed: what is left away is not sent, and the
 * server's default or the stored value holds. Labels, ranges and durations are checked by the
 * server, which has the sentences.
 */
#pragma once

#include <stdint.h>

#include "lib/buf.h"

void body_begin(struct buf *body);
/* Each appends nothing for NULL, or an empty list. */
void body_word(struct buf *body, const char *field, const char *word);
void body_words(struct buf *body, const char *field, const char *const *words);
/* A number of `min` to `max`; else the program ends with 2 and a sentence about --`option`. */
void body_number(struct buf *body, const char *field, const char *option, const char *text,
		 uint64_t min, uint64_t max);
/* Has anything been added? */
bool body_is_empty(const struct buf *body);
/* Closes it. Returns its text, which belongs to the buffer. */
const char *body_end(struct buf *body);

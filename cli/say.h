/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines for people on standard output. Names and sentences in them come from other machines: what
 * could drive a terminal (control characters, C0 and C1) is printed as `?`.
 */
#pragma once

#include "lib/base.h"

/* One line; the newline is added. */
void say(const char *fmt, ...) PRINTF(1, 2);
/* Makes a text harmless, in place. Returns it. */
char *say_clean(char *text);

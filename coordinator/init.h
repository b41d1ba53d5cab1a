/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `warren-coordinator init`: once per mesh. Keys, CA, the first c/trust document, the broker's
 * certificate and configuration.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define INIT_LISTENERS_MAX 16

struct init_options {
	const char *broker;	/* mqtts://HOST:PORT */
	const char *data;	/* the keys' directory */
	const char *broker_dir; /* NULL: `warren-broker` beside the data directory */
	const char *root_out;	/* NULL: the root key stays in `data` */
	uint64_t listeners;	/* on consecutive ports */
};

/* 0, or a negative errno with a sentence in `error`; nothing is made when `data` has keys already.
 * On success what was made and what to type next is on standard output. */
int init_run(const struct init_options *o, char *error, size_t error_size);
/* The sub command: its options from `argv`; the exit status. */
int init_main(int argc, char **argv);

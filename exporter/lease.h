/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One of several replicas leads: the one whose name is in a Lease (coordination.k8s.io/v1). What to do, by
 * what was seen and answered; pure.
 *
 * Clocks are never compared: a record counts from the moment on at which one saw it change. The leader
 * ends LEASE_DEADLINE after it asked for the last renewal that was granted, the others begin no sooner
 * than LEASE_DURATION after they saw it; so never two lead at one time, whatever is lost or late.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporter/kube_text.h"
#include "lib/clock.h"

#define LEASE_DURATION_SECONDS 10
#define LEASE_DURATION (LEASE_DURATION_SECONDS * USEC_PER_SEC)
#define LEASE_DEADLINE (7 * USEC_PER_SEC)
#define LEASE_RENEW (2500 * USEC_PER_MSEC)
#define LEASE_AGAIN USEC_PER_SEC /* after an error */
#define LEASE_HOLDER_SIZE 254

/* ---- what to do ---- */

/* The object as it was seen; `version` "" is that there is none. */
struct lease_record {
	char version[KUBE_VERSION_SIZE];
	char holder[LEASE_HOLDER_SIZE]; /* "": released */
	uint64_t seconds, transitions;
	char acquired[40]; /* as it stands there */
};

enum lease_step {
	LEASE_WAIT,   /* until `due` */
	LEASE_CREATE, /* POST, with our name */
	LEASE_TAKE,   /* PUT over `record.version`, with our name: takes it or renews it */
	LEASE_LOOK,   /* GET */
	LEASE_END,    /* leads no more: stop at once */
};

struct lease {
	char self[LEASE_HOLDER_SIZE];
	bool known; /* whether there is a record */
	struct lease_record record;
	uint64_t changed; /* the record, as seen */
	bool deleted;	  /* there was one */
	bool leads, overtaken;
	bool asks, look;
	enum lease_step asked;
	uint64_t sent, renewed, not_before;
};

enum lease_step lease_next(const struct lease *l, uint64_t now, uint64_t *ret_due);
/* The watch tells a record. */
void lease_seen(struct lease *l, uint64_t now, const struct lease_record *r);
/* The step is being done. */
void lease_sent(struct lease *l, uint64_t now, enum lease_step step);
/* HTTP status or negative errno; `r` for 200 and 201. */
void lease_answered(struct lease *l, uint64_t now, int status, const struct lease_record *r);

/* ---- the object ---- */

/* -EBADMSG: it is no Lease. Its name into `ret_name`. */
int lease_decode(const char *text, size_t len, struct lease_record *ret,
		 char ret_name[static LEASE_HOLDER_SIZE]) MUST_CHECK;
/* `holder` takes it over `r`, which is as it was seen. */
void lease_encode(struct buf *out, const char *space, const char *name, const char *holder,
		  const struct lease_record *r, int64_t wall_usec);

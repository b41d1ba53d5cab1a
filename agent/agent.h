/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent as a whole: what its parts share, and the few things that concern several of them. Its
 * parts call one another through here; those below (state, peers, wanted, endpoints, follow, session,
 * enrol, apply) know nothing of it.
 *
 *	broker -> session -> inbox -> follow -> networks -> peers, wanted -> apply -> kernel
 *	socket -> control -> joins, leaves -> enrol or session -> memberships -> networks
 *
 * One thread. What must not be done inside a callback of a part (freeing that part) is left to
 * agent_work, in the next turn of the loop.
 */
#pragma once

#include "agent/apply.h"
#include "agent/identity.h"
#include "agent/kernel.h"
#include "agent/keyring.h"
#include "agent/memberships.h"
#include "agent/renew.h"
#include "agent/session.h"
#include "agent/state.h"

#define CANDIDATES_MAX 32

struct agent_options {
	const char *state;	   /* folder */
	const char *name;	   /* NULL: the host's */
	const char *site;	   /* NULL: the token's */
	const char *control;	   /* path of the socket */
	const char *forwarding;	   /* file: see agent/forwarding.h */
	const char *const *tokens; /* NULL-terminated, like `endpoints` */
	const char *const *endpoints;
	size_t endpoint_count;
	const struct endpoint *dns; /* where names are answered beside the mesh addresses */
	size_t dns_count;
	const struct prefix *dns_allow; /* who may ask there */
	size_t dns_allow_count;
	enum kernel_backend backend;
	const char *wireguard_go; /* folder: see agent/wg_process.h; NULL: started here */
	bool firewall_report;
};

struct agent {
	struct loop *loop;
	struct agent_options o;
	struct state *state;
	struct identity identity;

	/* The mesh: all NULL before the first join. */
	struct trust *trust;
	char *certificate;
	char *site;

	struct keyring_agent keyring_agent;
	struct keyring keyring;
	struct memberships memberships;
	struct session *session; /* NULL: nothing to be connected for */
	struct renew *renew;	 /* of the certificate */
	bool reconnect;		 /* with another certificate, CA or brokers */
	char broker_error[256];
	struct brokers *brokers; /* agent/brokers.h */

	struct kernel *kernel; /* NULL: see kernel_problem */
	struct apply *apply;   /* NULL with it */
	char kernel_problem[512];
	struct addr candidates[CANDIDATES_MAX];
	size_t candidate_count;

	uint64_t refused[REFUSED_COUNT];
	uint64_t config_seq, coordinator_seq; /* highest taken */
	bool coordinator_present;

	struct join *joins;   /* agent/joins.c */
	struct leave *leaves; /* agent/leaves.c */
	struct telling *tellings;
	struct control *control;
	struct holders *holders;	/* agent/holders.c; NULL: none can be */
	struct names *names;		/* agent/names.c; NULL: none are answered */
	char token_problem[512];	/* of a --token that is not tried again; "": none */
	char token_network[LABEL_SIZE]; /* its network; "": it could not be read */

	struct loop_timer work, kernel_retry, announce;
};

/* Opens the state, adopts the kernel and applies what is on disk, then looks for the broker, then
 * joins with --token, then listens. 0, or a negative errno with a sentence in `why`. `a` is zeroed. */
int agent_start(struct agent *a, struct loop *l, const struct agent_options *o, char *why,
		size_t why_size) MUST_CHECK;
/* Leaves the data plane in place. */
void agent_stop(struct agent *a);

/* The same without kernel, connection and socket: for tests of what is above. */
int agent_open(struct agent *a, struct loop *l, const struct agent_options *o, char *why,
	       size_t why_size) MUST_CHECK;

/* In the next turn: tears down ended networks, begins, ends or renews the connection. */
void agent_work_soon(struct agent *a);
void agent_work(struct agent *a);
/* The kernel, if it can be had now: 0, or a sentence in kernel_problem. */
int agent_need_kernel(struct agent *a);
/* Stores trust, certificate and site. */
void agent_store_mesh(struct agent *a);
/* The wished name: --name, or the host's; in the arena. */
char *agent_wished_name(const struct agent *a, struct arena *arena);

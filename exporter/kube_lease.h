/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Lease (exporter/lease.h) asked for at the API server, and followed by a watch. One thread.
 */
#pragma once

#include "exporter/kube_api.h"

struct kube_lease;

struct kube_lease_config {
	struct loop *loop;
	struct kube_api *api;
	const char *name; /* in the namespace of the API; borrowed */
	void (*led)(void *owner);
	/* It led, and must not any more: nothing may be sent after this has returned. Once. */
	void (*lost)(void *owner);
	/* What keeps it from leading, when it changes; NULL: nothing. */
	void (*trouble)(void *owner, const char *sentence);
	void *owner;
};

struct kube_lease *kube_lease_new(const struct kube_lease_config *c);
/* NULL allowed; not from inside a callback. */
void kube_lease_free(struct kube_lease *l);
bool kube_lease_leads(const struct kube_lease *l);
/* Who does, as it was seen; "": nobody or not known. */
const char *kube_lease_holder(const struct kube_lease *l);
/* Gives it away, if we have it, and waits for the answer for at most two seconds. */
void kube_lease_release(struct kube_lease *l);

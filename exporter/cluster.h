/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exporter in a Kubernetes cluster: the API server, the lead among replicas, and the state that they
 * share in a Secret. With --state secret:NAME nothing but the Lease NAME is looked at before this replica
 * leads; then the Secret is read, written with a number that no earlier leader had, and only then does
 * the exporter open its state. With a folder as the state there is one replica, which leads.
 */
#pragma once

#include "exporter/exporter.h"
#include "exporter/source_kubernetes.h"

#define CLUSTER_SECRET "secret:" /* in front of its name, as a state */

struct cluster;

/* 0, or a negative errno with x->failed. Calls exporter_open, now or later. */
int cluster_new(struct exporter *x, struct cluster **ret) MUST_CHECK;
/* Gives the lead away; after the connection to the broker was ended. NULL allowed. */
void cluster_free(struct cluster *c);
/* The cluster's services, from now on. */
void cluster_follow(struct cluster *c, const struct source_events *events);
/* The state has changed. */
void cluster_store(struct cluster *c);
/* Another replica leads, and that is as it should be. */
bool cluster_is_standby(const struct cluster *c);
/* Leads, and has told all services; a sentence otherwise. */
bool cluster_is_ready(const struct cluster *c, char ret_why[static KUBE_WHY_SIZE]);

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What keeps us from a resource of the API server, logged: the reason and what is to be added to our rights
 * apart, since each would be cut by itself.
 */
#pragma once

/* `sentence` may have "; add to ..." in it; NULL: it goes well again. */
void kube_trouble_log(const char *resource, const char *sentence);

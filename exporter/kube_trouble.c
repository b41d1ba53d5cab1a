/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Owns nothing; one thread.
 */
#include "exporter/kube_trouble.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"

#define ADD "; add to "

void kube_trouble_log(const char *resource, const char *sentence)
{
	const char *add = sentence ? strstr(sentence, ADD) : NULL;

	if (!sentence) {
		log_info("cluster-well", "resource=%s", resource);
	} else if (!add) {
		log_error("cluster-trouble", "resource=%s why=%s", resource, log_quote(sentence));
	} else {
		_cleanup_(freep) char *why = xstrndup(sentence, (size_t)(add - sentence));

		log_error("cluster-trouble", "resource=%s why=%s add_to=%s", resource,
			  log_quote(why), log_quote(add + strlen(ADD)));
	}
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A kubeconfig: what is taken is fit for use, what is refused has a sentence. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/kube_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[KUBE_CONFIG_WHY_SIZE] = "";
	struct kube_config c;

	if (kube_config_parse((const char *)data, size, "/folder", &c, why) < 0) {
		if (!*why || c.server || c.token.text)
			abort();
		for (const char *p = why; *p; p++)
			if ((unsigned char)*p < ' ')
				abort();
		return 0;
	}
	if (strncmp(c.server, "https://", 8) != 0 || strpbrk(c.server, " \r\n@") || !*c.namespace_)
		abort();
	if (c.ca.file && *c.ca.file != '/')
		abort();
	kube_config_done(&c);
	return 0;
}

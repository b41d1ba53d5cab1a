/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * warren: the one command people type.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "lib/opt.h"

int main(int argc, char **argv)
{
	int status = command_run(argc, argv);

	if (fflush(stdout) != 0 || ferror(stdout))
		opt_fail(1, "cannot write to standard output: %s", strerror(errno));
	return status;
}

/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"
#include "cli/generate.h"

int cmd_doctor(struct cmd *c)
{
	return cmd_fail(c, "doctor: not built yet");
}

int generate_main(struct cmd *c, const char *what)
{
	return cmd_fail(c, "%s: not built yet", what);
}

int generate_complete(struct cmd *c, const char *what)
{
	return cmd_fail(c, "%s: not built yet", what);
}

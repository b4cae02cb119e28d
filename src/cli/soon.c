/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"
#include "cli/generate.h"

#define SOON(name)                                                                                                     \
	int cmd_##name(struct cmd *c)                                                                                  \
	{                                                                                                              \
		return cmd_fail(c, #name ": not built yet");                                                           \
	}
SOON(check)
SOON(up)
SOON(down)
SOON(ps)
SOON(console)
SOON(machine)
SOON(lab)
SOON(doctor)
SOON(backends)

int generate_main(struct cmd *c, const char *what)
{
	return cmd_fail(c, "%s: not built yet", what);
}

int generate_complete(struct cmd *c, const char *what)
{
	return cmd_fail(c, "%s: not built yet", what);
}

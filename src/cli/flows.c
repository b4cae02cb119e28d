/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

int cmd_flows(struct cmd *c)
{
	return cmd_fail(c, "flows: not built yet");
}

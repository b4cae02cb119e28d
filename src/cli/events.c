/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

int cmd_events(struct cmd *c)
{
	return cmd_fail(c, "events: not built yet");
}

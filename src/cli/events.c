/* SPDX-License-Identifier: ISC */
#include "cli/read_eve.h"

int cmd_events(struct cmd *c)
{
	struct read_eve r = { 0 };
	return read_eve(c, &r);
}

/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

int cmd_pcap(struct cmd *c)
{
	return cmd_fail(c, "pcap: not built yet");
}

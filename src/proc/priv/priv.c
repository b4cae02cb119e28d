/* SPDX-License-Identifier: ISC */
#include "proc/priv/priv.h"

int priv_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}

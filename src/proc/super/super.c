/* SPDX-License-Identifier: ISC */
#include "proc/super/super.h"

int super_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}

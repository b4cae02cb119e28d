/* SPDX-License-Identifier: ISC */
#include "proc/vmm/vmm.h"

int vmm_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}

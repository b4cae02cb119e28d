/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_VMM_H
#define SKEP_PROC_VMM_VMM_H

/* Entry point of the vmm process; returns its exit status. */
int vmm_main(int argc, char **argv);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_SUPER_H
#define SKEP_PROC_SUPER_SUPER_H

/* Entry point of the super process; returns its exit status. */
int super_main(int argc, char **argv);

#endif

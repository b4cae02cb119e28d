/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_INSPECT_INSPECT_H
#define SKEP_PROC_INSPECT_INSPECT_H

/* Entry point of the inspect process; returns its exit status. */
int inspect_main(int argc, char **argv);

#endif

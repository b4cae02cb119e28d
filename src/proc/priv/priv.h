/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_PRIV_PRIV_H
#define SKEP_PROC_PRIV_PRIV_H

/* Entry point of the priv process; returns its exit status. */
int priv_main(int argc, char **argv);

#endif

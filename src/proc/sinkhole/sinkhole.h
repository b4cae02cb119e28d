/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SINKHOLE_SINKHOLE_H
#define SKEP_PROC_SINKHOLE_SINKHOLE_H

/* Entry point of a sinkhole process; returns its exit status. */
int sinkhole_main(int argc, char **argv);

#endif

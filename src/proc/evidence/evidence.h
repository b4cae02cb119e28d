/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_EVIDENCE_H
#define SKEP_PROC_EVIDENCE_EVIDENCE_H

/* Entry point of the evidence process; returns its exit status. */
int evidence_main(int argc, char **argv);

#endif

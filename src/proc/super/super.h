/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_SUPER_H
#define SKEP_PROC_SUPER_SUPER_H

/* Entry point of the super process; returns its exit status.
 * argv: super NAME EVIDENCE_DIR MODE OPERATOR_UID; fd 3 = priv, fd 4 = the
 * listening control socket. */
int super_main(int argc, char **argv);

#endif

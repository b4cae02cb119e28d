/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_NOTIFY_NOTIFY_H
#define SKEP_PROC_NOTIFY_NOTIFY_H

/* Entry point of the notify process; returns its exit status. fd 3 = a
 * connection to super's control socket. */
int notify_main(int argc, char **argv);

#endif

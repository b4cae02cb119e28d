/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_GATEWAY_H
#define SKEP_PROC_GATEWAY_GATEWAY_H

/* Entry point of the gateway process; returns its exit status. */
int gateway_main(int argc, char **argv);

#endif

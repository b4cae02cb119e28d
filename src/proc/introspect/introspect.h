/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_INTROSPECT_H
#define SKEP_INTROSPECT_INTROSPECT_H

/* `skep --role=introspect`: watches the inside of one honeypot. fd 3 = super, 4 =
 * evidence (its record source), 5 = the guest kernel's file, read only. */
int introspect_main(int argc, char **argv);

#endif

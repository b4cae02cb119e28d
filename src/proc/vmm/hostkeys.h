/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_HOSTKEYS_H
#define SKEP_PROC_VMM_HOSTKEYS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * SSH host keys, made here so that no two honeypots share them and the first
 * boot need not wait for them. Formats: OpenSSH's PROTOCOL.key (unencrypted)
 * and RFC 4253, 5656, 8709 for the public blobs; Dropbear's own flat files
 * (its signkey.c: the public blob followed by the secret numbers).
 */
enum hostkey_kind { HOSTKEY_ED25519, HOSTKEY_RSA, HOSTKEY_ECDSA, HOSTKEY_COUNT };

#define HOSTKEY_FILE 4096
struct hostkey {
	char name[32]; /* "ed25519", "rsa", "ecdsa": part of the file names */
	size_t private_len, public_len, dropbear_len;
	uint8_t private_file[HOSTKEY_FILE]; /* ssh_host_NAME_key */
	char public_file[HOSTKEY_FILE];     /* ssh_host_NAME_key.pub */
	uint8_t dropbear_file[HOSTKEY_FILE];
};

/* RSA: rsa_bits (3072: up to half a second of CPU time); others ignore it.
 * comment goes into the public file, "root@host". Wipe *out when done. */
int hostkey_make(enum hostkey_kind kind, unsigned rsa_bits, const char *comment, struct hostkey *out, struct err *e);

#endif

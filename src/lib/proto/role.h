/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_ROLE_H
#define SKEP_PROTO_ROLE_H

/* Every OS process of skep has exactly one role; see ARCHITECTURE.md. */
enum role {
	ROLE_NONE,
	ROLE_CLI,
	ROLE_PRIV,
	ROLE_SUPER,
	ROLE_VMM,
	ROLE_GATEWAY,
	ROLE_INTROSPECT,
	ROLE_EVIDENCE,
	ROLE_SINKHOLE,
	ROLE_API,
	ROLE_NOTIFY,
	ROLE_INSPECT,
	ROLE_JUDGE,
	ROLE_COUNT
};

/* "priv", "super", ...; "?" if out of range. */
const char *role_name(enum role r);

/* The fd number at which a role finds its socket to the process that commands
 * it; further fds follow in the order in which the spawner listed them. */
#define ROLE_FD_CONTROL 3
#define ROLE_FD_FIRST 4

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_SECCOMP_H
#define SKEP_SANDBOX_SECCOMP_H

#include "base/err.h"

#include <linux/filter.h>
#include <seccomp.h>
#include <stdint.h>

/*
 * System call filters from tables. What no rule names kills the whole process
 * with SIGSYS, other architectures' calls (int 0x80, x32) included.
 */
struct seccomp_rule {
	int nr;        /* SCMP_SYS(name) */
	uint16_t soft; /* 0: allowed; else it fails with this errno */
	uint8_t ncmp;  /* how many of cmp must all hold; 0 = always */
	struct scmp_arg_cmp cmp[2];
};

/* A table; .count from SECCOMP_TABLE. */
struct seccomp_table {
	const struct seccomp_rule *rules;
	int count;
};
#define SECCOMP_TABLE(a)                                                                                               \
	{                                                                                                              \
		(a), (int)(sizeof(a) / sizeof((a)[0]))                                                                 \
	}

#define ALLOW(name)                                                                                                    \
	{                                                                                                              \
		.nr = SCMP_SYS(name)                                                                                   \
	}
#define ALLOW_IF(name, ...)                                                                                            \
	{                                                                                                              \
		.nr = SCMP_SYS(name),                                                                                  \
		.ncmp = sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp),                  \
		.cmp = { __VA_ARGS__ }                                                                                 \
	}
#define SOFT(name, err)                                                                                                \
	{                                                                                                              \
		.nr = SCMP_SYS(name), .soft = (err)                                                                    \
	}
#define SOFT_IF(name, err, ...)                                                                                        \
	{                                                                                                              \
		.nr = SCMP_SYS(name), .soft = (err),                                                                   \
		.ncmp = sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp),                  \
		.cmp = { __VA_ARGS__ }                                                                                 \
	}
/* Comparisons of the low 32 bits: the kernel ignores the rest of an int. */
#define ARG_IS(n, value)                                                                                               \
	{                                                                                                              \
		(n), SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)(value)                                                \
	}
#define ARG_HAS_NOT(n, bits)                                                                                           \
	{                                                                                                              \
		(n), SCMP_CMP_MASKED_EQ, (bits), 0                                                                     \
	}
#define ARG_HAS(n, bits)                                                                                               \
	{                                                                                                              \
		(n), SCMP_CMP_MASKED_EQ, (bits), (bits)                                                                \
	}

struct seccomp_program {
	struct sock_fprog prog; /* .filter is malloc'ed */
};

/* Compiles the tables in order into one program. Costs about a millisecond:
 * build once, load often. */
int seccomp_build(struct seccomp_program *out, const struct seccomp_table *tables, int n, struct err *e);
/* For good; no_new_privs must be set. Async-signal-safe: for a forked child too. */
int seccomp_load_program(const struct seccomp_program *p, struct err *e);
void seccomp_free(struct seccomp_program *p);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_CGROUP_H
#define SKEP_SANDBOX_CGROUP_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * cgroups of one honeynet and of each VMM in it, v1 (one hierarchy for each
 * controller), v2, or both at once as in hybrid set-ups: each controller is
 * used where it is. Made below the caller's own group, which root may always
 * do and others only where the group was delegated to them.
 */
enum cgroup_controller { CG_MEMORY, CG_PIDS, CG_CPU, CG_FREEZER, CG_COUNT };
#define CG_BIT(c) (1u << (c))

#define CGROUP_PATH 512

struct cgroup {
	unsigned have;                    /* CG_BIT of the controllers that this group really has */
	unsigned v2;                      /* those of them that are v2's */
	char path[CG_COUNT][CGROUP_PATH]; /* its directory for each controller; "" = none */
};

struct cgroup_limits {        /* 0 = none */
	uint64_t memory;      /* bytes, with what the kernel spends on its behalf */
	uint32_t pids;        /* processes and threads */
	uint32_t cpu_percent; /* of one CPU: 250 = two and a half */
};

struct cgroup_usage {
	uint64_t memory; /* bytes now; 0 = unknown */
	uint64_t memory_peak;
	uint64_t oom_kills;
	uint32_t pids;
};

/* The group NAME below the one that this process is in. -ENOTSUP with the
 * reason if no controller can be had (out untouched): the caller goes on
 * without and says so. */
int cgroup_root(struct cgroup *out, const char *name, struct err *e);
/* A group below another one. */
int cgroup_make(struct cgroup *out, const struct cgroup *parent, const char *name, struct err *e);
int cgroup_limit(const struct cgroup *g, const struct cgroup_limits *l, struct err *e);
/* Opens its cgroup.procs files, one for each distinct directory, for a
 * process that joins by writing "0": jail_spec.cgroups. Returns how many, or -errno. */
int cgroup_join_fds(const struct cgroup *g, int fds[CG_COUNT], struct err *e);
int cgroup_usage(const struct cgroup *g, struct cgroup_usage *out);
/* Stops or continues every process in it; -ENOTSUP without CG_FREEZER. */
int cgroup_freeze(const struct cgroup *g, int frozen, struct err *e);
/* Removes it; it must be empty: waits up to 200 ms for the last dying process. */
int cgroup_remove(const struct cgroup *g, struct err *e);

#endif

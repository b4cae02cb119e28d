/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_JAIL_H
#define SKEP_SANDBOX_JAIL_H

#include "base/err.h"
#include "proto/proto.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * The jail of a VMM, which is treated as if the intruder already owned it.
 *
 * Inside: a user namespace with one uid, a mount namespace whose root is a
 * read-only tmpfs that holds the program, its shared libraries, its disks and
 * nothing else (no device, no /proc, no /sys), empty net, ipc, uts and cgroup
 * namespaces, a pid namespace in which the VMM is pid 1 (its death kills
 * whatever it started), only the listed fds, no capability, no_new_privs,
 * Landlock, rlimits, and a seccomp filter that kills the process on any call
 * that the profile does not list.
 */
enum jail_profile {
	JAIL_PROFILE_UML, /* Debian's linux.uml or our own build, with src/shim preloaded */
	JAIL_PROFILE_SURICATA,
	JAIL_PROFILE_PLAIN, /* a program that computes and talks over its fds; for tests and measurements */
	JAIL_PROFILE_COUNT
};

#define JAIL_BIND_RW 1u   /* writable; read-only without it */
#define JAIL_BIND_EXEC 2u /* may be executed or mapped executable */
#define JAIL_BIND_DIR 4u  /* a directory with all below it; otherwise a file */

/* Something of the host that the VMM sees. nosuid, nodev always. Whether the
 * VMM's uid may open it is decided by the file's own owner and mode: the
 * directories on the way to it on the host do not matter. */
struct jail_bind {
	const char *src; /* absolute path on the host; NULL: use srcfd */
	int srcfd;       /* opened by this process, in its mount namespace */
	const char *dst; /* absolute path inside the jail; its parents are made */
	unsigned flags;  /* JAIL_BIND_* */
};

/* 0 in any of these = the default that the profile has. */
struct jail_limits {
	uint64_t tmp_bytes; /* /tmp, noexec. Default 16 MiB */
	uint64_t shm_bytes; /* /dev/shm; exec for UML, which keeps the guest's memory there. Default: no /dev/shm */
	uint64_t fsize;     /* largest file, bytes. Default 64 GiB */
	uint32_t nofile;    /* open files. Default 64 */
	uint64_t data;      /* private memory of one process, bytes. Default 256 MiB */
	uint32_t nproc;     /* processes and threads. UML: one per guest process. Default 1024; 16 for PLAIN */
};

#define JAIL_FDS 16
#define JAIL_BINDS 64
#define JAIL_UID_SAME ((uid_t)-1)

struct jail_spec {
	enum jail_profile profile;
	const char *exe;     /* host path of the program; inside it is /bin/BASENAME */
	const char *preload; /* host path of a shared object for LD_PRELOAD, or NULL; inside it is /lib/BASENAME */
	char *const *argv;
	char *const *envp; /* the whole environment (but LD_PRELOAD); NULL = empty */
	const struct jail_bind *binds;
	int nbinds;
	uid_t uid; /* root start: this machine's own uid (and gid); else JAIL_UID_SAME */
	int stdio; /* becomes 0, 1 and 2; -1: /dev/null does */
	const int *fds;
	int nfds; /* fds[i] becomes 3 + i inside */
	struct jail_limits limits;
	const int *cgroups; /* fds of cgroup.procs files (or v1 tasks), open for writing, that it joins first */
	int ncgroups;
	uint64_t caps; /* bits of capabilities that it keeps, in its own user namespace only; needs that. 0 = none */
	/* Called in the caller, once the program's network namespace is there (empty,
	 * netns is its fd, the callee's only until it returns) and before it is
	 * executed. A negative errno with e set ends the start. NULL: it stays empty. */
	int (*prepare)(void *arg, int netns, struct err *e);
	void *arg;
	unsigned off; /* JAIL_* layers to leave out; for the tests that prove each layer. 0 everywhere else */
};

struct jail {
	pid_t pid;         /* a direct child of the caller: waitpid it */
	int pidfd;         /* the caller closes it */
	unsigned in_force; /* JAIL_* of proto.h */
};

/*
 * Starts the program in its jail. The caller has CAP_SYS_ADMIN in its user
 * namespace and a mount namespace that belongs to it (root, or sandbox/userns).
 * Returns 0 only once the program has been executed: every failure on the way
 * comes back here as text, and then nothing of it is left. Takes a few ms.
 * All fds stay the caller's. A VMM that is killed by SIGSYS broke its seccomp
 * filter: that is an intrusion alarm. The VMM gets SIGKILL when the caller's
 * thread dies.
 *
 * Without user namespaces: started by root the jail does without JAIL_USERNS
 * and keeps all else; otherwise -ENOTSUP says what to do.
 */
int jail_start(const struct jail_spec *spec, struct jail *out, struct err *e);

/* The shared libraries and the loader that exe (and preload, may be NULL) need,
 * as absolute host paths, found by running the loader itself with --list (no
 * shell). A static program has none. Returns how many, or a negative errno;
 * the caller frees each and *paths. */
int jail_libraries(const char *exe, const char *preload, char ***paths, struct err *e);

#endif

/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. The order is forced: a user namespace gives the
 * capabilities with which the others are made; the empty root needs the mount
 * namespace; dropping the bounding set needs a capability; Landlock and seccomp
 * need no_new_privs, and seccomp comes last since it forbids all of this.
 *
 * super does not enter a user namespace: SO_PEERCRED translates the peer's uid
 * into the reader's namespace, and with only its own uid mapped root would look
 * like anybody. It gets its namespaces only if priv passed CAP_SYS_ADMIN on
 * (sandbox/caps); else Landlock, which knows no paths for it, and seccomp, which
 * has no open, keep it from files.
 *
 * An fd of a directory outside the new root (evidence) would allow "..": Landlock
 * forbids what is not below it.
 */
#include "sandbox/isolate.h"

#include "base/log.h"
#include "proto/proto.h"
#include "sandbox/caps.h"
#include "sandbox/isolate_filter.h"
#include "sandbox/landlock.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned in_force;

#ifdef SKEP_SANITIZE
/* LeakSanitizer looks at this process from a clone of it, through /proc: it has
 * neither any more. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return in_force != 0;
}
#endif

static const struct place {
	bool keep_userns;
	rlim_t nofile;
} places[ROLE_COUNT] = {
	[ROLE_SUPER] = { .keep_userns = true, .nofile = 4096 },
	[ROLE_GATEWAY] = { .nofile = 1024 },
	[ROLE_JUDGE] = { .nofile = 512 },
	[ROLE_VMM] = { .nofile = 64 },
	[ROLE_EVIDENCE] = { .nofile = 1024 },
	[ROLE_INTROSPECT] = { .nofile = 64 },
	[ROLE_SINKHOLE] = { .nofile = 320 },
	[ROLE_INSPECT] = { .nofile = 64 },
};

/* The process's root becomes an empty read-only tmpfs. */
static int empty_root(struct err *e)
{
	static const char *const spots[] = { "/tmp", "/run", "/usr", "/etc" };
	size_t i;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, -errno, "cannot make the mount namespace private");
	for (i = 0; i < sizeof(spots) / sizeof(spots[0]); i++)
		if (mount("tmpfs", spots[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  "size=4k,nr_inodes=2,mode=555") == 0)
			break;
	if (i == sizeof(spots) / sizeof(spots[0]))
		return err_sys(e, -errno, "cannot mount an empty root");
	if (chdir(spots[i]) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		return err_sys(e, -errno, "cannot enter the empty root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_sys(e, -errno, "cannot make the empty root read-only");
	return 0;
}

static int namespaces(const struct place *p, struct err *e)
{
	enum { OTHERS = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };
	bool admin = caps_admin() != 0;
	if (p->keep_userns && !admin)
		return 0;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (p->keep_userns) {
		if (unshare(OTHERS) < 0)
			return err_sys(e, -errno, "cannot make namespaces");
	} else {
		/* A changed uid makes /proc/self/uid_map root's. */
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		if (unshare(CLONE_NEWUSER | OTHERS) < 0) {
			int why = -errno;
			log_warn("no user namespaces (%s): Landlock, seccomp and capabilities only", userns_remedy());
			/* Anything else is no question of what the machine allows. */
			return why == -EPERM || why == -ENOSPC || why == -EINVAL || why == -EUSERS
				   ? 0
				   : err_sys(e, why, "cannot make namespaces");
		}
		int r = userns_map(uid, uid, gid, gid, e);
		if (r < 0)
			return r;
		in_force |= JAIL_USERNS;
	}
	int r = empty_root(e);
	if (r < 0)
		return r;
	in_force |= JAIL_MOUNTS | JAIL_NETNS;
	return 0;
}

static int limits(const struct place *p, struct err *e)
{
	struct {
		int what;
		rlim_t max;
	} const l[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_NOFILE, p->nofile },
	};
	for (size_t i = 0; i < sizeof(l) / sizeof(l[0]); i++) {
		struct rlimit now;
		if (getrlimit((__rlimit_resource_t)l[i].what, &now) < 0)
			return err_sys(e, -errno, "cannot read a resource limit");
		rlim_t max = l[i].max < now.rlim_max ? l[i].max : now.rlim_max;
		struct rlimit want = { max, max };
		if (setrlimit((__rlimit_resource_t)l[i].what, &want) < 0)
			return err_sys(e, -errno, "cannot set resource limit %d", l[i].what);
	}
	return 0;
}

static int landlock(const struct isolate_opts *o, struct err *e)
{
	struct landlock_allow below = { o->dirfd, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_MAKE };
	int r = landlock_apply(&below, o->dirfd >= 0, e);
	if (r == -ENOTSUP) {
		/* With a directory fd it is Landlock alone that forbids "..". */
		log_warn("no Landlock in this kernel: %s",
			 o->dirfd >= 0 ? "only the file permissions keep this process below its directory"
				       : "one layer less");
		return 0;
	}
	if (!r)
		in_force |= JAIL_LANDLOCK;
	return r;
}

#ifdef SKEP_SECCOMP_DEBUG
/* Says which call broke the filter, then dies as without it. */
static void violation(int sig, siginfo_t *si, void *ctx)
{
	(void)ctx;
	char *name = seccomp_syscall_resolve_num_arch(si->si_arch, si->si_syscall);
	log_error("seccomp: system call %d (%s) is not allowed", si->si_syscall, name ? name : "?");
	signal(sig, SIG_DFL);
	_exit(128 + SIGSYS);
}
#endif

static int filter(enum role role, struct err *e)
{
	struct seccomp_table tables[ISOLATE_TABLES];
	struct seccomp_program prog;
	int n = isolate_filter(role, tables);
	int r = seccomp_build(&prog, tables, n, e);
	if (r < 0)
		return r;
#ifdef SKEP_SECCOMP_DEBUG
	struct sigaction sa = { .sa_sigaction = violation, .sa_flags = SA_SIGINFO };
	sigaction(SIGSYS, &sa, NULL);
#endif
#ifndef MUTANT_ISOLATE_NO_SECCOMP
	r = seccomp_load_program(&prog, e);
#endif
	seccomp_free(&prog);
	if (!r)
		in_force |= JAIL_SECCOMP;
	return r;
}

int isolate_role(enum role role, const struct isolate_opts *o, struct err *e)
{
	struct seccomp_table tables[ISOLATE_TABLES];
	int r, bounded = 0;
	if (isolate_filter(role, tables) == 0)
		return err_set(e, -EINVAL, "role %s has no place to be put into", role_name(role));
	const struct place *p = &places[role];
	if ((r = namespaces(p, e)) < 0)
		return r;
#ifndef MUTANT_ISOLATE_KEEP_CAPS
	if ((r = caps_bound(&bounded, e)) < 0 || (r = caps_clear(e)) < 0)
		return r;
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, -errno, "cannot set no_new_privs");
	if (bounded)
		in_force |= JAIL_CAPS;
	if ((r = limits(p, e)) < 0)
		return r;
	bool confine = true;
#ifdef MUTANT_ISOLATE_NO_LANDLOCK
	confine = false;
#endif
	if (confine && (r = landlock(o, e)) < 0)
		return r;
	/* No core, no ptrace, no /proc/PID/mem by another process of this uid. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, -errno, "cannot become undumpable");
	return filter(role, e);
}

unsigned isolate_in_force(void)
{
	return in_force;
}

void isolate_probe(struct isolate_probe *out)
{
	out->userns = userns_probe();
	/* EFAULT says that filters are known: the argument is what was wrong. */
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL);
	out->seccomp = r < 0 && errno != EFAULT ? -errno : 0;
	out->landlock_abi = landlock_abi();
}

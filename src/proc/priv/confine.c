/* SPDX-License-Identifier: ISC */
/*
 * What priv itself gives up before it listens to anybody.
 *
 * Both kinds of start: an own mount namespace, in which nothing that we mount
 * reaches the host; an own, empty network namespace (the "hub", which holds at
 * most our ends of veth pairs), so that neither priv nor any of its children
 * can touch the host's network; no_new_privs. Rootless: first an own user
 * namespace, in which the capabilities below mean something.
 *
 * Capabilities that stay, in the effective, permitted and bounding sets:
 *   CHOWN         overlays to their VMM's uid, evidence to its writer's
 *   DAC_OVERRIDE  below directories that belong to those uids
 *   FOWNER        modes of overlays, removing them
 *   KILL          children under other uids
 *   SETUID SETGID SETPCAP   children drop to their uid and to no capability
 *   SYS_ADMIN     namespaces and mounts of jails and of the lab
 *   NET_ADMIN NET_RAW       interfaces of the lab, AF_PACKET ports
 *   SYS_PTRACE    /proc/PID/{fd,smaps_rollup} of children for PRIV_INSPECT
 */
#include "proc/priv/state.h"
#include "sandbox/caps.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP(c) (1ull << (c))
#define KEEP                                                                                                           \
	(CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER) | CAP(CAP_KILL) | CAP(CAP_SETUID) |                  \
	 CAP(CAP_SETGID) | CAP(CAP_SETPCAP) | CAP(CAP_SYS_ADMIN) | CAP(CAP_NET_ADMIN) | CAP(CAP_NET_RAW) |             \
	 CAP(CAP_SYS_PTRACE))

static int drop_bounds(uint64_t keep)
{
	for (int c = 0; c < 64; c++) {
		if (keep & CAP(c))
			continue;
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ .effective = (uint32_t)caps, .permitted = (uint32_t)caps },
		{ .effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32) },
	};
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

int confine_child(uid_t uid, bool admin, struct err *e)
{
	int r = drop_bounds(admin ? CAP(CAP_SYS_ADMIN) | CAP(CAP_SETPCAP) : 0);
	if (r == 0 && admin && (r = caps_keep(e)) < 0)
		return r;
#ifndef MUTANT_PRIV_UID
	if (r == 0 && uid != UID_SAME &&
	    (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
		r = -errno;
#endif
	if (r == 0 && admin)
		return caps_ambient(e);
	if (r == 0)
		r = set_caps(0);
	return r < 0 ? err_sys(e, r, "cannot drop privileges") : 0;
}

int confine_caps(struct err *e)
{
	int r = drop_bounds(KEEP);
	if (r == 0)
		r = set_caps(KEEP);
	if (r < 0)
		return err_sys(e, r, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, -errno, "cannot set no_new_privs");
	return 0;
}

int confine_namespaces(struct priv *p, struct err *e)
{
	if (!p->root) {
		int r = userns_enter(e);
		if (r < 0)
			return r;
	} else {
		if (unshare(CLONE_NEWNS) < 0)
			return err_sys(e, -errno, "cannot make a mount namespace");
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			return err_sys(e, -errno, "cannot make the mount namespace private");
	}
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, -errno, "cannot make a network namespace");
	return 0;
}

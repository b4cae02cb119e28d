/* SPDX-License-Identifier: ISC */
#include "probe/probe.h"
#include "cli/doctor.h"

#include "sandbox/isolate.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool root(void)
{
	return geteuid() == 0;
}

static int read_text(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t n = 0;
	ssize_t r;
	while (n < cap - 1 && (r = read(fd, buf + n, cap - 1 - n)) > 0)
		n += (size_t)r;
	buf[n] = 0;
	close(fd);
	return (int)n;
}

static void userns(struct findings *f)
{
	int r = userns_probe();
	if (!r)
		finding(f, "userns", FINDING_OK, NULL, "user namespaces work, for ordinary users too");
	else
		finding(f, "userns", root() ? FINDING_WARN : FINDING_MISSING, userns_remedy(),
			"no user namespace for %s: %s", root() ? "ordinary users (root does without)" : "you",
			strerror(-r));
}

static void isolation(struct findings *f)
{
	struct isolate_probe p;
	isolate_probe(&p);
	if (p.seccomp)
		finding(f, "seccomp", FINDING_MISSING, "use a kernel with CONFIG_SECCOMP_FILTER=y",
			"system calls cannot be filtered: %s", strerror(-p.seccomp));
	else
		finding(f, "seccomp", FINDING_OK, NULL, "system call filters work");
	if (p.landlock_abi > 0)
		finding(f, "landlock", FINDING_OK, NULL, "Landlock ABI %d", p.landlock_abi);
	else
		finding(f, "landlock", FINDING_WARN, "boot with landlock in lsm=, as in lsm=landlock,yama,apparmor,bpf",
			"no Landlock: one layer of the jail less, mount namespaces remain");
}

/* ---- cgroups: cgroups(7) --------------------------------------------------- */

static const char *const controllers[] = { "memory", "pids", "cpu", "freezer" };
#define CONTROLLERS 4

/* Where a v1 controller's hierarchy is mounted, or (ctl NULL) v2's: the 5th
 * field of mountinfo, by the type and the super options behind " - "
 * (proc_pid_mountinfo(5)). */
static bool mount_of(char *mountinfo, const char *ctl, char *dir, size_t cap)
{
	char *save = NULL;
	char *copy = strdup(mountinfo);
	bool found = false;
	for (char *l = copy ? strtok_r(copy, "\n", &save) : NULL; l && !found; l = strtok_r(NULL, "\n", &save)) {
		char at[512], type[32], opts[256];
		char *tail = strstr(l, " - ");
		if (!tail || sscanf(l, "%*s %*s %*s %*s %511s", at) != 1 ||
		    sscanf(tail + 3, "%31s %*s %255s", type, opts) != 2)
			continue;
		if (!ctl)
			found = !strcmp(type, "cgroup2");
		else if (!strcmp(type, "cgroup"))
			for (char *s = NULL, *o = strtok_r(opts, ",", &s); o && !found; o = strtok_r(NULL, ",", &s))
				found = !strcmp(o, ctl);
		if (found)
			snprintf(dir, cap, "%s", at);
	}
	free(copy);
	return found;
}

/* This process's group: "4:memory:/path" for v1, "0::/path" for v2. */
static bool own_group(const char *cgroup, const char *ctl, char *path, size_t cap)
{
	for (const char *l = cgroup; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
		char names[128] = "", at[512] = "";
		if (!ctl ? sscanf(l, "0::%511[^\n]", at) != 1 : sscanf(l, "%*d:%127[^:\n]:%511[^\n]", names, at) != 2)
			continue;
		bool mine = !ctl;
		for (char *s = NULL, *o = strtok_r(names, ",", &s); ctl && o; o = strtok_r(NULL, ",", &s))
			mine |= !strcmp(o, ctl);
		if (mine) {
			snprintf(path, cap, "%s", at);
			return true;
		}
	}
	return false;
}

/* Can a group be made below `dir`? Tried: rights alone do not tell it for
 * read-only mounts. */
static bool can_make(const char *dir)
{
	char path[1200];
	snprintf(path, sizeof(path), "%s/skep-doctor-%d", dir, (int)getpid());
	if (mkdir(path, 0700) < 0)
		return false;
	rmdir(path);
	return true;
}

static bool usable(char *mountinfo, const char *cgroup, const char *ctl, int *version)
{
	char at[512], own[512], dir[1100], list[512];
	/* In a cgroup namespace or a container, the own path may not exist below
	 * the mount: then its root is ours. */
	*version = 1;
	if (mount_of(mountinfo, ctl, at, sizeof(at)) && own_group(cgroup, ctl, own, sizeof(own))) {
		snprintf(dir, sizeof(dir), "%s%s", at, own);
		return can_make(dir) || can_make(at);
	}
	*version = 2;
	if (!mount_of(mountinfo, NULL, at, sizeof(at)) || !own_group(cgroup, NULL, own, sizeof(own)))
		return false;
	if (!strcmp(ctl, "freezer")) {
		snprintf(dir, sizeof(dir), "%s%s", at, own);
		return can_make(dir);
	}
	snprintf(dir, sizeof(dir), "%s%s/cgroup.controllers", at, own);
	if (read_text(dir, list, sizeof(list)) < 0)
		return false;
	bool there = false;
	for (char *s = NULL, *o = strtok_r(list, " \n", &s); o; o = strtok_r(NULL, " \n", &s))
		there |= !strcmp(o, ctl);
	snprintf(dir, sizeof(dir), "%s%s", at, own);
	return there && can_make(dir);
}

static void cgroups(struct findings *f)
{
	static char mountinfo[65536], cgroup[4096];
	char have[64] = "", lack[64] = "";
	int v1 = 0, v2 = 0;
	if (read_text("/proc/self/mountinfo", mountinfo, sizeof(mountinfo)) < 0 ||
	    read_text("/proc/self/cgroup", cgroup, sizeof(cgroup)) < 0) {
		finding(f, "cgroup", FINDING_WARN, "mount /proc", "cannot read /proc");
		return;
	}
	for (int i = 0; i < CONTROLLERS; i++) {
		int version;
		bool ok = usable(mountinfo, cgroup, controllers[i], &version);
		char *list = ok ? have : lack;
		size_t at = strlen(list);
		snprintf(list + at, sizeof(have) - at, "%s%s", at ? " " : "", controllers[i]);
		v1 += ok && version == 1;
		v2 += ok && version == 2;
	}
	if (!*lack)
		finding(f, "cgroup", FINDING_OK, NULL, "control groups (%s): %s", v2 ? v1 ? "v1 and v2" : "v2" : "v1",
			have);
	else
		finding(f, "cgroup", FINDING_WARN,
			root() ? "mount the missing controllers, see cgroups(7)"
			       : "start as root, or under `systemd-run --user --scope -p Delegate=yes skep up FILE`",
			"no control group for %s: machines are limited by rlimits only%s%s", lack,
			*have ? "; have " : "", have);
}

/* ---- the rest -------------------------------------------------------------- */

/* A real try, since kernel versions, capabilities, lockdown and the build all have a say. */
static void watching(struct findings *f)
{
	struct err e = { 0 };
	if (!root()) {
		finding(f, "probes", FINDING_WARN, "start as root",
			"BPF probes on guests are for root only: guests are watched by hooks");
		return;
	}
	if (probe_try(&e) == 0)
		finding(f, "probes", FINDING_OK, NULL, "BPF probes work: one was placed and ran");
	else
		finding(f, "probes", FINDING_WARN, NULL, "no BPF probes, guests are watched by hooks: %.200s", e.text);
}

static void ptracing(struct findings *f)
{
	char v[16];
	if (read_text("/proc/sys/kernel/yama/ptrace_scope", v, sizeof(v)) > 0 && *v == '3')
		finding(f, "ptrace", FINDING_MISSING, "reboot with kernel.yama.ptrace_scope below 3",
			"ptrace is switched off for good: User Mode Linux cannot run");
	else
		finding(f, "ptrace", FINDING_OK, NULL, "a process may trace its children");
}

void doctor_kernel(struct findings *f)
{
	userns(f);
	isolation(f);
	cgroups(f);
	ptracing(f);
	watching(f);
}

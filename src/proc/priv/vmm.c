/* SPDX-License-Identifier: ISC */
/*
 * Machines: from typed values to a VMM in its jail. super sends the fds; each
 * must be what its place in the list says, and the disks must be those that
 * PRIV_DISK opened for this very slot: a compromised super could otherwise
 * have any file that it can name mounted into a jail.
 */
#include "base/log.h"
#include "base/text.h"
#include "proc/priv/state.h"
#include "sandbox/cgroup.h"
#include "sandbox/jail.h"
#include "sandbox/uml_args.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (1ull << 20)
#define VMM_PIDS 1024 /* one for each process of the guest, and a few */

enum vmm_fd { FD_FRAMES, FD_CONSOLE, FD_CONTROL, FD_OVERLAY, FD_BASE, FD_COUNT, FD_RING = FD_COUNT, FD_PLAN, FD_HOOKS };

static bool is_socket(int fd, int want)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(int), k = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &k) == 0 && domain == AF_UNIX && type == want;
}

static bool is_file(int fd, uint64_t dev, uint64_t ino, int mode)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) == mode && fstat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode) && st.st_dev == dev && st.st_ino == ino;
}

/* Memory that cannot shrink under its other user; `seals` more of it. */
static bool is_memory(int fd, int mode, int seals)
{
	int have = fcntl(fd, F_GET_SEALS), flags = fcntl(fd, F_GETFL), need = F_SEAL_SHRINK | F_SEAL_GROW | seals;
#ifdef MUTANT_PRIV_HOOK_FDS
	need = 0, have = 0;
#endif
	return have >= 0 && (have & need) == need && flags >= 0 && (flags & O_ACCMODE) == mode;
}

static int check_fds(struct priv *p, const struct msg *m, uint32_t slot, struct err *e)
{
	const struct disk_id *d = &p->disks[slot];
	if (m->nfds != FD_COUNT && m->nfds != FD_HOOKS)
		return err_set(e, -EINVAL, "a machine needs %d fds, or %d with hooks, got %d", FD_COUNT, FD_HOOKS,
			       m->nfds);
	if (!is_socket(m->fds[FD_FRAMES], SOCK_SEQPACKET) || !is_socket(m->fds[FD_CONSOLE], SOCK_STREAM) ||
	    !is_socket(m->fds[FD_CONTROL], SOCK_DGRAM))
		return err_set(e, -EINVAL, "frames, console or control of a machine is not the socket it should be");
#ifndef MUTANT_PRIV_DISK_FD
	if (!is_file(m->fds[FD_OVERLAY], d->overlay_dev, d->overlay_ino, O_RDWR) ||
	    !is_file(m->fds[FD_BASE], d->base_dev, d->base_ino, O_RDONLY))
		return err_set(e, -EPERM, "the disks are not those that were opened for slot %u", slot);
#endif
	if (m->nfds == FD_HOOKS &&
	    (!is_memory(m->fds[FD_RING], O_RDWR, 0) || !is_memory(m->fds[FD_PLAN], O_RDWR, F_SEAL_WRITE)))
		return err_set(e, -EINVAL, "ring or plan of the hooks of slot %u is not the sealed memory it should be",
			       slot);
	return 0;
}

static int check(struct priv *p, const struct priv_vmm *v, struct err *e)
{
	if (v->slot >= MODEL_HONEYPOTS || v->cpus > 64)
		return err_set(e, -ERANGE, "machine: slot %u, %u cpus", v->slot, v->cpus);
	if (v->backend >= BACKEND_COUNT)
		return err_set(e, -ERANGE, "machine: no backend %u", v->backend);
	if (v->backend != BACKEND_UML)
		return err_set(e, -ENOTSUP, "backend %s is not there yet: use uml", backend_name(v->backend));
	if (!MSG_TEXT(v->honeypot) || strcmp(v->honeypot, p->disks[v->slot].honeypot))
		return err_set(e, -EINVAL, "machine: slot %u has no disk of that honeypot", v->slot);
	if (p->vmms[v->slot].pid)
		return err_set(e, -EEXIST, "%s runs already (pid %d)", v->honeypot, p->vmms[v->slot].pid);
	for (uint32_t i = 0; i < MODEL_HONEYPOTS; i++)
		if (p->vmms[i].pid && p->disks[i].overlay_ino == p->disks[v->slot].overlay_ino)
			return err_set(e, -EBUSY, "the disk of %s is in use", v->honeypot);
	return 0;
}

/* The preload library: next to our own binary in the build tree, else where it
 * is installed. */
static int find_shim(char *buf, size_t cap, struct err *e)
{
	static const char *const places[] = { "", "../lib/skep/", "../lib/x86_64-linux-gnu/skep/", "../lib64/skep/" };
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return err_sys(e, -errno, "cannot read /proc/self/exe");
	exe[n] = 0;
	*(strrchr(exe, '/') + 1) = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int k = snprintf(buf, cap, "%s%s" UML_SHIM_NAME, exe, places[i]);
		if (k > 0 && (size_t)k < cap && access(buf, R_OK) == 0)
			return 0;
	}
	return err_set(e, -ENOENT, "%s is missing next to %s: install or build skep again", UML_SHIM_NAME, exe);
}

/* Memory that the VMM needs besides the guest's own: page tables and kernel
 * stacks of one host process for each process of the guest. */
static uint64_t memory_limit(uint64_t guest)
{
	return guest + guest / 4 + 96 * MIB;
}

/* Its control group, if there is one to be had; a failure is said and costs
 * the limits only. Returns how many fds the jail must join. */
static int group_make(struct priv *p, const struct priv_vmm *v, int fds[CG_COUNT])
{
	char name[16];
	struct err e;
	if (!p->groups.have)
		return 0;
	struct cgroup *g = &p->group[v->slot];
	const struct cgroup_limits limits = { .memory = memory_limit(v->memory),
					      .pids = VMM_PIDS,
					      .cpu_percent = v->cpus * 100 };
	snprintf(name, sizeof(name), "vm-%u", v->slot);
	int n = cgroup_make(g, &p->groups, name, &e);
	if (n == 0)
		n = cgroup_limit(g, &limits, &e);
	if (n == 0)
		n = cgroup_join_fds(g, fds, &e);
	if (n >= 0)
		return n;
	log_warn("%s: %s", v->honeypot, e.text);
	return 0;
}

int verb_vmm(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_vmm *v = MSG_BODY_AS(m, priv_vmm);
	struct uml_args args;
	struct jail jail = { .pid = 0 };
	char shim[4200];
	int x;
	if ((x = check(p, v, e)) < 0 || (x = check_fds(p, m, v->slot, e)) < 0 || (x = uml_args(v, &args, e)) < 0 ||
	    (x = find_shim(shim, sizeof(shim), e)) < 0)
		return x;
	if (access(UML_PROGRAM, X_OK) < 0)
		return err_set(e, -ENOENT, UML_PROGRAM " is missing; run: apt-get install user-mode-linux");
	int groups[CG_COUNT], ngroups = group_make(p, v, groups);
	const struct jail_bind binds[] = {
		{ .srcfd = m->fds[FD_OVERLAY], .dst = UML_OVERLAY, .flags = JAIL_BIND_RW },
		{ .srcfd = m->fds[FD_BASE], .dst = UML_BASE },
	};
	/* The disks go in as files. The library that places the hooks maps the last
	 * two and closes them before the kernel runs. */
	const int fds[] = { [UML_FD_FRAMES - 3] = m->fds[FD_FRAMES],
			    [UML_FD_CONSOLE - 3] = m->fds[FD_CONSOLE],
			    [UML_FD_CONTROL - 3] = m->fds[FD_CONTROL],
			    [UML_FD_RING - 3] = m->nfds == FD_HOOKS ? m->fds[FD_RING] : -1,
			    [UML_FD_PLAN - 3] = m->nfds == FD_HOOKS ? m->fds[FD_PLAN] : -1 };
	const struct jail_spec spec = {
		.profile = JAIL_PROFILE_UML,
		.exe = UML_PROGRAM,
		.preload = shim,
		.argv = args.argv,
		.envp = args.envp,
		.binds = binds,
		.nbinds = 2,
		.uid = p->root ? p->uid_base + UID_VMM + v->slot : JAIL_UID_SAME,
		.stdio = -1,
		.fds = fds,
		.nfds = m->nfds == FD_HOOKS ? 5 : 3,
		.cgroups = groups,
		.ncgroups = ngroups,
		.limits = { .shm_bytes = v->memory + 16 * MIB, .nproc = VMM_PIDS },
	};
	x = jail_start(&spec, &jail, e);
	for (int i = 0; i < ngroups; i++)
		close(groups[i]);
	if (x < 0) {
		vmm_gone(p, v->slot);
		return err_prefix(e, "%s", v->honeypot);
	}
	p->vmms[v->slot] = (struct child){ .pid = jail.pid, .role = ROLE_VMM, .slot = v->slot, .vmm = true };
	r->done.pid = jail.pid;
	r->done.jail = jail.in_force;
	/* Those that have hooks need none. */
	r->done.kind = m->nfds == FD_COUNT && probe_begin(p, v->slot);
	r->fds[0] = jail.pidfd;
	r->nfds = 1;
	log_info("machine %s (slot %u) started, pid %d", v->honeypot, v->slot, jail.pid);
	return 0;
}

/* True once the process runs the guest's kernel: not the jail's own start. */
static bool is_kernel(int proc)
{
	struct stat exe, kernel;
	return fstatat(proc, "exe", &exe, 0) == 0 && stat(UML_PROGRAM, &kernel) == 0 && exe.st_dev == kernel.st_dev &&
	       exe.st_ino == kernel.st_ino;
}

/* The memory of a machine, for its introspect process: to read, never to write. */
int verb_memory(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_memory *q = MSG_BODY_AS(m, priv_memory);
	char path[32];
	if (q->slot >= MODEL_HONEYPOTS)
		return err_set(e, -ERANGE, "no slot %u", q->slot);
	const struct child *c = &p->vmms[q->slot];
	if (!c->pid)
		return err_set(e, -ESRCH, "no machine of slot %u runs", q->slot);
	/* Its number cannot become another's: we have not reaped it. */
	snprintf(path, sizeof(path), "/proc/%d", c->pid);
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return err_sys(e, -errno, "cannot open %s", path);
	int fd = -1, pidfd = -1, x = 0;
	if (!is_kernel(proc))
		x = err_set(e, -EAGAIN, "the machine of slot %u does not run its kernel", q->slot);
	else if ((fd = openat(proc, "mem", O_RDONLY | O_CLOEXEC)) < 0)
		x = err_sys(e, -errno, "cannot read the memory of the machine of slot %u", q->slot);
	else if ((pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0)) < 0)
		x = err_sys(e, -errno, "cannot watch the machine of slot %u", q->slot);
	close(proc);
	if (x < 0) {
		if (fd >= 0)
			close(fd);
		return x;
	}
	r->done.pid = c->pid;
	r->fds[0] = fd;
	r->fds[1] = pidfd;
	r->nfds = 2;
	return 0;
}

/* All that ran in it is dead: its pid namespace went with it. */
void vmm_gone(struct priv *p, uint32_t slot)
{
	struct err e;
	struct cgroup *g = &p->group[slot];
	probe_end(p, slot);
	if (g->have && cgroup_remove(g, &e) < 0)
		log_warn("%s", e.text);
	*g = (struct cgroup){ 0 };
}

void vmm_groups_start(struct priv *p)
{
	struct err e;
	char name[NAME_CAP + 32];
	struct stat st = { 0 };
	/* Two installations may have a honeynet of the same name; and the next
	 * run must find what a killed one left. */
	fstat(p->run_fd, &st);
	snprintf(name, sizeof(name), "skep-%s-%llx", p->name, (unsigned long long)st.st_ino);
	if (cgroup_root(&p->groups, name, &e) < 0) {
		p->groups = (struct cgroup){ 0 };
		log_warn("%s", e.text);
		return;
	}
	/* What a killed run left behind is empty, since all of it was killed. */
	for (uint32_t i = 0; i < MODEL_HONEYPOTS; i++) {
		struct cgroup old = p->groups;
		bool there = false;
		for (int c = 0; c < CG_COUNT; c++) {
			size_t n = strlen(old.path[c]);
			if (!n)
				continue;
			snprintf(old.path[c] + n, sizeof(old.path[c]) - n, "/vm-%u", i);
			there |= access(old.path[c], F_OK) == 0;
		}
		if (there && cgroup_remove(&old, &e) < 0)
			log_warn("%s", e.text);
	}
}

void vmm_groups_end(struct priv *p)
{
	struct err e;
	if (p->groups.have && cgroup_remove(&p->groups, &e) < 0)
		log_warn("%s", e.text);
	p->groups = (struct cgroup){ 0 };
}

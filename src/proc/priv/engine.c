/* SPDX-License-Identifier: ISC */
/*
 * The inline engine's place: a network namespace with two interfaces and no
 * address, whose other ends are port fds for the gateway.
 *
 * Suricata: the namespace belongs to its jail's user namespace, in which it keeps
 * CAP_NET_RAW and nothing else; with it the interfaces go. Its configuration and
 * its rules are bytes that super hands over; they stand in files for the moment
 * of the start, of which the jail keeps the mounts. It reports by datagrams to a
 * socket that only the jail can name.
 *
 * Interfaces: the namespace is ours and stays; the operator runs an appliance in
 * it (PRIV_LAB_FDS of the engine).
 *
 * Frames that the kernel would send of its own are switched off: no ARP, no IPv6.
 */
#include "base/log.h"
#include "base/text.h"
#include "model/suricata.h"
#include "proc/priv/hub.h"
#include "proc/priv/netlink.h"
#include "proc/priv/state.h"
#include "sandbox/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_BYTES (256u << 20) /* of the rules */
#define ENGINE_MEMORY (2048ull << 20)
#define ENGINE_PIDS 64
#define HUB_INDEX 1200u /* of the veth ends here: see UP_INDEX in lab.c */

struct furnish {
	struct priv *p;
	const char *names[2];
	int ports[2];
	uint32_t kind;
};

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void hub_name(unsigned i, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "engine%u", i);
}

/* Our end of a veth pair, with its packet socket. */
static int pair_make(unsigned i, const char *name, int netns, struct err *e)
{
	char up[IFNAMSIZ];
	uint8_t mac[6];
	hub_name(i, up);
	mac_auto("engine", up, mac);
	return hub_veth(up, HUB_INDEX + i, name, mac, netns, e);
}

static int inside(struct furnish *f, bool taps, struct err *e)
{
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;
	if (sk < 0)
		return err_sys(e, -errno, "cannot make a socket");
	for (unsigned i = 0; i < 2 && !r; i++) {
		if (!taps && (r = nl_offloads_off(sk, f->names[i])) < 0)
			err_sys(e, r, "cannot switch off the offloads of %s", f->names[i]);
		if (!r)
			r = hub_wake(sk, f->names[i], e);
	}
	close(sk);
	return r;
}

static int furnish(void *arg, int netns, struct err *e)
{
	struct furnish *f = arg;
	int hub = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), r = 0;
	if (hub < 0)
		return err_sys(e, -errno, "cannot open /proc/self/ns/net");
	if (setns(netns, CLONE_NEWNET) < 0) {
		r = err_sys(e, -errno, "cannot enter the engine's network namespace");
		close(hub);
		return r;
	}
	lab_sysctl("ipv4/ip_forward", "0");
	lab_sysctl("ipv6/conf/all/disable_ipv6", "1");
	lab_sysctl("ipv6/conf/default/disable_ipv6", "1");
	bool taps = true;
	for (unsigned i = 0; i < 2 && taps; i++) {
		f->ports[i] = lab_open_tap(f->names[i]);
		taps = f->ports[i] >= 0;
	}
	f->kind = taps ? PORT_TAP : PORT_PACKET;
	if (taps) {
		r = inside(f, true, e);
		if (setns(hub, CLONE_NEWNET) < 0 && !r)
			r = err_sys(e, -errno, "cannot leave the engine's network namespace");
		close(hub);
		return r;
	}
	drop(&f->ports[0]);
	if (setns(hub, CLONE_NEWNET) < 0)
		r = err_sys(e, -errno, "cannot leave the engine's network namespace");
	for (unsigned i = 0; i < 2 && !r; i++) {
		f->ports[i] = pair_make(i, f->names[i], netns, e);
		r = f->ports[i] < 0 ? f->ports[i] : 0;
	}
	if (!r && setns(netns, CLONE_NEWNET) < 0)
		r = err_sys(e, -errno, "cannot enter the engine's network namespace");
	if (!r) {
		r = inside(f, false, e);
		if (setns(hub, CLONE_NEWNET) < 0 && !r)
			r = err_sys(e, -errno, "cannot leave the engine's network namespace");
	}
	close(hub);
	return r;
}

/* ---- Suricata's files ---------------------------------------------------------- */

static int copy_in(int dir, const char *name, int from, struct err *e)
{
	static char room[65536];
	struct stat st;
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_BYTES)
		return err_set(e, -EINVAL, "the engine's %s is no memory, or too large", name);
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the engine's file %s", name);
	int r = fchmod(fd, 0644) < 0 ? -errno : 0;
	for (off_t at = 0; !r && at < st.st_size;) {
		ssize_t n = pread(from, room, sizeof(room), at);
		if (n <= 0 || write(fd, room, (size_t)n) != n)
			r = -EIO;
		else
			at += n;
	}
	close(fd);
	return r ? err_sys(e, r, "cannot write the engine's file %s", name) : 0;
}

static int reports_socket(int dir, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "reports" };
	int size = 4 << 20;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the socket of the engine's reports");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	unlinkat(dir, "reports", 0);
	int r = 0;
	if (fchdir(dir) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    fchmodat(dir, "reports", 0666, 0) < 0)
		r = err_sys(e, -errno, "cannot make the socket of the engine's reports");
	if (chdir("/") < 0 && !r)
		r = err_sys(e, -errno, "cannot change to /");
	if (r)
		close(fd);
	return r ? r : fd;
}

static void remove_files(struct priv *p, int dir)
{
	static const char *const names[] = { "suricata.yaml", "rules", "reports" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	unlinkat(p->run_fd, "engine", AT_REMOVEDIR);
}

static int group_make(struct priv *p, int fds[CG_COUNT])
{
	const struct cgroup_limits limits = { .memory = ENGINE_MEMORY, .pids = ENGINE_PIDS, .cpu_percent = 200 };
	struct err e;
	if (!p->groups.have)
		return 0;
	int n = cgroup_make(&p->engine_group, &p->groups, "engine", &e);
	if (n == 0)
		n = cgroup_limit(&p->engine_group, &limits, &e);
	if (n == 0)
		n = cgroup_join_fds(&p->engine_group, fds, &e);
	if (n < 0)
		log_warn("engine: %s", e.text);
	return n < 0 ? 0 : n;
}

static int jail_it(struct priv *p, int dir, int out, struct furnish *f, struct jail *jail, struct err *e)
{
	static char *const argv[] = {
		(char *)"suricata",    (char *)"-c", (char *)SURICATA_YAML, (char *)"-S", (char *)SURICATA_RULES,
		(char *)"--af-packet", NULL
	};
	static char *const env[] = { (char *)"HOME=/tmp", (char *)"TZ=UTC", NULL };
	struct jail_bind binds[6];
	int files[3], n = 0, r = 0;
	static const struct {
		const char *name, *dst;
		unsigned flags;
	} own[3] = { { "suricata.yaml", SURICATA_YAML, 0 },
		     { "rules", SURICATA_RULES, 0 },
		     { "reports", SURICATA_REPORTS, JAIL_BIND_RW } };
	static const char *const packaged[] = { "classification.config", "reference.config" };
	static char paths[2][64];
	for (int i = 0; i < 3; i++) {
		files[i] = openat(dir, own[i].name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (files[i] < 0)
			r = err_sys(e, -errno, "cannot open the engine's file %s", own[i].name);
		binds[n++] = (struct jail_bind){ .srcfd = files[i], .dst = own[i].dst, .flags = own[i].flags };
	}
	for (int i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", SURICATA_DIR, packaged[i]);
		if (access(paths[i], R_OK) == 0)
			binds[n++] = (struct jail_bind){ .src = paths[i], .srcfd = -1, .dst = paths[i] };
	}
	int groups[CG_COUNT], ngroups = group_make(p, groups);
	const struct jail_spec spec = { .profile = JAIL_PROFILE_SURICATA,
					.exe = SURICATA_PROGRAM,
					.argv = argv,
					.envp = env,
					.binds = binds,
					.nbinds = n,
					.uid = p->root ? p->uid_base + UID_ENGINE : JAIL_UID_SAME,
					.stdio = out,
					.cgroups = groups,
					.ncgroups = ngroups,
					.caps = 1ull << CAP_NET_RAW,
					.prepare = furnish,
					.arg = f };
	if (!r)
		r = jail_start(&spec, jail, e);
	for (int i = 0; i < ngroups; i++)
		close(groups[i]);
	for (int i = 0; i < 3; i++)
		drop(&files[i]);
	return r;
}

static int start_suricata(struct priv *p, struct msg *m, struct furnish *f, int *reports, struct jail *jail,
			  struct err *e)
{
	if (m->nfds != 3)
		return err_set(e, -EINVAL, "the engine needs its configuration, its rules and its output, got %d fds",
			       m->nfds);
	if (access(SURICATA_PROGRAM, X_OK) < 0)
		return err_set(e, -ENOENT,
			       SURICATA_PROGRAM " is missing: install suricata 7 (Debian 12: from bookworm-backports), "
						"or use no policy with inspect");
	int dir = setup_dir_at(p->run_fd, "engine", "the engine's directory", e);
	if (dir < 0)
		return dir;
	int r = copy_in(dir, "suricata.yaml", m->fds[0], e);
	if (!r)
		r = copy_in(dir, "rules", m->fds[1], e);
	if (!r) {
		*reports = reports_socket(dir, e);
		r = *reports < 0 ? *reports : 0;
	}
	if (!r)
		r = jail_it(p, dir, m->fds[2], f, jail, e);
	/* The jail has its own mounts of them. */
	remove_files(p, dir);
	close(dir);
	return r;
}

/* ---- an appliance of the operator's --------------------------------------------- */

static int make_ns(struct priv *p, struct furnish *f, struct err *e)
{
	int hub = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), r = 0;
	if (hub < 0 || unshare(CLONE_NEWNET) < 0)
		r = err_sys(e, -errno, "cannot make the engine's network namespace");
	if (!r && (p->engine_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) < 0)
		r = err_sys(e, -errno, "cannot open /proc/self/ns/net");
	if (hub >= 0 && setns(hub, CLONE_NEWNET) < 0 && !r)
		r = err_sys(e, -errno, "cannot leave the engine's network namespace");
	drop(&hub);
	return r ? r : furnish(f, p->engine_ns, e);
}

static bool name_ok(const char name[ENGINE_IF_CAP])
{
	return memchr(name, 0, ENGINE_IF_CAP) && name[0] && strcmp(name, "lo") && strcmp(name, ".") &&
	       strcmp(name, "..") && !strpbrk(name, "/: %\t\n");
}

/* ---- verbs --------------------------------------------------------------------- */

void engine_end(struct priv *p)
{
	struct err e;
	drop(&p->engine_ns);
	if (p->engine_group.have && cgroup_remove(&p->engine_group, &e) < 0)
		log_warn("%s", e.text);
	p->engine_group = (struct cgroup){ 0 };
}

int verb_engine(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_engine *v = MSG_BODY_AS(m, priv_engine);
	struct furnish f = { .p = p, .names = { SURICATA_IN, SURICATA_OUT }, .ports = { -1, -1 } };
	struct jail jail = { .pid = 0, .pidfd = -1 };
	int reports = -1, x;
	if (p->engine.pid)
		return err_set(e, -EEXIST, "the engine runs already (pid %d)", p->engine.pid);
	engine_end(p);
	switch (v->kind) {
	case ENGINE_KIND_SURICATA:
		x = start_suricata(p, m, &f, &reports, &jail, e);
		break;
	case ENGINE_KIND_INTERFACES:
		if (!name_ok(v->interfaces[0]) || !name_ok(v->interfaces[1]) ||
		    !strcmp(v->interfaces[0], v->interfaces[1]))
			return err_set(e, -EINVAL, "the engine's interfaces need two different names");
		f.names[0] = v->interfaces[0];
		f.names[1] = v->interfaces[1];
		x = make_ns(p, &f, e);
		break;
	default:
		return err_set(e, -ERANGE, "no engine of kind %u", v->kind);
	}
	drop(&jail.pidfd);
	if (x < 0) {
		drop(&f.ports[0]);
		drop(&f.ports[1]);
		drop(&reports);
		engine_end(p);
		return x;
	}
	if (jail.pid)
		p->engine = (struct child){ .pid = jail.pid, .role = ROLE_INSPECT, .vmm = true };
	r->done.pid = jail.pid;
	r->done.jail = jail.in_force;
	r->done.kind = f.kind;
	r->fds[r->nfds++] = f.ports[0];
	r->fds[r->nfds++] = f.ports[1];
	if (reports >= 0)
		r->fds[r->nfds++] = reports;
	log_info("inline engine started, pid %d", jail.pid);
	return 0;
}

int verb_engine_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	(void)m, (void)r, (void)e;
	if (p->engine.pid)
		spawn_kill(&p->engine);
	else
		engine_end(p);
	return 0;
}

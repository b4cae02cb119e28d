/* SPDX-License-Identifier: ISC */
/*
 * Runs the evil VMM in the jail, one attack in each start, by root and
 * rootless. `escape full`: nothing may work. `escape layers`: the same with
 * layers left out, against the table of what each layer stops alone; `escape
 * print` prints that table as this machine has it.
 */
#include "evil.h"
#include "victims.h"

#include "escape_table.h"

#include "sandbox/cgroup.h"
#include "sandbox/inspect.h"
#include "sandbox/jail.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS (JAIL_USERNS | JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS)

static const struct {
	const char *name;
	unsigned off;
} configs[CONFIGS] = {
	{ "full", 0 },
	{ "no-seccomp", JAIL_SECCOMP },
	{ "no-ns", NS },
	{ "no-landlock", JAIL_LANDLOCK },
	{ "only-seccomp", NS | JAIL_LANDLOCK },
	{ "only-ns", JAIL_SECCOMP | JAIL_LANDLOCK },
	{ "only-landlock", JAIL_SECCOMP | NS },
	{ "bare", JAIL_SECCOMP | NS | JAIL_LANDLOCK },
};

static struct victims v;
static struct cgroup group;
static bool have_group;
static int fds[3];
static int test_number, failures;

static void tap(bool ok, const char *mode, const char *what, const char *why)
{
	printf("%sok %d - %s: %s%s%s\n", ok ? "" : "not ", ++test_number, mode, what, *why ? " # " : "", why);
	fflush(stdout);
	failures += !ok;
}

/* Starts the evil VMM; 0, or -errno with the reason printed. */
static int start(const char *attack, unsigned off, struct jail *j)
{
	char text[EVIL_ARGC][32], disk[160], helper[160];
	struct err e = { 0 };
	snprintf(text[EVIL_VICTIM_PID], 32, "%d", v.pid);
	snprintf(text[EVIL_TCP], 32, "%d", v.tcp_port);
	snprintf(text[EVIL_KEY], 32, "%d", v.key);
	char *argv[] = { v.evil,     (char *)attack, text[EVIL_VICTIM_PID], v.file,     v.unix_path,
			 v.abstract, text[EVIL_TCP], text[EVIL_KEY],        v.hostname, (char *)"3",
			 NULL };
	snprintf(disk, sizeof(disk), "EVIL_DISK=%s", v.disk);
	snprintf(helper, sizeof(helper), "EVIL_HELPER=%s", v.helper);
	char *envp[] = { disk, helper, NULL };
	struct jail_bind binds[] = {
		{ .src = v.disk, .dst = EVIL_DISK, .flags = JAIL_BIND_RW },
		{ .src = v.base, .dst = EVIL_BASE },
		{ .src = v.helper, .dst = EVIL_HELPER, .flags = JAIL_BIND_EXEC },
	};
	int cg[CG_COUNT], ncg = have_group ? cgroup_join_fds(&group, cg, &e) : 0;
	struct jail_spec s = {
		.profile = JAIL_PROFILE_UML,
		.exe = v.evil,
		.argv = argv,
		.envp = envp,
		.binds = binds,
		.nbinds = 3,
		.uid = v.rootless ? JAIL_UID_SAME : v.uid,
		.stdio = -1,
		.fds = fds,
		.nfds = 3,
		.limits = { .shm_bytes = 32 << 20, .fsize = EVIL_FSIZE, .nproc = EVIL_NPROC },
		.cgroups = cg,
		.ncgroups = ncg > 0 ? ncg : 0,
		.off = off,
	};
	int r = jail_start(&s, j, &e);
	for (int i = 0; i < ncg; i++)
		close(cg[i]);
	if (r < 0)
		printf("# %s: %s\n", attack, e.text);
	return r;
}

/* '.' it did not work, 'W' it did, '?' the test itself is at fault; why says how. */
static char attack(const char *name, unsigned off, char *why, size_t cap)
{
	struct jail j;
	int st = 0;
	*why = 0;
	if (start(name, off, &j) < 0) {
		snprintf(why, cap, "the jail did not start");
		return '?';
	}
	struct pollfd pf = { .fd = j.pidfd, .events = POLLIN };
	int ended = poll(&pf, 1, 15000);
	kill(j.pid, SIGKILL);
	waitpid(j.pid, &st, 0);
	/* Without a pid namespace its children are ours to end: its session. */
	kill(-j.pid, SIGKILL);
	close(j.pidfd);
	if (ended != 1) {
		snprintf(why, cap, "did not end");
		return '?';
	}
	if (WIFEXITED(st) && WEXITSTATUS(st) == EVIL_WORKED)
		return 'W';
	if (WIFEXITED(st) && WEXITSTATUS(st) == EVIL_DENIED)
		return '.';
	if (WIFSIGNALED(st) && (WTERMSIG(st) == SIGSYS || WTERMSIG(st) == SIGKILL || WTERMSIG(st) == SIGXFSZ)) {
		snprintf(why, cap, "killed by SIG%s", sigabbrev_np(WTERMSIG(st)));
		return '.';
	}
	snprintf(why, cap, "status 0x%x", (unsigned)st);
	return '?';
}

static const struct pinned *pinned_of(const char *name)
{
	for (const struct pinned *p = escape_table; p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

static void full(const char *mode, const struct attack *a)
{
	char why[96];
	char got = attack(a->name, 0, why, sizeof(why));
	const struct pinned *p = pinned_of(a->name);
	/* What only a control group stops works where there is none: said, not hidden. */
	bool known = got == 'W' && v.rootless && !have_group && p && p->rootless[0] == 'W';
	if (known)
		snprintf(why, sizeof(why), "works without control groups, as SECURITY.md says");
	tap(got == '.' || known, mode, a->name, why);
}

static void layers(const char *mode, const struct attack *a)
{
	char got[CONFIGS + 1] = { 0 }, why[CONFIGS][96], text[256];
	const struct pinned *p = pinned_of(a->name);
	if (!p) {
		tap(false, mode, a->name, "not in escape_table.h");
		return;
	}
	const char *want = v.rootless ? p->rootless : p->root;
	bool ok = true;
	size_t n = 0;
	text[0] = 0;
	for (int c = 0; c < CONFIGS; c++)
		got[c] = attack(a->name, configs[c].off, why[c], sizeof(why[c]));
	for (int c = 0; c < CONFIGS; c++) {
		/* What this machine cannot do at all tells nothing. */
		bool fine = got[c] == want[c] || (got[c] == '.' && got[CONFIGS - 1] == '.');
		if (!fine && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s: %c not %c %s; ", configs[c].name, got[c],
					      want[c], why[c]);
		ok &= fine;
	}
	tap(ok, mode, a->name, text);
}

static void print(const char *mode, const struct attack *a)
{
	char got[CONFIGS + 1] = { 0 }, why[96];
	for (int c = 0; c < CONFIGS; c++)
		got[c] = attack(a->name, configs[c].off, why, sizeof(why));
	printf("%s %s %s\n", mode, a->name, got);
	fflush(stdout);
}

/* Calls fn for each attack that the evil VMM has. */
static void each(const char *mode, const char *only, void (*fn)(const char *, const struct attack *))
{
	static char list[16384];
	char *save = NULL, *argv[] = { v.evil, (char *)"--list", NULL };
	size_t n = 0;
	ssize_t got;
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		execv(v.evil, argv);
		_exit(127);
	}
	close(p[1]);
	while ((got = read(p[0], list + n, sizeof(list) - 1 - n)) > 0)
		n += (size_t)got;
	close(p[0]);
	waitpid(pid, NULL, 0);
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!only || !strcmp(only, line))
			fn(mode, &(struct attack){ .name = line });
}

/* Invariant 9, seen from outside, of every thread. */
struct seen {
	int threads, wrong;
	char text[256];
};

static void look(void *arg, const struct rep_thread *t)
{
	struct seen *s = arg;
	s->threads++;
	bool fine = t->seccomp == 2 && t->no_new_privs == 1 && t->capbnd == 0 && t->capeff == 0 && t->nfds == 6 &&
		    !strncmp(t->fds, "0:/dev/null 1:/dev/null 2:/dev/null 3:socket 4:socket 5:socket", 63);
	if (!fine) {
		s->wrong++;
		snprintf(s->text, sizeof(s->text), "seccomp %d nnp %d bnd %llx eff %llx, %u fds: %.120s", t->seccomp,
			 t->no_new_privs, (unsigned long long)t->capbnd, (unsigned long long)t->capeff, t->nfds,
			 t->fds);
	}
}

static void every_thread(const char *mode)
{
	struct jail j;
	struct seen s = { 0 };
	if (start("wait", 0, &j) < 0) {
		tap(false, mode, "every thread", "the jail did not start");
		return;
	}
	inspect_threads(j.pid, 1, look, &s);
	tap(s.threads >= 1 && !s.wrong, mode, "every thread shows Seccomp 2, NoNewPrivs 1, no capability, only its fds",
	    s.text);
	unsigned want = NS | JAIL_SECCOMP | JAIL_CAPS | JAIL_LANDLOCK;
	snprintf(s.text, sizeof(s.text), "0x%x", j.in_force);
	tap((j.in_force & want) == want, mode, "every layer is in force", s.text);
	kill(j.pid, SIGKILL);
	waitpid(j.pid, NULL, 0);
	close(j.pidfd);
	/* The pid namespace ends with it. */
	struct seen after = { 0 };
	tap(inspect_threads(j.pid, 1, look, &after) == -ESRCH, mode, "nothing is left", "");
}

static int run_mode(const char *mode, bool rootless, const char *what, const char *only, const char *evil)
{
	struct err e = { 0 };
	if (victims_make(&v, evil, rootless, &e) < 0) {
		printf("not ok %d - %s # %s\n", ++test_number, mode, e.text);
		return 1;
	}
	char name[48];
	snprintf(name, sizeof(name), "skep-escape-%d", getpid());
	struct cgroup top = { 0 };
	if (cgroup_root(&top, name, &e) == 0) {
		have_group = cgroup_make(&group, &top, "vm", &e) == 0 &&
			     cgroup_limit(&group, &(struct cgroup_limits){ 256 << 20, EVIL_NPROC, 0 }, &e) == 0 &&
			     (group.have & CG_BIT(CG_MEMORY));
	}
	printf("# %s: control groups: %s\n", mode, have_group ? "yes" : e.text);
	if (rootless && userns_enter(&e) < 0) {
		printf("# %s: skipped: %s\n", mode, e.text);
	} else {
		for (int i = 0; i < 3; i++) {
			int sv[2];
			if (socketpair(AF_UNIX, i == 0 ? SOCK_SEQPACKET : i == 1 ? SOCK_STREAM : SOCK_DGRAM, 0, sv) < 0)
				return 1;
			fds[i] = sv[0];
		}
		if (!strcmp(what, "full")) {
			every_thread(mode);
			each(mode, only, full);
		} else {
			each(mode, only, strcmp(what, "print") ? layers : print);
		}
	}
	if (have_group)
		cgroup_remove(&group, NULL);
	cgroup_remove(&top, NULL);
	victims_unmake(&v);
	return 0;
}

/* Each mode in a child, which may change what it is. The counters come back. */
static void in_child(const char *mode, bool rootless, const char *what, const char *only, const char *evil)
{
	int p[2], back[2] = { test_number, failures + 1 };
	if (pipe(p) < 0)
		exit(1);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		int r = run_mode(mode, rootless, what, only, evil);
		int mine[2] = { test_number, failures + r };
		fflush(stdout);
		_exit(write(p[1], mine, sizeof(mine)) != sizeof(mine));
	}
	close(p[1]);
	if (read(p[0], back, sizeof(back)) != sizeof(back))
		printf("# %s: the harness died\n", mode);
	close(p[0]);
	waitpid(pid, NULL, 0);
	test_number = back[0];
	failures = back[1];
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: escape full|layers|print EVIL [ATTACK]\n");
		return 2;
	}
	const char *only = argc > 3 ? argv[3] : NULL;
	int r = userns_probe();
	if (r < 0) {
		printf("1..0 # SKIP no user namespaces (%s): %s\n", strerror(-r), userns_remedy());
		return 0;
	}
	/* The jail must not hand any of this on. */
	setenv("SKEP_SECRET", "x", 1);
	if (geteuid() == 0)
		in_child("root", false, argv[1], only, argv[2]);
	else
		printf("# started by uid %u: only the rootless half\n", geteuid());
	in_child("rootless", true, argv[1], only, argv[2]);
	if (strcmp(argv[1], "print") != 0)
		printf("1..%d\n", test_number);
	return failures != 0;
}

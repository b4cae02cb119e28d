/* SPDX-License-Identifier: ISC */
#include "machine.h"

#include "base/ev.h"
#include "guest/plan.h"
#include "probe/probe.h"
#include "proto/probe.h"
#include "sandbox/jail.h"
#include "sandbox/uml_args.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define JAIL_UID 0x700003f4u

static char dir[128];

static void fail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static int command(char *const argv[])
{
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open("/dev/null", O_RDWR);
		dup2(fd, 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	int st = 0;
	waitpid(pid, &st, 0);
	return st;
}
#define RUN(...) command((char *const[]){ __VA_ARGS__, NULL })

static bool by_probes(void)
{
	const char *way = getenv("MACHINE_WAY");
	return way && !strcmp(way, "probes");
}

bool machine_possible(void)
{
	struct err e = { 0 };
	if (geteuid() == 0 && by_probes() && probe_try(&e) < 0) {
		printf("1..0 # SKIP %s\n", e.text);
		return false;
	}
	if (geteuid() == 0 && !access(UML_PROGRAM, X_OK) && !access("/usr/bin/busybox", X_OK))
		return true;
	printf("1..0 # SKIP needs root, user-mode-linux and busybox-static\n");
	return false;
}

static void remove_dir(void)
{
	if (chdir("/") == 0 && strstr(dir, "skep-shim-"))
		RUN("rm", "-rf", dir);
}

static pid_t owner;
static void at_end(void)
{
	if (getpid() == owner)
		remove_dir();
}

void machine_image(void)
{
	snprintf(dir, sizeof(dir), "%s/skep-shim-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir) || chdir(dir) < 0)
		fail(dir);
	owner = getpid();
	atexit(at_end);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (RUN("mkdir", "-p", "root/bin", "root/sbin", "root/dev", "root/proc", "root/sys", "root/tmp", "root/etc") ||
	    RUN("cp", getenv("SHIM_GUEST"), "root/sbin/init") || RUN("cp", "/usr/bin/busybox", "root/bin/sh") ||
	    RUN("sh", "-c", "cp /usr/lib/uml/modules/*/kernel/lib/crc7.ko root/mod.ko 2>/dev/null || true") ||
	    RUN("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", "root", "base", "32M"))
		fail("the guest's disk");
}

static int plan_fd(struct hook_plan *plan)
{
	struct err e = { 0 };
	int fd = open(UML_PROGRAM, O_RDONLY | O_CLOEXEC), p = -1;
	if (fd >= 0 && guest_plan_make(fd, plan, &e) == 0)
		p = guest_plan_seal(plan, &e);
	close(fd);
	if (p < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return p;
}

static void bail(const struct err *e)
{
	printf("Bail out! %s\n", e->text);
	exit(1);
}

static void load_probes(struct machine *m)
{
	struct err e = { 0 };
	close(plan_fd(&m->plan));
	if (probe_load(&m->plan, &m->probe, &e) < 0 ||
	    bpf_ring_open(&m->probe_ring, probe_ring_fd(m->probe), PROBE_RING, &e) < 0)
		bail(&e);
}

void machine_boot(struct machine *m, bool hooks, uint32_t ring_size)
{
	memset(m, 0, sizeof(*m));
	m->hooks = hooks;
	m->reading = true;
	int fr[2], co[2], ct[2], ring = -1, plan = -1;
	struct err e = { 0 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fr) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, co) ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ct))
		fail("socketpair");
	bool probes = hooks && by_probes();
	if (probes)
		load_probes(m);
	if (hooks && !probes) {
		plan = plan_fd(&m->plan);
		ring = ring_create(ring_size, &e);
		if (ring < 0 || ring_reader_open(&m->ring, ring, &e) < 0)
			fail("ring");
	}
	/* A disk of its own rather than an overlay: making those is the handler's business. */
	static int machines;
	char name[32];
	snprintf(name, sizeof(name), "disk%d", machines++);
	if (RUN("cp", "--sparse=always", "base", name))
		fail("disk");
	int disk = open(name, O_RDWR | O_CLOEXEC);
	if (disk < 0 || fchown(disk, JAIL_UID, JAIL_UID) < 0)
		fail("disk");
	struct priv_vmm v = { .memory = 96u << 20, .cpus = 1, .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
	struct uml_args args;
	if (uml_args(&v, &args, &e) < 0)
		fail(e.text);
	for (char **a = args.argv; *a; a++)
		if (!strncmp(*a, "ubd0=", 5))
			*a = (char *)"ubd0=" UML_OVERLAY;
	int fds[] = { fr[1], co[1], ct[1], ring, plan };
	struct jail_bind binds[] = { { .srcfd = disk, .dst = UML_OVERLAY, .flags = JAIL_BIND_RW } };
	struct jail_spec spec = { .profile = JAIL_PROFILE_UML,
				  .exe = UML_PROGRAM,
				  .preload = getenv("SKEP_SHIM"),
				  .argv = args.argv,
				  .envp = args.envp,
				  .binds = binds,
				  .nbinds = 1,
				  .uid = JAIL_UID,
				  .stdio = -1,
				  .fds = fds,
				  .nfds = hooks && !probes ? 5 : 3,
				  .limits = { .shm_bytes = v.memory + (8u << 20) } };
	struct jail j;
	if (jail_start(&spec, &j, &e) < 0)
		fail(e.text);
	m->pid = j.pid;
	if (probes && probe_attach(m->probe, j.pid, &e) < 0)
		bail(&e);
	unlink(name);
	m->console = co[0];
	close(j.pidfd), close(disk);
	for (int i = 0; i < 5; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	/* Nobody reads frames or control; they stay open until this program ends. */
	machine_wait(m, "up", 60);
	machine_ask(m, 5, "sh stty -echo -onlcr");
}

static void keep(struct machine *m, const struct ring_entry *e, const uint8_t *p)
{
	uint32_t n = e->len - (uint32_t)sizeof(*e);
	if (e->kind != RING_HOOK || e->len < sizeof(*e) + sizeof(struct hook_rec) ||
	    n > sizeof(struct hook_rec) + HOOK_DATA_MAX || e->seq != m->last_seq + 1) {
		printf("# a bad entry: kind %u, %u bytes, seq %llu after %llu\n", e->kind, n,
		       (unsigned long long)e->seq, (unsigned long long)m->last_seq);
		errno = EBADMSG;
		fail("ring");
	}
	m->last_seq = e->seq;
	if (m->n == m->cap)
		m->rec = realloc(m->rec, (m->cap = m->cap ? 2 * m->cap : 1024) * sizeof(*m->rec));
	struct record *x = &m->rec[m->n++];
	*x = (struct record){ .seq = e->seq, .time = e->time, .n = n - (uint32_t)sizeof(struct hook_rec) };
	memcpy(&x->h, p, sizeof(x->h));
	x->data = malloc(x->n + 1);
	memcpy(x->data, p + sizeof(x->h), x->n);
	x->data[x->n] = 0;
}

static void collect_probes(struct machine *m)
{
	struct ring_entry e;
	const uint8_t *p;
	uint32_t n;
	int r;
	while ((r = bpf_ring_next(&m->probe_ring, &p, &n)) == 1) {
		memcpy(&e, p, sizeof(e));
		if (n < sizeof(e) || e.len != n)
			fail("a sample's length");
		keep(m, &e, p + sizeof(e));
	}
	if (r < 0)
		fail("the ring is broken");
	bpf_ring_release(&m->probe_ring);
}

void machine_collect(struct machine *m)
{
	struct ring_entry e;
	const uint8_t *p;
	int r;
	if (!m->hooks || !m->reading)
		return;
	if (m->probe) {
		collect_probes(m);
		return;
	}
	while ((r = ring_next(&m->ring, &e, &p)) == 1) {
		if (e.kind == RING_NOTE && e.len == sizeof(e) + sizeof(struct ring_note)) {
			struct ring_note note;
			memcpy(&note, p, sizeof(note));
			m->notes++;
			m->lost += note.lost_frames;
			continue;
		}
		keep(m, &e, p);
	}
	if (r < 0)
		fail("the ring is broken");
	ring_release(&m->ring);
}

uint64_t machine_probes_lost(const struct machine *m)
{
	const uint64_t *state =
	    mmap(NULL, PROBE_STATE_COUNT * sizeof(*state), PROT_READ, MAP_SHARED, probe_state_fd(m->probe), 0);
	uint64_t lost = 0;
	if (state == MAP_FAILED)
		fail("the probes' counters");
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		lost += state[i];
	munmap((void *)(uintptr_t)state, PROBE_STATE_COUNT * sizeof(*state));
	return lost;
}

void machine_forget(struct machine *m)
{
	machine_collect(m);
	for (size_t i = 0; i < m->n; i++)
		free(m->rec[i].data);
	m->n = 0;
}

const char *machine_output(const struct machine *m)
{
	return m->text;
}

const char *machine_wait(struct machine *m, const char *word, int seconds)
{
	char mark[64];
	uint64_t end = ev_monotonic() + (uint64_t)seconds * EV_SEC;
	snprintf(mark, sizeof(mark), "= %s ", word);
	for (;;) {
		char *at = strstr(m->text, mark), *nl = at ? strchr(at, '\n') : NULL;
		if (nl) {
			*nl = 0;
			if (nl > at && nl[-1] == '\r')
				nl[-1] = 0;
			machine_collect(m);
			return at + strlen(mark);
		}
		struct pollfd p = { m->console, POLLIN, 0 };
		poll(&p, 1, 2);
		ssize_t n = recv(m->console, m->text + m->len, sizeof(m->text) - 1 - m->len, MSG_DONTWAIT);
		if (n > 0)
			m->text[m->len += (size_t)n] = 0;
		machine_collect(m);
		if (ev_monotonic() > end || n == 0) {
			printf("# console: %s\n", m->text);
			errno = n ? ETIMEDOUT : EPIPE;
			fail(mark);
		}
	}
}

const char *machine_ask(struct machine *m, int seconds, const char *fmt, ...)
{
	char line[4096], word[32];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(line, " "), line);
	line[n++] = '\n';
	m->len = 0;
	m->text[0] = 0;
	if (send(m->console, line, (size_t)n, MSG_NOSIGNAL) != n)
		fail("console");
	return machine_wait(m, word, seconds);
}

void machine_end(struct machine *m)
{
	kill(m->pid, SIGKILL);
	waitpid(m->pid, NULL, 0);
	machine_forget(m);
	free(m->rec);
	close(m->console);
	if (m->probe) {
		bpf_ring_close(&m->probe_ring);
		probe_detach(m->probe);
	} else if (m->hooks) {
		ring_reader_close(&m->ring);
	}
	memset(m, 0, sizeof(*m));
}

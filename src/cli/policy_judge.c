/* SPDX-License-Identifier: ISC */
#include "cli/policy_test.h"

#include "proto/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SILENT_MS 600000 /* a slow disk, a large capture */

static _Noreturn void child(pid_t parent, int fd)
{
	char *argv[] = { (char *)"skep", (char *)"--role=judge", NULL };
	char *env[] = { NULL };
	signal(SIGPIPE, SIG_DFL);
	if (dup2(fd, ROLE_FD_CONTROL) == ROLE_FD_CONTROL && close_range(ROLE_FD_FIRST, ~0u, 0) == 0 &&
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent)
		execve("/proc/self/exe", argv, env);
	_exit(127);
}

static pid_t start(struct chan *to, struct err *e)
{
	int pair[2];
	int r = msg_pair(pair, e);
	if (r < 0)
		return r;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		/* fd 3 may be the pair's own, and must not close on exec. */
		int fd = fcntl(pair[1], F_DUPFD, 10);
		child(parent, fd < 0 ? pair[1] : fd);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_sys(e, -errno, "cannot fork");
	}
	*to = (struct chan){ .fd = pair[0], .self = ROLE_CLI, .peer = ROLE_JUDGE, .state = STATE_RUN };
	return pid;
}

/* ---- what it is told ------------------------------------------------------------ */

static int tell(struct chan *to, uint32_t type, const void *body, size_t n, int fd, struct err *e)
{
	int r = msg_send_wait(to, type, 0, body, n, &fd, fd >= 0, SILENT_MS);
	return r < 0 ? err_sys(e, r, "cannot talk to the process that judges") : 0;
}

static int policy_memfd(const struct policy_test *t, unsigned side, struct err *e)
{
	struct iovec {
		const void *p;
		size_t n;
	} parts[] = { { &t->model[side]->pool, sizeof(t->model[side]->pool) },
		      { t->entries[side], t->nhoneypots * sizeof(t->entries[side][0]) } };
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot create a policy's memory");
	for (size_t i = 0; i < 2; i++)
		for (size_t done = 0; done < parts[i].n;) {
			ssize_t w = write(fd, (const char *)parts[i].p + done, parts[i].n - done);
			if (w <= 0) {
				int r = err_sys(e, w < 0 ? -errno : -EIO, "cannot write a policy");
				close(fd);
				return r;
			}
			done += (size_t)w;
		}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int r = err_sys(e, -errno, "cannot seal a policy");
		close(fd);
		return r;
	}
	return fd;
}

static int tell_policy(struct chan *to, const struct policy_test *t, unsigned side, struct err *e)
{
	struct judge_policy b = { .side = side, .n = t->nhoneypots };
	int fd = policy_memfd(t, side, e);
	if (fd < 0)
		return fd;
	int r = tell(to, MSG_JUDGE_POLICY, &b, sizeof(b), fd, e);
	close(fd);
	return r;
}

static int tell_file(struct chan *to, const char *path, struct err *e)
{
	struct msg_empty none = { 0 };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", path);
	int r = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = err_set(e, -EINVAL, "%s is no regular file: it is read twice, so write it to one first", path);
	if (!r)
		r = tell(to, MSG_JUDGE_FILE, &none, sizeof(none), fd, e);
	close(fd);
	return r;
}

static int tell_all(struct chan *to, const struct policy_test *t, struct err *e)
{
	const struct cmd *c = t->c;
	struct judge_run run = { .flags = JUDGE_RUN_LEARN };
	int r = 0;
	for (unsigned i = 0; i < PORTS_MAX && !r; i++)
		if (t->ports[i].name[0])
			r = tell(to, MSG_JUDGE_PORT, &t->ports[i], sizeof(t->ports[i]), -1, e);
	for (unsigned s = 0; s < t->sides && !r; s++)
		r = tell_policy(to, t, s, e);
	for (int i = 0; i < c->nargs && !r; i++)
		r = tell_file(to, c->args[i], e);
	if (t->packets)
		run.flags |= JUDGE_RUN_PACKETS;
	if (cmd_flag(c, "as-captured"))
		run.flags |= JUDGE_RUN_AS_CAPTURED;
	return r ? r : tell(to, MSG_JUDGE_RUN, &run, sizeof(run), -1, e);
}

/* ---- what it says: hostile frames have been in there ------------------------------ */

static bool port_ok(const struct policy_test *t, uint16_t port)
{
	return port < PORTS_MAX && t->ports[port].name[0];
}

static bool judgement_ok(const struct policy_test *t, unsigned side, uint8_t verdict, uint8_t reason, uint16_t rule)
{
	return verdict < VERDICT_COUNT && reason < REASON_COUNT &&
	       (rule == RULE_NONE || rule < t->model[side]->pool.nrules);
}

static bool packet_ok(const struct policy_test *t, const struct judge_packet *p)
{
	bool ok = port_ok(t, p->port) && (p->family == 0 || p->family == 4 || p->family == 6) &&
		  (p->out_port == RING_NO_PORT || p->out_port == RING_MANY || port_ok(t, p->out_port));
	for (unsigned s = 0; s < t->sides; s++)
		ok = ok && judgement_ok(t, s, p->verdict[s], p->reason[s], p->rule[s]);
	return ok;
}

static bool conversation_ok(const struct policy_test *t, const struct judge_conversation *c)
{
	bool ok = (c->honeypot == RING_NO_PORT || (c->honeypot < MODEL_HONEYPOTS && port_ok(t, c->honeypot))) &&
		  c->kind < JUDGE_KIND_COUNT && (c->family == 0 || c->family == 4 || c->family == 6);
	for (unsigned s = 0; s < t->sides; s++) {
		const struct judge_fate *f = &c->fate[s];
		ok = ok && judgement_ok(t, s, f->verdict, f->reason, f->rule) &&
		     (f->to_family == 0 || f->to_family == 4 || f->to_family == 6);
	}
	return ok;
}

/* One row at p; false: it is nonsense. */
static bool take_row(struct policy_test *t, uint32_t type, const void *p)
{
	if (type == MSG_JUDGE_PACKETS) {
		if (!packet_ok(t, p))
			return false;
		policy_packet(t, p);
	} else if (type == MSG_JUDGE_CONVERSATIONS) {
		if (!conversation_ok(t, p))
			return false;
		policy_conversation(t, p);
	} else if (type == MSG_JUDGE_RULES) {
		const struct judge_rule *r = p;
		if (r->side >= t->sides || r->rule >= t->model[r->side]->pool.nrules)
			return false;
		t->rules[r->side][r->rule] = (struct judge_count){ r->packets, r->conversations };
	} else {
		const struct judge_port *j = p;
		if (!port_ok(t, j->port))
			return false;
		t->seen[j->port] = *j;
	}
	return true;
}

static int take(struct policy_test *t, const struct msg *m, struct err *e)
{
	static const struct {
		uint32_t type;
		size_t n;
	} rows[] = { { MSG_JUDGE_PACKETS, sizeof(struct judge_packet) },
		     { MSG_JUDGE_CONVERSATIONS, sizeof(struct judge_conversation) },
		     { MSG_JUDGE_RULES, sizeof(struct judge_rule) },
		     { MSG_JUDGE_PORTS, sizeof(struct judge_port) } };
	if (m->type == MSG_JUDGE_END) {
		t->end = *MSG_BODY_AS(m, judge_end);
		t->ended = true;
		if (!MSG_TEXT(t->end.text) || t->end.status > 0)
			return err_set(e, -EPROTO, "broken message from the process that judges");
		if (t->end.status && t->end.file && t->end.file <= (uint32_t)t->c->nargs)
			return err_set(e, t->end.status, "%s: %s", t->c->args[t->end.file - 1], t->end.text);
		return t->end.status ? err_set(e, t->end.status, "%s", t->end.text) : 0;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct judge_rows *h = MSG_BODY_AS(m, judge_rows);
		if (m->type != rows[i].type)
			continue;
		bool ok = h->n <= m->len && m->len == sizeof(*h) + h->n * rows[i].n;
		for (uint32_t k = 0; ok && k < h->n; k++)
			ok = take_row(t, m->type, m->body + sizeof(*h) + k * rows[i].n);
		if (ok)
			return 0;
	}
	return err_set(e, -EPROTO, "broken message from the process that judges");
}

static int listen_to(struct policy_test *t, struct chan *from, struct err *e)
{
	static struct msg m;
	while (!t->ended) {
		int r = msg_recv_wait(from, &m, SILENT_MS, e);
		if (r == 0)
			r = err_set(e, -ETIMEDOUT, "the process that judges says nothing");
		if (r > 0)
			r = take(t, &m, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int policy_judge(struct policy_test *t, struct err *e)
{
	struct chan to;
	int status = 0;
	pid_t pid = start(&to, e);
	if (pid < 0)
		return pid;
	int r = tell_all(&to, t, e);
	/* Why it went away says more than that it did. */
	if (r == -EPIPE || !r)
		r = listen_to(t, &to, e);
	chan_close(&to);
	if (r == -EPROTO)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0 && !t->ended && WIFSIGNALED(status))
		return err_set(e, -EIO, "the process that judges was killed by signal %d (%s): nothing is known",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	return r;
}

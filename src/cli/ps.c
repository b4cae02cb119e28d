/* SPDX-License-Identifier: ISC */
/*
 * `skep ps`: asks every running honeynet, then prints one table. What super
 * sends is read as bytes of a less trusted process: each text field may lack
 * its end, each number may be out of range.
 */
#include "cli/cmd.h"
#include "cli/nets.h"

#include "base/ev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ps_net {
	struct rep_net net;
	char asked[NAME_CAP]; /* the directory's name, whatever super says */
	struct err error;     /* it did not answer in full */
	struct rep_honeypot *honeypots;
	struct rep_thread *threads;
	unsigned nhoneypots, nthreads;
};
struct ps {
	struct ps_net *nets;
	unsigned n;
	struct nets others; /* those that do not run */
};

#define PS_THREADS_MAX 65536

/* A text field of a message as a C string. */
#define FIELD(buf, field) field_text(buf, sizeof(buf), field, sizeof(field))
static const char *field_text(char *buf, size_t cap, const char *field, size_t n)
{
	size_t len = strnlen(field, n);
	if (len >= cap)
		len = cap - 1;
	memcpy(buf, field, len);
	buf[len] = 0;
	return buf;
}
#define FIELD_JSON(field) cmd_string_n(field, strnlen(field, sizeof(field)))

static int grow(void *array, unsigned n, size_t size, struct err *e)
{
	void **a = array;
	if (n & (n - 1)) /* room is the next power of two */
		return 0;
	void *p = realloc(*a, (n ? 2 * (size_t)n : 1) * size);
	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	*a = p;
	return 0;
}

static int take(struct ps_net *p, const struct msg *m, struct err *e)
{
	int r = 0;
	if (m->type == MSG_REP_NET) {
		memcpy(&p->net, m->body, sizeof(p->net));
	} else if (m->type == MSG_REP_HONEYPOT) {
		if (p->nhoneypots == MODEL_HONEYPOTS)
			return err_set(e, -EPROTO, "super sends more honeypots than there can be");
		r = grow(&p->honeypots, p->nhoneypots, sizeof(*p->honeypots), e);
		if (!r)
			memcpy(&p->honeypots[p->nhoneypots++], m->body, sizeof(*p->honeypots));
	} else if (m->type == MSG_REP_THREAD) {
		if (p->nthreads == PS_THREADS_MAX)
			return err_set(e, -EPROTO, "super sends more threads than there can be");
		r = grow(&p->threads, p->nthreads, sizeof(*p->threads), e);
		if (!r)
			memcpy(&p->threads[p->nthreads++], m->body, sizeof(*p->threads));
	}
	return r;
}

static int collect(struct ps_net *p, const char *name, bool verbose)
{
	struct cli_ctl c;
	struct cmd_ps req = { .verbose = verbose };
	struct msg m;
	struct err e = { 0 };
	snprintf(p->asked, sizeof(p->asked), "%s", name);
	int r = cli_ctl_open(&c, name, &p->error);
	if (r < 0)
		return r;
	r = cli_ctl_send(&c, MSG_CMD_PS, &req, sizeof(req), NULL, 0, &e);
	while (r >= 0 && (r = cli_ctl_next(&c, &m, CLI_CTL_QUICK, &e)) == 1) {
		r = take(p, &m, &e);
		msg_close_fds(&m);
	}
	cli_ctl_close(&c);
	if (r < 0)
		p->error = e;
	return r;
}

static void ps_free(struct ps *ps)
{
	for (unsigned i = 0; i < ps->n; i++) {
		free(ps->nets[i].honeypots);
		free(ps->nets[i].threads);
	}
	free(ps->nets);
}

/* ---- words ---------------------------------------------------------------- */

static const struct {
	uint32_t bit;
	const char *name;
} layers[] = {
	{ JAIL_USERNS, "userns" }, { JAIL_MOUNTS, "mounts" },     { JAIL_PIDNS, "pidns" },
	{ JAIL_NETNS, "netns" },   { JAIL_LANDLOCK, "landlock" }, { JAIL_SECCOMP, "seccomp" },
	{ JAIL_CAPS, "caps" },     { JAIL_CGROUP, "cgroup" },     { JAIL_OWN_UID, "own-uid" },
};
#define LAYERS (sizeof(layers) / sizeof(layers[0]))

/* "full", "none", or "-cgroup -own-uid": what is missing. */
static const char *jail_text(char *buf, size_t cap, uint32_t jail)
{
	size_t at = 0, missing = 0;
	buf[0] = 0;
	for (size_t i = 0; i < LAYERS; i++)
		if (!(jail & layers[i].bit)) {
			missing++;
			int n = snprintf(buf + at, cap - at, "%s-%s", at ? " " : "", layers[i].name);
			at += n > 0 && (size_t)n < cap - at ? (size_t)n : 0;
		}
	if (!missing || missing == LAYERS)
		snprintf(buf, cap, "%s", missing ? "none" : "full");
	return buf;
}

static const char *gateway_text(const struct rep_net *n)
{
	return n->gateway_pid > 0 ? "ok" : "dead";
}

static bool alive(const struct rep_honeypot *h)
{
	return h->state == MACHINE_STARTING || h->state == MACHINE_RUNNING || h->state == MACHINE_PAUSED ||
	       h->state == MACHINE_STOPPING;
}

/* ---- text ----------------------------------------------------------------- */

static void honeypot_row(struct table *t, const char *net, const struct rep_honeypot *h, uint64_t now)
{
	char name[NAME_CAP + 1], addr[ADDR_TEXT], used[CMD_SIZE_TEXT], given[CMD_SIZE_TEXT], age[CMD_SIZE_TEXT],
	    jail[160];
	table_add(t, "%s/%s", net, FIELD(name, h->name));
	table_add(t, "%s", machine_state_name(h->state));
	table_add(t, "%s", backend_name(h->backend));
	unsigned n = h->naddrs <= MODEL_ADDRS ? h->naddrs : MODEL_ADDRS;
	if (n) {
		struct addr a = h->addrs[0];
		a.plen = a.family == 4 ? 32 : 128; /* the address, not its network */
		addr_text(&a, addr);
	}
	table_add(t, n > 1 ? "%s +%u" : "%s", n ? addr : "-", n - 1);
	cmd_size_text(given, h->memory);
	if (h->pss || h->rss)
		table_add(t, "%s/%s", cmd_size_text(used, h->pss ? h->pss : h->rss), given);
	else
		table_add(t, "-/%s", given);
	bool up = h->up_since && h->up_since <= now;
	table_add(t, "%s", up ? cmd_age_text(age, (now - h->up_since) / EV_SEC) : "-");
	table_add(t, "%s", h->frozen & FROZEN_HONEYNET ? "honeynet" : h->frozen & FROZEN_ITSELF ? "yes" : "-");
	table_add(t, h->lost ? "%s, %llu lost" : "%s", seeing_name(h->seeing), (unsigned long long)h->lost);
	table_add(t, "%s", alive(h) ? jail_text(jail, sizeof(jail), h->jail) : "-");
}

/* What triggers did, and when it ends. */
static void reaction_lines(FILE *out, const char *name, const struct rep_honeypot *h)
{
	char policy[NAME_CAP + 1], safe[4 * NAME_CAP + 1];
	if (h->frozen & FROZEN_ITSELF && h->freeze_left)
		fprintf(out, "  %s: frozen by a trigger, for another %u s\n", name, h->freeze_left);
	if (*FIELD(policy, h->tightened)) {
		fprintf(out, "  %s: under policy %s instead of its own, by a trigger", name,
			cmd_safe(safe, sizeof(safe), policy));
		if (h->tightened_left)
			fprintf(out, ", for another %u s\n", h->tightened_left);
		else
			fprintf(out, ": `skep policy apply` ends it\n");
	}
	if (h->state != MACHINE_PAUSED)
		return;
	fprintf(out, "  %s: paused, its connections are %s", name, h->held ? "kept alive" : "not kept alive");
	if (h->pause_left)
		fprintf(out, "; it runs on in %u s\n", h->pause_left);
	else
		fprintf(out, "; `skep resume` lets it run on\n");
}

static json_t *reaction_json(const struct rep_honeypot *h)
{
	char policy[NAME_CAP + 1];
	bool tight = *FIELD(policy, h->tightened) != 0;
	return json_pack("{so si sb si si}", "tightened", tight ? cmd_string(policy) : json_null(), "tightened_left",
			 (int)h->tightened_left, "held", h->held != 0, "freeze_left", (int)h->freeze_left, "pause_left",
			 (int)h->pause_left);
}

static int threads_table(struct cmd *c, const struct ps *ps)
{
	static const char *const heads[] = { "PROCESS", "COMMAND", ">PID",   ">TID",  ">UID", ">SECCOMP",
					     ">NNP",    "CAPBND",  "CAPEFF", ">OPEN", "FDS",  NULL };
	struct table t;
	table_init(&t, heads);
	for (unsigned i = 0; i < ps->n; i++)
		for (unsigned k = 0; k < ps->nets[i].nthreads; k++) {
			const struct rep_thread *h = &ps->nets[i].threads[k];
			char name[NAME_CAP + 1], role[17], comm[17], fds[257];
			FIELD(name, h->honeypot);
			FIELD(role, h->role);
			if (*name && strcmp(name, role) != 0)
				table_add(&t, "%s/%s %s", ps->nets[i].asked, name, role);
			else
				table_add(&t, "%s %s", ps->nets[i].asked, role);
			table_add(&t, "%s", FIELD(comm, h->comm));
			table_add(&t, "%d", h->pid);
			table_add(&t, "%d", h->tid);
			table_add(&t, "%u", h->uid);
			table_add(&t, h->seccomp < 0 ? "?" : "%d", h->seccomp);
			table_add(&t, h->no_new_privs < 0 ? "?" : "%d", h->no_new_privs);
			table_add(&t, "%llx", (unsigned long long)h->capbnd);
			table_add(&t, "%llx", (unsigned long long)h->capeff);
			table_add(&t, "%u", h->nfds);
			table_add(&t, "%s", FIELD(fds, h->fds));
		}
	fputc('\n', c->out);
	return table_print(&t, c);
}

static void net_lines(const struct cmd *c, const struct ps_net *p, uint64_t now)
{
	const struct rep_net *n = &p->net;
	char mode[17], age[CMD_SIZE_TEXT], evidence[257], safe[1100];
	if (p->error.code)
		return;
	bool up = n->started && n->started <= now;
	fprintf(c->out, "%s: ", p->asked);
	fprintf(c->out,
		"%s, up %s, gateway %s, evidence %s, frames %llu in, %llu forwarded, %llu dropped, %llu recorded\n",
		cmd_safe(safe, sizeof(safe), FIELD(mode, n->mode)),
		up ? cmd_age_text(age, (now - n->started) / EV_SEC) : "-", gateway_text(n),
		n->evidence_pid <= 0    ? "dead"
		: n->evidence_state < 0 ? "stopped"
					: "ok",
		(unsigned long long)n->frames_in, (unsigned long long)n->frames_forwarded,
		(unsigned long long)n->frames_dropped, (unsigned long long)n->frames_recorded);
	if (*FIELD(evidence, n->evidence))
		fprintf(c->out, "  evidence in %s\n", cmd_safe(safe, sizeof(safe), evidence));
	if (n->gateway_pid <= 0)
		fprintf(c->out, "  cut: the gateway is dead, nothing passes; `skep up FILE` starts it anew\n");
	if (n->evidence_pid <= 0 || n->evidence_state < 0)
		fprintf(c->out,
			"  cut: evidence is not written any more%s%s, nothing passes; make room, then `skep up FILE`\n",
			n->evidence_state < 0 ? ": " : "", n->evidence_state < 0 ? strerror(-n->evidence_state) : "");
	if (n->engine_mode && n->engine != ENGINE_STATE_RUNNING)
		fprintf(c->out, "  inline engine: does not run, %s; `skep rules %s` says why\n",
			n->engine_mode == ENGINE_INLINE ? "nothing passes that it should see" : "frames pass unseen",
			p->asked);
	if (n->layer2 < n->uplinks)
		fprintf(c->out, "  data control: the gateway alone on %u of %u uplinks, see `skep events %s`\n",
			n->uplinks - n->layer2, n->uplinks, p->asked);
	if (n->frozen)
		fprintf(c->out, "  cut: frozen by an operator, nothing passes; `skep thaw %s` ends it\n", p->asked);
	if (n->sinks_wanted > n->sinks)
		fprintf(c->out, "  %u of %u sinkholes do not work, so what rules send there is dropped: %.159s\n",
			n->sinks_wanted - n->sinks, n->sinks_wanted, n->sink_why[0] ? n->sink_why : "starting");
	for (unsigned i = 0; i < p->nhoneypots; i++) {
		char name[NAME_CAP + 1], detail[161], sname[4 * NAME_CAP + 1];
		const struct rep_honeypot *h = &p->honeypots[i];
		cmd_safe(sname, sizeof(sname), FIELD(name, h->name));
		if (*FIELD(detail, h->detail))
			fprintf(c->out, "  %s: %s\n", sname, cmd_safe(safe, sizeof(safe), detail));
		reaction_lines(c->out, sname, h);
		if (h->seeing == SEEING_ABSENT || h->seeing == SEEING_TAMPERED)
			fprintf(c->out, "  %s: %s: %s\n", sname,
				h->seeing == SEEING_ABSENT ? "it is not seen from inside"
							   : "its guest attacks what watches it",
				cmd_safe(safe, sizeof(safe), FIELD(detail, h->blind)));
	}
}

static const char *life_text(enum net_life l)
{
	switch (l) {
	case NET_BUSY:
		return "starts or ends just now; ask again";
	case NET_STALE:
		return "left behind by a crash; `skep down` it, or `skep up` its file again";
	case NET_FOREIGN:
		return "belongs to another user";
	case NET_RUNNING:
	case NET_ENDED:
		break;
	}
	return "does not answer";
}

static int print_text(struct cmd *c, const struct ps *ps, bool verbose)
{
	static const char *const heads[] = { "HONEYPOT", "STATE",  "BACKEND", "ADDRESS", ">MEMORY",
					     ">UPTIME",  "FROZEN", "INSIDE",  "JAIL",    NULL };
	uint64_t now = ev_realtime();
	struct table t;
	int r = CMD_OK;
	table_init(&t, heads);
	for (unsigned i = 0; i < ps->n; i++)
		for (unsigned k = 0; k < ps->nets[i].nhoneypots; k++)
			honeypot_row(&t, ps->nets[i].asked, &ps->nets[i].honeypots[k], now);
	if (t.rows) {
		r = table_print(&t, c);
		fputc('\n', c->out);
	} else {
		table_free(&t);
	}
	for (unsigned i = 0; i < ps->n; i++)
		net_lines(c, &ps->nets[i], now);
	if (verbose && ps->n && !r)
		r = threads_table(c, ps);
	for (unsigned i = 0; i < ps->others.n; i++)
		fprintf(c->out, "%s: %s\n", ps->others.e[i].name, life_text(ps->others.e[i].life));
	if (!ps->n && !ps->others.n)
		cmd_note(c, "no honeynet runs: start one with `skep up FILE`");
	return r;
}

/* ---- JSON ----------------------------------------------------------------- */

static json_t *time_json(uint64_t ns)
{
	char buf[CMD_TIME_TEXT];
	return ns ? json_string(cmd_time_text(buf, ns, 6)) : json_null();
}

static json_t *seeing_json(const struct rep_honeypot *h)
{
	return json_pack("{ss so si si sI sI sI}", "state", seeing_name(h->seeing), "detail", FIELD_JSON(h->blind),
			 "pid", h->introspect_pid, "starts", (int)h->introspect_starts, "records",
			 (json_int_t)h->records, "lost", (json_int_t)h->lost, "sessions", (json_int_t)h->sessions);
}

static json_t *honeypot_json(const struct rep_honeypot *h)
{
	char mac[MAC_TEXT], text[ADDR_TEXT];
	json_t *addrs = json_array(), *jail = json_array();
	for (unsigned i = 0; i < h->naddrs && i < MODEL_ADDRS; i++)
		json_array_append_new(addrs, cmd_string(addr_text(&h->addrs[i], text)));
	for (size_t i = 0; i < LAYERS; i++)
		if (h->jail & layers[i].bit)
			json_array_append_new(jail, json_string(layers[i].name));
	return json_pack("{so so so ss ss so ss si si sI sI sI so si so so sb so so}", "name", FIELD_JSON(h->name),
			 "network", FIELD_JSON(h->network), "image", FIELD_JSON(h->image), "backend",
			 backend_name(h->backend), "state", machine_state_name(h->state), "addresses", addrs, "mac",
			 mac_text(h->mac, mac), "vmm_pid", h->vmm_pid, "handler_pid", h->handler_pid, "memory",
			 (json_int_t)h->memory, "rss", (json_int_t)h->rss, "pss", (json_int_t)h->pss, "up_since",
			 time_json(h->up_since), "restarts", (int)h->restarts, "jail", jail, "detail",
			 FIELD_JSON(h->detail), "frozen", h->frozen != 0, "introspection", seeing_json(h), "reaction",
			 reaction_json(h));
}

static json_t *thread_json(const struct rep_thread *h)
{
	char bnd[24], eff[24];
	snprintf(bnd, sizeof(bnd), "%016llx", (unsigned long long)h->capbnd);
	snprintf(eff, sizeof(eff), "%016llx", (unsigned long long)h->capeff);
	return json_pack("{so so so si si sI si si ss ss si so}", "honeypot", FIELD_JSON(h->honeypot), "role",
			 FIELD_JSON(h->role), "command", FIELD_JSON(h->comm), "pid", h->pid, "tid", h->tid, "uid",
			 (json_int_t)h->uid, "seccomp", h->seccomp, "no_new_privs", h->no_new_privs, "capbnd", bnd,
			 "capeff", eff, "open_fds", (int)h->nfds, "fds", FIELD_JSON(h->fds));
}

static json_t *net_json(const struct ps_net *p, bool verbose)
{
	const struct rep_net *n = &p->net;
	json_t *honeypots = json_array(), *threads = json_array();
	for (unsigned i = 0; i < p->nhoneypots; i++)
		json_array_append_new(honeypots, honeypot_json(&p->honeypots[i]));
	for (unsigned i = 0; i < p->nthreads; i++)
		json_array_append_new(threads, thread_json(&p->threads[i]));
	json_t *v = json_pack(
	    "{so so so so si si si si si sI sI sI sI so sb sI sI}", "name", cmd_string(p->asked), "mode",
	    FIELD_JSON(n->mode), "evidence", FIELD_JSON(n->evidence), "started", time_json(n->started), "gateway_pid",
	    n->gateway_pid, "evidence_pid", n->evidence_pid, "super_pid", n->super_pid, "priv_pid", n->priv_pid,
	    "evidence_status", n->evidence_state, "frames_in", (json_int_t)n->frames_in, "frames_forwarded",
	    (json_int_t)n->frames_forwarded, "frames_dropped", (json_int_t)n->frames_dropped, "frames_recorded",
	    (json_int_t)n->frames_recorded, "honeypots", honeypots, "frozen", n->frozen != 0, "sinkholes",
	    (json_int_t)n->sinks, "sinkholes_wanted", (json_int_t)n->sinks_wanted);
	static const char *const engines[] = { "none", "starting", "running", "failed" };
	json_object_set_new(v, "engine", json_string(n->engine < 4 ? engines[n->engine] : "?"));
	json_object_set_new(v, "uplinks", json_integer(n->uplinks));
	json_object_set_new(v, "kernel_layer", json_integer(n->layer2));
	if (verbose)
		json_object_set_new(v, "threads", threads);
	else
		json_decref(threads);
	if (p->error.code)
		json_object_set_new(v, "error", cmd_string(p->error.text));
	return v;
}

static int print_json(struct cmd *c, const struct ps *ps, bool verbose)
{
	static const char *const lives[] = { "running", "busy", "stale", "ended", "foreign" };
	json_t *nets = json_array(), *others = json_array();
	for (unsigned i = 0; i < ps->n; i++)
		json_array_append_new(nets, net_json(&ps->nets[i], verbose));
	for (unsigned i = 0; i < ps->others.n; i++)
		json_array_append_new(
		    others, json_pack("{ss ss}", "name", ps->others.e[i].name, "state", lives[ps->others.e[i].life]));
	return cmd_json(c, json_pack("{so so}", "honeynets", nets, "others", others));
}

/* ---- command -------------------------------------------------------------- */

static int gather(struct cmd *c, struct ps *ps, const char *only, bool verbose)
{
	struct nets all = { .n = 1 };
	struct err e;
	if (only) {
		snprintf(all.e[0].name, NAME_CAP, "%s", only);
		all.e[0].life = net_life(only);
		if (all.e[0].life == NET_STALE || all.e[0].life == NET_ENDED)
			return cmd_fail(c,
					net_known(only) ? "honeynet %s does not run: start it with `skep up FILE`"
							: "no honeynet %s: `skep ps` lists those that run",
					only);
	} else if (nets_scan(&all, &e) < 0) {
		return cmd_fail_err(c, &e, NULL);
	}
	int r = CMD_OK;
	ps->nets = calloc(all.n ? all.n : 1, sizeof(*ps->nets));
	if (!ps->nets)
		return cmd_fail(c, "out of memory");
	for (unsigned i = 0; i < all.n; i++) {
		if (all.e[i].life != NET_RUNNING) {
			ps->others.e[ps->others.n++] = all.e[i];
			continue;
		}
		struct ps_net *p = &ps->nets[ps->n++];
		if (collect(p, all.e[i].name, verbose) < 0)
			r = cmd_fail_err(c, &p->error, NULL);
	}
	return r;
}

int cmd_ps(struct cmd *c)
{
	struct ps ps = { 0 };
	bool verbose = cmd_flag(c, "verbose");
	const char *only = c->nargs ? c->args[0] : NULL;
	if (only && strlen(only) >= NAME_CAP)
		return cmd_fail(c, "\"%s\" is not a honeynet's name", only);
	int r = gather(c, &ps, only, verbose);
	if (ps.nets) {
		int p = cmd_flag(c, "json") ? print_json(c, &ps, verbose) : print_text(c, &ps, verbose);
		r = r ? r : p;
	}
	ps_free(&ps);
	return r;
}

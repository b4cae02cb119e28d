/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"
#include "cli/nets.h"

#include "base/dirs.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *done;
	enum machine_verb verb;
} verbs[] = {
	{ "start", "started", MACHINE_START },
	{ "stop", "stopped", MACHINE_STOP },
	{ "pause", "paused", MACHINE_PAUSE },
	{ "resume", "runs on", MACHINE_RESUME },
	{ "reset", "reset to its clean image", MACHINE_RESET },
};

/* NET/HONEYPOT of a honeynet that does not run: its disk goes, and the next `up`
 * makes it anew. 1: done, 0: it is no such thing. */
static int reset_ended(const char *spec, struct err *e)
{
	char net[NAME_CAP], path[DIRS_PATH + 2 * NAME_CAP + 32], state[DIRS_PATH];
	const char *slash = strchr(spec, '/');
	size_t n = slash ? (size_t)(slash - spec) : sizeof(net);
	if (n >= sizeof(net) || !text_is_name(slash + 1))
		return 0;
	memcpy(net, spec, n);
	net[n] = '\0';
	if (!text_is_name(net) || net_life(net) != NET_ENDED)
		return 0;
	int r = dirs_state(state, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/nets/%s/disks/%s.cow", state, net, slash + 1);
	if (access(path, F_OK) < 0)
		return 0;
	/* Nobody may start it meanwhile. */
	int lock = net_lock(net, true, e);
	if (lock < 0)
		return lock;
	r = unlink(path) < 0 ? err_sys(e, -errno, "cannot remove %s", path) : 1;
	close(lock);
	net_sweep(net, true);
	return r;
}

static int one(struct cmd *c, const char *spec, unsigned v, bool force)
{
	struct cli_ctl ctl;
	struct cmd_machine req = { .verb = verbs[v].verb, .force = force };
	struct msg m;
	struct err e = { 0 };
	int r = verbs[v].verb == MACHINE_RESET ? reset_ended(spec, &e) : 0;
	if (r < 0)
		return cmd_fail_err(c, &e, "reset %s", spec);
	if (r > 0) {
		cmd_note(c, "%s: its disk will be made anew from the image; the honeynet does not run", spec);
		return CMD_OK;
	}
	r = net_find_honeypot(spec, &ctl, req.honeypot, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, NULL);
	r = cli_ctl_send(&ctl, MSG_CMD_MACHINE, &req, sizeof(req), NULL, 0, &e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, CLI_CTL_LONG, &e)) == 1) {
		const struct rep_progress *p = MSG_BODY_AS(&m, rep_progress);
		if (m.type == MSG_REP_PROGRESS)
			cmd_progress(c, "%s: %.*s", req.honeypot, (int)strnlen(p->text, sizeof(p->text)), p->text);
		msg_close_fds(&m);
	}
	cli_ctl_close(&ctl);
	if (r < 0)
		return cmd_fail_err(c, &e, "%s %s/%s", verbs[v].name, ctl.net, req.honeypot);
	if (e.text[0])
		cmd_note(c, "%s: %s", ctl.net, e.text);
	else
		cmd_note(c, "%s/%s: %s", ctl.net, req.honeypot, verbs[v].done);
	return CMD_OK;
}

int cmd_machine(struct cmd *c)
{
	unsigned v = 0;
	int worst = CMD_OK;
	while (strcmp(verbs[v].name, c->command->name) != 0)
		v++;
	bool force = verbs[v].verb == MACHINE_STOP && cmd_flag(c, "force");
	for (int i = 0; i < c->nargs; i++) {
		int r = one(c, c->args[i], v, force);
		worst = r > worst ? r : worst;
	}
	return worst;
}

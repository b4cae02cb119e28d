/* SPDX-License-Identifier: ISC */
/* `skep policy apply`: other policies for a honeynet that runs. */
#include "cli/load.h"
#include "cli/nets.h"
#include "cli/notify.h"
#include "cli/policy_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All honeypots under one policy: a named one of the file, a file that holds only
 * a policy, or a preset. The latter bring their own triggers and notices. */
static bool choose(struct cmd *c, struct model *m, const char *name)
{
	for (uint32_t i = 0; i < m->npolicies; i++) {
		if (strcmp(m->policies[i].name, name) != 0)
			continue;
		m->policy = m->policies[i].policy;
		for (uint32_t k = 0; k < m->nhoneypots; k++)
			m->honeypots[k].policy = m->policy;
		return true;
	}
	int r = policy_load_or_say(c, name, m, m);
	if (r != POLICY_SOURCE_HONEYNET)
		return r >= 0;
	cmd_fail(c, "--policy %s: that is a honeynet's file; give it as FILE", name);
	return false;
}

static int apply(const struct cmd *c, const struct loaded *l, struct err *e)
{
	struct cmd_policy req = { .flags = cmd_flag(c, "dry-run") ? POLICY_DRY_RUN : 0 };
	struct cli_ctl ctl;
	struct msg m;
	int r = cli_ctl_open(&ctl, l->model->name, e);
	if (r < 0)
		return r;
	int fds[2] = { model_seal(l->model, e), -1 };
	r = fds[0] < 0 ? fds[0] : (fds[1] = load_seal_source(l, e));
	if (r >= 0)
		r = cli_ctl_send(&ctl, MSG_CMD_POLICY, &req, sizeof(req), fds, 2, e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, CLI_CTL_LONG, e)) == 1)
		msg_close_fds(&m);
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	cli_ctl_close(&ctl);
	return r;
}

int cmd_policy_apply(struct cmd *c)
{
	static struct loaded l;
	struct err e = { 0 };
	const char *path = c->args[0], *policy = cmd_str(c, "policy");
	int r = load_file(path, &l, &e), status = CMD_FAILED;
	if (r < 0 && l.diag.n) {
		load_print_diag(c->err, path, &l.diag);
	} else if (r < 0) {
		cmd_fail_err(c, &e, NULL);
	} else if (policy && !choose(c, l.model, policy)) {
		r = -EINVAL; /* it was said */
	} else {
		r = apply(c, &l, &e);
		if (r < 0)
			cmd_fail_err(c, &e, "policy apply %s", path);
	}
	if (r >= 0) {
		cmd_note(c, "%s: %s", l.model->name, e.text);
		if (!cmd_flag(c, "dry-run"))
			notify_start(c, l.model);
		status = CMD_OK;
	}
	load_free(&l);
	return status;
}

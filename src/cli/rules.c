/* SPDX-License-Identifier: ISC */
/* `skep rules`: what the inline engine makes of rule files, and what runs. */
#include "cli/cmd.h"
#include "cli/engine_rules.h"
#include "cli/nets.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const states[] = { "none", "starting", "running", "failed" };
static const char *const modes[] = { "off", "inline", "passive" };
static const char *const kinds[] = { "suricata", "interfaces" };

static int check_file(struct cmd *c, const char *file, json_t *all)
{
	struct rules_verdict v;
	struct err e = { 0 };
	char name[1024];
	if (engine_rules_check(file, &v, &e) < 0)
		return cmd_fail_err(c, &e, "%s", file);
	cmd_safe(name, sizeof(name), file);
	json_t *list = all ? json_array() : NULL;
	for (unsigned i = 0; i < v.nproblems; i++) {
		const struct rules_problem *p = &v.problems[i];
		if (all)
			json_array_append_new(
			    list, json_pack("{s:i, s:o}", "line", (int)p->line, "message", cmd_string(p->text)));
		else if (p->line)
			fprintf(c->out, "%s:%u: %s\n", name, p->line, p->text);
		else
			fprintf(c->out, "%s: %s\n", name, p->text);
	}
	if (all)
		json_array_append_new(all, json_pack("{s:o, s:i, s:i, s:i, s:o}", "file", cmd_string(file), "loaded",
						     (int)v.loaded, "failed", (int)v.failed, "disabled",
						     (int)v.disabled, "problems", list));
	else
		fprintf(c->out, "%s: %u loaded, %u failed, %u disabled\n", name, v.loaded, v.failed, v.disabled);
	bool bad = v.failed || !v.loaded;
	engine_rules_free(&v);
	return bad ? CMD_FAILED : CMD_OK;
}

static int ask(const char *net, struct rep_engine *out, struct err *e)
{
	struct cli_ctl ctl;
	struct msg_empty req = { 0 };
	struct msg m;
	bool found = false;
	int r = cli_ctl_open(&ctl, net, e);
	if (r < 0)
		return r;
	r = cli_ctl_send(&ctl, MSG_CMD_ENGINE, &req, sizeof(req), NULL, 0, e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, CLI_CTL_QUICK, e)) == 1) {
		if (m.type == MSG_REP_ENGINE) {
			memcpy(out, m.body, sizeof(*out));
			found = MSG_TEXT(out->version) && MSG_TEXT(out->why) && out->state < 4 && out->mode < 3 &&
				out->kind < 2;
		}
		msg_close_fds(&m);
	}
	cli_ctl_close(&ctl);
	return r < 0 ? r : found ? 0 : err_set(e, -EPROTO, "super did not say how its engine is");
}

static int show(struct cmd *c, const char *net, json_t *all)
{
	struct rep_engine x;
	struct err e = { 0 };
	int r = ask(net, &x, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, "%s", net);
	if (all) {
		json_array_append_new(
		    all,
		    json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "honeynet", net,
			      "state", states[x.state], "mode", modes[x.mode], "kind", kinds[x.kind], "version",
			      cmd_string(x.version), "why", cmd_string(x.why), "pid", (int)x.pid, "starts",
			      (json_int_t)x.starts, "loaded", (json_int_t)x.loaded, "failed", (json_int_t)x.failed,
			      "frames_given", (json_int_t)x.frames_in, "frames_back", (json_int_t)x.frames_back,
			      "frames_kept", (json_int_t)x.dropped, "alerts", (json_int_t)x.alerts));
		return CMD_OK;
	}
	char version[80], why[200];
	fprintf(c->out, "%s: engine %s, %s", net, states[x.state], modes[x.mode]);
	if (x.version[0])
		fprintf(c->out, ", Suricata %s, pid %d", cmd_safe(version, sizeof(version), x.version), x.pid);
	fprintf(c->out,
		"\n  rules: %u loaded, %u failed\n  frames: %llu given, %llu given back, %llu kept\n"
		"  alerts: %llu\n  starts: %u\n",
		x.loaded, x.failed, (unsigned long long)x.frames_in, (unsigned long long)x.frames_back,
		(unsigned long long)x.dropped, (unsigned long long)x.alerts, x.starts);
	if (x.why[0])
		fprintf(c->out, "  why: %s\n", cmd_safe(why, sizeof(why), x.why));
	return CMD_OK;
}

int cmd_rules(struct cmd *c)
{
	json_t *all = cmd_flag(c, "json") ? json_array() : NULL;
	int worst = CMD_OK, first = c->nargs > 1 && !strcmp(c->args[0], "check") && access("check", F_OK) < 0;
	for (int i = first; i < c->nargs; i++) {
		const char *what = c->args[i];
		bool net = !first && text_is_name(what) && access(what, F_OK) < 0;
		int r = net ? show(c, what, all) : check_file(c, what, all);
		worst = r > worst ? r : worst;
	}
	if (all && cmd_json(c, all) != CMD_OK)
		return CMD_FAILED;
	return worst;
}

/* SPDX-License-Identifier: ISC */
#include "cli/doctor.h"

#include <stdarg.h>
#include <string.h>

static const char *const states[] = { "OK", "WARN", "MISSING" };

void finding(struct findings *f, const char *name, enum finding_state state, const char *mend, const char *fmt, ...)
{
	if (f->n == FINDINGS_MAX)
		return;
	struct finding *x = &f->f[f->n++];
	x->name = name;
	x->state = state;
	snprintf(x->mend, sizeof(x->mend), "%s", mend ? mend : "");
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(x->text, sizeof(x->text), fmt, ap);
	va_end(ap);
}

static unsigned count(const struct findings *f, enum finding_state state)
{
	unsigned n = 0;
	for (unsigned i = 0; i < f->n; i++)
		n += f->f[i].state == state;
	return n;
}

static int print_json(struct cmd *c, const struct findings *f)
{
	json_t *all = json_array();
	for (unsigned i = 0; i < f->n; i++) {
		const struct finding *x = &f->f[i];
		json_array_append_new(all, json_pack("{ss ss so so}", "name", x->name, "state", states[x->state],
						     "text", cmd_string(x->text), "mend",
						     x->mend[0] ? cmd_string(x->mend) : json_null()));
	}
	return cmd_json(c, json_pack("{sb so}", "ok", !count(f, FINDING_MISSING), "findings", all));
}

int doctor_print(struct cmd *c, const struct findings *f)
{
	unsigned missing = count(f, FINDING_MISSING), warn = count(f, FINDING_WARN);
	int r = CMD_OK;
	if (cmd_flag(c, "json")) {
		r = print_json(c, f);
		return missing ? CMD_FAILED : r;
	}
	for (unsigned i = 0; i < f->n; i++) {
		const struct finding *x = &f->f[i];
		char text[4 * sizeof(x->text)], mend[4 * sizeof(x->mend)];
		fprintf(c->out, "%-7s  %-11s  %s\n", states[x->state], x->name, cmd_safe(text, sizeof(text), x->text));
		if (x->state != FINDING_OK && x->mend[0])
			fprintf(c->out, "%22s %s\n", "->", cmd_safe(mend, sizeof(mend), x->mend));
	}
	if (missing)
		return cmd_fail(c, "%u thing%s that skep needs %s missing: see above", missing, missing == 1 ? "" : "s",
				missing == 1 ? "is" : "are");
	cmd_note(c, "skep can run here%s", warn ? ", with less where it says WARN" : "");
	return CMD_OK;
}

int cmd_doctor(struct cmd *c)
{
	static struct findings f;
	f.n = 0;
	doctor_kernel(&f);
	doctor_machine(&f);
	doctor_programs(&f);
	doctor_guest(&f);
	return doctor_print(c, &f);
}

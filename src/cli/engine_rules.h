/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_ENGINE_RULES_H
#define SKEP_CLI_ENGINE_RULES_H

#include "base/err.h"
#include "model/model.h"

/*
 * The rule files of a honeynet's inline engine, one after the other, in a sealed
 * memfd; paths are relative to the directory of yaml. -1 if the model names none;
 * a negative errno other than that with e set: a file that cannot be read.
 */
int engine_rules_seal(const struct model *m, const char *yaml, struct err *e);

/* What Suricata says about one file: how many rules it took, and its own words. */
struct rules_verdict {
	unsigned loaded, failed, disabled; /* disabled: rules behind a '#' */
	unsigned refused;                  /* that a message named */
	unsigned nproblems;
	struct rules_problem {
		unsigned line; /* 0: of the whole file */
		char text[256];
	} * problems;
};

/* Runs `suricata -T` on the file. 0; -ENOENT: there is no Suricata. */
int engine_rules_check(const char *file, struct rules_verdict *v, struct err *e);
void engine_rules_free(struct rules_verdict *v);

#endif

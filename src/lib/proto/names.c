/* SPDX-License-Identifier: ISC */
#include "proto/role.h"
#include "proto/verdict.h"

#include <string.h>

static const char *const roles[ROLE_COUNT] = { "none",    "cli",        "priv",     "super",    "vmm",
					       "gateway", "introspect", "evidence", "sinkhole", "api",
					       "notify",  "inspect",    "judge" };
static const char *const verdicts[VERDICT_COUNT] = {
	"forward", "rewrite", "reflect", "sinkhole", "reset", "drop",
};
static const struct {
	const char *name, *text;
} reasons[REASON_COUNT] = {
#define X(id, name, text) { name, text },
	REASONS(X)
#undef X
};

const char *role_name(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? roles[r] : "?";
}

const char *verdict_name(unsigned v)
{
	return v < VERDICT_COUNT ? verdicts[v] : "?";
}

const char *reason_name(unsigned r)
{
	return r < REASON_COUNT ? reasons[r].name : "?";
}

const char *reason_text(unsigned r)
{
	return r < REASON_COUNT ? reasons[r].text : "?";
}

int reason_by_name(const char *name)
{
	for (int i = 0; i < REASON_COUNT; i++)
		if (!strcmp(reasons[i].name, name))
			return i;
	return -1;
}

int verdict_by_name(const char *name)
{
	for (int i = 0; i < VERDICT_COUNT; i++)
		if (!strcmp(verdicts[i], name))
			return i;
	return -1;
}

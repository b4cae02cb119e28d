/* SPDX-License-Identifier: ISC */
/*
 * One binary, many processes: `skep --role=NAME` is how priv re-executes it for
 * one of skep's own processes, which then finds its fds at fixed numbers
 * (proto/role.h). Anything else is the operator's command line.
 */
#include "cli/cli.h"
#include "proc/evidence/evidence.h"
#include "proc/gateway/gateway.h"
#include "proc/inspect/inspect.h"
#include "proc/introspect/introspect.h"
#include "proc/notify/notify.h"
#include "proc/priv/priv.h"
#include "proc/sinkhole/sinkhole.h"
#include "proc/super/super.h"
#include "proc/vmm/vmm.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} roles[] = {
	{ "priv", priv_main },       { "super", super_main },       { "vmm", vmm_main },
	{ "gateway", gateway_main }, { "evidence", evidence_main }, { "introspect", introspect_main },
	{ "notify", notify_main },   { "sinkhole", sinkhole_main }, { "inspect", inspect_main },
	{ "judge", judge_main },
};

int main(int argc, char **argv)
{
	static const char flag[] = "--role=";
	if (argc < 2 || strncmp(argv[1], flag, sizeof(flag) - 1) != 0)
		return cli_main(argc, argv);
	const char *name = argv[1] + sizeof(flag) - 1;
	char title[16]; /* for ps(1), which would call all of them "exe" */
	snprintf(title, sizeof(title), "skep-%s", name);
	prctl(PR_SET_NAME, title);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(roles[i].name, name))
			return roles[i].main(argc - 1, argv + 1);
	fprintf(stderr, "skep: no such role: %s\n", name);
	return 2;
}

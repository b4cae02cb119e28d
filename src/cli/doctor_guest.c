/* SPDX-License-Identifier: ISC */
#include "cli/doctor.h"

#include "guest/plan.h"
#include "sandbox/uml_args.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is not seen where the site is missing, if there is a word for it; else the
 * function is named. */
static const char *const unseen_without[HOOK_SITE_COUNT] = {
	[HOOK_SITE_PTY_WRITE] = "terminals",
	[HOOK_SITE_LINE_WRITE] = "serial consoles",
	[HOOK_SITE_LINE_READ] = "serial consoles",
	[HOOK_SITE_PTY_RESIZE] = "window sizes",
	[HOOK_SITE_EXEC] = "programs",
	[HOOK_SITE_FORK] = "processes",
	[HOOK_SITE_EXIT] = "processes",
	[HOOK_SITE_OPEN] = "files",
	[HOOK_SITE_RENAME] = "files",
	[HOOK_SITE_UNLINK] = "files",
	[HOOK_SITE_RMDIR] = "files",
	[HOOK_SITE_CHMOD] = "files",
	[HOOK_SITE_MNT_WRITE] = "files",
	[HOOK_SITE_TCP_CONNECT] = "connections",
	[HOOK_SITE_UDP_CONNECT] = "connections",
	[HOOK_SITE_ACCEPT] = "connections",
	[HOOK_SITE_LISTEN] = "connections",
	[HOOK_SITE_MODULE] = "modules",
	[HOOK_SITE_CRED] = "users",
	[HOOK_SITE_UNIX_READ] = "ssh passwords",
	[HOOK_SITE_KERNEL_READ] = "(the hooks can be seen)",
};

static void add(char *to, size_t cap, const char *word)
{
	size_t n = strlen(to);
	if (!strstr(to, word) && n + strlen(word) + 3 < cap)
		snprintf(to + n, cap - n, "%s%s", n ? ", " : "", word);
}

void doctor_guest_plan(struct findings *f, const struct hook_plan *p)
{
	char unseen[120] = "", offsets[120] = "";
	unsigned nsites = 0, noffsets = 0;
#ifndef MUTANT_DOCTOR_BLIND
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		if (!p->site[i].addr || !p->site[i].keep) {
			nsites++;
			add(unseen, sizeof(unseen),
			    unseen_without[i] ? unseen_without[i] : guest_site_name((enum hook_site)i));
		}
#endif
	for (unsigned i = 0; i < HOOK_OFF_COUNT; i++)
		if (p->off[i] == HOOK_OFF_NONE) {
			noffsets++;
			add(offsets, sizeof(offsets), guest_offset_name((enum hook_offset)i));
		}
	if (!p->thread_size)
		finding(f, "introspection", FINDING_WARN, NULL,
			"the installed UML kernel cannot be introspected: its current task is not found");
	else if (nsites)
		finding(f, "introspection", FINDING_WARN, NULL,
			"%u functions of this UML kernel cannot be hooked; unseen: %s", nsites, unseen);
	else if (noffsets)
		finding(f, "introspection", FINDING_WARN, NULL,
			"%u structure members of this UML kernel are not known: %s", noffsets, offsets);
	else
		finding(f, "introspection", FINDING_OK, NULL,
			"the UML kernel can be seen through: %u functions, %u structure members",
			(unsigned)HOOK_SITE_COUNT, (unsigned)HOOK_OFF_COUNT);
}

void doctor_guest(struct findings *f)
{
	struct hook_plan p;
	struct err e = { 0 };
	int fd = open(UML_PROGRAM, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* told already */
	if (guest_plan_make(fd, &p, &e) < 0)
		finding(f, "introspection", FINDING_WARN, NULL, "the installed UML kernel: %s", e.text);
	else
		doctor_guest_plan(f, &p);
	close(fd);
}

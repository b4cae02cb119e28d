/* SPDX-License-Identifier: ISC */
/*
 * An evil VMM: run in the jail in the place of the real one, it tries one
 * attack and says by its exit status whether it worked. `evil --list` names
 * them all. Static and without a sanitizer, so that what it calls is what it
 * says.
 */
#include "evil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct attack *const all[] = { attacks_files, attacks_others, attacks_kernel, attacks_greed };
char **evil_args;

int evil_pid(void)
{
	return atoi(evil_args[EVIL_VICTIM_PID]);
}

int main(int argc, char **argv)
{
	evil_args = argv;
	if (geteuid() == 0 && argc == 1)
		return EVIL_WORKED; /* executed as the set-uid helper */
	for (int t = 0; t < 4; t++)
		for (const struct attack *a = all[t]; a->name; a++) {
			if (argc == 2 && !strcmp(argv[1], "--list"))
				puts(a->name);
			else if (argc == EVIL_ARGC && !strcmp(argv[1], a->name))
				_exit(a->fn() ? EVIL_WORKED : EVIL_DENIED);
		}
	if (argc == EVIL_ARGC && !strcmp(argv[1], "wait"))
		for (;;)
			sleep(1000);
	return argc == 2 ? 0 : EVIL_NO_SUCH;
}

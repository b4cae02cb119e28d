/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_VICTIMS_H
#define SKEP_TEST_VICTIMS_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* What an intruder would be after, made for one run and removed after it. */
struct victims {
	bool rootless;
	uid_t uid; /* the evil VMM's, and of all that follows */
	char dir[64];
	char evil[96];   /* a copy that its uid can reach */
	char helper[96]; /* set-uid root if made by root */
	char file[96];   /* "the evidence" */
	char disk[96], base[96];
	char unix_path[96];
	char abstract[32];
	char hostname[65];
	int unix_fd, abstract_fd, tcp_fd, tcp_port, key, shm, queue;
	pid_t pid; /* a process outside the jail */
};

/* By root: becomes uid 1000 for good if rootless. */
int victims_make(struct victims *v, const char *evil, bool rootless, struct err *e);
void victims_unmake(struct victims *v);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_IMAGE_TOOL_H
#define SKEP_CLI_IMAGE_TOOL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Runs another program by its arguments, never through a shell: stdin is
 * /dev/null, both outputs go line by line to a log and to a callback. It has a
 * session of its own, so that Ctrl-C reaches us only and we decide what it
 * gets: SIGTERM, time to clean up, SIGKILL.
 */
struct image_tool {
	int log;                                /* fd, -1 = none */
	void (*line)(const char *s, void *arg); /* without the newline; may be NULL */
	void (*tick)(void *arg);                /* about once a second; may be NULL */
	void *arg;
	bool full;      /* something that was printed says that a disk is full */
	char last[256]; /* last line that was printed, or that looked like an error */
};

/* From now on SIGINT, SIGTERM and SIGHUP only set what image_tool_stopped returns. */
void image_tool_catch_signals(void);
/* 0 or the signal that came. */
int image_tool_stopped(void);
/* Dies of the signal that came, so that a shell sees what happened. */
void image_tool_die(void);

/* Path of a program, looked for in PATH and the sbin directories. */
bool image_tool_find(const char *program, char *path, size_t cap);

/* 0; -EINTR after a signal; -ENOENT: no such program; -EIO: it failed, e says
 * how. env: NULL-terminated additions to our environment, or NULL. */
int image_tool_run(struct image_tool *t, const char *const *argv, const char *const *env, struct err *e);

#endif

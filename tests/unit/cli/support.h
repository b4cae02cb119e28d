/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_CLI_SUPPORT_H
#define SKEP_TESTS_CLI_SUPPORT_H

#include "proto/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
/* cmocka.h needs the five above first. */
#include <cmocka.h>

/* A state directory of the test's own; SKEP_STATE points to it. */
extern char state[128];
void state_make(void);
void state_drop(void);
/* The same, for cmocka. */
int state_setup(void **arg);
int state_teardown(void **arg);
void write_file(const char *path, const char *text);
/* An image with an ext4 superblock's magic and nothing else. */
void make_image(const char *name);
/* A honeynet file NAME.yaml with one honeypot "web"; returns its path (static). */
const char *make_file(const char *name);

/* The command line in a child process of its own. */
struct ran {
	int status; /* exit status; 128 + n for a signal */
	char out[65536], err[65536];
};
const struct ran *run(const char *in, ...) __attribute__((sentinel));
pid_t start(int in, int out, int err, const char *const *argv);
int finish(pid_t pid);

/* A super that is not one: serves run/NAME/ctl in a child process, one
 * connection after the other, and holds run/NAME/lock. fn gets each request;
 * it returns false to end the child. */
struct fake {
	struct chan chan;
	const char *net;
	void *arg;
};
typedef bool (*fake_fn)(struct fake *f, struct msg *m);
pid_t fake_start(const char *net, fake_fn fn, void *arg);
void fake_stop(pid_t pid);
/* Binds run/NAME/ctl: listening fd. */
int fake_listen(const char *net);
/* Serves until fn says so. */
void fake_serve(int listener, const char *net, fake_fn fn, void *arg);
void reply_end(struct fake *f, const struct msg *m, int status, const char *text);
void reply_progress(struct fake *f, const struct msg *m, unsigned step, unsigned steps, const char *text);
void reply_honeypot(struct fake *f, const struct msg *m, const char *name, unsigned honeypot_state, const char *detail);

#endif

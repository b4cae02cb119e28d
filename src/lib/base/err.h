/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_ERR_H
#define SKEP_BASE_ERR_H

/*
 * Errors: a function that can fail returns 0 or a negative errno, and says in
 * a struct err what failed, on what, and what to do. On failure its other
 * outputs are untouched. A NULL struct err * is allowed everywhere: only the
 * number is wanted then.
 */
#define ERR_TEXT 480

struct err {
	int code; /* negative errno, 0 = none */
	char text[ERR_TEXT];
};

/* Formats the message into e and returns code, so that callers can write
 * `return err_set(e, -ENOENT, "...", ...)`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": strerror(-code)" appended. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts a prefix in front of what e already says; returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

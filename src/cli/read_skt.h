/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_READ_SKT_H
#define SKEP_CLI_READ_SKT_H

#include "cli/evidence_dir.h"
#include "proto/hook.h"
#include "proto/intro.h"

/*
 * sessions/HONEYPOT.skt and sessions/HONEYPOT.NNNNNN.skt: what introspection saw
 * (proto/intro.h; docs/formats.md has the file). The files are written by our own
 * process, but they may have been replaced, and every text in them is the
 * intruder's: nothing here is believed. A record that makes no sense is left out and
 * counted, a length that makes no sense ends its file.
 */
struct skt_rec {
	struct intro_rec h; /* kind < INTRO_KIND_COUNT */
	struct slice body;  /* borrowed; gone when the callback returns */
};

/* Length of the record at the front with its padding, for a reader: 0 not whole
 * yet, -1 these bytes can be no record. */
long skt_frame(struct slice s);
/* s: as long as skt_frame said. false: no record, or one of a kind that is not known. */
bool skt_decode(struct slice s, struct skt_rec *r);

/* ---- bodies. Each is false, and its outputs are untouched, if the record is not
 * of that kind or too short. Slices borrow the body; texts are without their zero byte. */

struct skt_exec {
	int32_t ret;
	uint32_t argc;
	struct slice path, cwd;
	/* With INTRO_F_CONT in the record's flags all else is empty, and args go on
	 * where those of the record before it stopped. */
	struct slice args; /* arg\0arg\0...; the last one may be without its zero byte */
};
bool skt_file_head(const struct skt_rec *r, struct intro_file *f); /* INTRO_NONE; names are terminated */
bool skt_source(const struct skt_rec *r, struct intro_source *s, struct slice *text);
bool skt_loss(const struct skt_rec *r, struct intro_loss *l);
bool skt_text_of(const struct skt_rec *r, struct slice *text); /* TAMPER, COMMAND, MODULE */
bool skt_session(const struct skt_rec *r, struct intro_session *s, struct slice *user);
bool skt_end(const struct skt_rec *r, struct intro_end *end);
bool skt_tty(const struct skt_rec *r, uint32_t *dir, struct slice *bytes); /* dir 0 or 1 */
bool skt_winsize(const struct skt_rec *r, uint16_t *rows, uint16_t *cols);
bool skt_login(const struct skt_rec *r, uint32_t *outcome, uint32_t *how, struct slice *user, struct slice *password);
bool skt_exec(const struct skt_rec *r, struct skt_exec *x);
bool skt_u32(const struct skt_rec *r, uint32_t *v); /* FORK: pid; EXIT: code */
bool skt_file(const struct skt_rec *r, uint32_t *op, uint32_t *mode, struct slice *path, struct slice *to);
bool skt_socket(const struct skt_rec *r, struct hook_socket *s);
bool skt_cred(const struct skt_rec *r, uint32_t v[4]);

/* The text at the front up to a zero byte, which is taken too; all of it if there
 * is none. false if s is empty. */
bool skt_take_text(struct slice *s, struct slice *text);

/* ---- a honeypot's files, oldest first ------------------------------------ */

struct skt_reader;
typedef bool (*skt_fn)(void *arg, struct skt_reader *in, const struct skt_rec *r); /* false: enough */

struct skt_reader {
	const struct evidence_dir *dir;
	char honeypot[NAME_CAP];
	skt_fn fn;
	void *arg;
	uint64_t since; /* files that were last written before it are left out; 0 = none */
	/* NULL, or: where to go on in the file that was begun at `begun` (its size at
	 * most; 0 = at its beginning). */
	uint64_t (*resume)(void *arg, uint64_t begun);

	/* out */
	unsigned cut, damaged; /* files that end within a record; with bytes that are none */
	uint64_t nonsense;     /* records that were left out */
	bool shrunk;           /* a file ends before the place where `resume` left it */
	uint64_t missing;      /* sequence numbers that nobody wrote */
	uint64_t begun;        /* of the file that is being read; 0 = it does not say */
	uint64_t offset;       /* in it, behind the record that is handed out */

	/* private */
	int fd; /* skt_reader_init */
	uint32_t number, last;
	uint64_t ino, seq;
	bool head;
	uint8_t *buf;
	size_t n, cap;
};
void skt_reader_init(struct skt_reader *r, const struct evidence_dir *dir, const char *honeypot, skt_fn fn, void *arg);
/* Hands out what there is, to the end of the open file. May be called again for
 * what came since, through any number of rotations. 1 if fn had enough, 0, -errno. */
int skt_read(struct skt_reader *r, struct err *e);
void skt_reader_free(struct skt_reader *r);
/* Says on c->err what could not be read. */
void skt_reader_remarks(const struct skt_reader *r, const struct cmd *c);

/* The honeypots that have files of sessions, by name; at most cap. */
unsigned skt_honeypots(const struct evidence_dir *dir, char (*names)[NAME_CAP], unsigned cap);

#endif

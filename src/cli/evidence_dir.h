/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_EVIDENCE_DIR_H
#define SKEP_CLI_EVIDENCE_DIR_H

#include "base/dirs.h"
#include "base/slice.h"
#include "cli/cmd.h"
#include "model/model.h"

/*
 * Reading an evidence directory, while it is being written or afterwards. The
 * files of one folder are numbered; a reader takes their records one after the
 * other, and goes to the next file when there is one. A cut record at the end
 * of a file is what a crash leaves: it is left out.
 */
struct evidence_dir {
	int fd;
	char path[DIRS_PATH + 64];
};

/* The directory that --dir or the honeynet's NAME says; without both the only
 * one there is. CMD_OK, or an exit status when it said what is wrong. */
int evidence_dir_open(const struct cmd *c, struct evidence_dir *d);
void evidence_dir_close(struct evidence_dir *d);

/* Length of the record at the front of s, 0 if it is not whole yet, -1 if these
 * bytes can be no record. */
typedef long (*evidence_frame_fn)(struct slice s);
/* One record; first: it is the first one of its file. false ends the reading. */
typedef bool (*evidence_record_fn)(void *arg, struct slice record, bool first);

struct evidence_reader {
	const struct evidence_dir *dir;
	const char *folder, *ext; /* "packets", ".pcapng" */
	evidence_frame_fn frame;
	evidence_record_fn fn;
	void *arg;
	uint64_t since;   /* files that were last written before it are left out; 0 = none */
	unsigned cut;     /* out: files that ended with a cut record */
	unsigned damaged; /* out: files with bytes that are no record */

	/* private */
	uint32_t number;
	int fd; /* set to -1 at the start */
	bool begun, bad;
	uint8_t *buf;
	size_t n, cap;
};

/* Reads to the end of what is there. May be called again for what came since. */
int evidence_read(struct evidence_reader *r, struct err *e);
/* Goes on for ever: waits for more. Returns on an error, or when fn says so. */
int evidence_follow(struct evidence_reader *r, struct err *e);
void evidence_reader_free(struct evidence_reader *r);

/* Which records are wanted. */
struct evidence_filter {
	const struct cmd *cmd;
	bool honeypots;        /* --honeypot was given */
	uint64_t since, until; /* ns; 0 = no limit */
	const char *type, *reason;
	int verdict; /* -1 any */
};
/* Takes the options --since, --until and --honeypot only. */
int evidence_filter_span(struct evidence_filter *f, const struct cmd *c);
int evidence_filter_init(struct evidence_filter *f, const struct cmd *c, bool has_type);
bool evidence_filter_time(const struct evidence_filter *f, uint64_t ns);
/* True if no honeypot was asked for, or this one was. */
bool evidence_filter_honeypot(const struct evidence_filter *f, const char *name);

/* The last n of many texts; n 0 keeps none. */
struct evidence_tail {
	struct evidence_text {
		uint8_t *p;
		size_t n;
		uint32_t tag;
	} * ring;
	unsigned n, used, next;
};
bool evidence_tail_init(struct evidence_tail *t, uint64_t n);
void evidence_tail_add(struct evidence_tail *t, const void *p, size_t n, uint32_t tag);
/* Hands them out, oldest first, and empties it. */
void evidence_tail_flush(struct evidence_tail *t, void (*fn)(void *arg, struct slice s, uint32_t tag), void *arg);
void evidence_tail_free(struct evidence_tail *t);

/* A line of columns, each as wide as its widest cell so far: for output whose
 * end nobody waits for. Cells are made safe. */
#define EVIDENCE_COLS 12
struct evidence_row {
	unsigned n;
	int widths[EVIDENCE_COLS];
	char cells[EVIDENCE_COLS][600];
};
void evidence_cell(struct evidence_row *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int evidence_row_print(struct evidence_row *r, FILE *out); /* -errno if it cannot be written */

#endif

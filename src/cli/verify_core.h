/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_VERIFY_CORE_H
#define SKEP_CLI_VERIFY_CORE_H

#include "base/slice.h"
#include "proto/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Checks one evidence directory against its journal, as docs/formats.md says.
 *
 * Theory of operation. First the journal: every record's hash and number, from
 * file to file; from it comes a table of what files there must be, with their
 * last COMMIT and their CLOSE. Then the files: each is read once, and hashed up
 * to what was committed and to its end. Last the folders: what is there that no
 * record names. Claims that stand behind the last COMMIT are not held against
 * anybody: a crash may have taken what they are about.
 *
 * Everything is untrusted: records, names, sizes. The directory is reached only
 * through struct verify_source, so that a test can hold it in memory.
 */
#define VERIFY_NAME 320
#define VERIFY_PROBLEMS 1000
#define VERIFY_ANCHOR_TEXT 192

struct verify_source {
	void *arg;
	/* Calls fn for each entry of a folder ("": of the directory itself).
	 * 0 or a negative errno. */
	int (*list)(void *arg, const char *folder, void (*fn)(void *fn_arg, const char *name, bool regular),
		    void *fn_arg);
	/* A handle >= 0, or a negative errno; *size in bytes. Regular files only. */
	int (*open)(void *arg, const char *name, uint64_t *size);
	/* Bytes read, 0 at the end, or a negative errno. */
	ssize_t (*read)(void *arg, int handle, uint64_t offset, void *buf, size_t n);
	void (*close)(void *arg, int handle);
	/* May be NULL. Called now and then. */
	void (*progress)(void *arg, const char *file, uint64_t bytes, uint64_t of);
};

enum verify_kind {
	VERIFY_DAMAGED,    /* the journal itself */
	VERIFY_MISSING,    /* a file that must be there */
	VERIFY_CHANGED,    /* bytes or length differ from what was recorded */
	VERIFY_UNRECORDED, /* a file that no record names */
	VERIFY_UNREADABLE, /* the system does not let us read it */
	VERIFY_TOTALS,     /* a packet file's own statistics differ from its packets */
	VERIFY_ALARM,      /* recovery found damage and recorded it */
	VERIFY_ANCHOR,     /* the record of an anchor is not there */
	VERIFY_SIGNATURE,  /* a record is not signed with the key that it must be signed with */
	VERIFY_TIME,       /* times go back, and no record says why */
};
const char *verify_kind_name(enum verify_kind k);

struct verify_problem {
	enum verify_kind kind;
	char file[VERIFY_NAME]; /* hostile: made safe by who prints it */
	int64_t offset;         /* of the first byte that may be wrong; -1 = not known */
	uint64_t record;        /* that says how it should be; 0 = none */
	char text[240];
};

struct verify_anchor {
	char text[VERIFY_ANCHOR_TEXT];
	char honeynet[32];
	uint64_t seq;
	uint8_t hash[JOURNAL_HASH];
	char time[40];
};
/* "skep-anchor-1:HONEYNET:NUMBER:HASH:TIME"; false if it is not of that form. */
bool verify_anchor_parse(const char *text, struct verify_anchor *out);
/* ns since 1970 -> "2026-11-23T10:08:01.685030123Z". */
void verify_time(char out[40], uint64_t ns);

struct verify_report {
	char honeynet[32]; /* of the last START; "" = none */
	unsigned journals, starts, commits, closed, open, removed, anchors;
	uint64_t records, first, last; /* intact records: how many, numbers */
	uint64_t committed, committed_ns;
	uint8_t committed_hash[JOURNAL_HASH];
	bool began;           /* the first journal file that is left is the first one made */
	bool stopped;         /* the last thing that was recorded is an orderly end */
	bool sealed;          /* and signed as such, with nothing behind it */
	uint32_t epoch;       /* the one that is not sealed; after a sealed end, the one that would follow */
	uint64_t unsealed_ns; /* since then */
	uint64_t seals, crashes, clocks;
	uint8_t key[JOURNAL_HASH]; /* seal key of the first epoch that is left */
	uint64_t removed_bytes;    /* on record */
	unsigned found;            /* files that a start after a crash found, and no record named before */
	uint64_t loose;            /* intact records behind the last commit */
	uint64_t tail;             /* bytes at the journal's end that are no record */
	uint64_t beyond;           /* bytes of open files that no commit covers */
	uint64_t bytes, files;     /* hashed */
	uint64_t frames;           /* in packet files, as far as committed */
	uint64_t nproblems;        /* all; only the first VERIFY_PROBLEMS are kept */
	struct verify_problem *problems;
};

/* Checks everything (files: the journal alone if false). 0 whether or not there
 * are problems; -ENOMEM, or -errno if the journal folder cannot be listed.
 * Release with verify_free in any case. */
int verify_run(const struct verify_source *s, const struct verify_anchor *anchors, unsigned nanchors, bool files,
	       struct verify_report *out);
void verify_free(struct verify_report *r);

/* ---- between verify_journal.c, verify_files.c and verify_pcap.c ------------ */

struct verify_file {
	uint32_t id;
	char name[VERIFY_NAME];
	bool closed, crashed, found, removed, seen;
	uint64_t size, committed, removed_size;
	uint64_t named, close_record, commit_record, remove_record; /* record numbers, 0 = none */
	uint8_t hash[JOURNAL_HASH], committed_hash[JOURNAL_HASH], removed_hash[JOURNAL_HASH];
};

/* The keys in force. */
struct verify_keys {
	bool known, whole; /* whole: the epoch's begin was seen */
	uint32_t epoch;
	uint8_t seal[JOURNAL_HASH], commit[JOURNAL_HASH];
	uint64_t first, commits, from, last_ns;
	uint16_t before; /* type of the record before */
	bool crash;      /* and no SEAL that says that it ends */
	bool footer;     /* the file before ends with a SEAL */
	bool ended;      /* and nothing may stand behind it in that file */
};

struct verify {
	const struct verify_source *s;
	struct verify_report *r;
	const struct verify_anchor *anchors;
	unsigned nanchors;
	uint8_t *found; /* of each anchor */
	struct verify_file *files;
	size_t n, cap;
	char (*journals)[VERIFY_NAME]; /* sorted */
	size_t njournals;
	uint64_t total; /* bytes to be hashed */
	bool oom;
	struct verify_keys k;
};

void verify_problem(struct verify *v, enum verify_kind k, const char *file, int64_t offset, uint64_t record,
		    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
struct verify_file *verify_by_name(struct verify *v, const char *name);

/* All intact records again, for a closer look. */
typedef void (*verify_record_fn)(void *arg, const struct journal_record *r);
void verify_each_record(struct verify *v, verify_record_fn fn, void *arg);
int verify_journal(struct verify *v);
/* verify_seal.c: keys, signatures and times of one record. */
void verify_seal(struct verify *v, const char *journal, const struct journal_record *r, bool gap);
void verify_seal_end(struct verify *v);
void verify_files(struct verify *v);

/* Counts a pcapng file's packets while it is hashed. NULL: out of memory. */
struct verify_pcap;
struct verify_pcap *verify_pcap_new(void);
void verify_pcap_feed(struct verify_pcap *p, struct slice bytes);
/* NULL if all is as its statistics say, else what is not. whole: the file was closed properly. */
const char *verify_pcap_end(struct verify_pcap *p, bool whole, uint64_t *frames, char text[200]);
void verify_pcap_free(struct verify_pcap *p);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_STORE_H
#define SKEP_PROC_EVIDENCE_STORE_H

#include "base/err.h"
#include "base/ev.h"
#include "proto/journal.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

/*
 * The files of the evidence directory.
 *
 * Theory of operation. A stream is a series of files (packets/000001.pcapng,
 * packets/000002.pcapng, ...), of which one at most, its segment, is open.
 * Appended bytes gather in the stream's buffer; store_flush hands them to the
 * kernel with one write each. From then on they survive the death of every
 * process, and only then may a ring's space be given back. Each write feeds the
 * segment's running hash.
 *
 * A commit makes what was flushed survive a power cut: fdatasync of every
 * segment that changed, then a COMMIT record with their sizes and hashes in the
 * journal, then fdatasync of the journal. store_ticket names all that was
 * appended so far; store_durable says whether a commit has covered it.
 *
 * The first write, sync or create that fails ends everything: nothing is tried
 * again, nothing is acknowledged any more, and a half-written record is cut off
 * so that the file stays readable.
 */
struct store_io {
	ssize_t (*write)(int fd, const void *p, size_t n);
	int (*fdatasync)(int fd);
	int (*fstatvfs)(int fd, struct statvfs *v);
	/* Both clocks at one moment; NULL: jumps are not looked for. */
	void (*clocks)(uint64_t *real, uint64_t *mono);
};
extern const struct store_io store_real_io;

#define STORE_NAME 96
#define STORE_COMMIT_NS (50 * EV_MS)
#define STORE_COMMIT_BYTES (256u << 10)
#define STORE_JOURNAL_BYTES (16u << 20)
#define STORE_EPOCH_NS (600 * EV_SEC)
#define STORE_CLOCK_NS EV_SEC

struct store_conf {
	uint64_t max_bytes; /* 0 = no limit */
	uint64_t max_age;   /* seconds; 0 = no limit */
	uint64_t min_free;  /* bytes */
};

/* One file. */
struct segment {
	struct segment *next;
	uint32_t id; /* in the journal */
	int fd;      /* -1: closed to spare descriptors; opened again on use */
	bool dirty;  /* changed since the last commit began */
	bool closed;
	bool spare; /* its fd is closed after each commit */
	uint64_t size;
	uint64_t opened; /* ns, realtime */
	char name[STORE_NAME];
	crypto_generichash_state hash;
};

struct stream {
	struct stream *next;
	char base[STORE_NAME - 32]; /* "packets", or "console/web" */
	char ext[16];               /* ".pcapng" */
	bool current;               /* the open file is BASE.EXT and gets its number when it is closed */
	uint32_t number;            /* last one used */
	struct segment *seg;        /* NULL: none is open */
	uint8_t *buf;
	size_t n, cap; /* cap 0: not buffered */
	size_t (*whole)(const uint8_t *p, size_t n);
};

/* A closed file that the directory holds, for the limits. */
struct kept {
	char name[STORE_NAME];
	uint32_t id;
	uint64_t size, closed; /* bytes; ns, realtime */
	uint64_t seq;          /* of the record that closed it: they are kept in this order */
	uint8_t hash[JOURNAL_HASH];
	bool committed; /* its CLOSE record */
	bool removing, removed, for_ever;
	uint64_t ticket; /* of its REMOVE record */
};

/*
 * The keys of the journal. An epoch has a seal key, which is on the disk (key/
 * seal: a restart must go on) until the epoch is sealed. Each commit has a key
 * of its own, which is never on the disk: the commit before names it, and it is
 * wiped when it has signed. See seal.c.
 */
struct keys {
	int fd; /* of key/seal; -1 = not opened yet */
	uint32_t epoch;
	uint8_t seal_pk[JOURNAL_KEY], seal_sk[64];
	uint8_t commit_pk[JOURNAL_KEY], commit_sk[64];
	bool committing;          /* there is a commit key */
	const char *broke;        /* why there had to be a new seal key, NULL = there had not */
	bool known;               /* the journal that was there names a seal key */
	bool ended;               /* and ends with an orderly end */
	uint64_t first, commits;  /* of the epoch: record number, count */
	uint64_t from, from_mono; /* its begin: realtime, monotonic */
};

/* "packets/" or "console/web.log": a number never comes back, lest the record of
 * an old file's removal is about a new one. */
struct series {
	char name[STORE_NAME];
	uint32_t last;
};

/* What recovery or the limits did, for an event about it. */
enum note_kind { NOTE_RECOVERED, NOTE_ALARM, NOTE_REMOVED };
struct store_note {
	enum note_kind kind;
	char name[STORE_NAME];
	uint64_t bytes;
	uint8_t hash[JOURNAL_HASH];
	char text[160];
};

struct store {
	int dirfd;
	struct store_io io;
	struct store_conf conf;
	struct stream *streams;
	struct stream journal;
	struct journal_chain chain;
	struct keys keys;
	struct journal_chain anchor; /* the last COMMIT or SEAL that is on the disk */
	uint64_t anchor_ns;
	bool ending;                     /* STOP is recorded: seal at the next commit */
	uint64_t last_ns;                /* of the last record */
	uint64_t clock_real, clock_mono; /* when the clocks were compared last */
	uint32_t last_id;
	struct segment *closing; /* closed, their sync still to come */
	struct kept *kept;
	unsigned nkept, capkept;
	struct series *series; /* the numbers that were used, also by files that are gone */
	unsigned nseries, capseries;
	uint64_t total; /* bytes of all files */

	uint64_t done;              /* commits */
	uint64_t appended, covered; /* counters of what was appended, and of what a commit covers */
	uint64_t since;             /* monotonic time at which the first append after a commit was seen; 0 = none */
	uint64_t pending;           /* bytes written since the last commit */
	uint8_t *snapshot;          /* payload of the COMMIT record */
	unsigned nopen;             /* fds of unbuffered streams */
	bool low;                   /* free space is below min_free */

	struct store_note *notes;
	unsigned nnotes;

	int failed;
	struct err why;
};

/* Takes over the directory (dirfd stays the caller's): recovers what an earlier
 * process left, starts a new journal file. now is realtime. -EBUSY: another
 * process writes there. -errno as the system says. */
int store_open(struct store *s, int dirfd, const char *text, const struct store_conf *c, const struct store_io *io,
	       uint64_t now, struct err *e);
/* Frees everything; does not write. */
void store_free(struct store *s);

/* A series of files. buffer 0: every append is written at once, and the fd is
 * not kept open between commits. whole may be NULL (any cut is fine). */
struct stream *store_stream(struct store *s, const char *base, const char *ext, bool current, size_t buffer,
			    size_t (*whole)(const uint8_t *, size_t));

/* All of these: 0, or the negative errno with which the store failed for good
 * (s->why says how). now is realtime. */
int store_begin(struct store *s, struct stream *st, uint64_t now);  /* opens the next file */
int store_rotate(struct store *s, struct stream *st, uint64_t now); /* closes it; none open is fine */
int store_append(struct store *s, struct stream *st, const void *p, size_t n);
int store_flush(struct store *s);
int store_record(struct store *s, unsigned type, uint64_t now, const void *payload, size_t n);
/* Keeps bytes as a file of its own, for ever. */
int store_file(struct store *s, const char *name, const void *p, size_t n, uint64_t now);

/* Room for n <= cap bytes in a stream's buffer, NULL if the store failed; and
 * how many of them were used. */
uint8_t *store_reserve(struct store *s, struct stream *st, size_t n);
void store_used(struct store *s, struct stream *st, size_t n);

static inline uint64_t stream_size(const struct stream *st)
{
	return st->seg ? st->seg->size + st->n : 0;
}

/* Names everything appended until now; durable when a commit has covered it. */
uint64_t store_ticket(const struct store *s);
static inline bool store_durable(const struct store *s, uint64_t ticket)
{
	return s->done >= ticket;
}

/* Commits if it is time. mono is the monotonic clock. */
int store_tick(struct store *s, uint64_t now, uint64_t mono);
/* Commits everything now. */
int store_commit(struct store *s, uint64_t now);
/* When store_tick wants to be called at the latest (monotonic); 0 = no need. */
uint64_t store_deadline(const struct store *s);

/* ---- between store.c, commit.c, recover.c and retain.c ------------------- */
int store_fail(struct store *s, int code, const char *what, const char *name);
void store_close_fd(struct store *s, struct segment *g);
int store_write(struct store *s, struct stream *st, const void *p, size_t n);
int store_journal_begin(struct store *s, uint64_t now);
struct kept *store_keep(struct store *s, const char *name, uint32_t id, uint64_t size, uint64_t closed,
			const uint8_t hash[JOURNAL_HASH]);
void store_note(struct store *s, enum note_kind k, const char *name, uint64_t bytes, const uint8_t *hash,
		const char *text);
int store_close_record(struct store *s, uint32_t id, uint32_t flags, uint64_t size, const uint8_t hash[JOURNAL_HASH],
		       const char *name, uint64_t now);
uint32_t store_last_number(const struct store *s, const char *base, const char *ext, bool current);
int store_sync_dir(struct store *s, const char *dir);
int store_sync_folder(struct store *s, const char *name); /* the one that the file is in */
int store_clock(struct store *s, int64_t step, uint64_t before, uint64_t now);
extern const char *const store_folders[]; /* where files are, but for the journal and the key; NULL ends them */
/* recover.c: reads journals and leftovers; fills chain, last_id, kept. Returns
 * through `after` what must be recorded once the new journal file is begun. */
struct recovery;
int recover_scan(struct store *s, struct recovery **out, uint64_t now, struct err *e);
int recover_finish(struct store *s, struct recovery *r, uint64_t now);
int recover_alarm(struct store *s, const char *name, const char *text, uint64_t now);
void recover_free(struct recovery *r);
/* names.c: the number in a name, and its series: "console/web.000007.log" -> 7
 * and "console/web.log", "packets/000007.pcapng" -> 7 and "packets/"; 0 and the
 * name itself if there is none. */
uint32_t name_split(const char *name, char series[STORE_NAME]);
int name_note(struct store *s, const char *name); /* remembers its number; -ENOMEM */
uint32_t name_last(const struct store *s, const char *series);
/* seal.c */
int seal_open(struct store *s, bool begun, uint64_t now);
void seal_head(const struct store *s, struct journal_body *b);
int seal_commit(struct store *s, const void *payload, size_t n, uint64_t now);
int seal_epoch(struct store *s, uint32_t flags, uint64_t now);
void seal_replay(struct store *s, const struct journal_record *r);
void seal_wipe(struct store *s);
/* retain.c */
int retain_apply(struct store *s, uint64_t now);
void retain_unlink(struct store *s);

size_t json_whole(const uint8_t *p, size_t n);

#endif

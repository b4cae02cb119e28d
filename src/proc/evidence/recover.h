/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_RECOVER_H
#define SKEP_PROC_EVIDENCE_RECOVER_H

#include "proc/evidence/store.h"

/* Between recover.c (files) and recover_journal.c (what the journal says). */
struct known {
	uint32_t id;
	char name[STORE_NAME];
	bool closed, removed, found, unnamed;
	uint64_t size, committed, when, seq;
	uint8_t hash[JOURNAL_HASH], committed_hash[JOURNAL_HASH];
};

/* What has to be recorded in the new journal file. */
struct finding {
	unsigned type; /* J_RECOVER, J_ALARM, or J_CLOSE */
	char name[STORE_NAME];
	char text[160];
	uint32_t id, flags;
	uint64_t size;
	uint8_t hash[JOURNAL_HASH];
};

/* Closed files are compared with their hash as far as this goes, the newest
 * first; of others only the length. skep verify compares all. */
#define RECOVER_HASH_BYTES (256ull << 20)

struct recovery {
	struct known *known;
	unsigned n, cap;
	struct finding *findings;
	unsigned nfindings, capfindings;
	uint64_t last; /* ns, of the last record that was read */
	bool begun;    /* a journal file was read */
	bool oom;
};

/* The newest of that name; NULL: none. */
struct known *recover_by_name(struct recovery *r, const char *name);
/* NULL: no memory (r->oom). */
struct known *recover_add(struct recovery *r, uint32_t id, struct slice name);
/* Something to be recorded; NULL as above. */
struct finding *recover_find(struct recovery *r, unsigned type, const char *name, uint64_t size, const char *text);

/* A file of the evidence directory, whole and read only; false: it cannot be read. */
bool recover_map(struct store *s, const char *name, struct slice *out);
void recover_unmap(struct slice s);
int recover_sync(struct store *s, const char *name);
/* Cuts a file to `size` bytes and syncs it. */
bool recover_cut(struct store *s, const char *name, uint64_t size);

/* Reads one journal file into r, and cuts an interrupted write off its end. False:
 * there was nothing in it, and it was removed. */
bool recover_journal(struct store *s, struct recovery *r, const char *name);

#endif

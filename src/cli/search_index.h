/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_SEARCH_INDEX_H
#define SKEP_CLI_SEARCH_INDEX_H

#include "cli/evidence_dir.h"

#include <sqlite3.h>

/*
 * The search index of a honeynet: an SQLite database (WAL) with one FTS5 table of
 * lines. It is derived: the evidence is read, never written, and the index can
 * be deleted at any time.
 *
 *   item  body, kind, honeypot, session, tty, time, file   a line to be found
 *   file  id, name, begun, offset                          how far a file was read
 *   part  honeypot, session, tty, dir, text                lines that have not ended yet
 *
 * A file of sessions is known by its honeypot and the time in its first record, since
 * closing renames it; one of events by its number. What was removed from the
 * evidence leaves the index at the next update.
 */
struct search_index {
	sqlite3 *db;
	uint64_t added; /* items, by the last update */
};
/* path: ":memory:" or a file, made with mode 0600. An index of another version is
 * emptied; one that is damaged is made anew. */
int search_index_open(struct search_index *x, const char *path, struct err *e);
/* Reads what came since. */
int search_index_update(struct search_index *x, const struct evidence_dir *dir, struct err *e);
/* Empties it. */
int search_index_clear(struct search_index *x, struct err *e);
void search_index_close(struct search_index *x);

#endif

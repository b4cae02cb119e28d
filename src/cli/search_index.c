/* SPDX-License-Identifier: ISC */
#include "cli/search_index.h"

#include "base/text.h"
#include "cli/flat.h"
#include "cli/proc_table.h"
#include "cli/read_eve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, STREAMS = 256, BODY_MAX = 256 << 10, WAIT_MS = 60000 };

static const char schema[] =
    "DROP TABLE IF EXISTS item; DROP TABLE IF EXISTS file; DROP TABLE IF EXISTS part;"
    "CREATE TABLE file (id INTEGER PRIMARY KEY, name TEXT NOT NULL, begun INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " UNIQUE (name, begun));"
    "CREATE TABLE part (honeypot TEXT, session INTEGER, tty INTEGER, dir INTEGER, text BLOB);"
    "CREATE VIRTUAL TABLE item USING fts5 (body, kind UNINDEXED, honeypot UNINDEXED, session UNINDEXED,"
    " tty UNINDEXED, time UNINDEXED, file UNINDEXED, tokenize = 'unicode61 remove_diacritics 2');"
    "PRAGMA user_version = 1;";

static int sql_err(struct err *e, sqlite3 *db, const char *what)
{
	int code = sqlite3_errcode(db);
	return err_set(e,
		       code == SQLITE_BUSY   ? -EBUSY
		       : code == SQLITE_FULL ? -ENOSPC
					     : -EIO,
		       "%s: %s", what, sqlite3_errmsg(db));
}

static int exec(struct search_index *x, const char *sql, const char *what, struct err *e)
{
	return sqlite3_exec(x->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_err(e, x->db, what);
}

int search_index_clear(struct search_index *x, struct err *e)
{
	int got = exec(x, "BEGIN IMMEDIATE", "cannot write the search index", e);
	if (got < 0)
		return got;
	got = exec(x, schema, "cannot make the search index", e);
	if (got == 0)
		got = exec(x, "COMMIT", "cannot make the search index", e);
	if (got < 0)
		sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
	return got;
}

static long number(struct search_index *x, const char *sql)
{
	sqlite3_stmt *st;
	long v = -1;
	if (sqlite3_prepare_v2(x->db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		v = (long)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static int open_once(struct search_index *x, const char *path, struct err *e)
{
	/* It holds what the evidence holds, passwords too. */
	mode_t was = umask(077);
	int r = sqlite3_open_v2(path, &x->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	umask(was);
	if (r != SQLITE_OK) {
		err_set(e, -EIO, "cannot open the search index %s: %s", path,
			x->db ? sqlite3_errmsg(x->db) : "no memory");
		search_index_close(x);
		return -EIO;
	}
	sqlite3_busy_timeout(x->db, WAIT_MS);
	was = umask(077);
	r = sqlite3_exec(x->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;",
			 NULL, NULL, NULL);
	umask(was);
	long version = r == SQLITE_OK ? number(x, "PRAGMA user_version") : -1;
	if (version == VERSION)
		return 0;
	int got = version < 0 ? err_set(e, -EIO, "the search index %s is damaged: %s", path, sqlite3_errmsg(x->db))
			      : search_index_clear(x, e);
	if (got < 0)
		search_index_close(x);
	return got;
}

int search_index_open(struct search_index *x, const char *path, struct err *e)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	uint8_t magic[16];
	*x = (struct search_index){ 0 };
	int got = open_once(x, path, e);
	if (got == 0 || !strcmp(path, ":memory:"))
		return got;
	/* Only what is, or was, an index of ours is taken away. */
	FILE *f = fopen(path, "rbe");
	size_t n = f ? fread(magic, 1, sizeof(magic), f) : 0;
	if (f)
		fclose(f);
	if (n != sizeof(magic) || memcmp(magic, "SQLite format 3", 16) != 0)
		return got;
	for (int i = 0; i < 3; i++) {
		char name[DIRS_PATH + 100];
		snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		unlink(name);
	}
	return open_once(x, path, e);
}

void search_index_close(struct search_index *x)
{
	sqlite3_close(x->db);
	x->db = NULL;
}

/* ---- an update -------------------------------------------------------------- */

struct line_stream {
	struct update *u;
	uint64_t session, time, used;
	uint32_t tty, dir;
	struct flat flat;
};

struct update {
	struct search_index *x;
	sqlite3_stmt *add, *get_file, *set_file, *get_part, *add_part;
	const char *honeypot;
	int64_t file; /* id of the one that is read */
	bool *seen;   /* by id */
	size_t nseen;
	bool failed;
	uint64_t uses;
	struct line_stream *streams[STREAMS];
	struct exec_join join;
	char *body;
};

static void add_item(struct update *u, const char *kind, const char *body, size_t n, uint64_t session, uint32_t tty,
		     uint64_t time)
{
	bool word = false;
	for (size_t i = 0; i < n && !word; i++)
		word = (body[i] >= '0' && body[i] <= '9') || ((body[i] | 32) >= 'a' && (body[i] | 32) <= 'z') ||
		       (body[i] & 0x80);
	if (!word)
		return;
	sqlite3_bind_text(u->add, 1, body, (int)n, SQLITE_STATIC);
	sqlite3_bind_text(u->add, 2, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(u->add, 3, u->honeypot, -1, SQLITE_STATIC);
	sqlite3_bind_int64(u->add, 4, (sqlite3_int64)session);
	sqlite3_bind_int64(u->add, 5, tty);
	sqlite3_bind_int64(u->add, 6, (sqlite3_int64)time);
	sqlite3_bind_int64(u->add, 7, u->file);
	u->failed |= sqlite3_step(u->add) != SQLITE_DONE;
	sqlite3_reset(u->add);
	u->x->added++;
}

static void on_line(void *arg, const char *text, size_t n)
{
	struct line_stream *s = arg;
	add_item(s->u, s->dir ? "output" : "input", text, n, s->session, s->tty, s->time);
}

/* Its line has not ended: it goes on at the next update. */
static void keep_part(struct line_stream *s)
{
	char text[4 * FLAT_COLS];
	struct update *u = s->u;
	size_t n = flat_peek(&s->flat, text);
	if (!n)
		return;
	sqlite3_bind_text(u->add_part, 1, u->honeypot, -1, SQLITE_STATIC);
	sqlite3_bind_int64(u->add_part, 2, (sqlite3_int64)s->session);
	sqlite3_bind_int64(u->add_part, 3, s->tty);
	sqlite3_bind_int64(u->add_part, 4, s->dir);
	sqlite3_bind_blob(u->add_part, 5, text, (int)n, SQLITE_STATIC);
	u->failed |= sqlite3_step(u->add_part) != SQLITE_DONE;
	sqlite3_reset(u->add_part);
}

static void take_part(struct line_stream *s)
{
	struct update *u = s->u;
	sqlite3_bind_text(u->get_part, 1, u->honeypot, -1, SQLITE_STATIC);
	sqlite3_bind_int64(u->get_part, 2, (sqlite3_int64)s->session);
	sqlite3_bind_int64(u->get_part, 3, s->tty);
	sqlite3_bind_int64(u->get_part, 4, s->dir);
	/* DELETE ... RETURNING */
	while (sqlite3_step(u->get_part) == SQLITE_ROW)
		flat_feed(&s->flat, sqlite3_column_blob(u->get_part, 0), (size_t)sqlite3_column_bytes(u->get_part, 0));
	sqlite3_reset(u->get_part);
}

static void drop(struct update *u, unsigned i, bool keep)
{
	if (keep)
		keep_part(u->streams[i]);
	else
		flat_flush(&u->streams[i]->flat);
	flat_free(&u->streams[i]->flat);
	free(u->streams[i]);
	u->streams[i] = NULL;
}

static struct line_stream *stream(struct update *u, uint64_t session, uint32_t tty, uint32_t dir)
{
	unsigned oldest = 0;
	for (unsigned i = 0; i < STREAMS; i++) {
		struct line_stream *s = u->streams[i];
		if (s && s->session == session && s->tty == tty && s->dir == dir)
			return s;
		if (!s || (u->streams[oldest] && s->used < u->streams[oldest]->used))
			oldest = i;
	}
	if (u->streams[oldest])
		drop(u, oldest, true);
	struct line_stream *s = calloc(1, sizeof(*s));
	if (!s || !flat_init(&s->flat, on_line, s, dir == 0, 0)) {
		free(s);
		u->failed = true;
		return NULL;
	}
	s->u = u;
	s->session = session;
	s->tty = tty;
	s->dir = dir;
	u->streams[oldest] = s;
	take_part(s);
	return s;
}

static void on_tty(struct update *u, const struct skt_rec *r)
{
	struct slice bytes;
	uint32_t dir;
	if (!skt_tty(r, &dir, &bytes))
		return;
	struct line_stream *s = stream(u, r->h.session, r->h.tty, dir);
	if (!s)
		return;
	s->time = r->h.time;
	s->used = ++u->uses;
	flat_feed(&s->flat, bytes.p, bytes.n);
}

static void on_exec(struct update *u, const struct skt_rec *r)
{
	struct intro_rec h;
	struct skt_exec x;
	bool cut;
	if (!exec_join_add(&u->join, r, &h, &x, &cut))
		return;
	size_t n = text_safe(u->body, BODY_MAX / 2, x.path.p, x.path.n, false);
	u->body[n++] = ' ';
	exec_text(u->body + n, BODY_MAX - n, &x);
	add_item(u, "exec", u->body, n + strlen(u->body + n), h.session, h.tty, h.time);
}

static void on_rest(struct update *u, const struct skt_rec *r)
{
	struct slice user, password;
	uint32_t outcome, how;
	size_t n = 0;
	if (skt_login(r, &outcome, &how, &user, &password)) {
		n = text_safe(u->body, BODY_MAX / 2, user.p, user.n, false);
		u->body[n++] = ' ';
		n += text_safe(u->body + n, BODY_MAX - n, password.p, password.n, false);
		n += (size_t)snprintf(u->body + n, BODY_MAX - n, " %s", session_outcome(outcome));
		add_item(u, "login", u->body, n, r->h.session, r->h.tty, r->h.time);
	} else if (r->h.kind == INTRO_COMMAND && skt_text_of(r, &user)) {
		n = text_safe(u->body, BODY_MAX, user.p, user.n, false);
		add_item(u, "command", u->body, n, r->h.session, r->h.tty, r->h.time);
	} else if (proc_note_text(u->body, BODY_MAX, r)) {
		add_item(u,
			 r->h.kind == INTRO_FILE     ? "file"
			 : r->h.kind == INTRO_SOCKET ? "socket"
						     : "event",
			 u->body, strlen(u->body), r->h.session, r->h.tty, r->h.time);
	}
}

/* ---- files ------------------------------------------------------------------ */

static void mark_seen(struct update *u, int64_t id)
{
	if (id < 0 || id > 100000000)
		return;
	if ((size_t)id >= u->nseen) {
		size_t n = ((size_t)id + 1) * 2;
		bool *p = realloc(u->seen, n);
		if (!p) {
			u->failed = true;
			return;
		}
		memset(p + u->nseen, 0, n - u->nseen);
		u->seen = p;
		u->nseen = n;
	}
	u->seen[id] = true;
}

/* Sets u->file; returns how far it was read. */
static uint64_t enter_file(struct update *u, const char *name, uint64_t begun)
{
	uint64_t offset = 0;
	for (int tries = 0; tries < 2; tries++) {
		sqlite3_bind_text(u->get_file, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(u->get_file, 2, (sqlite3_int64)begun);
		bool there = sqlite3_step(u->get_file) == SQLITE_ROW;
		if (there) {
			u->file = sqlite3_column_int64(u->get_file, 0);
			offset = (uint64_t)sqlite3_column_int64(u->get_file, 1);
		}
		sqlite3_reset(u->get_file);
		if (there) {
			mark_seen(u, u->file);
			return offset;
		}
		sqlite3_bind_text(u->set_file, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(u->set_file, 2, (sqlite3_int64)begun);
		sqlite3_bind_int64(u->set_file, 3, 0);
		u->failed |= sqlite3_step(u->set_file) != SQLITE_DONE;
		sqlite3_reset(u->set_file);
	}
	return 0;
}

static void leave_file(struct update *u, const char *name, uint64_t begun, uint64_t offset)
{
	sqlite3_bind_text(u->set_file, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(u->set_file, 2, (sqlite3_int64)begun);
	sqlite3_bind_int64(u->set_file, 3, (sqlite3_int64)offset);
	u->failed |= sqlite3_step(u->set_file) != SQLITE_DONE;
	sqlite3_reset(u->set_file);
}

struct skt_update {
	struct update *u;
	uint64_t begun, offset, from;
	bool any;
};

static void leave_skt(struct skt_update *s)
{
	if (s->any)
		leave_file(s->u, s->u->honeypot, s->begun, s->offset);
	s->any = false;
}

static uint64_t on_file(void *arg, uint64_t begun)
{
	struct skt_update *s = arg;
	leave_skt(s);
	s->begun = begun;
	s->from = enter_file(s->u, s->u->honeypot, begun);
#ifdef MUTANT_INDEX_TWICE
	s->from = 0;
#endif
	return s->from;
}

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct skt_update *s = arg;
	struct update *u = s->u;
	if (in->begun != s->begun)
		on_file(s, in->begun); /* a file without a first record */
	s->offset = in->offset;
	s->any = true;
	if (in->offset <= s->from)
		return true;
	if (r->h.kind == INTRO_TTY)
		on_tty(u, r);
	else if (r->h.kind == INTRO_EXEC)
		on_exec(u, r);
	else
		on_rest(u, r);
	if (r->h.kind == INTRO_END)
		for (unsigned i = 0; i < STREAMS; i++)
			if (u->streams[i] && u->streams[i]->session == r->h.session)
				drop(u, i, false);
	return !u->failed;
}

static int read_sessions(struct update *u, const struct evidence_dir *dir, bool *shrunk, struct err *e)
{
	char names[256][NAME_CAP];
	unsigned n = skt_honeypots(dir, names, 256);
	for (unsigned i = 0; i < n; i++) {
		struct skt_update s = { .u = u, .begun = UINT64_MAX };
		struct skt_reader r;
		u->honeypot = names[i];
		skt_reader_init(&r, dir, names[i], on_record, &s);
		r.resume = on_file;
		int got = skt_read(&r, e);
		leave_skt(&s);
		*shrunk |= r.shrunk;
		skt_reader_free(&r);
		for (unsigned k = 0; k < STREAMS; k++)
			if (u->streams[k])
				drop(u, k, true);
		if (got < 0)
			return got;
	}
	return 0;
}

static void index_event(struct update *u, json_t *v)
{
	static const char *const types[] = { "machine", "policy", "operator", "evidence" };
	const char *type = eve_str(v, "event_type", NULL);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(type, types[i]) != 0)
			continue;
		int n = snprintf(u->body, BODY_MAX, "%s %s", eve_str(v, type, "eventid"), eve_str(v, type, "message"));
		u->honeypot = eve_str(v, type, "honeypot");
		size_t len = n < 0 ? 0 : (size_t)n < BODY_MAX ? (size_t)n : BODY_MAX - 1;
		add_item(u, "event", u->body, len, 0, 0, eve_time(eve_str(v, "timestamp", NULL)));
	}
}

struct eve_update {
	struct update *u;
	struct evidence_reader *in;
	uint32_t number;
	uint64_t offset, from;
	char name[32];
};

static bool on_event(void *arg, struct slice line, bool first)
{
	struct eve_update *s = arg;
	if (first || s->number != s->in->number) {
		if (s->number)
			leave_file(s->u, s->name, 0, s->offset);
		s->number = s->in->number;
		s->offset = 0;
		snprintf(s->name, sizeof(s->name), "events/%06u", s->number);
		s->from = enter_file(s->u, s->name, 0);
	}
	s->offset += line.n;
	if (s->offset <= s->from)
		return true;
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL);
	if (v)
		index_event(s->u, v);
	json_decref(v);
	return !s->u->failed;
}

static int read_events(struct update *u, const struct evidence_dir *dir, struct err *e)
{
	struct eve_update s = { .u = u };
	struct evidence_reader in = {
		.dir = dir, .folder = "events", .ext = ".json", .frame = eve_line, .fn = on_event, .arg = &s, .fd = -1
	};
	s.in = &in;
	int got = evidence_read(&in, e);
	if (s.number)
		leave_file(u, s.name, 0, s.offset);
	evidence_reader_free(&in);
	return got < 0 ? got : 0;
}

/* What the evidence has no more is not found any more. */
static void forget_removed(struct update *u)
{
	sqlite3_stmt *list, *items, *file;
	sqlite3 *db = u->x->db;
	if (sqlite3_prepare_v2(db, "SELECT id FROM file", -1, &list, NULL) != SQLITE_OK)
		return;
	sqlite3_prepare_v2(db, "DELETE FROM item WHERE file = ?1", -1, &items, NULL);
	sqlite3_prepare_v2(db, "DELETE FROM file WHERE id = ?1", -1, &file, NULL);
	while (items && file && sqlite3_step(list) == SQLITE_ROW) {
		sqlite3_int64 id = sqlite3_column_int64(list, 0);
		if (id >= 0 && (size_t)id < u->nseen && u->seen[id])
			continue;
		sqlite3_bind_int64(items, 1, id);
		sqlite3_bind_int64(file, 1, id);
		u->failed |= sqlite3_step(items) != SQLITE_DONE || sqlite3_step(file) != SQLITE_DONE;
		sqlite3_reset(items);
		sqlite3_reset(file);
	}
	sqlite3_finalize(list);
	sqlite3_finalize(items);
	sqlite3_finalize(file);
}

static bool prepare(struct update *u)
{
	const struct {
		sqlite3_stmt **st;
		const char *sql;
	} all[] = {
		{ &u->add, "INSERT INTO item (body, kind, honeypot, session, tty, time, file) VALUES "
			   "(?1, ?2, ?3, ?4, ?5, ?6, ?7)" },
		{ &u->get_file, "SELECT id, offset FROM file WHERE name = ?1 AND begun = ?2" },
		{ &u->set_file,
		  "INSERT INTO file (name, begun, offset) VALUES (?1, ?2, ?3) ON CONFLICT (name, begun) DO "
		  "UPDATE SET offset = excluded.offset" },
		{ &u->get_part, "DELETE FROM part WHERE honeypot = ?1 AND session = ?2 AND tty = ?3 AND dir = ?4 "
				"RETURNING text" },
		{ &u->add_part, "INSERT INTO part (honeypot, session, tty, dir, text) VALUES (?1, ?2, ?3, ?4, ?5)" },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (sqlite3_prepare_v2(u->x->db, all[i].sql, -1, all[i].st, NULL) != SQLITE_OK)
			return false;
	return (u->body = malloc(BODY_MAX)) != NULL;
}

static int update_once(struct search_index *x, const struct evidence_dir *dir, bool *shrunk, struct err *e)
{
	struct update u = { .x = x, .honeypot = "" };
	/* One transaction: two who search at once do not add everything twice. */
	int got = exec(x, "BEGIN IMMEDIATE", "cannot write the search index", e);
	if (got < 0)
		return got;
	x->added = 0;
	if (!prepare(&u))
		got = sql_err(e, x->db, "cannot use the search index");
	if (got == 0)
		got = read_sessions(&u, dir, shrunk, e);
	if (got == 0)
		got = read_events(&u, dir, e);
	if (got == 0 && !u.failed)
		forget_removed(&u);
	if (got == 0 && u.failed)
		got = sql_err(e, x->db, "cannot write the search index");
	sqlite3_finalize(u.add);
	sqlite3_finalize(u.get_file);
	sqlite3_finalize(u.set_file);
	sqlite3_finalize(u.get_part);
	sqlite3_finalize(u.add_part);
	exec_join_free(&u.join);
	free(u.body);
	free(u.seen);
	if (got == 0)
		got = exec(x, "COMMIT", "cannot write the search index", e);
	if (got < 0)
		sqlite3_exec(x->db, "ROLLBACK", NULL, NULL, NULL);
	return got;
}

int search_index_update(struct search_index *x, const struct evidence_dir *dir, struct err *e)
{
	bool shrunk = false;
	int got = update_once(x, dir, &shrunk, e);
	/* A file that got shorter (a power cut took what nobody had acknowledged):
	 * from the beginning. */
	if (got == 0 && shrunk && (got = search_index_clear(x, e)) == 0)
		got = update_once(x, dir, &shrunk, e);
	return got;
}

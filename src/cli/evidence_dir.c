/* SPDX-License-Identifier: ISC */
#include "cli/evidence_dir.h"

#include "base/ev.h"
#include "base/text.h"
#include "proto/verdict.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, RECORD_MAX = 1 << 24, FOLLOW_MS = 200 };

/* ---- the directory -------------------------------------------------------- */

/* Names of the honeynets that have evidence, "a, b, c"; returns how many. */
static unsigned list_nets(const char *state, char *names, size_t cap, char only[NAME_CAP])
{
	char path[DIRS_PATH + 64];
	unsigned n = 0;
	size_t len = 0;
	names[0] = '\0';
	snprintf(path, sizeof(path), "%s/nets", state);
	DIR *d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		char sub[DIRS_PATH + 400];
		snprintf(sub, sizeof(sub), "%s/%s/evidence", path, e->d_name);
		if (!text_is_name(e->d_name) || stat(sub, &st) < 0)
			continue;
		snprintf(only, NAME_CAP, "%.31s", e->d_name);
		int w = snprintf(names + len, cap - len, "%s%s", n ? ", " : "", e->d_name);
		if (w > 0 && (size_t)w < cap - len)
			len += (size_t)w;
		n++;
	}
	closedir(d);
	return n;
}

int evidence_dir_open(const struct cmd *c, struct evidence_dir *d)
{
	struct err e = { 0 };
	char state[DIRS_PATH], names[512], only[NAME_CAP] = "";
	const char *dir = cmd_str(c, "dir"), *name = c->nargs ? c->args[0] : NULL;
	if (dir && name)
		return cmd_usage(c, "either NAME or --dir, not both");
	if (dir) {
		snprintf(d->path, sizeof(d->path), "%s", dir);
	} else {
		if (name && !text_is_name(name))
			return cmd_fail(c, "\"%s\" cannot be a honeynet's name", name);
		if (dirs_state(state, &e) < 0)
			return cmd_fail_err(c, &e, NULL);
		unsigned n = list_nets(state, names, sizeof(names), only);
		if (!name && !n)
			return cmd_fail(c, "there is no evidence yet below %s/nets: start a honeynet with skep up FILE",
					state);
		if (!name && n > 1)
			return cmd_usage(c, "which honeynet? There is evidence of %s", names);
		snprintf(d->path, sizeof(d->path), "%s/nets/%s/evidence", state, name ? name : only);
	}
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd >= 0)
		return CMD_OK;
	if (errno == ENOENT && name && list_nets(state, names, sizeof(names), only))
		return cmd_fail(c, "no honeynet \"%s\" has evidence here; there is %s", name, names);
	return cmd_fail(c, "cannot open the evidence directory %s: %s", d->path, strerror(errno));
}

void evidence_dir_close(struct evidence_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* ---- records -------------------------------------------------------------- */

static int open_file(struct evidence_reader *r, uint32_t number)
{
	char name[64];
	snprintf(name, sizeof(name), "%s/%06u%s", r->folder, number, r->ext);
	return openat(r->dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* The smallest number above `after`, 0 if there is none. */
static uint32_t next_number(struct evidence_reader *r, uint32_t after)
{
	int fd = openat(r->dir->fd, r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t best = 0;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	for (struct dirent *e; (e = readdir(d));) {
		char *end;
		unsigned long v = strtoul(e->d_name, &end, 10);
		if (end == e->d_name || strcmp(end, r->ext) != 0 || v <= after || v > 999999999)
			continue;
		struct stat st;
		if (r->since && v && fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    (uint64_t)st.st_mtim.tv_sec * EV_SEC + EV_SEC < r->since)
			continue;
		if (!best || v < best)
			best = (uint32_t)v;
	}
	closedir(d);
	return best;
}

/* Hands out the whole records in the buffer. false: fn wants no more. */
static bool hand_out(struct evidence_reader *r)
{
	struct slice s = slice_of(r->buf, r->n), rec;
	bool go_on = true;
	while (go_on && !r->bad && s.n) {
		long len = r->frame(s);
		if (!len)
			break;
		if (len < 0 || len > RECORD_MAX) {
			r->bad = true;
			r->damaged++;
			break;
		}
		if (!slice_take(&s, (size_t)len, &rec))
			break;
		go_on = r->fn(r->arg, rec, r->begun);
		r->begun = false;
	}
	if (r->bad)
		s.n = 0;
	if (s.n)
		memmove(r->buf, s.p, s.n);
	r->n = s.n;
	return go_on;
}

/* 1: read to the end of the file; 0: fn wants no more. */
static int read_file(struct evidence_reader *r, struct err *e)
{
	for (;;) {
		if (r->cap - r->n < CHUNK / 2) {
			size_t cap = r->cap ? 2 * r->cap : CHUNK;
			uint8_t *p = cap <= 2 * RECORD_MAX ? realloc(r->buf, cap) : NULL;
			if (!p)
				return err_set(e, -ENOMEM, "a record in %s/%s is too long", r->dir->path, r->folder);
			r->buf = p;
			r->cap = cap;
		}
		ssize_t n = read(r->fd, r->buf + r->n, r->cap - r->n);
		if (n < 0)
			return err_sys(e, -errno, "cannot read %s/%s/%06u%s", r->dir->path, r->folder, r->number,
				       r->ext);
		if (!n)
			return 1;
		r->n += (size_t)n;
		if (!hand_out(r))
			return 0;
	}
}

int evidence_read(struct evidence_reader *r, struct err *e)
{
	for (;;) {
		/* Asked before the end is found: what is written to a file comes
		 * before the next file is made. */
		uint32_t next = next_number(r, r->number);
		if (r->fd >= 0) {
			int got = read_file(r, e);
			if (got <= 0)
				return got < 0 ? got : 1;
			if (!next)
				return 0;
			r->cut += r->n != 0;
			close(r->fd);
			r->fd = -1;
		}
		if (!next)
			return 0;
		r->number = next;
		r->fd = open_file(r, next);
		r->n = 0;
		r->begun = true;
		r->bad = false;
		/* It may have been removed since, because of the limits. */
		if (r->fd < 0 && errno != ENOENT)
			return err_sys(e, -errno, "cannot open %s/%s/%06u%s", r->dir->path, r->folder, next, r->ext);
	}
}

int evidence_follow(struct evidence_reader *r, struct err *e)
{
	for (;;) {
		int got = evidence_read(r, e);
		if (got)
			return got < 0 ? got : 0;
		struct timespec t = { .tv_nsec = FOLLOW_MS * 1000000 };
		nanosleep(&t, NULL);
	}
}

void evidence_reader_free(struct evidence_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->buf);
	r->fd = -1;
	r->buf = NULL;
}

/* ---- filters -------------------------------------------------------------- */

int evidence_filter_span(struct evidence_filter *f, const struct cmd *c)
{
	struct err e = { 0 };
	uint64_t now = ev_realtime();
	const char *since = cmd_str(c, "since"), *until = cmd_str(c, "until");
	*f = (struct evidence_filter){ .cmd = c, .verdict = -1 };
	f->honeypots = cmd_str(c, "honeypot") != NULL;
	if (since && cmd_time(since, now, &f->since, &e) < 0)
		return cmd_usage(c, "--since: %s", e.text);
	if (until && cmd_time(until, now, &f->until, &e) < 0)
		return cmd_usage(c, "--until: %s", e.text);
	return CMD_OK;
}

int evidence_filter_init(struct evidence_filter *f, const struct cmd *c, bool has_type)
{
	int status = evidence_filter_span(f, c);
	if (status != CMD_OK)
		return status;
	const char *verdict = cmd_str(c, "verdict");
	f->reason = cmd_str(c, "reason");
	f->type = has_type ? cmd_str(c, "type") : NULL;
	if (verdict && (f->verdict = verdict_by_name(verdict)) < 0)
		return cmd_usage(c, "--verdict: \"%s\" is neither forward nor drop", verdict);
	if (f->reason && reason_by_name(f->reason) < 0) {
		char all[1024] = "";
		size_t n = 0;
		for (unsigned i = 0; i < REASON_COUNT && n < sizeof(all); i++)
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "", reason_name(i));
		return cmd_usage(c, "--reason: there is no \"%s\"; there are %s", f->reason, all);
	}
	return CMD_OK;
}

bool evidence_filter_time(const struct evidence_filter *f, uint64_t ns)
{
	return ns >= f->since && (!f->until || ns < f->until);
}

bool evidence_filter_honeypot(const struct evidence_filter *f, const char *name)
{
	const char *want;
	if (!f->honeypots)
		return true;
	for (unsigned i = 0; name && (want = cmd_str_at(f->cmd, "honeypot", i)); i++)
		if (!strcmp(want, name))
			return true;
	return false;
}

/* ---- the last n ----------------------------------------------------------- */

bool evidence_tail_init(struct evidence_tail *t, uint64_t n)
{
	*t = (struct evidence_tail){ .n = n < 10000000 ? (unsigned)n : 10000000 };
	if (n)
		t->ring = calloc(t->n, sizeof(*t->ring));
	return !n || t->ring;
}

void evidence_tail_add(struct evidence_tail *t, const void *p, size_t n, uint32_t tag)
{
	uint8_t *copy = malloc(n ? n : 1);
	if (!t->n || !copy) {
		free(copy);
		return;
	}
	memcpy(copy, p, n);
	free(t->ring[t->next].p);
	t->ring[t->next].p = copy;
	t->ring[t->next].n = n;
	t->ring[t->next].tag = tag;
	t->next = (t->next + 1) % t->n;
	t->used += t->used < t->n;
}

void evidence_tail_flush(struct evidence_tail *t, void (*fn)(void *arg, struct slice s, uint32_t tag), void *arg)
{
	for (unsigned i = 0; i < t->used; i++) {
		struct evidence_text *x = &t->ring[(t->next + t->n - t->used + i) % t->n];
		fn(arg, slice_of(x->p, x->n), x->tag);
	}
	evidence_tail_free(t);
}

void evidence_tail_free(struct evidence_tail *t)
{
	for (unsigned i = 0; t->ring && i < t->n; i++)
		free(t->ring[i].p);
	free(t->ring);
	*t = (struct evidence_tail){ 0 };
}

/* ---- rows ----------------------------------------------------------------- */

void evidence_cell(struct evidence_row *r, const char *fmt, ...)
{
	char raw[512];
	va_list ap;
	if (r->n == EVIDENCE_COLS)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(raw) ? (size_t)n : sizeof(raw) - 1;
	text_safe(r->cells[r->n], sizeof(r->cells[0]), raw, len, false);
	r->n++;
}

int evidence_row_print(struct evidence_row *r, FILE *out)
{
	for (unsigned i = 0; i < r->n; i++) {
		int w = 0;
		for (const char *p = r->cells[i]; *p; p++)
			w += (*p & 0xc0) != 0x80;
		if (w > r->widths[i])
			r->widths[i] = w;
		bool last = i + 1 == r->n;
		fprintf(out, "%s%*s", r->cells[i], last ? 0 : r->widths[i] - w + 2, "");
	}
	fputc('\n', out);
	r->n = 0;
	return ferror(out) ? -EIO : 0;
}

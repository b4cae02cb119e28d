/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a file of sessions: records, sessions, processes, casts, text. What
 * comes out for the operator's terminal has no control byte, whatever went in.
 */
#include "cli/cast.h"
#include "cli/flat.h"
#include "cli/proc_table.h"
#include "cli/session_json.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void harmless(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((uint8_t)p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f)
			abort();
}

static void on_line(void *arg, const char *text, size_t n)
{
	(void)arg;
	harmless(text, n);
	if (memchr(text, '\n', n))
		abort();
}

struct all {
	struct session_table sessions;
	struct proc_table procs;
	struct exec_join join;
	struct flat out, in;
	struct term term;
	struct cast cast;
	FILE *f;
	bool begun;
};

static void terminal(struct all *a, const struct skt_rec *r)
{
	struct play_event ev = { .time = r->h.time };
	uint32_t dir;
	if (skt_winsize(r, &ev.rows, &ev.cols)) {
		ev.what = PLAY_SIZE;
		a->out.cols = ev.cols >= 2 && ev.cols <= 1000 ? ev.cols : 0;
	} else if (skt_tty(r, &dir, &ev.bytes)) {
		ev.what = dir ? PLAY_OUTPUT : PLAY_INPUT;
		flat_feed(dir ? &a->out : &a->in, ev.bytes.p, ev.bytes.n);
		uint8_t *safe = malloc(TERM_OUT(ev.bytes.n));
		size_t n = term_filter(&a->term, ev.bytes.p, ev.bytes.n, safe);
		for (size_t i = 0; i < n; i++)
			if (safe[i] != '\r')
				harmless((char *)safe + i, 1);
		free(safe);
	} else {
		return;
	}
	if (a->begun)
		cast_event(&a->cast, &ev);
}

static void one(struct all *a, const struct skt_rec *r)
{
	struct intro_file head;
	struct intro_source src;
	struct slice text;
	struct intro_rec h;
	struct skt_exec x;
	bool cut;
	char line[4096];
	skt_file_head(r, &head);
	skt_source(r, &src, &text);
	struct session *s = session_add(&a->sessions, "web1", r);
	if (s && !a->begun) {
		cast_begin(&a->cast, a->f, s, r->h.tty, 0);
		a->begun = true;
	}
	terminal(a, r);
	proc_table_add(&a->procs, r);
	if (proc_note_text(line, sizeof(line), r))
		harmless(line, strlen(line));
	if (exec_join_add(&a->join, r, &h, &x, &cut)) {
		exec_text(line, 64, &x);
		if (strlen(line) >= 64)
			abort();
		exec_text(line, sizeof(line), &x);
		harmless(line, strlen(line));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct all a = { .term.mode = TERM_PLAIN };
	struct slice s = slice_of(data, size), rec;
	struct place where = { .honeypot = "web1" };
	struct skt_rec r;
	char *text = NULL;
	size_t n = 0;
	a.f = open_memstream(&text, &n);
	if (!a.f || !flat_init(&a.out, on_line, NULL, false, 80) || !flat_init(&a.in, on_line, NULL, true, 0))
		abort();
	for (long len; (len = skt_frame(s)) > 0;) {
		if (!slice_take(&s, (size_t)len, &rec))
			abort();
		if (skt_decode(rec, &r))
			one(&a, &r);
	}
	flat_flush(&a.out);
	flat_flush(&a.in);
	if (a.begun)
		cast_end(&a.cast);
	proc_table_print(&a.procs, a.f, 0, true);
	json_decref(proc_table_json(&a.procs, 0, true));
	session_sort(&a.sessions);
	for (unsigned i = 0; i < a.sessions.n; i++)
		json_decref(session_json(&a.sessions.s[i], &where));
	fclose(a.f);
	harmless(text, n);
	free(text);
	flat_free(&a.out);
	flat_free(&a.in);
	exec_join_free(&a.join);
	proc_table_free(&a.procs);
	session_table_free(&a.sessions);
	return 0;
}

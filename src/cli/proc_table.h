/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_PROC_TABLE_H
#define SKEP_CLI_PROC_TABLE_H

#include "cli/session_table.h"

/*
 * Programs that were executed, whole: an exec with long arguments is several records.
 */
struct exec_join {
	struct skt_rec r; /* the first record's header */
	int32_t ret;
	uint32_t argc;
	uint8_t *buf; /* path\0cwd\0args */
	size_t n, cap, path, cwd;
	bool open, cut;
};
/* true: r completes one, and *x (which borrows j) has it; *h is its header. */
bool exec_join_add(struct exec_join *j, const struct skt_rec *r, struct intro_rec *h, struct skt_exec *x, bool *cut);
void exec_join_free(struct exec_join *j);
/* "ls -la /tmp", safe, at most cap. An argument with blanks or controls in it is quoted. */
void exec_text(char *buf, size_t cap, const struct skt_exec *x);

/*
 * The processes of a honeypot, from its records: who forked whom, what they executed,
 * and what each did. A pid that is used again is another process. A parent
 * stands before its children.
 */
struct proc_note {
	uint64_t time;
	uint16_t kind; /* enum intro_kind */
	char *text;    /* safe */
	struct proc_note *next;
};
struct proc {
	uint32_t pid, uid, tty;
	uint32_t code; /* as of wait(2), if ended */
	uint64_t session, start, end;
	int parent;                     /* index, -1 = none known */
	int child, last_child, sibling; /* indices, -1 */
	bool execed;
	char *argv; /* safe; the last program that it executed, or that its parent did */
	struct proc_note *notes, *last_note;
};
struct proc_table {
	struct proc *p;
	unsigned n, cap;
	int *slots; /* by pid: the newest; open addressing */
	unsigned nslots;
	struct exec_join join;
	bool oom;
};
void proc_table_add(struct proc_table *t, const struct skt_rec *r);
void proc_table_free(struct proc_table *t);
/* One line of text for what a record says, safe; false if it says nothing to tell here. */
bool proc_note_text(char *buf, size_t cap, const struct skt_rec *r);

/* Prints trees. session 0: of every session, and with all those of none too. */
void proc_table_print(const struct proc_table *t, FILE *out, uint64_t session, bool all);
/* The same as a JSON array; "parent" is the place in it. */
json_t *proc_table_json(const struct proc_table *t, uint64_t session, bool all);

#endif

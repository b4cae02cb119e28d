/* SPDX-License-Identifier: ISC */
/*
 * skep verify and skep anchor: whether an evidence directory is what was
 * recorded, and a line to keep elsewhere that says how far it was. The checks
 * are in verify_core.h; here are the directory, the options and the words.
 */
#include "cli/anchor.h"
#include "cli/evidence_dir.h"
#include "cli/verify_core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PASSES = 5, ANCHORS = 64 };
#define UNPROVEN "nothing here proves that the end is the end: give --from ANCHOR"
#define NO_KEY "only an anchor from before shows that not all of it was made anew: the first key is %.16s...\n"
enum { CMD_UNSEALED = 3 };

struct place {
	struct evidence_dir dir;
	const struct cmd *cmd;
};

static int list(void *arg, const char *folder, void (*fn)(void *, const char *, bool), void *fn_arg)
{
	struct place *p = arg;
	int fd = openat(p->dir.fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		bool known = fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		fn(fn_arg, e->d_name, known && S_ISREG(st.st_mode));
	}
	closedir(d);
	return 0;
}

static int open_one(void *arg, const char *name, uint64_t *size)
{
	struct place *p = arg;
	struct stat st;
	/* A record may say anything: never out of the directory. */
	if (name[0] == '/' || strstr(name, ".."))
		return -EINVAL;
	int fd = openat(p->dir.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

static ssize_t read_one(void *arg, int fd, uint64_t offset, void *buf, size_t n)
{
	(void)arg;
	ssize_t r = pread(fd, buf, n, (off_t)offset);
	return r < 0 ? -errno : r;
}

static void close_one(void *arg, int fd)
{
	(void)arg;
	close(fd);
}

static void progress(void *arg, const char *file, uint64_t bytes, uint64_t of)
{
	struct place *p = arg;
	char a[CMD_SIZE_TEXT], b[CMD_SIZE_TEXT];
	if (isatty(fileno(p->cmd->err)))
		cmd_progress(p->cmd, "%s of %s, %s", cmd_size_text(a, bytes), cmd_size_text(b, of), file);
}

/* An anchor, or the name of a file with one on each line. */
static int read_anchors(struct cmd *c, struct verify_anchor *a, unsigned *n)
{
	const char *given;
	for (unsigned i = 0; (given = cmd_str_at(c, "from", i)); i++) {
		if (!strncmp(given, "skep-anchor", 11)) {
			if (*n == ANCHORS || !verify_anchor_parse(given, &a[*n]))
				return cmd_usage(c, "\"%s\" is no anchor that this version of skep can read", given);
			++*n;
			continue;
		}
		char line[512];
		unsigned before = *n;
		FILE *f = fopen(given, "re");
		if (!f)
			return cmd_usage(c, "%s is neither an anchor nor a file with one: %s", given, strerror(errno));
		while (fgets(line, sizeof(line), f)) {
			if (line[strspn(line, " \t\r\n")] == '\0')
				continue;
			if (*n == ANCHORS || !verify_anchor_parse(line, &a[*n])) {
				fclose(f);
				return cmd_usage(c, "%s holds a line that is no anchor, or more than %d", given,
						 ANCHORS);
			}
			++*n;
		}
		fclose(f);
		if (*n == before)
			return cmd_usage(c, "%s holds no anchor", given);
	}
	return CMD_OK;
}

/* While it is being written to, files are renamed and removed between our
 * reading of the journal and of them: what looks wrong is looked at again as
 * long as the journal grows. */
static int run(struct place *p, const struct verify_anchor *a, unsigned n, bool files, struct verify_report *r)
{
	const struct verify_source s = { p, list, open_one, read_one, close_one, progress };
	int got = verify_run(&s, a, n, files, r);
	for (int i = 1; i < PASSES && got == 0 && r->nproblems; i++) {
		uint64_t last = r->last, tail = r->tail;
		nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
		struct verify_report now;
		int g = verify_run(&s, NULL, 0, false, &now);
		bool same = now.last == last && now.tail == tail;
		verify_free(&now);
		if (g < 0 || same)
			break;
		verify_free(r);
		got = verify_run(&s, a, n, files, r);
	}
	cmd_progress_end(p->cmd);
	return got;
}

static json_t *hex(const uint8_t hash[JOURNAL_HASH])
{
	char text[2 * JOURNAL_HASH + 1];
	return cmd_string(sodium_bin2hex(text, sizeof(text), hash, JOURNAL_HASH));
}

static int print_json(struct cmd *c, const struct place *p, const struct verify_report *r)
{
	json_t *o = json_object(), *list_of = json_array();
	for (uint64_t i = 0; i < r->nproblems && i < VERIFY_PROBLEMS; i++) {
		const struct verify_problem *q = &r->problems[i];
		json_t *j = json_object();
		json_object_set_new(j, "kind", json_string(verify_kind_name(q->kind)));
		json_object_set_new(j, "file", cmd_string(q->file));
		if (q->offset >= 0)
			json_object_set_new(j, "offset", json_integer(q->offset));
		if (q->record)
			json_object_set_new(j, "record", json_integer((json_int_t)q->record));
		json_object_set_new(j, "text", cmd_string(q->text));
		json_array_append_new(list_of, j);
	}
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "journals", r->journals },  { "records", r->records },
		{ "first_record", r->first }, { "last_record", r->last },
		{ "commits", r->commits },    { "committed_record", r->committed },
		{ "uncommitted", r->loose },  { "tail_bytes", r->tail },
		{ "closed", r->closed },      { "open", r->open },
		{ "removed", r->removed },    { "hashed_files", r->files },
		{ "hashed_bytes", r->bytes }, { "beyond_bytes", r->beyond },
		{ "packets", r->frames },     { "anchors_found", r->anchors },
		{ "seals", r->seals },        { "crashes", r->crashes },
		{ "clock_jumps", r->clocks }, { "removed_bytes", r->removed_bytes },
		{ "found_files", r->found },  { "problems", r->nproblems },
	};
	json_object_set_new(o, "directory", cmd_string(p->dir.path));
	json_object_set_new(o, "honeynet", cmd_string(r->honeynet));
	json_object_set_new(o, "intact", json_boolean(!r->nproblems));
	json_object_set_new(o, "ended", json_boolean(r->stopped));
	json_object_set_new(o, "sealed", json_boolean(r->sealed));
	json_object_set_new(o, "epoch", json_integer(r->epoch));
	if (!r->sealed) {
		char time[40];
		verify_time(time, r->unsealed_ns);
		json_object_set_new(o, "unsealed_since", json_string(time));
	}
	json_object_set_new(o, "first_key", hex(r->key));
	json_object_set_new(o, "end_proven", json_boolean(r->anchors && !r->nproblems));
	json_object_set_new(o, "committed_hash", hex(r->committed_hash));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(o, numbers[i].key, json_integer((json_int_t)numbers[i].value));
	json_object_set_new(o, "found", list_of);
	return cmd_json(c, o);
}

static void print_problem(struct cmd *c, const struct verify_problem *q)
{
	char file[4 * VERIFY_NAME], text[1000];
	fprintf(c->out, "%s: %s: %s", verify_kind_name(q->kind), cmd_safe(file, sizeof(file), q->file),
		cmd_safe(text, sizeof(text), q->text));
	if (q->offset >= 0 && q->record)
		fprintf(c->out, " (byte %" PRId64 ", record %" PRIu64 ")", q->offset, q->record);
	else if (q->offset >= 0)
		fprintf(c->out, " (byte %" PRId64 ")", q->offset);
	else if (q->record)
		fprintf(c->out, " (record %" PRIu64 ")", q->record);
	fputc('\n', c->out);
}

static void print_text(struct cmd *c, const struct place *p, const struct verify_report *r, unsigned nanchors)
{
	char size[CMD_SIZE_TEXT], time[40], dir[1200], net[140];
	for (uint64_t i = 0; i < r->nproblems && i < VERIFY_PROBLEMS; i++)
		print_problem(c, &r->problems[i]);
	if (r->nproblems > VERIFY_PROBLEMS)
		fprintf(c->out, "... and %" PRIu64 " more\n", r->nproblems - VERIFY_PROBLEMS);
	fprintf(c->out, "%s, honeynet %s: %" PRIu64 " records in %u journal files, %u commits; ",
		cmd_safe(dir, sizeof(dir), p->dir.path), cmd_safe(net, sizeof(net), r->honeynet), r->records,
		r->journals, r->commits);
	fprintf(c->out, "%u files closed, %u open; %s hashed, %" PRIu64 " packets\n", r->closed, r->open,
		cmd_size_text(size, r->bytes), r->frames);
	if (r->removed)
		fprintf(c->out, "%u files with %s were removed on record because of the limits\n", r->removed,
			cmd_size_text(size, r->removed_bytes));
	if (r->found)
		fprintf(c->out, "%u files were found by a start after a crash, and no record named them before\n",
			r->found);
	fprintf(c->out,
		"%" PRIu64 " seals; %u starts, %" PRIu64 " of them after an end that was not sealed; %" PRIu64
		" clock jumps\n",
		r->seals, r->starts, r->crashes, r->clocks);
	if (!r->began && r->first)
		fprintf(c->out, "the journal before record %" PRIu64 " was removed by the limits\n", r->first);
	if (r->committed) {
		verify_time(time, r->committed_ns);
		fprintf(c->out, "committed up to record %" PRIu64 " of %s%s\n", r->committed, time,
			r->stopped ? ", an orderly end" : "");
	}
	if (!r->stopped && (r->loose || r->tail || r->beyond || r->open))
		fprintf(c->out,
			"still being written, or left by a crash: %u open files with %" PRIu64 " bytes, %" PRIu64
			" records and %" PRIu64 " bytes of the journal that no commit covers\n",
			r->open, r->beyond, r->loose, r->tail);
	else if (r->loose || r->tail || r->beyond)
		fprintf(c->out,
			"no commit covers the last %" PRIu64 " records and %" PRIu64
			" bytes of the journal, and %" PRIu64 " bytes of files\n",
			r->loose, r->tail, r->beyond);
	if (!nanchors)
		fputs(UNPROVEN "\n", c->out);
	else if (r->anchors == nanchors && !r->nproblems)
		fprintf(c->out, "%u anchors found; what came after the newest of them is not proven to be all\n",
			r->anchors);
	char key[2 * JOURNAL_HASH + 1];
	fprintf(c->out, NO_KEY, sodium_bin2hex(key, sizeof(key), r->key, JOURNAL_HASH));
	verify_time(time, r->unsealed_ns);
	if (!r->sealed)
		fprintf(c->out, "UNSEALED since %s (epoch %u): being written now, or ended by a crash, or cut off\n",
			time, r->epoch);
	if (r->nproblems)
		fprintf(c->out, "NOT as recorded: %" PRIu64 " problems\n", r->nproblems);
	else if (r->sealed)
		fprintf(c->out, "all as recorded, and sealed at %s\n", time);
	else
		fputs("as recorded, as far as it goes\n", c->out);
}

int cmd_verify(struct cmd *c)
{
	struct place p = { .cmd = c };
	struct verify_report r;
	struct verify_anchor *a = calloc(ANCHORS, sizeof(*a));
	unsigned n = 0;
	if (!a)
		return cmd_fail(c, "out of memory");
	int status = sodium_init() < 0 ? cmd_fail(c, "cannot initialise libsodium") : read_anchors(c, a, &n);
	if (status == CMD_OK)
		status = evidence_dir_open(c, &p.dir);
	if (status != CMD_OK) {
		free(a);
		return status;
	}
	int got = run(&p, a, n, true, &r);
	if (got < 0)
		status = cmd_fail(c, "cannot check %s: %s", p.dir.path, strerror(-got));
	else if (cmd_flag(c, "json"))
		status = print_json(c, &p, &r);
	else
		print_text(c, &p, &r, n);
	if (status == CMD_OK && r.nproblems)
		status = CMD_FAILED;
	else if (status == CMD_OK && !r.sealed)
		status = CMD_UNSEALED;
	verify_free(&r);
	evidence_dir_close(&p.dir);
	free(a);
	return status;
}

/* What is to be done with the anchor besides, or instead of, printing it. */
static int give(struct cmd *c, const char *text)
{
	const char *tsq = cmd_str(c, "tsq");
	char *argv[CMD_GIVEN + 1];
	unsigned n = 0;
	int status = tsq ? anchor_tsq(c, text, tsq) : CMD_OK;
	if (status != CMD_OK)
		return status;
	for (const char *a; n < CMD_GIVEN && (a = cmd_str_at(c, "exec", n)); n++)
		argv[n] = (char *)a;
	argv[n] = NULL;
	if (n)
		return anchor_exec(c, argv, text);
	fprintf(c->out, "%s\n", text);
	if (isatty(fileno(c->out)) && !cmd_flag(c, "no-qr") && !c->quiet)
		anchor_qr(c->out, text);
	return CMD_OK;
}

static int time_stamp(struct cmd *c)
{
	struct verify_anchor *a = calloc(ANCHORS, sizeof(*a));
	unsigned n = 0;
	if (!a)
		return cmd_fail(c, "out of memory");
	int status = read_anchors(c, a, &n);
	if (status == CMD_OK)
		status = anchor_tsr(c, cmd_str(c, "tsr"), cmd_str(c, "ca"), a, n);
	free(a);
	return status;
}

int cmd_anchor(struct cmd *c)
{
	struct place p = { .cmd = c };
	struct verify_report r;
	char text[VERIFY_ANCHOR_TEXT], hash[2 * JOURNAL_HASH + 1], time[40];
	if (sodium_init() < 0)
		return cmd_fail(c, "cannot initialise libsodium");
	if (cmd_str(c, "tsr"))
		return time_stamp(c);
	int status = evidence_dir_open(c, &p.dir);
	if (status != CMD_OK)
		return status;
	int got = run(&p, NULL, 0, false, &r);
	if (got < 0 || !r.committed || !*r.honeynet) {
		status = cmd_fail(c, "cannot read the journal of %s: %s", p.dir.path,
				  got < 0 ? strerror(-got) : "no commit is in it");
	} else if (r.nproblems) {
		status = cmd_fail(c, "the journal of %s is not intact: see skep verify", p.dir.path);
	} else {
		verify_time(time, r.committed_ns);
		snprintf(text, sizeof(text), "skep-anchor-1:%s:%" PRIu64 ":%s:%s", r.honeynet, r.committed,
			 sodium_bin2hex(hash, sizeof(hash), r.committed_hash, JOURNAL_HASH), time);
		struct verify_anchor check;
		/* A journal may say anything of its honeynet. */
		status = verify_anchor_parse(text, &check)
			     ? give(c, text)
			     : cmd_fail(c, "the journal of %s has no honeynet's name", p.dir.path);
	}
	verify_free(&r);
	evidence_dir_close(&p.dir);
	return status;
}

/* SPDX-License-Identifier: ISC */
/*
 * skep export on an evidence directory that export_fixture.py made; what comes
 * out is checked by export_check.py. Both know the formats' rules and nothing of
 * skep.
 */
#include "cli/export_out.h"
#include "cli/export_sort.h"
#include "cli/stix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define A "0a0b0c0d0e0f"

static char dir[64], text[1 << 18];

/* Runs it with "$S" (skep), "$D" (evidence), "$O" (outputs), "$T" (the test's
 * scripts); both outputs in text. The exit status. */
static int run(const char *script)
{
	FILE *p = popen(script, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, p);
	text[n] = 0;
	int r = pclose(p);
	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

/* It succeeds, and prints exactly this. */
static void says(const char *script, const char *want)
{
	int r = run(script);
	if (r != 0 || strcmp(text, want) != 0)
		print_message("# %s: status %d\n# %s\n", script, r, text);
	assert_int_equal(r, 0);
	assert_string_equal(text, want);
}

static int setup(void **state)
{
	char sub[96];
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skep-export-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(sub, sizeof(sub), "%s/out", dir);
	mkdir(sub, 0700);
	setenv("O", sub, 1);
	snprintf(sub, sizeof(sub), "%s/evidence", dir);
	setenv("D", sub, 1);
	setenv("S", getenv("SKEP"), 1);
	setenv("T", getenv("SKEP_HERE"), 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	return run("python3 $T/export_fixture.py $D 2>&1");
}

static int teardown(void **state)
{
	char cmd[96];
	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return run(cmd);
}

/* ---- sorting --------------------------------------------------------------- */

struct seen {
	uint64_t last, n, enough;
	uint32_t tag;
	bool wrong;
};

static bool on_sorted(void *arg, uint64_t time, uint32_t tag, struct slice record)
{
	struct seen *s = arg;
	if (time < s->last || (time == s->last && s->n && tag < s->tag) || record.n != tag % 97 ||
	    (record.n && record.p[record.n - 1] != (uint8_t)tag))
		s->wrong = true;
	s->last = time;
	s->tag = tag;
	return ++s->n != s->enough;
}

static void sorts(size_t memory, uint32_t n, unsigned least)
{
	struct sorter *s = sorter_new(memory, dir);
	struct seen seen = { 0 };
	uint32_t r = 1;
	uint8_t b[97];
	for (uint32_t i = 0; i < n; i++) {
		r = r * 1664525u + 1013904223u;
		memset(b, (int)(i & 255), sizeof(b));
		assert_int_equal(sorter_add(s, (r >> 16) % 1000, i, slice_of(b, i % 97), NULL), 0);
	}
	assert_int_equal(sorter_count(s), n);
	assert_int_equal(sorter_run(s, on_sorted, &seen, NULL), 0);
	assert_true(sorter_runs(s) >= least);
	assert_int_equal(seen.n, n);
	assert_false(seen.wrong);
	sorter_free(s);
}

static void sorting(void **state)
{
	(void)state;
	sorts(1 << 20, 0, 0);
	sorts(1 << 20, 1, 0);
	sorts(1 << 20, 5000, 0);
	sorts(4096, 5000, 50);
	sorts(1, 300, 299);
	/* A record that is longer than all the memory; and enough is enough. */
	struct sorter *s = sorter_new(64, dir);
	struct seen seen = { .enough = 1 };
	static uint8_t big[200000];
	assert_int_equal(sorter_add(s, 2, 0, slice_of(big, 0), NULL), 0);
	assert_int_equal(sorter_add(s, 1, 0, slice_of(big, sizeof(big)), NULL), 0);
	assert_int_equal(sorter_run(s, on_sorted, &seen, NULL), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last, 1);
	sorter_free(s);
	/* Nothing of it stays, and where nothing can be made that is said. */
	says("ls -A $O", "");
	struct err e = { 0 };
	s = sorter_new(1, "/nonexistent");
	assert_int_equal(sorter_add(s, 1, 0, slice_of(big, 1), &e), 0);
	assert_int_equal(sorter_add(s, 1, 0, slice_of(big, 1), &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent"));
	sorter_free(s);
}

/* ---- files ------------------------------------------------------------------ */

static void path_of(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", getenv("O"), name);
}

static void files(void **state)
{
	char path[128];
	struct outfile o = { 0 };
	struct err e = { 0 };
	(void)state;
	outfile_drop(&o);
	/* Until it is committed nobody sees it; then it is whole, and ours alone. */
	path_of(path, "one");
	assert_int_equal(outfile_open(&o, path, false, &e), 0);
	fputs("half", o.f);
	fflush(o.f);
	says("ls $O", "");
	assert_int_equal(outfile_commit(&o, &e), 0);
	says("cat $O/one; stat -c %a $O/one", "half600\n");
	/* What is there stays, whether it was there before or came meanwhile. */
	assert_int_equal(outfile_open(&o, path, false, &e), -EEXIST);
	assert_non_null(strstr(e.text, "--force"));
	path_of(path, "two");
	assert_int_equal(outfile_open(&o, path, false, &e), 0);
	fputs("ours", o.f);
	says("echo theirs >$O/two", "");
	assert_int_equal(outfile_commit(&o, &e), -EEXIST);
	says("cat $O/two; ls -A $O", "theirs\none\ntwo\n");
	assert_int_equal(outfile_open(&o, path, true, &e), 0);
	fputs("ours", o.f);
	says("cat $O/two", "theirs\n");
	assert_int_equal(outfile_commit(&o, &e), 0);
	says("cat $O/two; ls -A $O", "oursone\ntwo\n");
	/* Given up: as if nothing had been. */
	assert_int_equal(outfile_open(&o, path, true, &e), 0);
	fputs("other", o.f);
	outfile_drop(&o);
	says("cat $O/two; ls -A $O", "oursone\ntwo\n");
	/* Full disks, folders, no folders. */
	says("ln -s /nonexistent/x $O/link", "");
	path_of(path, "link");
	assert_int_equal(outfile_open(&o, path, false, &e), -EEXIST);
	assert_int_equal(outfile_open(&o, getenv("O"), true, &e), -EISDIR);
	path_of(path, "");
	assert_int_equal(outfile_open(&o, path, true, &e), -EISDIR);
	path_of(path, "no/file");
	assert_int_equal(outfile_open(&o, path, true, &e), -ENOENT);
	assert_null(o.f);
}

static void json_text(void **state)
{
	(void)state;
	static const char in[] = "{\"a\":\t\"\x7f\xc2\x9b \xe2\x80\xae\xc3\xa9\xf0\x9f\x90\x9d\\u001b\"}";
	char *buf = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&buf, &n);
	export_json_text(f, slice_of(in, sizeof(in) - 1));
	fclose(f);
	assert_string_equal(buf, "{\"a\": \"\\u007f\\u009b \\u202e\xc3\xa9\xf0\x9f\x90\x9d\\u001b\"}");
	free(buf);
}

/* ---- the command -------------------------------------------------------------- */

static void eve(void **state)
{
	(void)state;
	says("$S export --dir $D -F eve -o $O/all 2>&1 | sed \"s|$O|O|\"; $T/export_check.py eve $O/all; "
	     "wc -l <$O/all",
	     "22 events exported to O/all\n22\n");
	/* Lines are as they were, unless they hold what a terminal obeys. */
	says("cat $D/events/*.json | sort >$O/in; sort $O/all >$O/sorted; comm -13 $O/in $O/sorted | wc -l; "
	     "comm -13 $O/in $O/sorted | grep -c 'b.u202e.u0085.u007f'",
	     "4\n3\n");
	says("$S export -q --dir $D -F eve --since 2026-01-01T00:00:14Z --until 2026-01-01T00:00:14.2Z | grep -c .",
	     "2\n");
	says(
	    "$S export -q --dir $D -F eve -H db1 | cut -c1-46",
	    "{\"timestamp\":\"2026-01-01T00:00:19.000000+0000\"\n{\"timestamp\":\"2026-01-01T00:00:21.000000+0000\"\n");
}

static void timesketch(void **state)
{
	(void)state;
	says("$S export -q --dir $D -F timesketch -o $O/all 2>&1; $T/export_check.py timesketch $O/all; wc -l <$O/all",
	     "22\n");
}

/* RFC 8785 on strings, integers and nesting; an identifier as Python's
 * uuid module makes it. */
static void stix_ids(void **state)
{
	(void)state;
	json_t *v = json_pack("{s:s,s:[i,b,s],s:{s:I}}", "z", "\b\t\n\f\r\x01\x1f\"\\/\x7f\xc3\xa9\xe2\x82\xac", "a",
			      -1, 1, "", "B", "x", (json_int_t)1 << 53);
	char *plain = stix_canonical(v), id[STIX_ID];
	assert_string_equal(plain, "{\"B\":{\"x\":9007199254740992},\"a\":[-1,true,\"\"],"
				   "\"z\":\"\\b\\t\\n\\f\\r\\u0001\\u001f\\\"\\\\/\x7f\xc3\xa9\xe2\x82\xac\"}");
	free(plain);
	json_object_set_new(v, "r", json_real(0.5));
	assert_null(stix_canonical(v));
	json_decref(v);
	static const char *const keys[] = { "value", NULL };
	char *buf = NULL;
	size_t n = 0;
	struct stix s = { .out = open_memstream(&buf, &n) };
	for (int i = 0; i < 2; i++) {
		stix_observable(&s, id, "ipv4-addr", keys, json_pack("{s:s}", "value", "198.51.100.3"));
		assert_string_equal(id, "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4");
	}
	assert_true(stix_written(&s, id));
	assert_int_equal(s.count, 1);
	for (int i = 0; i < 5000; i++) {
		stix_own_id(id, "note", "%d", i);
		stix_object(&s, id, "note", 1, json_object());
	}
	assert_int_equal(s.count, 5001);
	stix_own_id(id, "note", "%d", 4321);
	assert_true(stix_written(&s, id));
	stix_end(&s);
	fclose(s.out);
	stix_free(&s);
	v = json_loadb(buf, n, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(v, "objects")), 5001);
	json_decref(v);
	free(buf);
}

static void stix(void **state)
{
	(void)state;
	says("$S export -q --dir $D -F stix -o $O/one; $T/export_check.py stix $O/one; "
	     "$S export -q --dir $D -F stix | cmp - $O/one",
	     "");
	/* What a password was tried for, and from where. */
	says("grep -c '\"type\":\"indicator\".*203.0.113.5' $O/one; grep -c '\"count\":2,' $O/one; "
	     "grep -c '\"type\":\"note\".*login failed: root with password toor' $O/one; "
	     "grep -c '\"type\":\"process\".*wget http' $O/one; grep -c '\"end\":\"2026-01-01T00:00:20.1Z\"' $O/one",
	     "1\n1\n1\n1\n1\n");
	says("$S export -q --dir $D -F stix --session " A
	     " -o $O/two; $T/export_check.py stix $O/two; grep -c 2026-01-01T01 $O/two "
	     "|| true",
	     "0\n");
	assert_int_equal(run("$S export --dir $D -F stix --until 2025-01-01T00:00:00Z -o $O/three 2>&1"), 1);
	assert_non_null(strstr(text, "at least one object"));
	says("ls $O", "one\ntwo\n");
}

/* tshark's fields of a pcapng, one frame a line. */
#define FIELDS                                                                                                         \
	" | HOME=$O tshark -n -r - -T fields -e frame.time_epoch -e frame.interface_name -e ip.src -e "                \
	"_ws.col.Protocol "                                                                                            \
	"2>/dev/null"

static void pcapng(void **state)
{
	(void)state;
	if (run("command -v tshark") != 0) {
		print_message("# tshark is not installed: skipped\n");
		skip();
	}
	says("$S export -q --dir $D -F pcapng" FIELDS " | cut -f1,2", "1767225610.900000000\tuplink-dmz\n"
								      "1767225611.000000000\tuplink-dmz\n"
								      "1767225611.100000000\tweb1\n"
								      "1767225614.200000000\tweb1\n"
								      "1767225615.000000000\tweb1\n"
								      "1767225615.100000000\tweb1\n"
								      "1767225620.800000000\tdb1\n"
								      "1767228600.000000000\tweb1\n"
								      "1767229199.900000000\tuplink-dmz\n"
								      "1767229202.000000000\tweb1\n");
	/* Nothing selected is still a file that can be opened. */
	says("$S export -q --dir $D -F pcapng --until 2025-01-01T00:00:00Z -o $O/none && HOME=$O tshark -r $O/none "
	     "2>/dev/null",
	     "");
}

/* The session's own conversation and those of its processes, not the same
 * addresses and ports an hour later. */
static void session(void **state)
{
	(void)state;
	says("$S export -q --dir $D -F eve --session " A
	     " | grep -o '\"event_type\":\"[a-z]*\"\\|\"flow_id\":[0-9]*' | cut -d: -f2",
	     "\"session\"\n\"login\"\n\"login\"\n\"command\"\n\"process\"\n\"connection\"\n\"file\"\n\"connection\"\n\""
	     "flow\"\n72\n"
	     "\"flow\"\n75\n\"session\"\n\"flow\"\n71\n");
	says("$S export -q --dir $D -F eve --session 111111111111 | grep -c '\"flow_id\":17[12]'", "2\n");
	if (run("command -v tshark") != 0)
		return;
	says("$S export -q --dir $D -F pcapng --session " A FIELDS " | cut -f1",
	     "1767225610.900000000\n1767225611.000000000\n1767225611.100000000\n1767225614.200000000\n1767225615."
	     "000000000\n");
	says("$S export -q --dir $D -F pcapng --session 111111111111" FIELDS " | cut -f1",
	     "1767229199.900000000\n1767229202.000000000\n");
	/* It still goes on: no flow event yet, frames there are. */
	says("grep -v '\"flow_id\":171' $D/events/000003.json >$O/x; cp $O/x $D/events/000003.json; "
	     "$S export -q --dir $D -F pcapng --session 111111111111" FIELDS " | cut -f1",
	     "1767229199.900000000\n1767229202.000000000\n");
}

static void casts(void **state)
{
	(void)state;
	says("$S export -q --dir $D -F casts -o $O/c; ls $O/c; for f in $O/c/*; do $T/export_check.py cast $f; done",
	     A "-pts-0.cast\n" A "-pts-1.cast\n");
	says("tail -n +2 $O/c/" A "-pts-0.cast",
	     "[3.000000, \"o\", \"# \"]\n[3.500000, \"i\", \"\xc3\xa9\\u001b]0;x\\u0007\"]\n"
	     "[3.600000, \"o\", \"\\ufffd\\r\\n\"]\n");
	assert_int_equal(run("$S export -q --dir $D -F casts -o $O/c 2>&1"), 1);
	assert_non_null(strstr(text, "is there already"));
	says("$S export --dir $D -F casts -o $O/c --force --session " A " 2>&1 | sed \"s|$O|O|\"",
	     "2 casts exported to O/c\n");
	assert_int_equal(run("$S export -q --dir $D -F casts -o $O/c --session " A " -H db1 2>&1"), 1);
}

/* What cannot be read is said, and the rest is there. */
static void damaged(void **state)
{
	(void)state;
	says("echo '{\"not\": json}' >>$D/events/000001.json; printf '{\"cut' >>$D/events/000003.json", "");
	assert_int_equal(run("$S export --dir $D -F eve -o $O/all 2>&1"), 1);
	assert_non_null(strstr(text, "22 events exported"));
	assert_non_null(strstr(text, "1 records are damaged"));
	says("wc -l <$O/all", "22\n");
	/* A line that is no object, raw control characters between values, deep nesting. */
	says(
	    "printf "
	    "'7\\n{\"timestamp\":\\t\"2026-01-01T09:00:00.000000+0000\",\"event_type\":\"x\",\"honeynet\":\"\","
	    "\"sensor\":\"\"}\\n' "
	    ">$D/events/000002.json; $S export -q --dir $D -F eve -o $O/two 2>&1; $T/export_check.py eve $O/two; wc -l "
	    "<$O/two",
	    "skep: 2 records are damaged and are missing in the export\n15\n");
	says("rm $D/events/*; $S export --dir $D -F eve 2>&1", "0 events exported\n");
}

/* Killed in the middle of it: nothing is left behind, and what was there is as
 * it was. */
static void killed(void **state)
{
	(void)state;
	says("echo before >$O/all; rm $D/events/*; mkfifo $D/events/000001.json; "
	     "$S export --dir $D -F eve -o $O/all --force 2>/dev/null & p=$!; sleep 0.3; kill -9 $p; wait $p "
	     "2>/dev/null; "
	     "cat $O/all; ls -A $O",
	     "before\nall\n");
}

static void usage(void **state)
{
	(void)state;
	assert_int_equal(run("$S export --dir $D 2>&1"), 2);
	assert_non_null(strstr(text, "eve, timesketch"));
	assert_int_equal(run("$S export --dir $D -F xml 2>&1"), 2);
	assert_non_null(strstr(text, "there is no \"xml\""));
	assert_int_equal(run("$S export --dir $D -F eve --session xyz 2>&1"), 2);
	assert_int_equal(run("$S export --dir $D -F eve --since yesterday 2>&1"), 2);
	assert_int_equal(run("$S export --dir $D -F casts 2>&1"), 2);
	assert_non_null(strstr(text, "needs a folder"));
	assert_int_equal(run("$S export --dir $D -F eve --session 123456789abc 2>&1"), 1);
	assert_non_null(strstr(text, "there is no session 123456789abc"));
	assert_int_equal(run("$S export --dir $D -F casts -o $O/c --session 123456789abc 2>&1"), 1);
	assert_int_equal(run("$S export --dir $D/none -F eve 2>&1"), 1);
	assert_int_equal(run("$S export --dir $D -F eve -o $O/none/file 2>&1"), 1);
	assert_int_equal(run("$S export --dir $D -F eve >/dev/full 2>/dev/null"), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(sorting),  T(files),  T(json_text), T(eve),     T(timesketch),
					    T(stix_ids), T(stix),   T(pcapng),    T(session), T(casts),
					    T(damaged),  T(killed), T(usage) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

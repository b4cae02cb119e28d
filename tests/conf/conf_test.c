/* SPDX-License-Identifier: ISC */
/*
 * Runs every DIR/X.yaml through the parser and compares what it says with
 * DIR/X.expect, in which each line is "X.yaml:LINE:COL: what"; an empty one
 * means that the file is good. Files named after DIR must be good. TAP on
 * standard output, one test a file.
 * `conf_test -p FILE...` prints instead of comparing, in the same form.
 */
#include "model/model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 4 << 20 };

static char *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rbe");
	if (!f)
		return NULL;
	char *text = malloc(TEXT_MAX_BYTES + 1);
	*n = text ? fread(text, 1, TEXT_MAX_BYTES, f) : 0;
	if (text)
		text[*n] = '\0';
	fclose(f);
	return text;
}

/* What `skep check` would print. */
static void say(FILE *to, const char *name, const char *text, size_t n)
{
	static struct diag d;
	static struct model m;
	if (model_parse(text, n, &m, &d) == 0)
		return;
	for (unsigned i = 0; i < d.n; i++)
		fprintf(to, "%s:%u:%u: %s\n", name, d.items[i].at.line, d.items[i].at.col, d.items[i].text);
	if (d.more)
		fprintf(to, "%s: %u more\n", name, d.more);
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int only_yaml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);
	return n > 5 && !strcmp(d->d_name + n - 5, ".yaml");
}

static bool good(const char *path)
{
	size_t n;
	char *text = slurp(path, &n);
	static struct diag d;
	static struct model m;
	bool ok = text && model_parse(text, n, &m, &d) == 0;
	if (!ok && text) {
		printf("# expected nothing, got %s:%u:%u: %s\n", base(path), d.items[0].at.line, d.items[0].at.col,
		       d.items[0].text);
	}
	free(text);
	return ok;
}

static bool one(const char *dir, const char *name)
{
	char path[4096];
	char *got = NULL;
	size_t n, want_n, got_n;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	char *text = slurp(path, &n);
	snprintf(path, sizeof(path), "%s/%.*s.expect", dir, (int)(strlen(name) - 5), name);
	char *want = slurp(path, &want_n);
	FILE *f = open_memstream(&got, &got_n);
	bool ok = false;
	if (text && f)
		say(f, name, text, n);
	if (f)
		fclose(f);
	if (text && want && got)
		ok = got_n == want_n && !memcmp(got, want, got_n);
	if (!ok) {
		printf("# expected:\n%s# got:\n%s", want ? want : "# (no .expect file)\n", got ? got : "");
	}
	free(text);
	free(want);
	free(got);
	return ok;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-p")) {
		for (int i = 2; i < argc; i++) {
			size_t n;
			char *text = slurp(argv[i], &n);
			if (!text) {
				perror(argv[i]);
				return 1;
			}
			say(stdout, base(argv[i]), text, n);
			free(text);
		}
		return 0;
	}
	struct dirent **list;
	int n = argc >= 2 ? scandir(argv[1], &list, only_yaml, alphasort) : -1;
	if (n < 0) {
		fprintf(stderr, "usage: conf_test DIR [GOOD...] | -p FILE...\n");
		return 2;
	}
	int failed = 0;
	printf("1..%d\n", n + argc - 2);
	for (int i = 0; i < n; i++) {
		bool ok = one(argv[1], list[i]->d_name);
		printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, list[i]->d_name);
		failed += !ok;
		free(list[i]);
	}
	free(list);
	for (int i = 2; i < argc; i++) {
		bool ok = good(argv[i]);
		printf("%sok %d - %s\n", ok ? "" : "not ", n + i - 1, base(argv[i]));
		failed += !ok;
	}
	return failed != 0;
}

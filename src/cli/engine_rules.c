/* SPDX-License-Identifier: ISC */
#include "cli/engine_rules.h"

#include "base/text.h"
#include "model/suricata.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RULES_MAX (256u << 20)
#define PROBLEMS 1000u

static int append(int to, const char *path, struct err *e)
{
	static char room[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return err_sys(e, -errno, "cannot open the rules %s", path);
	int r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EISDIR;
	if (!r && st.st_size > (off_t)RULES_MAX)
		r = -EFBIG;
	ssize_t n = 0;
	while (!r && (n = read(fd, room, sizeof(room))) > 0)
		r = write(to, room, (size_t)n) == n ? 0 : -EIO;
	if (!r && n < 0)
		r = -errno;
	close(fd);
	if (!r && write(to, "\n", 1) != 1)
		r = -EIO;
	return r ? err_sys(e, r, "cannot read the rules %s", path) : 0;
}

int engine_rules_seal(const struct model *m, const char *yaml, struct err *e)
{
	char path[4096];
	if (!m->engine.nrules)
		return -1;
	int fd = memfd_create("rules", MFD_CLOEXEC | MFD_ALLOW_SEALING), r = 0;
	if (fd < 0)
		return err_sys(e, -errno, "cannot make a memfd");
	const char *slash = strrchr(yaml, '/');
	for (uint32_t i = 0; i < m->engine.nrules && !r; i++) {
		const char *file = m->engine.rules[i];
		int n = file[0] == '/' || !slash
			    ? snprintf(path, sizeof(path), "%s", file)
			    : snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - yaml), yaml, file);
		r = n < 0 || (size_t)n >= sizeof(path) ? err_set(e, -ENAMETOOLONG, "path too long: %s", file)
						       : append(fd, path, e);
	}
	if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = err_sys(e, -errno, "cannot seal a memfd");
	if (r)
		close(fd);
	/* -EPERM is -1, which means none. */
	return r == -1 ? -EACCES : r ? r : fd;
}

/* ---- suricata -T -------------------------------------------------------------------- */

static int yaml_file(const char *dir, char *path, size_t cap, struct err *e)
{
	static char yaml[SURICATA_YAML_MAX];
	struct suricata_conf c = { .dir = SURICATA_DIR };
	int n = suricata_yaml(yaml, sizeof(yaml), &c, e);
	if (n < 0)
		return n;
	snprintf(path, cap, "%s/suricata.yaml", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make %s", path);
	int r = write(fd, yaml, (size_t)n) == n ? 0 : err_set(e, -EIO, "cannot write %s", path);
	close(fd);
	return r;
}

/* "0" and "9": the words that Suricata puts in front of what it prints. */
static const char *problem_of(const char *line)
{
	static const char *const marks[] = { "E: ", "W: ", "Error: ", "Warning: " };
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (!strncmp(line, marks[i], strlen(marks[i])))
			return line + strlen(marks[i]);
	return NULL;
}

static void add(struct rules_verdict *v, unsigned line, const char *text)
{
	if (v->nproblems >= PROBLEMS)
		return;
	struct rules_problem *p = realloc(v->problems, (v->nproblems + 1) * sizeof(*p));
	if (!p)
		return;
	v->problems = p;
	p += v->nproblems++;
	p->line = line;
	text_safe(p->text, sizeof(p->text), text, strlen(text), false);
}

/* The line of the file on which this rule stands; 0 if none. */
static unsigned line_of(const char *file, const char *rule)
{
	char *line = NULL;
	size_t cap = 0, n = strlen(rule);
	unsigned at = 0, found = 0;
	FILE *f = fopen(file, "re");
	/* Suricata cuts long rules in its messages. */
	while (f && n && !found && getline(&line, &cap, f) >= 0) {
		at++;
		if (!strncmp(line, rule, n))
			found = at;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* "detect-parse: what" comes first, and then "detect: error parsing signature ...
 * from file F at line N"; a warning quotes the rule at its end. */
static void take(struct rules_verdict *v, const char *file, char *held, size_t cap, const char *line)
{
	const char *p = problem_of(line), *at, *colon;
	unsigned number;
	if ((at = strstr(line, "rule files processed. ")) &&
	    sscanf(at, "rule files processed. %9u rules successfully loaded, %9u rules failed", &v->loaded,
		   &v->failed) == 2)
		return;
	if (!p || !strncmp(p, "suricata: Loading signatures failed", 35) || strstr(p, "no rules were loaded"))
		return;
	colon = strstr(p, ": ");
	const char *what = colon ? colon + 2 : p;
	if (strstr(p, "error parsing signature") && (at = strstr(p, " at line ")) &&
	    sscanf(at, " at line %9u", &number)) {
		add(v, number, *held ? held : what);
		*held = 0;
		v->refused++;
	} else if (*line == 'E') {
		snprintf(held, cap, "%s", what);
	} else {
		const char *rule = strstr(what, ": ");
		add(v, rule ? line_of(file, rule + 2) : 0, what);
	}
}

static void count_disabled(const char *file, struct rules_verdict *v)
{
	static const char *const actions[] = { "alert ", "drop ", "reject", "pass ", "rejectsrc ", "rejectdst " };
	char *line = NULL;
	size_t cap = 0;
	FILE *f = fopen(file, "re");
	while (f && getline(&line, &cap, f) >= 0) {
		const char *p = line + strspn(line, " \t");
		if (*p != '#')
			continue;
		p += strspn(p, "# \t");
		for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
			if (!strncmp(p, actions[i], strlen(actions[i])) && strstr(p, "sid:")) {
				v->disabled++;
				break;
			}
		}
	}
	free(line);
	if (f)
		fclose(f);
}

static pid_t launch(const char *yaml, const char *file, const char *dir, int out)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	char *const argv[] = { (char *)"suricata", (char *)"-T", (char *)"-c", (char *)yaml, (char *)"-S",
			       (char *)file,       (char *)"-l", (char *)dir,  NULL };
	char *const env[] = { (char *)"TZ=UTC", (char *)"HOME=/nonexistent", NULL };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	execve(SURICATA_PROGRAM, argv, env);
	_exit(127);
}

int engine_rules_check(const char *file, struct rules_verdict *v, struct err *e)
{
	char dir[] = "/tmp/skep-rules-XXXXXX", yaml[64], *line = NULL, held[512] = "";
	size_t cap = 0;
	int p[2], status = 0;
	ssize_t n;
	*v = (struct rules_verdict){ 0 };
	if (access(SURICATA_PROGRAM, X_OK) < 0)
		return err_set(e, -ENOENT,
			       "there is no " SURICATA_PROGRAM ": install suricata 7 (Debian 12: apt-get install -t "
			       "bookworm-backports suricata)");
	if (access(file, R_OK) < 0)
		return err_sys(e, -errno, "cannot read %s", file);
	if (!mkdtemp(dir))
		return err_sys(e, -errno, "cannot make a directory in /tmp");
	int r = yaml_file(dir, yaml, sizeof(yaml), e);
	if (!r && pipe2(p, O_CLOEXEC) < 0)
		r = err_sys(e, -errno, "cannot make a pipe");
	if (!r) {
		pid_t pid = launch(yaml, file, dir, p[1]);
		close(p[1]);
		FILE *in = fdopen(p[0], "r");
		while (in && (n = getline(&line, &cap, in)) > 0) {
			line[strcspn(line, "\n")] = 0;
			take(v, file, held, sizeof(held), line);
		}
		if (in)
			fclose(in);
		free(line);
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			r = err_sys(e, -errno, "cannot run " SURICATA_PROGRAM);
		else if (*held)
			add(v, 0, held);
		if (!r && (WIFSIGNALED(status) || WEXITSTATUS(status) == 127))
			r = err_set(e, -EIO, SURICATA_PROGRAM " -T died (wait status %#x)", (unsigned)status);
		/* It says no number if there is not one that it takes. */
		if (!v->loaded && !v->failed)
			v->failed = v->refused;
		count_disabled(file, v);
	}
	unlink(yaml);
	char extra[80];
	static const char *const left[] = { "suricata.log", "stats.log", "fast.log", "eve.json" };
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(extra, sizeof(extra), "%s/%s", dir, left[i]);
		unlink(extra);
	}
	rmdir(dir);
	return r;
}

void engine_rules_free(struct rules_verdict *v)
{
	free(v->problems);
	*v = (struct rules_verdict){ 0 };
}

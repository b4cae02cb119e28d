/* SPDX-License-Identifier: ISC */
/*
 * Which shared libraries a program needs is the loader's own business
 * (ld.so(8): cache, RUNPATH, hardware capabilities), so it is asked: the
 * program's interpreter with --list. Nothing of the program runs.
 */
#include "sandbox/jail.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIBS = 64, PATH_CAP = 256 };

/* The interpreter's path from PT_INTERP; 0 = static, 1 = *out filled. */
static int interpreter(const char *exe, char out[PATH_CAP], struct err *e)
{
	Elf64_Ehdr h;
	int fd = open(exe, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", exe);
	int r = 0;
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phentsize != sizeof(Elf64_Phdr))
		r = err_set(e, -ENOEXEC, "%s is no 64-bit ELF program", exe);
	for (unsigned i = 0; !r && i < h.e_phnum; i++) {
		Elf64_Phdr ph;
		if (pread(fd, &ph, sizeof(ph), (off_t)(h.e_phoff + i * sizeof(ph))) != sizeof(ph))
			r = err_set(e, -ENOEXEC, "%s: program headers are cut off", exe);
		else if (ph.p_type == PT_INTERP) {
			if (ph.p_filesz < 2 || ph.p_filesz > PATH_CAP ||
			    pread(fd, out, ph.p_filesz, (off_t)ph.p_offset) != (ssize_t)ph.p_filesz ||
			    out[ph.p_filesz - 1] || out[0] != '/')
				r = err_set(e, -ENOEXEC, "%s: bad interpreter path", exe);
			else
				r = 1;
			break;
		}
	}
	close(fd);
	return r;
}

static int add(char **list, int n, const char *path, size_t len)
{
	for (int i = 0; i < n; i++)
		if (strlen(list[i]) == len && !memcmp(list[i], path, len))
			return n;
	if (n == LIBS || len >= PATH_CAP)
		return -E2BIG;
	list[n] = strndup(path, len);
	return list[n] ? n + 1 : -ENOMEM;
}

/* Lines: "\tlibc.so.6 => /lib/.../libc.so.6 (0x...)", "\t/lib64/ld... (0x...)",
 * "\tlinux-vdso.so.1 (0x...)", "\tlibx.so => not found". */
static int parse(char **list, int n, char *text, const char *exe, struct err *e)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "=> not found"))
			return err_set(e, -ENOENT, "%s needs a library that is not installed:%s", exe, line);
		char *arrow = strstr(line, "=> "), *path = arrow ? arrow + 3 : line + strspn(line, " \t");
		if (*path != '/')
			continue;
		n = add(list, n, path, strcspn(path, " "));
		if (n < 0)
			return err_sys(e, n, "libraries of %s", exe);
	}
	return n;
}

/* Runs the loader; its output (at most cap - 1 bytes) into text. */
static int ask(char *const argv[], char *text, size_t cap, struct err *e)
{
	static char *const none[] = { NULL };
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "pipe");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, p[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	int r = -posix_spawn(&pid, argv[0], &fa, NULL, argv, none);
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	size_t n = 0;
	bool slow = false;
	while (!r && n < cap - 1) {
		struct pollfd pf = { .fd = p[0], .events = POLLIN };
		int k = poll(&pf, 1, 5000);
		if (k == 0) {
			slow = true;
			kill(pid, SIGKILL);
			break;
		}
		ssize_t got = read(p[0], text + n, cap - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(p[0]);
	text[n] = 0;
	if (r)
		return err_sys(e, r, "cannot run %s", argv[0]);
	int st;
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR) {
	}
	if (slow || st)
		return err_set(e, -ENOEXEC, "%s --list failed (status %d)", argv[0], st);
	return 0;
}

int jail_libraries(const char *exe, const char *preload, char ***paths, struct err *e)
{
	char interp[PATH_CAP], text[16384];
	int r = interpreter(exe, interp, e);
	if (r < 0)
		return r;
	if (r == 0) {
		*paths = NULL;
		return 0;
	}
	char list[] = "--list", pre[] = "--preload";
	char *plain[] = { interp, list, (char *)exe, NULL };
	char *with[] = { interp, pre, (char *)preload, list, (char *)exe, NULL };
	if ((r = ask(preload ? with : plain, text, sizeof(text), e)) < 0)
		return r;
	char **out = calloc(LIBS, sizeof(*out));
	if (!out)
		return err_set(e, -ENOMEM, "out of memory");
	int n = add(out, 0, interp, strlen(interp));
	r = n < 0 ? n : parse(out, n, text, exe, e);
	if (r < 0) {
		for (int i = 0; i < LIBS; i++)
			free(out[i]);
		free(out);
		return r;
	}
	*paths = out;
	return r;
}

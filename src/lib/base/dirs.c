/* SPDX-License-Identifier: ISC */
#include "base/dirs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int join(char *buf, struct err *e, const char *dir, const char *rest)
{
	int n = snprintf(buf, DIRS_PATH, "%s%s", dir, rest);
	if (n < 0 || n >= DIRS_PATH)
		return err_set(e, -ENAMETOOLONG, "path too long: %s%s", dir, rest);
	if (buf[0] != '/')
		return err_set(e, -EINVAL, "%s: must be an absolute path", buf);
	return 0;
}

int dirs_state(char *buf, struct err *e)
{
	const char *own = getenv("SKEP_STATE"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (own && *own)
		return join(buf, e, own, "");
	if (geteuid() == 0)
		return join(buf, e, "/var/lib/skep", "");
	if (xdg && *xdg)
		return join(buf, e, xdg, "/skep");
	if (home && *home)
		return join(buf, e, home, "/.local/state/skep");
	return err_set(e, -ENOENT, "HOME is not set: set it, or SKEP_STATE, to say where honeynets are kept");
}

int dirs_run(char *buf, struct err *e)
{
	const char *own = getenv("SKEP_STATE"), *xdg = getenv("XDG_RUNTIME_DIR");
	if (own && *own)
		return join(buf, e, own, "/run");
	if (geteuid() == 0)
		return join(buf, e, "/run/skep", "");
	if (xdg && *xdg)
		return join(buf, e, xdg, "/skep");
	char state[DIRS_PATH];
	int r = dirs_state(state, e);
	return r < 0 ? r : join(buf, e, state, "/run");
}

int dirs_make(const char *path, struct err *e)
{
	char buf[DIRS_PATH];
	int r = join(buf, e, path, "");
	if (r < 0)
		return r;
	for (char *p = buf + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = '\0';
		if (mkdir(buf, 0700) < 0 && errno != EEXIST)
			return err_sys(e, -errno, "cannot make directory %s", buf);
		*p = c;
		if (!c)
			break;
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(e, -errno, "cannot make directory %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, -ENOTDIR, "%s is there, but is not a directory", path);
	return 0;
}

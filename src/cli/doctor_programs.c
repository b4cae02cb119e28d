/* SPDX-License-Identifier: ISC */
#include "cli/doctor.h"

#include "base/dirs.h"
#include "model/suricata.h"
#include "sandbox/uml_args.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Looks for a program in PATH and where administrators' programs are. */
static bool find(const char *name, char *out, size_t cap)
{
	const char *path = getenv("PATH");
	char dirs[4096];
	snprintf(dirs, sizeof(dirs), "%s:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin", path ? path : "");
	for (char *s = NULL, *d = strtok_r(dirs, ":", &s); d; d = strtok_r(NULL, ":", &s)) {
		snprintf(out, cap, "%s/%s", d, name);
		if (!access(out, X_OK))
			return true;
	}
	return false;
}

/* The first line that `path --version` prints; false if it does not within 3 s. */
static bool version_by(const char *path, const char *flag, char *out, size_t cap)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 0);
		dup2(p[1], 1);
		dup2(null, 2);
		execl(path, path, flag, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	size_t n = 0;
	struct pollfd pf = { .fd = p[0], .events = POLLIN };
	while (pid > 0 && n < cap - 1 && poll(&pf, 1, 3000) > 0) {
		ssize_t r = read(p[0], out + n, cap - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	close(p[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	out[n] = 0;
	out[strcspn(out, "\n")] = 0;
	return *out != 0;
}

static bool version(const char *path, char *out, size_t cap)
{
	return version_by(path, "--version", out, cap);
}

static void uml(struct findings *f)
{
	char text[128];
	if (access(UML_PROGRAM, X_OK) < 0)
		finding(f, "uml", FINDING_MISSING, "apt-get install user-mode-linux", "no %s", UML_PROGRAM);
	else if (!version(UML_PROGRAM, text, sizeof(text)))
		finding(f, "uml", FINDING_MISSING, "apt-get install --reinstall user-mode-linux",
			"%s does not tell its version", UML_PROGRAM);
	else if (strncmp(text, "6.1.", 4) != 0)
		finding(f, "uml", FINDING_WARN, NULL, "User Mode Linux %s; skep was tried with 6.1", text);
	else
		finding(f, "uml", FINDING_OK, NULL, "User Mode Linux %s", text);
}

static void shim(struct findings *f)
{
	/* Next to the program, or in libdir/skep of the same prefix. */
	static const char *const places[] = { "/" UML_SHIM_NAME, "/../lib/skep/" UML_SHIM_NAME,
					      "/../lib/x86_64-linux-gnu/skep/" UML_SHIM_NAME };
	char self[512], path[700];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", self, places[i]);
		if (!access(path, R_OK)) {
			finding(f, "shim", FINDING_OK, NULL, "%s", path);
			return;
		}
	}
	finding(f, "shim", FINDING_MISSING, "./dev build, or install skep again",
		"no %s next to the program or in its libdir: User Mode Linux cannot run jailed", UML_SHIM_NAME);
}

/* Optional: nobody needs it who has no policy with inspect. */
static void engine(struct findings *f)
{
	char text[128];
	if (access(SURICATA_PROGRAM, X_OK) < 0)
		finding(f, "suricata", FINDING_WARN,
			"apt-get install -t bookworm-backports suricata (Debian 12; add the backports source first)",
			"no %s: policies with inspect: inline cannot be started", SURICATA_PROGRAM);
	else if (version_by(SURICATA_PROGRAM, "-V", text, sizeof(text)))
		finding(f, "suricata", strstr(text, "version 7") ? FINDING_OK : FINDING_WARN, NULL,
			"%s; skep was tried with 7.0", text);
	else
		finding(f, "suricata", FINDING_WARN, NULL, "%s does not tell its version", SURICATA_PROGRAM);
}

/* The kernel's layer of data control at the uplink. */
static void layer2(struct findings *f)
{
	char path[600];
	if (find("nft", path, sizeof(path)))
		finding(f, "nft", FINDING_OK, NULL, "%s: the kernel's layer behind the gateway", path);
	else
		finding(f, "nft", FINDING_WARN, "apt-get install nftables",
			"not found: the gateway is the only layer of data control");
}

static void image_tools(struct findings *f)
{
	static const struct {
		const char *name, *package, *what;
	} tools[] = {
		{ "mmdebstrap", "mmdebstrap", "Debian images cannot be built" },
		{ "mke2fs", "e2fsprogs", "images cannot be built" },
	};
	char path[600], mend[64];
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		snprintf(mend, sizeof(mend), "apt-get install %s", tools[i].package);
		if (find(tools[i].name, path, sizeof(path)))
			finding(f, tools[i].name, FINDING_OK, NULL, "%s", path);
		else
			finding(f, tools[i].name, FINDING_WARN, mend, "not found: %s", tools[i].what);
	}
}

static void images(struct findings *f)
{
	char state[DIRS_PATH], path[DIRS_PATH + 300];
	unsigned n = 0;
	if (dirs_state(state, NULL) < 0)
		return;
	snprintf(path, sizeof(path), "%s/images", state);
	DIR *d = opendir(path);
	for (struct dirent *de; d && (de = readdir(d));) {
		snprintf(path, sizeof(path), "%s/images/%s/disk.img", state, de->d_name);
		n += de->d_name[0] != '.' && !access(path, R_OK);
	}
	if (d)
		closedir(d);
	if (n)
		finding(f, "images", FINDING_OK, NULL, "%u image%s in %s/images", n, n == 1 ? "" : "s", state);
	else
		finding(f, "images", FINDING_WARN, "skep image build busybox", "no honeypot image yet");
}

void doctor_programs(struct findings *f)
{
	uml(f);
	shim(f);
	engine(f);
	layer2(f);
	image_tools(f);
	images(f);
}

/* SPDX-License-Identifier: ISC */
/*
 * From a recipe to a disk. Theory of operation:
 *
 *   mmdebstrap ─> root.tar ─┐                       (tool = mmdebstrap)
 *                           ├─> root/ ── setup ROOT ──> mke2fs -d ──> out/disk.img
 *   nothing ────────────────┘                       (tool = tree)
 *
 * Everything after mmdebstrap runs under fakeroot with one state file, so that
 * owners, modes and device nodes come out right for an ordinary user too, and
 * nothing is mounted. As root, mmdebstrap uses a chroot in a mount namespace of
 * its own; else user namespaces or fakechroot, as it finds them.
 */
#include "cli/image_build.h"

#include "base/ev.h"
#include "cli/image_tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIRRORS 8
#define BLOCK 4096u
/* Named one by one, so that this computer's mke2fs.conf has no say. No journal:
 * the base never changes, and an overlay is thrown away. */
#define FEATURES                                                                                                       \
	"none,filetype,ext_attr,dir_index,extent,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,"     \
	"metadata_csum,64bit"

struct job {
	struct cmd *c;
	const struct recipe *r;
	const char *name;
	char dir[DIRS_PATH]; /* .new-XXXXXX */
	char root[DIRS_PATH + 16], state[DIRS_PATH + 16], out[DIRS_PATH + 16], disk[DIRS_PATH + 32];
	struct image_tool tool;
	char uuid[48];  /* of the file system */
	char step[160]; /* what goes on, for the progress line */
	uint64_t start;
};

static void show(struct job *j)
{
	unsigned s = (unsigned)((ev_monotonic() - j->start) / EV_SEC);
	cmd_progress(j->c, "image %s: %s (%u s)", j->name, j->step, s);
}

static void step(struct job *j, const char *what)
{
	snprintf(j->step, sizeof(j->step), "%s", what);
	show(j);
}

/* On a terminal the seconds go on; elsewhere each call would be a line. */
static void on_tick(void *arg)
{
	struct job *j = arg;
	int fd = fileno(j->c->err);
	if (fd >= 0 && isatty(fd))
		show(j);
}

static void on_line(const char *s, void *arg)
{
	struct job *j = arg;
	/* mmdebstrap says its stages like that. */
	if (!strncmp(s, "I: ", 3) && strlen(s) < 80 && !strstr(s, "/"))
		step(j, s + 3);
}

/* ---- where packages come from --------------------------------------------- */

unsigned image_mirrors(const char *targets, const char *suite, char (*out)[MIRROR_TEXT], unsigned max)
{
	unsigned n = 0;
	size_t len = strlen(suite);
	for (const char *p = targets; *p && n < max;) {
		char uri[128], release[64], component[32], line[MIRROR_TEXT];
		int got = sscanf(p, "%127s %63s %31s", uri, release, component);
		p += strcspn(p, "\n");
		p += *p == '\n';
		bool fits =
		    got == 3 && !strncmp(release, suite, len) &&
		    (!release[len] || !strcmp(release + len, "-updates") || !strcmp(release + len, "-security"));
		/* Other people's repositories use Debian's suite names. */
		if (!fits || strcmp(component, "main") || strncmp(uri, "http", 4) || !strstr(uri, "/debian"))
			continue;
		snprintf(line, sizeof(line), "deb %s %s %s", uri, release, component);
		bool seen = false;
		for (unsigned i = 0; i < n; i++)
			seen |= !strcmp(out[i], line);
		if (!seen)
			memcpy(out[n++], line, sizeof(line));
	}
	/* Without the suite itself the rest is of no use. */
	bool base = false;
	for (unsigned i = 0; i < n; i++) {
		const char *at = strstr(out[i], suite);
		for (; at; at = strstr(at + 1, suite))
			base |= at[len] == ' ' && at[-1] == ' ';
	}
	return base ? n : 0;
}

struct text {
	char buf[16384];
	size_t n;
};

static void keep_line(const char *s, void *arg)
{
	struct text *t = arg;
	int n = snprintf(t->buf + t->n, sizeof(t->buf) - t->n, "%s\n", s);
	if (n > 0 && (size_t)n < sizeof(t->buf) - t->n)
		t->n += (size_t)n;
	else
		t->buf[t->n] = '\0';
}

/* Output of a program, empty if it fails. */
static void output_of(const char *const *argv, struct text *t)
{
	struct image_tool tool = { .log = -1, .line = keep_line, .arg = t };
	t->n = 0;
	t->buf[0] = '\0';
	if (image_tool_run(&tool, argv, NULL, NULL) < 0)
		t->buf[0] = '\0';
}

/* The proxies of this computer's apt, as options for mmdebstrap. */
static unsigned proxies(struct text *dump, char (*out)[MIRROR_TEXT], unsigned max)
{
	unsigned n = 0;
	output_of((const char *[]){ "apt-config", "dump", "--format", "%f %v%n", "Acquire", NULL }, dump);
	for (char *p = dump->buf, *save = NULL, *l; n < max && (l = strtok_r(p, "\n", &save)); p = NULL) {
		char key[64], value[160];
		if (sscanf(l, "%63s %159s", key, value) == 2 && !strchr(value, '"') &&
		    (!strcmp(key, "Acquire::http::Proxy") || !strcmp(key, "Acquire::https::Proxy")))
			snprintf(out[n++], MIRROR_TEXT, "--aptopt=%s \"%s\"", key, value);
	}
	return n;
}

/* ---- the steps ------------------------------------------------------------ */

static int run(struct job *j, const char *const *argv, const char *const *env, struct err *e)
{
	dprintf(j->tool.log, "+");
	for (size_t i = 0; argv[i]; i++)
		dprintf(j->tool.log, " %s", argv[i]);
	dprintf(j->tool.log, "\n");
	return image_tool_run(&j->tool, argv, env, e);
}

static int debootstrap(struct job *j, struct err *e)
{
	char include[sizeof(j->r->packages) + 16], variant[48], components[80], tmp[DIRS_PATH + 16],
	    tar[DIRS_PATH + 16];
	char lines[MIRRORS][MIRROR_TEXT], aptopts[2][MIRROR_TEXT];
	const char *argv[16 + MIRRORS], *env[2] = { NULL, NULL };
	struct text *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	output_of((const char *[]){ "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
				    "Created-By: Packages", NULL },
		  t);
	unsigned nlines = image_mirrors(t->buf, j->r->suite, lines, MIRRORS);
	unsigned nopts = proxies(t, aptopts, 2), n = 0;
	free(t);

	snprintf(include, sizeof(include), "--include=%s", j->r->packages);
	snprintf(variant, sizeof(variant), "--variant=%s", j->r->variant);
	snprintf(components, sizeof(components), "--components=%s", j->r->components);
	snprintf(tar, sizeof(tar), "%s/root.tar", j->dir);
	argv[n++] = "mmdebstrap";
	argv[n++] = "--format=tar";
	argv[n++] = variant;
	argv[n++] = components;
	if (*j->r->packages)
		argv[n++] = include;
	for (unsigned i = 0; i < nopts; i++)
		argv[n++] = aptopts[i];
	if (geteuid() == 0) {
		/* Below our directory, so that nothing of it can be left behind. */
		snprintf(tmp, sizeof(tmp), "TMPDIR=%s", j->dir);
		env[0] = tmp;
		argv[n++] = "--mode=root";
	}
	argv[n++] = j->r->suite;
	argv[n++] = tar;
	for (unsigned i = 0; i < nlines; i++)
		argv[n++] = lines[i];
	argv[n] = NULL;
	int r = run(j, argv, env, e);
	if (r < 0)
		return r;
	step(j, "unpacking");
	r = run(j,
		(const char *[]){ "fakeroot", "-s", j->state, "-i", j->state, "--", "tar", "-C", j->root,
				  "--numeric-owner", "-xpf", tar, NULL },
		NULL, e);
	unlink(tar);
	return r;
}

/* Blocks and inodes of everything below a directory. */
static int measure(int at, const char *name, uint64_t *blocks, uint64_t *inodes, unsigned depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d || depth > 200) {
		int r = errno ? -errno : -ELOOP;
		if (fd >= 0)
			close(fd);
		return r;
	}
	int r = 0;
	for (struct dirent *de; !r && (de = readdir(d));) {
		struct stat st;
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (S_ISDIR(st.st_mode))
			r = measure(dirfd(d), de->d_name, blocks, inodes, depth + 1);
		*blocks += 1 + (r ? 0 : ((uint64_t)st.st_size + BLOCK - 1) / BLOCK);
		++*inodes;
	}
	closedir(d);
	return r;
}

static int make_disk(struct job *j, struct err *e)
{
	uint64_t blocks = 0, inodes = 0;
	int r = measure(AT_FDCWD, j->root, &blocks, &inodes, 0);
	if (r < 0)
		return err_sys(e, r, "cannot read %s", j->root);
	/* As many inodes again as there are, for what an intruder brings. */
	inodes = inodes * 2 + 8192;
	uint64_t size = (blocks + blocks / 32) * BLOCK + inodes * 256 + j->r->free + (UINT64_C(4) << 20);
	size = (size + (1 << 20) - 1) >> 20 << 20;
	int fd = open(j->disk, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		r = err_sys(e, -errno, "cannot make %s", j->disk);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return r;
	char ninodes[24];
	snprintf(ninodes, sizeof(ninodes), "%llu", (unsigned long long)inodes);
	const char *argv[] = {
		/* clang-format off */
		"fakeroot", "-i", j->state, "--", "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-N", ninodes,
		"-O", FEATURES, "-U", j->uuid, "-E", "lazy_itable_init=0,nodiscard,root_owner=0:0", "-d", j->root, j->disk, NULL,
		/* clang-format on */
	};
	return run(j, argv, NULL, e);
}

static int check_needs(const struct job *j, struct err *e)
{
	static const struct {
		const char *program, *package;
	} always[] = { { "fakeroot", "fakeroot" }, { "mke2fs", "e2fsprogs" }, { "tar", "tar" } };
	char path[512], list[256] = "";
	size_t n = 0;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (!image_tool_find(always[i].program, path, sizeof(path)))
			n += (size_t)snprintf(list + n, sizeof(list) - n, " %s", always[i].package);
	if (j->r->tool == RECIPE_MMDEBSTRAP && !image_tool_find("mmdebstrap", path, sizeof(path)))
		n += (size_t)snprintf(list + n, sizeof(list) - n, " mmdebstrap");
	if (j->r->uml_modules && access("/usr/lib/uml/modules", X_OK) < 0)
		n += (size_t)snprintf(list + n, sizeof(list) - n, " user-mode-linux");
	for (unsigned i = 0; i < j->r->nneeds && n < sizeof(list) - 70; i++)
		if (!image_tool_find(j->r->needs[i].program, path, sizeof(path)) &&
		    !strstr(list, j->r->needs[i].package))
			n += (size_t)snprintf(list + n, sizeof(list) - n, " %s", j->r->needs[i].package);
	return n ? err_set(e, -ENOENT, "packages are missing that recipe %s needs: apt-get install%s", j->r->name, list)
		 : 0;
}

static int prepare(struct job *j, struct err *e)
{
	snprintf(j->root, sizeof(j->root), "%s/root", j->dir);
	snprintf(j->state, sizeof(j->state), "%s/owners", j->dir);
	snprintf(j->out, sizeof(j->out), "%s/out", j->dir);
	snprintf(j->disk, sizeof(j->disk), "%s/disk.img", j->out);
	int fd = open(j->state, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* fakeroot -i wants it to be there */
	if (fd < 0 || mkdir(j->root, 0755) < 0 || mkdir(j->out, 0755) < 0) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return err_sys(e, r, "cannot write in %s", j->dir);
	}
	close(fd);
	uint8_t u[16];
	if (RAND_bytes(u, sizeof(u)) != 1)
		return err_set(e, -EIO, "no random numbers");
	/* A random UUID: RFC 9562, 5.4. */
	snprintf(j->uuid, sizeof(j->uuid), "%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", u[0],
		 u[1], u[2], u[3], u[4], u[5], u[6] & 15, u[7], 8 | (u[8] & 3), u[8] >> 4, u[9], u[10], u[11], u[12],
		 u[13], u[14], u[15]);
	return 0;
}

static int steps(struct job *j, struct err *e)
{
	int r = prepare(j, e);
	if (!r && j->r->tool == RECIPE_MMDEBSTRAP) {
		step(j, "installing packages");
		r = debootstrap(j, e);
	}
	/* Its fstab names the file system that is made next. */
	char setup[600], env[64];
	snprintf(env, sizeof(env), "SKEP_UUID=%s", j->uuid);
	snprintf(setup, sizeof(setup), "%s/setup", j->r->dir);
	if (!r && !access(setup, X_OK)) {
		step(j, "setting up");
		r = run(j, (const char *[]){ "fakeroot", "-s", j->state, "-i", j->state, "--", setup, j->root, NULL },
			(const char *[]){ env, NULL }, e);
	}
	if (!r) {
		step(j, "making the disk");
		r = make_disk(j, e);
	}
	return r;
}

static void kernel_release(const struct recipe *r, struct image *im)
{
	DIR *d = r->uml_modules ? opendir("/usr/lib/uml/modules") : NULL;
	for (struct dirent *de; d && (de = readdir(d));)
		if (de->d_name[0] != '.' && strlen(de->d_name) < sizeof(im->kernel))
			strcpy(im->kernel, de->d_name);
	if (d)
		closedir(d);
}

/* Packages, their tree and the disk lie side by side for a while. */
static uint64_t needed(const struct job *j)
{
	return UINT64_C(1) << (j->r->tool == RECIPE_TREE ? 25 : 30);
}

static uint64_t space(const char *dir)
{
	struct statvfs v;
	return statvfs(dir, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}

static int too_full(const struct job *j, struct err *e)
{
	return err_set(e, -ENOSPC, "no space left in %s: about %llu MB are needed while it is built", j->dir,
		       (unsigned long long)(needed(j) >> 20));
}

/* A program that met a full disk says so in its own words, or not at all. */
static void blame(const struct job *j, const char *log, struct err *e)
{
	if (e->code == -EINTR)
		return;
	if (j->tool.full || space(j->dir) < (UINT64_C(16) << 20))
		too_full(j, e);
	size_t n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, "; the log is %s", log);
}

int image_build(struct cmd *c, struct image_store *s, const struct recipe *r, const char *name, struct err *e)
{
	struct job *j = calloc(1, sizeof(*j));
	if (!j)
		return err_set(e, -ENOMEM, "out of memory");
	j->c = c;
	j->r = r;
	j->name = name;
	j->start = ev_monotonic();
	j->tool = (struct image_tool){ .log = -1, .line = on_line, .tick = on_tick, .arg = j };
	char log[DIRS_PATH + NAME_CAP + 8];
	snprintf(log, sizeof(log), "%s/%s.log", s->dir, name);
	int rc = check_needs(j, e);
	if (!rc)
		rc = image_store_begin(s, j->dir, e);
	if (!rc) {
		int fd = j->tool.log = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			rc = err_sys(e, -errno, "cannot write %s", log);
		if (!rc && space(j->dir) < needed(j))
			rc = too_full(j, e);
		else if (!rc)
			rc = steps(j, e);
		if (rc < 0 && fd >= 0)
			blame(j, log, e);
		struct image im = { 0 };
		if (!rc) {
			step(j, "checking and storing");
			snprintf(im.name, sizeof(im.name), "%s", name);
			snprintf(im.recipe, sizeof(im.recipe), "%s", r->name);
			snprintf(im.recipe_hash, sizeof(im.recipe_hash), "%s", r->hash);
			snprintf(im.about, sizeof(im.about), "%s", r->about);
			kernel_release(r, &im);
			rc = image_store_commit(s, j->out, &im, e);
		}
		if (!rc || rc == -EINTR)
			unlink(log);
		if (fd >= 0)
			close(fd);
		image_store_remove(j->dir);
	}
	free(j);
	return rc;
}

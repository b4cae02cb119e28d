/* SPDX-License-Identifier: ISC */
#include "cli/image_recipe.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Raise it when the same recipe begins to give another image. */
#define RECIPE_FORMAT "skep image 1"
#define RECIPE_TEXT_MAX 65536
#define RECIPE_FILES_MAX 4096
#define MODULES_DIR "/usr/lib/uml/modules"

/* ---- the file ------------------------------------------------------------ */

static char *trim(char *s)
{
	s += strspn(s, " \t");
	size_t n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* Names of packages and suites go into another program's arguments: nothing
 * that it could take for more than a name. */
static bool plain(const char *s)
{
	return *s && *s != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.:/_") == strlen(s);
}

static bool add_packages(struct recipe *r, char *value)
{
	char *save = NULL;
	for (char *w = strtok_r(value, " \t,", &save); w; w = strtok_r(NULL, " \t,", &save)) {
		size_t at = strlen(r->packages);
		if (!plain(w) || at + strlen(w) + 2 > sizeof(r->packages))
			return false;
		snprintf(r->packages + at, sizeof(r->packages) - at, "%s%s", at ? "," : "", w);
	}
	return true;
}

static bool add_need(struct recipe *r, char *value)
{
	char *save = NULL, *program = strtok_r(value, " \t", &save), *package = strtok_r(NULL, " \t", &save);
	if (!program || !package || strtok_r(NULL, " \t", &save) || r->nneeds == RECIPE_NEEDS)
		return false;
	return text_copy(r->needs[r->nneeds].program, sizeof(r->needs[0].program), program) &&
	       text_copy(r->needs[r->nneeds++].package, sizeof(r->needs[0].package), package);
}

/* false: the value does not fit the key; *known says whether there is such a key. */
static bool bind(struct recipe *r, const char *key, char *value, bool *known)
{
	*known = true;
	if (!strcmp(key, "about"))
		return text_copy(r->about, sizeof(r->about), value);
	if (!strcmp(key, "suite"))
		return plain(value) && text_copy(r->suite, sizeof(r->suite), value);
	if (!strcmp(key, "variant"))
		return plain(value) && text_copy(r->variant, sizeof(r->variant), value);
	if (!strcmp(key, "components"))
		return plain(value) && text_copy(r->components, sizeof(r->components), value);
	if (!strcmp(key, "packages"))
		return add_packages(r, value);
	if (!strcmp(key, "needs"))
		return add_need(r, value);
	if (!strcmp(key, "free"))
		return text_bytes(value, &r->free) && r->free <= UINT64_C(1) << 40;
	if (!strcmp(key, "kernel")) {
		r->uml_modules = true;
		return !strcmp(value, "uml");
	}
	if (!strcmp(key, "tool")) {
		r->tool = !strcmp(value, "tree") ? RECIPE_TREE : RECIPE_MMDEBSTRAP;
		return r->tool == RECIPE_TREE || !strcmp(value, "mmdebstrap");
	}
	*known = false;
	return false;
}

int recipe_parse(const char *path, const char *text, struct recipe *out, struct err *e)
{
	struct recipe r = *out;
	r.tool = RECIPE_MMDEBSTRAP;
	r.about[0] = r.suite[0] = r.packages[0] = '\0';
	r.nneeds = 0;
	r.uml_modules = false;
	r.free = UINT64_C(300) << 20;
	text_copy(r.variant, sizeof(r.variant), "minbase");
	text_copy(r.components, sizeof(r.components), "main");
	bool has_tool = false;
	unsigned line = 0;
	for (const char *p = text; *p;) {
		char buf[1024];
		size_t n = strcspn(p, "\n");
		line++;
		if (n >= sizeof(buf))
			return err_set(e, -EINVAL, "%s:%u: line too long", path, line);
		memcpy(buf, p, n);
		buf[n] = '\0';
		p += n + (p[n] == '\n');
		char *key = trim(buf), *eq = strchr(key, '=');
		if (!*key || *key == '#')
			continue;
		if (!eq)
			return err_set(e, -EINVAL, "%s:%u: expected `key = value`", path, line);
		*eq = '\0';
		key = trim(key);
		bool known, ok = bind(&r, key, trim(eq + 1), &known);
		if (!known)
			return err_set(e, -EINVAL, "%s:%u: unknown key \"%s\"", path, line, key);
		if (!ok)
			return err_set(e, -EINVAL, "%s:%u: not a value for %s", path, line, key);
		has_tool |= !strcmp(key, "tool");
	}
	if (!has_tool)
		return err_set(e, -EINVAL, "%s: no `tool = mmdebstrap` or `tool = tree`", path);
	if (r.tool == RECIPE_MMDEBSTRAP && !*r.suite)
		return err_set(e, -EINVAL, "%s: mmdebstrap needs a suite, as in `suite = bookworm`", path);
	*out = r;
	return 0;
}

/* ---- its hash ------------------------------------------------------------ */

struct names {
	char **list;
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_free(struct names *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->list[i]);
	free(v->list);
	*v = (struct names){ 0 };
}

static int names_add(struct names *v, const char *s)
{
	if (v->n >= RECIPE_FILES_MAX)
		return -E2BIG;
	char **grown = reallocarray(v->list, v->n + 1, sizeof(*grown)), *copy = strdup(s);
	if (grown)
		v->list = grown;
	if (!grown || !copy) {
		free(copy);
		return -ENOMEM;
	}
	v->list[v->n++] = copy;
	return 0;
}

/* Every file and link below dir/sub, as paths relative to dir. */
static int collect(const char *dir, const char *sub, unsigned depth, struct names *v)
{
	char path[1024], rel[512];
	if (depth > 16 || snprintf(path, sizeof(path), "%s/%s", dir, sub) >= (int)sizeof(path))
		return -ELOOP;
	DIR *d = opendir(path);
	if (!d)
		return -errno;
	int r = 0;
	for (struct dirent *de; !r && (de = readdir(d));) {
		size_t n = strlen(de->d_name);
		/* What editors and version control leave behind is no part of it. */
		if (de->d_name[0] == '.' &&
		    (!de->d_name[1] || !strcmp(de->d_name, "..") || !strcmp(de->d_name, ".git")))
			continue;
		if (de->d_name[n - 1] == '~')
			continue;
		struct stat st;
		if (snprintf(rel, sizeof(rel), "%s%s%s", sub, *sub ? "/" : "", de->d_name) >= (int)sizeof(rel))
			r = -ENAMETOOLONG;
		else if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (S_ISDIR(st.st_mode))
			r = collect(dir, rel, depth + 1, v);
		else
			r = names_add(v, rel);
	}
	closedir(d);
	return r;
}

static int hash_file(EVP_MD_CTX *md, const char *dir, const char *rel)
{
	char path[1024], buf[65536];
	if (snprintf(path, sizeof(path), "%s/%s", dir, rel) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	struct stat st;
	if (lstat(path, &st) < 0)
		return -errno;
	int n = snprintf(buf, sizeof(buf), "%s %c %lld", rel,
			 S_ISLNK(st.st_mode)      ? 'l'
			 : (st.st_mode & S_IXUSR) ? 'x'
						  : 'f',
			 (long long)st.st_size);
	EVP_DigestUpdate(md, buf, (size_t)n + 1);
	if (S_ISLNK(st.st_mode)) {
		ssize_t len = readlink(path, buf, sizeof(buf));
		if (len < 0)
			return -errno;
		EVP_DigestUpdate(md, buf, (size_t)len);
		return 0;
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t got;
	while ((got = read(fd, buf, sizeof(buf))) > 0)
#ifndef MUTANT_IMAGE_HASH_NAMES
		EVP_DigestUpdate(md, buf, (size_t)got);
#else
		;
#endif
	int r = got < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* The modules in an image fit one release of the kernel: another one installed
 * makes another image. */
static int hash_modules(EVP_MD_CTX *md)
{
	struct names v = { 0 };
	DIR *d = opendir(MODULES_DIR);
	int r = 0;
	for (struct dirent *de; d && !r && (de = readdir(d));)
		if (de->d_name[0] != '.')
			r = names_add(&v, de->d_name);
	if (d)
		closedir(d);
	if (v.n)
		qsort(v.list, v.n, sizeof(*v.list), by_name);
	for (size_t i = 0; i < v.n; i++)
		EVP_DigestUpdate(md, v.list[i], strlen(v.list[i]) + 1);
	names_free(&v);
	return r;
}

static int hash_recipe(struct recipe *r)
{
	struct names v = { 0 };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
	if (!rc)
		rc = collect(r->dir, "", 0, &v);
	if (!rc) {
		qsort(v.list, v.n, sizeof(*v.list), by_name);
		EVP_DigestUpdate(md, RECIPE_FORMAT, sizeof(RECIPE_FORMAT));
		for (size_t i = 0; !rc && i < v.n; i++)
			rc = hash_file(md, r->dir, v.list[i]);
	}
	if (!rc && r->uml_modules)
		rc = hash_modules(md);
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	if (!rc && EVP_DigestFinal_ex(md, sum, &len) != 1)
		rc = -EIO;
	for (unsigned i = 0; !rc && i < len; i++)
		snprintf(r->hash + 2 * (size_t)i, 3, "%02x", sum[i]);
	EVP_MD_CTX_free(md);
	names_free(&v);
	return rc;
}

/* ---- finding ------------------------------------------------------------- */

static int read_text(const char *path, char *buf, size_t cap, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot read %s", path);
	size_t n = 0;
	ssize_t got;
	while ((got = read(fd, buf + n, cap - n)) > 0)
		n += (size_t)got;
	int r = got < 0 ? err_sys(e, -errno, "cannot read %s", path) : 0;
	close(fd);
	if (!r && (n == cap || memchr(buf, 0, n)))
		r = err_set(e, -EINVAL, "%s is no recipe: too long, or not text", path);
	if (!r)
		buf[n] = '\0';
	return r;
}

int recipe_load(const char *dir, struct recipe *out, struct err *e)
{
	struct recipe r = { 0 };
	char path[600], *real = realpath(dir, NULL);
	if (!real)
		return err_sys(e, -errno, "cannot open recipe %s", dir);
	const char *base = strrchr(real, '/') + 1;
	int rc = 0;
	if (!text_copy(r.dir, sizeof(r.dir), real))
		rc = err_set(e, -ENAMETOOLONG, "path too long: %s", real);
	else if (!text_is_name(base) || !text_copy(r.name, sizeof(r.name), base))
		rc = err_set(e, -EINVAL, "%s: a recipe's directory is named with a-z, 0-9 and -", real);
	free(real);
	char *text = rc ? NULL : malloc(RECIPE_TEXT_MAX);
	if (!rc && !text)
		rc = err_set(e, -ENOMEM, "out of memory");
	if (!rc) {
		snprintf(path, sizeof(path), "%s/recipe", r.dir);
		rc = read_text(path, text, RECIPE_TEXT_MAX, e);
	}
	if (!rc)
		rc = recipe_parse(path, text, &r, e);
	free(text);
	if (!rc) {
		rc = hash_recipe(&r);
		if (rc < 0)
			return err_sys(e, rc, "cannot read the files of recipe %s", r.dir);
		*out = r;
	}
	return rc;
}

const char *recipe_place(unsigned i)
{
	const char *own = getenv("SKEP_IMAGES");
	if (own && *own)
		return i == 0 ? own : NULL;
	static const char *const places[] = { SKEP_RECIPES_SOURCE, SKEP_RECIPES_INSTALLED, NULL };
	return i < 2 ? places[i] : NULL;
}

int recipe_find(const char *word, struct recipe *out, struct err *e)
{
	if (strchr(word, '/'))
		return recipe_load(word, out, e);
	if (!text_is_name(word))
		return err_set(e, -EINVAL, "\"%s\" is no name of a recipe", word);
	const char *place;
	for (unsigned i = 0; (place = recipe_place(i)); i++) {
		char dir[512], path[600];
		if (snprintf(dir, sizeof(dir), "%s/%s", place, word) >= (int)sizeof(dir))
			continue;
		snprintf(path, sizeof(path), "%s/recipe", dir);
		if (!access(path, F_OK))
			return recipe_load(dir, out, e);
	}
	return err_set(e, -ENOENT, "there is no recipe \"%s\" in %s: see `skep image list`", word,
		       recipe_place(0) ? recipe_place(0) : "any place");
}

void recipe_each(void (*fn)(const char *name, const char *dir, void *arg), void *arg)
{
	struct names v = { 0 };
	const char *place;
	for (unsigned i = 0; (place = recipe_place(i)); i++) {
		DIR *d = opendir(place);
		for (struct dirent *de; d && (de = readdir(d));) {
			bool seen = !text_is_name(de->d_name);
			for (size_t k = 0; !seen && k < v.n; k++)
				seen = !strcmp(strrchr(v.list[k], '/') + 1, de->d_name);
			char path[1024];
			snprintf(path, sizeof(path), "%s/%s/recipe", place, de->d_name);
			if (seen || access(path, F_OK) < 0)
				continue;
			*strrchr(path, '/') = '\0';
			if (names_add(&v, path) < 0)
				break;
		}
		if (d)
			closedir(d);
	}
	/* By name: the directories in front differ. */
	for (size_t n = 0; n < v.n; n++) {
		size_t least = n;
		for (size_t k = n + 1; k < v.n; k++)
			if (strcmp(strrchr(v.list[k], '/'), strrchr(v.list[least], '/')) < 0)
				least = k;
		char *s = v.list[least];
		v.list[least] = v.list[n];
		v.list[n] = s;
		fn(strrchr(s, '/') + 1, s, arg);
	}
	names_free(&v);
}

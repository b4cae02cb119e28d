/* SPDX-License-Identifier: ISC */
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/image_build.h"
#include "cli/image_disk.h"
#include "cli/image_recipe.h"
#include "cli/image_store.h"
#include "cli/image_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_wait(void *arg)
{
	cmd_note(arg, "another skep builds or imports an image: waiting for it");
}

static int finish(struct cmd *c, struct image_store *s, int status)
{
	image_store_close(s);
	cmd_progress_end(c);
	fflush(NULL);
	image_tool_die();
	return status;
}

/* ---- build --------------------------------------------------------------- */

static int build_one(struct cmd *c, struct image_store *s, const char *word, const char *name, struct err *e)
{
	struct recipe *r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	struct image im;
	int rc = recipe_find(word, r, e);
	if (!rc && name && !text_is_name(name))
		rc = err_set(e, -EINVAL, "\"%s\" cannot be the name of an image: a-z, 0-9 and -, at most 31", name);
	if (!rc && !cmd_flag(c, "force") && !image_store_read(s, name ? name : r->name, &im, NULL) &&
	    !strcmp(im.recipe_hash, r->hash)) {
		cmd_note(c, "image %s is up to date", im.name);
		free(r);
		return 0;
	}
	if (!rc)
		rc = image_build(c, s, r, name ? name : r->name, e);
	if (!rc && !image_store_read(s, name ? name : r->name, &im, e)) {
		char size[CMD_SIZE_TEXT], used[CMD_SIZE_TEXT];
		cmd_note(c, "image %s is ready: %s, %s on disk", im.name, cmd_size_text(size, im.bytes),
			 cmd_size_text(used, im.allocated));
	}
	free(r);
	return rc;
}

int cmd_image_build(struct cmd *c)
{
	struct image_store s;
	struct err e;
	const char *name = cmd_str(c, "name");
	if (name && c->nargs > 1)
		return cmd_usage(c, "--name goes with one recipe only");
	if (image_store_open(&s, &e) < 0)
		return cmd_fail_err(c, &e, NULL);
	image_tool_catch_signals();
	if (image_store_lock(&s, on_wait, c, &e) < 0)
		return finish(c, &s, image_tool_stopped() ? CMD_FAILED : cmd_fail_err(c, &e, NULL));
	int status = CMD_OK;
	for (int i = 0; i < c->nargs && !image_tool_stopped(); i++)
		if (build_one(c, &s, c->args[i], name, &e) < 0)
			status = cmd_fail_err(c, &e, "image %s", name ? name : c->args[i]);
	return finish(c, &s, status);
}

/* ---- list ---------------------------------------------------------------- */

struct listing {
	struct image_store store;
	char (*names)[NAME_CAP];
	struct table table;
	json_t *array; /* NULL: text */
};

/* The recipe of an image as it is now: "current", "outdated", "gone", ... */
static const char *recipe_state(const struct image *im)
{
	if (!*im->recipe)
		return "imported";
	struct recipe *r = calloc(1, sizeof(*r));
	const char *text = "gone";
	if (r && !recipe_find(im->recipe, r, NULL))
		text = strcmp(r->hash, im->recipe_hash) ? "outdated" : "current";
	free(r);
	return text;
}

static void list_image(struct listing *l, const char *name)
{
	struct image im;
	struct err e;
	char size[CMD_SIZE_TEXT];
	bool ok = !image_store_read(&l->store, name, &im, &e);
	const char *state = ok ? recipe_state(&im) : "damaged";
	if (l->array) {
		json_t *o = json_object();
		json_object_set_new(o, "name", cmd_string(name));
		json_object_set_new(o, "state", json_string(state));
		json_object_set_new(o, "path", json_sprintf("%s/%s/disk.img", l->store.dir, name));
		if (ok) {
			json_object_set_new(o, "bytes", json_integer((json_int_t)im.bytes));
			json_object_set_new(o, "allocated", json_integer((json_int_t)im.allocated));
			json_object_set_new(o, "created", cmd_string(im.created));
			json_object_set_new(o, "sha256", cmd_string(im.sha256));
			if (*im.recipe)
				json_object_set_new(o, "recipe", cmd_string(im.recipe));
			if (*im.source)
				json_object_set_new(o, "source", cmd_string(im.source));
			json_object_set_new(o, "about", cmd_string(im.about));
		} else {
			json_object_set_new(o, "error", cmd_string(e.text));
		}
		json_array_append_new(l->array, o);
		return;
	}
	table_add(&l->table, "%s", name);
	table_add(&l->table, "%s", state);
	table_add(&l->table, "%s", ok ? cmd_size_text(size, im.bytes) : "-");
	table_add(&l->table, "%s", ok ? cmd_size_text(size, im.allocated) : "-");
	table_add(&l->table, "%s", ok ? im.created : "-");
	table_add(&l->table, "%.12s", ok ? im.sha256 : "-");
	table_add(&l->table, "%s", !ok ? e.text : *im.about ? im.about : im.source);
}

/* A recipe that nothing was built from yet. */
static void list_recipe(const char *name, const char *dir, void *arg)
{
	struct listing *l = arg;
	for (size_t i = 0; l->names[i][0]; i++)
		if (!strcmp(l->names[i], name))
			return;
	struct recipe *r = calloc(1, sizeof(*r));
	struct err e;
	if (!r)
		return;
	bool ok = !recipe_load(dir, r, &e);
	const char *state = ok ? "not built" : "bad recipe", *about = ok ? r->about : e.text;
	if (l->array) {
		json_t *o = json_object();
		json_object_set_new(o, "name", cmd_string(name));
		json_object_set_new(o, "state", json_string(state));
		json_object_set_new(o, ok ? "about" : "error", cmd_string(about));
		json_array_append_new(l->array, o);
	} else {
		const char *cells[] = { name, state, "-", "-", "-", "-", about };
		for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
			table_add(&l->table, "%s", cells[i]);
	}
	free(r);
}

int cmd_image_list(struct cmd *c)
{
	struct listing l = { 0 };
	struct err e;
	if (image_store_open(&l.store, &e) < 0)
		return cmd_fail_err(c, &e, NULL);
	l.names = image_store_names(&l.store);
	if (!l.names)
		return cmd_fail(c, "out of memory");
	if (cmd_flag(c, "json"))
		l.array = json_array();
	else
		table_init(&l.table, (const char *[]){ "NAME", "STATE", ">SIZE", ">ON DISK", "CREATED", "SHA256",
						       "ABOUT", NULL });
	for (size_t i = 0; l.names[i][0]; i++)
		list_image(&l, l.names[i]);
	recipe_each(list_recipe, &l);
	free(l.names);
	return l.array ? cmd_json(c, l.array) : table_print(&l.table, c);
}

/* ---- import -------------------------------------------------------------- */

struct importing {
	struct cmd *c;
	const char *name;
	uint64_t size;
	unsigned percent;
};

static void on_copied(uint64_t done, void *arg)
{
	struct importing *im = arg;
	unsigned percent = im->size ? (unsigned)(done * 100 / im->size) : 100;
	if (percent >= im->percent + 10 || percent == 100) {
		im->percent = percent;
		cmd_progress(im->c, "image %s: copying, %u%%", im->name, percent);
	}
}

static int open_disk(const char *file, uint64_t *fs_bytes, struct err *e)
{
	uint8_t head[DISK_HEAD];
	struct stat st;
	/* Not blocking: it could be a fifo. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", file);
	int r = 0;
	if (fstat(fd, &st) < 0)
		r = err_sys(e, -errno, "cannot read %s", file);
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		r = err_set(e, -EINVAL, "%s is neither a file nor a block device", file);
	off_t size = r ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = r ? 0 : pread(fd, head, sizeof(head), 0);
	if (!r && (n < 0 || size < 0))
		r = err_sys(e, -errno, "cannot read %s", file);
	if (!r) {
		r = image_disk_check(slice_of(head, (size_t)n), (uint64_t)size, fs_bytes, e);
		if (r < 0)
			err_prefix(e, "%s", file);
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* What the superblock promises must hold below it, too. */
static int check_copy(const char *disk, const char *file, struct err *e)
{
	struct image_tool t = { .log = -1 };
	int r = image_tool_run(&t, (const char *[]){ "e2fsck", "-f", "-n", disk, NULL }, NULL, NULL);
	if (r == -EINTR)
		return err_set(e, r, "interrupted");
	if (r == -ENOENT)
		return err_set(e, r, "e2fsck is not installed: apt-get install e2fsprogs");
	return r < 0 ? err_set(e, -EINVAL, "%s: its file system is damaged: run e2fsck -f on it first", file) : 0;
}

static int import(struct cmd *c, struct image_store *s, const char *name, const char *file, struct err *e)
{
	struct importing im = { .c = c, .name = name };
	char dir[DIRS_PATH], disk[DIRS_PATH + 16];
	int in = open_disk(file, &im.size, e);
	if (in < 0)
		return in;
	int r = image_store_begin(s, dir, e);
	if (r < 0) {
		close(in);
		return r;
	}
	snprintf(disk, sizeof(disk), "%s/disk.img", dir);
	int out = open(disk, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = out < 0 ? -errno : image_disk_copy(in, out, im.size, image_tool_stopped, on_copied, &im);
	if (r < 0)
		err_sys(e, r, "cannot copy %s to %s", file, disk);
	if (out >= 0)
		close(out);
	close(in);
	if (!r) {
		cmd_progress(c, "image %s: checking its file system", name);
		r = check_copy(disk, file, e);
	}
	if (r < 0) {
		image_store_remove(dir);
		return r;
	}
	struct image image = { 0 };
	snprintf(image.name, sizeof(image.name), "%s", name);
	char *real = realpath(file, NULL);
	snprintf(image.source, sizeof(image.source), "%s", real ? real : file);
	free(real);
	return image_store_commit(s, dir, &image, e);
}

int cmd_image_import(struct cmd *c)
{
	const char *name = c->args[0], *file = c->args[1];
	struct image_store s;
	struct image old;
	struct err e;
	if (!text_is_name(name))
		return cmd_usage(c, "\"%s\" cannot be the name of an image: a-z, 0-9 and -, at most 31", name);
	if (image_store_open(&s, &e) < 0)
		return cmd_fail_err(c, &e, NULL);
	image_tool_catch_signals();
	if (image_store_lock(&s, on_wait, c, &e) < 0)
		return finish(c, &s, image_tool_stopped() ? CMD_FAILED : cmd_fail_err(c, &e, NULL));
	if (!cmd_flag(c, "force") && image_store_read(&s, name, &old, NULL) != -ENOENT)
		return finish(c, &s, cmd_fail(c, "there is an image %s already: --force replaces it", name));
	if (import(c, &s, name, file, &e) < 0)
		return finish(c, &s, cmd_fail_err(c, &e, "image %s", name));
	cmd_note(c, "image %s is ready", name);
	return finish(c, &s, CMD_OK);
}

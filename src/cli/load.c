/* SPDX-License-Identifier: ISC */
#include "cli/load.h"

#include "base/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int load_text(const char *path, char **text, size_t *size, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0;
	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(e, -EISDIR, "%s is a directory: name the YAML file in it", path);
	}
	char *buf = malloc(LOAD_MAX + 1);
	ssize_t r = buf ? 1 : (errno = ENOMEM, -1);
	while (r > 0 && n <= LOAD_MAX) {
		r = read(fd, buf + n, LOAD_MAX + 1 - n);
		n += r > 0 ? (size_t)r : 0;
	}
	int code = r < 0 ? -errno : 0;
	close(fd);
	if (code)
		err_sys(e, code, "cannot read %s", path);
	else if (n > LOAD_MAX)
		code = err_set(e, -EFBIG, "%s is larger than %u bytes: is it a YAML file of skep's?", path, LOAD_MAX);
	if (code) {
		free(buf);
		return code;
	}
	*text = buf;
	*size = n;
	return 0;
}

/* ext2/3/4 superblock (kernel, Documentation/filesystems/ext4/super.rst): at
 * byte 1024, s_magic 0xef53 at offset 0x38. */
static bool is_ext4(int fd)
{
	uint8_t magic[2];
	return pread(fd, magic, 2, 1024 + 0x38) == 2 && magic[0] == 0x53 && magic[1] == 0xef;
}

static void check_image(const char *state, const struct honeypot *h, struct diag *d)
{
	char path[DIRS_PATH + NAME_CAP + 32];
	struct stat st;
	snprintf(path, sizeof(path), "%s/images/%s/disk.img", state, h->image);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		diag_add(d, h->image_mark, "no image \"%s\": build it with `skep image build %s`", h->image, h->image);
	else if (fd < 0)
		diag_add(d, h->image_mark, "image \"%s\" cannot be read: %s", h->image, strerror(errno));
	else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_ext4(fd))
		diag_add(d, h->image_mark,
			 "image \"%s\" is not a disk with an ext4 file system: build it again with `skep "
			 "image build --force %s`",
			 h->image, h->image);
	if (fd >= 0)
		close(fd);
}

static int by_place(const void *a, const void *b)
{
	const struct diag_item *x = a, *y = b;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	return x->at.col < y->at.col ? -1 : x->at.col > y->at.col;
}

int load_file(const char *path, struct loaded *l, struct err *e)
{
	char state[DIRS_PATH];
	memset(l, 0, sizeof(*l));
	int r = load_text(path, &l->text, &l->n, e);
	if (r < 0)
		return r;
	l->model = calloc(1, sizeof(*l->model));
	if (!l->model)
		return err_set(e, -ENOMEM, "out of memory");
	r = model_parse(l->text, l->n, l->model, &l->diag);
	if (r < 0 && !l->diag.n)
		return err_sys(e, r, "cannot parse %s", path);
	if (!r && (r = dirs_state(state, e)) < 0)
		return r;
	for (uint32_t i = 0; !r && i < l->model->nhoneypots; i++)
		check_image(state, &l->model->honeypots[i], &l->diag);
	qsort(l->diag.items, l->diag.n, sizeof(l->diag.items[0]), by_place);
	return l->diag.n ? -EINVAL : 0;
}

void load_free(struct loaded *l)
{
	free(l->text);
	free(l->model);
	l->text = NULL;
	l->model = NULL;
}

void load_print_diag(FILE *out, const char *path, const struct diag *d)
{
	char name[1024], text[4 * sizeof(d->items[0].text)];
	cmd_safe(name, sizeof(name), path);
	for (unsigned i = 0; i < d->n; i++) {
		const struct diag_item *it = &d->items[i];
		fprintf(out, "%s:%u:%u: %s\n", name, it->at.line, it->at.col, cmd_safe(text, sizeof(text), it->text));
	}
	if (d->more)
		fprintf(out, "%s: and %u more\n", name, d->more);
}

int load_seal_source(const struct loaded *l, struct err *e)
{
	int fd = memfd_create("source", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make a memfd");
	for (size_t at = 0; at < l->n;) {
		ssize_t w = write(fd, l->text + at, l->n - at);
		if (w < 0) {
			int code = -errno;
			close(fd);
			return err_sys(e, code, "cannot fill a memfd");
		}
		at += (size_t)w;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		int code = -errno;
		close(fd);
		return err_sys(e, code, "cannot seal a memfd");
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

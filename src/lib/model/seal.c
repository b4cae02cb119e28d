/* SPDX-License-Identifier: ISC */
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* With all four nobody can change what was checked, nor its size. */
#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int write_all(int fd, const void *p, size_t n)
{
	const char *at = p;
	while (n) {
		ssize_t w = write(fd, at, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

static int read_all(int fd, void *p, size_t n)
{
	char *at = p;
	off_t off = 0;
	while (n) {
		ssize_t r = pread(fd, at + off, n, off);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		off += r;
		n -= (size_t)r;
	}
	return 0;
}

int model_seal(const struct model *m, struct err *e)
{
	int r = model_check(m, e);
	if (r < 0)
		return r;
	int fd = memfd_create("model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot create the memory for a model");
	r = write_all(fd, m, sizeof(*m));
	if (!r && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return err_sys(e, r, "cannot write a model to memory");
	}
	return fd;
}

int model_open(int fd, struct model *out, struct err *e)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
#ifndef MUTANT_MODEL_UNSEALED
	if (seals < 0 || (seals & SEALS) != SEALS)
		return err_set(e, -EBADMSG, "the model is not in sealed memory");
#else
	(void)seals;
#endif
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(*out))
		return err_set(e, -EBADMSG, "the model has the wrong size: cli and super are of different versions?");
	struct model *m = malloc(sizeof(*m));
	if (!m)
		return err_sys(e, -ENOMEM, "cannot read the model");
	int r = read_all(fd, m, sizeof(*m));
	if (r < 0)
		err_sys(e, r, "cannot read the model");
	else
		r = model_check(m, e);
	if (!r)
		memcpy(out, m, sizeof(*out));
	free(m);
	return r;
}

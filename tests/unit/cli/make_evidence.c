/* SPDX-License-Identifier: ISC */
/* Makes a small evidence directory that ended in order, for tests of programs. */
#include "proc/evidence/store.h"

#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct store s;
	struct err e = { 0 };
	struct store_conf c = { 0 };
	const uint64_t t = 1795428441077559759ull;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0 || store_open(&s, fd, "demo skep test", &c, &store_real_io, t, &e) < 0) {
		fprintf(stderr, "cannot make evidence: %s\n", e.text);
		return 1;
	}
	if (store_file(&s, "honeynet.yaml", "honeynet: demo\n", 15, t) < 0 || store_commit(&s, t) < 0 ||
	    store_record(&s, J_STOP, t, "\0\0\0\0asked to", 12) < 0 || store_commit(&s, t) < 0)
		return 1;
	store_free(&s);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * Runs a fuzz harness over the files of a directory, without libFuzzer: TAP on
 * standard output. The harness aborts where something is wrong.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED_MAX = 1 << 21 };

static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int one(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint8_t *room = malloc(SEED_MAX);
	ssize_t n = fd < 0 || !room ? -1 : read(fd, room, SEED_MAX);
	if (n >= 0) {
		/* Of the exact size, so that a sanitizer sees a read past the end. */
		uint8_t *data = realloc(room, n ? (size_t)n : 1);
		if (data)
			room = data;
		LLVMFuzzerTestOneInput(room, (size_t)n);
	}
	free(room);
	if (fd >= 0)
		close(fd);
	return n < 0;
}

int main(int argc, char **argv)
{
	struct dirent **list;
	int dir = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int n = dir < 0 ? -1 : scandir(argv[1], &list, no_dots, alphasort), failed = 0;
	if (n <= 0) {
		fprintf(stderr, "usage: %s DIR (with seeds in it)\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		int bad = one(dir, list[i]->d_name);
		printf("%sok %d - %s\n", bad ? "not " : "", i + 1, list[i]->d_name);
		failed += bad;
		free(list[i]);
	}
	free(list);
	close(dir);
	return failed != 0;
}

/* SPDX-License-Identifier: ISC */
#include "scratch.h"

#include "proc/vmm/cow.h"

#define DISK (1u << 20)

static int base_fd, overlay_fd;
static uint8_t model[DISK]; /* what the disk must look like */

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < DISK; i++)
		model[i] = (uint8_t)(i * 31 + i / 512);
	scratch_write("base", model, DISK, 0600);
	unlink("overlay");
	base_fd = open("base", O_RDWR);
	overlay_fd = open("overlay", O_RDWR | O_CREAT, 0600);
	return base_fd < 0 || overlay_fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(base_fd);
	close(overlay_fd);
	return 0;
}

static void base_is_untouched(void)
{
	size_t n;
	char *p = scratch_read("base", &n);
	assert_int_equal(n, DISK);
	for (size_t i = 0; i < DISK; i++)
		if ((uint8_t)p[i] != (uint8_t)(i * 31 + i / 512))
			fail_msg("base changed at %zu", i);
	free(p);
}

static void disk_is_model(struct cow *c)
{
	uint8_t *p = malloc(DISK);
	assert_non_null(p);
	assert_int_equal(cow_read(c, 0, p, DISK), 0);
	assert_memory_equal(p, model, DISK);
	free(p);
}

static void put(struct cow *c, uint64_t off, size_t n, uint8_t what)
{
	uint8_t buf[8192];
	memset(buf, what, sizeof(buf));
	assert_int_equal(cow_write(c, off, buf, n), 0);
	memset(model + off, what, n);
}

static void test_offsets(void **state)
{
	(void)state;
	/* Taken from a file that linux.uml 6.1 made for a base of 64 MiB. */
	assert_int_equal(cow_bitmap_len(64u << 20), 16384);
	assert_int_equal(cow_data_offset(64u << 20), 0x6000);
	assert_int_equal(cow_bitmap_len(512), 1);
	assert_int_equal(cow_data_offset(512), 12288);
	assert_int_equal(cow_bitmap_len(512 * 9), 2);
}

static void test_header_bytes(void **state)
{
	(void)state;
	/* The first 48 bytes of such a file; its base was /tmp/scratch-uml/base.img,
	 * 64 MiB, mtime 0x6b040252. */
	static const uint8_t real[48] = {
		0x4f, 0x4f, 0x4f, 0x4d, 0,   0,   0,   3,   0x6b, 0x04, 0x02, 0x52, 0,   0,   0,   0,
		4,    0,    0,    0,    0,   0,   2,   0,   0,    0,    0x10, 0,    0,   0,   0,   0,
		'/',  't',  'm',  'p',  '/', 's', 'c', 'r', 'a',  't',  'c',  'h',  '-', 'u', 'm', 'l',
	};
	struct cow_header h = { .mtime = 0x6b040252, .size = 64u << 20, .path = "/tmp/scratch-uml" }, back;
	uint8_t out[COW_HEADER];
	cow_format(&h, out);
	assert_memory_equal(out, real, sizeof(real));
	assert_int_equal(cow_parse(out, sizeof(out), &back, NULL), 0);
	assert_int_equal(back.mtime, h.mtime);
	assert_int_equal(back.size, h.size);
	assert_string_equal(back.path, h.path);
}

static void test_bad_headers(void **state)
{
	(void)state;
	struct cow_header h = { .mtime = 1, .size = DISK, .path = "/srv/b" }, back = { .size = 77 };
	uint8_t good[COW_HEADER], bad[COW_HEADER];
	cow_format(&h, good);
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = { { 0, 0 },  { 7, 2 },  { 7, 4 },  { 12, 0xff }, { 19, 1 },
		      { 17, 0 }, { 22, 4 }, { 26, 1 }, { 31, 1 },    { 32, 'x' } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bad, good, sizeof(bad));
		bad[cases[i].at] = cases[i].value;
		struct err e = { 0 };
		assert_int_equal(cow_parse(bad, sizeof(bad), &back, &e), -EINVAL);
		assert_true(e.text[0]);
	}
	memset(good + 32, 'a', COW_PATH);
	good[32] = '/';
	assert_int_equal(cow_parse(good, sizeof(good), &back, NULL), -EINVAL);
	for (size_t n = 0; n < 32 + COW_PATH; n += 41)
		assert_int_equal(cow_parse(good, n, &back, NULL), -EINVAL);
	assert_int_equal(back.size, 77);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct cow c;
	struct err e;
	enum cow_state st;
	assert_int_equal(cow_look(overlay_fd, &st, &e), 0);
	assert_int_equal(st, COW_EMPTY);
	assert_int_equal(cow_create(&c, overlay_fd, base_fd, "/srv/b", &e), 0);
	disk_is_model(&c);
	put(&c, 0, 512, 0xaa);
	put(&c, 1000, 100, 0xbb);   /* inside a sector */
	put(&c, 2047, 2, 0xcc);     /* over the edge of two */
	put(&c, 4096, 8192, 0xdd);  /* many */
	put(&c, 5000, 3000, 0xee);  /* again */
	put(&c, DISK - 1, 1, 0x11); /* the last byte */
	disk_is_model(&c);
	/* Without its header it is not a disk yet. */
	assert_int_equal(cow_look(overlay_fd, &st, &e), 0);
	assert_int_equal(st, COW_UNFINISHED);
	assert_int_equal(cow_commit(&c, &e), 0);
	cow_close(&c);
	assert_int_equal(cow_look(overlay_fd, &st, &e), 0);
	assert_int_equal(st, COW_READY);
	assert_int_equal(cow_open(&c, overlay_fd, base_fd, &e), 0);
	disk_is_model(&c);
	put(&c, 700000, 5000, 0x77);
	assert_int_equal(cow_commit(&c, &e), 0);
	cow_close(&c);
	assert_int_equal(cow_open(&c, overlay_fd, base_fd, &e), 0);
	disk_is_model(&c);
	cow_close(&c);
	base_is_untouched();
	struct stat stat_buf;
	assert_int_equal(fstat(overlay_fd, &stat_buf), 0);
	assert_int_equal(stat_buf.st_size, cow_data_offset(DISK) + DISK);
	assert_true(stat_buf.st_blocks * 512 < 128 * 1024); /* sparse */
}

static void test_bounds(void **state)
{
	(void)state;
	struct cow c;
	uint8_t b[2] = { 0 };
	assert_int_equal(cow_create(&c, overlay_fd, base_fd, "/srv/b", NULL), 0);
	assert_int_equal(cow_read(&c, DISK, b, 1), -EINVAL);
	assert_int_equal(cow_read(&c, DISK - 1, b, 2), -EINVAL);
	assert_int_equal(cow_read(&c, UINT64_MAX, b, 2), -EINVAL);
	assert_int_equal(cow_write(&c, DISK - 1, b, 2), -EINVAL);
	assert_int_equal(cow_write(&c, UINT64_MAX - 1, b, 2), -EINVAL);
	assert_int_equal(cow_read(&c, DISK, b, 0), 0);
	cow_close(&c);
}

static void test_other_base(void **state)
{
	(void)state;
	struct cow c;
	struct err e;
	assert_int_equal(cow_create(&c, overlay_fd, base_fd, "/srv/b", &e), 0);
	assert_int_equal(cow_commit(&c, &e), 0);
	cow_close(&c);
	struct timespec t[2] = { { 1000, 0 }, { 1000, 0 } };
	assert_int_equal(futimens(base_fd, t), 0);
	assert_int_equal(cow_open(&c, overlay_fd, base_fd, &e), -ESTALE);
	assert_non_null(strstr(e.text, "reset"));
}

static void test_not_disks(void **state)
{
	(void)state;
	struct cow c;
	struct err e;
	enum cow_state st;
	int fd = open("odd", O_RDWR | O_CREAT, 0600);
	assert_int_equal(cow_create(&c, overlay_fd, fd, "/srv/b", &e), -EINVAL); /* empty base */
	assert_int_equal(ftruncate(fd, 1000), 0);
	assert_int_equal(cow_create(&c, overlay_fd, fd, "/srv/b", &e), -EINVAL); /* no whole sectors */
	assert_non_null(strstr(e.text, "not a disk"));
	scratch_write("odd", "#!/bin/sh\n", 10, 0600);
	assert_int_equal(cow_look(fd, &st, &e), -EINVAL); /* somebody's file as overlay */
	close(fd);
	base_is_untouched();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_header_bytes),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_base, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_disks, setup, teardown),
	};
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

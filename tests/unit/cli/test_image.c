/* SPDX-License-Identifier: ISC */
#include "support.h"

#include "cli/image_build.h"
#include "cli/image_disk.h"
#include "cli/image_recipe.h"
#include "cli/image_store.h"
#include "cli/image_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[200];

/* A path below the test's own directory. */
static const char *in(const char *name)
{
	static char path[4][512];
	static unsigned n;
	char *p = path[n++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", state, name);
	return p;
}

static int setup(void **s)
{
	(void)s;
	state_make();
	return 0;
}

static int teardown(void **s)
{
	(void)s;
	unsetenv("SKEP_IMAGES");
	state_drop();
	return 0;
}

/* ---- recipes ------------------------------------------------------------- */

static void test_recipe_values(void **s)
{
	(void)s;
	struct recipe r = { 0 };
	struct err e;
	assert_int_equal(
	    recipe_parse("f",
			 "# remark\n about = a thing = x \ntool=mmdebstrap\nsuite = bookworm\npackages = a b\n"
			 "packages = c+d\nfree = 10M\nkernel = uml\nneeds = busybox busybox-static\n",
			 &r, &e),
	    0);
	assert_string_equal(r.about, "a thing = x");
	assert_string_equal(r.packages, "a,b,c+d");
	assert_int_equal(r.free, 10 << 20);
	assert_true(r.uml_modules);
	assert_int_equal(r.nneeds, 1);
	assert_string_equal(r.needs[0].package, "busybox-static");
	assert_string_equal(r.variant, "minbase");
}

static void test_recipe_mistakes(void **s)
{
	(void)s;
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "f: no `tool" },
		{ "tool = magic\n", "f:1: not a value for tool" },
		{ "tool = tree\ncolour = red\n", "f:2: unknown key \"colour\"" },
		{ "tool = tree\nnonsense\n", "f:2: expected `key = value`" },
		{ "tool = mmdebstrap\n", "f: mmdebstrap needs a suite" },
		{ "tool = mmdebstrap\nsuite = --hook\n", "f:2: not a value for suite" },
		{ "tool = mmdebstrap\nsuite = x;y\n", "f:2: not a value for suite" },
		{ "tool = tree\npackages = ok --aptopt=x\n", "f:2: not a value for packages" },
		{ "tool = tree\nfree = much\n", "f:2: not a value for free" },
		{ "tool = tree\nkernel = mach\n", "f:2: not a value for kernel" },
		{ "tool = tree\nneeds = busybox\n", "f:2: not a value for needs" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recipe r, was;
		struct err e;
		memset(&r, 7, sizeof(r));
		was = r;
		was.name[0] = r.name[0] = '\0';
		assert_int_equal(recipe_parse("f", cases[i].text, &r, &e), -EINVAL);
		if (strncmp(e.text, cases[i].error, strlen(cases[i].error)))
			fail_msg("%s: %s", cases[i].text, e.text);
		assert_memory_equal(&r, &was, sizeof(r));
	}
}

static void load(char hash[RECIPE_HASH])
{
	struct recipe *r = calloc(1, sizeof(*r));
	struct err e = { 0 };
	assert_non_null(r);
	if (recipe_find("toy", r, &e) < 0)
		fail_msg("%s", e.text);
	memcpy(hash, r->hash, RECIPE_HASH);
	free(r);
}

static void make_recipe(void)
{
	snprintf(dir, sizeof(dir), "%s/recipes", state);
	setenv("SKEP_IMAGES", dir, 1);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(in("recipes/toy"), 0755), 0);
	assert_int_equal(mkdir(in("recipes/toy/files"), 0755), 0);
	write_file(in("recipes/toy/recipe"), "tool = tree\nabout = toy\nfree = 1M\n");
	write_file(in("recipes/toy/files/a"), "one");
}

/* Equal hash, equal image: whatever setup could see must count. */
static void test_recipe_hash(void **s)
{
	(void)s;
	char was[RECIPE_HASH], now[RECIPE_HASH];
	make_recipe();
	load(was);
	assert_int_equal(strlen(was), 64);
	load(now);
	assert_string_equal(was, now);
	write_file(in("recipes/toy/files/a"), "two"); /* of the same length */
	load(now);
	assert_string_not_equal(was, now);
	write_file(in("recipes/toy/files/a"), "one");
	load(now);
	assert_string_equal(was, now);
	assert_int_equal(chmod(in("recipes/toy/files/a"), 0755), 0);
	load(now);
	assert_string_not_equal(was, now);
	assert_int_equal(chmod(in("recipes/toy/files/a"), 0644), 0);
	write_file(in("recipes/toy/files/b"), "");
	load(now);
	assert_string_not_equal(was, now);
	assert_int_equal(unlink(in("recipes/toy/files/b")), 0);
	assert_int_equal(symlink("a", in("recipes/toy/files/c")), 0);
	load(now);
	assert_string_not_equal(was, now);
}

static void test_recipe_unknown(void **s)
{
	(void)s;
	make_recipe();
	struct recipe *r = calloc(1, sizeof(*r));
	struct err e;
	assert_int_equal(recipe_find("nothing", r, &e), -ENOENT);
	assert_non_null(strstr(e.text, "nothing"));
	assert_int_equal(recipe_find("../x", r, &e), -ENOENT);
	assert_int_equal(recipe_find("UPPER", r, &e), -EINVAL);
	free(r);
}

static void test_mirrors(void **s)
{
	(void)s;
	char out[8][MIRROR_TEXT];
	static const char targets[] = "http://deb.debian.org/debian/ bookworm main\n"
				      "http://deb.debian.org/debian/ bookworm main\n"
				      "http://deb.debian.org/debian/ bookworm contrib\n"
				      "http://deb.debian.org/debian/ bookworm-updates main\n"
				      "http://security.debian.org/debian-security/ bookworm-security main\n"
				      "http://deb.debian.org/debian/ bookworm-backports main\n"
				      "https://packages.example.org/php/ bookworm main\n"
				      "cdrom://debian/ bookworm main\nnonsense\n";
	assert_int_equal(image_mirrors(targets, "bookworm", out, 8), 3);
	assert_string_equal(out[0], "deb http://deb.debian.org/debian/ bookworm main");
	assert_string_equal(out[2], "deb http://security.debian.org/debian-security/ bookworm-security main");
	assert_int_equal(image_mirrors(targets, "trixie", out, 8), 0);
	assert_int_equal(image_mirrors("http://x/debian bookworm-updates main\n", "bookworm", out, 8), 0);
	assert_int_equal(image_mirrors("", "bookworm", out, 8), 0);
}

/* ---- disks --------------------------------------------------------------- */

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* The superblock of a clean file system of 1000 blocks of 4 KiB. */
static void ext4(uint8_t head[DISK_HEAD])
{
	memset(head, 0, DISK_HEAD);
	uint8_t *super = head + 1024;
	put32(super + 0x4, 1000);
	put32(super + 0x18, 2);
	super[0x38] = 0x53;
	super[0x39] = 0xef;
	super[0x3a] = 1;
}

static int check(const uint8_t head[DISK_HEAD], size_t n, uint64_t size, const char *word)
{
	struct err e = { 0 };
	uint64_t bytes = 77;
	int r = image_disk_check(slice_of(head, n), size, &bytes, &e);
	if (word) {
		assert_int_equal(r, -EINVAL);
		assert_int_equal(bytes, 77);
		if (!strstr(e.text, word))
			fail_msg("\"%s\" is not in: %s", word, e.text);
	} else {
		assert_int_equal(r, 0);
		assert_int_equal(bytes, 4096000);
	}
	return r;
}

static void test_disk_check(void **s)
{
	(void)s;
	uint8_t h[DISK_HEAD];
	ext4(h);
	check(h, sizeof(h), 4096000, NULL);
	check(h, sizeof(h), 5000000, NULL);
	check(h, sizeof(h), 4095999, "cut off");
	for (size_t n = 0; n < sizeof(h); n += 61)
		check(h, n, 4096000, "short");
	h[1024 + 0x60] = 4;
	check(h, sizeof(h), 4096000, "cleanly");
	ext4(h);
	h[1024 + 0x3a] = 0;
	check(h, sizeof(h), 4096000, "cleanly");
	ext4(h);
	h[1024 + 0x60] = 8;
	check(h, sizeof(h), 4096000, "external journal");
	ext4(h);
	put32(h + 1024 + 0x18, 200); /* a shift that must not be done */
	check(h, sizeof(h), UINT64_MAX, "damaged");
	ext4(h);
	h[1024 + 0x60] = 0x80; /* 64 bit: 2^64 bytes and more */
	put32(h + 1024 + 0x150, 0xffffffff);
	check(h, sizeof(h), UINT64_MAX, "damaged");
	memset(h, 0, sizeof(h));
	check(h, sizeof(h), 4096000, "no disk");
	memcpy(h + 512, "EFI PART", 8);
	check(h, sizeof(h), 4096000, "GPT");
	memcpy(h, "QFI\xfb", 4);
	check(h, sizeof(h), 4096000, "QCOW2");
}

static int stop_now;
static int stopping(void)
{
	return stop_now;
}

static void no_progress(uint64_t done, void *arg)
{
	*(uint64_t *)arg = done;
}

static void test_disk_copy(void **s)
{
	(void)s;
	const off_t size = (96 << 20) + 4096;
	uint64_t done = 0;
	int a = open(in("a"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	int b = open(in("b"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char x[4096], y[4096];
	memset(x, 'x', sizeof(x));
	assert_int_equal(ftruncate(a, size), 0);
	assert_int_equal(pwrite(a, x, 100, 5000), 100);
	assert_int_equal(pwrite(a, x, sizeof(x), size - 4096), sizeof(x));
	stop_now = 0;
	assert_int_equal(image_disk_copy(a, b, (uint64_t)size, stopping, no_progress, &done), 0);
	assert_int_equal(done, size);
	struct stat st;
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_true(st.st_blocks < 256); /* holes stay holes */
	assert_int_equal(pread(b, y, 100, 5000), 100);
	assert_memory_equal(x, y, 100);
	assert_int_equal(pread(b, y, sizeof(y), size - 4096), sizeof(y));
	assert_memory_equal(x, y, sizeof(y));
	stop_now = 1;
	assert_int_equal(image_disk_copy(a, b, (uint64_t)size, stopping, no_progress, &done), -EINTR);
	close(a);
	close(b);
}

/* ---- the store ----------------------------------------------------------- */

static void no_wait(void *arg)
{
	(void)arg;
	fail_msg("nobody else has the lock");
}

static void add(struct image_store *s, const char *name, const char *text)
{
	struct err e = { 0 };
	char new[DIRS_PATH], path[DIRS_PATH + 16];
	struct image im = { 0 };
	assert_int_equal(image_store_begin(s, new, &e), 0);
	snprintf(path, sizeof(path), "%s/disk.img", new);
	write_file(path, text);
	snprintf(im.name, sizeof(im.name), "%s", name);
	snprintf(im.about, sizeof(im.about), "about \"%s\"", text);
	if (image_store_commit(s, new, &im, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(access(new, F_OK), -1);
}

static void test_store(void **st)
{
	(void)st;
	struct image_store s;
	struct image im;
	struct err e = { 0 };
	assert_int_equal(image_store_open(&s, &e), 0);
	assert_int_equal(image_store_lock(&s, no_wait, NULL, &e), 0);
	assert_int_equal(image_store_read(&s, "web", &im, &e), -ENOENT);
	assert_int_equal(image_store_read(&s, "../web", &im, &e), -EINVAL);
	add(&s, "web", "abc");
	assert_int_equal(image_store_read(&s, "web", &im, &e), 0);
	assert_int_equal(im.bytes, 3);
	assert_string_equal(im.about, "about \"abc\"");
	/* sha256sum of "abc": FIPS 180-4 */
	assert_string_equal(im.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	add(&s, "web", "other");
	assert_int_equal(image_store_read(&s, "web", &im, &e), 0);
	assert_int_equal(im.bytes, 5);
	add(&s, "data", "x");
	char(*names)[NAME_CAP] = image_store_names(&s);
	assert_string_equal(names[0], "data");
	assert_string_equal(names[1], "web");
	assert_string_equal(names[2], "");
	free(names);
	write_file(in("images/web/disk.img"), "cut");
	assert_int_equal(image_store_read(&s, "web", &im, &e), -EBADMSG);
	write_file(in("images/data/image.json"), "{\"format\": 1");
	assert_int_equal(image_store_read(&s, "data", &im, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "data"));
	image_store_close(&s);
}

/* What a killed build left is removed under the lock, and nothing beyond it. */
static void test_sweep(void **st)
{
	(void)st;
	struct image_store s;
	struct err e = { 0 };
	char new[DIRS_PATH];
	assert_int_equal(image_store_open(&s, &e), 0);
	assert_int_equal(image_store_lock(&s, no_wait, NULL, &e), 0);
	mkdir(in("outside"), 0755);
	write_file(in("outside/precious"), "x");
	mkdir(in("images/.new-old"), 0755);
	mkdir(in("images/.new-old/deep"), 0755);
	write_file(in("images/.new-old/deep/file"), "x");
	assert_int_equal(symlink(in("outside"), in("images/.new-old/link")), 0);
	chmod(in("images/.new-old/deep"), 0);
	assert_int_equal(image_store_begin(&s, new, &e), 0);
	assert_int_equal(access(in("images/.new-old"), F_OK), -1);
	assert_int_equal(access(in("outside/precious"), F_OK), 0);
	image_store_remove(new);
	assert_int_equal(access(new, F_OK), -1);
	image_store_close(&s);
}

static int sweep_with_mount(void)
{
	struct image_store s;
	struct err e = { 0 };
	char new[DIRS_PATH];
	if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS) < 0)
		return 77;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir(in("outside"), 0755);
	write_file(in("outside/precious"), "x");
	if (image_store_open(&s, &e) < 0 || image_store_lock(&s, no_wait, NULL, &e) < 0)
		return 1;
	mkdir(in("images/.new-old"), 0755);
	mkdir(in("images/.new-old/dev"), 0755);
	/* On the same file system: only the mount tells. */
	if (mount(in("outside"), in("images/.new-old/dev"), NULL, MS_BIND, NULL) < 0)
		return 77;
	chmod(in("outside"), 0751);
	struct stat st;
	if (image_store_begin(&s, new, &e) < 0 || access(in("outside/precious"), F_OK) < 0 ||
	    stat(in("outside"), &st) < 0 || (st.st_mode & 0777) != 0751)
		return 1;
	return 0;
}

static void test_sweep_stops_at_mounts(void **s)
{
	(void)s;
	pid_t pid = fork();
	if (pid == 0)
		_exit(sweep_with_mount());
	int status = finish(pid);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

/* ---- programs ------------------------------------------------------------ */

static void count_line(const char *s, void *arg)
{
	char *all = arg;
	strcat(strcat(all, s), "|");
}

static void test_tool(void **s)
{
	(void)s;
	char all[256] = "", path[512];
	struct image_tool t = { .log = -1, .line = count_line, .arg = all };
	struct err e = { 0 };
	const char *const lines[] = { "printf", "one\\ntwo\\rthree", NULL };
	assert_int_equal(image_tool_run(&t, lines, NULL, &e), 0);
	assert_string_equal(all, "one|two|three|");
	const char *const fails[] = { "sh", "-c", "echo plain; echo E: broken; echo more; exit 4", NULL };
	assert_int_equal(image_tool_run(&t, fails, NULL, &e), -EIO);
	assert_non_null(strstr(e.text, "exit status 4"));
	assert_non_null(strstr(e.text, "E: broken"));
	assert_false(t.full);
	const char *const full[] = { "sh", "-c", "echo write error: No space left on device; exit 1", NULL };
	assert_int_equal(image_tool_run(&t, full, NULL, &e), -EIO);
	assert_true(t.full);
	const char *const none[] = { "no-such-program-here", NULL };
	assert_int_equal(image_tool_run(&t, none, NULL, &e), -ENOENT);
	assert_false(image_tool_find("no-such-program-here", path, sizeof(path)));
	const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL };
	assert_int_equal(image_tool_run(&t, killed, NULL, &e), -EIO);
	assert_non_null(strstr(e.text, "signal 9"));
	/* What it left in the background does not hold us up. */
	time_t began = time(NULL);
	const char *const leaves[] = { "sh", "-c", "sleep 30 & exit 0", NULL };
	assert_int_equal(image_tool_run(&t, leaves, NULL, &e), 0);
	assert_true(time(NULL) - began < 10);
}

static bool lives(int pid)
{
	char path[64], stat[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	bool got = f && fgets(stat, sizeof(stat), f);
	if (f)
		fclose(f);
	const char *end = strrchr(stat, ')');
	return got && end && end[2] != 'Z';
}

/* The program and its children end with us, even if we are killed. */
static void test_tool_killed(void **s)
{
	(void)s;
	int p[2], program = 0, child = 0;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct image_tool t = { .log = p[1] };
		const char *const argv[] = { "sh", "-c", "trap '' TERM; sleep 20 & echo $$ $!; wait", NULL };
		close(p[0]);
		_exit(image_tool_run(&t, argv, NULL, NULL) ? 1 : 0);
	}
	close(p[1]);
	char line[64] = "";
	assert_true(read(p[0], line, sizeof(line) - 1) > 0);
	close(p[0]);
	assert_int_equal(sscanf(line, "%d %d", &program, &child), 2);
	assert_true(lives(program) && lives(child));
	kill(pid, SIGKILL);
	finish(pid);
	for (int i = 0; i < 100 && (lives(program) || lives(child)); i++)
		usleep(50000);
	assert_false(lives(program));
	assert_false(lives(child));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipe_values),
		cmocka_unit_test(test_recipe_mistakes),
		cmocka_unit_test_setup_teardown(test_recipe_hash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recipe_unknown, setup, teardown),
		cmocka_unit_test(test_mirrors),
		cmocka_unit_test(test_disk_check),
		cmocka_unit_test_setup_teardown(test_disk_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep_stops_at_mounts, setup, teardown),
		cmocka_unit_test(test_tool),
		cmocka_unit_test(test_tool_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

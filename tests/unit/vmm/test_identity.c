/* SPDX-License-Identifier: ISC */
/* A real ext4 file system is made, gets an identity, and is then judged by
 * e2fsprogs and ssh-keygen, not by our own code. */
#include "scratch.h"

#include "proc/vmm/cow.h"
#include "proc/vmm/identity.h"

#include <openssl/evp.h>

#define OLD_TIME 1700000000 /* mtime of everything in the image */

static struct vmm_prepare who(void)
{
	struct vmm_prepare p = {
		.slot = 1, .naddrs = 3, .fresh = 1, .hostname = "web01.example.org", .honeypot = "web"
	};
	p.addrs[0] = (struct addr){ 4, 24, { 192, 0, 2, 10 } };
	p.addrs[1] = (struct addr){ 6, 64, { 0x20, 1, 0xd, 0xb8, [15] = 0x10 } };
	p.addrs[2] = (struct addr){ 4, 24, { 192, 0, 2, 11 } };
	p.routers[0] = (struct addr){ 4, 24, { 192, 0, 2, 1 } };
	p.routers[1] = (struct addr){ 6, 64, { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	return p;
}

static void touch_all(void)
{
	assert_int_equal(RUN("find", "root", "-exec", "touch", "-h", "-d", "@1700000000", "{}", "+"), 0);
}

/* RSA keys take long: only where they are what is tested. */
static void make_image_with(const char *features, bool ssh)
{
	RUN("rm", "-rf", "root", "base", "overlay");
	assert_int_equal(RUN("mkdir", "-p", "root/etc/ssh", "root/etc/dropbear", "root/var/lib/systemd", "root/bin"),
			 0);
	scratch_write("root/etc/hostname", "debian\n", 7, 0644);
	scratch_write("root/etc/hosts", "127.0.0.1 localhost\n", 20, 0640);
	assert_int_equal(symlink("/run/systemd/resolve/stub-resolv.conf", "root/etc/resolv.conf"), 0);
	if (ssh)
		scratch_write("root/etc/ssh/ssh_host_rsa_key", "from the image", 14, 0600);
	else
		RUN("rmdir", "root/etc/ssh", "root/etc/dropbear");
	touch_all();
	assert_int_equal(RUN("mke2fs", "-q", "-t", "ext4", "-O", (char *)features, "-d", "root", "base", "16M"), 0);
	int fd = open("overlay", O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void make_image(const char *features)
{
	make_image_with(features, false);
}

static int prepare(const struct vmm_prepare *p, struct err *e)
{
	int o = open("overlay", O_RDWR), b = open("base", O_RDONLY);
	int r = identity_prepare(o, b, "/srv/b", p, e);
	close(o);
	close(b);
	return r;
}

/* overlay + base -> the file "merged", by reading the format with plain code. */
static void merge(void)
{
	size_t no, nb;
	char *o = scratch_read("overlay", &no), *b = scratch_read("base", &nb);
	size_t bitmap = (nb / 512 + 7) / 8, data = (8192 + bitmap + 4095) / 4096 * 4096;
	assert_int_equal(no, data + nb);
	for (size_t s = 0; s < nb / 512; s++)
		if (o[8192 + s / 8] >> (s % 8) & 1)
			memcpy(b + s * 512, o + data + s * 512, 512);
	scratch_write("merged", b, nb, 0600);
	free(o);
	free(b);
}

static char *cat(const char *path, size_t *n)
{
	char cmd[256];
	snprintf(cmd, sizeof(cmd), "dump %s file", path);
	unlink("file");
	assert_int_equal(RUN("debugfs", "-R", cmd, "merged"), 0);
	return scratch_read("file", n);
}

static void expect(const char *path, const char *want)
{
	char *p = cat(path, NULL);
	assert_string_equal(p, want);
	free(p);
}

/* What debugfs says about path must contain each of the texts. */
static void expect_stat(const char *path, const char *a, const char *b)
{
	char cmd[256];
	snprintf(cmd, sizeof(cmd), "stat %s", path);
	assert_int_equal(RUN_TO("stat", "debugfs", "-R", cmd, "merged"), 0);
	char *p = scratch_read("stat", NULL);
	if (!strstr(p, a) || !strstr(p, b))
		fail_msg("%s: expected \"%s\" and \"%s\" in:\n%s", path, a, b, p);
	free(p);
}

static void is_clean(void)
{
	int r = RUN_TO("fsck", "e2fsck", "-fn", "merged");
	char *p = scratch_read("fsck", NULL);
	if (r)
		fail_msg("e2fsck says %d: %s", r, p);
	free(p);
}

static void test_written(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image("^has_journal");
	size_t n, m;
	char *before = scratch_read("base", &n);
	if (prepare(&p, &e))
		fail_msg("%s", e.text);
	char *after = scratch_read("base", &m);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
	merge();
	is_clean();
	expect("/etc/hostname", "web01\n");
	expect("/etc/hosts",
	       "127.0.0.1\tlocalhost\n127.0.1.1\tweb01.example.org\tweb01\n\n"
	       "# The following lines are desirable for IPv6 capable hosts\n"
	       "::1     localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n");
	expect("/etc/resolv.conf", "search example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n");
	expect(
	    "/etc/network/interfaces",
	    "# This file describes the network interfaces available on your system\n"
	    "# and how to activate them. For more information, see interfaces(5).\n\n"
	    "# The loopback network interface\nauto lo\niface lo inet loopback\n"
	    "\n# The primary network interface\nauto eth0\n"
	    "iface eth0 inet static\n\taddress 192.0.2.10\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.1\n"
	    "\tup ip addr add 192.0.2.11/24 dev eth0\n"
	    "iface eth0 inet6 static\n\taddress 2001:db8::10\n\tnetmask 64\n\tdad-attempts 0\n\tgateway 2001:db8::1\n");
	char *id = cat("/etc/machine-id", &n);
	assert_int_equal(n, 33);
	assert_int_equal(strspn(id, "0123456789abcdef"), 32);
	free(id);
	free(cat("/var/lib/systemd/random-seed", &n));
	assert_int_equal(n, 512);
}

static void test_modes_and_times(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	char when[32];
	snprintf(when, sizeof(when), "mtime: 0x%08x", OLD_TIME);
	make_image_with("^has_journal", true);
	if (prepare(&p, &e))
		fail_msg("%s", e.text);
	merge();
	expect_stat("/etc/hosts", "Mode:  0640", when); /* as the image had it */
	expect_stat("/etc/resolv.conf", "Type: regular", when);
	expect_stat("/etc/machine-id", "Mode:  0444", when);
	expect_stat("/etc/network", "Type: directory", when);
	expect_stat("/etc/ssh/ssh_host_ed25519_key", "Mode:  0600", when);
	expect_stat("/etc/ssh/ssh_host_ed25519_key.pub", "Mode:  0644", when);
	expect_stat("/etc/dropbear/dropbear_ecdsa_host_key", "User:     0   Group:     0", when);
	expect_stat("/etc", "Type: directory", when);
}

static void test_host_keys(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image_with("^has_journal", true);
	if (prepare(&p, &e))
		fail_msg("%s", e.text);
	merge();
	static const char *const types[] = { "ed25519", "rsa", "ecdsa" };
	if (RUN("ssh-keygen", "-?") == 127)
		skip();
	for (int i = 0; i < 3; i++) {
		char path[128];
		size_t n;
		snprintf(path, sizeof(path), "/etc/ssh/ssh_host_%s_key", types[i]);
		char *key = cat(path, &n);
		scratch_write("key", key, n, 0600);
		free(key);
		strcat(path, ".pub");
		char *pub = cat(path, NULL);
		/* ssh-keygen reads the private file and says which public key it has. */
		assert_int_equal(RUN_TO("derived", "ssh-keygen", "-y", "-P", "", "-f", "key"), 0);
		char *derived = scratch_read("derived", NULL);
		assert_string_equal(pub, derived);
		assert_non_null(strstr(pub, "root@web01\n"));
		/* And it can sign with it: the secret numbers fit. */
		scratch_write("text", "hello", 5, 0600);
		unlink("text.sig");
		assert_int_equal(RUN("ssh-keygen", "-Y", "sign", "-n", "file", "-f", "key", "text"), 0);
		assert_int_equal(RUN("sh", "-c", "ssh-keygen -Y check-novalidate -n file -s text.sig <text"), 0);
		free(derived);

		/* Dropbear's copy is the same key. */
		if (RUN("dropbearkey", "-h") != 127) {
			snprintf(path, sizeof(path), "/etc/dropbear/dropbear_%s_host_key", types[i]);
			char *drop = cat(path, &n);
			scratch_write("drop", drop, n, 0600);
			free(drop);
			assert_int_equal(RUN_TO("derived", "dropbearkey", "-y", "-f", "drop"), 0);
			derived = scratch_read("derived", NULL);
			*strrchr(pub, ' ') = 0;
			assert_non_null(strstr(derived, pub));
			free(derived);
		}
		free(pub);
	}
}

static void test_each_is_different(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	static const char *const paths[] = { "/etc/machine-id", "/var/lib/systemd/random-seed" };
	char *first[2];
	for (int round = 0; round < 2; round++) {
		make_image("^has_journal");
		if (prepare(&p, &e))
			fail_msg("%s", e.text);
		merge();
		for (int i = 0; i < 2; i++) {
			char *now = cat(paths[i], NULL);
			if (round == 0) {
				first[i] = now;
				continue;
			}
			assert_memory_not_equal(first[i], now, 32);
			free(first[i]);
			free(now);
		}
	}
}

static void test_prepared_already(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image("^has_journal");
	assert_int_equal(prepare(&p, &e), 0);
	size_t n, m;
	char *before = scratch_read("overlay", &n);
	assert_int_equal(prepare(&p, &e), 0);
	char *after = scratch_read("overlay", &m);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
	assert_int_equal(RUN("touch", "-d", "@1000", "base"), 0);
	assert_int_equal(prepare(&p, &e), -ESTALE);
}

static void test_interrupted(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image("^has_journal");
	/* As a crash before the last write would leave it. */
	assert_int_equal(prepare(&p, &e), 0);
	int fd = open("overlay", O_RDWR);
	static const uint8_t zero[4096];
	assert_int_equal(pwrite(fd, zero, 4096, 0), 4096);
	close(fd);
	assert_int_equal(prepare(&p, &e), 0);
	merge();
	is_clean();
	expect("/etc/hostname", "web01\n");
}

static void test_other_features(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	static const char *const features[] = { "has_journal", "^extents,^metadata_csum,^64bit,^has_journal",
						"inline_data,^has_journal" };
	for (int i = 0; i < 3; i++) {
		make_image(features[i]);
		if (prepare(&p, &e))
			fail_msg("%s: %s", features[i], e.text);
		merge();
		is_clean();
		expect("/etc/hostname", "web01\n");
	}
}

static void test_bad_images(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image("^has_journal");
	static char noise[1 << 20];
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 2654435761u >> 13);
	scratch_write("base", noise, sizeof(noise), 0600);
	assert_int_equal(prepare(&p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "holds no ext2"));
	scratch_write("base", "not a disk", 10, 0600);
	assert_int_equal(prepare(&p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a disk"));
	/* A file system, but no system in it. */
	RUN("rm", "-rf", "base", "empty");
	assert_int_equal(mkdir("empty", 0700), 0);
	assert_int_equal(RUN("mke2fs", "-q", "-t", "ext4", "-d", "empty", "base", "4M"), 0);
	assert_int_equal(prepare(&p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "/etc"));
	enum cow_state st;
	int fd = open("overlay", O_RDONLY);
	assert_int_equal(cow_look(fd, &st, &e), 0);
	assert_int_not_equal(st, COW_READY);
	close(fd);
}

/* Damage anywhere in the metadata may fail, but only with an error. */
static void test_damaged_images(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image("^has_journal,^metadata_csum");
	size_t n;
	char *good = scratch_read("base", &n), *bad = malloc(n);
	assert_non_null(bad);
	uint32_t rnd = 12345;
	for (int i = 0; i < 40; i++) {
		memcpy(bad, good, n);
		for (int k = 0; k < 200; k++) {
			rnd = rnd * 1664525 + 1013904223;
			bad[1024 + (rnd >> 8) % 65536] ^= (char)(1 << (rnd & 7));
		}
		scratch_write("base", bad, n, 0600);
		assert_int_equal(truncate("overlay", 0), 0);
		prepare(&p, &e);
	}
	free(good);
	free(bad);
}

static void test_full_disk(void **state)
{
	(void)state;
	struct vmm_prepare p = who();
	struct err e = { 0 };
	make_image_with("^has_journal", true);
	RUN("rm", "-f", "base");
	assert_int_equal(RUN("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-N", "32", "-m", "0", "-d", "root",
			     "base", "200k"),
			 0);
	int r = prepare(&p, &e);
	if (r != -ENOSPC)
		fail_msg("%d: %s", r, e.text);
}

static void test_bad_names(void **state)
{
	(void)state;
	struct err e = { 0 };
	make_image("^has_journal");
	static const char *const bad[] = { "", ".x", "a b", "a\nb", "a/b" };
	for (int i = 0; i < 5; i++) {
		struct vmm_prepare p = who();
		strcpy(p.hostname, bad[i]);
		assert_int_equal(prepare(&p, &e), -EINVAL);
	}
	struct vmm_prepare p = who();
	memset(p.hostname, 'a', sizeof(p.hostname));
	assert_int_equal(prepare(&p, &e), -EINVAL);
	p = who();
	p.naddrs = 99;
	assert_int_equal(prepare(&p, &e), -EINVAL);
	p = who();
	p.addrs[0].plen = 33;
	assert_int_equal(prepare(&p, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),          cmocka_unit_test(test_modes_and_times),
		cmocka_unit_test(test_host_keys),        cmocka_unit_test(test_each_is_different),
		cmocka_unit_test(test_prepared_already), cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_other_features),   cmocka_unit_test(test_bad_images),
		cmocka_unit_test(test_damaged_images),   cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_bad_names),
	};
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

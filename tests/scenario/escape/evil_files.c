/* SPDX-License-Identifier: ISC */
/* Files, devices and programs that are none of its business. */
#include "evil.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static int opens(const char *path, int flags)
{
	return open(path, flags, 0600) >= 0;
}

static const char *file(void)
{
	return evil_args[EVIL_FILE];
}

static int read_passwd(void)
{
	return opens("/etc/passwd", O_RDONLY);
}
static int read_passwd_upwards(void)
{
	return opens("../../../../../../../../etc/passwd", O_RDONLY);
}
static int read_evidence(void)
{
	return opens(file(), O_RDONLY);
}
static int append_evidence(void)
{
	return opens(file(), O_WRONLY | O_APPEND);
}
static int truncate_evidence(void)
{
	return truncate(file(), 4096) == 0;
}
static int link_evidence(void)
{
	unlink("/tmp/evil-link");
	return link(file(), "/tmp/evil-link") == 0 && unlink("/tmp/evil-link") == 0;
}
static int rename_evidence(void)
{
	char to[512] = "";
	strncat(to, file(), 500);
	strcat(to, ".x");
	return rename(file(), to) == 0 && rename(to, file()) == 0;
}
static int chmod_evidence(void)
{
	return chmod(file(), 0666) == 0;
}
static int stat_evidence(void)
{
	struct stat st;
	return stat(file(), &st) == 0;
}
static int write_base(void)
{
	return opens(EVIL_BASE, O_RDWR);
}
static int remove_base(void)
{
	return unlink(EVIL_BASE) == 0;
}
static int create_in_root(void)
{
	return opens("/evil", O_CREAT | O_WRONLY);
}
static int create_in_lib(void)
{
	return opens("/lib/evil.so", O_CREAT | O_WRONLY);
}
static int rewrite_own_program(void)
{
	return opens("/bin/evil", O_WRONLY) || opens(evil_args[0], O_WRONLY);
}
static int list_host(void)
{
	DIR *d = opendir("/");
	int found = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		found |= !strcmp(e->d_name, "home") || !strcmp(e->d_name, "usr");
	return found;
}
static int proc(void)
{
	return opens("/proc/self/status", O_RDONLY) || opens("/proc/1/status", O_RDONLY);
}
static int proc_sys(void)
{
	return opens("/proc/sys/kernel/core_pattern", O_RDONLY);
}
static int sys(void)
{
	return opens("/sys/class/net", O_RDONLY) || opens("/sys/kernel", O_RDONLY);
}
static int cgroup_files(void)
{
	return opens("/sys/fs/cgroup", O_RDONLY);
}
static int dev_null(void)
{
	return opens("/dev/null", O_RDWR);
}
static int dev_tun(void)
{
	return opens("/dev/net/tun", O_RDWR);
}
static int dev_kvm(void)
{
	return opens("/dev/kvm", O_RDWR);
}
static int dev_ptmx(void)
{
	return opens("/dev/ptmx", O_RDWR) || opens("/dev/pts/ptmx", O_RDWR);
}
static int dev_tty(void)
{
	return opens("/dev/tty", O_RDWR);
}
static int dev_disk(void)
{
	return opens("/dev/vda", O_RDONLY) || opens("/dev/sda", O_RDONLY) || opens("/dev/loop0", O_RDONLY);
}
static int make_device(void)
{
	return mknod("/tmp/evil-null", S_IFCHR | 0600, makedev(1, 3)) == 0 ||
	       mknod("/dev/shm/evil-null", S_IFCHR | 0600, makedev(1, 3)) == 0;
}
static int by_handle(void)
{
	struct {
		struct file_handle h;
		char bytes[128];
	} h = { .h.handle_bytes = 128 };
	int mount;
	/* Of what it can name, then of inode 2: the root of an ext4. */
	if (name_to_handle_at(AT_FDCWD, "/", &h.h, &mount, 0) < 0) {
		h.h.handle_bytes = 8;
		h.h.handle_type = 1;
		memcpy(h.h.f_handle, (int[]){ 2, 0 }, 8);
	}
	int root = open("/", O_RDONLY | O_DIRECTORY);
	return open_by_handle_at(root < 0 ? 3 : root, &h.h, O_RDONLY) >= 0;
}
static int chroot_out(void)
{
	mkdir("/tmp/evil-root", 0700);
	int r = chroot("/tmp/evil-root") == 0;
	rmdir("/tmp/evil-root");
	return r;
}

/* Does executing this succeed? Tried in a child. */
static int executes(const char *path, int wanted)
{
	pid_t pid = fork();
	if (pid == 0) {
		char *const argv[] = { (char *)path, NULL }, *const envp[] = { NULL };
		execve(path, argv, envp);
		_exit(EVIL_DENIED);
	}
	int st = 0;
	return pid > 0 && waitpid(pid, &st, 0) == pid && WIFEXITED(st) &&
	       (wanted < 0 ? WEXITSTATUS(st) != EVIL_DENIED : WEXITSTATUS(st) == wanted);
}
static int run_host_program(void)
{
	return executes("/usr/bin/true", 0) || executes("/bin/true", 0);
}
static int run_setuid_helper(void)
{
	return executes(EVIL_HELPER, EVIL_WORKED) ||
	       (getenv("EVIL_HELPER") && executes(getenv("EVIL_HELPER"), EVIL_WORKED));
}

/* A program that only exits with 0: mov eax,60; xor edi,edi; syscall. */
static const unsigned char tiny[] = {
	0x7f, 'E', 'L',  'F',  2,    1, 1, 0, 0,    0, 0,    0,    0, 0, 0, 0,    2,    0,    0x3e, 0, 1, 0,
	0,    0,   0x78, 0,    0x40, 0, 0, 0, 0,    0, 0x40, 0,    0, 0, 0, 0,    0,    0,    0,    0, 0, 0,
	0,    0,   0,    0,    0,    0, 0, 0, 0x40, 0, 0x38, 0,    1, 0, 0, 0,    0,    0,    0,    0, 1, 0,
	0,    0,   5,    0,    0,    0, 0, 0, 0,    0, 0,    0,    0, 0, 0, 0,    0x40, 0,    0,    0, 0, 0,
	0,    0,   0x40, 0,    0,    0, 0, 0, 0x81, 0, 0,    0,    0, 0, 0, 0,    0x81, 0,    0,    0, 0, 0,
	0,    0,   0,    0x10, 0,    0, 0, 0, 0,    0, 0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05,
};
static int drop_and_run(const char *path)
{
	unlink(path);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0700);
	if (fd < 0 || write(fd, tiny, sizeof(tiny)) != sizeof(tiny))
		return 0;
	close(fd);
	int r = executes(path, 0);
	unlink(path);
	return r;
}
static int run_from_tmp(void)
{
	return drop_and_run("/tmp/evil-program");
}
static int run_from_shm(void)
{
	return drop_and_run("/dev/shm/evil-program");
}
static int run_from_disk(void)
{
	int fd = open(EVIL_DISK, O_RDWR);
	if (fd < 0 || write(fd, tiny, sizeof(tiny)) != sizeof(tiny))
		return 0;
	close(fd);
	return executes(EVIL_DISK, 0);
}
static int run_from_memfd(void)
{
	int fd = (int)syscall(SYS_memfd_create, "evil", 0);
	if (fd < 0 || write(fd, tiny, sizeof(tiny)) != sizeof(tiny))
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		char *const argv[] = { (char *)"x", NULL };
		syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
		_exit(EVIL_DENIED);
	}
	int st = 1;
	return pid > 0 && waitpid(pid, &st, 0) == pid && st == 0;
}

const struct attack attacks_files[] = {
	{ "read-passwd", read_passwd },
	{ "read-passwd-upwards", read_passwd_upwards },
	{ "read-evidence", read_evidence },
	{ "append-evidence", append_evidence },
	{ "truncate-evidence", truncate_evidence },
	{ "link-evidence", link_evidence },
	{ "rename-evidence", rename_evidence },
	{ "chmod-evidence", chmod_evidence },
	{ "stat-evidence", stat_evidence },
	{ "write-base", write_base },
	{ "remove-base", remove_base },
	{ "create-in-root", create_in_root },
	{ "create-in-lib", create_in_lib },
	{ "rewrite-own-program", rewrite_own_program },
	{ "list-host", list_host },
	{ "proc", proc },
	{ "proc-sys", proc_sys },
	{ "sys", sys },
	{ "cgroup-files", cgroup_files },
	{ "dev-null", dev_null },
	{ "dev-tun", dev_tun },
	{ "dev-kvm", dev_kvm },
	{ "dev-ptmx", dev_ptmx },
	{ "dev-tty", dev_tty },
	{ "dev-disk", dev_disk },
	{ "make-device", make_device },
	{ "open-by-handle", by_handle },
	{ "chroot", chroot_out },
	{ "run-host-program", run_host_program },
	{ "run-setuid-helper", run_setuid_helper },
	{ "run-from-tmp", run_from_tmp },
	{ "run-from-shm", run_from_shm },
	{ "run-from-disk", run_from_disk },
	{ "run-from-memfd", run_from_memfd },
	{ NULL, NULL },
};

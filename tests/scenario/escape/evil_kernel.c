/* SPDX-License-Identifier: ISC */
/* The kernel's rarely used doors, and rights that it should not have. */
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int unshare_user(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}
static int unshare_net(void)
{
	return unshare(CLONE_NEWNET) == 0;
}
static int clone_user(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static int clone3_user(void)
{
	struct clone_args a = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &a, sizeof(a));
	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static int enter_namespace(void)
{
	int fd = (int)syscall(SYS_pidfd_open, evil_pid(), 0);
	return fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
}
static int mount_tmpfs(void)
{
	return mount("x", "/tmp", "tmpfs", 0, NULL) == 0;
}
static int remount_root(void)
{
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}
static int unmount(void)
{
	return umount2("/tmp", MNT_DETACH) == 0;
}
static int new_mount_api(void)
{
	return syscall(SYS_fsopen, "tmpfs", 0) >= 0;
}
static int clone_tree(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, "/", 1) >= 0;
}
static int pivot(void)
{
	return syscall(SYS_pivot_root, "/tmp", "/tmp") == 0;
}
static int io_uring(void)
{
	struct io_uring_params p = { 0 };
	return syscall(SYS_io_uring_setup, 4, &p) >= 0;
}
static int bpf(void)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	return syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)) >= 0;
}
static int perf(void)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
				     .size = sizeof(a),
				     .config = PERF_COUNT_SW_TASK_CLOCK };
	return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0) >= 0;
}
static int user_faults(void)
{
	return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) >= 0;
}
static int add_key(void)
{
	return syscall(SYS_add_key, "user", "evil", "x", 1, -4 /* user keyring */) >= 0;
}
static int session_key(void)
{
	return syscall(SYS_keyctl, 0 /* get keyring id */, -4, 1) >= 0;
}
static int int80(void)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); /* getpid */
	return r > 0;
}
static int x32(void)
{
	return syscall(0x40000000 | 39) > 0;
}
static int write_ldt(void)
{
	char desc[16] = { 0 };
	return syscall(SYS_modify_ldt, 1, desc, sizeof(desc)) == 0;
}
static int kernel_log(void)
{
	char b[256];
	return klogctl(3, b, sizeof(b)) >= 0;
}
static int set_clock(void)
{
	/* To what it is. */
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return syscall(SYS_clock_settime, CLOCK_REALTIME, &t) == 0;
}
static int adjust_clock(void)
{
	struct timex t = { .modes = 0 };
	return syscall(SYS_adjtimex, &t) >= 0;
}
static int set_host_name(void)
{
	return sethostname("localhost", 9) == 0;
}
static int io_ports(void)
{
	return syscall(SYS_iopl, 3) == 0 || syscall(SYS_ioperm, 0x80, 1, 1) == 0;
}
static int load_module(void)
{
	errno = 0;
	return syscall(SYS_init_module, NULL, 0, "") == 0 || errno == EFAULT || errno == ENOEXEC;
}
static int become_root(void)
{
	return syscall(SYS_setresuid, 0, 0, 0) == 0;
}
static int join_group_zero(void)
{
	return syscall(SYS_setresgid, 0, 0, 0) == 0;
}
static int raise_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { ~0u, ~0u, ~0u }, { 0x1ff, 0x1ff, 0x1ff } };
	return syscall(SYS_capset, &h, d) == 0;
}
static int hold_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };
	return syscall(SYS_capget, &h, d) == 0 && (d[0].effective || d[0].permitted || d[0].inheritable);
}
static int unlock_securebits(void)
{
	return prctl(PR_SET_SECUREBITS, 0) == 0;
}
static int outlive_priv(void)
{
	return prctl(PR_SET_PDEATHSIG, 0) == 0;
}
static int change_personality(void)
{
	return personality(READ_IMPLIES_EXEC) >= 0;
}
static int own_filter(void)
{
	/* Not an escape, but seccomp(2) is how a listener would be made. */
	return syscall(SYS_seccomp, 3 /* SECCOMP_GET_NOTIF_SIZES */, 0, (uint16_t[3]){ 0 }) == 0;
}
static int push_input(void)
{
	char c = 'x';
	for (int fd = 0; fd < 8; fd++)
		if (ioctl(fd, TIOCSTI, &c) == 0)
			return 1;
	return 0;
}
static int fanotify(void)
{
	return syscall(SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, O_RDONLY) >= 0;
}
static int inotify(void)
{
	return syscall(SYS_inotify_init1, 0) >= 0;
}
static int swap(void)
{
	errno = 0;
	return syscall(SYS_swapon, "/srv/a", 0) == 0 || errno == EINVAL;
}
static int real_time(void)
{
	struct sched_param p = { .sched_priority = 1 };
	return sched_setscheduler(0, SCHED_FIFO, &p) == 0;
}
static int be_nicer(void)
{
	return syscall(SYS_setpriority, 0, 0, -20) == 0;
}
static int secret_memory(void)
{
	return syscall(447 /* memfd_secret */, 0) >= 0;
}
static int numa_policy(void)
{
	return syscall(SYS_set_mempolicy, 0, NULL, 0) == 0;
}

const struct attack attacks_kernel[] = {
	{ "unshare-user", unshare_user },
	{ "unshare-net", unshare_net },
	{ "clone-user", clone_user },
	{ "clone3-user", clone3_user },
	{ "setns", enter_namespace },
	{ "mount", mount_tmpfs },
	{ "remount-root", remount_root },
	{ "umount", unmount },
	{ "fsopen", new_mount_api },
	{ "open-tree", clone_tree },
	{ "pivot-root", pivot },
	{ "io-uring", io_uring },
	{ "bpf", bpf },
	{ "perf", perf },
	{ "userfaultfd", user_faults },
	{ "add-key", add_key },
	{ "keyring", session_key },
	{ "int80", int80 },
	{ "x32", x32 },
	{ "modify-ldt", write_ldt },
	{ "kernel-log", kernel_log },
	{ "set-clock", set_clock },
	{ "adjtimex", adjust_clock },
	{ "set-host-name", set_host_name },
	{ "io-ports", io_ports },
	{ "load-module", load_module },
	{ "become-root", become_root },
	{ "join-group-0", join_group_zero },
	{ "raise-capabilities", raise_capabilities },
	{ "hold-capabilities", hold_capabilities },
	{ "unlock-securebits", unlock_securebits },
	{ "outlive-priv", outlive_priv },
	{ "personality", change_personality },
	{ "seccomp", own_filter },
	{ "tiocsti", push_input },
	{ "fanotify", fanotify },
	{ "inotify", inotify },
	{ "swapon", swap },
	{ "real-time", real_time },
	{ "negative-nice", be_nicer },
	{ "memfd-secret", secret_memory },
	{ "numa-policy", numa_policy },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: ISC */
/* Other processes, and whatever lets one talk to them. */
#include "evil.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static int signal_victim(void)
{
	return kill(evil_pid(), 0) == 0;
}
static int signal_thread(void)
{
	return syscall(SYS_tgkill, evil_pid(), evil_pid(), 0) == 0;
}
static int signal_all(void)
{
	return kill(-1, 0) == 0;
}
static int queue_signal(void)
{
	return sigqueue(evil_pid(), 0, (union sigval){ 0 }) == 0;
}
static int attach(void)
{
	return ptrace(PTRACE_ATTACH, evil_pid(), 0, 0) == 0;
}
static int seize(void)
{
	return ptrace(PTRACE_SEIZE, evil_pid(), 0, 0) == 0;
}
static int read_memory(void)
{
	char b[8];
	struct iovec mine = { b, 8 }, theirs = { evil_args[0], 8 };
	errno = 0;
	return syscall(SYS_process_vm_readv, evil_pid(), &mine, 1, &theirs, 1, 0) >= 0 || errno == EFAULT;
}
static int write_memory(void)
{
	char b[8] = { 0 };
	struct iovec mine = { b, 8 }, theirs = { (void *)8, 8 };
	errno = 0;
	return syscall(SYS_process_vm_writev, evil_pid(), &mine, 1, &theirs, 1, 0) >= 0 || errno == EFAULT;
}
static int proc_mem(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", evil_pid());
	return open(path, O_RDWR) >= 0;
}
static int proc_root(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", evil_pid());
	return open(path, O_RDONLY) >= 0;
}
static int proc_fd(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/0", evil_pid());
	return open(path, O_RDONLY) >= 0;
}
static int pidfd(void)
{
	return syscall(SYS_pidfd_open, evil_pid(), 0) >= 0;
}
static int pidfd_steal(void)
{
	int fd = (int)syscall(SYS_pidfd_open, evil_pid(), 0);
	return fd >= 0 && syscall(SYS_pidfd_getfd, fd, 0, 0) >= 0;
}
static int pidfd_signal(void)
{
	int fd = (int)syscall(SYS_pidfd_open, evil_pid(), 0);
	return fd >= 0 && syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0;
}
static int compare(void)
{
	return syscall(SYS_kcmp, getpid(), evil_pid(), KCMP_VM, 0, 0) >= 0;
}
static int limit_victim(void)
{
	struct rlimit l;
	return syscall(SYS_prlimit64, evil_pid(), RLIMIT_NOFILE, NULL, &l) == 0;
}
static int pin_victim(void)
{
	cpu_set_t set;
	return sched_getaffinity(evil_pid(), sizeof(set), &set) == 0 &&
	       sched_setaffinity(evil_pid(), sizeof(set), &set) == 0;
}
static int renice_victim(void)
{
	return setpriority(PRIO_PROCESS, (id_t)evil_pid(), 19) == 0;
}
static int see_parent(void)
{
	return getppid() != 0;
}
static int see_session(void)
{
	return getsid(evil_pid()) > 0;
}

static int socket_of(int domain, int type, int protocol)
{
	return socket(domain, type, protocol) >= 0;
}
static int tcp_connect(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(evil_args[EVIL_TCP])),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}
static int tcp_listen(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0;
}
static int udp_send(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(9),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return fd >= 0 && sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)) == 1;
}
static int unix_at(const char *name, int abstract)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strncpy(a.sun_path + abstract, name, sizeof(a.sun_path) - 2);
	socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(name));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd >= 0 && connect(fd, (struct sockaddr *)&a, n + !abstract) == 0;
}
static int unix_path(void)
{
	return unix_at(evil_args[EVIL_UNIX], 0);
}
static int unix_abstract(void)
{
	return unix_at(evil_args[EVIL_ABSTRACT], 1);
}
static int netlink(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}
static int vsock(void)
{
	return socket_of(AF_VSOCK, SOCK_STREAM, 0);
}
static int packet(void)
{
	return socket_of(AF_PACKET, SOCK_RAW, htons(3));
}
static int raw_icmp(void)
{
	return socket_of(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static int inet6(void)
{
	return socket_of(AF_INET6, SOCK_DGRAM, 0);
}
static int crypto_socket(void)
{
	return socket_of(AF_ALG, SOCK_SEQPACKET, 0);
}
static int forge_credentials(void)
{
	/* On a pair of its own: what counts is whether the kernel lets it lie. */
	union {
		char b[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr h;
	} c = { 0 };
	struct ucred lie = { .pid = 1, .uid = 0, .gid = 0 };
	char x = 0;
	struct iovec iov = { &x, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.b, .msg_controllen = sizeof(c.b) };
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_CREDENTIALS;
	c.h.cmsg_len = CMSG_LEN(sizeof(lie));
	memcpy(CMSG_DATA(&c.h), &lie, sizeof(lie));
	int sv[2];
	return socketpair(AF_UNIX, SOCK_DGRAM, 0, sv) == 0 && sendmsg(sv[0], &m, 0) == 1;
}

static int key(void)
{
	return atoi(evil_args[EVIL_KEY]);
}
static int sysv_memory(void)
{
	int id = shmget(key(), 0, 0);
	return id >= 0 && shmat(id, NULL, 0) != (void *)-1;
}
static int sysv_queue(void)
{
	return msgget(key(), 0) >= 0;
}
static int posix_queue(void)
{
	char name[32];
	snprintf(name, sizeof(name), "/skep-evil-%d", key());
	return mq_open(name, O_RDWR) != (mqd_t)-1;
}

static int leaked_fd(void)
{
	for (int fd = 3 + atoi(evil_args[EVIL_NFDS]); fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 1;
	return 0;
}
static int leaked_environment(void)
{
	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "SKEP_SECRET=", 12))
			return 1;
	return 0;
}
static int host_name(void)
{
	struct utsname u;
	return uname(&u) == 0 && !strcmp(u.nodename, evil_args[EVIL_HOSTNAME]);
}
static int working_directory(void)
{
	char b[512];
	return syscall(SYS_getcwd, b, sizeof(b)) > 0 && strcmp(b, "/") != 0;
}

const struct attack attacks_others[] = {
	{ "signal-victim", signal_victim },
	{ "signal-thread", signal_thread },
	{ "signal-all", signal_all },
	{ "queue-signal", queue_signal },
	{ "ptrace-attach", attach },
	{ "ptrace-seize", seize },
	{ "read-memory", read_memory },
	{ "write-memory", write_memory },
	{ "proc-mem", proc_mem },
	{ "proc-root", proc_root },
	{ "proc-fd", proc_fd },
	{ "pidfd", pidfd },
	{ "pidfd-steal-fd", pidfd_steal },
	{ "pidfd-signal", pidfd_signal },
	{ "kcmp", compare },
	{ "prlimit-victim", limit_victim },
	{ "pin-victim", pin_victim },
	{ "renice-victim", renice_victim },
	{ "see-parent", see_parent },
	{ "see-session", see_session },
	{ "tcp-connect", tcp_connect },
	{ "tcp-listen", tcp_listen },
	{ "udp-send", udp_send },
	{ "unix-path", unix_path },
	{ "unix-abstract", unix_abstract },
	{ "netlink", netlink },
	{ "vsock", vsock },
	{ "packet-socket", packet },
	{ "raw-socket", raw_icmp },
	{ "inet6-socket", inet6 },
	{ "crypto-socket", crypto_socket },
	{ "forge-credentials", forge_credentials },
	{ "sysv-memory", sysv_memory },
	{ "sysv-queue", sysv_queue },
	{ "posix-queue", posix_queue },
	{ "leaked-fd", leaked_fd },
	{ "leaked-environment", leaked_environment },
	{ "host-name", host_name },
	{ "working-directory", working_directory },
	{ NULL, NULL },
};

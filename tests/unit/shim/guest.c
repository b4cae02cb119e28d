/* SPDX-License-Identifier: ISC */
/*
 * /sbin/init of a test guest: does what it is told on its console, a line a
 * command, and says "= COMMAND RESULT" when it has done it. It knows nothing of
 * hooks; what it did is computed on both sides (stream.h).
 */
#include "stream.h"

#include <arpa/inet.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int wait_for(pid_t pid)
{
	int st;
	return waitpid(pid, &st, 0) == pid ? st : -1;
}

static void go(const char *dir)
{
	if (chdir(dir))
		printf("chdir %s: %s\n", dir, strerror(errno));
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

static void pair(int *m, int *s, bool raw)
{
	struct winsize w = { 50, 132, 0, 0 };
	struct termios t;
	if (openpty(m, s, NULL, NULL, NULL) < 0)
		printf("openpty: %s\n", strerror(errno));
	tcgetattr(*s, &t);
	if (raw)
		cfmakeraw(&t);
	t.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(*s, TCSANOW, &t);
	ioctl(*m, TIOCSWINSZ, &w);
}

static uint64_t drain(int fd, size_t pauses, uint64_t *total)
{
	char buf[8192];
	uint64_t h = STREAM_HASH;
	*total = 0;
	for (size_t i = 0;; i++) {
		ssize_t n = read(fd, buf, 1 + (i * 977) % sizeof(buf));
		if (n <= 0)
			return h;
		h = stream_hash(h, buf, (size_t)n);
		*total += (uint64_t)n;
		if (pauses && i % pauses == 0)
			usleep(2000);
	}
}

/* A writer and a slow reader of a pty; what was read is what must have been
 * recorded. writer_is_master: as a paste goes. */
static void stream(const char *name, size_t n, bool writer_is_master, bool raw)
{
	int m, s;
	pair(&m, &s, raw);
	int from = writer_is_master ? s : m, to = writer_is_master ? m : s;
	pid_t pid = fork();
	if (pid == 0) {
		static char buf[STREAM_WRITE_MAX];
		uint32_t seed = STREAM_SEED;
		fcntl(to, F_SETFL, O_NONBLOCK);
		close(from);
		while (n) {
			size_t part = stream_fill(&seed, buf, n), at = 0;
			while (at < part) {
				ssize_t w = write(to, buf + at, part - at);
				struct pollfd p = { to, POLLOUT, 0 };
				if (w > 0)
					at += (size_t)w;
				else if (errno == EAGAIN)
					poll(&p, 1, 100);
				else
					_exit(1);
			}
			n -= part;
		}
		/* All of it is read before the hang-up. */
		usleep(300000);
		_exit(0);
	}
	close(to);
	uint64_t total, h = drain(from, 16, &total);
	int st = wait_for(pid);
	close(from);
	printf("= %s %llu %016llx %d\n", name, (unsigned long long)total, (unsigned long long)h, st);
}

/* Writes to a console that nobody reads: the last write is taken in part, and
 * nothing else happens. */
static void hold(void)
{
	char buf[STREAM_HOLD];
	memset(buf, 'x', sizeof(buf));
	for (int i = 0; i < STREAM_HOLDS; i++)
		if (write(1, buf, sizeof(buf)) != sizeof(buf))
			printf("short\n");
	printf("\n= hold 0\n");
}

/* ---- programs ---- */

static int run(const char *path, char *const argv[], int fd)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (fd >= 0)
			syscall(SYS_execveat, fd, "", argv, environ, 0x1000 /* AT_EMPTY_PATH */);
		else
			execv(path, argv);
		_exit(99);
	}
	return WEXITSTATUS(wait_for(pid));
}

static void copy_self(int to)
{
	char buf[65536];
	int fd = open("/proc/self/exe", O_RDONLY);
	for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
		if (write(to, buf, (size_t)n) != n)
			printf("copy: %s\n", strerror(errno));
	close(fd);
}

static void programs(void)
{
	static char *big[STREAM_ARGS + 3], text[STREAM_ARGS][STREAM_ARG_SIZE + 1];
	int r[6], fd;
	r[0] = run("/sbin/init", (char *[]){ "prog", "exit", "7", "", "with space\nand line", NULL }, -1);
	fd = open("/tmp/script", O_WRONLY | O_CREAT | O_TRUNC, 0755);
	dprintf(fd, "#!/sbin/init exit\n");
	close(fd);
	go("/tmp");
	r[1] = run("./script", (char *[]){ "script", "one", NULL }, -1);
	go("/");
	big[0] = "big";
	big[1] = "exit";
	for (int i = 0; i < STREAM_ARGS; i++) {
		uint32_t seed = (uint32_t)i + 1;
		stream_text(&seed, text[i], STREAM_ARG_SIZE);
		big[i + 2] = text[i];
	}
	r[2] = run("/sbin/init", big, -1);
	fd = memfd_create("hidden", MFD_CLOEXEC);
	copy_self(fd);
	r[3] = run(NULL, (char *[]){ "mem", "exit", "9", NULL }, fd);
	close(fd);
	fd = open("/tmp/gone", O_WRONLY | O_CREAT, 0700);
	copy_self(fd);
	close(fd);
	fd = open("/tmp/gone", O_RDONLY | O_CLOEXEC);
	unlink("/tmp/gone");
	r[4] = run(NULL, (char *[]){ "gone", "exit", "3", NULL }, fd);
	close(fd);
	r[5] = run("/nowhere", (char *[]){ "nowhere", NULL }, -1);
	printf("= programs %d %d %d %d %d %d\n", r[0], r[1], r[2], r[3], r[4], r[5]);
}

static void *thread(void *arg)
{
	return arg;
}

static void processes(void)
{
	pthread_t t;
	pid_t a = fork();
	if (a == 0)
		_exit(42);
	int sa = wait_for(a);
	pid_t b = fork();
	if (b == 0) {
		signal(SIGTERM, SIG_DFL);
		raise(SIGTERM);
	}
	int sb = wait_for(b);
	pid_t c = fork();
	if (c == 0) {
		pthread_create(&t, NULL, thread, NULL);
		pthread_join(t, NULL);
		_exit(0);
	}
	int sc = wait_for(c);
	pid_t d = fork();
	if (d == 0) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1001, 1001))
			_exit(1);
		_exit(0);
	}
	int sd = wait_for(d);
	printf("= processes %d:%x %d:%x %d:%x %d:%x\n", a, sa, b, sb, c, sc, d, sd);
}

static void files(void)
{
	int fd, bad = 0;
	mkdir("/data", 0755);
	bad += mount("none", "/data", "tmpfs", 0, NULL) != 0;
	fd = open("/data/new", O_WRONLY | O_CREAT, 0640);
	close(fd);
	fd = open("/data/new", O_RDWR);
	close(fd);
	fd = open("/data/new", O_RDONLY);
	close(fd);
	bad += rename("/data/new", "/data/other") != 0;
	bad += chmod("/data/other", 0755) != 0;
	bad += unlink("/data/other") != 0;
	bad += mkdir("/data/dir", 0700) != 0;
	bad += rmdir("/data/dir") != 0;
	bad += unlink("/data/none") == 0;
	go("/etc");
	fd = open("relative", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	close(fd);
	bad += rename("relative", "/full") != 0;
	bad += unlink("/full") != 0;
	go("/");
	bad += mkdir("/notempty", 0700) != 0 || mkdir("/notempty/x", 0700) != 0 || rmdir("/notempty") == 0;
	printf("= files %d\n", bad);
}

static void sockets(void)
{
	int bad = 0, ctl = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	bad += ioctl(ctl, SIOCSIFFLAGS, &r) != 0;
	struct sockaddr_in a = { AF_INET, htons(2222), { htonl(INADDR_LOOPBACK) }, { 0 } };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	bad += bind(l, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(l, 5) != 0;
	bad += connect(c, (struct sockaddr *)&a, sizeof(a)) != 0;
	int s = accept(l, NULL, NULL);
	bad += s < 0;
	bad += getsockname(c, (struct sockaddr *)&a, &len) != 0;
	unsigned port = ntohs(a.sin_port);
	a.sin_port = htons(5353);
	bad += connect(ctl, (struct sockaddr *)&a, sizeof(a)) != 0;
	a.sin_family = AF_UNSPEC;
	connect(ctl, (struct sockaddr *)&a, sizeof(a)); /* takes it back */
	close(s), close(c), close(l), close(ctl);
	printf("= sockets %u %d\n", port, bad);
}

/* As OpenSSH's privileged monitor reads from its unprivileged child. */
static void auth(void)
{
	static const uint8_t msg[] = "\0\0\0\x12\x0c\0\0\0\x09"
				     "s3cr3t pw"
				     "more";
	char buf[64];
	int p[2], bad = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p))
		bad++;
	for (int i = 0; i < 2; i++) {
		prctl(PR_SET_NAME, i ? "sshd" : "other");
		bad += write(p[0], msg, sizeof(msg) - 1) != sizeof(msg) - 1;
		bad += read(p[1], buf, 4) != 4; /* the length first, then the rest */
		bad += read(p[1], buf, sizeof(buf)) != sizeof(msg) - 5;
	}
	prctl(PR_SET_NAME, "init");
	printf("= auth %d\n", bad);
}

static void module(void)
{
	int fd = open("/mod.ko", O_RDONLY);
	long r = syscall(SYS_finit_module, fd, "", 0);
	printf("= module %ld %s\n", r, r ? strerror(errno) : "");
}

static void flood(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		wait_for(pid);
	}
	printf("= flood %zu\n", n);
}

/* The kernel's own code as guest root reads it, hashed; what: /dev/mem or /proc/kcore. */
static void memory(const char *what, uint64_t addr, size_t n, uint64_t base)
{
	char buf[4096];
	uint64_t h = STREAM_HASH, at = addr - base;
	int fd = open(what, O_RDONLY);
	if (strstr(what, "kcore")) {
		Elf64_Ehdr e = { 0 };
		Elf64_Phdr p;
		at = UINT64_MAX;
		if (pread(fd, &e, sizeof(e), 0) != sizeof(e))
			printf("kcore: %s\n", strerror(errno));
		for (unsigned i = 0; i < e.e_phnum; i++)
			if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + i * sizeof(p))) == sizeof(p) &&
			    p.p_type == PT_LOAD && addr >= p.p_vaddr && addr < p.p_vaddr + p.p_memsz)
				at = addr - p.p_vaddr + p.p_offset;
	}
	ssize_t r = 0;
	size_t done = 0;
	while (done < n) {
		r = pread(fd, buf, n - done < sizeof(buf) ? n - done : sizeof(buf), (off_t)(at + done));
		if (r <= 0) {
			printf("%s: %s\n", what, r ? strerror(errno) : "end");
			break;
		}
		h = stream_hash(h, buf, (size_t)r);
		done += (size_t)r;
	}
	close(fd);
	printf("= mem %zu %016llx\n", done, (unsigned long long)h);
}

/* A child that waits in accept(2) for ever. */
static void sleeper(void)
{
	struct sockaddr_in a = { AF_INET, htons(2323), { htonl(INADDR_LOOPBACK) }, { 0 } };
	int l = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 1) || accept(l, NULL, NULL) < 0)
			_exit(1);
		_exit(0);
	}
	close(l);
	usleep(100000);
	printf("= sleeper %d\n", pid);
}

/* The least time of an operation, in ns. */
static void least(const char *what)
{
	int m, s, fd;
	char c = 'x', buf[64];
	uint64_t best = UINT64_MAX;
	pair(&m, &s, true);
	for (int i = 0; i < 2000; i++) {
		struct timespec t[2];
		clock_gettime(CLOCK_MONOTONIC, &t[0]);
		if (!strcmp(what, "tty")) {
			if (write(s, &c, 1) != 1)
				break;
		} else if (!strcmp(what, "open")) {
			fd = open("/tmp/least", O_WRONLY | O_CREAT, 0600);
			close(fd);
		} else {
			pid_t pid = fork();
			if (pid == 0)
				_exit(0);
			wait_for(pid);
			i += 19;
		}
		clock_gettime(CLOCK_MONOTONIC, &t[1]);
		uint64_t ns = (uint64_t)(t[1].tv_sec - t[0].tv_sec) * 1000000000u + (uint64_t)t[1].tv_nsec -
			      (uint64_t)t[0].tv_nsec;
		best = ns < best ? ns : best;
		while (!strcmp(what, "tty") && read(m, buf, sizeof(buf)) == sizeof(buf))
			;
	}
	close(m), close(s);
	printf("= least %llu\n", (unsigned long long)best);
}

static void shell(const char *cmd)
{
	char *argv[] = { "sh", "-c", (char *)cmd, NULL };
	fflush(stdout);
	printf("= sh %d\n", run("/bin/sh", argv, -1));
}

/* ---- measurements: microseconds ---- */

static void time_tty(const char *name, size_t lines, int buffering)
{
	int m, s;
	pair(&m, &s, false);
	pid_t pid = fork();
	if (pid == 0) {
		close(m);
		FILE *f = fdopen(s, "w");
		setvbuf(f, NULL, buffering, 4096);
		for (size_t i = 1; i <= lines; i++)
			fprintf(f, "%zu\n", i);
		fclose(f);
		_exit(0);
	}
	close(s);
	uint64_t total, begin = now_us();
	drain(m, 0, &total);
	uint64_t took = now_us() - begin;
	wait_for(pid);
	close(m);
	printf("= %s %llu %llu\n", name, (unsigned long long)took, (unsigned long long)total);
}

static void time_fork(size_t n)
{
	uint64_t begin = now_us();
	for (size_t i = 0; i < n; i++)
		run("/sbin/init", (char *[]){ "true", "exit", "0", NULL }, -1);
	printf("= time-fork %llu\n", (unsigned long long)(now_us() - begin));
}

static void read_memory(const char *arg)
{
	char what[64] = "";
	unsigned long long addr = 0, n = 0, base = 0;
	if (arg && sscanf(arg, "%63s %llx %llx %llx", what, &addr, &n, &base) == 4)
		memory(what, addr, n, base);
}

static bool command(char *line)
{
	char *arg = strchr(line, ' ');
	if (arg)
		*arg++ = 0;
	size_t n = arg ? strtoul(arg, NULL, 0) : 0;
	if (!strcmp(line, "out"))
		stream("out", n, false, true);
	else if (!strcmp(line, "cooked"))
		stream("cooked", n, false, false);
	else if (!strcmp(line, "paste"))
		stream("paste", n, true, true);
	else if (!strcmp(line, "hold"))
		hold();
	else if (!strcmp(line, "programs"))
		programs();
	else if (!strcmp(line, "processes"))
		processes();
	else if (!strcmp(line, "files"))
		files();
	else if (!strcmp(line, "sockets"))
		sockets();
	else if (!strcmp(line, "auth"))
		auth();
	else if (!strcmp(line, "module"))
		module();
	else if (!strcmp(line, "flood"))
		flood(n);
	else if (!strcmp(line, "mem"))
		read_memory(arg);
	else if (!strcmp(line, "sleeper"))
		sleeper();
	else if (!strcmp(line, "least"))
		least(arg);
	else if (!strcmp(line, "sh"))
		shell(arg);
	else if (!strcmp(line, "time-tty"))
		time_tty(line, n, _IOFBF);
	else if (!strcmp(line, "time-lines"))
		time_tty(line, n, _IOLBF);
	else if (!strcmp(line, "time-fork"))
		time_fork(n);
	else if (!strcmp(line, "restart"))
		reboot(RB_AUTOBOOT);
	else if (!strcmp(line, "halt"))
		reboot(RB_POWER_OFF);
	else
		printf("= what\n");
	return true;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "exit"))
		return argc > 2 ? atoi(argv[2]) : 5;
	if (getpid() != 1)
		return 98;
	setvbuf(stdout, NULL, _IOLBF, 4096);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/pts", 0755);
	mount("pts", "/dev/pts", "devpts", 0, "ptmxmode=0666");
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	setenv("PATH", "/bin:/sbin", 1);
	printf("= up 1\n");
	char line[4096];
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		command(line);
	}
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "cli/doctor.h"

#include "base/dirs.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB (1024ull * 1024)

/* What User Mode Linux 6.1 keeps of a process's extended registers, bytes. */
#define UML_XSTATE 2696u

static void kvm(struct findings *f)
{
	struct err e;
	int r = kvm_probe(&e);
	if (!r)
		finding(f, "kvm", FINDING_OK, NULL, "KVM runs a guest");
	else if (r == -ENOENT || r == -ENXIO || r == -ENODEV)
		finding(f, "kvm", FINDING_WARN, NULL, "no KVM here: the uml backend does not need it");
	else if (r == -EACCES || r == -EPERM)
		finding(f, "kvm", FINDING_WARN, "adduser $USER kvm, then log in again",
			"/dev/kvm may not be opened: the uml backend does not need it");
	else
		finding(f, "kvm", FINDING_WARN, NULL, "/dev/kvm is there, but %s: the uml backend does not need it",
			e.text);
}

static void registers(struct findings *f)
{
#if defined(__x86_64__)
	unsigned a, size = 0, c, d;
	/* Intel SDM vol. 1, 13.2: leaf 0xd, subleaf 0, ebx: bytes of the XSAVE area
	 * for what the kernel has switched on. */
	if (!__get_cpuid_count(0xd, 0, &a, &size, &c, &d))
		size = 0;
	if (size > UML_XSTATE)
		finding(
		    f, "registers", FINDING_OK, NULL,
		    "the processor has %u bytes of extended registers, User Mode Linux keeps %u: the shim is needed",
		    size, UML_XSTATE);
	else
		finding(f, "registers", FINDING_OK, NULL, "%u bytes of extended registers", size);
#else
	finding(f, "registers", FINDING_MISSING, "use a computer with an x86-64 processor",
		"User Mode Linux runs on x86-64 only");
#endif
}

static void tun(struct findings *f)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		finding(f, "tun", FINDING_OK, NULL, "/dev/net/tun can be opened");
	else
		finding(f, "tun", FINDING_WARN,
			errno == ENOENT ? "modprobe tun"
					: "chmod 666 /dev/net/tun (Debian's default), or start as root",
			"/dev/net/tun: %s; the lab uses veth and packet sockets instead", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void memory(struct findings *f)
{
	unsigned long long total = 0, available = 0;
	char line[128], text[CMD_SIZE_TEXT], of[CMD_SIZE_TEXT];
	FILE *in = fopen("/proc/meminfo", "re");
	while (in && fgets(line, sizeof(line), in)) {
		sscanf(line, "MemTotal: %llu kB", &total);
		sscanf(line, "MemAvailable: %llu kB", &available);
	}
	if (in)
		fclose(in);
	available *= 1024;
	total *= 1024;
	cmd_size_text(text, available);
	cmd_size_text(of, total);
	if (available < 128 * MIB)
		finding(f, "memory", FINDING_MISSING, "end other programs, or add memory",
			"%s of %s is free: no honeypot fits", text, of);
	else if (available < 512 * MIB)
		finding(f, "memory", FINDING_WARN, "end other programs, or add memory",
			"%s of %s is free: one or two small honeypots fit", text, of);
	else
		finding(f, "memory", FINDING_OK, NULL, "%s of %s is free", text, of);
}

static void disk(struct findings *f)
{
	char dir[DIRS_PATH], text[CMD_SIZE_TEXT], state[DIRS_PATH];
	struct statvfs st;
	struct err e;
	if (dirs_state(state, &e) < 0) {
		finding(f, "disk", FINDING_MISSING, "set HOME or SKEP_STATE", "%s", e.text);
		return;
	}
	/* It may not be there yet: then the first parent that is. */
	memcpy(dir, state, sizeof(dir));
	while (statvfs(dir, &st) < 0 && dir[1]) {
		char *slash = strrchr(dir, '/');
		slash[slash == dir] = 0;
	}
	unsigned long long left = (unsigned long long)st.f_bavail * st.f_frsize;
	cmd_size_text(text, left);
	if (access(dir, W_OK) < 0)
		finding(f, "disk", FINDING_MISSING, "set SKEP_STATE to a directory of yours, or start as root",
			"%s cannot be written", dir);
	else if (left < 256 * MIB)
		finding(f, "disk", FINDING_MISSING, "make room there, or set SKEP_STATE to another disk",
			"%s free in %s: evidence would stop at once", text, state);
	else if (left < 2048 * MIB)
		finding(f, "disk", FINDING_WARN, "make room there, or set SKEP_STATE to another disk",
			"%s free in %s: enough for small images only", text, state);
	else
		finding(f, "disk", FINDING_OK, NULL, "%s free in %s", text, state);
}

void doctor_machine(struct findings *f)
{
	kvm(f);
	registers(f);
	tun(f);
	memory(f);
	disk(f);
}

/* SPDX-License-Identifier: ISC */
/*
 * Does KVM really run a guest? A /dev/kvm may be there and refuse, or accept
 * everything and hang at the first instruction (some clouds' nested
 * virtualization does). So: one page, one processor in real mode, three
 * instructions. Linux, Documentation/virt/kvm/api.rst.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUEST_AT 0x1000
#define PORT 0x10

struct verdict_msg {
	int code; /* 0 or negative errno */
	char what[64];
};

static int fail(struct verdict_msg *v, const char *what)
{
	v->code = errno ? -errno : -EIO;
	strncpy(v->what, what, sizeof(v->what) - 1);
	return -1;
}

static int run(int kvm, struct verdict_msg *v)
{
	static const uint8_t code[] = {
		0xb0, 0x2a, /* mov al, 42 */
		0xe6, PORT, /* out PORT, al */
		0xf4,       /* hlt */
	};
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return fail(v, "its version is not 12");
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return fail(v, "it makes no virtual machine");
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return fail(v, "no memory");
	memcpy(page, code, sizeof(code));
	struct kvm_userspace_memory_region region = { .guest_phys_addr = GUEST_AT,
						      .memory_size = 4096,
						      .userspace_addr = (uintptr_t)page };
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail(v, "it takes no memory");
	int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0)
		return fail(v, "it makes no processor");
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *state = MAP_FAILED;
	if (size >= (int)sizeof(*state))
		state = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	if (state == MAP_FAILED)
		return fail(v, "its processor cannot be mapped");
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = GUEST_AT, .rflags = 2 };
	if (ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
		return fail(v, "its processor has no registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0)
		return fail(v, "its processor takes no registers");
	errno = 0;
	if (ioctl(cpu, KVM_RUN, 0) < 0)
		return fail(v, "it does not run");
	const uint8_t *data = (const uint8_t *)state + state->io.data_offset;
	if (state->exit_reason != KVM_EXIT_IO || state->io.port != PORT || *data != 42)
		return fail(v, "it does not run what it is given");
	if (ioctl(cpu, KVM_RUN, 0) < 0 || state->exit_reason != KVM_EXIT_HLT)
		return fail(v, "it does not stop where it should");
	return 0;
}

int kvm_probe(struct err *e)
{
	struct verdict_msg v = { .code = -ETIMEDOUT, .what = "it hangs at the first instruction" };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), p[2];
	if (kvm < 0)
		return err_sys(e, -errno, "cannot open /dev/kvm");
	/* In a child, since KVM_RUN may never come back. */
	if (pipe2(p, O_CLOEXEC) < 0) {
		close(kvm);
		return err_sys(e, -errno, "cannot make a pipe");
	}
	pid_t pid = fork();
	if (pid == 0) {
		struct verdict_msg mine = { 0 };
		run(kvm, &mine);
		_exit(write(p[1], &mine, sizeof(mine)) != sizeof(mine));
	}
	close(kvm);
	close(p[1]);
	struct pollfd pf = { .fd = p[0], .events = POLLIN };
	if (pid > 0 && poll(&pf, 1, 3000) > 0) {
		struct verdict_msg got;
		if (read(p[0], &got, sizeof(got)) == sizeof(got))
			v = got;
	}
	close(p[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	v.what[sizeof(v.what) - 1] = 0;
	return v.code ? err_sys(e, v.code, "%s", v.what) : 0;
}

/* SPDX-License-Identifier: ISC */
#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SKEP_SECCOMP_DEBUG
#define DENY SCMP_ACT_TRAP
#else
#define DENY SCMP_ACT_KILL_PROCESS
#endif

static int add(scmp_filter_ctx ctx, const struct seccomp_rule *r)
{
	uint32_t act = r->soft ? SCMP_ACT_ERRNO(r->soft) : SCMP_ACT_ALLOW;
	return seccomp_rule_add_array(ctx, act, r->nr, r->ncmp, r->cmp);
}

/* libseccomp writes a program to an fd only. */
static int export(scmp_filter_ctx ctx, struct seccomp_program *out)
{
	struct stat st;
	int fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = seccomp_export_bpf(ctx, fd);
	if (!r && fstat(fd, &st) < 0)
		r = -errno;
	if (!r) {
		size_t size = (size_t)st.st_size;
		struct sock_filter *f = malloc(size);
		if (!f || size % sizeof(*f) || size / sizeof(*f) > BPF_MAXINSNS ||
		    pread(fd, f, size, 0) != (ssize_t)size) {
			free(f);
			r = -ENOMEM;
		} else {
			out->prog = (struct sock_fprog){ (unsigned short)(size / sizeof(*f)), f };
		}
	}
	close(fd);
	return r;
}

int seccomp_build(struct seccomp_program *out, const struct seccomp_table *tables, int n, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(DENY);
	if (!ctx)
		return err_set(e, -ENOMEM, "cannot make a seccomp filter");
	/* A binary tree over the numbers: the time of a call does not depend
	 * on its place in the table. */
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (int t = 0; t < n && !r; t++)
		for (int i = 0; i < tables[t].count && !r; i++) {
			r = add(ctx, &tables[t].rules[i]);
			if (r == -EEXIST)
				r = 0;
			if (r)
				err_sys(e, r, "seccomp rule %d of table %d", i, t);
		}
	if (r) {
		seccomp_release(ctx);
		return r;
	}
	r = export(ctx, out);
	seccomp_release(ctx);
	return r ? err_sys(e, r, "cannot compile a seccomp filter") : 0;
}

int seccomp_load_program(const struct seccomp_program *p, struct err *e)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p->prog) < 0)
		return err_sys(e, -errno, "cannot load the seccomp filter (CONFIG_SECCOMP_FILTER)");
	return 0;
}

void seccomp_free(struct seccomp_program *p)
{
	free(p->prog.filter);
	p->prog = (struct sock_fprog){ 0 };
}

/* SPDX-License-Identifier: ISC */
#include "probe/probe.h"

#ifdef SKEP_BPF

#include "proto/probe.h"
#include "probe/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROBE_MAX 64u /* bytes from a function's entry to its probe */
#define LINKS (HOOK_SITE_COUNT * (1 + HOOK_RETS))

struct probe {
	struct hook_plan plan;
	struct bpf_object *object;
	struct bpf_link *links[LINKS];
	unsigned nlinks;
	int ring, state;
	uint64_t placed, absent;
};

static const char *const names[HOOK_SITE_COUNT] = {
#define X(name, fn) #name,
	HOOK_SITES(X)
#undef X
};

/* What libbpf complained about last: it says more than an errno. */
static char complaint[160];

__attribute__((format(printf, 2, 0))) static int on_print(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (level != LIBBPF_WARN)
		return 0;
	char line[sizeof(complaint)];
	vsnprintf(line, sizeof(line), format, ap);
	/* The verifier's log of many lines comes in between. */
	if (!strchr(line, '\n') || strlen(line) + 1 >= sizeof(line))
		return 0;
	line[strcspn(line, "\n")] = 0;
	memcpy(complaint, line, sizeof(complaint));
	return 0;
}

static int failed(int r, const char *what, struct err *e)
{
	return err_set(e, r, "%s: %s%s%s%s", what, strerror(-r), complaint[0] ? " (" : "", complaint,
		       complaint[0] ? ")" : "");
}

/* The programs' only constant is the plan. */
static int fill_in(struct bpf_object *o, const struct hook_plan *plan, struct err *e)
{
	struct bpf_map *m;
	bpf_object__for_each_map(m, o)
	{
		size_t n = 0;
		if (strstr(bpf_map__name(m), ".rodata") && bpf_map__initial_value(m, &n) && n == sizeof(*plan))
			return bpf_map__set_initial_value(m, plan, n);
	}
	return err_set(e, -EINVAL, "the BPF programs have no place for the plan");
}

/* Loads all programs that the plan has use for; all of them if it is NULL. */
static int load(struct probe *p, const struct hook_plan *plan, struct err *e)
{
	/* Numbers with which every program is whole. */
	static const struct hook_plan none = { .thread_size = 16384 };
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "skep");
	struct bpf_program *g;
	complaint[0] = 0;
	libbpf_set_print(on_print);
	p->object = bpf_object__open_mem(probe_object, probe_object_len, &opts);
	if (!p->object)
		return failed(-errno, "cannot read the BPF programs", e);
	int r = fill_in(p->object, plan ? plan : &none, e);
	if (r < 0)
		return r;
	bpf_object__for_each_program(g, p->object)
	{
		const char *name = bpf_program__name(g);
		bool want = name[0] == 't' ? !plan : true;
		for (unsigned i = 0; plan && i < HOOK_SITE_COUNT; i++)
			if (!strcmp(name + 2, names[i]))
				want = plan->site[i].addr != 0;
		bpf_program__set_autoload(g, want);
	}
	r = bpf_object__load(p->object);
	if (r < 0)
		return failed(r, "the kernel refuses the BPF programs", e);
	p->ring = bpf_object__find_map_fd_by_name(p->object, "ring");
	p->state = bpf_object__find_map_fd_by_name(p->object, "state");
	return p->ring < 0 || p->state < 0 ? err_set(e, -EINVAL, "the BPF programs lack a map") : 0;
}

static int attach(struct probe *p, struct bpf_program *g, pid_t pid, const char *file, uint64_t off, struct err *e)
{
	complaint[0] = 0;
	struct bpf_link *l = bpf_program__attach_uprobe(g, false, pid, file, off);
	if (!l)
		return failed(-errno, "cannot place a uprobe", e);
	p->links[p->nlinks++] = l;
	return 0;
}

/* ---- a guest kernel ----------------------------------------------------------- */

static bool in_text(const struct hook_plan *plan, uint64_t addr)
{
	return addr >= plan->text && addr < plan->text_end && plan->text >= plan->base;
}

/* ret, or a relative branch */
static bool may_return(const uint8_t b[2])
{
	return b[0] == 0xc3 || b[0] == 0xeb || b[0] == 0xe9 || (b[0] & 0xf0) == 0x70 ||
	       (b[0] == 0x0f && (b[1] & 0xf0) == 0x80);
}

static bool is_push(const uint8_t b[2])
{
	return (b[0] & 0xf8) == 0x50 || (b[0] == 0x41 && (b[1] & 0xf8) == 0x50) || b[0] == 0x90;
}

/* Is this file the plan's? A probe inside of an instruction would break the guest. */
static int check_file(int fd, const struct hook_plan *plan, struct err *e)
{
	uint8_t b[sizeof(plan->site[0].orig)];
	if (plan->tty_write && (!in_text(plan, plan->tty_write) ||
				pread(fd, b, 2, (off_t)(plan->tty_write - plan->base)) != 2 || !is_push(b)))
		return err_set(e, -ESTALE, "the guest's kernel is another one than the plan's (terminals)");
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		const struct hook_place *s = &plan->site[i];
		if (!s->addr)
			continue;
		if (!in_text(plan, s->addr) || !in_text(plan, s->addr + s->probe) || s->probe >= PROBE_MAX)
			return err_set(e, -EBADMSG, "the plan's %s is outside of the kernel", names[i]);
		if (pread(fd, b, sizeof(b), (off_t)(s->addr - plan->base)) != sizeof(b) ||
		    memcmp(b, s->orig, sizeof(b)) != 0)
			return err_set(e, -ESTALE, "the guest's kernel is another one than the plan's (%s)", names[i]);
		for (unsigned n = 0; n < HOOK_RETS; n++) {
			uint64_t at = plan->ret[i][n];
			if (at &&
			    (!in_text(plan, at) || pread(fd, b, 2, (off_t)(at - plan->base)) != 2 || !may_return(b)))
				return err_set(e, -ESTALE, "%s does not return where the plan says", names[i]);
		}
	}
	return 0;
}

/* Entry and returns of a site, or nothing of it. */
static int attach_site(struct probe *p, unsigned site, pid_t pid, const char *file, const struct hook_plan *plan,
		       struct err *e)
{
	const struct hook_place *s = &plan->site[site];
	char name[40];
	snprintf(name, sizeof(name), "e_%s", names[site]);
	struct bpf_program *entry = bpf_object__find_program_by_name(p->object, name);
	name[0] = 'r';
	struct bpf_program *ret = bpf_object__find_program_by_name(p->object, name);
	unsigned before = p->nlinks;
	int r = 0;
	if (!s->addr || (!entry && !ret) || (ret && !plan->ret[site][0]))
		return -ENOENT;
	/* The returns first: an entry without one is lost, not the other way around. */
	for (unsigned n = 0; ret && n < HOOK_RETS && r == 0; n++)
		if (plan->ret[site][n])
			r = attach(p, ret, pid, file, plan->ret[site][n] - plan->base, e);
	if (entry && r == 0)
		r = attach(p, entry, pid, file, s->addr + s->probe - plan->base, e);
	while (r < 0 && p->nlinks > before)
		bpf_link__destroy(p->links[--p->nlinks]);
	return r;
}

/* Ptys are read where their other side takes what was written; see probe.bpf.c. */
static bool by_delivery(const struct hook_plan *plan)
{
	return plan->tty_write && plan->site[HOOK_SITE_LINE_READ].addr && plan->ret[HOOK_SITE_LINE_READ][0];
}

/* Some sites are for hooks only: what those hide of themselves. They are no
 * lack. */
static bool has_programs(const struct probe *p, unsigned site)
{
	char name[40];
	snprintf(name, sizeof(name), "e_%s", names[site]);
	bool entry = bpf_object__find_program_by_name(p->object, name) != NULL;
	name[0] = 'r';
	return entry || bpf_object__find_program_by_name(p->object, name) != NULL;
}

static int attach_writers(struct probe *p, pid_t pid, const char *file, const struct hook_plan *plan, struct err *e)
{
	struct bpf_program *g = bpf_object__find_program_by_name(p->object, "w_PTY_WRITE");
	if (!g || !(p->placed >> HOOK_SITE_LINE_READ & 1))
		return -ENOENT;
	return attach(p, g, pid, file, plan->tty_write - plan->base, e);
}

static int attach_all(struct probe *p, pid_t pid, const char *file, const struct hook_plan *plan, struct err *e)
{
	int r = 0;
	if (!plan->thread_size)
		return err_set(e, -ENOENT, "the plan does not know how large a kernel's stack is");
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		if (!has_programs(p, i) || (i == HOOK_SITE_PTY_WRITE && by_delivery(plan)))
			continue;
		int x = attach_site(p, i, pid, file, plan, e);
		if (x == 0)
			p->placed |= UINT64_C(1) << i;
		else
			p->absent |= UINT64_C(1) << i;
		if (x < 0 && x != -ENOENT)
			r = x;
	}
	if (by_delivery(plan)) {
		int x = attach_writers(p, pid, file, plan, e);
		*(x == 0 ? &p->placed : &p->absent) |= UINT64_C(1) << HOOK_SITE_PTY_WRITE;
		r = x < 0 ? x : r;
	}
	if (!p->placed)
		return r < 0 ? r : err_set(e, -ENOENT, "the plan has no place for a probe");
	const uint32_t keys[] = { PROBE_PLACED, PROBE_ABSENT };
	const uint64_t values[] = { p->placed, p->absent };
	for (unsigned i = 0; i < 2; i++)
		if ((r = bpf_map_update_elem(p->state, &keys[i], &values[i], BPF_ANY)) < 0)
			return failed(r, "cannot write a BPF map", e);
	return 0;
}

int probe_load(const struct hook_plan *plan, struct probe **out, struct err *e)
{
	struct probe *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, "no memory for probes");
	p->plan = *plan;
	int r = load(p, plan, e);
	if (r < 0) {
		probe_detach(p);
		return r;
	}
	*out = p;
	return 0;
}

int probe_attach(struct probe *p, pid_t pid, struct err *e)
{
	char file[32];
	if (p->nlinks)
		return err_set(e, -EBUSY, "the probes are attached already");
	snprintf(file, sizeof(file), "/proc/%d/exe", (int)pid);
	int fd = open(file, O_RDONLY | O_CLOEXEC), r = fd < 0 ? err_sys(e, -errno, "cannot open %s", file) : 0;
	if (r == 0)
		r = check_file(fd, &p->plan, e);
	if (fd >= 0)
		close(fd);
	if (r == 0)
		r = attach_all(p, pid, file, &p->plan, e);
	while (r < 0 && p->nlinks)
		bpf_link__destroy(p->links[--p->nlinks]);
	return r;
}

void probe_detach(struct probe *p)
{
	if (!p)
		return;
	while (p->nlinks)
		bpf_link__destroy(p->links[--p->nlinks]);
	if (p->object)
		bpf_object__close(p->object);
	free(p);
}

int probe_ring_fd(const struct probe *p)
{
	return p->ring;
}
int probe_state_fd(const struct probe *p)
{
	return p->state;
}
uint64_t probe_placed(const struct probe *p)
{
	return p->placed;
}
uint64_t probe_absent(const struct probe *p)
{
	return p->absent;
}

/* ---- a try ---------------------------------------------------------------------- */

void skep_probe_here(uint32_t value);
__asm__(".pushsection .text\n"
	".type skep_probe_here, @function\n"
	"skep_probe_here:\n"
	"	push %rbp\n"
	"	pop %rbp\n"
	"	ret\n"
	".size skep_probe_here, . - skep_probe_here\n"
	".popsection\n");

/* The main program comes first. */
static int find_here(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t addr = (uintptr_t)skep_probe_here - info->dlpi_addr, *off = arg;
	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type == PT_LOAD && addr >= h->p_vaddr && addr < h->p_vaddr + h->p_filesz)
			*off = addr - h->p_vaddr + h->p_offset;
	}
	return 1;
}

static int try_once(struct probe *p, struct err *e)
{
	uint64_t off = 0;
	long page = sysconf(_SC_PAGESIZE);
	int r = load(p, NULL, e);
	if (r < 0)
		return r;
	dl_iterate_phdr(find_here, &off);
	struct bpf_program *g = bpf_object__find_program_by_name(p->object, "t_TRY");
	if (!off || !g)
		return err_set(e, -ENOENT, "the probe's own function is missing");
	if ((r = attach(p, g, 0, "/proc/self/exe", off, e)) < 0)
		return r;
	skep_probe_here(42);
	/* The producer's page: how many bytes have been written (bpf(2), BPF_MAP_TYPE_RINGBUF). */
	const volatile uint64_t *produced = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, p->ring, page);
	if (produced == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the BPF ring buffer");
	uint64_t n = *produced;
	munmap((void *)produced, (size_t)page);
	return n ? 0 : err_set(e, -ENOMSG, "a uprobe was placed, but did not run");
}

int probe_try(struct err *e)
{
	struct probe *p = calloc(1, sizeof(*p));
	int r = p ? try_once(p, e) : err_set(e, -ENOMEM, "no memory for probes");
	probe_detach(p);
	return r;
}

#else

#include <errno.h>
#include <stddef.h>

static int built_without(struct err *e)
{
	return err_set(e, -ENOTSUP, "built without BPF: it needs clang and libbpf-dev (meson setup -Dbpf=enabled)");
}
int probe_load(const struct hook_plan *plan, struct probe **out, struct err *e)
{
	(void)plan;
	(void)out;
	return built_without(e);
}
int probe_attach(struct probe *p, pid_t pid, struct err *e)
{
	(void)p;
	(void)pid;
	return built_without(e);
}
int probe_try(struct err *e)
{
	return built_without(e);
}
void probe_detach(struct probe *p)
{
	(void)p;
}
int probe_ring_fd(const struct probe *p)
{
	(void)p;
	return -1;
}
int probe_state_fd(const struct probe *p)
{
	(void)p;
	return -1;
}
uint64_t probe_placed(const struct probe *p)
{
	(void)p;
	return 0;
}
uint64_t probe_absent(const struct probe *p)
{
	(void)p;
	return 0;
}

#endif

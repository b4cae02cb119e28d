/* SPDX-License-Identifier: ISC */
#include "guest/plan.h"

#include "guest/elf.h"
#include "guest/insn.h"
#include "guest/kallsyms.h"
#include "guest/offsets.h"
#include "guest/returns.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define JUMP 5u             /* bytes of a jump */
#define ORIG_MAX 24u        /* of struct hook_place.orig */
#define PROBE_MAX 64u       /* how far a probe may be from the entry */
#define FUNCTION_MAX 65536u /* bytes of a function that we look at */
#define OFF_MAX 0x4000u
#define ADDR_MAX (UINT64_C(1) << 47)

#define X(name, fn) fn,
static const char *const site_names[HOOK_SITE_COUNT] = { HOOK_SITES(X) };
static const char *const call_names[HOOK_CALL_COUNT] = { HOOK_CALLS(X) };
#undef X
#define X(name) #name,
static const char *const offset_names[HOOK_OFF_COUNT] = { HOOK_OFFSETS(X) };
#undef X

enum { FIRST_CALL = HOOK_SITE_COUNT, FIRST_RULE = FIRST_CALL + HOOK_CALL_COUNT, LAST = 2 };
#define WANTED_MAX (FIRST_RULE + GUEST_OFFSET_FUNCTIONS + LAST)

struct wanted {
	struct guest_function fn[WANTED_MAX];
	unsigned n, text, text_end;
};

const char *guest_site_name(enum hook_site s)
{
	return s < HOOK_SITE_COUNT ? site_names[s] : "?";
}

const char *guest_call_name(enum hook_call c)
{
	return c < HOOK_CALL_COUNT ? call_names[c] : "?";
}

const char *guest_offset_name(enum hook_offset o)
{
	return o < HOOK_OFF_COUNT ? offset_names[o] : "?";
}

static void want(struct wanted *w)
{
	const char *names[GUEST_OFFSET_FUNCTIONS];
	*w = (struct wanted){ 0 };
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		w->fn[w->n++].name = site_names[i];
	for (unsigned i = 0; i < HOOK_CALL_COUNT; i++)
		w->fn[w->n++].name = call_names[i];
	unsigned rules = guest_offset_functions(names);
	for (unsigned i = 0; i < rules; i++)
		w->fn[w->n++].name = names[i];
	w->text = w->n;
	w->fn[w->n++].name = "_stext";
	w->text_end = w->n;
	w->fn[w->n++].name = "_etext";
}

/* One walk over all symbols. A function ends where the next symbol with another
 * address begins. A name that stands for two functions stands for none. */
static void look_up(const struct kallsyms *k, struct wanted *w)
{
	struct kallsyms_cursor c = kallsyms_first(k);
	struct kallsyms_symbol s;
	bool twice[WANTED_MAX] = { false }, ended = true;
	uint64_t last = 0;
	while (kallsyms_next(&c, &s)) {
		for (unsigned i = 0; !ended && s.addr > last && i < w->n; i++)
			if (w->fn[i].addr == last && w->fn[i].size == 0)
				w->fn[i].size = s.addr - last;
		if (s.addr != last)
			ended = true;
		last = s.addr;
		if (s.type != 't' && s.type != 'T')
			continue;
		for (unsigned i = 0; i < w->n; i++) {
			if (strcmp(w->fn[i].name, s.name) != 0)
				continue;
			twice[i] = twice[i] || (w->fn[i].addr && w->fn[i].addr != s.addr);
			w->fn[i].addr = s.addr;
			ended = false;
		}
	}
	for (unsigned i = 0; i < w->n; i++) {
		if (twice[i])
			w->fn[i].addr = 0;
		if (w->fn[i].size > FUNCTION_MAX)
			w->fn[i].size = FUNCTION_MAX;
	}
}

/* Stays 0 if the kernel has no such function, or none that can be believed. */
static void place(const struct guest_elf *g, const struct guest_function *f, const struct hook_plan *p,
		  struct hook_place *out)
{
	struct slice code, orig;
	if (f->addr < p->text || f->addr >= p->text_end || p->text_end - f->addr < PROBE_MAX + 16 ||
	    !guest_elf_upto(g, f->addr, (size_t)(f->size ? f->size : FUNCTION_MAX), &code) ||
	    !guest_elf_at(g, f->addr, ORIG_MAX, &orig))
		return;
	out->addr = f->addr;
	memcpy(out->orig, orig.p, ORIG_MAX);
	out->keep = (uint8_t)insn_keep(code, JUMP, ORIG_MAX);
	unsigned probe = insn_probe(code);
	out->probe = probe < PROBE_MAX ? (uint8_t)probe : 0;
}

static void text_of(const struct guest_elf *g, const struct wanted *w, struct hook_plan *p)
{
	uint64_t a = w->fn[w->text].addr, b = w->fn[w->text_end].addr;
	bool told = a >= g->text && a < b && b <= g->text_end;
	p->text = told ? a : g->text;
	p->text_end = told ? b : g->text_end;
}

int guest_plan_read(struct slice file, struct hook_plan *out, struct err *e)
{
	static struct wanted w;
	struct guest_elf g;
	struct kallsyms k;
	struct hook_plan p = { .magic = HOOK_PLAN_MAGIC, .size = sizeof(p) };
	int r = guest_elf_read(file, &g, e);
	if (r == 0 && (r = kallsyms_find(file, &k, e)) < 0)
		r = err_set(e, -ENOEXEC, "the kernel carries no symbol table (kallsyms) that we can read");
	if (r < 0)
		return r;
	crypto_generichash(p.build_id, sizeof(p.build_id), file.p, file.n, NULL, 0);
	want(&w);
	look_up(&k, &w);
	p.base = g.base;
	text_of(&g, &w, &p);
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		place(&g, &w.fn[i], &p, &p.site[i]);
	for (unsigned i = 0; i < HOOK_CALL_COUNT; i++) {
		uint64_t a = w.fn[FIRST_CALL + i].addr;
		p.call[i] = a >= p.text && a < p.text_end ? a : 0;
	}
	guest_offsets(&g, &w.fn[FIRST_RULE], w.text - FIRST_RULE, p.off, &p.thread_size);
	guest_returns(&g, &k, &p);
	r = guest_plan_check(&p, sizeof(p), e);
	if (r == 0)
		*out = p;
	return r;
}

/* The file is copied, not mapped: it may be cut off under our hands. */
int guest_plan_make(int kernel_fd, struct hook_plan *out, struct err *e)
{
	struct stat st;
	if (fstat(kernel_fd, &st) < 0)
		return err_sys(e, -errno, "the guest kernel's file");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t)GUEST_ELF_MAX)
		return err_set(e, -ENOEXEC, "the guest kernel is no regular file of at most %u MiB",
			       GUEST_ELF_MAX >> 20);
	size_t n = (size_t)st.st_size, have = 0;
	uint8_t *file = malloc(n);
	if (!file)
		return err_set(e, -ENOMEM, "no memory for the guest kernel's file");
	while (have < n) {
		ssize_t got = pread(kernel_fd, file + have, n - have, (off_t)have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int code = got < 0 ? -errno : -EIO;
			free(file);
			return err_sys(e, code, "read the guest kernel's file");
		}
		have += (size_t)got;
	}
	int r = guest_plan_read(slice_of(file, n), out, e);
	free(file);
	return r;
}

static bool in_text(const struct hook_plan *p, uint64_t addr)
{
	return addr >= p->text && addr < p->text_end;
}

static const char *fault_of(const struct hook_plan *p)
{
	if (p->text >= p->text_end || p->text_end > ADDR_MAX || p->base > p->text)
		return "its text is nowhere";
	if (p->zero || (p->thread_size & (p->thread_size - 1)) || p->thread_size > 0x10000 ||
	    (p->thread_size && p->thread_size < 0x1000))
		return "its stacks are odd";
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		const struct hook_place *s = &p->site[i];
		static const uint8_t none[sizeof(s->pad)] = { 0 };
		if ((s->addr && !in_text(p, s->addr)) || (!s->addr && s->keep) || memcmp(s->pad, none, sizeof(none)))
			return "a site lies outside of its text";
		if ((s->keep && s->keep < JUMP) || s->keep > ORIG_MAX || s->probe >= PROBE_MAX ||
		    (s->addr && p->text_end - s->addr < PROBE_MAX + 16))
			return "a site is out of bounds";
		for (unsigned k = 0; k < HOOK_RETS; k++)
			if (p->ret[i][k] && !in_text(p, p->ret[i][k]))
				return "a return lies outside of its text";
	}
	if (p->tty_write && !in_text(p, p->tty_write))
		return "a function lies outside of its text";
	for (unsigned i = 0; i < HOOK_CALL_COUNT; i++)
		if (p->call[i] && !in_text(p, p->call[i]))
			return "a function lies outside of its text";
	for (unsigned i = 0; i < HOOK_OFF_COUNT; i++)
		if (p->off[i] != HOOK_OFF_NONE && p->off[i] >= OFF_MAX)
			return "an offset is too large";
	return NULL;
}

int guest_plan_check(const struct hook_plan *p, size_t size, struct err *e)
{
	if (size != sizeof(*p) || p->magic != HOOK_PLAN_MAGIC || p->size != sizeof(*p))
		return err_set(e, -EBADMSG, "that is no introspection plan of this version");
#ifndef MUTANT_PLAN_UNCHECKED
	const char *fault = fault_of(p);
	if (fault)
		return err_set(e, -EBADMSG, "the introspection plan makes no sense: %s", fault);
#endif
	return 0;
}

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int guest_plan_seal(const struct hook_plan *p, struct err *e)
{
	int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "memory for the introspection plan");
	ssize_t n = write(fd, p, sizeof(*p));
	if (n != (ssize_t)sizeof(*p) || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		int code = n < 0 || n == (ssize_t)sizeof(*p) ? -errno : -EIO;
		close(fd);
		return err_sys(e, code, "seal the introspection plan");
	}
	return fd;
}

int guest_plan_load(int fd, struct hook_plan *out, struct err *e)
{
	struct stat st;
	struct hook_plan p;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(p) ||
	    pread(fd, &p, sizeof(p), 0) != (ssize_t)sizeof(p))
		return err_set(e, -EBADMSG, "that is no sealed introspection plan");
	int r = guest_plan_check(&p, sizeof(p), e);
	if (r == 0)
		*out = p;
	return r;
}

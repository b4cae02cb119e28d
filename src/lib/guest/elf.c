/* SPDX-License-Identifier: ISC */
#include "guest/elf.h"

#include <elf.h>
#include <errno.h>

static int not_a_kernel(struct err *e, const char *why)
{
	return err_set(e, -ENOEXEC, "not a kernel that can be introspected: %s", why);
}

static bool read_header(struct slice file, Elf64_Ehdr *h)
{
	struct slice s = file;
	return slice_get(&s, h, sizeof(*h)) && memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
	       h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64;
}

/* An address space has room for a segment's end only if the sum does not wrap. */
static bool sane(const Elf64_Phdr *p, size_t file)
{
	return p->p_offset <= file && p->p_filesz <= file - p->p_offset && p->p_vaddr < UINT64_C(1) << 47 &&
	       p->p_filesz < UINT64_C(1) << 40;
}

int guest_elf_read(struct slice file, struct guest_elf *out, struct err *e)
{
	Elf64_Ehdr h;
	struct guest_elf g = { .file = file };
	if (!read_header(file, &h))
		return not_a_kernel(e, "no ELF64 program for x86-64");
	if (h.e_type != ET_EXEC)
		return not_a_kernel(e, "position-independent programs have no fixed addresses");
	if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum > 64)
		return not_a_kernel(e, "odd program headers");
	bool based = false;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		struct slice s;
		Elf64_Phdr p;
		if (h.e_phoff > file.n || !slice_sub(file, (size_t)h.e_phoff + i * sizeof(p), sizeof(p), &s) ||
		    !slice_get(&s, &p, sizeof(p)))
			return not_a_kernel(e, "its program headers are cut off");
		if (p.p_type != PT_LOAD || p.p_filesz == 0)
			continue;
		if (!sane(&p, file.n) || g.nseg == GUEST_ELF_SEGMENTS)
			return not_a_kernel(e, "its segments lie outside of the file");
		g.seg[g.nseg++] = (struct guest_segment){ p.p_vaddr, p.p_offset, p.p_filesz, p.p_flags & PF_X };
		if (!based && p.p_vaddr >= p.p_offset)
			g.base = p.p_vaddr - p.p_offset, based = true;
		if (!(p.p_flags & PF_X))
			continue;
		if (!g.text || p.p_vaddr < g.text)
			g.text = p.p_vaddr;
		if (p.p_vaddr + p.p_filesz > g.text_end)
			g.text_end = p.p_vaddr + p.p_filesz;
	}
	if (!based || g.text_end <= g.text)
		return not_a_kernel(e, "it has no code");
	*out = g;
	return 0;
}

static const struct guest_segment *segment_of(const struct guest_elf *g, uint64_t addr)
{
	for (unsigned i = 0; i < g->nseg; i++)
		if (addr >= g->seg[i].addr && addr - g->seg[i].addr < g->seg[i].size)
			return &g->seg[i];
	return NULL;
}

bool guest_elf_upto(const struct guest_elf *g, uint64_t addr, size_t n, struct slice *out)
{
	const struct guest_segment *s = segment_of(g, addr);
	struct slice whole;
	if (!s || !slice_sub(g->file, (size_t)s->off, (size_t)s->size, &whole) ||
	    !slice_skip(&whole, (size_t)(addr - s->addr)))
		return false;
	*out = slice_head(whole, n);
	return true;
}

bool guest_elf_at(const struct guest_elf *g, uint64_t addr, size_t n, struct slice *out)
{
	struct slice s;
	if (!guest_elf_upto(g, addr, n, &s) || s.n != n)
		return false;
	*out = s;
	return true;
}

bool guest_elf_is_code(const struct guest_elf *g, uint64_t addr)
{
	const struct guest_segment *s = segment_of(g, addr);
	return s && s->exec;
}

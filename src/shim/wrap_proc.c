/* SPDX-License-Identifier: ISC */
/*
 * Processes: exec, fork, exit, credentials, modules.
 *
 * An execution is told before it is tried, since the caller's memory is gone
 * afterwards, and once more when it is known what became of it. The arguments are
 * read where the kernel has just put them: on the new program's stack, from
 * bprm->p upwards, one after the other, however many there are. That memory is not
 * mapped: its pages are found through the new address space's page table, which
 * has three levels and holds guest-physical addresses; the guest's physical
 * memory begins at the kernel's own base. All of them are there: they were written
 * by this very system call. One that is not (the guest swaps) is told as F_FAULT.
 */
#include "shim/out.h"
#include "shim/wrap.h"

#include <string.h>

#define PAGE 4096u
#define PRESENT 1u
#define BLOCK_MAX (16u << 20) /* more arguments than any stack takes */

static const uint8_t *page_of(word mm, word va)
{
	static const uint8_t shifts[3] = { 30, 21, 12 };
	word table = load_word(FIELD(mm, MM_PGD));
	for (int i = 0; i < 3; i++) {
		word v = load_word(table + (va >> shifts[i] & 511) * sizeof(word));
		if (!(v & PRESENT))
			return NULL;
		table = (v & ~(word)(PAGE - 1)) + hook_plan->base;
	}
	return (const uint8_t *)table;
}

struct block {
	word mm, start;
	uint32_t total, at; /* bytes; what is recorded already */
	bool fault;
};

/* Bytes of argc texts. */
static void measure(struct block *b, uint32_t argc)
{
	word va = b->start;
	while (argc && va - b->start < BLOCK_MAX) {
		const uint8_t *page = page_of(b->mm, va);
		if (!page) {
			b->fault = true;
			break;
		}
		const uint8_t *p = page + (va & (PAGE - 1)), *end = page + PAGE;
		while (argc && p < end) {
			const uint8_t *zero = memchr(p, 0, (size_t)(end - p));
			va += (word)((zero ? zero + 1 : end) - p);
			p = zero ? zero + 1 : end;
			argc -= zero ? 1 : 0;
		}
	}
	b->total = (uint32_t)(va - b->start);
}

static size_t copy_block(struct block *b, uint8_t *to, size_t room)
{
	size_t done = 0;
	while (done < room && b->at < b->total) {
		word va = b->start + b->at;
		const uint8_t *page = page_of(b->mm, va);
		size_t n = PAGE - (size_t)(va & (PAGE - 1));
		if (!page)
			break; /* measure saw it: nothing ran in between */
		n = n < b->total - b->at ? n : b->total - b->at;
		n = n < room - done ? n : room - done;
		memcpy(to + done, page + (va & (PAGE - 1)), n);
		done += n;
		b->at += (uint32_t)n;
	}
	return done;
}

static void finish_part(struct out *o, struct block *b, size_t used)
{
	o->rec->flags |= b->at < b->total ? HOOK_F_MORE : b->fault ? HOOK_F_FAULT : 0;
	out_end(o, used);
}

static void tell_exec(word bprm)
{
	struct block b = { .mm = load_word(FIELD(bprm, BPRM_MM)), .start = load_word(FIELD(bprm, BPRM_P)) };
	uint32_t argc = load_u32(FIELD(bprm, BPRM_ARGC));
	const char *name = (const char *)load_word(FIELD(bprm, BPRM_FILENAME));
	measure(&b, argc);
	size_t n = strnlen(name, HOOK_PATH_MAX - 1), used = 8;
	struct out o;
	if (!out_begin(&o, HOOK_EXEC_TRY, 8 + n + 1 + b.total, HOOK_DATA_MAX))
		return;
	memcpy(o.data, &argc, 4);
	memcpy(o.data + 4, &b.total, 4);
	memcpy(o.data + used, name, n);
	o.data[used + n] = 0;
	used += n + 1;
	word fs = known(HOOK_OFF_TASK_FS) && known(HOOK_OFF_FS_PWD) ? load_word(FIELD(current_task(), TASK_FS)) : 0;
	if (fs) {
		word pwd = FIELD(fs, FS_PWD);
		used += path_text(load_word(FIELD(pwd, PATH_MNT)), load_word(FIELD(pwd, PATH_DENTRY)),
				  (char *)o.data + used, o.room - used < HOOK_PATH_MAX ? o.room - used : HOOK_PATH_MAX,
				  &o.rec->flags);
	} else {
		o.data[used++] = 0;
	}
	used += copy_block(&b, o.data + used, o.room - used);
	finish_part(&o, &b, used);
	while (b.at < b.total) {
		uint32_t head[2] = { b.at, 0 };
		size_t rest = b.total - b.at, want = sizeof(head) + rest;
		if (!out_begin(&o, HOOK_EXEC_MORE, want, want < HOOK_DATA_MAX ? want : HOOK_DATA_MAX))
			return;
		memcpy(o.data, head, sizeof(head));
		used = sizeof(head) + copy_block(&b, o.data + sizeof(head), o.room - sizeof(head));
		finish_part(&o, &b, used);
		if (used == sizeof(head))
			return;
	}
}

static void tell_exec_done(int32_t ret)
{
	struct out o;
	if (!out_begin(&o, HOOK_EXEC_DONE, 0, HOOK_PATH_MAX))
		return;
	size_t used = 0;
	o.rec->ret = ret;
	if (!ret && known(HOOK_OFF_TASK_MM) && known(HOOK_OFF_MM_EXE_FILE) && known(HOOK_OFF_FILE_PATH)) {
		word mm = load_word(FIELD(current_task(), TASK_MM));
		word file = mm ? load_word(FIELD(mm, MM_EXE_FILE)) : 0;
		word path = FIELD(file, FILE_PATH);
		if (file)
			used = path_text(load_word(FIELD(path, PATH_MNT)), load_word(FIELD(path, PATH_DENTRY)),
					 (char *)o.data, o.room, &o.rec->flags);
	}
	out_end(&o, used);
}

WRAP(EXEC)
{
	tell_exec(a);
	word ret = CALL_ORIG(EXEC, a, b, c, d);
	tell_exec_done((int32_t)ret);
	return ret;
}

/* (task): before, so that nothing that the child does stands in front of it. */
WRAP(FORK)
{
	uint32_t ids[2] = { load_u32(FIELD(a, TASK_TGID)), load_u32(FIELD(a, TASK_PID)) };
	struct out o;
	if (out_begin(&o, HOOK_FORK, sizeof(ids), sizeof(ids))) {
		memcpy(o.data, ids, sizeof(ids));
		out_end(&o, sizeof(ids));
	}
	return CALL_ORIG(FORK, a, b, c, d);
}

/* (code): never returns. */
WRAP(EXIT)
{
	word signal = load_word(FIELD(current_task(), TASK_SIGNAL));
	uint32_t x[2] = { (uint32_t)a, signal && load_u32(FIELD(signal, SIGNAL_LIVE)) == 1 };
	struct out o;
	if (out_begin(&o, HOOK_EXIT, sizeof(x), sizeof(x))) {
		memcpy(o.data, x, sizeof(x));
		out_end(&o, sizeof(x));
	}
	return CALL_ORIG(EXIT, a, b, c, d);
}

/* (new credentials) */
WRAP(CRED)
{
	word was = load_word(FIELD(current_task(), TASK_CRED));
	uint32_t x[4] = { load_u32(FIELD(was, CRED_UID)), load_u32(FIELD(a, CRED_UID)), load_u32(FIELD(was, CRED_EUID)),
			  load_u32(FIELD(a, CRED_EUID)) };
	word ret = CALL_ORIG(CRED, a, b, c, d);
	struct out o;
	if ((x[0] != x[1] || x[2] != x[3]) && out_begin(&o, HOOK_CRED, sizeof(x), sizeof(x))) {
		memcpy(o.data, x, sizeof(x));
		out_end(&o, sizeof(x));
	}
	return ret;
}

/* (module): the name is copied before, since a module that fails is freed. */
WRAP(MODULE)
{
	char name[56]; /* MODULE_NAME_LEN */
	memcpy(name, (const void *)FIELD(a, MODULE_NAME), sizeof(name));
	name[sizeof(name) - 1] = 0;
	word ret = CALL_ORIG(MODULE, a, b, c, d);
	size_t n = strlen(name) + 1;
	struct out o;
	if (out_begin(&o, HOOK_MODULE, n, n)) {
		o.rec->ret = (int32_t)ret;
		memcpy(o.data, name, n);
		out_end(&o, n);
	}
	return ret;
}

/* SPDX-License-Identifier: ISC */
/*
 * A guest's memory, and a plan: the first bytes are the members' offsets (as far
 * as the plan's check lets them), the rest is the memory from the plan's base on.
 * All that reads guest memory reads it, and neither runs away nor reads elsewhere.
 */
#include "guest/plan.h"
#include "proc/introspect/gmem.h"
#include "proc/introspect/tamper.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0x60000000u
#define TEXT (BASE + 0x100)

static void must(bool ok)
{
	if (!ok)
		abort();
}

static unsigned told;
static void on_tamper(void *arg, const char *what)
{
	(void)arg;
	must(what[0] && strlen(what) < 192);
	told++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static struct ev ev;
	static struct tamper t;
	struct hook_plan p = { .magic = HOOK_PLAN_MAGIC,
			       .size = sizeof(p),
			       .base = BASE,
			       .text = TEXT,
			       .text_end = BASE + 0x4000,
			       .thread_size = 0x1000 };
	struct slice s = slice_of(data, size);
	if (fd < 0) {
		fd = memfd_create("memory", MFD_CLOEXEC);
		must(fd >= 0 && ev_init(&ev, NULL) == 0);
	}
	for (unsigned i = 0; i < HOOK_OFF_COUNT; i++) {
		uint8_t o;
		p.off[i] = slice_u8(&s, &o) ? (uint16_t)(o * 4) : HOOK_OFF_NONE;
	}
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		p.site[i].addr = TEXT + 64 * i;
		p.site[i].keep = (uint8_t)(5 + i % 20);
	}
	must(guest_plan_check(&p, sizeof(p), NULL) == 0);
	if (s.n > 1 << 16)
		return 0;
	must(ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)BASE + (off_t)s.n) == 0);
	must(s.n == 0 || pwrite(fd, s.p, s.n, BASE) == (ssize_t)s.n);
	struct gmem g = { fd, &p };
	struct gmem_task chain[GMEM_CHAIN + 1];
	chain[GMEM_CHAIN].pid = 0xdeadbeef;
	for (uint64_t at = 0; at < s.n && at < 512; at += 8) {
		unsigned n = gmem_ancestors(&g, BASE + at, chain, 1000);
		must(n <= GMEM_CHAIN);
		for (unsigned i = 0; i < n; i++)
			must(strlen(chain[i].comm) < 16 && chain[i].pid <= 1 << 22);
		gmem_current(&g, BASE + at + 4000, &chain[0]);
	}
	must(chain[GMEM_CHAIN].pid == 0xdeadbeef);
	char text[64];
	if (gmem_text(&g, BASE + s.n / 2, text, sizeof(text)))
		must(strlen(text) < sizeof(text));
	char words[100];
	must(gmem_describe(&g, BASE + 64, words, sizeof(words)) == strlen(words));
	told = 0;
	tamper_start(&t, &ev, fd, &p, ~UINT64_C(0), on_tamper, NULL);
	bool fine = tamper_look(&t);
	must(fine == (told == 0));
	must(tamper_look(&t) == fine && told <= 1); /* nothing changed */
	tamper_stop(&t);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/*
 * What a guest's kernel writes: the input is the data area of a ring (byte 0..7:
 * its head, modulo the size), drained twice. What comes out keeps what
 * facts.h promises.
 */
#include "proc/introspect/src_uml.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct src_uml s;
static uint64_t last;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void inside(const void *p, size_t n)
{
	const uint8_t *b = p;
	must(n == 0 || (b >= s.buf.b && b + n <= s.buf.b + sizeof(s.buf.b)));
}

static void text(struct fact_text t)
{
	inside(t.s, t.n);
	must(strlen(t.s) == t.n);
}

static void tty(uint32_t id)
{
	must(HOOK_TTY_KIND(id) > HOOK_TTY_NONE && HOOK_TTY_KIND(id) <= HOOK_TTY_CONSOLE);
}

static void on_fact(void *arg, const struct fact *f)
{
	(void)arg;
	must(f->type > HOOK_NONE && f->type < FACT_TYPE_COUNT && f->time <= 5000 && f->comm[16] == 0);
	if (f->type >= FACT_LOSS)
		return;
	must(f->time >= last);
	last = f->time;
	switch (f->type) {
	case HOOK_HELLO:
		must(!((f->hello.placed | f->hello.absent) >> HOOK_SITE_COUNT));
		break;
	case HOOK_TTY:
		tty(f->term.tty);
		must(f->term.dir <= 1);
		inside(f->term.data.p, f->term.data.n);
		break;
	case HOOK_WINSIZE:
		tty(f->winsize.tty);
		break;
	case HOOK_EXEC_TRY:
		text(f->exec.path);
		text(f->exec.cwd);
		inside(f->exec.args.p, f->exec.args.n);
		must(f->exec.args.n <= f->exec.total && f->exec.offset == 0);
		break;
	case HOOK_EXEC_MORE:
		inside(f->exec.args.p, f->exec.args.n);
		must(f->exec.offset + f->exec.args.n >= f->exec.offset);
		break;
	case HOOK_RENAME:
		text(f->file.to);
		text(f->file.path);
		break;
	case HOOK_OPEN:
	case HOOK_UNLINK:
	case HOOK_CHMOD:
		text(f->file.path);
		break;
	case HOOK_MODULE:
		text(f->module);
		break;
	case HOOK_SOCKET:
		must(f->sock.op < HOOK_SOCKET_OP_COUNT && (f->sock.family == 4 || f->sock.family == 6) &&
		     (f->sock.proto == IPPROTO_TCP || f->sock.proto == IPPROTO_UDP));
		break;
	case HOOK_AUTH:
		inside(f->auth.p, f->auth.n);
		break;
	default:
		break;
	}
}

static uint64_t wall(void)
{
	return 5000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static uint8_t *shm;
	static struct ev ev;
	uint64_t head;
	if (fd < 0) {
		fd = ring_create(RING_MIN, NULL);
		must(fd >= 0 && ev_init(&ev, NULL) == 0);
		shm = mmap(NULL, RING_DATA + RING_MIN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		must(shm != MAP_FAILED);
	}
	if (size < 8 || size - 8 > RING_MIN)
		return 0;
	memcpy(&head, data, 8);
	struct ring_shm *r = (struct ring_shm *)shm;
	memset(shm + RING_DATA, 0, RING_MIN);
	memcpy(shm + RING_DATA, data + 8, size - 8);
	atomic_store(&r->tail, 0);
	atomic_store(&r->head, head);
	last = 0;
	must(src_uml_start(&s, &ev, fd, on_fact, NULL, NULL, NULL) == 0);
	s.clock = wall;
	unsigned n = src_uml_drain(&s, 0);
	must(n <= RING_MIN / sizeof(struct ring_entry));
	src_uml_drain(&s, 7);
	src_uml_stop(&s);
	return 0;
}

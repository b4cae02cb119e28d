/* SPDX-License-Identifier: ISC */
/*
 * Terminals: what programs write and people type.
 *
 * A pty has two sides, and what one writes the other reads: pty_write of the
 * master is the keystrokes, of the slave what the screen shows (echo included:
 * the line discipline writes it, in a kernel worker). It may take fewer bytes
 * than it was given, and the caller comes again with the rest: only those that it
 * took are recorded, after it said how many.
 *
 * A serial line or console has a driver instead of a second side: line_write is
 * its output. Its input is recorded where the line discipline takes it; ptys
 * come by there as well and are left out. What is typed is echoed before that
 * function returns, so the echo stands before the key.
 */
#include "shim/out.h"
#include "shim/wrap.h"

#include <string.h>

static void tty_bytes(uint32_t tty, uint32_t dir, const uint8_t *p, size_t n)
{
	const size_t max = HOOK_DATA_MAX - sizeof(struct hook_tty);
	while (n) {
		size_t part = n < max ? n : max, used = sizeof(struct hook_tty) + part;
		struct out o;
		if (out_begin(&o, HOOK_TTY, used, used)) {
			struct hook_tty h = { tty, dir };
			o.rec->ret = (int32_t)part;
			memcpy(o.data, &h, sizeof(h));
			memcpy(o.data + sizeof(h), p, part);
			out_end(&o, used);
		}
		p += part;
		n -= part;
	}
}

WRAP(PTY_WRITE)
{
	word ret = CALL_ORIG(PTY_WRITE, a, b, c, d);
	int32_t took = (int32_t)ret;
#ifdef MUTANT_SHIM_TTY_ASKED
	took = (int32_t)c;
#endif
	bool master;
	uint32_t id = tty_id(a, &master);
	if (took > 0 && id)
		tty_bytes(id, master ? 0 : 1, (const uint8_t *)b, (size_t)took);
	return ret;
}

WRAP(LINE_WRITE)
{
	word ret = CALL_ORIG(LINE_WRITE, a, b, c, d);
	bool master;
	uint32_t id = tty_id(a, &master);
	if ((int32_t)ret > 0 && id)
		tty_bytes(id, 1, (const uint8_t *)b, (size_t)(int32_t)ret);
	return ret;
}

WRAP(LINE_READ)
{
	word ret = CALL_ORIG(LINE_READ, a, b, c, d);
	bool master;
	uint32_t id = tty_id(a, &master);
	if ((int32_t)ret > 0 && (HOOK_TTY_KIND(id) == HOOK_TTY_SERIAL || HOOK_TTY_KIND(id) == HOOK_TTY_CONSOLE))
		tty_bytes(id, 0, (const uint8_t *)b, (size_t)(int32_t)ret);
	return ret;
}

/* (tty, struct winsize: rows, columns, two more) */
WRAP(PTY_RESIZE)
{
	word ret = CALL_ORIG(PTY_RESIZE, a, b, c, d);
	bool master;
	struct hook_winsize w = { tty_id(a, &master), load_u16(b), load_u16(b + 2) };
	struct out o;
	if (!(int32_t)ret && w.tty && out_begin(&o, HOOK_WINSIZE, sizeof(w), sizeof(w))) {
		memcpy(o.data, &w, sizeof(w));
		out_end(&o, sizeof(w));
	}
	return ret;
}

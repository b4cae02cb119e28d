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
 *
 * Both, what a program writes and what is echoed, are batches (out.c).
 */
#include "shim/out.h"
#include "shim/wrap.h"

#include <string.h>

WRAP(PTY_WRITE)
{
	word ret = CALL_ORIG(PTY_WRITE, a, b, c, d);
	int32_t took = (int32_t)ret;
#ifdef MUTANT_SHIM_TTY_ASKED
	took = (int32_t)c;
#endif
	if (took <= 0 || out_append(a, (const uint8_t *)b, (size_t)took))
		return ret;
	bool master;
	uint32_t id = tty_id(a, &master);
	if (id)
		out_tty(a, id, master ? 0 : 1, (const uint8_t *)b, (size_t)took);
	return ret;
}

WRAP(LINE_WRITE)
{
	word ret = CALL_ORIG(LINE_WRITE, a, b, c, d);
	if ((int32_t)ret <= 0 || out_append(a, (const uint8_t *)b, (size_t)(int32_t)ret))
		return ret;
	bool master;
	uint32_t id = tty_id(a, &master);
	if (id)
		out_tty(a, id, 1, (const uint8_t *)b, (size_t)(int32_t)ret);
	return ret;
}

/* No batch without the hook that ends it before its task waits. */
static bool batches(void)
{
	return hook_orig[HOOK_SITE_SLEEP];
}

WRAP(LINE_READ)
{
	if (batches())
		out_batch_begin();
	word ret = CALL_ORIG(LINE_READ, a, b, c, d);
	out_batch_end();
	bool master;
	uint32_t id = tty_id(a, &master);
	if ((int32_t)ret > 0 && (HOOK_TTY_KIND(id) == HOOK_TTY_SERIAL || HOOK_TTY_KIND(id) == HOOK_TTY_CONSOLE))
		out_tty(a, id, 0, (const uint8_t *)b, (size_t)(int32_t)ret);
	return ret;
}

WRAP(TTY_BATCH)
{
	if (batches())
		out_batch_begin();
	word ret = CALL_ORIG(TTY_BATCH, a, b, c, d);
	out_batch_end();
	return ret;
}

WRAP(SLEEP)
{
#ifndef MUTANT_SHIM_HOLDS_BACK
	out_flush();
#endif
	return CALL_ORIG(SLEEP, a, b, c, d);
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

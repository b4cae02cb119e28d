/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, const char *const *heads)
{
	*t = (struct table){ 0 };
	for (; heads[t->cols] && t->cols < TABLE_COLS; t->cols++) {
		const char *h = heads[t->cols];
		t->right[t->cols] = *h == '>';
		t->heads[t->cols] = strdup(h + (*h == '>'));
		t->broken |= !t->heads[t->cols];
	}
}

void table_add(struct table *t, const char *fmt, ...)
{
	char raw[1024], safe[2048];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(raw) ? (size_t)n : sizeof(raw) - 1;
#ifdef MUTANT_CLI_TABLE_RAW
	memcpy(safe, raw, len);
	safe[len] = 0;
#else
	text_safe(safe, sizeof(safe), raw, len, false);
#endif
	if (t->fill == t->room) {
		unsigned room = t->room ? t->room * 2 : 64;
		char **cells = realloc(t->cells, room * sizeof(*cells));
		if (!cells) {
			t->broken = true;
			return;
		}
		t->cells = cells;
		t->room = room;
	}
	char *copy = strdup(safe);
	if (!copy) {
		t->broken = true;
		return;
	}
	t->cells[t->fill++] = copy;
	t->rows = (t->fill + t->cols - 1) / t->cols;
}

/* Characters, not bytes: cells are well-formed UTF-8 after text_safe. */
static int width(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void row(const struct table *t, FILE *out, char *const *cells, unsigned n, const int *widths)
{
	for (unsigned i = 0; i < n; i++) {
		int pad = widths[i] - width(cells[i]);
		if (t->right[i])
			fprintf(out, "%*s%s", pad, "", cells[i]);
		else
			fprintf(out, "%s%*s", cells[i], i + 1 < t->cols ? pad : 0, "");
		fputs(i + 1 < n ? "  " : "", out);
	}
	fputc('\n', out);
}

int table_print(struct table *t, const struct cmd *c)
{
	int widths[TABLE_COLS] = { 0 };
	if (t->broken) {
		table_free(t);
		return cmd_fail(c, "out of memory");
	}
	for (unsigned i = 0; i < t->cols; i++)
		widths[i] = width(t->heads[i]);
	for (unsigned i = 0; i < t->fill; i++) {
		int w = width(t->cells[i]);
		if (w > widths[i % t->cols])
			widths[i % t->cols] = w;
	}
	row(t, c->out, t->heads, t->cols, widths);
	for (unsigned r = 0; r < t->rows; r++) {
		unsigned left = t->fill - r * t->cols;
		row(t, c->out, t->cells + (size_t)r * t->cols, left < t->cols ? left : t->cols, widths);
	}
	table_free(t);
	return ferror(c->out) ? cmd_fail(c, "cannot write the output") : CMD_OK;
}

void table_free(struct table *t)
{
	for (unsigned i = 0; i < t->fill; i++)
		free(t->cells[i]);
	for (unsigned i = 0; i < t->cols; i++)
		free(t->heads[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}

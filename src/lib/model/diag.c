/* SPDX-License-Identifier: ISC */
#include "base/text.h"
#include "model/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool before(struct mark a, struct mark b)
{
	return a.line != b.line ? a.line < b.line : a.col < b.col;
}

void diag_add(struct diag *d, struct mark at, const char *fmt, ...)
{
	char text[512];
	unsigned i = d->n;
	while (i > 0 && before(at, d->items[i - 1].at))
		i--;
	if (d->n == DIAG_MAX) {
		/* Full: the last one makes room for an earlier one. */
		d->more++;
		if (i == DIAG_MAX)
			return;
		d->n--;
	}
	memmove(&d->items[i + 1], &d->items[i], (d->n - i) * sizeof(d->items[0]));
	d->n++;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	d->items[i].at = at;
	text_safe(d->items[i].text, sizeof(d->items[i].text), text, (size_t)n, false);
}

/* SPDX-License-Identifier: ISC */
/* What an owned inline engine reports: an alert that is taken is one that the
 * gateway and evidence can use, and its texts obey nobody. */
#include "base/text.h"
#include "proc/inspect/report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void harmless(const char *s, size_t cap)
{
	size_t n = strnlen(s, cap);
	if (n == cap)
		abort();
	for (size_t i = 0, len; i < n; i += len) {
		uint32_t c;
		len = text_utf8((const uint8_t *)s + i, n - i, &c);
		if (!len || !text_harmless(c, false))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_alert a = { 0 };
	struct inspect_state s = { 0 };
	uint64_t packets = 0;
	if (report_eve((const char *)data, size, &a, &packets) == REPORT_ALERT) {
		if ((a.family != 4 && a.family != 6) || a.blocked > 1 || !a.signature)
			abort();
		harmless(a.text, sizeof(a.text));
		harmless(a.category, sizeof(a.category));
	}
	report_log((const char *)data, size, &s);
	harmless(s.text, sizeof(s.text));
	harmless(s.version, sizeof(s.version));
	return 0;
}

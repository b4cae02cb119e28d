/* SPDX-License-Identifier: ISC */
/*
 * A file of events that somebody replaced: any bytes. What the readers take for an
 * event can be told, exported and joined; what is exported is valid JSON without
 * anything that a terminal obeys, and means the same.
 */
#include "base/text.h"
#include "cli/export.h"
#include "cli/read_eve.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static json_t *harmless_json(const char *p, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		uint32_t c;
		len = text_utf8((const uint8_t *)p + i, n - i, &c);
		must(len && (text_harmless(c, false) || (c == '\n' && i + 1 == n)));
	}
	json_t *v = json_loadb(p, n, JSON_ALLOW_NUL, NULL);
	must(v != NULL);
	return v;
}

static void one(struct slice line)
{
	char text[64], *buf = NULL;
	size_t n = 0;
	struct pcap_tuple t;
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL), *again;
	if (!json_is_object(v)) {
		json_decref(v);
		return;
	}
	struct evidence_filter f = { 0 };
	must(eve_about(&f, v));
	must(eve_session(v) != NULL);
	if (eve_tuple(v, &t))
		must(t.family == 4 || t.family == 6);
	export_message(text, sizeof(text), v);
	must(strlen(text) < sizeof(text));
	uint64_t time = eve_time(eve_str(v, "timestamp", NULL));

	FILE *out = open_memstream(&buf, &n);
	export_json_text(out, line);
	fclose(out);
	again = harmless_json(buf, n);
	must(json_equal(again, v));
	json_decref(again);
	free(buf);

	out = open_memstream(&buf, &n);
	must(export_json_line(out, export_flat(v, time)) == 0);
	fclose(out);
	again = harmless_json(buf, n);
	json_decref(again);
	free(buf);
	json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size), line;
	long n;
	while ((n = eve_line(s)) > 0 && slice_take(&s, (size_t)n, &line)) {
		line.n--;
		one(line);
	}
	return 0;
}

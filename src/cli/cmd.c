/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- options ------------------------------------------------------------- */

static const struct command_opt *known(const struct cmd *c, const char *name)
{
	const struct command_opt *o = command_opt(c->command, name, strlen(name), 0);
	if (!o) {
		fprintf(stderr, "skep: the table has no --%s for %s\n", name, c->command->name);
		abort();
	}
	return o;
}

const char *cmd_str_at(const struct cmd *c, const char *name, unsigned i)
{
	const struct command_opt *o = known(c, name);
	for (unsigned k = 0; k < c->ngiven; k++)
		if (c->given[k].opt == o && i-- == 0)
			return c->given[k].value;
	return NULL;
}

const char *cmd_str(const struct cmd *c, const char *name)
{
	const struct command_opt *o = known(c, name);
	for (unsigned k = c->ngiven; k > 0; k--)
		if (c->given[k - 1].opt == o)
			return c->given[k - 1].value;
	return NULL;
}

bool cmd_flag(const struct cmd *c, const char *name)
{
	const struct command_opt *o = known(c, name);
	for (unsigned k = 0; k < c->ngiven; k++)
		if (c->given[k].opt == o)
			return true;
	return false;
}

uint64_t cmd_num(const struct cmd *c, const char *name, uint64_t otherwise)
{
	const char *s = cmd_str(c, name);
	uint64_t v = otherwise;
	if (s && known(c, name)->arg == OPT_SECONDS)
		text_seconds(s, &v);
	else if (s)
		v = strtoull(s, NULL, 10);
	return v;
}

static bool two(const char **p, unsigned lo, unsigned hi, int *out)
{
	const char *s = *p;
	if (!isdigit((unsigned char)s[0]) || !isdigit((unsigned char)s[1]))
		return false;
	*out = (s[0] - '0') * 10 + s[1] - '0';
	*p += 2;
	return (unsigned)*out >= lo && (unsigned)*out <= hi;
}

static bool one(const char **p, const char *set)
{
	return **p && strchr(set, **p) && (*p)++;
}

/* RFC 3339, section 5.6. */
static bool rfc3339(const char *s, uint64_t *out)
{
	int century, year, month, day, h, m, sec, oh = 0, om = 0, sign = 0;
	if (!two(&s, 19, 99, &century) || !two(&s, 0, 99, &year) || !one(&s, "-") || !two(&s, 1, 12, &month) ||
	    !one(&s, "-") || !two(&s, 1, 31, &day) || !one(&s, "Tt ") || !two(&s, 0, 23, &h) || !one(&s, ":") ||
	    !two(&s, 0, 59, &m) || !one(&s, ":") || !two(&s, 0, 60, &sec))
		return false;
	uint64_t frac = 0, unit = 100000000;
	if (one(&s, ".")) {
		if (!isdigit((unsigned char)*s))
			return false;
		for (; isdigit((unsigned char)*s); s++, unit /= 10)
			frac += (uint64_t)(*s - '0') * unit;
	}
	if (*s == '+' || *s == '-') {
		sign = *s++ == '+' ? 1 : -1;
		if (!two(&s, 0, 23, &oh) || !one(&s, ":") || !two(&s, 0, 59, &om))
			return false;
	} else if (!one(&s, "Zz")) {
		return false;
	}
	struct tm tm = { .tm_year = century * 100 + year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = h,
			 .tm_min = m,
			 .tm_sec = sec };
	time_t t = timegm(&tm) - sign * (oh * 3600 + om * 60);
	if (*s || t < 0 || tm.tm_mday != day)
		return false;
	*out = (uint64_t)t * 1000000000u + frac;
	return true;
}

int cmd_time(const char *s, uint64_t now, uint64_t *out, struct err *e)
{
	uint64_t v;
	if (text_seconds(s, &v) && v <= now / 1000000000u) {
		*out = now - v * 1000000000u;
		return 0;
	}
	if (rfc3339(s, out))
		return 0;
	return err_set(e, -EINVAL, "\"%s\" is no time: write 2026-05-01T12:00:00Z, or an age as in 10m", s);
}

/* ---- messages ------------------------------------------------------------ */

__attribute__((format(printf, 3, 0))) static void say(FILE *f, const char *head, const char *fmt, va_list ap,
						      const char *tail)
{
	char text[2048], safe[4096];
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	while (len && text[len - 1] == ' ')
		len--;
	text_safe(safe, sizeof(safe), text, len, true);
	fprintf(f, "%s%s%s", head, safe, tail);
	fflush(f);
}

int cmd_fail(const struct cmd *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cmd_progress_end(c);
	say(c->err, "skep: ", fmt, ap, "\n");
	va_end(ap);
	return CMD_FAILED;
}

int cmd_fail_err(const struct cmd *c, const struct err *e, const char *fmt, ...)
{
	char text[512] = "";
	if (fmt) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	return fmt ? cmd_fail(c, "%s: %s", text, e->text) : cmd_fail(c, "%s", e->text);
}

int cmd_usage(const struct cmd *c, const char *fmt, ...)
{
	char head[64], tail[96];
	const char *name = c->command ? c->command->name : "";
	snprintf(head, sizeof(head), "skep%s%s: ", *name ? " " : "", name);
	snprintf(tail, sizeof(tail), "\nSee `skep%s%s --help`.\n", *name ? " " : "", name);
	va_list ap;
	va_start(ap, fmt);
	say(c->err, head, fmt, ap, tail);
	va_end(ap);
	return CMD_USAGE;
}

void cmd_note(const struct cmd *c, const char *fmt, ...)
{
	if (c->quiet)
		return;
	va_list ap;
	va_start(ap, fmt);
	cmd_progress_end(c);
	say(c->err, "", fmt, ap, "\n");
	va_end(ap);
}

static bool tty_line; /* a progress line stands on the terminal */

void cmd_progress(const struct cmd *c, const char *fmt, ...)
{
	if (c->quiet)
		return;
	int fd = fileno(c->err);
	bool tty = fd >= 0 && isatty(fd);
	va_list ap;
	va_start(ap, fmt);
	say(c->err, tty ? "\r\033[K" : "", fmt, ap, tty ? "" : "\n");
	va_end(ap);
	tty_line = tty;
}

void cmd_progress_end(const struct cmd *c)
{
	if (!tty_line)
		return;
	fputs("\r\033[K", c->err);
	fflush(c->err);
	tty_line = false;
}

/* ---- text ---------------------------------------------------------------- */

const char *cmd_safe(char *buf, size_t cap, const char *s)
{
	text_safe(buf, cap, s, strlen(s), false);
	return buf;
}

json_t *cmd_string_n(const char *s, size_t n)
{
	char small[512], *buf = small;
	size_t cap = n * 4 + 1;
	if (cap > sizeof(small) && !(buf = malloc(cap)))
		return NULL;
	size_t len = text_safe(buf, cap, s, n, true);
	json_t *v = json_stringn(buf, len);
	if (buf != small)
		free(buf);
	return v;
}

json_t *cmd_string(const char *s)
{
	return cmd_string_n(s, strlen(s));
}

static int dump(const struct cmd *c, json_t *v, size_t flags)
{
	int r = v ? json_dumpf(v, c->out, flags | JSON_ENSURE_ASCII) : -1;
	json_decref(v);
	if (r < 0 || fputc('\n', c->out) == EOF)
		return cmd_fail(c, "cannot write the output");
	return CMD_OK;
}

int cmd_json(const struct cmd *c, json_t *v)
{
	return dump(c, v, JSON_INDENT(2));
}

int cmd_json_line(const struct cmd *c, json_t *v)
{
	return dump(c, v, JSON_COMPACT);
}

const char *cmd_time_text(char buf[CMD_TIME_TEXT], uint64_t ns, int digits)
{
	time_t t = (time_t)(ns / 1000000000u);
	struct tm tm;
	gmtime_r(&t, &tm);
	size_t n = strftime(buf, CMD_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	unsigned frac = (unsigned)(ns % 1000000000u);
	if (digits == 3)
		snprintf(buf + n, CMD_TIME_TEXT - n, ".%03uZ", frac / 1000000);
	else if (digits == 6)
		snprintf(buf + n, CMD_TIME_TEXT - n, ".%06uZ", frac / 1000);
	else
		snprintf(buf + n, CMD_TIME_TEXT - n, "Z");
	return buf;
}

const char *cmd_size_text(char buf[CMD_SIZE_TEXT], uint64_t bytes)
{
	static const char unit[] = " KMGTPE";
	unsigned u = 0;
	uint64_t v = bytes, rest = 0;
	while (v >= 1024 && u < sizeof(unit) - 2) {
		rest = v % 1024;
		v /= 1024;
		u++;
	}
	uint64_t tenth = rest * 10 / 1024;
	if (!u)
		snprintf(buf, CMD_SIZE_TEXT, "%llu", (unsigned long long)v);
	else if (v < 10 && tenth)
		snprintf(buf, CMD_SIZE_TEXT, "%llu.%llu%c", (unsigned long long)v, (unsigned long long)tenth, unit[u]);
	else
		snprintf(buf, CMD_SIZE_TEXT, "%llu%c", (unsigned long long)v, unit[u]);
	return buf;
}

const char *cmd_age_text(char buf[CMD_SIZE_TEXT], uint64_t s)
{
	unsigned long long d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60, sec = s % 60;
	if (d)
		snprintf(buf, CMD_SIZE_TEXT, "%llud%02lluh", d, h);
	else if (h)
		snprintf(buf, CMD_SIZE_TEXT, "%lluh%02llum", h, m);
	else if (m)
		snprintf(buf, CMD_SIZE_TEXT, "%llum%02llus", m, sec);
	else
		snprintf(buf, CMD_SIZE_TEXT, "%llus", sec);
	return buf;
}

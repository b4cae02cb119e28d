/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *role_name = "skep";
static enum log_level max_level = LOG_L_INFO;

void log_init(const char *role, enum log_level max)
{
	role_name = role;
	max_level = max;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char *const tag[] = { "error: ", "warning: ", "", "debug: " };
	char text[1024], safe[2048], line[2200];
	int was = errno;
	if (level > max_level)
		return;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	text_safe(safe, sizeof(safe), text, (size_t)n, true);
	n = snprintf(line, sizeof(line), "skep[%s]: %s%s\n", role_name, tag[level], safe);
	/* One write, so that lines of several processes do not mix. A log that
	 * cannot be written must not stop anything. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0) {
	}
	errno = was;
}

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_LOG_H
#define SKEP_BASE_LOG_H

/*
 * Diagnostics for the operator, on standard error, one line each:
 * "skep[role]: text". Bytes that an intruder can influence are made harmless
 * here (C0, C1 and DEL become \xNN), so that no caller can forget it.
 * Evidence never goes through this.
 */
enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* Name shown in brackets; a string literal or one that outlives the process. */
void log_init(const char *role, enum log_level max);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_L_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_L_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_L_DEBUG, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_INSPECT_REPORT_H
#define SKEP_PROC_INSPECT_REPORT_H

#include "proto/proto.h"

#include <stddef.h>

/*
 * What Suricata 7 reports: one line of EVE JSON for each datagram, and lines of
 * text on its output. An intruder may own it: nothing of it is believed but what
 * is checked here, and texts are made harmless.
 */
enum report { REPORT_BAD, REPORT_OTHER, REPORT_ALERT, REPORT_STATS };

#define REPORT_MAX 65536u

/* REPORT_ALERT: *a is the alert. REPORT_STATS: *packets is what it has decoded
 * until now. Untouched otherwise. */
enum report report_eve(const char *line, size_t n, struct gw_alert *a, uint64_t *packets);

enum log_kind { LOG_KIND_OTHER, LOG_KIND_VERSION, LOG_KIND_RULES, LOG_KIND_STARTED, LOG_KIND_PROBLEM };

/* A line of its output without the end of line. Fills in what the kind says:
 * version; loaded and failed; text. */
enum log_kind report_log(const char *line, size_t n, struct inspect_state *s);

#endif

/* SPDX-License-Identifier: ISC */
#include "proc/inspect/report.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "2026-11-23T15:54:22.237753+0000" -> ns since 1970; 0 if it is none. */
static uint64_t time_of(const char *s)
{
	struct tm t = { 0 };
	unsigned y, mo, us, zone;
	char sign;
	if (!s || sscanf(s, "%4u-%2u-%2dT%2d:%2d:%2d.%6u%c%4u", &y, &mo, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec,
			 &us, &sign, &zone) != 9)
		return 0;
	if (y < 1970 || y > 2200 || mo < 1 || mo > 12 || (sign != '+' && sign != '-'))
		return 0;
	t.tm_year = (int)y - 1900;
	t.tm_mon = (int)mo - 1;
	time_t at = timegm(&t);
	int off = ((int)(zone / 100) * 60 + (int)(zone % 100)) * 60;
	at -= sign == '+' ? off : -off;
	return at < 0 ? 0 : (uint64_t)at * 1000000000u + us * 1000u;
}

static bool number(const json_t *o, const char *key, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(o, key);
	if (!v) {
		*out = 0;
		return true;
	}
	if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
		return false;
	*out = (uint64_t)json_integer_value(v);
	return true;
}

static int address(const json_t *o, const char *key, uint8_t out[16])
{
	const char *s = json_string_value(json_object_get(o, key));
	memset(out, 0, 16);
	if (s && inet_pton(AF_INET, s, out) == 1)
		return 4;
	return s && inet_pton(AF_INET6, s, out) == 1 ? 6 : 0;
}

/* The names that Suricata writes; or a number. */
static int protocol(const char *s)
{
	static const struct {
		const char *name;
		uint8_t number;
	} known[] = { { "TCP", 6 },   { "UDP", 17 },     { "ICMP", 1 },   { "IPv6-ICMP", 58 },  { "SCTP", 132 },
		      { "GRE", 47 },  { "ESP", 50 },     { "AH", 51 },    { "IGMP", 2 },        { "IPv6", 41 },
		      { "PIM", 103 }, { "OSPFIGP", 89 }, { "VRRP", 112 }, { "IPv6-ICMPv6", 58 } };
	char *end;
	if (!s || !*s)
		return -1;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, s))
			return known[i].number;
	unsigned long n = strtoul(s, &end, 10);
	return *end || n > 255 ? -1 : (int)n;
}

static void harmless(char *out, size_t cap, const json_t *v)
{
	const char *s = json_string_value(v);
	out[0] = 0;
	if (s)
		text_safe(out, cap, s, strnlen(s, 4 * cap), false);
}

static bool alert_of(const json_t *o, struct gw_alert *out)
{
	const json_t *x = json_object_get(o, "alert");
	struct gw_alert a = { 0 };
	uint64_t gid, sid, rev, severity, sport, dport;
	int family = address(o, "src_ip", a.saddr), other = address(o, "dest_ip", a.daddr);
	int proto = protocol(json_string_value(json_object_get(o, "proto")));
	const char *action = json_string_value(json_object_get(x, "action"));
	if (!json_is_object(x) || !family || family != other || proto < 0)
		return false;
	if (!number(x, "gid", UINT32_MAX, &gid) || !number(x, "signature_id", UINT32_MAX, &sid) ||
	    !number(x, "rev", UINT32_MAX, &rev) || !number(x, "severity", 255, &severity) ||
	    !number(o, "src_port", 65535, &sport) || !number(o, "dest_port", 65535, &dport) || !sid)
		return false;
	a.time = time_of(json_string_value(json_object_get(o, "timestamp")));
	a.gid = (uint32_t)gid;
	a.signature = (uint32_t)sid;
	a.rev = (uint32_t)rev;
	a.severity = (uint32_t)severity;
	a.family = (uint8_t)family;
	a.proto = (uint8_t)proto;
	a.blocked = action && !strcmp(action, "blocked");
	a.sport = (uint16_t)sport;
	a.dport = (uint16_t)dport;
	harmless(a.text, sizeof(a.text), json_object_get(x, "signature"));
	harmless(a.category, sizeof(a.category), json_object_get(x, "category"));
	*out = a;
	return true;
}

enum report report_eve(const char *line, size_t n, struct gw_alert *a, uint64_t *packets)
{
	json_error_t e;
	if (!n || n > REPORT_MAX)
		return REPORT_BAD;
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, &e);
	const char *type = json_string_value(json_object_get(o, "event_type"));
	enum report r = REPORT_BAD;
	if (!json_is_object(o) || !type) {
		r = REPORT_BAD;
	} else if (!strcmp(type, "alert")) {
		r = alert_of(o, a) ? REPORT_ALERT : REPORT_BAD;
	} else if (!strcmp(type, "stats")) {
		uint64_t pkts;
		const json_t *d = json_object_get(json_object_get(o, "stats"), "decoder");
		if (number(d, "pkts", INT64_MAX, &pkts)) {
			*packets = pkts;
			r = REPORT_STATS;
		}
	} else {
		r = REPORT_OTHER;
	}
	json_decref(o);
	return r;
}

static const char *find(const char *line, const char *what)
{
	const char *at = strstr(line, what);
	return at ? at + strlen(what) : NULL;
}

enum log_kind report_log(const char *raw, size_t n, struct inspect_state *s)
{
	char line[512];
	const char *at;
	unsigned loaded, failed;
	text_safe(line, sizeof(line), raw, n < sizeof(line) ? n : sizeof(line) - 1, false);
	if ((at = find(line, "This is Suricata version "))) {
		text_safe(s->version, sizeof(s->version), at, strcspn(at, " "), false);
		return LOG_KIND_VERSION;
	}
	if ((at = find(line, "rule files processed. ")) &&
	    sscanf(at, "%9u rules successfully loaded, %9u rules failed", &loaded, &failed) == 2) {
		s->loaded = loaded;
		s->failed = failed;
		return LOG_KIND_RULES;
	}
	if (strstr(line, "Engine started."))
		return LOG_KIND_STARTED;
	if (!strncmp(line, "E: ", 3) || !strncmp(line, "Error: ", 7) || !strncmp(line, "W: detect", 9) ||
	    !strncmp(line, "Warning: detect", 15)) {
		/* Cut between two characters. */
		at = strchr(line, ':') + 2;
		text_safe(s->text, sizeof(s->text), at, strlen(at), false);
		return LOG_KIND_PROBLEM;
	}
	return LOG_KIND_OTHER;
}

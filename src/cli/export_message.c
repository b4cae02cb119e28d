/* SPDX-License-Identifier: ISC */
/* Events in words, for programs that show a line of text for each. */
#include "cli/export.h"
#include "cli/read_eve.h"

#include "base/text.h"

#include <string.h>

static const char *end_text(char out[96], json_t *v, const char *ip, const char *port)
{
	const char *a = eve_str(v, ip, NULL);
	bool six = strchr(a, ':') != NULL;
	if (eve_num(v, port, NULL))
		snprintf(out, 96, "%s%s%s:%llu", six ? "[" : "", a, six ? "]" : "",
			 (unsigned long long)eve_num(v, port, NULL));
	else
		snprintf(out, 96, "%s", a);
	return out;
}

void export_trim(char *s)
{
	uint32_t c;
	size_t n = strlen(s), i = 0, len;
	while (i < n && (len = text_utf8((const uint8_t *)s + i, n - i, &c)))
		i += len;
	s[i] = '\0';
}

void export_words(char *out, size_t cap, json_t *argv)
{
	size_t i, n = 0;
	json_t *one;
	*out = '\0';
	json_array_foreach(argv, i, one)
	{
		const char *s = json_string_value(one);
		if (s && n < cap)
			n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? " " : "", s);
	}
	export_trim(out);
}

static void on_flow(char *out, size_t cap, json_t *v)
{
	char src[96], dst[96];
	snprintf(out, cap, "%s %s > %s, %llu/%llu packets, %s (%s)", eve_str(v, "proto", NULL),
		 end_text(src, v, "src_ip", "src_port"), end_text(dst, v, "dest_ip", "dest_port"),
		 (unsigned long long)eve_num(v, "flow", "pkts_toserver"),
		 (unsigned long long)eve_num(v, "flow", "pkts_toclient"), eve_str(v, "skep", "verdict"),
		 eve_str(v, "skep", "reason"));
}

static void on_session(char *out, size_t cap, json_t *v, const char *what)
{
	char src[96];
	const char *user = eve_str(v, "session", "username");
	end_text(src, v, "src_ip", "src_port");
	if (!strcmp(what, "closed"))
		snprintf(out, cap, "session %s is over after %llu s, %llu commands typed, %llu programs executed",
			 eve_session(v), (unsigned long long)eve_num(v, "session", "duration_ms") / 1000,
			 (unsigned long long)eve_num(v, "session", "commands"),
			 (unsigned long long)eve_num(v, "session", "execs"));
	else
		snprintf(out, cap, "%s session %s%s%s%s%s", eve_str(v, "session", "service"), eve_session(v),
			 *src ? " from " : "", src, *user ? " as " : "", user);
}

static void on_login(char *out, size_t cap, json_t *v, const char *what)
{
	char src[96];
	const char *key = eve_str(v, "login", "key"), *password = eve_str(v, "login", "password");
	end_text(src, v, "src_ip", "src_port");
	snprintf(out, cap, "login %s: %s with %s %s%s%s", what, eve_str(v, "login", "username"),
		 *key ? "key" : "password", *key ? key : password, *src ? " from " : "", src);
}

static void on_process(char *out, size_t cap, json_t *v, const char *what)
{
	char words[600];
	long long result = (long long)json_integer_value(json_object_get(json_object_get(v, "process"), "result"));
	unsigned long long pid = eve_num(v, "process", "pid");
	if (!strcmp(what, "exec")) {
		export_words(words, sizeof(words), json_object_get(json_object_get(v, "process"), "argv"));
		snprintf(out, cap, "%s %s (pid %llu): %s", result ? "could not execute" : "executed",
			 eve_str(v, "process", "path"), pid, words);
	} else if (!strcmp(what, "setuid")) {
		snprintf(out, cap, "%s (pid %llu) changed from uid %llu to %llu", eve_str(v, "process", "comm"), pid,
			 (unsigned long long)eve_num(v, "process", "old_euid"),
			 (unsigned long long)eve_num(v, "process", "new_euid"));
	} else {
		bool killed = json_object_get(json_object_get(v, "process"), "signal") != NULL;
		snprintf(out, cap, "%s (pid %llu) ended, %s %llu", eve_str(v, "process", "comm"), pid,
			 killed ? "signal" : "status",
			 (unsigned long long)eve_num(v, "process", killed ? "signal" : "status"));
	}
}

static void on_connection(char *out, size_t cap, json_t *v, const char *what)
{
	char src[96], dst[96];
	const char *comm = eve_str(v, "connection", "comm");
	end_text(src, v, "src_ip", "src_port");
	end_text(dst, v, "dest_ip", "dest_port");
	if (!strcmp(what, "listen"))
		snprintf(out, cap, "%s listens at %s %s", comm, eve_str(v, "proto", NULL), dst);
	else
		snprintf(out, cap, "%s %s: %s %s > %s", comm, !strcmp(what, "accept") ? "accepted" : "connects",
			 eve_str(v, "proto", NULL), src, dst);
}

void export_text(char *text, size_t cap, json_t *v)
{
	const char *type = eve_str(v, "event_type", NULL), *id = eve_str(v, type, "eventid");
	const char *what = strrchr(id, '.') ? strrchr(id, '.') + 1 : id, *message = eve_str(v, type, "message");
	if (!strcmp(type, "flow"))
		on_flow(text, cap, v);
	else if (!strcmp(type, "session"))
		on_session(text, cap, v, what);
	else if (!strcmp(type, "login"))
		on_login(text, cap, v, what);
	else if (!strcmp(type, "command"))
		snprintf(text, cap, "typed: %s", eve_str(v, "command", "input"));
	else if (!strcmp(type, "process"))
		on_process(text, cap, v, what);
	else if (!strcmp(type, "connection"))
		on_connection(text, cap, v, what);
	else if (!strcmp(type, "file"))
		snprintf(text, cap, "%s %s%s%s", what, eve_str(v, "file", "path"),
			 *eve_str(v, "file", "to") ? " to " : "", eve_str(v, "file", "to"));
	else if (!strcmp(type, "module"))
		snprintf(text, cap, "kernel module %s loaded", eve_str(v, "module", "name"));
	else
		snprintf(text, cap, "%s", *message ? message : *id ? id : type);
	export_trim(text);
}

void export_message(char *out, size_t cap, json_t *v)
{
	char text[1000];
	const char *type = eve_str(v, "event_type", NULL);
	const char *hp = eve_str(v, !strcmp(type, "flow") ? "skep" : type, "honeypot");
	export_text(text, sizeof(text), v);
	snprintf(out, cap, "%s%s%s", hp, *hp ? ": " : "", text);
	export_trim(out);
}

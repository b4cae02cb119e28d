/* SPDX-License-Identifier: ISC */
#include "proc/notify/compose.h"

#include "base/json.h"
#include "base/text.h"
#include "proto/msg.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const on_names[TRIGGER_ON_COUNT] = { "alert", "limit", "keyword", "process", "command", "login" };
static const char *const action_names[] = { "event", "notify", "freeze", "policy", "pause" };

bool compose_check(const struct notify_notice *x)
{
	return x->on < TRIGGER_ON_COUNT && MSG_TEXT(x->honeynet) && MSG_TEXT(x->honeypot) && MSG_TEXT(x->trigger) &&
	       MSG_TEXT(x->text);
}

size_t compose_json(char *buf, size_t cap, const struct notify_notice *x)
{
	struct json j;
	char id[48];
	snprintf(id, sizeof(id), "skep.trigger.%s", on_names[x->on]);
	json_init(&j, buf, cap);
	json_obj(&j, NULL);
	json_time(&j, "timestamp", x->time);
	json_str(&j, "event_type", "trigger");
	if (x->flow)
		json_u64(&j, "flow_id", x->flow);
	json_obj(&j, "trigger");
	json_str(&j, "eventid", id);
	json_str(&j, "sensor", x->honeynet);
	json_str(&j, "honeypot", x->honeypot);
	json_str(&j, "name", x->trigger);
	json_str(&j, "text", x->text);
	json_u64(&j, "count", x->count);
	json_arr(&j, "actions");
	for (unsigned i = 0; i < sizeof(action_names) / sizeof(action_names[0]); i++)
		if (x->actions >> i & 1)
			json_str(&j, NULL, action_names[i]);
	json_end(&j);
	if (x->session) {
		char session[24];
		snprintf(session, sizeof(session), "%012" PRIx64, x->session);
		json_str(&j, "session", session);
	}
	json_u64(&j, "left_out", x->left_out);
	json_end(&j);
	json_end(&j);
	json_newline(&j);
	return j.full ? 0 : j.n;
}

bool compose_address_ok(const char *to)
{
	const char *at = strchr(to, '@');
	for (const char *p = to; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._%+-@=", *p))
			return false;
	/* A local user's name needs no @. */
	return to[0] && to[0] != '-' && to[0] != '@' && (!at || (at[1] && !strchr(at + 1, '@')));
}

/* Printable ASCII: nothing else may stand in a header. */
static void header_text(char *dst, size_t cap, const char *src)
{
	size_t n = 0;
#ifdef MUTANT_NOTIFY_HEADER_INJECTION
	snprintf(dst, cap, "%s", src);
	return;
#endif
	for (; *src && n + 1 < cap; src++)
		dst[n++] = *src >= 0x20 && *src < 0x7f ? *src : '?';
	dst[n] = 0;
}

size_t compose_mail(char *buf, size_t cap, const char *to, const struct notify_notice *x)
{
	char who[3][NAME_CAP], text[61], safe[900], when[JSON_TIME];
	if (!compose_address_ok(to))
		return 0;
	header_text(who[0], sizeof(who[0]), x->honeynet);
	header_text(who[1], sizeof(who[1]), x->honeypot);
	header_text(who[2], sizeof(who[2]), x->trigger);
	header_text(text, sizeof(text), x->text);
	text_safe(safe, sizeof(safe), x->text, strlen(x->text), false);
	json_time_text(when, x->time);
	int n = snprintf(buf, cap,
			 "To: %s\n"
			 "Subject: [skep %s/%s] %s: %s\n"
			 "MIME-Version: 1.0\n"
			 "Content-Type: text/plain; charset=utf-8\n"
			 "Content-Transfer-Encoding: 8bit\n"
			 "Auto-Submitted: auto-generated\n"
			 "\n"
			 "Trigger %s (%s) of honeypot %s in honeynet %s, %s.\n"
			 "\n"
			 "What (an intruder may have written this): %s\n"
			 "How often since the last time: %u\n"
			 "Done:%s%s%s%s\n"
			 "Notices left out before this one: %u\n"
			 "Flow: %" PRIu64 "\n"
			 "Session: %012" PRIx64 "\n",
			 to, who[0], who[1], who[2], text, who[2], on_names[x->on], who[1], who[0], when, safe,
			 x->count, x->actions & TRIGGER_DO_FREEZE ? " frozen" : "",
			 x->actions & TRIGGER_DO_POLICY ? " policy tightened" : "",
			 x->actions & TRIGGER_DO_PAUSE ? " paused" : "",
			 x->actions & (TRIGGER_DO_FREEZE | TRIGGER_DO_POLICY | TRIGGER_DO_PAUSE) ? "" : " told only",
			 x->left_out, x->flow, x->session);
	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* SPDX-License-Identifier: ISC */
/* Types of the policy: rates and budgets. */
#include "model/bind_type.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What binding a budget's keys leaves for bind_budget. */
struct amount {
	uint64_t value;
	uint32_t seconds;
	bool set;
};

/* "/second" to "/day" -> seconds. */
static bool period(const char *s, uint32_t *out)
{
	static const struct {
		const char *name;
		uint32_t seconds;
	} table[] = { { "/second", 1 }, { "/minute", 60 }, { "/hour", 3600 }, { "/day", 86400 } };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(s, table[i].name)) {
			*out = table[i].seconds;
			return true;
		}
	}
	return false;
}

bool bind_split_rate(const char *s, char *buf, size_t cap, uint32_t *seconds)
{
	const char *slash = strchr(s, '/');
	if (!slash || (size_t)(slash - s) >= cap || !period(slash, seconds))
		return false;
	memcpy(buf, s, (size_t)(slash - s));
	buf[slash - s] = '\0';
	return true;
}

bool bind_rate(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct limit l = { 0 };
	char number[24];
	uint64_t count;
	if (bind_is_word(v, "unlimited")) {
		l.count = LIMIT_UNLIMITED;
	} else if (!bind_is_word(v, "none") && !bind_is_word(v, "0")) {
		if (!bind_is_text(v) || !bind_split_rate(v->text, number, sizeof(number), &l.seconds) ||
		    !bind_digits(number, &count) || count > LIMIT_COUNT_MAX)
			return bind_wrong(b, k, v,
					  "N/second, N/minute, N/hour or N/day with N up to 10000, none or unlimited");
		l.count = (uint32_t)count;
	}
	memcpy((char *)base + k->offset, &l, sizeof(l));
	return true;
}

bool bind_rates(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (bind_is_word(v, "none")) {
		memset((char *)base + k->offset, 0, LIMIT_CLASS_COUNT * sizeof(struct limit));
		return true;
	}
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "none, or a mapping as {tcp: 10/hour}");
	return bind_submap(b, k, v, base);
}

bool bind_amount(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct amount a = { .set = true };
	char number[24], want[160], max[32];
	bool bytes = k->type == KEY_AMOUNT;
	const char *text = bind_is_text(v) ? v->text : "";
	bool ok = bind_is_word(v, "unlimited");
	if (!ok && (!k->size || bind_split_rate(text, number, sizeof(number), &a.seconds))) {
		text = k->size ? number : text;
		ok = (bytes ? text_bytes(text, &a.value) : bind_digits(text, &a.value)) && a.value >= k->min &&
		     a.value <= k->max;
	}
	if (!ok) {
		if (bytes)
			bind_bytes_text(k->max, max);
		else
			snprintf(max, sizeof(max), "%" PRIu64, k->max);
		snprintf(want, sizeof(want), "%s%s (up to %s), or unlimited",
			 bytes ? "a size as 64M" : "a number as 100000",
			 k->size ? " with /second, /minute, /hour or /day" : "", max);
		return bind_wrong(b, k, v, want);
	}
	((struct amount *)base)[bytes ? 0 : 1] = a;
	return true;
}

/* Bytes and packets of one budget have one window. What is not written stays as
 * it was inherited. */
bool bind_budget(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct budget now;
	struct amount draft[2] = { 0 };
	char *to = (char *)base + k->offset;
	memcpy(&now, to, sizeof(now));
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "a mapping with bytes and packets");
	bind_map(b, v, k->sub, draft, k->name, v->at);
	if (!draft[0].set && !draft[1].set)
		return false;
	struct amount bytes = draft[0].set ? draft[0] : (struct amount){ now.bytes, now.seconds, false };
	struct amount packets = draft[1].set ? draft[1] : (struct amount){ now.packets, now.seconds, false };
	if (bytes.value && packets.value && bytes.seconds != packets.seconds) {
		diag_add(b->d, v->at, "%s budget: bytes and packets need the same period%s", k->name,
			 draft[0].set && draft[1].set ? "" : ": write both, since one is inherited");
		return false;
	}
	now.bytes = bytes.value;
	now.packets = packets.value;
	if (bytes.value || packets.value)
		now.seconds = bytes.value ? bytes.seconds : packets.seconds;
	memcpy(to, &now, sizeof(now));
	return true;
}

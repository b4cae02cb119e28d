/* SPDX-License-Identifier: ISC */
#include "proc/vmm/mconsole.h"

#include "base/slice.h"

#define MAGIC 0xcafebabeu
#define VERSION 2

enum { NOTIFY_SOCKET, NOTIFY_PANIC, NOTIFY_HANG, NOTIFY_USER };

bool mconsole_request(const char *command, uint8_t out[MCONSOLE_REQUEST])
{
	size_t n = strlen(command);
	if (n >= MCONSOLE_DATA)
		return false;
	uint32_t head[3] = { MAGIC, VERSION, (uint32_t)n };
	memset(out, 0, MCONSOLE_REQUEST);
	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), command, n);
	return true;
}

bool mconsole_parse(const void *p, size_t n, struct mconsole_msg *out)
{
	struct slice s = slice_of(p, n), data;
	uint32_t word[4] = { 0 };
	/* UML runs on x86 only: little-endian is its byte order. */
	for (int i = 0; i < 3; i++)
		if (!slice_le32(&s, &word[i]))
			return false;
	bool notification = word[0] == MAGIC;
	if (notification && (word[1] != VERSION || !slice_le32(&s, &word[3])))
		return false;
	uint32_t len = notification ? word[3] : word[2];
	if (len > MCONSOLE_DATA || !slice_take(&s, len, &data))
		return false;

	memset(out, 0, sizeof(*out));
	out->kind = !notification              ? MCONSOLE_REPLY
		    : word[2] == NOTIFY_SOCKET ? MCONSOLE_READY
		    : word[2] == NOTIFY_PANIC  ? MCONSOLE_PANIC
					       : MCONSOLE_OTHER;
	out->failed = !notification && word[0] != 0;
	out->more = !notification && word[1] != 0;
	/* Up to the first NUL; memset ended it. */
	const uint8_t *nul = data.n ? memchr(data.p, 0, data.n) : NULL;
	size_t k = nul ? (size_t)(nul - data.p) : data.n;
	if (k)
		memcpy(out->text, data.p, k);
	return true;
}

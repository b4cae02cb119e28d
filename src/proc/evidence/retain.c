/* SPDX-License-Identifier: ISC */
/*
 * Limits on size and age. The oldest closed files go first; an open one, one
 * whose CLOSE record is not committed yet, and the kept configuration never do.
 * The REMOVE record, with the file's size and hash, is committed before the
 * file is unlinked: what is missing later can be told from what was stolen.
 *
 * Oldest is what was closed first by the order of the records, not by the clock,
 * and nothing goes before its elders: no file outlives the journal file that
 * tells of it, and the chain can be followed from the first journal file left.
 */
#include "proc/evidence/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int mark(struct store *s, struct kept *k, uint64_t now)
{
	uint8_t b[8 + JOURNAL_HASH + STORE_NAME];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	body_u64(&body, k->size);
#ifdef MUTANT_RETAIN_HASH_LOST
	memset(k->hash, 0, JOURNAL_HASH);
#endif
	body_bytes(&body, k->hash, JOURNAL_HASH);
	body_bytes(&body, k->name, strlen(k->name));
	if (store_record(s, J_REMOVE, now, b, body.n) < 0)
		return s->failed;
	k->removing = true;
	k->ticket = store_ticket(s);
	return 0;
}

int retain_apply(struct store *s, uint64_t now)
{
	uint64_t left = s->total;
	uint64_t age = s->conf.max_age * EV_SEC;
	for (unsigned i = 0; i < s->nkept; i++)
		if (s->kept[i].removing && !s->kept[i].removed)
			left -= s->kept[i].size;
	for (unsigned i = 0; i < s->nkept && !s->failed; i++) {
		struct kept *k = &s->kept[i];
		if (k->removing || k->removed || k->for_ever)
			continue;
		bool old = age && now > k->closed && now - k->closed > age;
		bool over = s->conf.max_bytes && left > s->conf.max_bytes;
		if (!k->committed || (!old && !over))
			break;
		if (mark(s, k, now) < 0)
			break;
		left -= k->size;
	}
	return s->failed;
}

void retain_unlink(struct store *s)
{
	unsigned out = 0;
	for (unsigned i = 0; i < s->nkept; i++) {
		struct kept *k = &s->kept[i];
		if (k->removing && !k->removed && store_durable(s, k->ticket)) {
			if (unlinkat(s->dirfd, k->name, 0) == 0 || errno == ENOENT) {
				/* One after the other: what is gone after a power cut, too. */
				if (store_sync_folder(s, k->name) < 0)
					return;
				s->total -= k->size < s->total ? k->size : s->total;
				store_note(s, NOTE_REMOVED, k->name, k->size, k->hash, NULL);
			} else {
				/* It stays, and counts no more: trying for ever helps nobody. */
				store_note(s, NOTE_ALARM, k->name, k->size, k->hash, "could not be removed");
			}
			k->removed = true;
		}
		if (!k->removed)
			s->kept[out++] = *k;
	}
	s->nkept = out;
}

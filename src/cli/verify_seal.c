/* SPDX-License-Identifier: ISC */
/*
 * Keys, signatures and times of the journal. See verify_core.h, docs/formats.md.
 *
 * Each COMMIT must be signed with the key that the COMMIT or SEAL before it
 * names, each SEAL with the key that the SEAL before it names: an older key, a
 * newer one or another epoch's is refused. A file's HEAD says which keys are in
 * force; only of the first file that is left is it believed.
 */
#include "cli/verify_core.h"

#include <inttypes.h>
#include <sodium.h>

enum { CLOCK_NS = 1000000000 };

static void wrong(struct verify *v, const char *journal, const struct journal_record *r, const char *what)
{
	char time[40];
	verify_time(time, r->ns);
	verify_problem(v, VERIFY_SIGNATURE, journal, -1, r->seq, "%s (%s)", what, time);
}

static void head(struct verify *v, const char *journal, const struct journal_record *r, bool gap)
{
	struct verify_keys *k = &v->k;
	struct slice p = r->payload;
	struct verify_keys now = { .known = true, .first = r->seq, .from = r->ns, .last_ns = k->last_ns };
	uint32_t zero;
	if (!slice_skip(&p, 48) || !slice_le32(&p, &now.epoch) || !slice_le32(&p, &zero) ||
	    !slice_get(&p, now.seal, JOURNAL_HASH) || !slice_get(&p, now.commit, JOURNAL_HASH)) {
		wrong(v, journal, r, "names no keys");
		return;
	}
	if (!k->known) {
		memcpy(v->r->key, now.seal, JOURNAL_HASH);
		now.whole = v->r->began && r->seq == 1;
		if (now.whole && (now.epoch != 1 || !sodium_is_zero(now.commit, JOURNAL_HASH)))
			wrong(v, journal, r, "is the first one, and does not begin with epoch 1");
	} else if (!gap && (now.epoch != k->epoch || memcmp(now.seal, k->seal, JOURNAL_HASH) != 0 ||
			    memcmp(now.commit, k->commit, JOURNAL_HASH) != 0)) {
		wrong(v, journal, r,
		      "has other keys than the journal file before it: by somebody else, or key/seal was lost");
	} else if (!gap) {
		k->footer = k->before == J_SEAL;
		k->crash = !k->ended;
		k->ended = false;
		return;
	}
	now.footer = gap || (k->known ? k->before == J_SEAL : !v->r->began);
	now.crash = k->known && !k->ended;
	*k = now;
}

static void commit(struct verify *v, const char *journal, const struct journal_record *r)
{
	struct verify_keys *k = &v->k;
	struct slice next;
	if (sodium_is_zero(k->commit, JOURNAL_HASH))
		wrong(v, journal, r, "commits where no commit key is in force");
#ifndef MUTANT_VERIFY_NO_SIGNATURE
	else if (!journal_signed(r, k->commit))
		wrong(v, journal, r, "is not signed with the key that the commit before it names");
#endif
	k->commits++;
	if (slice_sub(r->payload, r->payload.n > 96 ? r->payload.n - 96 : 0, JOURNAL_HASH, &next))
		memcpy(k->commit, next.p, JOURNAL_HASH);
}

static void seal(struct verify *v, const char *journal, const struct journal_record *r)
{
	struct verify_keys *k = &v->k;
	struct slice p = r->payload, next_seal, next_commit;
	uint32_t epoch, flags;
	uint64_t first, commits, from;
	if (!slice_le32(&p, &epoch) || !slice_le32(&p, &flags) || !slice_le64(&p, &first) ||
	    !slice_le64(&p, &commits) || !slice_le64(&p, &from) || !slice_take(&p, JOURNAL_HASH, &next_seal) ||
	    !slice_take(&p, JOURNAL_HASH, &next_commit)) {
		wrong(v, journal, r, "is a SEAL that is too short");
		return;
	}
	if (epoch != k->epoch || !journal_signed(r, k->seal))
		wrong(v, journal, r, "is not signed with the seal key of its epoch");
	else if (k->whole && (first != k->first || commits != k->commits || from != k->from))
		wrong(v, journal, r, "seals an epoch of other records than there are");
	if ((flags & J_SEAL_START) && k->before != J_HEAD)
		wrong(v, journal, r, "is the seal of a start, and does not stand at the start");
	v->r->seals++;
	v->r->crashes += (flags & J_SEAL_START) && k->crash;
	memcpy(k->seal, next_seal.p, JOURNAL_HASH);
	memcpy(k->commit, next_commit.p, JOURNAL_HASH);
	k->epoch = epoch + 1;
	k->first = r->seq + 1;
	k->commits = 0;
	k->from = r->ns;
	k->whole = true;
	k->ended = flags & J_SEAL_END;
}

static void times(struct verify *v, const char *journal, const struct journal_record *r)
{
	struct verify_keys *k = &v->k;
	char now[40], then[40];
	/* A file begins with a HEAD and a SEAL also after the clock went back: what follows says so. */
	if (r->type == J_HEAD || r->type == J_SEAL)
		return;
	v->r->clocks += r->type == J_CLOCK;
	if (r->type != J_CLOCK && r->ns + CLOCK_NS < k->last_ns) {
		verify_time(now, r->ns);
		verify_time(then, k->last_ns);
		verify_problem(v, VERIFY_TIME, journal, -1, r->seq,
			       "is of %s, the record before it of %s, and no CLOCK record says why", now, then);
	}
	k->last_ns = r->ns;
}

void verify_seal(struct verify *v, const char *journal, const struct journal_record *r, bool gap)
{
	struct verify_keys *k = &v->k;
	bool start = r->type == J_SEAL && r->payload.n > 4 && (r->payload.p[4] & J_SEAL_START);
	if (k->ended && r->type != J_HEAD)
		wrong(v, journal, r, "stands behind the end of its journal file");
	if (k->before == J_HEAD && r->type != J_HEAD && !start && !k->footer)
		wrong(v, journal, r, "begins a journal file, and the one before it has no seal at its end");
	times(v, journal, r);
	if (r->type == J_HEAD)
		head(v, journal, r, gap);
	else if (r->type == J_COMMIT)
		commit(v, journal, r);
	else if (r->type == J_SEAL)
		seal(v, journal, r);
	k->before = r->type;
}

void verify_seal_end(struct verify *v)
{
	struct verify_keys *k = &v->k;
	v->r->epoch = k->epoch;
	v->r->unsealed_ns = k->from;
	v->r->sealed = k->known && k->ended && k->before == J_SEAL && !v->r->tail;
}

/* SPDX-License-Identifier: ISC */
/*
 * Signatures of the journal, with keys that are thrown away after use.
 *
 * Theory of operation. Two kinds of Ed25519 keys. The key of a commit lives in
 * memory only: it signs one COMMIT, which names the public key of the next, and
 * is wiped. The seal key lasts for an epoch - ten minutes, or until the journal
 * file or the process ends. It signs the SEAL, which names the next epoch's
 * seal key and first commit key, and is wiped too. Its secret must survive a
 * crash, since a restart has to go on in a way that others can check: it stands
 * in key/seal, in one of two slots. The order is
 *
 *   next secret to the other slot, sync; SEAL to the journal, sync; old slot
 *   overwritten with zeros, sync
 *
 * so that whatever a power cut leaves, the slot of the epoch that the journal
 * names is there. A process begins with HEAD and a SEAL of whatever epoch it
 * found, which gives it a commit key.
 *
 * Who takes the machine over can thus not change what was committed before
 * without being seen. He can cut the current epoch short at one of its commits
 * and have it end with a crash that never was; that is what anchors are for.
 */
#include "proc/evidence/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SLOT_AT = 4096, SLOT = 8 + 8 + 32 + JOURNAL_HASH };
static const char magic[8] = { 's', 'k', 'e', 'p', 's', 'e', 'a', 'l' };
static const char name[] = "key/seal";

static off_t slot_of(uint32_t epoch)
{
	return (off_t)(epoch & 1) * SLOT_AT;
}

static int put(struct store *s, uint32_t epoch, const uint8_t *p)
{
	ssize_t w = pwrite(s->keys.fd, p, SLOT, slot_of(epoch));
	if (w != SLOT)
		return store_fail(s, w < 0 ? -errno : -ENOSPC, "write", name);
	return s->io.fdatasync(s->keys.fd) < 0 ? store_fail(s, -errno, "sync", name) : 0;
}

static int put_secret(struct store *s, uint32_t epoch, const uint8_t sk[64])
{
	uint8_t b[SLOT];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	body_bytes(&body, magic, sizeof(magic));
	body_u32(&body, epoch);
	body_u32(&body, 0);
	body_bytes(&body, sk, 32); /* the seed; the rest is the public key */
	crypto_generichash(b + body.n, JOURNAL_HASH, b, body.n, NULL, 0);
	int r = put(s, epoch, b);
	sodium_memzero(b, sizeof(b));
	return r;
}

static int forget_secret(struct store *s, uint32_t epoch)
{
	static const uint8_t zero[SLOT];
#ifdef MUTANT_SEAL_KEEP_KEY
	(void)zero;
	(void)epoch;
	return 0 * s->failed;
#else
	return put(s, epoch, zero);
#endif
}

/* The secret of the epoch, if it is there and fits the public key. */
static bool get_secret(struct store *s)
{
	struct keys *k = &s->keys;
	uint8_t b[SLOT], hash[JOURNAL_HASH], pk[JOURNAL_KEY];
	uint32_t epoch = 0;
	bool ok = pread(k->fd, b, SLOT, slot_of(k->epoch)) == SLOT && !memcmp(b, magic, sizeof(magic));
	if (ok) {
		struct slice e = { b + 8, 4 };
		slice_le32(&e, &epoch);
		crypto_generichash(hash, sizeof(hash), b, SLOT - JOURNAL_HASH, NULL, 0);
		crypto_sign_seed_keypair(pk, k->seal_sk, b + 16);
		ok = epoch == k->epoch && !memcmp(hash, b + SLOT - JOURNAL_HASH, JOURNAL_HASH) &&
		     !memcmp(pk, k->seal_pk, JOURNAL_KEY);
	}
	sodium_memzero(b, sizeof(b));
	return ok;
}

int seal_open(struct store *s, bool begun, uint64_t now)
{
	struct keys *k = &s->keys;
	bool known = k->known;
	k->fd = openat(s->dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (k->fd < 0)
		return store_fail(s, -errno, "open", name);
	int r = store_sync_dir(s, "key");
	if (r < 0)
		return r;
	if (!k->first) {
		k->first = s->chain.seq + 1;
		k->from = now;
	}
	if (known && get_secret(s))
		return 0;
	/* A chain that cannot be continued gets new keys; everybody sees that it broke. */
	k->epoch++;
	k->committing = false;
	memset(k->commit_pk, 0, sizeof(k->commit_pk));
	crypto_sign_keypair(k->seal_pk, k->seal_sk);
	if (begun)
		k->broke = known ? "the secret of the journal's epoch is gone: what follows has a new key"
				 : "the journal that is there has no key: what follows has one";
	return put_secret(s, k->epoch, k->seal_sk);
}

void seal_head(const struct store *s, struct journal_body *b)
{
	body_u32(b, s->keys.epoch);
	body_u32(b, 0);
	body_bytes(b, s->keys.seal_pk, JOURNAL_KEY);
	body_bytes(b, s->keys.commit_pk, JOURNAL_KEY);
}

static int put_record(struct store *s, unsigned type, const void *payload, size_t n, const uint8_t sk[64], uint64_t now)
{
	uint8_t *room = store_reserve(s, &s->journal, JOURNAL_HEADER + n + JOURNAL_SIG + JOURNAL_HASH);
	if (!room)
		return s->failed ? s->failed : store_fail(s, -EMSGSIZE, "add a record to", "the journal");
	s->journal.n += journal_put_signed(&s->chain, room, type, now, payload, n, sk);
	return 0;
}

/* payload: with room for JOURNAL_KEY more bytes. */
int seal_commit(struct store *s, const void *payload, size_t n, uint64_t now)
{
	struct keys *k = &s->keys;
	uint8_t sk[64];
	if (now + STORE_CLOCK_NS < s->last_ns && store_clock(s, (int64_t)(now - s->last_ns), s->last_ns, now) < 0)
		return s->failed;
	s->last_ns = now;
	if (!k->committing)
		return store_fail(s, -ESHUTDOWN, "commit after the end to", "the journal");
	crypto_sign_keypair(k->commit_pk, sk);
	memcpy((uint8_t *)payload + n, k->commit_pk, JOURNAL_KEY);
	int r = put_record(s, J_COMMIT, payload, n + JOURNAL_KEY, k->commit_sk, now);
	memcpy(k->commit_sk, sk, sizeof(sk));
	sodium_memzero(sk, sizeof(sk));
	k->commits++;
	return r;
}

int seal_epoch(struct store *s, uint32_t flags, uint64_t now)
{
	struct keys *k = &s->keys;
	uint8_t b[40 + 2 * JOURNAL_KEY], next_pk[JOURNAL_KEY], next_sk[64];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	if (s->failed)
		return s->failed;
	crypto_sign_keypair(next_pk, next_sk);
	int r = put_secret(s, k->epoch + 1, next_sk);
	sodium_memzero(k->commit_pk, sizeof(k->commit_pk));
	sodium_memzero(k->commit_sk, sizeof(k->commit_sk));
	k->committing = !(flags & J_SEAL_END);
	if (k->committing)
		crypto_sign_keypair(k->commit_pk, k->commit_sk);
	body_u32(&body, k->epoch);
	body_u32(&body, flags);
	body_u64(&body, k->first);
	body_u64(&body, k->commits);
	body_u64(&body, k->from);
	body_bytes(&body, next_pk, sizeof(next_pk));
	body_bytes(&body, k->commit_pk, JOURNAL_KEY);
	if (!r)
		r = put_record(s, J_SEAL, b, body.n, k->seal_sk, now);
	if (!r)
		r = store_flush(s);
	if (!r && s->io.fdatasync(s->journal.seg->fd) < 0)
		r = store_fail(s, -errno, "sync", s->journal.seg->name);
	if (!r) {
		s->anchor = s->chain;
		s->anchor_ns = now;
	}
	memcpy(k->seal_pk, next_pk, sizeof(next_pk));
	memcpy(k->seal_sk, next_sk, sizeof(next_sk));
	sodium_memzero(next_sk, sizeof(next_sk));
	k->epoch++;
	k->first = s->chain.seq + 1;
	k->commits = 0;
	k->from = now;
	k->from_mono = 0;
	return r < 0 ? r : forget_secret(s, k->epoch - 1);
}

/* Recovery: what a record of an earlier process says of the keys. */
void seal_replay(struct store *s, const struct journal_record *r)
{
	struct keys *k = &s->keys;
	struct slice p = r->payload;
	uint32_t epoch, flags;
	if (r->type != J_HEAD && r->type != J_SEAL)
		s->last_ns = r->ns;
	if (r->type == J_HEAD) {
		struct slice keys;
		if (slice_skip(&p, 48) && slice_le32(&p, &epoch) && slice_skip(&p, 4) &&
		    slice_take(&p, JOURNAL_KEY, &keys)) {
			k->epoch = epoch;
			memcpy(k->seal_pk, keys.p, JOURNAL_KEY);
			k->known = true;
			if (!k->first) {
				k->first = r->seq;
				k->from = r->ns;
			}
			/* An empty end leaves no commit key; a crash one that nobody has any more. */
			if (slice_take(&p, JOURNAL_KEY, &keys))
				memcpy(k->commit_pk, keys.p, JOURNAL_KEY);
		}
	} else if (r->type == J_COMMIT) {
		k->commits++;
		if (p.n >= JOURNAL_KEY + JOURNAL_SIG)
			memcpy(k->commit_pk, p.p + p.n - JOURNAL_SIG - JOURNAL_KEY, JOURNAL_KEY);
	} else if (r->type == J_SEAL) {
		struct slice next, first;
		if (!slice_le32(&p, &epoch) || !slice_le32(&p, &flags) || !slice_skip(&p, 24) ||
		    !slice_take(&p, JOURNAL_KEY, &next) || !slice_take(&p, JOURNAL_KEY, &first))
			return;
		k->epoch = epoch + 1;
		memcpy(k->seal_pk, next.p, JOURNAL_KEY);
		memcpy(k->commit_pk, first.p, JOURNAL_KEY);
		k->first = r->seq + 1;
		k->commits = 0;
		k->from = r->ns;
	}
	k->ended = r->type == J_SEAL && r->payload.n > 4 && (r->payload.p[4] & J_SEAL_END);
}

void seal_wipe(struct store *s)
{
	if (s->keys.fd > 0)
		close(s->keys.fd);
	sodium_memzero(&s->keys, sizeof(s->keys));
	s->keys.fd = -1;
}

/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_SESSIONS_H
#define SKEP_INTROSPECT_SESSIONS_H

#include "proc/introspect/conns.h"
#include "proc/introspect/emit.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Sessions: what an intruder does between connecting and disconnecting.
 *
 * Theory of operation. A session has processes (all that descend from the one that
 * serves its connection). Some of them serve: they run the service's own
 * program. When the last of these is gone the session is over and END is
 * written. Others may stay behind (nohup, tmux); their facts still carry the
 * session's id, and when the last is gone a second END has the final sums.
 * A session of a console, or one whose connection nobody saw, has no servers: it is
 * over when its last process is gone.
 *
 * Ids are 48 random bits: the generator is seeded by the owner, so that two
 * runs of the process, or two honeypots, do not give the same.
 *
 * Bounded: SESSIONS_MAX. When they are used up, the one without a fact for the longest
 * time goes, those that are over first; it gets its END and its processes have
 * no session any more.
 */
#define SESSIONS_MAX 1024u
#define USER_CAP 64
#define SECRET_CAP 512

/* A login that was tried and whose outcome is not known yet. */
struct attempt {
	bool active, cut;
	uint32_t how; /* enum intro_auth */
	uint32_t tty; /* of INTRO_AUTH_TTY */
	uint16_t user_n, secret_n;
	char user[USER_CAP];
	char secret[SECRET_CAP];
};

struct session {
	uint32_t gen;
	bool used, over, evicting;
	bool blind; /* processes of it were evicted: their number is not known */
	bool user_sure;
	uint64_t id;
	struct intro_session info;
	char user[USER_CAP];
	uint32_t procs, servers;
	bool had_servers;
	uint64_t in_bytes, out_bytes;
	uint32_t commands, execs;
	uint64_t last; /* ns, host */
	struct attempt ssh, tty;
};

struct sessions {
	struct session at[SESSIONS_MAX];
	uint32_t live;
	uint64_t seed, made, evicted;
	struct emit *emit;
	/* Called before a session's END: what waits for more goes out now. */
	void (*ending)(void *arg, struct ref session);
	void *arg;
};

void sessions_init(struct sessions *t, struct emit *e, uint64_t seed, void (*ending)(void *arg, struct ref session),
		   void *arg);
/* NULL if r is none or stale. */
struct session *sessions_get(struct sessions *t, struct ref r);
/* A new one; f is the fact that began it. c: its connection, or NULL. parent: id of another session, or 0. */
struct ref sessions_begin(struct sessions *t, const struct fact *f, const struct conn *c, enum intro_service service,
			  uint64_t parent);
/* Who it is: sure = a login told it. Tells if it is news. */
void sessions_user(struct sessions *t, struct session *s, const struct fact *f, const char *user, size_t n, bool sure);

/* A process came or went; f as of now (for times). */
void sessions_join(struct sessions *t, struct ref r, bool serving);
void sessions_leave(struct sessions *t, struct ref r, bool serving, bool evicted, const struct fact *f);
/* A process that served does so no more. */
void sessions_unserve(struct sessions *t, struct ref r, const struct fact *f);

/* A login is tried, and what became of it. */
void attempt_set(struct sessions *t, struct session *s, struct attempt *a, const struct fact *f, enum intro_auth how,
		 struct fact_text user, struct fact_text secret);
void attempt_end(struct sessions *t, struct session *s, struct attempt *a, const struct fact *f,
		 enum intro_outcome outcome);

/* All of them, now. */
void sessions_end_all(struct sessions *t, const struct fact *f);
/* Those without processes or servers whose last fact is older than `before`
 * and that nothing else ends: lost facts leave such. */
void sessions_expire(struct sessions *t, const struct fact *f, uint64_t before);

#endif

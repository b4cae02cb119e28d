/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_SYNC_H
#define SKEP_PROC_EVIDENCE_SYNC_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>

/*
 * fdatasync away from the main loop: one helper thread with one job at a time.
 * A disk that takes its time delays acknowledgements, never the draining of
 * rings. Without the thread (tests, and when it cannot be started) the job is
 * done at once.
 */
struct syncer {
	int (*fdatasync)(int fd);
	int wakefd; /* eventfd: readable when a job is done; -1 without a thread */
	bool threaded, busy, done, quit;
	int *fds;
	unsigned nfds, cap;
	int result;      /* 0 or negative errno */
	unsigned failed; /* index of the fd that failed */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

int syncer_init(struct syncer *s, int (*fdatasync)(int fd), bool threaded, struct err *e);
/* Waits for the running job. */
void syncer_close(struct syncer *s);

/* Adds an fd to the next job; it must stay open until the job is done. */
int syncer_add(struct syncer *s, int fd);
/* Starts the job; only if none is running. */
void syncer_start(struct syncer *s);
/* True once for each job: *result is 0 or the negative errno of the first
 * failure, *failed the index of its fd in the order of syncer_add. */
bool syncer_done(struct syncer *s, int *result, unsigned *failed);
/* Blocks until the running job is done. */
void syncer_wait(struct syncer *s);

#endif

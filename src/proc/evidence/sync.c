/* SPDX-License-Identifier: ISC */
#include "proc/evidence/sync.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void run(struct syncer *s)
{
	s->result = 0;
	for (unsigned i = 0; i < s->nfds; i++) {
		if (s->fdatasync(s->fds[i]) < 0) {
			/* Once only: after a failure the kernel may have thrown the
			 * pages away, and a second try would succeed over lost data. */
			s->result = -errno;
			s->failed = i;
			return;
		}
	}
}

static void *work(void *arg)
{
	struct syncer *s = arg;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->quit && !(s->busy && !s->done))
			pthread_cond_wait(&s->cond, &s->lock);
		if (s->quit)
			break;
		pthread_mutex_unlock(&s->lock);
		run(s);
		pthread_mutex_lock(&s->lock);
		s->done = true;
		pthread_cond_broadcast(&s->cond);
		uint64_t one = 1;
		if (write(s->wakefd, &one, sizeof(one)) < 0) {
			/* The counter is full: readable anyway. */
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int syncer_init(struct syncer *s, int (*sync_fn)(int fd), bool threaded, struct err *e)
{
	*s = (struct syncer){ .fdatasync = sync_fn, .wakefd = -1 };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
	if (!threaded)
		return 0;
	s->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wakefd < 0)
		return err_sys(e, -errno, "cannot make an eventfd");
	s->threaded = true;
	int r = pthread_create(&s->thread, NULL, work, s);
	if (r) {
		s->threaded = false;
		close(s->wakefd);
		s->wakefd = -1;
		return err_sys(e, -r, "cannot start the thread that syncs files");
	}
	return 0;
}

void syncer_close(struct syncer *s)
{
	if (s->threaded) {
		syncer_wait(s);
		pthread_mutex_lock(&s->lock);
		s->quit = true;
		pthread_cond_broadcast(&s->cond);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		close(s->wakefd);
	}
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	free(s->fds);
	*s = (struct syncer){ .wakefd = -1 };
}

int syncer_add(struct syncer *s, int fd)
{
	if (s->nfds == s->cap) {
		unsigned cap = s->cap ? 2 * s->cap : 16;
		int *fds = realloc(s->fds, cap * sizeof(*fds));
		if (!fds)
			return -ENOMEM;
		s->fds = fds;
		s->cap = cap;
	}
	s->fds[s->nfds++] = fd;
	return 0;
}

void syncer_start(struct syncer *s)
{
	if (!s->threaded) {
		run(s);
		s->busy = s->done = true;
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->busy = true;
	s->done = false;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

bool syncer_done(struct syncer *s, int *result, unsigned *failed)
{
	pthread_mutex_lock(&s->lock);
	bool done = s->busy && s->done;
	if (done) {
		*result = s->result;
		*failed = s->failed;
		s->busy = s->done = false;
		s->nfds = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return done;
}

void syncer_wait(struct syncer *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->busy && !s->done)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

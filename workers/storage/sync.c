/* SPDX-License-Identifier: ISC */

/*
 * The sync thread. Its mutex guards a few words and is never held over a
 * call that waits for the disk, so the loop never waits for it either.
 *
 * The thread alone closes files that were finished, and it does so after its
 * own fdatasync of them has ended; so the fd it works on is never closed or
 * reused under its feet.
 */

#include "workers/storage/sync.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/vec.h"

struct sync {
	pthread_t	 thread;
	pthread_mutex_t	 lock;
	pthread_cond_t	 wake;
	int64_t		 interval_ns;
	atomic_bool	 dirty;

	/* under the lock */
	int		 fd;		/* current file, -1 = none */
	int		 dirfd;		/* to sync once, -1 = none */
	int		*queue;		/* finished files */
	size_t		 n_queue, queue_cap;
	bool		 stop;
	bool		 has_error;
	struct err	 error;
	struct sync_stats stats;
};

static void
note_sync(struct sync *s, int rc, int os, int64_t took_ns, const char *what)
{
	(void)pthread_mutex_lock(&s->lock);
	if (rc == 0) {
		s->stats.n_syncs++;
		s->stats.sum_ns += (uint64_t)took_ns;
		s->stats.last_ns = (uint64_t)took_ns;
		if ((uint64_t)took_ns > s->stats.max_ns)
			s->stats.max_ns = (uint64_t)took_ns;
	} else {
		s->stats.n_failed++;
		if (!s->has_error) {
			errno = os;
			(void)err_set_os(&s->error, "sync %s", what);
			s->has_error = true;
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
}

static void
sync_file(struct sync *s, int fd, const char *what)
{
	mono_time start = mono_now();
	int rc, os;

	do
		rc = fdatasync(fd);
	while (rc == -1 && errno == EINTR);
	os = errno;
	/* A directory on some file systems cannot be synced; nothing to do. */
	if (rc == -1 && os == EINVAL)
		rc = 0;
	note_sync(s, rc, os, mono_sub_ns(mono_now(), start), what);
}

/* One round; the lock is held on entry and on return. */
static void
do_work(struct sync *s)
{
	bool dirty = atomic_exchange_explicit(&s->dirty, false,
	    memory_order_acq_rel);
	int fd = dirty ? s->fd : -1, dirfd = s->dirfd;
	int *queue = s->queue;
	size_t n = s->n_queue;

	s->queue = NULL;
	s->n_queue = s->queue_cap = 0;
	s->dirfd = -1;
	(void)pthread_mutex_unlock(&s->lock);

	for (size_t i = 0; i < n; i++) {
		sync_file(s, queue[i], "finished file");
		if (queue[i] == fd)
			fd = -1;
		(void)close(queue[i]);
	}
	free(queue);
	if (fd != -1)
		sync_file(s, fd, "WAL segment");
	if (dirfd != -1)
		sync_file(s, dirfd, "directory");

	(void)pthread_mutex_lock(&s->lock);
	s->stats.n_queued -= n;
}

static void
wait_until(struct sync *s, mono_time until)
{
	struct timespec ts = { until.ns / 1000000000, until.ns % 1000000000 };

	while (!s->stop && s->n_queue == 0 &&
	    pthread_cond_timedwait(&s->wake, &s->lock, &ts) != ETIMEDOUT)
		;
}

static void *
sync_main(void *arg)
{
	struct sync *s = arg;
	bool stop;

	(void)pthread_mutex_lock(&s->lock);
	do {
		mono_time until = mono_now();

		until.ns += s->interval_ns;
		wait_until(s, until);
		stop = s->stop;
		do_work(s);
	} while (!stop || s->n_queue > 0);
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int
start_thread(struct sync *s)
{
	sigset_t all, old;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, NULL, sync_main, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int
sync_start(int64_t interval_ms, struct sync **out, struct err *err)
{
	struct sync *s = xcalloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int rc;

	s->fd = s->dirfd = -1;
	s->interval_ns = interval_ms * 1000000;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	if ((rc = start_thread(s)) != 0) {
		(void)pthread_cond_destroy(&s->wake);
		(void)pthread_mutex_destroy(&s->lock);
		free(s);
		errno = rc;
		return err_set_os(err, "start sync thread");
	}
	*out = s;
	return 0;
}

void
sync_set_current(struct sync *s, int fd, int dirfd)
{
	(void)pthread_mutex_lock(&s->lock);
	s->fd = fd;
	if (dirfd != -1)
		s->dirfd = dirfd;
	(void)pthread_mutex_unlock(&s->lock);
}

void
sync_mark_dirty(struct sync *s)
{
	atomic_store_explicit(&s->dirty, true, memory_order_release);
}

void
sync_finish(struct sync *s, int fd)
{
	(void)pthread_mutex_lock(&s->lock);
	if (vec_grow(&s->queue, &s->queue_cap, s->n_queue + 1,
	    sizeof(*s->queue)) == -1)
		fatal("out of memory");
	s->queue[s->n_queue++] = fd;
	s->stats.n_queued++;
	if (s->fd == fd)
		s->fd = -1;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
}

bool
sync_take_error(struct sync *s, struct err *err)
{
	bool has;

	(void)pthread_mutex_lock(&s->lock);
	has = s->has_error;
	if (has)
		*err = s->error;
	s->has_error = false;
	(void)pthread_mutex_unlock(&s->lock);
	return has;
}

void
sync_get_stats(struct sync *s, struct sync_stats *out)
{
	(void)pthread_mutex_lock(&s->lock);
	*out = s->stats;
	(void)pthread_mutex_unlock(&s->lock);
}

int
sync_stop(struct sync *s, struct err *err)
{
	bool failed;

	(void)pthread_mutex_lock(&s->lock);
	s->stop = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);

	failed = s->has_error;
	if (failed)
		*err = s->error;
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->queue);
	free(s);
	return failed ? -1 : 0;
}

/* SPDX-License-Identifier: ISC */

/*
 * A ring of batches between two threads. Counters only grow; a batch belongs
 * to the producer while its number is not below `full`, to the consumer
 * until `done` passes it.
 */

#include "workers/storage/replay_pipe.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"
#include "workers/storage/head.h"

#define BATCHES		16
#define BATCH_SAMPLES	4096

struct pipe_batch {
	size_t			 n;
	struct record_sample	 s[BATCH_SAMPLES];
};

struct replay_pipe {
	struct head		*head;
	bool			 has_thread;
	pthread_t		 thread;
	pthread_mutex_t		 lock;
	pthread_cond_t		 changed;
	uint64_t		 full;	/* batches given to the consumer */
	uint64_t		 done;	/* batches it is done with */
	bool			 end;
	struct pipe_batch	 batch[BATCHES];
};

static void *
consume(void *arg)
{
	struct replay_pipe *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pipe_batch *b = &p->batch[p->done % BATCHES];

		while (p->done == p->full && !p->end)
			(void)pthread_cond_wait(&p->changed, &p->lock);
		if (p->done == p->full)
			break;
		(void)pthread_mutex_unlock(&p->lock);
		head_replay_samples(p->head, b->s, b->n);
		(void)pthread_mutex_lock(&p->lock);
		p->done++;
		(void)pthread_cond_signal(&p->changed);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct replay_pipe *
replay_pipe_new(struct head *h)
{
	struct replay_pipe *p = xcalloc(1, sizeof(*p));

	p->head = h;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->changed, NULL);
	p->has_thread = pthread_create(&p->thread, NULL, consume, p) == 0;
	return p;
}

/* Hands the batch that is being filled over; the next one is empty then. */
static void
hand_over(struct replay_pipe *p)
{
	struct pipe_batch *b = &p->batch[p->full % BATCHES];

	if (b->n == 0)
		return;
	if (!p->has_thread) {
		head_replay_samples(p->head, b->s, b->n);
		b->n = 0;
		return;
	}
	(void)pthread_mutex_lock(&p->lock);
	p->full++;
	(void)pthread_cond_signal(&p->changed);
	while (p->full - p->done == BATCHES)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	p->batch[p->full % BATCHES].n = 0;
}

void
replay_pipe_add(struct replay_pipe *p, const struct record_sample *s,
    size_t n)
{
	while (n > 0) {
		struct pipe_batch *b = &p->batch[p->full % BATCHES];
		size_t k = BATCH_SAMPLES - b->n < n ? BATCH_SAMPLES - b->n :
		    n;

		memcpy(b->s + b->n, s, k * sizeof(*s));
		b->n += k;
		s += k;
		n -= k;
		if (b->n == BATCH_SAMPLES)
			hand_over(p);
	}
}

void
replay_pipe_drain(struct replay_pipe *p)
{
	hand_over(p);
	if (!p->has_thread)
		return;
	(void)pthread_mutex_lock(&p->lock);
	while (p->done != p->full)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
}

void
replay_pipe_free(struct replay_pipe *p)
{
	replay_pipe_drain(p);
	if (p->has_thread) {
		(void)pthread_mutex_lock(&p->lock);
		p->end = true;
		(void)pthread_cond_signal(&p->changed);
		(void)pthread_mutex_unlock(&p->lock);
		(void)pthread_join(p->thread, NULL);
	}
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_cond_destroy(&p->changed);
	free(p);
}

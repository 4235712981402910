/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_PIPE_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_PIPE_H

/*
 * Replay on two CPUs: the caller's thread reads and decodes the WAL, one
 * other thread appends the samples to the head, in their order. The head is
 * still touched by one thread at a time: who wants to use it from the
 * caller's thread (a series record) calls replay_pipe_drain first.
 */

#include <stddef.h>

#include "common/tsdb/record.h"

struct head;
struct replay_pipe;

/* Works without the second thread when there is none to be had. */
struct replay_pipe *replay_pipe_new(struct head *h);
/* Copies them; waits while much is under way. */
void	 replay_pipe_add(struct replay_pipe *p, const struct record_sample *s,
	    size_t n);
/* Returns when all samples are in the head and the other thread is idle. */
void	 replay_pipe_drain(struct replay_pipe *p);
/* Drains and ends the thread. */
void	 replay_pipe_free(struct replay_pipe *p);

#endif

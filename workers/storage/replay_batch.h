/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_BATCH_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_BATCH_H

/*
 * Puts samples of neighbouring series together. A WAL holds one scrape after
 * the other, each over all series: appending in that order fetches state and
 * chunk of every series from memory for each sample. Samples are therefore
 * gathered by groups of series, several scrapes long, and handed on a group
 * at a time. The samples of one series stay in order.
 *
 *	handle 0..511 ▶ lane 0    512..1023 ▶ lane 1   …   lane 255, lane 0 …
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/tsdb/record.h"

#define REPLAY_LANES		256u
#define REPLAY_LANE_SAMPLES	4096u
#define REPLAY_LANE_SHIFT	9	/* 512 handles side by side */

typedef int replay_batch_fn(void *arg, const struct record_sample *s,
	    size_t n, struct err *err);

struct replay_batch {
	struct record_sample	*lane[REPLAY_LANES];	/* NULL until used */
	uint32_t		 n[REPLAY_LANES];
	replay_batch_fn		*fn;		/* NULL: samples are dropped */
	void			*arg;
};

void	 replay_batch_init(struct replay_batch *b, replay_batch_fn *fn,
	    void *arg);
void	 replay_batch_clear(struct replay_batch *b);

/* Hands a lane on, or makes its memory; the slow path of add. */
int	 replay_batch_turn(struct replay_batch *b, unsigned lane,
	    struct err *err);
/* Hands everything on. -1 from fn, or ERR_NOMEM. */
int	 replay_batch_flush(struct replay_batch *b, struct err *err);

/* s->ref is the handle. -1 as replay_batch_flush. */
static inline int
replay_batch_add(struct replay_batch *b, const struct record_sample *s,
    struct err *err)
{
	unsigned lane = (unsigned)(s->ref >> REPLAY_LANE_SHIFT) %
	    REPLAY_LANES;

	if ((b->lane[lane] == NULL || b->n[lane] == REPLAY_LANE_SAMPLES) &&
	    replay_batch_turn(b, lane, err) == -1)
		return -1;
	b->lane[lane][b->n[lane]++] = *s;
	return 0;
}

#endif

/* SPDX-License-Identifier: ISC */

/* Gathering of samples by groups of series; see the header. */

#include "workers/storage/replay_batch.h"

#include <stdlib.h>
#include <string.h>

void
replay_batch_init(struct replay_batch *b, replay_batch_fn *fn, void *arg)
{
	memset(b, 0, sizeof(*b));
	b->fn = fn;
	b->arg = arg;
}

void
replay_batch_clear(struct replay_batch *b)
{
	for (unsigned i = 0; i < REPLAY_LANES; i++)
		free(b->lane[i]);
	memset(b, 0, sizeof(*b));
}

static int
hand_on(struct replay_batch *b, unsigned lane, struct err *err)
{
	uint32_t n = b->n[lane];

	b->n[lane] = 0;
	if (n == 0 || b->fn == NULL)
		return 0;
	return b->fn(b->arg, b->lane[lane], n, err);
}

int
replay_batch_turn(struct replay_batch *b, unsigned lane, struct err *err)
{
	if (b->lane[lane] != NULL)
		return hand_on(b, lane, err);
	b->lane[lane] = malloc(REPLAY_LANE_SAMPLES * sizeof(**b->lane));
	if (b->lane[lane] == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
replay_batch_flush(struct replay_batch *b, struct err *err)
{
	for (unsigned i = 0; i < REPLAY_LANES; i++)
		if (hand_on(b, i, err) == -1)
			return -1;
	return 0;
}

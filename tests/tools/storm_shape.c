/* SPDX-License-Identifier: ISC */

/*
 * Three clients: one whose series come and go, one with wide batches of
 * several messages, one whose batches hold several times of each series:
 * 100,000 samples a second at 10 ms a tick. No client's series are written
 * again within 100 ms: a picture that takes longer cannot be had (see
 * head_reader_capture). Batch seq of a client is due at seq × every ticks; a value is the batch
 * and the series' index in one exact number.
 */

#include "tests/tools/storm.h"

const struct storm_shape storm_shapes[STORM_CLIENTS] = {
	{ ROLE_SCRAPE, 0, 500, 1, 10, 5, 1 },
	{ ROLE_SCRAPE, 1, 9000, 1, 10, 0, 0 },
	{ ROLE_REMOTE, 0, 250, 4, 10, 0, 0 },
};

uint32_t
shape_samples(unsigned client)
{
	return storm_shapes[client].n_series * storm_shapes[client].per_series;
}

uint32_t
shape_first(unsigned client, uint64_t seq)
{
	const struct storm_shape *s = &storm_shapes[client];

	return s->moves_every == 0 ? 0 :
	    (uint32_t)(seq / s->moves_every * s->moves);
}

int64_t
shape_time(int64_t start_ms, unsigned client, uint64_t seq, uint32_t k)
{
	const struct storm_shape *s = &storm_shapes[client];
	int64_t period = (int64_t)s->every * STORM_STEP_MS;

	return start_ms + (int64_t)seq * period +
	    (int64_t)k * (period / s->per_series);
}

double
shape_value(uint64_t seq, uint32_t index)
{
	return (double)(seq << 16 | (index & 0xffff));
}

uint64_t
shape_batch(int64_t start_ms, unsigned client, uint32_t index, int64_t t_ms,
    double v)
{
	const struct storm_shape *s = &storm_shapes[client];
	uint64_t bits, seq;
	uint32_t first;

	if (!(v >= 0 && v < 1e15) || (double)(uint64_t)v != v)
		return 0;
	bits = (uint64_t)v;
	seq = bits >> 16;
	first = shape_first(client, seq);
	if ((bits & 0xffff) != (index & 0xffff) || index < first ||
	    index - first >= s->n_series)
		return 0;
	for (uint32_t k = 0; k < s->per_series; k++)
		if (shape_time(start_ms, client, seq, k) == t_ms)
			return seq;
	return 0;
}

uint64_t
shape_batch_from(int64_t start_ms, unsigned client, int64_t from_ms)
{
	int64_t period = (int64_t)storm_shapes[client].every * STORM_STEP_MS;

	if (from_ms <= start_ms + period)
		return 1;
	return (uint64_t)((from_ms - start_ms + period - 1) / period);
}

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_METRICS_REGION_H
#define BRAZIER_COMMON_METRICS_REGION_H

/*
 * What lies in a region of own metrics. One process writes, web reads.
 *
 *	+--------+---------+---------+----     ----+
 *	| header | entry 0 | entry 1 |  …   free   |
 *	+--------+---------+---------+----     ----+
 *
 *	entry = { entry header | labels, padded to 8 | n_slots × slot }
 *
 * The writer fills an entry behind `used` and then stores `used` with
 * release; the reader loads it with acquire. Slots are 64-bit words that
 * hold a double's bits, written and read with relaxed atomics: a reader sees
 * each value whole. Entries never move or change their size; a dropped one
 * gets `dropped` = 1, and REUSE_AFTER_NS later, when no reader is at it any
 * more, a new one of the same size may take its place.
 */

#include <stdbool.h>
#include <stdint.h>

#define METRICS_MAGIC	0x3149525445 /* "ETRI1" */
#define METRICS_LABELS_MAX	4096
#define REUSE_AFTER_NS		1000000000LL

struct metrics_header {
	uint64_t magic;
	uint64_t used;		/* bytes, header included; release/acquire */
	uint64_t lost;		/* entries that did not fit */
	uint64_t zero;
};

struct metrics_entry {
	uint32_t size;		/* of the whole entry, a multiple of 8 */
	uint16_t family;
	uint16_t n_slots;
	uint16_t labels_len;
	uint16_t dropped;	/* release: of a place filled anew */
	uint32_t zero;
};

struct metrics_slot { uint64_t bits; };

/*
 * Slots of a histogram: count, sum, then the count of each bucket alone.
 *
 * Slots of a summary: count, sum, then two generations of
 * SKETCH_BUCKETS counters, each preceded by the time it began (seconds,
 * CLOCK_MONOTONIC). Bucket i counts values up to SKETCH_MIN × SKETCH_GROWTH^i.
 */
#define SKETCH_MIN	1e-7
#define SKETCH_GROWTH	1.1
#define SKETCH_BUCKETS	270	/* 1e-7 … 1.5e4 */
#define SKETCH_AGE_S	300	/* a generation's time; two are kept */

/* As large as a region is, and memory that cannot be taken away again. */
bool	 metrics_region_is_solid(int fd);

#endif

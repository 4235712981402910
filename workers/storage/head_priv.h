/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_HEAD_PRIV_H
#define BRAZIER_WORKERS_STORAGE_HEAD_PRIV_H

/*
 * What the files of the head share: head.c (arena), head_alloc.c (blocks),
 * head_index.c (symbols, pairs, series), head_append.c (batches),
 * head_replay.c, head_spill.c, head_reclaim.c (epochs).
 */

#include "common/tsdb/chunk_xor.h"
#include "workers/storage/head.h"

#define HEAD_CLASSES	128
#define HEAD_PAGE_BLOCK_MAX	64u	/* units of the largest block in a page */
#define HEAD_CLASS_MAX_UNITS ((uint32_t)1 << 27)	/* 2 GiB */

/* The writer's half of a series: one cache line. */
struct series_state {
	struct chunk_xor x;		/* coder; t, v: the newest sample */
	uint64_t	 ref;
	int64_t		 cut_at_ms;	/* the open chunk ends before */
	head_off	 open;		/* struct head_chunk; 0 = none */
	head_off	 data;		/* its data */
	uint32_t	 pend;		/* 1 + index in acc[] in a batch */
	uint16_t	 units;		/* of data */
	uint8_t		 has_last;	/* x.t, x.v are a sample */
	uint8_t		 holders;	/* clients; 255 = for good */
};
_Static_assert(sizeof(struct series_state) == 64, "a cache line");

struct head_slab;

/* Blocks of the arena by size class; see head_alloc.c. */
struct head_alloc {
	uint32_t	 top;		/* first unit never used */
	uint32_t	 end;		/* units of the arena */
	uint64_t	 free_units;	/* in the pools and free_list */
	uint64_t	 used_units;	/* handed out (retired ones too) */
	int		 n_classes;
	int		 n_small;	/* of blocks in pages */
	uint8_t		 small_class[HEAD_PAGE_BLOCK_MAX + 1]; /* by units */
	uint32_t	 class_units[HEAD_CLASSES];
	uint32_t	 partial[HEAD_CLASSES];	/* slabs with free blocks */
	head_off	 free_list[HEAD_CLASSES]; /* blocks without slab */
	struct head_slab *slab;		/* by page */
	head_off	*page;		/* free pages */
	size_t		 n_pages, page_cap;
	size_t		 n_pages_low;	/* the fewest since head_trim */
	head_off	*empty;		/* free pages without memory */
	size_t		 n_empty, empty_cap;
	head_off	*big;		/* free 64 KiB slabs */
	size_t		 n_big, big_cap;
};

struct retired {
	uint64_t	 epoch;
	head_off	 off;
	uint32_t	 units;
};

/* Label set → slot: {low half of the hash, slot + 1}, by HEAD_SHARDS. */
struct series_shard {
	uint64_t	*slot;
	uint32_t	 mask;
	uint32_t	 n;
};

struct full_chunk {
	uint32_t	 slot;
	uint32_t	 index;
	uint32_t	 len_bytes;
};

/* ref → slot in a replay, and the chunks in files of a ref. */
struct ref_map;

struct head_reader_slot {
	struct head_reader_slot	*next;
	struct head_reader_page	*page;
	uint64_t		 held;		/* epoch seen at last scan */
	int64_t			 since_ns;	/* of that */
	uint32_t		 id;
	bool			 reported;
};

struct head {
	uint8_t			*base;
	struct head_super	*super;
	uint64_t		 size_bytes;
	int			 fd;
	int			 reader_fd;
	int64_t			 chunk_range_ms;
	uint32_t		 chunk_samples;
	uint64_t		 grows_at[HEAD_CHUNK_SAMPLES_MAX / 64 + 1];
	int64_t			 ooo_window_ms;
	int64_t			 max_valid_ms;	/* of this batch */
	head_log_fn		*log;
	void			*log_arg;

	struct head_alloc	 alloc;
	uint64_t		 reserve_units;	/* no new series into them */

	struct series_state	*state[HEAD_SEGMENTS];
	uint32_t		 n_slots;
	uint64_t		 next_ref;
	struct series_shard	 shard[HEAD_SHARDS];
	struct buf		 new_series;	/* record not yet logged */

	struct record_sample	*acc;		/* accepted of the batch */
	uint32_t		*acc_slot;
	size_t			 acc_cap, acc_slot_cap;
	struct buf		 samples;	/* its record */

	struct retired		*limbo;		/* ring by age */
	size_t			 limbo_at, limbo_n, limbo_cap;
	struct head_reader_slot	*readers;

	struct full_chunk	*full;		/* waiting, oldest first */
	size_t			 full_at, full_n, full_cap;

	struct ref_map		*refs;		/* replay only */
	struct head_counters	 count;
};

static inline void *
head_ptr(const struct head *h, head_off off)
{
	return h->base + (uint64_t)off * HEAD_UNIT;
}

static inline struct series_state *
head_state(const struct head *h, uint32_t slot)
{
	return &h->state[slot / HEAD_SEGMENT_SLOTS]
	    [slot % HEAD_SEGMENT_SLOTS];
}

/* How many samples ahead the cache lines of a series are fetched. */
#define HEAD_PREFETCH_STATE	48
#define HEAD_PREFETCH_DATA	40

/*
 * Its state is in the cache by now. Always inlined: gcc takes the call of a
 * function that only prefetches for one without effect, and drops it.
 */
static inline __attribute__((always_inline)) void
head_prefetch_chunk(const struct head *h, uint32_t slot)
{
	const struct series_state *st = head_state(h, slot);

	__builtin_prefetch(head_ptr(h, st->open), 1);
	__builtin_prefetch((uint8_t *)head_ptr(h, st->data) +
	    st->x.n_bits / 8, 1);
}

struct head_series *head_series_record(const struct head *h, uint32_t slot);

/* --- head_alloc.c --- */

void	 head_alloc_init(struct head_alloc *a, uint32_t first_unit,
	    uint32_t end_unit);
void	 head_alloc_clear(struct head_alloc *a);
/* The size a block of at least `units` really gets. */
uint32_t head_alloc_size(const struct head_alloc *a, uint32_t units);
/*
 * A block of head_alloc_size(units) units, not cleared; 0 when the arena is
 * full.
 */
head_off head_alloc(struct head *h, uint32_t units);
/* As head_alloc, all zero. */
head_off head_zalloc(struct head *h, uint32_t units);
/* Back to its list at once; units as given to head_alloc. */
void	 head_alloc_free(struct head *h, head_off off, uint32_t units);
/* Units in whole pages that can still be had. */
uint64_t head_alloc_room(const struct head *h);

/* --- head_reclaim.c --- */

/* Frees the block when no reader can see it any more. */
void	 head_retire(struct head *h, head_off off, uint32_t units);

/* --- head_append.c --- */

/* Sets the points where a chunk's data grows, by h->chunk_samples. */
void	 head_growth_init(struct head *h);
/*
 * Appends one sample in order to the series' open chunk (or a new one) as
 * part of `commit`. -1 when the arena is full.
 */
int	 head_append_one(struct head *h, uint32_t slot,
	    struct series_state *st, int64_t t_ms, double v, uint64_t commit);
/*
 * Adds an entry to the series' list of chunks and publishes it; returns the
 * entry's offset, 0 when the arena is full.
 */
head_off head_chunk_add(struct head *h, uint32_t slot,
	    const struct head_chunk *c);
void	 head_seal_open(struct head *h, uint32_t slot,
	    struct series_state *st);
void	 head_times_add(struct head *h, int64_t mint_ms, int64_t maxt_ms);

/* --- head_index.c --- */

/* A new series with this ref; the caller knows it is not there. */
uint32_t head_series_make(struct head *h, uint64_t ref, uint64_t hash,
	    struct labels ls, struct err *err);
uint32_t head_series_lookup(const struct head *h, uint64_t hash,
	    struct labels ls);
void	 head_index_free(struct head *h);

/* --- head_replay.c --- */

void	 head_refs_free(struct head *h);

#endif

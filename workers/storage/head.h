/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_HEAD_H
#define BRAZIER_WORKERS_STORAGE_HEAD_H

/*
 * The head's one writer. Shared state lies in the arena as head_layout.h
 * says; what only the writer needs (the XOR coder of each open chunk, the
 * hash of label sets, free blocks) is in this process.
 *
 *	head_new ─▶ replay: head_replay_series, _samples, _chunk ─▶ _end
 *	         ─▶ head_series (labels → slot), head_append (a whole batch)
 *	         ─▶ head_spill_next … head_spilled (full chunks to files)
 *	         ─▶ head_reclaim (epochs)
 *
 * A batch is checked first, then logged by the caller's function, then
 * written into the chunks under the next commit number, then published by
 * storing that number: so nothing is visible that is not in the WAL, and a
 * failing WAL leaves the head as it was.
 *
 * Single-threaded. Nothing here waits for anything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/labels/labels.h"
#include "common/tsdb/head_layout.h"
#include "common/tsdb/record.h"

#define HEAD_NO_SLOT		UINT32_MAX
#define HEAD_CHUNK_RANGE_MS	(2 * 3600 * 1000)
#define HEAD_CHUNK_SAMPLES	120

struct head;

struct head_options {
	uint64_t	ceiling_bytes;	/* of the arena; 64 GiB at most */
	int64_t		chunk_range_ms;	/* 0 = HEAD_CHUNK_RANGE_MS */
	uint32_t	chunk_samples;	/* 0 = HEAD_CHUNK_SAMPLES */
};

/* Why a sample is not stored. */
enum head_refusal {
	HEAD_OUT_OF_ORDER,
	HEAD_DUPLICATE,		/* same time, other value */
	HEAD_OUT_OF_BOUNDS,	/* older or newer than the head accepts */
	HEAD_TOO_OLD,		/* older than the out-of-order window */
	HEAD_LIMIT,		/* the arena is full, or no such series */
	HEAD_REFUSALS
};

struct head_sample {
	uint32_t	slot;		/* HEAD_NO_SLOT: refused, HEAD_LIMIT */
	uint32_t	tag;		/* the caller's, not looked at */
	int64_t		t_ms;
	double		v;
};

/*
 * The sum of a batch. For refusals the first sample of each kind: its index
 * and what it met.
 */
struct head_result {
	uint32_t	stored;		/* exact duplicates count as stored */
	uint32_t	refused[HEAD_REFUSALS];
	struct {
		uint32_t	index;
		uint32_t	slot;
		int64_t		t_ms;	/* of the refused sample */
		double		v;
		double		old_v;	/* HEAD_DUPLICATE: what is there */
	} first[HEAD_REFUSALS];
};

enum head_append_flags {
	HEAD_RESEND = 1		/* what is stored already counts as stored */
};

/* Counters since the start, as the reference's metrics want them. */
struct head_counters {
	uint64_t	samples_appended;
	uint64_t	refused[HEAD_REFUSALS];
	uint64_t	series_created;
	uint64_t	series_refused;	/* the arena is full */
	uint64_t	chunks_created;
	uint64_t	chunks_spilled;
	uint64_t	batches;
	uint64_t	readers_overdue;
};

/*
 * Writes the records of one batch to the WAL, series first; either may be
 * empty. 0 = both are written. -1: nothing of the batch counts.
 */
typedef int head_log_fn(void *arg, struct str series, struct str samples,
	    struct err *err);

/*
 * Makes the arena: memfd, sealed, mode 0. ERR_INTERNAL. Must run before the
 * sandbox closes (it opens the read-only fd through /proc/self/fd).
 */
struct head *head_new(const struct head_options *o, struct err *err);
void	 head_free(struct head *h);
/* The fd that is handed to readers: read-only. Stays the head's. */
int	 head_reader_fd(const struct head *h);
/* Its length, and the number that tells this arena from another. */
uint64_t head_size_bytes(const struct head *h);
uint64_t head_id(const struct head *h);
void	 head_set_log(struct head *h, head_log_fn *fn, void *arg);
/* Samples below are out of bounds; end of the newest block. */
void	 head_set_min_valid(struct head *h, int64_t t_ms);
/*
 * Samples of the following batches that are newer are out of bounds: the
 * newest time decides what is too old for everybody, so a client must not
 * be able to push it ahead. At first INT64_MAX.
 */
void	 head_set_max_valid(struct head *h, int64_t t_ms);
/* 0 = off. The window only decides between "out of order" and "too old". */
void	 head_set_ooo_window(struct head *h, int64_t window_ms);

/* --- series --- */

/*
 * The slot of a label set (sorted by name, no empty values), made when it is
 * new; *created says so. New ones go into the WAL with the next batch.
 * HEAD_NO_SLOT and ERR_LIMIT when the arena is near its ceiling (known
 * series are still found), ERR_BAD_DATA for too many or too long labels.
 * About 2 µs for a new series of ten labels.
 */
uint32_t head_series(struct head *h, struct labels ls, bool *created,
	    struct err *err);
uint64_t head_series_ref(const struct head *h, uint32_t slot);
uint32_t head_n_slots(const struct head *h);
/* {a="b", …} of a series appended to out; nothing for an unknown slot. */
void	 head_series_text(const struct head *h, uint32_t slot,
	    struct buf *out);
/* Value of one label; empty when it has none. Lives as long as the head. */
struct str head_series_label(const struct head *h, uint32_t slot,
	    struct str name);
/*
 * How many clients have a series declared, counted by who serves them;
 * beyond 254 it stays for good.
 */
void	 head_series_hold(struct head *h, uint32_t slot);
void	 head_series_release(struct head *h, uint32_t slot);
bool	 head_series_held(const struct head *h, uint32_t slot);
/* Time and value of the newest sample; false when it has none. */
bool	 head_series_last(const struct head *h, uint32_t slot, int64_t *t_ms,
	    double *v);

/* --- samples --- */

/*
 * One batch: all of it is logged and visible when this returns 0, but for
 * the refused samples. -1 (the WAL failed, or memory is out): nothing of it
 * is. n may be 0 (new series are logged then).
 */
int	 head_append(struct head *h, const struct head_sample *s, size_t n,
	    int flags, struct head_result *out, struct err *err);

/* --- replay, before the first reader --- */

/*
 * A series record. A label set that is there already makes ref another name
 * of the first. ERR_LIMIT when the arena is full, ERR_BAD_DATA for a ref or
 * labels that cannot be: the samples of the ref are to be skipped.
 */
int	 head_replay_series(struct head *h, uint64_t ref, struct labels ls,
	    uint32_t *slot_out, struct err *err);
/*
 * Samples in WAL order; their ref is the slot. What is not newer than the
 * series' newest is dropped.
 */
void	 head_replay_samples(struct head *h, const struct record_sample *s,
	    size_t n);
/*
 * Samples of the slot from mint_ms to maxt_ms, both included, are not shown
 * any more. ERR_LIMIT when the arena is full or the ranges are too many.
 */
int	 head_replay_delete(struct head *h, uint64_t slot, int64_t mint_ms,
	    int64_t maxt_ms, struct err *err);
/*
 * A full chunk in a chunks_head file, before the series' record is seen.
 * Chunks of a ref come in order of time; -1 when memory is out.
 */
int	 head_replay_chunk(struct head *h, uint64_t ref, int64_t mint_ms,
	    int64_t maxt_ms, uint32_t n_samples, unsigned encoding,
	    uint32_t file, uint32_t off);
/*
 * The replay is over: everything becomes visible. New refs go above max_ref
 * too, the highest seen in any record.
 */
void	 head_replay_end(struct head *h, uint64_t max_ref);

/* --- full chunks to files --- */

struct head_full_chunk {
	uint32_t	 slot;
	uint32_t	 index;		/* in the series' list */
	uint64_t	 ref;
	int64_t		 mint_ms, maxt_ms;
	uint8_t		 encoding;
	const uint8_t	*data;		/* sealed; lives until head_spilled */
	uint32_t	 len_bytes;
};

size_t	 head_spill_waiting(const struct head *h);
/* The oldest full chunks that are not in a file: how many, at most max. */
size_t	 head_spill_list(struct head *h, struct head_full_chunk *out,
	    size_t max);
/* It is in file at off, and every reader has been sent that file. */
void	 head_spilled(struct head *h, const struct head_full_chunk *c,
	    uint32_t file, uint32_t off);
/* --- readers' epochs --- */

struct head_reader_slot;

/*
 * Maps a reader's page (checked: size and seals). NULL and ERR_BAD_DATA. fd
 * is not kept. id is the caller's.
 */
struct head_reader_slot *head_reader_add(struct head *h, int page_fd,
	    uint32_t id, struct err *err);
void	 head_reader_del(struct head *h, struct head_reader_slot *r);
/*
 * Steps the epoch when blocks wait, and frees what no reader can see. Cheap;
 * after each batch and on a timer. now_ns: monotonic.
 */
void	 head_reclaim(struct head *h, int64_t now_ns);
/*
 * A new epoch though nothing waits, so that a reader that works all the time
 * is not taken for one that holds an epoch all the time. On the timer.
 */
void	 head_epoch_step(struct head *h);
/*
 * The id of a reader that has held one epoch for longer than limit_ns (each
 * call names another); false when there is none. It still blocks reclaiming
 * until head_reader_del.
 */
bool	 head_reader_overdue(struct head *h, int64_t now_ns,
	    int64_t limit_ns, uint32_t *id_out);

const struct head_counters *head_counters(const struct head *h);
/* Bytes of the arena in use, and its ceiling for new series. */
void	 head_memory(const struct head *h, uint64_t *used_bytes,
	    uint64_t *ceiling_bytes);
/*
 * Gives free memory back to the kernel that was not needed since the last
 * call; at most 32 MiB, which takes some 5 ms. Once a second.
 */
void	 head_trim(struct head *h);
/* What the arena takes of memory: in use, free, and lost between blocks. */
uint64_t head_touched_bytes(const struct head *h);
uint64_t head_n_series(const struct head *h);
uint64_t head_n_chunks(const struct head *h);
int64_t	 head_max_time(const struct head *h);
int64_t	 head_min_time(const struct head *h);

#endif

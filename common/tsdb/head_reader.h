/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_HEAD_READER_H
#define BRAZIER_COMMON_TSDB_HEAD_READER_H

/*
 * Reading the head arena (head_layout.h) from another process while storage
 * writes it: nothing is locked, nothing costs storage anything.
 *
 *	head_reader_open(&r, fd, page_fd, &err)        once, before the sandbox
 *	  head_reader_begin(&r)                        an epoch is held from here
 *	  head_reader_select(&r, arena, matchers, n, &slots, &cap, &err)
 *	                                               which series, the commit
 *	                                               and their words
 *	  head_reader_series / head_reader_chunk       labels, spans
 *	  head_reader_end(&r)                          pointers are dead now
 *	head_reader_close(&r)
 *
 * Everything is checked against the arena: what does not fit is
 * ERR_INTERNAL "corrupt head: …", and the process goes on. Not safe for
 * several threads on one struct head_reader.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/labels/matcher.h"
#include "common/tsdb/head_layout.h"
#include "common/tsdb/postings.h"

struct head_reader {
	const uint8_t			*base;	/* the mapping */
	uint64_t			 size_bytes;
	const struct head_super		*super;
	struct head_reader_page		*page;	/* NULL: holds no epochs */
	uint64_t			 commit; /* of the last capture */
	uint64_t			 map_bytes;
	bool				 mapped; /* ours to unmap */
};

/*
 * Maps the arena behind fd read-only and checks the superblock. page_fd is
 * the reader's own page (head_reader_page_new), mapped writable; -1 for a
 * reader beside the writer in one process, whose blocks are never reused
 * meanwhile. Neither fd is kept. ERR_INTERNAL.
 */
int	 head_reader_open(struct head_reader *r, int fd, int page_fd,
	    struct err *err);
/* The same over memory that is mapped already (storage itself, tests). */
int	 head_reader_init(struct head_reader *r, const void *base,
	    uint64_t size_bytes, struct head_reader_page *page,
	    struct err *err);
void	 head_reader_close(struct head_reader *r);

/* A memfd for an epoch page, sealed as storage demands; -1 and err. */
int	 head_reader_page_new(struct err *err);

/* Takes an epoch. Must not be held already. */
void	 head_reader_begin(struct head_reader *r);
/* Gives it back; everything borrowed from the arena is dead. */
void	 head_reader_end(struct head_reader *r);

/* --- symbols --- */

/* Text of a symbol, borrowed from the arena; empty (p not NULL) when the id
 * is not one. */
struct str head_symbol_text(const struct head_reader *r, uint32_t sym);
/* The id of a text, 0 when no series uses it. */
uint32_t head_symbol_find(const struct head_reader *r, struct str text);

/* --- names, values, postings --- */

/*
 * The list of a pair: slots of all series with name=value; with value 0 the
 * pairs of this name. Empty when there is none. -1: corrupt.
 */
int	 head_pair_list(const struct head_reader *r, uint32_t name,
	    uint32_t value, struct postings *out, struct err *err);
/* The pair or name that an item of such a list means; false: corrupt. */
bool	 head_pair_get(const struct head_reader *r, head_off off,
	    struct head_pair *out);
/* All names, as offsets for head_pair_get. */
int	 head_names(const struct head_reader *r, struct postings *out,
	    struct err *err);
/* The list behind a pair that head_pair_get gave. */
int	 head_pair_items(const struct head_reader *r,
	    const struct head_pair *pair, struct postings *out,
	    struct err *err);

/*
 * Slots of the series that match all n matchers (0 = all series),
 * ascending. ERR_LIMIT when the arena refuses, ERR_INTERNAL when corrupt.
 * Series that are created meanwhile are left out: whoever wants samples too
 * asks head_reader_select.
 */
int	 head_match(const struct head_reader *r, struct arena *a,
	    const struct matcher *const *m, size_t n, struct postings *out,
	    struct err *err);
/* The same, and the number of slots that were asked: slots from there on
 * were not. */
int	 head_match_below(const struct head_reader *r, struct arena *a,
	    const struct matcher *const *m, size_t n, struct postings *out,
	    uint32_t *n_slots_out, struct err *err);

/* --- series and chunks --- */

struct head_series_view {
	uint64_t		 ref;
	const struct head_label	*label;	/* in the arena */
	uint32_t		 n_labels;
	head_off		 chunks;
	head_off		 deleted;
};

/* 1, 0 for an empty slot, -1 corrupt. */
int	 head_reader_series(const struct head_reader *r, uint32_t slot,
	    struct head_series_view *out, struct err *err);
/* All n matchers say yes to its labels. */
bool	 head_series_matches(const struct head_reader *r,
	    const struct head_series_view *s, const struct matcher *const *m,
	    size_t n);
/* The deleted ranges of a series, borrowed from the arena; -1: corrupt. */
int	 head_reader_deleted(const struct head_reader *r,
	    const struct head_series_view *s, const struct head_interval **out,
	    uint32_t *n_out, struct err *err);
/* The value's symbol of a name's symbol, 0 when the series has no such. */
uint32_t head_series_value(const struct head_series_view *s, uint32_t name);

/* What a query keeps of a series so that its picture stays the same. */
struct head_capture {
	uint64_t	word;		/* of chunk n - 1 */
	head_off	chunks;
	uint32_t	n;		/* chunks; 0 = nothing to see */
};

/*
 * Takes the commit number (into r->commit) and the words of all these
 * series; out is an arena array, parallel to slots. A commit that runs
 * meanwhile is either seen in all series or in none. If series are written
 * twice while this reads (only under commits faster than this call, some
 * 20 ns a series) it tries again, for two seconds; then ERR_EXECUTION: a
 * picture that mixes commits is never given.
 */
int	 head_reader_capture(struct head_reader *r, struct arena *a,
	    struct postings slots, struct head_capture **out,
	    struct err *err);

/*
 * head_match and head_reader_capture in one picture: also the series that
 * were created between the two, so that a batch with new series is seen
 * whole. Fails as they do.
 */
int	 head_reader_select(struct head_reader *r, struct arena *a,
	    const struct matcher *const *m, size_t n,
	    struct postings *slots_out, struct head_capture **cap_out,
	    struct err *err);

struct head_chunk_view {
	int64_t		 mint_ms;
	int64_t		 maxt_ms;	/* a bound, not exact */
	uint32_t	 n_samples;	/* to be seen; 0 = skip this chunk */
	uint8_t		 encoding;	/* chunk encoding, spec tsdb.tsv */
	bool		 in_file;
	const uint8_t	*data;		/* in the arena … */
	uint32_t	 len_bytes;
	uint32_t	 file;		/* … or in a chunks_head file */
	uint32_t	 file_off;
};

/* Chunk i < c->n as the capture sees it. */
int	 head_reader_chunk(const struct head_reader *r,
	    const struct head_capture *c, uint32_t i,
	    struct head_chunk_view *out, struct err *err);

/*
 * First chunk of the capture that may reach into t >= mint_ms: chunks are in
 * order of time. c->n when there is none.
 */
int	 head_reader_chunk_from(const struct head_reader *r,
	    const struct head_capture *c, int64_t mint_ms, uint32_t *i_out,
	    struct err *err);

/* --- figures --- */

struct head_figures {
	uint64_t	n_series;
	uint64_t	n_label_pairs;
	uint64_t	n_chunks;
	int64_t		mint_ms;	/* INT64_MAX while empty */
	int64_t		maxt_ms;	/* INT64_MIN while empty */
	uint64_t	used_bytes;
	uint64_t	size_bytes;
};

void	 head_reader_figures(const struct head_reader *r,
	    struct head_figures *out);

#endif

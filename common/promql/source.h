/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SOURCE_H
#define BRAZIER_COMMON_PROMQL_SOURCE_H

/*
 * Where the engine gets series from. A source answers a selection (matchers
 * and a time range) with series whose labels are symbol ids and whose
 * samples lie in chunk spans: borrowed bytes in the head arena, in a mapped
 * file or in memory of the source. Nothing is copied; the engine decodes.
 *
 *	engine ── select(matchers, hints) ──▶ source
 *	       ◀── series { ref, labels[], spans[] } one after the other
 *
 * Implementations: the head (source_head.c), blocks (source_block.c), both
 * merged (source_merge.c), and the in-memory one of the test language.
 *
 * Life time: everything a source hands out lives until source_end of the
 * query (an epoch is held from begin to end).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/labels/matcher.h"

/* Chunk encodings as on disk (spec tsdb.tsv, chunk-encoding). */
enum chunk_encoding {
	CHUNK_ENC_NONE = 0,
	CHUNK_ENC_XOR = 1,
	CHUNK_ENC_HISTOGRAM = 2,
	CHUNK_ENC_FLOAT_HISTOGRAM = 3,
	CHUNK_ENC_XOR2 = 4,
	CHUNK_ENC_HISTOGRAM_ST = 5,
	CHUNK_ENC_FLOAT_HISTOGRAM_ST = 6
};

/*
 * One chunk to decode. data is the chunk's data as on disk (it begins with
 * the two-byte sample count) and may be longer than the samples that may be
 * seen: n_samples says how many to decode, whatever the count in data says.
 */
struct chunk_span {
	const uint8_t	*data;
	uint32_t	 len_bytes;
	uint32_t	 n_samples;
	int64_t		 mint_ms;	/* inclusive; a bound, not exact */
	int64_t		 maxt_ms;	/* inclusive */
	uint8_t		 encoding;	/* enum chunk_encoding */
	uint32_t	 origin;	/* of a merged source; else 0 */
};

/* Name and value as symbols of the source; sorted by name text. */
struct label_sym {
	uint32_t	name;
	uint32_t	value;
};

struct source_series {
	uint64_t		 ref;		/* unique in the source */
	const struct label_sym	*labels;
	uint32_t		 n_labels;
	uint32_t		 n_spans;
	/*
	 * Sorted by mint. Spans may overlap (out-of-order data, overlapping
	 * blocks): then the engine merges by timestamp and the earlier span
	 * wins a tie. Tombstones are closed intervals; each cuts the samples
	 * of spans of its own origin.
	 */
	const struct chunk_span	*spans;
	const struct source_tombstone {
		int64_t		mint_ms, maxt_ms;
		uint32_t	origin;
	} *tombstones;
	uint32_t		 n_tombstones;
	bool			 overlapping;
};

struct source_hints {
	int64_t		mint_ms;	/* inclusive */
	int64_t		maxt_ms;	/* inclusive */
	int64_t		step_ms;	/* 0 for instant queries */
	int64_t		range_ms;	/* of the range selector, else 0 */
	uint32_t	limit;		/* most series wanted, 0 = all */
	bool		series_only;	/* labels wanted, no spans */
	/* labels need not live longer than the rest of the series */
	bool		brief_labels;
};

struct source;
struct source_cursor;	/* one selection under way; belongs to the source */

struct source_ops {
	/* next() yields series in the order of labels.Compare, each set once. */
	bool	 sorted;
	/*
	 * Begins a query: takes the commit number, the epoch. All memory of
	 * the query comes from (and is accounted to) the arena.
	 */
	int	 (*begin)(struct source *s, struct arena *a, struct err *err);
	void	 (*end)(struct source *s);

	/*
	 * Selects series that match all matchers and may have samples in the
	 * hints' range. Order: by the source's own refs, the same each time.
	 * -1: ERR_LIMIT (arena), ERR_INTERNAL (corrupt data).
	 */
	int	 (*select)(struct source *s, const struct matcher *const *m,
		    size_t n_matchers, const struct source_hints *hints,
		    struct source_cursor **out, struct err *err);
	/* Series known to be in the selection; for pre-sizing. */
	size_t	 (*cursor_n)(const struct source_cursor *c);
	/*
	 * The next series: 1, 0 at the end, -1 on an error. What it points
	 * to lives until the next call on this cursor — except labels, which
	 * live until end() if the hints do not say brief_labels.
	 */
	int	 (*next)(struct source_cursor *c, struct source_series *out,
		    struct err *err);

	/*
	 * Text of a symbol; empty for an unknown one. Can be asked, and
	 * lives, beyond end(): until the next begin() and no longer than
	 * the source and the arena of the query.
	 */
	struct str (*symbol)(const struct source *s, uint32_t sym);

	/* Sorted distinct names, and values of one name, of all series that
	 * match (n_matchers 0 = of all). *out is an arena array. */
	int	 (*label_names)(struct source *s,
		    const struct matcher *const *m, size_t n_matchers,
		    const struct source_hints *hints, struct str **out,
		    size_t *n_out, struct err *err);
	int	 (*label_values)(struct source *s, struct str name,
		    const struct matcher *const *m, size_t n_matchers,
		    const struct source_hints *hints, struct str **out,
		    size_t *n_out, struct err *err);
	/*
	 * True when the query should stop: cancelled, its client gone, or
	 * its epoch taken away. Cheap: read per series and every few
	 * thousand samples. NULL = never.
	 */
	bool	 (*cancelled)(struct source *s);
};

struct source {
	const struct source_ops	*ops;
};

#endif

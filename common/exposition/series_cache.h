/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_EXPOSITION_SERIES_CACHE_H
#define BRAZIER_COMMON_EXPOSITION_SERIES_CACHE_H

/*
 * What a target exposed last time, line by line: the memory behind parsing
 * by prediction, and the book of which series vanished.
 *
 *	lines	[ # HELP a … ][ a{x="1"} ][ a{x="2"} ][ b ] …
 *	             next ──────▶ next ─────▶ next ──▶
 *
 * Each line remembers which one followed it. A scrape walks that chain
 * beside the body: mostly the guess is right and costs one hash of the line's
 * text; when not, the line is parsed, found by hash (or added) and the chain
 * is mended.
 *
 * A line is known by length and 64-bit hash of its text; the text itself is
 * needed only when storage has to be told the labels again, and lies
 * compressed. A target that finds two texts of one hash mixes up two series
 * of its own.
 *
 * One pass over one body is an iteration:
 *
 *	series_cache_begin(c);
 *	while ((e = series_cache_next(c, &parser, &line, &err)) > EXPO_END)
 *		… line == NULL: unknown series, series_cache_add it …
 *		series_cache_track(c, line);	its end is to be marked stale
 *	series_cache_vanished(c, cb, arg);	tracked before, not now
 *	series_cache_end(c, true, gone_cb, arg);
 *
 * or, when the body turns out bad, series_cache_end with flush = false. What
 * was tracked until then stays so, as in the reference: it has not vanished.
 *
 * Pointers to lines are valid until the next series_cache_next,
 * series_cache_add or series_cache_end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/exposition/exposition.h"
#include "common/exposition/text_archive.h"

#define SERIES_CACHE_NONE	UINT32_MAX

enum cached_kind {
	CACHED_SAMPLE,
	CACHED_DROPPED,		/* a series that relabelling drops */
	CACHED_META		/* a whole HELP, TYPE or UNIT line */
};

struct cached_line {
	uint64_t	labels_hash;	/* owner's: of the final label set */
	uint64_t	hash;		/* of its text */
	uint32_t	text_n;
	uint32_t	next;		/* line that followed it last */
	uint32_t	seen;		/* iteration; 0 = never */
	uint32_t	tracked;	/* iteration; 0 = never */
	uint32_t	id;		/* owner's */
	uint8_t		kind;		/* enum cached_kind */
	uint8_t		entry;		/* enum expo_entry */
	uint8_t		type;		/* enum metric_type in force there */
};

struct series_cache {
	struct cached_line	*lines;
	size_t			 n, cap;
	struct text_archive	 texts;		/* by line */
	uint32_t		*slots;		/* line + 1; 0 = empty */
	uint32_t		 mask;
	uint32_t		 iter;		/* from 1 */
	uint32_t		 flushed;	/* older lines count as gone */
	uint32_t		 first;		/* line that began the last body */
	uint32_t		 prev;
	uint32_t		 expected;
	bool			 again;		/* last line: not the first time */
	size_t			 n_seen;	/* lines of this iteration */
	size_t			 n_success;	/* lines at the last good end */
	size_t			 n_tracked, n_tracked_before, n_kept;
};

void	 series_cache_init(struct series_cache *c);
void	 series_cache_clear(struct series_cache *c);

void	 series_cache_begin(struct series_cache *c);

/*
 * The next entry of the body. For EXPO_SERIES *line is the known line, or
 * NULL for a series that was not there before: then add it, or not.
 * c->again says that this very text was already in this body. A line that
 * was away for a good scrape is handed out as NULL too, but keeps its id if
 * it is added again.
 */
enum expo_entry series_cache_next(struct series_cache *c,
	    struct expo_parser *p, struct cached_line **line, struct err *err);

/*
 * The series that series_cache_next just returned as unknown. *had_id says
 * whether id and labels_hash are still those of the line's earlier life.
 * NULL when memory is out.
 */
struct cached_line *series_cache_add(struct series_cache *c,
	    const struct expo_parser *p, enum cached_kind kind, bool *had_id);

/* The line's series is exposed now; its end shall be noticed. */
static inline void
series_cache_track(struct series_cache *c, struct cached_line *l)
{
	if (l->tracked == c->iter)
		return;
	c->n_kept += l->tracked == c->iter - 1 && l->tracked != 0;
	l->tracked = c->iter;
	c->n_tracked++;
}

typedef void series_cache_fn(void *arg, struct cached_line *line);

/*
 * Calls fn for each line tracked in the previous iteration and not in this
 * one. Lines whose label set (labels_hash) another tracked line has are not
 * vanished. Costs nothing when all are there.
 */
void	 series_cache_vanished(struct series_cache *c, series_cache_fn *fn,
	    void *arg);

/*
 * Ends the iteration. flush: the body was good, what it did not hold is
 * forgotten; fn (may be NULL) is told each line that goes.
 * True when a flush was forced because bad bodies had filled the cache.
 */
bool	 series_cache_end(struct series_cache *c, bool flush,
	    series_cache_fn *fn, void *arg);

/*
 * Between iterations: forgets everything and gives the memory back; fn is told
 * each line. Nothing of it is vanished: the next body brings new series.
 */
void	 series_cache_drop(struct series_cache *c, series_cache_fn *fn,
	    void *arg);

/*
 * The line's text, good until the next call with this cache. Slow: it may
 * have to be decompressed. p == NULL without memory.
 */
struct str series_cache_text(struct series_cache *c,
	    const struct cached_line *line);

/* Heap bytes. */
size_t	 series_cache_bytes(const struct series_cache *c);

#endif

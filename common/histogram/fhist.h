/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HISTOGRAM_FHIST_H
#define BRAZIER_COMMON_HISTOGRAM_FHIST_H

/*
 * Native histograms with float counts: what chunks decode to and PromQL
 * computes with. Buckets are sparse: spans say which bucket indices exist,
 * the counts stand one after the other.
 *
 *	span {offset 2, length 2} {offset 1, length 1}
 *	index    0 1 [2 3] 4 [5]	offset counts from the end before it
 *	buckets       a b      c
 *
 * Schema -4..8: bucket i of the positive side is (2^(2^-schema)^(i-1),
 * 2^(2^-schema)^i], the negative side mirrored, and a zero bucket of width
 * zero_threshold. Schema -53: upper bounds stand in custom, the last bucket
 * ends at +Inf, there is no negative side and no zero bucket.
 *
 * Memory: structs and arrays come from an arena of the caller; operations
 * that must grow an array allocate a new one there and forget the old.
 * Arrays may be shared between histograms only where a comment says so.
 * Functions that allocate return NULL or -1 when the arena is out.
 *
 * Source: prometheus model/histogram (behaviour).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"

#define FHIST_CUSTOM_SCHEMA	(-53)
#define FHIST_SCHEMA_MIN	(-4)
#define FHIST_SCHEMA_MAX	8
/* Schemas that a chunk may hold; beyond 8 they are reduced when read. */
#define FHIST_SCHEMA_MIN_RESERVED	(-9)
#define FHIST_SCHEMA_MAX_RESERVED	52

enum fhist_hint {
	FHIST_UNKNOWN = 0,
	FHIST_RESET = 1,
	FHIST_NOT_RESET = 2,
	FHIST_GAUGE = 3
};

struct hspan {
	int32_t		offset;
	uint32_t	length;
};

/* One side. */
struct hside {
	struct hspan	*spans;
	double		*counts;	/* absolute */
	uint32_t	 n_spans;
	uint32_t	 n;		/* counts */
};

struct fhist {
	int32_t		 schema;
	uint8_t		 hint;		/* enum fhist_hint */
	double		 zero_threshold;
	double		 zero_count;
	double		 count;
	double		 sum;		/* stale NaN: a stale marker */
	struct hside	 pos;
	struct hside	 neg;
	const double	*custom;	/* immutable, may be shared */
	uint32_t	 n_custom;
};

struct hbucket {
	double	lower;
	double	upper;
	bool	lower_inclusive;
	bool	upper_inclusive;
	double	count;
	int32_t	index;
};

static inline bool
fhist_is_custom(const struct fhist *h)
{
	return h->schema == FHIST_CUSTOM_SCHEMA;
}

static inline bool
fhist_schema_is_known(int64_t schema)
{
	return schema == FHIST_CUSTOM_SCHEMA ||
	    (schema >= FHIST_SCHEMA_MIN_RESERVED &&
	    schema <= FHIST_SCHEMA_MAX_RESERVED);
}

/*
 * All counts and spans agree, schema is one of -53, -4..8, nothing is
 * negative: what everything below relies on. Errors worded as the
 * reference's Validate.
 */
int	 fhist_validate(const struct fhist *h, struct err *err);

/*
 * Copies. fhist_copy shares custom with h, so it must not outlive what h was
 * made from; fhist_dup copies that too.
 */
struct fhist *fhist_copy(struct arena *a, const struct fhist *h);
struct fhist *fhist_dup(struct arena *a, const struct fhist *h);
/* Into *to, its old arrays forgotten. */
int	 fhist_copy_into(struct arena *a, const struct fhist *h,
	    struct fhist *to);
/* schema must be <= h's; both exponential unless equal. */
struct fhist *fhist_copy_to_schema(struct arena *a, const struct fhist *h,
	    int32_t schema);
/* In place; arrays shrink. */
void	 fhist_reduce_resolution(struct fhist *h, int32_t schema);

/* In place. A negative factor makes a gauge. */
void	 fhist_mul(struct fhist *h, double factor);
void	 fhist_div(struct fhist *h, double scalar);

/* What an addition did besides adding. */
struct fhist_note {
	bool	reset_collision;	/* reset and not_reset met */
	bool	bounds_reconciled;	/* custom bounds differed */
};

enum fhist_rc {
	FHIST_OK = 0,
	FHIST_INCOMPATIBLE = 1,		/* exponential and custom mixed */
	FHIST_NOMEM = -1
};

/* h += o, h -= o: buckets, zero buckets and schemas are reconciled. */
enum fhist_rc fhist_add(struct arena *a, struct fhist *h,
	    const struct fhist *o, struct fhist_note *note);
enum fhist_rc fhist_sub(struct arena *a, struct fhist *h,
	    const struct fhist *o, struct fhist_note *note);
/*
 * As fhist_add with Kahan compensation kept in *c: NULL at first, then a
 * histogram of h's layout (its spans are h's). Both are undefined after
 * FHIST_INCOMPATIBLE but for what they were before.
 */
enum fhist_rc fhist_kahan_add(struct arena *a, struct fhist *h,
	    const struct fhist *o, struct fhist **c, struct fhist_note *note);

/* In place: drops empty buckets, joins spans (new ones from the arena). */
int	 fhist_compact(struct arena *a, struct fhist *h);
/* Any count or the sum is infinite. */
bool	 fhist_has_overflow(const struct fhist *h);
bool	 fhist_bounds_match(const struct fhist *a, const struct fhist *b);
/* Same data bit by bit (zero-length spans count for nothing). */
bool	 fhist_equals(const struct fhist *a, const struct fhist *b);
/* Is there a counter reset between prev and h? */
bool	 fhist_detect_reset(const struct fhist *h, const struct fhist *prev);
/* Bytes as the reference counts them (its sample limit). */
size_t	 fhist_size(const struct fhist *h);
static inline size_t
fhist_samples(const struct fhist *h)
{
	return (fhist_size(h) + 8) / 16;
}

/* Keeps what is below (upper) or above (lower) v; in place. */
int	 fhist_trim(struct arena *a, struct fhist *h, double v, bool upper);

/*
 * "{count:3, sum:5, [-1,1]:2, (1,2]:1}" as the reference prints it.
 */
void	 fhist_format(const struct fhist *h, struct buf *out);
/* A float as Go's %g: an exponent below 1e-4 and from 1e6 on. */
void	 fhist_add_g(struct buf *out, double v);

/* "{{schema:1 count:3 …}}": the notation of the test language. */
void	 fhist_format_test(const struct fhist *h, struct buf *out);

/* --- buckets one by one --- */

double	 hbound(int32_t index, int32_t schema, const double *custom,
	    uint32_t n_custom);

enum hiter_kind {
	HITER_POS,		/* away from zero */
	HITER_NEG,
	HITER_POS_REVERSE,	/* towards zero */
	HITER_NEG_REVERSE,
	HITER_ALL,		/* ascending, zero bucket included */
	HITER_ALL_REVERSE
};

struct hside_iter {
	const struct fhist	*h;
	const struct hside	*side;
	bool			 positive;
	bool			 reverse;
	uint32_t		 span;
	uint32_t		 in_span;
	uint32_t		 i;		/* next count */
	int32_t			 index;		/* of the next bucket */
};

struct hiter {
	struct hside_iter	 first;
	struct hside_iter	 second;
	const struct fhist	*h;
	int			 stage;
	bool			 all;
	struct hbucket		 b;		/* the current one */
	uint32_t		 count_i;	/* its position in counts */
};

void	 hiter_init(struct hiter *it, const struct fhist *h,
	    enum hiter_kind kind);
/* The next bucket into it->b; false at the end. */
bool	 hiter_next(struct hiter *it);

/* --- statistics --- */

enum fhist_nan {
	FHIST_NAN_NONE,
	FHIST_NAN_RESULT,	/* NaN observations made the result NaN */
	FHIST_NAN_SKEW		/* they skew it */
};

double	 fhist_quantile(const struct fhist *h, double q,
	    enum fhist_nan *nan_out);
double	 fhist_fraction(const struct fhist *h, double lower, double upper,
	    enum fhist_nan *nan_out);
double	 fhist_variance(const struct fhist *h);

/* --- Kahan summation as the reference does it (Neumaier) --- */

static inline void
kahan_inc(double inc, double *sum, double *c)
{
	double s = *sum, t = s + inc;

	if (__builtin_isinf(t))
		*c = 0;
	else if (__builtin_fabs(s) >= __builtin_fabs(inc))
		*c += (s - t) + inc;
	else
		*c += (inc - t) + s;
	*sum = t;
}

#endif

/* SPDX-License-Identifier: ISC */

/* Warnings and infos of an evaluation; see annotations.h. */

#include "common/promql/annotations.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/quote.h"
#include "common/histogram/fhist.h"

struct anno {
	struct anno	*next;
	enum anno_kind	 kind;
	int32_t		 pos;
	struct str	 text;		/* with its kind, without position */
	uint64_t	 count;
	/* monotonicity */
	int64_t		 min_ts_ms, max_ts_ms;
	double		 min_bucket, max_bucket, max_diff;
};

#define W "PromQL warning: "
#define I "PromQL info: "

void
annos_init(struct annos *a, struct arena *mem)
{
	*a = (struct annos){ .mem = mem };
	a->last = &a->first;
}

static void
add_g(struct buf *b, double v)
{
	fhist_add_g(b, v);
}

static void
add_metric(struct buf *b, struct str metric)
{
	if (metric.n == 0)
		return;
	buf_add_c(b, " for metric name ");
	quote_add(b, metric);
}

static const char *const heads[ANNO_N] = {
	[ANNO_INVALID_RATIO] = W "ratio value should be between -1 and 1, "
	    "got ",
	[ANNO_INVALID_QUANTILE] = W "quantile value should be between 0 and "
	    "1, got ",
	[ANNO_BAD_BUCKET] = W "bucket label \"le\" is missing or has a "
	    "malformed value of ",
	[ANNO_MIXED_FLOATS_HISTOGRAMS] = W "encountered a mix of histograms "
	    "and floats for metric name ",
	[ANNO_MIXED_FLOATS_HISTOGRAMS_AGG] = W "encountered a mix of "
	    "histograms and floats for aggregation",
	[ANNO_MIXED_CLASSIC_NATIVE] = W "vector contains a mix of classic "
	    "and native histograms",
	[ANNO_NOT_COUNTER] = W "this native histogram metric is not a "
	    "counter: ",
	[ANNO_NOT_GAUGE] = W "this native histogram metric is not a gauge: ",
	[ANNO_MIXED_EXPONENTIAL_CUSTOM] = W "vector contains a mix of "
	    "histograms with exponential and custom buckets schemas for "
	    "metric name ",
	[ANNO_INCOMPATIBLE_LAYOUT] = W "incompatible bucket layout "
	    "encountered for binary operator ",
	[ANNO_SORT_IN_RANGE] = W "sort is ineffective for range queries "
	    "since results are always ordered by labels",
	[ANNO_RESET_COLLISION] = W "conflicting counter resets during "
	    "histogram ",
	[ANNO_START_TIME_OVERLAP] = W "sample has start time that overlaps "
	    "with previous sample timestamp for metric ",
	[ANNO_POSSIBLE_NON_COUNTER] = I "metric might not be a counter, name "
	    "does not end in _total/_sum/_count/_bucket: ",
	[ANNO_POSSIBLE_NON_COUNTER_TYPE] = I "metric might not be a counter, "
	    "__type__ label is not set to \"counter\" or \"histogram\", got ",
	[ANNO_FORCED_MONOTONIC] = I "input to histogram_quantile needed to "
	    "be fixed for monotonicity (see https://prometheus.io/docs/"
	    "prometheus/latest/querying/functions/#histogram_quantile)",
	[ANNO_INCOMPATIBLE_TYPES] = I "incompatible sample types encountered "
	    "for binary operator ",
	[ANNO_IGNORED_IN_AGGREGATION] = I "ignored histogram in ",
	[ANNO_IGNORED_IN_MIXED_RANGE] = I "ignored histograms in a range "
	    "containing both floats and histograms for metric name ",
	[ANNO_QUANTILE_NAN_RESULT] = I "input to histogram_quantile has NaN "
	    "observations, result is NaN",
	[ANNO_QUANTILE_NAN_SKEW] = I "input to histogram_quantile has NaN "
	    "observations, result is skewed higher",
	[ANNO_FRACTION_NANS] = I "input to histogram_fraction has NaN "
	    "observations, which are excluded from all fractions",
	[ANNO_BOUNDS_RECONCILED] = I "mismatched custom buckets were "
	    "reconciled during ",
};

static void
format(struct buf *b, enum anno_kind kind, struct str s, struct str s2,
    double f, double f2)
{
	buf_add_c(b, heads[kind]);
	switch (kind) {
	case ANNO_INVALID_RATIO:
		add_g(b, f);
		buf_add_c(b, ", capping to ");
		add_g(b, f2);
		break;
	case ANNO_INVALID_QUANTILE:
		add_g(b, f);
		break;
	case ANNO_BAD_BUCKET:
		quote_add(b, s);
		add_metric(b, s2);
		break;
	case ANNO_MIXED_FLOATS_HISTOGRAMS:
	case ANNO_NOT_COUNTER:
	case ANNO_NOT_GAUGE:
	case ANNO_MIXED_EXPONENTIAL_CUSTOM:
	case ANNO_START_TIME_OVERLAP:
	case ANNO_POSSIBLE_NON_COUNTER:
	case ANNO_IGNORED_IN_MIXED_RANGE:
		quote_add(b, s);
		break;
	case ANNO_POSSIBLE_NON_COUNTER_TYPE:
		quote_add(b, s2);
		buf_add_c(b, ": ");
		quote_add(b, s);
		break;
	case ANNO_MIXED_CLASSIC_NATIVE:
	case ANNO_FORCED_MONOTONIC:
	case ANNO_QUANTILE_NAN_RESULT:
	case ANNO_QUANTILE_NAN_SKEW:
	case ANNO_FRACTION_NANS:
		add_metric(b, s);
		break;
	case ANNO_INCOMPATIBLE_LAYOUT:
	case ANNO_RESET_COLLISION:
	case ANNO_BOUNDS_RECONCILED:
		buf_add_str(b, s);
		break;
	case ANNO_INCOMPATIBLE_TYPES:
		quote_add(b, s2);
		buf_add_c(b, ": ");
		buf_add_str(b, s);
		break;
	case ANNO_IGNORED_IN_AGGREGATION:
		buf_add_str(b, s);
		buf_add_c(b, " aggregation");
		break;
	case ANNO_MIXED_FLOATS_HISTOGRAMS_AGG:
	case ANNO_SORT_IN_RANGE:
	case ANNO_N:
		break;
	}
}

/* The annotation of this text, made if it is new; NULL: memory is out. */
static struct anno *
find(struct annos *a, enum anno_kind kind, int32_t pos, struct str s,
    struct str s2, double f, double f2)
{
	struct buf b;
	struct anno *x;

	buf_init(&b, 0);
	format(&b, kind, s, s2, f, f2);
	if (buf_failed(&b))
		goto fail;
	for (x = a->first; x != NULL; x = x->next)
		if (x->kind == kind && str_eq(x->text, buf_str(&b))) {
			x->pos = pos;
			x->count++;
			buf_clear(&b);
			return x;
		}
	x = arena_zalloc(a->mem, sizeof(*x));
	if (x == NULL)
		goto fail;
	x->text = arena_str(a->mem, buf_str(&b));
	if (x->text.p == NULL)
		goto fail;
	buf_clear(&b);
	x->kind = kind;
	x->pos = pos;
	x->count = 1;
	*a->last = x;
	a->last = &x->next;
	a->n++;
	return x;
fail:
	buf_clear(&b);
	a->failed = 1;
	return NULL;
}

void
annos_add(struct annos *a, enum anno_kind kind, int32_t pos, struct str s,
    struct str s2, double f, double f2)
{
	(void)find(a, kind, pos, s, s2, f, f2);
}

void
annos_monotonic(struct annos *a, int32_t pos, struct str metric,
    int64_t t_ms, double min_bucket, double max_bucket, double max_diff)
{
	struct anno *x = find(a, ANNO_FORCED_MONOTONIC, pos, metric,
	    STR_EMPTY, 0, 0);

	if (x == NULL)
		return;
	if (x->count == 1) {
		x->min_ts_ms = x->max_ts_ms = t_ms;
		x->min_bucket = min_bucket;
		x->max_bucket = max_bucket;
		x->max_diff = max_diff;
		return;
	}
	if (t_ms < x->min_ts_ms)
		x->min_ts_ms = t_ms;
	if (t_ms > x->max_ts_ms)
		x->max_ts_ms = t_ms;
	x->min_bucket = fmin(x->min_bucket, min_bucket);
	x->max_bucket = fmax(x->max_bucket, max_bucket);
	x->max_diff = fmax(x->max_diff, max_diff);
}

static void
add_time(struct buf *b, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char text[64];

	if (gmtime_r(&t, &tm) == NULL)
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_add_c(b, text);
}

/* Go's %.2g. */
static void
add_2g(struct buf *b, double v)
{
	if (isinf(v))
		buf_add_c(b, v > 0 ? "+Inf" : "-Inf");
	else if (isnan(v))
		buf_add_c(b, "NaN");
	else
		buf_printf(b, "%.2g", v);
}

static void
add_position(struct buf *b, struct str query, int32_t pos)
{
	size_t line = 1, line_start = 0;

	if (query.n == 0) {
		buf_add_c(b, " (unknown position)");
		return;
	}
	if (pos < 0 || (size_t)pos > query.n) {
		buf_add_c(b, " (invalid position)");
		return;
	}
	for (size_t i = 0; i < (size_t)pos; i++)
		if (query.p[i] == '\n') {
			line++;
			line_start = i + 1;
		}
	buf_printf(b, " (%zu:%zu)", line, (size_t)pos - line_start + 1);
}

static void
add_full(struct buf *b, const struct anno *x, struct str query)
{
	buf_add_str(b, x->text);
	if (x->kind == ANNO_FORCED_MONOTONIC) {
		buf_add_c(b, ", from buckets ");
		add_g(b, x->min_bucket);
		buf_add_c(b, " to ");
		add_g(b, x->max_bucket);
		buf_add_c(b, ", with a max diff of ");
		add_2g(b, x->max_diff);
		buf_printf(b, ", over %llu samples from ",
		    (unsigned long long)x->count);
		add_time(b, x->min_ts_ms);
		buf_add_c(b, " to ");
		add_time(b, x->max_ts_ms);
	} else if (x->kind == ANNO_START_TIME_OVERLAP && x->count > 1)
		buf_printf(b, " (%llu occurrences)",
		    (unsigned long long)x->count);
	add_position(b, query, x->pos);
}

int
annos_texts(const struct annos *a, struct str query, struct str **warnings,
    size_t *n_warnings, struct str **infos, size_t *n_infos)
{
	struct buf b;

	*n_warnings = *n_infos = 0;
	*warnings = arena_array(a->mem, a->n, sizeof(**warnings));
	*infos = arena_array(a->mem, a->n, sizeof(**infos));
	if (a->failed || *warnings == NULL || *infos == NULL)
		return -1;
	buf_init(&b, 0);
	for (const struct anno *x = a->first; x != NULL; x = x->next) {
		buf_reset(&b);
		add_full(&b, x, query);
		struct str s = arena_str(a->mem, buf_str(&b));
		if (buf_failed(&b) || s.p == NULL) {
			buf_clear(&b);
			return -1;
		}
		if (x->kind >= ANNO_POSSIBLE_NON_COUNTER)
			(*infos)[(*n_infos)++] = s;
		else
			(*warnings)[(*n_warnings)++] = s;
	}
	buf_clear(&b);
	return 0;
}

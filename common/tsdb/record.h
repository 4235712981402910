/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_RECORD_H
#define BRAZIER_COMMON_TSDB_RECORD_H

/*
 * What a WAL record says: a type byte, then entries of that type until the
 * record ends. Integers are big-endian, varints as in Go. How records are
 * framed in segments is wal_format.h's business.
 *
 *	series      1 | (ref64, n, (name, value)*)*
 *	samples     2 | ref64 t64 | (dref varint, dt varint, value64)*
 *	tombstones  3 | (ref64, mint varint, maxt varint)*
 *	exemplars   4 | ref64 t64 | (dref, dt, value64, n, (name, value)*)*
 *	mmap marks  5 | (ref64, chunk ref64)*            (WBL only)
 *	metadata    6 | (ref uvarint, type8, n, (name, value)*)*
 *	histograms  7, 9 | as samples, a histogram for the value
 *	            8, 10| the same, float histogram
 *	V2          11, 12, 13 | samples, histograms, float histograms with
 *	                         start timestamps
 *	min time    14 | t64                             (checkpoints only)
 *
 * Decoding takes hostile bytes: nothing is read outside of them, memory is
 * bounded by a small multiple of their length.
 * Source: spec tsdb.tsv, wal-record.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/labels/labels.h"

enum record_type {
	RECORD_SERIES = 1,
	RECORD_SAMPLES = 2,
	RECORD_TOMBSTONES = 3,
	RECORD_EXEMPLARS = 4,
	RECORD_MMAP_MARKERS = 5,
	RECORD_METADATA = 6,
	RECORD_HISTOGRAMS = 7,
	RECORD_FLOAT_HISTOGRAMS = 8,
	RECORD_CUSTOM_HISTOGRAMS = 9,
	RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
	RECORD_SAMPLES_V2 = 11,
	RECORD_HISTOGRAMS_V2 = 12,
	RECORD_FLOAT_HISTOGRAMS_V2 = 13,
	RECORD_MIN_VALID_TIME = 14,
	RECORD_UNKNOWN = 255	/* empty, or of a type we do not know */
};

struct record_series {
	uint64_t	ref;
	/*
	 * Sorted by name. Decoded: without empty values; valid is false for
	 * a set that is empty or not sorted, or has an empty or double name.
	 */
	struct labels	labels;
	bool		valid;
};

struct record_sample {
	uint64_t	ref;
	int64_t		t_ms;
	double		v;
};

struct record_tombstone {
	uint64_t	ref;
	int64_t		mint_ms;	/* inclusive */
	int64_t		maxt_ms;	/* inclusive */
};

struct record_exemplar {
	uint64_t	ref;
	int64_t		t_ms;
	double		v;
	struct labels	labels;		/* as in record_series */
	bool		valid;
};

struct record_mmap_marker {
	uint64_t	ref;
	uint64_t	chunk_ref;	/* 0 = no chunk was mapped */
};

/* Codes of record_metadata.type. */
enum record_metric_type {
	RECORD_METRIC_UNKNOWN, RECORD_METRIC_COUNTER, RECORD_METRIC_GAUGE,
	RECORD_METRIC_HISTOGRAM, RECORD_METRIC_GAUGE_HISTOGRAM,
	RECORD_METRIC_SUMMARY, RECORD_METRIC_INFO, RECORD_METRIC_STATESET
};

struct record_metadata {
	uint64_t	ref;
	uint8_t		type;		/* enum record_metric_type */
	struct str	unit;
	struct str	help;
};

struct record_span {
	int32_t		offset;
	uint32_t	length;
};

#define RECORD_SCHEMA_CUSTOM	(-53)

struct record_histogram {
	uint64_t	ref;
	int64_t		t_ms;
	int64_t		st_ms;		/* start; 0 = none */
	bool		is_float;
	uint8_t		counter_reset_hint; /* 0 unknown 1 reset 2 not 3 gauge */
	int32_t		schema;
	double		zero_threshold;
	double		sum;
	/* The first pair for integer, the second for float histograms. */
	uint64_t	count, zero_count;
	double		count_f, zero_count_f;

	const struct record_span *pos_spans, *neg_spans;
	uint32_t	n_pos_spans, n_neg_spans;
	/* Deltas for integer, absolute counts for float histograms. */
	const int64_t	*pos_deltas, *neg_deltas;
	const double	*pos_counts, *neg_counts;
	uint32_t	n_pos_buckets, n_neg_buckets;
	const double	*custom_values;	/* schema RECORD_SCHEMA_CUSTOM */
	uint32_t	n_custom_values;
};

/* "series", "samples", … as the reference labels its metrics; "unknown". */
const char *record_type_name(enum record_type type);
enum record_type record_type(const void *data, size_t n);

/*
 * Encoding: each appends one whole record to out. n may be 0 (the record is
 * then the type byte alone). Failure is buf_failed(out).
 */
void	 record_put_series(struct buf *out, const struct record_series *s,
	    size_t n);
/* About 2 ns a sample, most when refs and times lie close together. */
void	 record_put_samples(struct buf *out, const struct record_sample *s,
	    size_t n);
void	 record_put_tombstones(struct buf *out,
	    const struct record_tombstone *s, size_t n);
void	 record_put_exemplars(struct buf *out,
	    const struct record_exemplar *e, size_t n);
void	 record_put_mmap_markers(struct buf *out,
	    const struct record_mmap_marker *m, size_t n);
void	 record_put_metadata(struct buf *out,
	    const struct record_metadata *m, size_t n);
/*
 * All n must be of the kind of type: RECORD_HISTOGRAMS,
 * RECORD_FLOAT_HISTOGRAMS or one of the two custom ones.
 */
void	 record_put_histograms(struct buf *out, enum record_type type,
	    const struct record_histogram *h, size_t n);
/* One series, for callers that have no array: header, then entries. */
void	 record_begin_series(struct buf *out);
void	 record_add_series(struct buf *out, uint64_t ref, struct labels labels);

/*
 * Decoding: open a record, then call the next function of its type until it
 * says 0. Strings point into the record; arrays live until the next call on
 * the reader. One reader serves any number of records.
 */
struct record_reader {
	struct cursor	 c;
	enum record_type type;
	struct arena	 scratch;	/* arrays of the current entry */
	uint64_t	 ref;		/* base, or previous (V2) */
	int64_t		 t_ms;		/* base */
	int64_t		 st_ms;		/* first (V2) */
	int64_t		 prev_st_ms;
	bool		 first;		/* no entry was read yet */
	size_t		 n_read;	/* entries of this record */
};

void	 record_reader_init(struct record_reader *r);
void	 record_reader_clear(struct record_reader *r);
/* Borrows data until the next open or clear; returns the record's type. */
enum record_type record_open(struct record_reader *r, const void *data,
	    size_t n);

/*
 * 1 with *out filled, 0 at the end of the record, -1 (ERR_BAD_DATA or
 * ERR_NOMEM) when the rest of the record cannot be read; what was handed
 * out before is right. ERR_INTERNAL for a record of another type.
 */
int	 record_next_series(struct record_reader *r,
	    struct record_series *out, struct err *err);
int	 record_next_tombstone(struct record_reader *r,
	    struct record_tombstone *out, struct err *err);
int	 record_next_exemplar(struct record_reader *r,
	    struct record_exemplar *out, struct err *err);
int	 record_next_mmap_marker(struct record_reader *r,
	    struct record_mmap_marker *out, struct err *err);
int	 record_next_metadata(struct record_reader *r,
	    struct record_metadata *out, struct err *err);
/* Types 7 to 10, 12 and 13. Schemas are handed out as they are. */
int	 record_next_histogram(struct record_reader *r,
	    struct record_histogram *out, struct err *err);
/*
 * Up to max samples of a type 2 or 11 record: how many, 0 at the end, -1 as
 * above (after handing out what came before the fault). 3 to 5 ns a sample.
 */
int	 record_next_samples(struct record_reader *r,
	    struct record_sample *out, size_t max, struct err *err);

#endif

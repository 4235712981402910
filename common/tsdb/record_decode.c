/* SPDX-License-Identifier: ISC */

/*
 * Decoder of WAL records; the formats are drawn in record.h. Everything is
 * read through a bounds-checked cursor; counts are checked against the bytes
 * that are left before memory is taken for them. Samples, which are nearly
 * all of a WAL, have a fast path without checks per byte while a whole
 * sample of the largest size is left.
 */

#include "common/tsdb/record.h"

#include <string.h>

#define SAMPLE_BYTES_MAX	28

/* Marks in V2 records in front of a start timestamp. */
enum { ST_NONE = 0, ST_SAME = 1 };

const char *
record_type_name(enum record_type type)
{
	static const char *const names[] = {
		[RECORD_SERIES] = "series",
		[RECORD_SAMPLES] = "samples",
		[RECORD_TOMBSTONES] = "tombstones",
		[RECORD_EXEMPLARS] = "exemplars",
		[RECORD_MMAP_MARKERS] = "mmapmarkers",
		[RECORD_METADATA] = "metadata",
		[RECORD_HISTOGRAMS] = "histogram_samples",
		[RECORD_FLOAT_HISTOGRAMS] = "float_histogram_samples",
		[RECORD_CUSTOM_HISTOGRAMS] = "custom_buckets_histogram_samples",
		[RECORD_CUSTOM_FLOAT_HISTOGRAMS] =
		    "custom_buckets_float_histogram_samples",
		[RECORD_SAMPLES_V2] = "samples_v2",
		[RECORD_HISTOGRAMS_V2] = "histogram_samples_v2",
		[RECORD_FLOAT_HISTOGRAMS_V2] = "float_histogram_samples_v2",
		[RECORD_MIN_VALID_TIME] = "min_valid_time",
	};

	if (type < RECORD_SERIES || type > RECORD_MIN_VALID_TIME)
		return "unknown";
	return names[type];
}

enum record_type
record_type(const void *data, size_t n)
{
	uint8_t t = n == 0 ? RECORD_UNKNOWN : *(const uint8_t *)data;

	if (t < RECORD_SERIES || t > RECORD_MIN_VALID_TIME)
		return RECORD_UNKNOWN;
	return (enum record_type)t;
}

void
record_reader_init(struct record_reader *r)
{
	memset(r, 0, sizeof(*r));
	arena_init(&r->scratch, 0);
}

void
record_reader_clear(struct record_reader *r)
{
	arena_clear(&r->scratch);
}

static bool
has_base(enum record_type type)
{
	switch (type) {
	case RECORD_SAMPLES:
	case RECORD_EXEMPLARS:
	case RECORD_HISTOGRAMS:
	case RECORD_FLOAT_HISTOGRAMS:
	case RECORD_CUSTOM_HISTOGRAMS:
	case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
		return true;
	default:
		return false;
	}
}

enum record_type
record_open(struct record_reader *r, const void *data, size_t n)
{
	r->type = record_type(data, n);
	r->c = cursor_make(data, n);
	r->ref = 0;
	r->t_ms = r->st_ms = r->prev_st_ms = 0;
	r->first = true;
	r->n_read = 0;
	if (n > 0)
		(void)cursor_u8(&r->c);
	if (has_base(r->type) && cursor_left(&r->c) > 0) {
		r->ref = cursor_be64(&r->c);
		r->t_ms = (int64_t)cursor_be64(&r->c);
	}
	return r->type;
}

static int
bad(const struct record_reader *r, struct err *err)
{
	return err_set(err, ERR_BAD_DATA,
	    "%s record: decode error after %zu entries: invalid size",
	    record_type_name(r->type), r->n_read);
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

static int
other_type(const struct record_reader *r, struct err *err)
{
	return err_set(err, ERR_INTERNAL, "invalid record type %s",
	    record_type_name(r->type));
}

/* Common end of an entry: 1 or the error. */
static int
entry_end(struct record_reader *r, struct err *err)
{
	if (r->c.failed)
		return bad(r, err);
	r->n_read++;
	return 1;
}

/* What an entry function sees first: is there one? */
#define ENTRY_BEGIN(r, is_type, err) do {				\
	if (!(is_type))							\
		return other_type(r, err);				\
	if ((r)->c.failed)						\
		return bad(r, err);					\
	if ((r)->c.p == (r)->c.end)					\
		return 0;						\
	arena_reset(&(r)->scratch);					\
} while (0)

static int64_t
add_delta(int64_t t, int64_t delta)
{
	return (int64_t)((uint64_t)t + (uint64_t)delta);
}

/* --- labels --- */

/* Strictly ascending names, the first not empty. */
static bool
labels_valid(const struct label *l, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (str_cmp(l[i - 1].name, l[i].name) >= 0)
			return false;
	return n > 0 && l[0].name.n > 0;
}

/* -1 with the error set when memory is out; a short record fails r->c. */
static int
read_labels(struct record_reader *r, struct labels *out, bool *valid,
    struct err *err)
{
	uint64_t n = cursor_uvarint(&r->c);
	size_t kept = 0;
	struct label *l;

	*out = (struct labels){ NULL, 0 };
	*valid = false;
	if (r->c.failed || n > cursor_left(&r->c) / 2) {
		r->c.failed = true;
		return 0;
	}
	if ((l = arena_array(&r->scratch, n, sizeof(*l))) == NULL)
		return no_memory(err);
	for (uint64_t i = 0; i < n; i++) {
		l[kept].name = cursor_uvarint_str(&r->c);
		l[kept].value = cursor_uvarint_str(&r->c);
		if (l[kept].value.n > 0)
			kept++;
	}
	if (r->c.failed)
		return 0;
	*valid = labels_valid(l, kept);
	*out = (struct labels){ l, kept };
	return 0;
}

int
record_next_series(struct record_reader *r, struct record_series *out,
    struct err *err)
{
	ENTRY_BEGIN(r, r->type == RECORD_SERIES, err);
	out->ref = cursor_be64(&r->c);
	if (read_labels(r, &out->labels, &out->valid, err) == -1)
		return -1;
	return entry_end(r, err);
}

/* --- samples --- */

/* A varint at p, which has ten bytes; NULL when it is longer. */
static inline const uint8_t *
get_varint(const uint8_t *p, uint64_t *delta)
{
	uint64_t u = *p & 0x7f;

	if (__builtin_expect(*p++ >= 0x80, 0)) {
		unsigned shift = 7;

		for (;; shift += 7) {
			uint8_t b = *p++;

			if (shift == 63 && b > 1)
				return NULL;
			u |= (uint64_t)(b & 0x7f) << shift;
			if (b < 0x80)
				break;
		}
	}
	*delta = u >> 1 ^ -(u & 1);
	return p;
}

static size_t
samples_v1(struct record_reader *r, struct record_sample *out, size_t max)
{
	struct cursor *c = &r->c;
	const uint8_t *p = c->p;
	uint64_t dref, dt;
	size_t n = 0;

	while (n < max && c->end - p >= SAMPLE_BYTES_MAX) {
		if ((p = get_varint(p, &dref)) == NULL ||
		    (p = get_varint(p, &dt)) == NULL) {
			c->failed = true;
			return n;
		}
		out[n].ref = r->ref + dref;
		out[n].t_ms = (int64_t)((uint64_t)r->t_ms + dt);
		out[n].v = double_from_bits(load_be64(p));
		p += 8;
		n++;
	}
	c->p = p;
	while (n < max && cursor_left(c) > 0) {
		dref = (uint64_t)cursor_varint(c);
		out[n].ref = r->ref + dref;
		out[n].t_ms = add_delta(r->t_ms, cursor_varint(c));
		out[n].v = double_from_bits(cursor_be64(c));
		if (c->failed)
			return n;
		n++;
	}
	return n;
}

/* ref, timestamp and start timestamp in front of a V2 entry. */
static void
entry_head_v2(struct record_reader *r, uint64_t *ref, int64_t *t_ms,
    int64_t *st_ms)
{
	struct cursor *c = &r->c;

	if (r->first) {
		*ref = (uint64_t)cursor_varint(c);
		*t_ms = r->t_ms = cursor_varint(c);
		*st_ms = r->st_ms = cursor_varint(c);
		r->first = false;
	} else {
		*ref = r->ref + (uint64_t)cursor_varint(c);
		*t_ms = add_delta(r->t_ms, cursor_varint(c));
		switch (cursor_u8(c)) {
		case ST_NONE:
			*st_ms = 0;
			break;
		case ST_SAME:
			*st_ms = r->prev_st_ms;
			break;
		default:
			*st_ms = add_delta(r->st_ms, cursor_varint(c));
			break;
		}
	}
	r->ref = *ref;
	r->prev_st_ms = *st_ms;
}

static size_t
samples_v2(struct record_reader *r, struct record_sample *out, size_t max)
{
	int64_t st_ms;
	size_t n = 0;

	while (n < max && cursor_left(&r->c) > 0) {
		entry_head_v2(r, &out[n].ref, &out[n].t_ms, &st_ms);
		out[n].v = double_from_bits(cursor_be64(&r->c));
		if (r->c.failed)
			break;
		n++;
	}
	return n;
}

int
record_next_samples(struct record_reader *r, struct record_sample *out,
    size_t max, struct err *err)
{
	size_t n;

	ENTRY_BEGIN(r, r->type == RECORD_SAMPLES ||
	    r->type == RECORD_SAMPLES_V2, err);
	if (max > INT32_MAX)
		max = INT32_MAX;
	n = r->type == RECORD_SAMPLES ? samples_v1(r, out, max) :
	    samples_v2(r, out, max);
	r->n_read += n;
	/* What came before the fault first; the next call tells it. */
	if (n == 0 && r->c.failed)
		return bad(r, err);
	return (int)n;
}

/* --- the rest --- */

int
record_next_tombstone(struct record_reader *r, struct record_tombstone *out,
    struct err *err)
{
	ENTRY_BEGIN(r, r->type == RECORD_TOMBSTONES, err);
	out->ref = cursor_be64(&r->c);
	out->mint_ms = cursor_varint(&r->c);
	out->maxt_ms = cursor_varint(&r->c);
	return entry_end(r, err);
}

int
record_next_exemplar(struct record_reader *r, struct record_exemplar *out,
    struct err *err)
{
	ENTRY_BEGIN(r, r->type == RECORD_EXEMPLARS, err);
	out->ref = r->ref + (uint64_t)cursor_varint(&r->c);
	out->t_ms = add_delta(r->t_ms, cursor_varint(&r->c));
	out->v = double_from_bits(cursor_be64(&r->c));
	if (read_labels(r, &out->labels, &out->valid, err) == -1)
		return -1;
	return entry_end(r, err);
}

int
record_next_mmap_marker(struct record_reader *r,
    struct record_mmap_marker *out, struct err *err)
{
	ENTRY_BEGIN(r, r->type == RECORD_MMAP_MARKERS, err);
	out->ref = cursor_be64(&r->c);
	out->chunk_ref = cursor_be64(&r->c);
	return entry_end(r, err);
}

int
record_next_metadata(struct record_reader *r, struct record_metadata *out,
    struct err *err)
{
	uint64_t n;

	ENTRY_BEGIN(r, r->type == RECORD_METADATA, err);
	out->ref = cursor_uvarint(&r->c);
	out->type = cursor_u8(&r->c);
	out->unit = out->help = STR_EMPTY;
	/* Fields are skipped as long as there are bytes for them. */
	n = cursor_uvarint(&r->c);
	for (; n > 0 && !r->c.failed; n--) {
		struct str name = cursor_uvarint_str(&r->c);
		struct str value = cursor_uvarint_str(&r->c);

		if (str_eq(name, STR_LIT("UNIT")))
			out->unit = value;
		else if (str_eq(name, STR_LIT("HELP")))
			out->help = value;
	}
	return entry_end(r, err);
}

/* --- histograms --- */

/*
 * A count of things of at least min_bytes each and an array of size bytes
 * for each. NULL with r->c failed (hostile count), NULL with 0 things, or
 * NULL with *nomem.
 */
static void *
read_count(struct record_reader *r, size_t min_bytes, size_t size,
    uint32_t *n_out, bool *nomem)
{
	uint64_t n = cursor_uvarint(&r->c);
	void *p;

	*n_out = 0;
	if (r->c.failed || n > cursor_left(&r->c) / min_bytes ||
	    n > UINT32_MAX) {
		r->c.failed = true;
		return NULL;
	}
	if (n == 0)
		return NULL;
	if ((p = arena_array(&r->scratch, n, size)) == NULL) {
		*nomem = true;
		return NULL;
	}
	*n_out = (uint32_t)n;
	return p;
}

static const struct record_span *
read_spans(struct record_reader *r, uint32_t *n_out, bool *nomem)
{
	struct record_span *s = read_count(r, 2, sizeof(*s), n_out, nomem);

	for (uint32_t i = 0; i < *n_out; i++) {
		int64_t offset = cursor_varint(&r->c);
		uint64_t length = cursor_uvarint(&r->c);

		if (offset != (int32_t)offset || length > UINT32_MAX)
			r->c.failed = true;
		s[i] = (struct record_span){ (int32_t)offset,
		    (uint32_t)length };
	}
	return s;
}

static const int64_t *
read_deltas(struct record_reader *r, uint32_t *n_out, bool *nomem)
{
	int64_t *v = read_count(r, 1, sizeof(*v), n_out, nomem);

	for (uint32_t i = 0; i < *n_out; i++)
		v[i] = cursor_varint(&r->c);
	return v;
}

static const double *
read_doubles(struct record_reader *r, uint32_t *n_out, bool *nomem)
{
	double *v = read_count(r, 8, sizeof(*v), n_out, nomem);

	for (uint32_t i = 0; i < *n_out; i++)
		v[i] = double_from_bits(cursor_be64(&r->c));
	return v;
}

static bool
is_histogram(enum record_type type)
{
	return (type >= RECORD_HISTOGRAMS &&
	    type <= RECORD_CUSTOM_FLOAT_HISTOGRAMS) ||
	    type == RECORD_HISTOGRAMS_V2 || type == RECORD_FLOAT_HISTOGRAMS_V2;
}

/* The histogram behind ref and timestamp; false when memory is out. */
static bool
read_histogram(struct record_reader *r, struct record_histogram *h)
{
	struct cursor *c = &r->c;
	bool nomem = false;
	int64_t schema;

	h->counter_reset_hint = cursor_u8(c);
	schema = cursor_varint(c);
	if (schema != (int32_t)schema)
		c->failed = true;
	h->schema = (int32_t)schema;
	h->zero_threshold = double_from_bits(cursor_be64(c));
	if (h->is_float) {
		h->zero_count_f = double_from_bits(cursor_be64(c));
		h->count_f = double_from_bits(cursor_be64(c));
	} else {
		h->zero_count = cursor_uvarint(c);
		h->count = cursor_uvarint(c);
	}
	h->sum = double_from_bits(cursor_be64(c));
	h->pos_spans = read_spans(r, &h->n_pos_spans, &nomem);
	h->neg_spans = read_spans(r, &h->n_neg_spans, &nomem);
	if (h->is_float) {
		h->pos_counts = read_doubles(r, &h->n_pos_buckets, &nomem);
		h->neg_counts = read_doubles(r, &h->n_neg_buckets, &nomem);
	} else {
		h->pos_deltas = read_deltas(r, &h->n_pos_buckets, &nomem);
		h->neg_deltas = read_deltas(r, &h->n_neg_buckets, &nomem);
	}
	if (h->schema == RECORD_SCHEMA_CUSTOM)
		h->custom_values = read_doubles(r, &h->n_custom_values,
		    &nomem);
	return !nomem;
}

int
record_next_histogram(struct record_reader *r, struct record_histogram *out,
    struct err *err)
{
	ENTRY_BEGIN(r, is_histogram(r->type), err);
	*out = (struct record_histogram){
		.is_float = r->type == RECORD_FLOAT_HISTOGRAMS ||
		    r->type == RECORD_CUSTOM_FLOAT_HISTOGRAMS ||
		    r->type == RECORD_FLOAT_HISTOGRAMS_V2,
	};
	if (r->type >= RECORD_HISTOGRAMS_V2)
		entry_head_v2(r, &out->ref, &out->t_ms, &out->st_ms);
	else {
		out->ref = r->ref + (uint64_t)cursor_varint(&r->c);
		out->t_ms = add_delta(r->t_ms, cursor_varint(&r->c));
	}
	if (!read_histogram(r, out))
		return no_memory(err);
	return entry_end(r, err);
}

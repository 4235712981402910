/* SPDX-License-Identifier: ISC */
/*
 * struct source over a block. select() finds the ids of the series; next()
 * reads a series' entry, keeps the chunks in the range that tombstones leave
 * something of, and verifies their checksums. Labels are copied to the arena
 * (they live as long as the query) unless the hints say brief_labels; spans
 * are one array, used again.
 */

#include "common/promql/source_block.h"

#include <stdlib.h>

#include "common/tsdb/block_match.h"

#define FIRST_CAP	16

struct source_block {
	struct source		 source;	/* first */
	struct block_reader	*b;
	struct arena		*a;		/* of the query */
};

struct source_cursor {
	struct source_block	*s;
	struct postings		 ids;
	size_t			 i;
	size_t			 found;
	uint32_t		 limit;
	int64_t			 mint_ms, maxt_ms;
	bool			 series_only;
	bool			 brief_labels;
	struct label_sym	*labels;	/* scratch */
	size_t			 labels_cap;
	struct chunk_span	*spans;		/* scratch */
	size_t			 spans_cap;
	struct source_tombstone	*tombs;		/* scratch */
	size_t			 tombs_cap;
};

static struct source_block *
block_of(struct source *s)
{
	return (struct source_block *)s;
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "query memory limit reached");
}

/* Room for need elements of size bytes; the old array is left to the arena. */
static int
grow(struct arena *a, void *pp, size_t *cap, size_t used, size_t need,
    size_t size, struct err *err)
{
	size_t want = *cap == 0 ? FIRST_CAP : *cap;
	void *old, *grown;

	if (need <= *cap)
		return 0;
	while (want < need)
		want *= 2;
	grown = arena_array(a, want, size);
	if (grown == NULL)
		return no_memory(err);
	memcpy(&old, pp, sizeof(old));
	if (used != 0)
		memcpy(grown, old, used * size);
	memcpy(pp, &grown, sizeof(grown));
	*cap = want;
	return 0;
}

static int
block_begin(struct source *base, struct arena *a, struct err *err)
{
	(void)err;
	block_of(base)->a = a;
	return 0;
}

static void
block_end(struct source *base)
{
	block_of(base)->a = NULL;
}

static bool
outside(const struct block_reader *b, const struct source_hints *h)
{
	return h->maxt_ms < b->mint_ms || h->mint_ms >= b->maxt_ms;
}

static int
block_select(struct source *base, const struct matcher *const *m,
    size_t n_matchers, const struct source_hints *hints,
    struct source_cursor **out, struct err *err)
{
	struct source_block *s = block_of(base);
	struct source_cursor *c = arena_zalloc(s->a, sizeof(*c));

	if (c == NULL)
		return no_memory(err);
	c->s = s;
	c->limit = hints->limit;
	c->mint_ms = hints->mint_ms;
	c->maxt_ms = hints->maxt_ms;
	c->series_only = hints->series_only;
	c->brief_labels = hints->brief_labels;
	if (!outside(s->b, hints) && block_match(&s->b->index, s->a, m,
	    n_matchers, &c->ids, err) == -1)
		return block_reader_wrap(s->b, err);
	*out = c;
	return 0;
}

static size_t
block_cursor_n(const struct source_cursor *c)
{
	return c->limit != 0 && c->limit < c->ids.n ? c->limit : c->ids.n;
}

/* --- one series --- */

static int
read_labels(struct source_cursor *c, struct index_series *e, struct err *err)
{
	uint32_t i;

	if (grow(c->s->a, &c->labels, &c->labels_cap, 0, e->n_labels,
	    sizeof(*c->labels), err) == -1)
		return -1;
	for (i = 0; i < e->n_labels; i++)
		index_series_label(e, &c->labels[i].name,
		    &c->labels[i].value);
	if (e->c.failed)
		return err_set(err, ERR_INTERNAL,
		    "corrupt index: series: labels end too early");
	return 0;
}

static int
read_tombstones(struct source_cursor *c, uint32_t id, size_t *n_out,
    struct err *err)
{
	const struct tombstone *t;
	size_t i;

	t = tombstones_find(&c->s->b->tombstones, id, n_out);
	if (grow(c->s->a, &c->tombs, &c->tombs_cap, 0, *n_out,
	    sizeof(*c->tombs), err) == -1)
		return -1;
	for (i = 0; i < *n_out; i++)
		c->tombs[i] = (struct source_tombstone){ t[i].mint_ms,
		    t[i].maxt_ms, 0 };
	return 0;
}

/* Whether a deleted range covers the chunk whole. */
static bool
is_deleted(const struct source_cursor *c, size_t n_tombs,
    const struct index_chunk *k)
{
	size_t i;

	for (i = 0; i < n_tombs; i++)
		if (c->tombs[i].mint_ms <= k->mint_ms &&
		    k->maxt_ms <= c->tombs[i].maxt_ms)
			return true;
	return false;
}

static int
add_span(struct source_cursor *c, const struct index_chunk *k, size_t n,
    struct err *err)
{
	struct block_chunk data;

	if (grow(c->s->a, &c->spans, &c->spans_cap, n, n + 1,
	    sizeof(*c->spans), err) == -1 ||
	    block_reader_chunk(c->s->b, k->ref, &data, err) == -1)
		return -1;
	if (data.encoding == CHUNK_ENC_NONE ||
	    data.encoding > CHUNK_ENC_FLOAT_HISTOGRAM_ST)
		return err_set(err, ERR_INTERNAL,
		    "invalid chunk encoding %u", data.encoding);
	c->spans[n] = (struct chunk_span){ .data = data.data,
	    .len_bytes = data.len_bytes, .n_samples = data.n_samples,
	    .mint_ms = k->mint_ms, .maxt_ms = k->maxt_ms,
	    .encoding = data.encoding };
	return 0;
}

/*
 * The chunks of the entry that may hold samples of the range: how many, -1.
 * With series_only the first one is enough, and not read.
 */
static int64_t
read_spans(struct source_cursor *c, struct index_series *e, size_t n_tombs,
    struct source_series *out, struct err *err)
{
	struct index_chunk k;
	int64_t last_maxt = INT64_MIN;
	uint32_t i, n = 0;

	if (index_series_chunks(e, err) == -1)
		return -1;
	for (i = 0; i < e->n_chunks; i++) {
		if (index_series_chunk(e, &k, err) == -1)
			return -1;
		if (k.mint_ms > c->maxt_ms)
			break;
		if (k.maxt_ms < c->mint_ms || is_deleted(c, n_tombs, &k))
			continue;
		if (c->series_only)
			return 1;
		if (add_span(c, &k, n, err) == -1)
			return -1;
		if (c->spans[n].n_samples == 0)
			continue;
		out->overlapping |= n > 0 && k.mint_ms <= last_maxt;
		last_maxt = k.maxt_ms;
		n++;
	}
	return n;
}

/* 1 when the series has something in the range, 0, -1. */
static int
read_series(struct source_cursor *c, uint32_t id, struct source_series *out,
    struct err *err)
{
	struct index_series e;
	struct label_sym *labels;
	size_t n_tombs;
	int64_t n;

	*out = (struct source_series){ .ref = id };
	if (index_series_get(&c->s->b->index, id, &e, err) == -1 ||
	    read_labels(c, &e, err) == -1 ||
	    read_tombstones(c, id, &n_tombs, err) == -1)
		return -1;
	n = read_spans(c, &e, n_tombs, out, err);
	if (n <= 0)
		return (int)n;
	out->labels = c->labels;
	if (!c->brief_labels) {
		labels = arena_array(c->s->a, e.n_labels, sizeof(*labels));
		if (labels == NULL)
			return no_memory(err);
		if (e.n_labels != 0)
			memcpy(labels, c->labels,
			    e.n_labels * sizeof(*labels));
		out->labels = labels;
	}
	out->n_labels = e.n_labels;
	if (!c->series_only) {
		out->spans = c->spans;
		out->n_spans = (uint32_t)n;
		out->tombstones = c->tombs;
		out->n_tombstones = (uint32_t)n_tombs;
	}
	return 1;
}

static int
block_next(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	int got;

	while (c->i < c->ids.n && (c->limit == 0 || c->found < c->limit)) {
		got = read_series(c, c->ids.id[c->i++], out, err);
		if (got == -1)
			return block_reader_wrap(c->s->b, err);
		if (got == 1) {
			c->found++;
			return 1;
		}
	}
	return 0;
}

static struct str
block_symbol(const struct source *base, uint32_t sym)
{
	return index_symbol(&((const struct source_block *)base)->b->index,
	    sym);
}

/* --- names and values --- */

/* A set of symbols. */
struct symbol_set {
	uint64_t	*bits;
	size_t		 limit;
	size_t		 n;
};

static int
symbol_set_init(struct source_block *s, struct symbol_set *set,
    struct err *err)
{
	const struct index_reader *r = &s->b->index;

	/* Version 1: symbols are offsets in the file. */
	set->limit = r->version == 1 ?
	    (size_t)(r->symbols - r->p) + r->symbols_len : r->n_symbols;
	set->n = 0;
	set->bits = arena_zalloc(s->a, (set->limit / 64 + 1) * 8);
	return set->bits == NULL ? no_memory(err) : 0;
}

static void
symbol_set_add(struct symbol_set *set, uint32_t sym)
{
	if (sym >= set->limit || (set->bits[sym / 64] >> (sym % 64) & 1))
		return;
	set->bits[sym / 64] |= 1ULL << (sym % 64);
	set->n++;
}

/* Its texts; symbols are in the order of their texts. */
static int
symbol_set_texts(struct source_block *s, const struct symbol_set *set,
    struct str **out, size_t *n_out, struct err *err)
{
	size_t i, n = 0;

	*out = arena_array(s->a, set->n, sizeof(**out));
	if (*out == NULL)
		return no_memory(err);
	for (i = 0; i < set->limit && n < set->n; i++)
		if (set->bits[i / 64] >> (i % 64) & 1)
			(*out)[n++] = index_symbol(&s->b->index,
			    (uint32_t)i);
	*n_out = n;
	return 0;
}

/*
 * Names (name == NULL) or values of one name of the matching series, by
 * reading them.
 */
static int
of_series(struct source_block *s, const struct str *name,
    const struct matcher *const *m, size_t n_matchers, struct str **out,
    size_t *n_out, struct err *err)
{
	const struct index_reader *r = &s->b->index;
	struct symbol_set set;
	struct index_series e;
	struct postings ids;
	uint32_t n, v, k;
	size_t i;

	if (block_match(&s->b->index, s->a, m, n_matchers, &ids, err) == -1 ||
	    symbol_set_init(s, &set, err) == -1)
		return -1;
	for (i = 0; i < ids.n; i++) {
		if (index_series_get(r, ids.id[i], &e, err) == -1)
			return -1;
		for (k = 0; k < e.n_labels; k++) {
			index_series_label(&e, &n, &v);
			if (name == NULL)
				symbol_set_add(&set, n);
			else if (str_eq(index_symbol(r, n), *name)) {
				symbol_set_add(&set, v);
				break;
			}
		}
	}
	return symbol_set_texts(s, &set, out, n_out, err);
}

static int
all_names(struct source_block *s, struct str **out, size_t *n_out,
    struct err *err)
{
	const struct index_reader *r = &s->b->index;
	size_t i;

	*out = arena_array(s->a, r->n_names, sizeof(**out));
	if (*out == NULL)
		return no_memory(err);
	for (i = 0; i < r->n_names; i++)
		if (r->names[i].name.n != 0)
			(*out)[(*n_out)++] = r->names[i].name;
	return 0;
}

static int
all_values(struct source_block *s, struct str name, struct str **out,
    size_t *n_out, struct err *err)
{
	const struct index_name *n = index_name_find(&s->b->index, name);
	struct index_values it;
	struct str value;
	uint64_t offset;
	int got;

	if (n == NULL || name.n == 0)
		return 0;
	*out = arena_array(s->a, n->n_values, sizeof(**out));
	if (*out == NULL)
		return no_memory(err);
	index_values_begin(&s->b->index, n, &it);
	while ((got = index_values_next(&it, &value, &offset, err)) == 1)
		(*out)[(*n_out)++] = value;
	return got;
}

static int
block_label_names(struct source *base, const struct matcher *const *m,
    size_t n_matchers, const struct source_hints *hints, struct str **out,
    size_t *n_out, struct err *err)
{
	struct source_block *s = block_of(base);
	int rc;

	*out = NULL;
	*n_out = 0;
	if (outside(s->b, hints))
		return 0;
	if (index_symbols_load(&s->b->index, err) == -1 ||
	    index_table_load(&s->b->index, err) == -1)
		return block_reader_wrap(s->b, err);
	rc = n_matchers == 0 ? all_names(s, out, n_out, err) :
	    of_series(s, NULL, m, n_matchers, out, n_out, err);
	return rc == -1 ? block_reader_wrap(s->b, err) : 0;
}

static int
block_label_values(struct source *base, struct str name,
    const struct matcher *const *m, size_t n_matchers,
    const struct source_hints *hints, struct str **out, size_t *n_out,
    struct err *err)
{
	struct source_block *s = block_of(base);
	int rc;

	*out = NULL;
	*n_out = 0;
	if (outside(s->b, hints))
		return 0;
	if (index_symbols_load(&s->b->index, err) == -1 ||
	    index_table_load(&s->b->index, err) == -1)
		return block_reader_wrap(s->b, err);
	rc = n_matchers == 0 ? all_values(s, name, out, n_out, err) :
	    of_series(s, &name, m, n_matchers, out, n_out, err);
	return rc == -1 ? block_reader_wrap(s->b, err) : 0;
}

static const struct source_ops block_ops = {
	.sorted = true,
	.begin = block_begin,
	.end = block_end,
	.select = block_select,
	.cursor_n = block_cursor_n,
	.next = block_next,
	.symbol = block_symbol,
	.label_names = block_label_names,
	.label_values = block_label_values,
};

struct source *
source_block_new(struct block_reader *b)
{
	struct source_block *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->source.ops = &block_ops;
	s->b = b;
	return &s->source;
}

void
source_block_free(struct source *s)
{
	free(s);
}

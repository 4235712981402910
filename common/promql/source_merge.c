/* SPDX-License-Identifier: ISC */
/*
 * Merging sources, series by series. What a source yields in the order of
 * its labels (blocks) is read as it is needed: one series of each source at
 * a time, the smallest label set goes out with the chunks of all that have
 * it. A source without that order (the head) is read first: its series, with
 * spans but no samples, are kept in the query's arena and sorted.
 *
 * So memory grows with the series of the head, and with the labels of what
 * goes out, but not with blocks times series.
 */

#include "common/promql/source_merge.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/merge_symbols.h"

#define CANCEL_EVERY	256	/* series */

struct source_merge {
	struct source		 source;	/* first */
	struct source		**subs;		/* borrowed; the array owned */
	size_t			 n_subs;
	struct merge_symbols	 syms;		/* of the query */
};

/* A series that was read from a source without order. */
struct kept {
	struct label_sym	*labels;	/* merged symbols */
	struct chunk_span	*spans;
	struct source_tombstone	*tombs;
	uint32_t		 n_labels, n_spans, n_tombs;
};

/* One source of a selection: its next series is at hand, or it is at its end. */
struct feed {
	struct source_cursor	*c;
	size_t			 sub;
	bool			 live;
	bool			 taken;		/* went out: read the next one */
	struct source_series	 s;		/* labels: merged symbols */
	struct label_sym	*labels, *last;	/* scratch, of this and the one before */
	size_t			 labels_cap, last_cap;
	uint32_t		 n_last;
	bool			 begun;
	/* a source without order */
	struct kept		*kept;		/* sorted */
	size_t			 n_kept, kept_cap, i;
};

struct source_cursor {
	struct source_merge	*m;
	struct source_hints	 hints;
	size_t			 found;
	size_t			 n_known;
	struct feed		*feeds;
	size_t			 n_feeds;
	struct feed		*only;		/* the one that has something */
	/* what goes out */
	struct chunk_span	*spans;
	struct source_tombstone	*tombs;
	size_t			 spans_cap, tombs_cap;
};

static struct source_merge *
merge_of(struct source *s)
{
	return (struct source_merge *)s;
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "query memory limit reached");
}

/* --- a query --- */

static void
end_first(struct source_merge *m, size_t n)
{
	while (n-- > 0)
		m->subs[n]->ops->end(m->subs[n]);
}

static int
merge_begin(struct source *base, struct arena *a, struct err *err)
{
	struct source_merge *m = merge_of(base);
	size_t i;

	if (merge_symbols_init(&m->syms, a, m->subs, m->n_subs, err) == -1)
		return -1;
	for (i = 0; i < m->n_subs; i++)
		if (m->subs[i]->ops->begin(m->subs[i], a, err) == -1) {
			end_first(m, i);
			return -1;
		}
	return 0;
}

static void
merge_end(struct source *base)
{
	struct source_merge *m = merge_of(base);

	end_first(m, m->n_subs);
}

static bool
merge_cancelled(struct source *base)
{
	struct source_merge *m = merge_of(base);
	size_t i;

	for (i = 0; i < m->n_subs; i++)
		if (m->subs[i]->ops->cancelled != NULL &&
		    m->subs[i]->ops->cancelled(m->subs[i]))
			return true;
	return false;
}

/* --- a source without order --- */

static void *
copy(struct arena *a, const void *p, size_t n, size_t size)
{
	void *out = arena_array(a, n, size);

	if (out != NULL && n != 0)
		memcpy(out, p, n * size);
	return out;
}

static int
keep(struct source_cursor *c, struct feed *f, const struct source_series *in,
    struct err *err)
{
	struct arena *a = c->m->syms.a;
	struct kept *k;

	if (merge_grow(a, &f->kept, &f->kept_cap, f->n_kept, f->n_kept + 1,
	    sizeof(*f->kept), err) == -1)
		return -1;
	k = &f->kept[f->n_kept++];
	*k = (struct kept){ .n_labels = in->n_labels, .n_spans = in->n_spans,
	    .n_tombs = in->n_tombstones };
	k->labels = arena_array(a, in->n_labels, sizeof(*k->labels));
	k->spans = copy(a, in->spans, in->n_spans, sizeof(*k->spans));
	k->tombs = copy(a, in->tombstones, in->n_tombstones,
	    sizeof(*k->tombs));
	if (k->labels == NULL || k->spans == NULL || k->tombs == NULL)
		return no_memory(err);
	return merge_symbols_labels(&c->m->syms, f->sub, in, k->labels, err);
}

static int
cmp_kept(const void *x, const void *y, void *arg)
{
	const struct kept *a = x, *b = y;

	return merge_symbols_cmp(arg, a->labels, a->n_labels, b->labels,
	    b->n_labels);
}

static int
keep_all(struct source_cursor *c, struct feed *f, struct err *err)
{
	const struct source_ops *ops = c->m->subs[f->sub]->ops;
	struct source_series in;
	int got;

	while ((got = ops->next(f->c, &in, err)) == 1) {
		if (f->n_kept % CANCEL_EVERY == 0 &&
		    merge_cancelled(&c->m->source))
			return err_set(err, ERR_CANCELED,
			    "query was canceled");
		if (keep(c, f, &in, err) == -1)
			return -1;
	}
	if (got == 0 && f->n_kept > 1)
		qsort_r(f->kept, f->n_kept, sizeof(*f->kept), cmp_kept,
		    &c->m->syms);
	return got;
}

/* --- the next series of a source --- */

static void
next_kept(struct feed *f)
{
	const struct kept *k = &f->kept[f->i];

	f->live = f->i < f->n_kept;
	if (!f->live)
		return;
	f->i++;
	f->s = (struct source_series){ .labels = k->labels,
	    .n_labels = k->n_labels, .spans = k->spans,
	    .n_spans = k->n_spans, .tombstones = k->tombs,
	    .n_tombstones = k->n_tombs };
}

/* Reads the next one, which must come behind the one before. */
static int
next_sorted(struct source_cursor *c, struct feed *f, struct err *err)
{
	struct merge_symbols *syms = &c->m->syms;
	const struct source_ops *ops = c->m->subs[f->sub]->ops;
	struct label_sym *labels = f->last;
	size_t cap = f->last_cap;
	int got;

	f->last = f->labels;
	f->last_cap = f->labels_cap;
	f->n_last = f->s.n_labels;
	f->labels = labels;
	f->labels_cap = cap;
	got = ops->next(f->c, &f->s, err);
	f->live = got == 1;
	if (got != 1)
		return got;
	if (merge_grow(syms->a, &f->labels, &f->labels_cap, 0,
	    f->s.n_labels, sizeof(*f->labels), err) == -1 ||
	    merge_symbols_labels(syms, f->sub, &f->s, f->labels, err) == -1)
		return -1;
	f->s.labels = f->labels;
	if (f->begun && merge_symbols_cmp(syms, f->last, f->n_last,
	    f->labels, f->s.n_labels) >= 0)
		return err_set(err, ERR_INTERNAL,
		    "corrupt index: series are not in the order of their labels");
	f->begun = true;
	return 0;
}

static int
feed_next(struct source_cursor *c, struct feed *f, struct err *err)
{
	f->taken = false;
	if (c->m->subs[f->sub]->ops->sorted)
		return next_sorted(c, f, err);
	next_kept(f);
	return 0;
}

/* --- a selection --- */

static int
select_subs(struct source_cursor *c, const struct matcher *const *matchers,
    size_t n_matchers, struct err *err)
{
	struct source_merge *m = c->m;
	size_t i, n;

	for (i = 0; i < m->n_subs; i++) {
		const struct source_ops *ops = m->subs[i]->ops;
		struct feed *f = &c->feeds[c->n_feeds];

		if (ops->select(m->subs[i], matchers, n_matchers, &c->hints,
		    &f->c, err) == -1)
			return -1;
		n = ops->cursor_n(f->c);
		if (n == 0)
			continue;
		f->sub = i;
		c->n_feeds++;
		if (n > c->n_known)
			c->n_known = n;
	}
	return 0;
}

static int
merge_select(struct source *base, const struct matcher *const *matchers,
    size_t n_matchers, const struct source_hints *hints,
    struct source_cursor **out, struct err *err)
{
	struct source_merge *m = merge_of(base);
	struct source_cursor *c = arena_zalloc(m->syms.a, sizeof(*c));
	size_t i;

	if (c == NULL)
		return no_memory(err);
	c->m = m;
	c->hints = *hints;
	c->hints.brief_labels = true;
	c->feeds = arena_zalloc(m->syms.a, (m->n_subs + 1) *
	    sizeof(*c->feeds));
	if (c->feeds == NULL)
		return no_memory(err);
	if (select_subs(c, matchers, n_matchers, err) == -1)
		return -1;
	*out = c;
	if (c->n_feeds == 1) {
		c->only = &c->feeds[0];
		return 0;
	}
	for (i = 0; i < c->n_feeds; i++) {
		struct feed *f = &c->feeds[i];

		if (!m->subs[f->sub]->ops->sorted &&
		    keep_all(c, f, err) == -1)
			return -1;
		f->taken = true;
	}
	return 0;
}

static size_t
merge_cursor_n(const struct source_cursor *c)
{
	uint32_t limit = c->hints.limit;

	return limit != 0 && limit < c->n_known ? limit : c->n_known;
}

static int
next_of_only(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	struct merge_symbols *syms = &c->m->syms;
	size_t sub = c->only->sub;
	struct label_sym *labels;
	int got;

	got = c->m->subs[sub]->ops->next(c->only->c, out, err);
	if (got != 1)
		return got;
	labels = arena_array(syms->a, out->n_labels, sizeof(*labels));
	if (labels == NULL)
		return no_memory(err);
	if (merge_symbols_labels(syms, sub, out, labels, err) == -1)
		return -1;
	out->labels = labels;
	return 1;
}

/* --- putting one series together --- */

static bool
same_labels(const struct source_series *x, const struct source_series *y)
{
	return x->n_labels == y->n_labels && (x->n_labels == 0 ||
	    memcmp(x->labels, y->labels, x->n_labels * sizeof(*x->labels)) ==
	    0);
}

/* Behind what is there; origin tells whose spans the tombstones cut. */
static int
add_chunks(struct source_cursor *c, const struct feed *f,
    struct source_series *out, struct err *err)
{
	struct arena *a = c->m->syms.a;
	const struct source_series *s = &f->s;
	uint32_t i;

	if (merge_grow(a, &c->spans, &c->spans_cap, out->n_spans,
	    (size_t)out->n_spans + s->n_spans, sizeof(*c->spans), err) == -1 ||
	    merge_grow(a, &c->tombs, &c->tombs_cap, out->n_tombstones,
	    (size_t)out->n_tombstones + s->n_tombstones, sizeof(*c->tombs),
	    err) == -1)
		return -1;
	for (i = 0; i < s->n_spans; i++) {
		c->spans[out->n_spans] = s->spans[i];
		c->spans[out->n_spans++].origin = (uint32_t)f->sub;
	}
	for (i = 0; i < s->n_tombstones; i++) {
		c->tombs[out->n_tombstones] = s->tombstones[i];
		c->tombs[out->n_tombstones++].origin = (uint32_t)f->sub;
	}
	return 0;
}

/*
 * Spans by time, those of earlier sources first. Each source's are sorted
 * and later sources are mostly later in time, so this hardly moves anything.
 * True when some overlap.
 */
static bool
sort_spans(struct chunk_span *spans, size_t n)
{
	bool overlap = false;
	int64_t maxt;
	size_t i, j;

	for (i = 1; i < n; i++) {
		struct chunk_span k = spans[i];

		for (j = i; j > 0 && spans[j - 1].mint_ms > k.mint_ms; j--)
			spans[j] = spans[j - 1];
		spans[j] = k;
	}
	maxt = n == 0 ? 0 : spans[0].maxt_ms;
	for (i = 1; i < n; i++) {
		overlap |= spans[i].mint_ms <= maxt;
		if (spans[i].maxt_ms > maxt)
			maxt = spans[i].maxt_ms;
	}
	return overlap;
}

/* All that have the labels of first, which no feed before it has. */
static int
put_together(struct source_cursor *c, struct feed *first,
    struct source_series *out, struct err *err)
{
	struct label_sym *labels;
	struct feed *f;

	labels = copy(c->m->syms.a, first->s.labels, first->s.n_labels,
	    sizeof(*labels));
	if (labels == NULL)
		return no_memory(err);
	*out = (struct source_series){ .ref = c->found, .labels = labels,
	    .n_labels = first->s.n_labels };
	for (f = first; f < c->feeds + c->n_feeds; f++)
		while (f->live && same_labels(&f->s, out)) {
			if (!c->hints.series_only &&
			    add_chunks(c, f, out, err) == -1)
				return -1;
			f->taken = true;
			if (f->kept == NULL)
				break;
			next_kept(f);
			f->taken = false;
		}
	out->overlapping = sort_spans(c->spans, out->n_spans);
	out->spans = c->spans;
	out->tombstones = c->tombs;
	return 1;
}

static int
merge_next(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	const struct merge_symbols *syms = &c->m->syms;
	struct feed *f, *first = NULL;

	if (c->hints.limit != 0 && c->found >= c->hints.limit)
		return 0;
	if (c->only != NULL) {
		c->found++;
		return next_of_only(c, out, err);
	}
	for (f = c->feeds; f < c->feeds + c->n_feeds; f++) {
		if (f->taken && feed_next(c, f, err) == -1)
			return -1;
		if (f->live && (first == NULL || (!same_labels(&f->s,
		    &first->s) && merge_symbols_cmp(syms, f->s.labels,
		    f->s.n_labels, first->s.labels, first->s.n_labels) < 0)))
			first = f;
	}
	if (first == NULL)
		return 0;
	c->found++;
	return put_together(c, first, out, err);
}

static struct str
merge_symbol(const struct source *base, uint32_t sym)
{
	const struct merge_symbols *m =
	    &((const struct source_merge *)base)->syms;

	return sym < m->n_texts ? m->texts[sym] : STR_EMPTY;
}

/* --- names and values --- */

/* The union of two sorted lists. */
static int
union_texts(struct source_merge *m, struct str **out, size_t *n_out,
    const struct str *more, size_t n_more, struct err *err)
{
	struct str *to;
	size_t i = 0, j = 0, n = 0;
	int c;

	if (n_more == 0)
		return 0;
	to = arena_array(m->syms.a, *n_out + n_more, sizeof(*to));
	if (to == NULL)
		return no_memory(err);
	while (i < *n_out || j < n_more) {
		c = i == *n_out ? 1 : j == n_more ? -1 :
		    str_cmp((*out)[i], more[j]);
		to[n++] = c <= 0 ? (*out)[i] : more[j];
		i += c <= 0;
		j += c >= 0;
	}
	*out = to;
	*n_out = n;
	return 0;
}

static int
merge_label_names(struct source *base, const struct matcher *const *matchers,
    size_t n_matchers, const struct source_hints *hints, struct str **out,
    size_t *n_out, struct err *err)
{
	struct source_merge *m = merge_of(base);
	struct str *more;
	size_t i, n;

	*out = NULL;
	*n_out = 0;
	for (i = 0; i < m->n_subs; i++)
		if (m->subs[i]->ops->label_names(m->subs[i], matchers,
		    n_matchers, hints, &more, &n, err) == -1 ||
		    union_texts(m, out, n_out, more, n, err) == -1)
			return -1;
	return 0;
}

static int
merge_label_values(struct source *base, struct str name,
    const struct matcher *const *matchers, size_t n_matchers,
    const struct source_hints *hints, struct str **out, size_t *n_out,
    struct err *err)
{
	struct source_merge *m = merge_of(base);
	struct str *more;
	size_t i, n;

	*out = NULL;
	*n_out = 0;
	for (i = 0; i < m->n_subs; i++)
		if (m->subs[i]->ops->label_values(m->subs[i], name, matchers,
		    n_matchers, hints, &more, &n, err) == -1 ||
		    union_texts(m, out, n_out, more, n, err) == -1)
			return -1;
	return 0;
}

static const struct source_ops merge_ops = {
	.begin = merge_begin,
	.end = merge_end,
	.select = merge_select,
	.cursor_n = merge_cursor_n,
	.next = merge_next,
	.symbol = merge_symbol,
	.label_names = merge_label_names,
	.label_values = merge_label_values,
	.cancelled = merge_cancelled,
};

int
source_merge_set(struct source *s, struct source *const *sources, size_t n)
{
	struct source_merge *m = merge_of(s);
	struct source **subs = calloc(n + 1, sizeof(struct source *));

	if (subs == NULL)
		return -1;
	if (n != 0)
		memcpy(subs, sources, n * sizeof(struct source *));
	free(m->subs);
	m->subs = subs;
	m->n_subs = n;
	return 0;
}

struct source *
source_merge_new(struct source *const *sources, size_t n)
{
	struct source_merge *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->source.ops = &merge_ops;
	if (source_merge_set(&m->source, sources, n) == -1) {
		free(m);
		return NULL;
	}
	return &m->source;
}

void
source_merge_free(struct source *s)
{
	struct source_merge *m = merge_of(s);

	if (m == NULL)
		return;
	free(m->subs);
	free(m);
}

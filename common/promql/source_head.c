/* SPDX-License-Identifier: ISC */

/*
 * struct source over the head. select() matches and captures the words of
 * all series at once; next() then only walks chunk lists. Symbols are the
 * arena's.
 */

#include "common/promql/source_head.h"

#include <stddef.h>
#include <stdlib.h>

#define MIN_SPANS	16

_Static_assert(sizeof(struct label_sym) == sizeof(struct head_label) &&
    offsetof(struct label_sym, name) == offsetof(struct head_label, name) &&
    offsetof(struct label_sym, value) == offsetof(struct head_label, value),
    "labels of the arena are handed out as they are");

struct source_head {
	struct source		 source;	/* first */
	struct head_reader	*r;
	struct head_files	*files;
	struct arena		*a;		/* of the query */
	bool			(*cancelled)(void *arg);
	void			*cancelled_arg;
};

struct source_cursor {
	struct source_head	*s;
	struct postings		 slots;
	struct head_capture	*cap;
	uint64_t		 commit;
	size_t			 i;
	size_t			 found;
	uint32_t		 limit;
	int64_t			 mint_ms, maxt_ms;
	bool			 series_only;
	struct chunk_span	*span;		/* of the current series */
	size_t			 span_cap;
	struct source_tombstone	*tombs;		/* of it, copied */
	uint32_t		 n_tombs, tombs_cap;
};

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "query memory limit reached");
}

static int
head_begin(struct source *base, struct arena *a, struct err *err)
{
	struct source_head *s = (struct source_head *)base;

	(void)err;
	s->a = a;
	head_reader_begin(s->r);
	return 0;
}

static void
head_end(struct source *base)
{
	struct source_head *s = (struct source_head *)base;

	head_reader_end(s->r);
	s->a = NULL;
}

static bool
outside(const struct source_head *s, const struct source_hints *h)
{
	struct head_figures f;

	head_reader_figures(s->r, &f);
	return f.mint_ms > f.maxt_ms || h->maxt_ms < f.mint_ms ||
	    h->mint_ms > f.maxt_ms;
}

static int
head_select(struct source *base, const struct matcher *const *m,
    size_t n_matchers, const struct source_hints *hints,
    struct source_cursor **out, struct err *err)
{
	struct source_head *s = (struct source_head *)base;
	struct source_cursor *c = arena_zalloc(s->a, sizeof(*c));

	if (c == NULL)
		return no_memory(err);
	c->s = s;
	c->limit = hints->limit;
	c->mint_ms = hints->mint_ms;
	c->maxt_ms = hints->maxt_ms;
	c->series_only = hints->series_only;
	if (!outside(s, hints)) {
		if (head_reader_select(s->r, s->a, m, n_matchers, &c->slots,
		    &c->cap, err) == -1)
			return -1;
	}
	c->commit = s->r->commit;
	*out = c;
	return 0;
}

static size_t
head_cursor_n(const struct source_cursor *c)
{
	return c->limit != 0 && c->limit < c->slots.n ? c->limit : c->slots.n;
}

/* Room for one more span; the array of before is left to the arena. */
static int
grow(struct source_cursor *c, size_t n, struct err *err)
{
	size_t cap = c->span_cap == 0 ? MIN_SPANS : c->span_cap * 2;
	struct chunk_span *span = arena_array(c->s->a, cap, sizeof(*span));

	if (span == NULL)
		return no_memory(err);
	if (n > 0)
		memcpy(span, c->span, n * sizeof(*span));
	c->span = span;
	c->span_cap = cap;
	return 0;
}

static int
in_file(struct source_cursor *c, uint64_t ref,
    const struct head_chunk_view *v, struct chunk_span *out,
    struct err *err)
{
	struct head_file_chunk k;

	if (head_files_chunk(c->s->files, v->file, v->file_off, &k,
	    err) == -1)
		return -1;
	if (k.ref != ref)
		return err_set(err, ERR_INTERNAL, "corrupt head: chunk of "
		    "series %llu in place of %llu", (unsigned long long)k.ref,
		    (unsigned long long)ref);
	out->data = k.data;
	out->len_bytes = k.len_bytes;
	return 0;
}

static int
read_tombstones(struct source_cursor *c, const struct head_series_view *v,
    struct err *err)
{
	const struct head_interval *deleted;
	uint32_t n;

	c->n_tombs = 0;
	if (head_reader_deleted(c->s->r, v, &deleted, &n, err) == -1)
		return -1;
	if (n > c->tombs_cap) {
		c->tombs = arena_array(c->s->a, n, sizeof(*c->tombs));
		if (c->tombs == NULL)
			return no_memory(err);
		c->tombs_cap = n;
	}
	for (; c->n_tombs < n; c->n_tombs++)
		c->tombs[c->n_tombs] = (struct source_tombstone){
		    .mint_ms = deleted[c->n_tombs].mint_ms,
		    .maxt_ms = deleted[c->n_tombs].maxt_ms };
	return 0;
}

/*
 * Whether a deleted range covers the chunk whole. The last one may grow, so
 * that it has no end, as the reference sees it.
 */
static bool
is_deleted(const struct source_cursor *c, const struct head_chunk_view *v,
    bool last)
{
	for (uint32_t i = 0; !last && i < c->n_tombs; i++) {
		if (c->tombs[i].mint_ms <= v->mint_ms &&
		    v->maxt_ms <= c->tombs[i].maxt_ms)
			return true;
	}
	return false;
}

/* The spans of one series in the range: how many, -1 on an error. */
static int64_t
spans(struct source_cursor *c, uint64_t ref, const struct head_capture *cap,
    struct err *err)
{
	struct head_chunk_view v;
	size_t n = 0;
	uint32_t i;

	c->s->r->commit = c->commit;
	if (head_reader_chunk_from(c->s->r, cap, c->mint_ms, &i, err) == -1)
		return -1;
	for (; i < cap->n; i++) {
		if (head_reader_chunk(c->s->r, cap, i, &v, err) == -1)
			return -1;
		if (v.mint_ms > c->maxt_ms)
			break;
		if (v.n_samples == 0 || v.maxt_ms < c->mint_ms ||
		    is_deleted(c, &v, i == cap->n - 1))
			continue;
		if (c->series_only)
			return 1;
		if (n == c->span_cap && grow(c, n, err) == -1)
			return -1;
		c->span[n] = (struct chunk_span){ .data = v.data,
		    .len_bytes = v.len_bytes, .n_samples = v.n_samples,
		    .mint_ms = v.mint_ms, .maxt_ms = v.maxt_ms,
		    .encoding = v.encoding };
		if (v.in_file &&
		    in_file(c, ref, &v, &c->span[n], err) == -1)
			return -1;
		n++;
	}
	return (int64_t)n;
}

static int
head_next(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	struct head_series_view v;

	while (c->i < c->slots.n &&
	    (c->limit == 0 || c->found < c->limit)) {
		size_t i = c->i++;
		int64_t n;
		int got;

		if (c->cap[i].n == 0)
			continue;
		got = head_reader_series(c->s->r, c->slots.id[i], &v, err);
		if (got == -1)
			return -1;
		if (got == 0)
			continue;
		if (read_tombstones(c, &v, err) == -1)
			return -1;
		n = spans(c, v.ref, &c->cap[i], err);
		if (n == -1)
			return -1;
		if (n == 0)
			continue;
		c->found++;
		*out = (struct source_series){
			.ref = c->slots.id[i],
			.labels = (const struct label_sym *)v.label,
			.n_labels = v.n_labels,
			.n_spans = c->series_only ? 0 : (uint32_t)n,
			.spans = c->span,
			.tombstones = c->tombs,
			.n_tombstones = c->series_only ? 0 : c->n_tombs,
		};
		return 1;
	}
	return 0;
}

static struct str
head_symbol(const struct source *base, uint32_t sym)
{
	const struct source_head *s = (const struct source_head *)base;

	return head_symbol_text(s->r, sym);
}

/* --- label names and values --- */

/* Distinct symbols, gathered in a table of the query's arena. */
struct sym_set {
	struct arena	*a;
	uint32_t	*slot;
	size_t		 n, mask;
};

static bool
sym_set_put(struct sym_set *t, uint32_t sym)
{
	size_t i = (sym * 0x9e3779b1u) & t->mask;

	for (; t->slot[i] != 0; i = (i + 1) & t->mask) {
		if (t->slot[i] == sym)
			return false;
	}
	t->slot[i] = sym;
	t->n++;
	return true;
}

static int
sym_set_grow(struct sym_set *t)
{
	struct sym_set bigger = { .a = t->a,
	    .mask = t->slot == NULL ? 63 : t->mask * 2 + 1 };

	bigger.slot = arena_zalloc(t->a, (bigger.mask + 1) * sizeof(uint32_t));
	if (bigger.slot == NULL)
		return -1;
	for (size_t i = 0; t->slot != NULL && i <= t->mask; i++) {
		if (t->slot[i] != 0)
			(void)sym_set_put(&bigger, t->slot[i]);
	}
	*t = bigger;
	return 0;
}

static int
sym_set_add(struct sym_set *t, uint32_t sym)
{
	if (sym == 0)
		return 0;
	if ((t->slot == NULL || t->n * 2 > t->mask) && sym_set_grow(t) == -1)
		return -1;
	(void)sym_set_put(t, sym);
	return 0;
}

static int
by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* The texts of the set, sorted; a limit cuts after sorting. */
static int
sym_set_texts(struct source_head *s, const struct sym_set *t,
    uint32_t limit, struct str **out, size_t *n_out, struct err *err)
{
	struct str *text = arena_array(s->a, t->n, sizeof(*text));
	size_t n = 0;

	if (text == NULL)
		return no_memory(err);
	for (size_t i = 0; t->slot != NULL && i <= t->mask; i++) {
		if (t->slot[i] != 0)
			text[n++] = head_symbol_text(s->r, t->slot[i]);
	}
	qsort(text, n, sizeof(*text), by_text);
	*out = text;
	*n_out = limit != 0 && limit < n ? limit : n;
	return 0;
}

/* name 0: the names of all series that match; else the values of name. */
static int
gather(struct source_head *s, uint32_t name, const struct matcher *const *m,
    size_t n_matchers, struct sym_set *set, struct err *err)
{
	struct postings slots;
	struct head_series_view v;

	if (head_match(s->r, s->a, m, n_matchers, &slots, err) == -1)
		return -1;
	for (size_t i = 0; i < slots.n; i++) {
		int got = head_reader_series(s->r, slots.id[i], &v, err);

		if (got == -1)
			return -1;
		for (uint32_t l = 0; got == 1 && l < v.n_labels; l++) {
			uint32_t sym = v.label[l].name;

			if (name != 0 && sym != name)
				continue;
			if (sym_set_add(set, name == 0 ? sym :
			    v.label[l].value) == -1)
				return no_memory(err);
		}
	}
	return 0;
}

/* The same of all series, from the lists of names or pairs. */
static int
gather_all(struct source_head *s, uint32_t name, struct sym_set *set,
    struct err *err)
{
	struct postings items;
	struct head_pair pair;

	if ((name == 0 ? head_names(s->r, &items, err) :
	    head_pair_list(s->r, name, 0, &items, err)) == -1)
		return -1;
	for (size_t i = 0; i < items.n; i++) {
		if (!head_pair_get(s->r, items.id[i], &pair))
			return err_set(err, ERR_INTERNAL,
			    "corrupt head: pair at %u", items.id[i]);
		if (sym_set_add(set, name == 0 ? pair.name :
		    pair.value) == -1)
			return no_memory(err);
	}
	return 0;
}

static int
names_or_values(struct source_head *s, uint32_t name,
    const struct matcher *const *m, size_t n_matchers,
    const struct source_hints *hints, struct str **out, size_t *n_out,
    struct err *err)
{
	struct sym_set set = { .a = s->a };

	if (!outside(s, hints)) {
		if (n_matchers == 0 ?
		    gather_all(s, name, &set, err) == -1 :
		    gather(s, name, m, n_matchers, &set, err) == -1)
			return -1;
	}
	return sym_set_texts(s, &set, hints->limit, out, n_out, err);
}

static int
head_label_names(struct source *base, const struct matcher *const *m,
    size_t n_matchers, const struct source_hints *hints, struct str **out,
    size_t *n_out, struct err *err)
{
	return names_or_values((struct source_head *)base, 0, m, n_matchers,
	    hints, out, n_out, err);
}

static int
head_label_values(struct source *base, struct str name,
    const struct matcher *const *m, size_t n_matchers,
    const struct source_hints *hints, struct str **out, size_t *n_out,
    struct err *err)
{
	struct source_head *s = (struct source_head *)base;
	uint32_t sym = head_symbol_find(s->r, name);

	*out = NULL;
	*n_out = 0;
	if (sym == 0)
		return 0;
	return names_or_values(s, sym, m, n_matchers, hints, out, n_out, err);
}

static bool
head_cancelled(struct source *base)
{
	struct source_head *s = (struct source_head *)base;

	return s->cancelled != NULL && s->cancelled(s->cancelled_arg);
}

static const struct source_ops head_ops = {
	.begin = head_begin,
	.end = head_end,
	.select = head_select,
	.cursor_n = head_cursor_n,
	.next = head_next,
	.symbol = head_symbol,
	.label_names = head_label_names,
	.label_values = head_label_values,
	.cancelled = head_cancelled,
};

struct source *
source_head_new(struct head_reader *reader, struct head_files *files,
    bool (*cancelled)(void *arg), void *cancelled_arg)
{
	struct source_head *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->source.ops = &head_ops;
	s->r = reader;
	s->files = files;
	s->cancelled = cancelled;
	s->cancelled_arg = cancelled_arg;
	return &s->source;
}

void
source_head_free(struct source *s)
{
	free(s);
}

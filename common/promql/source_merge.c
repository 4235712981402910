/* SPDX-License-Identifier: ISC */
/*
 * Merging sources. A query has one table of symbols (text to number), and a
 * cache for each source from its symbols to these; label sets are then equal
 * when their numbers are. All tables are arrays of the query's arena: a
 * bigger copy leaves the old one behind, as the arena frees nothing.
 */

#include "common/promql/source_merge.h"

#include <stdlib.h>

#include "common/base/hash.h"

#define FIRST_CAP	16
#define TABLE_FIRST	1024	/* slots; a power of two */
#define CANCEL_EVERY	256	/* series */

struct cache_slot {
	uint32_t	key;	/* symbol of the source + 1; 0 = empty */
	uint32_t	val;
};

/* From the symbols of one source to the merged ones. */
struct cache {
	struct cache_slot	*slots;
	uint32_t		 mask;
	uint32_t		 n;
};

struct source_merge {
	struct source		 source;	/* first */
	struct source		**subs;		/* borrowed; the array owned */
	size_t			 n_subs;
	/* of the query */
	struct arena		*a;
	struct cache		*caches;	/* one a source */
	struct str		*texts;		/* by merged symbol */
	size_t			 n_texts, texts_cap;
	uint32_t		*by_text;	/* hash table: symbol + 1 */
	uint32_t		 by_text_mask;
};

struct merged {
	struct label_sym	*labels;
	uint32_t		 n_labels;
	uint64_t		 hash;
	struct chunk_span	*spans;
	size_t			 n_spans, spans_cap;
	struct source_tombstone	*tombs;
	size_t			 n_tombs, tombs_cap;
};

struct source_cursor {
	struct source_merge	*m;
	uint32_t		 limit;
	bool			 series_only;
	size_t			 i;
	/* one source has all */
	struct source_cursor	*only;
	size_t			 only_sub;
	/* or all series that were read */
	struct merged		*v;
	size_t			 n, cap;
	uint32_t		*by_labels;	/* hash table: index + 1 */
	uint32_t		 by_labels_mask;
	struct label_sym	*scratch;
	size_t			 scratch_cap;
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

/* Room for need elements, used of which are kept. */
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

/* --- symbols --- */

static uint32_t
spread(uint32_t v)
{
	return (uint32_t)((v * 0x9e3779b97f4a7c15ULL) >> 32);
}

static int
grow_texts_table(struct source_merge *m, struct err *err)
{
	size_t slots = m->by_text == NULL ? TABLE_FIRST :
	    ((size_t)m->by_text_mask + 1) * 2;
	uint32_t *t = arena_zalloc(m->a, slots * sizeof(*t)), h;
	size_t i;

	if (t == NULL)
		return no_memory(err);
	m->by_text = t;
	m->by_text_mask = (uint32_t)slots - 1;
	for (i = 0; i < m->n_texts; i++) {
		h = (uint32_t)hash_xxh64(m->texts[i].p, m->texts[i].n);
		while (t[h & m->by_text_mask] != 0)
			h++;
		t[h & m->by_text_mask] = (uint32_t)i + 1;
	}
	return 0;
}

/* The merged symbol of a text, which lives until the end of the query. */
static int
symbol_of_text(struct source_merge *m, struct str text, uint32_t *out,
    struct err *err)
{
	uint32_t h = (uint32_t)hash_xxh64(text.p, text.n), sym;

	if ((m->by_text == NULL || m->n_texts * 2 > m->by_text_mask) &&
	    grow_texts_table(m, err) == -1)
		return -1;
	for (; (sym = m->by_text[h & m->by_text_mask]) != 0; h++)
		if (str_eq(m->texts[sym - 1], text)) {
			*out = sym - 1;
			return 0;
		}
	if (grow(m->a, &m->texts, &m->texts_cap, m->n_texts, m->n_texts + 1,
	    sizeof(*m->texts), err) == -1)
		return -1;
	m->texts[m->n_texts++] = text;
	m->by_text[h & m->by_text_mask] = (uint32_t)m->n_texts;
	*out = (uint32_t)m->n_texts - 1;
	return 0;
}

static int
grow_cache(struct source_merge *m, struct cache *c, struct err *err)
{
	size_t slots = c->slots == NULL ? TABLE_FIRST :
	    ((size_t)c->mask + 1) * 2;
	struct cache_slot *t = arena_zalloc(m->a, slots * sizeof(*t));
	uint32_t h, mask = (uint32_t)slots - 1;
	size_t i;

	if (t == NULL)
		return no_memory(err);
	for (i = 0; c->slots != NULL && i <= c->mask; i++) {
		if (c->slots[i].key == 0)
			continue;
		h = spread(c->slots[i].key);
		while (t[h & mask].key != 0)
			h++;
		t[h & mask] = c->slots[i];
	}
	c->slots = t;
	c->mask = mask;
	return 0;
}

static int
translate(struct source_merge *m, size_t sub, uint32_t sym, uint32_t *out,
    struct err *err)
{
	struct cache *c = &m->caches[sub];
	const struct source *s = m->subs[sub];
	uint32_t key = sym + 1, h = spread(key);

	if (key == 0)
		return err_set(err, ERR_INTERNAL, "corrupt symbol %u", sym);
	if ((c->slots == NULL || c->n * 2 > c->mask) &&
	    grow_cache(m, c, err) == -1)
		return -1;
	for (; c->slots[h & c->mask].key != 0; h++)
		if (c->slots[h & c->mask].key == key) {
			*out = c->slots[h & c->mask].val;
			return 0;
		}
	if (symbol_of_text(m, s->ops->symbol(s, sym), out, err) == -1)
		return -1;
	c->slots[h & c->mask] = (struct cache_slot){ key, *out };
	c->n++;
	return 0;
}

static int
translate_labels(struct source_merge *m, size_t sub,
    const struct source_series *in, struct label_sym *out, struct err *err)
{
	uint32_t i;

	for (i = 0; i < in->n_labels; i++)
		if (translate(m, sub, in->labels[i].name, &out[i].name,
		    err) == -1 || translate(m, sub, in->labels[i].value,
		    &out[i].value, err) == -1)
			return -1;
	return 0;
}

/* --- a query --- */

static void
end_first(struct source_merge *m, size_t n)
{
	while (n-- > 0)
		m->subs[n]->ops->end(m->subs[n]);
	m->a = NULL;
	m->caches = NULL;
	m->texts = NULL;
	m->n_texts = m->texts_cap = 0;
	m->by_text = NULL;
}

static int
merge_begin(struct source *base, struct arena *a, struct err *err)
{
	struct source_merge *m = merge_of(base);
	size_t i;

	m->a = a;
	m->caches = arena_zalloc(a, m->n_subs * sizeof(*m->caches));
	if (m->caches == NULL)
		return no_memory(err);
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

/* --- collecting --- */

static int
grow_labels_table(struct source_cursor *c, struct err *err)
{
	size_t i, slots = c->by_labels == NULL ? TABLE_FIRST :
	    ((size_t)c->by_labels_mask + 1) * 2;
	uint32_t *t = arena_zalloc(c->m->a, slots * sizeof(*t)), h;

	if (t == NULL)
		return no_memory(err);
	c->by_labels = t;
	c->by_labels_mask = (uint32_t)slots - 1;
	for (i = 0; i < c->n; i++) {
		h = (uint32_t)c->v[i].hash;
		while (t[h & c->by_labels_mask] != 0)
			h++;
		t[h & c->by_labels_mask] = (uint32_t)i + 1;
	}
	return 0;
}

/* The merged series with the labels in scratch, made if it is new. */
static struct merged *
merged_of(struct source_cursor *c, uint32_t n_labels, struct err *err)
{
	size_t bytes = n_labels * sizeof(*c->scratch);
	uint64_t hash = hash_xxh64(c->scratch, bytes);
	uint32_t h = (uint32_t)hash, at;
	struct merged *s;

	if ((c->by_labels == NULL || c->n * 2 > c->by_labels_mask) &&
	    grow_labels_table(c, err) == -1)
		return NULL;
	for (; (at = c->by_labels[h & c->by_labels_mask]) != 0; h++) {
		s = &c->v[at - 1];
		if (s->hash == hash && s->n_labels == n_labels &&
		    memcmp(s->labels, c->scratch, bytes) == 0)
			return s;
	}
	if (grow(c->m->a, &c->v, &c->cap, c->n, c->n + 1, sizeof(*c->v),
	    err) == -1)
		return NULL;
	s = &c->v[c->n];
	*s = (struct merged){ .hash = hash, .n_labels = n_labels };
	s->labels = arena_alloc(c->m->a, bytes);
	if (s->labels == NULL) {
		no_memory(err);
		return NULL;
	}
	if (bytes != 0)
		memcpy(s->labels, c->scratch, bytes);
	c->by_labels[h & c->by_labels_mask] = (uint32_t)++c->n;
	return s;
}

static int
collect_series(struct source_cursor *c, size_t sub,
    const struct source_series *in, struct err *err)
{
	struct arena *a = c->m->a;
	struct merged *s;

	if (grow(a, &c->scratch, &c->scratch_cap, 0, in->n_labels,
	    sizeof(*c->scratch), err) == -1 ||
	    translate_labels(c->m, sub, in, c->scratch, err) == -1)
		return -1;
	s = merged_of(c, in->n_labels, err);
	if (s == NULL || c->series_only)
		return s == NULL ? -1 : 0;
	if (grow(a, &s->spans, &s->spans_cap, s->n_spans,
	    s->n_spans + in->n_spans, sizeof(*s->spans), err) == -1 ||
	    grow(a, &s->tombs, &s->tombs_cap, s->n_tombs,
	    s->n_tombs + in->n_tombstones, sizeof(*s->tombs), err) == -1)
		return -1;
	if (in->n_spans != 0)
		memcpy(s->spans + s->n_spans, in->spans,
		    in->n_spans * sizeof(*s->spans));
	s->n_spans += in->n_spans;
	if (in->n_tombstones != 0)
		memcpy(s->tombs + s->n_tombs, in->tombstones,
		    in->n_tombstones * sizeof(*s->tombs));
	s->n_tombs += in->n_tombstones;
	return 0;
}

static int
collect(struct source_cursor *c, size_t sub, struct source_cursor *from,
    struct err *err)
{
	const struct source_ops *ops = c->m->subs[sub]->ops;
	struct source_series in;
	size_t n = 0;
	int got;

	while ((got = ops->next(from, &in, err)) == 1) {
		if (++n % CANCEL_EVERY == 0 &&
		    merge_cancelled(&c->m->source))
			return err_set(err, ERR_CANCELED,
			    "query was canceled");
		if (collect_series(c, sub, &in, err) == -1)
			return -1;
	}
	return got;
}

static int
merge_select(struct source *base, const struct matcher *const *matchers,
    size_t n_matchers, const struct source_hints *hints,
    struct source_cursor **out, struct err *err)
{
	struct source_merge *m = merge_of(base);
	struct source_cursor *c = arena_zalloc(m->a, sizeof(*c));
	struct source_cursor **subs;
	size_t i, used = 0;

	subs = arena_zalloc(m->a, m->n_subs * sizeof(*subs));
	if (c == NULL || subs == NULL)
		return no_memory(err);
	c->m = m;
	c->limit = hints->limit;
	c->series_only = hints->series_only;
	for (i = 0; i < m->n_subs; i++) {
		const struct source_ops *ops = m->subs[i]->ops;

		if (ops->select(m->subs[i], matchers, n_matchers, hints,
		    &subs[i], err) == -1)
			return -1;
		if (ops->cursor_n(subs[i]) == 0)
			continue;
		used++;
		c->only = subs[i];
		c->only_sub = i;
	}
	if (used > 1) {
		c->only = NULL;
		for (i = 0; i < m->n_subs; i++)
			if (collect(c, i, subs[i], err) == -1)
				return -1;
	}
	*out = c;
	return 0;
}

static size_t
merge_cursor_n(const struct source_cursor *c)
{
	size_t n = c->n;

	if (c->only != NULL)
		n = c->m->subs[c->only_sub]->ops->cursor_n(c->only);
	return c->limit != 0 && c->limit < n ? c->limit : n;
}

static int
next_of_only(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	struct label_sym *labels;
	int got;

	got = c->m->subs[c->only_sub]->ops->next(c->only, out, err);
	if (got != 1)
		return got;
	labels = arena_array(c->m->a, out->n_labels, sizeof(*labels));
	if (labels == NULL)
		return no_memory(err);
	if (translate_labels(c->m, c->only_sub, out, labels, err) == -1)
		return -1;
	out->labels = labels;
	return 1;
}

/*
 * Spans by time, those of earlier sources first. Each source's are sorted
 * and later sources are mostly later in time, so this hardly moves anything.
 * True when some overlap.
 */
static bool
sort_spans(struct merged *s)
{
	bool overlap = false;
	int64_t maxt;
	size_t i, j;

	for (i = 1; i < s->n_spans; i++) {
		struct chunk_span k = s->spans[i];

		for (j = i; j > 0 && s->spans[j - 1].mint_ms > k.mint_ms; j--)
			s->spans[j] = s->spans[j - 1];
		s->spans[j] = k;
	}
	maxt = s->n_spans == 0 ? 0 : s->spans[0].maxt_ms;
	for (i = 1; i < s->n_spans; i++) {
		overlap |= s->spans[i].mint_ms <= maxt;
		if (s->spans[i].maxt_ms > maxt)
			maxt = s->spans[i].maxt_ms;
	}
	return overlap;
}

static int
cmp_tombs(const void *a, const void *b)
{
	const struct source_tombstone *x = a, *y = b;

	return (x->mint_ms > y->mint_ms) - (x->mint_ms < y->mint_ms);
}

/* Sorted, overlapping ones joined. */
static void
sort_tombs(struct merged *s)
{
	size_t i, n = 0;

	if (s->n_tombs < 2)
		return;
	qsort(s->tombs, s->n_tombs, sizeof(*s->tombs), cmp_tombs);
	for (i = 1; i < s->n_tombs; i++)
		if (s->tombs[i].mint_ms > s->tombs[n].maxt_ms)
			s->tombs[++n] = s->tombs[i];
		else if (s->tombs[i].maxt_ms > s->tombs[n].maxt_ms)
			s->tombs[n].maxt_ms = s->tombs[i].maxt_ms;
	s->n_tombs = n + 1;
}

static int
merge_next(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	struct merged *s;

	if (c->limit != 0 && c->i >= c->limit)
		return 0;
	if (c->only != NULL) {
		c->i++;
		return next_of_only(c, out, err);
	}
	if (c->i >= c->n)
		return 0;
	s = &c->v[c->i];
	*out = (struct source_series){ .ref = c->i++, .labels = s->labels,
	    .n_labels = s->n_labels };
	if (c->series_only)
		return 1;
	out->overlapping = sort_spans(s);
	sort_tombs(s);
	out->spans = s->spans;
	out->n_spans = (uint32_t)s->n_spans;
	out->tombstones = s->tombs;
	out->n_tombstones = (uint32_t)s->n_tombs;
	return 1;
}

static struct str
merge_symbol(const struct source *base, uint32_t sym)
{
	const struct source_merge *m = (const struct source_merge *)base;

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
	to = arena_array(m->a, *n_out + n_more, sizeof(*to));
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

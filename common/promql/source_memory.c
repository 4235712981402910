/* SPDX-License-Identifier: ISC */

/*
 * Series in memory as a source. Raw samples are kept; chunks are encoded
 * when a series is first read after a change. Order of series: as added.
 */

#include "common/promql/source_memory.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/vec.h"
#include "common/tsdb/chunk_hist.h"
#include "common/tsdb/chunk_xor.h"
#include "common/tsdb/chunk_xor2.h"

#define CHUNK_SAMPLES	120

struct raw {
	int64_t			 t_ms, st_ms;
	double			 v;
	const struct fhist	*h;
};

struct memory_series {
	uint64_t		 ref;
	struct label_sym	*labels;
	uint32_t		 n_labels;
	struct raw		*raw;
	size_t			 n, cap;
	struct chunk_span	*spans;
	size_t			 n_spans, span_cap;
	bool			 encoded;
	bool			 frozen;	/* raw is gone */
};

struct symbol {
	uint32_t	id;
	struct str	text;
};

struct source_memory {
	struct source		 source;
	struct arena		 mem;
	struct map		 by_text;	/* struct symbol */
	struct symbol		**symbols;
	size_t			 n_symbols, symbol_cap;
	struct map		 by_labels;	/* struct memory_series */
	struct memory_series	**series;
	size_t			 n_series, series_cap, n_frozen;
	struct arena		*query;
};

struct source_cursor {
	struct source_memory	*m;
	struct memory_series	**s;
	size_t			 n, next;
	bool			 series_only;
};

/* --- symbols --- */

static bool
symbol_eq(const void *val, const void *key)
{
	const struct symbol *s = val;

	return str_eq(s->text, *(const struct str *)key);
}

static struct symbol *
intern(struct source_memory *m, struct str text)
{
	uint64_t h = hash_xxh64(text.p, text.n);
	struct symbol *s = map_get(&m->by_text, h, symbol_eq, &text);

	if (s != NULL)
		return s;
	s = arena_alloc(&m->mem, sizeof(*s));
	if (s == NULL || vec_grow(&m->symbols, &m->symbol_cap,
	    m->n_symbols + 1, sizeof(*m->symbols)) == -1)
		return NULL;
	s->text = arena_str(&m->mem, text);
	s->id = (uint32_t)m->n_symbols;
	if (s->text.p == NULL || map_put(&m->by_text, h, s) == -1)
		return NULL;
	m->symbols[m->n_symbols++] = s;
	return s;
}

static struct str
memory_symbol(const struct source *src, uint32_t sym)
{
	const struct source_memory *m = (const struct source_memory *)
	    (const void *)src;

	return sym < m->n_symbols ? m->symbols[sym]->text : STR_EMPTY;
}

/* --- series --- */

struct key {
	const struct label_sym	*l;
	uint32_t		 n;
};

static bool
series_eq(const void *val, const void *key)
{
	const struct memory_series *s = val;
	const struct key *k = key;

	return s->n_labels == k->n && (k->n == 0 ||
	    memcmp(s->labels, k->l, k->n * sizeof(*k->l)) == 0);
}

static struct memory_series *
series_get(struct source_memory *m, struct labels ls)
{
	struct label_sym *l = arena_array(&m->mem, ls.n, sizeof(*l));
	struct memory_series *s;

	if (l == NULL)
		return NULL;
	for (size_t i = 0; i < ls.n; i++) {
		struct symbol *n = intern(m, ls.l[i].name);
		struct symbol *v = intern(m, ls.l[i].value);

		if (n == NULL || v == NULL)
			return NULL;
		l[i] = (struct label_sym){ n->id, v->id };
	}
	uint64_t h = hash_xxh64(l, ls.n * sizeof(*l));
	struct key key = { l, (uint32_t)ls.n };
	s = map_get(&m->by_labels, h, series_eq, &key);
	if (s != NULL)
		return s;
	s = arena_zalloc(&m->mem, sizeof(*s));
	if (s == NULL || vec_grow(&m->series, &m->series_cap,
	    m->n_series + 1, sizeof(*m->series)) == -1 ||
	    map_put(&m->by_labels, h, s) == -1)
		return NULL;
	s->labels = l;
	s->n_labels = (uint32_t)ls.n;
	s->ref = m->n_series + 1;
	m->series[m->n_series++] = s;
	return s;
}

int
source_memory_add(struct source_memory *m, struct labels ls, int64_t t_ms,
    int64_t st_ms, double v, const struct fhist *h)
{
	struct memory_series *s = series_get(m, ls);
	size_t i;

	if (s == NULL || s->frozen ||
	    vec_grow(&s->raw, &s->cap, s->n + 1, sizeof(*s->raw)) == -1)
		return -1;
	for (i = s->n; i > 0 && s->raw[i - 1].t_ms >= t_ms; i--)
		;
	if (i == s->n || s->raw[i].t_ms != t_ms) {
		memmove(s->raw + i + 1, s->raw + i,
		    (s->n - i) * sizeof(*s->raw));
		s->n++;
	}
	s->raw[i] = (struct raw){ t_ms, st_ms, v, NULL };
	if (h != NULL && (s->raw[i].h = fhist_dup(&m->mem, h)) == NULL)
		return -1;
	s->encoded = false;
	return 0;
}

/* --- chunks --- */

static int
add_span(struct memory_series *s, const struct raw *r, size_t n,
    unsigned encoding, const uint8_t *data, size_t len)
{
	if (vec_grow(&s->spans, &s->span_cap, s->n_spans + 1,
	    sizeof(*s->spans)) == -1)
		return -1;
	s->spans[s->n_spans++] = (struct chunk_span){ .data = data,
	    .len_bytes = (uint32_t)len, .n_samples = (uint32_t)n,
	    .mint_ms = r[0].t_ms, .maxt_ms = r[n - 1].t_ms,
	    .encoding = (uint8_t)encoding };
	return 0;
}

static int
add_buf(struct source_memory *m, struct memory_series *s, const struct raw *r,
    size_t n, unsigned encoding, const struct buf *b)
{
	struct str data = arena_str(&m->mem, buf_str(b));

	if (buf_failed(b) || data.p == NULL)
		return -1;
	return add_span(s, r, n, encoding, (const uint8_t *)data.p, data.n);
}

static bool
has_start_times(const struct raw *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (r[i].st_ms != 0)
			return true;
	return false;
}

static int
encode_floats(struct source_memory *m, struct memory_series *s,
    const struct raw *r, size_t n)
{
	size_t cap = CHUNK_XOR_HEADER_BYTES + n * CHUNK_XOR_SAMPLE_BYTES_MAX;
	struct chunk_xor x;

	if (has_start_times(r, n)) {
		int64_t t[CHUNK_SAMPLES], st[CHUNK_SAMPLES];
		double v[CHUNK_SAMPLES];
		struct buf b;

		for (size_t i = 0; i < n; i++) {
			t[i] = r[i].t_ms;
			st[i] = r[i].st_ms;
			v[i] = r[i].v;
		}
		buf_init(&b, 0);
		chunk_xor2_encode(t, st, v, n, &b);
		int rc = add_buf(m, s, r, n, CHUNK_ENC_XOR2, &b);
		buf_clear(&b);
		return rc;
	}
	uint8_t *data = arena_zalloc(&m->mem, cap + 8);
	if (data == NULL)
		return -1;
	chunk_xor_init(&x);
	for (size_t i = 0; i < n; i++)
		if (!chunk_xor_append(&x, data, cap, r[i].t_ms, r[i].v))
			return -1;
	chunk_xor_seal(&x, data);
	return add_span(s, r, n, CHUNK_ENC_XOR, data, chunk_xor_len_bytes(&x));
}

/* All histograms with the buckets of all, empty ones where they had none. */
static int
same_layout(struct arena *a, const struct raw *r, size_t n, struct fhist **out)
{
	struct fhist *all = NULL;
	struct fhist_note note;

	for (size_t i = 0; i < n; i++) {
		if (is_stale_nan(r[i].h->sum))
			continue;
		if (all == NULL) {
			if ((all = fhist_copy(a, r[i].h)) == NULL)
				return -1;
		} else if (fhist_add(a, all, r[i].h, &note) != FHIST_OK)
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_stale_nan(r[i].h->sum)) {
			out[i] = arena_zalloc(a, sizeof(**out));
			if (out[i] == NULL)
				return -1;
			out[i]->sum = r[i].h->sum;
			continue;
		}
		out[i] = fhist_copy(a, all);
		if (out[i] == NULL)
			return -1;
		fhist_mul(out[i], 0);
		out[i]->hint = r[i].h->hint;
		out[i]->sum = out[i]->count = out[i]->zero_count = 0;
		/* what was infinite is not zero now */
		for (uint32_t k = 0; k < out[i]->pos.n; k++)
			out[i]->pos.counts[k] = 0;
		for (uint32_t k = 0; k < out[i]->neg.n; k++)
			out[i]->neg.counts[k] = 0;
		if (fhist_add(a, out[i], r[i].h, &note) != FHIST_OK)
			return -1;
	}
	return 0;
}

static int
encode_hists(struct source_memory *m, struct memory_series *s,
    const struct raw *r, size_t n)
{
	struct fhist *h[CHUNK_SAMPLES];
	int64_t t[CHUNK_SAMPLES], st[CHUNK_SAMPLES];
	bool with_st = has_start_times(r, n);
	unsigned flags = CHUNK_HIST_UNKNOWN;
	struct buf b;

	if (same_layout(&m->mem, r, n, h) == -1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		t[i] = r[i].t_ms;
		st[i] = r[i].st_ms;
	}
	if (r[0].h->hint == FHIST_GAUGE)
		flags = CHUNK_HIST_GAUGE;
	else if (r[0].h->hint == FHIST_RESET)
		flags = CHUNK_HIST_RESET;
	buf_init(&b, 0);
	const struct fhist *const *hc = (const struct fhist *const *)h;
	chunk_fhist_encode(t, with_st ? st : NULL, hc, n, flags, &b);
	int rc = add_buf(m, s, r, n, with_st ? CHUNK_ENC_FLOAT_HISTOGRAM_ST :
	    CHUNK_ENC_FLOAT_HISTOGRAM, &b);
	buf_clear(&b);
	return rc;
}

/* May h go into the chunk that begins with first and ends with last? */
static bool
appendable(const struct fhist *first, const struct fhist *last,
    const struct fhist *h)
{
	bool stale = is_stale_nan(h->sum), last_stale = is_stale_nan(last->sum);

	if ((first->hint == FHIST_GAUGE) != (h->hint == FHIST_GAUGE))
		return stale;
	if (h->hint == FHIST_RESET)
		return false;
	if (stale || last_stale)
		return stale;
	if (is_stale_nan(first->sum) || h->schema != last->schema ||
	    h->zero_threshold != last->zero_threshold)
		return false;
	if (fhist_is_custom(h) && !fhist_bounds_match(h, last))
		return false;
	if (h->hint == FHIST_GAUGE)
		return true;
	struct fhist x = *h;
	x.hint = FHIST_UNKNOWN;
	return !fhist_detect_reset(&x, last);
}

static int
encode(struct source_memory *m, struct memory_series *s)
{
	size_t i = 0;

	s->n_spans = 0;
	while (i < s->n) {
		const struct raw *r = s->raw + i;
		size_t n = 1;

		while (i + n < s->n && n < CHUNK_SAMPLES &&
		    (r[n].h == NULL) == (r[0].h == NULL) && (r[0].h == NULL ||
		    appendable(r[0].h, r[n - 1].h, r[n].h)))
			n++;
		int rc = r[0].h == NULL ? encode_floats(m, s, r, n) :
		    encode_hists(m, s, r, n);
		if (rc == -1)
			return -1;
		i += n;
	}
	s->encoded = true;
	return 0;
}

int
source_memory_freeze(struct source_memory *m)
{
	for (size_t i = m->n_frozen; i < m->n_series; i++) {
		struct memory_series *s = m->series[i];

		if (!s->encoded && encode(m, s) == -1)
			return -1;
		free(s->raw);
		s->raw = NULL;
		s->frozen = true;
	}
	m->n_frozen = m->n_series;
	return 0;
}

/* --- the source --- */

static int
memory_begin(struct source *src, struct arena *a, struct err *err)
{
	struct source_memory *m = (struct source_memory *)(void *)src;

	(void)err;
	m->query = a;
	return 0;
}

static void
memory_end(struct source *src)
{
	((struct source_memory *)(void *)src)->query = NULL;
}

static bool
matches(const struct source_memory *m, const struct memory_series *s,
    const struct matcher *const *ms, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str v = STR_EMPTY;

		for (uint32_t k = 0; k < s->n_labels; k++)
			if (str_eq(m->symbols[s->labels[k].name]->text,
			    ms[i]->name))
				v = m->symbols[s->labels[k].value]->text;
		if (!matcher_matches(ms[i], v))
			return false;
	}
	return true;
}

static bool
in_range(const struct memory_series *s, const struct source_hints *h)
{
	if (s->frozen)
		return s->n_spans != 0 &&
		    s->spans[0].mint_ms <= h->maxt_ms &&
		    s->spans[s->n_spans - 1].maxt_ms >= h->mint_ms;
	return s->n != 0 && s->raw[0].t_ms <= h->maxt_ms &&
	    s->raw[s->n - 1].t_ms >= h->mint_ms;
}

static int
memory_select(struct source *src, const struct matcher *const *ms,
    size_t n_matchers, const struct source_hints *hints,
    struct source_cursor **out, struct err *err)
{
	struct source_memory *m = (struct source_memory *)(void *)src;
	struct source_cursor *c = arena_zalloc(m->query, sizeof(*c));

	if (c == NULL || (c->s = arena_array(m->query, m->n_series,
	    sizeof(*c->s))) == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	c->m = m;
	c->series_only = hints->series_only;
	for (size_t i = 0; i < m->n_series; i++) {
		struct memory_series *s = m->series[i];

		if (hints->limit != 0 && c->n == hints->limit)
			break;
		if (in_range(s, hints) && matches(m, s, ms, n_matchers))
			c->s[c->n++] = s;
	}
	*out = c;
	return 0;
}

static size_t
memory_cursor_n(const struct source_cursor *c)
{
	return c->n;
}

static int
memory_next(struct source_cursor *c, struct source_series *out,
    struct err *err)
{
	if (c->next == c->n)
		return 0;
	struct memory_series *s = c->s[c->next++];
	if (!s->encoded && encode(c->m, s) == -1)
		return err_set(err, ERR_INTERNAL, "encoding samples failed");
	*out = (struct source_series){ .ref = s->ref, .labels = s->labels,
	    .n_labels = s->n_labels };
	if (!c->series_only) {
		out->spans = s->spans;
		out->n_spans = (uint32_t)s->n_spans;
	}
	return 1;
}

static int
str_qcmp(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Distinct texts: names, or the values of one. */
static int
collect(struct source *src, const struct str *name,
    const struct matcher *const *ms, size_t n_matchers,
    const struct source_hints *hints, struct str **out, size_t *n_out,
    struct err *err)
{
	struct source_memory *m = (struct source_memory *)(void *)src;
	size_t most = 0, n = 0, k = 0;

	for (size_t i = 0; i < m->n_series; i++)
		most += m->series[i]->n_labels;
	struct str *v = arena_array(m->query, most, sizeof(*v));
	if (v == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	for (size_t i = 0; i < m->n_series; i++) {
		struct memory_series *s = m->series[i];

		if (!in_range(s, hints) || !matches(m, s, ms, n_matchers))
			continue;
		for (uint32_t j = 0; j < s->n_labels; j++) {
			struct str text = m->symbols[s->labels[j].name]->text;

			if (name == NULL)
				v[n++] = text;
			else if (str_eq(text, *name))
				v[n++] = m->symbols[s->labels[j].value]->text;
		}
	}
	if (n != 0)
		qsort(v, n, sizeof(*v), str_qcmp);
	for (size_t i = 0; i < n; i++)
		if (k == 0 || !str_eq(v[k - 1], v[i]))
			v[k++] = v[i];
	*out = v;
	*n_out = k;
	return 0;
}

static int
memory_label_names(struct source *src, const struct matcher *const *ms,
    size_t n_matchers, const struct source_hints *hints, struct str **out,
    size_t *n_out, struct err *err)
{
	return collect(src, NULL, ms, n_matchers, hints, out, n_out, err);
}

static int
memory_label_values(struct source *src, struct str name,
    const struct matcher *const *ms, size_t n_matchers,
    const struct source_hints *hints, struct str **out, size_t *n_out,
    struct err *err)
{
	return collect(src, &name, ms, n_matchers, hints, out, n_out, err);
}

static const struct source_ops memory_ops = {
	.begin = memory_begin,
	.end = memory_end,
	.select = memory_select,
	.cursor_n = memory_cursor_n,
	.next = memory_next,
	.symbol = memory_symbol,
	.label_names = memory_label_names,
	.label_values = memory_label_values,
};

struct source_memory *
source_memory_new(void)
{
	struct source_memory *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->source.ops = &memory_ops;
	arena_init(&m->mem, 0);
	map_init(&m->by_text);
	map_init(&m->by_labels);
	return m;
}

void
source_memory_reset(struct source_memory *m)
{
	for (size_t i = 0; i < m->n_series; i++) {
		free(m->series[i]->raw);
		free(m->series[i]->spans);
	}
	m->n_series = m->n_symbols = m->n_frozen = 0;
	map_clear(&m->by_text);
	map_clear(&m->by_labels);
	map_init(&m->by_text);
	map_init(&m->by_labels);
	arena_clear(&m->mem);
}

void
source_memory_free(struct source_memory *m)
{
	if (m == NULL)
		return;
	source_memory_reset(m);
	free(m->symbols);
	free(m->series);
	free(m);
}

struct source *
source_memory_source(struct source_memory *m)
{
	return &m->source;
}

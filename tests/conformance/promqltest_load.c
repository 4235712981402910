/* SPDX-License-Identifier: ISC */

/* load commands and series lines of the test language. */

#include "tests/conformance/promqltest.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/promql/parse.h"

/* --- histograms --- */

static int
side_from_text(struct arena *a, int32_t offset, const double *v, size_t n,
    struct hside *out)
{
	if (n == 0)
		return 0;
	out->spans = arena_array(a, 1, sizeof(*out->spans));
	out->counts = arena_array(a, n, sizeof(double));
	if (out->spans == NULL || out->counts == NULL)
		return -1;
	out->spans[0] = (struct hspan){ offset, (uint32_t)n };
	memcpy(out->counts, v, n * sizeof(double));
	out->n_spans = 1;
	out->n = (uint32_t)n;
	return 0;
}

static struct fhist *
hist_from_text(struct arena *a, const struct promql_histogram_text *x)
{
	static const enum fhist_hint hints[] = {
		[PROMQL_RESET_UNKNOWN] = FHIST_UNKNOWN,
		[PROMQL_RESET_YES] = FHIST_RESET,
		[PROMQL_RESET_NO] = FHIST_NOT_RESET,
		[PROMQL_RESET_GAUGE] = FHIST_GAUGE
	};
	struct fhist *h = arena_zalloc(a, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->schema = x->schema;
	h->sum = x->sum;
	h->count = x->count;
	h->zero_count = x->zero_count;
	h->zero_threshold = x->zero_threshold;
	h->hint = (uint8_t)hints[x->hint];
	h->custom = x->custom_values;
	h->n_custom = (uint32_t)x->n_custom_values;
	if (side_from_text(a, x->pos_offset, x->pos, x->n_pos, &h->pos) == -1 ||
	    side_from_text(a, x->neg_offset, x->neg, x->n_neg, &h->neg) == -1)
		return NULL;
	return h;
}

/* The next histogram of a run a+bxN. */
static struct fhist *
next_hist(struct arena *a, const struct promql_series_value *v,
    const struct fhist *last, struct buf *why)
{
	struct fhist_note note;

	if (v->index == 0 || v->inc == NULL || last == NULL)
		return hist_from_text(a, v->hist);
	struct fhist *h = fhist_copy(a, last);
	struct fhist *inc = hist_from_text(a, v->inc);
	if (h == NULL || inc == NULL)
		return NULL;
	if (h->schema > inc->schema) {
		buf_printf(why, "error combining histograms: cannot merge "
		    "from schema %d to %d", inc->schema, h->schema);
		return NULL;
	}
	enum fhist_rc rc = v->subtract ? fhist_sub(a, h, inc, &note) :
	    fhist_add(a, h, inc, &note);
	if (rc != FHIST_OK) {
		buf_printf(why, "histograms cannot be combined");
		return NULL;
	}
	return h;
}

int
parse_series_line(struct test *t, struct str line, struct line_series *out,
    struct buf *why)
{
	struct promql_parse_errors errs = { .n = 0 };
	struct promql_series_desc d;
	const struct fhist *last = NULL;

	if (promql_parse_series(&t->mem, line, &d, &errs) == -1) {
		struct err e = ERR_INIT;

		promql_parse_errors_to_err(&errs, line, &e);
		buf_printf(why, "%s in: %.*s", e.text, STR_ARG(line));
		return -1;
	}
	*out = (struct line_series){ .ls = d.labels, .n = d.n_values };
	out->items = arena_array(&t->mem, d.n_values, sizeof(*out->items));
	if (out->items == NULL)
		return -1;
	for (size_t i = 0; i < d.n_values; i++) {
		const struct promql_series_value *v = &d.values[i];
		struct item *x = &out->items[i];

		*x = (struct item){ .omitted = v->omitted, .v = v->value,
		    .hint_set = v->hint_set };
		if (v->hist == NULL)
			continue;
		x->v = 0;
		x->h = last = next_hist(&t->mem, v, last, why);
		if (x->h == NULL)
			return -1;
	}
	return 0;
}

/* --- start timestamps --- */

static bool
duration_prefix(const char **p, const char *end, int64_t *ms)
{
	const char *s = *p;
	bool negative = false;
	struct err e = ERR_INIT;

	if (s < end && (*s == '-' || *s == '+'))
		negative = *s++ == '-';
	const char *d = s;
	while (s < end && isdigit((unsigned char)*s))
		s++;
	while (s < end && isalpha((unsigned char)*s) && *s != 'x')
		s++;
	if (duration_parse(str_from(d, (size_t)(s - d)), ms, &e) == -1)
		return false;
	if (negative)
		*ms = -*ms;
	*p = s;
	return true;
}

/* One item into out (from *n on); false when it is wrong. */
static bool
st_item(struct str item, int64_t *out, size_t *n, size_t cap)
{
	const char *p = item.p, *end = item.p + item.n;
	int64_t base, delta = 0;
	size_t count = 0;

	if (item.n >= 1 && item.p[0] == '_') {
		count = item.n > 2 ? strtoul(item.p + 2, NULL, 10) : 1;
		for (size_t i = 0; i < count && *n < cap; i++)
			out[(*n)++] = INT64_MIN;
		return true;
	}
	if (!duration_prefix(&p, end, &base))
		return false;
	if (p < end && *p != 'x' && !duration_prefix(&p, end, &delta))
		return false;
	if (p < end && *p == 'x')
		count = strtoul(p + 1, NULL, 10);
	for (size_t i = 0; i <= count && *n < cap; i++, base += delta)
		out[(*n)++] = base;
	return true;
}

static int
parse_st(struct test *t, struct str text, size_t want, int64_t **out,
    struct buf *why)
{
	size_t n = 0, i = 0;

	*out = arena_array(&t->mem, want + 1, sizeof(**out));
	if (*out == NULL)
		return -1;
	while (i < text.n) {
		size_t start;

		while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
			i++;
		start = i;
		while (i < text.n && text.p[i] != ' ' && text.p[i] != '\t')
			i++;
		struct str item = arena_str(&t->mem,
		    str_from(text.p + start, i - start));
		if (item.n != 0 && !st_item(item, *out, &n, want + 1)) {
			buf_printf(why, "invalid ST item %.*s", STR_ARG(item));
			return -1;
		}
	}
	if (n != want) {
		buf_printf(why, "@st line has %zu values but sample line has "
		    "%zu", n, want);
		return -1;
	}
	return 0;
}

static bool
is_st_line(struct str l, size_t *space)
{
	size_t i = 0;

	while (i < l.n && l.p[i] != ' ' && l.p[i] != '\t')
		i++;
	*space = i;
	return i < l.n && i >= 3 && memcmp(l.p + i - 3, "@st", 3) == 0;
}

/* --- classic histograms as native ones --- */

struct classic_bucket {
	double	le, count;
};

struct classic {
	struct labels		 ls;
	int64_t			 t_ms;
	struct classic_bucket	 b[256];
	size_t			 n;
	double			 count, sum;
	bool			 has_count;
};

struct classics {
	struct classic	**v;
	size_t		 n, cap;
};

static struct classic *
classic_get(struct test *t, struct classics *all, struct labels ls,
    int64_t t_ms)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i]->t_ms == t_ms && labels_eq(all->v[i]->ls, ls))
			return all->v[i];
	if (all->n == all->cap) {
		all->cap = all->cap * 2 + 64;
		all->v = realloc(all->v, all->cap * sizeof(*all->v));
	}
	struct classic *c = arena_zalloc(&t->mem, sizeof(*c));
	if (all->v == NULL || c == NULL)
		return NULL;
	c->ls = ls;
	c->t_ms = t_ms;
	all->v[all->n++] = c;
	return c;
}

static void
add_bucket(struct classic *c, double le, double count)
{
	size_t i = c->n;

	while (i > 0 && c->b[i - 1].le > le)
		i--;
	if ((i > 0 && c->b[i - 1].le == le) || c->n == 256)
		return;
	memmove(&c->b[i + 1], &c->b[i], (c->n - i) * sizeof(c->b[0]));
	c->b[i] = (struct classic_bucket){ le, count };
	c->n++;
}

static int
store_classic(struct test *t, struct classic *c)
{
	struct fhist h = { .schema = FHIST_CUSTOM_SCHEMA, .sum = c->sum };
	double counts[257], bounds[256], prev = 0;
	struct hspan span = { 0, 0 };

	if (!c->has_count && c->n > 0)
		c->count = c->b[c->n - 1].count;
	if (c->n == 0 || c->b[c->n - 1].le != INFINITY)
		add_bucket(c, INFINITY, c->count);
	h.count = c->count;
	for (size_t i = 0; i < c->n; i++) {
		counts[i] = c->b[i].count - prev;
		prev = c->b[i].count;
		if (c->b[i].le != INFINITY)
			bounds[h.n_custom++] = c->b[i].le;
	}
	span.length = (uint32_t)c->n;
	double *kept = arena_array(&t->mem, h.n_custom, sizeof(double));
	if (kept == NULL)
		return -1;
	memcpy(kept, bounds, h.n_custom * sizeof(double));
	h.custom = kept;
	h.pos = (struct hside){ &span, counts, 1, (uint32_t)c->n };
	if (fhist_compact(&t->mem, &h) == -1)
		return -1;
	return source_memory_add(t->store, c->ls, c->t_ms, 0, 0, &h);
}

static int
collect_classic(struct test *t, const struct line_series *s, int64_t gap,
    struct classics *all)
{
	struct str name = labels_get(s->ls, STR_LIT("__name__"));
	bool bucket = str_has_suffix(name, STR_LIT("_bucket"));
	bool count = str_has_suffix(name, STR_LIT("_count"));
	bool sum = str_has_suffix(name, STR_LIT("_sum"));
	struct labels_builder b;
	double le = 0;

	if (!bucket && !count && !sum)
		return 0;
	if (bucket) {
		struct str text = labels_get(s->ls, STR_LIT("le"));

		if (text.p == NULL || !float_parse(text.p, text.n, &le) ||
		    isnan(le))
			return 0;
	}
	labels_builder_init(&b);
	labels_builder_reset(&b, s->ls);
	labels_builder_set(&b, STR_LIT("__name__"),
	    str_from(name.p, name.n - (bucket ? 7 : count ? 6 : 4)));
	labels_builder_del(&b, STR_LIT("le"));
	struct labels ls = labels_copy(&t->mem, labels_builder_labels(&b));
	labels_builder_clear(&b);
	for (size_t i = 0; i < s->n; i++) {
		if (s->items[i].omitted || s->items[i].h != NULL)
			continue;
		struct classic *c = classic_get(t, all, ls,
		    (int64_t)i * gap);

		if (c == NULL)
			return -1;
		if (bucket)
			add_bucket(c, le, s->items[i].v);
		else if (count) {
			c->count = s->items[i].v;
			c->has_count = true;
		} else
			c->sum = s->items[i].v;
	}
	return 0;
}

/* --- the command --- */

static int
store_series(struct test *t, const struct line_series *s, int64_t gap)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct item *x = &s->items[i];
		int64_t at = (int64_t)i * gap, st = 0;

		if (x->omitted)
			continue;
		if (s->st_ms != NULL && s->st_ms[i] != INT64_MIN)
			st = at + s->st_ms[i];
		if (source_memory_add(t->store, s->ls, at, st, x->v, x->h) ==
		    -1)
			return -1;
	}
	return 0;
}

int
run_load(struct test *t, size_t i, size_t *next, struct buf *why)
{
	static const char pattern[] = "^load(?:_(with_nhcb))?\\s+(.+?)$";
	struct str step = regex_group(&t->mem, pattern, t->lines[i], 2);
	struct str nhcb = regex_group(&t->mem, pattern, t->lines[i], 1);
	struct classics all = { .n = 0 };
	struct str st_text = STR_EMPTY;
	struct err e = ERR_INIT;
	bool st_pending = false;
	int64_t gap;
	size_t space;
	int rc = 0;

	if (step.p == NULL || duration_parse(step, &gap, &e) == -1) {
		buf_printf(why, "invalid load command");
		return -1;
	}
	for (i++; i < t->n_lines && t->lines[i].n != 0 && rc == 0; i++) {
		struct str l = t->lines[i];
		struct line_series s;

		if (is_st_line(l, &space)) {
			st_text = str_from(l.p + space, l.n - space);
			st_pending = true;
			continue;
		}
		rc = parse_series_line(t, l, &s, why);
		if (rc == 0 && st_pending)
			rc = parse_st(t, st_text, s.n, &s.st_ms, why);
		st_pending = false;
		if (rc == 0)
			rc = store_series(t, &s, gap);
		if (rc == 0 && nhcb.n != 0)
			rc = collect_classic(t, &s, gap, &all);
	}
	for (size_t k = 0; k < all.n && rc == 0; k++)
		rc = store_classic(t, all.v[k]);
	free(all.v);
	*next = i;
	return rc;
}

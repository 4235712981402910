/* SPDX-License-Identifier: ISC */
/*
 * From the slices of a parsed line to a label set: escapes resolved, float
 * label values written one way, sorted. Runs once for a series, not once a
 * sample.
 */

#include <math.h>
#include <stdlib.h>

#include "common/base/float_text.h"
#include "common/exposition/exposition.h"

/* \" \\ and \n are replaced (quotes only if asked), other pairs are kept. */
static struct str
unescape(struct arena *a, struct str s, bool quotes)
{
	char *out, *o;

	if (s.n == 0 || memchr(s.p, '\\', s.n) == NULL)
		return s;
	o = out = arena_alloc(a, s.n);
	if (out == NULL)
		return s;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\0';

		if (c == '\\' && (next == '\\' || next == 'n' ||
		    (quotes && next == '"'))) {
			*o++ = next == 'n' ? '\n' : next;
			i++;
		} else
			*o++ = c;
	}
	return str_from(out, (size_t)(o - out));
}

struct str
expo_help_text(const struct expo_parser *p, struct arena *a)
{
	return unescape(a, p->text, p->format == EXPO_OPENMETRICS);
}

/* "1" and "1e0" become "1.0": OpenMetrics' canonical floats. */
static struct str
canonical_float(struct arena *a, struct str s)
{
	char text[FLOAT_TEXT_MAX + 2], *copy;
	double v;
	size_t n;

	if (!float_parse(s.p, s.n, &v))
		return s;
	n = float_format_g(v, text);
	if (isfinite(v) && memchr(text, 'e', n) == NULL &&
	    memchr(text, '.', n) == NULL) {
		text[n++] = '.';
		text[n++] = '0';
	}
	if (n == s.n && memcmp(text, s.p, n) == 0)
		return s;
	copy = arena_alloc(a, n);
	if (copy == NULL)
		return s;
	memcpy(copy, text, n);
	return str_from(copy, n);
}

static struct str
label_value(const struct expo_parser *p, struct arena *a, struct str name,
    struct str raw)
{
	struct str v = unescape(a, raw, true);

	if ((p->type == METRIC_HISTOGRAM && str_eq_c(name, LABEL_BUCKET)) ||
	    (p->type == METRIC_SUMMARY && str_eq_c(name, LABEL_QUANTILE)))
		return canonical_float(a, v);
	return v;
}

/* Stable, so that of duplicates the first stays first. */
static void
insert_sorted(struct label *l, size_t n, struct label new)
{
	size_t i = n;

	while (i > 0 && str_cmp(l[i - 1].name, new.name) > 0) {
		l[i] = l[i - 1];
		i--;
	}
	l[i] = new;
}

static int
by_name(const void *a, const void *b)
{
	const struct label *x = a, *y = b;
	int c = str_cmp(x->name, y->name);

	/* the arrays are in order of exposition: addresses keep it stable */
	return c != 0 ? c : (x->value.p > y->value.p) - (x->value.p < y->value.p);
}

static struct str
span_name(const struct expo_parser *p, const struct expo_span *s)
{
	return str_from(p->b + s->name, s->name_end - s->name);
}

static struct str
span_value(const struct expo_parser *p, const struct expo_span *s)
{
	return str_from(p->b + s->value, s->value_end - s->value);
}

/* Would the metadata's own label win over an exposed one of this name? */
static bool
is_metadata_label(const struct expo_parser *p, struct str name)
{
	if (!p->type_and_unit_labels)
		return false;
	return str_eq_c(name, LABEL_METRIC_NAME) ||
	    (p->type != METRIC_UNKNOWN && str_eq_c(name, "__type__")) ||
	    (p->unit.n != 0 && str_eq_c(name, "__unit__"));
}

/* More labels than this are sorted at the end, not inserted in order. */
#define INSERT_MAX 64

int
expo_labels(const struct expo_parser *p, struct arena *a, struct labels *out,
    struct err *err)
{
	struct label *l = arena_array(a, p->n_spans + 3, sizeof(*l));
	bool insert = p->n_spans <= INSERT_MAX;
	struct label new;
	size_t n = 0;

	if (l == NULL)
		goto nomem;
	l[n++] = (struct label){ STR_LIT(LABEL_METRIC_NAME), unescape(a,
	    str_from(p->b + p->mname, p->mname_end - p->mname), true) };
	if (p->type_and_unit_labels && p->type != METRIC_UNKNOWN)
		l[n++] = (struct label){ STR_LIT("__type__"),
		    str_c(metric_type_name(p->type)) };
	if (p->type_and_unit_labels && p->unit.n != 0)
		l[n++] = (struct label){ STR_LIT("__unit__"), p->unit };
	for (size_t i = 0; i < p->n_spans; i++) {
		new.name = unescape(a, span_name(p, &p->spans[i]), true);
		if (is_metadata_label(p, new.name))
			continue;
		new.value = label_value(p, a, new.name,
		    span_value(p, &p->spans[i]));
		if (insert)
			insert_sorted(l, n, new);
		else
			l[n] = new;
		n++;
	}
	if (!insert)
		qsort(l, n, sizeof(*l), by_name);
	if (a->failed)
		goto nomem;
	out->l = l;
	out->n = n;
	return 0;
nomem:
	return err_set(err, ERR_NOMEM, "out of memory for labels");
}

int
expo_exemplar(const struct expo_parser *p, struct arena *a,
    struct expo_exemplar *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (!p->ex_present)
		return 0;
	out->l = arena_array(a, p->n_ex_spans, sizeof(*out->l));
	if (out->l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for labels");
	for (size_t i = 0; i < p->n_ex_spans; i++)
		out->l[i] = (struct label){ span_name(p, &p->ex_spans[i]),
		    span_value(p, &p->ex_spans[i]) };
	out->n = p->n_ex_spans;
	qsort(out->l, out->n, sizeof(*out->l), by_name);
	out->present = true;
	out->value = p->ex_value;
	out->has_ts = p->ex_has_ts;
	out->ts_ms = p->ex_ts_ms;
	return 0;
}

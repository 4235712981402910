/* SPDX-License-Identifier: ISC */
/*
 * Rendering results. The text of a range query's timestamps is made once and
 * reused for all series: `[1435781451.781,"`. Label texts are escaped with
 * the labels' own rule: no HTML escaping inside label sets.
 */
#include "workers/query/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/float_short.h"
#include "common/base/float_text.h"
#include "common/base/json.h"
#include "common/histogram/fhist.h"

void
notes_add_warning(struct notes *n, struct str text)
{
	if (n->n_warnings < NOTES_MAX)
		n->warnings[n->n_warnings] = text;
	n->n_warnings++;
}

void
notes_add_info(struct notes *n, struct str text)
{
	if (n->n_infos < NOTES_MAX)
		n->infos[n->n_infos] = text;
	n->n_infos++;
}

void
render_begin(struct buf *b)
{
	buf_add_c(b, "{\"status\":\"success\",\"data\":");
}

static void
render_notes(struct buf *b, const char *key, const char *what,
    const struct str *texts, size_t n)
{
	if (n == 0)
		return;
	buf_printf(b, ",\"%s\":[", key);
	for (size_t i = 0; i < n && i < NOTES_MAX; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		json_add_str(b, texts[i], true);
	}
	if (n > NOTES_MAX)
		buf_printf(b, ",\"%zu more %s annotations omitted\"",
		    n - NOTES_MAX, what);
	buf_add_byte(b, ']');
}

void
render_end(struct buf *b, const struct notes *n)
{
	render_notes(b, "warnings", "warning", n->warnings, n->n_warnings);
	render_notes(b, "infos", "info", n->infos, n->n_infos);
	buf_add_byte(b, '}');
}

void
render_error(struct buf *b, const struct err *err)
{
	buf_printf(b, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":",
	    err_kind_name(err->kind));
	json_add_str(b, str_c(err->text), true);
	buf_add_byte(b, '}');
}

void
render_labels(struct buf *b, struct labels ls)
{
	buf_add_byte(b, '{');
	for (size_t i = 0; i < ls.n; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		json_add_str(b, ls.l[i].name, false);
		buf_add_byte(b, ':');
		json_add_str(b, ls.l[i].value, false);
	}
	buf_add_byte(b, '}');
}

/* The value's digits without quotes; integers apart, they are most. */
static size_t
float_text(double v, char *out)
{
	if (v > -1e15 && v < 1e15) {
		int64_t i = (int64_t)v;

		if ((double)i == v && (i != 0 || !__builtin_signbit(v))) {
			if (i < 0)
				*out = '-';
			return (i < 0) + uint_text(i < 0 ? 0 - (uint64_t)i :
			    (uint64_t)i, out + (i < 0));
		}
	}
	return float_format_json(v, out);
}

void
render_float(struct buf *b, double v)
{
	char *p = buf_reserve(b, FLOAT_TEXT_MAX + 2);

	if (p == NULL)
		return;
	size_t n = float_text(v, p + 1);

	p[0] = p[n + 1] = '"';
	b->n += n + 2;
}

void
render_hist(struct buf *b, const struct fhist *h)
{
	struct hiter it;
	bool first = true;

	buf_add_c(b, "{\"count\":");
	render_float(b, h->count);
	buf_add_c(b, ",\"sum\":");
	render_float(b, h->sum);
	hiter_init(&it, h, HITER_ALL);
	while (hiter_next(&it)) {
		if (it.b.count == 0)
			continue;
		/* 0 open left, 1 open right, 2 open both, 3 closed both */
		int rule = it.b.lower_inclusive ?
		    (it.b.upper_inclusive ? 3 : 1) :
		    (it.b.upper_inclusive ? 0 : 2);

		buf_printf(b, "%s[%d,", first ? ",\"buckets\":[" : ",", rule);
		first = false;
		render_float(b, it.b.lower);
		buf_add_byte(b, ',');
		render_float(b, it.b.upper);
		buf_add_byte(b, ',');
		render_float(b, it.b.count);
		buf_add_byte(b, ']');
	}
	buf_add_c(b, first ? "}" : "]}");
}

/* --- timestamps, made once a step --- */

#define STEP_TEXT_MAX	24

struct step_texts {
	int64_t		 start_ms;
	int64_t		 step_ms;	/* 0: no table */
	size_t		 n;
	size_t		 next;		/* likely wanted next */
	struct step_text {
		uint8_t	n;
		char	p[STEP_TEXT_MAX];	/* `[1435781451.781,"` */
	}		*steps;
};

static size_t
time_text(int64_t ms, char out[STEP_TEXT_MAX])
{
	uint64_t u = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	int n = snprintf(out, STEP_TEXT_MAX, "[%s%llu", ms < 0 ? "-" : "",
	    (unsigned long long)(u / 1000));

	if (u % 1000 != 0)
		n += snprintf(out + n, STEP_TEXT_MAX - (size_t)n, ".%03d",
		    (int)(u % 1000));
	out[n++] = ',';
	return (size_t)n;
}

static void
step_texts_init(struct step_texts *st, const struct promql_result *r,
    const struct render_query *q)
{
	int64_t end = INT64_MIN;

	/* an instant is one step */
	int64_t step_ms = q->step_ms > 0 ? q->step_ms : 1;

	*st = (struct step_texts){ .start_ms = q->start_ms };
	for (size_t i = 0; i < r->n_series; i++) {
		const struct promql_series *s = &r->series[i];

		if (s->n_floats > 0 && s->ft[s->n_floats - 1] > end)
			end = s->ft[s->n_floats - 1];
	}
	if (end < q->start_ms)
		return;
	uint64_t n = q->step_ms <= 0 ? 1 :
	    (uint64_t)(end - q->start_ms) / (uint64_t)step_ms + 1;

	/* the API allows 11,000 steps; no table for anything stranger */
	if (n > 12000 || (st->steps = calloc(n, sizeof(*st->steps))) == NULL)
		return;
	st->n = n;
	st->step_ms = step_ms;
	for (size_t i = 0; i < n; i++)
		st->steps[i].n = (uint8_t)time_text(q->start_ms +
		    (int64_t)i * step_ms, st->steps[i].p);
}

static void
step_texts_clear(struct step_texts *st)
{
	free(st->steps);
}

/* The step that t_ms is, or NULL. */
static const struct step_text *
step_text_of(struct step_texts *st, int64_t t_ms)
{
	uint64_t since = (uint64_t)t_ms - (uint64_t)st->start_ms, k;

	if (st->step_ms == 0 || t_ms < st->start_ms)
		return NULL;
	k = st->next;
	if (since != k * (uint64_t)st->step_ms) {
		k = since / (uint64_t)st->step_ms;
		if (since != k * (uint64_t)st->step_ms)
			return NULL;
	}
	if (k >= st->n)
		return NULL;
	st->next = k + 1;
	return &st->steps[k];
}

#define SAMPLE_TEXT_MAX	(STEP_TEXT_MAX + FLOAT_TEXT_MAX + 4)

/* `[t,"v"]`; returns its end. SAMPLE_TEXT_MAX bytes at p. */
static inline char *
sample_text(char *p, struct step_texts *st, int64_t t_ms, double v)
{
	const struct step_text *t = step_text_of(st, t_ms);

	if (t != NULL) {
		memcpy(p, t->p, STEP_TEXT_MAX);
		p += t->n;
	} else
		p += time_text(t_ms, p);
	*p++ = '"';
	p += float_text(v, p);
	*p++ = '"';
	*p++ = ']';
	return p;
}

/* `[t,"v"]` of n samples, commas between; room is asked for once. */
static void
render_samples(struct buf *b, struct step_texts *st, const int64_t *t_ms,
    const double *v, uint32_t n)
{
	char *p = buf_reserve(b, n * (size_t)(SAMPLE_TEXT_MAX + 1)), *from = p;

	if (p == NULL)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (i > 0)
			*p++ = ',';
		p = sample_text(p, st, t_ms[i], v[i]);
	}
	b->n += (size_t)(p - from);
}

static void
render_time(struct buf *b, int64_t t_ms)
{
	char *p = buf_reserve(b, STEP_TEXT_MAX);

	if (p != NULL)
		b->n += time_text(t_ms, p);
}

static void
render_metric(struct buf *b, const struct promql_result *r,
    const struct promql_series *s)
{
	buf_add_c(b, "{\"metric\":{");
	for (uint32_t i = 0; i < s->n_labels; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		json_add_str(b, promql_result_symbol(r, s->labels[i].name),
		    false);
		buf_add_byte(b, ':');
		json_add_str(b, promql_result_symbol(r, s->labels[i].value),
		    false);
	}
	buf_add_byte(b, '}');
}

/* Samples between two looks at how much has gathered. */
#define BATCH	64

static bool
render_series(struct body *body, const struct promql_result *r,
    const struct promql_series *s, struct step_texts *st)
{
	struct buf *b = &body->text;

	render_metric(b, r, s);
	st->next = 0;
	for (uint32_t i = 0, n; i < s->n_floats; i += n) {
		n = s->n_floats - i < BATCH ? s->n_floats - i : BATCH;
		buf_add_c(b, i == 0 ? ",\"values\":[" : ",");
		render_samples(b, st, s->ft + i, s->fv + i, n);
		if (!body_step(body))
			return false;
	}
	if (s->n_floats > 0)
		buf_add_byte(b, ']');
	for (uint32_t i = 0; i < s->n_hists; i++) {
		buf_add_c(b, i == 0 ? ",\"histograms\":[" : ",");
		render_time(b, s->ht[i]);
		render_hist(b, s->h[i]);
		buf_add_byte(b, ']');
		if (i % 64 == 63 && !body_step(body))
			return false;
	}
	buf_add_c(b, s->n_hists > 0 ? "]}" : "}");
	return body_step(body);
}

static bool
render_vector_sample(struct body *body, const struct promql_result *r,
    const struct promql_series *s, struct step_texts *st)
{
	struct buf *b = &body->text;

	render_metric(b, r, s);
	if (s->n_floats > 0) {
		buf_add_c(b, ",\"value\":");
		st->next = 0;
		render_samples(b, st, s->ft, s->fv, 1);
	} else if (s->n_hists > 0) {
		buf_add_c(b, ",\"histogram\":");
		render_time(b, s->ht[0]);
		render_hist(b, s->h[0]);
		buf_add_byte(b, ']');
	}
	buf_add_byte(b, '}');
	return body_step(body);
}

static bool
render_all_series(struct body *body, const struct promql_result *r,
    const struct render_query *q, size_t n)
{
	struct step_texts st;
	bool ok = true;

	step_texts_init(&st, r, q);
	buf_add_byte(&body->text, '[');
	for (size_t i = 0; i < n && ok; i++) {
		if (i > 0)
			buf_add_byte(&body->text, ',');
		ok = r->type == PROMQL_RESULT_VECTOR ?
		    render_vector_sample(body, r, &r->series[i], &st) :
		    render_series(body, r, &r->series[i], &st);
	}
	buf_add_byte(&body->text, ']');
	step_texts_clear(&st);
	return ok;
}

/* A number of seconds as Go's JSON prints a float64. */
static void
render_seconds(struct buf *b, const char *key, double v)
{
	char text[FLOAT_TEXT_MAX];
	size_t n = float_format_json(v, text);

	buf_printf(b, "\"%s\":%.*s", key, (int)n, text);
}

static void
render_steps(struct buf *b, const char *key, const struct promql_stats *s,
    const uint64_t *counts)
{
	if (counts == NULL)
		return;
	buf_printf(b, "\"%s\":[", key);
	for (uint32_t i = 0; i < s->n_steps; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		render_time(b, s->start_ms + (int64_t)i * s->step_ms);
		buf_add_u64_text(b, counts[i]);
		buf_add_byte(b, ']');
	}
	buf_add_c(b, "],");
}

void
render_stats(struct buf *b, const struct promql_stats *s, bool steps,
    double queue_s, double total_s)
{
	buf_add_c(b, "{\"timings\":{");
	render_seconds(b, "evalTotalTime", s->prepare_s + s->eval_s +
	    s->sort_s);
	buf_add_byte(b, ',');
	render_seconds(b, "resultSortTime", s->sort_s);
	buf_add_byte(b, ',');
	render_seconds(b, "queryPreparationTime", s->prepare_s);
	buf_add_byte(b, ',');
	render_seconds(b, "innerEvalTime", s->eval_s);
	buf_add_byte(b, ',');
	render_seconds(b, "execQueueTime", queue_s);
	buf_add_byte(b, ',');
	render_seconds(b, "execTotalTime", total_s);
	buf_add_c(b, "},\"samples\":{");
	if (steps)
		render_steps(b, "totalQueryableSamplesPerStep", s,
		    s->total_per_step);
	buf_printf(b, "\"totalQueryableSamples\":%llu,",
	    (unsigned long long)s->total_samples);
	if (steps)
		render_steps(b, "samplesReadPerStep", s, s->read_per_step);
	buf_printf(b, "\"samplesRead\":%llu,\"peakSamples\":%llu}}",
	    (unsigned long long)s->samples_read,
	    (unsigned long long)s->peak_samples);
}

/* Scalars and strings have a plain float for a time, and no exponents. */
static void
render_lone_time(struct buf *b, int64_t t_ms)
{
	char text[FLOAT_TEXT_MAX];
	size_t n = float_format_json((double)t_ms / 1000, text);

	buf_add_byte(b, '[');
	buf_add(b, text, n);
	buf_add_byte(b, ',');
}

static void
render_scalar(struct buf *b, int64_t t_ms, double v)
{
	char text[FLOAT_TEXT_MAX];
	size_t n = float_format_f(v, text);

	render_lone_time(b, t_ms);
	buf_add_byte(b, '"');
	buf_add(b, text, n);
	buf_add_c(b, "\"]");
}

bool
render_result(struct body *body, struct promql_result *r,
    const struct render_query *q, struct notes *notes)
{
	struct buf *b = &body->text;
	bool ok = true;

	buf_printf(b, "{\"resultType\":\"%s\",\"result\":",
	    promql_result_type_name(r->type));
	if (r->type == PROMQL_RESULT_SCALAR) {
		render_scalar(b, r->t_ms, r->scalar);
	} else if (r->type == PROMQL_RESULT_STRING) {
		render_lone_time(b, r->t_ms);
		json_add_str(b, r->string, true);
		buf_add_byte(b, ']');
	} else {
		size_t n = r->n_series;

		if (q->limit > 0 && n > q->limit) {
			n = q->limit;
			notes_add_warning(notes,
			    STR_LIT("results truncated due to limit"));
		}
		ok = render_all_series(body, r, q, n);
	}
	if (q->stats != RENDER_STATS_NONE) {
		buf_add_c(b, ",\"stats\":");
		render_stats(b, &r->stats, q->stats == RENDER_STATS_STEPS,
		    q->queue_s, q->total_s);
	}
	buf_add_byte(b, '}');
	return ok && body_step(body);
}

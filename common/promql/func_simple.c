/* SPDX-License-Identifier: ISC */

/*
 * Functions of one float each: mathematics, clamp and round, parts of dates,
 * timestamps of results. Histogram samples are left out.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- dates --- */

struct date {
	int64_t	year;
	int	month, day, yday, wday, hour, minute;
};

static bool
is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int
month_days(int64_t y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };

	return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

/* Seconds from 1 January of the year -292277022399, Go's zero, to 1970. */
#define EPOCH_SINCE_ABSOLUTE	9223372028715321600ULL

/* Proleptic Gregorian calendar, UTC. */
static struct date
date_of(int64_t s)
{
	/* wraps like Go's: what no date is gives the same nonsense */
	uint64_t abs = (uint64_t)s + EPOCH_SINCE_ABSOLUTE;
	int64_t rem = (int64_t)(abs % 86400);
	int64_t days = (int64_t)(abs / 86400) -
	    (int64_t)(EPOCH_SINCE_ABSOLUTE / 86400);
	struct date d;

	d.hour = (int)(rem / 3600);
	d.minute = (int)(rem % 3600 / 60);
	d.wday = (int)(((days % 7) + 11) % 7);	/* 1970-01-01: Thursday */
	/* eras of 400 years that begin on March 1st */
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	d.year = yoe + era * 400 + (d.month <= 2);
	d.yday = d.day;
	for (int m = 1; m < d.month; m++)
		d.yday += month_days(d.year, m);
	return d;
}

/* As Go converts a float to int64 on amd64. */
static int64_t
to_int64(double v)
{
	if (!(v >= -0x1p63 && v < 0x1p63))
		return INT64_MIN;
	return (int64_t)v;
}

static double
date_part(enum promql_func_id id, double v)
{
	struct date d = date_of(to_int64(v));

	switch (id) {
	case PROMQL_FN_DAYS_IN_MONTH:
		return month_days(d.year, d.month);
	case PROMQL_FN_DAY_OF_MONTH:
		return d.day;
	case PROMQL_FN_DAY_OF_WEEK:
		return d.wday;
	case PROMQL_FN_DAY_OF_YEAR:
		return d.yday;
	case PROMQL_FN_HOUR:
		return d.hour;
	case PROMQL_FN_MINUTE:
		return d.minute;
	case PROMQL_FN_MONTH:
		return d.month;
	default:
		return (double)d.year;
	}
}

static bool
is_date(enum promql_func_id id)
{
	switch (id) {
	case PROMQL_FN_DAYS_IN_MONTH:
	case PROMQL_FN_DAY_OF_MONTH:
	case PROMQL_FN_DAY_OF_WEEK:
	case PROMQL_FN_DAY_OF_YEAR:
	case PROMQL_FN_HOUR:
	case PROMQL_FN_MINUTE:
	case PROMQL_FN_MONTH:
	case PROMQL_FN_YEAR:
		return true;
	default:
		return false;
	}
}

/* --- the table of plain functions --- */

static double
fn_sgn(double v)
{
	return v < 0 ? -1 : v > 0 ? 1 : v;
}

static double
fn_rad(double v)
{
	return v * M_PI / 180;
}

static double
fn_deg(double v)
{
	return v * 180 / M_PI;
}

typedef double (*float_fn)(double);

static float_fn
plain_function(enum promql_func_id id)
{
	switch (id) {
	case PROMQL_FN_ABS: return fabs;
	case PROMQL_FN_ACOS: return acos;
	case PROMQL_FN_ACOSH: return acosh;
	case PROMQL_FN_ASIN: return asin;
	case PROMQL_FN_ASINH: return asinh;
	case PROMQL_FN_ATAN: return atan;
	case PROMQL_FN_ATANH: return atanh;
	case PROMQL_FN_CEIL: return ceil;
	case PROMQL_FN_COS: return cos;
	case PROMQL_FN_COSH: return cosh;
	case PROMQL_FN_DEG: return fn_deg;
	case PROMQL_FN_EXP: return exp;
	case PROMQL_FN_FLOOR: return floor;
	case PROMQL_FN_LN: return log;
	case PROMQL_FN_LOG10: return log10;
	case PROMQL_FN_LOG2: return log2;
	case PROMQL_FN_RAD: return fn_rad;
	case PROMQL_FN_SGN: return fn_sgn;
	case PROMQL_FN_SIN: return sin;
	case PROMQL_FN_SINH: return sinh;
	case PROMQL_FN_SQRT: return sqrt;
	case PROMQL_FN_TAN: return tan;
	case PROMQL_FN_TANH: return tanh;
	default: return NULL;
	}
}

bool
call_is_simple(enum promql_func_id id)
{
	return plain_function(id) != NULL || is_date(id) ||
	    id == PROMQL_FN_CLAMP || id == PROMQL_FN_CLAMP_MIN ||
	    id == PROMQL_FN_CLAMP_MAX || id == PROMQL_FN_ROUND ||
	    id == PROMQL_FN_TIMESTAMP || id == PROMQL_FN_START_TIMESTAMP;
}

/* --- evaluation --- */

struct simple {
	struct evaluator	*ev;
	enum promql_func_id	 id;
	float_fn		 fn;
	double			*params[2];
	struct dedup		 dedup;
};

static void
remove_step(struct pseries *s, uint32_t i)
{
	if (s->kind[i] == K_HIST)
		s->n_hists--;
	else
		s->n_floats--;
	s->kind[i] = K_NONE;
}

/* Go's math.Max and Min: NaN if either is, but for infinities. */
static double
clamp(double v, double lo, double hi)
{
	if (isnan(v) || isnan(lo) || isnan(hi)) {
		double m;

		if (hi == -INFINITY || v == -INFINITY)
			m = -INFINITY;
		else if (isnan(v) || isnan(hi))
			m = NAN;
		else
			m = v < hi ? v : hi;
		if (lo == INFINITY || m == INFINITY)
			return INFINITY;
		if (isnan(lo) || isnan(m))
			return NAN;
		return m > lo ? m : lo;
	}
	double m = v < hi ? v : hi;
	return m > lo ? m : lo;
}

static void
apply(struct simple *x, struct pseries *s)
{
	const double *p = x->params[0], *p2 = x->params[1];

	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] != K_FLOAT)
			continue;
		switch (x->id) {
		case PROMQL_FN_CLAMP:
			if (p2[i] < p[i])
				remove_step(s, i);
			else
				s->v[i] = clamp(s->v[i], p[i], p2[i]);
			break;
		case PROMQL_FN_CLAMP_MIN:
			s->v[i] = clamp(s->v[i], p[i], INFINITY);
			break;
		case PROMQL_FN_CLAMP_MAX:
			s->v[i] = clamp(s->v[i], -INFINITY, p[i]);
			break;
		case PROMQL_FN_ROUND: {
			double inverse = 1.0 / (p != NULL ? p[i] : 1);

			s->v[i] = floor(s->v[i] * inverse + 0.5) / inverse;
			break;
		}
		case PROMQL_FN_TIMESTAMP:
			s->v[i] = (double)ev_time(x->ev, i) / 1000;
			break;
		default:
			s->v[i] = date_part(x->id, s->v[i]);
		}
	}
}

static int
simple_sink(void *ctx, struct pseries *s)
{
	struct simple *x = ctx;
	uint32_t n = x->ev->n_steps;

	/* timestamp() takes histograms too */
	for (uint32_t i = 0; s->n_hists != 0 && i < n; i++) {
		if (s->kind[i] != K_HIST)
			continue;
		remove_step(s, i);
		if (x->id == PROMQL_FN_TIMESTAMP) {
			s->kind[i] = K_FLOAT;
			s->n_floats++;
		}
	}
	if (x->fn != NULL) {
		for (uint32_t i = 0; i < n; i++)
			if (s->kind[i] == K_FLOAT)
				s->v[i] = x->fn(s->v[i]);
	} else
		apply(x, s);
	if (s->n_floats == 0)
		return 0;
	if (series_drop_name(x->ev->q, s) == -1)
		return -1;
	return dedup_sink(&x->dedup, s);
}

/* hour() and its like without an argument: of the evaluation time. */
static int
date_of_now(struct evaluator *ev, enum promql_func_id id, series_sink sink,
    void *ctx)
{
	struct pbuf b;

	if (pbuf_init(&b, ev->q, ev->n_steps) == -1)
		return -1;
	for (uint32_t i = 0; i < ev->n_steps; i++)
		pbuf_float(&b, i, date_part(id,
		    (double)(ev_time(ev, i) / 1000)));
	int rc = sink(ctx, &b.s);
	pbuf_clear(&b);
	return rc;
}

int
eval_call_simple(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct simple x = { .ev = ev, .id = e->call.func->id };
	int rc = 0;

	x.fn = plain_function(x.id);
	if (is_date(x.id) && e->call.n_args == 0)
		return date_of_now(ev, x.id, sink, ctx);
	/* known for plain selectors only */
	if (x.id == PROMQL_FN_START_TIMESTAMP)
		return 0;
	for (size_t i = 1; i < e->call.n_args && i < 3 && rc == 0; i++) {
		x.params[i - 1] = malloc(ev->n_steps * sizeof(double));
		if (x.params[i - 1] == NULL)
			rc = q_nomem(ev->q);
		else
			rc = eval_scalar(ev, e->call.args[i], x.params[i - 1]);
	}
	dedup_init(&x.dedup, ev->q, ev->n_steps, false, sink, ctx);
	if (rc == 0)
		rc = eval_push(ev, e->call.args[0], simple_sink, &x);
	if (rc == 0)
		rc = dedup_finish(&x.dedup);
	dedup_clear(&x.dedup);
	free(x.params[0]);
	free(x.params[1]);
	return rc;
}

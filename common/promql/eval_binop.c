/* SPDX-License-Identifier: ISC */

/*
 * Binary operators between samples, scalars, and vectors with scalars.
 * Matching of two vectors is in eval_binop_vector.c and eval_binop_set.c.
 */

#include "common/promql/binop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * x to the power of y by squaring of x's mantissa, as the reference's
 * language does it: the C library's is rounded better, but a sum of what the
 * two say about x ^ 3 differs in the last digits.
 */
static double
power(double x, double y)
{
	double whole, part = modf(fabs(y), &whole), m, out = 1;
	int e, out_e = 0;

	if (x == 0 || !isfinite(x) || !isfinite(y) || whole >= 0x1p63 ||
	    (part != 0 && x < 0) || x == 1 || y == 1)
		return pow(x, y);
	if (fabs(y) == 0.5)
		return y > 0 ? sqrt(x) : 1 / sqrt(x);
	if (part > 0.5) {
		part -= 1;
		whole += 1;
	}
	if (part != 0)
		out = exp(part * log(x));
	m = frexp(x, &e);
	for (int64_t n = (int64_t)whole; n != 0; n >>= 1) {
		/* far beyond what a float holds */
		if (e < -4096 || e > 4096) {
			out_e += e;
			break;
		}
		if (n & 1) {
			out *= m;
			out_e += e;
		}
		m *= m;
		e *= 2;
		if (m < 0.5) {
			m += m;
			e--;
		}
	}
	return y < 0 ? ldexp(1 / out, -out_e) : ldexp(out, out_e);
}

static inline double
arithmetic(enum promql_op op, double l, double r)
{
	switch (op) {
	case PROMQL_OP_ADD:
		return l + r;
	case PROMQL_OP_SUB:
		return l - r;
	case PROMQL_OP_MUL:
		return l * r;
	case PROMQL_OP_DIV:
		return l / r;
	case PROMQL_OP_MOD:
		return fmod(l, r);
	case PROMQL_OP_POW:
		return power(l, r);
	case PROMQL_OP_ATAN2:
		return atan2(l, r);
	default:
		return NAN;
	}
}

static inline bool
compare(enum promql_op op, double l, double r)
{
	switch (op) {
	case PROMQL_OP_EQLC:
		return l == r;
	case PROMQL_OP_NEQ:
		return l != r;
	case PROMQL_OP_GTR:
		return l > r;
	case PROMQL_OP_LSS:
		return l < r;
	case PROMQL_OP_GTE:
		return l >= r;
	case PROMQL_OP_LTE:
		return l <= r;
	default:
		return false;
	}
}

double
scalar_binop(enum promql_op op, double l, double r)
{
	return promql_op_is_comparison(op) ? compare(op, l, r) :
	    arithmetic(op, l, r);
}

bool
op_changes_metric(enum promql_op op)
{
	return op >= PROMQL_OP_ADD && op <= PROMQL_OP_ATAN2;
}

static int
no_match(struct query *q, enum promql_op op, struct elem l, struct elem r,
    int32_t pos)
{
	char text[96];

	snprintf(text, sizeof(text), "%s %s %s",
	    l.h != NULL ? "histogram" : "float", promql_op_text(op),
	    r.h != NULL ? "histogram" : "float");
	annos_add(&q->annos, ANNO_INCOMPATIBLE_TYPES, pos, str_c(text),
	    str_c(promql_op_text(op)), 0, 0);
	return ELEM_VOID;
}

/* A compacted copy, changed by fn. */
static int
scaled(struct query *q, struct arena *a, const struct fhist *h,
    void (*fn)(struct fhist *, double), double v, struct elem *out)
{
	struct fhist *c = fhist_copy(a, h);

	if (c == NULL)
		return q_nomem(q);
	fn(c, v);
	if (fhist_compact(a, c) == -1)
		return q_nomem(q);
	out->h = c;
	return ELEM_KEEP;
}

static int
hist_binop(struct query *q, struct arena *a, enum promql_op op, struct elem l,
    struct elem r, int32_t pos, struct elem *out)
{
	bool add = op == PROMQL_OP_ADD;
	struct fhist_note note;
	struct fhist *c;

	if (op == PROMQL_OP_EQLC || op == PROMQL_OP_NEQ) {
		out->h = l.h;
		return fhist_equals(l.h, r.h) == (op == PROMQL_OP_EQLC) ?
		    ELEM_KEEP : ELEM_DROP;
	}
	if (!add && op != PROMQL_OP_SUB)
		return no_match(q, op, l, r, pos);
	c = fhist_copy(a, l.h);
	if (c == NULL)
		return q_nomem(q);
	enum fhist_rc rc = add ? fhist_add(a, c, r.h, &note) :
	    fhist_sub(a, c, r.h, &note);
	if (rc == FHIST_NOMEM || (rc == FHIST_OK && fhist_compact(a, c) == -1))
		return q_nomem(q);
	if (rc == FHIST_INCOMPATIBLE) {
		annos_str(&q->annos, ANNO_INCOMPATIBLE_LAYOUT, pos,
		    str_c(promql_op_text(op)));
		return ELEM_VOID;
	}
	if (!add)
		c->hint = FHIST_GAUGE;
	if (note.reset_collision) {
		annos_str(&q->annos, ANNO_RESET_COLLISION, pos,
		    str_c(add ? "addition" : "subtraction"));
		return ELEM_VOID;
	}
	if (note.bounds_reconciled)
		annos_str(&q->annos, ANNO_BOUNDS_RECONCILED, pos,
		    str_c(add ? "addition" : "subtraction"));
	out->h = c;
	return ELEM_KEEP;
}

int
elem_binop(struct query *q, struct arena *a, enum promql_op op, struct elem l,
    struct elem r, int32_t pos, struct elem *out)
{
	*out = (struct elem){ 0, NULL };
	if (l.h == NULL && r.h == NULL) {
		if (promql_op_is_comparison(op)) {
			out->v = l.v;
			return compare(op, l.v, r.v) ? ELEM_KEEP : ELEM_DROP;
		}
		if (op == PROMQL_OP_TRIM_LOWER || op == PROMQL_OP_TRIM_UPPER)
			return no_match(q, op, l, r, pos);
		out->v = arithmetic(op, l.v, r.v);
		return ELEM_KEEP;
	}
	if (l.h != NULL && r.h != NULL)
		return hist_binop(q, a, op, l, r, pos, out);
	if (l.h == NULL) {
		if (op != PROMQL_OP_MUL)
			return no_match(q, op, l, r, pos);
		return scaled(q, a, r.h, fhist_mul, l.v, out);
	}
	if (op == PROMQL_OP_MUL || op == PROMQL_OP_DIV)
		return scaled(q, a, l.h, op == PROMQL_OP_MUL ? fhist_mul :
		    fhist_div, r.v, out);
	if (op != PROMQL_OP_TRIM_LOWER && op != PROMQL_OP_TRIM_UPPER)
		return no_match(q, op, l, r, pos);
	struct fhist *c = fhist_copy(a, l.h);
	if (c == NULL || fhist_trim(a, c, r.v, op == PROMQL_OP_TRIM_UPPER) ==
	    -1)
		return q_nomem(q);
	out->h = c;
	return ELEM_KEEP;
}

/* --- vectors with scalars --- */

struct with_scalar {
	struct evaluator	*ev;
	struct promql_expr	*e;
	double			*scalar;
	bool			 scalar_left;
	struct arena		 mem;
	struct dedup		 dedup;
};

static void
floats_with_scalar(struct with_scalar *x, struct pseries *s)
{
	enum promql_op op = x->e->binary.op;
	uint32_t n = x->ev->n_steps;
	double *v = s->v;
	const double *c = x->scalar;

	if (!promql_op_is_comparison(op)) {
		for (uint32_t i = 0; i < n; i++)
			if (s->kind[i] == K_FLOAT)
				v[i] = x->scalar_left ?
				    arithmetic(op, c[i], v[i]) :
				    arithmetic(op, v[i], c[i]);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (s->kind[i] != K_FLOAT)
			continue;
		bool keep = x->scalar_left ? compare(op, c[i], v[i]) :
		    compare(op, v[i], c[i]);
		if (x->e->binary.return_bool)
			v[i] = keep;
		else if (!keep) {
			s->kind[i] = K_NONE;
			s->n_floats--;
		}
	}
}

static int
mixed_with_scalar(struct with_scalar *x, struct pseries *s)
{
	enum promql_op op = x->e->binary.op;
	struct query *q = x->ev->q;
	bool trim = op == PROMQL_OP_TRIM_LOWER || op == PROMQL_OP_TRIM_UPPER;

	arena_reset(&x->mem);
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] == K_NONE || (s->kind[i] == K_FLOAT && !trim))
			continue;
		struct elem vec = { s->v[i], s->kind[i] == K_HIST ? s->h[i] :
		    NULL };
		struct elem sc = { x->scalar[i], NULL }, out;
		int rc = x->scalar_left ?
		    elem_binop(q, &x->mem, op, sc, vec, x->e->pos.start,
		    &out) : elem_binop(q, &x->mem, op, vec, sc,
		    x->e->pos.start, &out);

		if (rc == -1)
			return -1;
		if (vec.h != NULL)
			s->n_hists--;
		else
			s->n_floats--;
		s->kind[i] = K_NONE;
		if (rc == ELEM_VOID)
			continue;
		if (x->e->binary.return_bool) {
			s->v[i] = rc == ELEM_KEEP;
			s->kind[i] = K_FLOAT;
			s->n_floats++;
		} else if (rc == ELEM_KEEP && out.h != NULL) {
			s->h[i] = out.h;
			s->kind[i] = K_HIST;
			s->n_hists++;
		} else if (rc == ELEM_KEEP) {
			s->v[i] = out.v;
			s->kind[i] = K_FLOAT;
			s->n_floats++;
		}
	}
	return 0;
}

static int
with_scalar_sink(void *ctx, struct pseries *s)
{
	struct with_scalar *x = ctx;
	enum promql_op op = x->e->binary.op;

	if (op == PROMQL_OP_TRIM_LOWER || op == PROMQL_OP_TRIM_UPPER) {
		if (mixed_with_scalar(x, s) == -1)
			return -1;
	} else {
		/* floats first: a histogram may turn into a float below */
		floats_with_scalar(x, s);
		if (s->n_hists != 0 && mixed_with_scalar(x, s) == -1)
			return -1;
	}
	if (s->n_floats + s->n_hists == 0)
		return 0;
	if ((op_changes_metric(op) || x->e->binary.return_bool) &&
	    series_drop_name(x->ev->q, s) == -1)
		return -1;
	return dedup_sink(&x->dedup, s);
}

int
eval_binop_vector_scalar(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct with_scalar x = { .ev = ev, .e = e };
	struct promql_expr *scalar = e->binary.rhs, *vector = e->binary.lhs;
	int rc = -1;

	if (promql_expr_type(e->binary.lhs) == PROMQL_TYPE_SCALAR) {
		x.scalar_left = true;
		scalar = e->binary.lhs;
		vector = e->binary.rhs;
	}
	arena_init(&x.mem, 0);
	dedup_init(&x.dedup, ev->q, ev->n_steps, false, sink, ctx);
	x.scalar = malloc(ev->n_steps * sizeof(double));
	if (x.scalar == NULL)
		(void)q_nomem(ev->q);
	else if (eval_scalar(ev, scalar, x.scalar) == 0)
		rc = eval_push(ev, vector, with_scalar_sink, &x);
	if (rc == 0)
		rc = dedup_finish(&x.dedup);
	dedup_clear(&x.dedup);
	free(x.scalar);
	arena_clear(&x.mem);
	return rc;
}

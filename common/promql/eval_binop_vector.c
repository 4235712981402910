/* SPDX-License-Identifier: ISC */

/*
 * Arithmetic and comparison of two vectors. Both sides are collected; series
 * of the "many" side (the left one in one-to-one matching) look for their
 * partner on the "one" side by match group. All that can go wrong depends on
 * which series have samples at the same step:
 *
 *   two of the one side in a group          duplicate series
 *   two of the many side, one-to-one        must be explicit
 *   equal result labels in a group          must ensure unique matches
 *   equal result labels across groups       same labelset
 *
 * so every result remembers, step by step, which group made it.
 *
 * None of it can happen when the one side has a series a group and no two
 * results have the same labels. Then, and that is known as it goes, only the
 * one side is kept: series of the many side are met as they come, and
 * forgotten. The first sign of anything else ends it, and the query runs
 * again, collecting.
 */

#include "common/promql/binop.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/signature.h"

#define NO_SERIES	UINT32_MAX

/* The one side of a match group: one series, rarely several. */
struct partner {
	uint32_t	 series;	/* NO_SERIES: none */
	uint32_t	*by_step;	/* series + 1, when there are several */
	uint32_t	 n_many;	/* series of the other side */
	uint8_t		*matched;	/* by step; when it must be known */
};

/* A result under construction. */
struct result {
	struct pseries	*s;
	uint32_t	*owner;		/* by step: match group + 1 */
};

struct vbinop {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*e;
	const struct promql_matching *m;
	struct matrix		 sides[2];
	struct matrix		*many, *one;
	struct signature	 sig;
	struct lnames		 include;
	uint32_t		*many_sig, *one_sig;
	struct partner		*partners;
	size_t			 n_groups;
	struct arena		 mem;		/* marks, histograms */
	struct matrix		 out;
	struct lset_index	 out_index;
	struct result		*results;
	size_t			 results_cap;
	uint32_t		*many_at;	/* samples of a side, by step */
	struct pbuf		 buf;		/* streaming: a result */
	series_sink		 sink;
	void			*ctx;
	bool			 swapped;
	bool			 fill_one, fill_many;
	double			 one_value, many_value;
};

/* --- labels of a result --- */

/* base without the included names, and those of other, by name. */
static int
merge_included(struct vbinop *x, struct lset base, struct lset other,
    struct lset *out)
{
	struct label_sym *l = arena_array(x->q->mem, base.n + other.n,
	    sizeof(*l));
	uint32_t i = 0, j = 0, n = 0;

	if (l == NULL)
		return q_nomem(x->q);
	for (;;) {
		while (i < base.n &&
		    lnames_slot(&x->include, base.l[i].name) >= 0)
			i++;
		while (j < other.n &&
		    lnames_slot(&x->include, other.l[j].name) < 0)
			j++;
		if (i == base.n && j == other.n)
			break;
		if (j == other.n || (i < base.n &&
		    str_cmp(symtab_text(x->q->syms, base.l[i].name),
		    symtab_text(x->q->syms, other.l[j].name)) < 0))
			l[n++] = base.l[i++];
		else
			l[n++] = other.l[j++];
	}
	*out = (struct lset){ l, n };
	return 0;
}

static int
filter(struct vbinop *x, struct lset ls, bool keep, struct lset *out)
{
	*out = lset_filter(x->q->mem, ls, &x->sig.names, keep);
	return out->l == NULL && out->n > 0 ? q_nomem(x->q) : 0;
}

/* ignoring(…) removes its labels only; the name is another matter. */
static int
without_ignored(struct vbinop *x, struct lset ls, struct lset *out)
{
	struct lnames ln;

	if (lnames_init(&ln, x->q->mem, x->q->syms, x->m->labels.v,
	    x->m->labels.n) == -1)
		return q_nomem(x->q);
	*out = lset_filter(x->q->mem, ls, &ln, false);
	return out->l == NULL && out->n > 0 ? q_nomem(x->q) : 0;
}

static int
result_labels(struct vbinop *x, struct lset many, struct lset one,
    struct lset *out)
{
	struct lset ls = many;

	if (op_changes_metric(x->e->binary.op) ||
	    (x->e->binary.return_bool && !x->q->delayed_names))
		if (q_drop_reserved(x->q, ls, &ls) == -1)
			return -1;
	if (x->m->card == PROMQL_ONE_TO_ONE) {
		if (x->m->on ? filter(x, ls, true, &ls) == -1 :
		    without_ignored(x, ls, &ls) == -1)
			return -1;
	}
	if (x->m->include.n != 0)
		return merge_included(x, ls, one, out);
	*out = ls;
	return 0;
}

/* What a filled-in partner is called. */
static int
match_labels(struct vbinop *x, struct lset ls, struct lset *out)
{
	return filter(x, ls, x->m->on, out);
}

/* --- errors --- */

static void
add_metric(struct vbinop *x, struct lset ls, struct buf *b)
{
	lset_format(x->q->syms, ls, b);
}

static int
fail_duplicate(struct vbinop *x, uint32_t a, uint32_t b)
{
	struct buf text[3];
	struct lset group;
	int rc = -1;

	for (int i = 0; i < 3; i++)
		buf_init(&text[i], 0);
	if (match_labels(x, x->one->s[a].ls, &group) == 0) {
		add_metric(x, group, &text[0]);
		add_metric(x, x->one->s[a].ls, &text[1]);
		add_metric(x, x->one->s[b].ls, &text[2]);
		bool swap = str_cmp(buf_str(&text[1]), buf_str(&text[2])) > 0;
		struct str s1 = buf_str(&text[swap ? 2 : 1]);
		struct str s2 = buf_str(&text[swap ? 1 : 2]);

		rc = q_fail(x->q, "found duplicate series for the match group "
		    "%.*s on the %s hand-side of the operation: [%.*s, %.*s]"
		    ";many-to-many matching not allowed: matching labels must "
		    "be unique on one side", STR_ARG(buf_str(&text[0])),
		    x->swapped ? "left" : "right", STR_ARG(s1), STR_ARG(s2));
	}
	for (int i = 0; i < 3; i++)
		buf_clear(&text[i]);
	return rc;
}

/* --- match groups --- */

static uint32_t *
signatures(struct vbinop *x, const struct matrix *m)
{
	uint32_t *out = malloc((m->n + 1) * sizeof(*out));

	if (out == NULL) {
		(void)q_nomem(x->q);
		return NULL;
	}
	for (size_t i = 0; i < m->n; i++) {
		int64_t k = signature_of(&x->sig, m->s[i].ls);

		if (k == -1) {
			free(out);
			return NULL;
		}
		out[i] = (uint32_t)k;
	}
	return out;
}

/* A second series of the one side: find out who is there at which step. */
static int
share_partner(struct vbinop *x, struct partner *p, uint32_t series)
{
	uint32_t n = x->ev->n_steps;

	if (p->by_step == NULL) {
		p->by_step = arena_zalloc(&x->mem, n * sizeof(uint32_t));
		if (p->by_step == NULL)
			return q_nomem(x->q);
		for (uint32_t i = 0; i < n; i++)
			if (x->one->s[p->series].kind[i] != K_NONE)
				p->by_step[i] = p->series + 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (x->one->s[series].kind[i] == K_NONE)
			continue;
		/* an empty other side ends the step before this is seen */
		if (p->by_step[i] != 0 && (x->many_at[i] != 0 || x->fill_one ||
		    x->fill_many))
			return fail_duplicate(x, series, p->by_step[i] - 1);
		p->by_step[i] = series + 1;
	}
	return 0;
}

static int
find_partners(struct vbinop *x)
{
	x->n_groups = x->sig.groups.n;
	x->partners = calloc(x->n_groups + 1, sizeof(*x->partners));
	x->many_at = calloc(x->ev->n_steps, sizeof(uint32_t));
	if (x->partners == NULL || x->many_at == NULL)
		return q_nomem(x->q);
	for (size_t i = 0; i < x->n_groups; i++)
		x->partners[i].series = NO_SERIES;
	for (size_t i = 0; i < x->many->n; i++) {
		x->partners[x->many_sig[i]].n_many++;
		for (uint32_t k = 0; k < x->ev->n_steps; k++)
			x->many_at[k] += x->many->s[i].kind[k] != K_NONE;
	}
	for (size_t i = 0; i < x->one->n; i++) {
		struct partner *p = &x->partners[x->one_sig[i]];

		if (p->series == NO_SERIES)
			p->series = (uint32_t)i;
		else if (share_partner(x, p, (uint32_t)i) == -1)
			return -1;
	}
	return 0;
}

/* --- results --- */

static struct result *
result_for(struct vbinop *x, struct lset ls)
{
	bool is_new;
	int64_t k = lset_index_add(&x->out_index, ls, &is_new);

	if (k == -1) {
		(void)q_nomem(x->q);
		return NULL;
	}
	if (!is_new)
		return &x->results[k];
	if ((size_t)k >= x->results_cap) {
		size_t cap = (size_t)k * 2 + 16;
		struct result *p = realloc(x->results, cap * sizeof(*p));

		if (p == NULL) {
			(void)q_nomem(x->q);
			return NULL;
		}
		x->results = p;
		x->results_cap = cap;
	}
	struct result *r = &x->results[k];
	struct pseries *s = matrix_new_series(&x->out, ls,
	    x->e->binary.return_bool);
	r->s = NULL;
	r->owner = arena_zalloc(&x->out.mem,
	    x->ev->n_steps * sizeof(uint32_t));
	if (s == NULL || r->owner == NULL) {
		(void)q_nomem(x->q);
		return NULL;
	}
	return r;
}

static struct elem
elem_of(const struct pseries *s, uint32_t i)
{
	return s->kind[i] == K_HIST ? (struct elem){ 0, s->h[i] } :
	    (struct elem){ s->v[i], NULL };
}

/* One pair of samples; group is the match group. */
static int
combine(struct vbinop *x, struct result *r, size_t out_i, uint32_t group,
    uint32_t step, struct elem many, struct elem one)
{
	struct partner *p = &x->partners[group];
	struct pseries *out = &x->out.s[out_i];
	struct elem l = x->swapped ? one : many, rr = x->swapped ? many : one;
	struct elem res;
	int rc = elem_binop(x->q, &x->mem, x->e->binary.op, l, rr,
	    x->e->pos.start, &res);

	if (rc == -1 || rc == ELEM_VOID)
		return rc == -1 ? -1 : 0;
	if (x->m->card == PROMQL_ONE_TO_ONE) {
		if (p->matched != NULL && p->matched[step])
			return q_fail(x->q, "multiple matches for labels: "
			    "many-to-one matching must be explicit "
			    "(group_left/group_right)");
		if (p->matched != NULL)
			p->matched[step] = 1;
	} else {
		if (r->owner[step] == group + 1)
			return q_fail(x->q, "multiple matches for labels: "
			    "grouping labels must ensure unique matches");
		if (p->matched != NULL)
			p->matched[step] = 1;
	}
	r->owner[step] = group + 1;
	if (rc == ELEM_DROP && !x->e->binary.return_bool)
		return 0;
	if (out->kind[step] != K_NONE)
		return q_fail(x->q, "vector cannot contain metrics with the "
		    "same labelset");
	if (x->e->binary.return_bool)
		return matrix_set_float(&x->out, out, step, rc == ELEM_KEEP);
	if (res.h != NULL)
		return matrix_set_hist(&x->out, out, step, res.h);
	return matrix_set_float(&x->out, out, step, res.v);
}

/* Must it be known per step what a group has matched? */
static int
track_matches(struct vbinop *x, struct partner *p)
{
	bool need = x->fill_many ||
	    (x->m->card == PROMQL_ONE_TO_ONE && p->n_many > 1);

	if (!need || p->matched != NULL)
		return 0;
	p->matched = arena_zalloc(&x->mem, x->ev->n_steps);
	return p->matched == NULL ? q_nomem(x->q) : 0;
}

/* One series of the many side with everything it meets. */
static int
run_many(struct vbinop *x, size_t i)
{
	struct pseries *s = &x->many->s[i];
	uint32_t group = x->many_sig[i], last = NO_SERIES;
	struct partner *p = &x->partners[group];
	struct result *r = NULL;
	size_t out_i = 0;
	struct lset ls;

	if (p->series == NO_SERIES && !x->fill_one)
		return 0;
	if (track_matches(x, p) == -1)
		return -1;
	for (uint32_t step = 0; step < x->ev->n_steps; step++) {
		uint32_t o = p->series;

		if (s->kind[step] == K_NONE)
			continue;
		if (p->by_step != NULL)
			o = p->by_step[step] - 1;
		else if (o != NO_SERIES && x->one->s[o].kind[step] == K_NONE)
			o = NO_SERIES;
		if (o == NO_SERIES && !x->fill_one)
			continue;
		if (r == NULL || o != last) {
			struct lset one;

			if (o != NO_SERIES)
				one = x->one->s[o].ls;
			else if (match_labels(x, s->ls, &one) == -1)
				return -1;
			if (result_labels(x, s->ls, one, &ls) == -1 ||
			    (r = result_for(x, ls)) == NULL)
				return -1;
			out_i = (size_t)(r - x->results);
			last = o;
		}
		struct elem one = o != NO_SERIES ?
		    elem_of(&x->one->s[o], step) :
		    (struct elem){ x->one_value, NULL };
		if (combine(x, r, out_i, group, step, elem_of(s, step), one) ==
		    -1)
			return -1;
	}
	return 0;
}

/* A series of the one side where nobody met it. */
static int
run_unmatched(struct vbinop *x, size_t i)
{
	struct pseries *s = &x->one->s[i];
	uint32_t group = x->one_sig[i];
	struct partner *p = &x->partners[group];
	struct result *r = NULL;
	struct lset many, ls;

	if (track_matches(x, p) == -1)
		return -1;
	for (uint32_t step = 0; step < x->ev->n_steps; step++) {
		if (s->kind[step] == K_NONE || p->matched[step])
			continue;
		if (r == NULL && (match_labels(x, s->ls, &many) == -1 ||
		    result_labels(x, many, s->ls, &ls) == -1 ||
		    (r = result_for(x, ls)) == NULL))
			return -1;
		if (combine(x, r, (size_t)(r - x->results), group, step,
		    (struct elem){ x->many_value, NULL }, elem_of(s, step)) ==
		    -1)
			return -1;
	}
	return 0;
}

static int
run(struct vbinop *x)
{
	for (size_t i = 0; i < x->many->n; i++) {
		if (run_many(x, i) == -1)
			return -1;
		if ((i & 63) == 63 && (q_check(x->q) == -1 ||
		    matrix_account(&x->out) == -1))
			return -1;
	}
	for (size_t i = 0; x->fill_many && i < x->one->n; i++)
		if (run_unmatched(x, i) == -1)
			return -1;
	return 0;
}

static int
push_results(struct vbinop *x, series_sink sink, void *ctx)
{
	for (size_t i = 0; i < x->out.n; i++) {
		struct pseries *s = &x->out.s[i];

		if (s->n_floats + s->n_hists != 0 && sink(ctx, s) == -1)
			return -1;
	}
	return 0;
}

static void
clear(struct vbinop *x)
{
	matrix_clear(&x->sides[0]);
	matrix_clear(&x->sides[1]);
	matrix_clear(&x->out);
	lset_index_clear(&x->out_index);
	signature_clear(&x->sig);
	arena_clear(&x->mem);
	free(x->many_sig);
	free(x->one_sig);
	free(x->partners);
	free(x->results);
	free(x->many_at);
}

/* --- one side kept, the other streamed --- */

/* Again, with both sides in sight. */
static int
give_up(struct vbinop *x)
{
	x->q->retry = true;
	return -1;
}

static int
find_single_partners(struct vbinop *x)
{
	size_t n = x->one->n;

	x->partners = calloc(n + 1, sizeof(*x->partners));
	if (x->partners == NULL)
		return q_nomem(x->q);
	for (size_t i = 0; i < n; i++) {
		int64_t k = signature_of(&x->sig, x->one->s[i].ls);

		if (k == -1)
			return -1;
		/* one group a series: groups come in the order of series */
		if ((size_t)k != i)
			return give_up(x);
		x->partners[i].series = (uint32_t)i;
	}
	return 0;
}

/* Floats on both sides: no kinds to look at, but where there are two. */
static bool
combine_floats(struct vbinop *x, const struct pseries *l,
    const struct pseries *r)
{
	struct pseries *out = &x->buf.s;
	uint32_t n = x->ev->n_steps, found = 0;

	if (l->n_hists + r->n_hists != 0)
		return false;
	switch (x->e->binary.op) {
	case PROMQL_OP_ADD:
		for (uint32_t i = 0; i < n; i++)
			out->v[i] = l->v[i] + r->v[i];
		break;
	case PROMQL_OP_SUB:
		for (uint32_t i = 0; i < n; i++)
			out->v[i] = l->v[i] - r->v[i];
		break;
	case PROMQL_OP_MUL:
		for (uint32_t i = 0; i < n; i++)
			out->v[i] = l->v[i] * r->v[i];
		break;
	case PROMQL_OP_DIV:
		for (uint32_t i = 0; i < n; i++)
			out->v[i] = l->v[i] / r->v[i];
		break;
	default:
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		out->kind[i] = l->kind[i] & r->kind[i];
		found += out->kind[i];
	}
	out->n_floats = found;
	return true;
}

static int
combine_steps(struct vbinop *x, const struct pseries *l,
    const struct pseries *r)
{
	bool as_bool = x->e->binary.return_bool;
	struct pbuf *b = &x->buf;

	if (combine_floats(x, l, r))
		return 0;
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		struct elem res;

		if (l->kind[i] == K_NONE || r->kind[i] == K_NONE)
			continue;
		int rc = elem_binop(x->q, &b->hmem, x->e->binary.op,
		    elem_of(l, i), elem_of(r, i), x->e->pos.start, &res);
		if (rc == -1)
			return -1;
		if (rc == ELEM_VOID || (rc == ELEM_DROP && !as_bool))
			continue;
		if (as_bool)
			pbuf_float(b, i, rc == ELEM_KEEP);
		else if (res.h == NULL)
			pbuf_float(b, i, res.v);
		else if (pbuf_hist(b, i, res.h) == -1)
			return -1;
	}
	return 0;
}

static int
many_sink(void *ctx, struct pseries *s)
{
	struct vbinop *x = ctx;
	int64_t k = signature_known(&x->sig, s->ls);
	struct lset ls;
	bool is_new;

	if (k < 0)
		return k == -1 ? -1 : 0;
	struct partner *p = &x->partners[k];
	const struct pseries *one = &x->one->s[p->series];
	if (x->m->card == PROMQL_ONE_TO_ONE && p->n_many++ > 0)
		return give_up(x);
	if (result_labels(x, s->ls, one->ls, &ls) == -1)
		return -1;
	if (lset_index_add(&x->out_index, ls, &is_new) == -1)
		return q_nomem(x->q);
	if (!is_new)
		return give_up(x);
	pbuf_reset(&x->buf);
	if (combine_steps(x, x->swapped ? one : s, x->swapped ? s : one) == -1)
		return -1;
	if (x->buf.s.n_floats + x->buf.s.n_hists == 0)
		return 0;
	x->buf.s.ls = ls;
	x->buf.s.drop_name = x->e->binary.return_bool;
	return x->sink(x->ctx, &x->buf.s);
}

static int
nowhere_sink(void *ctx, struct pseries *s)
{
	(void)ctx;
	(void)s;
	return 0;
}

/* The left side's failure is named first, as it is evaluated first. */
static int
one_side_failed(struct vbinop *x, struct promql_expr *many)
{
	struct query *q = x->q;
	struct err first = *q->err;

	if (x->swapped || q->retry || first.kind != ERR_EXECUTION)
		return -1;
	q->err->kind = ERR_NONE;
	if (eval_push(x->ev, many, nowhere_sink, NULL) == 0)
		*q->err = first;
	return -1;
}

/* In a - avg(a) the left side comes first: it feeds the right one. */
static bool
can_stream(const struct vbinop *x)
{
	struct promql_expr *many = promql_expr_unwrap(x->swapped ?
	    x->e->binary.rhs : x->e->binary.lhs);

	return !x->q->collect && !x->fill_one && !x->fill_many &&
	    (many->share == NULL || many->type == PROMQL_AGGREGATE);
}

static int
stream(struct vbinop *x, series_sink sink, void *ctx)
{
	struct promql_expr *l = x->e->binary.lhs, *r = x->e->binary.rhs;

	x->sink = sink;
	x->ctx = ctx;
	if (eval_matrix(x->ev, x->swapped ? l : r, x->one) == -1)
		return one_side_failed(x, l);
	if (find_single_partners(x) == -1 ||
	    pbuf_init(&x->buf, x->q, x->ev->n_steps) == -1)
		return -1;
	int rc = eval_push(x->ev, x->swapped ? r : l, many_sink, x);
	pbuf_clear(&x->buf);
	return rc;
}

int
eval_binop_vectors(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct vbinop x = { .ev = ev, .q = ev->q, .e = e,
	    .m = e->binary.matching };
	int rc = -1;

	matrix_init(&x.sides[0], ev->q, ev->n_steps);
	matrix_init(&x.sides[1], ev->q, ev->n_steps);
	matrix_init(&x.out, ev->q, ev->n_steps);
	lset_index_init(&x.out_index, ev->q->mem);
	arena_init(&x.mem, 0);
	x.swapped = x.m->card == PROMQL_ONE_TO_MANY;
	x.many = &x.sides[x.swapped];
	x.one = &x.sides[!x.swapped];
	/* the right one's value stands in for the one side, as it is named */
	x.fill_one = x.m->has_fill_rhs;
	x.one_value = x.m->fill_rhs;
	x.fill_many = x.m->has_fill_lhs;
	x.many_value = x.m->fill_lhs;
	if (signature_init(&x.sig, ev->q, x.m) == -1 ||
	    lnames_init(&x.include, ev->q->mem, ev->q->syms,
	    x.m->include.v, x.m->include.n) == -1) {
		(void)q_nomem(ev->q);
		goto out;
	}
	if (can_stream(&x)) {
		rc = stream(&x, sink, ctx);
		goto out;
	}
	if (eval_matrix(ev, e->binary.lhs, &x.sides[0]) == -1 ||
	    eval_matrix(ev, e->binary.rhs, &x.sides[1]) == -1)
		goto out;
	x.many_sig = signatures(&x, x.many);
	if (x.many_sig == NULL)
		goto out;
	x.one_sig = signatures(&x, x.one);
	if (x.one_sig == NULL || find_partners(&x) == -1)
		goto out;
	rc = run(&x);
	if (rc == 0)
		rc = push_results(&x, sink, ctx);
out:
	clear(&x);
	return rc;
}

/* SPDX-License-Identifier: ISC */

/*
 * and, or, unless: the one side is read first and leaves marks at the steps
 * where its match groups have samples; the other is streamed past them.
 */

#include "common/promql/eval.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/signature.h"

struct set_op {
	struct evaluator	*ev;
	struct promql_expr	*e;
	struct signature	 sig;
	uint8_t			**marks;	/* by group: a byte a step */
	uint32_t		 *any;		/* samples of the side, by step */
	size_t			 cap;
	struct arena		 mem;
	series_sink		 sink;
	void			*ctx;
	bool			 push_marked;	/* or: hand over what marks */
	struct dedup		 dedup;
};

static int64_t
group_of(struct set_op *x, struct pseries *s)
{
	int64_t k = signature_of(&x->sig, s->ls);

	if (k == -1)
		return -1;
	if ((size_t)k >= x->cap) {
		size_t cap = (size_t)k * 2 + 16;
		uint8_t **p = realloc(x->marks, cap * sizeof(*p));

		if (p == NULL)
			return q_nomem(x->ev->q);
		memset(p + x->cap, 0, (cap - x->cap) * sizeof(*p));
		x->marks = p;
		x->cap = cap;
	}
	return k;
}

static int
marking_sink(void *ctx, struct pseries *s)
{
	struct set_op *x = ctx;
	uint32_t n = x->ev->n_steps;
	int64_t k = group_of(x, s);

	if (k == -1)
		return -1;
	if (x->marks[k] == NULL) {
		x->marks[k] = arena_zalloc(&x->mem, n);
		if (x->marks[k] == NULL)
			return q_nomem(x->ev->q);
		if (!arena_account(x->ev->q->mem, n))
			return q_nomem(x->ev->q);
	}
	for (uint32_t i = 0; i < n; i++)
		x->marks[k][i] |= s->kind[i] != K_NONE;
	return x->push_marked ? dedup_sink(&x->dedup, s) : 0;
}

static int
filter_sink(void *ctx, struct pseries *s)
{
	struct set_op *x = ctx;
	int64_t k = group_of(x, s);

	if (k == -1)
		return -1;
	const uint8_t *m = x->marks[k];
	bool want = x->e->binary.op == PROMQL_OP_AND;
	if (m == NULL) {
		if (want)
			return 0;
		return dedup_sink(&x->dedup, s);
	}
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] == K_NONE || (m[i] != 0) == want)
			continue;
		if (s->kind[i] == K_FLOAT)
			s->n_floats--;
		else
			s->n_hists--;
		s->kind[i] = K_NONE;
	}
	if (s->n_floats + s->n_hists == 0)
		return 0;
	return dedup_sink(&x->dedup, s);
}

int
eval_binop_set(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct set_op x = { .ev = ev, .e = e };
	bool or = e->binary.op == PROMQL_OP_OR;
	struct promql_expr *first = or ? e->binary.lhs : e->binary.rhs;
	struct promql_expr *second = or ? e->binary.rhs : e->binary.lhs;
	int rc = -1;

	arena_init(&x.mem, 0);
	dedup_init(&x.dedup, ev->q, ev->n_steps, false, sink, ctx);
	x.push_marked = or;
	if (signature_init(&x.sig, ev->q, e->binary.matching) == 0)
		rc = eval_push(ev, first, marking_sink, &x);
	if (rc == 0)
		rc = eval_push(ev, second, filter_sink, &x);
	if (rc == 0)
		rc = dedup_finish(&x.dedup);
	dedup_clear(&x.dedup);
	signature_clear(&x.sig);
	if (x.mem.used_bytes != 0) {
		size_t n = 0;

		for (size_t i = 0; i < x.cap; i++)
			n += x.marks[i] != NULL;
		arena_release(ev->q->mem, n * ev->n_steps);
	}
	free(x.marks);
	arena_clear(&x.mem);
	return rc;
}

/* SPDX-License-Identifier: ISC */

/*
 * absent and absent_over_time: 1 at the steps where nothing else is, with
 * the labels that the selector demands.
 */

#include "common/promql/eval.h"

#include <stdlib.h>
#include <string.h>

struct absent {
	struct evaluator	*ev;
	uint8_t			*found;
};

static int
absent_sink(void *ctx, struct pseries *s)
{
	struct absent *x = ctx;

	for (uint32_t i = 0; i < x->ev->n_steps; i++)
		x->found[i] |= s->kind[i] != K_NONE;
	return 0;
}

/* Labels that one equality matcher names; twice named ones are left out. */
static int
absent_labels(struct query *q, const struct promql_expr *arg,
    struct lset *out)
{
	*out = LSET_EMPTY;
	if (arg->type == PROMQL_STEP_INVARIANT)
		return 0;
	if (arg->type == PROMQL_MATRIX)
		arg = arg->matrix.selector;
	if (arg->type != PROMQL_VECTOR)
		return 0;
	size_t n = arg->vector.n_matchers;
	const struct matcher *m = arg->vector.matchers;
	bool *had = calloc(n + 1, sizeof(*had));
	if (had == NULL)
		return q_nomem(q);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		bool before = false;

		if (str_eq_c(m[i].name, "__name__"))
			continue;
		for (size_t k = 0; k < i; k++)
			before |= had[k] && str_eq(m[k].name, m[i].name);
		bool set = m[i].type == MATCH_EQUAL && !before;
		had[i] = set;
		*out = lset_with(q->mem, q->syms, *out, m[i].name,
		    set ? m[i].value : STR_EMPTY);
		if (out->l == NULL && out->n > 0)
			rc = q_nomem(q);
	}
	free(had);
	return rc;
}

int
eval_call_absent(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct absent x = { ev, calloc(ev->n_steps, 1) };
	bool range = e->call.func->id == PROMQL_FN_ABSENT_OVER_TIME;
	struct pbuf b;
	int rc;

	if (x.found == NULL)
		return q_nomem(ev->q);
	if (pbuf_init(&b, ev->q, ev->n_steps) == -1) {
		free(x.found);
		return -1;
	}
	rc = range ? eval_range_call(ev, e, 0, absent_sink, &x) :
	    eval_push(ev, e->call.args[0], absent_sink, &x);
	for (uint32_t i = 0; i < ev->n_steps && rc == 0; i++)
		if (!x.found[i])
			pbuf_float(&b, i, 1);
	if (rc == 0)
		rc = absent_labels(ev->q, e->call.args[0], &b.s.ls);
	b.s.drop_name = range;
	if (rc == 0 && b.s.n_floats != 0)
		rc = sink(ctx, &b.s);
	pbuf_clear(&b);
	free(x.found);
	return rc;
}

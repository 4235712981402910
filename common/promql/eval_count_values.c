/* SPDX-License-Identifier: ISC */

/*
 * count_values: a group for each distinct value, named by the value's text.
 * Texts of values are made once a value and remembered by their bits.
 */

#include "common/promql/eval.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/float_text.h"
#include "common/base/quote.h"
#include "common/promql/grouping.h"

struct count_values {
	struct evaluator	*ev;
	struct query		*q;
	struct grouping		 grouping;
	struct str		 label;
	struct matrix		 out;
};

static int
count_at(struct count_values *x, struct lset ls, struct str text,
    uint32_t step)
{
	bool is_new;
	struct lset with = lset_with(x->q->mem, x->q->syms, ls, x->label,
	    text);

	if (with.l == NULL && with.n > 0)
		return q_nomem(x->q);
	int64_t g = grouping_of(&x->grouping, with, &is_new);
	if (g == -1)
		return -1;
	if (is_new && matrix_new_series(&x->out,
	    grouping_labels(&x->grouping, (size_t)g), false) == NULL)
		return -1;
	struct pseries *s = &x->out.s[g];
	if (s->kind[step] == K_NONE)
		(void)matrix_set_float(&x->out, s, step, 1);
	else
		s->v[step]++;
	return 0;
}

static int
count_values_sink(void *ctx, struct pseries *s)
{
	struct count_values *x = ctx;
	char text[FLOAT_TEXT_MAX];
	uint64_t last_bits = 0;
	struct str last = { NULL, 0 };
	struct buf b;
	int rc = 0;

	buf_init(&b, 0);
	for (uint32_t i = 0; i < x->ev->n_steps && rc == 0; i++) {
		if (s->kind[i] == K_NONE)
			continue;
		if (s->kind[i] == K_HIST) {
			buf_reset(&b);
			fhist_format(s->h[i], &b);
			rc = buf_failed(&b) ? q_nomem(x->q) :
			    count_at(x, s->ls, buf_str(&b), i);
			continue;
		}
		uint64_t bits = double_bits(s->v[i]);
		if (last.p == NULL || bits != last_bits) {
			last = str_from(text, float_format_f(s->v[i], text));
			last_bits = bits;
		}
		rc = count_at(x, s->ls, last, i);
	}
	buf_clear(&b);
	return rc;
}

int
eval_count_values(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct count_values x = { .ev = ev, .q = ev->q };
	struct promql_expr *p = promql_expr_unwrap(e->agg.param);
	int rc = -1;

	x.label = p->string;
	if (!label_name_is_valid(x.label)) {
		struct buf b;

		buf_init(&b, 0);
		quote_add(&b, x.label);
		(void)q_fail(ev->q, "invalid label name %.*s",
		    STR_ARG(buf_str(&b)));
		buf_clear(&b);
		return -1;
	}
	matrix_init(&x.out, ev->q, ev->n_steps);
	if (grouping_init(&x.grouping, ev->q, e, &x.label) == 0)
		rc = eval_push(ev, e->agg.expr, count_values_sink, &x);
	if (rc == 0)
		rc = matrix_push(&x.out, sink, ctx);
	grouping_clear(&x.grouping);
	matrix_clear(&x.out);
	return rc;
}

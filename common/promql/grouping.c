/* SPDX-License-Identifier: ISC */

/* Groups of an aggregation; see grouping.h. */

#include "common/promql/grouping.h"

#include <stdlib.h>
#include <string.h>

int
grouping_init(struct grouping *g, struct query *q,
    const struct promql_expr *agg, const struct str *extra)
{
	size_t n = agg->agg.grouping.n;
	struct str *names = arena_array(q->mem, n + 2, sizeof(*names));

	*g = (struct grouping){ .q = q, .without = agg->agg.without,
	    .last_group = -1 };
	lset_index_init(&g->groups, q->mem);
	if (names == NULL)
		return q_nomem(q);
	if (n != 0)
		memcpy(names, agg->agg.grouping.v, n * sizeof(*names));
	if (agg->agg.without)
		names[n++] = STR_LIT("__name__");
	else if (extra != NULL)
		names[n++] = *extra;
	g->one = !g->without && n == 0;
	if (lnames_init(&g->names, q->mem, q->syms, names, n) == -1)
		return q_nomem(q);
	return 0;
}

void
grouping_clear(struct grouping *g)
{
	free(g->scratch);
	lset_index_clear(&g->groups);
	g->scratch = NULL;
}

int64_t
grouping_of(struct grouping *g, struct lset ls, bool *is_new)
{
	struct lset key = LSET_EMPTY;

	if (!g->one) {
		if (ls.n > g->scratch_cap) {
			struct label_sym *p = realloc(g->scratch,
			    2 * ls.n * sizeof(*p));

			if (p == NULL)
				return q_nomem(g->q);
			g->scratch = p;
			g->scratch_cap = 2 * ls.n;
		}
		for (uint32_t i = 0; i < ls.n; i++)
			if ((lnames_slot(&g->names, ls.l[i].name) >= 0) !=
			    g->without)
				g->scratch[key.n++] = ls.l[i];
		key.l = g->scratch;
	}
	*is_new = false;
	if (g->last_group >= 0 && lset_eq(key, g->last))
		return g->last_group;
	int64_t k = lset_index_get(&g->groups, key);
	if (k == -1) {
		struct lset keep = key;

		if (key.n != 0) {
			struct label_sym *l = arena_array(g->q->mem, key.n,
			    sizeof(*l));

			if (l == NULL)
				return q_nomem(g->q);
			memcpy(l, key.l, key.n * sizeof(*l));
			keep.l = l;
		}
		k = lset_index_add(&g->groups, keep, is_new);
		if (k == -1)
			return q_nomem(g->q);
	}
	g->last = g->groups.sets[k];
	g->last_group = k;
	return k;
}

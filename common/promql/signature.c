/* SPDX-License-Identifier: ISC */

/* Match groups; see signature.h. */

#include "common/promql/signature.h"

#include <stdlib.h>
#include <string.h>

int
signature_init(struct signature *s, struct query *q,
    const struct promql_matching *m)
{
	size_t n = m->labels.n;
	struct str *names = arena_array(q->mem, n + 1, sizeof(*names));

	*s = (struct signature){ .q = q, .on = m->on };
	lset_index_init(&s->groups, q->mem);
	if (names == NULL)
		return q_nomem(q);
	if (n != 0)
		memcpy(names, m->labels.v, n * sizeof(*names));
	if (!m->on)
		names[n++] = STR_LIT("__name__");
	if (lnames_init(&s->names, q->mem, q->syms, names, n) == -1)
		return q_nomem(q);
	return 0;
}

void
signature_clear(struct signature *s)
{
	free(s->scratch);
	s->scratch = NULL;
	lset_index_clear(&s->groups);
}

/* The labels of ls that count, in scratch. */
static int
key_of(struct signature *s, struct lset ls, struct lset *key)
{
	*key = LSET_EMPTY;
	if (ls.n > s->scratch_cap) {
		struct label_sym *p = realloc(s->scratch,
		    2 * ls.n * sizeof(*p));

		if (p == NULL)
			return q_nomem(s->q);
		s->scratch = p;
		s->scratch_cap = 2 * ls.n;
	}
	for (uint32_t i = 0; i < ls.n; i++)
		if ((lnames_slot(&s->names, ls.l[i].name) >= 0) == s->on)
			s->scratch[key->n++] = ls.l[i];
	key->l = s->scratch;
	return 0;
}

int64_t
signature_known(struct signature *s, struct lset ls)
{
	struct lset key;

	if (key_of(s, ls, &key) == -1)
		return -1;
	int64_t k = lset_index_get(&s->groups, key);
	return k == -1 ? -2 : k;
}

int64_t
signature_of(struct signature *s, struct lset ls)
{
	struct lset key;
	bool is_new;

	if (key_of(s, ls, &key) == -1)
		return -1;
	int64_t k = lset_index_get(&s->groups, key);
	if (k != -1)
		return k;
	struct label_sym *l = arena_array(s->q->mem, key.n, sizeof(*l));
	if (l == NULL)
		return q_nomem(s->q);
	if (key.n != 0)
		memcpy(l, key.l, key.n * sizeof(*l));
	key.l = l;
	k = lset_index_add(&s->groups, key, &is_new);
	return k == -1 ? q_nomem(s->q) : k;
}

/* SPDX-License-Identifier: ISC */

/*
 * Matchers against an index, in the order of what they cost:
 *
 * 1. Literals that a series must carry (a="x", a=~"x|y") give lists by
 *    look-up; they are intersected, the shortest first.
 * 2. Literals that must not be there (a!="x", a!~"x|y") are subtracted.
 * 3. The rest (other regexes, a!="", a="") is either tested on each series
 *    that is left, with the verdict kept by value, or on each value of the
 *    name: whichever looks cheaper.
 *
 * A series without the label counts as having it empty.
 */

#include <string.h>

#include "common/tsdb/series_match.h"

/* Verdicts kept by value while a matcher is tested series by series. */
#define MEMO_SLOTS	1024u
/* Testing a series (find its label) against testing a value (a regex). */
#define VALUE_COST	2

struct memo {
	uint32_t	sym[MEMO_SLOTS];	/* + 1; 0 = none */
	bool		ok[MEMO_SLOTS];
};

struct match {
	const struct match_index *mi;
	void			*ix;
	uint32_t		 id_limit;
	struct arena		*a;
	struct err		*err;
	struct postings		 base;
	bool			 have_base;	/* else: all series */
};

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "query memory limit reached");
}

int
match_lists_add(struct match_lists *l, struct postings list, struct err *err)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		struct postings *v = arena_array(l->a, cap, sizeof(*v));

		if (v == NULL)
			return no_memory(err);
		if (l->n != 0)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = list;
	return 0;
}

static int
join_lists(struct match *m, const struct match_lists *l, struct postings *out)
{
	*out = (struct postings){ NULL, 0 };
	if (l->n == 0)
		return 0;
	if (l->n == 1) {
		*out = l->v[0];
		return 0;
	}
	return postings_union(m->a, l->v, l->n, m->id_limit, out) == -1 ?
	    no_memory(m->err) : 0;
}

/* Values of a matcher that is a set of literals; false if it is not. */
static bool
literals(const struct matcher *m, const struct str **set, size_t *n)
{
	if (m->type == MATCH_EQUAL || m->type == MATCH_NOT_EQUAL) {
		*set = &m->value;
		*n = 1;
		return true;
	}
	*set = m->set;
	*n = m->set_n;
	return m->set_n > 0;
}

/* The series that have one of the literals; empty ones have no list. */
static int
literal_list(struct match *m, const struct matcher *mt, struct postings *out)
{
	struct match_lists l = { .a = m->a };
	struct match_name name;
	struct postings list;
	const struct str *set;
	size_t n;
	int got;

	*out = (struct postings){ NULL, 0 };
	if (!literals(mt, &set, &n))
		return 0;
	if ((got = m->mi->name(m->ix, mt->name, &name, m->err)) != 1)
		return got;
	for (size_t i = 0; i < n; i++) {
		if (set[i].n == 0)
			continue;
		got = m->mi->value(m->ix, &name, set[i], &list, m->err);
		if (got == -1 || (got == 1 &&
		    match_lists_add(&l, list, m->err) == -1))
			return -1;
	}
	return join_lists(m, &l, out);
}

static int
all_series(struct match *m)
{
	m->have_base = true;
	return m->mi->all(m->ix, &m->base, m->err);
}

static int
keep_in(struct match *m, struct postings list)
{
	if (!m->have_base) {
		m->base = list;
		m->have_base = true;
		return 0;
	}
	return postings_intersect(m->a, m->base, list, &m->base) == -1 ?
	    no_memory(m->err) : 0;
}

static int
take_out(struct match *m, struct postings list)
{
	if (!m->have_base && all_series(m) == -1)
		return -1;
	return postings_subtract(m->a, m->base, list, &m->base) == -1 ?
	    no_memory(m->err) : 0;
}

/* The verdict on a value, asked of the matcher once as a rule. */
static bool
verdict(const struct match *m, struct memo *memo, const struct matcher *mt,
    uint32_t sym)
{
	uint32_t slot = sym % MEMO_SLOTS;

	if (memo->sym[slot] != sym + 1) {
		memo->sym[slot] = sym + 1;
		memo->ok[slot] = matcher_matches(mt, m->mi->text(m->ix, sym));
	}
	return memo->ok[slot];
}

/* Tests each series of the base. */
static int
filter(struct match *m, const struct matcher *mt,
    const struct match_name *name)
{
	struct memo *memo = arena_zalloc(m->a, sizeof(*memo));
	uint32_t *to = arena_array(m->a, m->base.n, sizeof(*to)), sym;
	bool empty_ok = matcher_matches_empty(mt);
	size_t n = 0;

	if (memo == NULL || to == NULL)
		return no_memory(m->err);
	for (size_t i = 0; i < m->base.n; i++) {
		uint32_t id = m->base.id[i];
		int got = m->mi->series(m->ix, id, name, &sym, m->err);

		if (got == -1)
			return -1;
		if (got == 0 ? empty_ok :
		    got == 1 && verdict(m, memo, mt, sym))
			to[n++] = id;
	}
	m->base = (struct postings){ to, n };
	return 0;
}

static int
apply_wide(struct match *m, const struct matcher *mt)
{
	struct match_lists l = { .a = m->a };
	bool empty_ok = matcher_matches_empty(mt);
	struct match_name name;
	struct postings list;
	int got = m->mi->name(m->ix, mt->name, &name, m->err);

	if (got == -1)
		return -1;
	if (got == 0)	/* no series has the label */
		return empty_ok ? 0 :
		    keep_in(m, (struct postings){ NULL, 0 });
	if (name.has_sym && m->have_base &&
	    m->base.n / VALUE_COST <= name.n_values)
		return filter(m, mt, &name);
	if (m->mi->scan(m->ix, &name, mt, !empty_ok, &l, m->err) == -1 ||
	    join_lists(m, &l, &list) == -1)
		return -1;
	return empty_ok ? take_out(m, list) : keep_in(m, list);
}

/* What kind of work a matcher is, cheapest first. */
enum rank { RANK_MUST, RANK_MUST_NOT, RANK_WIDE };

static enum rank
rank(const struct matcher *mt)
{
	const struct str *set;
	size_t n;

	if (!literals(mt, &set, &n))
		return RANK_WIDE;
	if (mt->type == MATCH_EQUAL || mt->type == MATCH_REGEXP)
		return matcher_matches_empty(mt) ? RANK_WIDE : RANK_MUST;
	return matcher_matches_empty(mt) ? RANK_MUST_NOT : RANK_WIDE;
}

/* Intersects all lists of literals that must be there, the shortest first. */
static int
apply_must(struct match *m, const struct matcher *const *mt, size_t n)
{
	struct postings *list = arena_array(m->a, n, sizeof(*list)), swap;
	size_t k = 0;

	if (list == NULL)
		return no_memory(m->err);
	for (size_t i = 0; i < n; i++) {
		if (rank(mt[i]) != RANK_MUST)
			continue;
		if (literal_list(m, mt[i], &list[k]) == -1)
			return -1;
		if (list[k].n == 0) {
			m->have_base = true;	/* of nothing */
			return 0;
		}
		if (list[k].n < list[0].n) {
			swap = list[0];
			list[0] = list[k];
			list[k] = swap;
		}
		k++;
	}
	for (size_t i = 0; i < k; i++)
		if (keep_in(m, list[i]) == -1)
			return -1;
	return 0;
}

/* Applies the matchers of one rank; nothing is left to do on no series. */
static int
apply_rank(struct match *m, const struct matcher *const *mt, size_t n,
    enum rank which)
{
	struct postings list;

	for (size_t i = 0; i < n; i++) {
		if (m->have_base && m->base.n == 0)
			return 0;
		if (rank(mt[i]) != which)
			continue;
		if (which == RANK_WIDE) {
			if (apply_wide(m, mt[i]) == -1)
				return -1;
		} else if (literal_list(m, mt[i], &list) == -1 ||
		    take_out(m, list) == -1)
			return -1;
	}
	return 0;
}

int
series_match(const struct match_index *mi, void *ix, uint32_t id_limit,
    struct arena *a, const struct matcher *const *m, size_t n,
    struct postings *out, struct err *err)
{
	struct match match = { .mi = mi, .ix = ix, .id_limit = id_limit,
	    .a = a, .err = err };

	*out = (struct postings){ NULL, 0 };
	if (apply_must(&match, m, n) == -1 ||
	    apply_rank(&match, m, n, RANK_MUST_NOT) == -1 ||
	    apply_rank(&match, m, n, RANK_WIDE) == -1)
		return -1;
	if (!match.have_base && all_series(&match) == -1)
		return -1;
	*out = match.base;
	return 0;
}

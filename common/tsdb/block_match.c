/* SPDX-License-Identifier: ISC */
/*
 * Matchers against an index, in the order of what they cost:
 *
 * 1. Literals that a series must carry (a="x", a=~"x|y") give lists by
 *    search; they are intersected, the shortest first.
 * 2. Literals that must not be there (a!="x", a!~"x|y") are subtracted.
 * 3. The others are tested on each series that is left, or on each value of
 *    the name (those with the pattern's prefix), whichever are fewer.
 *
 * A series without the label counts as having it empty.
 */

#include "common/tsdb/block_match.h"

/* Verdicts kept by value while a matcher is tested series by series. */
#define MEMO_SLOTS	1024u
/* Testing a series (read its entry) against testing a value. */
#define SERIES_COST	2

struct memo {
	uint32_t	sym[MEMO_SLOTS];	/* + 1; 0 = none */
	bool		ok[MEMO_SLOTS];
};

struct match {
	const struct index_reader *r;
	struct arena		*a;
	struct err		*err;
	struct postings		 base;
	bool			 have_base;	/* else: all series */
};

/* A growing list of lists. */
struct lists {
	struct postings	*v;
	size_t		 n, cap;
};

static int
no_memory(struct match *m)
{
	return err_set(m->err, ERR_LIMIT, "query memory limit reached");
}

static int
add_list(struct match *m, struct lists *l, uint64_t offset)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		struct postings *v = arena_array(m->a, cap, sizeof(*v));

		if (v == NULL)
			return no_memory(m);
		if (l->n != 0)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	if (index_postings(m->r, m->a, offset, &l->v[l->n], m->err) == -1)
		return -1;
	l->n++;
	return 0;
}

static int
join_lists(struct match *m, const struct lists *l, struct postings *out)
{
	*out = (struct postings){ NULL, 0 };
	if (l->n == 0)
		return 0;
	if (l->n == 1) {
		*out = l->v[0];
		return 0;
	}
	return postings_union(m->a, l->v, l->n, index_id_limit(m->r),
	    out) == -1 ? no_memory(m) : 0;
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

/* The series that have one of the literals. */
static int
literal_list(struct match *m, const struct matcher *mt, struct postings *out)
{
	const struct index_name *name = index_name_find(m->r, mt->name);
	struct lists l = { 0 };
	const struct str *set;
	uint64_t offset;
	size_t n, i;
	int got;

	*out = (struct postings){ NULL, 0 };
	if (name == NULL || !literals(mt, &set, &n))
		return 0;
	for (i = 0; i < n; i++) {
		if (set[i].n == 0)
			continue;
		got = index_value_find(m->r, name, set[i], &offset, m->err);
		if (got == -1 || (got == 1 && add_list(m, &l, offset) == -1))
			return -1;
	}
	return join_lists(m, &l, out);
}

static int
all_series(struct match *m)
{
	const struct index_name *name = index_name_find(m->r, STR_EMPTY);
	uint64_t offset;
	int got = 0;

	m->have_base = true;
	m->base = (struct postings){ NULL, 0 };
	if (name != NULL)
		got = index_value_find(m->r, name, STR_EMPTY, &offset,
		    m->err);
	if (got != 1)
		return got;
	return index_postings(m->r, m->a, offset, &m->base, m->err);
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
	    no_memory(m) : 0;
}

static int
take_out(struct match *m, struct postings list)
{
	if (!m->have_base && all_series(m) == -1)
		return -1;
	return postings_subtract(m->a, m->base, list, &m->base) == -1 ?
	    no_memory(m) : 0;
}

/* The symbol of a series' value of a name; false when it has none. */
static bool
series_value(struct index_series *s, uint32_t name, uint32_t *out)
{
	uint32_t i, n;

	for (i = 0; i < s->n_labels; i++) {
		index_series_label(s, &n, out);
		if (n == name)
			return true;
	}
	return false;
}

/* Tests each series of the base. */
static int
filter(struct match *m, const struct matcher *mt, uint32_t name)
{
	struct memo *memo = arena_zalloc(m->a, sizeof(*memo));
	uint32_t *to = arena_array(m->a, m->base.n, sizeof(*to));
	bool empty_ok = matcher_matches_empty(mt), ok;
	struct index_series s;
	uint32_t value, slot;
	size_t i, n = 0;

	if (memo == NULL || to == NULL)
		return no_memory(m);
	for (i = 0; i < m->base.n; i++) {
		if (index_series_get(m->r, m->base.id[i], &s, m->err) == -1)
			return -1;
		if (!series_value(&s, name, &value))
			ok = empty_ok;
		else {
			slot = value % MEMO_SLOTS;
			if (memo->sym[slot] != value + 1) {
				memo->sym[slot] = value + 1;
				memo->ok[slot] = matcher_matches(mt,
				    index_symbol(m->r, value));
			}
			ok = memo->ok[slot];
		}
		if (ok)
			to[n++] = m->base.id[i];
	}
	m->base = (struct postings){ to, n };
	return 0;
}

/* The series whose value's verdict is want, by testing each value once. */
static int
scan_values(struct match *m, const struct matcher *mt,
    const struct index_name *name, bool want, struct postings *out)
{
	bool by_prefix = want && mt->type == MATCH_REGEXP &&
	    mt->prefix.n != 0;
	struct index_values it;
	struct lists l = { 0 };
	struct str value;
	uint64_t offset;
	int got;

	index_values_begin(m->r, name, &it);
	if (by_prefix && index_values_seek(&it, mt->prefix, m->err) == -1)
		return -1;
	while ((got = index_values_next(&it, &value, &offset,
	    m->err)) == 1) {
		if (by_prefix && !str_has_prefix(value, mt->prefix))
			break;
		if (matcher_matches(mt, value) == want &&
		    add_list(m, &l, offset) == -1)
			return -1;
	}
	return got == -1 ? -1 : join_lists(m, &l, out);
}

static int
apply_wide(struct match *m, const struct matcher *mt)
{
	const struct index_name *name = index_name_find(m->r, mt->name);
	bool empty_ok = matcher_matches_empty(mt);
	struct postings list;
	uint32_t sym;

	if (name == NULL)	/* no series has the label */
		return empty_ok ? 0 :
		    keep_in(m, (struct postings){ NULL, 0 });
	if (m->have_base && m->base.n / SERIES_COST <= name->n_values &&
	    index_symbol_find(m->r, mt->name, &sym))
		return filter(m, mt, sym);
	if (scan_values(m, mt, name, !empty_ok, &list) == -1)
		return -1;
	return empty_ok ? take_out(m, list) : keep_in(m, list);
}

/* 0: literals that must be there; 1: that must not; 2: the others. */
static int
rank(const struct matcher *mt)
{
	const struct str *set;
	size_t n;

	if (!literals(mt, &set, &n))
		return 2;
	if (mt->type == MATCH_EQUAL || mt->type == MATCH_REGEXP)
		return matcher_matches_empty(mt) ? 2 : 0;
	return matcher_matches_empty(mt) ? 1 : 2;
}

/* All lists of rank 0, the shortest first. */
static int
apply_narrow(struct match *m, const struct matcher *const *mt, size_t n)
{
	struct postings *list = arena_array(m->a, n, sizeof(*list));
	size_t i, k = 0;

	if (list == NULL)
		return no_memory(m);
	for (i = 0; i < n; i++) {
		if (rank(mt[i]) != 0)
			continue;
		if (literal_list(m, mt[i], &list[k]) == -1)
			return -1;
		if (list[k].n < list[0].n) {
			struct postings swap = list[0];

			list[0] = list[k];
			list[k] = swap;
		}
		k++;
	}
	for (i = 0; i < k; i++)
		if (keep_in(m, list[i]) == -1)
			return -1;
	return 0;
}

static int
apply_rest(struct match *m, const struct matcher *const *mt, size_t n)
{
	struct postings list;
	int pass;
	size_t i;

	for (pass = 1; pass <= 2; pass++)
		for (i = 0; i < n; i++) {
			if (m->have_base && m->base.n == 0)
				return 0;
			if (rank(mt[i]) != pass)
				continue;
			if (pass == 2) {
				if (apply_wide(m, mt[i]) == -1)
					return -1;
			} else if (literal_list(m, mt[i], &list) == -1 ||
			    take_out(m, list) == -1)
				return -1;
		}
	return 0;
}

int
block_match(struct index_reader *r, struct arena *a,
    const struct matcher *const *m, size_t n, struct postings *out,
    struct err *err)
{
	struct match match = { .r = r, .a = a, .err = err };

	if (index_symbols_load(r, err) == -1 ||
	    index_table_load(r, err) == -1 ||
	    apply_narrow(&match, m, n) == -1 ||
	    apply_rest(&match, m, n) == -1)
		return -1;
	if (!match.have_base && all_series(&match) == -1)
		return -1;
	*out = match.base;
	return 0;
}

/* SPDX-License-Identifier: ISC */

/*
 * Which series match a set of matchers.
 *
 * 1. Matchers with a list of literals that a series must carry (a="x",
 *    a=~"x|y") give lists by hash look-up; their intersection, smallest
 *    first, is the base.
 * 2. Matchers whose literals must not be there (a!="x", a!~"x|y") are
 *    subtracted.
 * 3. The rest (other regexes, a!="", a="") is either tested on each series
 *    of the base, with the verdict kept by value, or turned into a list by
 *    testing every value of the name: whichever looks cheaper.
 *
 * A series without the label counts as having it empty.
 */

#include <string.h>

#include "common/tsdb/head_reader.h"

/* Verdicts kept by value while a matcher is tested series by series. */
#define MEMO_SLOTS	1024u
/* Testing a series (look up its label) against testing a value (a regex). */
#define VALUE_COST	2

struct memo {
	uint32_t	sym[MEMO_SLOTS];
	bool		ok[MEMO_SLOTS];
};

struct match {
	const struct head_reader *r;
	struct arena		 *a;
	struct err		 *err;
	uint32_t		  n_slots;
	struct postings		  base;
	bool			  have_base;	/* else: all series */
};

static int
no_memory(struct match *m)
{
	return err_set(m->err, ERR_LIMIT, "query memory limit reached");
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

/* The union of the lists name=v for v in the set; empty values have none. */
static int
literal_list(struct match *m, const struct matcher *mt, struct postings *out)
{
	uint32_t name = head_symbol_find(m->r, mt->name), value;
	const struct str *set;
	struct postings *list;
	size_t n, k = 0;

	*out = (struct postings){ NULL, 0 };
	if (!literals(mt, &set, &n) || name == 0)
		return 0;
	list = arena_array(m->a, n, sizeof(*list));
	if (list == NULL)
		return no_memory(m);
	for (size_t i = 0; i < n; i++) {
		value = head_symbol_find(m->r, set[i]);
		if (value == 0)
			continue;
		if (head_pair_list(m->r, name, value, &list[k], m->err) == -1)
			return -1;
		if (list[k].n > 0)
			k++;
	}
	if (k == 1) {
		*out = list[0];
		return 0;
	}
	return postings_union(m->a, list, k, m->n_slots, out) == -1 ?
	    no_memory(m) : 0;
}

static int
all_series(struct match *m)
{
	uint32_t *id = arena_array(m->a, m->n_slots, sizeof(*id));

	if (id == NULL)
		return no_memory(m);
	for (uint32_t i = 0; i < m->n_slots; i++)
		id[i] = i;
	m->base = (struct postings){ id, m->n_slots };
	m->have_base = true;
	return 0;
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

/* Tests each series of the base. */
static int
filter(struct match *m, const struct matcher *mt, uint32_t name)
{
	struct memo *memo = arena_zalloc(m->a, sizeof(*memo));
	bool empty_ok = matcher_matches_empty(mt);
	struct head_series_view s;
	uint32_t *to, value;
	size_t n = 0;
	bool ok;

	to = arena_array(m->a, m->base.n, sizeof(*to));
	if (memo == NULL || to == NULL)
		return no_memory(m);
	for (size_t i = 0; i < m->base.n; i++) {
		int got = head_reader_series(m->r, m->base.id[i], &s, m->err);

		if (got == -1)
			return -1;
		if (got == 0)
			continue;
		value = head_series_value(&s, name);
		if (value == 0)
			ok = empty_ok;
		else if (memo->sym[value % MEMO_SLOTS] == value)
			ok = memo->ok[value % MEMO_SLOTS];
		else {
			ok = matcher_matches(mt,
			    head_symbol_text(m->r, value));
			memo->sym[value % MEMO_SLOTS] = value;
			memo->ok[value % MEMO_SLOTS] = ok;
		}
		if (ok)
			to[n++] = m->base.id[i];
	}
	m->base = (struct postings){ to, n };
	return 0;
}

/*
 * The series whose value of the name satisfies the matcher (or, want =
 * false, does not), by testing each value once.
 */
static int
scan(struct match *m, const struct matcher *mt, struct postings values,
    bool want, struct postings *out)
{
	struct postings *list;
	struct head_pair pair;
	size_t k = 0;

	list = arena_array(m->a, values.n, sizeof(*list));
	if (list == NULL)
		return no_memory(m);
	for (size_t i = 0; i < values.n; i++) {
		if (!head_pair_get(m->r, values.id[i], &pair))
			return err_set(m->err, ERR_INTERNAL,
			    "corrupt head: pair at %u", values.id[i]);
		if (matcher_matches(mt, head_symbol_text(m->r,
		    pair.value)) != want)
			continue;
		if (head_pair_items(m->r, &pair, &list[k], m->err) == -1)
			return -1;
		k++;
	}
	if (k == 1) {
		*out = list[0];
		return 0;
	}
	return postings_union(m->a, list, k, m->n_slots, out) == -1 ?
	    no_memory(m) : 0;
}

static int
apply_wide(struct match *m, const struct matcher *mt)
{
	bool empty_ok = matcher_matches_empty(mt);
	uint32_t name = head_symbol_find(m->r, mt->name);
	struct postings values, list;

	if (head_pair_list(m->r, name, 0, &values, m->err) == -1)
		return -1;
	if (values.n == 0)	/* no series has the label */
		return empty_ok ? 0 :
		    keep_in(m, (struct postings){ NULL, 0 });
	if (m->have_base && m->base.n / VALUE_COST <= values.n)
		return filter(m, mt, name);
	if (scan(m, mt, values, !empty_ok, &list) == -1)
		return -1;
	return empty_ok ? take_out(m, list) : keep_in(m, list);
}

/* 0 narrow: literals that must be there; 1 literals that must not; 2 wide. */
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

/* Intersects all narrow matchers, the shortest list first. */
static int
apply_narrow(struct match *m, const struct matcher *const *mt, size_t n)
{
	struct postings *list = arena_array(m->a, n, sizeof(*list));
	size_t k = 0;

	if (list == NULL)
		return no_memory(m);
	for (size_t i = 0; i < n; i++) {
		if (rank(mt[i]) != 0)
			continue;
		if (literal_list(m, mt[i], &list[k]) == -1)
			return -1;
		if (list[k].n == 0) {
			m->have_base = true;	/* of nothing */
			return 0;
		}
		if (k > 0 && list[k].n < list[0].n) {
			struct postings swap = list[0];

			list[0] = list[k];
			list[k] = swap;
		}
		k++;
	}
	for (size_t i = 0; i < k; i++) {
		if (keep_in(m, list[i]) == -1)
			return -1;
	}
	return 0;
}

int
head_match(const struct head_reader *r, struct arena *a,
    const struct matcher *const *m, size_t n, struct postings *out,
    struct err *err)
{
	struct match match = { .r = r, .a = a, .err = err,
	    .n_slots = head_load32(&r->super->n_slots) };
	struct postings list;

	*out = (struct postings){ NULL, 0 };
	if (match.n_slots > HEAD_SLOTS_MAX)
		return err_set(err, ERR_INTERNAL,
		    "corrupt head: %u series", match.n_slots);
	if (apply_narrow(&match, m, n) == -1)
		return -1;
	for (int pass = 1; pass <= 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			if (rank(m[i]) != pass ||
			    (match.have_base && match.base.n == 0))
				continue;
			if (pass == 2 && apply_wide(&match, m[i]) == -1)
				return -1;
			if (pass == 1 &&
			    (literal_list(&match, m[i], &list) == -1 ||
			    take_out(&match, list) == -1))
				return -1;
		}
	}
	if (!match.have_base && all_series(&match) == -1)
		return -1;
	*out = match.base;
	return 0;
}

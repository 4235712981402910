/* SPDX-License-Identifier: ISC */

/*
 * Set algebra over ascending arrays. Intersection and subtraction gallop in
 * the longer list, so a short list against a long one costs little. A union
 * of many lists goes through a bit map of the whole range, one of few small
 * lists through merging.
 */

#include "common/tsdb/postings.h"

#include <string.h>

/* First index >= from whose number is >= id, x.n when there is none. */
static size_t
seek(struct postings x, size_t from, uint32_t id)
{
	size_t step = 1, lo = from, hi;

	if (from >= x.n || x.id[from] >= id)
		return from;
	while (step < x.n - lo && x.id[lo + step] < id) {
		lo += step;
		step *= 2;
	}
	hi = step < x.n - lo ? lo + step : x.n;
	/* x.id[lo] < id, and hi is the end or not below id. */
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (x.id[mid] < id)
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

bool
postings_has(struct postings x, uint32_t id)
{
	size_t i = seek(x, 0, id);

	return i < x.n && x.id[i] == id;
}

int
postings_intersect(struct arena *a, struct postings x, struct postings y,
    struct postings *out)
{
	uint32_t *to;
	size_t n = 0, j = 0;

	if (x.n > y.n) {
		struct postings swap = x;

		x = y;
		y = swap;
	}
	to = arena_array(a, x.n, sizeof(*to));
	if (to == NULL)
		return -1;
	for (size_t i = 0; i < x.n && j < y.n; i++) {
		uint32_t id = x.id[i];

		j = seek(y, j, id);
		if (j < y.n && y.id[j] == id)
			to[n++] = id;
	}
	*out = (struct postings){ to, n };
	return 0;
}

int
postings_subtract(struct arena *a, struct postings x, struct postings y,
    struct postings *out)
{
	uint32_t *to;
	size_t n = 0, j = 0;

	if (x.n == 0 || y.n == 0) {
		*out = x;
		return 0;
	}
	to = arena_array(a, x.n, sizeof(*to));
	if (to == NULL)
		return -1;
	for (size_t i = 0; i < x.n; i++) {
		uint32_t id = x.id[i];

		j = seek(y, j, id);
		if (j >= y.n || y.id[j] != id)
			to[n++] = id;
	}
	*out = (struct postings){ to, n };
	return 0;
}

static int
union_bits(struct arena *a, const struct postings *lists, size_t n,
    uint32_t limit, size_t total, struct postings *out)
{
	size_t n_words = ((size_t)limit + 63) / 64, k = 0;
	uint64_t *word = arena_zalloc(a, n_words * sizeof(*word));
	size_t cap = total < limit ? total : limit;
	uint32_t *to = arena_array(a, cap, sizeof(*to));

	if (word == NULL || to == NULL)
		return -1;
	for (size_t l = 0; l < n; l++) {
		for (size_t i = 0; i < lists[l].n; i++) {
			uint32_t id = lists[l].id[i];

			if (id < limit)
				word[id / 64] |= (uint64_t)1 << id % 64;
		}
	}
	for (size_t w = 0; w < n_words; w++) {
		for (uint64_t bits = word[w]; bits != 0 && k < cap;
		    bits &= bits - 1)
			to[k++] = (uint32_t)(w * 64 +
			    (size_t)__builtin_ctzll(bits));
	}
	*out = (struct postings){ to, k };
	return 0;
}

static size_t
merge2(struct postings x, struct postings y, uint32_t limit, uint32_t *to)
{
	size_t i = 0, j = 0, n = 0;

	while (i < x.n || j < y.n) {
		uint32_t id;

		if (j >= y.n || (i < x.n && x.id[i] <= y.id[j])) {
			id = x.id[i];
			if (j < y.n && y.id[j] == id)
				j++;
			i++;
		} else
			id = y.id[j++];
		if (id < limit)
			to[n++] = id;
	}
	return n;
}

int
postings_union(struct arena *a, const struct postings *lists, size_t n,
    uint32_t limit, struct postings *out)
{
	size_t total = 0;
	uint32_t *to;

	*out = (struct postings){ NULL, 0 };
	if (n == 0)
		return 0;
	for (size_t l = 0; l < n; l++)
		total += lists[l].n;
	if (n > 2)
		return union_bits(a, lists, n, limit, total, out);
	to = arena_array(a, total, sizeof(*to));
	if (to == NULL)
		return -1;
	*out = (struct postings){ to, merge2(lists[0],
	    n == 2 ? lists[1] : (struct postings){ NULL, 0 }, limit, to) };
	return 0;
}

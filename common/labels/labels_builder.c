/* SPDX-License-Identifier: ISC */
/*
 * A label set under construction. The array has two parts:
 *
 *	[0, n_sorted)	sorted, names unique; an empty value = deleted
 *	[n_sorted, n)	changes in the order they came; the last one counts
 *
 * Small sets stay sorted by insertion. Only where an insertion would move
 * many labels does the second part grow, and it is merged when it is half
 * as long as the first, so that a hostile order of many labels costs
 * O(n log n), not O(n²).
 */

#include <stdlib.h>

#include "common/base/vec.h"
#include "common/labels/labels.h"

/* Labels that one insertion may move. */
#define MOVE_MAX	64

void
labels_builder_init(struct labels_builder *b)
{
	*b = (struct labels_builder){ 0 };
}

void
labels_builder_clear(struct labels_builder *b)
{
	free(b->l);
	labels_builder_init(b);
}

static bool
grow(struct labels_builder *b, size_t need)
{
	if (need <= b->cap)
		return true;
	if (vec_grow(&b->l, &b->cap, need, sizeof(*b->l)) == 0)
		return true;
	b->failed = true;
	return false;
}

void
labels_builder_reset(struct labels_builder *b, struct labels base)
{
	b->n = b->n_sorted = 0;
	b->failed = false;
	if (base.n == 0 || !grow(b, base.n))
		return;
	memcpy(b->l, base.l, base.n * sizeof(*b->l));
	b->n = b->n_sorted = base.n;
}

/* First of the sorted part that is not below name. */
static size_t
lower_bound(const struct labels_builder *b, struct str name)
{
	size_t lo = 0, hi = b->n_sorted, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (str_cmp(b->l[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
merge_runs(const struct label *in, struct label *out, size_t lo, size_t mid,
    size_t hi)
{
	size_t i = lo, j = mid, k;

	for (k = lo; k < hi; k++) {
		if (i < mid && (j >= hi ||
		    str_cmp(in[i].name, in[j].name) <= 0))
			out[k] = in[i++];
		else
			out[k] = in[j++];
	}
}

/* Stable, so that of equal names the last change stays last. */
static void
sort_stable(struct label *l, struct label *tmp, size_t n)
{
	size_t mid = n / 2;

	if (n < 2)
		return;
	sort_stable(l, tmp, mid);
	sort_stable(l + mid, tmp, n - mid);
	memcpy(tmp, l, n * sizeof(*l));
	merge_runs(tmp, l, 0, mid, n);
}

/* Folds the changes into the sorted part and drops what is deleted. */
static void
settle(struct labels_builder *b)
{
	struct label *tmp;
	size_t i, n = 0;

	if (b->n_sorted < b->n) {
		tmp = calloc(b->n, sizeof(*tmp));
		if (tmp == NULL) {
			b->failed = true;
			b->n = b->n_sorted;
		} else {
			sort_stable(b->l + b->n_sorted, tmp,
			    b->n - b->n_sorted);
			memcpy(tmp, b->l, b->n * sizeof(*tmp));
			merge_runs(tmp, b->l, 0, b->n_sorted, b->n);
			free(tmp);
		}
	}
	for (i = 0; i < b->n; i++) {
		if (i + 1 < b->n && str_eq(b->l[i].name, b->l[i + 1].name))
			continue;
		if (b->l[i].value.n != 0)
			b->l[n++] = b->l[i];
	}
	b->n = b->n_sorted = n;
}

void
labels_builder_set(struct labels_builder *b, struct str name,
    struct str value)
{
	size_t pos;

	if (b->n == b->n_sorted) {
		pos = lower_bound(b, name);
		if (pos < b->n && str_eq(b->l[pos].name, name)) {
			b->l[pos].value = value;
			return;
		}
		if (value.n == 0)
			return;
		if (!grow(b, b->n + 1))
			return;
		if (b->n - pos <= MOVE_MAX) {
			memmove(b->l + pos + 1, b->l + pos,
			    (b->n - pos) * sizeof(*b->l));
			b->l[pos] = (struct label){ name, value };
			b->n++;
			b->n_sorted++;
			return;
		}
	}
	if (!grow(b, b->n + 1))
		return;
	b->l[b->n++] = (struct label){ name, value };
	if (b->n - b->n_sorted > MOVE_MAX + b->n_sorted / 2)
		settle(b);
}

void
labels_builder_del(struct labels_builder *b, struct str name)
{
	labels_builder_set(b, name, STR_EMPTY);
}

struct str
labels_builder_get(const struct labels_builder *b, struct str name)
{
	size_t i;

	for (i = b->n; i > b->n_sorted; i--)
		if (str_eq(b->l[i - 1].name, name))
			return b->l[i - 1].value;
	i = lower_bound(b, name);
	if (i < b->n_sorted && str_eq(b->l[i].name, name))
		return b->l[i].value;
	return STR_EMPTY;
}

struct labels
labels_builder_labels(struct labels_builder *b)
{
	settle(b);
	return (struct labels){ b->l, b->n };
}

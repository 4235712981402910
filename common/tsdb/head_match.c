/* SPDX-License-Identifier: ISC */

/* The head as an index that series_match.c can ask. Ids are slots. */

#include "common/tsdb/head_reader.h"
#include "common/tsdb/series_match.h"

struct head_index {
	const struct head_reader *r;
	struct arena		*a;
	uint32_t		 n_slots;
};

static int
find_name(void *ix, struct str text, struct match_name *out, struct err *err)
{
	const struct head_index *h = ix;

	*out = (struct match_name){ .has_sym = true,
	    .sym = head_symbol_find(h->r, text) };
	if (out->sym == 0)
		return 0;
	if (head_pair_list(h->r, out->sym, 0, &out->values, err) == -1)
		return -1;
	out->n_values = out->values.n;
	return out->n_values > 0;
}

static int
find_list(void *ix, const struct match_name *name, struct str text,
    struct postings *out, struct err *err)
{
	const struct head_index *h = ix;
	uint32_t sym = head_symbol_find(h->r, text);

	if (sym == 0)
		return 0;
	if (head_pair_list(h->r, name->sym, sym, out, err) == -1)
		return -1;
	return out->n > 0;
}

static int
scan_values(void *ix, const struct match_name *name, const struct matcher *m,
    bool want, struct match_lists *out, struct err *err)
{
	const struct head_index *h = ix;
	struct postings list;
	struct head_pair pair;

	for (size_t i = 0; i < name->values.n; i++) {
		if (!head_pair_get(h->r, name->values.id[i], &pair))
			return err_set(err, ERR_INTERNAL,
			    "corrupt head: pair at %u", name->values.id[i]);
		if (matcher_matches(m, head_symbol_text(h->r,
		    pair.value)) != want)
			continue;
		if (head_pair_items(h->r, &pair, &list, err) == -1 ||
		    match_lists_add(out, list, err) == -1)
			return -1;
	}
	return 0;
}

static int
all_series(void *ix, struct postings *out, struct err *err)
{
	const struct head_index *h = ix;
	uint32_t *id = arena_array(h->a, h->n_slots, sizeof(*id));

	if (id == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	for (uint32_t i = 0; i < h->n_slots; i++)
		id[i] = i;
	*out = (struct postings){ id, h->n_slots };
	return 0;
}

static int
series_value(void *ix, uint32_t id, const struct match_name *name, uint32_t *sym,
    struct err *err)
{
	const struct head_index *h = ix;
	struct head_series_view s;
	int got = head_reader_series(h->r, id, &s, err);

	if (got != 1)
		return got == 0 ? 2 : -1;
	*sym = head_series_value(&s, name->sym);
	return *sym != 0;
}

static struct str
symbol_text(void *ix, uint32_t sym)
{
	const struct head_index *h = ix;

	return head_symbol_text(h->r, sym);
}

static const struct match_index head_index = {
	.name = find_name, .value = find_list, .scan = scan_values,
	.all = all_series, .series = series_value, .text = symbol_text,
};

int
head_match_below(const struct head_reader *r, struct arena *a,
    const struct matcher *const *m, size_t n, struct postings *out,
    uint32_t *n_slots_out, struct err *err)
{
	struct head_index h = { .r = r, .a = a,
	    .n_slots = head_load32(&r->super->n_slots) };

	*out = (struct postings){ NULL, 0 };
	if (h.n_slots > HEAD_SLOTS_MAX)
		return err_set(err, ERR_INTERNAL,
		    "corrupt head: %u series", h.n_slots);
	if (series_match(&head_index, &h, h.n_slots, a, m, n, out, err) == -1)
		return -1;
	/* of series that came meanwhile some lists know more than others */
	while (out->n > 0 && out->id[out->n - 1] >= h.n_slots)
		out->n--;
	*n_slots_out = h.n_slots;
	return 0;
}

int
head_match(const struct head_reader *r, struct arena *a,
    const struct matcher *const *m, size_t n, struct postings *out,
    struct err *err)
{
	uint32_t n_slots;

	return head_match_below(r, a, m, n, out, &n_slots, err);
}

bool
head_series_matches(const struct head_reader *r,
    const struct head_series_view *s, const struct matcher *const *m,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str value = STR_EMPTY;

		for (uint32_t l = 0; l < s->n_labels; l++)
			if (str_eq(head_symbol_text(r, s->label[l].name),
			    m[i]->name))
				value = head_symbol_text(r,
				    s->label[l].value);
		if (!matcher_matches(m[i], value))
			return false;
	}
	return true;
}

/* SPDX-License-Identifier: ISC */

/* A block's index as series_match.c asks it. Ids are the index's own. */

#include "common/tsdb/block_match.h"
#include "common/tsdb/series_match.h"

struct block_index {
	const struct index_reader *r;
	struct arena		*a;
};

static int
find_name(void *ix, struct str text, struct match_name *out, struct err *err)
{
	const struct block_index *b = ix;
	const struct index_name *entry = index_name_find(b->r, text);

	(void)err;
	if (entry == NULL)
		return 0;
	*out = (struct match_name){ .entry = entry,
	    .n_values = entry->n_values };
	/* symbols of version 1 are offsets, and cannot be searched */
	out->has_sym = index_symbol_find(b->r, text, &out->sym);
	return 1;
}

static int
find_list(void *ix, const struct match_name *name, struct str text,
    struct postings *out, struct err *err)
{
	const struct block_index *b = ix;
	uint64_t offset;
	int got = index_value_find(b->r, name->entry, text, &offset, err);

	if (got != 1)
		return got;
	return index_postings(b->r, b->a, offset, out, err) == -1 ? -1 : 1;
}

/* With a prefix that matching values have, only those are looked at. */
static int
scan_values(void *ix, const struct match_name *name, const struct matcher *m,
    bool want, struct match_lists *out, struct err *err)
{
	const struct block_index *b = ix;
	bool by_prefix = want && m->type == MATCH_REGEXP && m->prefix.n != 0;
	struct index_values it;
	struct postings list;
	struct str text;
	uint64_t offset;
	int got;

	index_values_begin(b->r, name->entry, &it);
	if (by_prefix && index_values_seek(&it, m->prefix, err) == -1)
		return -1;
	while ((got = index_values_next(&it, &text, &offset, err)) == 1) {
		if (by_prefix && !str_has_prefix(text, m->prefix))
			break;
		if (matcher_matches(m, text) == want &&
		    (index_postings(b->r, b->a, offset, &list, err) == -1 ||
		    match_lists_add(out, list, err) == -1))
			return -1;
	}
	return got == -1 ? -1 : 0;
}

/* The table's entry of the empty name lists them. */
static int
all_series(void *ix, struct postings *out, struct err *err)
{
	struct match_name empty;
	int got = find_name(ix, STR_EMPTY, &empty, err);

	*out = (struct postings){ NULL, 0 };
	if (got == 1)
		got = find_list(ix, &empty, STR_EMPTY, out, err);
	return got == -1 ? -1 : 0;
}

static int
series_value(void *ix, uint32_t id, const struct match_name *name, uint32_t *sym,
    struct err *err)
{
	const struct block_index *b = ix;
	struct index_series s;
	uint32_t n;

	if (index_series_get(b->r, id, &s, err) == -1)
		return -1;
	for (uint32_t i = 0; i < s.n_labels; i++) {
		index_series_label(&s, &n, sym);
		if (n == name->sym)
			return 1;
	}
	return 0;
}

static struct str
symbol_text(void *ix, uint32_t sym)
{
	const struct block_index *b = ix;

	return index_symbol(b->r, sym);
}

static const struct match_index block_index = {
	.name = find_name, .value = find_list, .scan = scan_values,
	.all = all_series, .series = series_value, .text = symbol_text,
};

int
block_match(struct index_reader *r, struct arena *a,
    const struct matcher *const *m, size_t n, struct postings *out,
    struct err *err)
{
	struct block_index b = { .r = r, .a = a };

	*out = (struct postings){ NULL, 0 };
	if (index_symbols_load(r, err) == -1 ||
	    index_table_load(r, err) == -1)
		return -1;
	return series_match(&block_index, &b, index_id_limit(r), a, m, n, out,
	    err);
}

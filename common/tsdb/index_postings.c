/* SPDX-License-Identifier: ISC */
/*
 * The postings table of an index: which lists of series there are. In
 * version 2 it is sorted by name and value; every 32nd value of a name is
 * marked, a search goes by halves over the marks and then on by steps. In
 * version 1 it is not sorted: every entry is marked, and the marks are.
 */

#include <stdlib.h>

#include "common/base/vec.h"
#include "common/tsdb/index_section.h"

#define VALUE_STRIDE	32
/* Bytes of the smallest entry. */
#define ENTRY_BYTES_MIN	4

struct entry {
	struct str	name;
	struct str	value;
	uint64_t	offset;
	uint32_t	pos;	/* in the table */
};

/* The entry at pos; false when it is corrupt. *next_out is behind it. */
static bool
entry_at(const struct index_reader *r, size_t pos, struct entry *out,
    size_t *next_out)
{
	struct cursor c;

	if (pos >= r->table_len)
		return false;
	c = cursor_make(r->table + pos, r->table_len - pos);
	if (cursor_uvarint(&c) != 2)
		return false;
	out->name = cursor_uvarint_str(&c);
	out->value = cursor_uvarint_str(&c);
	out->offset = cursor_uvarint(&c);
	out->pos = (uint32_t)pos;
	*next_out = (size_t)(c.p - r->table);
	return !c.failed;
}

/* --- loading --- */

struct loader {
	size_t	n_marks, marks_cap, names_cap;
};

static int
add_entry(struct index_reader *r, struct loader *l, const struct entry *e)
{
	struct index_name *last;

	if (r->n_names == 0 ||
	    !str_eq(r->names[r->n_names - 1].name, e->name)) {
		if (vec_grow(&r->names, &l->names_cap, r->n_names + 1,
		    sizeof(*r->names)) == -1)
			return -1;
		r->names[r->n_names++] = (struct index_name){
		    .name = e->name, .first_mark = (uint32_t)l->n_marks };
	}
	last = &r->names[r->n_names - 1];
	if (last->n_values++ % r->stride != 0)
		return 0;
	if (vec_grow(&r->value_marks, &l->marks_cap, l->n_marks + 1,
	    sizeof(*r->value_marks)) == -1)
		return -1;
	r->value_marks[l->n_marks++] = e->pos;
	return 0;
}

static int
cmp_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = str_cmp(x->name, y->name);

	return c != 0 ? c : str_cmp(x->value, y->value);
}

/* Version 1: all entries, sorted. */
static int
load_unsorted(struct index_reader *r, uint32_t n, struct err *err)
{
	struct entry *all = calloc((size_t)n + 1, sizeof(*all));
	struct loader l = { 0 };
	size_t pos = 0;
	uint32_t i;
	int rc = 0;

	if (all == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->stride = 1;
	for (i = 0; i < n && rc == 0; i++)
		if (!entry_at(r, pos, &all[i], &pos))
			rc = index_corrupt(err, "postings table: too short");
	if (rc == 0)
		qsort(all, n, sizeof(*all), cmp_entries);
	for (i = 0; i < n && rc == 0; i++)
		if (add_entry(r, &l, &all[i]) == -1)
			rc = err_set(err, ERR_NOMEM, "out of memory");
	free(all);
	return rc;
}

static int
load_sorted(struct index_reader *r, uint32_t n, struct err *err)
{
	struct loader l = { 0 };
	struct entry e = { 0 };
	struct str name = STR_EMPTY;
	size_t pos = 0;
	uint32_t i;

	r->stride = VALUE_STRIDE;
	for (i = 0; i < n; i++) {
		if (!entry_at(r, pos, &e, &pos))
			return index_corrupt(err,
			    "postings table: too short");
		/* A search needs the names in order. */
		if (str_cmp(e.name, name) < 0)
			return index_corrupt(err,
			    "postings table: not sorted");
		name = e.name;
		if (add_entry(r, &l, &e) == -1)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

int
index_table_load(struct index_reader *r, struct err *err)
{
	struct cursor c;
	struct str s;
	uint32_t n;
	int rc;

	if (r->have_table)
		return 0;
	if (index_section(r, r->table_off, "postings table", &s, err) == -1)
		return -1;
	c = cursor_make(s.p, s.n);
	n = cursor_be32(&c);
	r->table = c.p;
	r->table_len = cursor_left(&c);
	if (c.failed || n > r->table_len / ENTRY_BYTES_MIN)
		return index_corrupt(err, "postings table: invalid count");
	rc = r->version == 1 ? load_unsorted(r, n, err) :
	    load_sorted(r, n, err);
	if (rc == -1) {
		free(r->value_marks);
		free(r->names);
		r->value_marks = NULL;
		r->names = NULL;
		r->n_names = 0;
		return -1;
	}
	r->have_table = true;
	return 0;
}

/* --- looking up --- */

const struct index_name *
index_name_find(const struct index_reader *r, struct str name)
{
	size_t lo = 0, hi = r->n_names, mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = str_cmp(name, r->names[mid].name);
		if (c == 0)
			return &r->names[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static void
go_to_mark(struct index_values *it, uint32_t mark)
{
	it->i = mark * it->r->stride;
	it->pos = it->r->value_marks[it->name->first_mark + mark];
}

void
index_values_begin(const struct index_reader *r,
    const struct index_name *name, struct index_values *it)
{
	*it = (struct index_values){ .r = r, .name = name };
	go_to_mark(it, 0);
}

int
index_values_next(struct index_values *it, struct str *value,
    uint64_t *offset, struct err *err)
{
	const struct index_reader *r = it->r;
	struct entry e;

	if (it->i >= it->name->n_values)
		return 0;
	if (!entry_at(r, it->pos, &e, &it->pos))
		return index_corrupt(err, "postings table: too short");
	it->i++;
	if (r->stride == 1 && it->i < it->name->n_values)
		it->pos = r->value_marks[it->name->first_mark + it->i];
	*value = e.value;
	*offset = e.offset;
	return 1;
}

int
index_values_seek(struct index_values *it, struct str text, struct err *err)
{
	const struct index_reader *r = it->r;
	uint32_t lo = 0, mid, hi = (it->name->n_values - 1) / r->stride + 1;
	struct entry e;
	size_t next;

	/* The last mark whose value is below the text, or the first. */
	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (!entry_at(r, r->value_marks[it->name->first_mark + mid],
		    &e, &next))
			return index_corrupt(err,
			    "postings table: too short");
		if (str_cmp(e.value, text) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	go_to_mark(it, lo);
	while (it->i < it->name->n_values) {
		if (!entry_at(r, it->pos, &e, &next))
			return index_corrupt(err,
			    "postings table: too short");
		if (str_cmp(e.value, text) >= 0)
			break;
		it->i++;
		it->pos = next;
		if (r->stride == 1 && it->i < it->name->n_values)
			it->pos = r->value_marks[it->name->first_mark +
			    it->i];
	}
	return 0;
}

int
index_value_find(const struct index_reader *r, const struct index_name *name,
    struct str value, uint64_t *offset, struct err *err)
{
	struct index_values it;
	struct str got;
	int rc;

	index_values_begin(r, name, &it);
	if (index_values_seek(&it, value, err) == -1)
		return -1;
	rc = index_values_next(&it, &got, offset, err);
	return rc == 1 && !str_eq(got, value) ? 0 : rc;
}

uint32_t
index_id_limit(const struct index_reader *r)
{
	size_t limit = r->version == 1 ? r->n : r->n / 16 + 1;

	return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

int
index_postings(const struct index_reader *r, struct arena *a, uint64_t offset,
    struct postings *out, struct err *err)
{
	uint32_t limit = index_id_limit(r), i, n, id, *to;
	struct str s;

	if (index_section(r, offset, "postings", &s, err) == -1)
		return -1;
	if (s.n < 4 || (n = load_be32(s.p)) != (s.n - 4) / 4 ||
	    (s.n - 4) % 4 != 0)
		return index_corrupt(err, "postings: unexpected length");
	to = arena_array(a, n, sizeof(*to));
	if (to == NULL)
		return err_set(err, ERR_LIMIT, "query memory limit reached");
	for (i = 0; i < n; i++) {
		id = load_be32(s.p + 4 + (size_t)i * 4);
		if (id >= limit || (i > 0 && id <= to[i - 1]))
			return index_corrupt(err, "postings: not ascending");
		to[i] = id;
	}
	*out = (struct postings){ to, n };
	return 0;
}

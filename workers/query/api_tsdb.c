/* SPDX-License-Identifier: ISC */
/*
 * status/tsdb: figures of the head and the longest lists of four kinds,
 * counted by one walk over names, pairs and the lengths of their lists.
 */
#include <stdlib.h>

#include "common/base/json.h"
#include "common/tsdb/head_reader.h"
#include "workers/query/api.h"
#include "workers/query/render.h"

#define TOP_DEFAULT	10
#define TOP_MAX		10000

struct top_item {
	uint64_t	count;
	struct str	name;	/* label name, or metric name */
	struct str	value;	/* of a pair; p == NULL else */
};

/* The n largest seen so far: a heap with the smallest in front. */
struct top {
	struct top_item	*v;
	size_t		 n, max;
};

static void
top_down(struct top *t, size_t i)
{
	for (;;) {
		size_t k = 2 * i + 1;

		if (k >= t->n)
			return;
		if (k + 1 < t->n && t->v[k + 1].count < t->v[k].count)
			k++;
		if (t->v[i].count <= t->v[k].count)
			return;
		struct top_item tmp = t->v[i];

		t->v[i] = t->v[k];
		t->v[k] = tmp;
		i = k;
	}
}

static void
top_add(struct top *t, struct top_item item)
{
	if (t->n < t->max) {
		size_t i = t->n++;

		while (i > 0 && t->v[(i - 1) / 2].count > item.count) {
			t->v[i] = t->v[(i - 1) / 2];
			i = (i - 1) / 2;
		}
		t->v[i] = item;
	} else if (item.count > t->v[0].count) {
		t->v[0] = item;
		top_down(t, 0);
	}
}

static int
top_order(const void *a, const void *b)
{
	const struct top_item *x = a, *y = b;
	int c = (x->count < y->count) - (x->count > y->count);

	if (c == 0)
		c = str_cmp(x->name, y->name);
	return c != 0 || x->value.p == NULL ? c : str_cmp(x->value, y->value);
}

struct tops {
	struct top	metrics, names, bytes, pairs;
};

/* All pairs of one name. */
static int
walk_name(const struct head_reader *h, const struct head_pair *name,
    struct tops *t, struct err *err)
{
	struct str text = head_symbol_text(h, name->name);
	bool is_metric = str_eq_c(text, "__name__");
	struct postings values, slots;
	uint64_t bytes = 0;

	if (head_pair_items(h, name, &values, err) == -1)
		return -1;
	for (size_t i = 0; i < values.n; i++) {
		struct head_pair pair;

		if (!head_pair_get(h, values.id[i], &pair))
			return err_set(err, ERR_INTERNAL, "corrupt head: pair");
		if (head_pair_items(h, &pair, &slots, err) == -1)
			return -1;
		struct str value = head_symbol_text(h, pair.value);

		bytes += (uint64_t)value.n * slots.n;
		if (is_metric)
			top_add(&t->metrics, (struct top_item){
			    .count = slots.n, .name = value });
		top_add(&t->pairs, (struct top_item){ slots.n, text, value });
	}
	top_add(&t->names, (struct top_item){ .count = values.n,
	    .name = text });
	top_add(&t->bytes, (struct top_item){ .count = bytes, .name = text });
	return 0;
}

static void
render_top(struct buf *b, const char *key, struct top *t)
{
	qsort(t->v, t->n, sizeof(*t->v), top_order);
	buf_printf(b, ",\"%s\":[", key);
	for (size_t i = 0; i < t->n; i++) {
		const struct top_item *it = &t->v[i];
		struct buf name;

		buf_init(&name, 0);
		buf_add_str(&name, it->name);
		if (it->value.p != NULL) {
			buf_add_byte(&name, '=');
			buf_add_str(&name, it->value);
		}
		buf_add_c(b, i == 0 ? "{\"name\":" : ",{\"name\":");
		json_add_str(b, buf_str(&name), true);
		buf_printf(b, ",\"value\":%llu}",
		    (unsigned long long)it->count);
		buf_clear(&name);
	}
	buf_add_byte(b, ']');
}

static void
render_status(struct buf *b, const struct head_reader *h, struct tops *t)
{
	struct head_figures f;
	struct notes notes = { 0 };

	head_reader_figures(h, &f);
	render_begin(b);
	buf_printf(b, "{\"headStats\":{\"numSeries\":%llu,"
	    "\"numLabelPairs\":%llu,\"chunkCount\":%llu,\"minTime\":%lld,"
	    "\"maxTime\":%lld}", (unsigned long long)f.n_series,
	    (unsigned long long)f.n_label_pairs,
	    (unsigned long long)f.n_chunks, (long long)f.mint_ms,
	    (long long)f.maxt_ms);
	render_top(b, "seriesCountByMetricName", &t->metrics);
	render_top(b, "labelValueCountByLabelName", &t->names);
	render_top(b, "memoryInBytesByLabelName", &t->bytes);
	render_top(b, "seriesCountByLabelValuePair", &t->pairs);
	buf_add_byte(b, '}');
	render_end(b, &notes);
}

static int
walk(const struct head_reader *h, struct tops *t, struct err *err)
{
	struct postings names;

	if (head_names(h, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct head_pair pair;

		if (!head_pair_get(h, names.id[i], &pair))
			return err_set(err, ERR_INTERNAL, "corrupt head: name");
		if (walk_name(h, &pair, t, err) == -1)
			return -1;
	}
	return 0;
}

int
api_tsdb_status(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	struct str s = params_get(&req->params, "limit");
	struct err ignored = ERR_INIT;
	int64_t limit = TOP_DEFAULT;
	struct tops t = { 0 };
	struct top *all[] = { &t.metrics, &t.names, &t.bytes, &t.pairs };
	struct arena mem;
	int rv = 0;

	if (s.n > 0 && (param_int_parse(s, &limit, &ignored) == -1 ||
	    limit < 1))
		return err_set(err, ERR_BAD_DATA,
		    "limit must be a positive number");
	if (limit > TOP_MAX)
		return err_set(err, ERR_BAD_DATA, "limit must not exceed %d",
		    TOP_MAX);
	if (env->head == NULL)
		return err_set(err, ERR_UNAVAILABLE, "TSDB not ready");
	arena_init(&mem, env->memory_limit_bytes);
	for (size_t i = 0; i < 4; i++) {
		all[i]->max = (size_t)limit;
		all[i]->v = arena_array(&mem, (size_t)limit,
		    sizeof(struct top_item));
		if (all[i]->v == NULL)
			rv = err_set(err, ERR_NOMEM, "out of memory");
	}
	if (rv == 0) {
		head_reader_begin(env->head);
		rv = walk(env->head, &t, err);
		if (rv == 0) {
			a->http_status = 200;
			render_status(&a->body.text, env->head, &t);
		}
		head_reader_end(env->head);
	}
	arena_clear(&mem);
	return rv;
}

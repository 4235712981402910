/* SPDX-License-Identifier: ISC */

/* Blocks of a directory → engine → the API's JSON. */

#include "supervisor/ctl/offline.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/float_text.h"
#include "common/histogram/fhist.h"
#include "common/promql/engine.h"
#include "common/promql/result.h"
#include "common/promql/source_block.h"
#include "common/promql/source_merge.h"
#include "common/tsdb/block_dir.h"

struct offline {
	struct block_list	 blocks;
	struct source		**subs;
	struct source		*source;
};

/* --- results as JSON --- */

static json_t *
float_json(double v)
{
	char text[FLOAT_TEXT_MAX];

	return json_stringn(text, float_format_json(v, text));
}

static json_t *
time_json(int64_t t_ms)
{
	return json_real((double)t_ms / 1000);
}

static json_t *
sample_json(int64_t t_ms, json_t *value)
{
	json_t *pair = json_array();

	json_array_append_new(pair, time_json(t_ms));
	json_array_append_new(pair, value);
	return pair;
}

static json_t *
histogram_json(const struct fhist *h)
{
	json_t *o = json_object(), *buckets = json_array(), *b;
	struct hiter it;

	json_object_set_new(o, "count", float_json(h->count));
	json_object_set_new(o, "sum", float_json(h->sum));
	hiter_init(&it, h, HITER_ALL);
	while (hiter_next(&it)) {
		if (it.b.count == 0)
			continue;
		b = json_array();
		/* 0 open left, 1 open right, 2 open both, 3 closed both */
		json_array_append_new(b, json_integer(
		    it.b.lower_inclusive ? (it.b.upper_inclusive ? 3 : 1) :
		    (it.b.upper_inclusive ? 0 : 2)));
		json_array_append_new(b, float_json(it.b.lower));
		json_array_append_new(b, float_json(it.b.upper));
		json_array_append_new(b, float_json(it.b.count));
		json_array_append_new(buckets, b);
	}
	if (json_array_size(buckets) != 0)
		json_object_set(o, "buckets", buckets);
	json_decref(buckets);
	return o;
}

static json_t *
metric_json(const struct promql_result *r, const struct promql_series *s)
{
	json_t *o = json_object();
	struct buf name;
	uint32_t i;

	buf_init(&name, 0);
	for (i = 0; i < s->n_labels; i++) {
		struct str value = promql_result_symbol(r,
		    s->labels[i].value);

		buf_reset(&name);
		buf_add_str(&name, promql_result_symbol(r,
		    s->labels[i].name));
		buf_add_byte(&name, '\0');
		if (!buf_failed(&name))
			json_object_set_new(o, name.p,
			    json_stringn(value.p, value.n));
	}
	buf_clear(&name);
	return o;
}

static json_t *
floats_json(const struct promql_series *s)
{
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; i < s->n_floats; i++)
		json_array_append_new(list, sample_json(s->ft[i],
		    float_json(s->fv[i])));
	return list;
}

static json_t *
histograms_json(const struct promql_series *s)
{
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; i < s->n_hists; i++)
		json_array_append_new(list, sample_json(s->ht[i],
		    histogram_json(s->h[i])));
	return list;
}

static json_t *
series_json(const struct promql_result *r, const struct promql_series *s)
{
	bool many = r->type == PROMQL_RESULT_MATRIX;
	json_t *o = json_object(), *list;

	json_object_set_new(o, "metric", metric_json(r, s));
	if (s->n_floats > 0) {
		list = floats_json(s);
		json_object_set(o, many ? "values" : "value",
		    many ? list : json_array_get(list, 0));
		json_decref(list);
	}
	if (s->n_hists > 0) {
		list = histograms_json(s);
		json_object_set(o, many ? "histograms" : "histogram",
		    many ? list : json_array_get(list, 0));
		json_decref(list);
	}
	return o;
}

static json_t *
result_json(const struct promql_result *r)
{
	json_t *data = json_object(), *result;
	size_t i;

	if (r->type == PROMQL_RESULT_SCALAR)
		result = sample_json(r->t_ms, float_json(r->scalar));
	else if (r->type == PROMQL_RESULT_STRING)
		result = sample_json(r->t_ms,
		    json_stringn(r->string.p, r->string.n));
	else {
		result = json_array();
		for (i = 0; i < r->n_series; i++)
			json_array_append_new(result,
			    series_json(r, &r->series[i]));
	}
	json_object_set_new(data, "resultType",
	    json_string(promql_result_type_name(r->type)));
	json_object_set_new(data, "result", result);
	return data;
}

static void
print_annotations(const struct promql_result *r)
{
	size_t i;

	for (i = 0; i < r->n_warnings; i++)
		fprintf(stderr, "%.*s\n", STR_ARG(r->warnings[i]));
	for (i = 0; i < r->n_infos; i++)
		fprintf(stderr, "%.*s\n", STR_ARG(r->infos[i]));
}

/* --- the directory --- */

static void
offline_close(struct offline *o)
{
	size_t i;

	source_merge_free(o->source);
	for (i = 0; o->subs != NULL && i < o->blocks.n; i++)
		source_block_free(o->subs[i]);
	free(o->subs);
	block_list_close(&o->blocks);
}

static int
offline_open(struct offline *o, const char *data_dir, struct err *err)
{
	size_t i;

	*o = (struct offline){ 0 };
	if (block_list_open(&o->blocks, data_dir, err) == -1)
		return -1;
	o->subs = calloc(o->blocks.n + 1, sizeof(struct source *));
	for (i = 0; o->subs != NULL && i < o->blocks.n; i++)
		if ((o->subs[i] = source_block_new(o->blocks.v[i])) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	if (o->subs != NULL)
		o->source = source_merge_new(o->subs, o->blocks.n);
	return o->source != NULL ? 0 :
	    err_set(err, ERR_NOMEM, "out of memory");
}

json_t *
offline_query(const char *data_dir, struct str query, int64_t start_ms,
    int64_t end_ms, int64_t step_ms, struct err *err)
{
	const struct promql_opts opts = {
		.features = PROMQL_EXPERIMENTAL_FUNCTIONS |
		    PROMQL_EXTENDED_RANGE_SELECTORS | PROMQL_BINOP_FILL };
	struct promql_result *r = NULL;
	json_t *data = NULL;
	struct offline o;

	if (offline_open(&o, data_dir, err) == 0 &&
	    promql_exec(o.source, query, start_ms, end_ms, step_ms, &opts, &r,
	    err) == 0) {
		print_annotations(r);
		data = result_json(r);
		promql_result_free(r);
	}
	offline_close(&o);
	return data;
}

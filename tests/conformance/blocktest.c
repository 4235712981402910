/* SPDX-License-Identifier: ISC */
/*
 * Reads the blocks of the reference's data directories and compares every
 * float sample with the expected ones, up to the end of the newest block
 * (what comes after it is the head's). Usage: blocktest DIR…, each with
 * data/ and expected.json.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/labels/labels.h"
#include "common/promql/source_block.h"
#include "common/promql/source_merge.h"
#include "common/tsdb/block_dir.h"
#include "common/tsdb/chunk_xor.h"

#define BLOCKS_MAX	64
#define SAMPLES_MAX	65535

struct tally { int passed, failed; };

struct reader {
	struct block_list	 blocks;
	struct source		*subs[BLOCKS_MAX];
	struct source		*source;
	struct arena		 a;
	int64_t			 end_ms;	/* of the newest block */
};

static struct str
text(const json_t *v)
{
	return str_from(json_string_value(v), json_string_length(v));
}

static void
reader_close(struct reader *r)
{
	size_t i;

	if (r->source != NULL) {
		r->source->ops->end(r->source);
		source_merge_free(r->source);
	}
	for (i = 0; i < r->blocks.n; i++)
		source_block_free(r->subs[i]);
	block_list_close(&r->blocks);
	arena_clear(&r->a);
}

static int
reader_open(struct reader *r, const char *dir, struct err *err)
{
	char path[4096];
	size_t i;

	*r = (struct reader){ .end_ms = INT64_MIN };
	arena_init(&r->a, 0);
	snprintf(path, sizeof(path), "%s/data", dir);
	if (block_list_open(&r->blocks, path, err) == -1)
		return -1;
	if (r->blocks.n > BLOCKS_MAX)
		return err_set(err, ERR_INTERNAL, "too many blocks");
	for (i = 0; i < r->blocks.n; i++) {
		r->subs[i] = source_block_new(r->blocks.v[i]);
		if (r->blocks.v[i]->maxt_ms > r->end_ms)
			r->end_ms = r->blocks.v[i]->maxt_ms;
	}
	r->source = source_merge_new(r->subs, r->blocks.n);
	return r->source->ops->begin(r->source, &r->a, err);
}

/* The expected series with these labels. */
static json_t *
find_series(const struct reader *r, const json_t *result,
    const struct source_series *s)
{
	size_t i, k;

	for (i = 0; i < json_array_size(result); i++) {
		json_t *e = json_array_get(result, i);
		json_t *metric = json_object_get(e, "metric");

		if (json_object_size(metric) != s->n_labels)
			continue;
		for (k = 0; k < s->n_labels; k++) {
			struct str name = r->source->ops->symbol(r->source,
			    s->labels[k].name);
			struct str value = r->source->ops->symbol(r->source,
			    s->labels[k].value);
			char key[256];

			snprintf(key, sizeof(key), "%.*s", STR_ARG(name));
			if (json_object_get(metric, key) == NULL ||
			    !str_eq(text(json_object_get(metric, key)),
			    value))
				break;
		}
		if (k == s->n_labels)
			return e;
	}
	return NULL;
}

static bool
is_cut(const struct source_series *s, int64_t t)
{
	uint32_t i;

	for (i = 0; i < s->n_tombstones; i++)
		if (s->tombstones[i].mint_ms <= t &&
		    t <= s->tombstones[i].maxt_ms)
			return true;
	return false;
}

static bool
same_sample(const json_t *e, int64_t t, double v)
{
	const json_t *want = json_array_get(e, 1);
	double w = strtod(json_string_value(want), NULL);

	return llround(json_number_value(json_array_get(e, 0)) * 1000) == t &&
	    (w == v || (isnan(w) && isnan(v)));
}

/* All float samples; stale markers are not in the expected result. */
static int
check_samples(const struct reader *r, const json_t *e,
    const struct source_series *s, size_t *n_out, struct err *err)
{
	static int64_t t[SAMPLES_MAX];
	static double v[SAMPLES_MAX];
	const json_t *values = json_object_get(e, "values");
	size_t n = 0;
	uint32_t i, k;

	for (i = 0; i < s->n_spans; i++) {
		const struct chunk_span *c = &s->spans[i];

		if (c->encoding != CHUNK_ENC_XOR)
			continue;
		if (chunk_xor_decode(c->data, c->len_bytes, c->n_samples, t,
		    v) == -1)
			return err_set(err, ERR_INTERNAL, "corrupt chunk");
		for (k = 0; k < c->n_samples; k++) {
			if (is_cut(s, t[k]) || is_stale_nan(v[k]))
				continue;
			if (!same_sample(json_array_get(values, n), t[k],
			    v[k]))
				return err_set(err, ERR_INTERNAL,
				    "sample %zu: got %lld %.17g", n,
				    (long long)t[k], v[k]);
			n++;
		}
	}
	*n_out = n;
	if (n < json_array_size(values) && llround(json_number_value(
	    json_array_get(json_array_get(values, n), 0)) * 1000) < r->end_ms)
		return err_set(err, ERR_INTERNAL, "%zu samples are missing",
		    json_array_size(values) - n);
	return 0;
}

static int
check_all(struct reader *r, const json_t *result, size_t *series,
    size_t *samples, struct err *err)
{
	const struct source_ops *ops = r->source->ops;
	struct source_hints hints = { .mint_ms = INT64_MIN,
	    .maxt_ms = INT64_MAX };
	struct source_cursor *c;
	struct source_series s;
	size_t n = 0;
	int got;

	if (ops->select(r->source, NULL, 0, &hints, &c, err) == -1)
		return -1;
	while ((got = ops->next(c, &s, err)) == 1) {
		json_t *e = find_series(r, result, &s);

		if (e == NULL)
			return err_set(err, ERR_INTERNAL,
			    "a series that is not expected");
		if (check_samples(r, e, &s, &n, err) == -1)
			return -1;
		*samples += n;
		++*series;
	}
	return got;
}

static void
run(struct tally *t, const char *dir)
{
	size_t series = 0, samples = 0;
	struct err err = ERR_INIT;
	json_error_t jerr;
	struct reader r;
	char path[4096];
	json_t *want;

	snprintf(path, sizeof(path), "%s/expected.json", dir);
	want = json_load_file(path, 0, &jerr);
	if (want == NULL || reader_open(&r, dir, &err) == -1 ||
	    check_all(&r, json_object_get(want, "result"), &series, &samples,
	    &err) == -1) {
		printf("%s: %s\n", dir, want == NULL ? jerr.text : err.text);
		t->failed++;
	} else {
		printf("%s: %zu series, %zu float samples in %zu blocks\n",
		    dir, series, samples, r.blocks.n);
		t->passed++;
	}
	if (want != NULL)
		reader_close(&r);
	json_decref(want);
}

int
main(int argc, char **argv)
{
	struct tally t = { 0 };
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: blocktest DIR...\n");
		return 2;
	}
	for (i = 1; i < argc; i++)
		run(&t, argv[i]);
	printf("%d passed, %d failed\n", t.passed, t.failed);
	return t.failed == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: ISC */
/*
 * Blocks as a source, over blocks made by block_build.h: matching against a
 * naive twin, tombstones, both index versions, merging; and what a change of
 * any bit, or any truncation, leads to.
 */

#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/promql/engine.h"
#include "common/promql/source_block.h"
#include "common/promql/source_merge.h"
#include "tests/unit/promql/block_build.h"

#define ULID	"01H5YK8Q0000000000000000AA"
#define T0	1700000000000LL
#define STEP	15000LL

static int
memory_fd(const void *p, size_t n)
{
	int fd = memfd_create("block", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, p, n), n);
	return fd;
}

/* A block of the three files' first n bytes. */
static struct block_reader *
open_block(const struct build *b, const size_t n[3], struct err *err)
{
	struct block_reader *r;
	int segment, i, fd[3];
	struct block_fds fds;

	for (i = 0; i < 3; i++)
		fd[i] = memory_fd(b->file[i].p, n[i]);
	segment = fd[1];
	fds = (struct block_fds){ .index = fd[0], .tombstones = fd[2],
	    .segments = &segment, .n_segments = 1 };
	r = block_reader_open(STR_LIT(ULID), T0, T0 + 7200000, &fds, err);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	return r;
}

static struct block_reader *
open_whole(const struct build *b)
{
	size_t n[3] = { b->file[0].n, b->file[1].n, b->file[2].n };
	struct err err = ERR_INIT;
	struct block_reader *r = open_block(b, n, &err);

	assert_non_null(r);
	return r;
}

static char names[BUILD_SERIES_MAX][32];

/* m{i="…", job="a" or "b"}; every fourth without job; two chunks each. */
static void
make(struct build *b, int version, size_t n)
{
	size_t i;

	build_init(b, version);
	for (i = 0; i < n; i++) {
		struct build_series *s = &b->series[b->n_series++];

		snprintf(names[i], sizeof(names[i]), "i%02zu", i);
		s->label[0][0] = "__name__";
		s->label[0][1] = "m";
		s->label[1][0] = "i";
		s->label[1][1] = names[i];
		s->n_labels = 2;
		if (i % 4 != 0) {
			s->label[2][0] = "job";
			s->label[2][1] = i % 2 ? "a" : "b";
			s->n_labels = 3;
		}
		build_chunk(b, s, T0, STEP, 5, (double)i);
		build_chunk(b, s, T0 + 5 * STEP, STEP, 7, 100);
	}
	build_finish(b);
}

struct read_all {
	size_t	 n_series;
	size_t	 n_samples;
	double	 sum;
	char	 seen[2048];	/* values of i, in order */
};

static int
read_series(struct source *src, const struct source_series *s,
    struct read_all *out)
{
	static int64_t t[65536];
	static double v[65536];
	uint32_t i, k, j;

	out->n_series++;
	for (i = 0; i < s->n_labels; i++) {
		struct str name = src->ops->symbol(src, s->labels[i].name);
		struct str value = src->ops->symbol(src, s->labels[i].value);

		if (str_eq_c(name, "i") && strlen(out->seen) + value.n + 2 <
		    sizeof(out->seen))
			sprintf(out->seen + strlen(out->seen), "%.*s ",
			    STR_ARG(value));
	}
	for (i = 0; i < s->n_spans; i++) {
		const struct chunk_span *c = &s->spans[i];

		if (c->encoding != CHUNK_ENC_XOR ||
		    chunk_xor_decode(c->data, c->len_bytes, c->n_samples, t,
		    v) == -1)
			return -1;
		for (k = 0; k < c->n_samples; k++) {
			bool cut = false;

			for (j = 0; j < s->n_tombstones; j++)
				cut |= s->tombstones[j].mint_ms <= t[k] &&
				    t[k] <= s->tombstones[j].maxt_ms;
			if (!cut) {
				out->n_samples++;
				out->sum += v[k];
			}
		}
	}
	return 0;
}

static int
read_source(struct source *src, const struct matcher *const *m, size_t n,
    const struct source_hints *hints, struct read_all *out, struct err *err)
{
	struct source_cursor *c;
	struct source_series s;
	struct arena a;
	int got;

	memset(out, 0, sizeof(*out));
	arena_init(&a, 0);
	got = src->ops->begin(src, &a, err);
	if (got == 0) {
		got = src->ops->select(src, m, n, hints, &c, err);
		if (got == 0)
			while ((got = src->ops->next(c, &s, err)) == 1)
				if (read_series(src, &s, out) == -1) {
					got = -1;
					break;
				}
		src->ops->end(src);
	}
	arena_clear(&a);
	return got;
}

static const struct source_hints all_time = { .mint_ms = INT64_MIN,
	.maxt_ms = INT64_MAX };

/* --- matching --- */

static bool
naive_match(const struct build_series *s, const struct matcher *m)
{
	size_t i;

	for (i = 0; i < s->n_labels; i++)
		if (str_eq_c(m->name, s->label[i][0]))
			return matcher_matches(m, str_c(s->label[i][1]));
	return matcher_matches_empty(m);
}

static void
assert_match(const struct build *b, struct source *src,
    const struct matcher *x, const struct matcher *y)
{
	const struct matcher *m[] = { x, y };
	struct err err = ERR_INIT;
	struct read_all got;
	char want[2048] = "";
	size_t i;

	for (i = 0; i < b->n_series; i++)
		if (naive_match(&b->series[i], x) &&
		    naive_match(&b->series[i], y))
			sprintf(want + strlen(want), "%s ",
			    b->series[i].label[1][1]);
	assert_int_equal(read_source(src, m, 2, &all_time, &got, &err), 0);
	assert_string_equal(got.seen, want);
}

static void
test_match(void **state)
{
	static const struct { enum matcher_type type;
	    const char *name, *value; } specs[] = {
		{ MATCH_EQUAL, "__name__", "m" },
		{ MATCH_EQUAL, "__name__", "other" },
		{ MATCH_EQUAL, "job", "a" }, { MATCH_EQUAL, "job", "" },
		{ MATCH_EQUAL, "none", "" }, { MATCH_EQUAL, "none", "x" },
		{ MATCH_NOT_EQUAL, "job", "a" },
		{ MATCH_NOT_EQUAL, "job", "" },
		{ MATCH_REGEXP, "job", "a|b" }, { MATCH_REGEXP, "job", "a|" },
		{ MATCH_REGEXP, "job", ".*" }, { MATCH_REGEXP, "i", "i1.*" },
		{ MATCH_REGEXP, "i", ".*3" }, { MATCH_REGEXP, "i", "i0[2-5]" },
		{ MATCH_REGEXP, "i", "i33|i34|i35|zz" },
		{ MATCH_NOT_REGEXP, "i", "i1.*" },
		{ MATCH_NOT_REGEXP, "job", "a|b" },
		{ MATCH_NOT_REGEXP, "job", ".*" },
		{ MATCH_NOT_REGEXP, "none", ".+" } };
	enum { N = sizeof(specs) / sizeof(specs[0]) };
	static struct build b;
	struct matcher m[N];
	struct err err = ERR_INIT;
	int version;
	size_t i, k;

	(void)state;
	for (i = 0; i < N; i++)
		assert_int_equal(matcher_init(&m[i], specs[i].type,
		    str_c(specs[i].name), str_c(specs[i].value), &err), 0);
	for (version = 1; version <= 2; version++) {
		struct block_reader *r;
		struct source *src;

		make(&b, version, 50);
		r = open_whole(&b);
		src = source_block_new(r);
		for (i = 0; i < N; i++)
			for (k = 0; k < N; k++)
				assert_match(&b, src, &m[i], &m[k]);
		source_block_free(src);
		block_reader_close(r);
		build_clear(&b);
	}
	for (i = 0; i < N; i++)
		matcher_clear(&m[i]);
}

/* --- ranges, tombstones, names and values --- */

static void
test_range(void **state)
{
	struct source_hints hints = { .mint_ms = T0 + 5 * STEP,
	    .maxt_ms = T0 + 6 * STEP };
	struct err err = ERR_INIT;
	struct read_all got;
	struct block_reader *r;
	struct source *src;
	static struct build b;

	(void)state;
	make(&b, 2, 3);
	r = open_whole(&b);
	src = source_block_new(r);
	assert_int_equal(read_source(src, NULL, 0, &hints, &got, &err), 0);
	assert_int_equal(got.n_samples, 3 * 7);
	hints.limit = 2;
	assert_int_equal(read_source(src, NULL, 0, &hints, &got, &err), 0);
	assert_int_equal(got.n_series, 2);
	hints.series_only = true;
	assert_int_equal(read_source(src, NULL, 0, &hints, &got, &err), 0);
	assert_int_equal(got.n_series, 2);
	assert_int_equal(got.n_samples, 0);
	hints = (struct source_hints){ .mint_ms = T0 + 7200000,
	    .maxt_ms = INT64_MAX };
	assert_int_equal(read_source(src, NULL, 0, &hints, &got, &err), 0);
	assert_int_equal(got.n_series, 0);
	source_block_free(src);
	block_reader_close(r);
	build_clear(&b);
}

static void
test_tombstones(void **state)
{
	struct err err = ERR_INIT;
	struct read_all got;
	struct block_reader *r;
	struct source *src;
	static struct build b, t;

	(void)state;
	/* Ids are the same with and without tombstones. */
	make(&b, 2, 3);
	build_init(&t, 2);
	build_tombstone(&t, b.series[1].id, T0 + 4 * STEP, INT64_MAX);
	build_tombstone(&t, b.series[0].id, T0 + 2 * STEP, T0 + 3 * STEP);
	build_tombstone(&t, b.series[0].id, T0, T0 + 2 * STEP - 1);
	build_tombstone(&t, b.series[2].id, INT64_MIN, INT64_MAX);
	build_add_crc(&t, 2, 5);
	buf_clear(&b.file[2]);
	b.file[2] = t.file[2];
	r = open_whole(&b);
	assert_int_equal(r->tombstones.n, 3);
	src = source_block_new(r);
	assert_int_equal(read_source(src, NULL, 0, &all_time, &got, &err), 0);
	assert_int_equal(got.n_series, 2);
	assert_int_equal(got.n_samples, 8 + 4);
	source_block_free(src);
	block_reader_close(r);
	build_clear(&b);
	buf_clear(&t.file[1]);
}

static void
assert_texts(const struct str *v, size_t n, const char *want)
{
	char got[2048] = "";
	size_t i;

	for (i = 0; i < n; i++)
		sprintf(got + strlen(got), "%.*s ", STR_ARG(v[i]));
	assert_string_equal(got, want);
}

static void
check_labels(struct source *src)
{
	struct matcher m;
	const struct matcher *pm = &m;
	struct err err = ERR_INIT;
	struct arena a;
	struct str *v;
	size_t n;

	arena_init(&a, 0);
	assert_int_equal(src->ops->begin(src, &a, &err), 0);
	assert_int_equal(matcher_init(&m, MATCH_EQUAL, STR_LIT("i"),
	    STR_LIT("i04"), &err), 0);
	assert_int_equal(src->ops->label_names(src, NULL, 0, &all_time, &v,
	    &n, &err), 0);
	assert_texts(v, n, "__name__ i job ");
	assert_int_equal(src->ops->label_names(src, &pm, 1, &all_time, &v,
	    &n, &err), 0);
	assert_texts(v, n, "__name__ i ");
	assert_int_equal(src->ops->label_values(src, STR_LIT("job"), NULL, 0,
	    &all_time, &v, &n, &err), 0);
	assert_texts(v, n, "a b ");
	assert_int_equal(src->ops->label_values(src, STR_LIT("i"), &pm, 1,
	    &all_time, &v, &n, &err), 0);
	assert_texts(v, n, "i04 ");
	assert_int_equal(src->ops->label_values(src, STR_LIT("no"), &pm, 1,
	    &all_time, &v, &n, &err), 0);
	assert_int_equal(n, 0);
	src->ops->end(src);
	matcher_clear(&m);
	arena_clear(&a);
}

static void
test_labels(void **state)
{
	static struct build b;
	int version;

	(void)state;
	for (version = 1; version <= 2; version++) {
		struct block_reader *r;
		struct source *src;

		make(&b, version, 7);
		r = open_whole(&b);
		src = source_block_new(r);
		check_labels(src);
		source_block_free(src);
		block_reader_close(r);
		build_clear(&b);
	}
}

/* --- merging --- */

/* Two blocks: the same series, and two more in the second one. */
static void
test_merge(void **state)
{
	struct err err = ERR_INIT;
	struct block_reader *r[2];
	struct source *src[2], *merge;
	struct read_all got;
	static struct build b, c;
	struct source_hints hints = all_time;

	(void)state;
	make(&b, 2, 5);
	make(&c, 1, 7);
	r[0] = open_whole(&b);
	r[1] = open_whole(&c);
	src[0] = source_block_new(r[0]);
	src[1] = source_block_new(r[1]);
	merge = source_merge_new(src, 2);
	assert_int_equal(read_source(merge, NULL, 0, &all_time, &got, &err),
	    0);
	assert_int_equal(got.n_series, 7);
	assert_int_equal(got.n_samples, (5 + 7) * 12);
	check_labels(merge);
	hints.limit = 6;
	assert_int_equal(read_source(merge, NULL, 0, &hints, &got, &err), 0);
	assert_int_equal(got.n_series, 6);
	assert_int_equal(source_merge_set(merge, src + 1, 1), 0);
	assert_int_equal(read_source(merge, NULL, 0, &all_time, &got, &err),
	    0);
	assert_int_equal(got.n_samples, 7 * 12);
	assert_string_equal(got.seen, "i00 i01 i02 i03 i04 i05 i06 ");
	source_merge_free(merge);
	source_block_free(src[0]);
	source_block_free(src[1]);
	block_reader_close(r[0]);
	block_reader_close(r[1]);
	build_clear(&b);
	build_clear(&c);
}

/* Two blocks with the same samples: what is deleted in one is in the other. */
static void
test_merge_tombstones(void **state)
{
	struct promql_opts opts = { 0 };
	struct err err = ERR_INIT;
	struct promql_result *res;
	struct block_reader *r[2];
	struct source *src[2], *merge;
	static struct build b, c, t;

	(void)state;
	make(&b, 2, 3);
	make(&c, 2, 3);
	build_init(&t, 2);
	build_tombstone(&t, b.series[0].id, T0 + 2 * STEP, T0 + 3 * STEP);
	build_add_crc(&t, 2, 5);
	buf_clear(&b.file[2]);
	b.file[2] = t.file[2];
	r[0] = open_whole(&b);
	r[1] = open_whole(&c);
	for (int i = 0; i < 2; i++)
		src[i] = source_block_new(r[i]);
	merge = source_merge_new(src, 2);
	assert_int_equal(promql_exec(merge,
	    STR_LIT("sum(count_over_time(m[1h]))"), T0 + 3000000,
	    T0 + 3000000, 0, &opts, &res, &err), 0);
	assert_int_equal(res->n_series, 1);
	assert_true(res->series[0].fv[0] == 3 * 12);
	promql_result_free(res);
	source_merge_free(merge);
	for (int i = 0; i < 2; i++) {
		source_block_free(src[i]);
		block_reader_close(r[i]);
	}
	build_clear(&b);
	build_clear(&c);
	buf_clear(&t.file[1]);
}

/* --- hostile bytes --- */

/* Reads everything: an error, or exactly what was written. */
static void
assert_right_or_error(const struct build *b, const size_t n[3],
    const struct read_all *want)
{
	struct err err = ERR_INIT;
	struct block_reader *r = open_block(b, n, &err);
	struct read_all got;
	struct source *src;
	int rc;

	if (r == NULL)
		return;
	src = source_block_new(r);
	rc = read_source(src, NULL, 0, &all_time, &got, &err);
	if (rc == 0) {
		assert_int_equal(got.n_series, want->n_series);
		assert_int_equal(got.n_samples, want->n_samples);
		assert_true(got.sum == want->sum);
		assert_string_equal(got.seen, want->seen);
	}
	source_block_free(src);
	block_reader_close(r);
}

static void
make_small(struct build *b, struct read_all *want)
{
	struct err err = ERR_INIT;
	struct block_reader *r;
	struct source *src;

	make(b, 2, 2);
	r = open_whole(b);
	src = source_block_new(r);
	assert_int_equal(read_source(src, NULL, 0, &all_time, want, &err),
	    0);
	source_block_free(src);
	block_reader_close(r);
}

static void
test_bit_flips(void **state)
{
	struct read_all want;
	static struct build b;
	size_t i, n[3];
	int f, bit;

	(void)state;
	make_small(&b, &want);
	for (f = 0; f < 3; f++)
		n[f] = b.file[f].n;
	for (f = 0; f < 3; f++)
		for (i = 0; i < n[f]; i++)
			for (bit = 0; bit < 8; bit++) {
				b.file[f].p[i] ^= (char)(1 << bit);
				/* the version is not covered by a crc */
				if (f != 0 || i != 4)
					assert_right_or_error(&b, n, &want);
				b.file[f].p[i] ^= (char)(1 << bit);
			}
	build_clear(&b);
}

static void
test_truncation(void **state)
{
	struct read_all want;
	static struct build b;
	size_t i, n[3];
	int f;

	(void)state;
	make_small(&b, &want);
	for (f = 0; f < 3; f++)
		for (i = 0; i < b.file[f].n; i++) {
			n[0] = b.file[0].n;
			n[1] = b.file[1].n;
			n[2] = b.file[2].n;
			n[f] = i;
			/* No tombstones file at all is a right one. */
			assert_right_or_error(&b, n, &want);
		}
	build_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_tombstones),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_tombstones),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/*
 * Merging of sources that are lists of texts, in order and not: the order of
 * what comes out, whose chunks a series has, limits, and a source that lies
 * about its order.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/promql/source_merge.h"

/* m{i="…"} for each text. */
struct fake {
	struct source		 source;	/* first */
	struct source_ops	 ops;
	const char		*values[8];
	size_t			 n, at;
	int64_t			 mint_ms;
	struct label_sym	 labels[2];
	struct chunk_span	 span;
	struct source_tombstone	 tomb;
};

static struct source_cursor {
	struct fake	*f;
} cursors[4];

static struct str
fake_symbol(const struct source *s, uint32_t sym)
{
	const struct fake *f = (const struct fake *)s;

	return sym == 0 ? STR_LIT("__name__") : sym == 1 ? STR_LIT("m") :
	    sym == 2 ? STR_LIT("i") : str_c(f->values[sym - 3]);
}

static int
fake_begin(struct source *s, struct arena *a, struct err *err)
{
	(void)s;
	(void)a;
	(void)err;
	return 0;
}

static void
fake_end(struct source *s)
{
	(void)s;
}

static int
fake_select(struct source *s, const struct matcher *const *m, size_t n,
    const struct source_hints *hints, struct source_cursor **out,
    struct err *err)
{
	struct fake *f = (struct fake *)s;

	(void)m;
	(void)n;
	(void)hints;
	(void)err;
	f->at = 0;
	*out = &cursors[f->mint_ms / 1000];
	(*out)->f = f;
	return 0;
}

static size_t
fake_cursor_n(const struct source_cursor *c)
{
	return c->f->n;
}

static int
fake_next(struct source_cursor *c, struct source_series *out, struct err *err)
{
	struct fake *f = c->f;

	(void)err;
	if (f->at == f->n)
		return 0;
	f->labels[0] = (struct label_sym){ 0, 1 };
	f->labels[1] = (struct label_sym){ 2, 3 + (uint32_t)f->at++ };
	f->span = (struct chunk_span){ .mint_ms = f->mint_ms,
	    .maxt_ms = f->mint_ms + 10 };
	f->tomb = (struct source_tombstone){ f->mint_ms, f->mint_ms, 0 };
	*out = (struct source_series){ .labels = f->labels, .n_labels = 2,
	    .spans = &f->span, .n_spans = 1, .tombstones = &f->tomb,
	    .n_tombstones = 1 };
	return 1;
}

static void
fake_init(struct fake *f, bool sorted, int64_t mint_ms, const char *values)
{
	static char texts[4][64];
	char *p = texts[mint_ms / 1000], *save = NULL;

	memset(f, 0, sizeof(*f));
	f->ops = (struct source_ops){ .sorted = sorted, .begin = fake_begin,
	    .end = fake_end, .select = fake_select,
	    .cursor_n = fake_cursor_n, .next = fake_next,
	    .symbol = fake_symbol };
	f->source.ops = &f->ops;
	f->mint_ms = mint_ms;
	snprintf(p, sizeof(texts[0]), "%s", values);
	for (p = strtok_r(p, " ", &save); p != NULL;
	    p = strtok_r(NULL, " ", &save))
		f->values[f->n++] = p;
}

/* "i:mint of each span," of all that comes out; "error" at an error. */
static void
read_all(struct source *s, uint32_t limit, char out[1024])
{
	struct source_hints hints = { .limit = limit };
	struct err err = ERR_INIT;
	struct source_series got;
	struct source_cursor *c;
	struct arena a;
	int rc;

	*out = '\0';
	arena_init(&a, 0);
	assert_int_equal(s->ops->begin(s, &a, &err), 0);
	assert_int_equal(s->ops->select(s, NULL, 0, &hints, &c, &err), 0);
	while ((rc = s->ops->next(c, &got, &err)) == 1) {
		struct str v = s->ops->symbol(s, got.labels[1].value);

		sprintf(out + strlen(out), " %.*s", STR_ARG(v));
		for (uint32_t i = 0; i < got.n_spans; i++) {
			sprintf(out + strlen(out), ":%d",
			    (int)got.spans[i].mint_ms);
			/* each has the tombstone of its own source */
			for (uint32_t k = 0; k < got.n_tombstones; k++)
				assert_int_equal(got.tombstones[k].origin ==
				    got.spans[i].origin,
				    got.tombstones[k].mint_ms ==
				    got.spans[i].mint_ms);
		}
	}
	if (rc == -1)
		sprintf(out + strlen(out), " %.90s", err.text);
	s->ops->end(s);
	arena_clear(&a);
}

static void
test_order(void **state)
{
	struct source *subs[3], *m;
	struct fake f[3];
	char got[1024];

	(void)state;
	fake_init(&f[0], true, 0, "a c e");
	fake_init(&f[1], true, 1000, "b c d");
	fake_init(&f[2], false, 2000, "e f b aa c");
	for (size_t i = 0; i < 3; i++)
		subs[i] = &f[i].source;
	m = source_merge_new(subs, 3);
	read_all(m, 0, got);
	assert_string_equal(got, " a:0 aa:2000 b:1000:2000 c:0:1000:2000 "
	    "d:1000 e:0:2000 f:2000");
	read_all(m, 3, got);
	assert_string_equal(got, " a:0 aa:2000 b:1000:2000");
	/* one alone passes as it is */
	assert_int_equal(source_merge_set(m, subs + 2, 1), 0);
	read_all(m, 2, got);
	assert_string_equal(got, " e:2000 f:2000");
	source_merge_free(m);
}

/* The same labels twice in a source without order are one series. */
static void
test_twice(void **state)
{
	struct source *subs[2], *m;
	struct fake f[2];
	char got[1024];

	(void)state;
	fake_init(&f[0], true, 0, "a b");
	fake_init(&f[1], false, 1000, "c b a b");
	subs[0] = &f[0].source;
	subs[1] = &f[1].source;
	m = source_merge_new(subs, 2);
	read_all(m, 0, got);
	assert_string_equal(got, " a:0:1000 b:0:1000:1000 c:1000");
	source_merge_free(m);
}

static void
test_wrong_order(void **state)
{
	struct source *subs[2], *m;
	struct fake f[2];
	char got[1024];

	(void)state;
	fake_init(&f[0], true, 0, "a c b");
	fake_init(&f[1], true, 1000, "a");
	subs[0] = &f[0].source;
	subs[1] = &f[1].source;
	m = source_merge_new(subs, 2);
	read_all(m, 0, got);
	assert_string_equal(got, " a:0:1000 c:0 corrupt index: series are "
	    "not in the order of their labels");
	source_merge_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_wrong_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

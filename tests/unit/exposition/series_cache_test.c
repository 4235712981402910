/* SPDX-License-Identifier: ISC */
/* The cache of exposed lines against a naive twin under random bodies. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/exposition/series_cache.h"

#define N_NAMES 3000

struct twin {
	bool	now[N_NAMES], before[N_NAMES];
	int	id[N_NAMES];		/* -1 = unknown to the twin */
	bool	known[N_NAMES];
	bool	vanished[N_NAMES];
	int	next_id;
};

static int
name_of(struct str text)
{
	return atoi(text.p + 2);
}

struct seen {
	struct series_cache *c;
	struct twin	*t;
	int		 n;
};

static void
on_vanished(void *arg, struct cached_line *l)
{
	struct seen *s = arg;
	int name = name_of(series_cache_text(s->c, l));

	assert_false(s->t->vanished[name]);
	s->t->vanished[name] = true;
	s->n++;
}

static void
on_gone(void *arg, struct cached_line *l)
{
	struct seen *s = arg;
	int name;

	if (l->kind == CACHED_META)
		return;
	name = name_of(series_cache_text(s->c, l));
	assert_int_equal(l->id, s->t->id[name]);
	s->t->id[name] = -1;
}

/* One body; bad: it ends in a line that does not parse. */
static void
scrape(struct series_cache *c, struct twin *t, struct buf *body, bool bad)
{
	struct seen s = { c, t, 0 };
	struct cached_line *line;
	struct expo_parser p;
	struct err err = ERR_INIT;
	enum expo_entry e;
	int n = 0;

	expo_parser_init(&p);
	expo_parser_start(&p, EXPO_TEXT, str_from(body->p, body->n - 1), 0);
	series_cache_begin(c);
	while ((e = series_cache_next(c, &p, &line, &err)) > EXPO_END) {
		bool had_id;
		int name;

		if (e != EXPO_SERIES)
			continue;
		n++;
		name = name_of(p.series);
		assert_true(p.value == name * 2);
		assert_int_equal(line != NULL, t->known[name]);
		if (line == NULL) {
			line = series_cache_add(c, &p, CACHED_SAMPLE, &had_id);
			assert_non_null(line);
			assert_int_equal(had_id, t->id[name] != -1);
			if (!had_id)
				line->id = (uint32_t)(t->id[name] =
				    t->next_id++);
			line->labels_hash = (uint64_t)name * 7919;
			t->known[name] = true;
		}
		assert_int_equal(line->id, t->id[name]);
		assert_true(str_eq(series_cache_text(c, line), p.series));
		series_cache_track(c, line);
		t->now[name] = true;
	}
	assert_int_equal(e, bad ? EXPO_ERROR : EXPO_END);
	memset(t->vanished, 0, sizeof(t->vanished));
	series_cache_vanished(c, on_vanished, &s);
	for (int i = 0; i < N_NAMES; i++)
		assert_int_equal(t->vanished[i], t->before[i] && !t->now[i]);
	assert_false(series_cache_end(c, !bad, on_gone, &s));
	if (!bad)
		for (int i = 0; i < N_NAMES; i++)
			t->known[i] = t->now[i];
	memcpy(t->before, t->now, sizeof(t->now));
	memset(t->now, 0, sizeof(t->now));
	expo_parser_clear(&p);
}

static void
test_twin(void **state)
{
	struct series_cache c;
	static struct twin t;
	struct buf body;
	unsigned int seed = 7;
	bool in[N_NAMES] = { false };

	(void)state;
	for (int i = 0; i < N_NAMES; i++)
		t.id[i] = -1;
	series_cache_init(&c);
	buf_init(&body, 0);
	for (int round = 0; round < 150; round++) {
		bool bad = rand_r(&seed) % 8 == 0;
		int from = rand_r(&seed) % N_NAMES;
		int churn = rand_r(&seed) % 10 == 0 ? N_NAMES : 20;

		for (int i = 0; i < churn; i++)
			in[rand_r(&seed) % N_NAMES] = rand_r(&seed) % 2;
		buf_reset(&body);
		buf_add_c(&body, "# TYPE x gauge\n");
		for (int i = 0; i < N_NAMES; i++) {
			int name = (i + (round % 9 == 0 ? from : 0)) % N_NAMES;

			if (in[name])
				buf_printf(&body, "m_%d{a=\"b\"} %d\n", name,
				    name * 2);
			if (i % 500 == 0)
				buf_printf(&body, "# HELP x%d y\n", i);
		}
		if (bad)
			buf_add_c(&body, "m_x{ 1\n");
		buf_add_c(&body, "\n");
		scrape(&c, &t, &body, bad);
	}
	buf_clear(&body);
	series_cache_clear(&c);
}

static void
test_duplicates(void **state)
{
	char body[] = "a{b=\"1\"} 1\na{b=\"1\",} 2\na{b=\"1\"} 3\n\n";
	struct series_cache c;
	struct cached_line *line;
	struct expo_parser p;
	struct err err = ERR_INIT;
	bool had_id;
	struct seen s;
	static struct twin t;

	(void)state;
	expo_parser_init(&p);
	series_cache_init(&c);
	expo_parser_start(&p, EXPO_TEXT, str_from(body, strlen(body) - 1), 0);
	series_cache_begin(&c);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(series_cache_next(&c, &p, &line, &err),
		    EXPO_SERIES);
		assert_null(line);
		line = series_cache_add(&c, &p, CACHED_SAMPLE, &had_id);
		assert_false(c.again);
		line->labels_hash = 5;
		series_cache_track(&c, line);
	}
	assert_int_equal(series_cache_next(&c, &p, &line, &err), EXPO_SERIES);
	assert_non_null(line);
	assert_true(c.again);
	assert_int_equal(series_cache_next(&c, &p, &line, &err), EXPO_END);
	assert_false(series_cache_end(&c, true, NULL, NULL));

	/* one spelling of the series goes: the series is still there */
	body[strlen("a{b=\"1\"} 1\n")] = '\n';
	expo_parser_start(&p, EXPO_TEXT,
	    str_from(body, strlen("a{b=\"1\"} 1")), 0);
	series_cache_begin(&c);
	assert_int_equal(series_cache_next(&c, &p, &line, &err), EXPO_SERIES);
	series_cache_track(&c, line);
	s = (struct seen){ &c, &t, 0 };
	series_cache_vanished(&c, on_vanished, &s);
	assert_int_equal(s.n, 0);
	expo_parser_clear(&p);
	series_cache_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_duplicates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

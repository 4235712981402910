/* SPDX-License-Identifier: ISC */
/* Grammar, labels and the fast float path of the exposition formats. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/float_text.h"
#include "common/base/hash.h"
#include "common/exposition/exposition.h"

/* body is a literal whose terminating NUL is replaced by the newline. */
static void
start(struct expo_parser *p, char *copy, const char *body,
    enum expo_format format)
{
	size_t n = strlen(body);

	memcpy(copy, body, n);
	copy[n] = '\n';
	expo_parser_start(p, format, str_from(copy, n), 0);
}

static void
check_series(struct expo_parser *p, const char *series, double v)
{
	struct err err = ERR_INIT;

	assert_int_equal(expo_next(p, &err), EXPO_SERIES);
	assert_true(str_eq_c(p->series, series));
	assert_true(p->value == v);
}

static void
test_text(void **state)
{
	struct expo_parser p;
	struct err err = ERR_INIT;
	char body[512];

	(void)state;
	expo_parser_init(&p);
	start(&p, body, "# HELP a Some\\nhelp\n# TYPE a counter\n\na 1\n"
	    "a{b=\"c\"} 2.5 1000\n\n  # remark\nb -3e+02", EXPO_TEXT);
	assert_int_equal(expo_next(&p, &err), EXPO_HELP);
	assert_true(str_eq_c(p.name, "a"));
	assert_true(str_eq_c(p.text, "Some\\nhelp"));
	assert_int_equal(expo_next(&p, &err), EXPO_TYPE);
	assert_int_equal(p.type, METRIC_COUNTER);
	assert_true(str_eq_c(expo_line(&p), "# TYPE a counter\n"));
	check_series(&p, "a", 1);
	assert_false(p.has_ts);
	check_series(&p, "a{b=\"c\"}", 2.5);
	assert_true(p.has_ts);
	assert_int_equal(p.ts_ms, 1000);
	assert_int_equal(expo_next(&p, &err), EXPO_COMMENT);
	check_series(&p, "b", -300);
	assert_int_equal(expo_next(&p, &err), EXPO_END);
	expo_parser_clear(&p);
}

static void
check_labels(struct expo_parser *p, const char *want)
{
	struct err err = ERR_INIT;
	struct labels ls;
	struct arena a;
	struct buf b;

	arena_init(&a, 0);
	buf_init(&b, 0);
	assert_int_equal(expo_next(p, &err), EXPO_SERIES);
	assert_int_equal(expo_labels(p, &a, &ls, &err), 0);
	for (size_t i = 0; i < ls.n; i++)
		buf_printf(&b, "%.*s=%.*s;", STR_ARG(ls.l[i].name),
		    STR_ARG(ls.l[i].value));
	buf_add_byte(&b, 0);
	assert_string_equal(b.p, want);
	buf_clear(&b);
	arena_clear(&a);
}

static void
test_labels(void **state)
{
	struct expo_parser p;
	struct err err = ERR_INIT;
	char body[1024];

	(void)state;
	expo_parser_init(&p);
	start(&p, body, "x{z=\"1\",a=\"q\\\"\\\\\\n\\t\"} 1\n"
	    "{\"a.b\",\"c d\"=\"e\"} 1\n"
	    "dup{a=\"2\",a=\"1\",e=\"\"} 1\n"
	    "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
	    "h_bucket{le=\"1e6\"} 1\nh_bucket{le=\"+Inf\"} 1\n"
	    "h_bucket{le=\"0.0050\"} 1\n", EXPO_TEXT);
	check_labels(&p, "__name__=x;a=q\"\\\n\\t;z=1;");
	check_labels(&p, "__name__=a.b;c d=e;");
	check_labels(&p, "__name__=dup;a=2;a=1;e=;");
	assert_int_equal(expo_next(&p, &err), EXPO_TYPE);
	check_labels(&p, "__name__=h_bucket;le=1.0;");
	check_labels(&p, "__name__=h_bucket;le=1e+06;");
	check_labels(&p, "__name__=h_bucket;le=+Inf;");
	check_labels(&p, "__name__=h_bucket;le=0.005;");
	expo_parser_clear(&p);
}

static void
test_many_labels(void **state)
{
	struct expo_parser p;
	struct err err = ERR_INIT;
	struct labels ls;
	struct arena a;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_add_c(&b, "m{");
	for (int i = 0; i < 500; i++)
		buf_printf(&b, "l%d=\"%d\",", (i * 37) % 500, i);
	buf_add_c(&b, "} 1");
	buf_add_byte(&b, '\n');
	expo_parser_init(&p);
	expo_parser_start(&p, EXPO_TEXT, str_from(b.p, b.n - 1), 0);
	arena_init(&a, 0);
	assert_int_equal(expo_next(&p, &err), EXPO_SERIES);
	assert_int_equal(expo_labels(&p, &a, &ls, &err), 0);
	assert_int_equal(ls.n, 501);
	for (size_t i = 1; i < ls.n; i++)
		assert_true(str_cmp(ls.l[i - 1].name, ls.l[i].name) < 0);
	arena_clear(&a);
	/* an arena that is too small is an error, not a crash */
	arena_init(&a, 64);
	assert_int_equal(expo_labels(&p, &a, &ls, &err), -1);
	assert_int_equal(err.kind, ERR_NOMEM);
	arena_clear(&a);
	expo_parser_clear(&p);
	buf_clear(&b);
}

static bool
next_if(struct expo_parser *p, struct str series)
{
	return expo_next_if(p, series.n, hash_xxh3(series.p, series.n));
}

static void
test_prediction(void **state)
{
	struct expo_parser p;
	struct err err = ERR_INIT;
	char body[512];

	(void)state;
	expo_parser_init(&p);
	start(&p, body, "a 1\nab 2\na{b=\"c\"} 3 77 \na  4\na 0x1p3\na 5",
	    EXPO_TEXT);
	assert_false(next_if(&p, STR_LIT("b")));
	assert_true(next_if(&p, STR_LIT("a")));
	assert_true(p.value == 1 && !p.has_ts);
	assert_false(next_if(&p, STR_LIT("a")));
	check_series(&p, "ab", 2);
	assert_false(next_if(&p, STR_LIT("a")));
	assert_true(next_if(&p, STR_LIT("a{b=\"c\"}")));
	assert_true(p.value == 3 && p.has_ts && p.ts_ms == 77);
	/* odd blanks are the grammar's business */
	assert_false(next_if(&p, STR_LIT("a")));
	check_series(&p, "a", 4);
	assert_false(next_if(&p, STR_LIT("a")));
	assert_int_equal(expo_next(&p, &err), EXPO_ERROR);
	assert_string_equal(err.text, "unsupported character in float while "
	    "parsing: \"a 0x1p3\"");

	start(&p, body, "a 5", EXPO_TEXT);
	assert_true(next_if(&p, STR_LIT("a")));
	assert_int_equal(expo_next(&p, &err), EXPO_END);
	/* OpenMetrics does not forgive a missing newline */
	start(&p, body, "a 5", EXPO_OPENMETRICS);
	assert_false(next_if(&p, STR_LIT("a")));
	assert_int_equal(expo_next(&p, &err), EXPO_ERROR);
	expo_parser_clear(&p);
}

/* The fast path must give exactly what the library gives. */
static void
check_float(const char *text)
{
	char line[160];
	double fast, slow;
	bool ok = strpbrk(text, "pP_") == NULL &&
	    float_parse(text, strlen(text), &slow);
	const char *end;

	snprintf(line, sizeof(line), "%s\n", text);
	end = expo_float_fast(line, line + strlen(line), &fast);
	if (!ok) {
		assert_null(end);
		return;
	}
	if (isnan(slow))
		slow = double_from_bits(NORMAL_NAN_BITS);
	assert_ptr_equal(end, line + strlen(text));
	/* with room behind it the digits are read eight at a time */
	memset(line + strlen(line) + 1, '7', 16);
	if (expo_float_fast(line, line + strlen(text) + 17, &slow) != end ||
	    double_bits(fast) != double_bits(slow))
		fail_msg("%s: %a, not %a", text, fast, slow);
}

static void
test_floats(void **state)
{
	static const char *const fixed[] = {
		"0", "-0", "1", "+1", "123456789012345", "1234567890123456",
		"9007199254740993", "99999999999999999999", "1.5", ".5", "5.",
		".", "", "-", "1e3", "1E-3", "1e+06", "4.9351e-05", "1e22",
		"1e23", "1e-22", "1e-23", "1e400", "-1e400", "1e", "1e+",
		"NaN", "nan", "+Inf", "-Inf", "Inf", "infinity", "abc", "1x",
		"0x10", "1_000", "0.000000000000000000000000000001", "1.7e308",
		"7.424100000000001e-05", "5e-324", "2.2250738585072011e-308"
	};
	unsigned int seed = 20;

	(void)state;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		check_float(fixed[i]);
	for (int i = 0; i < 200000; i++) {
		char text[64];
		double v = (double)rand_r(&seed) / (1 + rand_r(&seed) % 1000);

		snprintf(text, sizeof(text), "%.*g", 1 + rand_r(&seed) % 18,
		    v * pow(10, rand_r(&seed) % 40 - 20));
		check_float(text);
	}
}

static void
test_openmetrics(void **state)
{
	struct expo_parser p;
	struct err err = ERR_INIT;
	struct expo_exemplar ex;
	struct arena a;
	char body[512];

	(void)state;
	expo_parser_init(&p);
	arena_init(&a, 0);
	start(&p, body, "# TYPE a counter\n# UNIT a_seconds seconds\n"
	    "a_total 1 1.5 # {id=\"x\"} 0.7 2.25\n# EOF\n",
	    EXPO_OPENMETRICS);
	assert_int_equal(expo_next(&p, &err), EXPO_TYPE);
	assert_int_equal(expo_next(&p, &err), EXPO_UNIT);
	check_series(&p, "a_total", 1);
	assert_int_equal(p.ts_ms, 1500);
	assert_int_equal(expo_exemplar(&p, &a, &ex, &err), 0);
	assert_true(ex.present && ex.has_ts && ex.value == 0.7);
	assert_int_equal(ex.ts_ms, 2250);
	assert_true(str_eq_c(ex.l[0].value, "x"));
	assert_int_equal(expo_next(&p, &err), EXPO_END);
	arena_clear(&a);
	expo_parser_clear(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_many_labels),
		cmocka_unit_test(test_prediction),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_openmetrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/*
 * Matchers: the four types, and that what is decided without the regex
 * engine is what the engine would have decided.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/regex.h"
#include "common/labels/matcher.h"

static void
make(struct matcher *m, enum matcher_type type, const char *value)
{
	struct err err = ERR_INIT;

	if (matcher_init(m, type, STR_LIT("a"), str_c(value), &err) == -1)
		fail_msg("%s: %s", value, err.text);
}

static void
test_types(void **state)
{
	struct matcher m;

	(void)state;
	make(&m, MATCH_EQUAL, "x");
	assert_true(matcher_matches(&m, STR_LIT("x")));
	assert_false(matcher_matches_empty(&m));
	matcher_clear(&m);
	make(&m, MATCH_NOT_EQUAL, "x");
	assert_false(matcher_matches(&m, STR_LIT("x")));
	assert_true(matcher_matches_empty(&m));
	matcher_clear(&m);
	make(&m, MATCH_NOT_REGEXP, "x|y");
	assert_false(matcher_matches(&m, STR_LIT("y")));
	assert_true(matcher_matches(&m, STR_LIT("xy")));
	matcher_clear(&m);
}

static void
test_bad_regex(void **state)
{
	struct err err = ERR_INIT;
	struct matcher m;

	(void)state;
	assert_int_equal(matcher_init(&m, MATCH_REGEXP, STR_LIT("a"),
	    STR_LIT("a("), &err), -1);
	assert_int_equal(err.kind, ERR_BAD_DATA);
	assert_string_equal(err.text,
	    "error parsing regexp: missing closing ): `a(`");
}

static void
test_analysis(void **state)
{
	static const struct {
		const char *pattern;
		size_t set_n;
		enum matcher_shape shape;
		const char *prefix;
	} cases[] = {
		{ "a|b|c", 3, MATCHER_SHAPE_REGEX, "" },
		{ "", 1, MATCHER_SHAPE_REGEX, "" },
		{ "foo(bar|baz)", 2, MATCHER_SHAPE_REGEX, "fooba" },
		{ "foo(?:bar|baz)?", 3, MATCHER_SHAPE_REGEX, "foo" },
		{ "x[abc]y", 3, MATCHER_SHAPE_REGEX, "x" },
		{ "^foo$", 1, MATCHER_SHAPE_REGEX, "foo" },
		{ "10\\.0\\.0\\.1:9100", 1, MATCHER_SHAPE_REGEX,
		    "10.0.0.1:9100" },
		{ "abc.*", 0, MATCHER_SHAPE_PREFIX, "abc" },
		{ ".*abc", 0, MATCHER_SHAPE_SUFFIX, "" },
		{ ".*abc.*", 0, MATCHER_SHAPE_CONTAINS, "" },
		{ ".*", 0, MATCHER_SHAPE_ANY, "" },
		{ ".+", 0, MATCHER_SHAPE_NON_EMPTY, "" },
		{ "foo[0-9]+", 0, MATCHER_SHAPE_REGEX, "foo" },
		{ "ab*", 0, MATCHER_SHAPE_REGEX, "a" },
		{ "ab{2}", 0, MATCHER_SHAPE_REGEX, "ab" },
		{ "ab{0,2}", 0, MATCHER_SHAPE_REGEX, "a" },
		{ "(?i)abc", 0, MATCHER_SHAPE_REGEX, "" },
		{ "ab|ac.*", 0, MATCHER_SHAPE_REGEX, "a" },
		{ "a\\.*", 0, MATCHER_SHAPE_REGEX, "a" },
	};
	struct matcher m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&m, MATCH_REGEXP, cases[i].pattern);
		if (m.set_n != cases[i].set_n || m.shape != cases[i].shape ||
		    !str_eq_c(m.prefix, cases[i].prefix))
			fail_msg("%s: set %zu shape %d prefix %.*s",
			    cases[i].pattern, m.set_n, (int)m.shape,
			    STR_ARG(m.prefix));
		matcher_clear(&m);
	}
}

static void
test_agrees_with_engine(void **state)
{
	static const char *const patterns[] = {
		"a|b|c", "", "foo(bar|baz)", "foo(bar|baz)?", "x[abc]y",
		"^foo$", "^(a|b)$", "a.b", "abc.*", ".*abc", ".*abc.*", ".*",
		".+", "foo[0-9]+", "ab*", "ab+", "ab?", "ab{2}", "ab{0,2}",
		"(?i)abc", "ab|ac.*", "a\\.*", "a\\\\.*", "a||b", "(a|)b",
		"(a*)+", "[]a]", "[^a]", "[a-c]", "[a-]", "\\d+", "a\\.b",
		".*a|b.*", "a{,2}", "a{x", ".*?a", "a.*?", "(a.*|b)c",
		"\\Qa.b\\E", "(?:a|b)(?:c|d)", "a$|b", "foo.*bar", "[ab]?c",
		"(a|b)+", "(?P<n>a|b)c", "\\x61", "\\na", "a$b", "a^b",
	};
	static const char *const texts[] = {
		"", "a", "b", "c", "ab", "abb", "abbb", "abc", "ABC", "xabc",
		"abcx", "xabcx", "foo", "foobar", "foobaz", "foo1", "xay",
		"xby", "a.b", "a\nb", "a.", "a\\", "a\\x", "]", "-", "1", "12",
		"ac", "acc", "bc", "ad", "bd", "a{,2}", "a{x", "aXc", "\na",
		"fooxbar", "foo\nbar", "ba", "aba", "xa", "bx", "\xc3\xa9",
	};
	struct err err = ERR_INIT;
	struct matcher m;
	struct regex *re;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		make(&m, MATCH_REGEXP, patterns[i]);
		re = regex_new(str_c(patterns[i]),
		    REGEX_ANCHORED | REGEX_DOTALL, &err);
		assert_non_null(re);
		for (j = 0; j < sizeof(texts) / sizeof(texts[0]); j++)
			if (matcher_matches(&m, str_c(texts[j])) !=
			    regex_matches(re, str_c(texts[j])))
				fail_msg("/%s/ on \"%s\"", patterns[i],
				    texts[j]);
		regex_free(re);
		matcher_clear(&m);
	}
}

/* Random patterns and texts over a small alphabet; the seed is printed. */
static void
test_agrees_at_random(void **state)
{
	static const char alphabet[] = "aabbc|()[]^$.*+?{},\\1-d:?";
	static const char text_alphabet[] = "aabbbcd1-.\n";
	unsigned seed = 20260301, k, rounds = 30000, n_valid = 0;
	struct err err = ERR_INIT;
	char pattern[16], text[8];
	struct matcher m;
	struct regex *re;
	size_t i, n, j;

	(void)state;
	if (getenv("MATCHER_ROUNDS") != NULL) {
		rounds = (unsigned)atoi(getenv("MATCHER_ROUNDS"));
		seed = (unsigned)getpid();
	}
	for (k = 0; k < rounds; k++) {
		n = (size_t)rand_r(&seed) % sizeof(pattern);
		for (i = 0; i < n; i++)
			pattern[i] = alphabet[(size_t)rand_r(&seed) %
			    (sizeof(alphabet) - 1)];
		/* What only parentheses around it make valid is refused. */
		re = regex_new(str_from(pattern, n), REGEX_DOTALL, &err);
		if (re == NULL) {
			assert_int_equal(matcher_init(&m, MATCH_REGEXP,
			    STR_LIT("a"), str_from(pattern, n), &err), -1);
			continue;
		}
		regex_free(re);
		re = regex_new(str_from(pattern, n),
		    REGEX_ANCHORED | REGEX_DOTALL, &err);
		if (re == NULL)
			continue;
		n_valid++;
		assert_int_equal(matcher_init(&m, MATCH_REGEXP, STR_LIT("a"),
		    str_from(pattern, n), &err), 0);
		for (j = 0; j < 30; j++) {
			size_t len = (size_t)rand_r(&seed) % sizeof(text);

			for (i = 0; i < len; i++)
				text[i] = text_alphabet[
				    (size_t)rand_r(&seed) %
				    (sizeof(text_alphabet) - 1)];
			if (matcher_matches(&m, str_from(text, len)) !=
			    regex_matches(re, str_from(text, len)))
				fail_msg("round %u: /%.*s/ on \"%.*s\"", k,
				    (int)n, pattern, (int)len, text);
		}
		matcher_clear(&m);
		regex_free(re);
	}
	assert_true(n_valid > rounds / 100);
}

static void
test_format(void **state)
{
	struct err err = ERR_INIT;
	struct matcher m;
	struct buf b;

	(void)state;
	assert_int_equal(matcher_init(&m, MATCH_REGEXP, STR_LIT("a.b"),
	    STR_LIT("x\"y"), &err), 0);
	buf_init(&b, 0);
	matcher_format(&m, &b);
	assert_true(str_eq_c(buf_str(&b), "\"a.b\"=~\"x\\\"y\""));
	buf_clear(&b);
	matcher_clear(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_bad_regex),
		cmocka_unit_test(test_analysis),
		cmocka_unit_test(test_agrees_with_engine),
		cmocka_unit_test(test_agrees_at_random),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/* Decoding, forms, path cleaning, choice of encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/http/encoding.h"
#include "common/http/url.h"

static void
test_decode(void **state)
{
	static const struct { const char *in; bool plus; const char *out; }
	    cases[] = {
		{ "", true, "" },
		{ "a+b", true, "a b" },
		{ "a+b", false, "a+b" },
		{ "%41%7a%2F", true, "Az/" },
		{ "%e2%82%ac", true, "\xe2\x82\xac" },
	};
	static const struct { const char *in, *text; } bad[] = {
		{ "%", "invalid URL escape \"%\"" },
		{ "ab%1", "invalid URL escape \"%1\"" },
		{ "%zz99", "invalid URL escape \"%zz\"" },
		{ "%1g", "invalid URL escape \"%1g\"" },
	};
	struct arena a;
	struct str out;

	(void)state;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(url_decode(&a, str_c(cases[i].in),
		    cases[i].plus, &out, &err), 0);
		assert_true(str_eq_c(out, cases[i].out));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(url_decode(&a, str_c(bad[i].in), true, &out,
		    &err), -1);
		assert_string_equal(err.text, bad[i].text);
	}
	struct err err = ERR_INIT;

	assert_int_equal(url_decode(&a, str_from("a%00b", 5), true, &out,
	    &err), 0);
	assert_int_equal(out.n, 3);
	arena_clear(&a);
}

static void
test_params(void **state)
{
	struct url_params p;
	struct arena a;
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a, 0);
	url_params_init(&p, &a);
	assert_int_equal(url_params_add(&p, STR_LIT(
	    "query=up%7Ba%3D%22b%22%7D&match[]=a&&match%5B%5D=b+c&x&=v&y=1=2"),
	    &err), 0);
	assert_int_equal(p.n, 6);
	assert_true(str_eq_c(url_params_get(&p, "query"), "up{a=\"b\"}"));
	assert_int_equal(url_params_count(&p, "match[]"), 2);
	assert_true(str_eq_c(p.items[2].value, "b c"));
	assert_true(str_eq_c(url_params_get(&p, "x"), ""));
	assert_non_null(url_params_get(&p, "x").p);
	assert_null(url_params_get(&p, "z").p);
	assert_true(str_eq_c(url_params_get(&p, "y"), "1=2"));

	/* a bad pair is told and left out, the others are read */
	url_params_init(&p, &a);
	assert_int_equal(url_params_add(&p, STR_LIT("a=1&b=%&c;d=2&e=3"),
	    &err), -1);
	assert_string_equal(err.text, "invalid URL escape \"%\"");
	assert_int_equal(p.n, 2);
	url_params_init(&p, &a);
	assert_int_equal(url_params_add(&p, STR_LIT("c;d=2"), &err), -1);
	assert_string_equal(err.text, "invalid semicolon separator in query");
	arena_clear(&a);
}

static void
test_params_limits(void **state)
{
	struct url_params p;
	struct arena a;
	struct buf b;
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a, 0);
	buf_init(&b, 0);
	for (int i = 0; i <= URL_PARAMS_MAX; i++)
		buf_add_c(&b, "a&");
	url_params_init(&p, &a);
	assert_int_equal(url_params_add(&p, buf_str(&b), &err), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	arena_clear(&a);

	arena_init(&a, 4096);
	url_params_init(&p, &a);
	assert_int_equal(url_params_add(&p, buf_str(&b), &err), -1);
	assert_int_equal(err.kind, ERR_NOMEM);
	arena_clear(&a);
	buf_clear(&b);
}

static void
test_clean_path(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "/", "/" }, { "", "/" }, { "/a/b", "/a/b" },
		{ "//a", "/a" }, { "/a//b/", "/a/b/" }, { "/a/./b", "/a/b" },
		{ "/a/../b", "/b" }, { "/../../b", "/b" }, { "/a/..", "/" },
		{ "/a/../", "/" }, { "/.x", "/.x" }, { "a", "/a" },
		{ "/..a/b", "/..a/b" },
	};
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = url_clean_path(&a, str_c(cases[i].in));

		if (!str_eq_c(out, cases[i].out))
			print_message("%s: %.*s\n", cases[i].in, STR_ARG(out));
		assert_true(str_eq_c(out, cases[i].out));
	}
	arena_clear(&a);
}

static void
test_encoding(void **state)
{
	static const struct { const char *in; enum compress_codec c; }
	    cases[] = {
		{ "", COMPRESS_NONE },
		{ "gzip, deflate", COMPRESS_GZIP },
		{ "br, deflate ,gzip", COMPRESS_ZLIB },
		{ "gzip;q=0.5", COMPRESS_NONE },
		{ "GZIP", COMPRESS_NONE },
		{ "gzip;q=1.0, deflate", COMPRESS_ZLIB },
		{ ",,gzip", COMPRESS_GZIP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(http_encoding_choose(str_c(cases[i].in)),
		    cases[i].c);
	struct buf b;

	buf_init(&b, 0);
	url_add_encoded(&b, STR_LIT("up{a=\"\xc3\xa9\"}~"));
	assert_true(str_eq_c(buf_str(&b), "up%7Ba%3D%22%C3%A9%22%7D~"));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_params_limits),
		cmocka_unit_test(test_clean_path),
		cmocka_unit_test(test_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

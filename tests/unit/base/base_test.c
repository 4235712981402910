/* SPDX-License-Identifier: ISC */
/* The base library's small parts against known values and naive twins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/bytes.h"
#include "common/base/compress.h"
#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/map.h"
#include "common/base/regex.h"
#include "common/base/utf8.h"
#include "common/base/wire.h"

static void
test_varints(void **state)
{
	static const int64_t vals[] = { 0, 1, -1, 63, -64, 64, 1 << 20,
	    INT64_MAX, INT64_MIN };
	struct cursor c;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 0);
	for (i = 0; i < 9; i++) {
		buf_add_varint(&b, vals[i]);
		buf_add_uvarint(&b, (uint64_t)vals[i]);
	}
	c = cursor_make(b.p, b.n);
	for (i = 0; i < 9; i++) {
		assert_int_equal(cursor_varint(&c), vals[i]);
		assert_int_equal(cursor_uvarint(&c), (uint64_t)vals[i]);
	}
	assert_false(c.failed);
	assert_int_equal(cursor_left(&c), 0);
	(void)cursor_u8(&c);
	assert_true(c.failed);
	buf_clear(&b);
}

static void
test_buf_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_add(&b, "12345678", 8);
	assert_false(buf_failed(&b));
	buf_add(&b, "abc", 3);
	assert_true(buf_failed(&b));
	assert_int_equal(b.n, 8);
	buf_reset(&b);
	buf_printf(&b, "%d", 5);
	buf_clear(&b);
	buf_init(&b, 0);
	buf_printf(&b, "%0500d", 7);
	assert_int_equal(b.n, 500);
	buf_clear(&b);
}

static void
test_arena_limit(void **state)
{
	struct arena a;
	size_t i;
	char *p;

	(void)state;
	arena_init(&a, 100000);
	for (i = 0; (p = arena_alloc(&a, 100)) != NULL; i++) {
		assert_int_equal((uintptr_t)p % 16, 0);
		memset(p, 1, 100);
	}
	assert_true(a.failed);
	assert_in_range(i, 700, 900);
	assert_in_range(a.used_bytes, 1, 100000);
	arena_reset(&a);
	assert_false(a.failed);
	assert_true(arena_account(&a, 10));
	assert_false(arena_account(&a, SIZE_MAX));
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	arena_clear(&a);
}

static bool
int_eq(const void *val, const void *key)
{
	return *(const uint32_t *)val == *(const uint32_t *)key;
}

static void
test_map_against_array(void **state)
{
	static uint32_t vals[2000];
	static bool in[2000];
	struct map m;
	size_t i, n = 0, pos = 0, seen = 0;

	(void)state;
	srand(7);
	map_init(&m);
	for (i = 0; i < 2000; i++)
		vals[i] = (uint32_t)i;
	for (i = 0; i < 100000; i++) {
		uint32_t k = (uint32_t)rand() % 2000;
		uint64_t h = k % 37;	/* long runs */

		if (in[k]) {
			assert_ptr_equal(map_get(&m, h, int_eq, &k), &vals[k]);
			assert_ptr_equal(map_del(&m, h, int_eq, &k), &vals[k]);
			n--;
		} else {
			assert_null(map_del(&m, h, int_eq, &k));
			assert_int_equal(map_put(&m, h, &vals[k]), 0);
			n++;
		}
		in[k] = !in[k];
		assert_int_equal(m.n, n);
	}
	while (map_next(&m, &pos) != NULL)
		seen++;
	assert_int_equal(seen, n);
	map_clear(&m);
}

static void
test_durations(void **state)
{
	static const struct { const char *text; int64_t ms; const char *back; } ok[] = {
		{ "0", 0, "0s" }, { "5m", 300000, "5m" },
		{ "1h30m", 5400000, "1h30m" }, { "1d", 86400000, "1d" },
		{ "7d", 604800000, "1w" }, { "15d", 1296000000, "15d" },
		{ "1y2w3d4h5m6s7ms", 33019506007, "382d4h5m6s7ms" },
		{ "90s", 90000, "1m30s" }, { "1500ms", 1500, "1s500ms" }
	};
	static const char *const bad[] = { "", "1", "m", "1m1h", "1m1m",
	    "-5m", "1.5h", "1 m", "5mm", "99999999999999999999s", "9999999y" };
	struct err e = ERR_INIT;
	char text[64];
	int64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ok) / sizeof(ok[0]); i++) {
		assert_int_equal(duration_parse(str_c(ok[i].text), &v, &e), 0);
		assert_int_equal(v, ok[i].ms);
		duration_format(v, text);
		assert_string_equal(text, ok[i].back);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(duration_parse(str_c(bad[i]), &v, &e), -1);
	assert_int_equal(duration_parse_go(str_c("1.5ms"), &v, &e), 0);
	assert_int_equal(v, 1500000);
	duration_format_go(v, text);
	assert_string_equal(text, "1.5ms");
	duration_format_go(3661500000000, text);
	assert_string_equal(text, "1h1m1.5s");
	duration_format_go(120000000000, text);
	assert_string_equal(text, "2m0s");
	duration_format_go(15000, text);
	assert_string_equal(text, "15\xc2\xb5s");
	assert_int_equal(bytes_parse(str_c("1.5GB"), &v, &e), 0);
	assert_int_equal(v, 1610612736);
	bytes_format(v, text);
	assert_string_equal(text, "1GiB512MiB");
	assert_int_equal(bytes_parse(str_c("5kB"), &v, &e), -1);
	assert_int_equal(bytes_parse(str_c("5"), &v, &e), -1);
}

static void
test_floats(void **state)
{
	static const struct { double v; const char *f, *g, *json; } t[] = {
		{ 0, "0", "0", "0" }, { 1, "1", "1", "1" },
		{ -0.0, "-0", "-0", "-0" },
		{ 0.1, "0.1", "0.1", "0.1" },
		{ 1e21, "1000000000000000000000", "1e+21", "1e+21" },
		{ 1e-7, "0.0000001", "1e-07", "1e-07" },
		{ 123456789012345680, "123456789012345680",
		    "1.2345678901234568e+17", "123456789012345680" },
		{ 999999, "999999", "999999", "999999" },
		{ 1e6, "1000000", "1e+06", "1000000" },
		{ 0.0001, "0.0001", "0.0001", "0.0001" },
		{ 0.00001, "0.00001", "1e-05", "0.00001" },
		{ 1.5e300, NULL, "1.5e+300", "1.5e+300" }
	};
	char out[FLOAT_TEXT_MAX];
	double v;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		n = float_format_f(t[i].v, out);
		if (t[i].f != NULL) {
			assert_int_equal(n, strlen(t[i].f));
			assert_memory_equal(out, t[i].f, n);
		}
		assert_true(float_parse(out, n, &v));
		assert_true(v == t[i].v);
		n = float_format_g(t[i].v, out);
		assert_int_equal(n, strlen(t[i].g));
		assert_memory_equal(out, t[i].g, n);
		n = float_format_json(t[i].v, out);
		assert_int_equal(n, strlen(t[i].json));
		assert_memory_equal(out, t[i].json, n);
	}
	assert_true(float_parse("+Inf", 4, &v) && v > 1e308);
	assert_true(float_parse("-iNf", 4, &v) && v < -1e308);
	assert_true(float_parse("NaN", 3, &v) && v != v);
	assert_true(float_parse("0x1p4", 5, &v) && v == 16);
	assert_true(float_parse("1e-999", 6, &v) && v == 0);
	assert_false(float_parse("1e999", 5, &v));
	assert_false(float_parse("--1", 3, &v));
	assert_false(float_parse("1x", 2, &v));
	assert_false(float_parse("", 0, &v));
	assert_false(float_parse("0x10", 4, &v));
	assert_false(float_parse("+-1", 3, &v));
}

static void
test_regex(void **state)
{
	struct err e = ERR_INIT;
	struct regex *re;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	re = regex_new(STR_LIT("(a+)-(?P<x>b+)"), REGEX_ANCHORED, &e);
	assert_non_null(re);
	assert_true(regex_matches(re, STR_LIT("aa-bb")));
	assert_false(regex_matches(re, STR_LIT("aa-bbc")));
	assert_true(regex_expand(re, STR_LIT("aa-b"),
	    STR_LIT("$x:${1}:$$:$9:${x}z:$1z"), &b));
	buf_add_byte(&b, 0);
	assert_string_equal(b.p, "b:aa:$::bz:");
	buf_reset(&b);
	regex_free(re);
	re = regex_new(STR_LIT("o*"), 0, &e);
	regex_replace_all(re, STR_LIT("foob"), STR_LIT("-"), &b);
	buf_add_byte(&b, 0);
	assert_string_equal(b.p, "-f-b-");
	regex_free(re);
	assert_null(regex_new(STR_LIT("a("), REGEX_ANCHORED, &e));
	assert_string_equal(e.text,
	    "error parsing regexp: missing closing ): `^(?:a()$`");
	buf_clear(&b);
}

static void
test_compress(void **state)
{
	static const enum compress_codec codecs[] = { COMPRESS_NONE,
	    COMPRESS_SNAPPY, COMPRESS_ZSTD, COMPRESS_LZ4, COMPRESS_GZIP,
	    COMPRESS_ZLIB };
	struct err e = ERR_INIT;
	struct buf in, packed, out;
	size_t i, k;

	(void)state;
	buf_init(&in, 0);
	for (i = 0; i < 20000; i++)
		buf_printf(&in, "line %zu\n", i % 700);
	for (k = 0; k < sizeof(codecs) / sizeof(codecs[0]); k++) {
		buf_init(&packed, 0);
		buf_init(&out, 0);
		assert_int_equal(compress_add(codecs[k], buf_str(&in),
		    &packed, &e), 0);
		assert_int_equal(decompress_add(codecs[k], buf_str(&packed),
		    in.n, &out, &e), 0);
		assert_int_equal(out.n, in.n);
		assert_memory_equal(out.p, in.p, in.n);
		buf_reset(&out);
		assert_int_equal(decompress_add(codecs[k], buf_str(&packed),
		    in.n - 1, &out, &e), -1);
		assert_int_equal(e.kind, ERR_LIMIT);
		/* no flipped bit may crash or overrun */
		for (i = 0; i < packed.n && i < 400; i++) {
			packed.p[i] ^= 0x10;
			buf_reset(&out);
			(void)decompress_add(codecs[k], buf_str(&packed),
			    in.n * 2, &out, &e);
			packed.p[i] ^= 0x10;
		}
		if (codecs[k] == COMPRESS_GZIP) {
			buf_add(&packed, packed.p, packed.n);
			buf_reset(&out);
			assert_int_equal(decompress_add(codecs[k],
			    buf_str(&packed), in.n * 2, &out, &e), 0);
			assert_int_equal(out.n, in.n * 2);
		}
		buf_clear(&packed);
		buf_clear(&out);
	}
	buf_clear(&in);
}

static void
test_text(void **state)
{
	struct wire_reader r;
	struct buf b;

	(void)state;
	assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(hash_xxh64("", 0), 0xef46db3751d8e999ULL);
	assert_true(utf8_valid(STR_LIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z")));
	assert_false(utf8_valid(STR_LIT("\xed\xa0\x80")));
	assert_false(utf8_valid(STR_LIT("\xc0\x80")));
	assert_int_equal(utf8_count(STR_LIT("a\xc3\xa4\xff")), 3);
	buf_init(&b, 0);
	json_add_str(&b, STR_LIT("a\"<\n\xff\x01\xe2\x80\xa8"), true);
	json_add_time_ms(&b, -1500);
	json_add_time_ms(&b, 1435781451100);
	buf_add_byte(&b, 0);
	assert_string_equal(b.p, "\"a\\\"\\u003c\\n\\ufffd\\u0001\\u2028\""
	    "-1.5001435781451.100");
	buf_reset(&b);
	wire_put_str(&b, STR_LIT("x"));
	wire_put_f64(&b, 1.5);
	wire_reader_init(&r, b.p, b.n);
	assert_true(str_eq_c(wire_get_str(&r), "x"));
	assert_true(wire_get_f64(&r) == 1.5);
	assert_true(wire_end(&r));
	wire_reader_init(&r, b.p, b.n - 1);
	(void)wire_get_str(&r);
	(void)wire_get_f64(&r);
	assert_false(wire_end(&r));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_varints),
		cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_arena_limit),
		cmocka_unit_test(test_map_against_array),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_regex),
		cmocka_unit_test(test_compress),
		cmocka_unit_test(test_text)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

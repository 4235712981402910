/* SPDX-License-Identifier: ISC */
/* What is encoded decodes to itself; damaged bytes are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/config/blob/server_conf.h"

static void
test_web(void **state)
{
	struct str pools[] = { STR_LIT("a"), STR_LIT("node \xc3\xa9") };
	struct web_conf in = { .yaml = STR_LIT("global: {}\n"),
	    .pools = pools, .n_pools = 2 }, out;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	web_conf_encode(&in, &b);
	assert_int_equal(web_conf_decode(&out, buf_str(&b), &err), 0);
	assert_true(str_eq(out.yaml, in.yaml));
	assert_int_equal(out.n_pools, 2);
	assert_true(str_eq(out.pools[1], pools[1]));
	web_conf_clear(&out);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(web_conf_decode(&out, str_from(b.p, n),
		    &err), -1);
	buf_add_byte(&b, 0);
	assert_int_equal(web_conf_decode(&out, buf_str(&b), &err), -1);
	buf_clear(&b);
}

static void
test_query(void **state)
{
	struct query_conf in = { .evaluation_interval_ms = 15000 }, out;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	query_conf_encode(&in, &b);
	assert_int_equal(query_conf_decode(&out, buf_str(&b), &err), 0);
	assert_int_equal(out.evaluation_interval_ms, 15000);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(query_conf_decode(&out, str_from(b.p, n),
		    &err), -1);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_web),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */

/* Finding commands, reading times, printing answers of the API. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "supervisor/ctl/api.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/http_get.h"
#include "supervisor/ctl/time_text.h"

static const struct ctl_command *
find(const char *const *argv, int argc, int *n, struct err *err)
{
	return ctl_command_find((char *const *)(const void *)argv, argc, n, err);
}

static void
test_commands(void **state)
{
	static const struct {
		const char *argv[3];
		int argc, n;
		int (*run)(struct ctl *);
	} rows[] = {
		{ { "status" }, 1, 1, ctl_status },
		{ { "stat" }, 1, 1, ctl_status },
		{ { "sto" }, 1, 1, ctl_stop },
		{ { "st" }, 1, 0, NULL },
		{ { "r" }, 1, 1, ctl_reload },
		{ { "q", "i" }, 2, 2, ctl_query_instant },
		{ { "query", "range", "x" }, 3, 2, ctl_query_range },
		{ { "queries" }, 1, 1, ctl_queries },
		{ { "queries", "kill", "1" }, 3, 2, ctl_queries_kill },
		{ { "quer", "k" }, 2, 2, ctl_queries_kill },
		{ { "nonsense" }, 1, 0, NULL },
		{ { "" }, 1, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		int n;
		const struct ctl_command *c = find(rows[i].argv, rows[i].argc, &n,
		    &err);

		if (rows[i].run == NULL) {
			assert_null(c);
			assert_int_not_equal(err.kind, ERR_NONE);
			continue;
		}
		assert_non_null(c);
		assert_ptr_equal(c->run, rows[i].run);
		assert_int_equal(n, rows[i].n);
	}
}

static void
test_times(void **state)
{
	struct err err = ERR_INIT;
	double t;

	(void)state;
	assert_int_equal(time_text_parse("1435781451.5", &t, &err), 0);
	assert_true(t == 1435781451.5);
	assert_int_equal(time_text_parse("2015-07-01T20:10:51Z", &t, &err), 0);
	assert_true(t == 1435781451);
	assert_int_equal(time_text_parse("2015-07-01T22:10:51.25+02:00", &t,
	    &err), 0);
	assert_true(t == 1435781451.25);
	assert_int_equal(time_text_parse("yesterday", &t, &err), -1);
	assert_string_equal(err.text,
	    "cannot parse \"yesterday\" to a valid timestamp");
	assert_int_equal(time_text_parse("2015-07-01T22:10:51", &t, &err), -1);
	assert_int_equal(time_text_parse("NaN", &t, &err), -1);
}

static void
assert_printed(const char *json, const char *want)
{
	json_t *data = json_loads(json, 0, NULL);
	struct err err = ERR_INIT;
	struct buf out;

	assert_non_null(data);
	buf_init(&out, 0);
	assert_int_equal(api_print_value(&out, data, &err), 0);
	buf_add_byte(&out, '\0');
	assert_string_equal(out.p, want);
	buf_clear(&out);
	json_decref(data);
}

static void
test_values(void **state)
{
	(void)state;
	assert_printed("{\"resultType\":\"vector\",\"result\":[{\"metric\":"
	    "{\"job\":\"x\",\"__name__\":\"up\",\"a\":\"q\\\"\"},"
	    "\"value\":[1435781451.781,\"1e3\"]}]}",
	    "up{a=\"q\\\"\", job=\"x\"} => 1000 @[1435781451.781]\n");
	assert_printed("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},"
	    "\"value\":[5,\"NaN\"]}]}", "{} => NaN @[5]\n");
	assert_printed("{\"resultType\":\"matrix\",\"result\":[{\"metric\":"
	    "{\"__name__\":\"up\"},\"values\":[[1,\"1\"],[2,\"0.5\"]]}]}",
	    "up =>\n1 @[1]\n0.5 @[2]\n");
	assert_printed("{\"resultType\":\"scalar\",\"result\":[7.5,\"+Inf\"]}",
	    "scalar: +Inf @[7.5]\n");
	assert_printed("{\"resultType\":\"string\",\"result\":[7.5,\"x\"]}", "x\n");
	/* Wrong types everywhere: no crash. */
	assert_printed("{\"resultType\":\"vector\",\"result\":[1,{\"metric\":[],"
	    "\"value\":{}},{\"histogram\":[1,{\"buckets\":[3]}]}]}",
	    "{} =>\n{} =>  @[0]\n{} => Count: 0.000000, Sum: 0.000000, Buckets: "
	    "[(0,0]:0] @[1]\n");
}

static void
test_form(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	http_form_add(&b, "query", "a{b=\"c\"} + 1");
	http_form_add(&b, "time", "5");
	assert_true(str_eq_c(buf_str(&b),
	    "query=a%7Bb%3D%22c%22%7D%20%2B%201&time=5"));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

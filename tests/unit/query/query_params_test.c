/* SPDX-License-Identifier: ISC */
/* Parameter values and the texts they are refused with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "workers/query/params.h"

static void
test_times(void **state)
{
	static const struct { const char *in; int64_t ms; } cases[] = {
		{ "0", 0 }, { "1.5", 1500 }, { "-1.25", -1250 },
		{ "1.0005", 1000 }, { "1e3", 1000000 },
		{ "1435781451.781", 1435781451781 },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2015-07-01T20:10:51.781Z", 1435781451781 },
		{ "2015-07-01T22:10:51.7819999+02:00", 1435781451781 },
		{ "1969-12-31T23:59:59.5Z", -500 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
		{ "-292273086-05-16T16:47:06Z", PARAM_TIME_MIN_MS },
		{ "292277025-08-18T07:12:54.999999999Z",
		  PARAM_TIME_MAX_MS },
		{ "1e300", PARAM_TIME_MAX_MS }, { "-Inf", PARAM_TIME_MIN_MS },
	};
	static const char *const bad[] = { "", "x", "NaN", "1 ",
	    "2015-07-01", "2015-7-01T20:10:51Z", "2015-02-29T00:00:00Z",
	    "2015-07-01T24:00:00Z", "2015-07-01T20:10:51", "2015-07-01T20:10:51.Z",
	    "2015-13-01T20:10:51Z", "2015-07-01T20:10:51Zx" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		int64_t ms = 42;

		if (param_time_parse(str_c(cases[i].in), &ms, &err) == -1 ||
		    ms != cases[i].ms)
			fail_msg("%s: %lld %s", cases[i].in, (long long)ms,
			    err.text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;
		int64_t ms;

		if (param_time_parse(str_c(bad[i]), &ms, &err) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.kind, ERR_BAD_DATA);
	}
}

static void
test_durations(void **state)
{
	static const struct { const char *in; int64_t ns; } cases[] = {
		{ "15", 15000000000 }, { "0.5", 500000000 }, { "-1", -1000000000 },
		{ "1m", 60000000000 }, { "1h30m", 5400000000000 },
		{ "1ms", 1000000 },
	};
	struct err err = ERR_INIT;
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(param_duration_parse(str_c(cases[i].in), &ns,
		    &err), 0);
		assert_int_equal(ns, cases[i].ns);
	}
	assert_int_equal(param_duration_parse(STR_LIT("x"), &ns, &err), -1);
	assert_string_equal(err.text,
	    "cannot parse \"x\" to a valid duration");
	assert_int_equal(param_duration_parse(STR_LIT("1e12"), &ns, &err), -1);
	assert_string_equal(err.text,
	    "cannot parse \"1e12\" to a valid duration. It overflows int64");
}

static void
test_limits(void **state)
{
	static const struct { const char *in, *text; } bad[] = {
		{ "x", "invalid parameter \"limit\": strconv.Atoi: parsing "
		  "\"x\": invalid syntax" },
		{ "-1", "invalid parameter \"limit\": limit must be "
		  "non-negative" },
		{ "9223372036854775808", "invalid parameter \"limit\": "
		  "strconv.Atoi: parsing \"9223372036854775808\": value out of "
		  "range" },
		{ "1_0", "invalid parameter \"limit\": strconv.Atoi: parsing "
		  "\"1_0\": invalid syntax" },
		{ "+", "invalid parameter \"limit\": strconv.Atoi: parsing "
		  "\"+\": invalid syntax" },
	};
	struct param items[] = { { STR_LIT("limit"), STR_LIT("7") },
	    { STR_LIT("limit"), STR_LIT("8") } };
	struct params p = { items, 2 };
	struct err err = ERR_INIT;
	uint64_t v;

	(void)state;
	assert_int_equal(params_limit(&p, &v, &err), 0);
	assert_int_equal(v, 7);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		items[0].value = str_c(bad[i].in);
		assert_int_equal(params_limit(&p, &v, &err), -1);
		assert_string_equal(err.text, bad[i].text);
	}
	p.n = 0;
	assert_int_equal(params_limit(&p, &v, &err), 0);
	assert_int_equal(v, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

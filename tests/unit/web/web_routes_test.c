/* SPDX-License-Identifier: ISC */
/* Which path leads where, and what nearly right paths become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "workers/web/routes.h"

static void
test_find(void **state)
{
	static const struct {
		const char *path; unsigned method; enum route_match want;
		const char *pattern, *arg;
	} cases[] = {
		{ "/", HTTP_GET, ROUTE_FOUND, "/", "" },
		{ "/query", HTTP_GET, ROUTE_FOUND, "/query", "" },
		{ "/api/v1/query", HTTP_POST, ROUTE_FOUND, "/api/v1/query", "" },
		{ "/api/v1/query", HTTP_PUT, ROUTE_OTHER_METHOD, NULL, NULL },
		{ "/api/v1/query", HTTP_OPTIONS, ROUTE_FOUND, "/api/v1/*",
		  "/query" },
		{ "/api/v1/x/y", HTTP_OPTIONS, ROUTE_FOUND, "/api/v1/*",
		  "/x/y" },
		{ "/api/v1/x/y", HTTP_GET, ROUTE_NONE, NULL, NULL },
		{ "/api/v1/label/a b/values", HTTP_GET, ROUTE_FOUND,
		  "/api/v1/label/:name/values", "a b" },
		{ "/api/v1/label//values", HTTP_GET, ROUTE_NONE, NULL, NULL },
		{ "/api/v1/label/a/b/values", HTTP_GET, ROUTE_NONE, NULL,
		  NULL },
		{ "/assets/app.js", HTTP_GET, ROUTE_FOUND, "/assets/*",
		  "/app.js" },
		{ "/-/reload", HTTP_PUT, ROUTE_FOUND, "/-/reload", "" },
		{ "/metrics", HTTP_HEAD, ROUTE_OTHER_METHOD, NULL, NULL },
		{ "/metrics/", HTTP_GET, ROUTE_NONE, NULL, NULL },
		{ "/nothing", HTTP_OPTIONS, ROUTE_NONE, NULL, NULL },
		{ "", HTTP_GET, ROUTE_NONE, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct route *r = NULL;
		struct str arg = STR_EMPTY;
		unsigned allow;

		if (routes_find(str_c(cases[i].path), cases[i].method, &r,
		    &arg, &allow) != cases[i].want)
			fail_msg("%s", cases[i].path);
		if (cases[i].pattern == NULL)
			continue;
		assert_string_equal(r->pattern, cases[i].pattern);
		assert_true(str_eq_c(arg, cases[i].arg));
	}
}

static void
test_fix(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "/metrics/", "/metrics" }, { "/Metrics", "/metrics" },
		{ "/api/v1/Query", "/api/v1/query" },
		{ "/api/v1/query/", "/api/v1/query" },
		{ "/api/v1/label/Job/Values", "/api/v1/label/Job/values" },
		{ "/API/v1/query", NULL }, { "/nothing", NULL },
	};
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_EMPTY;
		bool ok = routes_fix(&a, str_c(cases[i].in), HTTP_GET, &out);

		if (ok != (cases[i].out != NULL) ||
		    (ok && !str_eq_c(out, cases[i].out)))
			fail_msg("%s: %.*s", cases[i].in, STR_ARG(out));
	}
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_fix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

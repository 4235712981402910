/* SPDX-License-Identifier: ISC */
/* Lines of the query log, whole, as the reference writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/message.h"
#include "workers/query/query_log.h"

static const char *
line(struct buf *b, const struct query_record *r)
{
	buf_reset(b);
	query_log_line(b, 1700000000123456000, "x.c:7", r);
	buf_add_byte(b, 0);
	return b->p;
}

#define HEAD "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"level\":\"INFO\"," \
	"\"source\":\"x.c:7\",\"msg\":\"promql query logged\","
#define SPANS ",\"spanID\":\"0000000000000000\"," \
	"\"traceID\":\"00000000000000000000000000000000\","

static void
test_success(void **state)
{
	struct promql_stats stats = { .total_samples = 3, .peak_samples = 4,
	    .samples_read = 2, .prepare_s = 0.5, .eval_s = 0.25,
	    .sort_s = 1e-9 };
	struct query_asker asker = { QUERY_FROM_HTTP, { STR_LIT("::1"),
	    STR_LIT("GET"), STR_LIT("/p/api/v1/query") } };
	struct query_record r = { .query = STR_LIT("a<\"b\"\xff\n"),
	    .start_ms = -1, .end_ms = 3600000, .step_ms = 2500,
	    .stats = &stats, .queue_s = 0, .total_s = 1, .asker = &asker };
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_string_equal(line(&b, &r), HEAD
	    "\"params\":{\"end\":\"1970-01-01T01:00:00.000Z\","
	    "\"query\":\"a<\\\"b\\\"\\ufffd\\n\","
	    "\"start\":\"1969-12-31T23:59:59.999Z\",\"step\":2},"
	    "\"stats\":{\"timings\":{\"evalTotalTime\":0.750000001,"
	    "\"resultSortTime\":1e-09,\"queryPreparationTime\":0.5,"
	    "\"innerEvalTime\":0.25,\"execQueueTime\":0,\"execTotalTime\":1},"
	    "\"samples\":{\"totalQueryableSamples\":3,\"samplesRead\":2,"
	    "\"peakSamples\":4}}" SPANS
	    "\"httpRequest\":{\"clientIP\":\"::1\",\"method\":\"GET\","
	    "\"path\":\"/p/api/v1/query\"}}\n");
	buf_clear(&b);
}

static void
test_failure_of_a_rule(void **state)
{
	struct err err = ERR_INIT;
	struct query_asker asker = { QUERY_FROM_RULES, { STR_LIT("r.yml"),
	    STR_LIT("g") } };
	struct query_record r = { .query = STR_LIT("up"), .err = &err,
	    .queue_s = 0.5, .total_s = 0.75, .asker = &asker };
	struct buf b;

	(void)state;
	(void)err_set(&err, ERR_EXECUTION, "too <many>");
	buf_init(&b, 0);
	assert_string_equal(line(&b, &r), HEAD
	    "\"params\":{\"end\":\"1970-01-01T00:00:00.000Z\","
	    "\"query\":\"up\",\"start\":\"1970-01-01T00:00:00.000Z\","
	    "\"step\":0},\"error\":\"too <many>\","
	    "\"stats\":{\"timings\":{\"evalTotalTime\":0,"
	    "\"resultSortTime\":0,\"queryPreparationTime\":0,"
	    "\"innerEvalTime\":0,\"execQueueTime\":0.5,"
	    "\"execTotalTime\":0.75},"
	    "\"samples\":{\"totalQueryableSamples\":0,\"samplesRead\":0,"
	    "\"peakSamples\":0}}" SPANS
	    "\"ruleGroup\":{\"file\":\"r.yml\",\"name\":\"g\"}}\n");
	/* an origin of tomorrow */
	asker.origin = 77;
	assert_null(strstr(line(&b, &r), "ruleGroup"));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_failure_of_a_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

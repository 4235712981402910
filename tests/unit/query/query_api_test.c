/* SPDX-License-Identifier: ISC */
/*
 * Whole answers over series in memory: envelopes, values, limits, errors,
 * bodies in pieces and compressed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/promql/source_memory.h"
#include "ipc/message.h"
#include "workers/query/api.h"

struct fixture {
	struct source_memory	*mem;
	struct api_env		 env;
	struct buf		 out;		/* what came out */
	int			 n_pieces;
	int			 give_up_after;	/* pieces; 0 = never */
	bool			 last_seen;
	int			 status;
	bool			 lost;
};

static bool
sink(void *arg, struct str piece, bool last)
{
	struct fixture *f = arg;

	assert_false(f->last_seen);
	f->n_pieces++;
	f->last_seen = last;
	if (f->give_up_after != 0 && f->n_pieces > f->give_up_after)
		return false;
	buf_add_str(&f->out, piece);
	return true;
}

static void
add(struct fixture *f, const char *name, const char *value, int64_t t_ms,
    double v)
{
	struct label l[2] = { { STR_LIT("__name__"), str_c(name) },
	    { STR_LIT("a"), str_c(value) } };

	assert_int_equal(source_memory_add(f->mem, (struct labels){ l, 2 },
	    t_ms, 0, v, NULL), 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->mem = source_memory_new();
	assert_non_null(f->mem);
	for (int i = 0; i < 5; i++) {
		add(f, "m", "x<y>", i * 1000, i);
		add(f, "m", "z", i * 1000, i + 0.5);
	}
	add(f, "other", "\xc3\xa9", 0, 1e21);
	f->env.src = source_memory_source(f->mem);
	buf_init(&f->out, 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	buf_clear(&f->out);
	source_memory_free(f->mem);
	free(f);
	return 0;
}

/* Parameters: name, value, …, NULL. */
static const char *
ask(struct fixture *f, uint32_t kind, const char *arg,
    enum compress_codec codec, ...)
{
	struct api_answer a = { .http_status = 500 };
	struct param items[16];
	struct api_request req = { .kind = kind, .arg = str_c(arg),
	    .params = { items, 0 }, .now_ms = 4000 };
	const char *name;
	va_list ap;

	va_start(ap, codec);
	while ((name = va_arg(ap, const char *)) != NULL)
		items[req.params.n++] = (struct param){ str_c(name),
		    str_c(va_arg(ap, const char *)) };
	va_end(ap);
	buf_reset(&f->out);
	f->n_pieces = 0;
	f->last_seen = false;
	body_init(&a.body, codec, sink, f);
	api_answer(&f->env, &req, &a);
	f->status = a.http_status;
	f->lost = a.body.lost;
	assert_true(f->lost || f->last_seen);
	body_clear(&a.body);
	buf_add_byte(&f->out, 0);
	return f->out.p;
}

#define NO	COMPRESS_NONE
#define OK(data) "{\"status\":\"success\",\"data\":" data "}"
#define BAD(kind, text) "{\"status\":\"error\",\"errorType\":\"" kind \
	"\",\"error\":\"" text "\"}"

static void
test_instant(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(ask(f, QUERY_INSTANT, "", NO, "query", "m", NULL),
	    OK("{\"resultType\":\"vector\",\"result\":["
	    "{\"metric\":{\"__name__\":\"m\",\"a\":\"x<y>\"},\"value\":[4,\"4\"]},"
	    "{\"metric\":{\"__name__\":\"m\",\"a\":\"z\"},"
	    "\"value\":[4,\"4.5\"]}]}"));
	assert_int_equal(f->status, 200);
	assert_string_equal(ask(f, QUERY_INSTANT, "", NO, "query", "other",
	    "time", "0.05", NULL), OK("{\"resultType\":\"vector\",\"result\":["
	    "{\"metric\":{\"__name__\":\"other\",\"a\":\"\xc3\xa9\"},"
	    "\"value\":[0.050,\"1e+21\"]}]}"));
	assert_string_equal(ask(f, QUERY_INSTANT, "", NO, "query", "1e21",
	    "time", "0.05", NULL), OK("{\"resultType\":\"scalar\",\"result\":["
	    "0.05,\"1000000000000000000000\"]}"));
	assert_string_equal(ask(f, QUERY_INSTANT, "", NO, "query", "'<'",
	    "time", "1", NULL), OK("{\"resultType\":\"string\",\"result\":["
	    "1,\"\\u003c\"]}"));
	assert_string_equal(ask(f, QUERY_INSTANT, "", NO, "query",
	    "m{a='z'}[2s]", NULL), OK("{\"resultType\":\"matrix\",\"result\":["
	    "{\"metric\":{\"__name__\":\"m\",\"a\":\"z\"},\"values\":["
	    "[3,\"3.5\"],[4,\"4.5\"]]}]}"));
	(void)ask(f, QUERY_INSTANT, "", NO, "query", "m", "limit", "1",
	    "stats", "maybe", "time", "0", NULL);
	assert_non_null(strstr(f->out.p, "\"value \\\"maybe\\\" "
	    "for parameter \\\"stats\\\" is deprecated"));
	assert_non_null(strstr(f->out.p,
	    "\"results truncated due to limit\""));
	assert_non_null(strstr(f->out.p, "\"samples\":{\"totalQueryable"));
}

static void
test_range(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(ask(f, QUERY_RANGE, "", NO, "query", "m{a='z'}",
	    "start", "0", "end", "1", "step", "0.5", NULL),
	    OK("{\"resultType\":\"matrix\",\"result\":["
	    "{\"metric\":{\"__name__\":\"m\",\"a\":\"z\"},\"values\":["
	    "[0,\"0.5\"],[0.500,\"0.5\"],[1,\"1.5\"]]}]}"));
	assert_string_equal(ask(f, QUERY_RANGE, "", NO, "query", "nope",
	    "start", "0", "end", "1", "step", "1", NULL),
	    OK("{\"resultType\":\"matrix\",\"result\":[]}"));
}

static void
test_refusals(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(ask(f, QUERY_INSTANT, "", NO, "query", "1+",
	    NULL), BAD("bad_data", "invalid parameter \\\"query\\\": 1:3: "
	    "parse error: unexpected end of input"));
	assert_int_equal(f->status, 400);
	assert_string_equal(ask(f, QUERY_RANGE, "", NO, "query", "1", "start",
	    "2", "end", "1", "step", "1", NULL), BAD("bad_data",
	    "invalid parameter \\\"end\\\": end timestamp must not be before "
	    "start time"));
	assert_string_equal(ask(f, QUERY_RANGE, "", NO, "query", "1", "start",
	    "0", "end", "11001", "step", "1", NULL), BAD("bad_data",
	    "exceeded maximum resolution of 11,000 points per timeseries. Try "
	    "decreasing the query resolution (?step=XX)"));
	assert_non_null(strstr(ask(f, QUERY_RANGE, "", NO, "query", "1",
	    "start", "0", "end", "1", "step", "0.0001", NULL),
	    "zero or negative query resolution step widths"));
	assert_string_equal(ask(f, QUERY_SERIES, "", NO, NULL),
	    BAD("bad_data", "no match[] parameter provided"));
	assert_string_equal(ask(f, QUERY_SERIES, "", NO, "match[]", "{}",
	    NULL), BAD("bad_data", "invalid parameter \\\"match[]\\\": match[] "
	    "must contain at least one non-empty matcher"));
	assert_string_equal(ask(f, QUERY_LABEL_VALUES, "", NO, NULL),
	    BAD("bad_data", "invalid label name: \\\"\\\""));
	assert_string_equal(ask(f, QUERY_TSDB_STATUS, "", NO, "limit", "0",
	    NULL), BAD("bad_data", "limit must be a positive number"));
	(void)ask(f, 4711, "", NO, NULL);
	assert_int_equal(f->status, 404);
	struct source *src = f->env.src;

	f->env.src = NULL;
	(void)ask(f, QUERY_LABELS, "", NO, NULL);
	assert_int_equal(f->status, 500);
	assert_string_equal(f->out.p, BAD("unavailable", "TSDB not ready"));
	f->env.src = src;
}

static void
test_metadata(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(ask(f, QUERY_LABELS, "", NO, NULL),
	    OK("[\"__name__\",\"a\"]"));
	assert_string_equal(ask(f, QUERY_LABEL_VALUES, "a", NO, NULL),
	    OK("[\"x\\u003cy\\u003e\",\"z\",\"\xc3\xa9\"]"));
	assert_string_equal(ask(f, QUERY_LABEL_VALUES, "U__a", NO, "match[]",
	    "other", NULL), OK("[\"\xc3\xa9\"]"));
	assert_string_equal(ask(f, QUERY_LABEL_VALUES, "a", NO, "match[]",
	    "other", "match[]", "m", "limit", "2", NULL),
	    "{\"status\":\"success\",\"data\":[\"x\\u003cy\\u003e\",\"z\"],"
	    "\"warnings\":[\"results truncated due to limit\"]}");
	assert_string_equal(ask(f, QUERY_SERIES, "", NO, "match[]",
	    "m{a='z'}", "match[]", "{a=~'z|q'}", NULL),
	    OK("[{\"__name__\":\"m\",\"a\":\"z\"}]"));
	assert_string_equal(ask(f, QUERY_FORMAT, "", NO, "query",
	    "sum(m)by(a)", NULL), OK("\"sum by (a) (m)\""));
	assert_non_null(strstr(ask(f, QUERY_PARSE, "", NO, "query", "m",
	    NULL), "\"type\":\"vectorSelector\""));
}

/* A body of many pieces, plain and compressed, is the same. */
static void
test_pieces(void **state)
{
	struct fixture *f = *state;
	struct buf plain, back;
	struct err err = ERR_INIT;

	for (int i = 0; i < 3000; i++) {
		char value[64];

		(void)snprintf(value, sizeof(value), "value %d", i);
		add(f, "many", value, 0, i);
	}
	(void)ask(f, QUERY_RANGE, "", NO, "query", "many", "start", "0",
	    "end", "60", "step", "1", NULL);
	assert_true(f->n_pieces > 5);
	buf_init(&plain, 0);
	buf_init(&back, 0);
	buf_add(&plain, f->out.p, f->out.n - 1);
	for (int k = 0; k < 2; k++) {
		enum compress_codec codec = k == 0 ? COMPRESS_GZIP :
		    COMPRESS_ZLIB;

		(void)ask(f, QUERY_RANGE, "", codec, "query", "many", "start",
		    "0", "end", "60", "step", "1", NULL);
		assert_true(f->out.n < plain.n / 4);
		buf_reset(&back);
		assert_int_equal(decompress_add(codec, str_from(f->out.p,
		    f->out.n - 1), 1 << 30, &back, &err), 0);
		assert_true(str_eq(buf_str(&back), buf_str(&plain)));
	}
	/* a client that leaves stops it */
	f->give_up_after = 2;
	(void)ask(f, QUERY_RANGE, "", NO, "query", "many", "start", "0",
	    "end", "60", "step", "1", NULL);
	assert_true(f->lost);
	assert_int_equal(f->n_pieces, 3);
	buf_clear(&plain);
	buf_clear(&back);
}

/* --- who wants to know of queries --- */

struct heard {
	char		begun[64];
	int		n_begun, n_ended, n_parsed;
};

static void
begun(void *arg, struct str query)
{
	struct heard *h = arg;

	assert_int_equal(h->n_begun, h->n_ended);
	h->n_begun++;
	snprintf(h->begun, sizeof(h->begun), "%.*s", STR_ARG(query));
}

static void
ended(void *arg, const struct query_record *r)
{
	struct heard *h = arg;

	h->n_ended++;
	assert_int_equal(h->n_begun, h->n_ended);
	if (r == NULL)
		return;
	h->n_parsed++;
	assert_true(r->total_s >= r->queue_s && r->queue_s == 0);
	assert_true((r->err == NULL) == (r->stats != NULL));
	if (r->stats != NULL)
		assert_int_equal(r->stats->total_samples, 5);
}

static void
test_hooks(void **state)
{
	struct heard h = { .n_begun = 0 };
	struct fixture *f = *state;

	f->env.hooks = (struct api_hooks){ begun, ended, &h };
	ask(f, QUERY_RANGE, "", NO, "query", "m{a=\"z\"}", "start", "0", "end",
	    "4", "step", "1", NULL);
	assert_string_equal(h.begun, "m{a=\"z\"}");
	assert_int_equal(h.n_parsed, 1);
	ask(f, QUERY_INSTANT, "", NO, "query", "m +", NULL);
	assert_int_equal(h.n_ended, 2);
	assert_int_equal(h.n_parsed, 1);
	ask(f, QUERY_INSTANT, "", NO, "query", "m + on () m", NULL);
	assert_int_equal(f->status, 422);
	assert_int_equal(h.n_parsed, 2);
	ask(f, QUERY_INSTANT, "", NO, "query", "m", "time", "x", NULL);
	ask(f, QUERY_SERIES, "", NO, "match[]", "m", NULL);
	assert_int_equal(h.n_begun, 3);
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_instant), T(test_range), T(test_refusals),
		T(test_metadata), T(test_pieces), T(test_hooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

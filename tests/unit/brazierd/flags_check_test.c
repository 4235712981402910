/* SPDX-License-Identifier: ISC */

/* The checks of the whole command line, with texts and exit codes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/log.h"
#include "supervisor/flags_check.h"

static void
collect_sink(void *arg, enum log_level level, const char *line, size_t n)
{
	(void)level;
	buf_add(arg, line, n);
}

struct run {
	struct flags		f;
	struct flags_result	r;
	struct flags_settings	s;
	struct buf		log;
};

static void
run_args(struct run *t, const char *const *args)
{
	const char *argv[32] = { "brazierd" };
	int argc = 1;

	for (; *args != NULL; args++)
		argv[argc++] = *args;
	buf_init(&t->log, 0);
	log_open("supervisor", LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT, collect_sink,
	    &t->log);
	flags_init(&t->f);
	flags_result_init(&t->r);
	flags_parse(&t->f, argc, (char *const *)(const void *)argv, &t->r);
	assert_int_equal(t->r.exit_code, FLAGS_GO_ON);
	flags_check(&t->f, &t->s, &t->r);
	flags_warn_no_effect(&t->f);
	buf_add_byte(&t->r.err, '\0');
	buf_add_byte(&t->log, '\0');
}

#define RUN(t, ...) run_args(t, (const char *const[]){ __VA_ARGS__, NULL })

static void
run_clear(struct run *t)
{
	flags_clear(&t->f);
	flags_result_clear(&t->r);
	flags_settings_clear(&t->s);
	buf_clear(&t->log);
}

static void
assert_end(struct run *t, int exit_code, const char *text)
{
	assert_int_equal(t->r.exit_code, exit_code);
	assert_string_equal(t->r.err.p, text);
	run_clear(t);
}

static void
test_exit_codes(void **state)
{
	struct run t;

	(void)state;
	RUN(&t, "--storage.agent.path=x");
	assert_end(&t, 3, "The following flag(s) can only be used in agent mode: "
	    "[\"--storage.agent.path\"]");
	RUN(&t, "--agent", "--query.timeout=1m", "--storage.tsdb.path=x");
	assert_end(&t, 3, "The following flag(s) can not be used in agent mode: "
	    "[\"--storage.tsdb.path\" \"--query.timeout\"]");
	RUN(&t, "--enable-feature=agent", "--query.timeout=1m");
	assert_end(&t, 3, "The following flag(s) can not be used in agent mode: "
	    "[\"--query.timeout\"]");
	RUN(&t, "--agent");
	assert_end(&t, 1, "--agent: this release has no agent mode yet; use "
	    "server mode with remote_write\n");
	RUN(&t, "--agent", "--storage.agent.checkpoint-batch-size=0");
	assert_end(&t, 1, "--storage.agent.checkpoint-batch-size must be greater "
	    "than 0.");
	RUN(&t, "--web.search.max-limit=-1");
	assert_end(&t, 1, "--web.search.max-limit must be non-negative; got -1 "
	    "(use 0 to disable the cap)\n");
	RUN(&t, "--auto-gomemlimit.ratio=1.5");
	assert_end(&t, 1, "--auto-gomemlimit.ratio must be greater than 0 and "
	    "less than or equal to 1.");
	RUN(&t, "--web.external-url=\":\"");
	assert_end(&t, 2, "parse external URL \"\\\":\\\"\": URL must not begin or "
	    "end with quotes\n");
	RUN(&t, "--web.external-url=http://a:b");
	assert_end(&t, 2, "parse external URL \"http://a:b\": parse \"http://a:b\": "
	    "invalid port \":b\" after host\n");
	RUN(&t, "--web.external-url=:::");
	assert_end(&t, 2, "parse external URL \":::\": parse \":::\": missing "
	    "protocol scheme\n");
	RUN(&t, "--web.listen-address=foo");
	assert_end(&t, 2, "parse external URL \"\": address foo: missing port in "
	    "address\n");
	RUN(&t, "--web.external-url=http://a/%zz");
	assert_end(&t, 2, "parse external URL \"http://a/%zz\": parse "
	    "\"http://a/%zz\": invalid URL escape \"%zz\"\n");
}

static void
test_features(void **state)
{
	struct run t;

	(void)state;
	RUN(&t, "--enable-feature=promql-at-modifier,nonsense",
	    "--enable-feature=remote-write-receiver,exemplar-storage");
	assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
	assert_non_null(strstr(t.log.p, "permanently enabled and therefore a "
	    "no-op.\" option=promql-at-modifier"));
	assert_non_null(strstr(t.log.p,
	    "Unknown option for --enable-feature\" option=nonsense"));
	assert_non_null(strstr(t.log.p,
	    "This feature has no effect yet\" feature=exemplar-storage"));
	assert_true(flags_bool(&t.f, FLAG_WEB_REMOTE_WRITE));
	run_clear(&t);
	RUN(&t, "--enable-feature=otlp-deltatocumulative,"
	    "otlp-native-delta-ingestion");
	assert_int_equal(t.r.exit_code, 1);
	assert_non_null(strstr(t.r.err.p, "Error parsing feature list: "));
	run_clear(&t);
	for (size_t i = 0; i < FEATURE_COUNT; i++) {
		char arg[128];

		snprintf(arg, sizeof(arg), "--enable-feature=%s",
		    feature_defs[i].name);
		RUN(&t, arg);
		assert_true(t.f.features[i]);
		assert_null(strstr(t.log.p, "Unknown option"));
		run_clear(&t);
	}
}

static void
test_retention(void **state)
{
	static const int64_t day_ms = 86400000;
	struct run t;

	(void)state;
	RUN(&t, "--");
	assert_int_equal(t.s.retention_ms, 15 * day_ms);
	assert_int_equal(flags_int(&t.f, FLAG_TSDB_MAX_BLOCK), 36 * 3600 * 1000);
	run_clear(&t);
	RUN(&t, "--storage.tsdb.retention.size=1GB");
	assert_int_equal(t.s.retention_ms, 0);
	assert_int_equal(t.s.retention_bytes, 1 << 30);
	assert_int_equal(flags_int(&t.f, FLAG_TSDB_MAX_BLOCK), 31 * day_ms);
	run_clear(&t);
	RUN(&t, "--storage.tsdb.retention=2d", "--storage.tsdb.retention.time=1y");
	assert_int_equal(t.s.retention_ms, 365 * day_ms);
	assert_non_null(strstr(t.log.p, "is deprecated"));
	run_clear(&t);
	/* The longest that can be written still fits nanoseconds. */
	RUN(&t, "--storage.tsdb.retention.time=292y");
	assert_int_equal(t.s.retention_ms, 292 * 365 * day_ms);
	run_clear(&t);
}

static void
test_storage_limits(void **state)
{
	static const struct { const char *arg; bool ok; } rows[] = {
		{ "--storage.tsdb.wal-segment-size=9MB", false },
		{ "--storage.tsdb.wal-segment-size=10MB", true },
		{ "--storage.tsdb.wal-segment-size=256MB", true },
		{ "--storage.tsdb.wal-segment-size=257MB", false },
		{ "--storage.tsdb.max-block-chunk-segment-size=1023KB", false },
		{ "--storage.tsdb.max-block-chunk-segment-size=1MB", true },
	};
	struct run t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;

		RUN(&t, rows[i].arg);
		assert_int_equal(flags_check_storage(&t.f, &err),
		    rows[i].ok ? 0 : -1);
		run_clear(&t);
	}
}

static void
test_urls(void **state)
{
	static const struct { const char *url, *want, *prefix; } rows[] = {
		{ "", "http://box:9090", "/" },
		{ "http://x/prom/", "http://x/prom", "/prom" },
		{ "https://x:1/a//", "https://x:1/a", "/a" },
		{ "/prom", "/prom", "/prom" },
		{ "prom/", "/prom", "/prom" },
		{ "http://x/a/?q=1", "http://x/a?q=1", "/a" },
		{ "http://[::1]:80/", "http://[::1]:80", "/" },
		{ "http://x/a b", "http://x/a b", "/a b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		char *url = external_url_make(rows[i].url, "0.0.0.0:9090", "box",
		    &err);
		char *prefix;

		assert_non_null(url);
		assert_string_equal(url, rows[i].want);
		prefix = route_prefix_make("", url);
		assert_string_equal(prefix, rows[i].prefix);
		free(prefix);
		free(url);
	}
	char *prefix = route_prefix_make("//x/", "http://a/b");

	assert_string_equal(prefix, "/x");
	free(prefix);
}

static void
test_addresses(void **state)
{
	static const struct { const char *address, *host, *err; } rows[] = {
		{ "1.2.3.4:5", "1.2.3.4", NULL },
		{ ":5", "", NULL },
		{ "[::1]:5", "::1", NULL },
		{ "::1:5", NULL, "address ::1:5: too many colons in address" },
		{ "[::1:5", NULL, "address [::1:5: missing ']' in address" },
		{ "[::1]", NULL, "address [::1]: missing port in address" },
		{ "a", NULL, "address a: missing port in address" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		struct str host, port;
		int rc = address_split(rows[i].address, &host, &port, &err);

		assert_int_equal(rc, rows[i].err == NULL ? 0 : -1);
		if (rc == 0)
			assert_true(str_eq_c(host, rows[i].host) &&
			    str_eq_c(port, "5"));
		else
			assert_string_equal(err.text, rows[i].err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_storage_limits),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

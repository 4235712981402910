/* SPDX-License-Identifier: ISC */

/* Each row of the flag table: default, good, bad, repeated, negated. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/flags.h"

struct run {
	struct flags	    f;
	struct flags_result r;
};

static void
run_args(struct run *t, const char *const *args)
{
	const char *argv[32] = { "/usr/sbin/brazierd" };
	int argc = 1;

	for (; *args != NULL; args++)
		argv[argc++] = *args;
	flags_init(&t->f);
	flags_result_init(&t->r);
	flags_parse(&t->f, argc, (char *const *)(const void *)argv, &t->r);
}

#define RUN(t, ...) run_args(t, (const char *const[]){ __VA_ARGS__, NULL })

static void
run_clear(struct run *t)
{
	flags_clear(&t->f);
	flags_result_clear(&t->r);
}

static const char *
good_value(const struct flag_def *d)
{
	switch (d->type) {
	case FLAG_TYPE_BOOL:		return NULL;
	case FLAG_TYPE_STRING:
	case FLAG_TYPE_STRINGS:		return "some text";
	case FLAG_TYPE_INT:		return "7e2";
	case FLAG_TYPE_INT64:		return "0x10";
	case FLAG_TYPE_FLOAT:		return "0.25";
	case FLAG_TYPE_DURATION:	return "1h30m";
	case FLAG_TYPE_GO_DURATION:	return "1.5ms";
	case FLAG_TYPE_BYTES:		return "1.5GB";
	case FLAG_TYPE_ENUM:		return "zstd";
	case FLAG_TYPE_ENUMS:		return "prometheus.WriteRequest";
	case FLAG_TYPE_LOG_LEVEL:	return "WARN";
	case FLAG_TYPE_LOG_FORMAT:	return "json";
	}
	return NULL;
}

static const char *
good_shown(const struct flag_def *d)
{
	switch (d->type) {
	case FLAG_TYPE_INT:		return "700";
	case FLAG_TYPE_INT64:		return "16";
	case FLAG_TYPE_BYTES:		return "1GiB512MiB";
	case FLAG_TYPE_LOG_LEVEL:	return "warn";
	default:			return good_value(d);
	}
}

static void
assert_shown(const struct flags *f, enum flag_id id, const char *want)
{
	struct buf b;

	buf_init(&b, 0);
	flags_format(f, id, &b);
	buf_add_byte(&b, '\0');
	assert_string_equal(b.p, want);
	buf_clear(&b);
}

static void
test_every_row_good(void **state)
{
	char arg[256];
	struct run t;

	(void)state;
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		const struct flag_def *d = &flag_defs[id];

		if ((d->attrs & FA_LIBRARY) || d->type == FLAG_TYPE_BOOL)
			continue;
		snprintf(arg, sizeof(arg), "--%s=%s", d->name, good_value(d));
		RUN(&t, arg);
		assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
		assert_true(flags_is_set(&t.f, (enum flag_id)id));
		assert_shown(&t.f, (enum flag_id)id, good_shown(d));
		run_clear(&t);
		snprintf(arg, sizeof(arg), "--%s", d->name);
		RUN(&t, arg, good_value(d));
		assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
		assert_shown(&t.f, (enum flag_id)id, good_shown(d));
		run_clear(&t);
		RUN(&t, arg);
		assert_int_equal(t.r.exit_code, 1);
		assert_non_null(strstr(t.r.err.p, "expected argument for flag"));
		run_clear(&t);
	}
}

static void
test_every_bool(void **state)
{
	char yes[128], no[128], with[128];
	struct run t;

	(void)state;
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		const struct flag_def *d = &flag_defs[id];

		if ((d->attrs & FA_LIBRARY) || d->type != FLAG_TYPE_BOOL ||
		    id == FLAG_WRITE_DOCUMENTATION)
			continue;
		snprintf(yes, sizeof(yes), "--%s", d->name);
		snprintf(no, sizeof(no), "--no-%s", d->name);
		snprintf(with, sizeof(with), "--%s=true", d->name);
		RUN(&t, yes);
		assert_true(flags_bool(&t.f, (enum flag_id)id));
		run_clear(&t);
		RUN(&t, no);
		assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
		assert_false(flags_bool(&t.f, (enum flag_id)id));
		assert_shown(&t.f, (enum flag_id)id, "false");
		run_clear(&t);
		RUN(&t, with);
		assert_int_equal(t.r.exit_code, 1);
		assert_non_null(strstr(t.r.err.p,
		    "Error parsing command line arguments: unexpected true\n"
		    "brazierd: error: unexpected true\n"));
		run_clear(&t);
		RUN(&t, yes, no);
		assert_int_equal(t.r.exit_code, 2);
		run_clear(&t);
	}
}

static void
test_every_row_bad_and_repeated(void **state)
{
	char bad[256], good[256], want[256];
	struct run t;

	(void)state;
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		const struct flag_def *d = &flag_defs[id];

		if ((d->attrs & FA_LIBRARY) || d->type == FLAG_TYPE_BOOL)
			continue;
		snprintf(bad, sizeof(bad), "--%s=~bad", d->name);
		RUN(&t, bad);
		if (d->type != FLAG_TYPE_STRING && d->type != FLAG_TYPE_STRINGS) {
			assert_int_equal(t.r.exit_code, 2);
			assert_int_equal(strncmp(t.r.err.p,
			    "Error parsing command line arguments: ", 38), 0);
			assert_int_equal(strncmp(t.r.out.p, "usage: brazierd", 15), 0);
		} else
			assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
		run_clear(&t);
		snprintf(good, sizeof(good), "--%s=%s", d->name, good_value(d));
		RUN(&t, good, good);
		if ((d->attrs & FA_REPEAT) && d->type == FLAG_TYPE_STRINGS) {
			assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
			assert_int_equal(t.f.v[id].n_items, 2);
		} else
			assert_int_equal(t.r.exit_code, 2);
		if ((d->attrs & FA_REPEAT) == 0) {
			snprintf(want, sizeof(want), "flag '%s' cannot be repeated\n",
			    d->name);
			assert_non_null(strstr(t.r.err.p, want));
		}
		run_clear(&t);
	}
}

static void
test_defaults_shown(void **state)
{
	static const struct { enum flag_id id; const char *want; } rows[] = {
		{ FLAG_QUERY_SAMPLES, "50000000" },
		{ FLAG_REMOTE_READ_SAMPLES, "50000000" },
		{ FLAG_QUERY_TIMEOUT, "2m" },
		{ FLAG_SCRAPE_TOLERANCE, "2ms" },
		{ FLAG_TSDB_RETENTION_TIME, "0s" },
		{ FLAG_TSDB_RETENTION_SIZE, "0B" },
		{ FLAG_AUTO_GOMEMLIMIT_RATIO, "0.9" },
		{ FLAG_WEB_LISTEN_ADDRESS, "0.0.0.0:9090" },
		{ FLAG_ENABLE_FEATURE, "" },
		{ FLAG_AM_TIMEOUT, "" },
		{ FLAG_AGENT, "false" },
		{ FLAG_WEB_RW_MESSAGES,
		    "prometheus.WriteRequest, io.prometheus.write.v2.Request" },
	};
	struct run t;

	(void)state;
	RUN(&t, "--");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_shown(&t.f, rows[i].id, rows[i].want);
	run_clear(&t);
}

static void
assert_err(struct run *t, int exit_code, const char *text)
{
	assert_int_equal(t->r.exit_code, exit_code);
	buf_add_byte(&t->r.err, '\0');
	assert_non_null(strstr(t->r.err.p, text));
	run_clear(t);
}

static void
test_texts(void **state)
{
	struct run t;

	(void)state;
	RUN(&t, "--bad");
	assert_err(&t, 1, "arguments: unknown long flag '--bad'\n"
	    "brazierd: error: unknown long flag '--bad'\n");
	RUN(&t, "-x");
	assert_err(&t, 1, "unknown short flag '-x'");
	RUN(&t, "stray");
	assert_err(&t, 1, "unexpected stray");
	RUN(&t, "--", "--config.file=x");
	assert_err(&t, 1, "unexpected --config.file=x");
	RUN(&t, "--no-config.file");
	assert_err(&t, 1, "unknown long flag '--no-config.file'");
	RUN(&t, "--query.max-samples=abc");
	assert_err(&t, 2, "strconv.ParseFloat: parsing \"abc\": invalid syntax");
	RUN(&t, "--query.max-samples=1e999");
	assert_err(&t, 2, "value out of range");
	RUN(&t, "--rules.max-concurrent-evals=4.5");
	assert_err(&t, 2, "strconv.ParseInt: parsing \"4.5\": invalid syntax");
	RUN(&t, "--log.level=x");
	assert_err(&t, 2, "unrecognized log level x");
	RUN(&t, "--log.format=x");
	assert_err(&t, 2, "unrecognized log format x");
	RUN(&t, "--query.timeout=x");
	assert_err(&t, 2, "not a valid duration string: \"x\"");
	RUN(&t, "--storage.tsdb.retention.size=5XB");
	assert_err(&t, 2, "units: unknown unit XB in 5XB");
	RUN(&t, "--storage.tsdb.wal-compression-type=lzo");
	assert_err(&t, 2, "enum value must be one of snappy,zstd,lz4, got 'lzo'");
	RUN(&t, "@/nonexistent/args");
	assert_err(&t, 1, "failed to open arguments file \"/nonexistent/args\": "
	    "open /nonexistent/args: no such file or directory");
}

static void
test_printing_flags(void **state)
{
	struct run t;

	(void)state;
	RUN(&t, "--version", "--bad");
	assert_int_equal(t.r.exit_code, 0);
	assert_int_equal(strncmp(t.r.out.p, "brazierd, version ", 18), 0);
	run_clear(&t);
	RUN(&t, "--query.timeout=x", "-h");
	assert_int_equal(t.r.exit_code, 0);
	assert_null(t.r.err.p);
	run_clear(&t);
	RUN(&t, "--help", "--bad");
	assert_int_equal(t.r.exit_code, 1);
	run_clear(&t);
	RUN(&t, "--completion-bash", "--log.l");
	run_clear(&t);
	RUN(&t, "--completion-bash", "--", "--log.l");
	buf_add_byte(&t.r.out, '\0');
	assert_string_equal(t.r.out.p, "--log.level\n");
	run_clear(&t);
}

static void
test_arguments_file(void **state)
{
	char path[] = "/tmp/brazier-flags-XXXXXX", arg[64];
	int fd = mkstemp(path);
	static const char text[] = "# comment\n\n--query.timeout\n5m\n";
	struct run t;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	snprintf(arg, sizeof(arg), "@%s", path);
	RUN(&t, "--log.level=warn", arg, "--web.enable-lifecycle");
	assert_int_equal(t.r.exit_code, FLAGS_GO_ON);
	assert_int_equal(flags_int(&t.f, FLAG_QUERY_TIMEOUT), 300000);
	assert_true(flags_bool(&t.f, FLAG_WEB_ENABLE_LIFECYCLE));
	run_clear(&t);
	/* A file that names itself ends. */
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, arg, strlen(arg)), strlen(arg));
	close(fd);
	RUN(&t, arg);
	assert_err(&t, 1, "too many arguments files");
	unlink(path);
}

static void
test_names_are_unique(void **state)
{
	(void)state;
	for (size_t a = 0; a < FLAG_COUNT; a++)
		assert_int_equal(flags_find(str_c(flag_defs[a].name)), a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_good),
		cmocka_unit_test(test_every_bool),
		cmocka_unit_test(test_every_row_bad_and_repeated),
		cmocka_unit_test(test_defaults_shown),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_printing_flags),
		cmocka_unit_test(test_arguments_file),
		cmocka_unit_test(test_names_are_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

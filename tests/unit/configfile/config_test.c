/* SPDX-License-Identifier: ISC */
/*
 * Loading from memory: where errors are told, defaults and globals in the
 * scrape blob, included files, hostile documents, the printed form.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/config/blob/scrape_conf.h"
#include "common/config/config.h"

/* Files by path; the last has path NULL. */
struct memory_file {
	const char *path, *text;
};

static int
memory_read(void *arg, struct str path, const char *reason, struct buf *out,
    struct err *err)
{
	const struct memory_file *f;

	(void)reason;
	for (f = arg; f->path != NULL; f++)
		if (str_eq_c(path, f->path)) {
			buf_add_c(out, f->text);
			return 0;
		}
	return err_set(err, ERR_NOT_FOUND,
	    "open %.*s: no such file or directory", STR_ARG(path));
}

/* A pattern matches the files that begin as it does up to its star. */
static int
memory_glob(void *arg, struct str pattern, const char *reason,
    struct conf_list *out, struct err *err)
{
	const char *star = memchr(pattern.p, '*', pattern.n);
	struct str head = star == NULL ? pattern :
	    str_from(pattern.p, (size_t)(star - pattern.p));
	const struct memory_file *f;

	(void)reason;
	(void)err;
	for (f = arg; f->path != NULL; f++)
		if (str_has_prefix(str_c(f->path), head) &&
		    conf_list_add(out, str_c(f->path)) == -1)
			return -1;
	return 0;
}

static struct str
test_env(void *arg, struct str name)
{
	(void)arg;
	return str_eq_c(name, "HOST") ? STR_LIT("h1") : STR_EMPTY;
}

static int
load_files(struct config *c, const struct memory_file *list,
    struct config_fault *fault)
{
	struct config_options o = { .env = test_env };
	union { const struct memory_file *in; void *out; } arg = { list };
	struct config_files files = { arg.out, memory_read, memory_glob };

	return config_load(c, str_c(list[0].path), &o, &files, fault);
}

static int
load_text(struct config *c, const char *text, struct config_fault *fault)
{
	const struct memory_file list[] = { { "dir/p.yml", text },
	    { NULL, NULL } };

	return load_files(c, list, fault);
}

static void
assert_fault(const char *text, uint32_t line, const char *want)
{
	struct config_fault fault;
	struct config c;

	assert_int_equal(load_text(&c, text, &fault), -1);
	if (strcmp(fault.err.text, want) != 0)
		fail_msg("got: %s\nwant: %s", fault.err.text, want);
	assert_int_equal(fault.line, line);
	assert_string_equal(fault.file, "dir/p.yml");
	config_clear(&c);
}

#define P "parsing YAML file dir/p.yml: "

static void
test_faults(void **state)
{
	(void)state;
	assert_fault("global:\n  foo: 1\n  bar: 2\n", 2,
	    P "yaml: unmarshal errors:\n"
	    "  line 2: field foo not found in type config.plain\n"
	    "  line 3: field bar not found in type config.plain");
	assert_fault("a: b: c\n", 0,
	    P "yaml: mapping values are not allowed in this context");
	assert_fault("global:\n  x: [1\n", 2, P "yaml: line 2: did not find "
	    "expected ',' or ']'");
	assert_fault("scrape_configs:\n- job_name: a\n- metrics_path: /x\n", 3,
	    P "line 3: job_name is empty");
	assert_fault("scrape_configs:\n- job_name: a\n- job_name: b\n"
	    "- job_name: a\n", 4, P "line 4: found multiple scrape configs "
	    "with job name \"a\"");
	assert_fault("global: {scrape_interval: 5}\n", 1,
	    P "line 1: not a valid duration string: \"5\"");
	assert_fault("global:\n  scrape_interval: 1m\n  scrape_interval: 2m\n",
	    3, P "yaml: unmarshal errors:\n"
	    "  line 3: field scrape_interval already set in type "
	    "config.plain");
	assert_fault("scrape_configs: 5\n", 1, P "yaml: unmarshal errors:\n"
	    "  line 1: cannot unmarshal !!int `5` into "
	    "[]*config.ScrapeConfig");
	assert_fault("scrape_configs: [{job_name: a, honor_labels: maybe-so-xy}]"
	    "\n", 1, P "yaml: unmarshal errors:\n"
	    "  line 1: cannot unmarshal !!str `maybe-s...` into bool");
	assert_fault("scrape_configs: [{job_name: a, relabel_configs: "
	    "[{regex: 'a('}]}]", 1, P "line 1: error parsing regexp: missing "
	    "closing ): `^(?s:a()$`");
}

static void
test_hostile(void **state)
{
	struct config_fault fault;
	struct config c;
	struct buf b;
	int i;

	(void)state;
	/* A billion laughs. */
	buf_init(&b, 0);
	buf_add_c(&b, "a0: &a0 {x: y}\n");
	for (i = 1; i < 12; i++) {
		buf_printf(&b, "a%d: &a%d {", i, i);
		for (int j = 0; j < 10; j++)
			buf_printf(&b, "k%d: *a%d, ", j, i - 1);
		buf_add_c(&b, "}\n");
	}
	buf_add_c(&b, "scrape_configs: [{job_name: a, oauth2: {client_id: a, "
	    "token_url: b, claims: *a11}}]\n");
	buf_add_byte(&b, 0);
	assert_int_equal(load_text(&c, b.p, &fault), -1);
	config_clear(&c);
	buf_reset(&b);
	/* Depth. */
	for (i = 0; i < 100000; i++)
		buf_add_byte(&b, '[');
	buf_add_byte(&b, 0);
	assert_int_equal(load_text(&c, b.p, &fault), -1);
	assert_non_null(strstr(fault.err.text, "exceeded max depth"));
	config_clear(&c);
	buf_clear(&b);
	assert_fault("a: &a [*a]\n", 1,
	    P "yaml: anchor 'a' value contains itself");
	assert_fault("a: *b\n", 1, P "yaml: unknown anchor 'b' referenced");
	assert_fault("a: !!binary '?'\n", 1,
	    P "yaml: !!binary value contains invalid base64 data");
}

static void
decode_jobs(const struct config *c, struct scrape_confs *cs)
{
	struct err err = ERR_INIT;
	struct buf b;

	buf_init(&b, 0);
	scrape_confs_init(cs);
	assert_int_equal(config_blob_scrape(c, &b, &err), 0);
	assert_int_equal(scrape_confs_decode(cs, buf_str(&b), &err), 0);
	buf_clear(&b);
}

static void
test_scrape_blob(void **state)
{
	const struct memory_file files[] = {
		{ "dir/p.yml",
		    "global:\n"
		    "  scrape_interval: 30s\n"
		    "  sample_limit: 7\n"
		    "  external_labels: {host: '${HOST}-$$x', z: a}\n"
		    "scrape_config_files: ['inc/*.yml']\n"
		    "scrape_configs:\n"
		    "- &base\n"
		    "  job_name: one\n"
		    "  params: {m: [a, b]}\n"
		    "  tls_config: {ca_file: ca.pem}\n"
		    "  basic_auth: {username: u, password: pw}\n"
		    "  static_configs:\n"
		    "  - targets: ['h:1', 'h:2']\n"
		    "    labels: {b: 2, a: x}\n"
		    "  relabel_configs:\n"
		    "  - {source_labels: [a], target_label: c}\n"
		    "- <<: *base\n"
		    "  job_name: two\n"
		    "  scrape_interval: 5s\n"
		    "  sample_limit: 9\n" },
		{ "dir/inc/a.yml",
		    "scrape_configs:\n"
		    "- job_name: three\n"
		    "  authorization: {credentials_file: token}\n" },
		{ NULL, NULL },
	};
	const struct scrape_conf *j;
	struct config_fault fault;
	struct scrape_confs cs;
	struct config c;

	(void)state;
	if (load_files(&c, files, &fault) == -1)
		fail_msg("%s", fault.err.text);
	assert_int_equal(c.files.n, 2);
	decode_jobs(&c, &cs);
	assert_int_equal(cs.n_jobs, 3);
	assert_int_equal(cs.n_external_labels, 2);
	assert_true(str_eq_c(cs.external_labels[0].value, "h1-$x"));
	j = &cs.jobs[0];
	assert_true(str_eq_c(j->job_name, "one"));
	assert_int_equal(j->interval_ms, 30000);
	assert_int_equal(j->timeout_ms, 10000);
	assert_int_equal(j->sample_limit, 7);
	assert_int_equal(j->n_protocols, 4);
	assert_int_equal(j->protocols[0],
	    SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0);
	assert_true(j->honor_timestamps && j->enable_compression);
	assert_true(str_eq_c(j->params[0].values.s[1], "b"));
	assert_true(str_eq_c(j->http.tls.ca_file, "dir/ca.pem"));
	assert_int_equal(j->http.auth, HTTP_AUTH_BASIC);
	assert_true(str_eq_c(secret_reveal(&j->http.password), "pw"));
	assert_int_equal(j->n_groups, 1);
	assert_int_equal(j->groups[0].targets.n, 2);
	assert_true(str_eq_c(j->groups[0].labels[0].name, "a"));
	assert_true(str_eq_c(j->groups[0].labels[1].value, "2"));
	assert_int_equal(j->relabel.n, 1);
	j = &cs.jobs[1];
	assert_int_equal(j->interval_ms, 5000);
	assert_int_equal(j->timeout_ms, 5000);
	assert_int_equal(j->sample_limit, 9);
	assert_int_equal(j->n_groups, 1);
	j = &cs.jobs[2];
	assert_int_equal(j->http.auth, HTTP_AUTH_AUTHORIZATION);
	assert_true(str_eq_c(j->http.auth_type, "Bearer"));
	assert_true(str_eq_c(j->http.credentials_file, "dir/inc/token"));
	scrape_confs_clear(&cs);
	config_clear(&c);
}

static void
test_fingerprints(void **state)
{
	static const char *const texts[] = {
		"scrape_configs: [{job_name: a, static_configs: "
		"[{targets: [x]}]}]",
		"scrape_configs: [{static_configs: [{targets: [x]}], "
		"job_name: a}]",
		"scrape_configs: [{job_name: a, static_configs: "
		"[{targets: [y]}]}]",
		"scrape_configs: [{job_name: a, honor_labels: true, "
		"static_configs: [{targets: [x]}]}]",
	};
	struct scrape_confs cs[4];
	struct config_fault fault;
	struct config c;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_int_equal(load_text(&c, texts[i], &fault), 0);
		decode_jobs(&c, &cs[i]);
		config_clear(&c);
	}
	assert_true(cs[0].jobs[0].fingerprint == cs[1].jobs[0].fingerprint);
	assert_true(cs[0].jobs[0].key == cs[2].jobs[0].key);
	assert_true(cs[0].jobs[0].fingerprint != cs[2].jobs[0].fingerprint);
	assert_true(cs[0].jobs[0].key != cs[3].jobs[0].key);
	for (i = 0; i < 4; i++)
		scrape_confs_clear(&cs[i]);
}

/* Truncated or changed bytes are refused or decoded, never worse. */
static void
test_damaged_blob(void **state)
{
	struct config_fault fault;
	struct scrape_confs cs;
	struct err err = ERR_INIT;
	struct config c;
	struct buf b;
	size_t i;

	(void)state;
	assert_int_equal(load_text(&c, "scrape_configs: [{job_name: a, "
	    "http_headers: {X: {secrets: [s]}}, params: {a: [b]}, "
	    "oauth2: {client_id: a, token_url: b, claims: {c: [1, x]}}, "
	    "static_configs: [{targets: [x], labels: {a: b}}]}]",
	    &fault), 0);
	buf_init(&b, 0);
	assert_int_equal(config_blob_scrape(&c, &b, &err), 0);
	for (i = 0; i < b.n; i++) {
		scrape_confs_init(&cs);
		assert_int_equal(scrape_confs_decode(&cs, str_from(b.p, i),
		    &err), -1);
		scrape_confs_clear(&cs);
		b.p[i] ^= 0x41;
		scrape_confs_init(&cs);
		(void)scrape_confs_decode(&cs, buf_str(&b), &err);
		scrape_confs_clear(&cs);
		b.p[i] ^= 0x41;
	}
	buf_clear(&b);
	config_clear(&c);
}

static void
test_printed(void **state)
{
	static const char want[] =
	    "global:\n"
	    "  scrape_interval: 1m\n"
	    "  scrape_timeout: 10s\n"
	    "  evaluation_interval: 1m\n"
	    "  metric_name_validation_scheme: utf8\n"
	    "  metric_name_escaping_scheme: allow-utf-8\n"
	    "  scrape_native_histograms: false\n"
	    "  extra_scrape_metrics: false\n"
	    "runtime:\n"
	    "  gogc: 75\n"
	    "storage:\n"
	    "  tsdb:\n"
	    "    outofordertimewindow: 0\n"
	    "    retention: {}\n"
	    "remote_read:\n"
	    "- url: http://u:xxxxx@h/\n"
	    "  remote_timeout: 1m\n"
	    "  chunked_read_limit: 50000000\n"
	    "  authorization:\n"
	    "    type: Bearer\n"
	    "    credentials: <secret>\n"
	    "  follow_redirects: true\n"
	    "  enable_http2: true\n"
	    "  filter_external_labels: true\n"
	    "otlp:\n"
	    "  translation_strategy: UnderscoreEscapingWithSuffixes\n"
	    "  label_name_underscore_sanitization: true\n"
	    "  label_name_preserve_multiple_underscores: true\n";
	struct config_fault fault;
	struct err err = ERR_INIT;
	struct config c;
	struct buf b;

	(void)state;
	assert_int_equal(load_text(&c, "remote_read:\n"
	    "- {url: 'http://u:p@h/', bearer_token: t}\n", &fault), 0);
	buf_init(&b, 0);
	assert_int_equal(config_print(&c, &b, &err), 0);
	buf_add_byte(&b, 0);
	assert_string_equal(b.p, want);
	buf_clear(&b);
	config_clear(&c);
}

static void
test_paths(void **state)
{
	static const struct { const char *dir, *path, *want; } cases[] = {
		{ ".", "a/b", "a/b" }, { "d", "a", "d/a" },
		{ "/etc/p", "../x.yml", "/etc/x.yml" },
		{ "d", "/abs//x", "/abs//x" }, { "d", "", "" },
		{ "..", "../a/./b//c/..", "../../a/b" }, { "/", "../a", "/a" },
		{ "a/b", "../../c", "c" }, { "a", "..", "." },
	};
	struct arena a;
	size_t i;

	(void)state;
	arena_init(&a, 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str got = cfg_path_join(&a, str_c(cases[i].dir),
		    str_c(cases[i].path));

		if (!str_eq_c(got, cases[i].want))
			fail_msg("%s + %s: %.*s", cases[i].dir,
			    cases[i].path, STR_ARG(got));
	}
	assert_true(str_eq_c(cfg_path_dir(&a, STR_LIT("x.yml")), "."));
	assert_true(str_eq_c(cfg_path_dir(&a, STR_LIT("/x.yml")), "/"));
	assert_true(str_eq_c(cfg_path_dir(&a, STR_LIT("a/b/x")), "a/b"));
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_scrape_blob),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_damaged_blob),
		cmocka_unit_test(test_printed),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

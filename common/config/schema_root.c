/* SPDX-License-Identifier: ISC */
/*
 * global, and the file as a whole: the checks that need more than one
 * section, in the reference's order (config/config.go, Config.UnmarshalYAML
 * and Load).
 */

#include <stdlib.h>

#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/config/schema.h"

/* --- global --- */

static const struct cfg_type external_labels_type = { .kind = CFG_MAP,
    .elem = &cfg_string };

static const struct cfg_field global_fields[] = {
	F("scrape_interval", cfg_duration, CFG_OMIT),
	F("scrape_timeout", cfg_duration, CFG_OMIT),
	F("scrape_protocols", cfg_strings, CFG_OMIT),
	F("evaluation_interval", cfg_duration, CFG_OMIT),
	F("rule_query_offset", cfg_duration, CFG_OMIT),
	F("query_log_file", cfg_path, CFG_OMIT),
	F("scrape_failure_log_file", cfg_path, CFG_OMIT),
	F("external_labels", external_labels_type, CFG_OMIT),
	F("body_size_limit", cfg_bytes, CFG_OMIT),
	F("sample_limit", cfg_uint, CFG_OMIT),
	F("target_limit", cfg_uint, CFG_OMIT),
	F("label_limit", cfg_uint, CFG_OMIT),
	F("label_name_length_limit", cfg_uint, CFG_OMIT),
	F("label_value_length_limit", cfg_uint, CFG_OMIT),
	F("keep_dropped_targets", cfg_uint, CFG_OMIT),
	F("metric_name_validation_scheme", validation_scheme_type, CFG_OMIT),
	F("metric_name_escaping_scheme", cfg_string, CFG_OMIT),
	F("scrape_native_histograms", cfg_bool, CFG_OMIT | CFG_PTR),
	F("convert_classic_histograms_to_nhcb", cfg_bool, CFG_OMIT),
	F("always_scrape_classic_histograms", cfg_bool, CFG_OMIT),
	F("extra_scrape_metrics", cfg_bool, CFG_OMIT | CFG_PTR),
};

static int
external_labels_check(struct cfg_reader *r, const struct cfg_val *v,
    bool legacy)
{
	const struct cfg_val *map = cfg_get(v, "external_labels");
	const struct cfg_entry *e;
	size_t i;

	for (i = 0; !map->is_nil && i < map->u.map.n; i++) {
		e = &map->u.map.e[i];
		if (legacy ? !label_name_is_legacy(e->key) :
		    !label_name_is_valid(e->key))
			return cfg_fail_quoted(r, e->val.line, e->key,
			    " is not a valid label name");
		if (!utf8_valid(e->val.u.s))
			return cfg_fail_quoted(r, e->val.line, e->val.u.s,
			    " is not a valid label value");
	}
	return 0;
}

static int
global_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct cfg_val *scheme = cfg_get(v, "metric_name_validation_scheme");
	struct cfg_val *interval = cfg_get(v, "scrape_interval");
	struct cfg_val *timeout = cfg_get(v, "scrape_timeout");
	struct cfg_val *eval = cfg_get(v, "evaluation_interval");
	struct cfg_val *native = cfg_get(v, "scrape_native_histograms");
	struct cfg_val *extra = cfg_get(v, "extra_scrape_metrics");
	struct cfg_val *protocols = cfg_get(v, "scrape_protocols");
	struct str no_job = { NULL, 0 };

	if (scheme->u.s.n == 0)
		scheme->u.s = STR_LIT("utf8");
	if (external_labels_check(r, v, name_validation_is_legacy(scheme)) ==
	    -1)
		return -1;
	if (interval->u.i == 0)
		interval->u.i = 60 * 1000;
	if (timeout->u.i > interval->u.i)
		return cfg_fail(r, timeout->line, "global scrape timeout "
		    "greater than scrape interval");
	if (timeout->u.i == 0)
		timeout->u.i = interval->u.i < 10 * 1000 ? interval->u.i :
		    10 * 1000;
	if (eval->u.i == 0)
		eval->u.i = 60 * 1000;
	if (native->is_nil)
		cfg_set_bool(native, false);
	if (extra->is_nil)
		cfg_set_bool(extra, false);
	return protocols->is_nil ? 0 :
	    scrape_protocols_check(r, protocols, no_job);
}

static CFG_STRUCT_TYPE(global_type, "config.plain", global_fields,
    global_check);

/* --- the file --- */

/* ^[^*]*(\*[^/]*)?$: a * only in the last element. */
static bool
is_rule_path(struct str s)
{
	const char *star = memchr(s.p, '*', s.n);

	return star == NULL ||
	    memchr(star, '/', (size_t)(s.p + s.n - star)) == NULL;
}

static int
paths_check(struct cfg_reader *r, const struct cfg_val *list,
    const char *what)
{
	const struct cfg_val *v;
	struct buf q;
	size_t i;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++) {
		v = &list->u.list.v[i];
		if (is_rule_path(v->u.s))
			continue;
		buf_init(&q, 600);
		quote_add(&q, v->u.s);
		(void)cfg_fail(r, v->line, "invalid %s file path %.*s", what,
		    STR_ARG(buf_str(&q)));
		buf_clear(&q);
		return -1;
	}
	return 0;
}

static int
cmp_named(const void *a, const void *b)
{
	const struct cfg_val *const *x = a, *const *y = b;
	int c = str_cmp((*x)->u.s, (*y)->u.s);

	return c != 0 ? c : ((*x)->line > (*y)->line) -
	    ((*x)->line < (*y)->line);
}

/* No two entries of a list have the same name. */
static int
names_check(struct cfg_reader *r, const struct cfg_val *list,
    const char *key, const char *what)
{
	size_t i, n = list->is_nil ? 0 : list->u.list.n, n_names = 0;
	const struct cfg_val **names;
	struct buf q;

	names = arena_array(r->mem, n + 1, sizeof(*names));
	if (names == NULL)
		return cfg_fail(r, 0, "out of memory");
	for (i = 0; i < n; i++) {
		names[n_names] = cfg_get(&list->u.list.v[i], key);
		n_names += names[n_names]->u.s.n > 0;
	}
	qsort(names, n_names, sizeof(*names), cmp_named);
	for (i = 1; i < n_names; i++) {
		if (!str_eq(names[i - 1]->u.s, names[i]->u.s))
			continue;
		buf_init(&q, 600);
		quote_add(&q, names[i]->u.s);
		(void)cfg_fail(r, names[i]->line, "found multiple %s configs "
		    "with job name %.*s", what, STR_ARG(buf_str(&q)));
		buf_clear(&q);
		return -1;
	}
	return 0;
}

static int
remote_write_validate(struct cfg_reader *r, const struct cfg_val *list,
    enum name_validation names)
{
	const struct cfg_val *v;
	size_t i;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++) {
		v = &list->u.list.v[i];
		if (v->is_nil)
			return cfg_fail(r, v->line,
			    "empty or null remote write config section");
		if (relabel_configs_validate(r,
		    cfg_get(v, "write_relabel_configs"), names) == -1)
			return -1;
	}
	return names_check(r, list, "name", "remote write");
}

static int
remote_read_validate(struct cfg_reader *r, const struct cfg_val *list)
{
	size_t i;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++)
		if (list->u.list.v[i].is_nil)
			return cfg_fail(r, list->u.list.v[i].line,
			    "empty or null remote read config section");
	return names_check(r, list, "name", "remote read");
}

/* Globals of a file without them, or with an empty section. */
static int
global_complete(struct cfg_reader *r, struct cfg_val *global)
{
	if (!cfg_is_zero(global))
		return 0;
	cfg_set_str(cfg_get(global, "metric_name_escaping_scheme"),
	    STR_LIT("allow-utf-8"));
	return global_check(r, global);
}

static int
tsdb_complete(struct cfg_reader *r, struct cfg_val *root)
{
	struct cfg_val *tsdb = cfg_get(cfg_get(root, "storage"), "tsdb");
	struct cfg_val *retention;

	if (tsdb->is_nil && cfg_init_default(r, tsdb, tsdb->type) == -1)
		return -1;
	retention = cfg_get(tsdb, "retention");
	if (!retention->is_nil)
		return 0;
	return cfg_init_default(r, retention, retention->type);
}

static int
root_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct cfg_val *global = cfg_get(v, "global");
	struct cfg_val *gogc = cfg_get(cfg_get(v, "runtime"), "gogc");
	const struct cfg_val *jobs = cfg_get(v, "scrape_configs");
	enum name_validation names;
	size_t i;

	if (global_complete(r, global) == -1)
		return -1;
	names = name_validation_is_legacy(cfg_get(global,
	    "metric_name_validation_scheme")) ? NAME_VALIDATION_LEGACY :
	    NAME_VALIDATION_UTF8;
	if (gogc->u.i == 0)
		gogc->u.i = 75;
	if (tsdb_complete(r, v) == -1 ||
	    paths_check(r, cfg_get(v, "rule_files"), "rule") == -1 ||
	    paths_check(r, cfg_get(v, "scrape_config_files"),
	    "scrape config") == -1)
		return -1;
	for (i = 0; !jobs->is_nil && i < jobs->u.list.n; i++)
		if (scrape_config_validate(r, &jobs->u.list.v[i],
		    global) == -1)
			return -1;
	if (names_check(r, jobs, "job_name", "scrape") == -1 ||
	    alerting_validate(r, cfg_get(v, "alerting"), names) == -1 ||
	    remote_write_validate(r, cfg_get(v, "remote_write"),
	    names) == -1)
		return -1;
	return remote_read_validate(r, cfg_get(v, "remote_read"));
}

static const struct cfg_field root_fields[] = {
	F("global", global_type, 0),
	F("runtime", runtime_type, CFG_OMIT),
	F("alerting", alerting_type, CFG_OMIT),
	F("rule_files", cfg_paths, CFG_OMIT),
	F("scrape_config_files", cfg_paths, CFG_OMIT),
	F("scrape_configs", scrape_config_list_type, CFG_OMIT),
	F("storage", storage_type, CFG_OMIT),
	F("tracing", tracing_type, CFG_OMIT),
	F("remote_write", remote_write_list_type, CFG_OMIT),
	F("remote_read", remote_read_list_type, CFG_OMIT),
	F("otlp", otlp_type, CFG_OMIT),
};
CFG_STRUCT_TYPE(config_type, "config.plain", root_fields, root_check);

static const struct cfg_field scrape_file_fields[] = {
	F("scrape_configs", scrape_config_list_type, CFG_OMIT),
};
CFG_STRUCT_TYPE(scrape_file_type, "config.ScrapeConfigs", scrape_file_fields,
    NULL);

static int
otlp_strategy_check(struct cfg_reader *r, const struct cfg_val *root)
{
	const struct cfg_val *v = cfg_get(cfg_get(root, "otlp"),
	    "translation_strategy");
	bool legacy = name_validation_is_legacy(cfg_get(cfg_get(root,
	    "global"), "metric_name_validation_scheme"));
	struct buf q;

	if (v->u.s.n == 0 ||
	    str_eq_c(v->u.s, "UnderscoreEscapingWithSuffixes") ||
	    str_eq_c(v->u.s, "UnderscoreEscapingWithoutSuffixes"))
		return 0;
	buf_init(&q, 600);
	if (!str_eq_c(v->u.s, "NoTranslation") &&
	    !str_eq_c(v->u.s, "NoUTF8EscapingWithSuffixes")) {
		quote_add(&q, v->u.s);
		(void)cfg_fail(r, v->line,
		    "unsupported OTLP translation strategy %.*s",
		    STR_ARG(buf_str(&q)));
	} else if (legacy) {
		quote_add(&q, v->u.s);
		(void)cfg_fail(r, v->line, "OTLP translation strategy %.*s "
		    "is not allowed when UTF8 is disabled",
		    STR_ARG(buf_str(&q)));
	}
	buf_clear(&q);
	return r->failed ? -1 : 0;
}

int
config_complete(struct cfg_reader *r, struct cfg_val *root)
{
	/* Nothing ran for an empty document. */
	if (!root->present && root_check(r, root) == -1)
		return -1;
	return otlp_strategy_check(r, root);
}

/* SPDX-License-Identifier: ISC */
/*
 * scrape_configs, static_configs, relabel_configs. Order and words of the
 * checks are the reference's (config/config.go, model/relabel).
 */

#include <stdlib.h>
#include <strings.h>

#include "common/base/quote.h"
#include "common/config/blob/scrape_conf.h"
#include "common/config/schema.h"

/* --- labels --- */

static int
label_name_check(struct cfg_reader *r, struct cfg_val *v)
{
	return label_name_is_valid(v->u.s) ? 0 : cfg_fail_quoted(r, v->line,
	    v->u.s, " is not a valid label name");
}

static const struct cfg_type label_name_type = { .kind = CFG_STR,
    .go_name = "string", .check = label_name_check };
static CFG_LIST_TYPE(label_names_type, "model.LabelNames", label_name_type,
    false);

const struct cfg_type label_set_type = { .kind = CFG_MAP,
    .elem = &cfg_string, .check_key = label_name_check };

/* --- relabel_configs --- */

static int
relabel_action_check(struct cfg_reader *r, struct cfg_val *v)
{
	enum relabel_action action;
	struct buf q;

	if (relabel_action_parse(v->u.s, &action)) {
		v->u.s = str_c(relabel_action_name(action));
		return 0;
	}
	buf_init(&q, 600);
	quote_add(&q, v->u.s);
	(void)cfg_fail(r, v->line, "unknown relabel action %.*s",
	    STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return -1;
}

static const struct cfg_type relabel_action_type = { .kind = CFG_STR,
    .go_name = "string", .check = relabel_action_check };

static const struct cfg_field relabel_fields[] = {
	F("source_labels", label_names_type, CFG_OMIT | CFG_FLOW),
	FD("separator", cfg_string, 0, ";"),
	FD("regex", cfg_regex, CFG_OMIT, "(.*)"),
	F("modulus", cfg_uint64, CFG_OMIT),
	F("target_label", cfg_string, CFG_OMIT),
	FD("replacement", cfg_string, 0, "$1"),
	FD("action", relabel_action_type, CFG_OMIT, "replace"),
};
static CFG_STRUCT_TYPE(relabel_config_type, "relabel.plain", relabel_fields,
    NULL);
CFG_LIST_TYPE(relabel_config_list_type, "[]*relabel.Config",
    relabel_config_type, true);

struct relabel_spec
relabel_config_spec(const struct cfg_val *v, struct str *names,
    enum name_validation validation)
{
	struct relabel_spec s = relabel_spec_default();
	const struct cfg_val *src = cfg_get(v, "source_labels");
	size_t i;

	s.has_source_labels = !src->is_nil;
	s.n_source_labels = src->is_nil ? 0 : src->u.list.n;
	for (i = 0; i < s.n_source_labels; i++)
		names[i] = src->u.list.v[i].u.s;
	s.source_labels = names;
	s.separator = cfg_get_str(v, "separator");
	s.target_label = cfg_get_str(v, "target_label");
	s.regex = cfg_get_str(v, "regex");
	s.has_regex = !cfg_get(v, "regex")->is_zero_regex;
	s.replacement = cfg_get_str(v, "replacement");
	s.modulus = cfg_get_uint(v, "modulus");
	s.no_action = !cfg_has(v, "action");
	if (!s.no_action)
		(void)relabel_action_parse(cfg_get_str(v, "action"),
		    &s.action);
	s.names = validation;
	return s;
}

int
relabel_configs_check(struct cfg_reader *r, const struct cfg_val *list,
    const char *what)
{
	size_t i;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++)
		if (list->u.list.v[i].is_nil)
			return cfg_fail(r, list->u.list.v[i].line,
			    "empty or null %s", what);
	return 0;
}

int
relabel_configs_validate(struct cfg_reader *r, const struct cfg_val *list,
    enum name_validation validation)
{
	struct err e = ERR_INIT;
	struct relabel_spec spec;
	const struct cfg_val *v;
	struct str *names;
	size_t i, n;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++) {
		v = &list->u.list.v[i];
		n = cfg_get(v, "source_labels")->u.list.n;
		names = arena_array(r->mem, n + 1, sizeof(*names));
		if (names == NULL)
			return cfg_fail(r, v->line, "out of memory");
		spec = relabel_config_spec(v, names, validation);
		if (relabel_spec_check(&spec, &e) == -1)
			return cfg_fail(r, v->line, "%s", e.text);
	}
	return 0;
}

/* --- static_configs --- */

static const struct cfg_field static_fields[] = {
	F("targets", cfg_strings, 0),
	F("labels", label_set_type, CFG_OMIT),
};
CFG_STRUCT_TYPE(static_config_type, "struct { Targets []string "
    "\"yaml:\\\"targets\\\"\"; Labels model.LabelSet "
    "\"yaml:\\\"labels\\\"\" }", static_fields, NULL);

int
static_targets_check(struct cfg_reader *r, const struct cfg_val *outer)
{
	const struct cfg_val *groups = cfg_get(outer, "static_configs");
	const struct cfg_val *targets, *t;
	size_t i, j;

	for (i = 0; !groups->is_nil && i < groups->u.list.n; i++) {
		targets = cfg_get(&groups->u.list.v[i], "targets");
		for (j = 0; !targets->is_nil && j < targets->u.list.n; j++) {
			t = &targets->u.list.v[j];
			if (memchr(t->u.s.p, '/', t->u.s.n) != NULL)
				return cfg_fail_quoted(r, t->line, t->u.s,
				    " is not a valid hostname");
		}
	}
	return 0;
}

/* --- enums --- */

static int
validation_scheme_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct buf q;

	if (v->u.s.n == 0 || str_eq_c(v->u.s, "utf8") ||
	    str_eq_c(v->u.s, "legacy"))
		return 0;
	buf_init(&q, 600);
	quote_add(&q, v->u.s);
	(void)cfg_fail(r, v->line, "unrecognized ValidationScheme: %.*s",
	    STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return -1;
}

const struct cfg_type validation_scheme_type = { .kind = CFG_STR,
    .go_name = "string", .check = validation_scheme_check };

bool
name_validation_is_legacy(const struct cfg_val *scheme)
{
	return str_eq_c(scheme->u.s, "legacy");
}

static void
add_protocols(struct buf *b, const struct cfg_val *list)
{
	size_t i;

	buf_add_byte(b, '[');
	for (i = 0; i < list->u.list.n; i++) {
		if (i > 0)
			buf_add_byte(b, ' ');
		buf_add_str(b, list->u.list.v[i].u.s);
	}
	buf_add_byte(b, ']');
}

#define SUPPORTED_PROTOCOLS	"[OpenMetricsText0.0.1 OpenMetricsText1.0.0 " \
	"PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"

/* What is wrong with the list, into b; nothing added if it is right. */
static void
describe_protocols(struct buf *b, const struct cfg_val *list)
{
	struct str a, c;
	size_t i, j;

	if (list->u.list.n == 0)
		buf_add_c(b, "scrape_protocols cannot be empty");
	for (i = 0; i < list->u.list.n && b->n == 0; i++) {
		a = list->u.list.v[i].u.s;
		for (j = 0; j < i && j < SCRAPE_N_PROTOCOLS && b->n == 0;
		    j++) {
			c = list->u.list.v[j].u.s;
			if (a.n != c.n || strncasecmp(a.p, c.p, a.n) != 0)
				continue;
			buf_add_c(b, "duplicated protocol in "
			    "scrape_protocols, got ");
			add_protocols(b, list);
		}
		if (b->n == 0 &&
		    scrape_protocol_parse(a) == SCRAPE_PROTOCOL_NONE)
			buf_printf(b, "scrape_protocols: unknown scrape "
			    "protocol %.*s, supported: " SUPPORTED_PROTOCOLS,
			    STR_ARG(a));
	}
}

int
scrape_protocols_check(struct cfg_reader *r, const struct cfg_val *list,
    struct str job)
{
	struct buf b, q;
	int rc = 0;

	buf_init(&b, 4096);
	buf_init(&q, 600);
	describe_protocols(&b, list);
	if (job.p == NULL)
		buf_add_c(&q, "global config");
	else {
		buf_add_c(&q, "scrape config with job name ");
		quote_add(&q, job);
	}
	if (b.n > 0)
		rc = cfg_fail(r, list->line, "%.*s for %.*s",
		    STR_ARG(buf_str(&b)), STR_ARG(buf_str(&q)));
	buf_clear(&b);
	buf_clear(&q);
	return rc;
}

/* --- scrape_configs --- */

static int
scrape_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *rules = cfg_get(v, "relabel_configs");

	if (sd_configs_check(r, v) == -1)
		return -1;
	if (!cfg_has(v, "job_name"))
		return cfg_fail(r, v->line, "job_name is empty");
	if (http_client_check(r, v) == -1)
		return -1;
	if (!cfg_has(v, "relabel_configs") && static_targets_check(r, v) == -1)
		return -1;
	if (relabel_configs_check(r, rules,
	    "target relabeling rule in scrape config") == -1)
		return -1;
	return relabel_configs_check(r, cfg_get(v, "metric_relabel_configs"),
	    "metric relabeling rule in scrape config");
}

static const struct cfg_field scrape_fields[] = {
	F("job_name", cfg_string, 0),
	F("honor_labels", cfg_bool, CFG_OMIT),
	FD("honor_timestamps", cfg_bool, 0, "true"),
	F("track_timestamps_staleness", cfg_bool, 0),
	F("params", cfg_strings_map, CFG_OMIT),
	F("scrape_interval", cfg_duration, CFG_OMIT),
	F("scrape_timeout", cfg_duration, CFG_OMIT),
	F("scrape_protocols", cfg_strings, CFG_OMIT),
	F("fallback_scrape_protocol", cfg_string, CFG_OMIT),
	F("scrape_native_histograms", cfg_bool, CFG_OMIT | CFG_PTR),
	F("always_scrape_classic_histograms", cfg_bool, CFG_OMIT | CFG_PTR),
	F("convert_classic_histograms_to_nhcb", cfg_bool,
	    CFG_OMIT | CFG_PTR),
	F("scrape_failure_log_file", cfg_path, CFG_OMIT),
	FD("metrics_path", cfg_string, CFG_OMIT, "/metrics"),
	FD("scheme", cfg_string, CFG_OMIT, "http"),
	FD("enable_compression", cfg_bool, 0, "true"),
	F("body_size_limit", cfg_bytes, CFG_OMIT),
	F("sample_limit", cfg_uint, CFG_OMIT),
	F("target_limit", cfg_uint, CFG_OMIT),
	F("label_limit", cfg_uint, CFG_OMIT),
	F("label_name_length_limit", cfg_uint, CFG_OMIT),
	F("label_value_length_limit", cfg_uint, CFG_OMIT),
	F("native_histogram_bucket_limit", cfg_uint, CFG_OMIT),
	F("native_histogram_min_bucket_factor", cfg_float, CFG_OMIT),
	F("keep_dropped_targets", cfg_uint, CFG_OMIT),
	F("metric_name_validation_scheme", validation_scheme_type, CFG_OMIT),
	F("metric_name_escaping_scheme", cfg_string, CFG_OMIT),
	F("extra_scrape_metrics", cfg_bool, CFG_OMIT | CFG_PTR),
	F("", http_client_type, CFG_INLINE),
	F("relabel_configs", relabel_config_list_type, CFG_OMIT),
	F("metric_relabel_configs", relabel_config_list_type, CFG_OMIT),
	F("", sd_configs_type, CFG_INLINE),
};
static CFG_STRUCT_TYPE(scrape_config_type, "config.ScrapeConfig",
    scrape_fields, scrape_check);
CFG_LIST_TYPE(scrape_config_list_type, "[]*config.ScrapeConfig",
    scrape_config_type, true);

/* --- scrape_configs and the globals --- */

static void
inherit_int(struct cfg_val *v, const struct cfg_val *global, const char *key)
{
	struct cfg_val *f = cfg_get(v, key);

	/* durations, sizes and counts share the place of u.i and u.u */
	if (cfg_is_zero(f))
		f->u = cfg_get(global, key)->u;
}

static void
inherit_limits(struct cfg_val *v, const struct cfg_val *global)
{
	static const char *const keys[] = { "body_size_limit",
	    "sample_limit", "target_limit", "label_limit",
	    "label_name_length_limit", "label_value_length_limit",
	    "keep_dropped_targets", "scrape_failure_log_file" };
	size_t i;

	for (i = 0; i < CFG_N(keys); i++)
		inherit_int(v, global, keys[i]);
}

static void
inherit_bool(struct cfg_val *v, const struct cfg_val *global, const char *key)
{
	struct cfg_val *f = cfg_get(v, key);

	if (f->is_nil)
		cfg_set_bool(f, cfg_get_bool(global, key));
}

static int
set_protocols(struct cfg_reader *r, struct cfg_val *list, bool proto_first)
{
	static const enum scrape_protocol order[] = {
		SCRAPE_PROTOCOL_PROMETHEUS_PROTO,
		SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0,
		SCRAPE_PROTOCOL_OPENMETRICS_TEXT_0_0_1,
		SCRAPE_PROTOCOL_PROMETHEUS_TEXT_1_0_0,
		SCRAPE_PROTOCOL_PROMETHEUS_TEXT_0_0_4,
	};
	size_t i, first = proto_first ? 0 : 1;

	list->is_nil = false;
	list->u.list.n = CFG_N(order) - first;
	list->u.list.v = arena_zalloc(r->mem,
	    list->u.list.n * sizeof(*list->u.list.v));
	if (list->u.list.v == NULL)
		return cfg_fail(r, list->line, "out of memory");
	for (i = 0; i < list->u.list.n; i++) {
		list->u.list.v[i].type = &cfg_string;
		list->u.list.v[i].u.s =
		    str_c(scrape_protocol_name(order[first + i]));
	}
	return 0;
}

static int
validate_times(struct cfg_reader *r, struct cfg_val *v,
    const struct cfg_val *global)
{
	struct cfg_val *interval = cfg_get(v, "scrape_interval");
	struct cfg_val *timeout = cfg_get(v, "scrape_timeout");
	int64_t global_timeout = cfg_get_int(global, "scrape_timeout");
	struct buf q;

	inherit_int(v, global, "scrape_interval");
	if (timeout->u.i > interval->u.i) {
		buf_init(&q, 600);
		quote_add(&q, cfg_get_str(v, "job_name"));
		(void)cfg_fail(r, timeout->line, "scrape timeout greater than "
		    "scrape interval for scrape config with job name %.*s",
		    STR_ARG(buf_str(&q)));
		buf_clear(&q);
		return -1;
	}
	if (timeout->u.i == 0)
		timeout->u.i = global_timeout < interval->u.i ?
		    global_timeout : interval->u.i;
	return 0;
}

static int
validate_protocols(struct cfg_reader *r, struct cfg_val *v,
    const struct cfg_val *global)
{
	struct cfg_val *list = cfg_get(v, "scrape_protocols");
	const struct cfg_val *inherited = cfg_get(global, "scrape_protocols");
	struct cfg_val *fallback = cfg_get(v, "fallback_scrape_protocol");
	struct buf q;

	if (list->is_nil && !inherited->is_nil) {
		list->is_nil = false;
		list->u = inherited->u;
	} else if (list->is_nil && set_protocols(r, list,
	    cfg_get_bool(v, "scrape_native_histograms")) == -1)
		return -1;
	if (scrape_protocols_check(r, list, cfg_get_str(v, "job_name")) == -1)
		return -1;
	if (fallback->u.s.n == 0 ||
	    scrape_protocol_parse(fallback->u.s) != SCRAPE_PROTOCOL_NONE)
		return 0;
	buf_init(&q, 600);
	quote_add(&q, cfg_get_str(v, "job_name"));
	(void)cfg_fail(r, fallback->line, "invalid fallback_scrape_protocol "
	    "for scrape config with job name %.*s: unknown scrape protocol "
	    "%.*s, supported: " SUPPORTED_PROTOCOLS, STR_ARG(buf_str(&q)),
	    STR_ARG(fallback->u.s));
	buf_clear(&q);
	return -1;
}

static bool
escaping_is_known(struct str s)
{
	return str_eq_c(s, "allow-utf-8") || str_eq_c(s, "underscores") ||
	    str_eq_c(s, "dots") || str_eq_c(s, "values");
}

static int
unknown_escaping(struct cfg_reader *r, uint32_t line, const char *which,
    struct str got)
{
	struct buf q;

	buf_init(&q, 600);
	quote_add(&q, got);
	(void)cfg_fail(r, line, "unknown %s name escaping method specified, "
	    "must be one of 'allow-utf-8', 'underscores', 'dots', or "
	    "'values', got %.*s", which, STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return -1;
}

/* The escaping a validation scheme brings if none is named. */
static struct str
escaping_of(const struct cfg_val *scheme)
{
	return name_validation_is_legacy(scheme) ? STR_LIT("underscores") :
	    STR_LIT("allow-utf-8");
}

static int
validate_names(struct cfg_reader *r, struct cfg_val *v,
    const struct cfg_val *global)
{
	const struct cfg_val *g_scheme = cfg_get(global,
	    "metric_name_validation_scheme");
	struct str g_escaping = cfg_get_str(global,
	    "metric_name_escaping_scheme");
	struct cfg_val *scheme = cfg_get(v, "metric_name_validation_scheme");
	struct cfg_val *escaping = cfg_get(v, "metric_name_escaping_scheme");
	bool inherited = scheme->u.s.n == 0;

	if (inherited)
		scheme->u.s = g_scheme->u.s;
	if (g_escaping.n == 0)
		g_escaping = escaping_of(g_scheme);
	else if (!escaping_is_known(g_escaping))
		return unknown_escaping(r, cfg_get(global,
		    "metric_name_escaping_scheme")->line, "global",
		    g_escaping);
	if (escaping->u.s.n == 0)
		escaping->u.s = inherited ? g_escaping : escaping_of(scheme);
	if (!escaping_is_known(escaping->u.s))
		return unknown_escaping(r, escaping->line, "scrape config",
		    escaping->u.s);
	if (str_eq_c(escaping->u.s, "allow-utf-8") &&
	    name_validation_is_legacy(scheme))
		return cfg_fail(r, v->line, "utf8 metric names requested but "
		    "validation scheme is not set to UTF8");
	return 0;
}

int
scrape_config_validate(struct cfg_reader *r, struct cfg_val *v,
    const struct cfg_val *global)
{
	enum name_validation names;

	if (v->is_nil)
		return cfg_fail(r, v->line,
		    "empty or null scrape config section");
	if (validate_times(r, v, global) == -1)
		return -1;
	inherit_limits(v, global);
	inherit_bool(v, global, "scrape_native_histograms");
	inherit_bool(v, global, "extra_scrape_metrics");
	if (validate_protocols(r, v, global) == -1 ||
	    validate_names(r, v, global) == -1)
		return -1;
	inherit_bool(v, global, "convert_classic_histograms_to_nhcb");
	inherit_bool(v, global, "always_scrape_classic_histograms");
	names = name_validation_is_legacy(cfg_get(v,
	    "metric_name_validation_scheme")) ? NAME_VALIDATION_LEGACY :
	    NAME_VALIDATION_UTF8;
	if (relabel_configs_validate(r, cfg_get(v, "relabel_configs"),
	    names) == -1)
		return -1;
	return relabel_configs_validate(r,
	    cfg_get(v, "metric_relabel_configs"), names);
}

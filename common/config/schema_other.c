/* SPDX-License-Identifier: ISC */
/*
 * runtime, alerting, storage, tracing, otlp. Order and words of the checks
 * are the reference's (config/config.go).
 */

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/quote.h"
#include "common/config/schema.h"

static const struct cfg_field runtime_fields[] = {
	F("gogc", cfg_int, CFG_OMIT),
};
CFG_STRUCT_TYPE(runtime_type, "config.RuntimeConfig", runtime_fields, NULL);

/* Text of the format with the quoted value at its end. */
static int
fail_with_value(struct cfg_reader *r, const struct cfg_val *v,
    const char *before)
{
	struct buf q;

	buf_init(&q, 600);
	quote_add(&q, v->u.s);
	(void)cfg_fail(r, v->line, "%s%.*s", before, STR_ARG(buf_str(&q)));
	buf_clear(&q);
	return -1;
}

/* --- alerting --- */

static int
api_version_check(struct cfg_reader *r, struct cfg_val *v)
{
	return str_eq_c(v->u.s, "v2") ? 0 : cfg_fail(r, v->line,
	    "expected Alertmanager api version to be one of [v2] but got %.*s",
	    STR_ARG(v->u.s));
}

static const struct cfg_type api_version_type = { .kind = CFG_STR,
    .go_name = "config.plain", .check = api_version_check };

static int
alertmanager_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_configs_check(r, v) == -1 || http_client_check(r, v) == -1)
		return -1;
	if (!cfg_get(v, "sigv4")->is_nil &&
	    (!cfg_get(v, "basic_auth")->is_nil ||
	    !cfg_get(v, "authorization")->is_nil ||
	    !cfg_get(v, "oauth2")->is_nil))
		return cfg_fail(r, v->line, "at most one of basic_auth, "
		    "authorization, oauth2, & sigv4 must be configured");
	if (!cfg_has(v, "relabel_configs") && static_targets_check(r, v) == -1)
		return -1;
	if (relabel_configs_check(r, cfg_get(v, "relabel_configs"),
	    "Alertmanager target relabeling rule") == -1)
		return -1;
	return relabel_configs_check(r, cfg_get(v, "alert_relabel_configs"),
	    "Alertmanager alert relabeling rule");
}

static const struct cfg_field alertmanager_fields[] = {
	F("", http_client_type, CFG_INLINE),
	F("sigv4", sigv4_type, CFG_OMIT | CFG_PTR),
	FD("scheme", cfg_string, CFG_OMIT, "http"),
	F("path_prefix", cfg_string, CFG_OMIT),
	FD("timeout", cfg_duration, CFG_OMIT, "10s"),
	FD("api_version", api_version_type, 0, "v2"),
	F("relabel_configs", relabel_config_list_type, CFG_OMIT),
	F("alert_relabel_configs", relabel_config_list_type, CFG_OMIT),
	F("", sd_configs_type, CFG_INLINE),
};
static CFG_STRUCT_TYPE(alertmanager_type, "config.AlertmanagerConfig",
    alertmanager_fields, alertmanager_check);
static CFG_LIST_TYPE(alertmanager_list_type, "config.AlertmanagerConfigs",
    alertmanager_type, true);

static int
alerting_check(struct cfg_reader *r, struct cfg_val *v)
{
	return relabel_configs_check(r, cfg_get(v, "alert_relabel_configs"),
	    "alert relabeling rule");
}

static const struct cfg_field alerting_fields[] = {
	F("alert_relabel_configs", relabel_config_list_type, CFG_OMIT),
	F("alertmanagers", alertmanager_list_type, CFG_OMIT),
};
CFG_STRUCT_TYPE(alerting_type, "config.plain", alerting_fields,
    alerting_check);

int
alerting_validate(struct cfg_reader *r, const struct cfg_val *v,
    enum name_validation names)
{
	const struct cfg_val *list = cfg_get(v, "alertmanagers"), *am;
	size_t i;

	if (relabel_configs_validate(r, cfg_get(v, "alert_relabel_configs"),
	    names) == -1)
		return -1;
	for (i = 0; !list->is_nil && i < list->u.list.n; i++) {
		am = &list->u.list.v[i];
		if (am->is_nil)
			return cfg_fail(r, am->line,
			    "empty or null Alertmanager section");
		if (relabel_configs_validate(r,
		    cfg_get(am, "alert_relabel_configs"), names) == -1 ||
		    relabel_configs_validate(r,
		    cfg_get(am, "relabel_configs"), names) == -1)
			return -1;
	}
	return 0;
}

/* --- storage --- */

static int
retention_check(struct cfg_reader *r, struct cfg_val *v)
{
	int64_t size = cfg_get_int(v, "size");
	double percentage = cfg_get_float(v, "percentage");
	char text[FLOAT_TEXT_MAX + 1];

	if (size < 0) {
		bytes_format(size, text);
		return cfg_fail(r, cfg_get(v, "size")->line,
		    "'storage.tsdb.retention.size' must be greater than or "
		    "equal to 0, got %s", text);
	}
	if (percentage < 0 || percentage > 100) {
		text[float_format_g(percentage, text)] = '\0';
		return cfg_fail(r, cfg_get(v, "percentage")->line,
		    "'storage.tsdb.retention.percentage' must be in the "
		    "range [0, 100], got %s", text);
	}
	return 0;
}

static const struct cfg_field retention_fields[] = {
	F("time", cfg_duration, CFG_OMIT),
	F("size", cfg_bytes, CFG_OMIT),
	F("percentage", cfg_float, CFG_OMIT),
};
static CFG_STRUCT_TYPE(retention_type, "config.plain", retention_fields,
    retention_check);

static const struct cfg_field chunk_encoding_fields[] = {
	F("floats", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(chunk_encoding_type, "config.ChunkEncodingConfig",
    chunk_encoding_fields, NULL);

static int
tsdb_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *floats = cfg_get(cfg_get(v, "chunk_encoding"),
	    "floats");

	cfg_get(v, "outofordertimewindow")->u.i = cfg_get_int(v,
	    "out_of_order_time_window");
	if (floats->u.s.n == 0 || str_eq_c(floats->u.s, "xor") ||
	    str_eq_c(floats->u.s, "xor2"))
		return 0;
	return fail_with_value(r, floats, "'storage.tsdb.chunk_encoding."
	    "floats' must be 'xor' or 'xor2', or the field must be omitted "
	    "entirely, got ");
}

/* The first is the second in milliseconds, as the reference shows it. */
static const struct cfg_field tsdb_fields[] = {
	F("outofordertimewindow", cfg_int64, 0),
	F("out_of_order_time_window", cfg_duration, CFG_OMIT),
	F("stale_series_compaction_threshold", cfg_float, CFG_OMIT),
	F("chunk_encoding", chunk_encoding_type, CFG_OMIT),
	F("retention", retention_type, CFG_OMIT | CFG_PTR),
};
static CFG_STRUCT_TYPE(tsdb_type, "config.plain", tsdb_fields, tsdb_check);

static const struct cfg_field exemplars_fields[] = {
	F("max_exemplars", cfg_int64, CFG_OMIT),
};
static CFG_STRUCT_TYPE(exemplars_type, "config.ExemplarsConfig",
    exemplars_fields, NULL);

static const struct cfg_field storage_fields[] = {
	F("tsdb", tsdb_type, CFG_OMIT | CFG_PTR),
	F("exemplars", exemplars_type, CFG_OMIT | CFG_PTR),
};
CFG_STRUCT_TYPE(storage_type, "config.StorageConfig", storage_fields, NULL);

/* --- tracing --- */

static int
client_type_check(struct cfg_reader *r, struct cfg_val *v)
{
	return str_eq_c(v->u.s, "http") || str_eq_c(v->u.s, "grpc") ? 0 :
	    cfg_fail(r, v->line, "expected tracing client type to be to be "
	    "http or grpc, but got %.*s", STR_ARG(v->u.s));
}

static const struct cfg_type client_type_type = { .kind = CFG_STR,
    .go_name = "config.plain", .check = client_type_check };

static int
tracing_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *compression = cfg_get(v, "compression");

	if (header_map_check(r, cfg_get(v, "headers"), "custom authorization "
	    "header configuration is not yet supported") == -1)
		return -1;
	if (!cfg_has(v, "endpoint"))
		return cfg_fail(r, v->line, "tracing endpoint must be set");
	if (compression->u.s.n > 0 && !str_eq_c(compression->u.s, "gzip"))
		return cfg_fail(r, compression->line, "invalid compression "
		    "type %.*s provided, valid options: gzip",
		    STR_ARG(compression->u.s));
	/* From here on the section counts as given: see tracing_type. */
	cfg_set_str(cfg_get(v, "client_type"),
	    cfg_has(v, "client_type") ? cfg_get_str(v, "client_type") :
	    STR_LIT("grpc"));
	return 0;
}

/* The default of client_type holds only where the section is given. */
static const struct cfg_field tracing_fields[] = {
	F("client_type", client_type_type, CFG_OMIT),
	F("endpoint", cfg_string, CFG_OMIT),
	F("sampling_fraction", cfg_float, CFG_OMIT),
	F("insecure", cfg_bool, CFG_OMIT),
	F("tls_config", tls_config_type, CFG_OMIT),
	F("headers", cfg_string_map, CFG_OMIT),
	F("compression", cfg_string, CFG_OMIT),
	F("timeout", cfg_duration, CFG_OMIT),
};
CFG_STRUCT_TYPE(tracing_type, "config.plain", tracing_fields, tracing_check);

/* --- otlp --- */

/* Trims the entries; what is wrong with them, `adjective` being theirs. */
static int
sanitize_attributes(struct cfg_reader *r, const struct cfg_val *list,
    const char *field, const char *adjective)
{
	struct cfg_val *v;
	struct buf q, all;
	size_t i, j, bad = 0;
	uint32_t line = list->line;

	buf_init(&all, 900);
	for (i = 0; !list->is_nil && i < list->u.list.n && i < 10000; i++) {
		v = &list->u.list.v[i];
		v->u.s = str_trim(v->u.s);
		if (v->u.s.n == 0) {
			buf_printf(&all, "%sempty %s OTel resource attribute",
			    bad++ > 0 ? "\n" : "", adjective);
			continue;
		}
		for (j = 0; j < i; j++)
			if (str_eq(list->u.list.v[j].u.s, v->u.s))
				break;
		if (j == i)
			continue;
		buf_init(&q, 300);
		quote_add(&q, v->u.s);
		buf_printf(&all, "%sduplicated %s OTel resource attribute "
		    "%.*s", bad++ > 0 ? "\n" : "", adjective,
		    STR_ARG(buf_str(&q)));
		buf_clear(&q);
	}
	if (bad > 0)
		(void)cfg_fail(r, line, "invalid '%s': %.*s", field,
		    STR_ARG(buf_str(&all)));
	buf_clear(&all);
	return bad > 0 ? -1 : 0;
}

static int
otlp_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (!cfg_get_bool(v, "promote_all_resource_attributes")) {
		if (cfg_has(v, "ignore_resource_attributes"))
			return cfg_fail(r, v->line,
			    "'ignore_resource_attributes' cannot be "
			    "configured unless "
			    "'promote_all_resource_attributes' is true");
		return sanitize_attributes(r,
		    cfg_get(v, "promote_resource_attributes"),
		    "promote_resource_attributes", "promoted");
	}
	if (cfg_has(v, "promote_resource_attributes"))
		return cfg_fail(r, v->line,
		    "'promote_all_resource_attributes' and "
		    "'promote_resource_attributes' cannot be configured "
		    "simultaneously");
	return sanitize_attributes(r,
	    cfg_get(v, "ignore_resource_attributes"),
	    "ignore_resource_attributes", "ignored");
}

static const struct cfg_field otlp_fields[] = {
	F("promote_all_resource_attributes", cfg_bool, CFG_OMIT),
	F("promote_resource_attributes", cfg_strings, CFG_OMIT),
	F("ignore_resource_attributes", cfg_strings, CFG_OMIT),
	FD("translation_strategy", cfg_string, CFG_OMIT,
	    "UnderscoreEscapingWithSuffixes"),
	F("keep_identifying_resource_attributes", cfg_bool, CFG_OMIT),
	F("convert_histograms_to_nhcb", cfg_bool, CFG_OMIT),
	F("promote_scope_metadata", cfg_bool, CFG_OMIT),
	FD("label_name_underscore_sanitization", cfg_bool, CFG_OMIT, "true"),
	FD("label_name_preserve_multiple_underscores", cfg_bool, CFG_OMIT,
	    "true"),
};
CFG_STRUCT_TYPE(otlp_type, "config.plain", otlp_fields, otlp_check);

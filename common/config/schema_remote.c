/* SPDX-License-Identifier: ISC */
/*
 * remote_write and remote_read, with the ways to sign in of three clouds.
 * Order and words of the checks are the reference's.
 */

#include "common/config/schema.h"

/* --- sigv4 --- */

static int
sigv4_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (cfg_has(v, "access_key") != cfg_has(v, "secret_key"))
		return cfg_fail(r, v->line, "must provide a AWS SigV4 Access "
		    "key and Secret Key if credentials are specified in the "
		    "SigV4 config");
	if (cfg_has(v, "external_id") && !cfg_has(v, "role_arn"))
		return cfg_fail(r, v->line,
		    "external_id can only be used with role_arn");
	return 0;
}

static const struct cfg_field sigv4_fields[] = {
	F("region", cfg_string, CFG_OMIT),
	F("access_key", cfg_string, CFG_OMIT),
	F("secret_key", cfg_secret, CFG_OMIT),
	F("profile", cfg_string, CFG_OMIT),
	F("role_arn", cfg_string, CFG_OMIT),
	F("external_id", cfg_string, CFG_OMIT),
	F("use_fips_sts_endpoint", cfg_bool, CFG_OMIT),
	F("service_name", cfg_string, CFG_OMIT),
};
CFG_STRUCT_TYPE(sigv4_type, "sigv4.plain", sigv4_fields, sigv4_check);

/* --- azuread --- */

static bool
is_uuid(struct str s)
{
	size_t i;
	char c;

	if (s.n != 36)
		return false;
	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return false;
		} else if (!((c >= '0' && c <= '9') ||
		    (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
	}
	return true;
}

static int
azure_needs(struct cfg_reader *r, const struct cfg_val *v, const char *what,
    const char *key)
{
	return cfg_has(v, key) ? 0 : cfg_fail(r, v->line,
	    "must provide an Azure %s %s in the Azure AD config", what, key);
}

static int
azure_uuid(struct cfg_reader *r, const struct cfg_val *v, const char *what,
    const char *key)
{
	return is_uuid(cfg_get_str(v, key)) ? 0 : cfg_fail(r, v->line,
	    "the provided Azure %s %s is invalid", what, key);
}

static int
azure_method_check(struct cfg_reader *r, const struct cfg_val *v)
{
	const struct cfg_val *managed = cfg_get(v, "managed_identity");
	const struct cfg_val *workload = cfg_get(v, "workload_identity");
	const struct cfg_val *oauth = cfg_get(v, "oauth");
	const struct cfg_val *cert = cfg_get(v, "certificate");

	if (!managed->is_nil && cfg_has(managed, "client_id") &&
	    azure_uuid(r, managed, "Managed Identity", "client_id") == -1)
		return -1;
	if (!workload->is_nil &&
	    (azure_needs(r, workload, "Workload Identity", "client_id") ||
	    azure_needs(r, workload, "Workload Identity", "tenant_id") ||
	    azure_uuid(r, workload, "Workload Identity", "client_id") ||
	    azure_uuid(r, workload, "Workload Identity", "tenant_id")))
		return -1;
	if (!oauth->is_nil && (azure_needs(r, oauth, "OAuth", "client_id") ||
	    azure_needs(r, oauth, "OAuth", "client_secret") ||
	    azure_needs(r, oauth, "OAuth", "tenant_id") ||
	    azure_uuid(r, oauth, "OAuth", "client_id")))
		return -1;
	if (!cert->is_nil &&
	    (azure_needs(r, cert, "Certificate", "client_id") ||
	    azure_needs(r, cert, "Certificate", "tenant_id") ||
	    azure_needs(r, cert, "Certificate", "certificate_path") ||
	    azure_uuid(r, cert, "Certificate", "client_id")))
		return -1;
	return 0;
}

static bool
scope_is_valid(struct str s)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr("_:/.- \t\n\f\r", c)) ||
		    c == '\0')
			return false;
	}
	return true;
}

static int
azure_check(struct cfg_reader *r, struct cfg_val *v)
{
	static const char *const methods[] = { "managed_identity",
	    "workload_identity", "oauth", "sdk", "certificate" };
	struct cfg_val *cloud = cfg_get(v, "cloud");
	size_t i, n = 0;

	if (cloud->u.s.n == 0)
		cloud->u.s = STR_LIT("AzurePublic");
	if (!str_eq_c(cloud->u.s, "AzurePublic") &&
	    !str_eq_c(cloud->u.s, "AzureChina") &&
	    !str_eq_c(cloud->u.s, "AzureGovernment"))
		return cfg_fail(r, cloud->line,
		    "must provide a cloud in the Azure AD config");
	for (i = 0; i < CFG_N(methods); i++)
		n += !cfg_get(v, methods[i])->is_nil;
	if (n == 0)
		return cfg_fail(r, v->line, "must provide an Azure Managed "
		    "Identity, Azure Workload Identity, Azure OAuth, Azure "
		    "Certificate or Azure SDK in the Azure AD config");
	if (n > 1)
		return cfg_fail(r, v->line, "cannot provide multiple "
		    "authentication methods in the Azure AD config");
	if (azure_method_check(r, v) == -1)
		return -1;
	return scope_is_valid(cfg_get_str(v, "scope")) ? 0 : cfg_fail(r,
	    v->line, "the provided scope contains invalid characters");
}

static const struct cfg_field azure_managed_fields[] = {
	F("client_id", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(azure_managed_type, "azuread.ManagedIdentityConfig",
    azure_managed_fields, NULL);
static const struct cfg_field azure_workload_fields[] = {
	F("client_id", cfg_string, CFG_OMIT),
	F("tenant_id", cfg_string, CFG_OMIT),
	FD("token_file_path", cfg_string, CFG_OMIT,
	    "/var/run/secrets/azure/tokens/azure-identity-token"),
};
static CFG_STRUCT_TYPE(azure_workload_type, "azuread.WorkloadIdentityConfig",
    azure_workload_fields, NULL);
static const struct cfg_field azure_oauth_fields[] = {
	F("client_id", cfg_string, CFG_OMIT),
	F("client_secret", cfg_secret, CFG_OMIT),
	F("tenant_id", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(azure_oauth_type, "azuread.OAuthConfig",
    azure_oauth_fields, NULL);
static const struct cfg_field azure_sdk_fields[] = {
	F("tenant_id", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(azure_sdk_type, "azuread.SDKConfig", azure_sdk_fields,
    NULL);
static const struct cfg_field azure_cert_fields[] = {
	F("client_id", cfg_string, CFG_OMIT),
	F("tenant_id", cfg_string, CFG_OMIT),
	F("certificate_path", cfg_string, CFG_OMIT),
	F("certificate_key_path", cfg_string, CFG_OMIT),
	F("certificate_password", cfg_secret, CFG_OMIT),
	F("send_certificate_chain", cfg_bool, CFG_OMIT),
};
static CFG_STRUCT_TYPE(azure_cert_type, "azuread.CertificateConfig",
    azure_cert_fields, NULL);
static const struct cfg_field azure_fields[] = {
	F("managed_identity", azure_managed_type, CFG_OMIT | CFG_PTR),
	F("workload_identity", azure_workload_type, CFG_OMIT | CFG_PTR),
	F("oauth", azure_oauth_type, CFG_OMIT | CFG_PTR),
	F("sdk", azure_sdk_type, CFG_OMIT | CFG_PTR),
	F("certificate", azure_cert_type, CFG_OMIT | CFG_PTR),
	F("cloud", cfg_string, CFG_OMIT),
	F("scope", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(azure_type, "azuread.plain", azure_fields,
    azure_check);

static const struct cfg_field google_fields[] = {
	F("credentials_file", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(google_type, "googleiam.Config", google_fields, NULL);

/* --- remote_write --- */

static const struct cfg_field queue_fields[] = {
	FD("capacity", cfg_int, CFG_OMIT, "10000"),
	FD("max_shards", cfg_int, CFG_OMIT, "50"),
	FD("min_shards", cfg_int, CFG_OMIT, "1"),
	FD("max_samples_per_send", cfg_int, CFG_OMIT, "2000"),
	FD("batch_send_deadline", cfg_duration, CFG_OMIT, "5s"),
	FD("min_backoff", cfg_duration, CFG_OMIT, "30ms"),
	FD("max_backoff", cfg_duration, CFG_OMIT, "5s"),
	F("retry_on_http_429", cfg_bool, CFG_OMIT),
	F("sample_age_limit", cfg_duration, CFG_OMIT),
};
static CFG_STRUCT_TYPE(queue_type, "config.QueueConfig", queue_fields, NULL);

static const struct cfg_field metadata_fields[] = {
	FD("send", cfg_bool, 0, "true"),
	FD("send_interval", cfg_duration, 0, "1m"),
	FD("max_samples_per_send", cfg_int, CFG_OMIT, "2000"),
};
static CFG_STRUCT_TYPE(metadata_type, "config.MetadataConfig",
    metadata_fields, NULL);

static int
queue_check(struct cfg_reader *r, const struct cfg_val *v)
{
	static const char *const positive[] = { "max_samples_per_send",
	    "capacity" };
	int64_t min = cfg_get_int(v, "min_shards");
	int64_t max = cfg_get_int(v, "max_shards");
	size_t i;

	if (max <= 0)
		return cfg_fail(r, v->line,
		    "remote write queue max_shards must be positive");
	if (min <= 0)
		return cfg_fail(r, v->line,
		    "remote write queue min_shards must be positive");
	if (min > max)
		return cfg_fail(r, v->line, "remote write queue min_shards "
		    "must not be greater than max_shards");
	for (i = 0; i < CFG_N(positive); i++)
		if (cfg_get_int(v, positive[i]) <= 0)
			return cfg_fail(r, v->line, "remote write queue %s "
			    "must be positive", positive[i]);
	if (cfg_get_int(v, "max_backoff") < cfg_get_int(v, "min_backoff"))
		return cfg_fail(r, v->line, "remote write queue max_backoff "
		    "must not be less than min_backoff");
	return 0;
}

static int
remote_auth_check(struct cfg_reader *r, const struct cfg_val *v)
{
	static const char *const keys[] = { "basic_auth", "authorization",
	    "oauth2", "sigv4", "azuread", "google_iam" };
	struct buf b;
	size_t i, n = 0;

	buf_init(&b, 0);
	for (i = 0; i < CFG_N(keys); i++)
		if (!cfg_get(v, keys[i])->is_nil)
			buf_printf(&b, "%s%s", n++ > 0 ? " " : "", keys[i]);
	if (n > 1)
		(void)cfg_fail(r, v->line, "at most one of basic_auth, "
		    "authorization, oauth2, sigv4, azuread or google_iam must "
		    "be configured. Currently configured: [%.*s]",
		    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return n > 1 ? -1 : 0;
}

static int
remote_write_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *msg = cfg_get(v, "protobuf_message");

	if (cfg_get(v, "url")->is_nil)
		return cfg_fail(r, v->line, "url for remote_write is empty");
	if (relabel_configs_check(r, cfg_get(v, "write_relabel_configs"),
	    "relabeling rule in remote write config") == -1 ||
	    header_map_check(r, cfg_get(v, "headers"), "authorization header "
	    "must be changed via the basic_auth, authorization, oauth2, "
	    "sigv4, azuread or google_iam parameter") == -1)
		return -1;
	if (!str_eq_c(msg->u.s, "prometheus.WriteRequest") &&
	    !str_eq_c(msg->u.s, "io.prometheus.write.v2.Request"))
		return cfg_fail(r, msg->line, "invalid protobuf_message "
		    "value: unknown type for remote write protobuf message "
		    "%.*s, supported: prometheus.WriteRequest, "
		    "io.prometheus.write.v2.Request", STR_ARG(msg->u.s));
	if (http_client_check(r, v) == -1 ||
	    queue_check(r, cfg_get(v, "queue_config")) == -1)
		return -1;
	return remote_auth_check(r, v);
}

static const struct cfg_field remote_write_fields[] = {
	F("url", cfg_checked_url, CFG_PTR),
	FD("remote_timeout", cfg_duration, CFG_OMIT, "30s"),
	F("headers", cfg_string_map, CFG_OMIT),
	F("write_relabel_configs", relabel_config_list_type, CFG_OMIT),
	F("name", cfg_string, CFG_OMIT),
	F("send_exemplars", cfg_bool, CFG_OMIT),
	F("send_native_histograms", cfg_bool, CFG_OMIT),
	F("round_robin_dns", cfg_bool, CFG_OMIT),
	FD("protobuf_message", cfg_string, CFG_OMIT,
	    "prometheus.WriteRequest"),
	F("failed_request_logging", cfg_bool, CFG_OMIT),
	F("", http_client_remote_type, CFG_INLINE),
	F("queue_config", queue_type, CFG_OMIT),
	F("metadata_config", metadata_type, CFG_OMIT),
	F("sigv4", sigv4_type, CFG_OMIT | CFG_PTR),
	F("azuread", azure_type, CFG_OMIT | CFG_PTR),
	F("google_iam", google_type, CFG_OMIT | CFG_PTR),
};
static CFG_STRUCT_TYPE(remote_write_type, "config.plain",
    remote_write_fields, remote_write_check);
CFG_LIST_TYPE(remote_write_list_type, "[]*config.RemoteWriteConfig",
    remote_write_type, true);

/* --- remote_read --- */

static int
remote_read_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (cfg_get(v, "url")->is_nil)
		return cfg_fail(r, v->line, "url for remote_read is empty");
	if (header_map_check(r, cfg_get(v, "headers"), "authorization header "
	    "must be changed via the basic_auth, authorization, oauth2, "
	    "sigv4, azuread or google_iam parameter") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field remote_read_fields[] = {
	F("url", cfg_checked_url, CFG_PTR),
	FD("remote_timeout", cfg_duration, CFG_OMIT, "1m"),
	FD("chunked_read_limit", cfg_uint64, CFG_OMIT, "50000000"),
	F("headers", cfg_string_map, CFG_OMIT),
	F("read_recent", cfg_bool, CFG_OMIT),
	F("name", cfg_string, CFG_OMIT),
	F("", http_client_type, CFG_INLINE),
	F("required_matchers", label_set_type, CFG_OMIT),
	FD("filter_external_labels", cfg_bool, CFG_OMIT, "true"),
};
static CFG_STRUCT_TYPE(remote_read_type, "config.plain", remote_read_fields,
    remote_read_check);
CFG_LIST_TYPE(remote_read_list_type, "[]*config.RemoteReadConfig",
    remote_read_type, true);

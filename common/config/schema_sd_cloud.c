/* SPDX-License-Identifier: ISC */
/*
 * Service discovery of the other clouds. Order and words of the checks are
 * the reference's (discovery/<mechanism>).
 */

#include "common/config/schema_sd.h"

#define REFRESH(def)	FD("refresh_interval", cfg_duration, CFG_OMIT, def)
#define REFRESH_SHOWN	FD("refresh_interval", cfg_duration, 0, "1m")
#define PORT		FD("port", cfg_int, 0, "80")
#define HTTP_CLIENT	F("", http_client_type, CFG_INLINE)

static int
client_check(struct cfg_reader *r, struct cfg_val *v)
{
	return http_client_check(r, v);
}

/* A role that is none of the words: `unknown <what> "x"`. */
static int
role_is(struct cfg_reader *r, const struct cfg_val *v, const char *words,
    const char *what)
{
	return sd_is_one_of(v->u.s, words) ? 0 : cfg_fail(r, v->line,
	    "unknown %s \"%.*s\"", what, STR_ARG(v->u.s));
}

#define ROLE_TYPE(name, words, what)					\
	static int							\
	name##_check(struct cfg_reader *r, struct cfg_val *v)		\
	{								\
		return role_is(r, v, words, what);			\
	}								\
	static const struct cfg_type name##_type = { .kind = CFG_STR,	\
	    .go_name = "string", .check = name##_check }

/* --- azure --- */

static int
azure_param(struct cfg_reader *r, const struct cfg_val *v, const char *key)
{
	return cfg_has(v, key) ? 0 : cfg_fail(r, v->line,
	    "azure SD configuration requires a %s", key);
}

static int
azure_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str method = cfg_get_str(v, "authentication_method");

	if (azure_param(r, v, "subscription_id") == -1)
		return -1;
	if (str_eq_c(method, "OAuth") && (azure_param(r, v, "tenant_id") ||
	    azure_param(r, v, "client_id") ||
	    azure_param(r, v, "client_secret")))
		return -1;
	if (!sd_is_one_of(method, "OAuth ManagedIdentity SDK "
	    "WorkloadIdentity"))
		return cfg_fail(r, v->line, "unknown authentication_type "
		    "\"%.*s\". Supported types are \"OAuth\", "
		    "\"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"",
		    STR_ARG(method));
	return http_client_check(r, v);
}

static const struct cfg_field azure_fields[] = {
	FD("environment", cfg_string, CFG_OMIT, "AzurePublicCloud"),
	PORT,
	F("subscription_id", cfg_string, 0),
	F("tenant_id", cfg_string, CFG_OMIT),
	F("client_id", cfg_string, CFG_OMIT),
	F("client_secret", cfg_secret, CFG_OMIT),
	REFRESH("5m"),
	FD("authentication_method", cfg_string, CFG_OMIT, "OAuth"),
	F("resource_group", cfg_string, CFG_OMIT),
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(azure_sd_type, "azure.plain", azure_fields, azure_check);

/* --- digitalocean --- */

ROLE_TYPE(digitalocean_role, "droplets databases", "DigitalOcean SD role");

static int
digitalocean_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_require(r, v, "role",
	    "role missing (one of: droplets, databases)") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field digitalocean_fields[] = {
	HTTP_CLIENT,
	REFRESH_SHOWN,
	PORT,
	FD("role", digitalocean_role_type, 0, "droplets"),
};
CFG_STRUCT_TYPE(digitalocean_sd_type, "digitalocean.plain",
    digitalocean_fields, digitalocean_check);

/* --- gce --- */

static int
gce_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_require(r, v, "project",
	    "GCE SD configuration requires a project") == -1)
		return -1;
	return sd_require(r, v, "zone",
	    "GCE SD configuration requires a zone");
}

static const struct cfg_field gce_fields[] = {
	F("project", cfg_string, 0),
	F("zone", cfg_string, 0),
	F("filter", cfg_string, CFG_OMIT),
	REFRESH("1m"),
	PORT,
	FD("tag_separator", cfg_string, CFG_OMIT, ","),
};
CFG_STRUCT_TYPE(gce_sd_type, "gce.plain", gce_fields, gce_check);

/* --- hetzner --- */

ROLE_TYPE(hetzner_role, "robot hcloud", "role");

static int
hetzner_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_require(r, v, "role",
	    "role missing (one of: robot, hcloud)") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field hetzner_fields[] = {
	HTTP_CLIENT,
	REFRESH_SHOWN,
	PORT,
	F("role", hetzner_role_type, 0),
	F("label_selector", cfg_string, CFG_OMIT),
};
CFG_STRUCT_TYPE(hetzner_sd_type, "hetzner.plain", hetzner_fields,
    hetzner_check);

/* --- ionos --- */

static int
ionos_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_require(r, v, "datacenter_id",
	    "datacenter id can't be empty") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field ionos_fields[] = {
	F("datacenter_id", cfg_string, 0),
	HTTP_CLIENT,
	REFRESH_SHOWN,
	PORT,
};
CFG_STRUCT_TYPE(ionos_sd_type, "ionos.plain", ionos_fields, ionos_check);

/* --- linode --- */

static const struct cfg_field linode_fields[] = {
	HTTP_CLIENT,
	REFRESH_SHOWN,
	PORT,
	FD("tag_separator", cfg_string, CFG_OMIT, ","),
	F("region", cfg_string, CFG_OMIT),
};
CFG_STRUCT_TYPE(linode_sd_type, "linode.plain", linode_fields, client_check);

/* --- oci --- */

static int
oci_auth_check(struct cfg_reader *r, const struct cfg_val *v)
{
	static const char *const needed[] = { "tenancy", "user",
	    "fingerprint", "key_file" };
	struct str auth = cfg_get_str(v, "auth");
	bool phrase = cfg_has(v, "key_passphrase");
	bool phrase_file = cfg_has(v, "key_passphrase_file");
	size_t i;

	if (str_eq_c(auth, "api_key")) {
		for (i = 0; i < CFG_N(needed); i++)
			if (!cfg_has(v, needed[i]))
				return cfg_fail(r, v->line, "oci_sd: api_key "
				    "auth requires %s", needed[i]);
		return !phrase || !phrase_file ? 0 : cfg_fail(r, v->line,
		    "oci_sd: at most one of key_passphrase and "
		    "key_passphrase_file must be configured");
	}
	if (!str_eq_c(auth, "instance_principal"))
		return cfg_fail(r, v->line, "oci_sd: unknown auth method "
		    "\"%.*s\", expected \"api_key\" or "
		    "\"instance_principal\"", STR_ARG(auth));
	for (i = 0; i < CFG_N(needed); i++)
		if (cfg_has(v, needed[i]) || phrase || phrase_file)
			return cfg_fail(r, v->line, "oci_sd: "
			    "instance_principal auth must not have tenancy, "
			    "user, fingerprint, key_file, key_passphrase, or "
			    "key_passphrase_file set");
	return 0;
}

static int
oci_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *list = cfg_get(v, "compartments");
	int64_t refresh = cfg_get_int(v, "refresh_interval");
	size_t i;

	if (sd_require(r, v, "region", "oci_sd: region is required") == -1 ||
	    oci_auth_check(r, v) == -1)
		return -1;
	for (i = 0; !list->is_nil && i < list->u.list.n; i++)
		if (list->u.list.v[i].u.s.n == 0)
			return cfg_fail(r, list->u.list.v[i].line, "oci_sd: "
			    "compartments[%zu] must not be empty", i);
	if (refresh <= 0)
		return cfg_fail(r, v->line, "oci_sd: refresh_interval must be "
		    "positive, got 0s");
	return http_client_check(r, v);
}

static const struct cfg_field oci_fields[] = {
	FD("auth", cfg_string, CFG_OMIT, "api_key"),
	F("tenancy", cfg_string, CFG_OMIT),
	F("user", cfg_string, CFG_OMIT),
	F("fingerprint", cfg_string, CFG_OMIT),
	F("key_file", cfg_path, CFG_OMIT),
	F("key_passphrase", cfg_secret, CFG_OMIT),
	F("key_passphrase_file", cfg_path, CFG_OMIT),
	F("region", cfg_string, 0),
	F("compartments", cfg_strings, CFG_OMIT),
	HTTP_CLIENT,
	PORT,
	REFRESH_SHOWN,
};
CFG_STRUCT_TYPE(oci_sd_type, "oci.plain", oci_fields, oci_check);

/* --- openstack --- */

ROLE_TYPE(openstack_role, "hypervisor instance loadbalancer",
    "OpenStack SD role");

static int
openstack_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str availability = cfg_get_str(v, "availability");

	if (!sd_is_one_of(availability, "public internal admin"))
		return cfg_fail(r, v->line, "unknown availability %.*s, must "
		    "be one of admin, internal or public",
		    STR_ARG(availability));
	if (sd_require(r, v, "role", "role missing (one of: instance, "
	    "hypervisor, loadbalancer)") == -1)
		return -1;
	return sd_require(r, v, "region",
	    "openstack SD configuration requires a region");
}

static const struct cfg_field openstack_fields[] = {
	F("identity_endpoint", cfg_string, 0),
	F("username", cfg_string, 0),
	F("userid", cfg_string, 0),
	F("password", cfg_secret, 0),
	F("project_name", cfg_string, 0),
	F("project_id", cfg_string, 0),
	F("domain_name", cfg_string, 0),
	F("domain_id", cfg_string, 0),
	F("application_credential_name", cfg_string, 0),
	F("application_credential_id", cfg_string, 0),
	F("application_credential_secret", cfg_secret, 0),
	F("role", openstack_role_type, 0),
	F("region", cfg_string, 0),
	REFRESH_SHOWN,
	PORT,
	F("all_tenants", cfg_bool, CFG_OMIT),
	F("tls_config", tls_config_type, CFG_OMIT),
	FD("availability", cfg_string, CFG_OMIT, "public"),
};
CFG_STRUCT_TYPE(openstack_sd_type, "openstack.plain", openstack_fields,
    openstack_check);

/* --- outscale --- */

static int
secret_key_check(struct cfg_reader *r, const struct cfg_val *v)
{
	bool key = cfg_has(v, "secret_key");
	bool file = cfg_has(v, "secret_key_file");

	if (!key && !file)
		return cfg_fail(r, v->line, "one of secret_key & "
		    "secret_key_file must be configured");
	return !key || !file ? 0 : cfg_fail(r, v->line, "at most one of "
	    "secret_key & secret_key_file must be configured");
}

static int
outscale_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct cfg_val *endpoint = cfg_get(v, "endpoint");
	char *url;

	if (sd_require(r, v, "region",
	    "outscale SD configuration requires a region") == -1 ||
	    sd_require(r, v, "access_key",
	    "outscale SD configuration requires access_key") == -1 ||
	    secret_key_check(r, v) == -1)
		return -1;
	if (endpoint->u.s.n == 0) {
		url = arena_printf(r->mem,
		    "https://api.%.*s.outscale.com/api/v1",
		    STR_ARG(cfg_get_str(v, "region")));
		if (url == NULL)
			return cfg_fail(r, v->line, "out of memory");
		endpoint->u.s = str_c(url);
	}
	return http_client_check(r, v);
}

static const struct cfg_field outscale_fields[] = {
	F("endpoint", cfg_string, CFG_OMIT),
	FD("region", cfg_string, 0, "eu-west-2"),
	F("access_key", cfg_string, 0),
	F("secret_key", cfg_secret, 0),
	F("secret_key_file", cfg_path, 0),
	REFRESH("1m"),
	PORT,
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(outscale_sd_type, "outscale.plain", outscale_fields,
    outscale_check);

/* --- ovhcloud --- */

static int
ovhcloud_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str service = cfg_get_str(v, "service");

	if (sd_require(r, v, "endpoint", "endpoint can not be empty") ||
	    sd_require(r, v, "application_key",
	    "application key can not be empty") ||
	    sd_require(r, v, "application_secret",
	    "application secret can not be empty") ||
	    sd_require(r, v, "consumer_key",
	    "consumer key can not be empty"))
		return -1;
	return sd_is_one_of(service, "dedicated_server vps") ? 0 :
	    cfg_fail(r, v->line, "unknown service: %.*s", STR_ARG(service));
}

static const struct cfg_field ovhcloud_fields[] = {
	FD("endpoint", cfg_string, 0, "ovh-eu"),
	F("application_key", cfg_string, 0),
	F("application_secret", cfg_secret, 0),
	F("consumer_key", cfg_secret, 0),
	REFRESH_SHOWN,
	F("service", cfg_string, 0),
};
CFG_STRUCT_TYPE(ovhcloud_sd_type, "ovhcloud.plain", ovhcloud_fields,
    ovhcloud_check);

/* --- scaleway --- */

ROLE_TYPE(scaleway_role, "instance baremetal", "role");

static int
scaleway_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_require(r, v, "role",
	    "role missing (one of: instance, baremetal)") == -1 ||
	    sd_require(r, v, "project_id", "project_id is mandatory") == -1 ||
	    secret_key_check(r, v) == -1 ||
	    sd_require(r, v, "access_key", "access_key is mandatory") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field scaleway_fields[] = {
	F("project_id", cfg_string, 0),
	FD("api_url", cfg_string, CFG_OMIT, "https://api.scaleway.com"),
	FD("zone", cfg_string, 0, "fr-par-1"),
	F("access_key", cfg_string, 0),
	F("secret_key", cfg_secret, 0),
	F("secret_key_file", cfg_path, 0),
	F("name_filter", cfg_string, CFG_OMIT),
	F("tags_filter", cfg_strings, CFG_OMIT),
	HTTP_CLIENT,
	REFRESH_SHOWN,
	PORT,
	F("role", scaleway_role_type, 0),
};
CFG_STRUCT_TYPE(scaleway_sd_type, "scaleway.plain", scaleway_fields,
    scaleway_check);

/* --- stackit --- */

static int
stackit_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str endpoint = cfg_get_str(v, "endpoint");
	struct err e = ERR_INIT;
	struct url_parts u;

	if (endpoint.n == 0 && !cfg_has(v, "region"))
		return cfg_fail(r, v->line,
		    "stackit_sd: endpoint and region missing");
	if (url_check(endpoint, &u, &e) == -1)
		return cfg_fail(r, v->line, "stackit_sd: invalid endpoint "
		    "\"%.*s\": %s", STR_ARG(endpoint), e.text);
	return http_client_check(r, v);
}

static const struct cfg_field stackit_fields[] = {
	HTTP_CLIENT,
	F("project", cfg_string, 0),
	REFRESH("1m"),
	FD("port", cfg_int, CFG_OMIT, "80"),
	FD("region", cfg_string, CFG_OMIT, "eu01"),
	F("endpoint", cfg_string, CFG_OMIT),
	F("service_account_key", cfg_secret, CFG_OMIT),
	F("private_key", cfg_secret, CFG_OMIT),
	F("service_account_key_path", cfg_string, CFG_OMIT),
	F("private_key_path", cfg_string, CFG_OMIT),
	F("credentials_file_path", cfg_string, CFG_OMIT),
};
CFG_STRUCT_TYPE(stackit_sd_type, "stackit.plain", stackit_fields,
    stackit_check);

/* --- triton --- */

static int
triton_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (!sd_is_one_of(cfg_get_str(v, "role"), "container cn"))
		return cfg_fail(r, v->line, "triton SD configuration requires "
		    "role to be 'container' or 'cn'");
	if (sd_require(r, v, "account",
	    "triton SD configuration requires an account") ||
	    sd_require(r, v, "dns_suffix",
	    "triton SD configuration requires a dns_suffix") ||
	    sd_require(r, v, "endpoint",
	    "triton SD configuration requires an endpoint"))
		return -1;
	return cfg_get_int(v, "refresh_interval") > 0 ? 0 : cfg_fail(r,
	    v->line, "triton SD configuration requires RefreshInterval to be "
	    "a positive integer");
}

static const struct cfg_field triton_fields[] = {
	F("account", cfg_string, 0),
	FD("role", cfg_string, 0, "container"),
	F("dns_suffix", cfg_string, 0),
	F("endpoint", cfg_string, 0),
	F("groups", cfg_strings, CFG_OMIT),
	FD("port", cfg_int, 0, "9163"),
	REFRESH("1m"),
	F("tls_config", tls_config_type, CFG_OMIT),
	FD("version", cfg_int, 0, "1"),
};
CFG_STRUCT_TYPE(triton_sd_type, "triton.plain", triton_fields, triton_check);

/* --- vultr --- */

static const struct cfg_field vultr_fields[] = {
	HTTP_CLIENT,
	REFRESH_SHOWN,
	PORT,
};
CFG_STRUCT_TYPE(vultr_sd_type, "vultr.plain", vultr_fields, client_check);

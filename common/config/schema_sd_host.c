/* SPDX-License-Identifier: ISC */
/*
 * Service discovery that needs no cloud's API: files, DNS, HTTP, container
 * managers and registries. Order and words of the checks are the
 * reference's (discovery/<mechanism>).
 */

#include <strings.h>

#include "common/config/schema_sd.h"

#define REFRESH(def)	FD("refresh_interval", cfg_duration, CFG_OMIT, def)
#define REFRESH_SHOWN(def) FD("refresh_interval", cfg_duration, 0, def)
#define PORT		FD("port", cfg_int, 0, "80")
#define HTTP_CLIENT	F("", http_client_type, CFG_INLINE)

/* --- consul --- */

static int
consul_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (str_trim(cfg_get_str(v, "server")).n == 0)
		return cfg_fail(r, v->line,
		    "consul SD configuration requires a server address");
	if (cfg_has(v, "username") || cfg_has(v, "password")) {
		struct cfg_val *basic = cfg_get(v, "basic_auth");

		if (!basic->is_nil)
			return cfg_fail(r, v->line, "at most one of consul SD "
			    "configuration username and password and basic "
			    "auth can be configured");
		if (cfg_init_default(r, basic, basic->type) == -1)
			return -1;
		cfg_set_str(cfg_get(basic, "username"),
		    cfg_get_str(v, "username"));
		cfg_set_str(cfg_get(basic, "password"),
		    cfg_get_str(v, "password"));
	}
	if (cfg_has(v, "token") && (!cfg_get(v, "authorization")->is_nil ||
	    !cfg_get(v, "oauth2")->is_nil))
		return cfg_fail(r, v->line, "at most one of consul SD token, "
		    "authorization, or oauth2 can be configured");
	return http_client_check(r, v);
}

static const struct cfg_field consul_fields[] = {
	FD("server", cfg_string, CFG_OMIT, "localhost:8500"),
	F("path_prefix", cfg_string, CFG_OMIT),
	F("token", cfg_secret, CFG_OMIT),
	F("datacenter", cfg_string, CFG_OMIT),
	F("namespace", cfg_string, CFG_OMIT),
	F("partition", cfg_string, CFG_OMIT),
	FD("tag_separator", cfg_string, CFG_OMIT, ","),
	FD("scheme", cfg_string, CFG_OMIT, "http"),
	F("username", cfg_string, CFG_OMIT),
	F("password", cfg_secret, CFG_OMIT),
	FD("allow_stale", cfg_bool, 0, "true"),
	REFRESH("30s"),
	F("services", cfg_strings, CFG_OMIT),
	F("tags", cfg_strings, CFG_OMIT),
	F("node_meta", cfg_string_map, CFG_OMIT),
	F("filter", cfg_string, CFG_OMIT),
	F("health_filter", cfg_string, CFG_OMIT),
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(consul_sd_type, "consul.plain", consul_fields, consul_check);

/* --- dns --- */

static int
dns_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str type = cfg_get_str(v, "type");
	static const char *const with_port[] = { "A", "AAAA", "MX", "NS" };
	size_t i;

	if (sd_require(r, v, "names", "DNS-SD config must contain at least "
	    "one SRV record name") == -1)
		return -1;
	if (type.n == 3 && strncasecmp(type.p, "SRV", 3) == 0)
		return 0;
	for (i = 0; i < CFG_N(with_port); i++)
		if (type.n == strlen(with_port[i]) &&
		    strncasecmp(type.p, with_port[i], type.n) == 0)
			return sd_require(r, v, "port", "a port is required "
			    "in DNS-SD configs for all record types except "
			    "SRV");
	return cfg_fail(r, v->line, "invalid DNS-SD records type %.*s",
	    STR_ARG(type));
}

static const struct cfg_field dns_fields[] = {
	F("names", cfg_strings, 0),
	REFRESH("30s"),
	FD("type", cfg_string, 0, "SRV"),
	F("port", cfg_int, 0),
};
CFG_STRUCT_TYPE(dns_sd_type, "dns.plain", dns_fields, dns_check);

/* --- docker, dockerswarm --- */

static int
docker_host_check(struct cfg_reader *r, const struct cfg_val *v)
{
	struct url_parts u;

	if (sd_require(r, v, "host", "host missing") == -1)
		return -1;
	return sd_url_parses(r, cfg_get(v, "host"), &u);
}

static int
docker_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (docker_host_check(r, v) == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field docker_fields[] = {
	HTTP_CLIENT,
	F("host", cfg_string, 0),
	PORT,
	F("filters", sd_filter_list_type, 0),
	FD("host_networking_host", cfg_string, 0, "localhost"),
	REFRESH_SHOWN("1m"),
	FD("match_first_network", cfg_bool, 0, "true"),
};
CFG_STRUCT_TYPE(docker_sd_type, "moby.plain", docker_fields, docker_check);

static int
dockerswarm_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str role = cfg_get_str(v, "role");

	if (docker_host_check(r, v) == -1)
		return -1;
	if (role.n == 0)
		return cfg_fail(r, v->line,
		    "role missing (one of: tasks, services, nodes)");
	if (!sd_is_one_of(role, "services nodes tasks"))
		return cfg_fail(r, v->line, "invalid role %.*s, expected "
		    "tasks, services, or nodes", STR_ARG(role));
	return http_client_check(r, v);
}

static const struct cfg_field dockerswarm_fields[] = {
	HTTP_CLIENT,
	F("host", cfg_string, 0),
	F("role", cfg_string, 0),
	PORT,
	F("filters", sd_filter_list_type, 0),
	REFRESH_SHOWN("1m"),
};
CFG_STRUCT_TYPE(dockerswarm_sd_type, "moby.plain", dockerswarm_fields,
    dockerswarm_check);

/* --- eureka --- */

static int
eureka_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct url_parts u;

	if (sd_require(r, v, "server",
	    "eureka_sd: empty or null eureka server") == -1 ||
	    sd_url_parses(r, cfg_get(v, "server"), &u) == -1)
		return -1;
	if (u.scheme.n == 0 || u.host.n == 0)
		return cfg_fail(r, v->line,
		    "eureka_sd: invalid eureka server URL");
	return http_client_check(r, v);
}

static const struct cfg_field eureka_fields[] = {
	F("server", cfg_string, CFG_OMIT),
	HTTP_CLIENT,
	REFRESH("30s"),
};
CFG_STRUCT_TYPE(eureka_sd_type, "eureka.plain", eureka_fields, eureka_check);

/* --- file --- */

/* ^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$ */
static bool
is_file_sd_name(struct str s)
{
	const char *star = memchr(s.p, '*', s.n);
	const char *dot = memrchr(s.p, '.', s.n);

	return dot != NULL && (star == NULL ||
	    memchr(star, '/', (size_t)(s.p + s.n - star)) == NULL) &&
	    sd_is_one_of(str_from(dot + 1, (size_t)(s.p + s.n - dot - 1)),
	    "json yml yaml JSON YML YAML");
}

static int
file_check(struct cfg_reader *r, struct cfg_val *v)
{
	const struct cfg_val *files = cfg_get(v, "files"), *f;
	size_t i;

	if (sd_require(r, v, "files", "file service discovery config must "
	    "contain at least one path name") == -1)
		return -1;
	for (i = 0; i < files->u.list.n; i++) {
		f = &files->u.list.v[i];
		if (!is_file_sd_name(f->u.s))
			return cfg_fail(r, f->line, "path name \"%.*s\" is "
			    "not valid for file discovery", STR_ARG(f->u.s));
	}
	return 0;
}

static const struct cfg_field file_fields[] = {
	F("files", cfg_paths, 0),
	REFRESH("5m"),
};
CFG_STRUCT_TYPE(file_sd_type, "file.plain", file_fields, file_check);

/* --- http --- */

static int
http_sd_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_http_url_check(r, cfg_get(v, "url")) == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field http_fields[] = {
	HTTP_CLIENT,
	REFRESH("1m"),
	F("url", cfg_string, 0),
};
CFG_STRUCT_TYPE(http_sd_type, "http.plain", http_fields, http_sd_check);

/* --- kubernetes --- */

static int
kubernetes_role_check(struct cfg_reader *r, struct cfg_val *v)
{
	return sd_is_one_of(v->u.s,
	    "node pod service endpoints endpointslice ingress") ? 0 :
	    cfg_fail(r, v->line, "unknown Kubernetes SD role \"%.*s\"",
	    STR_ARG(v->u.s));
}

static const struct cfg_type kubernetes_role_type = { .kind = CFG_STR,
    .go_name = "string", .check = kubernetes_role_check };

/* Which selectors a role may have; as words and as the message lists them. */
static const struct { const char *role, *words, *listed; } selectors[] = {
	{ "pod", "pod node", "pod, node" },
	{ "service", "service", "service" },
	{ "endpointslice", "pod service endpointslice",
	    "pod, service, endpointslice" },
	{ "endpoints", "pod service endpoints", "pod, service, endpoints" },
	{ "node", "node", "node" },
	{ "ingress", "ingress", "ingress" },
};

static int
selectors_check(struct cfg_reader *r, const struct cfg_val *v)
{
	const struct cfg_val *list = cfg_get(v, "selectors"), *sel;
	struct str role = cfg_get_str(v, "role"), s;
	size_t i, j, k;

	for (k = 0; k + 1 < CFG_N(selectors); k++)
		if (str_eq_c(role, selectors[k].role))
			break;
	for (i = 0; !list->is_nil && i < list->u.list.n; i++) {
		sel = &list->u.list.v[i];
		s = cfg_get_str(sel, "role");
		for (j = 0; j < i && j < 8; j++)
			if (str_eq(s, cfg_get_str(&list->u.list.v[j],
			    "role")))
				return cfg_fail(r, sel->line, "duplicated "
				    "selector role: %.*s", STR_ARG(s));
		if (!sd_is_one_of(s, selectors[k].words))
			return cfg_fail(r, sel->line, "%.*s role supports "
			    "only %s selectors", STR_ARG(role),
			    selectors[k].listed);
	}
	return 0;
}

static int
kubernetes_check(struct cfg_reader *r, struct cfg_val *v)
{
	bool api, kubeconfig, own, custom;

	if (sd_require(r, v, "role", "role missing (one of: pod, service, "
	    "endpoints, endpointslice, node, ingress)") == -1 ||
	    http_client_check(r, v) == -1)
		return -1;
	api = !cfg_get(v, "api_server")->is_nil;
	kubeconfig = cfg_has(v, "kubeconfig_file");
	own = cfg_get_bool(cfg_get(v, "namespaces"), "own_namespace");
	custom = http_client_is_custom(v);
	if (api && kubeconfig)
		return cfg_fail(r, v->line, "cannot use 'kubeconfig_file' and "
		    "'api_server' simultaneously");
	if (kubeconfig && custom)
		return cfg_fail(r, v->line, "cannot use a custom HTTP client "
		    "configuration together with 'kubeconfig_file'");
	if (!api && custom)
		return cfg_fail(r, v->line, "to use custom HTTP client "
		    "configuration please provide the 'api_server' URL "
		    "explicitly");
	if (api && own)
		return cfg_fail(r, v->line, "cannot use 'api_server' and "
		    "'namespaces.own_namespace' simultaneously");
	if (kubeconfig && own)
		return cfg_fail(r, v->line, "cannot use 'kubeconfig_file' and "
		    "'namespaces.own_namespace' simultaneously");
	return selectors_check(r, v);
}

static const struct cfg_field namespaces_fields[] = {
	F("own_namespace", cfg_bool, 0),
	F("names", cfg_strings, 0),
};
static CFG_STRUCT_TYPE(namespaces_type, "kubernetes.plain",
    namespaces_fields, NULL);
static const struct cfg_field selector_fields[] = {
	F("role", kubernetes_role_type, CFG_OMIT),
	F("label", cfg_string, CFG_OMIT),
	F("field", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(selector_type, "kubernetes.SelectorConfig",
    selector_fields, NULL);
static CFG_LIST_TYPE(selector_list_type, "[]kubernetes.SelectorConfig",
    selector_type, false);
static const struct cfg_field attach_fields[] = {
	F("node", cfg_bool, 0),
	F("namespace", cfg_bool, 0),
	F("deployment", cfg_bool, 0),
	F("job", cfg_bool, 0),
	F("cronjob", cfg_bool, 0),
};
static CFG_STRUCT_TYPE(attach_type, "kubernetes.AttachMetadataConfig",
    attach_fields, NULL);

static const struct cfg_field kubernetes_fields[] = {
	F("api_server", cfg_checked_url, CFG_OMIT | CFG_PTR),
	F("role", kubernetes_role_type, 0),
	F("kubeconfig_file", cfg_path, 0),
	HTTP_CLIENT,
	F("namespaces", namespaces_type, CFG_OMIT),
	F("selectors", selector_list_type, CFG_OMIT),
	F("attach_metadata", attach_type, CFG_OMIT),
};
CFG_STRUCT_TYPE(kubernetes_sd_type, "kubernetes.plain", kubernetes_fields,
    kubernetes_check);

/* --- kuma --- */

static int
kuma_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct str server = cfg_get_str(v, "server");
	struct url_parts u;

	if (server.n == 0)
		return cfg_fail(r, v->line,
		    "kuma SD server must not be empty: ");
	if (sd_url_parses(r, cfg_get(v, "server"), &u) == -1)
		return -1;
	if (u.scheme.n == 0 || u.host.n == 0)
		return cfg_fail(r, v->line, "kuma SD server must not be empty "
		    "and have a scheme: %.*s", STR_ARG(server));
	return http_client_check(r, v);
}

static const struct cfg_field kuma_fields[] = {
	HTTP_CLIENT,
	REFRESH("15s"),
	FD("fetch_timeout", cfg_duration, CFG_OMIT, "2m"),
	F("server", cfg_string, CFG_OMIT),
	F("client_id", cfg_string, CFG_OMIT),
};
CFG_STRUCT_TYPE(kuma_sd_type, "xds.plainKumaConf", kuma_fields, kuma_check);

/* --- marathon --- */

static int
marathon_check(struct cfg_reader *r, struct cfg_val *v)
{
	bool token = cfg_has(v, "auth_token");
	bool token_file = cfg_has(v, "auth_token_file");

	if (sd_require(r, v, "servers", "marathon_sd: must contain at least "
	    "one Marathon server") == -1)
		return -1;
	if (token && token_file)
		return cfg_fail(r, v->line, "marathon_sd: at most one of "
		    "auth_token & auth_token_file must be configured");
	if (!token && !token_file)
		return http_client_check(r, v);
	if (!cfg_get(v, "basic_auth")->is_nil)
		return cfg_fail(r, v->line, "marathon_sd: at most one of "
		    "basic_auth, auth_token & auth_token_file must be "
		    "configured");
	if (cfg_has(v, "bearer_token") || cfg_has(v, "bearer_token_file"))
		return cfg_fail(r, v->line, "marathon_sd: at most one of "
		    "bearer_token, bearer_token_file, auth_token & "
		    "auth_token_file must be configured");
	if (!cfg_get(v, "authorization")->is_nil)
		return cfg_fail(r, v->line, "marathon_sd: at most one of "
		    "auth_token, auth_token_file & authorization must be "
		    "configured");
	return http_client_check(r, v);
}

static const struct cfg_field marathon_fields[] = {
	F("servers", cfg_strings, CFG_OMIT),
	REFRESH("30s"),
	F("auth_token", cfg_secret, CFG_OMIT),
	F("auth_token_file", cfg_path, CFG_OMIT),
	HTTP_CLIENT,
};
CFG_STRUCT_TYPE(marathon_sd_type, "marathon.plain", marathon_fields,
    marathon_check);

/* --- nerve, serverset --- */

static int
zookeeper_check(struct cfg_reader *r, const struct cfg_val *v,
    const char *name)
{
	const struct cfg_val *paths = cfg_get(v, "paths");
	struct str p;
	size_t i;

	if (!cfg_has(v, "servers"))
		return cfg_fail(r, v->line, "%s SD config must contain at "
		    "least one Zookeeper server", name);
	if (!cfg_has(v, "paths"))
		return cfg_fail(r, v->line, "%s SD config must contain at "
		    "least one path", name);
	for (i = 0; i < paths->u.list.n; i++) {
		p = paths->u.list.v[i].u.s;
		if (!str_has_prefix(p, STR_LIT("/")))
			return cfg_fail(r, paths->u.list.v[i].line, "%s SD "
			    "config paths must begin with '/': %.*s", name,
			    STR_ARG(p));
	}
	return 0;
}

static int
nerve_check(struct cfg_reader *r, struct cfg_val *v)
{
	return zookeeper_check(r, v, "nerve");
}

static int
serverset_check(struct cfg_reader *r, struct cfg_val *v)
{
	return zookeeper_check(r, v, "serverset");
}

static const struct cfg_field zookeeper_fields[] = {
	F("servers", cfg_strings, 0),
	F("paths", cfg_strings, 0),
	FD("timeout", cfg_duration, CFG_OMIT, "10s"),
};
CFG_STRUCT_TYPE(nerve_sd_type, "zookeeper.plain", zookeeper_fields,
    nerve_check);
CFG_STRUCT_TYPE(serverset_sd_type, "zookeeper.plain", zookeeper_fields,
    serverset_check);

/* --- nomad --- */

static int
nomad_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (str_trim(cfg_get_str(v, "server")).n == 0)
		return cfg_fail(r, v->line,
		    "nomad SD configuration requires a server address");
	return http_client_check(r, v);
}

static const struct cfg_field nomad_fields[] = {
	FD("allow_stale", cfg_bool, 0, "true"),
	HTTP_CLIENT,
	FD("namespace", cfg_string, 0, "default"),
	REFRESH_SHOWN("1m"),
	FD("region", cfg_string, 0, "global"),
	FD("server", cfg_string, 0, "http://localhost:4646"),
	FD("tag_separator", cfg_string, CFG_OMIT, ","),
};
CFG_STRUCT_TYPE(nomad_sd_type, "nomad.plain", nomad_fields, nomad_check);

/* --- puppetdb --- */

static int
puppetdb_check(struct cfg_reader *r, struct cfg_val *v)
{
	if (sd_http_url_check(r, cfg_get(v, "url")) == -1 ||
	    sd_require(r, v, "query", "query missing") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field puppetdb_fields[] = {
	HTTP_CLIENT,
	REFRESH("1m"),
	F("url", cfg_string, 0),
	F("query", cfg_string, 0),
	F("include_parameters", cfg_bool, 0),
	PORT,
};
CFG_STRUCT_TYPE(puppetdb_sd_type, "puppetdb.plain", puppetdb_fields,
    puppetdb_check);

/* --- uyuni --- */

static int
uyuni_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct err e = ERR_INIT;
	struct url_parts u;

	if (sd_require(r, v, "server",
	    "Uyuni SD configuration requires server host") == -1)
		return -1;
	if (url_check(cfg_get_str(v, "server"), &u, &e) == -1)
		return cfg_fail(r, v->line,
		    "Uyuni Server URL is not valid: %s", e.text);
	if (sd_require(r, v, "username",
	    "Uyuni SD configuration requires a username") == -1 ||
	    sd_require(r, v, "password",
	    "Uyuni SD configuration requires a password") == -1)
		return -1;
	return http_client_check(r, v);
}

static const struct cfg_field uyuni_fields[] = {
	F("server", cfg_string, 0),
	F("username", cfg_string, 0),
	F("password", cfg_secret, 0),
	HTTP_CLIENT,
	FD("entitlement", cfg_string, CFG_OMIT, "monitoring_entitled"),
	FD("separator", cfg_string, CFG_OMIT, ","),
	REFRESH("1m"),
};
CFG_STRUCT_TYPE(uyuni_sd_type, "uyuni.plain", uyuni_fields, uyuni_check);

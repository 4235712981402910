/* SPDX-License-Identifier: ISC */
/*
 * HTTP client settings, shared by everything that dials. The order of the
 * checks and their words are the reference's (prometheus/common,
 * config/http_config.go).
 */

#include <stdio.h>
#include <strings.h>

#include "common/config/schema.h"

/* --- tls_config --- */

static int
tls_version_check(struct cfg_reader *r, struct cfg_val *v)
{
	static const char *const names[] = { "TLS10", "TLS11", "TLS12",
	    "TLS13" };
	size_t i;

	for (i = 0; i < CFG_N(names); i++)
		if (str_eq_c(v->u.s, names[i]))
			return 0;
	return cfg_fail(r, v->line, "unknown TLS version: %.*s",
	    STR_ARG(v->u.s));
}

static const struct cfg_type tls_version_type = { .kind = CFG_STR,
    .go_name = "string", .check = tls_version_check };

/* How many of them are set. */
static int
count(const struct cfg_val *v, const char *a, const char *b, const char *c)
{
	return cfg_has(v, a) + cfg_has(v, b) + cfg_has(v, c);
}

static int
tls_check(struct cfg_reader *r, struct cfg_val *v)
{
	int ca = count(v, "ca", "ca_file", "ca_ref");
	int cert = count(v, "cert", "cert_file", "cert_ref");
	int key = count(v, "key", "key_file", "key_ref");

	if (ca > 1)
		return cfg_fail(r, v->line, "at most one of ca, ca_file & "
		    "ca_ref must be configured");
	if (cert > 1)
		return cfg_fail(r, v->line, "at most one of cert, cert_file & "
		    "cert_ref must be configured");
	if (key > 1)
		return cfg_fail(r, v->line, "at most one of key and key_file "
		    "must be configured");
	if (cert > 0 && key == 0)
		return cfg_fail(r, v->line, "exactly one of key or key_file "
		    "must be configured when a client certificate is "
		    "configured");
	if (key > 0 && cert == 0)
		return cfg_fail(r, v->line, "exactly one of cert or cert_file "
		    "must be configured when a client key is configured");
	return 0;
}

static const struct cfg_field tls_fields[] = {
	F("ca", cfg_string, CFG_OMIT),
	F("cert", cfg_string, CFG_OMIT),
	F("key", cfg_secret, CFG_OMIT),
	F("ca_file", cfg_path, CFG_OMIT),
	F("cert_file", cfg_path, CFG_OMIT),
	F("key_file", cfg_path, CFG_OMIT),
	F("ca_ref", cfg_string, CFG_OMIT),
	F("cert_ref", cfg_string, CFG_OMIT),
	F("key_ref", cfg_string, CFG_OMIT),
	F("server_name", cfg_string, CFG_OMIT),
	F("insecure_skip_verify", cfg_bool, 0),
	F("min_version", tls_version_type, CFG_OMIT),
	F("max_version", tls_version_type, CFG_OMIT),
};
CFG_STRUCT_TYPE(tls_config_type, "config.plain", tls_fields, tls_check);

/* --- proxy --- */

static int
url_type_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct err e = ERR_INIT;
	struct url_parts parts;

	return url_check(v->u.s, &parts, &e) == 0 ? 0 :
	    cfg_fail(r, v->line, "%s", e.text);
}

const struct cfg_type cfg_checked_url = { .kind = CFG_URL,
    .go_name = "string", .check = url_type_check };

static const struct cfg_field proxy_fields[] = {
	F("proxy_url", cfg_checked_url, CFG_OMIT | CFG_PTR),
	F("no_proxy", cfg_string, CFG_OMIT),
	F("proxy_from_environment", cfg_bool, CFG_OMIT),
	F("proxy_connect_header", cfg_secrets_map, CFG_OMIT),
};
static CFG_STRUCT_TYPE(proxy_type, "config.plain", proxy_fields, NULL);

static int
proxy_check(struct cfg_reader *r, const struct cfg_val *v)
{
	const struct cfg_val *url = cfg_get(v, "proxy_url");
	bool has_url = !url->is_nil && url->u.s.n > 0;
	bool from_env = cfg_get_bool(v, "proxy_from_environment");

	if (cfg_has(v, "proxy_connect_header") && !from_env && !has_url)
		return cfg_fail(r, v->line, "if proxy_connect_header is "
		    "configured, proxy_url or proxy_from_environment must "
		    "also be configured");
	if (from_env && has_url)
		return cfg_fail(r, url->line, "if proxy_from_environment is "
		    "configured, proxy_url must not be configured");
	if (from_env && cfg_has(v, "no_proxy"))
		return cfg_fail(r, v->line, "if proxy_from_environment is "
		    "configured, no_proxy must not be configured");
	if (url->is_nil && cfg_has(v, "no_proxy"))
		return cfg_fail(r, v->line, "if no_proxy is configured, "
		    "proxy_url must also be configured");
	return 0;
}

/* --- authentication --- */

static const struct cfg_field basic_auth_fields[] = {
	F("username", cfg_string, 0),
	F("username_file", cfg_path, CFG_OMIT),
	F("username_ref", cfg_string, CFG_OMIT),
	F("password", cfg_secret, CFG_OMIT),
	F("password_file", cfg_path, CFG_OMIT),
	F("password_ref", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(basic_auth_type, "config.plain", basic_auth_fields,
    NULL);

static const struct cfg_field authorization_fields[] = {
	F("type", cfg_string, CFG_OMIT),
	F("credentials", cfg_secret, CFG_OMIT),
	F("credentials_file", cfg_path, CFG_OMIT),
	F("credentials_ref", cfg_string, CFG_OMIT),
};
static CFG_STRUCT_TYPE(authorization_type, "config.Authorization",
    authorization_fields, NULL);

static int
oauth2_type_check(struct cfg_reader *r, struct cfg_val *v)
{
	return proxy_check(r, v);
}

static const struct cfg_field oauth2_fields[] = {
	F("client_id", cfg_string, 0),
	F("client_secret", cfg_secret, 0),
	F("client_secret_file", cfg_path, 0),
	F("client_secret_ref", cfg_string, 0),
	F("client_certificate_key_id", cfg_string, 0),
	F("client_certificate_key", cfg_secret, 0),
	F("client_certificate_key_file", cfg_string, 0),
	F("client_certificate_key_ref", cfg_string, 0),
	F("grant_type", cfg_string, 0),
	F("signature_algorithm", cfg_string, CFG_OMIT),
	F("iss", cfg_string, CFG_OMIT),
	F("audience", cfg_string, CFG_OMIT),
	F("claims", cfg_any_map, CFG_OMIT),
	F("scopes", cfg_strings, CFG_OMIT),
	F("token_url", cfg_string, 0),
	F("endpoint_params", cfg_string_map, CFG_OMIT),
	F("tls_config", tls_config_type, CFG_OMIT),
	F("", proxy_type, CFG_INLINE),
};
static CFG_STRUCT_TYPE(oauth2_type, "config.plain", oauth2_fields,
    oauth2_type_check);

static int
oauth2_check(struct cfg_reader *r, const struct cfg_val *v)
{
	struct str grant = cfg_get_str(v, "grant_type");
	struct str alg = cfg_get_str(v, "signature_algorithm");

	if (!cfg_has(v, "client_id"))
		return cfg_fail(r, v->line,
		    "oauth2 client_id must be configured");
	if (!cfg_has(v, "token_url"))
		return cfg_fail(r, v->line,
		    "oauth2 token_url must be configured");
	if (!str_eq_c(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer"))
		return count(v, "client_secret", "client_secret_file",
		    "client_secret_ref") <= 1 ? 0 : cfg_fail(r, v->line,
		    "at most one of oauth2 client_secret, client_secret_file "
		    "& client_secret_ref must be configured using "
		    "grant-type=client_credentials");
	if (count(v, "client_certificate_key", "client_certificate_key_file",
	    "client_certificate_key_ref") > 1)
		return cfg_fail(r, v->line, "at most one of oauth2 "
		    "client_certificate_key, client_certificate_key_file & "
		    "client_certificate_key_ref must be configured using "
		    "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
	if (alg.n > 0 && !str_eq_c(alg, "RS256") && !str_eq_c(alg, "RS384") &&
	    !str_eq_c(alg, "RS512"))
		return cfg_fail(r, v->line, "valid signature algorithms are "
		    "RS256, RS384 and RS512");
	return 0;
}

/* --- headers --- */

/* Go's canonical form: Foo-Bar. Longer names are no reserved ones. */
static void
canonical_header(struct str name, char out[64])
{
	bool upper = true;
	size_t i;
	char c;

	for (i = 0; i < name.n && i < 63; i++) {
		c = name.p[i];
		if (upper && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (!upper && c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		out[i] = c;
		upper = c == '-';
	}
	out[i] = '\0';
}

static bool
is_reserved(struct str name, bool remote)
{
	static const char *const both[] = { "Host", "Content-Encoding",
	    "Content-Length", "Content-Type", "User-Agent", "Connection",
	    "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	    "Www-Authenticate", "Accept-Encoding",
	    "X-Prometheus-Remote-Write-Version",
	    "X-Prometheus-Remote-Read-Version", "X-Amz-Date",
	    "X-Amz-Security-Token", "X-Amz-Content-Sha256" };
	size_t i;

	for (i = 0; i < CFG_N(both); i++)
		if (name.n == strlen(both[i]) &&
		    strncasecmp(name.p, both[i], name.n) == 0)
			return true;
	return !remote && ((name.n == 13 &&
	    strncasecmp(name.p, "Authorization", 13) == 0) ||
	    (name.n == 35 && strncasecmp(name.p,
	    "X-Prometheus-Scrape-Timeout-Seconds", 35) == 0));
}

static int
http_header_check(struct cfg_reader *r, struct cfg_val *v)
{
	char name[64];
	size_t i;

	for (i = 0; i < v->u.map.n; i++) {
		if (!is_reserved(v->u.map.e[i].key, false))
			continue;
		canonical_header(v->u.map.e[i].key, name);
		return cfg_fail(r, v->u.map.e[i].val.line,
		    "setting header \"%s\" is not allowed", name);
	}
	return 0;
}

int
header_map_check(struct cfg_reader *r, const struct cfg_val *headers,
    const char *on_authorization)
{
	const struct cfg_entry *e;
	size_t i;

	if (headers->is_nil)
		return 0;
	for (i = 0; i < headers->u.map.n; i++) {
		e = &headers->u.map.e[i];
		if (e->key.n == 13 &&
		    strncasecmp(e->key.p, "authorization", 13) == 0)
			return cfg_fail(r, e->val.line, "%s",
			    on_authorization);
		if (is_reserved(e->key, true))
			return cfg_fail(r, e->val.line, "%.*s is a reserved "
			    "header. It must not be changed",
			    STR_ARG(e->key));
	}
	return 0;
}

static const struct cfg_field header_fields[] = {
	F("values", cfg_strings, CFG_OMIT),
	F("secrets", cfg_secrets, CFG_OMIT),
	F("files", cfg_paths, CFG_OMIT),
};
static CFG_STRUCT_TYPE(header_type, "config.Header", header_fields, NULL);
static const struct cfg_type http_headers_type = { .kind = CFG_MAP,
    .elem = &header_type };

/* --- the client --- */

#define CLIENT_FIELDS(http2)						\
	F("basic_auth", basic_auth_type, CFG_OMIT | CFG_PTR),		\
	F("authorization", authorization_type, CFG_OMIT | CFG_PTR),	\
	F("oauth2", oauth2_type, CFG_OMIT | CFG_PTR),			\
	F("bearer_token", cfg_secret, CFG_OMIT),			\
	F("bearer_token_file", cfg_path, CFG_OMIT),			\
	F("tls_config", tls_config_type, CFG_OMIT),			\
	FD("follow_redirects", cfg_bool, 0, "true"),			\
	FD("enable_http2", cfg_bool, 0, http2),				\
	F("", proxy_type, CFG_INLINE),					\
	F("http_headers", http_headers_type, CFG_OMIT)

static const struct cfg_field client_fields[] = { CLIENT_FIELDS("true") };
static const struct cfg_field remote_client_fields[] = {
	CLIENT_FIELDS("false")
};
CFG_STRUCT_TYPE(http_client_type, "config.plain", client_fields, NULL);
CFG_STRUCT_TYPE(http_client_remote_type, "config.plain",
    remote_client_fields, NULL);

/* bearer_token and bearer_token_file become an authorization. */
static int
fold_bearer(struct cfg_reader *r, struct cfg_val *v)
{
	struct cfg_val *auth = cfg_get(v, "authorization");
	struct cfg_val *token = cfg_get(v, "bearer_token");
	struct cfg_val *file = cfg_get(v, "bearer_token_file");
	uint32_t line = token->u.s.n > 0 ? token->line : file->line;

	if (token->u.s.n == 0 && file->u.s.n == 0)
		return 0;
	if (cfg_init_default(r, auth, &authorization_type) == -1)
		return -1;
	auth->line = line;
	auth->present = true;
	cfg_set_str(cfg_get(auth, "type"), STR_LIT("Bearer"));
	cfg_set_str(cfg_get(auth, "credentials"), token->u.s);
	cfg_set_str(cfg_get(auth, "credentials_file"), file->u.s);
	token->u.s = file->u.s = STR_EMPTY;
	return 0;
}

static int
authorization_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct cfg_val *auth = cfg_get(v, "authorization");
	struct cfg_val *type = cfg_get(auth, "type");

	if (cfg_has(v, "bearer_token") || cfg_has(v, "bearer_token_file"))
		return cfg_fail(r, auth->line, "authorization is not "
		    "compatible with bearer_token & bearer_token_file");
	if (count(auth, "credentials", "credentials_file",
	    "credentials_ref") > 1)
		return cfg_fail(r, auth->line, "at most one of authorization "
		    "credentials & credentials_file must be configured");
	type->u.s = str_trim(type->u.s);
	if (type->u.s.n == 0)
		type->u.s = STR_LIT("Bearer");
	if (type->u.s.n == 5 && strncasecmp(type->u.s.p, "basic", 5) == 0)
		return cfg_fail(r, type->line, "authorization type cannot be "
		    "set to \"basic\", use \"basic_auth\" instead");
	if (!cfg_get(v, "basic_auth")->is_nil || !cfg_get(v, "oauth2")->is_nil)
		return cfg_fail(r, auth->line, "at most one of basic_auth, "
		    "oauth2 & authorization must be configured");
	return 0;
}

int
http_client_check(struct cfg_reader *r, struct cfg_val *v)
{
	struct cfg_val *basic = cfg_get(v, "basic_auth");
	struct cfg_val *oauth2 = cfg_get(v, "oauth2");
	bool token = cfg_has(v, "bearer_token");
	bool token_file = cfg_has(v, "bearer_token_file");
	struct cfg_val *headers = cfg_get(v, "http_headers");

	if (token && token_file)
		return cfg_fail(r, cfg_get(v, "bearer_token")->line,
		    "at most one of bearer_token & bearer_token_file must be "
		    "configured");
	if ((!basic->is_nil || !oauth2->is_nil) && (token || token_file))
		return cfg_fail(r, v->line, "at most one of basic_auth, "
		    "oauth2, bearer_token & bearer_token_file must be "
		    "configured");
	if (!basic->is_nil && count(basic, "username", "username_file",
	    "username_ref") > 1)
		return cfg_fail(r, basic->line, "at most one of basic_auth "
		    "username, username_file & username_ref must be "
		    "configured");
	if (!basic->is_nil && count(basic, "password", "password_file",
	    "password_ref") > 1)
		return cfg_fail(r, basic->line, "at most one of basic_auth "
		    "password, password_file & password_ref must be "
		    "configured");
	if (!cfg_get(v, "authorization")->is_nil) {
		if (authorization_check(r, v) == -1)
			return -1;
	} else if (fold_bearer(r, v) == -1)
		return -1;
	if (!oauth2->is_nil) {
		if (!basic->is_nil)
			return cfg_fail(r, oauth2->line, "at most one of "
			    "basic_auth, oauth2 & authorization must be "
			    "configured");
		if (oauth2_check(r, oauth2) == -1)
			return -1;
	}
	if (proxy_check(r, v) == -1)
		return -1;
	return headers->is_nil ? 0 : http_header_check(r, headers);
}

bool
http_client_is_custom(const struct cfg_val *v)
{
	static const char *const keys[] = { "basic_auth", "authorization",
	    "oauth2", "bearer_token", "bearer_token_file", "tls_config",
	    "proxy_url", "no_proxy", "proxy_from_environment",
	    "proxy_connect_header", "http_headers" };
	size_t i;

	for (i = 0; i < CFG_N(keys); i++)
		if (cfg_has(v, keys[i]))
			return true;
	return !cfg_get_bool(v, "follow_redirects") ||
	    !cfg_get_bool(v, "enable_http2");
}

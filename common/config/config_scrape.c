/* SPDX-License-Identifier: ISC */
/*
 * From checked values to what a scrape worker gets. Nothing can be wrong
 * here any more but memory; a relabel rule is compiled once to be encoded,
 * which also proves that the worker will be able to.
 */

#include <stdlib.h>

#include "common/base/json.h"
#include "common/config/blob/scrape_conf.h"
#include "common/config/config.h"
#include "common/config/schema.h"

/* Calls return -1 when memory is out; rules fill err themselves. */

static int
take_str(struct str *out, const struct cfg_val *v, const char *key)
{
	struct str s = cfg_get_str(v, key);

	return conf_str_set(out, s.p == NULL ? STR_EMPTY : s);
}

static int
take_secret(struct secret *out, const struct cfg_val *v, const char *key)
{
	struct str s = cfg_get_str(v, key);

	return s.n == 0 ? 0 : secret_set(out, s);
}

static int
take_list(struct conf_list *out, const struct cfg_val *list)
{
	size_t i;

	for (i = 0; !list->is_nil && i < list->u.list.n; i++)
		if (conf_list_add(out, list->u.list.v[i].u.s) == -1)
			return -1;
	return 0;
}

/* --- HTTP client --- */

static enum tls_version
tls_version(struct str s)
{
	return str_eq_c(s, "TLS10") ? TLS_VERSION_10 :
	    str_eq_c(s, "TLS11") ? TLS_VERSION_11 :
	    str_eq_c(s, "TLS12") ? TLS_VERSION_12 :
	    str_eq_c(s, "TLS13") ? TLS_VERSION_13 : TLS_VERSION_DEFAULT;
}

static int
fill_tls(struct tls_conf *t, const struct cfg_val *v)
{
	t->insecure_skip_verify = cfg_get_bool(v, "insecure_skip_verify");
	t->min_version = tls_version(cfg_get_str(v, "min_version"));
	t->max_version = tls_version(cfg_get_str(v, "max_version"));
	t->has_ref = cfg_has(v, "ca_ref") || cfg_has(v, "cert_ref") ||
	    cfg_has(v, "key_ref");
	if (take_str(&t->ca, v, "ca") || take_str(&t->ca_file, v, "ca_file") ||
	    take_str(&t->cert, v, "cert") ||
	    take_str(&t->cert_file, v, "cert_file") ||
	    take_secret(&t->key, v, "key") ||
	    take_str(&t->key_file, v, "key_file") ||
	    take_str(&t->server_name, v, "server_name"))
		return -1;
	return 0;
}

static int
fill_secrets(struct http_header_conf *h, const struct cfg_val *list)
{
	size_t i, n = list->is_nil ? 0 : list->u.list.n;

	h->secrets = calloc(n + 1, sizeof(*h->secrets));
	if (h->secrets == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		if (secret_set(&h->secrets[i], list->u.list.v[i].u.s) == -1)
			return -1;
		h->n_secrets++;
	}
	return 0;
}

static int
fill_headers(struct http_header_conf **out, size_t *n_out,
    const struct cfg_val *map, bool secrets_only)
{
	size_t i, n = map->is_nil ? 0 : map->u.map.n;
	const struct cfg_val *v;
	struct http_header_conf *h;

	*out = calloc(n + 1, sizeof(**out));
	if (*out == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		h = &(*out)[i];
		v = &map->u.map.e[i].val;
		*n_out = i + 1;
		if (conf_str_set(&h->name, map->u.map.e[i].key) == -1)
			return -1;
		if (secrets_only) {
			if (fill_secrets(h, v) == -1)
				return -1;
		} else if (take_list(&h->values, cfg_get(v, "values")) ||
		    fill_secrets(h, cfg_get(v, "secrets")) ||
		    take_list(&h->files, cfg_get(v, "files")))
			return -1;
	}
	return 0;
}

static int
fill_proxy(struct proxy_conf *p, const struct cfg_val *v)
{
	p->from_environment = cfg_get_bool(v, "proxy_from_environment");
	if (take_str(&p->url, v, "proxy_url") ||
	    take_str(&p->no_proxy, v, "no_proxy"))
		return -1;
	return fill_headers(&p->connect_headers, &p->n_connect_headers,
	    cfg_get(v, "proxy_connect_header"), true);
}

static void
add_json_node(struct buf *b, const struct yaml_node *n)
{
	size_t i, step = n->kind == YAML_KIND_MAPPING ? 2 : 1;

	if (n->kind == YAML_KIND_SCALAR) {
		if (n->tag == YAML_TAG_NULL)
			buf_add_c(b, "null");
		else if (n->tag == YAML_TAG_BOOL)
			buf_add_c(b, yaml_to_bool(n->value) ? "true" :
			    "false");
		else if (n->tag == YAML_TAG_INT || n->tag == YAML_TAG_FLOAT)
			buf_add_str(b, n->value);
		else
			json_add_str(b, n->value, false);
		return;
	}
	buf_add_byte(b, step == 2 ? '{' : '[');
	for (i = 0; i + step <= n->n_kids; i += step) {
		if (i > 0)
			buf_add_byte(b, ',');
		if (step == 2) {
			json_add_str(b, n->kids[i]->value, false);
			buf_add_byte(b, ':');
		}
		add_json_node(b, n->kids[i + step - 1]);
	}
	buf_add_byte(b, step == 2 ? '}' : ']');
}

static int
fill_claims(struct str *out, const struct cfg_val *map)
{
	struct buf b;
	size_t i;
	int rc;

	if (map->is_nil || map->u.map.n == 0)
		return conf_str_set(out, STR_EMPTY);
	buf_init(&b, 1 << 20);
	for (i = 0; i < map->u.map.n; i++) {
		buf_add_byte(&b, i == 0 ? '{' : ',');
		json_add_str(&b, map->u.map.e[i].key, false);
		buf_add_byte(&b, ':');
		if (map->u.map.e[i].val.u.node == NULL)
			buf_add_c(&b, "null");
		else
			add_json_node(&b, map->u.map.e[i].val.u.node);
	}
	buf_add_byte(&b, '}');
	rc = buf_failed(&b) ? -1 : conf_str_set(out, buf_str(&b));
	buf_clear(&b);
	return rc;
}

static int
fill_oauth2(struct oauth2_conf *o, const struct cfg_val *v)
{
	const struct cfg_val *params = cfg_get(v, "endpoint_params");
	size_t i;

	o->has_ref = cfg_has(v, "client_secret_ref") ||
	    cfg_has(v, "client_certificate_key_ref");
	if (take_str(&o->client_id, v, "client_id") ||
	    take_secret(&o->client_secret, v, "client_secret") ||
	    take_str(&o->client_secret_file, v, "client_secret_file") ||
	    take_str(&o->cert_key_id, v, "client_certificate_key_id") ||
	    take_secret(&o->cert_key, v, "client_certificate_key") ||
	    take_str(&o->cert_key_file, v, "client_certificate_key_file") ||
	    take_str(&o->grant_type, v, "grant_type") ||
	    take_str(&o->signature_algorithm, v, "signature_algorithm") ||
	    take_str(&o->iss, v, "iss") ||
	    take_str(&o->audience, v, "audience") ||
	    fill_claims(&o->claims, cfg_get(v, "claims")) ||
	    take_list(&o->scopes, cfg_get(v, "scopes")) ||
	    take_str(&o->token_url, v, "token_url") ||
	    fill_tls(&o->tls, cfg_get(v, "tls_config")) ||
	    fill_proxy(&o->proxy, v))
		return -1;
	for (i = 0; !params->is_nil && i < params->u.map.n; i++)
		if (conf_list_add(&o->endpoint_params,
		    params->u.map.e[i].key) ||
		    conf_list_add(&o->endpoint_params,
		    params->u.map.e[i].val.u.s))
			return -1;
	return 0;
}

static int
fill_auth(struct http_conf *h, const struct cfg_val *v)
{
	const struct cfg_val *basic = cfg_get(v, "basic_auth");
	const struct cfg_val *auth = cfg_get(v, "authorization");
	const struct cfg_val *oauth2 = cfg_get(v, "oauth2");

	if (!basic->is_nil) {
		h->auth = HTTP_AUTH_BASIC;
		h->auth_has_ref = cfg_has(basic, "username_ref") ||
		    cfg_has(basic, "password_ref");
		return take_str(&h->username, basic, "username") ||
		    take_str(&h->username_file, basic, "username_file") ||
		    take_secret(&h->password, basic, "password") ||
		    take_str(&h->password_file, basic, "password_file") ?
		    -1 : 0;
	}
	if (!auth->is_nil) {
		h->auth = HTTP_AUTH_AUTHORIZATION;
		h->auth_has_ref = cfg_has(auth, "credentials_ref");
		return take_str(&h->auth_type, auth, "type") ||
		    take_secret(&h->credentials, auth, "credentials") ||
		    take_str(&h->credentials_file, auth,
		    "credentials_file") ? -1 : 0;
	}
	if (oauth2->is_nil)
		return 0;
	h->oauth2 = calloc(1, sizeof(*h->oauth2));
	if (h->oauth2 == NULL)
		return -1;
	h->auth = HTTP_AUTH_OAUTH2;
	return fill_oauth2(h->oauth2, oauth2);
}

static int
fill_http(struct http_conf *h, const struct cfg_val *v)
{
	h->follow_redirects = cfg_get_bool(v, "follow_redirects");
	h->enable_http2 = cfg_get_bool(v, "enable_http2");
	if (fill_auth(h, v) == -1 ||
	    fill_tls(&h->tls, cfg_get(v, "tls_config")) == -1 ||
	    fill_proxy(&h->proxy, v) == -1)
		return -1;
	return fill_headers(&h->headers, &h->n_headers,
	    cfg_get(v, "http_headers"), false);
}

/* --- job --- */

static int
fill_rules(struct relabel_rules *rs, const struct cfg_val *list,
    enum name_validation validation, struct err *err)
{
	const struct cfg_val *v;
	struct relabel_spec spec;
	struct str *names;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && !list->is_nil && i < list->u.list.n; i++) {
		v = &list->u.list.v[i];
		names = calloc(cfg_get(v, "source_labels")->u.list.n + 1,
		    sizeof(*names));
		if (names == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		spec = relabel_config_spec(v, names, validation);
		rc = relabel_rules_add(rs, &spec, err);
		free(names);
	}
	return rc;
}

static int
fill_labels(struct label **out, size_t *n_out, const struct cfg_val *map)
{
	size_t i, n = map->is_nil ? 0 : map->u.map.n;

	*out = calloc(n + 1, sizeof(**out));
	if (*out == NULL)
		return -1;
	for (i = 0; i < n; i++) {	/* decoded maps are sorted */
		*n_out = i + 1;
		if (conf_str_set(&(*out)[i].name, map->u.map.e[i].key) ||
		    conf_str_set(&(*out)[i].value,
		    map->u.map.e[i].val.u.s))
			return -1;
	}
	return 0;
}

static int
fill_groups(struct scrape_conf *c, const struct cfg_val *list)
{
	size_t i, n = list->is_nil ? 0 : list->u.list.n;
	const struct cfg_val *v;
	struct target_group *g;
	struct buf source;
	int rc = 0;

	c->groups = calloc(n + 1, sizeof(*c->groups));
	if (c->groups == NULL)
		return -1;
	for (i = 0; rc == 0 && i < n; i++) {
		g = &c->groups[i];
		v = &list->u.list.v[i];
		c->n_groups = i + 1;
		buf_init(&source, 0);
		buf_add_u64_text(&source, i);
		if (buf_failed(&source) ||
		    conf_str_set(&g->source, buf_str(&source)) ||
		    take_list(&g->targets, cfg_get(v, "targets")) ||
		    fill_labels(&g->labels, &g->n_labels,
		    cfg_get(v, "labels")))
			rc = -1;
		buf_clear(&source);
	}
	return rc;
}

static int
fill_params(struct scrape_conf *c, const struct cfg_val *map)
{
	size_t i, n = map->is_nil ? 0 : map->u.map.n;

	c->params = calloc(n + 1, sizeof(*c->params));
	if (c->params == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		c->n_params = i + 1;
		if (conf_str_set(&c->params[i].name, map->u.map.e[i].key) ||
		    take_list(&c->params[i].values, &map->u.map.e[i].val))
			return -1;
	}
	return 0;
}

static enum name_escaping
escaping(struct str s)
{
	int e;

	for (e = NAME_ESCAPING_VALUES; e > NAME_ESCAPING_ALLOW_UTF8; e--)
		if (str_eq_c(s, name_escaping_text((enum name_escaping)e)))
			break;
	return (enum name_escaping)e;
}

static void
fill_scalars(struct scrape_conf *c, const struct cfg_val *v)
{
	const struct cfg_val *list = cfg_get(v, "scrape_protocols");
	size_t i;

	c->interval_ms = cfg_get_int(v, "scrape_interval");
	c->timeout_ms = cfg_get_int(v, "scrape_timeout");
	for (i = 0; i < list->u.list.n && i < SCRAPE_N_PROTOCOLS; i++)
		c->protocols[c->n_protocols++] =
		    scrape_protocol_parse(list->u.list.v[i].u.s);
	c->fallback_protocol = scrape_protocol_parse(
	    cfg_get_str(v, "fallback_scrape_protocol"));
	c->honor_labels = cfg_get_bool(v, "honor_labels");
	c->honor_timestamps = cfg_get_bool(v, "honor_timestamps");
	c->track_timestamps_staleness = cfg_get_bool(v,
	    "track_timestamps_staleness");
	c->enable_compression = cfg_get_bool(v, "enable_compression");
	c->scrape_native_histograms = cfg_get_bool(v,
	    "scrape_native_histograms");
	c->always_scrape_classic_histograms = cfg_get_bool(v,
	    "always_scrape_classic_histograms");
	c->convert_classic_histograms_to_nhcb = cfg_get_bool(v,
	    "convert_classic_histograms_to_nhcb");
	c->extra_scrape_metrics = cfg_get_bool(v, "extra_scrape_metrics");
	c->body_size_limit_bytes = cfg_get_int(v, "body_size_limit") < 0 ? 0 :
	    (uint64_t)cfg_get_int(v, "body_size_limit");
	c->sample_limit = cfg_get_uint(v, "sample_limit");
	c->target_limit = cfg_get_uint(v, "target_limit");
	c->label_limit = cfg_get_uint(v, "label_limit");
	c->label_name_length_limit = cfg_get_uint(v,
	    "label_name_length_limit");
	c->label_value_length_limit = cfg_get_uint(v,
	    "label_value_length_limit");
	c->keep_dropped_targets = cfg_get_uint(v, "keep_dropped_targets");
	c->native_histogram_bucket_limit = cfg_get_uint(v,
	    "native_histogram_bucket_limit");
	c->native_histogram_min_bucket_factor = cfg_get_float(v,
	    "native_histogram_min_bucket_factor");
	c->name_validation = name_validation_is_legacy(cfg_get(v,
	    "metric_name_validation_scheme")) ? NAME_VALIDATION_LEGACY :
	    NAME_VALIDATION_UTF8;
	c->name_escaping = escaping(cfg_get_str(v,
	    "metric_name_escaping_scheme"));
}

static int
fill_job(struct scrape_conf *c, const struct cfg_val *v, struct err *err)
{
	fill_scalars(c, v);
	if (take_str(&c->job_name, v, "job_name") ||
	    take_str(&c->metrics_path, v, "metrics_path") ||
	    take_str(&c->scheme, v, "scheme") ||
	    take_str(&c->failure_log_file, v, "scrape_failure_log_file") ||
	    fill_params(c, cfg_get(v, "params")) ||
	    fill_http(&c->http, v) ||
	    fill_groups(c, cfg_get(v, "static_configs")))
		return err_set(err, ERR_NOMEM, "out of memory");
	if (fill_rules(&c->relabel, cfg_get(v, "relabel_configs"),
	    c->name_validation, err) == -1)
		return -1;
	return fill_rules(&c->metric_relabel,
	    cfg_get(v, "metric_relabel_configs"), c->name_validation, err);
}

int
config_blob_scrape(const struct config *c, struct buf *out, struct err *err)
{
	const struct cfg_val *labels = cfg_get(cfg_get(&c->root, "global"),
	    "external_labels");
	struct scrape_confs cs;
	size_t i;
	int rc = 0;

	scrape_confs_init(&cs);
	cs.jobs = calloc(c->n_jobs + 1, sizeof(*cs.jobs));
	if (cs.jobs == NULL || fill_labels(&cs.external_labels,
	    &cs.n_external_labels, labels) == -1)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; rc == 0 && i < c->n_jobs; i++) {
		scrape_conf_init(&cs.jobs[i]);
		cs.n_jobs = i + 1;
		rc = fill_job(&cs.jobs[i], c->jobs[i], err);
	}
	if (rc == 0) {
		scrape_confs_encode(&cs, out);
		if (buf_failed(out))
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	scrape_confs_clear(&cs);
	return rc;
}

/* SPDX-License-Identifier: ISC */
/*
 * HTTP client settings: memory and bytes. Encoding and decoding stand next
 * to each other, field by field in the same order.
 */

#include "common/config/blob/http_conf.h"

#include <stdint.h>
#include <stdlib.h>


/* Bytes that any element of a list needs at least in a blob. */
#define ITEM_BYTES_MIN	4

/* --- owned texts --- */

int
conf_str_set(struct str *out, struct str value)
{
	char *p = str_dup(value);

	if (p == NULL)
		return -1;
	conf_str_clear(out);
	*out = str_from(p, value.n);
	return 0;
}

void
conf_str_clear(struct str *s)
{
	free((void *)(uintptr_t)s->p);
	*s = (struct str){ NULL, 0 };
}

int
conf_list_add(struct conf_list *l, struct str value)
{
	struct str *s;

	/* Grown by halves of a power of two: n is all there is to know. */
	if ((l->n & (l->n - 1)) == 0) {
		s = reallocarray(l->s, l->n == 0 ? 1 : l->n * 2, sizeof(*s));
		if (s == NULL)
			return -1;
		l->s = s;
	}
	l->s[l->n] = (struct str){ NULL, 0 };
	if (conf_str_set(&l->s[l->n], value) == -1)
		return -1;
	l->n++;
	return 0;
}

void
conf_list_clear(struct conf_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		conf_str_clear(&l->s[i]);
	free(l->s);
	*l = (struct conf_list){ NULL, 0 };
}

void
conf_list_encode(const struct conf_list *l, struct buf *out)
{
	size_t i;

	wire_put_u32(out, (uint32_t)l->n);
	for (i = 0; i < l->n; i++)
		wire_put_str(out, l->s[i]);
}

int
conf_list_decode(struct conf_list *l, struct wire_reader *r)
{
	uint32_t i, n = wire_get_count(r, ITEM_BYTES_MIN);

	for (i = 0; i < n; i++)
		if (conf_list_add(l, wire_get_str(r)) == -1)
			return -1;
	return r->failed ? -1 : 0;
}

static int
get_str(struct str *out, struct wire_reader *r)
{
	struct str s = wire_get_str(r);

	return r->failed ? -1 : conf_str_set(out, s);
}

/* Presence is kept apart from emptiness: "" is a password too. */
static void
put_secret(struct buf *out, const struct secret *s)
{
	wire_put_bool(out, secret_is_set(s));
	if (secret_is_set(s))
		wire_put_str(out, secret_reveal(s));
}

static int
get_secret(struct secret *out, struct wire_reader *r)
{
	struct str s;

	if (!wire_get_bool(r))
		return r->failed ? -1 : 0;
	s = wire_get_str(r);
	return r->failed ? -1 : secret_set(out, s);
}

/* --- TLS --- */

static void
tls_clear(struct tls_conf *t)
{
	conf_str_clear(&t->ca);
	conf_str_clear(&t->ca_file);
	conf_str_clear(&t->cert);
	conf_str_clear(&t->cert_file);
	secret_clear(&t->key);
	conf_str_clear(&t->key_file);
	conf_str_clear(&t->server_name);
}

static void
tls_encode(const struct tls_conf *t, struct buf *out)
{
	wire_put_str(out, t->ca);
	wire_put_str(out, t->ca_file);
	wire_put_str(out, t->cert);
	wire_put_str(out, t->cert_file);
	put_secret(out, &t->key);
	wire_put_str(out, t->key_file);
	wire_put_str(out, t->server_name);
	wire_put_bool(out, t->insecure_skip_verify);
	wire_put_u32(out, (uint32_t)t->min_version);
	wire_put_u32(out, (uint32_t)t->max_version);
	wire_put_bool(out, t->has_ref);
}

static int
get_tls_version(enum tls_version *out, struct wire_reader *r)
{
	uint32_t v = wire_get_u32(r);

	*out = (enum tls_version)v;
	return v == TLS_VERSION_DEFAULT ||
	    (v >= TLS_VERSION_10 && v <= TLS_VERSION_13) ? 0 : -1;
}

static int
tls_decode(struct tls_conf *t, struct wire_reader *r)
{
	if (get_str(&t->ca, r) == -1 || get_str(&t->ca_file, r) == -1 ||
	    get_str(&t->cert, r) == -1 || get_str(&t->cert_file, r) == -1 ||
	    get_secret(&t->key, r) == -1 || get_str(&t->key_file, r) == -1 ||
	    get_str(&t->server_name, r) == -1)
		return -1;
	t->insecure_skip_verify = wire_get_bool(r);
	if (get_tls_version(&t->min_version, r) == -1 ||
	    get_tls_version(&t->max_version, r) == -1)
		return -1;
	t->has_ref = wire_get_bool(r);
	return r->failed ? -1 : 0;
}

/* --- headers, proxy --- */

static void
headers_clear(struct http_header_conf *h, size_t n)
{
	size_t i, j;

	for (i = 0; i < n; i++) {
		conf_str_clear(&h[i].name);
		conf_list_clear(&h[i].values);
		for (j = 0; j < h[i].n_secrets; j++)
			secret_clear(&h[i].secrets[j]);
		free(h[i].secrets);
		conf_list_clear(&h[i].files);
	}
	free(h);
}

static void
headers_encode(const struct http_header_conf *h, size_t n, struct buf *out)
{
	size_t i, j;

	wire_put_u32(out, (uint32_t)n);
	for (i = 0; i < n; i++) {
		wire_put_str(out, h[i].name);
		conf_list_encode(&h[i].values, out);
		wire_put_u32(out, (uint32_t)h[i].n_secrets);
		for (j = 0; j < h[i].n_secrets; j++)
			put_secret(out, &h[i].secrets[j]);
		conf_list_encode(&h[i].files, out);
	}
}

static int
header_decode(struct http_header_conf *h, struct wire_reader *r)
{
	uint32_t i, n;

	if (get_str(&h->name, r) == -1 || conf_list_decode(&h->values, r) == -1)
		return -1;
	n = wire_get_count(r, 1);
	h->secrets = calloc(n + 1UL, sizeof(*h->secrets));
	if (h->secrets == NULL)
		return -1;
	for (i = 0; i < n; i++, h->n_secrets++)
		if (get_secret(&h->secrets[i], r) == -1)
			return -1;
	return conf_list_decode(&h->files, r);
}

static int
headers_decode(struct http_header_conf **out, size_t *n_out,
    struct wire_reader *r)
{
	uint32_t i, n = wire_get_count(r, 4 * ITEM_BYTES_MIN);

	*out = calloc(n + 1UL, sizeof(**out));
	if (*out == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		*n_out = i + 1UL;
		if (header_decode(&(*out)[i], r) == -1)
			return -1;
	}
	return r->failed ? -1 : 0;
}

static void
proxy_clear(struct proxy_conf *p)
{
	conf_str_clear(&p->url);
	conf_str_clear(&p->no_proxy);
	headers_clear(p->connect_headers, p->n_connect_headers);
}

static void
proxy_encode(const struct proxy_conf *p, struct buf *out)
{
	wire_put_str(out, p->url);
	wire_put_str(out, p->no_proxy);
	wire_put_bool(out, p->from_environment);
	headers_encode(p->connect_headers, p->n_connect_headers, out);
}

static int
proxy_decode(struct proxy_conf *p, struct wire_reader *r)
{
	if (get_str(&p->url, r) == -1 || get_str(&p->no_proxy, r) == -1)
		return -1;
	p->from_environment = wire_get_bool(r);
	return headers_decode(&p->connect_headers, &p->n_connect_headers, r);
}

/* --- OAuth 2 --- */

static void
oauth2_free(struct oauth2_conf *o)
{
	if (o == NULL)
		return;
	conf_str_clear(&o->client_id);
	secret_clear(&o->client_secret);
	conf_str_clear(&o->client_secret_file);
	conf_str_clear(&o->cert_key_id);
	secret_clear(&o->cert_key);
	conf_str_clear(&o->cert_key_file);
	conf_str_clear(&o->grant_type);
	conf_str_clear(&o->signature_algorithm);
	conf_str_clear(&o->iss);
	conf_str_clear(&o->audience);
	conf_str_clear(&o->claims);
	conf_list_clear(&o->scopes);
	conf_str_clear(&o->token_url);
	conf_list_clear(&o->endpoint_params);
	tls_clear(&o->tls);
	proxy_clear(&o->proxy);
	free(o);
}

static void
oauth2_encode(const struct oauth2_conf *o, struct buf *out)
{
	wire_put_str(out, o->client_id);
	put_secret(out, &o->client_secret);
	wire_put_str(out, o->client_secret_file);
	wire_put_str(out, o->cert_key_id);
	put_secret(out, &o->cert_key);
	wire_put_str(out, o->cert_key_file);
	wire_put_str(out, o->grant_type);
	wire_put_str(out, o->signature_algorithm);
	wire_put_str(out, o->iss);
	wire_put_str(out, o->audience);
	wire_put_str(out, o->claims);
	conf_list_encode(&o->scopes, out);
	wire_put_str(out, o->token_url);
	conf_list_encode(&o->endpoint_params, out);
	tls_encode(&o->tls, out);
	proxy_encode(&o->proxy, out);
	wire_put_bool(out, o->has_ref);
}

static int
oauth2_decode(struct oauth2_conf *o, struct wire_reader *r)
{
	if (get_str(&o->client_id, r) == -1 ||
	    get_secret(&o->client_secret, r) == -1 ||
	    get_str(&o->client_secret_file, r) == -1 ||
	    get_str(&o->cert_key_id, r) == -1 ||
	    get_secret(&o->cert_key, r) == -1 ||
	    get_str(&o->cert_key_file, r) == -1 ||
	    get_str(&o->grant_type, r) == -1 ||
	    get_str(&o->signature_algorithm, r) == -1 ||
	    get_str(&o->iss, r) == -1 ||
	    get_str(&o->audience, r) == -1 ||
	    get_str(&o->claims, r) == -1 ||
	    conf_list_decode(&o->scopes, r) == -1 ||
	    get_str(&o->token_url, r) == -1 ||
	    conf_list_decode(&o->endpoint_params, r) == -1 ||
	    tls_decode(&o->tls, r) == -1 ||
	    proxy_decode(&o->proxy, r) == -1)
		return -1;
	o->has_ref = wire_get_bool(r);
	return r->failed || o->endpoint_params.n % 2 != 0 ? -1 : 0;
}

/* --- the whole --- */

void
http_conf_init(struct http_conf *c)
{
	*c = (struct http_conf){
		.follow_redirects = true,
		.enable_http2 = true,
	};
}

void
http_conf_clear(struct http_conf *c)
{
	conf_str_clear(&c->username);
	conf_str_clear(&c->username_file);
	secret_clear(&c->password);
	conf_str_clear(&c->password_file);
	conf_str_clear(&c->auth_type);
	secret_clear(&c->credentials);
	conf_str_clear(&c->credentials_file);
	oauth2_free(c->oauth2);
	tls_clear(&c->tls);
	proxy_clear(&c->proxy);
	headers_clear(c->headers, c->n_headers);
	http_conf_init(c);
}

void
http_conf_encode(const struct http_conf *c, struct buf *out)
{
	wire_put_u8(out, (uint8_t)c->auth);
	wire_put_str(out, c->username);
	wire_put_str(out, c->username_file);
	put_secret(out, &c->password);
	wire_put_str(out, c->password_file);
	wire_put_str(out, c->auth_type);
	put_secret(out, &c->credentials);
	wire_put_str(out, c->credentials_file);
	wire_put_bool(out, c->auth_has_ref);
	if (c->auth == HTTP_AUTH_OAUTH2)
		oauth2_encode(c->oauth2, out);
	tls_encode(&c->tls, out);
	proxy_encode(&c->proxy, out);
	wire_put_bool(out, c->follow_redirects);
	wire_put_bool(out, c->enable_http2);
	headers_encode(c->headers, c->n_headers, out);
}

int
http_conf_decode(struct http_conf *c, struct wire_reader *r)
{
	uint8_t auth = wire_get_u8(r);

	if (r->failed || auth > HTTP_AUTH_OAUTH2 ||
	    get_str(&c->username, r) == -1 ||
	    get_str(&c->username_file, r) == -1 ||
	    get_secret(&c->password, r) == -1 ||
	    get_str(&c->password_file, r) == -1 ||
	    get_str(&c->auth_type, r) == -1 ||
	    get_secret(&c->credentials, r) == -1 ||
	    get_str(&c->credentials_file, r) == -1)
		return -1;
	c->auth = (enum http_auth)auth;
	c->auth_has_ref = wire_get_bool(r);
	if (c->auth == HTTP_AUTH_OAUTH2) {
		c->oauth2 = calloc(1, sizeof(*c->oauth2));
		if (c->oauth2 == NULL || oauth2_decode(c->oauth2, r) == -1)
			return -1;
	}
	if (tls_decode(&c->tls, r) == -1 || proxy_decode(&c->proxy, r) == -1)
		return -1;
	c->follow_redirects = wire_get_bool(r);
	c->enable_http2 = wire_get_bool(r);
	return headers_decode(&c->headers, &c->n_headers, r);
}

/* SPDX-License-Identifier: ISC */
/*
 * The request of a scrape: headers that say what we can read, credentials,
 * and the way back to the loop. Credentials from files are read again as
 * they change; what a request needs is put together each time.
 */

#include <stdio.h>
#include <stdlib.h>

#include "common/base/float_text.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define HEADERS_MAX	64

/*
 * "type;q=0.6,…,*<slash>*;q=0.1". Order and weights are the reference's;
 * formats that we do not read (protobuf) are left out, so a target never
 * answers with them.
 */
char *
fetch_accept_header(const struct scrape_conf *c)
{
	int weight = SCRAPE_N_PROTOCOLS;	/* the reference's 5 + 1 */
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < c->n_protocols; i++, weight--) {
		enum scrape_protocol p = c->protocols[i];

		if (p == SCRAPE_PROTOCOL_PROMETHEUS_PROTO ||
		    p == SCRAPE_PROTOCOL_NONE)
			continue;
		buf_add_c(&b, scrape_protocol_media_type(p));
		if (p == SCRAPE_PROTOCOL_PROMETHEUS_TEXT_1_0_0 ||
		    p == SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0)
			buf_printf(&b, ";escaping=%s",
			    name_escaping_text(c->name_escaping));
		buf_printf(&b, ";q=0.%d,", weight);
	}
	buf_printf(&b, "*/*;q=0.%d", weight < 1 ? 1 : weight);
	buf_add_byte(&b, 0);
	if (buf_failed(&b))
		fatal("out of memory for a request");
	return b.p;
}

/* The texts of one request; wiped and freed when it has been copied. */
struct request_parts {
	struct http_header	 plain[HEADERS_MAX], secret[HEADERS_MAX];
	size_t			 n_plain, n_secret;
	struct buf		 texts[HEADERS_MAX];
	size_t			 n_texts;
};

static struct buf *
new_text(struct request_parts *p)
{
	if (p->n_texts == HEADERS_MAX)
		return NULL;
	buf_init(&p->texts[p->n_texts], 0);
	return &p->texts[p->n_texts++];
}

static void
parts_clear(struct request_parts *p)
{
	for (size_t i = 0; i < p->n_texts; i++) {
		if (p->texts[i].p != NULL)
			explicit_bzero(p->texts[i].p, p->texts[i].n);
		buf_clear(&p->texts[i]);
	}
}

static void
add_plain(struct request_parts *p, struct str name, struct str value)
{
	if (p->n_plain < HEADERS_MAX)
		p->plain[p->n_plain++] = (struct http_header){ name, value };
}

static void
add_secret(struct request_parts *p, struct str name, struct str value)
{
	if (p->n_secret < HEADERS_MAX)
		p->secret[p->n_secret++] = (struct http_header){ name, value };
}

/*
 * The file's text, blanks cut at both ends, as the reference reads
 * passwords and tokens. -1: it could not be read.
 */
static int
file_value(struct scrape *s, struct str path, const char *what,
    struct str *out, struct err *err)
{
	struct file_text *f = files_get(s, path);

	files_refresh(f);
	if (f->read_ns == 0)
		return err_set(err, ERR_UNAVAILABLE,
		    "unable to read %s file: not read yet", what);
	if (f->err.kind != ERR_NONE) {
		*err = f->err;
		return err_wrap(err, "unable to read %s file", what);
	}
	*out = str_trim(secret_reveal(&f->text));
	return 0;
}

static int
add_basic_auth(struct scrape *s, const struct http_conf *h,
    struct request_parts *p, struct err *err)
{
	struct str user = h->username;
	struct str password = secret_reveal(&h->password);
	struct buf *b = new_text(p);

	if (b == NULL)
		return err_set(err, ERR_LIMIT, "too many headers");
	if (h->username_file.n != 0 && file_value(s, h->username_file,
	    "basic auth username", &user, err) == -1)
		return -1;
	if (h->password_file.n != 0 && file_value(s, h->password_file,
	    "basic auth password", &password, err) == -1)
		return -1;
	http_add_basic_auth(b, user, password);
	add_secret(p, STR_LIT("Authorization"), buf_str(b));
	return 0;
}

static int
add_authorization(struct scrape *s, const struct http_conf *h,
    struct request_parts *p, struct err *err)
{
	struct str credentials = secret_reveal(&h->credentials);
	struct buf *b = new_text(p);

	if (h->auth_has_ref)
		return err_set(err, ERR_BAD_DATA,
		    "cannot use secret ref without manager");
	if (b == NULL)
		return err_set(err, ERR_LIMIT, "too many headers");
	if (h->credentials_file.n != 0 && file_value(s, h->credentials_file,
	    "authorization credentials", &credentials, err) == -1)
		return -1;
	buf_add_str(b, h->auth_type.n == 0 ? STR_LIT("Bearer") :
	    h->auth_type);
	buf_add_byte(b, ' ');
	buf_add_str(b, credentials);
	add_secret(p, STR_LIT("Authorization"), buf_str(b));
	return 0;
}

/* http_headers: values, then secrets, then files. */
static int
add_extra(struct scrape *s, const struct http_conf *h,
    struct request_parts *p, struct err *err)
{
	struct str v;

	for (size_t i = 0; i < h->n_headers; i++) {
		const struct http_header_conf *c = &h->headers[i];

		for (size_t k = 0; k < c->values.n; k++)
			add_plain(p, c->name, c->values.s[k]);
		for (size_t k = 0; k < c->n_secrets; k++)
			add_secret(p, c->name, secret_reveal(&c->secrets[k]));
		for (size_t k = 0; k < c->files.n; k++) {
			if (file_value(s, c->files.s[k], "http header", &v,
			    err) == -1)
				return -1;
			add_secret(p, c->name, v);
		}
	}
	return 0;
}

static int
add_headers(struct loop *l, struct request_parts *p, struct err *err)
{
	struct scrape *s = l->s;
	const struct scrape_conf *c = l->pool->conf;
	char seconds[FLOAT_TEXT_MAX];
	struct buf *b = new_text(p);
	size_t n = float_format_f((double)l->timeout_ms / 1000, seconds);

	add_plain(p, STR_LIT("User-Agent"),
	    STR_LIT("Prometheus/" BRAZIER_VERSION));
	add_plain(p, STR_LIT("Accept"), str_c(l->pool->accept));
	add_plain(p, STR_LIT("Accept-Encoding"), c->enable_compression ?
	    STR_LIT("gzip") : STR_LIT("identity"));
	buf_add(b, seconds, n);
	add_plain(p, STR_LIT("X-Prometheus-Scrape-Timeout-Seconds"),
	    buf_str(b));
	switch (c->http.auth) {
	case HTTP_AUTH_NONE:
		break;
	case HTTP_AUTH_BASIC:
		if (add_basic_auth(s, &c->http, p, err) == -1)
			return -1;
		break;
	case HTTP_AUTH_AUTHORIZATION:
		if (add_authorization(s, &c->http, p, err) == -1)
			return -1;
		break;
	case HTTP_AUTH_OAUTH2:
		return err_set(err, ERR_UNAVAILABLE,
		    "oauth2 is not supported for scraping yet");
	}
	return add_extra(s, &c->http, p, err);
}

static void
on_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct loop *l = arg;
	struct err e = ERR_INIT;

	resolver_forget(&l->s->resolver, l->fetch);
	l->fetch = NULL;
	if (err == NULL && r->status != 200) {
		err_set(&e, ERR_UNAVAILABLE, "server returned HTTP status "
		    "%.*s", STR_ARG(r->status_line));
		err = &e;
	}
	if (err != NULL && err->kind == ERR_LIMIT)
		metrics_inc(l->s->m.body_limit);
	loop_on_answer(l, err == NULL ? r->body : NULL,
	    err == NULL ? r->content_type : STR_EMPTY, err);
}

static void
on_resolve(void *arg, struct http_fetch *f, struct str host)
{
	struct loop *l = arg;

	resolver_ask(&l->s->resolver, f, host, (uint32_t)l->timeout_ms);
}

void
fetch_start(struct loop *l)
{
	struct request_parts *p = xcalloc(1, sizeof(*p));
	const struct scrape_conf *c = l->pool->conf;
	struct http_request rq = { .url = l->target->url,
	    .timeout_ms = l->timeout_ms };
	struct http_client *client = pool_client(l->pool);
	struct err err = ERR_INIT;

	rq.max_body_bytes = c->body_size_limit_bytes != 0 &&
	    c->body_size_limit_bytes < l->s->opt.max_body_bytes ?
	    c->body_size_limit_bytes : l->s->opt.max_body_bytes;
	if (client == NULL)
		err = l->pool->client_err;
	else
		(void)add_headers(l, p, &err);
	if (err.kind == ERR_NONE) {
		rq.headers = p->plain;
		rq.n_headers = p->n_plain;
		rq.auth_headers = p->secret;
		rq.n_auth_headers = p->n_secret;
		l->fetch = http_fetch_start(client, &rq, on_resolve, on_done,
		    l);
	}
	parts_clear(p);
	free(p);
	if (err.kind != ERR_NONE)
		loop_on_answer(l, NULL, STR_EMPTY, &err);
}

void
fetch_cancel(struct loop *l)
{
	if (l->fetch == NULL)
		return;
	resolver_forget(&l->s->resolver, l->fetch);
	http_fetch_cancel(l->fetch);
	l->fetch = NULL;
}

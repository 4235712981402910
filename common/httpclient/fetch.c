/* SPDX-License-Identifier: ISC */
/*
 * One request:
 *
 *	start ─▶ RESOLVING ─▶ RUNNING ─▶ done
 *	   │         ▲           │
 *	   │         └─ redirect ┘    (RUNNING again with the next address
 *	   ▼                           when one refuses the connection)
 *	 OVER ─▶ done, from the loop: an error before anything was sent
 *
 * curl connects where connect_to says, always an address, whatever the URL's
 * host is; so it never resolves anything itself.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/compress.h"
#include "common/base/vec.h"
#include "common/httpclient/internal.h"

static void	fetch_go(struct http_fetch *f);

static void
easy_drop(struct http_fetch *f)
{
	if (f->easy == NULL)
		return;
	if (f->added)
		curl_multi_remove_handle(f->client->multi, f->easy);
	f->added = false;
	client_easy_give(f->client, f->easy);
	f->easy = NULL;
	curl_slist_free_all(f->slist);
	curl_slist_free_all(f->connect_to);
	f->slist = f->connect_to = NULL;
}

static void
fetch_free(struct http_fetch *f)
{
	easy_drop(f);
	if (f->deadline != NULL)
		event_free(f->deadline);
	if (f->soon != NULL)
		event_free(f->soon);
	if (f->prev != NULL)
		f->prev->next = f->next;
	else
		f->client->fetches = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
	if (f->client->retired && f->client->fetches == NULL)
		client_unused(f->client);
	http_buf_give(f->client->loop, &f->body);
	if (f->auth_headers.p != NULL)
		explicit_bzero(f->auth_headers.p, f->auth_headers.n);
	buf_clear(&f->body_out);
	buf_clear(&f->headers);
	buf_clear(&f->auth_headers);
	buf_clear(&f->head);
	buf_clear(&f->content_type);
	buf_clear(&f->location);
	buf_clear(&f->encoding);
	free(f->url);
	free(f->first_host);
	curl_free(f->host);
	curl_free(f->port);
	free(f);
}

void
http_fetch_cancel(struct http_fetch *f)
{
	if (f != NULL)
		fetch_free(f);
}

/* Ends with the error that f->err holds. */
static void
fetch_fail(struct http_fetch *f)
{
	http_done_fn *done = f->done;
	struct err err = f->err;
	void *arg = f->arg;

	fetch_free(f);
	done(arg, NULL, &err);
}

static void
soon_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fetch_fail(arg);
}

static void
fetch_fail_soon(struct http_fetch *f)
{
	f->state = FETCH_OVER;
	event_active(f->soon, EV_TIMEOUT, 0);
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct http_fetch *f = arg;

	(void)fd;
	(void)what;
	if (f->state != FETCH_OVER)
		fetch_error(f, ERR_TIMEOUT, "context deadline exceeded");
	fetch_fail(f);
}

static bool
header_is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t')
			return false;
	return memchr(s.p, 0x7f, s.n) == NULL;
}

/* "Name: value\0"…; false for bytes that no header may hold. */
static bool
copy_headers(struct buf *out, const struct http_header *h, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (h[i].name.n == 0 || !header_is_clean(h[i].name) ||
		    !header_is_clean(h[i].value))
			return false;
		buf_add_str(out, h[i].name);
		/* curl's notation for a header without a value is "Name;" */
		buf_add_c(out, h[i].value.n == 0 ? ";" : ": ");
		buf_add_str(out, h[i].value);
		buf_add_byte(out, 0);
	}
	return !buf_failed(out);
}

struct http_fetch *
http_fetch_start(struct http_client *c, const struct http_request *rq,
    http_resolve_fn *resolve, http_done_fn *done, void *arg)
{
	struct http_fetch *f = xcalloc(1, sizeof(*f));
	struct timeval tv = { rq->timeout_ms / 1000,
	    rq->timeout_ms % 1000 * 1000 };

	f->client = c;
	f->next = c->fetches;
	if (f->next != NULL)
		f->next->prev = f;
	c->fetches = f;
	f->resolve = resolve;
	f->done = done;
	f->arg = arg;
	f->post = rq->post;
	f->max_body_bytes = rq->max_body_bytes;
	f->url = str_dup(rq->url);
	f->deadline = evtimer_new(c->loop->base, deadline_cb, f);
	f->soon = evtimer_new(c->loop->base, soon_cb, f);
	if (f->url == NULL || f->deadline == NULL || f->soon == NULL)
		fatal("out of memory for a request");
	evtimer_add(f->deadline, &tv);
	buf_add_str(&f->body_out, rq->body);
	if (!copy_headers(&f->headers, rq->headers, rq->n_headers) ||
	    !copy_headers(&f->auth_headers, rq->auth_headers,
	    rq->n_auth_headers) || buf_failed(&f->body_out)) {
		fetch_error(f, ERR_BAD_DATA,
		    "net/http: invalid header field value");
		fetch_fail_soon(f);
		return f;
	}
	fetch_go(f);
	return f;
}

/* Takes the URL apart: scheme, host, port. */
static int
split_url(struct http_fetch *f)
{
	CURLU *u = curl_url();
	char *scheme = NULL;
	int r = -1;

	curl_free(f->host);
	curl_free(f->port);
	f->host = f->port = NULL;
	if (u == NULL ||
	    curl_url_set(u, CURLUPART_URL, f->url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		fetch_error(f, ERR_BAD_DATA, "invalid URL");
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		fetch_error(f, ERR_BAD_DATA, "unsupported protocol scheme");
	else if (curl_url_get(u, CURLUPART_HOST, &f->host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &f->port, CURLU_DEFAULT_PORT) !=
	    CURLUE_OK)
		fetch_error(f, ERR_BAD_DATA, "invalid URL");
	else {
		f->is_https = scheme[4] == 's';
		r = 0;
	}
	curl_free(scheme);
	curl_url_cleanup(u);
	return r;
}

/* Text of an address without brackets and zone; false for anything else. */
static bool
parse_addr(struct str s, char out[HTTP_ADDR_TEXT])
{
	unsigned char bin[16];

	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = str_from(s.p + 1, s.n - 2);
	if (s.n == 0 || s.n >= HTTP_ADDR_TEXT)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return inet_pton(AF_INET, out, bin) == 1 ||
	    inet_pton(AF_INET6, out, bin) == 1;
}

static size_t
body_cb(char *p, size_t size, size_t n, void *arg)
{
	struct http_fetch *f = arg;
	size_t bytes = size * n, max = f->max_body_bytes;

	if (f->status != 200) {
		if (f->body.n + bytes <= HTTP_ERROR_BODY_MAX)
			buf_add(&f->body, p, bytes);
		return bytes;
	}
	/* compressed bodies are held against the limit when decoded */
	if (f->encoding.n != 0)
		max += HTTP_ERROR_BODY_MAX;
	if (f->body.n + bytes >= max) {
		f->too_big = true;
		return 0;
	}
	buf_add(&f->body, p, bytes);
	return buf_failed(&f->body) ? 0 : bytes;
}

static void
take_value(struct buf *out, struct str line, const char *name)
{
	size_t n = strlen(name);
	struct str v;

	if (line.n <= n || line.p[n] != ':' ||
	    strncasecmp(line.p, name, n) != 0)
		return;
	v = str_trim(str_from(line.p + n + 1, line.n - n - 1));
	buf_reset(out);
	buf_add_str(out, v);
}

/* "HTTP/1.1 404 Not Found": a new head begins. */
static void
take_status(struct http_fetch *f, struct str line)
{
	const char *sp = memchr(line.p, ' ', line.n);

	buf_reset(&f->head);
	buf_reset(&f->content_type);
	buf_reset(&f->location);
	buf_reset(&f->encoding);
	f->status = 0;
	if (sp == NULL)
		return;
	buf_add_str(&f->head, str_trim(str_from(sp + 1,
	    line.n - (size_t)(sp + 1 - line.p))));
	for (size_t i = 0; i < f->head.n && i < 3; i++)
		if (f->head.p[i] >= '0' && f->head.p[i] <= '9')
			f->status = f->status * 10 + (f->head.p[i] - '0');
	/* Go prints "404 " when the server gives no reason */
	if (f->head.n == 3)
		buf_add_byte(&f->head, ' ');
}

static size_t
header_cb(char *p, size_t size, size_t n, void *arg)
{
	struct http_fetch *f = arg;
	struct str line = str_from(p, size * n);

	f->head_bytes += line.n;
	if (f->head_bytes > HTTP_HEAD_BYTES_MAX)
		return 0;
	if (str_has_prefix(line, STR_LIT("HTTP/")))
		take_status(f, line);
	else {
		take_value(&f->content_type, line, "Content-Type");
		take_value(&f->location, line, "Location");
		take_value(&f->encoding, line, "Content-Encoding");
	}
	return line.n;
}

static void
add_headers(struct http_fetch *f, const struct buf *list)
{
	for (size_t i = 0; i < list->n; i += strlen(list->p + i) + 1)
		f->slist = curl_slist_append(f->slist, list->p + i);
}

/*
 * The name that TLS shall see is taken from the URL, so a configured server
 * name goes there, and the real host into the Host header.
 */
static void
set_url(struct http_fetch *f)
{
	CURLU *u = curl_url();
	char *url = NULL;
	char host[1024];

	if (!f->is_https || f->client->server_name == NULL) {
		curl_easy_setopt(f->easy, CURLOPT_URL, f->url);
		curl_url_cleanup(u);
		return;
	}
	snprintf(host, sizeof(host), "Host: %s:%s", f->host, f->port);
	f->slist = curl_slist_append(f->slist, host);
	curl_url_set(u, CURLUPART_URL, f->url, 0);
	curl_url_set(u, CURLUPART_HOST, f->client->server_name, 0);
	curl_url_get(u, CURLUPART_URL, &url, 0);
	curl_easy_setopt(f->easy, CURLOPT_URL, url == NULL ? f->url : url);
	curl_free(url);
	curl_url_cleanup(u);
}

static void
set_body(struct http_fetch *f)
{
	if (!f->post) {
		curl_easy_setopt(f->easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)f->body_out.n);
	curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS,
	    f->body_out.n == 0 ? "" : f->body_out.p);
	/* no waiting for 100 Continue */
	f->slist = curl_slist_append(f->slist, "Expect:");
}

/* Sends the request to the present address. */
static void
fetch_run(struct http_fetch *f)
{
	const char *addr = f->addrs[f->addr];
	char to[HTTP_ADDR_TEXT + 64];

	f->state = FETCH_RUNNING;
	f->status = 0;
	f->head_bytes = 0;
	f->curl_error[0] = '\0';
	if (f->body.p == NULL)
		f->body = http_buf_take(f->client->loop);
	buf_reset(&f->body);
	f->easy = client_easy_take(f->client);
	if (f->easy == NULL)
		fatal("out of memory for a request");
	if (f->client->proxy == NULL) {
		snprintf(to, sizeof(to), strchr(addr, ':') != NULL ?
		    "::[%s]:%s" : "::%s:%s", addr, f->port);
		f->connect_to = curl_slist_append(NULL, to);
		curl_easy_setopt(f->easy, CURLOPT_CONNECT_TO, f->connect_to);
	}
	add_headers(f, &f->headers);
	if (strcmp(f->host, f->first_host) == 0)
		add_headers(f, &f->auth_headers);
	set_url(f);
	set_body(f);
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->slist);
	curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
	curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->curl_error);
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
	if (curl_multi_add_handle(f->client->multi, f->easy) != CURLM_OK)
		fatal("out of memory for a request");
	f->added = true;
}

/* From the URL on: resolve, then run. */
static void
fetch_go(struct http_fetch *f)
{
	if (split_url(f) == -1) {
		fetch_fail_soon(f);
		return;
	}
	if (f->first_host == NULL)
		f->first_host = xstrdup(f->host);
	f->addr = 0;
	f->n_addrs = 1;
	if (f->client->proxy != NULL ||
	    parse_addr(str_c(f->host), f->addrs[0])) {
		fetch_run(f);
		return;
	}
	f->n_addrs = 0;
	f->state = FETCH_RESOLVING;
	f->resolve(f->arg, f, str_c(f->host));
}

void
http_fetch_resolved(struct http_fetch *f, const struct str *addrs, size_t n)
{
	if (f->state != FETCH_RESOLVING)
		return;
	for (size_t i = 0; i < n && f->n_addrs < HTTP_ADDRS_MAX; i++)
		f->n_addrs += parse_addr(addrs[i], f->addrs[f->n_addrs]);
	if (f->n_addrs == 0)
		http_fetch_unresolved(f, STR_LIT("no such host"));
	else
		fetch_run(f);
}

void
http_fetch_unresolved(struct http_fetch *f, struct str why)
{
	char text[512];

	if (f->state != FETCH_RESOLVING)
		return;
	snprintf(text, sizeof(text), "dial tcp: %.*s", STR_ARG(why));
	fetch_error(f, ERR_UNAVAILABLE, text);
	fetch_fail_soon(f);
}

static bool
is_redirect(const struct http_fetch *f)
{
	switch (f->status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return f->client->follow_redirects && f->location.n != 0;
	default:
		return false;
	}
}

/* The answer names another place: go there. */
static void
fetch_redirect(struct http_fetch *f)
{
	CURLU *u = curl_url();
	char *url = NULL;
	int status = f->status;

	easy_drop(f);
	f->status = 0;		/* what fails now fails to get an answer */
	buf_add_byte(&f->location, 0);
	if (++f->n_redirects > HTTP_REDIRECTS_MAX)
		fetch_error(f, ERR_UNAVAILABLE, "stopped after 10 redirects");
	else if (u == NULL || buf_failed(&f->location) ||
	    curl_url_set(u, CURLUPART_URL, f->url, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_URL, f->location.p, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK)
		fetch_error(f, ERR_UNAVAILABLE,
		    "failed to parse Location header");
	curl_url_cleanup(u);
	if (f->err.kind != ERR_NONE) {
		fetch_fail(f);
		return;
	}
	free(f->url);
	f->url = xstrdup(url);
	curl_free(url);
	if (status != 307 && status != 308)
		f->post = false;
	fetch_go(f);
}

/* Replaces a gzip body by what is in it. */
static int
decode_body(struct http_fetch *f)
{
	struct buf out;
	int r;

	if (f->status != 200 || f->encoding.n != 4 ||
	    memcmp(f->encoding.p, "gzip", 4) != 0)
		return 0;
	/* Go reads the ten bytes of a header before it looks at them */
	if (f->body.n < 10 || memcmp(f->body.p, "\x1f\x8b", 2) != 0)
		return err_set(&f->err, ERR_BAD_DATA, f->body.n == 0 ?
		    "EOF" : f->body.n < 10 ? "unexpected EOF" :
		    "gzip: invalid header");
	out = http_buf_take(f->client->loop);
	r = decompress_add(COMPRESS_GZIP, buf_str(&f->body),
	    f->max_body_bytes == 0 ? 0 : f->max_body_bytes - 1, &out, &f->err);
	if (r == -1 && f->err.kind == ERR_LIMIT)
		err_set(&f->err, ERR_LIMIT, "body size limit exceeded");
	http_buf_give(f->client->loop, &f->body);
	f->body = out;
	return r;
}

static void
fetch_succeed(struct http_fetch *f)
{
	struct http_response r;

	easy_drop(f);
	if (decode_body(f) == 0 && buf_reserve(&f->body, 1) == NULL)
		err_set(&f->err, ERR_NOMEM, "out of memory for a body");
	if (f->err.kind != ERR_NONE) {
		fetch_fail(f);
		return;
	}
	r.status = f->status;
	r.status_line = buf_str(&f->head);
	r.content_type = buf_str(&f->content_type);
	r.body = &f->body;
	/* the deadline must not strike while the answer is looked at */
	event_del(f->deadline);
	f->done(f->arg, &r, NULL);
	fetch_free(f);
}

void
fetch_on_end(struct http_fetch *f, CURLcode rc)
{
	if (rc == CURLE_COULDNT_CONNECT && f->addr + 1 < f->n_addrs) {
		easy_drop(f);
		f->addr++;
		fetch_run(f);
	} else if (rc == CURLE_OK && is_redirect(f)) {
		fetch_redirect(f);
	} else if (rc == CURLE_OK) {
		fetch_succeed(f);
	} else {
		if (f->too_big)
			err_set(&f->err, ERR_LIMIT,
			    "body size limit exceeded");
		else if (buf_failed(&f->body))
			err_set(&f->err, ERR_NOMEM, "out of memory for a body");
		else
			fetch_error_from_curl(f, rc);
		fetch_fail(f);
	}
}

/* SPDX-License-Identifier: ISC */
/*
 * Writing a reply: head, body with its framing, end. A reply that ends short
 * of the length it promised, or is aborted, cuts the connection, so that a
 * client never takes half an answer for a whole one.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>

#include "common/http/conn.h"

const struct http_request *
http_exchange_request(const struct http_exchange *x)
{
	return &x->parser.req;
}

struct str
http_exchange_body(const struct http_exchange *x)
{
	return buf_str(&x->body);
}

void
http_exchange_peer(const struct http_exchange *x, char out[64])
{
	const void *addr = NULL;

	out[0] = '\0';
	if (x->peer.ss_family == AF_INET)
		addr = &((const struct sockaddr_in *)&x->peer)->sin_addr;
	else if (x->peer.ss_family == AF_INET6)
		addr = &((const struct sockaddr_in6 *)&x->peer)->sin6_addr;
	if (addr != NULL)
		(void)inet_ntop(x->peer.ss_family, addr, out, 64);
}

bool
http_exchange_is_gone(const struct http_exchange *x)
{
	return x->gone;
}

void
http_exchange_on_gone(struct http_exchange *x, http_gone_fn *cb, void *arg)
{
	x->gone_cb = cb;
	x->gone_arg = arg;
}

void
http_reply_header(struct http_exchange *x, const char *name,
    struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return;
	}
	buf_add_c(&x->reply_head, name);
	buf_add(&x->reply_head, ": ", 2);
	buf_add_str(&x->reply_head, value);
	buf_add(&x->reply_head, "\r\n", 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale. */
static void
add_date(struct evbuffer *out)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL)
		return;
	(void)evbuffer_add_printf(out,
	    "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
	    days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool
status_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

void
http_reply_begin(struct http_exchange *x, int status, int64_t length)
{
	const struct http_request *r = &x->parser.req;

	x->reply_begun = true;
	x->reply_left = length;
	x->reply_chunked = length < 0 && r->minor == 1 &&
	    status_has_body(status);
	x->reply_no_body = r->method == HTTP_HEAD || !status_has_body(status);
	if (length < 0 && r->minor == 0 && !x->reply_no_body)
		x->close_after = true;
	if (x->bev == NULL)
		return;
	struct evbuffer *out = bufferevent_get_output(x->bev);

	(void)evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status,
	    http_status_text(status));
	(void)evbuffer_add(out, x->reply_head.p, x->reply_head.n);
	add_date(out);
	if (length >= 0 && status_has_body(status))
		(void)evbuffer_add_printf(out, "Content-Length: %lld\r\n",
		    (long long)length);
	else if (x->reply_chunked)
		(void)evbuffer_add_printf(out,
		    "Transfer-Encoding: chunked\r\n");
	if (x->close_after)
		(void)evbuffer_add_printf(out, "Connection: close\r\n");
	else if (r->minor == 0)
		(void)evbuffer_add_printf(out, "Connection: keep-alive\r\n");
	(void)evbuffer_add(out, "\r\n", 2);
	buf_reset(&x->reply_head);
}

/*
 * What a piece of n bytes needs before it goes out. false when it must not:
 * no body wanted, client gone, or more than was promised.
 */
static bool
piece_begin(struct http_exchange *x, size_t n)
{
	if (x->bev == NULL || x->reply_no_body || n == 0)
		return false;
	if (x->reply_left >= 0) {
		if (NEVER((uint64_t)x->reply_left < n)) {
			x->close_after = true;
			return false;
		}
		x->reply_left -= (int64_t)n;
	}
	if (x->reply_chunked)
		(void)evbuffer_add_printf(bufferevent_get_output(x->bev),
		    "%zx\r\n", n);
	return true;
}

static void
piece_end(struct http_exchange *x)
{
	if (x->reply_chunked)
		(void)evbuffer_add(bufferevent_get_output(x->bev), "\r\n", 2);
}

void
http_reply_data(struct http_exchange *x, struct str data)
{
	if (!piece_begin(x, data.n))
		return;
	if (evbuffer_add(bufferevent_get_output(x->bev), data.p, data.n) ==
	    -1) {
		http_conn_close(x);
		return;
	}
	piece_end(x);
}

struct ref {
	void	(*done)(void *arg);
	void	*arg;
};

static void
ref_done(const void *data, size_t n, void *arg)
{
	struct ref *r = arg;

	(void)data;
	(void)n;
	r->done(r->arg);
	free(r);
}

void
http_reply_ref(struct http_exchange *x, struct str data,
    void (*done)(void *arg), void *arg)
{
	struct ref *r;

	if (!piece_begin(x, data.n)) {
		done(arg);
		return;
	}
	r = malloc(sizeof(*r));
	if (r == NULL) {
		done(arg);
		http_conn_close(x);
		return;
	}
	*r = (struct ref){ done, arg };
	if (evbuffer_add_reference(bufferevent_get_output(x->bev), data.p,
	    data.n, ref_done, r) == -1) {
		ref_done(NULL, 0, r);
		http_conn_close(x);
		return;
	}
	piece_end(x);
}

size_t
http_reply_pending(const struct http_exchange *x)
{
	return x->bev == NULL ? 0 :
	    evbuffer_get_length(bufferevent_get_output(x->bev));
}

void
http_reply_end(struct http_exchange *x)
{
	if (x->bev != NULL) {
		if (!x->reply_begun) {
			/* an owner that says nothing: as an empty answer */
			http_reply_begin(x, 200, 0);
		}
		if (x->reply_left > 0 && !x->reply_no_body) {
			http_reply_abort(x);
			return;
		}
		if (x->reply_chunked && !x->reply_no_body)
			(void)evbuffer_add(bufferevent_get_output(x->bev),
			    "0\r\n\r\n", 5);
	}
	http_conn_reply_ended(x);
}

void
http_reply_abort(struct http_exchange *x)
{
	x->gone = true;	/* the owner knows: no notice */
	if (x->bev != NULL)
		http_conn_close(x);
	http_conn_reply_ended(x);
}

void
http_reply_full(struct http_exchange *x, int status, const char *content_type,
    struct str body)
{
	if (content_type != NULL)
		http_reply_header(x, "Content-Type", str_c(content_type));
	http_reply_begin(x, status, (int64_t)body.n);
	http_reply_data(x, body);
	http_reply_end(x);
}

void
http_reply_error(struct http_exchange *x, int status, const char *text)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, text);
	buf_add_byte(&b, '\n');
	http_reply_header(x, "X-Content-Type-Options", STR_LIT("nosniff"));
	http_reply_full(x, status, "text/plain; charset=utf-8", buf_str(&b));
	buf_clear(&b);
}

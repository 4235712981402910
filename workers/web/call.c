/* SPDX-License-Identifier: ISC */
/* Replies: headers by the kind of route, envelopes, compression, counting. */
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/regex.h"
#include "common/http/encoding.h"
#include "workers/web/routes.h"
#include "workers/web/web.h"

static void
add_cors(struct call *c)
{
	struct http_exchange *x = c->x;
	struct str origin = http_request_header(http_exchange_request(x),
	    "Origin");

	http_reply_header(x, "Vary", STR_LIT("Origin"));
	if (origin.n == 0)
		return;
	http_reply_header(x, "Access-Control-Allow-Headers",
	    STR_LIT("Accept, Authorization, Content-Type, Origin"));
	http_reply_header(x, "Access-Control-Allow-Methods",
	    STR_LIT("GET, POST, OPTIONS"));
	http_reply_header(x, "Access-Control-Expose-Headers",
	    STR_LIT("Date"));
	if (c->web->set.cors != NULL && regex_matches(c->web->set.cors,
	    origin))
		http_reply_header(x, "Access-Control-Allow-Origin", origin);
}

void
call_begin(struct call *c, int status, const char *content_type,
    enum compress_codec codec, int64_t length)
{
	unsigned flags = c->route == NULL ? 0 : c->route->flags;

	if ((flags & ROUTE_CORS) != 0)
		add_cors(c);
	if ((flags & ROUTE_COMPRESS) != 0)
		http_reply_header(c->x, "Vary", STR_LIT("Accept-Encoding"));
	if (codec != COMPRESS_NONE)
		http_reply_header(c->x, "Content-Encoding",
		    str_c(http_encoding_name(codec)));
	if (content_type != NULL)
		http_reply_header(c->x, "Content-Type", str_c(content_type));
	http_reply_header(c->x, "X-Content-Type-Options", STR_LIT("nosniff"));
	c->begun = true;
	c->status = status;
	http_reply_begin(c->x, status, length);
}

static void
call_free(struct call *c)
{
	routes_count(c);
	arena_clear(&c->mem);
	free(c);
}

void
call_end(struct call *c)
{
	http_reply_end(c->x);
	call_free(c);
}

void
call_abort(struct call *c)
{
	if (!c->begun)
		c->status = 499;
	http_reply_abort(c->x);
	call_free(c);
}

void
call_reply(struct call *c, int status, const char *content_type,
    struct str body)
{
	unsigned flags = c->route == NULL ? 0 : c->route->flags;
	enum compress_codec codec = COMPRESS_NONE;
	struct err err = ERR_INIT;
	struct buf packed;

	buf_init(&packed, 0);
	if ((flags & ROUTE_COMPRESS) != 0 && c->codec != COMPRESS_NONE &&
	    body.n > 0 && compress_add(c->codec, body, &packed, &err) == 0) {
		codec = c->codec;
		body = buf_str(&packed);
	}
	call_begin(c, status, content_type, codec, (int64_t)body.n);
	http_reply_data(c->x, body);
	c->sent_bytes = body.n;
	buf_clear(&packed);
	call_end(c);
}

void
call_reply_data(struct call *c, struct str data)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, "{\"status\":\"success\",\"data\":");
	buf_add_str(&b, data);
	buf_add_byte(&b, '}');
	call_reply(c, 200, "application/json", buf_str(&b));
	buf_clear(&b);
}

void
call_reply_err(struct call *c, int status, const struct err *err)
{
	struct buf b;

	buf_init(&b, 0);
	buf_printf(&b, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":",
	    err_kind_name(err->kind));
	json_add_str(&b, str_c(err->text), true);
	buf_add_byte(&b, '}');
	call_reply(c, status != 0 ? status : err_kind_http_status(err->kind),
	    "application/json", buf_str(&b));
	buf_clear(&b);
}

void
call_reply_text(struct call *c, int status, const char *text)
{
	char *line = arena_printf(&c->mem, "%s\n", text);

	call_reply(c, status, "text/plain; charset=utf-8",
	    line == NULL ? STR_EMPTY : str_c(line));
}

/* Text of an HTML attribute or element. */
static void
add_html(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '<':
			buf_add_c(b, "&lt;");
			break;
		case '>':
			buf_add_c(b, "&gt;");
			break;
		case '&':
			buf_add_c(b, "&amp;");
			break;
		case '"':
			buf_add_c(b, "&#34;");
			break;
		case '\'':
			buf_add_c(b, "&#39;");
			break;
		default:
			buf_add_byte(b, (uint8_t)s.p[i]);
		}
	}
}

void
call_redirect(struct call *c, int status, struct str location)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, "<a href=\"");
	add_html(&b, location);
	buf_printf(&b, "\">%s</a>.\n\n", http_status_text(status));
	http_reply_header(c->x, "Location", location);
	if (http_exchange_request(c->x)->method == HTTP_GET)
		call_reply(c, status, "text/html; charset=utf-8",
		    buf_str(&b));
	else
		call_reply(c, status, NULL, STR_EMPTY);
	buf_clear(&b);
}

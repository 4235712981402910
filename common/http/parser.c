/* SPDX-License-Identifier: ISC */
/*
 * The state machine of the framer. The head is gathered into one buffer
 * (it comes in one read nearly always) and parsed when its empty line is
 * there; the body is never copied, only delimited. Chunk framing is read
 * byte by byte: it is short.
 */
#include "common/http/parser.h"

#include <string.h>

#include "common/http/head.h"

void
http_parser_init(struct http_parser *p)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->head, HTTP_HEAD_BYTES_MAX);
	p->state = HTTP_PS_START;
}

void
http_parser_clear(struct http_parser *p)
{
	buf_clear(&p->head);
}

void
http_parser_next(struct http_parser *p)
{
	if (p->state == HTTP_PS_ERROR)
		return;
	/* An idle connection should not keep the memory of a huge head. */
	if (p->head.cap > 16384)
		buf_clear(&p->head);
	else
		buf_reset(&p->head);
	p->line_start = 0;
	p->framing_bytes = 0;
	p->body = STR_EMPTY;
	p->body_bytes = 0;
	p->body_limit = 0;
	p->req.n_headers = 0;
	p->state = HTTP_PS_START;
}

static enum http_event
refuse(struct http_parser *p, int status, const char *reason)
{
	p->state = HTTP_PS_ERROR;
	p->status = status;
	p->reason = reason;
	return HTTP_EV_ERROR;
}

/*
 * Gathers lines until the empty one. Returns the bytes used; *complete says
 * whether the head is whole.
 */
static size_t
gather_head(struct http_parser *p, const char *in, size_t n, bool *complete,
    enum http_event *ev)
{
	size_t used = 0;

	*complete = false;
	while (used < n) {
		const char *lf = memchr(in + used, '\n', n - used);
		size_t len = lf == NULL ? n - used :
		    (size_t)(lf - in) - used + 1;

		if (p->head.n + len > HTTP_HEAD_BYTES_MAX) {
			*ev = refuse(p, 431, "request head too large");
			return used;
		}
		buf_add(&p->head, in + used, len);
		if (buf_failed(&p->head)) {
			*ev = refuse(p, 503, "out of memory");
			return used;
		}
		used += len;
		if (lf == NULL)
			break;
		size_t line_len = p->head.n - p->line_start;

		if (line_len < 2 || p->head.p[p->head.n - 2] != '\r') {
			*ev = refuse(p, 400, "bare line feed");
			return used;
		}
		p->line_start = p->head.n;
		if (line_len == 2) {
			*complete = true;
			break;
		}
	}
	return used;
}

/* One or more empty lines before a request are skipped (RFC 9112 2.2). */
static size_t
skip_empty_lines(struct http_parser *p, const char *in, size_t n,
    enum http_event *ev)
{
	size_t used = 0;

	while (used < n && (in[used] == '\r' || in[used] == '\n')) {
		bool want_lf = p->framing_bytes % 2 == 1;

		if ((in[used] == '\n') != want_lf ||
		    p->framing_bytes >= 16) {
			*ev = refuse(p, 400, "malformed request line");
			return used;
		}
		p->framing_bytes++;
		used++;
	}
	if (used < n && p->framing_bytes % 2 == 1)
		*ev = refuse(p, 400, "stray carriage return");
	return used;
}

static enum http_event
begin_body(struct http_parser *p)
{
	struct http_request *r = &p->req;

	if (r->chunked) {
		p->state = HTTP_PS_CHUNK_SIZE;
		p->left = 0;
		p->n_digits = 0;
		return HTTP_EV_MORE;
	}
	if (r->content_length > p->body_limit)
		return refuse(p, 413, "request body too large");
	if (r->content_length == 0) {
		p->state = HTTP_PS_DONE;
		return HTTP_EV_DONE;
	}
	p->left = r->content_length;
	p->state = HTTP_PS_LENGTH;
	return HTTP_EV_MORE;
}

static size_t
take_data(struct http_parser *p, const char *in, size_t n,
    enum http_event *ev)
{
	size_t take = n < p->left ? n : (size_t)p->left;

	p->body = str_from(in, take);
	p->body_bytes += take;
	p->left -= take;
	*ev = HTTP_EV_BODY;
	if (p->left == 0)
		p->state = p->state == HTTP_PS_LENGTH ? HTTP_PS_DONE :
		    HTTP_PS_CHUNK_CR;
	return take;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static enum http_event
chunk_size_byte(struct http_parser *p, char c)
{
	int d = hex_digit(c);

	if (d >= 0) {
		if (++p->n_digits > 15)
			return refuse(p, 400, "chunk size too large");
		p->left = p->left * 16 + (uint64_t)d;
	} else if (p->n_digits == 0)
		return refuse(p, 400, "malformed chunk size");
	else if (c == '\r')
		p->state = HTTP_PS_CHUNK_SIZE_LF;
	else if (c == ';')
		p->state = HTTP_PS_CHUNK_EXT;
	else
		return refuse(p, 400, "malformed chunk size");
	return HTTP_EV_MORE;
}

/* A byte of an extension or a trailer line, bounded and printable. */
static enum http_event
framing_byte(struct http_parser *p, char c, enum http_parser_state cr_state)
{
	if (c == '\r')
		p->state = cr_state;
	else if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f)
		return refuse(p, 400, "malformed chunk framing");
	if (++p->framing_bytes > HTTP_TRAILER_BYTES_MAX)
		return refuse(p, 431, "chunk extensions or trailer too large");
	return HTTP_EV_MORE;
}

static enum http_event
chunk_size_end(struct http_parser *p)
{
	p->n_digits = 0;
	if (p->left == 0) {
		p->state = HTTP_PS_TRAILER;
		return HTTP_EV_MORE;
	}
	if (p->left > p->body_limit ||
	    p->body_bytes > p->body_limit - p->left)
		return refuse(p, 413, "request body too large");
	p->state = HTTP_PS_CHUNK_DATA;
	return HTTP_EV_MORE;
}

/* One byte of the chunk framing. */
static enum http_event
chunk_byte(struct http_parser *p, char c)
{
	switch (p->state) {
	case HTTP_PS_CHUNK_SIZE:
		return chunk_size_byte(p, c);
	case HTTP_PS_CHUNK_EXT:
		return framing_byte(p, c, HTTP_PS_CHUNK_SIZE_LF);
	case HTTP_PS_TRAILER_LINE:
		return framing_byte(p, c, HTTP_PS_TRAILER_LF);
	case HTTP_PS_TRAILER:
		p->state = c == '\r' ? HTTP_PS_END_LF : HTTP_PS_TRAILER_LINE;
		if (c == ' ' || c == '\t' || c == ':')
			return refuse(p, 400, "malformed trailer");
		return c == '\r' ? HTTP_EV_MORE :
		    framing_byte(p, c, HTTP_PS_TRAILER_LF);
	case HTTP_PS_CHUNK_CR:
		if (c != '\r')
			return refuse(p, 400, "malformed chunk end");
		p->state = HTTP_PS_CHUNK_LF;
		return HTTP_EV_MORE;
	default:
		break;
	}
	/* The rest wait for the LF behind their CR. */
	if (c != '\n')
		return refuse(p, 400, "stray carriage return");
	switch (p->state) {
	case HTTP_PS_CHUNK_SIZE_LF:
		return chunk_size_end(p);
	case HTTP_PS_CHUNK_LF:
		p->state = HTTP_PS_CHUNK_SIZE;
		return HTTP_EV_MORE;
	case HTTP_PS_TRAILER_LF:
		p->state = HTTP_PS_TRAILER;
		return HTTP_EV_MORE;
	default:	/* HTTP_PS_END_LF */
		p->state = HTTP_PS_DONE;
		return HTTP_EV_DONE;
	}
}

static size_t
feed_head(struct http_parser *p, const char *in, size_t n,
    enum http_event *ev)
{
	size_t used = 0;
	bool complete;

	if (p->state == HTTP_PS_START) {
		used = skip_empty_lines(p, in, n, ev);
		if (*ev == HTTP_EV_ERROR || used == n)
			return used;
		p->state = HTTP_PS_HEAD;
		p->framing_bytes = 0;
	}
	used += gather_head(p, in + used, n - used, &complete, ev);
	if (!complete)
		return used;
	const char *reason = NULL;
	int status = http_head_parse(buf_str(&p->head), &p->req, &reason);

	if (status != 0)
		*ev = refuse(p, status, reason);
	else {
		p->state = HTTP_PS_BODY_BEGIN;
		*ev = HTTP_EV_HEAD;
	}
	return used;
}

size_t
http_parser_feed(struct http_parser *p, const char *in, size_t n,
    enum http_event *ev_out)
{
	size_t used = 0;

	*ev_out = HTTP_EV_MORE;
	switch (p->state) {
	case HTTP_PS_DONE:
		*ev_out = HTTP_EV_DONE;
		return 0;
	case HTTP_PS_ERROR:
		*ev_out = HTTP_EV_ERROR;
		return 0;
	case HTTP_PS_START:
	case HTTP_PS_HEAD:
		return feed_head(p, in, n, ev_out);
	case HTTP_PS_BODY_BEGIN:
		*ev_out = begin_body(p);
		if (*ev_out != HTTP_EV_MORE)
			return 0;
		break;
	default:
		break;
	}
	while (used < n && *ev_out == HTTP_EV_MORE) {
		if (p->state == HTTP_PS_LENGTH ||
		    p->state == HTTP_PS_CHUNK_DATA)
			return used + take_data(p, in + used, n - used,
			    ev_out);
		*ev_out = chunk_byte(p, in[used++]);
	}
	return used;
}

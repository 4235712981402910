/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_PARSER_H
#define BRAZIER_COMMON_HTTP_PARSER_H

/*
 * The framer: bytes of a connection in, events of requests out. Pure: no
 * socket, no clock, so that it can be fuzzed and tested byte by byte. It is
 * stricter than RFC 9112 asks, because what two servers read differently is
 * how requests are smuggled:
 *
 *	- lines end with CR LF; a bare CR or LF anywhere in the head or in the
 *	  chunk framing is refused, and so are NUL and other control bytes
 *	- `Name :`, folded lines, an empty name are refused
 *	- one Host (exactly one in HTTP/1.1), one decimal Content-Length or
 *	  one `Transfer-Encoding: chunked`, never both
 *	- the head and the trailer have a size, the body a limit
 *
 *	for (;;) {
 *		used = http_parser_feed(&p, in, n, &ev);
 *		in += used, n -= used;
 *		if (ev == HTTP_EV_MORE) break;	(all of n was used)
 *		…
 *	}
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/http/request.h"

#define HTTP_HEAD_BYTES_MAX	(128 * 1024)
#define HTTP_TRAILER_BYTES_MAX	4096
#define HTTP_METHOD_BYTES_MAX	32

enum http_event {
	HTTP_EV_MORE,	/* everything was used, feed more */
	HTTP_EV_HEAD,	/* p->req is there; set p->body_limit now */
	HTTP_EV_BODY,	/* p->body is the next piece, borrowed from the input */
	HTTP_EV_DONE,	/* the request is complete: http_parser_next() */
	HTTP_EV_ERROR	/* p->status, p->reason; the connection must end */
};

enum http_parser_state {
	HTTP_PS_START, HTTP_PS_HEAD, HTTP_PS_BODY_BEGIN, HTTP_PS_LENGTH,
	HTTP_PS_CHUNK_SIZE, HTTP_PS_CHUNK_EXT, HTTP_PS_CHUNK_SIZE_LF,
	HTTP_PS_CHUNK_DATA, HTTP_PS_CHUNK_CR, HTTP_PS_CHUNK_LF,
	HTTP_PS_TRAILER, HTTP_PS_TRAILER_LINE, HTTP_PS_TRAILER_LF,
	HTTP_PS_END_LF, HTTP_PS_DONE, HTTP_PS_ERROR
};

struct http_parser {
	enum http_parser_state	 state;
	struct buf		 head;		/* bytes of the head */
	size_t			 line_start;	/* of the line under way */
	struct http_request	 req;
	uint64_t		 left;		/* of the length or chunk */
	unsigned		 n_digits;	/* of the chunk size */
	size_t			 framing_bytes;	/* extensions + trailer */
	/* results */
	struct str		 body;
	uint64_t		 body_bytes;	/* so far */
	/*
	 * Most bytes the body may have, else ERROR 413. Every request
	 * begins with 0: the owner raises it at HTTP_EV_HEAD.
	 */
	uint64_t		 body_limit;
	int			 status;	/* after an error: 400, 413 … */
	const char		*reason;	/* constant text */
};

void	 http_parser_init(struct http_parser *p);
void	 http_parser_clear(struct http_parser *p);
/* Forgets the request that is done and waits for the next. */
void	 http_parser_next(struct http_parser *p);

/*
 * Feeds up to n bytes; returns how many were used and sets the event. Call
 * again with the rest. With n == 0 it may still report HEAD's follow-up
 * (DONE for a request without body), else MORE. After DONE and ERROR nothing
 * is used until http_parser_next(), after ERROR never.
 */
size_t	 http_parser_feed(struct http_parser *p, const char *in, size_t n,
	    enum http_event *ev_out);

/* True while no byte of a request has come: the connection is idle. */
static inline bool
http_parser_is_idle(const struct http_parser *p)
{
	return p->state == HTTP_PS_START;
}

/* True when the head is complete and the body is not. */
static inline bool
http_parser_in_body(const struct http_parser *p)
{
	return p->state >= HTTP_PS_BODY_BEGIN && p->state < HTTP_PS_DONE;
}

#endif

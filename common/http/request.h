/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_REQUEST_H
#define BRAZIER_COMMON_HTTP_REQUEST_H

/*
 * The head of one HTTP/1.x request as the parser leaves it. Every piece is
 * borrowed from the parser and lives until it begins the next request.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

/* RFC 9110; others answer 405 or 501 by themselves. */
enum http_method {
	HTTP_METHOD_OTHER = 0,
	HTTP_GET = 1 << 0,
	HTTP_HEAD = 1 << 1,
	HTTP_POST = 1 << 2,
	HTTP_PUT = 1 << 3,
	HTTP_DELETE = 1 << 4,
	HTTP_OPTIONS = 1 << 5,
	HTTP_PATCH = 1 << 6
};

#define HTTP_HEADERS_MAX 100

struct http_header {
	struct str	name;	/* as sent: compare without case */
	struct str	value;	/* blanks at both ends cut */
};

struct http_request {
	enum http_method	 method;
	struct str		 method_text;
	struct str		 target;	/* as sent */
	struct str		 raw_path;	/* "/…" or "*", not decoded */
	struct str		 raw_query;	/* without '?', may be empty */
	struct str		 host;		/* may be empty */
	int			 minor;		/* HTTP/1.minor, 0 or 1 */
	bool			 keep_alive;	/* the client wants it */
	bool			 expect_continue;
	bool			 chunked;
	bool			 has_length;
	uint64_t		 content_length; /* 0 without has_length */
	size_t			 n_headers;
	struct http_header	 headers[HTTP_HEADERS_MAX];
};

/* Equality without ASCII case. */
bool	 http_str_ieq(struct str a, struct str b);

/* First value of a header, or an empty string with p == NULL. */
struct str http_request_header(const struct http_request *r,
	    const char *name);

/*
 * All values of a header, joined as one list in order of appearance: calls
 * back with each comma-separated element, blanks cut, empty ones left out.
 * Stops early when the callback says false.
 */
void	 http_request_list(const struct http_request *r, const char *name,
	    bool (*cb)(struct str element, void *arg), void *arg);

/* "GET, POST" style text of a mask, sorted by name; 64 bytes. */
void	 http_methods_text(unsigned mask, char out[64]);

/* "Not Found"; "" for an unknown status. */
const char *http_status_text(int status);

#endif

/* SPDX-License-Identifier: ISC */
/* Look-ups in a parsed request head, and the names of methods and statuses. */
#include "common/http/request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool
http_str_ieq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

struct str
http_request_header(const struct http_request *r, const char *name)
{
	struct str want = str_c(name);

	for (size_t i = 0; i < r->n_headers; i++) {
		if (http_str_ieq(r->headers[i].name, want))
			return r->headers[i].value;
	}
	return (struct str){ NULL, 0 };
}

void
http_request_list(const struct http_request *r, const char *name,
    bool (*cb)(struct str element, void *arg), void *arg)
{
	struct str want = str_c(name);

	for (size_t i = 0; i < r->n_headers; i++) {
		if (!http_str_ieq(r->headers[i].name, want))
			continue;
		struct str rest = r->headers[i].value;

		while (rest.n > 0) {
			const char *comma = memchr(rest.p, ',', rest.n);
			size_t len = comma == NULL ? rest.n :
			    (size_t)(comma - rest.p);
			struct str e = str_trim(str_from(rest.p, len));

			if (e.n > 0 && !cb(e, arg))
				return;
			if (comma == NULL)
				break;
			rest = str_from(comma + 1, rest.n - len - 1);
		}
	}
}

void
http_methods_text(unsigned mask, char out[64])
{
	static const struct { unsigned bit; const char *name; } names[] = {
		{ HTTP_DELETE, "DELETE" }, { HTTP_GET, "GET" },
		{ HTTP_HEAD, "HEAD" }, { HTTP_OPTIONS, "OPTIONS" },
		{ HTTP_PATCH, "PATCH" }, { HTTP_POST, "POST" },
		{ HTTP_PUT, "PUT" },
	};
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((mask & names[i].bit) == 0)
			continue;
		n += (size_t)snprintf(out + n, 64 - n, "%s%s",
		    n == 0 ? "" : ", ", names[i].name);
	}
}

const char *
http_status_text(int status)
{
	static const struct { int status; const char *text; } texts[] = {
		{ 100, "Continue" }, { 200, "OK" }, { 204, "No Content" },
		{ 206, "Partial Content" }, { 301, "Moved Permanently" },
		{ 302, "Found" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
		{ 408, "Request Timeout" }, { 411, "Length Required" },
		{ 413, "Request Entity Too Large" },
		{ 414, "Request URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 422, "Unprocessable Entity" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 499, "Client Closed Request" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return "";
}

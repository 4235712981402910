/* SPDX-License-Identifier: ISC */
/*
 * The grammar of a request head. The framer has already made sure that every
 * LF follows a CR; everything else is checked here. A rule that refuses says
 * so with a status and a short reason; there is no lenient path.
 */
#include "common/http/head.h"

#include <string.h>

#include "common/http/parser.h"

/* tchar of RFC 9110 5.6.2. */
static bool
is_tchar(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_tchar((unsigned char)s.p[i]))
			return false;
	}
	return s.n > 0;
}

static enum http_method
method_of(struct str s)
{
	static const struct { const char *name; enum http_method m; } all[] = {
		{ "GET", HTTP_GET }, { "HEAD", HTTP_HEAD },
		{ "POST", HTTP_POST }, { "PUT", HTTP_PUT },
		{ "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS },
		{ "PATCH", HTTP_PATCH },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (str_eq_c(s, all[i].name))
			return all[i].m;
	}
	return HTTP_METHOD_OTHER;
}

/* uri-host [":" port]; what may stand in a URI's authority without user. */
static bool
is_host(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z'))
			continue;
		if (c == '\0' || strchr("!$%&'()*+,-.:;=[]_~", c) == NULL)
			return false;
	}
	return true;
}

/* Splits origin-form, absolute-form ("http://host/path") and "*". */
static bool
parse_target(struct http_request *req, struct str t, bool *absolute_out)
{
	*absolute_out = false;
	if (t.n == 0)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.p[i];

		if (c <= ' ' || c == 0x7f || c == '#')
			return false;
	}
	req->target = t;
	if (str_eq_c(t, "*")) {
		req->raw_path = t;
		req->raw_query = STR_EMPTY;
		return req->method == HTTP_OPTIONS;
	}
	if (t.p[0] != '/') {
		size_t skip;

		if (t.n > 7 && http_str_ieq(str_from(t.p, 7),
		    STR_LIT("http://")))
			skip = 7;
		else if (t.n > 8 && http_str_ieq(str_from(t.p, 8),
		    STR_LIT("https://")))
			skip = 8;
		else
			return false;
		t = str_from(t.p + skip, t.n - skip);
		size_t len = 0;

		while (len < t.n && t.p[len] != '/' && t.p[len] != '?')
			len++;
		req->host = str_from(t.p, len);
		if (len == 0 || !is_host(req->host))
			return false;
		*absolute_out = true;
		t = str_from(t.p + len, t.n - len);
	}
	const char *q = t.n == 0 ? NULL : memchr(t.p, '?', t.n);
	size_t path_len = q == NULL ? t.n : (size_t)(q - t.p);

	req->raw_path = path_len == 0 ? STR_LIT("/") : str_from(t.p, path_len);
	req->raw_query = q == NULL ? STR_EMPTY :
	    str_from(q + 1, t.n - path_len - 1);
	return true;
}

static int
parse_request_line(struct http_request *req, struct str line,
    bool *absolute_out, const char **reason)
{
	const char *sp1 = memchr(line.p, ' ', line.n);
	const char *sp2 = sp1 == NULL ? NULL :
	    memchr(sp1 + 1, ' ', line.n - (size_t)(sp1 + 1 - line.p));

	*reason = "malformed request line";
	if (sp2 == NULL)
		return 400;
	req->method_text = str_from(line.p, (size_t)(sp1 - line.p));
	struct str target = str_from(sp1 + 1, (size_t)(sp2 - sp1 - 1));
	struct str version = str_from(sp2 + 1,
	    line.n - (size_t)(sp2 + 1 - line.p));

	if (req->method_text.n > HTTP_METHOD_BYTES_MAX ||
	    !is_token(req->method_text)) {
		*reason = "invalid method";
		return 400;
	}
	req->method = method_of(req->method_text);
	if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 ||
	    version.p[5] < '0' || version.p[5] > '9' || version.p[6] != '.' ||
	    version.p[7] < '0' || version.p[7] > '9') {
		*reason = "malformed HTTP version";
		return 400;
	}
	if (version.p[5] != '1' || version.p[7] > '1') {
		*reason = "unsupported protocol version";
		return 505;
	}
	req->minor = version.p[7] - '0';
	if (!parse_target(req, target, absolute_out)) {
		*reason = "invalid request target";
		return 400;
	}
	return 0;
}

static bool
is_field_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int
parse_header_line(struct http_request *req, struct str line,
    const char **reason)
{
	const char *colon = memchr(line.p, ':', line.n);

	*reason = "malformed header line";
	if (colon == NULL)
		return 400;
	struct str name = str_from(line.p, (size_t)(colon - line.p));
	struct str value = str_from(colon + 1, line.n - name.n - 1);

	/* A blank before the colon, or at the start (folding), is no token. */
	if (!is_token(name) || !is_field_value(value))
		return 400;
	if (req->n_headers == HTTP_HEADERS_MAX) {
		*reason = "too many header lines";
		return 431;
	}
	req->headers[req->n_headers++] = (struct http_header){
		.name = name, .value = str_trim(value) };
	return 0;
}

static bool
parse_length(struct str s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 18)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*out = v;
	return true;
}

static bool
connection_option(struct str e, void *arg)
{
	unsigned *seen = arg;

	if (http_str_ieq(e, STR_LIT("close")))
		*seen |= 1;
	else if (http_str_ieq(e, STR_LIT("keep-alive")))
		*seen |= 2;
	return true;
}

/* The headers that decide about framing, each counted. */
static int
check_framing(struct http_request *req, bool absolute, const char **reason)
{
	size_t n_host = 0, n_length = 0, n_te = 0, n_expect = 0;

	for (size_t i = 0; i < req->n_headers; i++) {
		struct str name = req->headers[i].name;
		struct str value = req->headers[i].value;

		if (http_str_ieq(name, STR_LIT("Host"))) {
			n_host++;
			if (!is_host(value)) {
				*reason = "malformed Host header";
				return 400;
			}
			if (!absolute)
				req->host = value;
		} else if (http_str_ieq(name, STR_LIT("Content-Length"))) {
			n_length++;
			if (!parse_length(value, &req->content_length)) {
				*reason = "bad Content-Length";
				return 400;
			}
		} else if (http_str_ieq(name, STR_LIT("Transfer-Encoding"))) {
			n_te++;
			if (!http_str_ieq(value, STR_LIT("chunked"))) {
				*reason = "unsupported transfer encoding";
				return 501;
			}
		} else if (http_str_ieq(name, STR_LIT("Expect"))) {
			n_expect++;
			if (!http_str_ieq(value, STR_LIT("100-continue"))) {
				*reason = "unsupported expectation";
				return 417;
			}
		}
	}
	*reason = n_host > 1 ? "too many Host headers" :
	    n_host == 0 && req->minor == 1 ? "missing required Host header" :
	    n_length > 1 ? "more than one Content-Length" :
	    n_te > 1 ? "more than one Transfer-Encoding" :
	    n_te + n_length > 1 ? "Content-Length with Transfer-Encoding" :
	    n_te > 0 && req->minor == 0 ? "Transfer-Encoding in HTTP/1.0" :
	    n_expect > 1 ? "more than one Expect" : NULL;
	if (*reason != NULL)
		return 400;
	req->chunked = n_te > 0;
	req->has_length = n_length > 0;
	req->expect_continue = n_expect > 0 && req->minor == 1;
	return 0;
}

int
http_head_parse(struct str head, struct http_request *req,
    const char **reason_out)
{
	bool absolute = false, first = true;
	int status;

	req->n_headers = 0;
	req->content_length = 0;
	req->host = STR_EMPTY;
	while (head.n > 0) {
		const char *lf = memchr(head.p, '\n', head.n);
		/* the framer ends a head with an empty line */
		size_t len = lf == NULL ? head.n : (size_t)(lf - head.p) + 1;
		struct str line = str_from(head.p, len < 2 ? 0 : len - 2);

		head = str_from(head.p + len, head.n - len);
		if (line.n == 0)
			break;
		/* CR inside a line; the one before LF is cut already */
		if (memchr(line.p, '\r', line.n) != NULL) {
			*reason_out = "stray carriage return";
			return 400;
		}
		if (first)
			status = parse_request_line(req, line, &absolute,
			    reason_out);
		else
			status = parse_header_line(req, line, reason_out);
		if (status != 0)
			return status;
		first = false;
	}
	status = check_framing(req, absolute, reason_out);
	if (status != 0)
		return status;
	unsigned seen = 0;

	http_request_list(req, "Connection", connection_option, &seen);
	req->keep_alive = (seen & 1) == 0 &&
	    (req->minor == 1 || (seen & 2) != 0);
	return 0;
}

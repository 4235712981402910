/* SPDX-License-Identifier: ISC */
/*
 * Whether a text is a URL to Go's net/url: control bytes, scheme, host,
 * port, escapes. Nothing is decoded here.
 */

#include <stdio.h>
#include <sys/types.h>

#include "common/base/quote.h"
#include "common/config/schema.h"

static int
refuse(struct str url, struct err *err, const char *why)
{
	struct buf q;

	buf_init(&q, 700);
	quote_add(&q, url);
	(void)err_set(err, ERR_BAD_DATA, "parse %.*s: %s",
	    STR_ARG(buf_str(&q)), why);
	buf_clear(&q);
	return -1;
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of the scheme, 0: none; -1: a colon comes first. */
static ssize_t
scheme_len(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (is_alpha(s.p[i]))
			continue;
		if (i > 0 && (is_digit(s.p[i]) ||
		    strchr("+-.", s.p[i]) != NULL))
			continue;
		if (s.p[i] == ':')
			return i == 0 ? -1 : (ssize_t)i;
		return 0;
	}
	return 0;
}

static int
check_escapes(struct str url, struct str s, struct err *err)
{
	char why[64];
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '%')
			continue;
		if (i + 2 < s.n && is_hex(s.p[i + 1]) && is_hex(s.p[i + 2]))
			continue;
		(void)snprintf(why, sizeof(why), "invalid URL escape \"%.*s\"",
		    (int)(s.n - i > 3 ? 3 : s.n - i), s.p + i);
		return refuse(url, err, why);
	}
	return 0;
}

static int
check_host(struct str url, struct str host, struct err *err)
{
	const char *at = memrchr(host.p, '@', host.n), *colon, *p;
	const char *end = host.p + host.n;
	char why[300];

	if (at != NULL)
		host = str_from(at + 1, (size_t)(end - at - 1));
	for (p = host.p; p < end; p++)
		if (*p == ' ' || *p == '"' || *p == '<' || *p == '>' ||
		    *p == '\\' || *p == '^' || *p == '`' || *p == '{' ||
		    *p == '|' || *p == '}') {
			(void)snprintf(why, sizeof(why),
			    "invalid character \"%c\" in host name", *p);
			return refuse(url, err, why);
		}
	if (host.n > 0 && host.p[0] == '[') {
		p = memrchr(host.p, ']', host.n);
		if (p == NULL)
			return refuse(url, err, "missing ']' in host");
		colon = p + 1 < end ? p + 1 : NULL;
	} else
		colon = memrchr(host.p, ':', host.n);
	if (colon == NULL)
		return 0;
	for (p = colon + 1; p < end && is_digit(*p); p++)
		;
	if (*colon == ':' && p == end)
		return 0;
	(void)snprintf(why, sizeof(why), "invalid port \"%.*s\" after host",
	    (int)(end - colon > 200 ? 200 : end - colon), colon);
	return refuse(url, err, why);
}

int
url_check(struct str url, struct url_parts *out, struct err *err)
{
	struct str rest = url, cut;
	const char *hash = memchr(url.p, '#', url.n), *p;
	ssize_t n;
	size_t i;

	*out = (struct url_parts){ STR_EMPTY, STR_EMPTY };
	for (i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] < 0x20 || url.p[i] == 0x7f)
			return refuse(url, err,
			    "net/url: invalid control character in URL");
	if (hash != NULL)
		rest = str_from(url.p, (size_t)(hash - url.p));
	n = scheme_len(rest);
	if (n < 0)
		return refuse(url, err, "missing protocol scheme");
	if (n > 0) {
		out->scheme = str_from(rest.p, (size_t)n);
		rest = str_from(rest.p + n + 1, rest.n - (size_t)n - 1);
	}
	if ((p = memchr(rest.p, '?', rest.n)) != NULL)
		rest.n = (size_t)(p - rest.p);
	if (!str_has_prefix(rest, STR_LIT("/"))) {
		if (n > 0)
			return 0;	/* opaque */
		cut = rest;
		if ((p = memchr(rest.p, '/', rest.n)) != NULL)
			cut.n = (size_t)(p - rest.p);
		if (memchr(cut.p, ':', cut.n) != NULL)
			return refuse(url, err, "first path segment in URL "
			    "cannot contain colon");
	}
	if (str_has_prefix(rest, STR_LIT("//"))) {
		rest = str_from(rest.p + 2, rest.n - 2);
		out->host = rest;
		if ((p = memchr(rest.p, '/', rest.n)) != NULL)
			out->host.n = (size_t)(p - rest.p);
		if (check_host(url, out->host, err) == -1)
			return -1;
		rest = str_from(rest.p + out->host.n, rest.n - out->host.n);
	}
	return check_escapes(url, rest, err);
}

/* SPDX-License-Identifier: ISC */

/*
 * The URL under which users reach the server. It comes from the command
 * line, so this is a check against typing errors with the reference's words,
 * not a parser of URLs.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/quote.h"
#include "common/base/vec.h"
#include "supervisor/flags_check.h"

int
address_split(const char *address, struct str *host, struct str *port,
    struct err *err)
{
	const char *colon = strrchr(address, ':');
	const char *close = strchr(address, ']');

	if (colon == NULL)
		return err_set(err, ERR_BAD_DATA, "address %s: missing port in "
		    "address", address);
	if (address[0] == '[') {
		if (close == NULL)
			return err_set(err, ERR_BAD_DATA,
			    "address %s: missing ']' in address", address);
		if (close[1] == '\0')
			return err_set(err, ERR_BAD_DATA,
			    "address %s: missing port in address", address);
		if (close + 1 != colon)
			return err_set(err, ERR_BAD_DATA, close[1] == ':' ?
			    "address %s: too many colons in address" :
			    "address %s: missing port in address", address);
		*host = str_from(address + 1, (size_t)(close - address - 1));
	} else {
		if (strchr(address, ':') != colon)
			return err_set(err, ERR_BAD_DATA,
			    "address %s: too many colons in address", address);
		*host = str_from(address, (size_t)(colon - address));
	}
	*port = str_c(colon + 1);
	return 0;
}

/* Length of "scheme:" without the colon; 0 = none, -1 = a leading colon. */
static int
scheme_length(const char *url)
{
	for (int i = 0; url[i] != '\0'; i++) {
		unsigned char c = (unsigned char)url[i];

		if (isalpha(c))
			continue;
		if (isdigit(c) || c == '+' || c == '-' || c == '.') {
			if (i == 0)
				return 0;
			continue;
		}
		if (c == ':')
			return i == 0 ? -1 : i;
		return 0;
	}
	return 0;
}

static const char *
check_escapes(const char *p, const char *end)
{
	for (; p < end; p++)
		if (*p == '%' && (end - p < 3 || !isxdigit((unsigned char)p[1]) ||
		    !isxdigit((unsigned char)p[2])))
			return p;
	return NULL;
}

static int
check_host(const char *host, const char *end, struct err *err)
{
	const char *port = NULL;

	for (const char *p = host; p < end; p++)
		if (*p == '@')
			host = p + 1;
	for (const char *p = host; p < end; p++) {
		if (*p == ':')
			port = p;
		if (*p == ']')
			port = NULL;
		if (strchr(" \"<>^`{}|\\", *p) != NULL)
			return err_set(err, ERR_BAD_DATA, "invalid character "
			    "\"%c\" in host name", *p);
	}
	if (*host == '[' && memchr(host, ']', (size_t)(end - host)) == NULL)
		return err_set(err, ERR_BAD_DATA, "missing ']' in host");
	for (const char *p = port; port != NULL && ++p < end; )
		if (!isdigit((unsigned char)*p))
			return err_set(err, ERR_BAD_DATA, "invalid port \"%.*s\" "
			    "after host", (int)(end - port), port);
	return 0;
}

/* Finds the path in url: [*start, *end). */
static int
check_url(const char *url, const char **start, const char **end,
    struct err *err)
{
	int scheme = scheme_length(url);
	const char *p = url, *bad;

	for (const char *c = url; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, ERR_BAD_DATA,
			    "net/url: invalid control character in URL");
	if (scheme == -1)
		return err_set(err, ERR_BAD_DATA, "missing protocol scheme");
	if (scheme > 0)
		p += scheme + 1;
	else if (*p != '/') {
		const char *colon = strchr(p, ':'), *slash = strchr(p, '/');

		if (colon != NULL && (slash == NULL || colon < slash))
			return err_set(err, ERR_BAD_DATA,
			    "first path segment in URL cannot contain colon");
	}
	*end = p + strcspn(p, "?#");
	if (p[0] == '/' && p[1] == '/' && (scheme > 0 || p[2] != '/')) {
		const char *host = p + 2;

		p = host + strcspn(host, "/?#");
		if (check_host(host, p, err) == -1)
			return -1;
	}
	*start = p;
	if ((bad = check_escapes(p, *end)) != NULL)
		return err_set(err, ERR_BAD_DATA, "invalid URL escape \"%.*s\"",
		    (int)(*end - bad < 3 ? *end - bad : 3), bad);
	return 0;
}

static bool
is_quote(char c)
{
	return c == '"' || c == '\'';
}

static char *
default_url(const char *listen_address, const char *hostname, struct err *err)
{
	struct str host, port;
	struct buf b;

	if (address_split(listen_address, &host, &port, err) == -1)
		return NULL;
	buf_init(&b, 0);
	buf_printf(&b, "http://%s:%.*s/", hostname, STR_ARG(port));
	buf_add_byte(&b, '\0');
	return b.p;
}

char *
external_url_make(const char *url, const char *listen_address,
    const char *hostname, struct err *err)
{
	const char *start = NULL, *end = NULL, *cut;
	struct err e = ERR_INIT;
	char *whole;
	struct buf b;

	if (*url != '\0' && (is_quote(*url) || is_quote(url[strlen(url) - 1]))) {
		err_set(err, ERR_BAD_DATA, "URL must not begin or end with quotes");
		return NULL;
	}
	whole = *url != '\0' ? xstrdup(url) :
	    default_url(listen_address, hostname, err);
	if (whole == NULL)
		return NULL;
	if (check_url(whole, &start, &end, &e) == -1) {
		buf_init(&b, 0);
		quote_add(&b, str_c(whole));
		err_set(err, ERR_BAD_DATA, "parse %.*s: %s", STR_ARG(buf_str(&b)),
		    e.text);
		buf_clear(&b);
		free(whole);
		return NULL;
	}
	for (cut = end; cut > start && cut[-1] == '/'; cut--)
		;
	buf_init(&b, 0);
	buf_add(&b, whole, (size_t)(start - whole));
	if (cut > start && *start != '/')
		buf_add_byte(&b, '/');
	buf_add(&b, start, (size_t)(cut - start));
	buf_add_c(&b, end);
	buf_add_byte(&b, '\0');
	free(whole);
	return b.p;
}

char *
route_prefix_make(const char *prefix, const char *external_url)
{
	const char *start = prefix, *end = prefix + strlen(prefix);
	struct err err = ERR_INIT;
	struct buf b;

	if (*prefix == '\0' &&
	    check_url(external_url, &start, &end, &err) == -1)
		start = end = external_url;
	while (start < end && *start == '/')
		start++;
	while (end > start && end[-1] == '/')
		end--;
	buf_init(&b, 0);
	buf_add_byte(&b, '/');
	buf_add(&b, start, (size_t)(end - start));
	buf_add_byte(&b, '\0');
	return b.p;
}

/* SPDX-License-Identifier: ISC */
/* Percent-encoding, path cleaning, query strings and forms. */
#include "common/http/url.h"

#include <string.h>

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
url_decode(struct arena *a, struct str in, bool plus, struct str *out,
    struct err *err)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t n = 0;

	*out = STR_EMPTY;
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			size_t left = in.n - i;
			int hi = left > 2 ? hex_value(in.p[i + 1]) : -1;
			int lo = left > 2 ? hex_value(in.p[i + 2]) : -1;

			if (hi == -1 || lo == -1)
				return err_set(err, ERR_BAD_DATA,
				    "invalid URL escape \"%.*s\"",
				    (int)(left < 3 ? left : 3), in.p + i);
			c = (char)(hi * 16 + lo);
			i += 2;
		} else if (c == '+' && plus)
			c = ' ';
		p[n++] = c;
	}
	p[n] = '\0';
	*out = str_from(p, n);
	return 0;
}

void
url_add_encoded(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
		    c == '.' || c == '~') {
			buf_add_byte(b, c);
			continue;
		}
		buf_add_byte(b, '%');
		buf_add_byte(b, (uint8_t)hex[c >> 4]);
		buf_add_byte(b, (uint8_t)hex[c & 15]);
	}
}

/* Is it clean already? Then no copy is made. */
static bool
path_is_clean(struct str s)
{
	if (s.n == 0 || s.p[0] != '/')
		return false;
	for (size_t i = 0; i + 1 < s.n; i++) {
		if (s.p[i] != '/')
			continue;
		if (s.p[i + 1] == '/' || s.p[i + 1] == '.')
			return false;
	}
	return true;
}

struct str
url_clean_path(struct arena *a, struct str path)
{
	if (path_is_clean(path))
		return path;
	char *out = arena_alloc(a, path.n + 2);
	size_t n = 0, i = 0;
	bool slash_at_end = path.n > 0 && path.p[path.n - 1] == '/';

	if (out == NULL)
		return STR_LIT("/");
	while (i < path.n) {
		size_t start;

		while (i < path.n && path.p[i] == '/')
			i++;
		start = i;
		while (i < path.n && path.p[i] != '/')
			i++;
		struct str part = str_from(path.p + start, i - start);

		if (part.n == 0 || str_eq_c(part, "."))
			continue;
		if (str_eq_c(part, "..")) {
			while (n > 0 && out[--n] != '/')
				;
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	if (n == 0 || slash_at_end)
		out[n++] = '/';
	return str_from(out, n);
}

void
url_params_init(struct url_params *p, struct arena *a)
{
	*p = (struct url_params){ .arena = a };
}

static int
params_push(struct url_params *p, struct url_param item, struct err *err)
{
	if (p->n == URL_PARAMS_MAX)
		return err_set(err, ERR_LIMIT, "too many parameters");
	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 16 : p->cap * 2;
		struct url_param *items = arena_array(p->arena, cap,
		    sizeof(*items));

		if (items == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (p->n > 0)
			memcpy(items, p->items, p->n * sizeof(*items));
		p->items = items;
		p->cap = cap;
	}
	p->items[p->n++] = item;
	return 0;
}

/* One piece between '&'s. */
static int
params_add_pair(struct url_params *p, struct str pair, struct err *err)
{
	struct url_param item;

	if (memchr(pair.p, ';', pair.n) != NULL)
		return err_set(err, ERR_BAD_DATA,
		    "invalid semicolon separator in query");
	const char *eq = memchr(pair.p, '=', pair.n);
	size_t name_len = eq == NULL ? pair.n : (size_t)(eq - pair.p);
	struct str value = eq == NULL ? STR_EMPTY :
	    str_from(eq + 1, pair.n - name_len - 1);

	if (url_decode(p->arena, str_from(pair.p, name_len), true, &item.name,
	    err) == -1 ||
	    url_decode(p->arena, value, true, &item.value, err) == -1)
		return -1;
	return params_push(p, item, err);
}

int
url_params_add(struct url_params *p, struct str text, struct err *err)
{
	int rv = 0;

	while (text.n > 0) {
		const char *amp = memchr(text.p, '&', text.n);
		size_t len = amp == NULL ? text.n : (size_t)(amp - text.p);
		struct err e = ERR_INIT;

		if (len > 0 && params_add_pair(p, str_from(text.p, len),
		    &e) == -1) {
			if (rv == 0)
				*err = e;
			rv = -1;
			if (e.kind != ERR_BAD_DATA)
				return rv;
		}
		if (amp == NULL)
			break;
		text = str_from(amp + 1, text.n - len - 1);
	}
	return rv;
}

struct str
url_params_get(const struct url_params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (str_eq_c(p->items[i].name, name))
			return p->items[i].value;
	}
	return (struct str){ NULL, 0 };
}

size_t
url_params_count(const struct url_params *p, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += str_eq_c(p->items[i].name, name);
	return n;
}

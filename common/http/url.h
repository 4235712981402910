/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_URL_H
#define BRAZIER_COMMON_HTTP_URL_H

/*
 * Percent-encoding, request paths and form parameters, by the rules of Go's
 * net/url and net/http, whose corner cases clients of the reference meet.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

/*
 * Decodes %XX (and '+' as a blank when plus is true). Result in the arena.
 * ERR_BAD_DATA `invalid URL escape "%zz"`; ERR_NOMEM.
 */
int	 url_decode(struct arena *a, struct str in, bool plus,
	    struct str *out, struct err *err);

/* Appends s with everything but unreserved characters as %XX. */
void	 url_add_encoded(struct buf *b, struct str s);

/*
 * The shortest equivalent of a path: no "//", "." or ".."; a slash at the
 * end stays; always begins with '/'. Result in the arena, or in itself.
 */
struct str url_clean_path(struct arena *a, struct str path);

struct url_param {
	struct str	name;
	struct str	value;
};

/* Parameters in order of appearance; a name may come again. */
struct url_params {
	struct arena		*arena;		/* owns everything below */
	struct url_param	*items;
	size_t			 n;
	size_t			 cap;
};

#define URL_PARAMS_MAX	10000

void	 url_params_init(struct url_params *p, struct arena *a);

/*
 * Adds the pairs of a query string or urlencoded form. A pair with a bad
 * escape or a ';' is left out, the rest is still read: -1 then tells the
 * first such error (ERR_BAD_DATA, worded as Go's) or ERR_NOMEM, ERR_LIMIT.
 */
int	 url_params_add(struct url_params *p, struct str text,
	    struct err *err);

/* First value of a name; p == NULL when absent. */
struct str url_params_get(const struct url_params *p, const char *name);

/* How many values a name has. */
size_t	 url_params_count(const struct url_params *p, const char *name);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_STR_H
#define BRAZIER_COMMON_BASE_STR_H

/*
 * A borrowed run of bytes: not terminated, may hold NULs, never owns. Whoever
 * made it says how long the bytes live.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char	*p;
	size_t		 n;
};

#define STR_EMPTY	((struct str){ "", 0 })
#define STR_LIT(s)	((struct str){ (s), sizeof(s) - 1 })
/* For printf's "%.*s". */
#define STR_ARG(s)	((int)(s).n), ((s).p)

static inline struct str
str_from(const char *p, size_t n)
{
	return (struct str){ p, n };
}

static inline struct str
str_c(const char *cstr)
{
	return (struct str){ cstr, strlen(cstr) };
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_eq_c(struct str a, const char *cstr)
{
	return str_eq(a, str_c(cstr));
}

/* Order by bytes, as Go compares strings: <0, 0, >0. */
static inline int
str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool
str_has_prefix(struct str s, struct str prefix)
{
	return s.n >= prefix.n &&
	    (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool
str_has_suffix(struct str s, struct str suffix)
{
	return s.n >= suffix.n && (suffix.n == 0 ||
	    memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* White space of ASCII cut from both ends. */
struct str str_trim(struct str s);

/* Heap copy with a terminating NUL; NULL when memory is out. */
char	*str_dup(struct str s);

#endif

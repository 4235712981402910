/* SPDX-License-Identifier: ISC */
/*
 * A small reader of regex syntax that keeps, for each sub-expression, a list
 * of strings: all that it matches (exact), or beginnings of all that it
 * matches. Concatenation is the product of two lists, alternation their
 * union. It gives up (bad) on everything whose meaning it does not know;
 * giving up is always right, only slower later.
 */

#include "common/labels/regex_literals.h"

#include <stdlib.h>

#define DEPTH_MAX	20

struct reader {
	struct arena	*a;
	const char	*p, *end;
	int		 depth;
	bool		 bad;
};

struct lits {
	struct str	*s;
	size_t		 n;
	bool		 exact;
};

static struct lits read_alternation(struct reader *r);

static struct lits
give_up(struct reader *r)
{
	r->bad = true;
	return (struct lits){ NULL, 0, false };
}

static struct lits
one(struct reader *r, struct str s, bool exact)
{
	struct str *v = arena_array(r->a, 1, sizeof(*v));

	if (v == NULL)
		return give_up(r);
	*v = s;
	return (struct lits){ v, 1, exact };
}

static struct str
join(struct reader *r, struct str a, struct str b)
{
	char *p;

	if (a.n == 0)
		return b;
	if (b.n == 0)
		return a;
	p = arena_alloc(r->a, a.n + b.n);
	if (p == NULL) {
		r->bad = true;
		return STR_EMPTY;
	}
	memcpy(p, a.p, a.n);
	memcpy(p + a.n, b.p, b.n);
	return str_from(p, a.n + b.n);
}

static struct lits
product(struct reader *r, struct lits a, struct lits b)
{
	struct lits out;
	size_t i, j;

	if (b.n > REGEX_LITERALS_MAX / a.n) {
		a.exact = false;
		return a;
	}
	out = (struct lits){ .exact = b.exact };
	out.s = arena_array(r->a, a.n * b.n, sizeof(*out.s));
	if (out.s == NULL)
		return give_up(r);
	for (i = 0; i < a.n; i++)
		for (j = 0; j < b.n; j++)
			out.s[out.n++] = join(r, a.s[i], b.s[j]);
	return out;
}

static struct lits
either(struct reader *r, struct lits a, struct lits b)
{
	struct lits out;

	if (a.n + b.n > REGEX_LITERALS_MAX)
		return give_up(r);
	out = (struct lits){ .n = a.n + b.n, .exact = a.exact && b.exact };
	out.s = arena_array(r->a, out.n, sizeof(*out.s));
	if (out.s == NULL)
		return give_up(r);
	memcpy(out.s, a.s, a.n * sizeof(*out.s));
	memcpy(out.s + a.n, b.s, b.n * sizeof(*out.s));
	return out;
}

/* [abc] with plain ASCII members is a list; others are only skipped. */
static struct lits
read_class(struct reader *r)
{
	const char *start = r->p;
	bool plain = true, negated = false;
	struct lits out;
	size_t n = 0;
	char c;

	if (r->p < r->end && *r->p == '^') {
		negated = true;
		r->p++;
		start++;
	}
	for (; r->p < r->end && (*r->p != ']' || r->p == start); r->p++) {
		c = *r->p;
		n++;
		if (c == '[' && r->p + 1 < r->end && r->p[1] == ':')
			return give_up(r);
		if (c == '\\') {
			plain = false;
			r->p++;
		} else if ((c == '-' && n > 1) || (unsigned char)c >= 0x80)
			plain = false;
	}
	if (r->p >= r->end)
		return give_up(r);
	r->p++;
	if (!plain || negated || n > 64)
		return one(r, STR_EMPTY, false);
	out = (struct lits){ .exact = true };
	out.s = arena_array(r->a, n, sizeof(*out.s));
	if (out.s == NULL)
		return give_up(r);
	for (out.n = 0; out.n < n; out.n++)
		out.s[out.n] = str_from(start + out.n, 1);
	return out;
}

static struct lits
read_escape(struct reader *r)
{
	static const char ctl_names[] = "nrtfva", ctl[] = "\n\r\t\f\v\a";
	const char *q;
	char c;

	if (r->p >= r->end)
		return give_up(r);
	c = *r->p++;
	if ((unsigned char)c < 0x80 && c > ' ' &&
	    !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z')))
		return one(r, str_from(r->p - 1, 1), true);
	if (c != '\0' && strchr("dDwWsS", c) != NULL)
		return one(r, STR_EMPTY, false);
	if (c != '\0' && (q = strchr(ctl_names, c)) != NULL)
		return one(r, str_from(ctl + (q - ctl_names), 1), true);
	return give_up(r);
}

static struct lits
read_group(struct reader *r)
{
	struct lits out;

	if (r->p < r->end && *r->p == '?') {
		r->p++;
		if (r->p < r->end && *r->p == ':')
			r->p++;
		else {
			if (r->p < r->end && *r->p == 'P')
				r->p++;
			if (r->p >= r->end || *r->p != '<')
				return give_up(r);
			while (r->p < r->end && *r->p != '>')
				r->p++;
			if (r->p >= r->end)
				return give_up(r);
			r->p++;
		}
	}
	if (++r->depth > DEPTH_MAX)
		return give_up(r);
	out = read_alternation(r);
	r->depth--;
	if (r->bad || r->p >= r->end || *r->p != ')')
		return give_up(r);
	r->p++;
	return out;
}

/* One character (all its UTF-8 bytes), class, escape or group. */
static struct lits
read_atom(struct reader *r)
{
	const char *start = r->p++;

	switch (*start) {
	case '(':
		return read_group(r);
	case '[':
		return read_class(r);
	case '\\':
		return read_escape(r);
	case '.':
		return one(r, STR_EMPTY, false);
	case '*': case '+': case '?':
		return give_up(r);
	case '^':	/* at the very beginning it says nothing new */
		return give_up(r);
	case '$':
		if (r->depth == 0 && (r->p == r->end || *r->p == '|'))
			return one(r, STR_EMPTY, true);
		return give_up(r);
	}
	while (r->p < r->end && ((unsigned char)*r->p & 0xc0) == 0x80)
		r->p++;
	return one(r, str_from(start, (size_t)(r->p - start)), true);
}

/* {n}, {n,}, {n,m}: the length with the braces, 0 if it is plain text. */
static size_t
repeat_len(const struct reader *r, bool *from_zero_out)
{
	const char *p = r->p + 1, *digits = p;

	*from_zero_out = true;
	for (; p < r->end && *p >= '0' && *p <= '9'; p++)
		if (*p != '0')
			*from_zero_out = false;
	if (p == digits)
		return 0;
	if (p < r->end && *p == ',')
		for (p++; p < r->end && *p >= '0' && *p <= '9'; p++)
			;
	if (p >= r->end || *p != '}')
		return 0;
	return (size_t)(p + 1 - r->p);
}

static struct lits
read_repeated(struct reader *r)
{
	struct lits atom = read_atom(r);
	bool from_zero = false, many = false;
	size_t len = 0;

	while (!r->bad && r->p < r->end) {
		if (*r->p == '*' || *r->p == '+' || *r->p == '?') {
			len = 1;
			from_zero = *r->p != '+';
			many = *r->p != '?';
		} else if (*r->p == '{' &&
		    (len = repeat_len(r, &from_zero)) > 0)
			many = true;
		else
			break;
		r->p += len;
		if (r->p < r->end && *r->p == '?')	/* non-greedy */
			r->p++;
		if (!from_zero)
			atom.exact = false;
		else if (many || !atom.exact)
			atom = one(r, STR_EMPTY, false);
		else
			atom = either(r, atom, one(r, STR_EMPTY, true));
	}
	return atom;
}

static struct lits
read_concatenation(struct reader *r)
{
	struct lits out = one(r, STR_EMPTY, true), next;

	if (r->depth == 0 && r->p < r->end && *r->p == '^')
		r->p++;
	while (!r->bad && r->p < r->end && *r->p != '|' && *r->p != ')') {
		next = read_repeated(r);
		if (!r->bad && out.exact)
			out = product(r, out, next);
	}
	return out;
}

static struct lits
read_alternation(struct reader *r)
{
	struct lits branch, out = { NULL, 0, true };
	size_t cap = 0, i;
	struct str *grown;

	for (;;) {
		branch = read_concatenation(r);
		if (r->bad || out.n + branch.n > REGEX_LITERALS_MAX)
			return give_up(r);
		if (out.n + branch.n > cap) {
			cap = (out.n + branch.n) * 2;
			grown = arena_array(r->a, cap, sizeof(*grown));
			if (grown == NULL)
				return give_up(r);
			for (i = 0; i < out.n; i++)
				grown[i] = out.s[i];
			out.s = grown;
		}
		for (i = 0; i < branch.n; i++)
			out.s[out.n++] = branch.s[i];
		out.exact = out.exact && branch.exact;
		if (r->p >= r->end || *r->p != '|')
			return out;
		r->p++;
	}
}

static int
cmp_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct regex_literals
regex_literals_find(struct arena *a, struct str pattern)
{
	struct reader r = { a, pattern.p, pattern.p + pattern.n, 0, false };
	struct lits got = read_alternation(&r);
	struct regex_literals out = { NULL, 0, false };
	size_t i;

	if (r.bad || r.p != r.end || got.n == 0)
		return out;
	qsort(got.s, got.n, sizeof(*got.s), cmp_str);
	out.s = got.s;
	out.exact = got.exact;
	for (i = 0; i < got.n; i++)
		if (i == 0 || !str_eq(out.s[out.n - 1], got.s[i]))
			out.s[out.n++] = got.s[i];
	return out;
}

struct str
regex_literals_prefix(const struct regex_literals *lits)
{
	struct str first, last;
	size_t n = 0;

	if (lits->n == 0)
		return STR_EMPTY;
	/* Sorted: what the two ends share, all share. */
	first = lits->s[0];
	last = lits->s[lits->n - 1];
	while (n < first.n && n < last.n && first.p[n] == last.p[n])
		n++;
	return str_from(first.p, n);
}

bool
str_set_has(const struct str *sorted, size_t n, struct str s)
{
	size_t lo = 0, hi = n, mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = str_cmp(sorted[mid], s);
		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

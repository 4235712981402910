/* SPDX-License-Identifier: ISC */
/*
 * Label sets: look-up, comparison, hash, copy, text, and the rules for
 * names. Building one is labels_builder.c.
 */

#include "common/labels/labels.h"

#include "common/base/err.h"
#include "common/base/hash.h"
#include "common/base/quote.h"
#include "common/base/utf8.h"

/* Sets are searched linearly up to here, then by halves. */
#define LINEAR_MAX	16

struct str
labels_get(struct labels ls, struct str name)
{
	size_t lo = 0, hi = ls.n, mid;
	int c;

	if (ls.n <= LINEAR_MAX) {
		for (; lo < hi; lo++)
			if (str_eq(ls.l[lo].name, name))
				return ls.l[lo].value;
		return (struct str){ NULL, 0 };
	}
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = str_cmp(ls.l[mid].name, name);
		if (c == 0)
			return ls.l[mid].value;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (struct str){ NULL, 0 };
}

bool
labels_eq(struct labels a, struct labels b)
{
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		if (!str_eq(a.l[i].name, b.l[i].name) ||
		    !str_eq(a.l[i].value, b.l[i].value))
			return false;
	return true;
}

int
labels_cmp(struct labels a, struct labels b)
{
	size_t i, n = a.n < b.n ? a.n : b.n;
	int c;

	for (i = 0; i < n; i++) {
		if ((c = str_cmp(a.l[i].name, b.l[i].name)) != 0)
			return c;
		if ((c = str_cmp(a.l[i].value, b.l[i].value)) != 0)
			return c;
	}
	return (a.n > b.n) - (a.n < b.n);
}

/* At most: a length is one byte, or 255 and three of its own. */
static size_t
hash_input_max(struct labels ls)
{
	size_t i, len = 0;

	for (i = 0; i < ls.n; i++)
		len += ls.l[i].name.n + ls.l[i].value.n + 8;
	return len;
}

static char *
put_sized(char *p, struct str s)
{
	if (s.n < 255)
		*p++ = (char)s.n;
	else {
		*p++ = (char)255;
		*p++ = (char)s.n;
		*p++ = (char)(s.n >> 8);
		*p++ = (char)(s.n >> 16);
	}
	if (s.n != 0)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

uint64_t
labels_hash(struct labels ls)
{
	char small[1024], *from = small, *p;
	size_t i, max = hash_input_max(ls);
	struct buf big;
	uint64_t h;

	buf_init(&big, 0);
	if (max > sizeof(small) && (from = buf_reserve(&big, max)) == NULL)
		fatal_nomem();
	for (i = 0, p = from; i < ls.n; i++) {
		p = put_sized(p, ls.l[i].name);
		p = put_sized(p, ls.l[i].value);
	}
	h = hash_xxh64(from, (size_t)(p - from));
	buf_clear(&big);
	return h;
}

struct labels
labels_copy(struct arena *a, struct labels ls)
{
	struct label *l;
	size_t i;

	if (ls.n == 0)
		return (struct labels){ NULL, 0 };
	l = arena_array(a, ls.n, sizeof(*l));
	if (l == NULL)
		return (struct labels){ NULL, ls.n };
	for (i = 0; i < ls.n; i++) {
		l[i].name = arena_str(a, ls.l[i].name);
		l[i].value = arena_str(a, ls.l[i].value);
		if (l[i].name.p == NULL || l[i].value.p == NULL)
			return (struct labels){ NULL, ls.n };
	}
	return (struct labels){ l, ls.n };
}

void
labels_format(struct labels ls, struct buf *out)
{
	size_t i;

	buf_add_byte(out, '{');
	for (i = 0; i < ls.n; i++) {
		if (i > 0)
			buf_add_c(out, ", ");
		if (label_name_is_legacy(ls.l[i].name))
			buf_add_str(out, ls.l[i].name);
		else
			quote_add(out, ls.l[i].name);
		buf_add_byte(out, '=');
		quote_add(out, ls.l[i].value);
	}
	buf_add_byte(out, '}');
}

void
labels_format_metric(struct labels ls, struct buf *out)
{
	struct str name = labels_get(ls, STR_LIT(LABEL_METRIC_NAME));
	size_t i, n = 0;

	if (name.p != NULL)
		buf_add_str(out, name);
	for (i = 0; i < ls.n; i++) {
		if (str_eq_c(ls.l[i].name, LABEL_METRIC_NAME))
			continue;
		buf_add_c(out, n++ == 0 ? "{" : ", ");
		buf_add_str(out, ls.l[i].name);
		buf_add_byte(out, '=');
		quote_add(out, ls.l[i].value);
	}
	if (n > 0)
		buf_add_byte(out, '}');
	else if (name.p == NULL)
		buf_add_c(out, "{}");
}

static bool
is_legacy(struct str s, bool colons)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '_' || (c == ':' && colons) ||
		    (c >= '0' && c <= '9' && i > 0))
			continue;
		return false;
	}
	return s.n > 0;
}

bool
label_name_is_legacy(struct str s)
{
	return is_legacy(s, false);
}

bool
metric_name_is_legacy(struct str s)
{
	return is_legacy(s, true);
}

bool
label_name_is_valid(struct str s)
{
	return s.n > 0 && utf8_valid(s);
}

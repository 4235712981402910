/* SPDX-License-Identifier: ISC */

/*
 * Label sets and matchers. As changes to a set under construction: what
 * comes out is what a plain list of the last words says, sorted, and its
 * copy, hash, order and text are sound. As a pattern and values: a matcher,
 * which decides much without the regex engine, says what the engine says.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/regex.h"
#include "common/base/utf8.h"
#include "common/labels/labels.h"
#include "common/labels/matcher.h"
#include "common/labels/regex_literals.h"
#include "common/labels/text_case.h"

#define MODEL_MAX	512
#define PATTERN_MAX	200

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The naive twin: each name once, in the order of its first change. */
struct model {
	struct label	l[MODEL_MAX];
	size_t		n;
};

static struct label *
model_find(struct model *m, struct str name)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->l[i].name, name))
			return &m->l[i];
	return NULL;
}

static struct str
take(const uint8_t **p, const uint8_t *end, size_t max)
{
	struct str s = STR_EMPTY;
	size_t len;

	if (*p >= end)
		return s;
	len = *(*p)++ % (max + 1);
	if (len > (size_t)(end - *p))
		len = (size_t)(end - *p);
	s = str_from((const char *)*p, len);
	*p += len;
	return s;
}

static void
check_names(struct labels ls)
{
	struct buf low, up;

	buf_init(&low, 0);
	buf_init(&up, 0);
	for (size_t i = 0; i < ls.n; i++) {
		struct str s = ls.l[i].name;

		if (label_name_is_legacy(s) && (!metric_name_is_legacy(s) ||
		    !label_name_is_valid(s)))
			abort();
		if (label_name_is_valid(s) != (s.n > 0 && utf8_valid(s)))
			abort();
		buf_reset(&low);
		buf_reset(&up);
		text_add_lower(&low, ls.l[i].value);
		text_add_upper(&up, ls.l[i].value);
		if (!utf8_valid(buf_str(&low)) || !utf8_valid(buf_str(&up)))
			abort();
	}
	buf_clear(&low);
	buf_clear(&up);
}

static void
check_set(struct labels ls)
{
	struct labels copy, less = { ls.l, ls.n / 2 };
	struct arena a;
	struct buf b;

	arena_init(&a, 1 << 20);
	buf_init(&b, 0);
	copy = labels_copy(&a, ls);
	if (copy.n != ls.n || !labels_eq(copy, ls) ||
	    labels_cmp(copy, ls) != 0 || labels_hash(copy) != labels_hash(ls))
		abort();
	if (less.n < ls.n && (labels_cmp(less, ls) >= 0 ||
	    labels_cmp(ls, less) <= 0 || labels_eq(less, ls)))
		abort();
	labels_format(ls, &b);
	labels_format_metric(ls, &b);
	if (b.n < 4 || b.p[0] != '{' ||
	    (ls.n > 1 && b.p[b.n - 1] != '}'))
		abort();
	check_names(ls);
	buf_clear(&b);
	arena_clear(&a);
}

static void
check_against(struct model *m, struct labels ls)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->l[i].value.n != 0;
	if (n != ls.n)
		abort();
	for (size_t i = 0; i < ls.n; i++) {
		const struct label *l = model_find(m, ls.l[i].name);

		if (l == NULL || ls.l[i].value.n == 0 ||
		    !str_eq(l->value, ls.l[i].value) ||
		    !str_eq(labels_get(ls, l->name), l->value) ||
		    (i > 0 && str_cmp(ls.l[i - 1].name, ls.l[i].name) >= 0))
			abort();
	}
	check_set(ls);
}

static void
as_changes(const uint8_t *p, const uint8_t *end)
{
	struct model *m = calloc(1, sizeof(*m));
	struct labels_builder b;

	if (m == NULL)
		return;
	labels_builder_init(&b);
	labels_builder_reset(&b, (struct labels){ NULL, 0 });
	while (p < end && m->n < MODEL_MAX) {
		uint8_t op = *p++;
		struct str name = take(&p, end, 15), value = STR_EMPTY;
		struct label *l;

		if (name.n == 0)
			continue;
		if (op & 3)
			value = take(&p, end, op & 4 ? 255 : 3);
		labels_builder_set(&b, name, value);
		if ((l = model_find(m, name)) == NULL)
			l = &m->l[m->n++];
		*l = (struct label){ name, value };
		if (!str_eq(labels_builder_get(&b, name), value))
			abort();
		if (op >= 0xf8)
			check_against(m, labels_builder_labels(&b));
	}
	check_against(m, labels_builder_labels(&b));
	labels_builder_clear(&b);
	free(m);
}

static void
check_value(const struct matcher *is, const struct matcher *is_not,
    const struct regex *re, struct str value)
{
	bool want = regex_matches(re, value);

	if (matcher_matches(is, value) != want ||
	    matcher_matches(is_not, value) == want)
		abort();
}

/* pattern 0xff value 0xff value …; only text can be a label's value. */
static void
as_pattern(const uint8_t *p, const uint8_t *end)
{
	struct str in = str_from((const char *)p, (size_t)(end - p)), pattern;
	const char *sep = in.n == 0 ? NULL : memchr(in.p, 0xff, in.n);
	struct matcher is, is_not;
	struct err err = ERR_INIT;
	struct regex *re;

	pattern = sep == NULL ? in : str_from(in.p, (size_t)(sep - in.p));
	if (pattern.n > PATTERN_MAX || !utf8_valid(pattern))
		return;
	re = regex_new(pattern, REGEX_WHOLE | REGEX_DOTALL, &err);
	if (matcher_init(&is, MATCH_REGEXP, STR_LIT("a"), pattern,
	    &err) == -1) {
		regex_free(re);
		return;
	}
	if (matcher_init(&is_not, MATCH_NOT_REGEXP, STR_LIT("a"), pattern,
	    &err) == -1 || re == NULL)
		abort();
	for (size_t i = 0; i < is.set_n && i < 64; i++)
		check_value(&is, &is_not, re, is.set[i]);
	check_value(&is, &is_not, re, STR_EMPTY);
	check_value(&is, &is_not, re, is.prefix);
	check_value(&is, &is_not, re, is.part);
	while (sep != NULL) {
		const char *from = sep + 1, *stop = in.p + in.n;
		struct str value;

		sep = from == stop ? NULL :
		    memchr(from, 0xff, (size_t)(stop - from));
		value = str_from(from, (size_t)((sep == NULL ? stop : sep) -
		    from));
		if (utf8_valid(value))
			check_value(&is, &is_not, re, value);
	}
	matcher_clear(&is);
	matcher_clear(&is_not);
	regex_free(re);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	if (data[0] & 1)
		as_changes(data + 1, data + n);
	else
		as_pattern(data + 1, data + n);
	return 0;
}

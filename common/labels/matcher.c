/* SPDX-License-Identifier: ISC */
/*
 * Label matchers. A regex is analysed once: finite sets are looked up,
 * `abc.*` and its kin compared, a prefix is checked first; only what is left
 * runs the regex engine.
 */

#include "common/labels/matcher.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/base/quote.h"
#include "common/base/regex.h"
#include "common/labels/labels.h"
#include "common/labels/regex_literals.h"

/* Memory for the analysis of one pattern. */
#define ANALYSIS_BYTES_MAX	(4 << 20)

static int
copy_str(struct str *out, struct str s, struct err *err)
{
	char *p = str_dup(s);

	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = str_from(p, s.n);
	return 0;
}

static void
free_str(struct str *s)
{
	free((void *)(uintptr_t)s->p);
	*s = (struct str){ NULL, 0 };
}

static struct str
cut(struct str s, size_t front, size_t back)
{
	return str_from(s.p + front, s.n - front - back);
}

/* The pattern without .* at its ends, if what is left is one literal. */
static int
find_shape(struct matcher *m, struct arena *a, struct err *err)
{
	struct str any = STR_LIT(".*"), rest = m->value;
	struct regex_literals lits;
	bool front, back;

	if (str_eq_c(rest, ".*")) {
		m->shape = MATCHER_SHAPE_ANY;
		return 0;
	}
	if (str_eq_c(rest, ".+")) {
		m->shape = MATCHER_SHAPE_NON_EMPTY;
		return 0;
	}
	if ((front = str_has_prefix(rest, any)))
		rest = cut(rest, 2, 0);
	if ((back = str_has_suffix(rest, any) &&
	    !str_has_suffix(rest, STR_LIT("\\.*"))))
		rest = cut(rest, 0, 2);
	if ((!front && !back) || rest.n == 0 ||
	    memchr(rest.p, '|', rest.n) != NULL ||
	    memchr(rest.p, '^', rest.n) != NULL ||
	    memchr(rest.p, '$', rest.n) != NULL)
		return 0;
	lits = regex_literals_find(a, rest);
	if (!lits.exact || lits.n != 1)
		return 0;
	/* ".*?x" would leave a quantifier at the front: that is refused. */
	m->shape = !front ? MATCHER_SHAPE_PREFIX :
	    !back ? MATCHER_SHAPE_SUFFIX : MATCHER_SHAPE_CONTAINS;
	return copy_str(&m->part, lits.s[0], err);
}

static int
keep_literals(struct matcher *m, struct arena *a, struct err *err)
{
	struct regex_literals lits = regex_literals_find(a, m->value);

	if (!lits.exact)
		return copy_str(&m->prefix, regex_literals_prefix(&lits), err);
	m->set = calloc(lits.n, sizeof(*m->set));
	if (m->set == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; m->set_n < lits.n; m->set_n++)
		if (copy_str(&m->set[m->set_n], lits.s[m->set_n], err) == -1)
			return -1;
	return copy_str(&m->prefix, regex_literals_prefix(&lits), err);
}

static int
init_regex(struct matcher *m, struct err *err)
{
	struct arena a;
	int rc;

	m->re = regex_new(m->value, REGEX_WHOLE | REGEX_DOTALL, err);
	if (m->re == NULL)
		return -1;
	arena_init(&a, ANALYSIS_BYTES_MAX);
	rc = find_shape(m, &a, err);
	if (rc == 0)
		rc = keep_literals(m, &a, err);
	arena_clear(&a);
	return rc;
}

int
matcher_init(struct matcher *m, enum matcher_type type, struct str name,
    struct str value, struct err *err)
{
	*m = (struct matcher){ .type = type };
	if (copy_str(&m->name, name, err) == -1 ||
	    copy_str(&m->value, value, err) == -1)
		goto fail;
	if ((type == MATCH_REGEXP || type == MATCH_NOT_REGEXP) &&
	    init_regex(m, err) == -1)
		goto fail;
	return 0;
fail:
	matcher_clear(m);
	return -1;
}

void
matcher_clear(struct matcher *m)
{
	size_t i;

	for (i = 0; i < m->set_n; i++)
		free_str(&m->set[i]);
	free(m->set);
	free_str(&m->name);
	free_str(&m->value);
	free_str(&m->prefix);
	free_str(&m->part);
	if (m->re != NULL)
		regex_free(m->re);
	*m = (struct matcher){ 0 };
}

static bool
regexp_matches(const struct matcher *m, struct str value)
{
	switch (m->shape) {
	case MATCHER_SHAPE_ANY:
		return true;
	case MATCHER_SHAPE_NON_EMPTY:
		return value.n > 0;
	case MATCHER_SHAPE_PREFIX:
		return str_has_prefix(value, m->part);
	case MATCHER_SHAPE_SUFFIX:
		return str_has_suffix(value, m->part);
	case MATCHER_SHAPE_CONTAINS:
		return memmem(value.p, value.n, m->part.p, m->part.n) != NULL;
	case MATCHER_SHAPE_REGEX:
		break;
	}
	if (m->set_n > 0)
		return str_set_has(m->set, m->set_n, value);
	return str_has_prefix(value, m->prefix) && regex_matches(m->re, value);
}

bool
matcher_matches(const struct matcher *m, struct str value)
{
	switch (m->type) {
	case MATCH_EQUAL:
		return str_eq(m->value, value);
	case MATCH_NOT_EQUAL:
		return !str_eq(m->value, value);
	case MATCH_REGEXP:
		return regexp_matches(m, value);
	case MATCH_NOT_REGEXP:
		return !regexp_matches(m, value);
	}
	return false;
}

bool
matcher_matches_empty(const struct matcher *m)
{
	return matcher_matches(m, STR_EMPTY);
}

void
matcher_format(const struct matcher *m, struct buf *out)
{
	if (label_name_is_legacy(m->name))
		buf_add_str(out, m->name);
	else
		quote_add(out, m->name);
	buf_add_c(out, matcher_type_text(m->type));
	quote_add(out, m->value);
}

const char *
matcher_type_text(enum matcher_type type)
{
	static const char *const texts[] = { "=", "!=", "=~", "!~" };

	return texts[type];
}

/* SPDX-License-Identifier: ISC */
/* Parsing match[] parameters. */
#include "workers/query/selectors.h"

#include "common/promql/parse.h"

static int
selector_parse(struct str text, struct arena *a, struct selector *out,
    struct err *err)
{
	struct promql_parse_errors errs = { 0 };
	const struct matcher **m;

	*out = (struct selector){ 0 };
	if (promql_parse_selector(a, text, &out->owned, &out->n, &errs) == -1)
		return promql_parse_errors_to_err(&errs, text, err);
	if ((m = arena_array(a, out->n + 1, sizeof(*m))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < out->n; i++)
		m[i] = &out->owned[i];
	out->m = m;
	for (size_t i = 0; i < out->n; i++) {
		if (!matcher_matches_empty(m[i]))
			return 0;
	}
	return 1;	/* matches everything */
}

int
selectors_parse(const struct params *p, struct arena *a,
    struct selectors *out, struct err *err)
{
	size_t n = 0;
	bool too_wide = false;

	*out = (struct selectors){ 0 };
	for (size_t i = 0; i < p->n; i++)
		n += str_eq_c(p->items[i].name, "match[]");
	if (n == 0)
		return 0;
	if ((out->v = arena_array(a, n, sizeof(*out->v))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < p->n; i++) {
		if (!str_eq_c(p->items[i].name, "match[]"))
			continue;
		int rv = selector_parse(p->items[i].value, a, &out->v[out->n],
		    err);

		out->n += rv != -1 || out->v[out->n].owned != NULL;
		if (rv == -1) {
			selectors_clear(out);
			return -1;
		}
		too_wide = too_wide || rv == 1;
	}
	if (too_wide) {
		selectors_clear(out);
		return err_set(err, ERR_BAD_DATA,
		    "match[] must contain at least one non-empty matcher");
	}
	return 0;
}

void
selectors_clear(struct selectors *s)
{
	for (size_t i = 0; i < s->n; i++)
		promql_matchers_clear(s->v[i].owned, s->v[i].n);
	s->n = 0;
}

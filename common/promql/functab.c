/* SPDX-License-Identifier: ISC */
/* The function table, sorted by name for the search. */

#include "common/promql/functab.h"

static const struct promql_func funcs[] = {
#define X(id, name, args, variadic, ret, exp) \
	{ name, args, PROMQL_FN_##id, sizeof(args) - 1, variadic, exp, \
	    (ret) == 'S' ? PROMQL_TYPE_SCALAR : PROMQL_TYPE_VECTOR },
	PROMQL_FUNCTIONS(X)
#undef X
};

const struct promql_func *
promql_func_find(struct str name)
{
	size_t lo = 0, hi = PROMQL_FN_N, mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = str_cmp(name, str_c(funcs[mid].name));
		if (c == 0)
			return &funcs[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct promql_func *
promql_func_get(enum promql_func_id id)
{
	return &funcs[id];
}

enum promql_value_type
promql_func_arg_type(const struct promql_func *f, size_t i)
{
	if (f->n_args == 0)
		return PROMQL_TYPE_NONE;
	switch (f->args[i < f->n_args ? i : f->n_args - 1u]) {
	case 'V':
		return PROMQL_TYPE_VECTOR;
	case 'M':
		return PROMQL_TYPE_MATRIX;
	case 'S':
		return PROMQL_TYPE_SCALAR;
	case 'T':
		return PROMQL_TYPE_STRING;
	default:
		return PROMQL_TYPE_NONE;
	}
}

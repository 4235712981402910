/* SPDX-License-Identifier: ISC */
/*
 * Paths of the configuration: relative ones belong to the directory of the
 * file they stand in. Joining and cleaning as Go's path/filepath.
 */

#include "common/config/value.h"

struct str
cfg_path_dir(struct arena *a, struct str path)
{
	size_t n = path.n;

	while (n > 0 && path.p[n - 1] != '/')
		n--;
	while (n > 1 && path.p[n - 1] == '/')
		n--;
	return n == 0 ? STR_LIT(".") : arena_str(a, str_from(path.p, n));
}

/* Length of out after the last element is taken away; 0 if there is none. */
static size_t
without_last(const char *out, size_t n, size_t root)
{
	while (n > root && out[n - 1] != '/')
		n--;
	return n > root ? n - 1 : root;
}

/* Cuts "//", "." and what ".." takes back; out has room for path.n + 1. */
static size_t
clean(struct str path, char *out)
{
	size_t root = path.n > 0 && path.p[0] == '/', n = 0, i = 0, start;
	size_t n_up = 0;	/* leading ".." that stay */
	struct str part;

	if (root)
		out[n++] = '/';
	while (i < path.n) {
		for (; i < path.n && path.p[i] == '/'; i++)
			;
		for (start = i; i < path.n && path.p[i] != '/'; i++)
			;
		part = str_from(path.p + start, i - start);
		if (part.n == 0 || str_eq_c(part, "."))
			continue;
		if (str_eq_c(part, "..")) {
			if (n > root && n > n_up) {
				n = without_last(out, n, root);
				continue;
			}
			if (root)
				continue;
		}
		if (n > root)
			out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
		if (str_eq_c(part, ".."))
			n_up = n;
	}
	if (n == 0)
		out[n++] = '.';
	return n;
}

struct str
cfg_path_join(struct arena *a, struct str dir, struct str path)
{
	char *whole, *out;
	size_t n;

	if (path.n == 0 || path.p[0] == '/')
		return path;
	whole = arena_printf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path));
	out = arena_alloc(a, dir.n + path.n + 3);
	if (whole == NULL || out == NULL)
		return (struct str){ NULL, 0 };
	n = clean(dir.n == 0 ? path : str_c(whole), out);
	out[n] = '\0';
	return str_from(out, n);
}

int
cfg_join_dir(struct cfg_reader *r, struct cfg_val *v, struct str dir)
{
	size_t i;

	if (v->is_nil)
		return 0;
	switch (v->type->kind) {
	case CFG_PATH:
		v->u.s = cfg_path_join(r->mem, dir, v->u.s);
		return v->u.s.p == NULL ? cfg_fail(r, v->line,
		    "out of memory") : 0;
	case CFG_STRUCT:
		for (i = 0; i < v->type->n_fields; i++)
			if (cfg_join_dir(r, &v->u.fields[i], dir) == -1)
				return -1;
		return 0;
	case CFG_LIST:
		for (i = 0; i < v->u.list.n; i++)
			if (cfg_join_dir(r, &v->u.list.v[i], dir) == -1)
				return -1;
		return 0;
	case CFG_MAP:
		for (i = 0; i < v->u.map.n; i++)
			if (cfg_join_dir(r, &v->u.map.e[i].val, dir) == -1)
				return -1;
		return 0;
	default:
		return 0;
	}
}

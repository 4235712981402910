/* SPDX-License-Identifier: ISC */
/* labels and label/<name>/values. */
#include <stdlib.h>

#include "common/base/json.h"
#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/labels/labels.h"
#include "workers/query/api.h"
#include "workers/query/render.h"
#include "workers/query/selectors.h"

struct texts {
	struct str	*v;	/* in the arena */
	size_t		 n;
};

static int
str_order(const void *a, const void *b)
{
	const struct str *x = a, *y = b;

	return str_cmp(*x, *y);
}

/* Adds more to *all; sorting and dropping doubles comes at the end. */
static int
texts_join(struct arena *a, struct texts *all, struct texts more,
    struct err *err)
{
	struct str *v;

	if (all->n == 0) {
		*all = more;
		return 0;
	}
	v = arena_array(a, all->n + more.n, sizeof(*v));
	if (v == NULL)
		return err_set(err, ERR_LIMIT,
		    "query exceeds its memory limit");
	memcpy(v, all->v, all->n * sizeof(*v));
	if (more.n > 0)
		memcpy(v + all->n, more.v, more.n * sizeof(*v));
	*all = (struct texts){ v, all->n + more.n };
	qsort(v, all->n, sizeof(*v), str_order);
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (n == 0 || !str_eq(v[n - 1], v[i]))
			v[n++] = v[i];
	}
	all->n = n;
	return 0;
}

/* name.p == NULL: names, else the values of that name. */
static int
collect(const struct api_env *env, struct arena *a, struct str name,
    const struct selectors *sel, const struct source_hints *hints,
    struct texts *all, struct err *err)
{
	struct source *src = env->src;
	size_t rounds = sel->n == 0 ? 1 : sel->n;

	for (size_t i = 0; i < rounds; i++) {
		const struct matcher *const *m = sel->n == 0 ? NULL :
		    sel->v[i].m;
		size_t n = sel->n == 0 ? 0 : sel->v[i].n;
		struct texts got = { 0 };
		int rv = name.p == NULL ?
		    src->ops->label_names(src, m, n, hints, &got.v, &got.n,
		    err) :
		    src->ops->label_values(src, name, m, n, hints, &got.v,
		    &got.n, err);

		if (rv == -1 || texts_join(a, all, got, err) == -1)
			return -1;
	}
	return 0;
}

static bool
render_texts(struct body *body, struct texts all, uint64_t limit)
{
	struct notes notes = { 0 };

	if (limit > 0 && all.n > limit) {
		all.n = limit;
		notes_add_warning(&notes,
		    STR_LIT("results truncated due to limit"));
	}
	render_begin(&body->text);
	buf_add_byte(&body->text, '[');
	for (size_t i = 0; i < all.n; i++) {
		if (i > 0)
			buf_add_byte(&body->text, ',');
		json_add_str(&body->text, all.v[i], true);
		if (!body_step(body))
			return false;
	}
	buf_add_byte(&body->text, ']');
	render_end(&body->text, &notes);
	return true;
}

static int
answer_texts(const struct api_env *env, const struct api_request *req,
    struct str name, struct api_answer *a, struct err *err)
{
	struct source_hints hints = { .series_only = true };
	struct selectors sel;
	struct texts all = { 0 };
	uint64_t limit;
	struct arena mem;
	int rv;

	if (params_limit(&req->params, &limit, err) == -1 ||
	    params_time(&req->params, "start", PARAM_TIME_MIN_MS,
	    &hints.mint_ms, err) == -1 ||
	    params_time(&req->params, "end", PARAM_TIME_MAX_MS,
	    &hints.maxt_ms, err) == -1)
		return -1;
	hints.limit = limit < UINT32_MAX ? (uint32_t)(limit + (limit > 0)) :
	    0;
	arena_init(&mem, env->memory_limit_bytes);
	rv = selectors_parse(&req->params, &mem, &sel, err);
	if (rv == 0) {
		rv = env->src->ops->begin(env->src, &mem, err);
		if (rv == 0) {
			rv = collect(env, &mem, name, &sel, &hints, &all,
			    err);
			/* texts of symbols stay; clients may be slow */
			env->src->ops->end(env->src);
		}
		if (rv == 0) {
			a->http_status = 200;
			(void)render_texts(&a->body, all, limit);
		}
		selectors_clear(&sel);
	}
	a->peak_bytes = mem.peak_bytes;
	arena_clear(&mem);
	return rv;
}

int
api_labels(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	return answer_texts(env, req, (struct str){ NULL, 0 }, a, err);
}

/* Up to six hex digits between underscores; the rune, 0 when it is none. */
static uint32_t
escaped_rune(struct str s, size_t *i)
{
	uint32_t v = 0;
	size_t n = 0;

	for (; *i < s.n && s.p[*i] != '_'; (*i)++, n++) {
		char c = s.p[*i];
		int d = c >= '0' && c <= '9' ? c - '0' :
		    c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

		if (d == -1 || n == 6)
			return 0;
		v = v * 16 + (uint32_t)d;
	}
	if (*i == s.n || n == 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	(*i)++;
	return v;
}

/*
 * Values escaping: U__ in front, "__" is '_', "_1f525_" a rune. A name that
 * does not follow it means itself.
 */
static struct str
name_unescape(struct arena *a, struct str s)
{
	char *out;
	size_t n = 0, i = 3;

	if (!str_has_prefix(s, STR_LIT("U__")) ||
	    (out = arena_alloc(a, s.n + 4)) == NULL)
		return s;
	while (i < s.n) {
		char c = s.p[i++];

		if (c != '_') {
			out[n++] = c;
			continue;
		}
		if (i == s.n)
			return s;
		if (s.p[i] == '_') {
			out[n++] = '_';
			i++;
			continue;
		}
		uint32_t rune = escaped_rune(s, &i);

		if (rune == 0)
			return s;
		n += utf8_encode(rune, out + n);
	}
	return str_from(out, n);
}

int
api_label_values(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	struct arena mem;
	int rv;

	arena_init(&mem, 0);
	struct str name = name_unescape(&mem, req->arg);

	if (!label_name_is_valid(name)) {
		struct buf b;

		buf_init(&b, 0);
		quote_add(&b, name);
		rv = err_set(err, ERR_BAD_DATA, "invalid label name: %.*s",
		    STR_ARG(buf_str(&b)));
		buf_clear(&b);
	} else
		rv = answer_texts(env, req, name, a, err);
	arena_clear(&mem);
	return rv;
}

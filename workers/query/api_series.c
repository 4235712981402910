/* SPDX-License-Identifier: ISC */
/*
 * series: the label sets that match any of the selectors. With one selector
 * in the order of the source; with several sorted, each once.
 */
#include <stdlib.h>

#include "common/base/json.h"
#include "common/labels/labels.h"
#include "workers/query/api.h"
#include "workers/query/render.h"
#include "workers/query/selectors.h"

struct found {
	const struct label_sym	*labels;
	uint32_t		 n_labels;
};

struct found_set {
	struct source	*src;
	struct arena	*mem;
	struct found	*v;
	size_t		 n, cap;
};

static int
found_push(struct found_set *f, struct found item, struct err *err)
{
	if (f->n == f->cap) {
		size_t cap = f->cap == 0 ? 256 : f->cap * 2;
		struct found *v = arena_array(f->mem, cap, sizeof(*v));

		if (v == NULL)
			return err_set(err, ERR_LIMIT,
			    "query exceeds its memory limit");
		if (f->n > 0)
			memcpy(v, f->v, f->n * sizeof(*v));
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = item;
	return 0;
}

static int
select_one(struct found_set *f, const struct selector *sel,
    const struct source_hints *hints, uint64_t most, struct err *err)
{
	const struct source_ops *ops = f->src->ops;
	struct source_cursor *c;
	struct source_series s;
	size_t from = f->n;
	int rv;

	if (ops->select(f->src, sel->m, sel->n, hints, &c, err) == -1)
		return -1;
	while ((rv = ops->next(c, &s, err)) == 1) {
		struct label_sym *l = arena_array(f->mem, s.n_labels,
		    sizeof(*l));

		/* a copy, so that rendering needs no epoch */
		if (l == NULL)
			return err_set(err, ERR_LIMIT,
			    "query exceeds its memory limit");
		if (s.n_labels > 0)
			memcpy(l, s.labels, s.n_labels * sizeof(*l));
		if (found_push(f, (struct found){ l, s.n_labels }, err) == -1)
			return -1;
		if (most > 0 && f->n - from == most)
			return 0;
		if (f->n % 128 == 0 && ops->cancelled != NULL &&
		    ops->cancelled(f->src))
			return err_set(err, ERR_CANCELED, "context canceled");
	}
	return rv;
}

/* By label names and values, as the reference orders label sets. */
static int
found_order(const void *x, const void *y, void *arg)
{
	const struct found *a = x, *b = y;
	struct source *src = arg;
	uint32_t n = a->n_labels < b->n_labels ? a->n_labels : b->n_labels;
	int c;

	for (uint32_t i = 0; i < n; i++) {
		if (a->labels[i].name != b->labels[i].name &&
		    (c = str_cmp(src->ops->symbol(src, a->labels[i].name),
		    src->ops->symbol(src, b->labels[i].name))) != 0)
			return c;
		if (a->labels[i].value != b->labels[i].value &&
		    (c = str_cmp(src->ops->symbol(src, a->labels[i].value),
		    src->ops->symbol(src, b->labels[i].value))) != 0)
			return c;
	}
	return (a->n_labels > b->n_labels) - (a->n_labels < b->n_labels);
}

static void
found_sort(struct found_set *f)
{
	size_t n = 0;

	qsort_r(f->v, f->n, sizeof(*f->v), found_order, f->src);
	for (size_t i = 0; i < f->n; i++) {
		if (n == 0 || found_order(&f->v[n - 1], &f->v[i],
		    f->src) != 0)
			f->v[n++] = f->v[i];
	}
	f->n = n;
}

static void
render_found(struct body *body, const struct found_set *f, uint64_t limit)
{
	struct notes notes = { 0 };
	struct buf *b = &body->text;
	struct source *src = f->src;
	size_t n = f->n;

	if (limit > 0 && n > limit) {
		n = limit;
		notes_add_warning(&notes,
		    STR_LIT("results truncated due to limit"));
	}
	render_begin(b);
	buf_add_byte(b, '[');
	for (size_t i = 0; i < n; i++) {
		const struct found *s = &f->v[i];

		buf_add_c(b, i == 0 ? "{" : ",{");
		for (uint32_t k = 0; k < s->n_labels; k++) {
			if (k > 0)
				buf_add_byte(b, ',');
			json_add_str(b, src->ops->symbol(src,
			    s->labels[k].name), false);
			buf_add_byte(b, ':');
			json_add_str(b, src->ops->symbol(src,
			    s->labels[k].value), false);
		}
		buf_add_byte(b, '}');
		if (!body_step(body))
			return;
	}
	buf_add_byte(b, ']');
	render_end(b, &notes);
}

static int
answer_series(const struct api_env *env, const struct selectors *sel,
    const struct source_hints *hints, uint64_t limit, struct arena *mem,
    struct api_answer *a, struct err *err)
{
	struct found_set f = { .src = env->src, .mem = mem };
	uint64_t most = limit == 0 || limit == UINT64_MAX ? 0 : limit + 1;
	int rv = env->src->ops->begin(env->src, mem, err);

	if (rv == -1)
		return -1;
	for (size_t i = 0; i < sel->n && rv != -1; i++)
		rv = select_one(&f, &sel->v[i], hints, most, err);
	env->src->ops->end(env->src);
	if (rv != -1) {
		if (sel->n > 1)
			found_sort(&f);
		a->http_status = 200;
		render_found(&a->body, &f, limit);
	}
	return rv;
}

int
api_series(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	struct source_hints hints = { .series_only = true };
	struct selectors sel;
	struct arena mem;
	uint64_t limit;
	bool any = false;
	int rv;

	for (size_t i = 0; i < req->params.n && !any; i++)
		any = str_eq_c(req->params.items[i].name, "match[]");
	if (!any)
		return err_set(err, ERR_BAD_DATA,
		    "no match[] parameter provided");
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
	if (rv == -1)
		(void)param_invalid(err, "match[]");
	else {
		rv = answer_series(env, &sel, &hints, limit, &mem, a, err);
		selectors_clear(&sel);
	}
	a->peak_bytes = mem.peak_bytes;
	arena_clear(&mem);
	return rv;
}

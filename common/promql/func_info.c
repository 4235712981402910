/* SPDX-License-Identifier: ISC */

/*
 * info(v, {data labels}): adds labels of info metrics (target_info by
 * default) to series that share instance and job with them.
 *
 * The info series are selected by what v turned out to hold, read at the
 * time that v's first selector looks at, and sorted into signatures (info
 * metric's name, instance, job): at each step the newest sample of a
 * signature counts. Then each series of v gets, step by step, the labels of
 * the info series that it meets.
 */

#include "common/promql/eval.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/select.h"

#define N_ID	2

static const char *const id_labels[N_ID] = { "instance", "job" };

struct info {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*e;
	const struct matcher	*data;		/* of the second argument */
	size_t			 n_data;
	struct matcher		*own;		/* made here */
	size_t			 n_own;
	const struct matcher	**names;	/* which metrics are info ones */
	size_t			 n_names;
	struct matrix		 base, infos, out;
	bool			*ignored;	/* by base series */
	struct promql_modifiers	 mod;		/* when infos are looked at */
	struct str		*info_names;	/* distinct */
	size_t			 n_info_names;
	struct lset_index	 sigs;		/* {name, instance, job} */
	uint32_t		**best;		/* by signature: info + 1 a step */
	struct lset_index	 out_index;
	struct arena		 mem;
};

/* --- what is looked for --- */

static int
own_matcher(struct info *x, enum matcher_type type, const char *name,
    struct str value, const struct matcher **out)
{
	struct err e = ERR_INIT;

	if (x->n_own == 8)
		return q_fail(x->q, "too many info matchers");
	if (matcher_init(&x->own[x->n_own], type, str_c(name), value, &e) == -1)
		return q_fail(x->q, "%s", e.text);
	*out = &x->own[x->n_own++];
	return 0;
}

static bool
is_name(const struct matcher *m)
{
	return str_eq_c(m->name, "__name__");
}

static int
find_name_matchers(struct info *x)
{
	bool positive = false;
	size_t n = 0;

	x->names = arena_array(&x->mem, x->n_data + 2, sizeof(*x->names));
	x->own = arena_zalloc(&x->mem, 8 * sizeof(*x->own));
	if (x->names == NULL || x->own == NULL)
		return q_nomem(x->q);
	for (size_t i = 0; i < x->n_data; i++) {
		if (!is_name(&x->data[i]))
			continue;
		positive |= x->data[i].type == MATCH_EQUAL ||
		    x->data[i].type == MATCH_REGEXP;
		x->names[n++] = &x->data[i];
	}
	x->n_names = n;
	if (positive)
		return 0;
	x->n_names++;
	return own_matcher(x, n > 0 ? MATCH_REGEXP : MATCH_EQUAL, "__name__",
	    n > 0 ? STR_LIT(".+_info") : STR_LIT("target_info"),
	    &x->names[n]);
}

static int
mark_ignored(struct info *x)
{
	x->ignored = arena_zalloc(&x->mem, x->base.n + 1);
	if (x->ignored == NULL)
		return q_nomem(x->q);
	for (size_t i = 0; i < x->base.n; i++) {
		struct str name = q_metric_name(x->q, x->base.s[i].ls);
		bool all = true;

		for (size_t k = 0; k < x->n_names && all; k++)
			all = matcher_matches(x->names[k], name);
		x->ignored[i] = all;
	}
	return 0;
}

/* v1|v2|… of a label's values in the base series; empty if there are none. */
static int
value_pattern(struct info *x, const char *label, struct buf *out)
{
	struct lset_index seen;
	int rc = 0;

	lset_index_init(&seen, x->q->mem);
	for (size_t i = 0; i < x->base.n && rc == 0; i++) {
		struct label_sym *one = arena_array(&x->mem, 1, sizeof(*one));
		bool is_new;

		if (one == NULL) {
			rc = q_nomem(x->q);
			break;
		}
		if (x->ignored[i])
			continue;
		struct str v = lset_get(x->q->syms, x->base.s[i].ls,
		    str_c(label));
		if (v.n == 0)
			continue;
		if (!symtab_intern(x->q->syms, v, &one->value)) {
			rc = q_nomem(x->q);
			break;
		}
		one->name = 0;
		if (lset_index_add(&seen, (struct lset){ one, 1 }, &is_new) ==
		    -1)
			rc = q_nomem(x->q);
		if (rc == -1 || !is_new)
			continue;
		if (out->n != 0)
			buf_add_byte(out, '|');
		for (size_t k = 0; k < v.n; k++) {
			if (strchr("\\.+*?()|[]{}^$", v.p[k]) != NULL &&
			    v.p[k] != '\0')
				buf_add_byte(out, '\\');
			buf_add_byte(out, (uint8_t)v.p[k]);
		}
	}
	lset_index_clear(&seen);
	return rc == 0 && buf_failed(out) ? q_nomem(x->q) : rc;
}

/* --- reading the info series --- */

/*
 * The first selector below e says when infos are looked at: offsets of the
 * subqueries around it add up until one has an @.
 */
static bool
find_time(struct promql_expr *e, struct promql_modifiers *m)
{
	struct promql_expr *c;

	if (e->type == PROMQL_VECTOR) {
		*m = e->vector.mod;
		return true;
	}
	if (e->type == PROMQL_MATRIX)
		return find_time(e->matrix.selector, m);
	for (size_t i = 0; (c = promql_expr_child(e, i)) != NULL; i++) {
		if (!find_time(c, m))
			continue;
		if (e->type == PROMQL_SUBQUERY && m->at == PROMQL_AT_NONE) {
			m->offset_ns += e->subquery.mod.offset_ns;
			m->at = e->subquery.mod.at;
			m->at_ms = e->subquery.mod.at_ms;
		}
		return true;
	}
	return false;
}

static int
read_infos(struct info *x, const struct matcher *const *m, size_t n)
{
	struct evaluator *ev = x->ev;
	struct source_hints hints = { .step_ms = ev->step_ms };
	struct source_cursor *cur;
	struct source_series ser;
	struct samples s;
	struct pbuf b;
	int rc;

	hints.mint_ms = select_ref_ms(ev, &x->mod, 0) -
	    x->q->lookback_ms + 1;
	hints.maxt_ms = select_ref_ms(ev, &x->mod, ev->n_steps - 1);
	if (select_matchers(x->q, m, n, &hints, &cur) == -1 ||
	    pbuf_init(&b, x->q, ev->n_steps) == -1)
		return -1;
	samples_init(&s, x->q);
	while ((rc = select_next(x->q, cur, &ser)) == 1) {
		pbuf_reset(&b);
		if (samples_read(&s, &ser, hints.mint_ms, hints.maxt_ms,
		    false) == -1) {
			rc = -1;
			break;
		}
		if (s.nh != 0) {
			rc = q_fail(x->q, "this should be an info metric, "
			    "with float samples");
			break;
		}
		if (instant_fill(ev, &s, &x->mod, &b, INSTANT_TIME_MS) == -1) {
			rc = -1;
			break;
		}
		if (b.s.n_floats == 0)
			continue;
		b.s.ls = symtab_import(x->q->syms, ser.labels, ser.n_labels);
		if (b.s.ls.l == NULL && b.s.ls.n > 0) {
			rc = q_nomem(x->q);
			break;
		}
		if (matrix_add(&x->infos, &b.s) == -1) {
			rc = -1;
			break;
		}
	}
	samples_clear(&s);
	pbuf_clear(&b);
	return rc;
}

static int
select_infos(struct info *x)
{
	const struct matcher **m = arena_array(&x->mem,
	    x->n_data + x->n_names + N_ID, sizeof(*m));
	size_t n = 0;
	struct buf b;

	if (m == NULL)
		return q_nomem(x->q);
	buf_init(&b, 0);
	for (int i = 0; i < N_ID; i++) {
		buf_reset(&b);
		if (value_pattern(x, id_labels[i], &b) == -1) {
			buf_clear(&b);
			return -1;
		}
		if (b.n != 0 && own_matcher(x, MATCH_REGEXP, id_labels[i],
		    buf_str(&b), &m[n++]) == -1) {
			buf_clear(&b);
			return -1;
		}
	}
	buf_clear(&b);
	if (n == 0)
		return 0;	/* nothing to join on */
	for (size_t i = 0; i < x->n_data; i++)
		if (!is_name(&x->data[i]))
			m[n++] = &x->data[i];
	for (size_t i = 0; i < x->n_names; i++)
		m[n++] = x->names[i];
	return read_infos(x, m, n);
}

/* --- signatures --- */

/* {__name__: name, instance, job} of ls. */
static int
signature(struct info *x, struct lset ls, struct str name, struct lset *out)
{
	struct lset sig = LSET_EMPTY;

	sig = lset_with(&x->mem, x->q->syms, sig, STR_LIT("__name__"), name);
	for (int i = 0; i < N_ID && !(sig.l == NULL && sig.n > 0); i++)
		sig = lset_with(&x->mem, x->q->syms, sig, str_c(id_labels[i]),
		    lset_get(x->q->syms, ls, str_c(id_labels[i])));
	if (sig.l == NULL && sig.n > 0)
		return q_nomem(x->q);
	*out = sig;
	return 0;
}

static int
fail_duplicate(struct info *x, const struct pseries *old,
    const struct pseries *new, uint32_t step)
{
	struct buf a, b;

	buf_init(&a, 0);
	buf_init(&b, 0);
	lset_format(x->q->syms, old->ls, &a);
	lset_format(x->q->syms, new->ls, &b);
	int rc = q_fail(x->q, "found duplicate series for info metric: "
	    "existing %.*s @ %lld, new %.*s @ %lld", STR_ARG(buf_str(&a)),
	    (long long)old->v[step], STR_ARG(buf_str(&b)),
	    (long long)new->v[step]);
	buf_clear(&a);
	buf_clear(&b);
	return rc;
}

static int
add_name(struct info *x, struct str name)
{
	for (size_t i = 0; i < x->n_info_names; i++)
		if (str_eq(x->info_names[i], name))
			return 0;
	x->info_names[x->n_info_names++] = name;
	return 0;
}

static int
find_best(struct info *x)
{
	uint32_t n = x->ev->n_steps;

	x->best = arena_zalloc(&x->mem, (x->infos.n + 1) * sizeof(*x->best));
	x->info_names = arena_array(&x->mem, x->infos.n + 1,
	    sizeof(*x->info_names));
	if (x->best == NULL || x->info_names == NULL)
		return q_nomem(x->q);
	for (size_t i = 0; i < x->infos.n; i++) {
		struct pseries *s = &x->infos.s[i];
		struct str name = q_metric_name(x->q, s->ls);
		struct lset sig;
		bool is_new;

		if (signature(x, s->ls, name, &sig) == -1)
			return -1;
		(void)add_name(x, name);
		int64_t k = lset_index_add(&x->sigs, sig, &is_new);
		if (k == -1)
			return q_nomem(x->q);
		if (is_new) {
			x->best[k] = arena_zalloc(&x->mem,
			    n * sizeof(uint32_t));
			if (x->best[k] == NULL)
				return q_nomem(x->q);
		}
		for (uint32_t t = 0; t < n; t++) {
			if (s->kind[t] == K_NONE)
				continue;
			uint32_t old = x->best[k][t];
			if (old != 0) {
				struct pseries *o = &x->infos.s[old - 1];

				if (o->v[t] > s->v[t])
					continue;
				if (o->v[t] == s->v[t])
					return fail_duplicate(x, o, s, t);
			}
			x->best[k][t] = (uint32_t)i + 1;
		}
	}
	return 0;
}

/* --- joining --- */

static bool
is_wanted(const struct info *x, struct str name, bool *restricted)
{
	bool found = false;

	*restricted = false;
	for (size_t i = 0; i < x->n_data; i++) {
		if (is_name(&x->data[i]))
			continue;
		*restricted = true;
		found |= str_eq(x->data[i].name, name);
	}
	return found || !*restricted;
}

/* Adds the data labels of one info series to what was added before. */
static int
add_data(struct info *x, struct lset base, struct lset info,
    struct lset *added)
{
	const struct symtab *t = x->q->syms;

	for (uint32_t i = 0; i < info.n; i++) {
		struct str name = symtab_text(t, info.l[i].name);
		struct str value = symtab_text(t, info.l[i].value);
		bool restricted;

		if (str_eq_c(name, "__name__") ||
		    !is_wanted(x, name, &restricted))
			continue;
		struct str old = lset_get(t, *added, name);
		if (old.n != 0 && !str_eq(old, value))
			return q_fail(x->q, "conflicting label: %.*s",
			    STR_ARG(name));
		if (lset_get(t, base, name).n != 0)
			continue;
		*added = lset_with(&x->mem, x->q->syms, *added, name, value);
		if (added->l == NULL && added->n > 0)
			return q_nomem(x->q);
	}
	return 0;
}

static bool
data_may_be_missing(const struct info *x)
{
	for (size_t i = 0; i < x->n_data; i++)
		if (!is_name(&x->data[i]) &&
		    !matcher_matches_empty(&x->data[i]))
			return false;
	return true;
}

static int
joined_labels(struct info *x, struct lset base, const uint32_t *chosen,
    struct lset *out)
{
	struct lset added = LSET_EMPTY;

	for (size_t k = 0; k < x->n_info_names; k++)
		if (chosen[k] != 0 && add_data(x, base,
		    x->infos.s[chosen[k] - 1].ls, &added) == -1)
			return -1;
	*out = base;
	for (uint32_t i = 0; i < added.n; i++) {
		*out = lset_with(x->q->mem, x->q->syms, *out,
		    symtab_text(x->q->syms, added.l[i].name),
		    symtab_text(x->q->syms, added.l[i].value));
		if (out->l == NULL && out->n > 0)
			return q_nomem(x->q);
	}
	return 0;
}

static int
emit(struct info *x, struct lset ls, const struct pseries *s, uint32_t step)
{
	bool is_new;
	int64_t k = lset_index_add(&x->out_index, ls, &is_new);

	if (k == -1)
		return q_nomem(x->q);
	if (is_new && matrix_new_series(&x->out, ls, s->drop_name) == NULL)
		return -1;
	struct pseries *out = &x->out.s[k];
	if (out->kind[step] != K_NONE)
		return q_fail(x->q,
		    "vector cannot contain metrics with the same labelset");
	if (s->kind[step] == K_HIST)
		return matrix_set_hist(&x->out, out, step, s->h[step]);
	return matrix_set_float(&x->out, out, step, s->v[step]);
}

static int
join_series(struct info *x, size_t i)
{
	struct pseries *s = &x->base.s[i];
	uint32_t *chosen = arena_zalloc(&x->mem,
	    (x->n_info_names + 1) * 2 * sizeof(*chosen));
	int64_t *sig = arena_array(&x->mem, x->n_info_names, sizeof(*sig));
	bool have = false, missing_ok = data_may_be_missing(x);
	struct lset ls = s->ls;

	if (chosen == NULL || sig == NULL)
		return q_nomem(x->q);
	uint32_t *now = chosen + x->n_info_names + 1;
	for (size_t k = 0; k < x->n_info_names; k++) {
		struct lset key;

		if (signature(x, s->ls, x->info_names[k], &key) == -1)
			return -1;
		sig[k] = lset_index_get(&x->sigs, key);
	}
	for (uint32_t t = 0; t < x->ev->n_steps; t++) {
		bool any = false;

		if (s->kind[t] == K_NONE)
			continue;
		if (x->ignored[i]) {
			if (emit(x, s->ls, s, t) == -1)
				return -1;
			continue;
		}
		for (size_t k = 0; k < x->n_info_names; k++) {
			now[k] = sig[k] == -1 ? 0 : x->best[sig[k]][t];
			any |= now[k] != 0;
		}
		if (!any && !missing_ok)
			continue;
		if (!have || memcmp(now, chosen,
		    x->n_info_names * sizeof(*now)) != 0) {
			memcpy(chosen, now, x->n_info_names * sizeof(*now));
			if (joined_labels(x, s->ls, chosen, &ls) == -1)
				return -1;
			have = true;
		}
		if (emit(x, ls, s, t) == -1)
			return -1;
	}
	return 0;
}

static int
run(struct info *x)
{
	if (find_name_matchers(x) == -1)
		return -1;
	(void)find_time(x->e->call.args[0], &x->mod);
	if (eval_matrix(x->ev, x->e->call.args[0], &x->base) == -1 ||
	    mark_ignored(x) == -1 || select_infos(x) == -1 ||
	    find_best(x) == -1)
		return -1;
	for (size_t i = 0; i < x->base.n; i++)
		if (join_series(x, i) == -1)
			return -1;
	return 0;
}

int
eval_call_info(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct info x = { .ev = ev, .q = ev->q, .e = e };
	int rc;

	if (e->call.n_args > 1) {
		struct promql_expr *sel = promql_expr_unwrap(e->call.args[1]);

		x.data = sel->vector.matchers;
		x.n_data = sel->vector.n_matchers;
	}
	arena_init(&x.mem, 0);
	matrix_init(&x.base, ev->q, ev->n_steps);
	matrix_init(&x.infos, ev->q, ev->n_steps);
	matrix_init(&x.out, ev->q, ev->n_steps);
	lset_index_init(&x.sigs, ev->q->mem);
	lset_index_init(&x.out_index, ev->q->mem);
	rc = run(&x);
	if (rc == 0)
		rc = matrix_push(&x.out, sink, ctx);
	for (size_t i = 0; i < x.n_own; i++)
		matcher_clear(&x.own[i]);
	lset_index_clear(&x.sigs);
	lset_index_clear(&x.out_index);
	matrix_clear(&x.base);
	matrix_clear(&x.infos);
	matrix_clear(&x.out);
	arena_clear(&x.mem);
	return rc;
}

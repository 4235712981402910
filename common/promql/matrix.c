/* SPDX-License-Identifier: ISC */

/*
 * Series kept: the buffer of one series, matrices of many, and the stage
 * that finds equal label sets.
 *
 * A matrix copies what it is given into an arena of its own and tells the
 * query's byte account about it; clearing gives the bytes back at once.
 */

#include "common/promql/eval.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"

/* --- one series --- */

/* A double, a kind, a pointer. */
#define PBUF_STEP_BYTES	17

int
pbuf_init(struct pbuf *b, struct query *q, uint32_t n_steps)
{
	*b = (struct pbuf){ .q = q, .n_steps = n_steps };
	arena_init(&b->mem, 0);
	arena_init(&b->hmem, 0);
	if (!arena_account(q->mem, (size_t)n_steps * PBUF_STEP_BYTES))
		return q_nomem(q);
	b->accounted = (size_t)n_steps * PBUF_STEP_BYTES;
	b->s.v = arena_array(&b->mem, n_steps, sizeof(double));
	b->s.kind = arena_zalloc(&b->mem, n_steps);
	if (b->s.v == NULL || b->s.kind == NULL) {
		pbuf_clear(b);
		return q_nomem(q);
	}
	return 0;
}

void
pbuf_clear(struct pbuf *b)
{
	if (b->accounted + b->h_accounted != 0)
		arena_release(b->q->mem, b->accounted + b->h_accounted);
	b->accounted = b->h_accounted = 0;
	arena_clear(&b->mem);
	arena_clear(&b->hmem);
}

void
pbuf_reset(struct pbuf *b)
{
	memset(b->s.kind, 0, b->n_steps);
	b->s.n_floats = b->s.n_hists = 0;
	b->s.drop_name = false;
	if (b->s.h != NULL)
		arena_reset(&b->hmem);
}

int
pbuf_account(struct pbuf *b)
{
	size_t used = b->hmem.used_bytes;

	if (used > b->h_accounted) {
		if (!arena_account(b->q->mem, used - b->h_accounted))
			return q_nomem(b->q);
		b->h_accounted = used;
	}
	return 0;
}

int
pbuf_need_h(struct pbuf *b)
{
	b->s.h = arena_array(&b->mem, b->n_steps, sizeof(*b->s.h));
	return b->s.h == NULL ? q_nomem(b->q) : 0;
}

uint64_t
pseries_samples(const struct pseries *s, uint32_t n_steps)
{
	uint64_t n = s->n_floats;

	if (s->n_hists == 0)
		return n;
	for (uint32_t i = 0; i < n_steps; i++)
		if (s->kind[i] == K_HIST)
			n += fhist_samples(s->h[i]);
	return n;
}

/* --- matrices --- */

void
matrix_init(struct matrix *m, struct query *q, uint32_t n_steps)
{
	*m = (struct matrix){ .q = q, .n_steps = n_steps };
	arena_init(&m->mem, 0);
}

void
matrix_clear(struct matrix *m)
{
	if (m->q != NULL && m->accounted != 0)
		arena_release(m->q->mem, m->accounted);
	m->accounted = 0;
	arena_clear(&m->mem);
	free(m->s);
	m->s = NULL;
	m->n = m->cap = 0;
}

int
matrix_account(struct matrix *m)
{
	size_t used = m->mem.used_bytes + m->cap * sizeof(*m->s);

	if (used > m->accounted) {
		if (!arena_account(m->q->mem, used - m->accounted))
			return q_nomem(m->q);
		m->accounted = used;
	}
	return 0;
}

struct pseries *
matrix_new_series(struct matrix *m, struct lset ls, bool drop_name)
{
	if (vec_grow(&m->s, &m->cap, m->n + 1, sizeof(*m->s)) == -1) {
		(void)q_nomem(m->q);
		return NULL;
	}
	struct pseries *s = &m->s[m->n];
	*s = (struct pseries){ .ls = ls, .drop_name = drop_name };
	s->v = arena_array(&m->mem, m->n_steps, sizeof(double));
	s->kind = arena_zalloc(&m->mem, m->n_steps);
	if (s->v == NULL || s->kind == NULL) {
		(void)q_nomem(m->q);
		return NULL;
	}
	m->n++;
	return matrix_account(m) == -1 ? NULL : s;
}

int
matrix_set_float(struct matrix *m, struct pseries *s, uint32_t step, double v)
{
	(void)m;
	s->v[step] = v;
	s->kind[step] = K_FLOAT;
	s->n_floats++;
	return 0;
}

int
matrix_set_hist(struct matrix *m, struct pseries *s, uint32_t step,
    const struct fhist *h)
{
	if (s->h == NULL) {
		s->h = arena_zalloc(&m->mem, m->n_steps * sizeof(*s->h));
		if (s->h == NULL)
			return q_nomem(m->q);
	}
	s->h[step] = fhist_dup(&m->mem, h);
	if (s->h[step] == NULL)
		return q_nomem(m->q);
	s->kind[step] = K_HIST;
	s->n_hists++;
	return 0;
}

int
matrix_add(struct matrix *m, const struct pseries *from)
{
	struct pseries *s = matrix_new_series(m, from->ls, from->drop_name);

	if (s == NULL)
		return -1;
	memcpy(s->v, from->v, m->n_steps * sizeof(double));
	memcpy(s->kind, from->kind, m->n_steps);
	s->n_floats = from->n_floats;
	if (from->n_hists == 0)
		return 0;
	for (uint32_t i = 0; i < m->n_steps; i++)
		if (from->kind[i] == K_HIST &&
		    matrix_set_hist(m, s, i, from->h[i]) == -1)
			return -1;
	return matrix_account(m);
}

int
matrix_sink(void *ctx, struct pseries *s)
{
	return matrix_add(ctx, s);
}

int
matrix_push(struct matrix *m, series_sink sink, void *ctx)
{
	for (size_t i = 0; i < m->n; i++)
		if (sink(ctx, &m->s[i]) == -1)
			return -1;
	return 0;
}

uint64_t
matrix_samples(const struct matrix *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += pseries_samples(&m->s[i], m->n_steps);
	return n;
}

static int
fail_same_labels(struct query *q)
{
	return q_fail(q,
	    "vector cannot contain metrics with the same labelset");
}

/* Moves from's samples into to. */
static int
series_merge(struct matrix *m, struct pseries *to, const struct pseries *from)
{
	for (uint32_t i = 0; i < m->n_steps; i++) {
		if (from->kind[i] == K_NONE)
			continue;
		/* as the reference: only samples of one kind collide */
		if (to->kind[i] != K_NONE)
			return fail_same_labels(m->q);
		if (from->kind[i] == K_FLOAT)
			(void)matrix_set_float(m, to, i, from->v[i]);
		else if (matrix_set_hist(m, to, i, from->h[i]) == -1)
			return -1;
	}
	return 0;
}

int
matrix_merge_same(struct matrix *m)
{
	struct lset_index x;
	size_t n = 0;
	int rc = 0;

	if (m->n <= 1)
		return 0;
	lset_index_init(&x, m->q->mem);
	for (size_t i = 0; i < m->n && rc == 0; i++) {
		bool is_new;
		int64_t k = lset_index_add(&x, m->s[i].ls, &is_new);

		if (k == -1)
			rc = q_nomem(m->q);
		else if (is_new)
			m->s[n++] = m->s[i];
		else
			rc = series_merge(m, &m->s[k], &m->s[i]);
	}
	if (rc == 0)
		m->n = n;
	lset_index_clear(&x);
	return rc;
}

/* --- equal label sets in a stream --- */

void
dedup_init(struct dedup *d, struct query *q, uint32_t n_steps,
    bool always_error, series_sink sink, void *ctx)
{
	*d = (struct dedup){ .q = q, .sink = sink, .ctx = ctx,
	    .always_error = always_error };
	lset_index_init(&d->seen, q->mem);
	matrix_init(&d->m, q, n_steps);
}

void
dedup_clear(struct dedup *d)
{
	lset_index_clear(&d->seen);
	matrix_clear(&d->m);
}

int
dedup_sink(void *ctx, struct pseries *s)
{
	struct dedup *d = ctx;
	bool is_new;

	/* names go at the end, and so do collisions for the lack of one */
	if (d->q->delayed_names && d->always_error)
		return d->sink(d->ctx, s);
	if (d->q->collect && !d->always_error)
		return matrix_add(&d->m, s);
	if (lset_index_add(&d->seen, s->ls, &is_new) == -1)
		return q_nomem(d->q);
	if (is_new)
		return d->sink(d->ctx, s);
	if (d->always_error)
		return fail_same_labels(d->q);
	d->q->retry = true;
	return -1;
}

int
dedup_finish(struct dedup *d)
{
	if (!d->q->collect || d->always_error)
		return 0;
	if (matrix_merge_same(&d->m) == -1)
		return -1;
	return matrix_push(&d->m, d->sink, d->ctx);
}

/* SPDX-License-Identifier: ISC */

/*
 * Window edges. Each is a count of samples up to a time. Where the range is
 * a whole number of steps the left edges are right edges of earlier steps,
 * and one array serves both. The next edge is guessed from how far the last
 * one moved, and put right from there.
 */

#include "common/promql/window_grid.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/select.h"

void
wgrid_init(struct wgrid *g, const struct evaluator *ev,
    const struct promql_modifiers *m, int64_t range_ms)
{
	*g = (struct wgrid){ .q = ev->q, .n_steps = ev->n_steps,
	    .first_ms = select_ref_ms(ev, m, 0),
	    .step_ms = m->at == PROMQL_AT_TIME ? 0 : ev->step_ms,
	    .range_ms = range_ms };
}

void
wgrid_clear(struct wgrid *g)
{
	free(g->times);
	free(g->edges);
	free(g->pick);
	if (g->accounted != 0)
		arena_release(g->q->mem, g->accounted);
	g->times = g->t = NULL;
	g->edges = g->pick = NULL;
	g->accounted = 0;
	g->known = false;
}

static void *
get_array(struct wgrid *g, size_t n)
{
	size_t bytes = n * sizeof(uint32_t);
	void *p = malloc(bytes);

	if (p == NULL || !arena_account(g->q->mem, bytes)) {
		free(p);
		(void)q_nomem(g->q);
		return NULL;
	}
	g->accounted += bytes;
	return p;
}

/* Keeps the times. 1: they are those of the series before. */
static int
keep_times(struct wgrid *g, const int64_t *t, size_t n)
{
	if (g->known && g->n == n &&
	    memcmp(g->t, t, n * sizeof(*t)) == 0)
		return 1;
	g->known = false;
	if (n > g->cap) {
		size_t cap = n + n / 2;
		int64_t *p = malloc((cap + 2) * sizeof(*p));

		if (p == NULL)
			return q_nomem(g->q);
		free(g->times);
		g->times = p;
		g->cap = cap;
		g->t = p + 1;
		p[0] = INT64_MIN;
	}
	memcpy(g->t, t, n * sizeof(*t));
	g->t[n] = INT64_MAX;
	g->n = n;
	return 0;
}

/* out[k]: how many samples there are at or before first + k * step. */
static void
fill_edges(const struct wgrid *g, int64_t first, uint32_t count,
    uint32_t *out)
{
	const int64_t *t = g->t;
	int64_t by = 0, i = 0, n = (int64_t)g->n;

	for (uint32_t k = 0; k < count; k++) {
		int64_t e = first + (int64_t)k * g->step_ms;
		int64_t at = i + by;

		if (e == INT64_MAX)	/* the sentinel must stay behind */
			e--;
		if (at > n)
			at = n;
		while (t[at] <= e)
			at++;
		while (t[at - 1] > e)
			at--;
		by = at - i;
		i = at;
		out[k] = (uint32_t)at;
	}
}

static int
edges_new(struct wgrid *g)
{
	uint64_t shift = g->n_steps;

	if (g->step_ms > 0 && g->range_ms % g->step_ms == 0 &&
	    g->range_ms / g->step_ms <= g->n_steps)
		shift = (uint64_t)(g->range_ms / g->step_ms);
	g->edges = get_array(g, g->n_steps + shift);
	if (g->edges == NULL)
		return -1;
	g->lo = g->edges;
	g->hi = g->edges + shift;
	return 0;
}

static void
count_windows(struct wgrid *g)
{
	uint64_t most = 0, total = 0, read = 0;
	uint32_t seen = 0;
	bool all = true;

	for (uint32_t i = 0; i < g->n_steps; i++) {
		uint32_t lo = g->lo[i], hi = g->hi[i];

		if (hi == lo) {
			all = false;
			seen = hi;
			continue;
		}
		if (hi - lo > most)
			most = hi - lo;
		total += hi - lo;
		read += hi - (seen > lo ? seen : lo);
		seen = hi;
	}
	g->most = most;
	g->total = total;
	g->read = read;
	g->all = all;
}

int
wgrid_windows(struct wgrid *g, const int64_t *t, size_t n)
{
	int rc = keep_times(g, t, n);

	if (rc != 0)
		return rc;
	if (g->edges == NULL && edges_new(g) == -1)
		return -1;
	ptrdiff_t shift = g->hi - g->lo;
	int64_t start = g->first_ms - g->range_ms;
	if (g->step_ms > 0 && shift * g->step_ms == g->range_ms)
		fill_edges(g, start, (uint32_t)(g->n_steps + shift),
		    g->edges);
	else {
		fill_edges(g, start, g->n_steps, g->edges);
		fill_edges(g, g->first_ms, g->n_steps, g->edges + shift);
	}
	count_windows(g);
	g->known = true;
	return 0;
}

int
wgrid_pick(struct wgrid *g, const int64_t *t, size_t n)
{
	int rc = keep_times(g, t, n);

	if (rc != 0)
		return rc;
	if (g->pick == NULL) {
		g->pick = get_array(g, g->n_steps);
		if (g->pick == NULL)
			return -1;
	}
	fill_edges(g, g->first_ms, g->n_steps, g->pick);
	g->all = true;
	g->total = 0;
	for (uint32_t i = 0; i < g->n_steps; i++) {
		int64_t end = wgrid_end_ms(g, i), at;
		uint32_t k = g->pick[i];

		at = g->t[(int64_t)k - 1];
		if (k == 0 || (at <= end - g->range_ms && at != end)) {
			g->pick[i] = WGRID_NONE;
			g->all = false;
		} else {
			g->pick[i] = k - 1;
			g->total++;
		}
	}
	g->known = true;
	return 0;
}

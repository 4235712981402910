/* SPDX-License-Identifier: ISC */
/*
 * Generations of the configuration. PREPARE decodes the blob and plans every
 * job, targets included, beside what runs; COMMIT gives each pool its plan;
 * ABORT throws the plans away. Pools keep pointing into their generation, so
 * the old one goes only when all have moved.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

static void
generation_free(struct generation *g)
{
	size_t i;

	if (g == NULL)
		return;
	for (i = 0; g->plans != NULL && i < g->confs.n_jobs; i++)
		pool_plan_clear(&g->plans[i]);
	free(g->plans);
	scrape_confs_clear(&g->confs);
	free(g);
}

int
conf_prepare(struct scrape *s, uint32_t gen, struct str blob, struct err *err)
{
	struct generation *g = xcalloc(1, sizeof(*g));
	size_t i;

	generation_free(s->next);
	s->next = NULL;
	g->number = gen;
	scrape_confs_init(&g->confs);
	if (scrape_confs_decode(&g->confs, blob, err) == -1)
		goto fail;
	g->plans = xcalloc(g->confs.n_jobs, sizeof(*g->plans));
	for (i = 0; i < g->confs.n_jobs; i++)
		if (pool_plan_make(s, &g->confs.jobs[i], &g->plans[i],
		    err) == -1)
			goto fail;
	s->next = g;
	return 0;
fail:
	metrics_inc(s->m.reloads_failed);
	generation_free(g);
	return -1;
}

/* fnv64a(hostname + external labels), as the reference seeds its offsets. */
static uint64_t
offset_seed(const struct scrape *s, const struct scrape_confs *c)
{
	struct buf b;
	uint64_t h;

	buf_init(&b, 0);
	buf_add_str(&b, s->opt.hostname);
	labels_format((struct labels){ c->external_labels,
	    c->n_external_labels }, &b);
	h = hash_fnv64a(HASH_FNV64_INIT, b.p, b.n);
	buf_clear(&b);
	return h;
}

/* Takes the pool of that job out of the old list; NULL if there is none. */
static struct pool *
take_pool(struct scrape *s, struct str job)
{
	size_t i;

	for (i = 0; i < s->n_pools; i++) {
		struct pool *p = s->pools[i];

		if (p != NULL && str_eq(p->conf->job_name, job)) {
			s->pools[i] = NULL;
			return p;
		}
	}
	return NULL;
}

void
conf_commit(struct scrape *s, uint32_t gen)
{
	struct generation *g = s->next;
	struct pool **pools;
	size_t i;

	if (g == NULL || g->number != gen)
		return;
	s->next = NULL;
	s->offset_seed = offset_seed(s, &g->confs);
	pools = xcalloc(g->confs.n_jobs, sizeof(*pools));
	for (i = 0; i < g->confs.n_jobs; i++) {
		struct pool *p = take_pool(s, g->confs.jobs[i].job_name);

		if (p == NULL)
			p = pool_new(s, &g->plans[i]);
		else
			pool_apply(p, &g->plans[i]);
		pools[i] = p;
	}
	for (i = 0; i < s->n_pools; i++)
		if (s->pools[i] != NULL)
			pool_free(s->pools[i], false);
	free(s->pools);
	s->pools = pools;
	s->n_pools = g->confs.n_jobs;
	generation_free(s->current);
	s->current = g;
}

void
conf_abort(struct scrape *s, uint32_t gen)
{
	if (s->next == NULL || s->next->number != gen)
		return;
	generation_free(s->next);
	s->next = NULL;
}

void
conf_clear(struct scrape *s)
{
	size_t i;

	for (i = 0; i < s->n_pools; i++)
		pool_free(s->pools[i], true);
	free(s->pools);
	s->pools = NULL;
	s->n_pools = 0;
	generation_free(s->current);
	generation_free(s->next);
	s->current = s->next = NULL;
}

/* SPDX-License-Identifier: ISC */
/*
 * Reload in two steps. PREPARE decodes the blob and plans each job beside
 * what runs: targets, shard, files, whether its HTTP client can be made.
 * COMMIT swaps: jobs are matched by name, unchanged targets keep loop,
 * schedule and cache. ABORT throws the plan away.
 */

#define LOG_COMPONENT "scrape manager"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

static void
generation_free(struct generation *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; g->plans != NULL && i < g->confs.n_jobs; i++)
		pool_plan_clear(&g->plans[i]);
	free(g->plans);
	scrape_confs_clear(&g->confs);
	free(g);
}

static int
check_plans(struct scrape *s, const struct generation *g, struct err *err)
{
	for (size_t i = 0; i < g->confs.n_jobs; i++)
		if (pool_plan_check(s, &g->plans[i], err) == -1) {
			metrics_inc(s->m.reloads_failed);
			return -1;
		}
	return 0;
}

int
conf_prepare(struct scrape *s, uint32_t gen, struct str blob,
    struct err *err)
{
	struct generation *g = xcalloc(1, sizeof(*g));

	conf_abort(s, gen);
	g->number = gen;
	scrape_confs_init(&g->confs);
	if (scrape_confs_decode(&g->confs, blob, err) == -1) {
		generation_free(g);
		return -1;
	}
	g->plans = xcalloc(g->confs.n_jobs + 1, sizeof(*g->plans));
	for (size_t i = 0; i < g->confs.n_jobs; i++)
		pool_plan_make(s, &g->confs.jobs[i], &g->plans[i]);
	s->next = g;
	if (!files_are_read(s)) {
		g->waiting = true;
		return 1;
	}
	if (check_plans(s, g, err) == 0)
		return 0;
	conf_abort(s, gen);
	return -1;
}

void
conf_on_file(struct scrape *s)
{
	struct generation *g = s->next;
	struct err err = ERR_INIT;
	uint32_t number;

	if (g == NULL || !g->waiting || !files_are_read(s))
		return;
	g->waiting = false;
	number = g->number;
	if (check_plans(s, g, &err) == 0) {
		s->prepared(s, number, NULL);
		return;
	}
	conf_abort(s, number);
	s->prepared(s, number, &err);
}

void
conf_abort(struct scrape *s, uint32_t gen)
{
	(void)gen;
	generation_free(s->next);
	s->next = NULL;
}

/* Spreads the scrapes of several servers: host name and external labels. */
static uint64_t
offset_seed(struct scrape *s, const struct scrape_confs *confs)
{
	struct labels ls = { confs->external_labels,
	    confs->n_external_labels };
	struct buf b;
	uint64_t h;

	buf_init(&b, 0);
	buf_add_str(&b, s->opt.hostname);
	labels_format(ls, &b);
	h = hash_fnv64a(HASH_FNV64_INIT, b.p, b.n);
	buf_clear(&b);
	return h;
}

/* Takes the pool of that name out of the old list. */
static struct pool *
take_pool(struct scrape *s, struct str job_name)
{
	for (size_t i = 0; i < s->n_pools; i++) {
		struct pool *p = s->pools[i];

		if (p != NULL && str_eq(p->conf->job_name, job_name)) {
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

	if (g == NULL || g->number != gen)
		return;
	pools = xcalloc(g->confs.n_jobs + 1, sizeof(struct pool *));
	s->offset_seed = offset_seed(s, &g->confs);
	for (size_t i = 0; i < g->confs.n_jobs; i++) {
		struct pool *p = take_pool(s, g->confs.jobs[i].job_name);

		if (p == NULL)
			p = pool_new(s, &g->plans[i]);
		else {
			if (p->conf->fingerprint !=
			    g->confs.jobs[i].fingerprint)
				metrics_inc(s->m.reloads);
			pool_apply(p, &g->plans[i]);
		}
		pools[i] = p;
		pool_plan_clear(&g->plans[i]);
	}
	for (size_t i = 0; i < s->n_pools; i++)
		if (s->pools[i] != NULL)
			pool_free(s->pools[i], false);
	free(s->pools);
	s->pools = pools;
	s->n_pools = g->confs.n_jobs;
	free(g->plans);
	g->plans = NULL;
	generation_free(s->current);
	s->current = g;
	s->next = NULL;
}

void
conf_clear(struct scrape *s)
{
	generation_free(s->next);
	generation_free(s->current);
	s->next = s->current = NULL;
}

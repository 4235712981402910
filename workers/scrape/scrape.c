/* SPDX-License-Identifier: ISC */
/* The one context: what comes up with the worker and how it ends. */

#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/broker.h"
#include "workers/scrape/scrape.h"

#define TRIM_FIRST_S	15	/* after the worker began to run */
#define TRIM_EVERY_S	60
#define TRIM_MIN_BYTES	(1u << 20)

static void
open_metrics(struct scrape *s)
{
	struct scrape_metrics *m = &s->m;
	static const struct { enum metrics_family family; const char *labels;
	    size_t at; } all[] = {
#define M(field, family, labels) \
	{ METRIC_##family, labels, offsetof(struct scrape_metrics, field) }
		M(pools, POOLS, ""),
		M(pools_failed, POOLS_FAILED, ""),
		M(reloads, POOL_RELOADS, ""),
		M(reloads_failed, POOL_RELOADS_FAILED, ""),
		M(target_limit_hit, POOL_TARGET_LIMIT_HIT, ""),
		M(label_limit_hit, POOL_LABEL_LIMIT, ""),
		M(body_limit, SCRAPES_BODY_LIMIT, ""),
		M(sample_limit, SCRAPES_SAMPLE_LIMIT, ""),
		M(duplicate, SCRAPES_DUPLICATE, ""),
		M(out_of_bounds, SCRAPES_OUT_OF_BOUNDS, ""),
		M(out_of_order, SCRAPES_OUT_OF_ORDER, ""),
		M(cache_flush, SCRAPES_CACHE_FLUSH, ""),
		M(pending, APPEND_PENDING, ""),
		M(skipped_stuck, SCRAPES_SKIPPED, "reason=\"storage\""),
		M(skipped_lost, SCRAPES_SKIPPED, "reason=\"lost\"")
#undef M
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*(metrics_slot **)(void *)((char *)m + all[i].at) =
		    metrics_get(s->metrics, all[i].family, all[i].labels);
}

void
scrape_init(struct scrape *s)
{
	open_metrics(s);
	appender_init(&s->appender, s);
	resolver_init(&s->resolver, s);
	expo_parser_init(&s->parser);
	expo_parser_init(&s->line_parser);
	arena_init(&s->arena, 0);
	labels_builder_init(&s->builder);
}

/*
 * Learning all targets at once leaves the heap full of holes; they go back
 * to the kernel when much of it is holes.
 */
static void
on_trim(evutil_socket_t fd, short what, void *arg)
{
	struct scrape *s = arg;
	const struct timeval next = { TRIM_EVERY_S, 0 };
	struct mallinfo2 m = mallinfo2();

	(void)fd;
	(void)what;
	if (m.fordblks > TRIM_MIN_BYTES && m.fordblks > m.uordblks / 8)
		(void)malloc_trim(0);
	evtimer_add(s->trim, &next);
}

static void
start_trimming(struct scrape *s)
{
	const struct timeval first = { TRIM_FIRST_S, 0 };

	if (s->trim == NULL)
		s->trim = evtimer_new(s->base, on_trim, s);
	if (s->trim != NULL)
		evtimer_add(s->trim, &first);
}

/* Pools and what is ending, without markers. */
static void
end_loops(struct scrape *s)
{
	s->running = false;
	for (size_t i = 0; i < s->n_pools; i++)
		pool_free(s->pools[i], true);
	free(s->pools);
	s->pools = NULL;
	s->n_pools = 0;
	while (s->ending != NULL)
		loop_end(s->ending, true);
}

void
scrape_clear(struct scrape *s)
{
	end_loops(s);
	conf_clear(s);
	appender_clear(&s->appender);
	resolver_clear(&s->resolver);
	files_clear(s);
	expo_parser_clear(&s->parser);
	expo_parser_clear(&s->line_parser);
	arena_clear(&s->arena);
	labels_builder_clear(&s->builder);
	broker_free(s->broker);
	if (s->trim != NULL)
		event_free(s->trim);
}

void
scrape_run(struct scrape *s)
{
	size_t i, k;

	if (s->running || s->stopping)
		return;
	s->running = true;
	start_trimming(s);
	for (i = 0; i < s->n_pools; i++)
		for (k = 0; k < s->pools[i]->n_loops; k++)
			loop_start(s->pools[i]->loops[k]);
}

bool
scrape_is_drained(const struct scrape *s)
{
	return s->appender.first == NULL;
}

void
scrape_stop(struct scrape *s)
{
	s->stopping = true;
	if (s->trim != NULL)
		event_del(s->trim);
	end_loops(s);
}

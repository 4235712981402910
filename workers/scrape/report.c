/* SPDX-License-Identifier: ISC */
/*
 * The samples a scrape writes about itself: up, scrape_duration_seconds and
 * their like. They carry the target's public labels, pass no relabelling and
 * no limit, and their numbers live as long as the loop.
 */

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "workers/scrape/scrape.h"

static const char *const names[REPORTS_MAX] = {
	"up",
	"scrape_duration_seconds",
	"scrape_samples_scraped",
	"scrape_samples_post_metric_relabeling",
	"scrape_series_added",
	/* with extra_scrape_metrics */
	"scrape_timeout_seconds",
	"scrape_sample_limit",
	"scrape_body_size_bytes"
};
#define BASIC_REPORTS	5

static void
declare(struct loop *l, size_t i)
{
	struct scrape *s = l->s;
	struct err err = ERR_INIT;

	labels_builder_reset(&s->builder, l->target->public);
	labels_builder_set(&s->builder, STR_LIT(LABEL_METRIC_NAME),
	    str_c(names[i]));
	if (appender_declare(&s->appender, l->report_ids[i],
	    labels_builder_labels(&s->builder), &err) == -1)
		log_warn("Appending scrape report failed", F_ERR(&err));
}

void
report_declare(struct loop *l)
{
	for (size_t i = 0; i < REPORTS_MAX; i++)
		if (l->report_ids[i] != 0 &&
		    !appender_is_declared(&l->s->appender, l->report_ids[i]))
			declare(l, i);
}

static void
add(struct loop *l, struct batch *b, size_t i, int64_t t_ms, double v)
{
	struct appender *a = &l->s->appender;

	if (l->report_ids[i] == 0 &&
	    (l->report_ids[i] = appender_id_take(a)) == 0)
		return;
	if (!appender_is_declared(a, l->report_ids[i]))
		declare(l, i);
	(void)batch_add(b, l->report_ids[i], t_ms, v);
}

void
report_add(struct loop *l, struct batch *b, int64_t t_ms, double duration_s,
    const struct ingest_result *res, double body_bytes, bool healthy)
{
	const struct scrape_conf *c = l->pool->conf;

	add(l, b, 0, t_ms, healthy ? 1 : 0);
	add(l, b, 1, t_ms, duration_s);
	add(l, b, 2, t_ms, (double)res->total);
	add(l, b, 3, t_ms, (double)res->added);
	add(l, b, 4, t_ms, (double)res->series_added);
	l->had_extra = c->extra_scrape_metrics;
	if (!c->extra_scrape_metrics)
		return;
	add(l, b, 5, t_ms, (double)l->timeout_ms / 1000);
	add(l, b, 6, t_ms, (double)c->sample_limit);
	add(l, b, 7, t_ms, body_bytes);
}

void
report_add_stale(struct loop *l, struct batch *b, int64_t t_ms)
{
	size_t n = l->had_extra ? REPORTS_MAX : BASIC_REPORTS;

	for (size_t i = 0; i < n; i++)
		if (l->report_ids[i] != 0)
			add(l, b, i, t_ms, double_from_bits(STALE_NAN_BITS));
}

void
report_give_ids(struct loop *l)
{
	for (size_t i = 0; i < REPORTS_MAX; i++)
		if (l->report_ids[i] != 0)
			appender_id_give(&l->s->appender, l->report_ids[i]);
}

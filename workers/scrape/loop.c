/* SPDX-License-Identifier: ISC */
/*
 * The life of one target's scraping (reference: scrapeLoop.run):
 *
 *	wait for the offset ─▶ scrape every interval ─▶ target gone:
 *	the next two ticks pass and a tenth of an interval, then everything
 *	it exposed gets stale markers with the time of the first of them
 *
 * Ticks stand on a grid that begins after the offset. A scrape that ends
 * after the next tick is followed by one at once, further missed ticks are
 * lost, and the grid stays. A tick that comes late by no more than the
 * tolerance is stamped with its place on the grid, so that equal distances
 * compress well.
 */

#define LOG_COMPONENT "scrape manager"

#include <event2/event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/duration.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define MS	1000000LL

static void	on_timer_cb(evutil_socket_t fd, short what, void *arg);

static void
timer_at(struct loop *l, mono_time when)
{
	int64_t ns = mono_sub_ns(when, mono_now());
	struct timeval tv;

	if (ns < 0)
		ns = 0;
	/* rounded up: a scrape before its time is off the grid */
	ns += 999;
	tv.tv_sec = (time_t)(ns / 1000000000);
	tv.tv_usec = (suseconds_t)(ns % 1000000000 / 1000);
	evtimer_add(l->timer, &tv);
}

struct loop *
loop_new(struct pool *p, struct target *t)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->s = p->s;
	l->pool = p;
	l->target = t;
	l->refs = 1;
	l->interval_ms = t->interval_ms;
	l->timeout_ms = t->timeout_ms;
	series_cache_init(&l->cache);
	l->timer = evtimer_new(p->s->base, on_timer_cb, l);
	if (l->timer == NULL)
		fatal("out of memory for a target");
	if (p->s->running)
		loop_start(l);
	return l;
}

void
loop_start(struct loop *l)
{
	int64_t offset = target_offset_ns(l->target, l->interval_ms * MS,
	    l->s->offset_seed, wall_now_ns());

	l->aligned_ns = 0;
	l->next_tick = (mono_time){ mono_now().ns + offset };
	if (l->state == LOOP_WAITING)
		timer_at(l, l->next_tick);
}

void
loop_update(struct loop *l, struct target *t)
{
	bool moved = t->interval_ms != l->interval_ms;

	target_free(l->target);
	l->target = t;
	l->interval_ms = t->interval_ms;
	l->timeout_ms = t->timeout_ms;
	if (moved && l->s->running)
		loop_start(l);
}

void
loop_ref(struct loop *l)
{
	l->refs++;
}

void
loop_unref(struct loop *l)
{
	if (--l->refs > 0)
		return;
	event_free(l->timer);
	series_cache_clear(&l->cache);
	target_free(l->target);
	free(l);
}

/* --- the end --- */

/* Nothing will be scraped or marked any more. */
static void
loop_over(struct loop *l)
{
	struct loop **at = &l->s->ending;

	while (*at != NULL && *at != l)
		at = &(*at)->next_ending;
	if (*at == l)
		*at = l->next_ending;
	l->state = LOOP_OVER;
	for (size_t i = 0; i < l->cache.n; i++) {
		const struct cached_line *line = &l->cache.lines[i];

		if (line->kind == CACHED_SAMPLE &&
		    line->id != SERIES_CACHE_NONE)
			appender_id_give(&l->s->appender, line->id);
	}
	report_give_ids(l);
	event_del(l->timer);
	loop_unref(l);
}

void
loop_end(struct loop *l, bool at_once)
{
	fetch_cancel(l);
	l->pool = NULL;
	l->state = LOOP_ENDING;
	l->ending_step = 0;
	if (at_once || l->last_started.ns == 0 || !l->s->running) {
		loop_over(l);
		return;
	}
	l->next_ending = l->s->ending;
	l->s->ending = l;
	timer_at(l, l->next_tick);
}

static void
write_end_markers(struct loop *l)
{
	struct batch *b = appender_batch(&l->s->appender, l, l->stale_ms);

	/* the target may have come back: then these are out of order */
	b->quiet = true;
	ingest_nothing(l, b);
	report_add_stale(l, b, l->stale_ms);
	appender_submit(&l->s->appender, b);
}

static void
ending_tick(struct loop *l)
{
	mono_time now = mono_now();

	switch (l->ending_step++) {
	case 0:
		l->stale_ms = wall_now_ms();
		timer_at(l, mono_add_ms(now, l->interval_ms));
		return;
	case 1:
		timer_at(l, mono_add_ms(now, l->interval_ms / 10));
		return;
	default:
		write_end_markers(l);
		loop_over(l);
	}
}

/* --- scraping --- */

static void
observe_interval(struct loop *l, mono_time now)
{
	char text[40], labels[64];

	if (l->last_started.ns == 0)
		return;
	/* the label is a Go duration: 15s, 1m0s */
	duration_format_go(l->interval_ms * MS, text);
	snprintf(labels, sizeof(labels), "interval=\"%s\"", text);
	metrics_summary_observe(metrics_summary(l->s->metrics,
	    METRIC_TARGET_INTERVAL, labels),
	    (double)mono_sub_ns(now, l->last_started) / 1e9);
}

/* The time stamp of a scrape that begins now. */
static int64_t
scrape_time(struct loop *l, int64_t wall_ns)
{
	int64_t interval = l->interval_ms * MS;
	int64_t tolerance = interval / 100;

	if (!l->s->opt.adjust_timestamps)
		return wall_ns;
	if (tolerance > l->s->opt.tolerance_ns)
		tolerance = l->s->opt.tolerance_ns;
	if (wall_ns - l->aligned_ns >= interval)
		l->aligned_ns += (wall_ns - l->aligned_ns) / interval *
		    interval;
	/* a clock that was set back begins a new grid */
	if (wall_ns < l->aligned_ns - interval)
		l->aligned_ns = wall_ns;
	return wall_ns - l->aligned_ns <= tolerance ? l->aligned_ns :
	    wall_ns;
}

static void
scrape_tick(struct loop *l)
{
	mono_time now = mono_now();
	int64_t wall_ns = wall_now_ns(), interval = l->interval_ms * MS;

	if (l->aligned_ns == 0) {
		l->aligned_ns = wall_ns;
		l->next_tick = mono_now();	/* after the wall clock */
	}
	l->next_tick.ns += ((now.ns - l->next_tick.ns) / interval + 1) *
	    interval;
	l->scrape_ns = scrape_time(l, wall_ns);
	if (appender_is_stuck(&l->s->appender)) {
		metrics_inc(l->s->m.skipped_stuck);
		timer_at(l, l->next_tick);
		return;
	}
	observe_interval(l, now);
	l->started = l->last_started = now;
	l->state = LOOP_SCRAPING;
	if (l->pool->limit_err.kind != ERR_NONE)
		loop_on_answer(l, NULL, STR_EMPTY, &l->pool->limit_err);
	else
		fetch_start(l);
}

static void
on_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	if (l->state == LOOP_ENDING)
		ending_tick(l);
	else if (l->state == LOOP_WAITING) {
		/* libevent counts from when this round of events began */
		if (mono_sub_ns(l->next_tick, mono_now()) > 0)
			timer_at(l, l->next_tick);
		else
			scrape_tick(l);
	}
}

/* What the target pages show. */
static void
take_health(struct loop *l, double duration_s, const struct err *err)
{
	if (err == NULL)
		l->last_err = (struct err)ERR_INIT;
	else
		l->last_err = *err;
	l->health = err == NULL ? HEALTH_UP : HEALTH_DOWN;
	l->last_scrape_ns = l->scrape_ns;
	l->last_duration_s = duration_s;
}

static double
body_bytes(const struct loop *l, const struct buf *body,
    const struct err *err)
{
	if (body != NULL)
		return (double)body->n;
	return err->kind == ERR_LIMIT && err != &l->pool->limit_err ? -1 : 0;
}

void
loop_on_answer(struct loop *l, struct buf *body, struct str content_type,
    const struct err *err)
{
	struct ingest_result res = { 0, 0, 0 };
	struct err ingest_err = ERR_INIT;
	int64_t ms = l->scrape_ns / MS;
	struct batch *b = appender_batch(&l->s->appender, l, ms);
	double duration_s, bytes = body_bytes(l, body, err);

	if (body == NULL)
		ingest_nothing(l, b);
	else if (ingest_body(l, b, body, content_type, &res,
	    &ingest_err) == -1)
		err = &ingest_err;
	if (err != NULL)
		log_debug("Scrape failed",
		    F_STRN("scrape_pool", l->pool->conf->job_name),
		    F_STRN("target", l->target->url), F_ERR(err));
	duration_s = (double)mono_sub_ns(mono_now(), l->started) / 1e9;
	take_health(l, duration_s, err);
	report_add(l, b, ms, duration_s, &res, bytes, err == NULL);
	appender_submit(&l->s->appender, b);
	l->state = LOOP_WAITING;
	timer_at(l, l->next_tick);
}

/* SPDX-License-Identifier: ISC */
/*
 * One target's loop: when to scrape, what came of it, and how it ends.
 *
 *	WAITING ──tick──▶ SCRAPING ──answer──▶ WAITING …
 *	   │ target gone
 *	   ▼
 *	ENDING  the next tick (its time is the markers'), one interval more,
 *	   │    a tenth of one: then stale markers for all it had
 *	   ▼
 *	OVER    until storage has acknowledged its last batch
 *
 * Ticks keep a fixed distance from the first one, as a Go ticker does: a late
 * scrape does not move the next. The timestamp is the schedule's when the
 * clock is within the tolerance of it (reference: scrape/scrape.go).
 */

#define LOG_COMPONENT "scrape manager"

#include <sys/time.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/duration.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define NS	1000000000LL

static void on_timer(int fd, short what, void *arg);

static void
timer_set(struct loop *l, int64_t ns)
{
	struct timeval tv;

	if (ns < 0)
		ns = 0;
	tv.tv_sec = ns / NS;
	tv.tv_usec = (ns % NS + 999) / 1000;
	if (evtimer_add(l->timer, &tv) == -1)
		fatal("no timer for a target");
}

struct loop *
loop_new(struct pool *p, struct target *t)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->s = p->s;
	l->pool = p;
	l->target = t;
	l->interval_ms = t->interval_ms;
	l->timeout_ms = t->timeout_ms;
	l->refs = 1;
	series_cache_init(&l->cache);
	if ((l->timer = evtimer_new(l->s->base, on_timer, l)) == NULL)
		fatal("no timer for a target");
	return l;
}

void
loop_ref(struct loop *l)
{
	l->refs++;
}

static void
give_ids(struct loop *l)
{
	size_t i;

	for (i = 0; i < l->cache.n; i++) {
		const struct cached_line *line = &l->cache.lines[i];

		if (line->kind == CACHED_SAMPLE &&
		    line->id != SERIES_CACHE_NONE)
			appender_id_give(&l->s->appender, line->id);
	}
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

/* --- the schedule --- */

/* A Go ticker drops ticks that nobody took, and holds one. */
static void
schedule_next(struct loop *l)
{
	int64_t now = mono_now().ns, interval = l->interval_ms * 1000000;

	l->next_tick.ns += interval;
	if (now - l->next_tick.ns > interval)
		l->next_tick.ns += (now - l->next_tick.ns) / interval *
		    interval;
	timer_set(l, l->next_tick.ns - now);
}

void
loop_start(struct loop *l)
{
	int64_t wait;

	if (l->pool == NULL || l->fetch != NULL)
		return;
	wait = target_offset_ns(l->target, l->interval_ms * 1000000,
	    l->s->offset_seed, wall_now_ns());
	l->state = LOOP_WAITING;
	l->aligned_ns = 0;
	l->next_tick.ns = mono_now().ns + wait;
	timer_set(l, wait);
}

/* The timestamp of a scrape that begins now. */
static int64_t
scrape_time_ns(struct loop *l)
{
	int64_t now = wall_now_ns(), interval = l->interval_ms * 1000000;
	int64_t tolerance = l->s->opt.tolerance_ns;

	if (l->aligned_ns == 0)
		l->aligned_ns = now;
	if (!l->s->opt.adjust_timestamps)
		return now;
	if (tolerance > interval / 100)
		tolerance = interval / 100;
	if (now - l->aligned_ns >= interval)
		l->aligned_ns += (now - l->aligned_ns) / interval * interval;
	/* a clock that was set back starts a new schedule */
	if (now < l->aligned_ns - interval)
		l->aligned_ns = now;
	return now - l->aligned_ns <= tolerance ? l->aligned_ns : now;
}

static void
observe_interval(struct loop *l)
{
	char text[32], label[64];

	if (l->last_started.ns == 0)
		return;
	duration_format(l->interval_ms, text);
	snprintf(label, sizeof(label), "interval=\"%s\"", text);
	metrics_summary_observe(metrics_summary(l->s->metrics,
	    METRIC_TARGET_INTERVAL, label),
	    (double)(l->started.ns - l->last_started.ns) / 1e9);
}

static void
scrape_now(struct loop *l)
{
	if (appender_is_stuck(&l->s->appender)) {
		metrics_inc(l->s->m.skipped_stuck);
		schedule_next(l);
		return;
	}
	l->state = LOOP_SCRAPING;
	l->started = mono_now();
	l->scrape_ns = scrape_time_ns(l);
	observe_interval(l);
	l->last_started = l->started;
	if (l->pool->limit_err.kind != ERR_NONE)
		loop_on_answer(l, NULL, STR_EMPTY, &l->pool->limit_err);
	else
		fetch_start(l);
}

void
loop_ask_again(struct loop *l)
{
	/* from the loop: who calls this is about to change the client */
	timer_set(l, 0);
}

/* --- answers --- */

static void
remember(struct loop *l, const struct err *err, double duration_s,
    size_t body_bytes)
{
	l->health = err->kind == ERR_NONE ? HEALTH_UP : HEALTH_DOWN;
	l->last_err = *err;
	l->last_scrape_ns = l->scrape_ns;
	l->last_duration_s = duration_s;
	l->last_body_bytes = body_bytes;
	if (err->kind != ERR_NONE)
		log_debug("Scrape failed",
		    F_STRN("scrape_pool", l->pool->conf->job_name),
		    F_STRN("target", l->target->url), F_ERR(err));
}

void
loop_on_answer(struct loop *l, struct buf *body, struct str content_type,
    const struct err *err)
{
	struct appender *a = &l->s->appender;
	int64_t t_ms = l->scrape_ns / 1000000;
	struct batch *b = appender_batch(a, l, t_ms);
	struct ingest_result res = { 0 };
	struct err e = ERR_INIT;
	double duration_s, body_bytes = 0;

	if (err != NULL) {
		e = *err;
		if (e.kind == ERR_LIMIT && l->pool->limit_err.kind == ERR_NONE)
			body_bytes = -1;
		ingest_nothing(l, b);
	} else {
		body_bytes = (double)body->n;
		if (ingest_body(l, b, body, content_type, &res, &e) == -1 &&
		    e.kind == ERR_NONE)
			err_set(&e, ERR_INTERNAL, "scrape failed");
	}
	duration_s = (double)(mono_now().ns - l->started.ns) / 1e9;
	report_add(l, b, t_ms, duration_s, &res, body_bytes,
	    e.kind == ERR_NONE);
	appender_submit(a, b);
	remember(l, &e, duration_s, body == NULL ? 0 : body->n);
	l->state = LOOP_WAITING;
	schedule_next(l);
}

/* --- other settings, the end --- */

void
loop_update(struct loop *l, struct target *t)
{
	bool same = l->interval_ms == t->interval_ms;

	target_free(l->target);
	l->target = t;
	l->interval_ms = t->interval_ms;
	l->timeout_ms = t->timeout_ms;
	/* a scrape under way schedules the next one itself */
	if (!same && l->s->running && l->state == LOOP_WAITING)
		loop_start(l);
}

/* As the reference: another configuration begins with an empty cache, and
 * what only the old one would have named ends without markers. */
void
loop_forget_lines(struct loop *l)
{
	give_ids(l);
	series_cache_clear(&l->cache);
	series_cache_init(&l->cache);
}

static void
loop_finish(struct loop *l)
{
	struct loop **at = &l->s->ending;

	while (*at != NULL && *at != l)
		at = &(*at)->next_ending;
	if (*at == l)
		*at = l->next_ending;
	evtimer_del(l->timer);
	l->state = LOOP_OVER;
	give_ids(l);
	report_give_ids(l);
	loop_unref(l);
}

void
loop_end(struct loop *l, bool at_once)
{
	fetch_cancel(l);
	evtimer_del(l->timer);
	l->pool = NULL;
	if (at_once || l->last_started.ns == 0) {
		loop_finish(l);
		return;
	}
	l->state = LOOP_ENDING;
	l->ending_step = 0;
	l->next_ending = l->s->ending;
	l->s->ending = l;
	timer_set(l, l->next_tick.ns + l->interval_ms * 1000000 -
	    mono_now().ns);
}

void
loop_end_now(struct loop *l)
{
	loop_finish(l);
}

struct loop *
loop_revive(struct pool *p, struct target *t)
{
	struct loop **at = &p->s->ending, *l;

	for (; (l = *at) != NULL; at = &l->next_ending)
		if (l->target->hash == t->hash)
			break;
	if (l == NULL)
		return NULL;
	*at = l->next_ending;
	evtimer_del(l->timer);
	l->pool = p;
	l->state = LOOP_WAITING;
	l->last_started.ns = 0;
	target_free(l->target);
	l->target = t;
	l->interval_ms = t->interval_ms;
	l->timeout_ms = t->timeout_ms;
	loop_forget_lines(l);
	return l;
}

/* Stale markers for everything the target had, with the time at which it
 * would have been scraped next. */
static void
write_markers(struct loop *l)
{
	struct batch *b = appender_batch(&l->s->appender, l, l->stale_ms);

	b->quiet = true;	/* the target may be another job's by now */
	ingest_nothing(l, b);
	report_add_stale(l, b, l->stale_ms);
	appender_submit(&l->s->appender, b);
}

static void
ending_tick(struct loop *l)
{
	switch (l->ending_step++) {
	case 0:
		l->stale_ms = wall_now_ms();
		timer_set(l, l->interval_ms * 1000000);
		break;
	case 1:
		timer_set(l, l->interval_ms * 100000);
		break;
	default:
		write_markers(l);
		loop_finish(l);
	}
}

static void
on_timer(int fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	if (l->state == LOOP_ENDING)
		ending_tick(l);
	else if (l->state == LOOP_SCRAPING && l->fetch == NULL)
		fetch_start(l);		/* asked to ask again */
	else if (l->state == LOOP_WAITING && !l->s->stopping)
		scrape_now(l);
}

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_SCRAPE_SCRAPE_H
#define BRAZIER_WORKERS_SCRAPE_SCRAPE_H

/*
 * The scrape worker: what its files share.
 *
 *	struct scrape			the one context
 *	 ├─ struct appender		series numbers, batches, storage
 *	 ├─ struct resolver		names to addresses, through a peer
 *	 ├─ struct files		secrets and certificates, through the broker
 *	 └─ struct pool		one a job
 *	     └─ struct loop	one a target: schedule, cache, health
 *
 *	loop.c ─▶ fetch.c ─▶ ingest.c ─▶ report.c ─▶ appender.c ─▶ storage
 *
 * Targets are sharded: each of N workers makes all targets of a job, and
 * keeps those whose hash falls to it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/config/blob/scrape_conf.h"
#include "common/exposition/series_cache.h"
#include "common/httpclient/client.h"
#include "common/metrics/metrics.h"
#include "ipc/append.h"
#include "ipc/channel.h"

struct broker;
struct event;
struct event_base;
struct loop;
struct pool;
struct scrape;

/* --- appender.c: the client's side of ipc/append.h --- */

/* One scrape's samples on their way to storage. */
struct batch {
	struct batch	*next;
	struct loop	*loop;		/* counted */
	uint64_t	 seq;		/* 0 = not submitted */
	int64_t		 base_ms;
	uint32_t	*ids;
	double		*values;
	int32_t		*dt_ms;		/* after base_ms; with own_times */
	size_t		 n, cap, cap_dt;
	bool		 own_times;	/* some dt_ms is not 0 */
	bool		 quiet;		/* refusals are expected: not counted */
	bool		 again;		/* waits since storage's last life */
	bool		 failed;	/* no memory for all samples */
	int64_t		 born_ns;	/* monotonic */
};

/* A number that is free once all batches up to seq are acknowledged. */
struct retired_id {
	uint32_t	 id;
	uint64_t	 seq;
};

struct appender {
	struct scrape		*s;
	struct ipc_channel	*ch;		/* NULL while storage is away */
	struct append_series	 series;
	uint64_t		 next_seq;
	struct batch		*first, *last;	/* not acknowledged, in order */
	struct batch		*unsent;	/* from here on they wait here */
	size_t			 n_open;	/* being made */
	struct batch		*spare;
	size_t			 n_spare;
	size_t			 n_pending;
	size_t			 pending_samples;
	uint64_t		*declared;	/* bits by series number */
	size_t			 declared_words;
	uint32_t		 next_id;
	uint32_t		*free_ids;
	size_t			 n_free, cap_free;
	struct retired_id	*retired;	/* in order of seq */
	size_t			 n_retired, cap_retired;
};

void	 appender_init(struct appender *a, struct scrape *s);
void	 appender_clear(struct appender *a);
void	 appender_attach(struct appender *a, struct ipc_channel *ch);
void	 appender_detach(struct appender *a, struct ipc_channel *ch);
void	 appender_on_ack(void *ctx, struct ipc_channel *ch, struct ipc_msg *m);
/* Too much, or for too long, without acknowledgement: skip scrapes. */
bool	 appender_is_stuck(const struct appender *a);

/* 0 when there is none left. */
uint32_t appender_id_take(struct appender *a);
void	 appender_id_give(struct appender *a, uint32_t id);
static inline bool
appender_is_declared(const struct appender *a, uint32_t id)
{
	return id / 64 < a->declared_words &&
	    (a->declared[id / 64] >> id % 64 & 1) != 0;
}
/*
 * Tells storage what the number means; nothing happens while storage is
 * away. -1: the labels do not fit a message.
 */
int	 appender_declare(struct appender *a, uint32_t id, struct labels ls,
	    struct err *err);

struct batch *appender_batch(struct appender *a, struct loop *l,
	    int64_t base_ms);
bool	 batch_add_slow(struct batch *b, uint32_t id, int64_t t_ms, double v);
/* false when the time is out of a batch's range, or b->failed now. */
static inline bool
batch_add(struct batch *b, uint32_t id, int64_t t_ms, double v)
{
	if (t_ms != b->base_ms || b->own_times || b->n == b->cap)
		return batch_add_slow(b, id, t_ms, v);
	b->ids[b->n] = id;
	b->values[b->n++] = v;
	return true;
}
/* Takes the batch over; an empty one is thrown away. */
void	 appender_submit(struct appender *a, struct batch *b);

/* --- resolver.c --- */

struct resolver {
	struct scrape		*s;
	struct ipc_channel	*ch;		/* NULL while it is away */
	struct lookup		*lookups;
	struct known_name	*known;
	uint64_t		 next_id;
};

void	 resolver_init(struct resolver *r, struct scrape *s);
void	 resolver_clear(struct resolver *r);
void	 resolver_attach(struct resolver *r, struct ipc_channel *ch);
void	 resolver_detach(struct resolver *r, struct ipc_channel *ch);
void	 resolver_on_resolved(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
/* Answers the fetch, now or later; resolver_forget when it is over. */
void	 resolver_ask(struct resolver *r, struct http_fetch *f,
	    struct str host, uint32_t timeout_ms);
void	 resolver_forget(struct resolver *r, struct http_fetch *f);

/* --- files.c: contents of files named by the configuration --- */

struct file_text {
	struct file_text *next;
	struct scrape	*s;
	char		*path;
	struct secret	 text;		/* as read */
	struct err	 err;		/* of the last read, kind NONE = good */
	int64_t		 read_ns;	/* monotonic; 0 = never */
	uint64_t	 version;	/* rises when the text changes */
	bool		 reading;
};

/* Never NULL; lives until files_clear. Its first reading is started. */
struct file_text *files_get(struct scrape *s, struct str path);
/* Asks the broker again if the text is older than a few seconds. */
void	 files_refresh(struct file_text *f);
bool	 files_are_read(const struct scrape *s);
void	 files_clear(struct scrape *s);

/* --- target.c --- */

struct target {
	struct arena	 arena;		/* owns all texts below */
	struct labels	 discovered;
	struct labels	 labels;	/* all that relabelling left */
	struct labels	 public;	/* without __… */
	struct str	 url;
	uint64_t	 hash;
	int64_t		 interval_ms;
	int64_t		 timeout_ms;
};

/*
 * Makes a target from one address of a static group. *out: NULL when
 * relabelling drops it (then *discovered has the labels, in dropped_arena).
 * -1: it is no valid target.
 */
int	 target_new(const struct scrape_conf *conf, struct str address,
	    const struct target_group *group, struct target **out,
	    struct arena *dropped_arena, struct labels *discovered,
	    struct err *err);
void	 target_free(struct target *t);
/* Time to the first scrape. */
int64_t	 target_offset_ns(const struct target *t, int64_t interval_ns,
	    uint64_t seed, int64_t wall_ns);

/* --- pool.c --- */

struct pool_metrics {
	metrics_slot	*sync_total, *sync_failed, *targets, *target_limit;
	metrics_slot	*metadata_entries, *metadata_bytes;
	struct metrics_summary *sync_length;
};

struct pool {
	struct scrape		*s;
	struct scrape_conf	*conf;		/* in its generation */
	struct http_client	*client;
	struct err		 client_err;	/* why there is none */
	uint64_t		 client_files;	/* versions it was made of */
	uint64_t		 http_key;
	uint64_t		 cache_key;	/* equal: caches stay good */
	struct loop		**loops;	/* sorted by target hash */
	size_t			 n_loops;
	struct arena		 dropped_arena;
	struct labels		*dropped;
	size_t			 n_dropped, cap_dropped;	/* kept ones */
	uint64_t		 dropped_total;
	struct err		 limit_err;	/* target_limit; NONE = good */
	bool			 wants_roots;	/* some target is https */
	struct pool_metrics	 m;
	char			*accept;
};

/* What a prepared generation will make of one job. */
struct pool_plan {
	struct scrape_conf	*conf;
	struct target		**targets;	/* sorted by hash; ours only */
	size_t			 n, cap;
	size_t			 n_all;		/* of all workers */
	struct arena		 dropped_arena;
	struct labels		*dropped;
	size_t			 n_dropped, cap_dropped;
	uint64_t		 dropped_total;
	uint64_t		 n_failed;
	uint64_t		 http_key, cache_key;
	bool			 wants_roots;
	int64_t			 took_ns;
};

/* Targets, shards and keys; asks for the files the job names. */
void	 pool_plan_make(struct scrape *s, struct scrape_conf *conf,
	    struct pool_plan *plan);
/* With all files read: can its HTTP client be made? */
int	 pool_plan_check(struct scrape *s, const struct pool_plan *plan,
	    struct err *err);
void	 pool_plan_clear(struct pool_plan *plan);
struct pool *pool_new(struct scrape *s, struct pool_plan *plan);
/* Gives the pool its new configuration; unchanged targets go on. */
void	 pool_apply(struct pool *p, struct pool_plan *plan);
/* Its targets vanish. at_once: without stale markers (stop). */
void	 pool_free(struct pool *p, bool at_once);
/* Made on first use and when files have changed. NULL: p->client_err. */
struct http_client *pool_client(struct pool *p);

/* --- loop.c --- */

enum loop_state {
	LOOP_WAITING,		/* for the worker to run, or its time */
	LOOP_SCRAPING,
	LOOP_ENDING,		/* target gone: markers in a while */
	LOOP_OVER		/* held by batches only */
};

enum target_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

#define REPORTS_MAX	8

struct loop {
	struct scrape		*s;
	struct pool		*pool;		/* NULL when ending */
	struct target		*target;
	enum loop_state		 state;
	int			 refs;		/* 1 + batches */
	struct loop		*next_ending;
	struct event		*timer;
	int64_t			 interval_ms, timeout_ms;
	mono_time		 next_tick;
	int64_t			 aligned_ns;	/* wall clock; 0 = none yet */
	int64_t			 scrape_ns;	/* wall clock, of this scrape */
	mono_time		 started;
	mono_time		 last_started;	/* ns 0 = never */
	int			 ending_step;
	int64_t			 stale_ms;

	struct http_fetch	*fetch;
	struct series_cache	 cache;
	uint32_t		 report_ids[REPORTS_MAX];
	bool			 had_extra;

	enum target_health	 health;
	struct err		 last_err;
	int64_t			 last_scrape_ns;
	double			 last_duration_s;
	size_t			 last_body_bytes;
};

struct loop *loop_new(struct pool *p, struct target *t);
/* The worker runs: wait for the offset, then scrape. */
void	 loop_start(struct loop *l);
/* Same target, new settings of its job; the target is taken over. */
void	 loop_update(struct loop *l, struct target *t);
/* The target is gone. */
void	 loop_end(struct loop *l, bool at_once);
void	 loop_ref(struct loop *l);
void	 loop_unref(struct loop *l);
/* From fetch.c: the scrape has ended; one of body, err. */
void	 loop_on_answer(struct loop *l, struct buf *body,
	    struct str content_type, const struct err *err);
/* Declares what storage does not know of this loop's series. */
void	 loop_declare_all(struct loop *l);

/* --- fetch.c --- */

/* Asks the target; loop_on_answer later. */
void	 fetch_start(struct loop *l);
void	 fetch_cancel(struct loop *l);
/* Preference list for the Accept header. */
char	*fetch_accept_header(const struct scrape_conf *conf);

/* --- ingest.c --- */

struct ingest_result {
	size_t		total;		/* samples in the body */
	size_t		added;		/* left after relabelling */
	size_t		series_added;
};

/*
 * Parses a body into the batch. -1: none of its samples count, b holds stale
 * markers instead, for what was not read up to the error. An empty body only
 * marks.
 */
int	 ingest_body(struct loop *l, struct batch *b, struct buf *body,
	    struct str content_type, struct ingest_result *res,
	    struct err *err);
/* Stale markers for everything the last scrape had. */
void	 ingest_nothing(struct loop *l, struct batch *b);
/* Label set of a cached line, in the scratch arena. */
int	 ingest_line_labels(struct loop *l, const struct cached_line *line,
	    struct labels *out, struct err *err);

/* --- report.c --- */

void	 report_add(struct loop *l, struct batch *b, int64_t t_ms,
	    double duration_s, const struct ingest_result *res,
	    double body_bytes, bool healthy);
void	 report_add_stale(struct loop *l, struct batch *b, int64_t t_ms);
void	 report_declare(struct loop *l);
void	 report_give_ids(struct loop *l);

/* --- targets_json.c --- */

void	 targets_on_get(void *ctx, struct ipc_channel *ch, struct ipc_msg *m);

/* --- conf.c --- */

struct generation {
	uint32_t		 number;
	struct scrape_confs	 confs;
	struct pool_plan	*plans;		/* until the commit */
	bool			 waiting;	/* for files */
};

/* As worker_role.prepare: 0, -1, or 1 when s->prepared will be called. */
int	 conf_prepare(struct scrape *s, uint32_t gen, struct str blob,
	    struct err *err);
/* From files.c: some file has been read. */
void	 conf_on_file(struct scrape *s);
void	 conf_commit(struct scrape *s, uint32_t gen);
void	 conf_abort(struct scrape *s, uint32_t gen);
void	 conf_clear(struct scrape *s);

/* --- the context --- */

struct scrape_metrics {
	metrics_slot	*pools, *pools_failed, *reloads, *reloads_failed;
	metrics_slot	*target_limit_hit, *label_limit_hit, *body_limit;
	metrics_slot	*sample_limit, *duplicate, *out_of_bounds;
	metrics_slot	*out_of_order, *cache_flush, *pending;
	metrics_slot	*skipped_stuck, *skipped_lost;
};

struct scrape_options {
	uint32_t	instance, n_instances;
	bool		adjust_timestamps;
	int64_t		tolerance_ns;
	bool		type_and_unit_labels;
	struct str	hostname;
	struct str	external_host;		/* host[:port] of the external URL */
	struct str	external_scheme;
	struct str	listen_port;
	uint64_t	max_body_bytes;		/* when a job has no limit */
	uint64_t	max_pending_bytes;
	uint64_t	max_heap_bytes;		/* no new series beyond; 0 = none */
};

struct scrape {
	struct event_base	*base;
	struct metrics		*metrics;
	struct scrape_options	 opt;
	struct http_loop	*http;
	struct broker		*broker;	/* NULL in tests: no files */
	/* answer to a prepare that waited; err NULL = accepted */
	void			(*prepared)(struct scrape *s, uint32_t gen,
				    const struct err *err);
	struct appender		 appender;
	struct resolver		 resolver;
	struct file_text	*files;
	struct scrape_metrics	 m;
	struct generation	*current, *next;
	struct pool		**pools;	/* in order of configuration */
	size_t			 n_pools;
	struct loop		*ending;
	uint64_t		 offset_seed;
	bool			 running;
	bool			 stopping;
	struct event		*trim;		/* see scrape.c */

	/* scratch of one scrape */
	struct expo_parser	 parser;
	struct expo_parser	 line_parser;
	struct arena		 arena;
	struct labels_builder	 builder;
};

/* base, metrics and opt must be set. */
void	 scrape_init(struct scrape *s);
void	 scrape_clear(struct scrape *s);
void	 scrape_run(struct scrape *s);
/* Ends all loops without stale markers; see scrape_is_drained. */
void	 scrape_stop(struct scrape *s);
bool	 scrape_is_drained(const struct scrape *s);

#endif

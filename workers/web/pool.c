/* SPDX-License-Identifier: ISC */
/*
 * Jobs and processes. A job belongs to its call until the reply is complete;
 * when the client leaves first, the call ends and the job stays, headless,
 * until its process has stopped working on it.
 */
#include "workers/web/pool.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "ipc/memfd.h"
#include "workers/web/ring.h"
#include "workers/web/routes.h"

#define TICK_MS		250
#define COPY_MAX	(128 * 1024)	/* last pieces up to this are copied */
#define GRACE_MS	2000	/* for a process to notice the deadline itself */
#define SPILL_MIN	((size_t)32 << 20) /* our line is 128 MiB at least */
#define INLINE_MAX	(48 * 1024)	/* parameters on the message itself */
#define ORIGIN_PATH_MAX	2048	/* of a path, for the query log */

struct job {
	TAILQ_ENTRY(job)	 entry;
	struct call		*call;		/* NULL: the client has gone */
	struct pool_worker	*worker;	/* NULL while queued */
	uint64_t		 id;
	uint32_t		 kind;
	mono_time		 started;
	mono_time		 deadline;
	bool			 killed;
	bool			 timed_out;
	bool			 is_slow;	/* its client, and others wait */
	char			 client[64];
	char			*text;		/* the query, for people */
};
TAILQ_HEAD(job_list, job);

struct pool_worker {
	struct pool_worker	*next;
	struct pool		*pool;
	struct ipc_channel	*ch;
	uint32_t		 instance;
	struct ring		*ring;		/* NULL until it is offered */
	struct job		*job;
	uint64_t		 seen;		/* promised, a tick ago */
};

struct pool {
	struct web		*web;
	struct pool_worker	*workers;
	size_t			 n_workers;
	struct job_list		 queue;
	size_t			 n_queued, n_running;
	size_t			 spilled_bytes;	/* of slow clients, here */
	size_t			 spill_max;
	struct event		*tick;
	metrics_slot		*m_queries;
};

static void pool_start_jobs(struct pool *p);

static bool
is_metadata(uint32_t kind)
{
	return kind != QUERY_INSTANT && kind != QUERY_RANGE;
}

static void
count_jobs(struct pool *p)
{
	metrics_set(p->m_queries, (double)(p->n_queued + p->n_running));
}

static void
job_free(struct job *j)
{
	free(j->text);
	free(j);
}

static void
queue_remove(struct pool *p, struct job *j)
{
	TAILQ_REMOVE(&p->queue, j, entry);
	p->n_queued--;
}

/* Off its process; the call must be answered already. */
static void
job_end(struct pool *p, struct job *j)
{
	j->worker->job = NULL;
	p->n_running--;
	job_free(j);
	count_jobs(p);
}

static void
job_cancel(struct job *j)
{
	if (j->worker != NULL && j->worker->ring != NULL)
		reply_store(&j->worker->ring->page->cancel, j->id);
}

/* The client left. */
static void
gone_cb(struct http_exchange *x, void *arg)
{
	struct job *j = arg;
	struct call *c = j->call;

	(void)x;
	if (c == NULL)
		return;
	j->call = NULL;
	if (j->worker == NULL) {
		queue_remove(c->web->pool, j);
		job_free(j);
		count_jobs(c->web->pool);
	} else
		job_cancel(j);
	call_abort(c);
}

static void
job_fail(struct job *j, int status, enum err_kind kind, const char *text)
{
	struct call *c = j->call;
	struct err err = ERR_INIT;

	if (c == NULL)
		return;
	j->call = NULL;
	http_exchange_on_gone(c->x, NULL, NULL);
	if (c->begun) {
		call_abort(c);
		return;
	}
	(void)err_set(&err, kind, "%s", text);
	call_reply_err(c, status, &err);
}

/*
 * A job of the queue that will not run. It leaves the queue first: the reply
 * may let the client's next request in, which looks at the queue.
 */
static void
job_refuse(struct pool *p, struct job *j, enum err_kind kind,
    const char *text)
{
	queue_remove(p, j);
	job_fail(j, 0, kind, text);
	job_free(j);
	count_jobs(p);
}

/* --- sending requests --- */

static void
add_params(const struct call *c, struct buf *b)
{
	wire_put_u32(b, (uint32_t)c->params.n);
	for (size_t i = 0; i < c->params.n; i++) {
		wire_put_str(b, c->params.items[i].name);
		wire_put_str(b, c->params.items[i].value);
	}
}

/* For the query log: who, how and where. */
static void
add_origin(const struct job *j, struct buf *b)
{
	const struct call *c = j->call;
	struct str prefix = c->web->set.prefix, path = c->path;

	wire_put_str(b, str_c(j->client));
	wire_put_str(b, http_exchange_request(c->x)->method_text);
	if (path.n > ORIGIN_PATH_MAX)
		path.n = ORIGIN_PATH_MAX;
	wire_put_u32(b, (uint32_t)(prefix.n + path.n));
	buf_add_str(b, prefix);
	buf_add_str(b, path);
}

static enum query_encoding
encoding_of(enum compress_codec codec)
{
	return codec == COMPRESS_GZIP ? QUERY_ENC_GZIP :
	    codec == COMPRESS_ZLIB ? QUERY_ENC_DEFLATE : QUERY_ENC_IDENTITY;
}

static int
job_send(struct job *j, struct pool_worker *w, struct err *err)
{
	const struct call *c = j->call;
	struct msg_query m = {
		.kind = j->kind,
		.encoding = encoding_of(c->codec),
		.now_ms = wall_now_ms(),
		.deadline_ns = j->deadline.ns,
		.asked_ns = j->started.ns,
		.origin = QUERY_FROM_HTTP,
	};
	struct iovec iov[2] = { { &m, sizeof(m) } };
	struct buf b, params;
	int fd = -1, rv;

	buf_init(&b, 0);
	buf_init(&params, 0);
	wire_put_str(&b, c->arg);
	add_origin(j, &b);
	add_params(c, &params);
	if (params.n > INLINE_MAX) {
		fd = memfd_seal("query", buf_str(&params), err);
		wire_put_u32(&b, 0);
	} else
		buf_add_str(&b, buf_str(&params));
	if (buf_failed(&b) || buf_failed(&params) || b.n > IPC_MSG_MAX / 2 +
	    INLINE_MAX / 2)
		rv = err_set(err, ERR_INTERNAL, "request too large");
	else if (params.n > INLINE_MAX && fd == -1)
		rv = -1;
	else {
		iov[1] = (struct iovec){ b.p, b.n };
		rv = ipc_sendv(w->ch, IPC_QUERY, j->id, iov, 2, &fd,
		    fd != -1, err);
	}
	buf_clear(&b);
	buf_clear(&params);
	return rv;
}

static bool
worker_is_free(const struct pool_worker *w)
{
	return w->ring != NULL && w->job == NULL &&
	    ring_is_empty(w->ring) && ipc_channel_is_open(w->ch);
}

/* A free process for this kind; the reserve only for metadata. */
static struct pool_worker *
free_worker(struct pool *p, uint32_t kind)
{
	struct pool_worker *best = NULL;

	for (struct pool_worker *w = p->workers; w != NULL; w = w->next) {
		bool reserve = w->instance == 0 && p->n_workers > 1;

		if (!worker_is_free(w) || (reserve && !is_metadata(kind)))
			continue;
		/* metadata prefers the reserve, all prefer low numbers */
		if (best == NULL || w->instance < best->instance)
			best = w;
	}
	return best;
}

static void
check_queued(struct pool *p, mono_time now)
{
	struct job *j = TAILQ_FIRST(&p->queue);

	while (j != NULL) {
		if (mono_before(now, j->deadline)) {
			j = TAILQ_NEXT(j, entry);
			continue;
		}
		job_refuse(p, j, ERR_TIMEOUT,
		    "query timed out in query queue");
		j = TAILQ_FIRST(&p->queue);
	}
}

static void
pool_start_jobs(struct pool *p)
{
	struct job *j, *next;

	check_queued(p, mono_now());
	for (j = TAILQ_FIRST(&p->queue); j != NULL; j = next) {
		struct pool_worker *w = free_worker(p, j->kind);
		struct err err = ERR_INIT;

		next = TAILQ_NEXT(j, entry);
		if (w == NULL)
			continue;
		if (job_send(j, w, &err) == -1) {
			job_refuse(p, j, ERR_INTERNAL, err.text);
			next = TAILQ_FIRST(&p->queue);
			continue;
		}
		queue_remove(p, j);
		p->n_running++;
		j->worker = w;
		w->job = j;
	}
}

/*
 * A job ends with the server's time limit or with its own, waiting included.
 * What is no time, or none that is left, is the query process's to say.
 */
static mono_time
job_deadline(const struct pool *p, const struct call *c, uint32_t kind)
{
	struct str s = url_params_get(&c->params, "timeout");
	int64_t ms = p->web->set.query_timeout_ms, own;
	struct err ignored = ERR_INIT;
	double v;

	if (is_metadata(kind) || s.n == 0)
		return mono_add_ms(c->started, ms);
	if (float_parse(s.p, s.n, &v))
		own = v > 0 && v < (double)ms / 1000 ? (int64_t)(v * 1000) :
		    0;
	else if (duration_parse(s, &own, &ignored) == -1)
		own = 0;
	return mono_add_ms(c->started, own > 0 && own < ms ? own : ms);
}

void
pool_submit(struct pool *p, struct call *c, uint32_t kind)
{
	struct err err = ERR_INIT;
	struct str text;
	struct job *j;

	if (p->n_queued >= POOL_QUEUE_MAX ||
	    (j = calloc(1, sizeof(*j))) == NULL) {
		(void)err_set(&err, ERR_UNAVAILABLE,
		    "too many queries are waiting");
		call_reply_err(c, 503, &err);
		return;
	}
	text = url_params_get(&c->params, "query");
	if (text.p == NULL)
		text = url_params_get(&c->params, "match[]");
	if (text.p == NULL)
		text = c->arg;
	j->text = str_dup(text.n > 1024 ? str_from(text.p, 1024) : text);
	j->call = c;
	j->id = c->id;
	j->kind = kind;
	j->started = c->started;
	j->deadline = job_deadline(p, c, kind);
	http_exchange_peer(c->x, j->client);
	http_exchange_on_gone(c->x, gone_cb, j);
	TAILQ_INSERT_TAIL(&p->queue, j, entry);
	p->n_queued++;
	count_jobs(p);
	pool_start_jobs(p);
}

/* --- replies --- */

struct piece {
	struct ring	*ring;		/* NULL: the bytes are here */
	uint32_t	 len;
	size_t		*spilled;
	char		 bytes[];
};

static void
piece_done(void *arg)
{
	struct piece *pc = arg;

	if (pc->ring != NULL) {
		ring_take(pc->ring, pc->len);
		ring_put(pc->ring);
	} else
		*pc->spilled -= pc->len;
	free(pc);
}

/* The process may wait for room, or is free now. */
static void
ring_freed(void *arg)
{
	struct pool_worker *w = arg;
	struct err err = ERR_INIT;

	if (reply_load(&w->ring->page->waiting) != 0) {
		reply_store(&w->ring->page->waiting, 0);
		if (ipc_send(w->ch, IPC_REPLY_MORE, 0, NULL, 0, NULL, 0,
		    &err) == -1)
			log_debug("Query process is gone", F_ERR(&err));
	}
	if (w->job == NULL && ring_is_empty(w->ring))
		event_active(w->pool->tick, EV_TIMEOUT, 0);
}

/*
 * A client is slow and others wait for processes: its bytes are kept here,
 * so that its process gets done. Only what is alone in the ring, for a ring
 * is given back in order. false: not so, or there is no room.
 */
static bool
piece_spill(struct job *j, struct pool_worker *w, struct str bytes)
{
	struct pool *p = w->pool;
	struct piece *pc;

	if (!j->is_slow || p->spilled_bytes + bytes.n > p->spill_max ||
	    w->ring->promised - w->ring->taken != bytes.n ||
	    (pc = malloc(sizeof(*pc) + bytes.n)) == NULL)
		return false;
	*pc = (struct piece){ NULL, (uint32_t)bytes.n, &p->spilled_bytes };
	memcpy(pc->bytes, bytes.p, bytes.n);
	p->spilled_bytes += bytes.n;
	http_reply_ref(j->call->x, str_from(pc->bytes, bytes.n), piece_done,
	    pc);
	ring_take(w->ring, (uint32_t)bytes.n);
	return true;
}

/* To the client: a copy of what is short and last, else by reference. */
static void
piece_send(struct job *j, struct pool_worker *w, struct str bytes, bool last)
{
	struct call *c = j->call;
	struct piece *pc = NULL;

	if (c != NULL && bytes.n > 0)
		c->sent_bytes += bytes.n;
	if (c != NULL && bytes.n > 0 && piece_spill(j, w, bytes))
		return;
	if (c == NULL || bytes.n == 0 || (last && bytes.n <= COPY_MAX) ||
	    (pc = malloc(sizeof(*pc))) == NULL) {
		if (c != NULL)
			http_reply_data(c->x, bytes);
		if (bytes.n > 0)
			ring_take(w->ring, (uint32_t)bytes.n);
		return;
	}
	*pc = (struct piece){ w->ring, (uint32_t)bytes.n, NULL };
	w->ring->refs++;
	http_reply_ref(c->x, bytes, piece_done, pc);
}

static void
reply_begin(struct job *j, const struct msg_reply *m)
{
	enum compress_codec codec = m->encoding == QUERY_ENC_GZIP ?
	    COMPRESS_GZIP : m->encoding == QUERY_ENC_DEFLATE ?
	    COMPRESS_ZLIB : COMPRESS_NONE;

	if (j->call != NULL && !j->call->begun)
		call_begin(j->call, (int)m->http_status, "application/json",
		    codec, m->total_bytes);
}

/* The process gave up: say why, as far as that is still possible. */
static void
reply_aborted(struct job *j)
{
	if (j->killed)
		job_fail(j, 0, ERR_CANCELED, "query was canceled");
	else if (j->timed_out)
		job_fail(j, 0, ERR_TIMEOUT,
		    "query timed out in expression evaluation");
	else
		job_fail(j, 0, ERR_INTERNAL, "query process gave up");
}

static struct pool_worker *
worker_of(struct pool *p, const struct ipc_channel *ch)
{
	struct pool_worker *w = p->workers;

	while (w != NULL && w->ch != ch)
		w = w->next;
	return w;
}

static bool
reply_is_sane(const struct pool_worker *w, const struct ipc_msg *m)
{
	const struct msg_reply *r = m->data;

	return w != NULL && w->job != NULL && w->ring != NULL &&
	    m->id == w->job->id && r->http_status >= 200 &&
	    r->http_status < 600 && r->encoding <= QUERY_ENC_DEFLATE &&
	    r->total_bytes >= -1;
}

void
web_on_reply(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct web *web = ctx;
	struct pool *p = web->pool;
	struct pool_worker *w = worker_of(p, ch);
	const struct msg_reply *r = m->data;
	bool last = (r->flags & REPLY_LAST) != 0;
	struct str bytes;
	struct job *j;

	if (!reply_is_sane(w, m) || !ring_piece(w->ring, r->offset,
	    r->len_bytes, &bytes)) {
		ipc_violation(ch, m, "malformed reply");
		return;
	}
	j = w->job;
	if ((r->flags & REPLY_ABORT) != 0)
		reply_aborted(j);
	else {
		if (bytes.n > 0 || last)
			reply_begin(j, r);
		piece_send(j, w, bytes, last);
	}
	if (!last)
		return;
	if (j->call != NULL) {
		struct call *c = j->call;

		j->call = NULL;
		http_exchange_on_gone(c->x, NULL, NULL);
		call_end(c);
	}
	job_end(p, j);
	pool_start_jobs(p);
}

/* --- processes --- */

void
web_on_query_ring(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_query_ring *q = m->data;
	struct web *web = ctx;
	struct pool_worker *w = worker_of(web->pool, ch);
	struct err err = ERR_INIT;

	if (w == NULL || w->ring != NULL) {
		ipc_violation(ch, m, "a second ring");
		return;
	}
	w->ring = ring_open(ipc_msg_take_fd(m, 0), ipc_msg_take_fd(m, 1),
	    q->ring_bytes, &err);
	if (w->ring == NULL) {
		ipc_violation(ch, m, err.text);
		return;
	}
	w->ring->freed = ring_freed;
	w->ring->arg = w;
	pool_start_jobs(web->pool);
}

void
pool_worker_up(struct pool *p, struct ipc_channel *ch)
{
	struct pool_worker *w = xcalloc(1, sizeof(*w));

	w->pool = p;
	w->ch = ch;
	w->instance = ipc_channel_ends(ch).peer_instance;
	w->next = p->workers;
	p->workers = w;
	p->n_workers++;
}

void
pool_worker_down(struct pool *p, struct ipc_channel *ch,
    enum peer_cause cause, const char *why)
{
	struct pool_worker **at = &p->workers, *w;
	struct job *j;
	char text[400];

	while ((w = *at) != NULL && w->ch != ch)
		at = &w->next;
	if (w == NULL)
		return;
	*at = w->next;
	p->n_workers--;
	if ((j = w->job) != NULL) {
		(void)snprintf(text, sizeof(text), "%s%s",
		    cause == PEER_CAUSE_NO_MEMORY ? "query " :
		    "query process ended during the query: ", why);
		job_fail(j, 0, cause == PEER_CAUSE_LIMIT ||
		    cause == PEER_CAUSE_NO_MEMORY ? ERR_EXECUTION :
		    ERR_INTERNAL, text);
		job_end(p, j);
	}
	if (w->ring != NULL) {
		w->ring->freed = NULL;
		ring_put(w->ring);
	}
	free(w);
}

/* --- deadlines --- */

/* Processes end queries in time themselves; this is for those that do not. */
static void
check_running(struct pool *p, mono_time now)
{
	for (struct pool_worker *w = p->workers; w != NULL; w = w->next) {
		struct job *j = w->job;

		/* a reply under way is the ring's and the socket's to limit */
		if (j == NULL || j->timed_out || mono_before(now,
		    mono_add_ms(j->deadline, GRACE_MS)) ||
		    (j->call != NULL && j->call->begun))
			continue;
		j->timed_out = true;
		job_cancel(j);
		job_fail(j, 0, ERR_TIMEOUT,
		    "query timed out in expression evaluation");
	}
}

/*
 * Somebody waits for a process: the ring of one whose client has not taken in
 * a tick what was there at the last is freed, and its further bytes are kept
 * here. One a tick, and a second one only while there is room: better one
 * process done than all of them half.
 */
static void
free_from_slow_client(struct pool *p)
{
	struct pool_worker *found = NULL;
	bool had_one = false;
	struct ring *next;

	for (struct pool_worker *w = p->workers; w != NULL; w = w->next) {
		uint64_t seen = w->seen;

		if (w->ring == NULL || !ipc_channel_is_open(w->ch))
			continue;
		w->seen = w->ring->promised;
		had_one |= w->job != NULL && w->job->is_slow;
		/* one that is done already first */
		if (w->ring->taken < seen && (found == NULL ||
		    w->job == NULL))
			found = w;
	}
	if (p->n_queued == 0 || found == NULL || p->spilled_bytes +
	    REPLY_RING_BYTES > (had_one ? p->spill_max / 2 : p->spill_max) ||
	    (next = ring_detach(found->ring, &p->spilled_bytes)) == NULL)
		return;
	found->ring = next;
	if (found->job != NULL)
		found->job->is_slow = true;
	ring_freed(found);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval every = { 0, TICK_MS * 1000 };
	struct pool *p = arg;
	mono_time now = mono_now();

	(void)fd;
	(void)what;
	check_running(p, now);
	free_from_slow_client(p);
	pool_start_jobs(p);
	(void)event_add(p->tick, &every);
}

struct pool *
pool_new(struct web *web)
{
	static const struct timeval every = { 0, TICK_MS * 1000 };
	struct metrics *m = worker_metrics(web->w);
	struct pool *p = xcalloc(1, sizeof(*p));

	p->web = web;
	TAILQ_INIT(&p->queue);
	p->spill_max = (size_t)worker_memory_limit(web->w) / 4;
	if (p->spill_max < SPILL_MIN)
		p->spill_max = SPILL_MIN;
	p->m_queries = metrics_get(m, METRIC_ENGINE_QUERIES, "");
	metrics_set(metrics_get(m, METRIC_ENGINE_QUERIES_MAX, ""),
	    (double)web->set.n_query_max);
	p->tick = evtimer_new(worker_base(web->w), tick_cb, p);
	if (p->tick == NULL || event_add(p->tick, &every) == -1)
		fatal("out of memory for the query pool");
	return p;
}

/* --- for people --- */

static const char *
kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[QUERY_INSTANT] = "query", [QUERY_RANGE] = "query_range",
		[QUERY_SERIES] = "series", [QUERY_LABELS] = "labels",
		[QUERY_LABEL_VALUES] = "label_values",
		[QUERY_TSDB_STATUS] = "status/tsdb",
		[QUERY_FORMAT] = "format_query",
		[QUERY_PARSE] = "parse_query",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

static void
job_describe(const struct job *j, mono_time now, bool *first,
    struct buf *out)
{
	buf_printf(out, "%s{\"id\":%llu,\"state\":\"%s\",\"kind\":\"%s\","
	    "\"seconds\":%.3f,\"client\":", *first ? "" : ",",
	    (unsigned long long)j->id, j->worker == NULL ? "queued" :
	    j->call == NULL ? "canceling" : "running", kind_name(j->kind),
	    (double)mono_sub_ns(now, j->started) / 1e9);
	json_add_str(out, str_c(j->client), false);
	if (j->worker != NULL)
		buf_printf(out, ",\"worker\":%u", j->worker->instance);
	buf_add_c(out, ",\"query\":");
	json_add_str(out, str_c(j->text == NULL ? "" : j->text), false);
	buf_add_byte(out, '}');
	*first = false;
}

void
pool_describe(struct pool *p, struct buf *out)
{
	mono_time now = mono_now();
	bool first = true;
	struct job *j;

	buf_add_c(out, "{\"queries\":[");
	for (struct pool_worker *w = p->workers; w != NULL; w = w->next) {
		if (w->job != NULL)
			job_describe(w->job, now, &first, out);
	}
	TAILQ_FOREACH(j, &p->queue, entry)
		job_describe(j, now, &first, out);
	buf_add_c(out, "]}");
}

bool
pool_kill(struct pool *p, uint64_t id)
{
	struct job *j;

	for (struct pool_worker *w = p->workers; w != NULL; w = w->next) {
		if (w->job != NULL && w->job->id == id) {
			w->job->killed = true;
			job_cancel(w->job);
			return true;
		}
	}
	TAILQ_FOREACH(j, &p->queue, entry) {
		if (j->id == id) {
			job_refuse(p, j, ERR_CANCELED, "query was canceled");
			return true;
		}
	}
	return false;
}

void
pool_cancel_all(struct pool *p)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&p->queue)) != NULL)
		job_refuse(p, j, ERR_CANCELED, "query was canceled");
	for (struct pool_worker *w = p->workers; w != NULL; w = w->next) {
		if (w->job == NULL || (w->job->call != NULL &&
		    w->job->call->begun))
			continue;
		w->job->killed = true;
		job_cancel(w->job);
	}
}

size_t
pool_n_jobs(const struct pool *p)
{
	return p->n_queued + p->n_running;
}

void
handle_query(struct call *c)
{
	struct err err = ERR_INIT;

	/* series alone tells of a form that could not be read in full */
	if (c->route->kind == QUERY_SERIES && c->params_err.kind != ERR_NONE) {
		(void)err_set(&err, ERR_BAD_DATA,
		    "error parsing form values: %s", c->params_err.text);
		call_reply_err(c, 0, &err);
		return;
	}
	pool_submit(c->web->pool, c, (uint32_t)c->route->kind);
}

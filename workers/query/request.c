/* SPDX-License-Identifier: ISC */
/*
 * One request: taken from its message, run outside of the handler (so that
 * channels can be pumped meanwhile), finished.
 */
#include <malloc.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/wire.h"
#include "ipc/memfd.h"
#include "workers/query/query.h"

#define PARAMS_BYTES_MAX	((size_t)16 << 20)
#define PARAMS_MAX		20000
#define BREATHE_NS		(50 * 1000000)
#define HEAD_WAIT_MS		5000
#define TRIM_BYTES		((size_t)32 << 20)

void
query_breathe(struct query *q)
{
	mono_time now = mono_now();

	if (mono_sub_ns(now, q->breathed) < BREATHE_NS)
		return;
	q->breathed = now;
	(void)ipc_channel_pump(worker_supervisor(q->w), 0);
	if (q->asker != NULL)
		(void)ipc_channel_pump(q->asker, 0);
}

bool
query_is_cancelled(struct query *q)
{
	if (!q->running)
		return false;
	if (reply_load(&q->ring.page->cancel) == q->id)
		return true;
	query_breathe(q);
	return q->stopping || q->asker == NULL || q->asker != q->for_asker;
}

/* Parameters into q->req; false when they are malformed. */
static bool
read_params(struct query *q, struct str bytes, bool with_arg)
{
	char *copy = arena_alloc(&q->mem, bytes.n + 1);
	struct wire_reader r;
	struct param *items;

	if (copy == NULL)
		return false;
	if (bytes.n > 0)
		memcpy(copy, bytes.p, bytes.n);
	wire_reader_init(&r, copy, bytes.n);
	if (with_arg) {
		q->req.arg = wire_get_str(&r);
		for (size_t i = 0; i < 3; i++)
			q->req.asker.what[i] = wire_get_str(&r);
	}
	size_t n = wire_get_count(&r, 8);

	if (n > PARAMS_MAX ||
	    (items = arena_array(&q->mem, n + 1, sizeof(*items))) == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		items[i].name = wire_get_str(&r);
		items[i].value = wire_get_str(&r);
	}
	q->req.params = (struct params){ items, n };
	return wire_end(&r);
}

static bool
read_request(struct query *q, struct ipc_msg *m)
{
	const struct msg_query *mq = m->data;
	struct str rest = str_from((const char *)m->data + sizeof(*mq),
	    m->n - sizeof(*mq));
	int fd = ipc_msg_take_fd(m, 0);
	struct err err = ERR_INIT;
	struct str far;
	bool ok;

	q->req = (struct api_request){
		.kind = mq->kind,
		.now_ms = mq->now_ms,
		.deadline = { mq->deadline_ns },
		.asked = { mq->asked_ns },
		.asker = { .origin = mq->origin },
	};
	q->codec = mq->encoding == QUERY_ENC_GZIP ? COMPRESS_GZIP :
	    mq->encoding == QUERY_ENC_DEFLATE ? COMPRESS_ZLIB : COMPRESS_NONE;
	ok = read_params(q, rest, true);
	if (fd == -1)
		return ok;
	if (ok && memfd_map(fd, PARAMS_BYTES_MAX, &far, &err) == 0) {
		ok = read_params(q, far, false);
		memfd_unmap(far);
	} else
		ok = false;
	(void)close(fd);
	return ok;
}

void
query_on_query(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct query *q = ctx;

	if (q->busy) {
		ipc_violation(ch, m, "one request at a time");
		return;
	}
	if (!read_request(q, m)) {
		arena_reset(&q->mem);
		ipc_violation(ch, m, "malformed request");
		return;
	}
	q->busy = true;
	q->waited = false;
	q->id = m->id;
	query_request_try(q);
}

void
query_request_try(struct query *q)
{
	static const struct timeval wait = { HEAD_WAIT_MS / 1000, 0 };

	if (!q->busy || q->running)
		return;
	/* storage is restarting: it may be back in a moment */
	if (q->env.src == NULL && !q->waited &&
	    q->req.kind != QUERY_FORMAT && q->req.kind != QUERY_PARSE) {
		if (!event_pending(q->wait_ev, EV_TIMEOUT, NULL))
			(void)event_add(q->wait_ev, &wait);
		return;
	}
	(void)event_del(q->wait_ev);
	event_active(q->run_ev, EV_TIMEOUT, 0);
}

static void
count(struct query *q, const struct api_answer *a)
{
	if (!a->has_stats)
		return;
	metrics_summary_observe(q->m_queue, a->queue_s);
	metrics_summary_observe(q->m_prepare, a->stats.prepare_s);
	metrics_summary_observe(q->m_inner, a->stats.eval_s);
	metrics_summary_observe(q->m_sort, a->stats.sort_s);
	metrics_add(q->m_samples, (double)a->stats.total_samples);
}

void
query_request_run(struct query *q)
{
	struct api_answer a = { .http_status = 500 };
	struct timespec ts;

	if (!q->busy || q->running)
		return;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	q->cpu_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	q->answer = &a;
	q->first_sent = false;
	q->running = true;
	q->for_asker = q->asker;
	q->breathed = mono_now();
	body_init(&a.body, q->codec, query_ring_sink, q);
	api_answer(&q->env, &q->req, &a);
	if (a.body.lost)
		query_ring_abort(q);
	count(q, &a);
	body_clear(&a.body);
	q->running = q->busy = false;
	q->answer = NULL;
	q->req = (struct api_request){ 0 };
	arena_reset(&q->mem);
	/* what failed may have been large, too: nobody counted to the end */
	if (a.peak_bytes > TRIM_BYTES || a.body.raw_bytes > TRIM_BYTES ||
	    a.http_status >= 422)
		(void)malloc_trim(0);
	query_head_settle(q);
	if (q->offer_wanted && q->asker != NULL)
		query_ring_offer(q);
	q->offer_wanted = false;
	if (q->stopping)
		worker_stopped(q->w);
}

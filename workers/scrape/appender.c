/* SPDX-License-Identifier: ISC */
/*
 * The client's side of the append protocol. Each series has a number of
 * ours from its first sample until its line is forgotten. Storage learns a
 * number's labels just before the first batch that uses it.
 *
 * Batches stay in `first … last` until they are acknowledged. When storage
 * comes back after a death it knows nothing: the bits in `declared` are
 * cleared, each waiting batch is sent again with RESEND after the series of
 * its loop were declared again; series that were forgotten meanwhile lose
 * their samples there (storage marks them stale itself).
 *
 * A number given back rests in `retired` until no waiting batch can name it.
 */

#define LOG_COMPONENT "scrape manager"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define PENDING_NS_MAX	(60 * 1000000000LL)
#define SAMPLE_BYTES	16
#define SPARE_MAX	8
#define SPARE_SAMPLES_MAX	(1u << 16)	/* larger ones are freed */
/* Behind this much in the channel's queue, batches wait here. */
#define QUEUE_BYTES_MAX	(8u << 20)

void
appender_init(struct appender *a, struct scrape *s)
{
	memset(a, 0, sizeof(*a));
	a->s = s;
	a->next_seq = 1;
	a->next_id = 1;
	append_series_init(&a->series);
}

static void
batch_free(struct batch *b)
{
	free(b->ids);
	free(b->values);
	free(b->dt_ms);
	free(b);
}

/* Lets the loop go and keeps the memory for the next scrape. */
static void
batch_release(struct appender *a, struct batch *b)
{
	struct loop *l = b->loop;

	b->loop = NULL;
	if (a->n_spare < SPARE_MAX && b->cap <= SPARE_SAMPLES_MAX) {
		b->next = a->spare;
		a->spare = b;
		a->n_spare++;
	} else
		batch_free(b);
	loop_unref(l);
}

void
appender_clear(struct appender *a)
{
	struct batch *b;

	while ((b = a->first) != NULL) {
		a->first = b->next;
		loop_unref(b->loop);
		batch_free(b);
	}
	while ((b = a->spare) != NULL) {
		a->spare = b->next;
		batch_free(b);
	}
	append_series_clear(&a->series);
	free(a->declared);
	free(a->free_ids);
	free(a->retired);
	memset(a, 0, sizeof(*a));
}

bool
appender_is_stuck(const struct appender *a)
{
	if (a->first == NULL)
		return false;
	return a->pending_samples * SAMPLE_BYTES >
	    a->s->opt.max_pending_bytes ||
	    mono_now().ns - a->first->born_ns > PENDING_NS_MAX;
}

/* --- series numbers --- */

uint32_t
appender_id_take(struct appender *a)
{
	if (a->n_free > 0)
		return a->free_ids[--a->n_free];
	return a->next_id <= APPEND_ID_MAX ? a->next_id++ : 0;
}

static void
release_id(struct appender *a, uint32_t id)
{
	if (a->n_free == a->cap_free) {
		a->cap_free = a->cap_free == 0 ? 64 : a->cap_free * 2;
		a->free_ids = xrealloc(a->free_ids,
		    a->cap_free * sizeof(*a->free_ids));
	}
	a->free_ids[a->n_free++] = id;
}

/* Frees the numbers that no batch after `acked` can name. */
static void
release_retired(struct appender *a, uint64_t acked)
{
	uint32_t forget[256];
	struct err err = ERR_INIT;
	size_t n = 0, k = 0;

	for (; k < a->n_retired && a->retired[k].seq <= acked; k++) {
		uint32_t id = a->retired[k].id;

		release_id(a, id);
		if (!appender_is_declared(a, id))
			continue;
		a->declared[id / 64] &= ~(1ULL << id % 64);
		forget[n++] = id;
		if (n == 256 && a->ch != NULL) {
			(void)append_forget(a->ch, forget, n, &err);
			n = 0;
		}
	}
	if (n > 0 && a->ch != NULL)
		(void)append_forget(a->ch, forget, n, &err);
	if (k == 0)
		return;
	memmove(a->retired, a->retired + k,
	    (a->n_retired - k) * sizeof(*a->retired));
	a->n_retired -= k;
}

void
appender_id_give(struct appender *a, uint32_t id)
{
	if (a->n_retired == a->cap_retired) {
		a->cap_retired = a->cap_retired == 0 ? 64 :
		    a->cap_retired * 2;
		a->retired = xrealloc(a->retired,
		    a->cap_retired * sizeof(*a->retired));
	}
	/* a batch being made will have next_seq, and may name the number */
	a->retired[a->n_retired++] = (struct retired_id){ id,
	    a->n_open > 0 ? a->next_seq : a->next_seq - 1 };
	if (a->n_open == 0 && a->first == NULL)
		release_retired(a, a->next_seq - 1);
}

static void
mark_declared(struct appender *a, uint32_t id)
{
	size_t words = a->declared_words;

	if (id / 64 >= words) {
		words = (id / 64 + 1) * 2;
		a->declared = xrealloc(a->declared,
		    words * sizeof(*a->declared));
		memset(a->declared + a->declared_words, 0,
		    (words - a->declared_words) * sizeof(*a->declared));
		a->declared_words = words;
	}
	a->declared[id / 64] |= 1ULL << id % 64;
}

int
appender_declare(struct appender *a, uint32_t id, struct labels ls,
    struct err *err)
{
	if (a->ch == NULL)
		return 0;
	if (append_series_add(&a->series, a->ch, id, ls, err) == -1)
		return -1;
	mark_declared(a, id);
	return 0;
}

/* --- batches --- */

struct batch *
appender_batch(struct appender *a, struct loop *l, int64_t base_ms)
{
	struct batch *b = a->spare;

	if (b != NULL) {
		a->spare = b->next;
		a->n_spare--;
	} else
		b = xcalloc(1, sizeof(*b));
	b->next = NULL;
	b->loop = l;
	loop_ref(l);
	a->n_open++;
	b->seq = 0;
	b->base_ms = base_ms;
	b->n = 0;
	b->own_times = b->quiet = b->again = b->failed = false;
	return b;
}

/* The size is the target's choice: without memory its scrape fails. */
static bool
batch_grow(struct batch *b)
{
	size_t ids = b->cap, values = b->cap;

	if (vec_grow(&b->ids, &ids, b->n + 1, sizeof(*b->ids)) == -1 ||
	    vec_grow(&b->values, &values, b->n + 1,
	    sizeof(*b->values)) == -1) {
		/* ids may be larger than cap says: harmless */
		b->failed = true;
		return false;
	}
	b->cap = ids;
	return true;
}

/* Room for one more time of its own; those so far are 0. */
static bool
own_time(struct batch *b)
{
	if (vec_grow(&b->dt_ms, &b->cap_dt, b->n + 1,
	    sizeof(*b->dt_ms)) == -1) {
		b->failed = true;
		return false;
	}
	if (!b->own_times)
		memset(b->dt_ms, 0, b->n * sizeof(*b->dt_ms));
	b->own_times = true;
	return true;
}

bool
batch_add_slow(struct batch *b, uint32_t id, int64_t t_ms, double v)
{
	int64_t dt;

	if (__builtin_sub_overflow(t_ms, b->base_ms, &dt) ||
	    dt != (int32_t)dt)
		return false;
	if (b->n == b->cap && !batch_grow(b))
		return false;
	if ((dt != 0 || b->own_times) && !own_time(b))
		return false;
	b->ids[b->n] = id;
	b->values[b->n] = v;
	if (b->own_times)
		b->dt_ms[b->n] = (int32_t)dt;
	b->n++;
	return true;
}

/* The channel cannot take more: wait for the supervisor to renew it. */
static void
give_up_channel(struct appender *a, const struct err *err)
{
	log_warn("Sending samples to storage failed", F_ERR(err));
	a->ch = NULL;
}

/* Drops samples whose series storage cannot be told about any more. */
static void
drop_undeclared(struct appender *a, struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (!appender_is_declared(a, b->ids[i]))
			continue;
		b->ids[n] = b->ids[i];
		b->values[n] = b->values[i];
		if (b->own_times)
			b->dt_ms[n] = b->dt_ms[i];
		n++;
	}
	a->pending_samples -= b->n - n;
	b->n = n;
}

static void
send_batch(struct appender *a, struct batch *b)
{
	uint32_t flags = b->again ? SAMPLES_RESEND : 0;
	struct err err = ERR_INIT;

	if (b->again) {
		loop_declare_all(b->loop);
		drop_undeclared(a, b);
	}
	if (append_series_flush(&a->series, a->ch, &err) == -1 ||
	    append_send_batch(a->ch, b->seq, b->base_ms, b->ids, b->values,
	    b->own_times ? b->dt_ms : NULL, b->n, flags, &err) == -1)
		give_up_channel(a, &err);
}

/* Sends what waits, as far as the channel's queue has room. */
static void
send_waiting(struct appender *a)
{
	while (a->ch != NULL && a->unsent != NULL &&
	    ipc_channel_queued(a->ch) < QUEUE_BYTES_MAX) {
		struct batch *b = a->unsent;

		a->unsent = b->next;
		send_batch(a, b);
	}
}

static void
on_drained(void *ctx, struct ipc_channel *ch)
{
	struct scrape *s = ctx;

	if (ch == s->appender.ch)
		send_waiting(&s->appender);
}

void
appender_submit(struct appender *a, struct batch *b)
{
	a->n_open--;
	if (b->n == 0) {
		batch_release(a, b);
		return;
	}
	b->seq = a->next_seq++;
	b->born_ns = mono_now().ns;
	if (a->last == NULL || a->first == NULL)
		a->first = b;
	else
		a->last->next = b;
	a->last = b;
	a->n_pending++;
	a->pending_samples += b->n;
	metrics_set(a->s->m.pending, (double)a->n_pending);
	if (a->unsent == NULL)
		a->unsent = b;
	send_waiting(a);
}

void
appender_attach(struct appender *a, struct ipc_channel *ch)
{
	a->ch = ch;
	if (a->declared != NULL)
		memset(a->declared, 0,
		    a->declared_words * sizeof(*a->declared));
	append_series_clear(&a->series);
	append_series_init(&a->series);
	if (a->first != NULL)
		log_info("Sending unacknowledged batches to storage again",
		    F_UINT("batches", a->n_pending));
	for (struct batch *b = a->first; b != NULL; b = b->next)
		b->again = true;
	a->unsent = a->first;
	ipc_channel_on_drained(ch, on_drained);
	send_waiting(a);
}

void
appender_detach(struct appender *a, struct ipc_channel *ch)
{
	if (a->ch == ch)
		a->ch = NULL;
}

/* --- acknowledgements --- */

static void
count_refused(struct appender *a, const struct batch *b,
    const struct msg_ack *ack)
{
	struct scrape_metrics *m = &a->s->m;
	uint32_t oob = ack->out_of_bounds.count + ack->too_old.count;
	struct str url = b->loop->target->url;

	if (b->quiet)
		return;
	metrics_add(m->out_of_order, ack->out_of_order.count);
	metrics_add(m->duplicate, ack->duplicate.count);
	metrics_add(m->out_of_bounds, oob);
	if (ack->out_of_order.count > 0)
		log_warn("Error on ingesting out-of-order samples",
		    F_STRN("target", url),
		    F_UINT("num_dropped", ack->out_of_order.count));
	if (ack->duplicate.count > 0)
		log_warn("Error on ingesting samples with different value "
		    "but same timestamp", F_STRN("target", url),
		    F_UINT("num_dropped", ack->duplicate.count));
	if (oob > 0)
		log_warn("Error on ingesting samples that are too old or are "
		    "too far into the future", F_STRN("target", url),
		    F_UINT("num_dropped", oob));
	if (ack->limit.count > 0)
		log_warn("Series refused: the head has reached its ceiling",
		    F_STRN("target", url),
		    F_UINT("num_dropped", ack->limit.count));
}

void
appender_on_ack(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct scrape *s = ctx;
	struct appender *a = &s->appender;
	struct msg_ack ack;
	struct batch *b = a->first;

	memcpy(&ack, m->data, sizeof(ack));
	if (ch != a->ch)
		return;
	if (b == NULL || b == a->unsent || b->seq != ack.seq) {
		ipc_violation(ch, m, "acknowledges another batch");
		return;
	}
	a->first = b->next;
	if (a->first == NULL)
		a->last = NULL;
	a->n_pending--;
	a->pending_samples -= b->n;
	metrics_set(s->m.pending, (double)a->n_pending);
	count_refused(a, b, &ack);
	release_retired(a, ack.seq);
	batch_release(a, b);
}

/* SPDX-License-Identifier: ISC */

/*
 * The append protocol's serving side (ipc/append.h): a table from the
 * client's series numbers to slots, and the batch that is coming in, for
 * each channel. A batch is kept until its commit, then checked, logged and
 * published by the head, then acknowledged.
 *
 * When the WAL cannot be written (a full disk), batches wait in memory, in
 * their order, and are tried again each second; nothing is acknowledged
 * meanwhile. When too much waits the channels are closed: their clients hold
 * what is not acknowledged and send it again.
 */

#include "workers/storage/storage.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/vec.h"
#include "ipc/append.h"

#define NOT_DECLARED	0u
#define REFUSED		UINT32_MAX	/* else slot + 1 */
/* Numbers are dense: this far beyond twice those declared is too far. */
#define ID_SLACK	65536u
#define BATCH_MAX	((size_t)8 << 20)	/* samples */
#define BATCH_KEEP	((size_t)64 << 10)	/* capacity that is kept */
/*
 * Scrape and rules append what is now: a worker that was taken over must not
 * move the head's newest time, which would make all others' samples too old.
 * They themselves refuse what is 10 minutes ahead.
 */
#define AHEAD_MS_MAX	(11 * 60 * 1000)
#define STALLED_MAX	((size_t)256 << 20)	/* bytes, of all clients */
/*
 * Series that were created together fill their chunks together: then what
 * the tick writes is not enough, and each batch writes some too.
 */
#define SPILL_WAITING	1024
#define SPILL_BYTES	((size_t)4 << 20)

struct append_batch {
	struct append_batch	*next;
	uint64_t		 seq;
	uint32_t		 flags;
	uint32_t		 new_series;
	struct head_sample	*s;
	size_t			 n, cap;
};

struct append_client {
	struct append_client	*next;
	struct ipc_channel	*ch;
	uint32_t		*slot;		/* by id */
	size_t			 n_slot, cap_slot;
	uint64_t		 declared;	/* ever */
	struct append_batch	 cur;
	bool			 in_batch;
	uint64_t		 last_seq;
	struct append_batch	*stalled, **stalled_end;
};

static struct append_client *
client_of(struct storage *s, const struct ipc_channel *ch)
{
	struct append_client *c = s->clients;

	while (c != NULL && c->ch != ch)
		c = c->next;
	return c;
}

void
append_peer_up(struct storage *s, struct ipc_channel *ch)
{
	struct append_client *c = xcalloc(1, sizeof(*c));

	c->ch = ch;
	c->stalled_end = &c->stalled;
	c->next = s->clients;
	s->clients = c;
}

static size_t
batch_bytes(const struct append_batch *b)
{
	return sizeof(*b) + b->cap * sizeof(*b->s);
}

/* Gives the declared series back; the slots that nobody holds any more. */
static size_t
client_release(struct storage *s, struct append_client *c, uint32_t **out)
{
	uint32_t *slots = NULL;
	size_t n = 0, cap = 0;

	for (size_t id = 0; id < c->n_slot; id++) {
		uint32_t slot = c->slot[id] - 1;

		if (c->slot[id] == NOT_DECLARED || c->slot[id] == REFUSED)
			continue;
		head_series_release(s->head, slot);
		if (head_series_held(s->head, slot) ||
		    vec_grow(&slots, &cap, n + 1, sizeof(*slots)) == -1)
			continue;
		slots[n++] = slot;
	}
	*out = slots;
	return n;
}

void
append_peer_down(struct storage *s, struct ipc_channel *ch, bool died)
{
	struct append_client **at, *c;
	uint32_t *slots;
	size_t n;

	for (at = &s->clients; *at != NULL && (*at)->ch != ch;
	    at = &(*at)->next)
		;
	if ((c = *at) == NULL)
		return;
	*at = c->next;
	n = client_release(s, c, &slots);
	if (died && n > 0)
		orphans_add(s, slots, n);
	else
		free(slots);
	while (c->stalled != NULL) {
		struct append_batch *b = c->stalled;

		c->stalled = b->next;
		s->stalled_bytes -= batch_bytes(b);
		free(b->s);
		free(b);
	}
	free(c->cur.s);
	free(c->slot);
	free(c);
}

/* --- SERIES, FORGET --- */

struct declaring {
	struct storage		*s;
	struct append_client	*c;
};

static void
log_refused(struct storage *s, struct labels ls, const struct err *err)
{
	struct str job = labels_get(ls, STR_LIT(LABEL_JOB));
	uint64_t dropped;

	if (log_limit_ok(&s->limit_full, &dropped))
		log_warn("New series refused",
		    F_STRN("job", job.p == NULL ? STR_EMPTY : job),
		    F_ERR(err), F_UINT("not_logged", dropped));
}

static int
declare(void *arg, uint32_t id, struct labels ls)
{
	struct declaring *d = arg;
	struct append_client *c = d->c;
	struct err err = ERR_INIT;
	uint32_t slot;
	bool created;

	if (id > 2 * c->declared + ID_SLACK)
		return -1;
	if (id >= c->n_slot) {
		if (vec_grow(&c->slot, &c->cap_slot, (size_t)id + 1,
		    sizeof(*c->slot)) == -1)
			return -1;
		memset(c->slot + c->n_slot, 0,
		    (id + 1 - c->n_slot) * sizeof(*c->slot));
		c->n_slot = (size_t)id + 1;
	}
	if (c->slot[id] != NOT_DECLARED && c->slot[id] != REFUSED)
		head_series_release(d->s->head, c->slot[id] - 1);
	c->declared++;
	slot = head_series(d->s->head, ls, &created, &err);
	if (slot == HEAD_NO_SLOT) {
		c->slot[id] = REFUSED;
		log_refused(d->s, ls, &err);
		return 0;
	}
	head_series_hold(d->s->head, slot);
	c->slot[id] = slot + 1;
	c->cur.new_series += created;
	return 0;
}

static void
storage_on_series(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct storage *s = ctx;
	struct declaring d = { s, client_of(s, ch) };
	const char *why;

	if (d.c == NULL || !s->open)
		why = "not open";
	else
		why = append_series_read(m, declare, &d);
	if (why != NULL)
		ipc_violation(ch, m, why);
}

static void
storage_on_forget(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct storage *s = ctx;
	struct append_client *c = client_of(s, ch);
	const struct msg_forget *f = m->data;
	const uint8_t *p = (const uint8_t *)(f + 1);
	uint32_t id;

	if (c == NULL || m->n != sizeof(*f) + (uint64_t)f->n * 4) {
		ipc_violation(ch, m, "wrong number of series");
		return;
	}
	for (uint32_t i = 0; i < f->n; i++) {
		memcpy(&id, p + (size_t)i * 4, sizeof(id));
		if (id >= c->n_slot)
			continue;
		if (c->slot[id] != NOT_DECLARED && c->slot[id] != REFUSED)
			head_series_release(s->head, c->slot[id] - 1);
		c->slot[id] = NOT_DECLARED;
	}
}

/* --- SAMPLES --- */

/* Adds a message's samples to the batch; NULL or what is wrong. */
static const char *
batch_add(struct append_client *c, const struct append_samples *in)
{
	struct append_batch *b = &c->cur;
	struct head_sample *to;

	if (b->n + in->n > BATCH_MAX)
		return "batch too big";
	if (vec_grow(&b->s, &b->cap, b->n + in->n, sizeof(*b->s)) == -1)
		return "no memory for the batch";
	to = b->s + b->n;
	for (uint32_t i = 0; i < in->n; i++) {
		uint32_t id = in->ids[i], slot;

		slot = id < c->n_slot ? c->slot[id] : NOT_DECLARED;
		if (slot == NOT_DECLARED)
			return "series is not declared";
		to[i].slot = slot == REFUSED ? HEAD_NO_SLOT : slot - 1;
		to[i].tag = id;
		to[i].v = in->values[i];
		to[i].t_ms = in->dt_ms == NULL ? in->base_ms :
		    (int64_t)((uint64_t)in->base_ms +
		    (uint64_t)(int64_t)in->dt_ms[i]);
	}
	b->n += in->n;
	return NULL;
}

static void
put_refused(struct msg_refused *to, const struct head_result *r,
    enum head_refusal why, const struct append_batch *b)
{
	uint32_t i = r->first[why].index;

	to->count = r->refused[why];
	if (to->count == 0)
		return;
	to->id = i < b->n ? b->s[i].tag : 0;
	to->t_ms = r->first[why].t_ms;
}

/* Appends and acknowledges; false when the WAL failed. */
static bool
batch_commit(struct storage *s, struct append_client *c,
    struct append_batch *b)
{
	struct head_result r;
	struct msg_ack ack = { .seq = b->seq, .new_series = b->new_series };
	struct err err = ERR_INIT;
	uint64_t dropped;

	head_set_max_valid(s->head,
	    ipc_channel_ends(c->ch).peer == ROLE_REMOTE ? INT64_MAX :
	    wall_now_ms() + AHEAD_MS_MAX);
	if (head_append(s->head, b->s, b->n, (b->flags & SAMPLES_RESEND) ?
	    HEAD_RESEND : 0, &r, &err) == -1) {
		s->wal_failed++;
		if (log_limit_ok(&s->limit_wal, &dropped))
			log_error("Writing to the WAL failed, trying again",
			    F_ERR(&err));
		return false;
	}
	FAULT_POINT("append.before-ack");
	head_reclaim(s->head, mono_now().ns);
	ack.stored = r.stored;
	put_refused(&ack.out_of_order, &r, HEAD_OUT_OF_ORDER, b);
	put_refused(&ack.duplicate, &r, HEAD_DUPLICATE, b);
	put_refused(&ack.out_of_bounds, &r, HEAD_OUT_OF_BOUNDS, b);
	put_refused(&ack.too_old, &r, HEAD_TOO_OLD, b);
	put_refused(&ack.limit, &r, HEAD_LIMIT, b);
	/* A client that is gone will send the batch again. */
	if (ipc_send(c->ch, IPC_ACK, 0, &ack, sizeof(ack), NULL, 0,
	    &err) == -1)
		log_debug("Batch not acknowledged", F_ERR(&err));
	FAULT_POINT("append.after-ack");
	return true;
}

static void
batch_reset(struct append_batch *b)
{
	if (b->cap > BATCH_KEEP) {
		free(b->s);
		b->s = NULL;
		b->cap = 0;
	}
	b->n = 0;
	b->new_series = 0;
}

/* Keeps the batch for append_retry; NULL or why not. */
static const char *
batch_stall(struct storage *s, struct append_client *c)
{
	struct append_batch *b;

	if (s->stalled_bytes + batch_bytes(&c->cur) > STALLED_MAX)
		return "the WAL cannot be written and too much waits";
	b = xmalloc(sizeof(*b));
	*b = c->cur;
	b->next = NULL;
	*c->stalled_end = b;
	c->stalled_end = &b->next;
	s->stalled_bytes += batch_bytes(b);
	memset(&c->cur, 0, sizeof(c->cur));
	return NULL;
}

void
append_retry(struct storage *s)
{
	struct append_client *c;

	for (c = s->clients; c != NULL; c = c->next) {
		while (c->stalled != NULL) {
			struct append_batch *b = c->stalled;

			if (!batch_commit(s, c, b))
				return;
			c->stalled = b->next;
			if (c->stalled == NULL)
				c->stalled_end = &c->stalled;
			s->stalled_bytes -= batch_bytes(b);
			free(b->s);
			free(b);
		}
	}
}

/* Which batch this message belongs to; NULL or what is wrong. */
static const char *
batch_begin(struct append_client *c, const struct append_samples *in)
{
	if (!c->in_batch) {
		if (in->seq <= c->last_seq)
			return "batch number does not rise";
		c->cur.seq = in->seq;
		c->cur.flags = in->flags;
		c->in_batch = true;
	} else if (in->seq != c->cur.seq)
		return "batches interleave";
	return NULL;
}

static void
storage_on_samples(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct storage *s = ctx;
	struct append_client *c = client_of(s, ch);
	struct append_samples in;
	const char *why;

	if (c == NULL || !s->open) {
		ipc_violation(ch, m, "not open");
		return;
	}
	if ((why = append_samples_read(m, &in)) == NULL &&
	    (why = batch_begin(c, &in)) == NULL)
		why = batch_add(c, &in);
	if (why != NULL) {
		ipc_violation(ch, m, why);
		return;
	}
	if ((in.flags & SAMPLES_COMMIT) == 0)
		return;
	c->in_batch = false;
	c->last_seq = in.seq;
	if (c->stalled == NULL && batch_commit(s, c, &c->cur)) {
		batch_reset(&c->cur);
		if (head_spill_waiting(s->head) > SPILL_WAITING)
			storage_spill(s, SPILL_BYTES);
	} else if ((why = batch_stall(s, c)) != NULL)
		ipc_violation(ch, m, why);
}

const struct ipc_handler append_handlers[] = {
	{ IPC_SERIES, storage_on_series },
	{ IPC_SAMPLES, storage_on_samples },
	{ IPC_FORGET, storage_on_forget },
};
const size_t append_n_handlers =
    sizeof(append_handlers) / sizeof(append_handlers[0]);

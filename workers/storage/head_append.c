/* SPDX-License-Identifier: ISC */

/*
 * A batch of samples: check, log, write, publish.
 *
 * Checking compares with the newest sample of the series (or of the same
 * series earlier in the batch: series_state.pend points to it) and changes
 * nothing that outlives a failure of the WAL. Then the records are written
 * by the caller's function. Then the samples go into the open chunks, each
 * chunk's word carrying the commit under way, and storing that number in the
 * superblock makes all of them visible.
 *
 * A crash before the log: nothing happened. Between log and publication: the
 * replay brings the batch, which no client had acknowledged.
 *
 * The three cache lines a sample needs (state, chunk entry, end of data) are
 * prefetched some samples ahead; series come in no order.
 *
 * Chunks are cut as the reference does: spec tsdb.tsv, "float chunk cut
 * rule"; prometheus tsdb/head_append.go (appendPreprocessor).
 */

#include "workers/storage/head_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/vec.h"

/* A chunk with more bytes than this is cut before the next sample. */
#define CHUNK_BYTES_FULL (1024 - 19)
#define CHUNK_UNITS_MAX	80	/* 1024 bytes, one more sample */
/* What a sample may need at most on average: see head_append. */
#define UNITS_A_SAMPLE	8

/* --- chunks --- */

/*
 * A chunk's data begins with 64 bytes and grows where a chunk has an eighth,
 * a quarter, a half and three quarters of its samples, to what it will
 * probably need until the next such point. Series that are scraped together
 * have the same number of samples, so they grow together and leave whole
 * slabs behind; if each grew when it is full, a few late ones would pin the
 * old blocks of all.
 */
#define DATA_UNITS_FIRST	4u
/* t0 and v0, which later samples do not cost. */
#define FIRST_SAMPLE_BITS	128u

void
head_growth_init(struct head *h)
{
	const uint32_t n = h->chunk_samples;
	const uint32_t at[] = { n / 8, n / 4, n / 2, n / 4 * 3 };

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		h->grows_at[at[i] / 64] |= 1ULL << at[i] % 64;
}

static inline bool
may_grow(const struct head *h, uint32_t n)
{
	return (h->grows_at[n / 64] >> n % 64 & 1) != 0;
}

/* Units that will probably do until the next point, or the chunk's end. */
static uint32_t
data_units(const struct head *h, const struct series_state *st)
{
	const struct head_chunk *c = head_ptr(h, st->open);
	uint64_t n = st->x.n_samples, bits = st->x.n_bits, next, end, more;
	int64_t span = st->x.t_ms - c->mint_ms;

	if (n < 2)
		return DATA_UNITS_FIRST;
	for (next = n + 1; next < h->chunk_samples && !may_grow(h,
	    (uint32_t)next); next++)
		;
	if (next >= h->chunk_samples)
		next = n + h->chunk_samples / 4;
	if (span > 0 && st->cut_at_ms > st->x.t_ms) {
		end = n + 1 + (uint64_t)(st->cut_at_ms - st->x.t_ms) /
		    ((uint64_t)span / (n - 1) + 1);
		next = end < next ? end : next;
	}
	more = bits > FIRST_SAMPLE_BITS ?
	    (bits - FIRST_SAMPLE_BITS) * (next - n) / (n - 1) : 0;
	/* the rest is for samples that are longer than those so far */
	bits += more + more / 32 + 64;
	return bits / 8 > CHUNK_UNITS_MAX * HEAD_UNIT ? CHUNK_UNITS_MAX :
	    (uint32_t)((bits / 8 + HEAD_UNIT - 1) / HEAD_UNIT);
}

static uint32_t
chunks_units(uint32_t cap)
{
	return (uint32_t)((sizeof(struct head_chunks) +
	    (uint64_t)cap * sizeof(struct head_chunk)) / HEAD_UNIT);
}

/* Offset of entry i of the list at off: entries are whole units. */
static head_off
entry_off(head_off list, uint32_t i)
{
	return list + (uint32_t)((sizeof(struct head_chunks) +
	    (uint64_t)i * sizeof(struct head_chunk)) / HEAD_UNIT);
}

head_off
head_chunk_add(struct head *h, uint32_t slot, const struct head_chunk *c)
{
	struct head_series *s = head_series_record(h, slot);
	struct head_chunks *l, *to;
	uint32_t n, units;
	head_off old, bigger;

	if (s == NULL)
		return 0;
	old = s->chunks;
	l = old == 0 ? NULL : head_ptr(h, old);
	n = l == NULL ? 0 : l->n;
	if (l == NULL || n == l->cap) {
		units = head_alloc_size(&h->alloc,
		    chunks_units(n + n / 4 + 1));
		bigger = head_alloc(h, units);
		if (bigger == 0)
			return 0;
		to = head_ptr(h, bigger);
		to->reserved = 0;
		to->cap = (uint32_t)((units * HEAD_UNIT - sizeof(*to)) /
		    sizeof(to->chunk[0]));
		if (n > 0)
			memcpy(to->chunk, l->chunk, n * sizeof(*c));
		to->chunk[n] = *c;
		to->n = n + 1;
		head_store32(&s->chunks, bigger);
		if (l != NULL)
			head_retire(h, old, chunks_units(l->cap));
	} else {
		l->chunk[n] = *c;
		head_store32(&l->n, n + 1);
	}
	__atomic_store_n(&h->super->n_chunks, h->super->n_chunks + 1,
	    __ATOMIC_RELAXED);
	h->count.chunks_created++;
	return entry_off(s->chunks, n);
}

static void
full_push(struct head *h, uint32_t slot, uint32_t index, uint32_t len)
{
	if (h->full_at > 4096 && h->full_at > h->full_n / 2) {
		memmove(h->full, h->full + h->full_at,
		    (h->full_n - h->full_at) * sizeof(*h->full));
		h->full_n -= h->full_at;
		h->full_at = 0;
	}
	if (vec_grow(&h->full, &h->full_cap, h->full_n + 1,
	    sizeof(*h->full)) == -1)
		return;		/* it stays in the arena */
	h->full[h->full_n++] = (struct full_chunk){ slot, index, len };
}

void
head_seal_open(struct head *h, uint32_t slot, struct series_state *st)
{
	struct head_series *s = head_series_record(h, slot);
	struct head_chunks *l;

	if (st->open == 0 || s == NULL)
		return;
	l = head_ptr(h, s->chunks);
	chunk_xor_seal(&st->x, head_ptr(h, st->data));
	full_push(h, slot, l->n - 1, (uint32_t)chunk_xor_len_bytes(&st->x));
	st->open = 0;
	st->data = 0;
}

/* End of the chunk range that t lies in (Go's division truncates). */
static int64_t
range_end(int64_t t_ms, int64_t range_ms)
{
	return t_ms / range_ms * range_ms + range_ms;
}

static int64_t
predict_end(int64_t start, int64_t cur, int64_t end)
{
	double n = (double)(end - start) / ((double)(cur - start + 1) * 4);

	if (n <= 1)
		return end;
	return (int64_t)((double)start + (double)(end - start) / floor(n));
}

static int
chunk_cut(struct head *h, uint32_t slot, struct series_state *st,
    int64_t t_ms, uint64_t commit)
{
	uint32_t units = head_alloc_size(&h->alloc, DATA_UNITS_FIRST);
	head_off data = head_zalloc(h, units), entry;
	struct head_chunk c = {
		.word = head_word_make(commit, HEAD_GAP_MAX, 0, 0),
		.where = head_where_arena(1, data, units),
		.mint_ms = t_ms,
		.maxt_ms = t_ms,
	};

	if (data == 0)
		return -1;
	head_seal_open(h, slot, st);
	entry = head_chunk_add(h, slot, &c);
	if (entry == 0) {
		head_alloc_free(h, data, units);
		return -1;
	}
	chunk_xor_init(&st->x);
	st->open = entry;
	st->data = data;
	st->units = (uint16_t)units;
	st->cut_at_ms = range_end(t_ms, h->chunk_range_ms);
	return 0;
}

/* Whether the open chunk ends before t_ms. */
static inline bool
chunk_ends(struct head *h, struct series_state *st, int64_t t_ms)
{
	uint32_t n = st->x.n_samples;

	if (chunk_xor_len_bytes(&st->x) > CHUNK_BYTES_FULL)
		return true;
	if (n == h->chunk_samples / 4) {
		struct head_chunk *c = head_ptr(h, st->open);

		st->cut_at_ms = predict_end(c->mint_ms, st->x.t_ms,
		    st->cut_at_ms);
	}
	return t_ms >= st->cut_at_ms || n >= h->chunk_samples * 2;
}

/* The data moves to a block of so many units, or more. */
static int
data_grow(struct head *h, struct series_state *st, uint32_t at_least)
{
	uint32_t units = head_alloc_size(&h->alloc, at_least);
	head_off bigger = head_zalloc(h, units), old = st->data;
	struct head_chunk *c = head_ptr(h, st->open);

	if (bigger == 0)
		return -1;
	memcpy(head_ptr(h, bigger), head_ptr(h, old),
	    (size_t)st->units * HEAD_UNIT);
	head_store64(&c->where, head_where_arena(1, bigger, units));
	st->data = bigger;
	head_retire(h, old, st->units);
	st->units = (uint16_t)units;
	return 0;
}

/* The next sample does not fit. */
static int
data_grow_now(struct head *h, struct series_state *st)
{
	uint32_t want = data_units(h, st);

	if (want > st->units && data_grow(h, st, want) == 0)
		return 0;
	return data_grow(h, st, st->units + st->units / 8 + 1u);
}

/* At one of the points: room for what is to come, if there is memory. */
static void
data_grow_early(struct head *h, struct series_state *st)
{
	uint32_t want = data_units(h, st);

	if (want > st->units)
		(void)data_grow(h, st, want);
}

int
head_append_one(struct head *h, uint32_t slot, struct series_state *st,
    int64_t t_ms, double v, uint64_t commit)
{
	struct head_chunk *c;
	uint64_t word;

	if ((st->open == 0 || chunk_ends(h, st, t_ms)) &&
	    chunk_cut(h, slot, st, t_ms, commit) == -1)
		return -1;
	if (may_grow(h, st->x.n_samples))
		data_grow_early(h, st);
	while (!chunk_xor_append(&st->x, head_ptr(h, st->data),
	    (size_t)st->units * HEAD_UNIT, t_ms, v)) {
		if (data_grow_now(h, st) == -1)
			return -1;
	}
	st->has_last = 1;
	c = head_ptr(h, st->open);
	word = c->word;
	head_store_time(&c->maxt_ms, t_ms);
	head_store64(&c->word, head_word_next(word, commit,
	    st->x.n_samples));
	return 0;
}

/* --- checking --- */

struct batch {
	struct head		*h;
	int64_t			 min_valid_ms;
	int64_t			 maxt_ms;
	bool			 resend;
	size_t			 n_acc;
	int64_t			 mint_acc, maxt_acc;
	struct head_result	*out;
};

/* Whether the head holds this very sample, looking back from the newest. */
static bool
is_stored(const struct head *h, uint32_t slot, int64_t t_ms, double v)
{
	const struct head_series *s = head_series_record(h, slot);
	const struct head_chunks *l;
	int64_t t[HEAD_CHUNK_SAMPLES_MAX];
	double val[HEAD_CHUNK_SAMPLES_MAX];

	if (s == NULL || s->chunks == 0)
		return false;
	l = head_ptr(h, s->chunks);
	for (uint32_t i = l->n; i > 0; i--) {
		const struct head_chunk *c = &l->chunk[i - 1];
		uint32_t n = head_word_now(c->word);

		if (t_ms > c->maxt_ms)
			return false;
		if (t_ms < c->mint_ms)
			continue;
		/* Looking into a file could wait for the disk. */
		if (head_where_is_file(c->where))
			return true;
		if (chunk_xor_decode(head_ptr(h, head_where_off(c->where)),
		    (size_t)head_where_units(c->where) * HEAD_UNIT, n, t,
		    val) == -1)
			return false;
		for (uint32_t k = 0; k < n; k++) {
			if (t[k] == t_ms)
				return double_bits(val[k]) == double_bits(v);
		}
		return false;
	}
	return false;
}

static void
refuse(struct batch *b, enum head_refusal why, uint32_t i,
    const struct head_sample *s, double old_v)
{
	struct head_result *r = b->out;

	if (b->resend && s->slot != HEAD_NO_SLOT && why != HEAD_LIMIT &&
	    is_stored(b->h, s->slot, s->t_ms, s->v)) {
		r->stored++;
		return;
	}
	b->h->count.refused[why]++;
	if (r->refused[why]++ > 0)
		return;
	r->first[why].index = i;
	r->first[why].slot = s->slot;
	r->first[why].t_ms = s->t_ms;
	r->first[why].v = s->v;
	r->first[why].old_v = old_v;
}

/*
 * The newest sample of the series, counting what this batch adds; false when
 * it has none.
 */
static inline bool
newest(const struct head *h, const struct series_state *st, int64_t *t_ms,
    uint64_t *v_bits)
{
	if (st->pend != 0) {
		*t_ms = h->acc[st->pend - 1].t_ms;
		*v_bits = double_bits(h->acc[st->pend - 1].v);
		return true;
	}
	*t_ms = st->x.t_ms;
	*v_bits = st->x.v_bits;
	return st->has_last != 0;
}

/* Source of the order: prometheus tsdb/head_append.go (appendable). */
static inline void
check(struct batch *b, uint32_t i, const struct head_sample *s)
{
	struct head *h = b->h;
	struct series_state *st;
	int64_t last_ms;
	uint64_t last_v;

	if (s->slot >= h->n_slots) {
		refuse(b, HEAD_LIMIT, i, s, 0);
		return;
	}
	if (s->t_ms > h->max_valid_ms) {
		refuse(b, HEAD_OUT_OF_BOUNDS, i, s, 0);
		return;
	}
	st = head_state(h, s->slot);
	if (s->t_ms < b->min_valid_ms) {
		refuse(b, h->ooo_window_ms == 0 ? HEAD_OUT_OF_BOUNDS :
		    s->t_ms < b->maxt_ms - h->ooo_window_ms ? HEAD_TOO_OLD :
		    HEAD_OUT_OF_ORDER, i, s, 0);
		return;
	}
	if (newest(h, st, &last_ms, &last_v)) {
		if (s->t_ms == last_ms) {
			/* Without an open chunk the value is in a file only:
			 * dropped silently, as the reference does. */
			if (double_bits(s->v) == last_v ||
			    (st->open == 0 && st->pend == 0))
				b->out->stored++;
			else
				refuse(b, HEAD_DUPLICATE, i, s,
				    double_from_bits(last_v));
			return;
		}
		if (s->t_ms < last_ms) {
			refuse(b, h->ooo_window_ms > 0 &&
			    s->t_ms < b->maxt_ms - h->ooo_window_ms ?
			    HEAD_TOO_OLD : HEAD_OUT_OF_ORDER, i, s, 0);
			return;
		}
	}
	h->acc[b->n_acc] = (struct record_sample){ st->ref, s->t_ms, s->v };
	h->acc_slot[b->n_acc] = s->slot;
	st->pend = (uint32_t)++b->n_acc;
	b->out->stored++;
	if (s->t_ms < b->mint_acc)
		b->mint_acc = s->t_ms;
	if (s->t_ms > b->maxt_acc)
		b->maxt_acc = s->t_ms;
}

static void
check_all(struct batch *b, const struct head_sample *s, size_t n)
{
	const struct head *h = b->h;

	for (size_t i = 0; i < n; i++) {
		if (i + HEAD_PREFETCH_STATE < n &&
		    s[i + HEAD_PREFETCH_STATE].slot < h->n_slots)
			__builtin_prefetch(head_state(h,
			    s[i + HEAD_PREFETCH_STATE].slot), 1);
		check(b, (uint32_t)i, &s[i]);
	}
}

/* --- writing --- */

/* What finds no room is counted as refused, late: it is in the WAL. */
static void
write_all(struct batch *b, uint64_t commit)
{
	struct head *h = b->h;

	for (size_t i = 0; i < b->n_acc; i++) {
		struct series_state *st = head_state(h, h->acc_slot[i]);
		const struct record_sample *a = &h->acc[i];

		if (i + HEAD_PREFETCH_DATA < b->n_acc)
			head_prefetch_chunk(h, h->acc_slot[i + HEAD_PREFETCH_DATA]);
		st->pend = 0;
		if (head_append_one(h, h->acc_slot[i], st, a->t_ms, a->v,
		    commit) == -1) {
			struct head_sample s = { .slot = h->acc_slot[i],
			    .t_ms = a->t_ms, .v = a->v };

			b->out->stored--;
			refuse(b, HEAD_LIMIT, (uint32_t)i, &s, 0);
		} else
			h->count.samples_appended++;
	}
}

static int
log_batch(struct batch *b, struct err *err)
{
	struct head *h = b->h;

	buf_reset(&h->samples);
	if (b->n_acc > 0)
		record_put_samples(&h->samples, h->acc, b->n_acc);
	if (buf_failed(&h->samples) || buf_failed(&h->new_series))
		return err_set(err, ERR_NOMEM, "out of memory");
	if (h->new_series.n == 0 && b->n_acc == 0)
		return 0;
	if (h->log != NULL && h->log(h->log_arg, buf_str(&h->new_series),
	    buf_str(&h->samples), err) == -1)
		return -1;
	buf_reset(&h->new_series);
	return 0;
}

static int
room_for(struct head *h, size_t n, struct err *err)
{
	if (n > UINT32_MAX - 1)
		return err_set(err, ERR_LIMIT, "batch too big");
	if (vec_grow(&h->acc_slot, &h->acc_slot_cap, n,
	    sizeof(*h->acc_slot)) == -1 ||
	    vec_grow(&h->acc, &h->acc_cap, n, sizeof(*h->acc)) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
head_append(struct head *h, const struct head_sample *s, size_t n, int flags,
    struct head_result *out, struct err *err)
{
	struct batch b = { .h = h, .out = out,
	    .resend = (flags & HEAD_RESEND) != 0,
	    .mint_acc = INT64_MAX, .maxt_acc = INT64_MIN };
	uint64_t commit = h->super->commit + 1;

	memset(out, 0, sizeof(*out));
	if (room_for(h, n, err) == -1)
		return -1;
	b.maxt_ms = h->super->maxt_ms;
	if (b.maxt_ms == INT64_MIN && n > 0)
		b.maxt_ms = s[0].t_ms < h->max_valid_ms ? s[0].t_ms :
		    h->max_valid_ms;
	b.min_valid_ms = (int64_t)h->super->min_valid_ms;
	if (b.maxt_ms > INT64_MIN + h->chunk_range_ms &&
	    b.maxt_ms - h->chunk_range_ms / 2 > b.min_valid_ms)
		b.min_valid_ms = b.maxt_ms - h->chunk_range_ms / 2;

	if (head_alloc_room(h) < n * UNITS_A_SAMPLE + CHUNK_UNITS_MAX) {
		for (size_t i = 0; i < n; i++)
			refuse(&b, HEAD_LIMIT, (uint32_t)i, &s[i], 0);
	} else
		check_all(&b, s, n);
	if (log_batch(&b, err) == -1) {
		for (size_t i = 0; i < b.n_acc; i++)
			head_state(h, h->acc_slot[i])->pend = 0;
		memset(out, 0, sizeof(*out));
		return -1;
	}
	write_all(&b, commit);
	if (b.n_acc > 0) {
		head_times_add(h, b.mint_acc, b.maxt_acc);
		head_store64(&h->super->commit, commit);
	}
	h->count.batches++;
	return 0;
}

bool
head_series_last(const struct head *h, uint32_t slot, int64_t *t_ms,
    double *v)
{
	const struct series_state *st;

	if (slot >= h->n_slots)
		return false;
	st = head_state(h, slot);
	*t_ms = st->x.t_ms;
	*v = double_from_bits(st->x.v_bits);
	return st->has_last != 0;
}

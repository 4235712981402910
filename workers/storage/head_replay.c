/* SPDX-License-Identifier: ISC */

/*
 * Filling the head from chunks_head files and the WAL, before any reader is
 * there. Chunks in files come first, by ref; a series record attaches those
 * of its ref. Samples not newer than what the series has are dropped, so
 * that the WAL's copy of a chunk in a file does no harm.
 */

#include "workers/storage/head_priv.h"

#include <stdlib.h>

#include "common/base/vec.h"

#define REPLAY_COMMIT	0	/* words; visible to every reader */

/* Deleted ranges of one series: each more copies those before it. */
#define DELETED_MAX	16384u

/* The chunks of one ref, a list by index + 1; refs count up from 1. */
struct ref_entry {
	uint64_t	ref;		/* 0 = empty */
	uint32_t	first;
	uint32_t	last;
};

struct file_chunk {
	struct head_chunk	c;
	uint32_t		next;	/* + 1 */
};

struct ref_map {
	struct ref_entry	*e;
	size_t			 n, mask;
	struct file_chunk	*chunk;
	size_t			 n_chunks, cap_chunks;
};

static struct ref_entry *
ref_find(const struct ref_map *m, uint64_t ref)
{
	size_t i;

	if (m == NULL || m->e == NULL || ref == 0)
		return NULL;
	for (i = (size_t)ref & m->mask; m->e[i].ref != 0;
	    i = (i + 1) & m->mask) {
		if (m->e[i].ref == ref)
			return &m->e[i];
	}
	return NULL;
}

static struct ref_entry *
ref_place(struct ref_map *m, uint64_t ref)
{
	size_t i = (size_t)ref & m->mask;

	while (m->e[i].ref != 0)
		i = (i + 1) & m->mask;
	m->e[i].ref = ref;
	m->n++;
	return &m->e[i];
}

static struct ref_entry *
ref_get(struct head *h, uint64_t ref)
{
	struct ref_map *m = h->refs;
	struct ref_entry *e;

	if (m == NULL)
		m = h->refs = xcalloc(1, sizeof(*m));
	e = ref_find(m, ref);
	if (e != NULL)
		return e;
	if (m->e == NULL || m->n * 2 > m->mask) {
		struct ref_map to = { .mask = m->e == NULL ? 4095 :
		    m->mask * 2 + 1 };

		to.e = xcalloc(to.mask + 1, sizeof(*to.e));
		for (size_t i = 0; m->e != NULL && i <= m->mask; i++) {
			if (m->e[i].ref != 0)
				*ref_place(&to, m->e[i].ref) = m->e[i];
		}
		free(m->e);
		m->e = to.e;
		m->mask = to.mask;
	}
	return ref_place(m, ref);
}

int
head_replay_chunk(struct head *h, uint64_t ref, int64_t mint_ms,
    int64_t maxt_ms, uint32_t n_samples, unsigned encoding, uint32_t file,
    uint32_t off)
{
	struct ref_entry *e;
	struct ref_map *m;

	/* What blocks have is theirs. */
	if (ref == 0 || n_samples == 0 ||
	    n_samples > HEAD_CHUNK_SAMPLES_MAX ||
	    maxt_ms < (int64_t)h->super->min_valid_ms)
		return 0;
	e = ref_get(h, ref);
	m = h->refs;
	if (vec_grow(&m->chunk, &m->cap_chunks, m->n_chunks + 1,
	    sizeof(*m->chunk)) == -1)
		return -1;
	m->chunk[m->n_chunks] = (struct file_chunk){ .c = {
		.word = head_word_make(REPLAY_COMMIT, HEAD_GAP_MAX, 0,
		    n_samples),
		.where = head_where_file(encoding, file, off),
		.mint_ms = mint_ms, .maxt_ms = maxt_ms } };
	m->n_chunks++;
	if (e->first == 0)
		e->first = (uint32_t)m->n_chunks;
	else
		m->chunk[e->last - 1].next = (uint32_t)m->n_chunks;
	e->last = (uint32_t)m->n_chunks;
	return 0;
}

/* Gives the series the chunks of its ref; each must follow the one before. */
static void
attach_chunks(struct head *h, uint32_t slot, struct ref_entry *e)
{
	struct series_state *st = head_state(h, slot);

	for (uint32_t i = e->first; i != 0; i = h->refs->chunk[i - 1].next) {
		const struct head_chunk *c = &h->refs->chunk[i - 1].c;

		if (c->maxt_ms < c->mint_ms || st->open != 0 ||
		    (st->has_last && c->mint_ms <= st->x.t_ms))
			continue;
		if (head_chunk_add(h, slot, c) == 0)
			break;
		/* Its value is in the file: check() knows by open == 0. */
		st->x.t_ms = c->maxt_ms;
		st->has_last = 1;
		head_times_add(h, c->mint_ms, c->maxt_ms);
	}
	e->first = 0;
}

int
head_replay_series(struct head *h, uint64_t ref, struct labels ls,
    uint32_t *slot_out, struct err *err)
{
	uint64_t hash = labels_hash(ls);
	uint32_t slot = head_series_lookup(h, hash, ls);
	struct ref_entry *e;

	if (ref == 0)
		return err_set(err, ERR_BAD_DATA, "series record with ref 0");
	if (ref >= h->next_ref)
		h->next_ref = ref + 1;
	if (slot == HEAD_NO_SLOT)
		slot = head_series_make(h, ref, hash, ls, err);
	if (slot == HEAD_NO_SLOT)
		return -1;
	e = ref_find(h->refs, ref);
	if (e != NULL)
		attach_chunks(h, slot, e);
	*slot_out = slot;
	return 0;
}

void
head_replay_samples(struct head *h, const struct record_sample *s, size_t n)
{
	int64_t min_valid = (int64_t)h->super->min_valid_ms;
	int64_t mint = INT64_MAX, maxt = INT64_MIN;
	size_t state_at = 0, data_at = 0;

	for (size_t i = 0; i < n; i++) {
		struct series_state *st;

		for (; state_at < n && state_at < i + HEAD_PREFETCH_STATE;
		    state_at++) {
			if (s[state_at].ref < h->n_slots)
				__builtin_prefetch(head_state(h,
				    (uint32_t)s[state_at].ref), 1);
		}
		for (; data_at < n && data_at < i + HEAD_PREFETCH_DATA;
		    data_at++) {
			if (s[data_at].ref < h->n_slots)
				head_prefetch_chunk(h,
				    (uint32_t)s[data_at].ref);
		}
		if (s[i].ref >= h->n_slots || s[i].t_ms < min_valid)
			continue;
		st = head_state(h, (uint32_t)s[i].ref);
		if (st->ref == 0 || (st->has_last && s[i].t_ms <= st->x.t_ms))
			continue;
		if (head_append_one(h, (uint32_t)s[i].ref, st, s[i].t_ms,
		    s[i].v, REPLAY_COMMIT) == -1)
			continue;
		mint = s[i].t_ms < mint ? s[i].t_ms : mint;
		maxt = s[i].t_ms > maxt ? s[i].t_ms : maxt;
	}
	if (mint <= maxt)
		head_times_add(h, mint, maxt);
}

/* Whether there is at least a millisecond between the end of x and y. */
static bool
ends_before(const struct head_interval *x, const struct head_interval *y)
{
	return x->maxt_ms < y->mint_ms && x->maxt_ms + 1 < y->mint_ms;
}

/* from and one more, in order and merged where they meet; returns how many. */
static uint32_t
intervals_merge(struct head_interval *to, const struct head_interval *from,
    uint32_t n, struct head_interval one)
{
	uint32_t i = 0, k = 0;

	while (i < n && ends_before(&from[i], &one))
		to[k++] = from[i++];
	for (; i < n && !ends_before(&one, &from[i]); i++) {
		one.mint_ms = from[i].mint_ms < one.mint_ms ?
		    from[i].mint_ms : one.mint_ms;
		one.maxt_ms = from[i].maxt_ms > one.maxt_ms ?
		    from[i].maxt_ms : one.maxt_ms;
	}
	to[k++] = one;
	while (i < n)
		to[k++] = from[i++];
	return k;
}

/* An interval is a unit, and so is what stands in front of them. */
_Static_assert(sizeof(struct head_interval) == HEAD_UNIT, "a unit");

int
head_replay_delete(struct head *h, uint64_t slot, int64_t mint_ms,
    int64_t maxt_ms, struct err *err)
{
	struct head_series *s = slot < h->n_slots ?
	    head_series_record(h, (uint32_t)slot) : NULL;
	const struct head_deleted *old = NULL;
	struct head_deleted *new;
	uint32_t n = 0;
	head_off off;

	if (s == NULL || mint_ms > maxt_ms)
		return 0;
	if (s->deleted != 0) {
		old = head_ptr(h, s->deleted);
		n = old->n;
	}
	if (n >= DELETED_MAX)
		return err_set(err, ERR_LIMIT,
		    "more than %u deleted ranges in one series", DELETED_MAX);
	/* One unit more than the old block, whether it is needed or not. */
	off = head_zalloc(h, n + 2);
	if (off == 0)
		return err_set(err, ERR_LIMIT, "the head is full");
	new = head_ptr(h, off);
	new->n = intervals_merge(new->interval,
	    old == NULL ? NULL : old->interval, n,
	    (struct head_interval){ mint_ms, maxt_ms });
	new->units = n + 2;
	if (old != NULL)
		head_alloc_free(h, s->deleted, old->units);
	head_store32(&s->deleted, off);
	return 0;
}

void
head_replay_end(struct head *h, uint64_t max_ref)
{
	if (max_ref >= h->next_ref)
		h->next_ref = max_ref + 1;
	head_refs_free(h);
	head_store64(&h->super->commit, 1);
}

void
head_refs_free(struct head *h)
{
	if (h->refs == NULL)
		return;
	free(h->refs->e);
	free(h->refs->chunk);
	free(h->refs);
	h->refs = NULL;
}

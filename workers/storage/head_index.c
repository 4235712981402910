/* SPDX-License-Identifier: ISC */

/*
 * Symbols, pairs, postings and series records. Everything a new series needs
 * is made bottom up, so that a reader who finds a thing finds it whole:
 * symbols, then the record, then its slot, then the lists that name the
 * slot. A series without samples is invisible, so half a batch of new series
 * does no harm.
 *
 * When memory runs out half-way the slot is not published; symbols, pairs
 * and list items made until then stay: items of a slot that holds nothing
 * are skipped by readers, and no later series gets that slot.
 */

#include "workers/storage/head_priv.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/utf8.h"
#include "common/base/vec.h"

#define TABLE_MIN_SLOTS	8u

static uint32_t
units_of(uint64_t bytes)
{
	return (uint32_t)((bytes + HEAD_UNIT - 1) / HEAD_UNIT);
}

/* --- hash tables in the arena --- */

static uint32_t
table_units(uint32_t n_slots)
{
	return units_of(sizeof(struct head_table) + (uint64_t)n_slots * 8);
}

static void
table_insert(struct head_table *t, uint64_t hash, head_off off)
{
	uint32_t i = (uint32_t)hash & t->mask;

	while (t->slot[i] != 0)
		i = (i + 1) & t->mask;
	head_store64(&t->slot[i], hash >> 32 << 32 | off);
	t->n++;
}

/* The whole hash of what a slot points to. */
typedef uint64_t slot_hash_fn(const struct head *h, uint64_t slot);

static uint64_t
symbol_slot_hash(const struct head *h, uint64_t slot)
{
	const struct head_symbol *s = head_ptr(h, (head_off)slot);

	return slot >> 32 << 32 | s->hash;
}

static uint64_t
pair_slot_hash(const struct head *h, uint64_t slot)
{
	const struct head_pair *p = head_ptr(h, (head_off)slot);

	return head_pair_hash(p->name, p->value);
}

/* Adds to a shard, growing it at three quarters. */
static int
table_add(struct head *h, head_off *shard, uint64_t hash, head_off off,
    slot_hash_fn *slot_hash)
{
	struct head_table *t = *shard == 0 ? NULL : head_ptr(h, *shard);
	uint32_t n_slots = t == NULL ? 0 : t->mask + 1;
	head_off old = *shard, bigger;
	struct head_table *to;

	if (t != NULL && (uint64_t)t->n * 4 < (uint64_t)n_slots * 3) {
		table_insert(t, hash, off);
		return 0;
	}
	bigger = head_zalloc(h, table_units(n_slots == 0 ?
	    TABLE_MIN_SLOTS : n_slots * 2));
	if (bigger == 0)
		return -1;
	to = head_ptr(h, bigger);
	to->mask = (n_slots == 0 ? TABLE_MIN_SLOTS : n_slots * 2) - 1;
	for (uint32_t i = 0; i < n_slots; i++) {
		if (t->slot[i] != 0)
			table_insert(to, slot_hash(h, t->slot[i]),
			    (head_off)t->slot[i]);
	}
	table_insert(to, hash, off);
	head_store32(shard, bigger);
	if (old != 0)
		head_retire(h, old, table_units(n_slots));
	return 0;
}

/* --- symbols --- */

static head_off
symbol_find(const struct head *h, uint64_t hash, struct str text)
{
	head_off off = h->super->sym_shard[head_shard(hash)];
	const struct head_table *t;

	if (off == 0)
		return 0;
	t = head_ptr(h, off);
	for (uint32_t i = (uint32_t)hash & t->mask; t->slot[i] != 0;
	    i = (i + 1) & t->mask) {
		const struct head_symbol *s;

		if (t->slot[i] >> 32 != hash >> 32)
			continue;
		s = head_ptr(h, (head_off)t->slot[i]);
		if (s->len_bytes == text.n &&
		    memcmp(s->text, text.p, text.n) == 0)
			return (head_off)t->slot[i];
	}
	return 0;
}

static head_off
symbol_get(struct head *h, struct str text)
{
	uint64_t hash = hash_xxh64(text.p, text.n);
	head_off off = symbol_find(h, hash, text);
	struct head_symbol *s;

	if (off != 0)
		return off;
	off = head_alloc(h, units_of(sizeof(*s) + text.n));
	if (off == 0)
		return 0;
	s = head_ptr(h, off);
	s->len_bytes = (uint32_t)text.n;
	s->hash = (uint32_t)hash;
	memcpy(s->text, text.p, text.n);
	if (table_add(h, &h->super->sym_shard[head_shard(hash)], hash, off,
	    symbol_slot_hash) == -1) {
		head_alloc_free(h, off, units_of(sizeof(*s) + text.n));
		return 0;
	}
	__atomic_store_n(&h->super->n_symbols, h->super->n_symbols + 1,
	    __ATOMIC_RELAXED);
	return off;
}

static struct str
symbol_text(const struct head *h, uint32_t sym)
{
	const struct head_symbol *s = head_ptr(h, sym);

	return str_from(s->text, s->len_bytes);
}

/* --- lists and pairs --- */

static uint32_t
list_units(uint32_t cap)
{
	return units_of(sizeof(struct head_list) + (uint64_t)cap * 4);
}

/* Appends an item to the list whose offset is published at *at. */
static int
list_add(struct head *h, head_off *at, uint32_t item)
{
	struct head_list *l = *at == 0 ? NULL : head_ptr(h, *at), *to;
	uint32_t n = l == NULL ? 0 : l->n, units;
	head_off old = *at, bigger;

	if (l != NULL && n < l->cap) {
		l->item[n] = item;
		head_store32(&l->n, n + 1);
		return 0;
	}
	units = l == NULL ? 1 : list_units(l->cap);
	units = head_alloc_size(&h->alloc, l == NULL ? 1 :
	    units + units / 4 + 1);
	bigger = head_alloc(h, units);
	if (bigger == 0)
		return -1;
	to = head_ptr(h, bigger);
	to->cap = (units * HEAD_UNIT - (uint32_t)sizeof(*to)) / 4;
	if (n > 0)
		memcpy(to->item, l->item, (size_t)n * 4);
	to->item[n] = item;
	to->n = n + 1;
	head_store32(at, bigger);
	if (l != NULL)
		head_retire(h, old, list_units(l->cap));
	return 0;
}

static struct head_pair *
pair_find(const struct head *h, uint32_t name, uint32_t value, uint64_t hash)
{
	head_off off = h->super->pair_shard[head_shard(hash)];
	const struct head_table *t;

	if (off == 0)
		return NULL;
	t = head_ptr(h, off);
	for (uint32_t i = (uint32_t)hash & t->mask; t->slot[i] != 0;
	    i = (i + 1) & t->mask) {
		struct head_pair *p;

		if (t->slot[i] >> 32 != hash >> 32)
			continue;
		p = head_ptr(h, (head_off)t->slot[i]);
		if (p->name == name && p->value == value)
			return p;
	}
	return NULL;
}

static struct head_pair *
pair_make(struct head *h, uint32_t name, uint32_t value, uint64_t hash)
{
	head_off off = head_alloc(h, units_of(sizeof(struct head_pair)));
	struct head_pair *p, *of_name = NULL;
	head_off *list = &h->super->names;

	if (off == 0)
		return NULL;
	p = head_ptr(h, off);
	*p = (struct head_pair){ .name = name, .value = value };
	if (value != 0) {
		uint64_t name_hash = head_pair_hash(name, 0);

		of_name = pair_find(h, name, 0, name_hash);
		if (of_name == NULL)
			of_name = pair_make(h, name, 0, name_hash);
		if (of_name == NULL)
			goto fail;
		list = &of_name->list;
	}
	/* Found by hash only when the lists know it. */
	if (list_add(h, list, off) == -1)
		goto fail;
	if (table_add(h, &h->super->pair_shard[head_shard(hash)], hash, off,
	    pair_slot_hash) == -1)
		return NULL;	/* in the list for good, with no series */
	if (value != 0)
		__atomic_store_n(&h->super->n_pairs, h->super->n_pairs + 1,
		    __ATOMIC_RELAXED);
	return p;
fail:
	head_alloc_free(h, off, units_of(sizeof(struct head_pair)));
	return NULL;
}

static struct head_pair *
pair_get(struct head *h, uint32_t name, uint32_t value)
{
	uint64_t hash = head_pair_hash(name, value);
	struct head_pair *p = pair_find(h, name, value, hash);

	return p != NULL ? p : pair_make(h, name, value, hash);
}

/* --- label set → slot --- */

static void
shard_insert(struct series_shard *s, uint64_t entry)
{
	uint32_t i = (uint32_t)(entry >> 32) & s->mask;

	while (s->slot[i] != 0)
		i = (i + 1) & s->mask;
	s->slot[i] = entry;
	s->n++;
}

static void
shard_add(struct series_shard *s, uint64_t hash, uint32_t slot)
{
	if (s->slot == NULL || (uint64_t)s->n * 4 >=
	    ((uint64_t)s->mask + 1) * 3) {
		struct series_shard to = {
			.mask = s->slot == NULL ? 15 : s->mask * 2 + 1 };

		to.slot = xcalloc((size_t)to.mask + 1, sizeof(*to.slot));
		for (uint32_t i = 0; s->slot != NULL && i <= s->mask; i++) {
			if (s->slot[i] != 0)
				shard_insert(&to, s->slot[i]);
		}
		free(s->slot);
		*s = to;
	}
	shard_insert(s, hash << 32 | (slot + 1));
}

struct head_series *
head_series_record(const struct head *h, uint32_t slot)
{
	const head_off *seg;

	if (slot >= h->n_slots)
		return NULL;
	seg = head_ptr(h, h->super->segment[slot / HEAD_SEGMENT_SLOTS]);
	return seg[slot % HEAD_SEGMENT_SLOTS] == 0 ? NULL :
	    head_ptr(h, seg[slot % HEAD_SEGMENT_SLOTS]);
}

static bool
same_labels(const struct head *h, uint32_t slot, struct labels ls)
{
	const struct head_series *s = head_series_record(h, slot);

	if (s == NULL || s->n_labels != ls.n)
		return false;
	for (size_t i = 0; i < ls.n; i++) {
		if (!str_eq(symbol_text(h, s->label[i].value),
		    ls.l[i].value) ||
		    !str_eq(symbol_text(h, s->label[i].name), ls.l[i].name))
			return false;
	}
	return true;
}

uint32_t
head_series_lookup(const struct head *h, uint64_t hash, struct labels ls)
{
	const struct series_shard *s = &h->shard[head_shard(hash)];

	if (s->slot == NULL)
		return HEAD_NO_SLOT;
	for (uint32_t i = (uint32_t)hash & s->mask; s->slot[i] != 0;
	    i = (i + 1) & s->mask) {
		uint32_t slot = (uint32_t)s->slot[i] - 1;

		if (s->slot[i] >> 32 == (uint32_t)hash &&
		    same_labels(h, slot, ls))
			return slot;
	}
	return HEAD_NO_SLOT;
}

/* --- series --- */

static int
check_labels(struct labels ls, struct err *err)
{
	if (ls.n == 0)
		return err_set(err, ERR_BAD_DATA, "empty labelset");
	if (ls.n > HEAD_LABELS_MAX)
		return err_set(err, ERR_BAD_DATA,
		    "label set with %zu labels: at most %u", ls.n,
		    HEAD_LABELS_MAX);
	for (size_t i = 0; i < ls.n; i++) {
		if (ls.l[i].name.n == 0 || ls.l[i].value.n == 0)
			return err_set(err, ERR_BAD_DATA,
			    "label with an empty name or value");
		if (ls.l[i].name.n > HEAD_SYMBOL_MAX ||
		    ls.l[i].value.n > HEAD_SYMBOL_MAX)
			return err_set(err, ERR_BAD_DATA,
			    "label longer than %u bytes", HEAD_SYMBOL_MAX);
		if (i > 0 && str_cmp(ls.l[i - 1].name, ls.l[i].name) >= 0)
			return err_set(err, ERR_BAD_DATA,
			    "label set not sorted or label name \"%.*s\" is "
			    "not unique", STR_ARG(ls.l[i].name));
	}
	return 0;
}

/* The directory's place of a slot; its segment and states are made. */
static head_off *
slot_place(struct head *h, uint32_t slot)
{
	uint32_t seg = slot / HEAD_SEGMENT_SLOTS;
	head_off *dir = &h->super->segment[seg];

	if (*dir == 0) {
		head_off off = head_zalloc(h,
		    units_of(HEAD_SEGMENT_SLOTS * sizeof(head_off)));

		if (off == 0)
			return NULL;
		head_store32(dir, off);
	}
	if (h->state[seg] == NULL) {
		h->state[seg] = aligned_alloc(64, HEAD_SEGMENT_SLOTS *
		    sizeof(struct series_state));
		if (h->state[seg] == NULL)
			return NULL;
		memset(h->state[seg], 0, HEAD_SEGMENT_SLOTS *
		    sizeof(struct series_state));
	}
	return (head_off *)head_ptr(h, *dir) + slot % HEAD_SEGMENT_SLOTS;
}

static int
no_room(struct head *h, struct err *err)
{
	h->count.series_refused++;
	return err_set(err, ERR_LIMIT,
	    "head is full: no room for new series");
}

/* The symbols and the record; 0 when there is no room. */
static head_off
record_make(struct head *h, uint64_t ref, uint32_t slot, struct labels ls)
{
	uint64_t bytes = sizeof(struct head_series) +
	    ls.n * sizeof(struct head_label);
	head_off off = head_zalloc(h, units_of(bytes));
	struct head_series *s;

	if (off == 0)
		return 0;
	s = head_ptr(h, off);
	s->ref = ref;
	s->slot = slot;
	s->n_labels = (uint32_t)ls.n;
	for (size_t i = 0; i < ls.n; i++) {
		s->label[i].name = symbol_get(h, ls.l[i].name);
		s->label[i].value = symbol_get(h, ls.l[i].value);
		if (s->label[i].name == 0 || s->label[i].value == 0) {
			head_alloc_free(h, off, units_of(bytes));
			return 0;
		}
	}
	return off;
}

/*
 * Room for the series in front of what is kept for known ones. A large label
 * must not eat into that; that its text may be there already counts little.
 */
static bool
has_room(struct head *h, struct labels ls)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < ls.n; i++)
		bytes += ls.l[i].name.n + ls.l[i].value.n;
	return head_alloc_room(h) >= h->reserve_units + bytes / HEAD_UNIT;
}

uint32_t
head_series_make(struct head *h, uint64_t ref, uint64_t hash,
    struct labels ls, struct err *err)
{
	uint32_t slot = h->n_slots;
	struct head_series *s;
	head_off off, *place;

	if (check_labels(ls, err) == -1)
		return HEAD_NO_SLOT;
	if (slot >= HEAD_SLOTS_MAX ||
	    !has_room(h, ls) ||
	    (place = slot_place(h, slot)) == NULL ||
	    (off = record_make(h, ref, slot, ls)) == 0) {
		(void)no_room(h, err);
		return HEAD_NO_SLOT;
	}
	h->n_slots++;		/* the number is used up, come what may */
	s = head_ptr(h, off);
	for (size_t i = 0; i < ls.n; i++) {
		struct head_pair *p = pair_get(h, s->label[i].name,
		    s->label[i].value);

		if (p == NULL || list_add(h, &p->list, slot) == -1) {
			head_alloc_free(h, off, units_of(sizeof(*s) +
			    ls.n * sizeof(s->label[0])));
			(void)no_room(h, err);
			return HEAD_NO_SLOT;
		}
	}
	head_store32(place, off);
	head_store32(&h->super->n_slots, h->n_slots);
	__atomic_store_n(&h->super->n_series, h->super->n_series + 1,
	    __ATOMIC_RELAXED);
	*head_state(h, slot) = (struct series_state){ .ref = ref };
	shard_add(&h->shard[head_shard(hash)], hash, slot);
	h->count.series_created++;
	return slot;
}

uint32_t
head_series(struct head *h, struct labels ls, bool *created, struct err *err)
{
	uint64_t hash = labels_hash(ls);
	uint32_t slot = head_series_lookup(h, hash, ls);

	*created = false;
	if (slot != HEAD_NO_SLOT)
		return slot;
	for (size_t i = 0; i < ls.n; i++) {
		if (!utf8_valid(ls.l[i].name) || !utf8_valid(ls.l[i].value)) {
			(void)err_set(err, ERR_BAD_DATA,
			    "label with invalid UTF-8");
			return HEAD_NO_SLOT;
		}
	}
	slot = head_series_make(h, h->next_ref, hash, ls, err);
	if (slot == HEAD_NO_SLOT)
		return slot;
	if (h->new_series.n == 0)
		record_begin_series(&h->new_series);
	record_add_series(&h->new_series, h->next_ref, ls);
	h->next_ref++;
	*created = true;
	return slot;
}

void
head_series_hold(struct head *h, uint32_t slot)
{
	if (slot < h->n_slots && head_state(h, slot)->holders < UINT8_MAX)
		head_state(h, slot)->holders++;
}

void
head_series_release(struct head *h, uint32_t slot)
{
	struct series_state *st;

	if (slot >= h->n_slots)
		return;
	st = head_state(h, slot);
	if (st->holders > 0 && st->holders < UINT8_MAX)
		st->holders--;
}

bool
head_series_held(const struct head *h, uint32_t slot)
{
	return slot < h->n_slots && head_state(h, slot)->holders > 0;
}

uint64_t
head_series_ref(const struct head *h, uint32_t slot)
{
	return slot < h->n_slots ? head_state(h, slot)->ref : 0;
}

uint32_t
head_n_slots(const struct head *h)
{
	return h->n_slots;
}

void
head_series_text(const struct head *h, uint32_t slot, struct buf *out)
{
	const struct head_series *s = head_series_record(h, slot);
	struct label *l;

	if (s == NULL)
		return;
	l = xcalloc(s->n_labels, sizeof(*l));
	for (uint32_t i = 0; i < s->n_labels; i++)
		l[i] = (struct label){ symbol_text(h, s->label[i].name),
		    symbol_text(h, s->label[i].value) };
	labels_format_metric((struct labels){ l, s->n_labels }, out);
	free(l);
}

struct str
head_series_label(const struct head *h, uint32_t slot, struct str name)
{
	const struct head_series *s = head_series_record(h, slot);

	for (uint32_t i = 0; s != NULL && i < s->n_labels; i++) {
		if (str_eq(symbol_text(h, s->label[i].name), name))
			return symbol_text(h, s->label[i].value);
	}
	return STR_EMPTY;
}

void
head_index_free(struct head *h)
{
	for (size_t i = 0; i < HEAD_SHARDS; i++)
		free(h->shard[i].slot);
}

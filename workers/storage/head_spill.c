/* SPDX-License-Identifier: ISC */

/*
 * Full chunks on their way to chunks_head files: the queue is filled when a
 * chunk is cut; the storage loop writes some at each turn and tells where
 * they lie. Then the entry points into the file and the arena's bytes are
 * retired.
 */

#include "workers/storage/head_priv.h"

#include <stdlib.h>

#define FULL_KEEP	8192	/* places of an empty queue that stay */

static struct head_chunk *
chunk_at(const struct head *h, uint32_t slot, uint32_t index)
{
	const struct head_series *s = head_series_record(h, slot);
	struct head_chunks *l;

	if (s == NULL || s->chunks == 0)
		return NULL;
	l = head_ptr(h, s->chunks);
	return index < l->n ? &l->chunk[index] : NULL;
}

size_t
head_spill_waiting(const struct head *h)
{
	return h->full_n - h->full_at;
}

size_t
head_spill_list(struct head *h, struct head_full_chunk *out, size_t max)
{
	size_t n = 0;

	for (size_t i = h->full_at; i < h->full_n && n < max; i++) {
		const struct full_chunk *f = &h->full[i];
		const struct head_chunk *c = chunk_at(h, f->slot, f->index);

		if (c == NULL || head_where_is_file(c->where)) {
			if (i == h->full_at)
				h->full_at++;
			continue;
		}
		out[n++] = (struct head_full_chunk){
			.slot = f->slot, .index = f->index,
			.ref = head_series_ref(h, f->slot),
			.mint_ms = c->mint_ms, .maxt_ms = c->maxt_ms,
			.encoding = (uint8_t)head_where_encoding(c->where),
			.data = head_ptr(h, head_where_off(c->where)),
			.len_bytes = f->len_bytes,
		};
	}
	if (h->full_at == h->full_n) {
		h->full_at = h->full_n = 0;
		if (h->full_cap > FULL_KEEP) {
			free(h->full);
			h->full = NULL;
			h->full_cap = 0;
		}
	}
	return n;
}

void
head_spilled(struct head *h, const struct head_full_chunk *f, uint32_t file,
    uint32_t off)
{
	struct head_chunk *c = chunk_at(h, f->slot, f->index);
	uint64_t old;

	if (c == NULL || head_where_is_file(c->where))
		return;
	old = c->where;
	head_store64(&c->where, head_where_file(head_where_encoding(old),
	    file, off));
	head_retire(h, head_where_off(old), head_where_units(old));
	h->count.chunks_spilled++;
	if (h->full_at < h->full_n && h->full[h->full_at].slot == f->slot &&
	    h->full[h->full_at].index == f->index)
		h->full_at++;
}

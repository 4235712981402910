/* SPDX-License-Identifier: ISC */
/* The tombstones file of a block. */

#include "common/tsdb/tombstones.h"

#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/vec.h"

#define TOMBSTONES_MAGIC	0x0130BA30u
#define TOMBSTONES_VERSION	1
#define HEADER_BYTES		5

static int
cmp(const void *a, const void *b)
{
	const struct tombstone *x = a, *y = b;

	if (x->ref != y->ref)
		return x->ref < y->ref ? -1 : 1;
	return (x->mint_ms > y->mint_ms) - (x->mint_ms < y->mint_ms);
}

/* Sorts, and joins intervals of a series that touch. */
static void
normalise(struct tombstones *t)
{
	size_t i, n = 0;

	if (t->n == 0)
		return;
	qsort(t->v, t->n, sizeof(*t->v), cmp);
	for (i = 1; i < t->n; i++) {
		struct tombstone *last = &t->v[n], *next = &t->v[i];

		if (last->ref == next->ref && (last->maxt_ms == INT64_MAX ||
		    next->mint_ms <= last->maxt_ms + 1)) {
			if (next->maxt_ms > last->maxt_ms)
				last->maxt_ms = next->maxt_ms;
		} else
			t->v[++n] = *next;
	}
	t->n = n + 1;
}

static int
read_entries(struct tombstones *t, struct cursor *c, struct err *err)
{
	struct tombstone e;
	size_t cap = 0;

	while (cursor_left(c) > 0) {
		e.ref = cursor_uvarint(c);
		e.mint_ms = cursor_varint(c);
		e.maxt_ms = cursor_varint(c);
		if (c->failed)
			return err_set(err, ERR_INTERNAL,
			    "corrupt tombstones: invalid size");
		if (e.mint_ms > e.maxt_ms)
			continue;
		if (vec_grow(&t->v, &cap, t->n + 1, sizeof(*t->v)) == -1)
			return err_set(err, ERR_NOMEM, "out of memory");
		t->v[t->n++] = e;
	}
	return 0;
}

int
tombstones_read(struct tombstones *out, const void *p, size_t n,
    struct err *err)
{
	const uint8_t *b = p;
	struct cursor c;

	*out = (struct tombstones){ 0 };
	if (n == 0)
		return 0;
	if (n < HEADER_BYTES + 4)
		return err_set(err, ERR_INTERNAL,
		    "corrupt tombstones: invalid size");
	if (load_be32(b) != TOMBSTONES_MAGIC)
		return err_set(err, ERR_INTERNAL,
		    "corrupt tombstones: invalid magic number %x",
		    load_be32(b));
	if (b[4] != TOMBSTONES_VERSION)
		return err_set(err, ERR_INTERNAL,
		    "corrupt tombstones: invalid version %u", b[4]);
	if (hash_crc32c(0, b + HEADER_BYTES, n - HEADER_BYTES - 4) !=
	    load_be32(b + n - 4))
		return err_set(err, ERR_INTERNAL,
		    "corrupt tombstones: invalid checksum");
	c = cursor_make(b + HEADER_BYTES, n - HEADER_BYTES - 4);
	if (read_entries(out, &c, err) == -1) {
		tombstones_clear(out);
		return -1;
	}
	normalise(out);
	return 0;
}

void
tombstones_clear(struct tombstones *t)
{
	free(t->v);
	*t = (struct tombstones){ 0 };
}

const struct tombstone *
tombstones_find(const struct tombstones *t, uint64_t ref, size_t *n_out)
{
	size_t lo = 0, hi = t->n, mid, end;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (t->v[mid].ref < ref)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < t->n && t->v[end].ref == ref; end++)
		;
	*n_out = end - lo;
	return end == lo ? NULL : t->v + lo;
}

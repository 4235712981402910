/* SPDX-License-Identifier: ISC */
/*
 * Compression never fails an add: without memory for it the texts stay in
 * the tail and it is tried again with the next one.
 */

#include "common/exposition/text_archive.h"

#include <stdlib.h>

#include "common/base/compress.h"
#include "common/base/vec.h"

#define BLOCK_BYTES	8192
#define NOT_OPEN	SIZE_MAX

void
text_archive_init(struct text_archive *a)
{
	memset(a, 0, sizeof(*a));
	buf_init(&a->packed, UINT32_MAX);
	buf_init(&a->tail, UINT32_MAX);
	buf_init(&a->open, 0);
	a->open_block = NOT_OPEN;
}

void
text_archive_clear(struct text_archive *a)
{
	free(a->blocks);
	buf_clear(&a->packed);
	buf_clear(&a->tail);
	buf_clear(&a->open);
	text_archive_init(a);
}

/* The tail becomes a block; the next text will have this number. */
static void
pack(struct text_archive *a, uint32_t next)
{
	struct archived_block b = { .first = a->tail_first,
	    .at = (uint32_t)a->packed.n, .raw_n = (uint32_t)a->tail.n };
	struct err err = ERR_INIT;

	if (vec_grow(&a->blocks, &a->cap_blocks, a->n_blocks + 1,
	    sizeof(*a->blocks)) == -1)
		return;
	if (compress_add(COMPRESS_LZ4, buf_str(&a->tail), &a->packed,
	    &err) == -1) {
		a->packed.n = b.at;
		a->packed.failed = false;
		return;
	}
	b.n = (uint32_t)a->packed.n - b.at;
	a->blocks[a->n_blocks++] = b;
	a->tail_first = next;
	buf_reset(&a->tail);
}

int
text_archive_add(struct text_archive *a, uint32_t n, struct str text)
{
	if (a->tail.n >= BLOCK_BYTES)
		pack(a, n);
	buf_add_str(&a->tail, text);
	if (!buf_failed(&a->tail))
		return 0;
	a->tail.failed = false;		/* unchanged, still good */
	return -1;
}

static size_t
find_block(const struct text_archive *a, uint32_t n)
{
	size_t lo = 0, hi = a->n_blocks;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (a->blocks[mid].first <= n)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

struct str
text_archive_run(struct text_archive *a, uint32_t n, uint32_t *first_out)
{
	struct err err = ERR_INIT;
	const struct archived_block *b;
	size_t i;

	*first_out = a->tail_first;
	if (n >= a->tail_first || a->n_blocks == 0)
		return buf_str(&a->tail);
	i = find_block(a, n);
	b = &a->blocks[i];
	*first_out = b->first;
	if (i != a->open_block) {
		a->open_block = NOT_OPEN;
		buf_reset(&a->open);
		if (decompress_add(COMPRESS_LZ4, str_from(a->packed.p + b->at,
		    b->n), b->raw_n, &a->open, &err) == -1)
			return STR_EMPTY;
		a->open_block = i;
	}
	return buf_str(&a->open);
}

void
text_archive_trim(struct text_archive *a, uint32_t next)
{
	void *p;

	buf_clear(&a->open);
	a->open_block = NOT_OPEN;
	if (a->tail.n > 0)
		pack(a, next);
	if (a->tail.n == 0)
		buf_clear(&a->tail);
	if (a->packed.n != 0 && a->packed.cap > a->packed.n +
	    a->packed.n / 8 && (p = realloc(a->packed.p, a->packed.n)) !=
	    NULL) {
		a->packed.p = p;
		a->packed.cap = a->packed.n;
	}
}

size_t
text_archive_bytes(const struct text_archive *a)
{
	return a->cap_blocks * sizeof(*a->blocks) + a->packed.cap +
	    a->tail.cap + a->open.cap;
}

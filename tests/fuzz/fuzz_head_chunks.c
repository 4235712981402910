/* SPDX-License-Identifier: ISC */

/*
 * A chunks_head file of arbitrary bytes: reading ends, moves forward, and a
 * chunk that is told to be sound is sound again when it is written anew.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/tsdb/head_chunks.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
write_again(const struct head_chunk_entry *e)
{
	struct head_chunk_entry again;
	struct err err = ERR_INIT;
	struct buf b;
	size_t off = 0;

	buf_init(&b, 0);
	head_chunks_put(&b, e);
	if (b.n != head_chunks_entry_bytes(e->len_bytes) ||
	    head_chunks_next((const uint8_t *)b.p, b.n, &off, &again,
	    &err) != 1 || off != b.n ||
	    again.series_ref != e->series_ref ||
	    again.mint_ms != e->mint_ms || again.maxt_ms != e->maxt_ms ||
	    again.encoding != e->encoding ||
	    again.out_of_order != e->out_of_order ||
	    again.n_samples != e->n_samples ||
	    again.len_bytes != e->len_bytes ||
	    memcmp(again.data, e->data, e->len_bytes) != 0)
		abort();
	buf_clear(&b);
}

/* The input as one chunk, so that sound ones are seen at all. */
static void
as_chunk(const uint8_t *data, size_t n)
{
	struct head_chunk_entry e = { .series_ref = n, .mint_ms = -(int64_t)n,
	    .maxt_ms = (int64_t)n, .encoding = n > 0 ? data[0] & 0x7f : 0,
	    .out_of_order = n & 1, .data = data, .len_bytes = (uint32_t)n };

	if (n < 2)
		return;
	e.n_samples = (uint32_t)data[0] << 8 | data[1];
	write_again(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct head_chunk_entry e;
	struct err err = ERR_INIT;
	size_t off = HEAD_CHUNKS_HEADER_BYTES, last = off;

	(void)head_chunks_check_header(data, n, &err);
	while (head_chunks_next(data, n, &off, &e, &err) == 1) {
		if (off <= last || off > n)
			abort();
		last = off;
		write_again(&e);
	}
	as_chunk(data, n);
	return 0;
}

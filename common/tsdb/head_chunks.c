/* SPDX-License-Identifier: ISC */

/* Chunks in chunks_head files; the format is drawn in the header. */

#include "common/tsdb/head_chunks.h"

#include <string.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"

/* Series ref, mint, maxt, encoding. */
#define FIXED_BYTES	25
#define CRC_BYTES	4
#define COUNT_BYTES	2

void
head_chunks_put_header(struct buf *out)
{
	static const uint8_t rest[4] = { HEAD_CHUNKS_VERSION, 0, 0, 0 };

	buf_add_be32(out, HEAD_CHUNKS_MAGIC);
	buf_add(out, rest, sizeof(rest));
}

size_t
head_chunks_entry_bytes(uint32_t len_bytes)
{
	size_t n = FIXED_BYTES + 1 + (size_t)len_bytes + CRC_BYTES;

	for (; len_bytes >= 0x80; len_bytes >>= 7)
		n++;
	return n;
}

void
head_chunks_put(struct buf *out, const struct head_chunk_entry *e)
{
	size_t start = out->n;

	if (buf_reserve(out, head_chunks_entry_bytes(e->len_bytes)) == NULL)
		return;
	buf_add_be64(out, e->series_ref);
	buf_add_be64(out, (uint64_t)e->mint_ms);
	buf_add_be64(out, (uint64_t)e->maxt_ms);
	buf_add_byte(out, e->encoding |
	    (e->out_of_order ? HEAD_CHUNKS_OUT_OF_ORDER : 0));
	buf_add_uvarint(out, e->len_bytes);
	buf_add(out, e->data, e->len_bytes);
	buf_add_be32(out, hash_crc32c(0, out->p + start, out->n - start));
}

int
head_chunks_check_header(const uint8_t *data, size_t len, struct err *err)
{
	if (len < HEAD_CHUNKS_HEADER_BYTES)
		return err_set(err, ERR_BAD_DATA,
		    "invalid head chunk file header: invalid size");
	if (load_be32(data) != HEAD_CHUNKS_MAGIC)
		return err_set(err, ERR_BAD_DATA, "invalid magic number %x",
		    load_be32(data));
	if (data[4] != HEAD_CHUNKS_VERSION)
		return err_set(err, ERR_BAD_DATA,
		    "invalid chunk format version %u", data[4]);
	return 0;
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

int
head_chunks_next(const uint8_t *data, size_t len, size_t *off,
    struct head_chunk_entry *out, struct err *err)
{
	const uint8_t *start = data + *off;
	struct cursor c;
	uint32_t crc, want;
	uint64_t n;

	if (*off >= len)
		return 0;
	c = cursor_make(start, len - *off);
	out->series_ref = cursor_be64(&c);
	if (out->series_ref == 0 && all_zero(start, len - *off))
		return 0;
	out->mint_ms = (int64_t)cursor_be64(&c);
	out->maxt_ms = (int64_t)cursor_be64(&c);
	out->encoding = cursor_u8(&c);
	out->out_of_order = out->encoding & HEAD_CHUNKS_OUT_OF_ORDER;
	out->encoding &= (uint8_t)~HEAD_CHUNKS_OUT_OF_ORDER;
	n = cursor_uvarint(&c);
	if (c.failed || n > HEAD_CHUNKS_DATA_BYTES_MAX)
		return err_set(err, ERR_BAD_DATA,
		    "head chunk file doesn't include enough bytes to read "
		    "the chunk header - available:%zu", len - *off);
	out->len_bytes = (uint32_t)n;
	out->data = cursor_take(&c, n);
	crc = hash_crc32c(0, start, c.failed ? 0 : (size_t)(c.p - start));
	want = cursor_be32(&c);
	if (c.failed)
		return err_set(err, ERR_BAD_DATA,
		    "head chunk file doesn't include enough bytes to read "
		    "the chunk - available:%zu", len - *off);
	if (crc != want)
		return err_set(err, ERR_BAD_DATA,
		    "checksum mismatch expected:%x, actual:%x", want, crc);
	if (n < COUNT_BYTES || out->mint_ms > out->maxt_ms)
		return err_set(err, ERR_BAD_DATA,
		    "chunk without samples or with a wrong time range");
	out->n_samples = load_be16(out->data);
	out->offset = (uint32_t)*off;
	*off += (size_t)(c.p - start);
	return 1;
}

/* SPDX-License-Identifier: ISC */
/*
 * The one file that includes the compression libraries. Whole buffers only:
 * everything we compress is a record or a body. gzip bodies go through
 * libdeflate (41 ns a sample against zlib's 125), which wants to know the
 * room: it is guessed from the trailer and doubled up to the limit.
 */
#include "common/base/compress.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libdeflate.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zstd.h>
#include <zstd_errors.h>

#define GZIP_LEVEL	5
#define ZSTD_LEVEL	3

static int
out_of_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

static int
corrupt(const char *what, struct err *err)
{
	return err_set(err, ERR_BAD_DATA, "%s: corrupt input", what);
}

static int
too_large(const char *what, size_t max, struct err *err)
{
	return err_set(err, ERR_LIMIT, "%s: more than %zu bytes", what, max);
}

static int
deflate_add(bool gzip, struct str in, struct buf *out, struct err *err)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(GZIP_LEVEL);
	size_t bound, n;
	char *to;

	if (c == NULL)
		return out_of_memory(err);
	bound = gzip ? libdeflate_gzip_compress_bound(c, in.n) :
	    libdeflate_zlib_compress_bound(c, in.n);
	if ((to = buf_reserve(out, bound)) == NULL) {
		libdeflate_free_compressor(c);
		return out_of_memory(err);
	}
	n = gzip ? libdeflate_gzip_compress(c, in.p, in.n, to, bound) :
	    libdeflate_zlib_compress(c, in.p, in.n, to, bound);
	libdeflate_free_compressor(c);
	if (n == 0)
		return err_set(err, ERR_INTERNAL, "deflate failed");
	out->n += n;
	return 0;
}

int
compress_add(enum compress_codec codec, struct str in, struct buf *out,
    struct err *err)
{
	size_t n = 0, bound;
	char *to;
	int r;

	switch (codec) {
	case COMPRESS_NONE:
		buf_add_str(out, in);
		return buf_failed(out) ? out_of_memory(err) : 0;
	case COMPRESS_SNAPPY:
		n = snappy_max_compressed_length(in.n);
		if ((to = buf_reserve(out, n)) == NULL)
			return out_of_memory(err);
		if (snappy_compress(in.p, in.n, to, &n) != SNAPPY_OK)
			return err_set(err, ERR_INTERNAL, "snappy failed");
		break;
	case COMPRESS_ZSTD:
		bound = ZSTD_compressBound(in.n);
		if ((to = buf_reserve(out, bound)) == NULL)
			return out_of_memory(err);
		n = ZSTD_compress(to, bound, in.p, in.n, ZSTD_LEVEL);
		if (ZSTD_isError(n))
			return err_set(err, ERR_INTERNAL, "zstd: %s",
			    ZSTD_getErrorName(n));
		break;
	case COMPRESS_LZ4:
		if (in.n > LZ4_MAX_INPUT_SIZE)
			return too_large("lz4", LZ4_MAX_INPUT_SIZE, err);
		bound = (size_t)LZ4_compressBound((int)in.n);
		if ((to = buf_reserve(out, bound + 4)) == NULL)
			return out_of_memory(err);
		r = LZ4_compress_default(in.p, to + 4, (int)in.n, (int)bound);
		if (r <= 0)
			return err_set(err, ERR_INTERNAL, "lz4 failed");
		to[0] = (char)in.n;
		to[1] = (char)(in.n >> 8);
		to[2] = (char)(in.n >> 16);
		to[3] = (char)(in.n >> 24);
		n = (size_t)r + 4;
		break;
	case COMPRESS_GZIP:
	case COMPRESS_ZLIB:
		return deflate_add(codec == COMPRESS_GZIP, in, out, err);
	}
	out->n += n;
	return 0;
}

/*
 * One member of a deflate stream. The output room is doubled until it fits
 * or the limit is passed.
 */
static int
inflate_member(struct libdeflate_decompressor *d, bool gzip, struct str in,
    size_t max_bytes, struct buf *out, size_t *used_out, struct err *err)
{
	const char *what = gzip ? "gzip" : "zlib";
	size_t room = in.n * 8 < 4096 ? 4096 : in.n * 8, got, used;
	enum libdeflate_result r;
	char *to;

	/* the trailer of a single member tells its size modulo 2^32 */
	if (gzip && in.n >= 18) {
		const uint8_t *t = (const uint8_t *)in.p + in.n - 4;
		uint32_t isize = (uint32_t)t[0] | (uint32_t)t[1] << 8 |
		    (uint32_t)t[2] << 16 | (uint32_t)t[3] << 24;

		if (isize / 1032 <= in.n)
			room = isize == 0 ? 1 : isize;
	}
	for (;;) {
		if (room > max_bytes)
			room = max_bytes;
		if ((to = buf_reserve(out, room == 0 ? 1 : room)) == NULL)
			return out_of_memory(err);
		r = gzip ? libdeflate_gzip_decompress_ex(d, in.p, in.n, to,
		    room, &used, &got) : libdeflate_zlib_decompress_ex(d, in.p,
		    in.n, to, room, &used, &got);
		if (r == LIBDEFLATE_SUCCESS)
			break;
		if (r != LIBDEFLATE_INSUFFICIENT_SPACE)
			return corrupt(what, err);
		if (room == max_bytes)
			return too_large(what, max_bytes, err);
		room = room > max_bytes / 2 ? max_bytes : room * 2;
	}
	out->n += got;
	*used_out = used;
	return 0;
}

static int
inflate_add(bool gzip, struct str in, size_t max_bytes, struct buf *out,
    struct err *err)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	size_t start = out->n, used = 0;
	int r = 0;

	if (d == NULL)
		return out_of_memory(err);
	do {
		r = inflate_member(d, gzip, in, max_bytes - (out->n - start),
		    out, &used, err);
		if (r == -1)
			break;
		in.p += used;
		in.n -= used;
	} while (gzip && in.n > 0);
	libdeflate_free_decompressor(d);
	if (r == 0 && in.n > 0)
		r = corrupt("zlib", err);
	return r;
}

static int
snappy_add(struct str in, size_t max_bytes, struct buf *out, struct err *err)
{
	size_t n;
	char *to;

	if (snappy_uncompressed_length(in.p, in.n, &n) != SNAPPY_OK)
		return corrupt("snappy", err);
	if (n > max_bytes)
		return too_large("snappy", max_bytes, err);
	if ((to = buf_reserve(out, n)) == NULL)
		return out_of_memory(err);
	if (snappy_uncompress(in.p, in.n, to, &n) != SNAPPY_OK)
		return corrupt("snappy", err);
	out->n += n;
	return 0;
}

static int
zstd_add(struct str in, size_t max_bytes, struct buf *out, struct err *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(in.p, in.n);
	size_t n, room = in.n * 8 < 4096 ? 4096 : in.n * 8;
	char *to;

	if (size == ZSTD_CONTENTSIZE_ERROR)
		return corrupt("zstd", err);
	if (size != ZSTD_CONTENTSIZE_UNKNOWN) {
		if (size > max_bytes)
			return too_large("zstd", max_bytes, err);
		room = (size_t)size;
	}
	for (;;) {
		if (room > max_bytes)
			room = max_bytes;
		if ((to = buf_reserve(out, room == 0 ? 1 : room)) == NULL)
			return out_of_memory(err);
		n = ZSTD_decompress(to, room, in.p, in.n);
		if (!ZSTD_isError(n))
			break;
		if (ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall ||
		    size != ZSTD_CONTENTSIZE_UNKNOWN)
			return corrupt("zstd", err);
		if (room == max_bytes)
			return too_large("zstd", max_bytes, err);
		room = room > max_bytes / 2 ? max_bytes : room * 2;
	}
	out->n += n;
	return 0;
}

static int
lz4_add(struct str in, size_t max_bytes, struct buf *out, struct err *err)
{
	const uint8_t *p = (const uint8_t *)in.p;
	size_t n;
	char *to;

	if (in.n < 4)
		return corrupt("lz4", err);
	n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 |
	    (size_t)p[3] << 24;
	if (n > LZ4_MAX_INPUT_SIZE || in.n - 4 > INT32_MAX)
		return corrupt("lz4", err);
	if (n > max_bytes)
		return too_large("lz4", max_bytes, err);
	if ((to = buf_reserve(out, n)) == NULL)
		return out_of_memory(err);
	if (LZ4_decompress_safe(in.p + 4, to, (int)(in.n - 4), (int)n) !=
	    (int)n)
		return corrupt("lz4", err);
	out->n += n;
	return 0;
}

int
decompress_add(enum compress_codec codec, struct str in, size_t max_bytes,
    struct buf *out, struct err *err)
{
	switch (codec) {
	case COMPRESS_NONE:
		if (in.n > max_bytes)
			return too_large("body", max_bytes, err);
		buf_add_str(out, in);
		return buf_failed(out) ? out_of_memory(err) : 0;
	case COMPRESS_SNAPPY:
		return snappy_add(in, max_bytes, out, err);
	case COMPRESS_ZSTD:
		return zstd_add(in, max_bytes, out, err);
	case COMPRESS_LZ4:
		return lz4_add(in, max_bytes, out, err);
	case COMPRESS_GZIP:
		return inflate_add(true, in, max_bytes, out, err);
	case COMPRESS_ZLIB:
		return inflate_add(false, in, max_bytes, out, err);
	}
	return err_set(err, ERR_INTERNAL, "unknown codec %d", (int)codec);
}

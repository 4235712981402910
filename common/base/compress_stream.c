/* SPDX-License-Identifier: ISC */
/* The one file that includes zlib.h: deflate as a stream. */
#include "common/base/compress_stream.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#define STREAM_LEVEL	1
#define OUT_STEP	32768
#define IN_STEP		(1u << 30)	/* zlib counts in unsigned int */

struct compress_stream {
	z_stream	z;
};

struct compress_stream *
compress_stream_new(enum compress_codec codec)
{
	struct compress_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	/* 15 bits of window, and 16 for a gzip header instead of zlib's */
	if (deflateInit2(&s->z, STREAM_LEVEL, Z_DEFLATED,
	    codec == COMPRESS_GZIP ? 15 + 16 : 15, 8,
	    Z_DEFAULT_STRATEGY) != Z_OK) {
		free(s);
		return NULL;
	}
	return s;
}

void
compress_stream_free(struct compress_stream *s)
{
	if (s == NULL)
		return;
	(void)deflateEnd(&s->z);
	free(s);
}

int
compress_stream_add(struct compress_stream *s, struct str in, bool finish,
    struct buf *out, struct err *err)
{
	int r = Z_OK;

	do {
		size_t step = in.n < IN_STEP ? in.n : IN_STEP;
		bool last = finish && step == in.n;

		s->z.next_in = (const Bytef *)in.p;
		s->z.avail_in = (uInt)step;
		do {
			char *to = buf_reserve(out, OUT_STEP);

			if (to == NULL)
				return err_set(err, ERR_NOMEM,
				    "out of memory");
			s->z.next_out = (Bytef *)to;
			s->z.avail_out = OUT_STEP;
			r = deflate(&s->z, last ? Z_FINISH : Z_NO_FLUSH);
			if (r == Z_STREAM_ERROR)
				return err_set(err, ERR_INTERNAL,
				    "deflate failed");
			out->n += OUT_STEP - s->z.avail_out;
		} while (s->z.avail_out == 0);
		in = str_from(in.p + step, in.n - step);
	} while (in.n > 0);
	return 0;
}

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_COMPRESS_STREAM_H
#define BRAZIER_COMMON_BASE_COMPRESS_STREAM_H

/*
 * gzip or deflate (zlib) of a body that is not whole yet: response bodies
 * that leave piece by piece. Fast rather than small (level 1). A body that
 * is whole is cheaper through compress_add.
 */

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/compress.h"
#include "common/base/err.h"
#include "common/base/str.h"

struct compress_stream;

/* codec: COMPRESS_GZIP or COMPRESS_ZLIB. NULL when memory is out. */
struct compress_stream *compress_stream_new(enum compress_codec codec);
void	 compress_stream_free(struct compress_stream *s);

/*
 * Compresses in and appends what is ready to out; with finish the end of the
 * stream too, after which nothing may be added. ERR_NOMEM when out failed.
 */
int	 compress_stream_add(struct compress_stream *s, struct str in,
	    bool finish, struct buf *out, struct err *err);

#endif

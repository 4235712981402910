/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_ENCODING_H
#define BRAZIER_COMMON_HTTP_ENCODING_H

#include "common/base/compress.h"
#include "common/base/str.h"

/*
 * The content coding for an Accept-Encoding value as the reference's API
 * chooses it: the first of exactly "gzip" or "deflate" in the order of the
 * header; q-values are not understood (spec api.tsv, compression). One of
 * COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZLIB.
 */
enum compress_codec http_encoding_choose(struct str accept_encoding);

/* "gzip", "deflate" or NULL: the Content-Encoding of a codec. */
const char *http_encoding_name(enum compress_codec codec);

#endif

/* SPDX-License-Identifier: ISC */
/* Choice of the content coding of a response body. */
#include "common/http/encoding.h"

enum compress_codec
http_encoding_choose(struct str accept_encoding)
{
	struct str rest = accept_encoding;

	while (rest.n > 0) {
		const char *comma = memchr(rest.p, ',', rest.n);
		size_t len = comma == NULL ? rest.n : (size_t)(comma - rest.p);
		struct str e = str_trim(str_from(rest.p, len));

		if (str_eq_c(e, "gzip"))
			return COMPRESS_GZIP;
		if (str_eq_c(e, "deflate"))
			return COMPRESS_ZLIB;
		if (comma == NULL)
			break;
		rest = str_from(comma + 1, rest.n - len - 1);
	}
	return COMPRESS_NONE;
}

const char *
http_encoding_name(enum compress_codec codec)
{
	switch (codec) {
	case COMPRESS_GZIP:
		return "gzip";
	case COMPRESS_ZLIB:
		return "deflate";
	default:
		return NULL;
	}
}

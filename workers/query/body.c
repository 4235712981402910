/* SPDX-License-Identifier: ISC */
/*
 * Handing a body on. A body that fits in one piece is compressed whole
 * (libdeflate, faster); a longer one goes through a zlib stream.
 */
#include "workers/query/body.h"

#include "common/base/compress_stream.h"

void
body_init(struct body *b, enum compress_codec codec, body_sink_fn *sink,
    void *arg)
{
	*b = (struct body){ .codec = codec, .sink = sink, .arg = arg };
	buf_init(&b->text, 0);
	buf_init(&b->packed, 0);
}

void
body_clear(struct body *b)
{
	compress_stream_free(b->stream);
	b->stream = NULL;
	buf_clear(&b->text);
	buf_clear(&b->packed);
}

static bool
body_pack(struct body *b, bool last)
{
	struct err err = ERR_INIT;

	buf_reset(&b->packed);
	if (last && b->stream == NULL)
		return compress_add(b->codec, buf_str(&b->text), &b->packed,
		    &err) == 0;
	if (b->stream == NULL &&
	    (b->stream = compress_stream_new(b->codec)) == NULL)
		return false;
	return compress_stream_add(b->stream, buf_str(&b->text), last,
	    &b->packed, &err) == 0;
}

bool
body_flush(struct body *b, bool last)
{
	struct str piece;

	if (buf_failed(&b->text))
		b->lost = true;
	if (b->lost)
		return false;
	b->raw_bytes += b->text.n;
	if (b->codec == COMPRESS_NONE)
		piece = buf_str(&b->text);
	else if (body_pack(b, last))
		piece = buf_str(&b->packed);
	else {
		b->lost = true;
		return false;
	}
	if ((piece.n > 0 || last) && !b->sink(b->arg, piece, last))
		b->lost = true;
	buf_reset(&b->text);
	return !b->lost;
}

bool
body_end(struct body *b)
{
	return body_flush(b, true);
}

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_BODY_H
#define BRAZIER_WORKERS_QUERY_BODY_H

/*
 * A response body under way: rendered as text, compressed if asked for,
 * handed on in pieces. The renderer appends to body->text and calls
 * body_step() now and then; when that says false the body is lost (client
 * gone, memory out) and rendering should stop.
 *
 *	renderer ─▶ text ─[BODY_PIECE_BYTES]▶ (deflate) ─▶ sink
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/compress.h"
#include "common/base/str.h"

/* Text is handed on when it has grown beyond this. */
#define BODY_PIECE_BYTES	(128 * 1024)

/*
 * Takes a piece, which lives only during the call; may wait for room. last:
 * nothing follows. false = lost, do not call again.
 */
typedef bool body_sink_fn(void *arg, struct str piece, bool last);

struct body {
	struct buf		 text;
	enum compress_codec	 codec;		/* NONE, GZIP or ZLIB */
	struct compress_stream	*stream;	/* NULL until needed */
	struct buf		 packed;
	body_sink_fn		*sink;
	void			*arg;
	bool			 lost;
	size_t			 raw_bytes;	/* handed on so far */
};

void	 body_init(struct body *b, enum compress_codec codec,
	    body_sink_fn *sink, void *arg);
void	 body_clear(struct body *b);

/* Hands on when enough has gathered; false when the body is lost. */
static inline bool body_step(struct body *b);
bool	 body_flush(struct body *b, bool last);
/* Hands on the rest; false when the body is lost. */
bool	 body_end(struct body *b);

static inline bool
body_step(struct body *b)
{
	return b->text.n < BODY_PIECE_BYTES ? !b->lost : body_flush(b, false);
}

#endif

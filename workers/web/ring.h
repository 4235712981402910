/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_WEB_RING_H
#define BRAZIER_WORKERS_WEB_RING_H

/*
 * A query process's reply ring, mapped read-only. Counted: pieces on their
 * way to a client keep the mapping after the process has died.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "ipc/reply_ring.h"

struct ring {
	unsigned		 refs;
	const char		*bytes;
	struct reply_page	*page;		/* NULL: detached */
	uint64_t		 promised;	/* end of the last REPLY */
	uint64_t		 taken;		/* what we have told */
	/* More room: the process may wait for it. NULL: it is gone. */
	void			(*freed)(void *arg);
	void			*arg;
	size_t			*spilled;	/* of a detached one: who counts */
};

/* Maps both; the descriptors are closed. Refuses what is not a ring. */
struct ring *ring_open(int ring_fd, int page_fd, uint64_t size,
	    struct err *err);
void	 ring_put(struct ring *r);

/*
 * The bytes of a REPLY; false when offset or length break the rules. They
 * stay until ring_take() has been called for them, in the order of pieces.
 */
bool	 ring_piece(struct ring *r, uint64_t offset, uint32_t len,
	    struct str *out);
void	 ring_take(struct ring *r, uint32_t len);
/*
 * Copies what is promised but not taken into memory of our own, at the same
 * addresses, and returns a ring for the process to go on with, which is
 * empty. r keeps the bytes until its pieces are taken; the caller's hold of
 * it passes to the new one. *spilled grows by the ring's size and shrinks
 * when r has gone. NULL when memory is out: nothing has changed.
 */
struct ring *ring_detach(struct ring *r, size_t *spilled);

static inline bool
ring_is_empty(const struct ring *r)
{
	return r->taken == r->promised;
}

#endif

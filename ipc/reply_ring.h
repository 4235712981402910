/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_REPLY_RING_H
#define BRAZIER_IPC_REPLY_RING_H

/*
 * How a response body gets from a query process to the one that asked: a
 * ring of bytes that the query process writes and the asker maps once,
 * read-only, and treats as opaque; and a control page that both map.
 *
 *	query:  bytes into the ring ── REPLY {offset, len} ──▶ asker
 *	        waits for room      ◀── taken, REPLY_MORE ──── asker
 *	        stops               ◀── cancel ─────────────── asker
 *
 * Offsets count bytes since the ring was made and only grow; the position is
 * offset modulo the size, and a REPLY never wraps. One request at a time:
 * the asker sends the next when all bytes of the last are taken.
 *
 * Either side may be hostile: the query process takes `taken` for a hint
 * that must stay within what it wrote, the asker checks offset and length.
 */

#include <stdint.h>

#define REPLY_RING_BYTES	((uint64_t)1 << 20)
#define REPLY_PAGE_BYTES	4096

struct reply_page {
	uint64_t	taken;	/* asker, release: bytes done with */
	uint64_t	cancel;	/* asker: id of the request to give up */
	uint64_t	waiting; /* query: 1 = wants REPLY_MORE */
	uint64_t	zero[509];
};
_Static_assert(sizeof(struct reply_page) == REPLY_PAGE_BYTES, "a page");

static inline uint64_t
reply_load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline void
reply_store(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

#endif

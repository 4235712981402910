/* SPDX-License-Identifier: ISC */
/*
 * Our slot of queries.active in the data directory: what runs here, so that
 * after a crash of this process or of all the query that did it has a name.
 * The supervisor made the file, says which slot is ours, and reads it.
 *
 *	[ | slot 0: {"query":"…","timestamp_sec":n} zeros … , | slot 1 …
 *
 * Written with pwrite, not through a mapping: a disk that fails, or a file
 * that shrinks, must not kill. The page cache outlives us just the same.
 * Source: prometheus promql/query_logger.go.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "ipc/queries_active.h"
#include "workers/query/query.h"

static void
slot_write(struct query *q, const char slot[QUERIES_ACTIVE_SLOT_BYTES])
{
	struct query_active *a = &q->active;
	uint64_t dropped;

	if (pwrite(a->fd, slot, QUERIES_ACTIVE_SLOT_BYTES, a->offset) ==
	    QUERIES_ACTIVE_SLOT_BYTES || !log_limit_ok(&a->limit, &dropped))
		return;
	log_warn("Writing the tracker of active queries failed", F_ERRNO,
	    F_UINT("dropped", dropped));
}

void
query_active_init(struct query *q)
{
	q->active.fd = worker_take_fd(q->w, "queries-active");
	q->active.offset = queries_active_offset((uint64_t)worker_flag_int(
	    q->w, "brazier.queries-active.slot"));
}

/* At most n bytes of s, no character cut. */
static struct str
cut(struct str s, size_t n)
{
	if (s.n <= n)
		return s;
	while (n > 0 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
		n--;
	return str_from(s.p, n);
}

void
query_active_begin(struct query *q, struct str query)
{
	char slot[QUERIES_ACTIVE_SLOT_BYTES] = { 0 };
	size_t room = QUERIES_ACTIVE_SLOT_BYTES - 1;
	int64_t now_s = wall_now_ms() / 1000;
	struct buf b;

	if (q->active.fd == -1)
		return;
	buf_init(&b, 0);
	query = cut(query, room);
	/* an escape is six bytes at most: shorten until it just fits */
	for (;;) {
		buf_reset(&b);
		buf_add_c(&b, "{\"query\":");
		json_add_str(&b, query, true);
		buf_printf(&b, ",\"timestamp_sec\":%lld}", (long long)now_s);
		if (b.n <= room || query.n == 0 || buf_failed(&b))
			break;
		size_t less = (b.n - room + 5) / 6;

		query = cut(query, less < query.n ? query.n - less : 0);
	}
	if (!buf_failed(&b) && b.n <= room) {
		memcpy(slot, b.p, b.n);
		slot[QUERIES_ACTIVE_SLOT_BYTES - 1] = ',';
		slot_write(q, slot);
	}
	buf_clear(&b);
}

void
query_active_end(struct query *q)
{
	static const char none[QUERIES_ACTIVE_SLOT_BYTES];

	if (q->active.fd != -1)
		slot_write(q, none);
}

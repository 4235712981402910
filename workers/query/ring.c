/* SPDX-License-Identifier: ISC */
/*
 * Writing into the reply ring. Waiting for room is the flow control: the
 * asker frees room as its client reads; one that needs more than 30 s for a
 * ring is given up, so that a slow client cannot keep a process.
 */
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "ipc/memfd.h"
#include "workers/query/query.h"

#define RING_WAIT_MS	30000	/* DESIGN 4: slower than this a ring */
#define PIECE_MIN	65536	/* worth a message */

int
query_ring_init(struct query *q, struct err *err)
{
	struct query_ring *r = &q->ring;
	int fd = memfd_shared("reply-ring", REPLY_RING_BYTES, err);

	if (fd == -1)
		return -1;
	/* its pages come with the first answers: idle rings take none */
	r->bytes = mmap(NULL, REPLY_RING_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (r->bytes == MAP_FAILED) {
		(void)err_set_os(err, "mapping the reply ring");
		(void)close(fd);
		return -1;
	}
	r->ring_fd = memfd_readonly(fd, err);
	(void)close(fd);
	if (r->ring_fd == -1 ||
	    (r->page_fd = memfd_shared("reply-page", REPLY_PAGE_BYTES,
	    err)) == -1)
		return -1;
	r->page = mmap(NULL, REPLY_PAGE_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, r->page_fd, 0);
	if (r->page == MAP_FAILED)
		return err_set_os(err, "mapping the reply page");
	return 0;
}

void
query_ring_offer(struct query *q)
{
	struct msg_query_ring m = { .ring_bytes = REPLY_RING_BYTES };
	struct err err = ERR_INIT;
	int fds[2];

	/* nothing of an earlier asker is on the way any more */
	reply_store(&q->ring.page->taken, q->ring.produced);
	reply_store(&q->ring.page->cancel, 0);
	fds[0] = fcntl(q->ring.ring_fd, F_DUPFD_CLOEXEC, 3);
	fds[1] = fcntl(q->ring.page_fd, F_DUPFD_CLOEXEC, 3);
	if (fds[0] == -1 || fds[1] == -1) {
		log_error("Duplicating the reply ring failed", F_ERRNO);
		if (fds[0] != -1)
			(void)close(fds[0]);
		return;
	}
	if (ipc_send(q->asker, IPC_QUERY_RING, 0, &m, sizeof(m), fds, 2,
	    &err) == -1)
		log_warn("Offering the reply ring failed", F_ERR(&err));
}

/* Bytes that can be written now; SIZE_MAX: the asker broke the rules. */
static size_t
ring_room(const struct query_ring *r)
{
	uint64_t used = r->produced - reply_load(&r->page->taken);

	return used > REPLY_RING_BYTES ? SIZE_MAX :
	    (size_t)(REPLY_RING_BYTES - used);
}

/* Waits until `want` bytes fit; the room, or 0 when the reply is lost. */
static size_t
ring_wait(struct query *q, size_t want)
{
	mono_time end = mono_add_ms(mono_now(), RING_WAIT_MS);
	size_t room;

	if (want > PIECE_MIN)
		want = PIECE_MIN;
	while ((room = ring_room(&q->ring)) < want) {
		if (mono_before(end, mono_now()))
			return 0;
		reply_store(&q->ring.page->waiting, 1);
		/* it may have taken some before it could see the word */
		if (ring_room(&q->ring) < want && q->asker != NULL &&
		    !ipc_channel_pump(q->asker, 50))
			return 0;
		if (query_is_cancelled(q))
			return 0;
	}
	reply_store(&q->ring.page->waiting, 0);
	return room == SIZE_MAX ? 0 : room;
}

static uint64_t
cpu_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool
reply(struct query *q, uint32_t len, uint32_t flags, int64_t total_bytes)
{
	struct msg_reply m = {
		.offset = q->ring.produced,
		.len_bytes = len,
		.flags = flags | (q->first_sent ? 0 : REPLY_FIRST),
		.http_status = (uint32_t)q->answer->http_status,
		.encoding = q->codec == COMPRESS_GZIP ? QUERY_ENC_GZIP :
		    q->codec == COMPRESS_ZLIB ? QUERY_ENC_DEFLATE :
		    QUERY_ENC_IDENTITY,
		.total_bytes = total_bytes,
		.peak_bytes = q->answer->peak_bytes,
	};
	struct err err = ERR_INIT;

	if ((flags & REPLY_LAST) != 0)
		m.cpu_ns = cpu_now_ns() - q->cpu_ns;
	if (q->asker == NULL || q->asker != q->for_asker ||
	    ipc_send(q->asker, IPC_REPLY, q->id, &m,
	    sizeof(m), NULL, 0, &err) == -1)
		return false;
	q->first_sent = true;
	q->ring.produced += len;
	return true;
}

bool
query_ring_sink(void *arg, struct str piece, bool last)
{
	struct query *q = arg;
	int64_t total = last && !q->first_sent ? (int64_t)piece.n : -1;

	do {
		size_t room = piece.n == 0 ? 0 : ring_wait(q, piece.n);
		size_t pos = q->ring.produced % REPLY_RING_BYTES;
		size_t n = REPLY_RING_BYTES - pos;

		if (piece.n > 0 && (room == 0 || query_is_cancelled(q)))
			return false;
		if (n > piece.n)
			n = piece.n;
		if (n > room)
			n = room;
		if (n > 0)
			memcpy(q->ring.bytes + pos, piece.p, n);
		piece = str_from(piece.p + n, piece.n - n);
		if (!reply(q, (uint32_t)n, last && piece.n == 0 ?
		    REPLY_LAST : 0, total))
			return false;
	} while (piece.n > 0);
	return true;
}

void
query_ring_abort(struct query *q)
{
	(void)reply(q, 0, REPLY_LAST | REPLY_ABORT, -1);
}

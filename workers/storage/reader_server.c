/* SPDX-License-Identifier: ISC */

/*
 * Query processes: each joins with its epoch page and is sent the arena and
 * the chunks_head files, read-only. HEAD_MAP is the answer to the join: only
 * then may the reader take an epoch. A file is sent before the first chunk
 * in the arena points into it, on the same channel, so a reader that meets
 * an unknown number finds the file among its waiting messages.
 */

#include "workers/storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/vec.h"

/*
 * How long beyond the query time-out an epoch may be held: half of it within
 * these bounds. web gives a process 2 s to end a query itself.
 */
#define EPOCH_GRACE_MIN_MS 3000
#define EPOCH_GRACE_MAX_MS 15000
#define QUERY_TIMEOUT_MS 120000

struct reader {
	struct reader		*next;
	struct ipc_channel	*ch;
	struct head_reader_slot	*slot;
	uint32_t		 id;
};

static struct reader *
reader_of(struct storage *s, const struct ipc_channel *ch)
{
	struct reader *r = s->readers;

	while (r != NULL && r->ch != ch)
		r = r->next;
	return r;
}

static int
dup_cloexec(int fd, struct err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy != -1 ? copy : err_set_os(err, "descriptor for a reader");
}

static int
send_file(struct reader *r, const struct chunks_file *f, struct err *err)
{
	struct msg_chunks_file m = { .file = f->number };
	int fd = dup_cloexec(f->fd, err);

	if (fd == -1)
		return -1;
	return ipc_send(r->ch, IPC_CHUNKS_FILE_ADD, 0, &m, sizeof(m), &fd, 1,
	    err);
}

static int
send_head(struct storage *s, struct reader *r, struct err *err)
{
	struct msg_head_map m = { .size_bytes = head_size_bytes(s->head),
	    .incarnation = head_id(s->head) };
	int fd;

	for (size_t i = 0; i < s->n_files; i++) {
		if (send_file(r, &s->files[i], err) == -1)
			return -1;
	}
	if (blocks_send(s, r->ch, err) == -1)
		return -1;
	fd = dup_cloexec(head_reader_fd(s->head), err);
	if (fd == -1)
		return -1;
	return ipc_send(r->ch, IPC_HEAD_MAP, 0, &m, sizeof(m), &fd, 1, err);
}

static void
storage_on_reader_join(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct storage *s = ctx;
	struct err err = ERR_INIT;
	struct reader *r;
	int page;

	if (!s->open || reader_of(s, ch) != NULL) {
		ipc_violation(ch, m, "joined already, or not open");
		return;
	}
	page = ipc_msg_take_fd(m, 0);
	r = xcalloc(1, sizeof(*r));
	r->ch = ch;
	r->id = s->next_reader++;
	r->slot = head_reader_add(s->head, page, r->id, &err);
	(void)close(page);
	if (r->slot == NULL) {
		free(r);
		ipc_violation(ch, m, err.text);
		return;
	}
	r->next = s->readers;
	s->readers = r;
	if (send_head(s, r, &err) == -1)
		log_warn("Reader not served", F_ERR(&err));
}

void
reader_peer_down(struct storage *s, struct ipc_channel *ch)
{
	struct reader **at, *r;

	for (at = &s->readers; *at != NULL && (*at)->ch != ch;
	    at = &(*at)->next)
		;
	if ((r = *at) == NULL)
		return;
	*at = r->next;
	head_reader_del(s->head, r->slot);
	free(r);
}

static void
kill_reader(struct storage *s, const struct reader *r, int64_t held_ms)
{
	struct ipc_ends ends = ipc_channel_ends(r->ch);
	struct msg_kill_reader k = { .role = (uint32_t)ends.peer,
	    .instance = ends.peer_instance, .held_ms = (uint64_t)held_ms };
	struct err err = ERR_INIT;

	log_warn("Reader holds the head for too long",
	    F_STR("reader", role_name(ends.peer)),
	    F_UINT("instance", ends.peer_instance));
	if (ipc_send(worker_supervisor(s->w), IPC_KILL_READER, 0, &k,
	    sizeof(k), NULL, 0, &err) == -1)
		log_warn("Supervisor is gone", F_ERR(&err));
}

int
reader_file_add(struct storage *s, uint32_t number, int fd, struct err *err)
{
	struct chunks_file *f;

	if (vec_grow(&s->files, &s->cap_files, s->n_files + 1,
	    sizeof(*s->files)) == -1) {
		(void)close(fd);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	f = &s->files[s->n_files++];
	*f = (struct chunks_file){ number, fd };
	for (struct reader *r = s->readers; r != NULL; r = r->next) {
		struct err e = ERR_INIT;

		/* Without the file it could not read on: it starts anew. */
		if (send_file(r, f, &e) == -1) {
			log_warn("Reader not sent a chunk file", F_ERR(&e));
			kill_reader(s, r, 0);
		}
	}
	return 0;
}

static int64_t
epoch_limit_ms(const struct storage *s)
{
	int64_t ms = worker_flag_duration_ms(s->w, "query.timeout"), grace;

	if (ms <= 0)
		ms = QUERY_TIMEOUT_MS;
	grace = ms / 2;
	if (grace < EPOCH_GRACE_MIN_MS)
		grace = EPOCH_GRACE_MIN_MS;
	if (grace > EPOCH_GRACE_MAX_MS)
		grace = EPOCH_GRACE_MAX_MS;
	return ms + grace;
}

void
reader_tick(struct storage *s)
{
	int64_t limit_ms = epoch_limit_ms(s);
	uint32_t id;

	head_epoch_step(s->head);
	head_reclaim(s->head, mono_now().ns);
	while (head_reader_overdue(s->head, mono_now().ns,
	    limit_ms * 1000000, &id)) {
		for (struct reader *r = s->readers; r != NULL; r = r->next) {
			if (r->id == id)
				kill_reader(s, r, limit_ms);
		}
	}
}

const struct ipc_handler reader_handlers[] = {
	{ IPC_READER_JOIN, storage_on_reader_join },
};
const size_t reader_n_handlers =
    sizeof(reader_handlers) / sizeof(reader_handlers[0]);

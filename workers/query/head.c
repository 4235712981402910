/* SPDX-License-Identifier: ISC */
/*
 * The head of this process: joining storage, mapping what it hands out, and
 * changing over when storage was restarted. A request keeps the head it
 * began with: what arrives meanwhile waits until it has ended.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/query/query.h"

static bool
files_more(void *arg)
{
	struct query *q = arg;
	size_t before = q->head.files.n;

	/* only from the storage that the mapped head belongs to */
	if (q->head.from == NULL)
		return false;
	(void)ipc_channel_pump(q->head.from, 0);
	return q->head.files.n > before;
}

static bool
head_cancelled(void *arg)
{
	return query_is_cancelled(arg);
}

int
query_head_init(struct query *q, struct err *err)
{
	head_files_init(&q->head.files);
	q->head.files.more = files_more;
	q->head.files.arg = q;
	q->head.page_fd = head_reader_page_new(err);
	return q->head.page_fd == -1 ? -1 : 0;
}

/* Unmaps everything of the head. */
static void
head_close(struct query *q)
{
	q->env.src = NULL;
	q->env.head = NULL;
	query_blocks_clear(q);
	if (q->head.src != NULL) {
		source_head_free(q->head.src);
		q->head.src = NULL;
		head_reader_close(&q->head.reader);
	}
	head_files_clear(&q->head.files);
	head_files_init(&q->head.files);
	q->head.files.more = files_more;
	q->head.files.arg = q;
	q->head.n_drops = 0;
}

static void
head_join(struct query *q, struct ipc_channel *ch)
{
	struct err err = ERR_INIT;
	int fd = fcntl(q->head.page_fd, F_DUPFD_CLOEXEC, 3);

	head_close(q);
	q->head.from = ch;
	q->head.join = NULL;
	if (fd == -1) {
		log_error("Duplicating the epoch page failed", F_ERRNO);
		return;
	}
	if (ipc_send(ch, IPC_READER_JOIN, 0, NULL, 0, &fd, 1, &err) == -1)
		log_warn("Joining storage failed", F_ERR(&err));
}

void
query_head_storage_up(struct query *q, struct ipc_channel *ch)
{
	if (q->running)
		q->head.join = ch;
	else
		head_join(q, ch);
}

void
query_head_storage_down(struct query *q, struct ipc_channel *ch)
{
	if (q->head.join == ch)
		q->head.join = NULL;
	if (q->head.from != ch)
		return;
	q->head.from = NULL;
	if (!q->running)
		head_close(q);
}

void
query_head_settle(struct query *q)
{
	for (size_t i = 0; i < q->head.n_drops; i++)
		head_files_drop(&q->head.files, q->head.drops[i]);
	q->head.n_drops = 0;
	if (q->head.join != NULL)
		head_join(q, q->head.join);
	else if (q->head.from == NULL)
		head_close(q);
	else if (q->blocks.changed)
		query_blocks_apply(q);
}

/* Memory of the size it says, which it cannot lose under the mapping. */
static bool
is_arena(int fd, uint64_t size_bytes, struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals != -1 && (seals & F_SEAL_SHRINK) != 0 &&
	    fstat(fd, &st) == 0 && (uint64_t)st.st_size == size_bytes)
		return true;
	(void)err_set(err, ERR_BAD_DATA, "the head is not sealed memory");
	return false;
}

void
query_on_head_map(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_head_map *map = m->data;
	struct query *q = ctx;
	struct err err = ERR_INIT;
	int fd = ipc_msg_take_fd(m, 0);

	/* once a join; a second one would pull the arena from under a query */
	if (q->head.src != NULL || ch != q->head.from) {
		(void)close(fd);
		ipc_violation(ch, m, "a head that was not asked for");
		return;
	}
	if (!is_arena(fd, map->size_bytes, &err) ||
	    head_reader_open(&q->head.reader, fd, q->head.page_fd,
	    &err) == -1) {
		(void)close(fd);
		ipc_violation(ch, m, err.text);
		return;
	}
	(void)close(fd);
	q->head.src = source_head_new(&q->head.reader, &q->head.files,
	    head_cancelled, q);
	if (q->head.src == NULL) {
		head_reader_close(&q->head.reader);
		log_error("Out of memory for the head");
		return;
	}
	query_blocks_apply(q);
	q->env.head = &q->head.reader;
	query_request_try(q);
}

void
query_on_file_add(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_chunks_file *f = m->data;
	struct query *q = ctx;
	struct err err = ERR_INIT;
	int fd = ipc_msg_take_fd(m, 0);

	if (ch != q->head.from) {
		(void)close(fd);
		return;
	}
	if (head_files_add(&q->head.files, f->file, fd, &err) == -1)
		log_error("Mapping a file of head chunks failed",
		    F_UINT("file", f->file), F_ERR(&err));
}

void
query_on_file_drop(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_chunks_file *f = m->data;
	struct query *q = ctx;

	if (ch != q->head.from)
		return;
	if (!q->running) {
		head_files_drop(&q->head.files, f->file);
		return;
	}
	/* not noted = stays mapped a little longer */
	if (vec_grow(&q->head.drops, &q->head.cap_drops, q->head.n_drops + 1,
	    sizeof(*q->head.drops)) == 0)
		q->head.drops[q->head.n_drops++] = f->file;
}

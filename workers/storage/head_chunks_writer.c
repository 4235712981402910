/* SPDX-License-Identifier: ISC */

/*
 * Writer of chunks_head files. Chunks gather in memory as one run of bytes;
 * where a file is full the run has a mark, and the flush goes on in a new
 * file there. Offsets are given out when a chunk is added, so they follow
 * from what was flushed plus what waits.
 */

#include "workers/storage/head_chunks_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fault.h"
#include "common/base/vec.h"
#include "workers/storage/sync.h"

#define NAME_BYTES	16

struct head_chunks_writer {
	int		 dirfd;
	struct sync	*sync;
	int		(*on_file)(void *arg, uint32_t number, int fd,
			    struct err *err);
	void		*arg;

	int		 fd;		/* -1: none was begun */
	uint32_t	 file;		/* newest that exists */
	uint64_t	 off;		/* its flushed bytes */
	bool		 cut;		/* the next chunk begins a new file */

	struct buf	 out;		/* chunks that wait */
	size_t		*begin;		/* where in out each new file begins */
	size_t		 n_begin, begin_cap;
};

struct head_chunks_writer *
head_chunks_writer_new(const struct head_chunks_writer_opts *opts)
{
	struct head_chunks_writer *w = xcalloc(1, sizeof(*w));

	w->dirfd = opts->dirfd;
	w->sync = opts->sync;
	w->on_file = opts->on_file;
	w->arg = opts->arg;
	w->fd = -1;
	w->file = opts->next_file - 1;
	w->cut = true;
	buf_init(&w->out, 0);
	return w;
}

/* Where the next chunk would go: bytes in the file it would be added to. */
static uint64_t
next_offset(const struct head_chunks_writer *w)
{
	if (w->n_begin == 0)
		return w->off + w->out.n;
	return HEAD_CHUNKS_HEADER_BYTES + w->out.n - w->begin[w->n_begin - 1];
}

static int
begin_file(struct head_chunks_writer *w, struct err *err)
{
	if (vec_grow(&w->begin, &w->begin_cap, w->n_begin + 1,
	    sizeof(*w->begin)) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	w->begin[w->n_begin++] = w->out.n;
	return 0;
}

int
head_chunks_writer_add(struct head_chunks_writer *w,
    const struct head_chunk_entry *e, uint32_t *file_out,
    uint32_t *offset_out, struct err *err)
{
	size_t need = head_chunks_entry_bytes(e->len_bytes);
	bool first = w->cut && w->n_begin == 0;

	if (e->len_bytes > HEAD_CHUNKS_DATA_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "chunk of %u bytes is too large",
		    e->len_bytes);
	if (buf_reserve(&w->out, need) == NULL) {
		w->out.failed = false;
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	if ((first || next_offset(w) + need > HEAD_CHUNKS_FILE_BYTES_MAX) &&
	    begin_file(w, err) == -1)
		return -1;
	*file_out = w->file + (uint32_t)w->n_begin;
	*offset_out = (uint32_t)next_offset(w);
	head_chunks_put(&w->out, e);
	return 0;
}

size_t
head_chunks_writer_pending(const struct head_chunks_writer *w)
{
	return w->out.n;
}

static void
finish_file(struct head_chunks_writer *w)
{
	if (w->fd == -1)
		return;
	if (w->sync != NULL)
		sync_finish(w->sync, w->fd);
	else {
		/* The WAL still has the samples: nothing to tell. */
		(void)fdatasync(w->fd);
		(void)close(w->fd);
	}
	w->fd = -1;
}

/* All of it, or a file cut back to what it was. */
static int
write_run(struct head_chunks_writer *w, const char *p, size_t n,
    struct err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pwrite(w->fd, p + done,
		    FAULT_PART("chunks.write", n - done),
		    (off_t)(w->off + done));

		FAULT_POINT("chunks.write");
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = ENOSPC;
			(void)err_set_os(err, "write head chunk file");
			/* Should this fail, load finds a torn end. */
			if (ftruncate(w->fd, (off_t)w->off) == -1)
				return err_wrap(err, "not cut back");
			return -1;
		}
		done += (size_t)got;
	}
	w->off += n;
	return 0;
}

/* Opens a second, read-only fd of the file and hands it out. */
static int
announce(struct head_chunks_writer *w, const char *name, uint32_t number,
    struct err *err)
{
	int fd;

	if (w->on_file == NULL)
		return 0;
	if ((fd = openat(w->dirfd, name, O_RDONLY | O_CLOEXEC)) == -1)
		return err_set_os(err, "open %s", name);
	return w->on_file(w->arg, number, fd, err);
}

static int
put_header(int fd, struct err *err)
{
	struct buf b;
	int rc = 0;

	buf_init(&b, 0);
	head_chunks_put_header(&b);
	errno = ENOSPC;		/* of a short write */
	if (buf_failed(&b))
		rc = err_set(err, ERR_NOMEM, "out of memory");
	else if (pwrite(fd, b.p, b.n, 0) != (ssize_t)b.n)
		rc = err_set_os(err, "write head chunk file");
	buf_clear(&b);
	return rc;
}

/* A new file with its header becomes the current one; or nothing changes. */
static int
create_file(struct head_chunks_writer *w, struct err *err)
{
	uint32_t number = w->file + 1;
	char name[NAME_BYTES];
	int fd;

	(void)snprintf(name, sizeof(name), "%06u", number);
	fd = openat(w->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0666);
	if (fd == -1)
		return err_set_os(err, "create head chunk file %s", name);
	FAULT_POINT("chunks.file");
	if (put_header(fd, err) == -1 ||
	    announce(w, name, number, err) == -1) {
		(void)unlinkat(w->dirfd, name, 0);
		(void)close(fd);
		return -1;
	}
	FAULT_POINT("chunks.header");
	finish_file(w);
	w->fd = fd;
	w->file = number;
	w->off = HEAD_CHUNKS_HEADER_BYTES;
	w->cut = false;
	return 0;
}

static int
write_pending(struct head_chunks_writer *w, struct err *err)
{
	size_t end = w->n_begin > 0 ? w->begin[0] : w->out.n;

	if (end > 0 && write_run(w, w->out.p, end, err) == -1)
		return -1;
	for (size_t i = 0; i < w->n_begin; i++) {
		size_t start = w->begin[i];

		end = i + 1 < w->n_begin ? w->begin[i + 1] : w->out.n;
		if (create_file(w, err) == -1)
			return -1;
		if (write_run(w, w->out.p + start, end - start, err) == -1)
			return -1;
	}
	return 0;
}

int
head_chunks_writer_flush(struct head_chunks_writer *w, struct err *err)
{
	int rc = write_pending(w, err);

	buf_reset(&w->out);
	w->n_begin = 0;
	return rc;
}

uint64_t
head_chunks_writer_end(const struct head_chunks_writer *w)
{
	return head_chunk_ref(w->file, (uint32_t)w->off);
}

uint32_t
head_chunks_writer_file(const struct head_chunks_writer *w)
{
	return w->file;
}

void
head_chunks_writer_cut(struct head_chunks_writer *w)
{
	w->cut = true;
}

void
head_chunks_writer_close(struct head_chunks_writer *w)
{
	finish_file(w);
	buf_clear(&w->out);
	free(w->begin);
	free(w);
}

/* SPDX-License-Identifier: ISC */

/*
 * The WAL on disk grows by whole batches: a batch is framed in memory and
 * written at the offset where the last one ended. A crash within the write
 * leaves a part of the batch at the end of the last segment; replay keeps
 * its whole records and sets the torn one aside. A write that fails (disk
 * full) is cut off again; should even that fail, the next batch overwrites
 * it, and the cut is tried again before.
 *
 * A batch that needs a new segment fills up the old one first, then creates
 * the new one, then writes there; the state moves on only with each step
 * that succeeded.
 */

#include "workers/storage/wal_writer.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/vec.h"
#include "common/tsdb/wal_dir.h"
#include "common/tsdb/wal_format.h"
#include "common/tsdb/wal_framer.h"
#include "workers/storage/sync.h"

struct wal_writer {
	int			 dirfd;
	int			 fd;
	int			 index;
	uint64_t		 off;		/* end of the last batch */
	bool			 ragged;	/* there may be bytes behind off */
	bool			 dead;		/* this batch cannot be written */
	bool			 open;		/* a batch was begun */
	struct sync		*sync;
	struct wal_framer	 framer;
	struct wal_writer_stats	 stats;
};

static int
create_segment(const struct wal_writer *w, int index, struct err *err)
{
	char name[WAL_NAME_MAX];
	int fd;

	wal_segment_name(index, name);
	fd = openat(w->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0666);
	if (fd == -1)
		return err_set_os(err, "create new segment file %s", name);
	return fd;
}

static void
adopt_segment(struct wal_writer *w, int fd, int index)
{
	w->fd = fd;
	w->index = index;
	w->off = 0;
	w->ragged = false;
	if (w->sync != NULL)
		sync_set_current(w->sync, fd, w->dirfd);
}

/* The segment is whole: sync and close it, by the thread if there is one. */
static int
finish_segment(struct wal_writer *w, struct err *err)
{
	int fd = w->fd, rc = 0;

	w->fd = -1;
	if (w->sync != NULL) {
		sync_finish(w->sync, fd);
		return 0;
	}
	if (fdatasync(fd) == -1)
		rc = err_set_os(err, "sync WAL segment");
	if (close(fd) == -1 && rc == 0)
		rc = err_set_os(err, "close WAL segment");
	return rc;
}

int
wal_writer_open(const struct wal_writer_opts *opts, struct wal_writer **out,
    struct err *err)
{
	struct wal_writer *w = xcalloc(1, sizeof(*w));
	int fd;

	w->dirfd = opts->dirfd;
	w->sync = opts->sync;
	if ((fd = create_segment(w, opts->index, err)) == -1) {
		free(w);
		return -1;
	}
	wal_framer_init(&w->framer, opts->codec, opts->segment_bytes);
	adopt_segment(w, fd, opts->index);
	*out = w;
	return 0;
}

static void
begin_batch(struct wal_writer *w)
{
	if (w->open)
		return;
	wal_framer_begin(&w->framer, w->off);
	w->open = true;
	w->dead = false;
}

int
wal_writer_add(struct wal_writer *w, struct str rec, struct err *err)
{
	begin_batch(w);
	if (w->dead)
		return err_set(err, ERR_INTERNAL, "batch was given up");
	if (wal_framer_add(&w->framer, rec, err) == -1) {
		w->dead = true;
		return -1;
	}
	w->stats.n_records++;
	return 0;
}

/* Takes off what a failed write left behind the last batch. */
static void
trim(struct wal_writer *w)
{
	if (w->ragged && ftruncate(w->fd, (off_t)w->off) == 0)
		w->ragged = false;
}

/* Writes all of b at the end of the segment, or nothing as far as we can. */
static int
write_run(struct wal_writer *w, struct str b, struct err *err)
{
	uint64_t end = w->off + b.n, pages = w->off / WAL_PAGE_BYTES;
	size_t done = 0;

	trim(w);
	while (done < b.n) {
		ssize_t n = pwrite(w->fd, b.p + done,
		    FAULT_PART("wal.write", b.n - done),
		    (off_t)(w->off + done));

		FAULT_POINT("wal.write");
		w->stats.n_writes++;
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			(void)err_set_os(err, "write WAL segment");
			w->ragged = true;
			trim(w);
			return -1;
		}
		done += (size_t)n;
	}
	w->off = end;
	w->stats.written_bytes += b.n;
	w->stats.n_pages += end / WAL_PAGE_BYTES - pages;
	if (w->sync != NULL && b.n > 0)
		sync_mark_dirty(w->sync);
	return 0;
}

static int
next_segment(struct wal_writer *w, struct err *err)
{
	int fd = create_segment(w, w->index + 1, err);

	if (fd == -1)
		return -1;
	FAULT_POINT("wal.segment");
	if (finish_segment(w, err) == -1) {
		/* The old one is gone from our hands; the new one is sound. */
		adopt_segment(w, fd, w->index + 1);
		return -1;
	}
	adopt_segment(w, fd, w->index + 1);
	return 0;
}

/* Writes the framed runs: the first here, each other in a new segment. */
static int
write_runs(struct wal_writer *w, struct err *err)
{
	for (size_t i = 0; i < w->framer.n_runs; i++) {
		if (i > 0 && next_segment(w, err) == -1)
			return -1;
		if (write_run(w, wal_framer_run(&w->framer, i), err) == -1)
			return -1;
	}
	FAULT_POINT("wal.written");
	return 0;
}

int
wal_writer_commit(struct wal_writer *w, struct err *err)
{
	int rc;

	if (!w->open)
		return 0;
	w->open = false;
	rc = w->dead ? err_set(err, ERR_NOMEM, "out of memory") :
	    write_runs(w, err);
	if (rc == -1)
		w->stats.n_failed++;
	return rc;
}

void
wal_writer_rollback(struct wal_writer *w)
{
	w->open = false;
}

static int
pad_segment(struct wal_writer *w, struct err *err)
{
	wal_framer_begin(&w->framer, w->off);
	if (wal_framer_pad(&w->framer, err) == -1)
		return -1;
	return write_run(w, wal_framer_run(&w->framer, 0), err);
}

int
wal_writer_cut(struct wal_writer *w, struct err *err)
{
	if (pad_segment(w, err) == -1)
		return -1;
	return next_segment(w, err);
}

int
wal_writer_segment(const struct wal_writer *w)
{
	return w->index;
}

uint64_t
wal_writer_offset(const struct wal_writer *w)
{
	return w->off;
}

void
wal_writer_get_stats(const struct wal_writer *w, struct wal_writer_stats *out)
{
	*out = w->stats;
	out->saved_bytes = w->framer.saved_bytes;
	out->n_parts = w->framer.n_parts;
	out->part_bytes = w->framer.part_bytes;
}

int
wal_writer_close(struct wal_writer *w, struct err *err)
{
	struct err second = ERR_INIT;
	int rc = pad_segment(w, err);

	if (finish_segment(w, rc == -1 ? &second : err) == -1)
		rc = -1;
	wal_framer_clear(&w->framer);
	free(w);
	return rc;
}

/* SPDX-License-Identifier: ISC */

/*
 * Repair of WAL segments. The usual damage is a torn record at the end: the
 * segment is cut in front of it and filled with zeros to the page. Else the
 * sound records are written to <segment>.repair, which then replaces the
 * segment.
 */

#include "workers/storage/replay_repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/tsdb/wal_format.h"
#include "common/tsdb/wal_framer.h"
#include "common/tsdb/wal_reader.h"

#define BATCH_BYTES	(1u << 20)
/* Never a second segment, whatever the size. */
#define NO_LIMIT	((size_t)1 << 40)

static int
write_at(int fd, const char *p, size_t n, uint64_t off, struct err *err)
{
	while (n > 0) {
		ssize_t got = pwrite(fd, p, n, (off_t)off);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set_os(err, "write repaired segment");
		p += got;
		n -= (size_t)got;
		off += (uint64_t)got;
	}
	return 0;
}

static int
cut_tail(int dirfd, const char *name, uint64_t end, struct err *err)
{
	static const char zeros[WAL_PAGE_BYTES];
	int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t pad = (size_t)(-end % WAL_PAGE_BYTES);
	int rc = 0;

	if (fd == -1)
		return err_set_os(err, "open %s", name);
	FAULT_POINT("repair.cut");
	if (ftruncate(fd, (off_t)end) == -1)
		rc = err_set_os(err, "truncate %s", name);
	/* Without room for the zeros a short page does as well. */
	else if (write_at(fd, zeros, pad, end, err) == -1 &&
	    ftruncate(fd, (off_t)end) == -1)
		rc = err_set_os(err, "truncate %s", name);
	else if (fdatasync(fd) == -1)
		rc = err_set_os(err, "sync %s", name);
	(void)close(fd);
	return rc;
}

static bool
is_bad(const struct aside_range *bad, size_t n, size_t *i, uint64_t start)
{
	while (*i < n && bad[*i].end <= start)
		(*i)++;
	return *i < n && bad[*i].start <= start;
}

static int
flush(struct wal_framer *f, int fd, uint64_t *off, struct err *err)
{
	struct str run = f->n_runs == 0 ? STR_EMPTY : wal_framer_run(f, 0);

	if (write_at(fd, run.p, run.n, *off, err) == -1)
		return -1;
	*off += run.n;
	wal_framer_begin(f, *off);
	return 0;
}

/* Frames all sound records of the map into fd. */
static int
copy_records(const struct file_map *map, const struct aside_range *bad,
    size_t n_bad, struct wal_reader *r, struct wal_framer *f, int fd,
    struct err *err)
{
	struct err fault = ERR_INIT;
	uint64_t off = 0;
	struct str rec;
	size_t i = 0;
	int rc;

	wal_reader_open(r, map->data, map->len);
	wal_framer_begin(f, 0);
	while ((rc = wal_reader_next(r, &rec, &fault)) != 0) {
		if (rc == -1) {
			if (!wal_reader_resync(r))
				break;
			continue;
		}
		if (is_bad(bad, n_bad, &i, r->record_start))
			continue;
		f->codec = r->codec;
		if (wal_framer_add(f, rec, err) == -1)
			return -1;
		if (f->out.n >= BATCH_BYTES && flush(f, fd, &off, err) == -1)
			return -1;
	}
	if (wal_framer_pad(f, err) == -1 || flush(f, fd, &off, err) == -1)
		return -1;
	return fdatasync(fd) == -1 ? err_set_os(err, "sync") : 0;
}

static int
rewrite(int dirfd, const char *name, const struct file_map *map,
    const struct aside_range *bad, size_t n_bad, struct err *err)
{
	char tmp[ASIDE_NAME_MAX];
	struct wal_framer f;
	struct wal_reader r;
	int fd, rc;

	(void)snprintf(tmp, sizeof(tmp), "%s.repair", name);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0666);
	if (fd == -1)
		return err_set_os(err, "create %s", tmp);
	wal_framer_init(&f, COMPRESS_NONE, NO_LIMIT);
	wal_reader_init(&r);
	rc = copy_records(map, bad, n_bad, &r, &f, fd, err);
	wal_reader_clear(&r);
	wal_framer_clear(&f);
	(void)close(fd);
	if (rc == 0 && renameat(dirfd, tmp, dirfd, name) == -1)
		rc = err_set_os(err, "rename %s", tmp);
	if (rc == -1)
		(void)unlinkat(dirfd, tmp, 0);
	return rc;
}

int
replay_repair_segment(int dirfd, const char *name,
    const struct file_map *map, const struct aside_range *bad, size_t n_bad,
    struct err *err)
{
	if (map->unreadable == 0 && n_bad == 1 && bad[0].end >= map->len)
		return cut_tail(dirfd, name, bad[0].start, err);
	return rewrite(dirfd, name, map, bad, n_bad, err);
}

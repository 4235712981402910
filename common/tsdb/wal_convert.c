/* SPDX-License-Identifier: ISC */

/*
 * Conversion of LZ4 records in WAL segments. A segment is read twice: to see
 * whether there is anything to do, and to write <segment>.convert, which
 * then takes its name.
 */

#include "common/tsdb/wal_convert.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/tsdb/wal_dir.h"
#include "common/tsdb/wal_framer.h"
#include "common/tsdb/wal_reader.h"

#define BATCH_BYTES	(1u << 20)
/* A segment stays one, whatever its records grow to. */
#define NO_LIMIT	((size_t)1 << 40)
#define CONVERT_NAME_MAX		(WAL_NAME_MAX + 16)

struct convert {
	enum compress_codec	 to;
	struct wal_reader	 reader;
	struct wal_framer	 framer;
	struct wal_convert_stats *st;
};

static int
fault(const struct convert *c, const char *name, struct err *err)
{
	return err_wrap(err, "segment %s at %zu", name,
	    c->reader.fault_start);
}

/* How many LZ4 records; a fault counts only when there are some. */
static int
count_lz4(struct convert *c, const char *name, const struct file_map *map,
    uint64_t *n_out, struct err *err)
{
	struct err first = ERR_INIT;
	struct str rec;
	int rc;

	*n_out = 0;
	wal_reader_open(&c->reader, map->data, map->len);
	for (;;) {
		struct err e = ERR_INIT;

		rc = wal_reader_next(&c->reader, &rec, &e);
		if (rc == 0)
			break;
		if (rc == 1)
			*n_out += c->reader.codec == COMPRESS_LZ4;
		else {
			if (first.kind == ERR_NONE) {
				first = e;
				(void)fault(c, name, &first);
			}
			if (!wal_reader_resync(&c->reader))
				break;
		}
	}
	if (first.kind == ERR_NONE || *n_out == 0)
		return 0;
	*err = first;
	return -1;
}

static int
flush(struct convert *c, int fd, uint64_t *off, struct err *err)
{
	struct str run = c->framer.n_runs == 0 ? STR_EMPTY :
	    wal_framer_run(&c->framer, 0);

	while (run.n > 0) {
		ssize_t n = pwrite(fd, run.p, run.n, (off_t)*off);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_os(err, "write segment");
		run.p += n;
		run.n -= (size_t)n;
		*off += (uint64_t)n;
	}
	wal_framer_begin(&c->framer, *off);
	return 0;
}

static int
write_segment(struct convert *c, const char *name,
    const struct file_map *map, int fd, struct err *err)
{
	uint64_t off = 0;
	struct str rec;
	int rc;

	wal_reader_open(&c->reader, map->data, map->len);
	wal_framer_begin(&c->framer, 0);
	while ((rc = wal_reader_next(&c->reader, &rec, err)) == 1) {
		c->framer.codec = c->reader.codec == COMPRESS_LZ4 ? c->to :
		    c->reader.codec;
		if (wal_framer_add(&c->framer, rec, err) == -1)
			return -1;
		if (c->framer.out.n >= BATCH_BYTES &&
		    flush(c, fd, &off, err) == -1)
			return -1;
	}
	if (rc == -1)
		return fault(c, name, err);
	if (wal_framer_pad(&c->framer, err) == -1 ||
	    flush(c, fd, &off, err) == -1)
		return -1;
	return fdatasync(fd) == -1 ? err_set_os(err, "sync segment") : 0;
}

/* The new file belongs to whom the old one did: root may convert. */
static int
copy_owner(int dirfd, const char *name, int fd, struct err *err)
{
	struct stat st, now;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    fstat(fd, &now) == -1)
		return err_set_os(err, "stat %s", name);
	if ((st.st_uid != now.st_uid || st.st_gid != now.st_gid) &&
	    fchown(fd, st.st_uid, st.st_gid) == -1)
		return err_set_os(err, "chown %s", name);
	if (fchmod(fd, st.st_mode & 07777) == -1)
		return err_set_os(err, "chmod %s", name);
	return 0;
}

static int
replace_segment(struct convert *c, int dirfd, const char *name,
    const struct file_map *map, struct err *err)
{
	char tmp[CONVERT_NAME_MAX];
	int fd, rc;

	(void)snprintf(tmp, sizeof(tmp), "%s.convert", name);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0666);
	if (fd == -1)
		return err_set_os(err, "create %s", tmp);
	rc = copy_owner(dirfd, name, fd, err);
	if (rc == 0)
		rc = write_segment(c, name, map, fd, err);
	(void)close(fd);
	if (rc == 0 && renameat(dirfd, tmp, dirfd, name) == -1)
		rc = err_set_os(err, "rename %s", tmp);
	if (rc == -1)
		(void)unlinkat(dirfd, tmp, 0);
	return rc;
}

static int
convert_segment(struct convert *c, int dirfd, const char *name,
    struct err *err)
{
	struct file_map map;
	uint64_t n = 0;
	int rc;

	if (file_map_open(dirfd, name, &map, err) == -1)
		return -1;
	rc = map.unreadable > 0 ? err_set(err, ERR_BAD_DATA,
	    "segment %s cannot be read behind %zu", name, map.len) :
	    count_lz4(c, name, &map, &n, err);
	if (rc == 0 && n > 0)
		rc = replace_segment(c, dirfd, name, &map, err);
	file_map_close(&map);
	if (rc == -1)
		return -1;
	c->st->n_segments++;
	c->st->n_converted += n > 0;
	c->st->n_records += n;
	return 0;
}

static int
convert_segments(struct convert *c, int dirfd, struct err *err)
{
	struct wal_segment_list l;
	int rc = 0;

	if (wal_list_segments(dirfd, &l, err) == -1)
		return -1;
	for (size_t i = 0; i < l.n && rc == 0; i++)
		rc = convert_segment(c, dirfd, l.p[i].name, err);
	wal_segment_list_clear(&l);
	if (rc == 0 && fsync(dirfd) == -1)
		rc = err_set_os(err, "sync directory");
	return rc;
}

static int
convert_checkpoint(struct convert *c, int dirfd, struct err *err)
{
	char name[WAL_NAME_MAX];
	int index, fd, rc;

	/* Only the newest is ever read. */
	rc = wal_find_checkpoint(dirfd, &index, name, err);
	if (rc != 1)
		return rc;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
	if (fd == -1)
		return err_set_os(err, "open %s", name);
	rc = convert_segments(c, fd, err);
	(void)close(fd);
	return rc == -1 ? err_wrap(err, "%s", name) : 0;
}

int
wal_convert_dir(int dirfd, enum compress_codec to,
    struct wal_convert_stats *st, struct err *err)
{
	struct convert c = { .to = to, .st = st };
	int rc;

	wal_reader_init(&c.reader);
	wal_framer_init(&c.framer, to, NO_LIMIT);
	rc = convert_checkpoint(&c, dirfd, err);
	if (rc == 0)
		rc = convert_segments(&c, dirfd, err);
	wal_reader_clear(&c.reader);
	wal_framer_clear(&c.framer);
	return rc;
}

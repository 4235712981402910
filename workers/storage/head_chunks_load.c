/* SPDX-License-Identifier: ISC */

/*
 * Loading of chunks_head files; the contract is in the header. Chunks are
 * told as they are found to be sound, so what came before the damage counts.
 */

#include "workers/storage/head_chunks_load.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/tsdb/wal_dir.h"
#include "workers/storage/replay_aside.h"

#undef LOG_COMPONENT
#define LOG_COMPONENT	"tsdb"

static int
announce(int dirfd, const char *name, uint32_t number,
    const struct head_chunks_sink *sink, struct err *err)
{
	int fd;

	if (sink->on_file == NULL)
		return 0;
	if ((fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return err_set_os(err, "open %s", name);
	return sink->on_file(sink->arg, number, fd, err);
}

/*
 * The chunks of one file. *good_out is the end of what is sound; fault says
 * why it is not the end of the file.
 */
static int
load_chunks(const struct file_map *map, uint32_t number,
    const struct head_chunks_sink *sink, struct head_chunks_stats *st,
    size_t *good_out, struct err *fault, struct err *err)
{
	struct head_chunk_entry e;
	size_t off = HEAD_CHUNKS_HEADER_BYTES;
	int rc;

	while ((rc = head_chunks_next(map->data, map->len, &off, &e,
	    fault)) == 1) {
		st->n_chunks++;
		if (sink->on_chunk(sink->arg, number, &e, err) == -1)
			return -1;
	}
	*good_out = rc == 0 ? map->len : off;
	return 0;
}

/* Keeps the bytes from `good` on and cuts the file there. */
static void
cut_file(int dirfd, const char *name, const struct file_map *map, size_t good,
    const struct err *fault, struct head_chunks_stats *st)
{
	struct aside_range r = { good, map->len };
	char kept[ASIDE_NAME_MAX];
	struct err e = ERR_INIT;
	int fd = -1;

	st->n_corruptions++;
	st->lost_bytes += map->len - good;
	if (aside_keep(dirfd, name, map->data, &r, 1, kept, &e) == -1 ||
	    (fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) == -1 ||
	    ftruncate(fd, (off_t)good) == -1) {
		if (e.kind == ERR_NONE)
			(void)err_set_os(&e, "truncate %s", name);
		log_error("Cannot set damaged head chunks aside",
		    F_STR("file", name), F_UINT("offset", good), F_ERR(&e));
	}
	if (fd != -1)
		(void)close(fd);
	log_warn("Loading on-disk chunks failed", F_STR("file", name),
	    F_UINT("offset", good), F_UINT("bytes", map->len - good),
	    F_STR("kept", kept), F_ERR(fault));
}

static void
move_file(int dirfd, const char *name, const struct err *fault,
    struct head_chunks_stats *st)
{
	char kept[ASIDE_NAME_MAX] = "";
	struct err e = ERR_INIT;

	st->n_corruptions++;
	if (aside_move(dirfd, name, kept, &e) == -1)
		log_error("Cannot set head chunk file aside",
		    F_STR("file", name), F_ERR(&e));
	else
		log_warn("Loading on-disk chunks failed", F_STR("file", name),
		    F_STR("kept", kept), F_ERR(fault));
}

/* 1: the file was whole; 0: it was not, ignore what follows. */
static int
load_file(int dirfd, const struct wal_segment *f, bool is_last,
    const struct head_chunks_sink *sink, struct head_chunks_stats *st,
    struct err *err)
{
	struct err fault = ERR_INIT;
	struct file_map map;
	uint32_t number = (uint32_t)f->index;
	size_t good = 0;
	int rc;

	if (file_map_open(dirfd, f->name, &map, &fault) == -1) {
		move_file(dirfd, f->name, &fault, st);
		return 0;
	}
	if (head_chunks_check_header(map.data, map.len, &fault) == -1) {
		/* A crash may leave the newest one without its header. */
		bool empty = is_last && map.unreadable == 0 && (map.len < 4 ||
		    (map.data[0] | map.data[1] | map.data[2] | map.data[3]) == 0);

		file_map_close(&map);
		if (empty && unlinkat(dirfd, f->name, 0) == 0)
			return 1;
		move_file(dirfd, f->name, &fault, st);
		return 0;
	}
	if (map.unreadable > 0) {
		/* Readers map the whole file: leave it to the WAL. */
		(void)err_set(&fault, ERR_INTERNAL,
		    "cannot be read behind offset %zu", map.len);
		file_map_close(&map);
		move_file(dirfd, f->name, &fault, st);
		return 0;
	}
	rc = announce(dirfd, f->name, number, sink, err);
	if (rc == 0)
		rc = load_chunks(&map, number, sink, st, &good, &fault, err);
	if (rc == 0) {
		st->n_files++;
		st->last_file = number;
		if (good < map.len)
			cut_file(dirfd, f->name, &map, good, &fault, st);
		rc = good == map.len;
	}
	file_map_close(&map);
	return rc;
}

int
head_chunks_load(int dirfd, const struct head_chunks_sink *sink,
    struct head_chunks_stats *out, struct err *err)
{
	mono_time start = mono_now();
	struct head_chunks_stats st = { 0 };
	struct err fault = ERR_INIT;
	struct wal_segment_list l;
	int rc = 1;

	if (wal_list_segments(dirfd, &l, err) == -1)
		return -1;
	(void)err_set(&fault, ERR_BAD_DATA, "follows a damaged or missing file");
	for (size_t i = 0; i < l.n && rc != -1; i++) {
		if (l.p[i].index == 0)
			continue;
		if (rc == 1 && i > 0 && l.p[i].index != l.p[i - 1].index + 1)
			rc = 0;
		if (rc == 1)
			rc = load_file(dirfd, &l.p[i], i + 1 == l.n, sink, &st,
			    err);
		else
			move_file(dirfd, l.p[i].name, &fault, &st);
	}
	wal_segment_list_clear(&l);
	st.duration_ns = mono_sub_ns(mono_now(), start);
	*out = st;
	return rc == -1 ? -1 : 0;
}

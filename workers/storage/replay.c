/* SPDX-License-Identifier: ISC */

/*
 * Replay of the WAL; the contract is in the header. One segment after the
 * other is mapped, read and, if it was damaged, repaired before the next.
 * A fault is a range of bytes: from where reading failed (or the record that
 * does not decode) to the next record that is sound. Ranges that touch are
 * one.
 */

#include "workers/storage/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/tsdb/wal_dir.h"
#include "common/tsdb/wal_reader.h"
#include "workers/storage/replay_aside.h"
#include "workers/storage/replay_batch.h"
#include "workers/storage/replay_refs.h"
#include "workers/storage/replay_repair.h"

#undef LOG_COMPONENT
#define LOG_COMPONENT	"tsdb"

/* Samples decoded at once. */
#define DECODE_SAMPLES	512

/* Lines a segment may cost in the log, whatever its state. */
#define FAULT_LINES_MAX	10

struct replay {
	const struct replay_sink *sink;
	struct replay_stats	 stats;
	struct replay_refs	 refs;
	struct replay_batch	 batch;
	struct wal_reader	 reader;
	struct record_reader	 record;

	/* of the segment at hand */
	const char		*dir;		/* "wal" or the checkpoint */
	const char		*name;
	struct aside_range	*bad;
	size_t			 n_bad, bad_cap;
	bool			 in_fault;	/* the last range is open */
	unsigned		 n_lines;
};

/* --- entries of records --- */

static void
note_ref(struct replay *r, uint64_t ref)
{
	/* Refs beyond what the head can number are damage, not a maximum. */
	if (ref > r->stats.max_ref && ref < UINT64_C(1) << 40)
		r->stats.max_ref = ref;
}

/* The handle for an entry; false when it is to be skipped. */
static inline bool
resolve(struct replay *r, uint64_t *ref)
{
	uint64_t handle;

	if (!replay_refs_get(&r->refs, *ref, &handle)) {
		note_ref(r, *ref);
		r->stats.n_unknown_refs++;
		return false;
	}
	*ref = handle;
	return handle != REPLAY_SKIP;
}

static int
replay_series(struct replay *r, struct err *fault, struct err *err)
{
	struct record_series s;
	int rc;

	while ((rc = record_next_series(&r->record, &s, fault)) == 1) {
		uint64_t handle = REPLAY_SKIP;

		note_ref(r, s.ref);
		if (!s.valid)
			r->stats.n_invalid_series++;
		else if (r->sink->on_series != NULL &&
		    r->sink->on_series(r->sink->arg, s.ref, s.labels, &handle,
		    err) == -1)
			return -1;
		if (replay_refs_put(&r->refs, s.ref, handle) == -1)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->stats.n_series++;
	}
	return 0;
}

static int
replay_samples(struct replay *r, struct err *fault, struct err *err)
{
	struct record_sample s[DECODE_SAMPLES];
	int n;

	while ((n = record_next_samples(&r->record, s, DECODE_SAMPLES,
	    fault)) > 0) {
		for (int i = 0; i < n; i++)
			replay_refs_prefetch(&r->refs, s[i].ref);
		for (int i = 0; i < n; i++) {
			if (!resolve(r, &s[i].ref))
				continue;
			r->stats.n_samples++;
			if (replay_batch_add(&r->batch, &s[i], err) == -1)
				return -1;
		}
	}
	return 0;
}

/*
 * The other types differ in names alone. Each entry goes to its callback
 * with the handle in place of the ref. What means the samples before it, or
 * stands in a row with them, comes after those that were gathered.
 */
#define IN_ORDER	replay_batch_flush(&r->batch, err)
#define ANY_TIME	0
#define REPLAY_EACH(fn, entry, next, callback, before, counter)		\
static int								\
fn(struct replay *r, struct err *fault, struct err *err)		\
{									\
	struct entry e;							\
									\
	if (before == -1)						\
		return -1;						\
	while (next(&r->record, &e, fault) == 1) {			\
		if (!resolve(r, &e.ref))				\
			continue;					\
		counter;						\
		if (r->sink->callback != NULL &&			\
		    r->sink->callback(r->sink->arg, &e, err) == -1)	\
			return -1;					\
	}								\
	return 0;							\
}

REPLAY_EACH(replay_tombstones, record_tombstone, record_next_tombstone,
    on_tombstone, IN_ORDER, (void)0)
REPLAY_EACH(replay_exemplars, record_exemplar, record_next_exemplar,
    on_exemplar, ANY_TIME, if (!e.valid && e.labels.n > 0) continue)
REPLAY_EACH(replay_metadata, record_metadata, record_next_metadata,
    on_metadata, ANY_TIME, (void)0)
REPLAY_EACH(replay_histograms, record_histogram, record_next_histogram,
    on_histogram, IN_ORDER, r->stats.n_histograms++)
REPLAY_EACH(replay_markers, record_mmap_marker, record_next_mmap_marker,
    on_mmap_marker, IN_ORDER, (void)0)

/*
 * One record. -1 ends the replay; a record that does not decode leaves its
 * reason in fault and is otherwise done.
 */
static int
replay_record(struct replay *r, struct str rec, struct err *fault,
    struct err *err)
{
	int rc = 0;

	r->stats.n_records++;
	switch (record_open(&r->record, rec.p, rec.n)) {
	case RECORD_SERIES:
		rc = replay_series(r, fault, err);
		break;
	case RECORD_SAMPLES:
	case RECORD_SAMPLES_V2:
		rc = replay_samples(r, fault, err);
		break;
	case RECORD_TOMBSTONES:
		rc = replay_tombstones(r, fault, err);
		break;
	case RECORD_EXEMPLARS:
		rc = replay_exemplars(r, fault, err);
		break;
	case RECORD_METADATA:
		rc = replay_metadata(r, fault, err);
		break;
	case RECORD_MMAP_MARKERS:
		rc = replay_markers(r, fault, err);
		break;
	case RECORD_HISTOGRAMS:
	case RECORD_FLOAT_HISTOGRAMS:
	case RECORD_CUSTOM_HISTOGRAMS:
	case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
	case RECORD_HISTOGRAMS_V2:
	case RECORD_FLOAT_HISTOGRAMS_V2:
		rc = replay_histograms(r, fault, err);
		break;
	case RECORD_MIN_VALID_TIME:
		break;
	case RECORD_UNKNOWN:
		r->stats.n_unknown_records++;
		break;
	}
	if (rc == 0 && fault->kind == ERR_NOMEM) {
		*err = *fault;
		return -1;
	}
	return rc;
}

/* --- faults --- */

static int
fault_begin(struct replay *r, uint64_t start, const struct err *why,
    struct err *err)
{
	if (r->n_lines++ < FAULT_LINES_MAX)
		log_warn("Encountered WAL read error, attempting repair",
		    F_STR("dir", r->dir), F_STR("segment", r->name),
		    F_UINT("offset", start), F_ERR(why));
	if (r->in_fault)
		return 0;
	if (r->n_bad > 0 && r->bad[r->n_bad - 1].end == start)
		r->n_bad--;
	else {
		if (vec_grow(&r->bad, &r->bad_cap, r->n_bad + 1,
		    sizeof(*r->bad)) == -1)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->bad[r->n_bad].start = start;
	}
	r->n_bad++;
	r->in_fault = true;
	return 0;
}

static void
fault_end(struct replay *r, uint64_t end)
{
	if (r->in_fault)
		r->bad[r->n_bad - 1].end = end;
	r->in_fault = false;
}

/* Keeps the damaged bytes and makes the segment whole; logs what happens. */
static void
set_aside(struct replay *r, int dirfd, const struct file_map *map)
{
	char kept[ASIDE_NAME_MAX];
	struct err e = ERR_INIT;
	uint64_t lost = 0;

	for (size_t i = 0; i < r->n_bad; i++)
		lost += r->bad[i].end - r->bad[i].start;
	lost += map->unreadable;
	r->stats.n_corruptions++;
	r->stats.lost_bytes += lost;
	if ((map->unreadable > 0 ? aside_link(dirfd, r->name, kept, &e) :
	    aside_keep(dirfd, r->name, map->data, r->bad, r->n_bad, kept,
	    &e)) == -1) {
		/* Without a copy the segment stays as it is. */
		log_error("Cannot set damaged WAL data aside",
		    F_STR("dir", r->dir), F_STR("segment", r->name),
		    F_UINT("bytes", lost), F_ERR(&e));
		return;
	}
	if (replay_repair_segment(dirfd, r->name, map, r->bad, r->n_bad,
	    &e) == -1) {
		log_error("Repairing WAL failed", F_STR("dir", r->dir),
		    F_STR("segment", r->name), F_STR("kept", kept), F_ERR(&e));
		return;
	}
	log_warn("Successfully repaired WAL", F_STR("dir", r->dir),
	    F_STR("segment", r->name), F_UINT("places", r->n_bad),
	    F_UINT("bytes", lost), F_STR("kept", kept));
}

/* --- segments --- */

static int
replay_records(struct replay *r, const struct file_map *map, struct err *err)
{
	struct wal_reader *w = &r->reader;
	struct str rec;
	int rc;

	wal_reader_open(w, map->data, map->len);
	for (;;) {
		struct err fault = ERR_INIT;

		rc = wal_reader_next(w, &rec, &fault);
		if (rc == 0)
			break;
		if (rc == -1) {
			if (fault.kind == ERR_NOMEM) {
				*err = fault;
				return -1;
			}
			if (fault_begin(r, w->fault_start, &fault, err) == -1)
				return -1;
			if (!wal_reader_resync(w))
				break;
			continue;
		}
		fault_end(r, w->record_start);
		if (replay_record(r, rec, &fault, err) == -1)
			return -1;
		if (fault.kind != ERR_NONE) {
			if (fault_begin(r, w->record_start, &fault, err) == -1)
				return -1;
			fault_end(r, w->off);
		}
	}
	fault_end(r, map->len);
	return 0;
}

static int
replay_segment(struct replay *r, int dirfd, const char *dir,
    const struct wal_segment *seg, struct err *err)
{
	struct err e = ERR_INIT;
	struct file_map map;
	int rc;

	r->dir = dir;
	r->name = seg->name;
	r->n_bad = 0;
	r->n_lines = 0;
	r->in_fault = false;
	r->stats.n_segments++;
	if (file_map_open(dirfd, seg->name, &map, &e) == -1) {
		r->stats.n_corruptions++;
		log_error("Cannot read WAL segment", F_STR("dir", dir),
		    F_STR("segment", seg->name), F_ERR(&e));
		return 0;
	}
	if (map.unreadable > 0)
		log_warn("WAL segment cannot be read to its end",
		    F_STR("dir", dir), F_STR("segment", seg->name),
		    F_UINT("offset", map.len), F_UINT("bytes", map.unreadable));
	r->stats.bytes += map.len + map.unreadable;
	rc = replay_records(r, &map, err);
	if (rc == 0 && (r->n_bad > 0 || map.unreadable > 0))
		set_aside(r, dirfd, &map);
	file_map_close(&map);
	if (rc == -1)
		return err_wrap(err, "replaying %s/%s", dir, seg->name);
	return 0;
}

static int
replay_checkpoint(struct replay *r, int dirfd, struct err *err)
{
	struct wal_segment_list l;
	char name[WAL_NAME_MAX];
	struct err e = ERR_INIT;
	int rc, fd;

	rc = wal_find_checkpoint(dirfd, &r->stats.checkpoint, name, &e);
	if (rc == 0)
		return 0;
	fd = rc == -1 ? -1 : openat(dirfd, name, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC | O_NOFOLLOW);
	if (rc == 1 && fd == -1)
		(void)err_set_os(&e, "open %s", name);
	if (fd == -1 || wal_list_segments(fd, &l, &e) == -1) {
		r->stats.n_corruptions++;
		log_error("Cannot read WAL checkpoint", F_ERR(&e));
		if (fd != -1)
			(void)close(fd);
		return 0;
	}
	rc = 0;
	for (size_t i = 0; i < l.n && rc == 0; i++)
		rc = replay_segment(r, fd, name, &l.p[i], err);
	wal_segment_list_clear(&l);
	(void)close(fd);
	if (rc == 0)
		log_info("WAL checkpoint loaded", F_STR("checkpoint", name));
	return rc;
}

static void
progress(const struct replay *r, int first, int last, int index)
{
	if (r->sink->on_progress != NULL)
		r->sink->on_progress(r->sink->arg, first, last, index);
}

static int
replay_segments(struct replay *r, int dirfd, struct err *err)
{
	struct wal_segment_list l;
	size_t i = 0, first;
	int rc = 0, last;

	if (wal_list_segments(dirfd, &l, err) == -1)
		return -1;
	/* What the checkpoint covers may still be there after a crash. */
	while (i < l.n && l.p[i].index <= r->stats.checkpoint)
		i++;
	if (!l.sequential)
		log_warn("WAL segments are not sequential");
	last = l.n > 0 ? l.p[l.n - 1].index : -1;
	r->stats.last_segment = last > r->stats.checkpoint ? last :
	    r->stats.checkpoint;
	for (first = i; i < l.n && rc == 0; i++) {
		progress(r, l.p[first].index, last, l.p[i].index);
		rc = replay_segment(r, dirfd, "wal", &l.p[i], err);
	}
	if (rc == 0 && first < l.n)
		progress(r, l.p[first].index, last, last + 1);
	wal_segment_list_clear(&l);
	return rc;
}

int
replay_run(int dirfd, const struct replay_sink *sink,
    struct replay_stats *out, struct err *err)
{
	mono_time start = mono_now();
	struct replay r = {
		.sink = sink,
		.refs = REPLAY_REFS_INIT,
		.stats = { .last_segment = -1, .checkpoint = -1 },
	};
	int rc;

	wal_reader_init(&r.reader);
	record_reader_init(&r.record);
	replay_batch_init(&r.batch, sink->on_samples, sink->arg);
	rc = replay_checkpoint(&r, dirfd, err);
	if (rc == 0)
		rc = replay_segments(&r, dirfd, err);
	if (rc == 0)
		rc = replay_batch_flush(&r.batch, err);
	replay_batch_clear(&r.batch);
	wal_reader_clear(&r.reader);
	record_reader_clear(&r.record);
	replay_refs_clear(&r.refs);
	free(r.bad);
	r.stats.duration_ns = mono_sub_ns(mono_now(), start);
	*out = r.stats;
	return rc;
}

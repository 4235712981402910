/* SPDX-License-Identifier: ISC */

/*
 * From a data directory to a head that takes samples: chunks_head files are
 * listed, the WAL is replayed over them, a new segment is begun. And back:
 * full chunks go to files while it runs, everything is flushed at the end.
 */

#include "workers/storage/storage.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/compress.h"
#include "common/base/duration.h"
#include "common/base/fault.h"
#include "workers/storage/head_chunks_load.h"
#include "workers/storage/head_chunks_writer.h"
#include "workers/storage/replay.h"
#include "workers/storage/replay_pipe.h"
#include "workers/storage/sync.h"
#include "workers/storage/wal_writer.h"

#define SEGMENT_BYTES_DEFAULT	((size_t)128 << 20)
#define SYNC_INTERVAL_MS	1000

/* What a replay met that this head does not hold. */
struct replaying {
	struct storage	*s;
	struct replay_pipe *pipe;	/* samples on their way to the head */
	int64_t		 segment_began_ns;
	uint64_t	 histograms, exemplars, metadata;
	uint64_t	 chunks_skipped;
	uint64_t	 series_refused;
	uint64_t	 deletions_refused;
};

static int
open_dir(int dirfd, const char *name, struct err *err)
{
	int fd;

	if (mkdirat(dirfd, name, 0777) == -1 && errno != EEXIST)
		return err_set_os(err, "mkdir %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd != -1 ? fd : err_set_os(err, "open %s", name);
}

/* --- chunks_head --- */

static int
on_file(void *arg, uint32_t number, int fd, struct err *err)
{
	return reader_file_add(arg, number, fd, err);
}

static int
load_on_file(void *arg, uint32_t number, int fd, struct err *err)
{
	struct replaying *r = arg;

	return reader_file_add(r->s, number, fd, err);
}

static int
load_on_chunk(void *arg, uint32_t file, const struct head_chunk_entry *e,
    struct err *err)
{
	struct replaying *r = arg;

	if (e->out_of_order || e->n_samples > HEAD_CHUNK_SAMPLES_MAX) {
		r->chunks_skipped++;
		return 0;
	}
	if (head_replay_chunk(r->s->head, e->series_ref, e->mint_ms,
	    e->maxt_ms, e->n_samples, e->encoding, file, e->offset) == -1)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int
load_chunks(struct replaying *r, struct head_chunks_stats *st,
    struct err *err)
{
	const struct head_chunks_sink sink = { .arg = r,
	    .on_file = load_on_file, .on_chunk = load_on_chunk };

	log_info("Replaying on-disk memory mappable chunks if any");
	if (head_chunks_load(r->s->chunks_fd, &sink, st, err) == -1)
		return err_wrap(err, "loading on-disk chunks");
	r->s->chunk_corruptions += st->n_corruptions;
	log_info("On-disk memory mappable chunks replay completed",
	    F_DUR("duration", st->duration_ns),
	    F_UINT("chunks", st->n_chunks));
	return 0;
}

/* --- the WAL --- */

static int
replay_on_series(void *arg, uint64_t ref, struct labels labels,
    uint64_t *handle, struct err *err)
{
	struct replaying *r = arg;
	struct err e = ERR_INIT;
	uint32_t slot;

	(void)err;
	replay_pipe_drain(r->pipe);
	if (head_replay_series(r->s->head, ref, labels, &slot, &e) == -1) {
		if (r->series_refused++ == 0)
			log_warn("Series of the WAL not loaded", F_ERR(&e));
		*handle = REPLAY_SKIP;
		return 0;
	}
	*handle = slot;
	return 0;
}

static int
replay_on_samples(void *arg, const struct record_sample *s, size_t n,
    struct err *err)
{
	struct replaying *r = arg;

	(void)err;
	replay_pipe_add(r->pipe, s, n);
	return 0;
}

static int
replay_on_tombstone(void *arg, const struct record_tombstone *t,
    struct err *err)
{
	struct replaying *r = arg;
	struct err e = ERR_INIT;

	(void)err;
	replay_pipe_drain(r->pipe);
	if (head_replay_delete(r->s->head, t->ref, t->mint_ms, t->maxt_ms,
	    &e) == -1 && r->deletions_refused++ == 0)
		log_warn("Deletion in the WAL has no effect", F_ERR(&e));
	return 0;
}

#define COUNT_ONLY(name, type, field)					\
static int								\
name(void *arg, const type *x, struct err *err)				\
{									\
	(void)x;							\
	(void)err;							\
	((struct replaying *)arg)->field++;				\
	return 0;							\
}
COUNT_ONLY(replay_on_exemplar, struct record_exemplar, exemplars)
COUNT_ONLY(replay_on_metadata, struct record_metadata, metadata)
COUNT_ONLY(replay_on_histogram, struct record_histogram, histograms)

static void
replay_on_progress(void *arg, int first, int last, int index)
{
	struct replaying *r = arg;
	struct msg_progress p = { .min = first, .max = last,
	    .current = index };
	struct err err = ERR_INIT;

	if (index > first)
		log_info("WAL segment loaded", F_INT("segment", index - 1),
		    F_INT("maxSegment", last),
		    F_DUR("duration", mono_now().ns - r->segment_began_ns));
	r->segment_began_ns = mono_now().ns;
	FAULT_POINT("replay.segment");
	if (ipc_send(worker_supervisor(r->s->w), IPC_PROGRESS, 0, &p,
	    sizeof(p), NULL, 0, &err) == -1)
		log_debug("Progress not told", F_ERR(&err));
}

static int
replay(struct replaying *r, struct replay_stats *st, struct err *err)
{
	const struct replay_sink sink = {
		.arg = r,
		.on_series = replay_on_series,
		.on_samples = replay_on_samples,
		.on_tombstone = replay_on_tombstone,
		.on_exemplar = replay_on_exemplar,
		.on_metadata = replay_on_metadata,
		.on_histogram = replay_on_histogram,
		.on_progress = replay_on_progress,
	};

	int rc;

	log_info("Replaying WAL, this may take a while");
	FAULT_POINT("replay.begin");
	r->segment_began_ns = mono_now().ns;
	r->pipe = replay_pipe_new(r->s->head);
	rc = replay_run(r->s->wal_fd, &sink, st, err);
	replay_pipe_free(r->pipe);
	if (rc == -1)
		return err_wrap(err, "replaying WAL");
	r->s->corruptions += st->n_corruptions;
	r->s->wal_found_bytes = st->bytes;
	if (st->n_unknown_refs > 0)
		log_warn("Unknown series references",
		    F_UINT("count", st->n_unknown_refs));
	log_info("WAL replay completed",
	    F_UINT("series", st->n_series), F_UINT("samples", st->n_samples),
	    F_DUR("total_replay_duration", st->duration_ns));
	return 0;
}

static void
log_not_loaded(const struct replaying *r)
{
	if (r->histograms + r->exemplars + r->metadata +
	    r->chunks_skipped + r->series_refused +
	    r->deletions_refused == 0)
		return;
	log_warn("Parts of the WAL and head chunks are kept but not loaded",
	    F_UINT("native_histograms", r->histograms),
	    F_UINT("exemplars", r->exemplars),
	    F_UINT("metadata", r->metadata),
	    F_UINT("deletions", r->deletions_refused),
	    F_UINT("chunks", r->chunks_skipped),
	    F_UINT("series", r->series_refused));
}

static int
log_to_wal(void *arg, struct str series, struct str samples, struct err *err)
{
	struct storage *s = arg;

	if ((series.n > 0 && wal_writer_add(s->wal, series, err) == -1) ||
	    (samples.n > 0 && wal_writer_add(s->wal, samples, err) == -1)) {
		wal_writer_rollback(s->wal);
		return -1;
	}
	return wal_writer_commit(s->wal, err);
}

static enum compress_codec
wal_codec(const struct worker *w)
{
	struct str type = worker_flag(w, "storage.tsdb.wal-compression-type");

	if (str_eq_c(worker_flag(w, "storage.tsdb.wal-compression"),
	    "false") || str_eq_c(type, "none"))
		return COMPRESS_NONE;
	if (str_eq_c(type, "zstd"))
		return COMPRESS_ZSTD;
	return str_eq_c(type, "lz4") ? COMPRESS_LZ4 : COMPRESS_SNAPPY;
}

static const char *
codec_label(enum compress_codec codec)
{
	switch (codec) {
	case COMPRESS_SNAPPY:
		return "compression=\"snappy\"";
	case COMPRESS_ZSTD:
		return "compression=\"zstd\"";
	case COMPRESS_LZ4:
		return "compression=\"lz4\"";
	default:
		return NULL;
	}
}

static int
begin_wal(struct storage *s, const struct replay_stats *st,
    const struct head_chunks_stats *chunks, struct err *err)
{
	int64_t bytes = worker_flag_bytes(s->w,
	    "storage.tsdb.wal-segment-size");
	struct wal_writer_opts wo = {
		.dirfd = s->wal_fd,
		.index = st->last_segment + 1,
		.segment_bytes = FAULT_SEGMENT_BYTES(bytes > 0 ?
		    (size_t)bytes : SEGMENT_BYTES_DEFAULT),
		.codec = wal_codec(s->w),
		.sync = s->sync,
	};
	struct head_chunks_writer_opts co = {
		.dirfd = s->chunks_fd,
		.next_file = chunks->last_file + 1,
		.sync = s->sync,
		.on_file = on_file,
		.arg = s,
	};

	s->wal_codec = codec_label(wo.codec);
	if (wo.codec == COMPRESS_LZ4)
		log_warn("The WAL is written with LZ4: Prometheus skips such "
		    "records without a word");
	if (wal_writer_open(&wo, &s->wal, err) == -1)
		return err_wrap(err, "opening the WAL");
	s->chunks = head_chunks_writer_new(&co);
	head_set_log(s->head, log_to_wal, s);
	return 0;
}

int
storage_open(struct storage *s, struct err *err)
{
	int64_t interval = worker_flag_duration_ms(s->w,
	    "storage.tsdb.wal-sync-interval");
	struct replaying r = { .s = s };
	struct head_chunks_stats chunks = { 0 };
	struct replay_stats st = { .last_segment = -1 };

	if ((s->wal_fd = open_dir(s->data_fd, "wal", err)) == -1 ||
	    (s->chunks_fd = open_dir(s->data_fd, "chunks_head", err)) == -1)
		return -1;
	if (sync_start(interval > 0 ? interval : SYNC_INTERVAL_MS, &s->sync,
	    err) == -1)
		return -1;
	if (blocks_open(s, err) == -1 ||
	    load_chunks(&r, &chunks, err) == -1 ||
	    replay(&r, &st, err) == -1)
		return -1;
	FAULT_POINT("replay.end");
	head_replay_end(s->head, st.max_ref);
	s->replay_ns = st.duration_ns + chunks.duration_ns;
	log_not_loaded(&r);
	if (begin_wal(s, &st, &chunks, err) == -1)
		return -1;
	FAULT_POINT("replay.new-segment");
	s->open = true;
	return 0;
}

/* --- full chunks --- */

void
storage_spill(struct storage *s, size_t max_bytes)
{
	struct head_full_chunk c[256];
	uint32_t file[256], off[256];
	struct err err = ERR_INIT;
	uint64_t dropped, end;
	bool failed;

	for (size_t done = 0; done < max_bytes; ) {
		size_t n = head_spill_list(s->head, c, 256), k;

		if (n == 0)
			return;
		for (k = 0; k < n; k++) {
			struct head_chunk_entry e = {
				.series_ref = c[k].ref,
				.mint_ms = c[k].mint_ms,
				.maxt_ms = c[k].maxt_ms,
				.encoding = c[k].encoding,
				.data = c[k].data,
				.len_bytes = c[k].len_bytes,
			};

			if (head_chunks_writer_add(s->chunks, &e, &file[k],
			    &off[k], &err) == -1)
				break;
			done += c[k].len_bytes;
		}
		failed = k < n;
		n = k;
		if (head_chunks_writer_flush(s->chunks, &err) == -1)
			failed = true;
		end = head_chunks_writer_end(s->chunks);
		for (k = 0; k < n; k++)
			if (head_chunk_ref(file[k], off[k]) < end)
				head_spilled(s->head, &c[k], file[k], off[k]);
		if (failed) {
			/* The rest stays in the arena; the next tick tries. */
			if (log_limit_ok(&s->limit_spill, &dropped))
				log_error("Writing head chunks failed",
				    F_ERR(&err));
			return;
		}
	}
}

void
storage_close(struct storage *s)
{
	struct err err = ERR_INIT;

	append_retry(s);
	if (s->chunks != NULL) {
		storage_spill(s, SIZE_MAX);
		head_chunks_writer_close(s->chunks);
		s->chunks = NULL;
	}
	FAULT_POINT("close.chunks");
	if (s->wal != NULL && wal_writer_close(s->wal, &err) == -1)
		log_error("Closing the WAL failed", F_ERR(&err));
	s->wal = NULL;
	if (s->sync != NULL && sync_stop(s->sync, &err) == -1)
		log_error("Syncing failed", F_ERR(&err));
	s->sync = NULL;
	blocks_close(s);
	s->open = false;
}

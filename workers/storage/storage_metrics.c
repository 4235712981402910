/* SPDX-License-Identifier: ISC */

/* Storage's own metrics: counters are totals of the head and the WAL, copied
 * into the process's region once a second. */

#include "workers/storage/storage.h"

#include <stdlib.h>

#include "common/base/vec.h"
#include "common/metrics/metrics.h"
#include "workers/storage/sync.h"
#include "workers/storage/wal_writer.h"

struct storage_metrics {
	struct metrics_summary	*fsync;
	uint64_t		 fsyncs;	/* observed so far */
	uint64_t		 fsync_ns;
};

static void
set(struct storage *s, enum metrics_family family, const char *labels,
    double v)
{
	metrics_set(metrics_get(worker_metrics(s->w), family, labels), v);
}

static void
update_head(struct storage *s)
{
	const struct head_counters *c = head_counters(s->head);
	int64_t mint = head_min_time(s->head), maxt = head_max_time(s->head);
	uint64_t used, ceiling;

	set(s, METRIC_TSDB_SAMPLES, "type=\"float\"",
	    (double)c->samples_appended);
	set(s, METRIC_TSDB_OUT_OF_ORDER, "type=\"float\"",
	    (double)c->refused[HEAD_OUT_OF_ORDER]);
	set(s, METRIC_TSDB_OUT_OF_BOUND, "type=\"float\"",
	    (double)c->refused[HEAD_OUT_OF_BOUNDS]);
	set(s, METRIC_TSDB_TOO_OLD, "type=\"float\"",
	    (double)c->refused[HEAD_TOO_OLD]);
	set(s, METRIC_TSDB_SERIES, "", (double)head_n_series(s->head));
	set(s, METRIC_TSDB_SERIES_CREATED, "", (double)c->series_created);
	set(s, METRIC_TSDB_SERIES_REMOVED, "", 0);
	set(s, METRIC_TSDB_SERIES_REFUSED, "", (double)c->series_refused);
	set(s, METRIC_TSDB_CHUNKS, "", (double)head_n_chunks(s->head));
	set(s, METRIC_TSDB_CHUNKS_CREATED, "", (double)c->chunks_created);
	set(s, METRIC_TSDB_CHUNKS_REMOVED, "", 0);
	set(s, METRIC_TSDB_MMAP_CHUNKS, "", (double)c->chunks_spilled);
	set(s, METRIC_TSDB_READERS_KILLED, "", (double)c->readers_overdue);
	head_memory(s->head, &used, &ceiling);
	set(s, METRIC_TSDB_HEAD_BYTES, "", (double)used);
	set(s, METRIC_TSDB_HEAD_MAX_BYTES, "", (double)ceiling);
	set(s, METRIC_TSDB_MIN_TIME, "", (double)mint);
	set(s, METRIC_TSDB_MAX_TIME, "", (double)maxt);
	set(s, METRIC_TSDB_MIN_TIME_S, "", (double)mint / 1000);
	set(s, METRIC_TSDB_MAX_TIME_S, "", (double)maxt / 1000);
	set(s, METRIC_TSDB_LOWEST_TIME, "", (double)mint);
	set(s, METRIC_TSDB_LOWEST_TIME_S, "", (double)mint / 1000);
	set(s, METRIC_TSDB_BLOCKS, "", s->n_blocks);
}

static void
update_wal(struct storage *s)
{
	struct storage_metrics *m = s->metrics;
	struct wal_writer_stats w;
	struct sync_stats y;

	set(s, METRIC_TSDB_WAL_CORRUPTIONS, "", (double)s->corruptions);
	set(s, METRIC_TSDB_CHUNK_CORRUPTIONS, "",
	    (double)s->chunk_corruptions);
	set(s, METRIC_TSDB_WAL_REPLAY, "", (double)s->replay_ns / 1e9);
	set(s, METRIC_TSDB_WAL_FAILED, "", (double)s->wal_failed);
	if (s->wal == NULL)
		return;
	wal_writer_get_stats(s->wal, &w);
	set(s, METRIC_TSDB_WAL_FLUSHES, "", (double)w.n_writes);
	set(s, METRIC_TSDB_WAL_PAGES, "", (double)w.n_pages);
	set(s, METRIC_TSDB_WAL_SEGMENT, "",
	    (double)wal_writer_segment(s->wal));
	set(s, METRIC_TSDB_WAL_BYTES, "",
	    (double)(s->wal_found_bytes + w.written_bytes));
	set(s, METRIC_TSDB_WAL_PARTS, "", (double)w.n_parts);
	set(s, METRIC_TSDB_WAL_PART_BYTES, "", (double)w.part_bytes);
	if (s->wal_codec != NULL)
		set(s, METRIC_TSDB_WAL_SAVED, s->wal_codec,
		    (double)w.saved_bytes);
	sync_get_stats(s->sync, &y);
	if (y.n_syncs > m->fsyncs) {
		double mean = (double)(y.sum_ns - m->fsync_ns) /
		    (double)(y.n_syncs - m->fsyncs) / 1e9;

		for (; m->fsyncs < y.n_syncs; m->fsyncs++)
			metrics_summary_observe(m->fsync, mean);
		m->fsync_ns = y.sum_ns;
	}
}

void
storage_metrics_update(struct storage *s)
{
	if (s->metrics == NULL) {
		s->metrics = xcalloc(1, sizeof(*s->metrics));
		s->metrics->fsync = metrics_summary(worker_metrics(s->w),
		    METRIC_TSDB_WAL_FSYNC, "");
	}
	update_head(s);
	update_wal(s);
}

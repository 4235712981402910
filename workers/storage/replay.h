/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_H

/*
 * Reads a WAL back at start: the newest checkpoint, then the segments behind
 * it, into callbacks, in order. Nothing stops it but a callback or a
 * directory that cannot be read: what is damaged is skipped, and set aside:
 * the bad bytes go to `<segment>.corrupt` beside the segment (with a number
 * when that exists), the segment is rewritten without them, log lines name
 * the places. A segment that a crash left with half a record at its end is
 * cut there.
 *
 * The reference gives up everything behind the first fault; here the records
 * behind it are kept, since they stand for themselves: a sample whose series
 * record is lost is counted as unknown and skipped.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/labels/labels.h"
#include "common/tsdb/record.h"

/* The caller does not want the series: its samples are skipped, uncounted. */
#define REPLAY_SKIP	UINT64_MAX

/*
 * The caller's side. Entries carry the caller's own handle of the series
 * where the record has a ref: what on_series gave for it. A callback that is
 * NULL is not interested. Each returns 0, or -1 with err set, which ends the
 * replay with that error.
 */
struct replay_sink {
	void	*arg;
	/*
	 * A series record. Gives a handle: any number below REPLAY_SKIP - 1.
	 * Labels that are known already come under another ref when a series
	 * was forgotten and came again: give the same handle, and the later
	 * ref means the first series. labels live until the call returns.
	 */
	int	(*on_series)(void *arg, uint64_t ref, struct labels labels,
		    uint64_t *handle_out, struct err *err);
	/*
	 * Some samples, s[].ref is the handle; those of one series in the
	 * order of the WAL, those of different series in any: neighbouring
	 * handles come together, however far apart they were written.
	 */
	int	(*on_samples)(void *arg, const struct record_sample *s,
		    size_t n, struct err *err);
	int	(*on_tombstone)(void *arg, const struct record_tombstone *t,
		    struct err *err);
	int	(*on_exemplar)(void *arg, const struct record_exemplar *e,
		    struct err *err);
	int	(*on_metadata)(void *arg, const struct record_metadata *m,
		    struct err *err);
	int	(*on_histogram)(void *arg, const struct record_histogram *h,
		    struct err *err);
	int	(*on_mmap_marker)(void *arg,
		    const struct record_mmap_marker *m, struct err *err);
	/*
	 * Before each segment and once at the end (index = last + 1); what
	 * /api/v1/status/walreplay tells. Never fails.
	 */
	void	(*on_progress)(void *arg, int first, int last, int index);
};

struct replay_stats {
	int		 last_segment;	/* highest index, -1 without any */
	int		 checkpoint;	/* its index, -1 without one */
	uint64_t	 max_ref;	/* highest seen; new ones go above it */
	uint64_t	 n_segments;
	uint64_t	 bytes;		/* of all segments, as they were found */
	uint64_t	 n_records;
	uint64_t	 n_series;
	uint64_t	 n_samples;
	uint64_t	 n_histograms;
	uint64_t	 n_unknown_records;	/* of types we do not know */
	uint64_t	 n_unknown_refs;	/* entries without a series */
	uint64_t	 n_invalid_series;
	uint64_t	 n_corruptions;
	uint64_t	 lost_bytes;	/* set aside */
	int64_t		 duration_ns;
};

/* dirfd: of wal/. Call before the first segment is opened for writing. */
int	 replay_run(int dirfd, const struct replay_sink *sink,
	    struct replay_stats *out, struct err *err);

#endif

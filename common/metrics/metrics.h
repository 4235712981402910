/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_METRICS_METRICS_H
#define BRAZIER_COMMON_METRICS_METRICS_H

/*
 * Own metrics. Each process appends entries to a shared region of its own
 * (a memfd the supervisor made): family number, label text, value slots.
 * web maps all regions read-only and prints /metrics in one pass; so the
 * numbers of a stuck or dead worker stay readable. Entries of several
 * processes with equal family and labels are added up.
 *
 * Families are one table (families.h); names, types and help are the
 * reference's, so that its dashboards and alerts fit.
 *
 * The calls never fail visibly: when the region is full the entry counts
 * into a spare slot and prometheus's numbers miss it; the region's `lost`
 * says so on /metrics (brazier_metrics_lost).
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/metrics/families.h"

/* Pages that nothing was written to cost nothing: some 800 jobs' worth. */
#define METRICS_REGION_BYTES	(4 * 1024 * 1024)

struct metrics;

/* One value; the owner alone writes, with plain calls below. */
typedef struct metrics_slot metrics_slot;
struct metrics_summary;
struct metrics_histogram;

/* Maps a region of this process for writing; takes the descriptor over. */
struct metrics *metrics_open(int fd, struct err *err);
/* One in plain memory, for tests and programs without a supervisor. */
struct metrics *metrics_new(void);
void	 metrics_close(struct metrics *m);

/*
 * The slot of a counter or gauge: the existing one, or a new one at 0.
 * labels: `job="x",code="200"` already escaped (metrics_label helps), ""
 * for none. The pointer lives as long as m.
 */
metrics_slot *metrics_get(struct metrics *m, enum metrics_family family,
	    const char *labels);
void	 metrics_add(metrics_slot *s, double v);
void	 metrics_set(metrics_slot *s, double v);
double	 metrics_value(const metrics_slot *s);
static inline void
metrics_inc(metrics_slot *s)
{
	metrics_add(s, 1);
}
/*
 * Takes an entry off /metrics (its target, job … is gone). Its slots must not
 * be written any more: after a second its place may be another's.
 */
void	 metrics_drop(struct metrics *m, enum metrics_family family,
	    const char *labels);

/* name="value" with the text format's escapes, comma before if not first. */
void	 metrics_label(struct buf *b, const char *name, struct str value);

/*
 * Summaries (quantiles over the last ten minutes, from a small sketch with
 * 2 % relative error) and classic histograms; quantiles and buckets stand in
 * the family's row.
 */
struct metrics_summary *metrics_summary(struct metrics *m,
	    enum metrics_family family, const char *labels);
void	 metrics_summary_observe(struct metrics_summary *s, double v);
struct metrics_histogram *metrics_histogram(struct metrics *m,
	    enum metrics_family family, const char *labels);
void	 metrics_histogram_observe(struct metrics_histogram *h, double v);

/* --- the reader --- */

struct metrics_reader;

/* Adds a mapped region (hostile: bounds-checked); takes the descriptor. */
struct metrics_reader *metrics_reader_new(void);
void	 metrics_reader_free(struct metrics_reader *r);
/* key names the process; an existing one is replaced. */
int	 metrics_reader_add(struct metrics_reader *r, uint64_t key, int fd,
	    struct err *err);
/* Counters of a process that ended are kept in the sums, gauges go. */
void	 metrics_reader_remove(struct metrics_reader *r, uint64_t key);
/* Prints all families as text format 0.0.4, sorted by name. name_filter:
 * n names to keep, or n = 0 for all. */
void	 metrics_reader_print(struct metrics_reader *r,
	    const struct str *name_filter, size_t n, struct buf *out);

#endif

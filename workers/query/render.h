/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_RENDER_H
#define BRAZIER_WORKERS_QUERY_RENDER_H

/* JSON of the HTTP API: envelopes, values, series (spec api.tsv). */

#include "common/base/err.h"
#include "common/promql/result.h"
#include "workers/query/body.h"

/* Warnings and infos of an answer; texts are borrowed. */
#define NOTES_MAX	10	/* of each kind; more are summed up in a line */

struct notes {
	struct str	warnings[NOTES_MAX];
	struct str	infos[NOTES_MAX];
	size_t		n_warnings;	/* all, also those left out */
	size_t		n_infos;
};

void	 notes_add_warning(struct notes *n, struct str text);
void	 notes_add_info(struct notes *n, struct str text);

/* {"status":"success","data": */
void	 render_begin(struct buf *b);
/* [,"warnings":…][,"infos":…]} */
void	 render_end(struct buf *b, const struct notes *n);
/* {"status":"error","errorType":…,"error":…} */
void	 render_error(struct buf *b, const struct err *err);

/* {"a":"b",…} with the labels' own escaping. */
void	 render_labels(struct buf *b, struct labels ls);
/* "1.5" quoted, and histograms as objects. */
void	 render_float(struct buf *b, double v);
void	 render_hist(struct buf *b, const struct fhist *h);

/*
 * {"timings":{…},"samples":{…}}: stats= of a query and a line of the query
 * log. steps: with the arrays, if there are any.
 */
void	 render_stats(struct buf *b, const struct promql_stats *s, bool steps,
	    double queue_s, double total_s);

enum render_stats { RENDER_STATS_NONE, RENDER_STATS_SHORT, RENDER_STATS_STEPS };

struct render_query {
	uint64_t		 limit;		/* 0 = none */
	enum render_stats	 stats;
	double			 queue_s;	/* waiting before it */
	double			 total_s;	/* whole execution, with that */
	int64_t			 start_ms;	/* of a range query, else */
	int64_t			 step_ms;	/* step 0 */
};

/*
 * The data of query and query_range: {"resultType":…,"result":…}. Adds the
 * truncation warning to notes. false when the body is lost.
 */
bool	 render_result(struct body *body, struct promql_result *r,
	    const struct render_query *q, struct notes *notes);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_QUERY_LOG_H
#define BRAZIER_WORKERS_QUERY_QUERY_LOG_H

/*
 * A line of the query log (global.query_log_file): one JSON object a query
 * that the engine has run, written when it ends, before its answer is
 * printed. Keys, their order and the escaping are the reference's. Writing
 * the file is log_file.c.
 */

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/promql/result.h"

/* Who asked; what[] as enum query_origin (ipc/message.h) says. */
struct query_asker {
	uint32_t	origin;
	struct str	what[3];
};

/* Everything is borrowed. */
struct query_record {
	struct str			 query;
	int64_t				 start_ms, end_ms;
	int64_t				 step_ms;	/* 0 = instant */
	const struct err		*err;		/* NULL = it succeeded */
	const struct promql_stats	*stats;		/* NULL = it failed */
	double				 queue_s;	/* before it ran */
	double				 total_s;	/* with that */
	const struct query_asker	*asker;
};

/* The line with its newline. source: "file.c:12", who writes. */
void	 query_log_line(struct buf *b, int64_t now_ns, const char *source,
	    const struct query_record *r);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_API_H
#define BRAZIER_WORKERS_QUERY_API_H

/*
 * The endpoints of the HTTP API that need the data or the language: from
 * split parameters to the whole response body. Pure but for the source: no
 * event loop, no process state, so that tests drive it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/promql/engine.h"
#include "common/promql/parse.h"
#include "workers/query/body.h"
#include "workers/query/params.h"
#include "workers/query/query_log.h"

struct head_reader;

/* Who wants to know of expressions that are evaluated. */
struct api_hooks {
	/* Each NULL or called in turn, once a query or query_range. */
	void	(*begun)(void *arg, struct str query);
	/* Before the answer is printed; r NULL: it did not even parse. */
	void	(*ended)(void *arg, const struct query_record *r);
	void	*arg;
};

/* What does not change from request to request. */
struct api_env {
	struct source		*src;	/* NULL: storage is not there */
	struct head_reader	*head;	/* the same, for its figures */
	struct promql_opts	 opts;	/* deadline is set per request */
	struct promql_parse_opts parse_opts;
	bool			 per_step_stats;
	size_t			 memory_limit_bytes;	/* of one query */
	size_t			 process_limit_bytes;	/* RLIMIT_DATA */
	struct api_hooks	 hooks;
};

struct api_request {
	uint32_t	 kind;		/* enum query_kind */
	struct str	 arg;		/* label name of the path */
	struct params	 params;
	int64_t		 now_ms;
	mono_time	 deadline;	/* of the server; ns 0 = none */
	mono_time	 asked;		/* when it began to wait; 0 = now */
	struct query_asker asker;
};

struct api_answer {
	int		 http_status;	/* valid before the first piece */
	struct body	 body;
	size_t		 peak_bytes;	/* of the evaluation */
	bool		 has_stats;	/* an expression was evaluated */
	double		 queue_s;	/* before that */
	struct promql_stats stats;	/* without the arrays */
};

/*
 * Answers: evaluates, sets a->http_status, renders into a->body and ends it.
 * Every failure becomes an error envelope, or a lost body when part of it
 * was handed on already.
 */
void	 api_answer(const struct api_env *env, const struct api_request *req,
	    struct api_answer *a);

/* One endpoint each: 0 when answered, -1 when err is to be the answer. */
int	 api_query_instant(const struct api_env *env,
	    const struct api_request *req, struct api_answer *a,
	    struct err *err);
int	 api_query_range(const struct api_env *env,
	    const struct api_request *req, struct api_answer *a,
	    struct err *err);
int	 api_series(const struct api_env *env, const struct api_request *req,
	    struct api_answer *a, struct err *err);
int	 api_labels(const struct api_env *env, const struct api_request *req,
	    struct api_answer *a, struct err *err);
int	 api_label_values(const struct api_env *env,
	    const struct api_request *req, struct api_answer *a,
	    struct err *err);
int	 api_tsdb_status(const struct api_env *env,
	    const struct api_request *req, struct api_answer *a,
	    struct err *err);
int	 api_format_query(const struct api_env *env,
	    const struct api_request *req, struct api_answer *a,
	    struct err *err);
int	 api_parse_query(const struct api_env *env,
	    const struct api_request *req, struct api_answer *a,
	    struct err *err);

#endif

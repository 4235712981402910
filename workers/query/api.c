/* SPDX-License-Identifier: ISC */
/* Which endpoint answers which request, and what becomes of failures. */
#include "workers/query/api.h"

#include "ipc/message.h"
#include "workers/query/render.h"

typedef int api_fn(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err);

static const struct {
	api_fn	*fn;
	bool	 needs_data;
} endpoints[] = {
	[QUERY_INSTANT] = { api_query_instant, true },
	[QUERY_RANGE] = { api_query_range, true },
	[QUERY_SERIES] = { api_series, true },
	[QUERY_LABELS] = { api_labels, true },
	[QUERY_LABEL_VALUES] = { api_label_values, true },
	[QUERY_TSDB_STATUS] = { api_tsdb_status, true },
	[QUERY_FORMAT] = { api_format_query, false },
	[QUERY_PARSE] = { api_parse_query, false },
};

/* Kinds that have no errorType of their own. */
static enum err_kind
kind_shown(enum err_kind kind)
{
	switch (kind) {
	case ERR_LIMIT:
	case ERR_NOMEM:
		return ERR_EXECUTION;
	default:
		return kind > ERR_NOT_ACCEPTABLE || kind == ERR_NONE ?
		    ERR_INTERNAL : kind;
	}
}

void
api_answer(const struct api_env *env, const struct api_request *req,
    struct api_answer *a)
{
	struct err err = ERR_INIT;
	int rv;

	if (req->kind >= sizeof(endpoints) / sizeof(endpoints[0]))
		rv = err_set(&err, ERR_NOT_FOUND, "no such endpoint");
	else if (endpoints[req->kind].needs_data && env->src == NULL)
		rv = err_set(&err, ERR_UNAVAILABLE, "TSDB not ready");
	else
		rv = endpoints[req->kind].fn(env, req, a, &err);
	/* the process's own limit, reached outside of the query's account */
	if (rv == 0 && buf_failed(&a->body.text) && a->body.raw_bytes == 0) {
		a->body.lost = false;
		rv = err_set(&err, ERR_NOMEM, "out of memory");
	}
	if (rv == -1 && err.kind == ERR_NOMEM)
		(void)err_set(&err, ERR_NOMEM, "query needs more memory than "
		    "its limit of %zu bytes", env->process_limit_bytes);
	if (rv == -1) {
		if (a->body.raw_bytes > 0) {
			a->body.lost = true;
			return;
		}
		err.kind = kind_shown(err.kind);
		a->http_status = err_kind_http_status(err.kind);
		buf_reset(&a->body.text);
		render_error(&a->body.text, &err);
	}
	(void)body_end(&a->body);
}

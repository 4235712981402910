/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CTL_API_H
#define BRAZIER_SUPERVISOR_CTL_API_H

/* Requests to the HTTP API and the printed forms of its answers. */

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"

/*
 * The data member of a successful answer; the caller drops it with
 * json_decref. NULL with "type: text" as the reference's client words it.
 */
json_t	*api_request(const char *server, const char *path, struct str form,
	    struct err *err);

/*
 * A query's data ({resultType, result}) in text notation, as promtool prints
 * it: `up{job="x"} => 1 @[1435781451.781]`.
 */
int	 api_print_value(struct buf *out, const json_t *data, struct err *err);

/* {a="b", c="d"}, with the name before it; "{}" when empty. */
void	 api_print_metric(struct buf *out, const json_t *metric);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HTTP_HEAD_H
#define BRAZIER_COMMON_HTTP_HEAD_H

/*
 * Reading one complete request head (request line, header lines, each ended
 * by CR LF, then the empty line). Part of the parser; nobody else calls it.
 */

#include <stddef.h>

#include "common/http/request.h"

/*
 * Fills req with pieces borrowed from head. Returns 0, or the HTTP status
 * to refuse with and a constant text in *reason_out.
 */
int	 http_head_parse(struct str head, struct http_request *req,
	    const char **reason_out);

#endif

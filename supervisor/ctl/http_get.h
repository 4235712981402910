/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CTL_HTTP_GET_H
#define BRAZIER_SUPERVISOR_CTL_HTTP_GET_H

/* One blocking HTTP request; the only file of brazierctl that knows libcurl. */

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

/* An answer larger than this is refused. */
#define HTTP_ANSWER_MAX	(1u << 30)

/* Appends key=value to a form body, escaped. */
void	 http_form_add(struct buf *form, const char *key, const char *value);

/*
 * server  URL; "http://" is put before it when it names no scheme
 * path    "/api/v1/query"
 * form    sent with POST when it is not empty, else GET
 * 0 with the answer's body and status, whatever the status is; -1 when
 * there was no answer.
 */
int	 http_request(const char *server, const char *path, struct str form,
	    struct buf *body_out, long *status_out, struct err *err);

#endif

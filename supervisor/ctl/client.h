/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CTL_CLIENT_H
#define BRAZIER_SUPERVISOR_CTL_CLIENT_H

/* One question over the control socket, and its whole answer. */

#include "common/base/buf.h"
#include "common/base/err.h"
#include "ipc/catalogue.h"

/*
 * path  NULL = the usual places, in this order: ./data/control.sock,
 *       /run/brazier/control.sock, /var/lib/brazier/control.sock
 * 0 with the answer's text; -1 when there was none or it was a refusal (its
 * text in err). After the connection is made the process gives up
 * everything that it does not need for this one answer.
 */
int	 client_ask(const char *path, enum ipc_type type, const void *data,
	    size_t n, struct buf *answer, struct err *err);

#endif
